//! What a configuration means, after everything in it was checked.

use crate::acting::gate::Rules;
use crate::mqtt::{Secret, Settings};
use crate::sensing::filter::Filter;
use crate::store::Bounds;
use halyard_drivers::{
    ActuatorSpec, Channel, Driver, EdgeSpec, ExpanderSpec, KernelClass, SensorSpec, SerialSpec, Value,
};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Id of the agent: `A` in the topics.
    pub agent: String,
    /// The machine's watchdog, if the agent shall feed it.
    pub watchdog: Option<HardwareWatchdog>,
    /// Bounds of what waits on disk for the broker.
    pub store: Bounds,
    /// What the hardware is reached through.
    pub board: Board,
    /// The embedded broker, if there shall be one.
    pub broker: Option<EmbeddedBroker>,
    /// The way to the broker.
    pub mqtt: Settings,
    /// First topic level: `B` in the topics.
    pub base: String,
    /// Home Assistant's discovery prefix; `None` turns discovery off.
    pub discovery: Option<String>,
    /// Where the page for Prometheus is, if there shall be one: on this machine only.
    pub metrics: Option<SocketAddr>,
    /// The sensors, in the order of the file.
    pub sensors: Vec<SensorConfig>,
    /// The actuators, in the order of the file.
    pub actuators: Vec<ActuatorConfig>,
    /// The expanders, in the order of the file.
    pub expanders: Vec<ExpanderConfig>,
}

/// The machine's watchdog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HardwareWatchdog {
    /// Its device.
    pub path: PathBuf,
    /// How long after it was fed last it resets the machine.
    pub timeout: Duration,
}

/// The embedded broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbeddedBroker {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Who may use it; without any, whoever can reach it.
    pub users: Vec<BrokerUser>,
}

/// A user of the embedded broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerUser {
    /// Name.
    pub name: String,
    /// Password.
    pub password: Secret,
}

impl EmbeddedBroker {
    /// One for whoever can reach it.
    #[must_use]
    pub fn open(listen: SocketAddr) -> Self {
        Self { listen, users: Vec::new() }
    }

    /// Whether nobody but this machine reaches it without a password.
    #[must_use]
    pub fn is_guarded(&self) -> bool {
        self.listen.ip().to_canonical().is_loopback() || !self.users.is_empty()
    }
}

/// Where hardware comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Board {
    /// Whatever this machine is: a Raspberry Pi's registers where they are known and accessible, else the kernel's character
    /// devices.
    #[default]
    Auto,
    /// A Raspberry Pi, up to the Pi 5, by its registers: an error if it is none, or has no permission.
    RaspberryPi,
    /// Any Linux machine: the kernel's character devices.
    Linux,
    /// Simulated buses and parts.
    Simulated,
}

/// Where a part is connected.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum At {
    /// `bus: i2c-1` and `address: 0x76`.
    I2c {
        /// N of `/dev/i2c-N`.
        bus: u8,
        /// 7-bit address.
        address: u8,
    },
    /// `bus: spi0.1`: `/dev/spidev0.1`.
    Spi {
        /// Number of the bus.
        bus: u8,
        /// Number of the chip select.
        chip_select: u8,
    },
    /// `line: GPIO17`, `line: { chip: gpiochip0, offset: 17 }` or `pin: 11`.
    Line(LineName),
    /// `port: /dev/ttyAMA0`: the path of a serial port.
    Serial(String),
    /// `pwm: { chip: pwmchip0, channel: 0 }` or `pwm: GPIO18`.
    Pwm(PwmName),
    /// `device: 28-00000a1b2c3d`: what the kernel drives by itself.
    Kernel {
        /// What it is to the kernel.
        class: KernelClass,
        /// Which one; `None`: the only one.
        device: Option<String>,
    },
    /// `port: /dev/ttyUSB0` or `host: 192.0.2.7:502`, and `address: 1`.
    Modbus {
        /// What it is on.
        link: Link,
        /// Its address there.
        unit: u8,
    },
    /// Several, each with its key.
    Several(Vec<(&'static str, At)>),
}

impl At {
    /// The expanders that it is on.
    pub fn expanders(&self) -> Vec<&str> {
        match self {
            Self::Line(line) | Self::Pwm(PwmName::Line(line)) => line.expander().into_iter().collect(),
            Self::Several(members) => members.iter().flat_map(|(_, at)| at.expanders()).collect(),
            _ => Vec::new(),
        }
    }

    /// The line with this key, or the only one.
    #[must_use]
    pub fn line(&self, key: &str) -> Option<&LineName> {
        match self {
            Self::Line(line) => Some(line),
            Self::Several(members) => members.iter().find(|(name, _)| *name == key).and_then(|(_, at)| at.line(key)),
            _ => None,
        }
    }
}

/// What Modbus devices are on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Link {
    /// A serial line, by the path of its port.
    Serial(String),
    /// A connection, by host and port.
    Tcp(String),
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Serial(name) | Self::Tcp(name) => f.write_str(name),
        }
    }
}

