//! Driver for whatever a PWM channel drives through a transistor: a motor, a heater, a valve.

#[cfg(test)]
mod tests;

use crate::actuator::{Actuator, ActuatorSpec, Appearance, Control, FULL};
use crate::driver::{Attachment, Driver, Role, Spec};
use crate::duty::{Duty, SAME, shown};
use crate::fault::Fault;
use crate::options::limits::limited;
use crate::options::{Frequency, Report, read_checked, shape};
use crate::port::{PwmOutput, Wire};
use crate::sim::Part;
use crate::value::Value;
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;

/// The driver's entry in the list.
pub static DRIVER: Driver = Driver {
    name: "pwm",
    summary: "PWM channel as an output: a motor, a heater, a valve behind a transistor",
    source: "Linux, PWM interface",
    role: Role::Actuator,
    identity: &[],
    attachments: &[Attachment::Pwm],
    example: "\
- id: mat
  driver: pwm
  pwm: { chip: pwmchip0, channel: 0 }
  frequency: 10Hz
  max: 80
  safe: off
  safe_after: 30s
",
    defaults: || Spec::Actuator(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| {
        read_checked(node, problems, Options::contradictions).map(|options| Spec::Actuator(Arc::new(options)))
    },
};

/// Options of the `pwm` driver.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// How many pulses in a second, from 0.1 Hz.
    pub frequency: Frequency,
    /// Whether what is on the channel is driven while the channel is low.
    pub invert: bool,
    /// The part of the time for which it is driven at 1 %, in %: less does not move the motor. At 0 % it is off all the same.
    pub min: Percent,
    /// The part of the time for which it is driven at 100 %, in %.
    pub max: Percent,
}

impl Default for Options {
    fn default() -> Self {
        Self { frequency: Frequency(1e3), invert: false, min: Percent::NONE, max: Percent::ALL }
    }
}

limited! {
    /// A part of the time in %.
    pub struct Percent in 0.0..=100.0
}

impl Percent {
    /// None of it.
    pub const NONE: Self = Self(0.0);
    /// A fifth of it.
    pub const FIFTH: Self = Self(20.0);
    /// All of it.
    pub const ALL: Self = Self(100.0);
}

/// Reports limits that leave nothing between them.
pub fn check(min: Percent, max: Percent, report: &mut Report) {
    if min.number() >= max.number() {
        let message = format!("`min` must be less than `max`, not {} and {}", min.number(), max.number());
        report.at(&["min", "max"], message);
    }
}

/// From a level in % to the part of the time for which it is driven, 0 to 1.
#[must_use]
pub fn part_of(level: f64, min: Percent, max: Percent) -> f64 {
    if level <= 0.0 {
        return 0.0;
    }
    (min.number() + (max.number() - min.number()) * level / FULL) / 100.0
}

/// The other way round. What is below `min` is off.
#[must_use]
pub fn level_of(part: f64, min: Percent, max: Percent) -> f64 {
    let span = max.number() - min.number();
    let above = part * 100.0 - min.number();
    if part <= 0.0 || above < 0.0 {
        return 0.0;
    }
    (above / span * FULL).min(FULL)
}

/// A level as it is asked for.
///
/// # Errors
/// When it is none.
pub fn level(value: &Value) -> Result<f64, Fault> {
    value
        .number()
        .filter(|level| (0.0..=FULL).contains(level))
        .ok_or_else(|| Fault::rejected(format!("a level is a number from 0 to {FULL} %, not {value}")))
}

/// A driven channel.
pub struct Pwm<P> {
    duty: Duty<P>,
    options: Options,
    /// Its level, as long as nobody else has set another one.
    at: f64,
}

impl<P: PwmOutput> Pwm<P> {
    /// On `channel`, which is not touched.
    pub fn new(channel: P, options: Options) -> Self {
        Self { duty: Duty::new(channel, options.frequency, options.invert), options, at: 0.0 }
    }
}

impl<P: PwmOutput> Actuator for Pwm<P> {
    fn apply(&mut self, value: &Value) -> Result<Value, Fault> {
        let level = level(value)?;
        self.duty.set(part_of(level, self.options.min, self.options.max))?;
        self.at = level;
        Ok(Value::Number(level))
    }

    fn read(&mut self) -> Result<Option<Value>, Fault> {
        let Options { min, max, .. } = self.options;
        let Some(part) = self.duty.found()? else { return Ok(None) };
        if (part - part_of(self.at, min, max)).abs() > SAME {
            self.at = shown(level_of(part, min, max));
        }
        Ok(Some(Value::Number(self.at)))
    }
}

impl Options {
    fn contradictions(&self, report: &mut Report) {
        check(self.min, self.max, report);
    }
}

impl ActuatorSpec for Options {
    fn control(&self) -> Control {
        Control::Level(Appearance::Plain)
    }

    fn frequency(&self) -> Option<Frequency> {
        Some(self.frequency)
    }

    fn open(&self, wire: Wire) -> Result<Box<dyn Actuator>, Fault> {
        Ok(Box::new(Pwm::new(wire.pwm()?, *self)))
    }

    fn simulate(&self) -> Option<Box<dyn Part>> {
        None
    }
}
