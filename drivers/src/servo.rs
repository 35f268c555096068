//! Driver for model servos: the width of a pulse is an angle.

#[cfg(test)]
mod tests;

use crate::actuator::{Actuator, ActuatorSpec, Control};
use crate::driver::{Attachment, Driver, Role, Spec};
use crate::fault::{Fault, FaultKind};
use crate::options::limits::limited;
use crate::options::{Frequency, Report, Span, read_checked, shape};
use crate::port::{PwmOutput, Wire};
use crate::sim::{Part, clock};
use crate::value::Value;
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The driver's entry in the list.
pub static DRIVER: Driver = Driver {
    name: "servo",
    summary: "Model servo: an angle by the width of pulses",
    source: "TowerPro, SG90 (50 Hz; 1 ms, 1.5 ms, 2 ms are -90°, 0°, 90°)",
    role: Role::Actuator,
    identity: &[],
    attachments: &[Attachment::Pwm],
    example: "\
- id: flap
  driver: servo
  pwm: { chip: pwmchip0, channel: 0 }
  min_angle: 0
  max_angle: 180
  min_pulse: 500
  max_pulse: 2500
  speed: 60
  detach: 1s
  initial: keep
",
    defaults: || Spec::Actuator(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| {
        read_checked(node, problems, Options::contradictions).map(|options| Spec::Actuator(Arc::new(options)))
    },
};

/// Time from step to step of one that is limited in its speed.
const STEP: Duration = Duration::from_millis(20);
/// A state on the way is told at most this often.
const TELL: Duration = Duration::from_secs(1);
/// An angle that is as near, in °, is the same.
const NEAR: f64 = 0.05;
/// How far a pulse that is read back may be from the one that was asked for, in ns: chips of 12 bits have steps of 5 µs.
const DEAD_BAND_NS: u64 = 10_000;

/// Options of the `servo` driver.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// The angle of the shortest pulse in °, and the least that can be asked for.
    pub min_angle: Angle,
    /// The angle of the longest pulse in °, and the most that can be asked for.
    pub max_angle: Angle,
    /// The shortest pulse in µs. Servos have stops: begin with 1000 to 2000, and go further while it does not hum.
    pub min_pulse: Pulse,
    /// The longest pulse in µs.
    pub max_pulse: Pulse,
    /// How many pulses in a second. Analogue servos want 50 Hz.
    pub frequency: Frequency,
    /// Highest speed in °/s. Without it, a servo goes as fast as it can.
    pub speed: Option<Speed>,
    /// How long after it got there the pulses end: it does not hold its angle then, and neither hums nor draws current.
    /// Without it, they never end.
    pub detach: Option<Span>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            min_angle: Angle(-90.0),
            max_angle: Angle(90.0),
            min_pulse: Pulse(1_000.0),
            max_pulse: Pulse(2_000.0),
            frequency: Frequency(50.0),
            speed: None,
            detach: None,
        }
    }
}

limited! {
    /// An angle in °.
    pub struct Angle in -360.0..=360.0
}

limited! {
    /// Width of a pulse in µs.
    pub struct Pulse in 500.0..=2500.0
}

limited! {
    /// A speed in °/s.
    pub struct Speed in 1.0..=1000.0
}

impl Options {
    /// The width of the pulse for an angle, in ns.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // within the limits of a pulse
    fn pulse_ns(&self, angle: f64) -> u64 {
        let (from, to) = (self.min_pulse.number(), self.max_pulse.number());
        let part = (angle - self.min_angle.number()) / self.span();
        ((from + (to - from) * part.clamp(0.0, 1.0)) * 1e3).round() as u64
    }

    /// The angle of a pulse, to a tenth of a degree.
    #[allow(clippy::cast_precision_loss)] // a pulse is far from 2^53 ns
    fn angle(&self, pulse_ns: u64) -> f64 {
        let (from, to) = (self.min_pulse.number(), self.max_pulse.number());
        let part = (pulse_ns as f64 / 1e3 - from) / (to - from);
        tenths(self.min_angle.number() + self.span() * part.clamp(0.0, 1.0))
    }

    fn span(&self) -> f64 {
        self.max_angle.number() - self.min_angle.number()
    }

    fn period_ns(&self) -> u64 {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 3 to 25 ms
        let period = (1e9 / self.frequency.0).round() as u64;
        period
    }

    /// What cannot be, and the key that says so.
    fn contradictions(&self, report: &mut Report) {
        if self.span() <= 0.0 {
            let message = "`min_angle` must be less than `max_angle`: for the other direction, exchange the pulses";
            report.at(&["min_angle"], message);
        }
        if self.min_pulse == self.max_pulse {
            report.at(&["max_pulse"], "`min_pulse` and `max_pulse` must not be the same");
        }
        if !(40.0..=333.0).contains(&self.frequency.0) {
            report.at(&["frequency"], "`frequency` of a servo must be from 40Hz to 333Hz");
        }
    }
}

