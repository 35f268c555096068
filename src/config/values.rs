//! Values of the agent's own keys, as they are written.

use crate::mqtt::Protocol;
use halyard_drivers::Value;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected, Visitor};
use std::borrow::Cow;
use std::fmt;

/// Defines a type that is read from a text by a function, with its JSON Schema.
macro_rules! text {
    ($(#[$doc:meta])* $type:ident($inner:ty), $expected:expr, $parse:expr, $schema:tt) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $type(pub $inner);

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;

                impl Visitor<'_> for Text {
                    type Value = $type;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expected)
                    }

                    fn visit_str<E: Error>(self, text: &str) -> Result<$type, E> {
                        let parse: fn(&str) -> Option<$inner> = $parse;
                        parse(text).map($type).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
                    }
                }

                deserializer.deserialize_str(Text)
            }
        }

        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

text!(
    /// Id of an agent, a sensor or an actuator.
    Id(String),
    "an id: at most 64 of `a` to `z`, `0` to `9`, `_` and `-`, the first a letter or digit",
    |text| is_id(text).then(|| text.to_owned()),
    { "type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,63}$", "not": { "enum": ["agent", "availability"] } }
);

text!(
    /// Address and port.
    Listen(std::net::SocketAddr),
    "an address and a port, such as `127.0.0.1:1883`",
    |text| text.parse().ok(),
    { "type": "string", "pattern": "^.+:[0-9]{1,5}$", "examples": ["127.0.0.1:1883", "0.0.0.0:1883"] }
);

text!(
    /// Beginning of topics.
    TopicPrefix(String),
    "a topic: not empty, without `+`, `#`, empty levels or a `$` at the beginning",
    |text| is_topic(text).then(|| text.to_owned()),
    { "type": "string", "pattern": "^[^+#/$\\u0000][^+#/\\u0000]*(/[^+#/\\u0000]+)*$", "maxLength": 200 }
);

/// Ids that are topics of the agent itself.
pub const RESERVED: [&str; 2] = ["agent", "availability"];

/// Whether `text` is `[a-z0-9][a-z0-9_-]{0,63}`.
#[must_use]
pub fn is_id(text: &str) -> bool {
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| letter(b) || matches!(b, b'_' | b'-'))
        && text.bytes().next().is_some_and(letter)
}

fn parse_size(text: &str) -> Option<u64> {
    let units = [("kB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000)];
    let (number, unit) = units.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit)))?;
    let is_number = (1..=9).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
    number.parse::<u64>().ok().filter(|_| is_number).map(|number| number * unit)
}

fn is_topic(text: &str) -> bool {
    text.len() <= 200
        && !text.starts_with('$')
        && !text.contains(|c: char| matches!(c, '+' | '#') || c.is_control())
        && text.split('/').all(|level| !level.is_empty())
}

/// A broker's URL as it is written: a text that may have a password in it.
#[derive(Clone, Deserialize)]
pub struct Url(pub String);

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("•••")
    }
}

impl Url {
    /// The URL in full, with its port, and whether it is `mqtts`.
    ///
    /// # Errors
    /// What it must be instead. Does not show what it is.
    pub fn parse(&self) -> Result<(String, bool), &'static str> {
        let (tls, rest) = match self.0.split_once("://") {
            Some(("mqtt", rest)) => (false, rest),
            Some(("mqtts", rest)) => (true, rest),
            Some(("tcp", _)) => return Err("`url` must begin with `mqtt://`, not `tcp://`"),
            Some(("ssl", _)) => return Err("`url` must begin with `mqtts://`, not `ssl://`"),
            Some(("ws" | "wss", _)) => {
                return Err("`url` must begin with `mqtt://` or `mqtts://`: MQTT over WebSocket is not supported");
            }
            _ => return Err("`url` must begin with `mqtt://` or `mqtts://`, as in `mqtt://127.0.0.1:1883`"),
        };
        if rest.contains('@') {
            return Err("`url` must have no user and password in it: they have the keys `username` and `password`");
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.rsplit_once(':') {
            // The colons of [::1] are no port's.
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (rest, None),
        };
        let port = match port {
            None if tls => 8883,
            None => 1883,
            Some(port) => match port.parse::<u16>() {
                Ok(number @ 1..) if port.bytes().all(|b| b.is_ascii_digit()) => number,
                _ => return Err("`url` must have a port from 1 to 65535 after its last colon, or no colon"),
            },
        };
        let fine = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(host) => host.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                (1..=253).contains(&host.len())
                    && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
            }
        };
        if !fine {
            return Err("`url` must have a host name or an address after `//`, and nothing but a port after that");
        }
        Ok((format!("{}://{host}:{port}", if tls { "mqtts" } else { "mqtt" }), tls))
    }
}

