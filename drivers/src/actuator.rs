//! What an actuator is to the agent.

use crate::channel::Channel;
use crate::driver::Attachment;
use crate::fault::Fault;
use crate::options::{Frequency, Place, Report};
use crate::port::{InputLine, InputSettings, ModbusSettings, SerialSettings, SpiSettings, Wire};
use crate::sim::{Part, Pwm};
use crate::text::Texts;
use crate::value::Value;
use std::ops::RangeInclusive;
use std::time::Duration;

/// What can be asked of an actuator.
#[derive(Clone, Debug, PartialEq)]
pub enum Control {
    /// On and off.
    Switch,
    /// A number.
    Number {
        /// Lowest and highest value.
        range: RangeInclusive<f64>,
        /// Smallest difference that does anything.
        step: f64,
        /// Unit, if it has one.
        unit: Option<&'static str>,
    },
    /// How strong something is, from 0 to 100 %: 0 is off, and on is what it was when it was last on, 100 at first.
    Level(Appearance),
    /// Where a motor drives a blind, a shutter, an awning or a door, from 0 (closed) to 100 % (open), until it is told to
    /// stop. It is on while it moves.
    Cover,
    /// A text, which is written or shown. It is never on; its off is the empty text, which writes nothing.
    Text(Texts),
    /// Where a motor drives something, until it is told to stop. It is on while it moves.
    Position {
        /// Lowest and highest position.
        range: RangeInclusive<f64>,
        /// Smallest difference that does anything.
        step: f64,
        /// Unit, if it has one.
        unit: Option<&'static str>,
    },
}

/// What people take an actuator with a level for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appearance {
    /// A lamp: its level is its brightness.
    Light,
    /// A fan: its level is its speed.
    Fan,
    /// Anything else.
    Plain,
}

/// Highest level in %.
pub const FULL: f64 = 100.0;

impl Control {
    /// What `safe: off` and an actuator without a value of its own mean.
    #[must_use]
    pub fn off(&self) -> Value {
        match self {
            Self::Switch => Value::Switch(false),
            // Not clamp(), which panics if a range is the wrong way round.
            Self::Number { range, .. } => Value::Number(0.0_f64.max(*range.start()).min(*range.end())),
            Self::Level(_) => Value::Number(0.0),
            Self::Cover | Self::Position { .. } => Value::STOP,
            Self::Text(_) => Value::Text(String::new()),
        }
    }

    /// What it is left as, when nobody will be there to see to it, if `safe` is what it should be: a motor that nobody
    /// stops is not safe wherever it goes, and what nobody keeps up to date is turned off.
    #[must_use]
    pub fn left(&self, safe: &Value) -> Value {
        match self {
            Self::Cover | Self::Position { .. } => self.off(),
            Self::Text(_) if *safe == self.off() => Value::Switch(false),
            _ => safe.clone(),
        }
    }
}

/// An actuator. Its methods block: they run on workers only, one at a time.
///
/// Some take their time for what they are told: a lamp that fades, a blind that drives. Such a one does not wait in
/// [`apply`](Self::apply). It takes the first step there, gives the state that it has then, and is called for every further
/// step, as [`next`](Self::next) says. Whatever it is told meanwhile replaces what it was at.
/// On its way from off, or to it, its state is never that of off: it is on until it is off.
pub trait Actuator: Send {
    /// Drives it and gives the state in effect: read back where the hardware allows it.
    ///
    /// # Errors
    /// A [`Fault`]: the state is not known then.
    fn apply(&mut self, value: &Value) -> Result<Value, Fault>;

    /// The state that the hardware has now, where it can tell. Changes nothing, also before the first
    /// [`apply`](Self::apply).
    ///
    /// # Errors
    /// A [`Fault`].
    fn read(&mut self) -> Result<Option<Value>, Fault>;

    /// As [`apply`](Self::apply), but at once and whole, for safety: without a fade, without a limit of speed.
    ///
    /// # Errors
    /// A [`Fault`]: the state is not known then.
    fn apply_at_once(&mut self, value: &Value) -> Result<Value, Fault> {
        self.apply(value)
    }

    /// How long from now it wants to be called for its next step; `None` if there is none. One that says zero is called again
    /// at once, and has 20 ms or so for each step: whatever it is told meanwhile waits. Returns at once.
    fn next(&self) -> Option<Duration> {
        None
    }

    /// Takes a step, in some milliseconds. Gives the state if it is another one, and it is time to tell.
    ///
    /// # Errors
    /// A [`Fault`]. After one that is [tried again](crate::Next::TryAgain) the state stands; after others it is not known.
    fn advance(&mut self) -> Result<Option<Value>, Fault> {
        Ok(None)
    }

    /// What [`ActuatorSpec::shows`] names, in its order, as it is now; `None` of what is not known, or offline. Comes before
    /// each call that may show it. Returns at once.
    fn see(&mut self, values: &[Option<Value>]) {
        let _ = values;
    }

    /// What it measures beside its state, by name, as far as it is known. Returns at once.
    fn readings(&self) -> Vec<(&'static str, f64)> {
        Vec::new()
    }
}

/// What an actuator measures beside its state: another key of it.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The connection that it takes: it is there if this is.
    pub connection: &'static str,
    /// What it is; its name is the key.
    pub channel: Channel,
}

/// A value of another entity that an actuator shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The entity's id.
    pub entity: String,
    /// Which of its values: a channel of a sensor, the `state` of an actuator. `None`: the only one.
    pub value: Option<String>,
    /// Whether it has to be a number.
    pub is_number: bool,
    /// Where that is configured.
    pub place: Place,
}

/// A configured actuator.
pub trait ActuatorSpec: Send + Sync {
    /// What can be asked of it.
    fn control(&self) -> Control;

    /// What it measures beside its state.
    fn readings(&self) -> Vec<Reading> {
        Vec::new()
    }

    /// The values of other entities that it shows.
    fn shows(&self) -> Vec<Shown> {
        Vec::new()
    }

    /// Reports what of its options cannot be where it is connected.
    fn check(&self, at: Attachment, report: &mut Report) {
        let _ = (at, report);
    }

    /// Opens it without changing its state.
    ///
    /// # Errors
    /// A [`Fault`]: absent, another part, a failed transfer.
    fn open(&self, wire: Wire) -> Result<Box<dyn Actuator>, Fault>;

    /// How it listens to the line with this key, of a part that has several; `None` for one that it drives.
    fn listens(&self, key: &str) -> Option<InputSettings> {
        let _ = key;
        None
    }

    /// How many pulses in a second it asks its PWM channel for, if it is on one.
    fn frequency(&self) -> Option<Frequency> {
        None
    }

    /// How it wants its SPI bus, if it is on one.
    fn spi(&self) -> Option<SpiSettings> {
        None
    }

    /// How its Modbus line is set up, if it is on one.
    fn modbus(&self) -> Option<ModbusSettings> {
        None
    }

    /// How its serial port is set up, if it is on one.
    fn serial(&self) -> Option<SerialSettings> {
        None
    }

    /// The register-level model of the part; `None` if it is only a line.
    fn simulate(&self) -> Option<Box<dyn Part>>;

    /// The edges that the part gives by itself while its PWM channel gives `signal`; `None` if it gives none.
    fn simulate_edges(&self, signal: &Pwm) -> Option<Box<dyn InputLine>> {
        let _ = signal;
        None
    }
}