/// A PWM channel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PwmName {
    /// Of a PWM chip of the kernel.
    Channel {
        /// `pwmchip0`
        chip: String,
        /// Number of the channel on the chip.
        channel: u32,
    },
    /// On this line, in the way that the board has.
    Line(LineName),
}

/// A GPIO line.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LineName {
    /// By the name that the device tree gives it.
    Name(String),
    /// By chip and offset.
    Offset {
        /// `gpiochip0`
        chip: String,
        /// Offset on the chip.
        offset: u32,
    },
    /// By the number of its pin on the header of a Raspberry Pi.
    Header(u8),
    /// By the id of an expander and its pin.
    Pin {
        /// Id of the expander.
        expander: String,
        /// Number of the pin there.
        pin: u8,
    },
}

impl LineName {
    /// The expander that gives it, if one does.
    #[must_use]
    pub fn expander(&self) -> Option<&str> {
        match self {
            Self::Pin { expander, .. } => Some(expander),
            Self::Name(_) | Self::Offset { .. } | Self::Header(_) => None,
        }
    }
}

impl fmt::Display for At {
    /// As people and logs call it: `i2c-1/0x76`, `spi0.1`, `GPIO17`, `gpiochip0/17`, `/dev/ttyAMA0`,
    /// `28-00000a1b2c3d`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::I2c { bus, address } => write!(f, "i2c-{bus}/{address:#04x}"),
            Self::Spi { bus, chip_select } => write!(f, "spi{bus}.{chip_select}"),
            Self::Line(line) => line.fmt(f),
            Self::Serial(path) => f.write_str(path),
            Self::Pwm(PwmName::Channel { chip, channel }) => write!(f, "{chip}/{channel}"),
            Self::Pwm(PwmName::Line(line)) => write!(f, "pwm {line}"),
            Self::Kernel { device: Some(device), .. } => f.write_str(device),
            Self::Kernel { class, device: None } => f.write_str(match class {
                KernelClass::OneWire => "the 1-Wire bus",
                KernelClass::Iio => "the IIO device",
                KernelClass::Hwmon => "the hwmon device",
                KernelClass::System => "this machine",
            }),
            Self::Modbus { link, unit } => write!(f, "{link}/{unit}"),
            Self::Several(members) => {
                for (index, (key, at)) in members.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{key} {at}")?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for LineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Offset { chip, offset } => write!(f, "{chip}/{offset}"),
            Self::Header(pin) => write!(f, "pin {pin}"),
            Self::Pin { expander, pin } => write!(f, "{expander}/{pin}"),
        }
    }
}

/// What becomes of states while the broker is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Store {
    /// Every one is kept, on disk and within bounds, and delivered on `backlog`. The default of edge inputs.
    All,
    /// Only the newest is kept. The default of sampled sensors.
    Latest,
    /// None is kept.
    None,
}

