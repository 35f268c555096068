//! What the file says: its keys with their types and meaning. The JSON Schema comes from here too.

use super::model::{Board, Store};
use crate::mqtt::Protocol;
use halyard_drivers::Value;
use halyard_drivers::options::{OneOrMany, Placed, Span};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, Unexpected, Visitor};
use std::borrow::Cow;
use std::fmt;

/// The whole file.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    /// This agent.
    pub agent: Option<Agent>,
    /// What the hardware is reached through.
    pub board: Option<Board>,
    /// The embedded broker, for a machine without one.
    pub broker: Option<Broker>,
    /// The way to the broker.
    pub mqtt: Option<Mqtt>,
    /// The sensors.
    pub sensors: Option<Stanzas>,
    /// The actuators.
    pub actuators: Option<Stanzas>,
}

/// The keys below `agent`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Agent {
    /// Id of the agent, the second topic level. Default: the host name.
    pub id: Option<Placed<Id>>,
}

/// The keys below `broker`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Broker {
    /// Address and port to listen on: `127.0.0.1:1883`, or `0.0.0.0:1883` for all interfaces.
    pub listen: Listen,
}

/// The keys below `mqtt`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Mqtt {
    /// `mqtt://host:port` or `mqtts://host:port`; several make a list, of which the first that answers is used.
    pub url: Option<OneOrMany<Placed<Url>>>,
    /// Client identifier. Default: `halyard-` and the agent's id.
    pub client_id: Option<Placed<String>>,
    /// User name.
    pub username: Option<String>,
    /// Password: better as `{ file: PATH }` or `{ env: NAME }`.
    pub password: Option<Placed<String>>,
    /// First topic level. Default: `halyard`.
    pub base: Option<TopicPrefix>,
    /// Version of the protocol. Default: 5.
    pub version: Option<Version>,
    /// Home Assistant's discovery prefix, or `false` for none. Default: `homeassistant`.
    pub discovery: Option<Discovery>,
    /// File with the certificates to trust, in PEM. Default: the system's.
    pub ca: Option<Placed<String>>,
    /// File with this client's certificate, in PEM.
    pub cert: Option<Placed<String>>,
    /// File with this client's private key, in PEM.
    pub key: Option<Placed<String>>,
}

/// Keys that all sensors have, besides those that say where they are connected.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Sensor {
    /// Id of the sensor, the third topic level. Unique among sensors and actuators.
    pub id: Option<Placed<Id>>,
    /// Name shown to people. Default: the id.
    pub name: Option<String>,
    /// Interval from sample to sample, 10ms to 24h. Default: 10s.
    pub every: Option<Placed<Span>>,
    /// What becomes of states while the broker is away. Default: `latest`, of edge inputs `all`.
    pub store: Option<Store>,
}

/// Keys that all actuators have, besides those that say where they are connected.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Actuator {
    /// Id of the actuator, the third topic level. Unique among sensors and actuators.
    pub id: Option<Placed<Id>>,
    /// Name shown to people. Default: the id.
    pub name: Option<String>,
    /// What it gets at start: `on`, `off`, a number, `keep` for what the hardware has, `restore` for what it had when
    /// the agent last ran. Default: `off`.
    pub initial: Option<Placed<Start>>,
    /// What it goes to when nobody is in control: `on`, `off` or a number. Default: `off`.
    pub safe: Option<Placed<Setting>>,
    /// How long it may be without a broker before it goes to `safe`. Default: for ever.
    pub safe_after: Option<Placed<Span>>,
    /// How long it may be on at a stretch. Default: for ever.
    pub max_on: Option<Placed<Span>>,
    /// Ids of actuators that are never on together with this one.
    pub interlock: Option<OneOrMany<Placed<String>>>,
}

/// The keys of a line that is not named.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LineOffset {
    /// The chip: `gpiochip0`.
    pub chip: Placed<String>,
    /// Offset of the line on the chip.
    pub offset: u32,
}

/// A list of stanzas, each of which is read for itself.
#[derive(Debug)]
pub struct Stanzas;

impl<'de> Deserialize<'de> for Stanzas {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<IgnoredAny>::deserialize(deserializer).map(|_| Self)
    }
}

impl JsonSchema for Stanzas {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Stanzas".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "array" })
    }
}

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

fn is_topic(text: &str) -> bool {
    text.len() <= 200
        && !text.starts_with('$')
        && !text.contains(|c: char| matches!(c, '+' | '#') || c.is_control())
        && text.split('/').all(|level| !level.is_empty())
}


/// A broker's URL as it is written: a text that may have a password in it.
#[derive(Clone, Debug, Deserialize)]
pub struct Url(pub String);

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
    "`5` or `3.1.1`",
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
