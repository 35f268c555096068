//! Driver for lamps that a PWM channel dims: LEDs behind a transistor or a driver with a dimming input.
//!
//! A level is what the eye sees, not what the lamp gives: of a lamp at half its power, the eye sees three quarters.

#[cfg(test)]
mod tests;

use crate::actuator::{Actuator, ActuatorSpec, Appearance, Control, FULL};
use crate::driver::{Attachment, Driver, Role, Spec};
use crate::duty::{Duty, SAME, shown};
use crate::fault::Fault;
use crate::options::limits::limited;
use crate::options::{Frequency, Report, Span, read_checked, shape};
use crate::port::{PwmOutput, Wire};
use crate::pwm::{self, Percent, level, level_of, part_of};
use crate::sim::{Part, clock};
use crate::value::Value;
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The driver's entry in the list.
pub static DRIVER: Driver = Driver {
    name: "light",
    summary: "Dimmed lamp: brightness by a PWM channel, with soft transitions",
    source: "CIE 15:2004, Colorimetry (lightness)",
    role: Role::Actuator,
    identity: &[],
    attachments: &[Attachment::Pwm],
    example: "\
- id: lamp
  driver: light
  pwm: { chip: pwmchip0, channel: 0 }
  transition: 800ms
  initial: restore
",
    defaults: || Spec::Actuator(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| {
        read_checked(node, problems, Options::contradictions).map(|options| Spec::Actuator(Arc::new(options)))
    },
};

/// Time from step to step of a transition.
const STEP: Duration = Duration::from_millis(20);
/// A level on the way is told at most this often.
const TELL: Duration = Duration::from_secs(1);

/// Options of the `light` driver.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// How many pulses in a second, from 0.1 Hz. Below 100 Hz one sees them, below 1 kHz a camera does.
    pub frequency: Frequency,
    /// Whether the lamp is on while the channel is low.
    pub invert: bool,
    /// How long it takes from one level to another. For safety, and at the end of the agent, it takes none.
    pub transition: Span,
    /// The power of the lamp is its level to this power, 1 to 4. Without it, it follows the lightness that the eye sees
    /// (CIE 1931).
    pub gamma: Option<Gamma>,
    /// The part of the time for which the lamp is on at the lowest level, in %: with less, some lamps flicker.
    pub min: Percent,
    /// The part of the time for which it is on at 100 %, in %.
    pub max: Percent,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            frequency: Frequency(1e3),
            invert: false,
            transition: Span(Duration::ZERO),
            gamma: None,
            min: Percent::NONE,
            max: Percent::ALL,
        }
    }
}

limited! {
    /// Exponent of a lamp's curve.
    pub struct Gamma in 1.0..=4.0
}

impl Options {
    fn contradictions(&self, report: &mut Report) {
        pwm::check(self.min, self.max, report);
    }

    /// The part of the time for which the lamp is on at a level, 0 to 1.
    fn part(&self, level: f64) -> f64 {
        let power = match self.gamma {
            Some(gamma) => (level / FULL).powf(gamma.number()),
            None => luminance(level),
        };
        part_of(power * FULL, self.min, self.max)
    }

    fn level(&self, part: f64) -> f64 {
        let power = level_of(part, self.min, self.max) / FULL;
        match self.gamma {
            Some(gamma) => power.powf(gamma.number().recip()) * FULL,
            None => lightness(power),
        }
    }
}

/// Luminance, 0 to 1, of a lightness in % (CIE 15:2004, 8.2.1.1: L* = 116 f(Y) - 16).
pub(crate) fn luminance(lightness: f64) -> f64 {
    if lightness <= 8.0 { lightness / KAPPA } else { ((lightness + 16.0) / 116.0).powi(3) }
}

/// Lightness in % of a luminance, 0 to 1.
fn lightness(luminance: f64) -> f64 {
    if luminance <= 8.0 / KAPPA { luminance * KAPPA } else { 116.0 * luminance.cbrt() - 16.0 }
}

