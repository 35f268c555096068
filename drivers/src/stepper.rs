//! Driver for stepper motors behind a chip with a step and a direction input: A4988, DRV8825, TMC2209 and alike.
//!
//! The pulses come from a thread of this machine, one by one: late at times, never early. Where the motor stands is the
//! number of steps that were sent; a `home` switch is all that tells whether it took them.
//!
//! The chips' times rest on what others quote of the data sheets, which were not at hand: for the DRV8825 on published code
//! that cites its table of timing requirements, for the A4988 and the TMC2209 on published code alone.

mod motor;
mod ramp;
mod sim;
#[cfg(test)]
mod tests;

use crate::actuator::{Actuator, ActuatorSpec, Control};
use crate::described::lasting;
use crate::driver::{Attachment, Driver, Member, Role, Spec};
use crate::fault::Fault;
use crate::options::limits::limited;
use crate::options::{Report, read_checked, shape};
use crate::port::{InputSettings, Pull, Wire};
use crate::sim::Part;
use crate::switch::Active;
use motor::Stepper;
use ramp::Limits;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// The driver's entry in the list.
pub static DRIVER: Driver = Driver {
    name: "stepper",
    summary: "Stepper motor: a position, by a chip with step and direction such as A4988, DRV8825, TMC2209",
    source: "Allegro, A4988; Texas Instruments, DRV8825 (SLVSA73F); Trinamic, TMC2209 (V1.09)",
    role: Role::Actuator,
    identity: &[],
    attachments: &[Attachment::Several(&[
        Member { key: "step", at: Attachment::OutputLine, required: true, what: "a step at each pulse" },
        Member { key: "dir", at: Attachment::OutputLine, required: true, what: "which way: high is forward" },
        Member { key: "enable", at: Attachment::OutputLine, required: false, what: "gives the motor current" },
        Member {
            key: "home",
            at: Attachment::InputLine,
            required: false,
            what: "a switch where the position is `min`",
        },
    ])],
    example: "\
- id: vent
  driver: stepper
  step: GPIO20
  dir: GPIO21
  enable: GPIO16
  home: GPIO26
  steps_per_unit: 40
  unit: mm
  max: 120
  speed: 10
  acceleration: 20
  rest: release
",
    defaults: || Spec::Actuator(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| {
        read_checked(node, problems, Options::contradictions).map(|options| Spec::Actuator(Arc::new(options)))
    },
};

/// Most steps in a second that can be asked for.
const MOST_STEPS: f64 = 2_000.0;

/// Options of the `stepper` driver.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// How many steps make a unit: a motor of 200 steps, divided by 16, on a screw of 8 mm a turn makes 400 to the
    /// millimetre.
    pub steps_per_unit: StepsPerUnit,
    /// The unit of positions, such as `mm` or `°`. Speeds are in units in a second.
    pub unit: Option<String>,
    /// The least position that can be asked for, and where the `home` switch is. With one, the position is not known after a
    /// start: the first command finds the switch before it goes where it is told, and so does one that goes to `min`.
    pub min: Position,
    /// The greatest position that can be asked for.
    pub max: Position,
    /// Highest speed, at most 2000 steps/s. Steps come from a thread of this machine: late when it is busy, never early. On a
    /// virtual machine of two processors that had four times as much to do as it could, of 1000 steps/s half were less than
    /// 0.1 ms late, one in a hundred 2 to 8 ms, the latest 40 ms. A motor that can stop at once from its speed makes nothing
    /// of that; a faster one loses steps.
    pub speed: Rate,
    /// How fast the speed rises and falls, in units/s².
    pub acceleration: Rate,
    /// Speed at which it looks for the `home` switch, where it stops within a step. Default: a quarter of `speed`.
    pub home_speed: Option<Rate>,
    /// The level of `home` when it is there: of a switch to ground, low.
    pub home_active: Active,
    /// Bias of `home`.
    pub home_pull: Pull,
    /// Where it stands when the agent starts, if there is no `home` switch and `initial: restore` knows nothing; at each
    /// `halyard set` and after a reload that changes anything of it as well. Nobody sees whether it does.
    pub origin: Position,
    /// Turn the other way.
    pub reverse: bool,
    /// The level of `enable` that gives it current. Nearly all chips want low.
    pub enable_active: Active,
    /// What becomes of its current at rest, with `enable`.
    pub rest: Rest,
    /// It was opened before: since then it may have been anywhere.
    #[serde(skip)]
    #[schemars(skip)]
    opened: Arc<AtomicBool>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            steps_per_unit: StepsPerUnit(1.0),
            unit: None,
            min: Position(0.0),
            max: Position(1_000.0),
            speed: Rate(100.0),
            acceleration: Rate(200.0),
            home_speed: None,
            home_active: Active::Low,
            home_pull: Pull::Up,
            origin: Position(0.0),
            reverse: false,
            enable_active: Active::Low,
            rest: Rest::Hold,
            opened: Arc::default(),
        }
    }
}