fn tenths(angle: f64) -> f64 {
    (angle * 10.0).round() / 10.0
}

/// A servo.
pub struct Servo<P> {
    channel: P,
    options: Options,
    /// Where it is, as far as is known: it does not tell.
    at: Option<f64>,
    /// Where it goes, and since when it is at the last step.
    way: Option<(f64, Instant)>,
    told: Instant,
    /// When the pulses end.
    detach: Option<Instant>,
}

impl<P: PwmOutput> Servo<P> {
    /// On `channel`, which is not touched.
    pub fn new(channel: P, options: Options) -> Self {
        Self { channel, options, at: None, way: None, told: clock::now(), detach: None }
    }

    fn point(&mut self, angle: f64) -> Result<(), Fault> {
        let pulse = self.options.pulse_ns(angle);
        self.channel.pulses(self.options.period_ns(), pulse)?;
        match self.channel.found()? {
            Some((_, found)) if found.abs_diff(pulse) <= DEAD_BAND_NS => {}
            found => {
                let found = found.map_or("nothing".to_owned(), |(_, found)| format!("{found} ns"));
                let message = format!("the channel gives {found} after it was set to pulses of {pulse} ns");
                return Err(Fault::new(FaultKind::Bus, message));
            }
        }
        self.at = Some(angle);
        Ok(())
    }

    fn arrived(&mut self, angle: f64) -> Value {
        self.way = None;
        self.detach = self.options.detach.map(|span| clock::now() + span.0);
        Value::Number(angle)
    }
}

impl<P: PwmOutput> Actuator for Servo<P> {
    fn apply(&mut self, value: &Value) -> Result<Value, Fault> {
        let angle = angle_of(value, &self.options)?;
        self.read()?;
        let (Some(_), Some(at)) = (self.options.speed, self.at) else { return self.apply_at_once(value) };
        if at == angle {
            return self.apply_at_once(value);
        }
        self.detach = None;
        let now = clock::now();
        self.way = Some((angle, now));
        self.told = now;
        Ok(Value::Number(tenths(at)))
    }

    fn apply_at_once(&mut self, value: &Value) -> Result<Value, Fault> {
        let angle = angle_of(value, &self.options)?;
        self.point(angle)?;
        Ok(self.arrived(angle))
    }

    fn read(&mut self) -> Result<Option<Value>, Fault> {
        match self.channel.found()? {
            // Without pulses it stays where it is; with another's it is somewhere else.
            Some((_, 0)) | None => {}
            Some((_, pulse)) if self.at.is_none_or(|at| self.options.pulse_ns(at).abs_diff(pulse) > DEAD_BAND_NS) => {
                self.at = Some(self.options.angle(pulse));
            }
            Some(_) => {}
        }
        Ok(self.at.map(Value::Number))
    }

    fn next(&self) -> Option<Duration> {
        let left = |at: Instant| at.saturating_duration_since(clock::now());
        self.way.map(|(_, since)| left(since + STEP)).or(self.detach.map(left))
    }

    fn advance(&mut self) -> Result<Option<Value>, Fault> {
        let now = clock::now();
        let Some((angle, since)) = self.way else {
            if self.detach.take_if(|at| *at <= now).is_some() {
                self.channel.pulses(self.options.period_ns(), 0)?;
            }
            return Ok(None);
        };
        let speed = self.options.speed.map_or(f64::INFINITY, Speed::number);
        let at = self.at.unwrap_or(angle);
        let step = speed * now.saturating_duration_since(since).as_secs_f64();
        if (angle - at).abs() <= step + NEAR {
            self.point(angle)?;
            return Ok(Some(self.arrived(angle)));
        }
        self.point(at + step.copysign(angle - at))?;
        self.way = Some((angle, now));
        if now.saturating_duration_since(self.told) < TELL {
            return Ok(None);
        }
        self.told = now;
        Ok(self.at.map(|at| Value::Number(tenths(at))))
    }
}

fn angle_of(value: &Value, options: &Options) -> Result<f64, Fault> {
    let range = options.min_angle.number()..=options.max_angle.number();
    value.number().filter(|angle| range.contains(angle)).ok_or_else(|| {
        Fault::rejected(format!("an angle is a number from {} to {} °, not {value}", range.start(), range.end()))
    })
}

impl ActuatorSpec for Options {
    fn control(&self) -> Control {
        Control::Number { range: self.min_angle.number()..=self.max_angle.number(), step: 0.1, unit: Some("°") }
    }

    fn frequency(&self) -> Option<Frequency> {
        Some(self.frequency)
    }

    fn open(&self, wire: Wire) -> Result<Box<dyn Actuator>, Fault> {
        Ok(Box::new(Servo::new(wire.pwm()?, *self)))
    }

    fn simulate(&self) -> Option<Box<dyn Part>> {
        None
    }
}
