//! What the file says: its keys with their types and meaning. The JSON Schema comes from here too.

use super::model::{Board, Store};
use super::values::{Discovery, Id, Listen, Setting, Size, Start, TopicPrefix, Url, Version};
use crate::mqtt::Secret;
use halyard_drivers::options::{OneOrMany, Placed, Span};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny};
use std::borrow::Cow;

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
    /// A page for Prometheus.
    pub metrics: Option<Metrics>,
    /// The sensors.
    pub sensors: Option<Stanzas>,
    /// The actuators.
    pub actuators: Option<Stanzas>,
    /// The expanders: chips that give lines and PWM channels to others.
    pub expanders: Option<Stanzas>,
}

/// The keys below `agent`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Agent {
    /// Id of the agent, the second topic level. Default: the host name.
    pub id: Option<Placed<Id>>,
    /// The machine's watchdog, such as `/dev/watchdog`: it resets the machine when the agent stands still. Default: none.
    pub watchdog: Option<Placed<String>>,
    /// After how long, 1s to 1h; not all parts can count so far. Default: 15s.
    pub watchdog_timeout: Option<Placed<Span>>,
    /// Bounds of what waits on disk for the broker, of sensors with `store: all`. When they are reached, the oldest is dropped.
    pub store: Option<Bounds>,
}

/// The keys below `store` of the agent.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Bounds {
    /// Size on disk, 1MB to 64GB. Default: 64MB.
    pub size: Option<Placed<Size>>,
    /// How long a state may wait, 1m to 3650d. Default: 7d.
    pub age: Option<Placed<Span>>,
}

/// The keys below `broker`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Broker {
    /// Address and port to listen on: `127.0.0.1:1883`, or with `users` also `0.0.0.0:1883`, for all interfaces.
    pub listen: Placed<Listen>,
    /// Who may use it. Default, on a loopback address only: everybody on this machine.
    #[serde(default)]
    pub users: Option<OneOrMany<User>>,
}

/// A user of the embedded broker.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Name.
    pub name: Placed<String>,
    /// Password: better as `{ file: PATH }` or `{ env: NAME }`.
    pub password: Placed<Secret>,
}

/// The keys below `metrics`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Address and port of the page `/metrics`, for this machine only: `127.0.0.1:9184`.
    pub listen: Placed<Listen>,
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
    pub username: Option<Placed<String>>,
    /// Password: better as `{ file: PATH }` or `{ env: NAME }`.
    pub password: Option<Placed<Secret>>,
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
    /// Interval from sample to sample, 10ms to 24h; of parts that talk by themselves, the shortest one. Default: 10s.
    pub every: Option<Placed<Span>>,
    /// What becomes of states while the broker is away: `all` of them wait, on disk, the `latest` in memory, or `none`. Default:
    /// `latest`, of edge inputs `all`.
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
    /// How long it stays off once it went off, also across a restart: a compressor must not start against pressure.
    /// Default: not at all.
    pub min_off: Option<Placed<Span>>,
    /// Ids of actuators that are never on together with this one.
    pub interlock: Option<OneOrMany<Placed<String>>>,
    /// How long after one of `interlock` went off this one may go on. Of two, the longer one counts. Default: at once.
    pub dead_time: Option<Placed<Span>>,
    /// Who has to be heard: without a message on this topic for this long, it goes to `safe`. Default: nobody.
    pub control: Option<Control>,
    /// How many commands it takes in a time; more are refused, but for those that turn it off. Default: any number.
    pub rate: Option<Rate>,
}

/// The keys below `control`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// The whole topic of the controller's heartbeat. Any message counts but a retained one.
    pub topic: Placed<TopicPrefix>,
    /// How long it may be silent.
    pub timeout: Placed<Span>,
}

/// The keys below `rate`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// How many commands, from 1 to 1000.
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Placed<i64>,
    /// In which time.
    pub per: Placed<Span>,
}

/// Keys that all actuators have that take text, besides those that say where they are connected.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TextActuator {
    /// Id of the actuator, the third topic level. Unique among sensors and actuators.
    pub id: Option<Placed<Id>>,
    /// Name shown to people. Default: the id.
    pub name: Option<String>,
    /// The text that it gets at start, or `restore` for the one that it had when the agent last ran. Default: none.
    pub initial: Option<Placed<String>>,
    /// The text that it gets when nobody is in control. Default: none.
    pub safe: Option<Placed<String>>,
    /// How long it may be without a broker before it gets `safe`. Default: for ever.
    pub safe_after: Option<Placed<Span>>,
    /// Who has to be heard: without a message on this topic for this long, it gets `safe`. Default: nobody.
    pub control: Option<Control>,
    /// How many commands it takes in a time; more are refused, but for the empty text. Default: any number.
    pub rate: Option<Rate>,
}

/// Keys that all expanders have, besides those that say where they are connected.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Expander {
    /// Id of the expander, which lines name: `line: { expander: ID, pin: 3 }`. Unique among all ids.
    pub id: Option<Placed<Id>>,
    /// How often inputs are looked at, 1ms to 1m: a change that is shorter can be missed. Default: 50ms; with an
    /// `interrupt`, which can be missed too, 1s.
    pub poll: Option<Placed<Span>>,
}

/// The keys of a line on an expander.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpanderPin {
    /// Id of the expander.
    pub expander: Placed<String>,
    /// Number of the pin there, from 0.
    pub pin: Placed<u32>,
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

/// The keys of a PWM channel of the kernel.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PwmChannel {
    /// The chip: `pwmchip0`.
    pub chip: Placed<String>,
    /// Number of the channel on the chip.
    pub channel: u32,
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
