//! What an actuator is to the agent.

use crate::fault::Fault;
use crate::port::{ModbusSettings, Wire};
use crate::sim::Part;
use crate::value::Value;
use std::fmt;
use std::ops::RangeInclusive;

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
}

impl Control {
    /// What `safe: off` and an actuator without a value of its own mean.
    #[must_use]
    pub fn off(&self) -> Value {
        match self {
            Self::Switch => Value::Switch(false),
            // Not clamp(), which panics if a range is the wrong way round.
            Self::Number { range, .. } => Value::Number(0.0_f64.max(*range.start()).min(*range.end())),
        }
    }
}

/// An actuator. Its methods block: they run on workers only.
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
}

/// A configured actuator.
pub trait ActuatorSpec: fmt::Debug + Send + Sync {
    /// What can be asked of it.
    fn control(&self) -> Control;

    /// Opens it without changing its state.
    ///
    /// # Errors
    /// A [`Fault`]: absent, another part, a failed transfer.
    fn open(&self, wire: Wire) -> Result<Box<dyn Actuator>, Fault>;

    /// How its Modbus line is set up, if it is on one.
    fn modbus(&self) -> Option<ModbusSettings> {
        None
    }

    /// The register-level model of the part; `None` if it is only a line.
    fn simulate(&self) -> Option<Box<dyn Part>>;
}
