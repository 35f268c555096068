//! The option `channels` of parts with several alike inputs: which to read, and under what names.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::ser::{Serialize, SerializeSeq, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// An input of a part.
pub trait Input: Clone + PartialEq + fmt::Debug {
    /// What a list of inputs looks like, for messages: `[a0, a1]`.
    const LIST: &'static str;

    /// The name of its channel if it is given no other.
    fn name(&self) -> String;
}

/// Names of channels, each with its input, in the order of the configuration. Never empty; names are unique.
///
/// Written as a list of inputs, each with its own name, `[a0, a1]`, or as a mapping from names to inputs,
/// `{ battery: a0, solar: a1 }`.
#[derive(Clone, Debug, PartialEq)]
pub struct Inputs<I>(Vec<(String, I)>);

impl<I: Input> Inputs<I> {
    /// These, by their own names.
    #[must_use]
    pub fn of(inputs: &[I]) -> Self {
        Self(inputs.iter().map(|input| (input.name(), input.clone())).collect())
    }

    /// Names and inputs.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, I)> {
        self.0.iter().map(|(name, input)| (name.as_str(), input.clone()))
    }

    /// The names.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name.as_str()).collect()
    }

    fn push<E: Error>(&mut self, name: String, input: I) -> Result<(), E> {
        if self.0.iter().any(|(other, _)| *other == name) {
            return Err(E::custom(format_args!("there are two channels `{name}`")));
        }
        self.0.push((name, input));
        Ok(())
    }

    fn filled<E: Error>(self) -> Result<Self, E> {
        if self.0.is_empty() { Err(E::custom("at least one channel is needed")) } else { Ok(self) }
    }
}

impl<'de, I: Input + Deserialize<'de>> Deserialize<'de> for Inputs<I> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<I>(PhantomData<I>);

        impl<'de, I: Input + Deserialize<'de>> Visitor<'de> for Either<I> {
            type Value = Inputs<I>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of inputs such as {}, or a mapping from names to inputs", I::LIST)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Inputs<I>, A::Error> {
                let mut inputs = Inputs(Vec::new());
                while let Some(input) = list.next_element::<I>()? {
                    inputs.push(input.name(), input)?;
                }
                inputs.filled()
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Inputs<I>, A::Error> {
                let mut inputs = Inputs(Vec::new());
                while let Some((Name(name), input)) = map.next_entry()? {
                    inputs.push(name, input)?;
                }
                inputs.filled()
            }
        }

        deserializer.deserialize_any(Either(PhantomData))
    }
}

impl<I: Input + Serialize> Serialize for Inputs<I> {
    /// As a list: only defaults are ever written.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for (_, input) in &self.0 {
            list.serialize_element(input)?;
        }
        list.end()
    }
}

impl<I: Input + JsonSchema> JsonSchema for Inputs<I> {
    fn schema_name() -> Cow<'static, str> {
        format!("Inputs_of_{}", I::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let input = generator.subschema_for::<I>();
        json_schema!({
            "anyOf": [
                { "type": "array", "items": input, "minItems": 1, "uniqueItems": true },
                {
                    "type": "object",
                    "additionalProperties": input,
                    "propertyNames": { "pattern": "^[a-z][a-z0-9_]{0,63}$", "not": { "const": RESERVED } },
                    "minProperties": 1,
                },
            ],
        })
    }
}

/// A key of every state: no channel can have this name.
const RESERVED: &str = "time";

/// The name of a channel: it becomes a key of the state.
struct Name(String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let good = name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(letters) && name.len() <= 64;
        if !good {
            return Err(D::Error::invalid_value(
                Unexpected::Str(&name),
                &"the name of a channel: a lower-case letter, then lower-case letters, digits and _, up to 64 in all",
            ));
        }
        if name == RESERVED {
            return Err(D::Error::custom("`time` is the sampling time in every state: a channel cannot be called so"));
        }
        Ok(Self(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq, serde::Deserialize)]
    struct Pin(u8);

    impl Input for Pin {
        const LIST: &'static str = "[0, 1]";

        fn name(&self) -> String {
            format!("pin{}", self.0)
        }
    }

    fn read(text: &str) -> Result<Vec<(String, u8)>, String> {
        let inputs = serde_yaml::from_str::<Inputs<Pin>>(text).map_err(|error| error.to_string())?;
        Ok(inputs.iter().map(|(name, pin)| (name.to_owned(), pin.0)).collect())
    }

    #[test]
    fn lists_and_mappings_keep_their_order() {
        assert_eq!(read("[3, 1]").unwrap(), [("pin3".to_owned(), 3), ("pin1".to_owned(), 1)]);
        assert_eq!(read("{ soil: 2, air_2: 0 }").unwrap(), [("soil".to_owned(), 2), ("air_2".to_owned(), 0)]);
        // Two filters on one input are worth a second name.
        assert_eq!(read("{ fast: 2, slow: 2 }").unwrap().len(), 2);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (text, expected) in [
            ("[]", "at least one channel"),
            ("{}", "at least one channel"),
            ("[1, 1]", "two channels `pin1`"),
            ("3", "a list of inputs such as [0, 1], or a mapping from names to inputs"),
            ("{ time: 1 }", "`time` is the sampling time"),
            ("{ Soil: 1 }", "the name of a channel"),
            ("{ \"\": 1 }", "the name of a channel"),
            ("{ 1soil: 1 }", "the name of a channel"),
            ("{ so il: 1 }", "the name of a channel"),
        ] {
            let message = read(text).unwrap_err();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }
}
