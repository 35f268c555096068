//! serde's deserializer over a tree.

use super::super::node::{Content, Node};
use super::super::placed::{ONE_OR_MANY, PLACED};
use super::alternatives;
use super::error::Error;
use serde::de::value::{StrDeserializer, U32Deserializer};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Expected, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use std::borrow::Cow;

/// More choices than this are not listed.
const MOST_LISTED: usize = 12;

/// A node, and what it is called.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    node: &'a Node,
    /// The key whose value it is, or is an entry of.
    name: Option<&'a str>,
    entry: bool,
    key: bool,
}

/// What does not depend on the type that is read is here, and not in the functions of the deserializer: there is a copy of
/// those for every type of an option.
impl<'a> Reader<'a> {
    pub(super) fn new(node: &'a Node) -> Self {
        Self { node, name: None, entry: false, key: false }
    }

    /// What `seed` makes of it. An error that came after reading, from a conversion, is of this node as well.
    pub(super) fn seeded<'de, T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        self.place(seed.deserialize(self))
    }

    fn place<T>(self, result: Result<T, Error>) -> Result<T, Error> {
        result.map_err(|error| self.placed(error))
    }

    #[cold]
    #[inline(never)]
    fn placed(self, error: Error) -> Error {
        error.at(self.node, self.name, self.entry, self.key)
    }

    /// An error of kind, unless the value is known to be wrong.
    #[cold]
    fn not(self, expected: impl Into<String>) -> Error {
        self.placed(match self.node.content {
            Content::Unknown => Error::known(),
            _ => Error::kind(expected),
        })
    }

    /// An error of value.
    #[cold]
    fn value(self, expected: impl Into<String>) -> Error {
        self.placed(Error::value(expected))
    }

    fn boolean(self) -> Result<bool, Error> {
        match self.node.content {
            Content::Bool(value) => Ok(value),
            _ => Err(self.not("`true` or `false`")),
        }
    }

    fn integer(self, lowest: i64, highest: i64) -> Result<i64, Error> {
        let expected = || match (lowest, highest) {
            (i64::MIN, i64::MAX) => "a whole number".to_owned(),
            (0, i64::MAX) => "a whole number, 0 or more".to_owned(),
            _ => format!("a whole number from {lowest} to {highest}"),
        };
        match self.node.content {
            Content::Integer(number) if (lowest..=highest).contains(&number) => Ok(number),
            Content::Integer(_) | Content::Float(_) => Err(self.value(expected())),
            _ => Err(self.not(expected())),
        }
    }

    fn float(self, expected: &dyn Expected) -> Result<f64, Error> {
        match self.node.content {
            // Beyond 2^53 the nearest float is what is meant by a number that need not be whole.
            #[allow(clippy::cast_precision_loss)]
            Content::Integer(number) => Ok(number as f64),
            Content::Float(number) if number.is_finite() => Ok(number),
            Content::Float(_) => Err(self.value("a finite number")),
            _ => Err(self.not(wanted(expected, "a number"))),
        }
    }

    fn text(self, expected: &dyn Expected) -> Result<&'a str, Error> {
        match &self.node.content {
            Content::Text(text) => Ok(text),
            content => {
                let quotes = matches!(content, Content::Integer(_) | Content::Float(_) | Content::Bool(_));
                let error = self.not(wanted(expected, "text"));
                Err(if quotes { error.hint("put it in quotes") } else { error })
            }
        }
    }

    fn nothing(self) -> Result<(), Error> {
        match self.node.content {
            Content::Null => Ok(()),
            _ => Err(self.not("nothing")),
        }
    }

    fn items(self) -> Result<Items<'a>, Error> {
        match &self.node.content {
            Content::List(items) => Ok(Items { items: items.iter(), name: self.name }),
            _ => Err(self.not("a list")),
        }
    }

    fn some_items(self, count: usize) -> Result<Items<'a>, Error> {
        match &self.node.content {
            Content::List(items) if items.len() == count => self.items(),
            Content::List(items) => Err(self.placed(Error::count(count, items.len()))),
            _ => Err(self.not(format!("a list of {count}"))),
        }
    }

    fn entries(self) -> Result<Entries<'a>, Error> {
        match &self.node.content {
            Content::Map(entries) => Ok(Entries { entries: entries.iter(), value: None }),
            _ => Err(self.not("a map of keys and values")),
        }
    }

    fn choice(self, variants: &'static [&'static str]) -> Result<Choice<'a>, Error> {
        let expected = || {
            if variants.len() > MOST_LISTED { "one of the known names".to_owned() } else { alternatives(variants) }
        };
        match &self.node.content {
            Content::Text(text) => Ok(Choice { text: text.into(), name: self, value: None }),
            Content::Map(entries) => match entries.as_slice() {
                [(key, value)] => {
                    let name = Self { node: key, key: true, ..self };
                    let value = Self { node: value, name: key.text(), entry: false, key: false };
                    Ok(Choice { text: name.text(&"a string")?.into(), name, value: Some(value) })
                }
                _ => Err(self.value(format!("one key alone: {}", expected()))),
            },
            // `oversampling: 4`, where the choices are 1, 2, 4, 8 and 16.
            Content::Integer(number) => {
                let number = number.to_string();
                if variants.contains(&number.as_str()) {
                    Ok(Choice { text: number.into(), name: self, value: None })
                } else {
                    Err(self.value(expected()))
                }
            }
            Content::Float(_) | Content::Bool(_) => Err(self.value(expected())),
            _ => Err(self.not(expected())),
        }
    }
}

