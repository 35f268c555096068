//! Driver for whatever a GPIO line switches: a relay, a transistor, a solid-state relay, a lamp.

#[cfg(test)]
mod tests;

use crate::actuator::{Actuator, ActuatorSpec, Control};
use crate::driver::{Attachment, Driver, Role, Spec};
use crate::fault::{Fault, FaultKind};
use crate::options::{read, shape};
use crate::port::Wire;
use crate::sim::Part;
use crate::value::Value;
use embedded_hal::digital::{PinState, StatefulOutputPin};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The driver's entry in the list.
pub static DRIVER: Driver = Driver {
    name: "switch",
    summary: "GPIO line as an output: a relay, a transistor, a lamp",
    source: "Linux, GPIO character device",
    role: Role::Actuator,
    attachments: &[Attachment::OutputLine],
    identity: &[],
    example: "\
- id: pump
  driver: switch
  line: GPIO27
  active: low
  safe: off
  safe_after: 30s
  max_on: 10m
",
    defaults: || Spec::Actuator(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| read::<Options>(node, problems).map(|options| Spec::Actuator(Arc::new(options))),
};

/// Options of the `switch` driver.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// The level of the line that means on. Many relay boards switch on when their input is low.
    pub active: Active,
}

/// The level of the line that means on.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Active {
    /// On is high, off is low.
    #[default]
    High,
    /// On is low, off is high.
    Low,
}

impl Active {
    /// The level for on or off, and what on or off a level is: the same swap.
    pub(crate) fn level(self, on: bool) -> bool {
        on == (self == Self::High)
    }
}

/// A switched line.
pub struct Switch<P> {
    line: P,
    active: Active,
}

impl<P: StatefulOutputPin> Switch<P> {
    /// A switch on `line`, which is not touched.
    pub fn new(line: P, active: Active) -> Self {
        Self { line, active }
    }

    fn is_high(&mut self) -> Result<bool, Fault> {
        self.line.is_set_high().map_err(|error| Fault::line(error, "reading the line back"))
    }
}

impl<P: StatefulOutputPin + Send> Actuator for Switch<P> {
    fn apply(&mut self, value: &Value) -> Result<Value, Fault> {
        let Value::Switch(on) = *value else {
            return Err(Fault::rejected(format!("a switch can be ON or OFF, not {value}")));
        };
        let asked = self.active.level(on);
        self.line.set_state(PinState::from(asked)).map_err(|error| Fault::line(error, "driving the line"))?;
        let found = self.is_high()?;
        if found != asked {
            // A short, or another program: what hangs on the line is not what was asked for.
            let name = |high| if high { "high" } else { "low" };
            let (asked, found) = (name(asked), name(found));
            let message = format!("the line reads back {found} after it was driven {asked}");
            return Err(Fault::new(FaultKind::Bus, message));
        }
        Ok(Value::Switch(on))
    }

    fn read(&mut self) -> Result<Option<Value>, Fault> {
        let high = self.is_high()?;
        Ok(Some(Value::Switch(self.active.level(high))))
    }
}

impl ActuatorSpec for Options {
    fn control(&self) -> Control {
        Control::Switch
    }

    fn open(&self, wire: Wire) -> Result<Box<dyn Actuator>, Fault> {
        Ok(Box::new(Switch::new(wire.output()?, self.active)))
    }

    fn simulate(&self) -> Option<Box<dyn Part>> {
        None
    }
}
