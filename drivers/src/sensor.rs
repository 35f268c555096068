//! What a sensor is to the agent.

use crate::channel::Channel;
use crate::driver::Attachment;
use crate::fault::Fault;
use crate::options::Report;
use crate::port::{InputSettings, ModbusSettings, SerialSettings, SpiSettings, Wire};
use crate::sim::Part;
use crate::value::Value;
use std::time::Duration;

/// What one sampling gave: a value, or none, for each channel, in the order of the channels; or an event.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    values: Vec<Option<Value>>,
    event: Option<&'static str>,
}

impl Sample {
    /// An empty one for this many channels.
    #[must_use]
    pub fn new(channels: usize) -> Self {
        Self { values: vec![None; channels], event: None }
    }

    /// Something that happened, and that is no state: it is told once and not kept. It comes with no values.
    #[must_use]
    pub fn of_event(event: &'static str) -> Self {
        Self { values: Vec::new(), event: Some(event) }
    }

    /// The event that it is, if it is one.
    #[must_use]
    pub fn event(&self) -> Option<&'static str> {
        self.event
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
pub trait SensorSpec: Send + Sync {
    /// What it measures.
    fn channels(&self) -> Vec<Channel>;

    /// Reports what of its options cannot be where it is connected.
    fn check(&self, at: Attachment, report: &mut Report) {
        let _ = (at, report);
    }

    /// Opens the part: checks its identity, sets it up.
    ///
    /// # Errors
    /// A [`Fault`]: absent, another part, a failed transfer.
    fn open(&self, wire: Wire) -> Result<Box<dyn Sensor>, Fault>;

    /// How it wants its SPI bus, if it can be on one.
    fn spi(&self) -> Option<SpiSettings> {
        None
    }

    /// How it listens to the line with this key, of a part that has several; `None` for one that it drives.
    fn listens(&self, key: &str) -> Option<InputSettings> {
        let _ = key;
        None
    }

    /// How its Modbus line is set up, if it is on one.
    fn modbus(&self) -> Option<ModbusSettings> {
        None
    }

    /// The register-level model of the part, as this configuration expects it to be; `None` if it is only a line.
    fn simulate(&self) -> Option<Box<dyn Part>>;
}

/// A sensor on a serial port: bytes go in, samples come out. Nothing here waits or touches hardware.
///
/// A new one is opened with its port: it knows nothing of what came before.
pub trait SerialSensor: Send {
    /// Asks for a sample: appends what is to be written to the part. Called at each interval; a part that talks by
    /// itself is not asked, and nothing is appended, ever.
    fn request(&mut self, out: &mut Vec<u8>) {
        let _ = out;
    }

    /// What came from the part, in pieces of any length: `emit` gets each sample, and each [`Fault`], whole.
    ///
    /// Finds its place again after whatever is not the part's. The same bytes in other pieces give the same samples.
    fn receive(&mut self, bytes: &[u8], emit: &mut dyn FnMut(Result<Sample, Fault>));
}

/// A configured serial sensor.
pub trait SerialSpec: Send + Sync {
    /// What it measures.
    fn channels(&self) -> Vec<Channel>;

    /// How its port is set up.
    fn settings(&self) -> SerialSettings;

    /// How long the part may say nothing, after it was asked or after it talked last, before that is a fault.
    fn patience(&self) -> Duration;

    /// A new one that has heard nothing yet.
    fn open(&self) -> Box<dyn SerialSensor>;

    /// The model of the part, as this configuration expects it to be.
    fn simulate(&self) -> Box<dyn Part>;
}