/// A configured sensor.
#[derive(Clone, Debug)]
pub struct SensorConfig {
    /// Its id: `E` in the topics.
    pub id: String,
    /// Name shown to people; the id if there is none.
    pub name: Option<String>,
    /// Its driver.
    pub driver: &'static Driver,
    /// Where it is connected.
    pub at: At,
    /// What it is, and when it is read.
    pub source: Source,
    /// Filters by the index of the channel, in the order in which they apply.
    pub filters: Vec<(usize, Vec<Filter>)>,
    /// What becomes of its states while the broker is away.
    pub store: Store,
    /// All of its stanza as canonical text, secrets included: equal means unchanged. Never shown.
    pub fingerprint: Fingerprint,
}

/// All that a stanza says as one text, which is never shown: it has the secrets in it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Fingerprint(pub(super) String);

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("•••")
    }
}

/// How a sensor gives its samples.
#[derive(Clone, Debug)]
pub enum Source {
    /// Asked at intervals.
    Sampled {
        /// The factory of its driver.
        spec: Arc<dyn SensorSpec>,
        /// Interval from sample to sample.
        every: Duration,
    },
    /// Told by the edges of its lines.
    Edges {
        /// The factory of its driver.
        spec: Arc<dyn EdgeSpec>,
        /// Interval from report to report of one that reports; `None` of one that tells what happens when it happens.
        every: Option<Duration>,
    },
    /// On a serial port.
    Serial {
        /// The factory of its driver.
        spec: Arc<dyn SerialSpec>,
        /// Interval at which a part is asked; the shortest time between two states of one that talks by itself.
        every: Duration,
    },
}

impl Source {
    /// What it measures.
    #[must_use]
    pub fn channels(&self) -> Vec<Channel> {
        match self {
            Self::Sampled { spec, .. } => spec.channels(),
            Self::Edges { spec, .. } => spec.channels(),
            Self::Serial { spec, .. } => spec.channels(),
        }
    }
}

/// A configured actuator.
#[derive(Clone, Debug)]
pub struct ActuatorConfig {
    /// Its id: `E` in the topics.
    pub id: String,
    /// Name shown to people; the id if there is none.
    pub name: Option<String>,
    /// Its driver.
    pub driver: &'static Driver,
    /// Where it is connected.
    pub at: At,
    /// The factory of its driver.
    pub spec: Arc<dyn ActuatorSpec>,
    /// What it gets at start.
    pub initial: Initial,
    /// What the gate holds to.
    pub rules: Rules,
    /// All of its stanza as canonical text, and its interlocks: equal means unchanged. Never shown.
    pub fingerprint: Fingerprint,
}

impl ActuatorConfig {
    /// Whether the next start has to know since when it is on or off.
    #[must_use]
    pub fn outlasts(&self) -> bool {
        self.rules.max_on.is_some() || self.rules.min_off.is_some()
    }
}

/// A configured expander.
#[derive(Clone, Debug)]
pub struct ExpanderConfig {
    /// Its id, which lines and PWM channels on it name.
    pub id: String,
    /// Its driver.
    pub driver: &'static Driver,
    /// Where it is connected.
    pub at: At,
    /// The factory of its driver.
    pub spec: Arc<dyn ExpanderSpec>,
    /// The line that its interrupt is on, which goes low when an input changes.
    pub interrupt: Option<LineName>,
    /// How often inputs are looked at.
    pub poll: Duration,
    /// All of its stanza as canonical text, secrets included: equal means unchanged. Never shown.
    pub fingerprint: Fingerprint,
}

/// What an actuator gets at start.
#[derive(Clone, Debug, PartialEq)]
pub enum Initial {
    /// A value; `off`, the default, and `on` are such.
    Value(Value),
    /// Whatever the hardware has.
    Keep,
    /// What it had when the agent last ran; `safe` if that is not known.
    Restore,
}