/// Slope of the straight part: (29/3)³.
const KAPPA: f64 = 24_389.0 / 27.0;

/// A lamp.
pub struct Light<P> {
    duty: Duty<P>,
    options: Options,
    /// Its level, as long as nobody else has set another one.
    at: Option<f64>,
    fade: Option<Fade>,
    told: Instant,
}

/// From one level to another.
#[derive(Clone, Copy)]
struct Fade {
    from: f64,
    to: f64,
    start: Instant,
    /// When it was at its last step.
    step: Instant,
}

impl<P: PwmOutput> Light<P> {
    /// On `channel`, which is not touched.
    pub fn new(channel: P, options: Options) -> Self {
        let duty = Duty::new(channel, options.frequency, options.invert);
        Self { duty, options, at: None, fade: None, told: clock::now() }
    }

    fn shine(&mut self, level: f64) -> Result<(), Fault> {
        self.duty.set(self.options.part(level))?;
        self.at = Some(level);
        Ok(())
    }

    /// The next level of the fade; gives whether it is the last one.
    fn fade_on(&mut self, fade: Fade) -> Result<bool, Fault> {
        let now = clock::now();
        let passed = now.saturating_duration_since(fade.start);
        if passed >= self.options.transition.0 {
            self.fade = None;
            self.shine(fade.to)?;
            return Ok(true);
        }
        let part = passed.as_secs_f64() / self.options.transition.0.as_secs_f64();
        self.shine(fade.from + (fade.to - fade.from) * part)?;
        self.fade = Some(Fade { step: now, ..fade });
        Ok(false)
    }

    fn state(&self) -> Value {
        let level = self.at.unwrap_or_default();
        Value::Number(if self.fade.is_some() { shown(level) } else { level })
    }
}

impl<P: PwmOutput> Actuator for Light<P> {
    fn apply(&mut self, value: &Value) -> Result<Value, Fault> {
        let to = level(value)?;
        self.read()?;
        let from = self.at.unwrap_or_default();
        if self.options.transition.0.is_zero() || from == to {
            return self.apply_at_once(value);
        }
        // A step ahead: on its way it is on.
        let start = clock::now().checked_sub(STEP).unwrap_or_else(clock::now);
        self.told = clock::now();
        let there = self.fade_on(Fade { from, to, start, step: start })?;
        Ok(if there { value.clone() } else { self.state() })
    }

    fn apply_at_once(&mut self, value: &Value) -> Result<Value, Fault> {
        let level = level(value)?;
        self.fade = None;
        self.shine(level)?;
        Ok(value.clone())
    }

    fn read(&mut self) -> Result<Option<Value>, Fault> {
        let found = self.duty.found()?;
        match (found, self.at) {
            (Some(found), Some(at)) if (found - self.options.part(at)).abs() <= SAME => {}
            (found, _) => self.at = found.map(|found| shown(self.options.level(found))),
        }
        Ok(self.at.map(|_| self.state()))
    }

    fn next(&self) -> Option<Duration> {
        self.fade.map(|fade| (fade.step + STEP).saturating_duration_since(clock::now()))
    }

    fn advance(&mut self) -> Result<Option<Value>, Fault> {
        let Some(fade) = self.fade else { return Ok(None) };
        let there = self.fade_on(fade)?;
        let now = clock::now();
        if !there && now.saturating_duration_since(self.told) < TELL {
            return Ok(None);
        }
        self.told = now;
        Ok(Some(if there { Value::Number(fade.to) } else { self.state() }))
    }
}

impl ActuatorSpec for Options {
    fn control(&self) -> Control {
        Control::Level(Appearance::Light)
    }

    fn frequency(&self) -> Option<Frequency> {
        Some(self.frequency)
    }

    fn open(&self, wire: Wire) -> Result<Box<dyn Actuator>, Fault> {
        Ok(Box::new(Light::new(wire.pwm()?, *self)))
    }

    fn simulate(&self) -> Option<Box<dyn Part>> {
        None
    }
}
