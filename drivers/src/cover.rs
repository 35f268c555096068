//! Driver for blinds, shutters, awnings and doors whose motor two relays switch: one opens, one closes.
//!
//! Nothing tells where it is but the time for which it was driven, so its position is not known until it was driven to
//! an end, by more than the whole way. Both relays are never on, and between the directions both are off for the
//! pause that the motor needs: numbers are the sections of the manual below.

#[cfg(test)]
mod tests;

use crate::actuator::{Actuator, ActuatorSpec, Control, FULL};
use crate::driver::{Attachment, Driver, Member, Role, Spec};
use crate::fault::Fault;
use crate::options::{Report, Span, read_checked, shape};
use crate::port::Wire;
use crate::sim::{Part, clock};
use crate::switch::{Active, Switch};
use crate::value::Value;
use embedded_hal::digital::StatefulOutputPin;
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The driver's entry in the list.
pub static DRIVER: Driver = Driver {
    name: "cover",
    summary: "Cover: a blind, a shutter, an awning or a door, driven by two relays, with its position by time",
    source: "MDT technologies, Technical Manual, Shutter actuator JAL-0X10X.01",
    role: Role::Actuator,
    identity: &[],
    attachments: &[Attachment::Several(&[
        Member { key: "open", at: Attachment::OutputLine, required: true, what: "the relay that opens it" },
        Member { key: "close", at: Attachment::OutputLine, required: true, what: "the relay that closes it" },
    ])],
    example: "\
- id: blind
  driver: cover
  open: GPIO5
  close: GPIO6
  active: low
  travel: 25s
",
    defaults: || Spec::Actuator(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| {
        read_checked(node, problems, Options::contradictions).map(|options| Spec::Actuator(Arc::new(options)))
    },
};

/// How much further than the whole way it is driven to an end, of 1: so it gets there also when it is slower than usual.
const FURTHER: f64 = 0.1;
/// A position on the way is told at most this often.
const TELL: Duration = Duration::from_secs(1);
/// A whole way takes no longer.
const LONGEST_TRAVEL: Duration = Duration::from_secs(600);
/// A pause is no longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Options of the `cover` driver.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// How long it takes from closed to open, up to 10 minutes. Measure it: all positions rest on it.
    pub travel: Span,
    /// How long it takes from open to closed, if not as long as the other way.
    pub travel_down: Option<Span>,
    /// For how long both relays are off between the directions, up to 10 s: the least that the motor's data sheet asks
    /// for.
    pub pause: Span,
    /// The level of the lines that means on. Many relay boards switch on when their input is low.
    pub active: Active,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            travel: Span(Duration::from_secs(30)),
            travel_down: None,
            pause: Span(Duration::from_millis(500)),
            active: Active::High,
        }
    }
}

impl Options {
    fn contradictions(&self, report: &mut Report) {
        let wrong = |span: Span| span.0.is_zero() || span.0 > LONGEST_TRAVEL;
        if wrong(self.travel) {
            report.at(&["travel"], "`travel` must be more than 0, and at most 10m");
        }
        if self.travel_down.is_some_and(wrong) {
            report.at(&["travel_down"], "`travel_down` must be more than 0, and at most 10m");
        }
        if self.pause.0 > LONGEST_PAUSE {
            report.at(&["pause"], "`pause` must be at most 10s");
        }
    }

    /// How long the whole way takes.
    fn travel(&self, direction: Direction) -> Duration {
        match direction {
            Direction::Open => self.travel.0,
            Direction::Close => self.travel_down.unwrap_or(self.travel).0,
        }
    }

    /// How far it gets in this time, in %.
    fn way(&self, direction: Direction, time: Duration) -> f64 {
        let way = time.as_secs_f64() / self.travel(direction).as_secs_f64() * FULL;
        if direction == Direction::Open { way } else { -way }
    }
}

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Open,
    Close,
}