/// What becomes of the current of a motor at rest.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Rest {
    /// It stays: the motor holds its position, and gets warm.
    #[default]
    Hold,
    /// It ends: the motor can be turned by hand, and goes to its nearest whole step.
    Release,
}

limited! {
    /// A position in units.
    pub struct Position in -1000000.0..=1000000.0
}

limited! {
    /// A speed in units/s, or an acceleration in units/s².
    pub struct Rate in 0.001..=1000000.0
}

limited! {
    /// Steps to the unit.
    pub struct StepsPerUnit in 0.001..=1000000.0
}

impl Options {
    fn range(&self) -> RangeInclusive<f64> {
        self.min.number()..=self.max.number()
    }

    /// The step nearest to a position.
    #[allow(clippy::cast_possible_truncation)] // at most 1e12
    fn step(&self, position: f64) -> i64 {
        (position * self.steps_per_unit.number()).round() as i64
    }

    /// The position of a step, without the noise of the last binary places. The step nearest to an end of the range may be
    /// beyond it, and is that end: nobody could ask for anything else, or restore it.
    #[allow(clippy::cast_precision_loss)] // far from 2^53
    fn position(&self, step: i64) -> f64 {
        let position = (step as f64 / self.steps_per_unit.number() * 1e6).round() / 1e6;
        position.max(self.min.number()).min(self.max.number())
    }

    fn limits(&self, speed: f64) -> Limits {
        let steps = self.steps_per_unit.number();
        Limits { speed: speed * steps, acceleration: self.acceleration.number() * steps }
    }

    fn contradictions(&self, report: &mut Report) {
        let range = self.range();
        let (min, max) = range.clone().into_inner();
        let is_unit = |unit: &String| !unit.is_empty() && unit.len() <= 32 && !unit.contains(char::is_control);
        if self.unit.as_ref().is_some_and(|unit| !is_unit(unit)) {
            report.at(&["unit"], "`unit` must be a text of 1 to 32 bytes");
        }
        if min >= max {
            report.at(&["min"], "`min` must be below `max`");
        } else if self.step(min) == self.step(max) {
            report.at(&["steps_per_unit"], "from `min` to `max` there must be a step at least");
        }
        let fastest = MOST_STEPS / self.steps_per_unit.number();
        if self.speed.number() > fastest {
            report.at(&["speed"], format!("`speed` must be at most {fastest}, which makes {MOST_STEPS} steps/s"));
        }
        if self.home_speed.is_some_and(|speed| speed.number() > self.speed.number()) {
            report.at(&["home_speed"], "`home_speed` must not be more than `speed`");
        }
        if !range.contains(&self.origin.number()) {
            report.at(&["origin"], format!("`origin` must be from {min} to {max}"));
        }
    }
}

impl ActuatorSpec for Options {
    fn control(&self) -> Control {
        Control::Position {
            range: self.range(),
            step: 1.0 / self.steps_per_unit.number(),
            unit: self.unit.as_deref().map(lasting),
        }
    }

    fn open(&self, mut wire: Wire) -> Result<Box<dyn Actuator>, Fault> {
        let (step, dir, enable, home) = (wire.take("step"), wire.take("dir"), wire.take("enable"), wire.take("home"));
        let (Some(Wire::Output(step)), Some(Wire::Output(dir))) = (step, dir) else {
            return Err(Fault::rejected("a stepper needs a line to step it and a line with its direction"));
        };
        let enable = match enable {
            Some(Wire::Output(enable)) => Some(enable),
            _ => None,
        };
        let home = match home {
            Some(Wire::Input(home)) => Some(home),
            _ => None,
        };
        Ok(Box::new(Stepper::new(step, dir, enable, home, self)))
    }

    fn listens(&self, key: &str) -> Option<InputSettings> {
        (key == "home").then_some(InputSettings { pull: self.home_pull, debounce: Duration::ZERO })
    }

    fn simulate(&self) -> Option<Box<dyn Part>> {
        Some(Box::new(sim::Model::new(sim::DRV8825, self)))
    }
}
