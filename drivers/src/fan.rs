//! Driver for fans with a control input (4 wires), and a tachometer if it is connected.
//!
//! What such a fan wants is in Intel's specification; section numbers are those of its revision 1.3. At 0 % some fans stop and
//! some go on as slowly as they can (section 3, types A to C): to stop the latter, switch their supply.

pub mod sim;
#[cfg(test)]
mod tests;

use crate::actuator::{Actuator, ActuatorSpec, Appearance, Control, Reading};
use crate::channel::{Channel, Quantity};
use crate::driver::{Attachment, Driver, Member, Role, Spec};
use crate::fault::{Fault, FaultKind};
use crate::options::limits::choice;
use crate::options::{Frequency, Report, read_checked, shape};
use crate::port::{InputLine, InputPort, InputSettings, Pull, PwmOutput, Wire};
use crate::pwm::{self, Percent, Pwm};
use crate::sim::{Part, clock};
use crate::value::Value;
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The driver's entry in the list.
pub static DRIVER: Driver = Driver {
    name: "fan",
    summary: "Fan with 4 wires: speed by a PWM channel, watched by its tachometer",
    source: "Intel, 4-Wire Pulse Width Modulation (PWM) Controlled Fans Specification, revision 1.3",
    role: Role::Actuator,
    identity: &[],
    attachments: &[Attachment::Several(&[
        Member { key: "pwm", at: Attachment::Pwm, required: true, what: "the control input, through an open drain" },
        Member { key: "tacho", at: Attachment::InputLine, required: false, what: "the tachometer, pulled up to 3.3 V" },
    ])],
    example: "\
- id: exhaust
  driver: fan
  pwm: { chip: pwmchip0, channel: 0 }
  tacho: GPIO24
  safe: on
  safe_after: 30s
",
    defaults: || Spec::Actuator(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| {
        read_checked(node, problems, Options::contradictions).map(|options| Spec::Actuator(Arc::new(options)))
    },
};

/// How often the tachometer is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// A fan that gives no pulse for this long stands still, or has not started: at 300 revolutions a minute two pulses of a
/// revolution are 0.1 s apart.
const STALL: Duration = Duration::from_secs(5);
/// A speed is told when it is this far from the one that was told last, of 1 …
const CHANGE: f64 = 0.03;
/// … and not more often than this.
const TELL: Duration = Duration::from_secs(10);
/// No fan is faster, in revolutions a minute.
const FASTEST: f64 = 30_000.0;
/// No fan gives more edges between two looks. A line that does, an open one for instance, would keep whoever takes all.
const MOST_EDGES: usize = 8192;

/// Options of the `fan` driver.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// How many pulses in a second; 21 to 28 kHz by the specification (2.1.4).
    pub frequency: Frequency,
    /// Whether a transistor turns the signal round.
    pub invert: bool,
    /// The part of the time for which the signal is high at 1 %, in %: with less, many fans stand still.
    pub min: Percent,
    /// The part of the time for which it is high at 100 %, in %.
    pub max: Percent,
    /// Pulses of the tachometer in a revolution; 2 by the specification (2.1.3).
    pub pulses: Pulses,
}

impl Default for Options {
    fn default() -> Self {
        Self { frequency: Frequency(25e3), invert: false, min: Percent::FIFTH, max: Percent::ALL, pulses: Pulses::Two }
    }
}

choice! {
    /// Pulses of a tachometer in a revolution.
    pub enum Pulses {
        /// One pulse.
        One = 1,
        /// Two pulses, as the specification has it.
        Two = 2,
        /// Three pulses.
        Three = 3,
        /// Four pulses.
        Four = 4,
    }
}

/// A fan.
pub struct Fan<P> {
    pwm: Pwm<P>,
    level: f64,
    tacho: Option<Tacho>,
}

/// A tachometer.
struct Tacho {
    line: InputPort,
    pulses: f64,
    /// Revolutions in a minute, when it was looked at last.
    speed: Option<f64>,
    /// When there was a pulse, or the fan was turned on.
    alive: Instant,
    looked: Instant,
    /// What was told, and when.
    told: Option<(f64, Instant)>,
}

impl Tacho {
    fn new(line: InputPort, pulses: f64) -> Self {
        let now = clock::now();
        Self { line, pulses, speed: None, alive: now, looked: now, told: None }
    }

    /// Takes the times of the falling edges since they were taken last.
    fn take(&mut self) -> Result<Vec<Duration>, Fault> {
        let mut times = Vec::new();
        for _ in 0..MOST_EDGES {
            match self.line.0.edge(Duration::ZERO)? {
                Some((false, time)) => times.push(time),
                Some((true, _)) => {}
                None => break,
            }
        }
        Ok(times)
    }

