//! What a driver's options are, without any: their keys, and the JSON Schema of them.

use crate::Driver;
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde_json::Value;
use std::fmt;

/// The schemas, a line for each driver: its name and the schema. A test writes them (`UPDATE_REFERENCE=1`): what makes them from
/// the types, in the program, would be a tenth of it.
#[cfg(not(test))]
const SCHEMAS: &str = include_str!("schemas.txt");

/// What is known of the type of a driver's options.
pub struct Shape {
    /// See [`keys`].
    pub keys: fn() -> &'static [&'static str],
    /// What the tests of this crate look at, and write to the list.
    #[cfg(test)]
    pub schema: fn() -> schemars::Schema,
}

/// The [`Shape`] of a type of options.
macro_rules! shape {
    ($options:ty) => {
        $crate::options::Shape {
            keys: $crate::options::keys::<$options>,
            #[cfg(test)]
            schema: || schemars::schema_for!($options),
        }
    };
}
pub(crate) use shape;

impl Driver {
    /// The keys of the driver's own options.
    #[must_use]
    pub fn keys(&self) -> &'static [&'static str] {
        (self.options.keys)()
    }

    /// JSON Schema of the driver's own options.
    #[must_use]
    pub fn schema(&self) -> Value {
        #[cfg(test)]
        return (self.options.schema)().to_value();
        #[cfg(not(test))]
        SCHEMAS
            .lines()
            .find_map(|line| line.strip_prefix(self.name)?.strip_prefix(' '))
            .and_then(|schema| serde_json::from_str(schema).ok())
            .unwrap_or_default()
    }
}

/// The keys of a struct, in the order of their declaration; of any other type none.
#[must_use]
pub fn keys<T: for<'de> Deserialize<'de>>() -> &'static [&'static str] {
    T::deserialize(Asked).err().map(|Keys(keys)| keys).unwrap_or_default()
}

/// A deserializer that has no values: it fails with the keys that it was asked for.
struct Asked;

#[derive(Debug)]
struct Keys(&'static [&'static str]);

impl<'de> Deserializer<'de> for Asked {
    type Error = Keys;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Keys> {
        Err(Keys(&[]))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        keys: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Keys> {
        Err(Keys(keys))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

impl Error for Keys {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self(&[])
    }
}

impl fmt::Display for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

impl std::error::Error for Keys {}