impl JsonSchema for Url {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Url".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^mqtts?://[^@/]+/?$",
            "examples": ["mqtt://127.0.0.1:1883", "mqtts://broker.example:8883"]
        })
    }
}

/// Defines a type that is read from values of several kinds, with its JSON Schema.
macro_rules! scalar {
    ($(#[$doc:meta])* $type:ident($inner:ty), $expected:expr, $parse:expr, $schema:tt) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $type(pub $inner);

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Any;

                impl Any {
                    fn take<E: Error>(self, written: &Written<'_>, unexpected: Unexpected<'_>) -> Result<$type, E> {
                        let parse: fn(&Written<'_>) -> Option<$inner> = $parse;
                        parse(written).map($type).ok_or_else(|| E::invalid_value(unexpected, &self))
                    }
                }

                impl Visitor<'_> for Any {
                    type Value = $type;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expected)
                    }

                    fn visit_bool<E: Error>(self, value: bool) -> Result<$type, E> {
                        self.take(&Written::Bool(value), Unexpected::Bool(value))
                    }

                    // Exact below 2^53; no setting is beyond that.
                    #[allow(clippy::cast_precision_loss)]
                    fn visit_i64<E: Error>(self, number: i64) -> Result<$type, E> {
                        self.take(&Written::Number(number as f64), Unexpected::Signed(number))
                    }

                    fn visit_f64<E: Error>(self, number: f64) -> Result<$type, E> {
                        self.take(&Written::Number(number), Unexpected::Float(number))
                    }

                    fn visit_str<E: Error>(self, text: &str) -> Result<$type, E> {
                        self.take(&Written::Text(text), Unexpected::Str(text))
                    }
                }

                deserializer.deserialize_any(Any)
            }
        }

        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

/// A scalar of YAML.
enum Written<'a> {
    Bool(bool),
    Number(f64),
    Text(&'a str),
}

impl Written<'_> {
    /// `on` and `off` are texts in YAML 1.2 and what `true` and `false` are in YAML 1.1, which many editors write.
    fn value(&self) -> Option<Value> {
        match self {
            Self::Bool(on) => Some(Value::Switch(*on)),
            Self::Number(number) => Some(Value::Number(*number)),
            Self::Text("on") => Some(Value::Switch(true)),
            Self::Text("off") => Some(Value::Switch(false)),
            Self::Text(_) => None,
        }
    }
}

/// What an actuator gets at start.
#[derive(Clone, Debug, PartialEq)]
pub enum AtStart {
    /// A value.
    Value(Value),
    /// What the hardware has.
    Keep,
    /// What it had when the agent last ran.
    Restore,
}

scalar!(
    /// What an actuator can be set to.
    Setting(Value),
    "`on`, `off` or a number",
    |written| written.value(),
    { "anyOf": [{ "enum": ["off", "on"] }, { "type": ["number", "boolean"] }] }
);

scalar!(
    /// What an actuator gets at start.
    Start(AtStart),
    "`off`, `on`, `keep`, `restore` or a number",
    |written| match written {
        Written::Text("keep") => Some(AtStart::Keep),
        Written::Text("restore") => Some(AtStart::Restore),
        _ => written.value().map(AtStart::Value),
    },
    { "anyOf": [{ "enum": ["off", "on", "keep", "restore"] }, { "type": ["number", "boolean"] }] }
);

scalar!(
    /// Version of MQTT. `4` is what 3.1.1 calls itself on the wire, 3.1 another protocol.
    Version(Protocol),
    "`5`, or `3.1.1`, which is 4 on the wire",
    |written| match written {
        Written::Number(number) if *number == 5.0 => Some(Protocol::V5),
        Written::Text("5") => Some(Protocol::V5),
        Written::Text("3.1.1") => Some(Protocol::V3),
        _ => None,
    },
    { "enum": [5, "5", "3.1.1"] }
);

scalar!(
    /// Home Assistant's discovery prefix, if there is one.
    Discovery(Option<String>),
    "a topic such as `homeassistant`, or `false`",
    |written| match written {
        Written::Bool(false) => Some(None),
        Written::Text(text) if is_topic(text) => Some(Some((*text).to_owned())),
        _ => None,
    },
    { "anyOf": [{ "type": "string", "pattern": "^[^+#$/][^+#]*$" }, { "const": false }] }
);

scalar!(
    /// Bytes, with their unit.
    Size(u64),
    "a size with its unit, such as `500kB`, `64MB` or `1GB`",
    |written| match written {
        Written::Text(text) => parse_size(text),
        _ => None,
    },
    { "type": "string", "pattern": "^[0-9]{1,9}(kB|MB|GB)$", "examples": ["16MB", "64MB", "1GB"] }
);