/// What a visitor expects in its own words, or `usual` in the place of serde's words for plain types.
fn wanted(expected: &dyn Expected, usual: &str) -> String {
    let expected = expected.to_string();
    match expected.as_str() {
        "f32" | "f64" | "a string" | "a character" | "field identifier" | "variant identifier" => usual.to_owned(),
        _ => expected,
    }
}

macro_rules! integers {
    ($($method:ident $type:ty),*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            // The tree has no whole numbers beyond an i64.
            let lowest = i64::try_from(<$type>::MIN).unwrap_or(i64::MIN);
            let highest = i64::try_from(<$type>::MAX).unwrap_or(i64::MAX);
            let number = self.integer(lowest, highest)?;
            self.place(visitor.visit_i64(number))
        })*
    };
}

macro_rules! same {
    ($as:ident: $($method:ident),*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.$as(visitor)
        })*
    };
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = Error;

    integers!(deserialize_i8 i8, deserialize_i16 i16, deserialize_i32 i32, deserialize_i64 i64, deserialize_i128 i128,
        deserialize_u8 u8, deserialize_u16 u16, deserialize_u32 u32, deserialize_u64 u64, deserialize_u128 u128);
    same!(deserialize_str: deserialize_string, deserialize_char, deserialize_identifier, deserialize_bytes,
        deserialize_byte_buf);

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.place(match &self.node.content {
            Content::Null => visitor.visit_unit(),
            Content::Bool(value) => visitor.visit_bool(*value),
            Content::Integer(number) => visitor.visit_i64(*number),
            Content::Float(_) => return self.deserialize_f64(visitor),
            Content::Text(text) => visitor.visit_str(text),
            Content::List(_) => visitor.visit_seq(self.items()?),
            Content::Map(_) => visitor.visit_map(self.entries()?),
            Content::Unknown => Err(Error::known()),
        })
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.place(visitor.visit_bool(self.boolean()?))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let text = self.text(&visitor)?;
        self.place(visitor.visit_str(text))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.place(visitor.visit_seq(self.items()?))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.place(visitor.visit_map(self.entries()?))
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let number = self.float(&visitor)?;
        self.place(visitor.visit_f64(number))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.place(match self.node.content {
            Content::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        })
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.nothing()?;
        self.place(visitor.visit_unit())
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Error> {
        self.place(match name {
            PLACED => visitor.visit_seq(Parts { reader: self, given: 0 }),
            ONE_OR_MANY => match &self.node.content {
                Content::List(_) => visitor.visit_seq(self.items()?),
                _ => visitor.visit_seq(Only(Some(self))),
            },
            _ => visitor.visit_newtype_struct(self),
        })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Error> {
        self.place(visitor.visit_seq(self.some_items(len)?))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.place(visitor.visit_enum(self.choice(variants)?))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }
}

/// The entries of a list.
struct Items<'a> {
    items: std::slice::Iter<'a, Node>,
    name: Option<&'a str>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some(node) = self.items.next() else { return Ok(None) };
        Reader { node, name: self.name, entry: true, key: false }.seeded(seed).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

/// A value that stands for a list of itself.
struct Only<'a>(Option<Reader<'a>>);

impl<'de> SeqAccess<'de> for Only<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        self.0.take().map(|reader| reader.seeded(seed)).transpose()
    }
}

/// Place, origin and value.
struct Parts<'a> {
    reader: Reader<'a>,
    given: u8,
}

impl<'de> SeqAccess<'de> for Parts<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        self.given += 1;
        match self.given {
            1 => {
                let place: U32Deserializer<Error> = self.reader.node.place.0.into_deserializer();
                seed.deserialize(place)
            }
            2 => seed.deserialize(Origin(self.reader.node.origin.as_deref())),
            _ => seed.deserialize(self.reader),
        }
        .map(Some)
    }
}

/// An optional text.
struct Origin<'a>(Option<&'a str>);

impl<'de> Deserializer<'de> for Origin<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Some(origin) => visitor.visit_some(StrDeserializer::new(origin)),
            None => visitor.visit_none(),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// The entries of a map.
struct Entries<'a> {
    entries: std::slice::Iter<'a, (Node, Node)>,
    value: Option<Reader<'a>>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some((key, value)) = self.entries.next() else { return Ok(None) };
        self.value = Some(Reader { node: value, name: key.text(), entry: false, key: false });
        Reader { node: key, name: None, entry: false, key: true }.seeded(seed).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        match self.value.take() {
            Some(reader) => reader.seeded(seed),
            None => Err(serde::de::Error::custom("a value was asked for before its key")),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.entries.len())
    }
}

/// A choice, alone as a text, or as the only key of a map with its value.
struct Choice<'a> {
    text: Cow<'a, str>,
    name: Reader<'a>,
    value: Option<Reader<'a>>,
}

impl<'de, 'a> EnumAccess<'de> for Choice<'a> {
    type Error = Error;
    type Variant = Chosen<'a>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Chosen<'a>), Error> {
        let chosen = self.name.place(seed.deserialize(StrDeserializer::new(&self.text)))?;
        Ok((chosen, Chosen { name: self.name, value: self.value }))
    }
}

/// The value of a choice.
struct Chosen<'a> {
    name: Reader<'a>,
    value: Option<Reader<'a>>,
}

impl<'a> Chosen<'a> {
    fn value(&self) -> Result<Reader<'a>, Error> {
        self.value.ok_or_else(|| {
            let message = format!("{} needs a value", self.name.node.shown());
            self.name.placed(serde::de::Error::custom(message))
        })
    }
}

impl<'de> VariantAccess<'de> for Chosen<'_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        self.value.map_or(Ok(()), Reader::nothing)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        self.value()?.seeded(seed)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Error> {
        self.value()?.deserialize_tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        self.value()?.deserialize_map(visitor)
    }
}