/// A drive in one direction.
#[derive(Clone, Copy, Debug)]
struct Leg {
    direction: Direction,
    /// How long the motor runs; for more than the way if that ends at an end.
    time: Duration,
    /// Where it is then, in %.
    to: f64,
}

/// A cover.
pub struct Cover<P: StatefulOutputPin + Send> {
    open: Switch<P>,
    close: Switch<P>,
    options: Options,
    /// Where it stands, or was when the motor began to run: in %, once that is known.
    at: Option<f64>,
    /// Where it is told to be in %, and the drive on the way to it.
    course: Option<(f64, Leg)>,
    /// Which way the motor runs, and since when.
    motor: Option<(Direction, Instant)>,
    /// Since when it rests, as far as is known, and which way it ran before.
    rests: (Instant, Option<Direction>),
    told: (Value, Instant),
}

impl<P: StatefulOutputPin + Send> Cover<P> {
    /// On two lines, which are not touched.
    pub fn new(open: P, close: P, options: Options) -> Self {
        let (open, close) = (Switch::new(open, options.active), Switch::new(close, options.active));
        let now = clock::now();
        let (rests, told) = ((now, None), (Value::STOP, now));
        Self { open, close, options, at: None, course: None, motor: None, rests, told }
    }

    /// Where it is by now.
    fn position(&self) -> Option<f64> {
        let Some((direction, since)) = self.motor else { return self.at };
        let way = self.options.way(direction, clock::now().saturating_duration_since(since));
        self.at.map(|at| (at + way).clamp(0.0, FULL))
    }

    fn state(&self) -> Value {
        match self.course {
            Some(_) => Value::Position { at: self.position().map(f64::round), moves: true },
            None => Value::rest(self.at),
        }
    }

    /// Turns both relays off.
    fn halt(&mut self) -> Result<(), Fault> {
        // Both are tried, whatever becomes of the first.
        let (open, close) = (self.open.apply(&Value::Switch(false)), self.close.apply(&Value::Switch(false)));
        self.at = self.position().map(tenths);
        self.course = None;
        if let Some((direction, _)) = self.motor.take() {
            self.rests = (clock::now(), Some(direction));
        }
        if let Err(fault) = open.and(close) {
            // It may still run, and whichever way.
            (self.at, self.rests) = (None, (clock::now(), None));
            return Err(fault);
        }
        Ok(())
    }

    /// The next drive on the way to `goal`.
    fn leg(&self, goal: f64) -> Leg {
        let (opens, to, way) = match self.at {
            Some(at) => (goal > at || goal == FULL, goal, (goal - at).abs() / FULL),
            // To the nearer end first.
            None if goal >= FULL / 2.0 => (true, FULL, 1.0),
            None => (false, 0.0, 1.0),
        };
        let direction = if opens { Direction::Open } else { Direction::Close };
        let way = if to == 0.0 || to == FULL { way + FURTHER } else { way };
        Leg { direction, time: self.options.travel(direction).mul_f64(way), to }
    }

    fn set_out(&mut self, goal: f64) -> Result<(), Fault> {
        // From where it is by now.
        self.at = self.position();
        if let Some((_, since)) = &mut self.motor {
            *since = clock::now();
        }
        let leg = self.leg(goal);
        if self.motor.is_none_or(|(runs, _)| runs != leg.direction) {
            self.halt()?;
        }
        if self.at == Some(goal) && 0.0 < goal && goal < FULL {
            return self.halt();
        }
        self.course = Some((goal, leg));
        self.go_on()
    }

    /// Does whatever is due on the way.
    fn go_on(&mut self) -> Result<(), Fault> {
        while let Some((goal, leg)) = self.course {
            match self.motor {
                None if !self.pause(leg.direction).is_zero() => return Ok(()),
                None => self.start(leg.direction)?,
                Some((_, since)) if clock::now().saturating_duration_since(since) < leg.time => return Ok(()),
                Some(_) => {
                    self.halt()?;
                    self.at = Some(leg.to);
                    if leg.to != goal {
                        self.course = Some((goal, self.leg(goal)));
                    }
                }
            }
        }
        Ok(())
    }

