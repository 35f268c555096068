//! What a sensor is to the agent.

use crate::channel::Channel;
use crate::fault::Fault;
use crate::port::{InputSettings, SpiSettings, Wire};
use crate::sim::Part;
use crate::value::Value;
use std::fmt;
use std::time::SystemTime;

/// What one sampling gave: a value, or none, for each channel, in the order of the channels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    values: Vec<Option<Value>>,
}

impl Sample {
    /// An empty one for this many channels.
    #[must_use]
    pub fn new(channels: usize) -> Self {
        Self { values: vec![None; channels] }
    }

    /// Sets the value of the channel with this index. An index that is out of range is ignored: a driver's mistake
    /// that the generic tests find must not bring the agent down.
    pub fn set(&mut self, channel: usize, value: Value) {
        debug_assert!(channel < self.values.len());
        if let Some(slot) = self.values.get_mut(channel) {
            *slot = Some(value);
        }
    }

    /// Sets a number.
    pub fn number(&mut self, channel: usize, number: f64) {
        self.set(channel, Value::Number(number));
    }

    /// The values in the order of the channels.
    #[must_use]
    pub fn values(&self) -> &[Option<Value>] {
        &self.values
    }

    /// The values in the order of the channels, to be changed by filters.
    pub fn values_mut(&mut self) -> &mut [Option<Value>] {
        &mut self.values
    }

    /// Forgets all values.
    pub fn clear(&mut self) {
        self.values.fill(None);
    }
}

/// A sensor that is asked. Its methods block: they run on workers only.
pub trait Sensor: Send {
    /// Takes one sample: starts a conversion, waits for it without holding the bus, reads it.
    ///
    /// # Errors
    /// A [`Fault`], whose kind says what happens next. `out` is not used then.
    fn sample(&mut self, out: &mut Sample) -> Result<(), Fault>;

    /// Leaves the part inert: heaters off, asleep.
    ///
    /// # Errors
    /// A [`Fault`]; nothing follows it but a line in the log.
    fn halt(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}

/// A configured sensor: knows all about it but the hardware, and opens it as often as needed.
pub trait SensorSpec: fmt::Debug + Send + Sync {
    /// What it measures.
    fn channels(&self) -> Vec<Channel>;

    /// Opens the part: checks its identity, sets it up.
    ///
    /// # Errors
    /// A [`Fault`]: absent, another part, a failed transfer.
    fn open(&self, wire: Wire) -> Result<Box<dyn Sensor>, Fault>;

    /// How it wants its SPI bus, if it can be on one.
    fn spi(&self) -> Option<SpiSettings> {
        None
    }

    /// The register-level model of the part, as this configuration expects it to be; `None` if it is only a line.
    fn simulate(&self) -> Option<Box<dyn Part>>;
}

/// A change of level on a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The level after it: physical.
    pub high: bool,
    /// When, by the kernel's time stamp.
    pub time: SystemTime,
}

/// A sensor that is told: edges of a line go in, samples come out. Nothing here waits or touches hardware.
pub trait EdgeSensor: Send + Sync {
    /// The level found at the start, or again after the line was lost and found.
    fn level(&mut self, level: Edge, emit: &mut dyn FnMut(SystemTime, Sample));

    /// An edge.
    fn edge(&mut self, edge: Edge, emit: &mut dyn FnMut(SystemTime, Sample));
}

/// A configured edge sensor.
pub trait EdgeSpec: fmt::Debug + Send + Sync {
    /// What it tells.
    fn channels(&self) -> Vec<Channel>;

    /// How its line is asked for.
    fn input(&self) -> InputSettings;

    /// A new one that has seen nothing yet.
    fn open(&self) -> Box<dyn EdgeSensor>;
}