    /// Takes the pulses since the last look. Gives whether the speed is worth telling.
    fn look(&mut self) -> Result<bool, Fault> {
        let now = clock::now();
        self.looked = now;
        let falling = self.take()?;
        if !falling.is_empty() {
            self.alive = now;
        }
        if now.saturating_duration_since(self.alive) >= STALL {
            self.speed = Some(0.0);
            self.told = None;
            // Driven on: what holds it may let go.
            let message = format!("the fan is driven, and its tachometer has given no pulse for {} s", STALL.as_secs());
            return Err(Fault::new(FaultKind::NotReady, message));
        }
        let (Some(first), Some(last)) = (falling.first(), falling.last()) else { return Ok(false) };
        let Some(time) = last.checked_sub(*first).filter(|time| !time.is_zero()) else { return Ok(false) };
        let speed = revolutions(falling.len() - 1, time, self.pulses).min(FASTEST);
        self.speed = Some(speed);
        let tell = self
            .told
            .is_none_or(|(told, at)| (speed - told).abs() > told * CHANGE && now.saturating_duration_since(at) >= TELL);
        if tell {
            self.told = Some((speed, now));
        }
        Ok(tell)
    }
}

/// Revolutions in a minute: so many periods of the tachometer in this time, to a whole number.
#[allow(clippy::cast_precision_loss)] // at most MOST_EDGES
fn revolutions(periods: usize, time: Duration, pulses: f64) -> f64 {
    (periods as f64 / pulses / time.as_secs_f64() * 60.0).round()
}

impl<P: PwmOutput> Fan<P> {
    /// On `channel`, which is not touched.
    pub fn new(channel: P, tacho: Option<InputPort>, options: Options) -> Self {
        let Options { frequency, invert, min, max, pulses } = options;
        let tacho = tacho.map(|line| Tacho::new(line, pulses.number()));
        Self { pwm: Pwm::new(channel, pwm::Options { frequency, invert, min, max }), level: 0.0, tacho }
    }
}

impl<P: PwmOutput> Actuator for Fan<P> {
    fn apply(&mut self, value: &Value) -> Result<Value, Fault> {
        let state = self.pwm.apply(value)?;
        let before = std::mem::replace(&mut self.level, state.number().unwrap_or_default());
        if let Some(tacho) = self.tacho.as_mut().filter(|_| before == 0.0) {
            // It takes a moment to start; what it gave while it ran down is none of this.
            tacho.take()?;
            (tacho.alive, tacho.looked) = (clock::now(), clock::now());
        }
        if let Some(tacho) = self.tacho.as_mut().filter(|_| self.level == 0.0) {
            (tacho.speed, tacho.told) = (None, None);
        }
        Ok(state)
    }

    fn read(&mut self) -> Result<Option<Value>, Fault> {
        let found = self.pwm.read()?;
        self.level = found.as_ref().and_then(Value::number).unwrap_or_default();
        Ok(found)
    }

    fn next(&self) -> Option<Duration> {
        let tacho = self.tacho.as_ref().filter(|_| self.level > 0.0)?;
        Some((tacho.looked + LOOK).saturating_duration_since(clock::now()))
    }

    fn advance(&mut self) -> Result<Option<Value>, Fault> {
        let Some(tacho) = self.tacho.as_mut().filter(|_| self.level > 0.0) else { return Ok(None) };
        let tell = tacho.look()?;
        let found = self.read()?;
        Ok(found.filter(|_| tell))
    }

    fn readings(&self) -> Vec<(&'static str, f64)> {
        self.tacho.iter().filter_map(|tacho| Some((SPEED, tacho.speed?))).collect()
    }
}

/// Key of the speed in the state.
const SPEED: &str = "rpm";

impl Options {
    fn contradictions(&self, report: &mut Report) {
        pwm::check(self.min, self.max, report);
    }
}

impl ActuatorSpec for Options {
    fn control(&self) -> Control {
        Control::Level(Appearance::Fan)
    }

    /// An open collector pulls it down (2.1.3).
    fn listens(&self, key: &str) -> Option<InputSettings> {
        (key == "tacho").then_some(InputSettings { pull: Pull::Up, debounce: Duration::ZERO })
    }

    fn readings(&self) -> Vec<Reading> {
        let quantity = Quantity { unit: Some("rpm"), state_class: Some("measurement"), ..Quantity::STATE };
        vec![Reading { connection: "tacho", channel: Channel::number(SPEED, quantity, 0.0..=FASTEST) }]
    }

    fn frequency(&self) -> Option<Frequency> {
        Some(self.frequency)
    }

    fn open(&self, mut wire: Wire) -> Result<Box<dyn Actuator>, Fault> {
        let tacho = match wire.take("tacho") {
            Some(Wire::Input(line)) => Some(line),
            _ => None,
        };
        match wire.take("pwm") {
            Some(Wire::Pwm(channel)) => Ok(Box::new(Fan::new(channel, tacho, *self))),
            _ => Err(Fault::rejected("a fan is on a PWM channel only")),
        }
    }

    fn simulate(&self) -> Option<Box<dyn Part>> {
        None
    }

    fn simulate_edges(&self, signal: &crate::sim::Pwm) -> Option<Box<dyn InputLine>> {
        Some(Box::new(sim::Tachometer::new(signal.clone(), self.invert)))
    }
}
