//! Numbers with limits. Their errors say what was expected; their JSON Schema says it before.

use serde::de::{Deserializer, Error, Unexpected, Visitor};
use std::fmt;

/// Declares an option that is one of a few numbers, as an enum whose variants stand for them.
macro_rules! choice {
    (
        $(#[$doc:meta])*
        pub enum $name:ident {
            $($(#[$variant_doc:meta])* $variant:ident = $number:literal,)+
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// All of them, in the order of the datasheet.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The number as it is written in the configuration.
            #[must_use]
            pub const fn number(self) -> f64 {
                match self {
                    $(Self::$variant => $number as f64,)+
                }
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let expected = concat!("one of", $(" ", stringify!($number), ","),+);
                $crate::options::limits::number(deserializer, expected.trim_end_matches(','), |number| {
                    Self::ALL.iter().copied().find(|choice| choice.number() == number)
                })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $crate::Value::Number(self.number()).serialize(serializer)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn schema_id() -> std::borrow::Cow<'static, str> {
                concat!(module_path!(), "::", stringify!($name)).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "number", "enum": [$($number),+] })
            }
        }
    };
}

/// Declares an option that is a number between two others, both included.
macro_rules! limited {
    ($(#[$doc:meta])* pub struct $name:ident in $min:literal ..= $max:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct $name(f64);

        impl $name {
            /// The number, if it is within the limits.
            #[must_use]
            pub fn new(number: f64) -> Option<Self> {
                ($min..=$max).contains(&number).then_some(Self(number))
            }

            /// The number.
            #[must_use]
            pub const fn number(self) -> f64 {
                self.0
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let expected = concat!("a number from ", stringify!($min), " to ", stringify!($max));
                $crate::options::limits::number(deserializer, expected, Self::new)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $crate::Value::Number(self.0).serialize(serializer)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn schema_id() -> std::borrow::Cow<'static, str> {
                concat!(module_path!(), "::", stringify!($name)).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "number", "minimum": $min, "maximum": $max })
            }
        }
    };
}

pub(crate) use {choice, limited};

/// Reads a number that `convert` accepts; `expected` completes "expected …" in the message about any other.
///
/// # Errors
/// Whatever is not a number, or not accepted.
pub fn number<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    expected: &'static str,
    convert: impl Fn(f64) -> Option<T>,
) -> Result<T, D::Error> {
    deserializer.deserialize_f64(Number { expected, convert })
}

struct Number<F> {
    expected: &'static str,
    convert: F,
}

impl<T, F: Fn(f64) -> Option<T>> Visitor<'_> for Number<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    // The casts lose nothing below 2^53, and no option reaches that far.
    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        #[allow(clippy::cast_precision_loss)]
        (self.convert)(number as f64).ok_or_else(|| E::invalid_value(Unexpected::Signed(number), &self))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        #[allow(clippy::cast_precision_loss)]
        (self.convert)(number as f64).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<T, E> {
        (self.convert)(number).ok_or_else(|| E::invalid_value(Unexpected::Float(number), &self))
    }
}

#[cfg(test)]
mod tests {
    use schemars::schema_for;

    choice! {
        /// For the test.
        pub enum Full {
            /// The wide one.
            Wide = 6.144,
            /// The narrow one.
            Narrow = 4,
        }
    }

    limited! {
        /// For the test.
        pub struct Reference in 0.25..=5.5
    }

    #[test]
    fn choices_are_read_and_refused() {
        assert_eq!(serde_yaml::from_str::<Full>("6.144").unwrap(), Full::Wide);
        assert_eq!(serde_yaml::from_str::<Full>("4").unwrap(), Full::Narrow);
        assert_eq!(serde_yaml::from_str::<Full>("4.0").unwrap(), Full::Narrow);
        for wrong in ["5", "-4", "4.5", ".nan", "wide"] {
            let message = serde_yaml::from_str::<Full>(wrong).unwrap_err().to_string();
            assert!(message.ends_with("expected one of 6.144, 4"), "{message}");
        }
    }

    #[test]
    fn limits_include_both_ends() {
        for (text, number) in [("0.25", 0.25), ("3.3", 3.3), ("5", 5.0), ("5.5", 5.5)] {
            assert_eq!(serde_yaml::from_str::<Reference>(text).unwrap().number(), number);
        }
        for wrong in ["0", "-3.3", "0.2499", "5.6", ".nan", ".inf", "a lot"] {
            let message = serde_yaml::from_str::<Reference>(wrong).unwrap_err().to_string();
            assert!(message.ends_with("expected a number from 0.25 to 5.5"), "{message}");
        }
    }

    #[test]
    fn schemas_say_the_limits() {
        let schema = schema_for!(Full);
        assert_eq!(schema.get("enum").unwrap(), &serde_json::json!([6.144, 4]));
        let schema = schema_for!(Reference);
        assert_eq!((schema.get("minimum"), schema.get("maximum")), (Some(&0.25.into()), Some(&5.5.into())));
    }
}
