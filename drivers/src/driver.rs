//! What the agent knows of a driver before any part is configured.

use crate::actuator::ActuatorSpec;
use crate::edge::EdgeSpec;
use crate::expander::ExpanderSpec;
use crate::identity::Identity;
use crate::options::{Node, Problem, Shape};
use crate::sensor::{SensorSpec, SerialSpec};
use std::fmt;
use std::sync::Arc;

/// Where a driver's part can be connected. The keys that name the place are the agent's, the same for all drivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attachment {
    /// `bus: i2c-N` and `address`; the first address is the default where there is one only.
    I2c {
        /// The 7-bit addresses that the part can have, in ascending order.
        addresses: &'static [u8],
    },
    /// `bus: spiB.C`.
    Spi,
    /// `line`: a GPIO line to read.
    InputLine,
    /// `line`: a GPIO line to drive.
    OutputLine,
    /// `port`: a serial port.
    Serial,
    /// `pwm`: a channel that gives pulses.
    Pwm,
    /// `device`: what the kernel drives by itself.
    Kernel(KernelClass),
    /// `bus: i2c-N` and any `address`: a device that the configuration describes. Several stanzas can share it.
    Described,
    /// `port` or `host`, and `address`: a Modbus device. Several stanzas can share it.
    Modbus,
    /// Several connections at once, each under a key of its own.
    Several(&'static [Member]),
}

/// What sort of device the kernel drives. Without the key `device` it is the only one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KernelClass {
    /// A thermometer on a 1-Wire bus, by its id: `28-00000a1b2c3d`.
    OneWire,
    /// A device of the subsystem for industrial I/O: `bme280`, `iio:device0` or its folder below `/sys`.
    Iio,
    /// A device of the subsystem for hardware monitoring: `cpu_thermal`, `hwmon0` or its folder below `/sys`.
    Hwmon,
    /// The machine itself: there is no key `device`.
    System,
}

/// One of several connections of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its key in the configuration: the name of the part's pin.
    pub key: &'static str,
    /// What it is: a line or a PWM channel.
    pub at: Attachment,
    /// Whether the part cannot do without it.
    pub required: bool,
    /// What it is for: completes "the line …" in the reference.
    pub what: &'static str,
}

/// Whether a driver belongs below `sensors`, `actuators` or `expanders`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Below `sensors`.
    Sensor,
    /// Below `actuators`.
    Actuator,
    /// Below `expanders`.
    Expander,
}

/// A configured part: what the options of a stanza were turned into.
#[derive(Clone, Debug)]
pub enum Spec {
    /// Asked at intervals.
    Sensor(Arc<dyn SensorSpec>),
    /// Told by edges.
    Edge(Arc<dyn EdgeSpec>),
    /// On a serial port: talks by itself, or is asked at intervals.
    Serial(Arc<dyn SerialSpec>),
    /// Driven.
    Actuator(Arc<dyn ActuatorSpec>),
    /// Gives lines or PWM channels to others.
    Expander(Arc<dyn ExpanderSpec>),
}

/// A driver: one entry of [`DRIVERS`](crate::DRIVERS).
pub struct Driver {
    /// Name in the configuration: the part's, in lower case.
    pub name: &'static str,
    /// Maker, part and what it is, in one line: `Bosch BME280: temperature, humidity and air pressure`.
    pub summary: &'static str,
    /// The document it was written from.
    pub source: &'static str,
    /// Sensor, actuator or expander.
    pub role: Role,
    /// Where the part can be connected; more than one is an alternative.
    pub attachments: &'static [Attachment],
    /// What the part says of itself on I2C, all of which has to fit; none if it can only be guessed by its address.
    pub identity: &'static [Identity],
    /// A stanza to paste: all of the list item, in YAML, beginning with `- id:`.
    pub example: &'static str,
    /// The part with its options left at their defaults.
    pub defaults: fn() -> Spec,
    /// What the driver's own options are.
    pub options: Shape,
    /// Reads the driver's own options: a map without the keys that are common to all. Every problem is reported at
    /// its place; `None` if there was one.
    pub parse: fn(&Node, &mut Vec<Problem>) -> Option<Spec>,
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// The kinds of specs have no `Debug` of their own: that of every driver's options would be in the program, which shows none.
macro_rules! nameless {
    ($($spec:ident),*) => {
        $(impl fmt::Debug for dyn $spec {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($spec))
            }
        })*
    };
}

nameless!(SensorSpec, EdgeSpec, SerialSpec, ActuatorSpec, ExpanderSpec);