    /// For how long it has to rest before it can run this way.
    fn pause(&self, direction: Direction) -> Duration {
        match self.rests {
            (_, Some(last)) if last == direction => Duration::ZERO,
            (since, _) => (since + self.options.pause.0).saturating_duration_since(clock::now()),
        }
    }

    /// Turns one relay on, after the other was seen to be off.
    fn start(&mut self, direction: Direction) -> Result<(), Fault> {
        let (this, other) = match direction {
            Direction::Open => (&mut self.open, &mut self.close),
            Direction::Close => (&mut self.close, &mut self.open),
        };
        let (off, on) = (Value::Switch(false), Value::Switch(true));
        if let Err(fault) = other.apply(&off).and_then(|_| this.apply(&on)) {
            let _ = self.halt(); // as far as it can be: the first fault says more
            (self.at, self.rests) = (None, (clock::now(), None));
            return Err(fault);
        }
        self.motor = Some((direction, clock::now()));
        Ok(())
    }
}

/// A motor is not left running by whoever lets go of it.
impl<P: StatefulOutputPin + Send> Drop for Cover<P> {
    fn drop(&mut self) {
        if self.motor.is_some() {
            let _ = self.halt(); // nobody to tell
        }
    }
}

impl<P: StatefulOutputPin + Send> Actuator for Cover<P> {
    fn apply(&mut self, value: &Value) -> Result<Value, Fault> {
        match *value {
            Value::STOP => self.halt()?,
            Value::Position { at: Some(goal), moves: true } if (0.0..=FULL).contains(&goal) => self.set_out(goal)?,
            _ => return Err(Fault::rejected(format!("a cover stops, or goes to 0 to {FULL} %, not {value}"))),
        }
        self.told = (self.state(), clock::now());
        Ok(self.told.0.clone())
    }

    fn read(&mut self) -> Result<Option<Value>, Fault> {
        let on = Some(Value::Switch(true));
        let (open, close) = (self.open.read()?, self.close.read()?);
        if self.course.is_none() && (open == on || close == on) {
            // Somebody else drives it.
            (self.at, self.rests) = (None, (clock::now(), None));
            return Ok(Some(Value::Position { at: None, moves: true }));
        }
        Ok(Some(self.state()))
    }

    fn next(&self) -> Option<Duration> {
        let (_, leg) = self.course?;
        let now = clock::now();
        Some(match self.motor {
            None => self.pause(leg.direction),
            Some((_, since)) => (since + leg.time).min(self.told.1 + TELL).saturating_duration_since(now),
        })
    }

    fn advance(&mut self) -> Result<Option<Value>, Fault> {
        self.go_on()?;
        let (state, now) = (self.state(), clock::now());
        let early = state.is_active() && now.saturating_duration_since(self.told.1) < TELL;
        if early || state == self.told.0 {
            self.told.1 = if early { self.told.1 } else { now };
            return Ok(None);
        }
        self.told = (state.clone(), now);
        Ok(Some(state))
    }
}

fn tenths(position: f64) -> f64 {
    (position * 10.0).round() / 10.0
}

impl ActuatorSpec for Options {
    fn control(&self) -> Control {
        Control::Cover
    }

    fn open(&self, mut wire: Wire) -> Result<Box<dyn Actuator>, Fault> {
        match (wire.take("open"), wire.take("close")) {
            (Some(Wire::Output(open)), Some(Wire::Output(close))) => Ok(Box::new(Cover::new(open, close, *self))),
            _ => Err(Fault::rejected("a cover is on two GPIO lines only")),
        }
    }

    fn simulate(&self) -> Option<Box<dyn Part>> {
        None
    }
}
