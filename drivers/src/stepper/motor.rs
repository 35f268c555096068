//! The motor: where it is, how it gets elsewhere, and the pulses that it takes.

use super::ramp::Ramp;
use super::{Options, Rate, Rest};
use crate::actuator::Actuator;
use crate::fault::{Fault, FaultKind};
use crate::port::{Delay, InputPort, OutputPort};
use crate::sim::clock;
use crate::value::Value;
use embedded_hal::delay::DelayNs;
use embedded_hal::digital::{OutputPin, PinState, StatefulOutputPin};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long a pulse is, at least. The longest of the chips': DRV8825, section 6.6, t_WH(STEP) 1.9 µs; A4988, figure 1, t_A
/// 1 µs; TMC2209, section 13.1, t_SH 100 ns. As long between pulses (t_WL, t_B, t_SL), which [`MOST_STEPS`](super::MOST_STEPS) sees to.
const PULSE_US: u32 = 2;
/// From a change of direction, or of `enable`, to a pulse: DRV8825, t_SU(STEP) and t_ENBL 650 ns; A4988, t_C 200 ns; TMC2209,
/// t_DSU 20 ns. They have to hold as long after its beginning (t_H, t_D), which the pulse sees to.
const SETUP_US: u32 = 1;
/// How much more than the whole way it looks for its switch, in parts of it.
const FURTHER: f64 = 0.1;
/// How much of the speed it has while it looks for its switch, unless told.
const HOMING: f64 = 0.25;
/// For how long it makes steps before others have their turn: a command waits no longer.
pub(super) const BURST: Duration = Duration::from_millis(20);
/// How long before a pulse it wants to be called: more than a timer is late.
pub(super) const LEAD: Duration = Duration::from_millis(5);
/// A position on the way is told at most this often.
const TELL: Duration = Duration::from_secs(1);

/// What it is at.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Course {
    /// It goes to this step.
    Go(i64),
    /// It slows down, and stands at this step.
    Stop(i64),
    /// It looks for its switch, as far as the first step at most, to go to the second then.
    Seek(i64, i64),
    /// It leaves its switch before it looks for it.
    Leave(i64, i64),
}

/// A stepper motor.
pub(super) struct Stepper {
    step: OutputPort,
    dir: OutputPort,
    enable: Option<OutputPort>,
    home: Option<InputPort>,
    options: Options,
    /// Where it is: its step, if that is known, else steps from anywhere.
    at: i64,
    known: bool,
    ramp: Ramp,
    course: Option<Course>,
    /// When the last pulse was, or when it set out.
    last: Instant,
    /// The direction that it was given, and whether it has current.
    forward: Option<bool>,
    powered: Option<bool>,
    told: (Value, Instant),
}

impl Stepper {
    /// On lines that are not touched.
    pub(super) fn new(
        step: OutputPort,
        dir: OutputPort,
        enable: Option<OutputPort>,
        home: Option<InputPort>,
        options: &Options,
    ) -> Self {
        let now = clock::now();
        // After a fault nobody has turned it to its origin.
        let known = home.is_none() && !options.opened.swap(true, Ordering::Relaxed);
        Self {
            at: options.step(options.origin.number()),
            step,
            dir,
            enable,
            home,
            options: options.clone(),
            known,
            ramp: Ramp::default(),
            course: None,
            last: now,
            forward: None,
            powered: None,
            told: (Value::STOP, now),
        }
    }

    fn state(&self) -> Value {
        let at = self.known.then(|| self.options.position(self.at));
        Value::Position { at, moves: self.course.is_some() }
    }

    /// The step of the switch.
    fn origin(&self) -> i64 {
        self.options.step(self.options.min.number())
    }

    fn set_out(&mut self, goal: i64) -> Result<(), Fault> {
        let course = match self.course {
            Some(Course::Seek(to, _)) => Course::Seek(to, goal),
            Some(Course::Leave(to, _)) => Course::Leave(to, goal),
            _ if self.known => Course::Go(goal),
            _ if self.home.is_some() => self.search(goal)?,
            _ => {
                let message =
                    "nobody knows where it stands since a fault: turn it to its `origin`, and restart the agent";
                return Err(Fault::rejected(message));
            }
        };
        if self.course.is_none() {
            self.power(true)?;
            self.last = clock::now();
        }
        self.course = Some(course);
        Ok(())
    }

    /// How it finds its switch, to go to `goal` then.
    fn search(&mut self, goal: i64) -> Result<Course, Fault> {
        let (from, to) = (self.options.min.number(), self.options.max.number());
        let way = self.options.step((to - from) * (1.0 + FURTHER)) + 1;
        let is_on = self.is_on_switch()?;
        Ok(if is_on { Course::Leave(self.at + way, goal) } else { Course::Seek(self.at - way, goal) })
    }

    /// Whether its switch is on, for more than a moment: the wires of a motor are loud.
    fn is_on_switch(&mut self) -> Result<bool, Fault> {
        let Some(home) = &mut self.home else { return Ok(false) };
        let on = self.options.home_active.level(true);
        if home.0.level()? != on {
            return Ok(false);
        }
        Delay.delay_us(PULSE_US);
        Ok(home.0.level()? == on)
    }

    /// Makes the steps that are due within [`BURST`].
    fn go_on(&mut self) -> Result<(), Fault> {
        let mut spent = Duration::ZERO;
        while let Some(course) = self.course {
            let Some((ramp, interval)) = self.next_step(course) else {
                self.arrive(course)?;
                continue;
            };
            let wait = (self.last + interval).saturating_duration_since(clock::now());
            if wait > BURST || (!spent.is_zero() && spent + interval > BURST) {
                break;
            }
            spent += interval;
            Delay.delay_ns(u32::try_from(wait.as_nanos()).unwrap_or(u32::MAX));
            if !self.meets_switch(course, ramp.forward)? {
                self.pulse(ramp)?;
            }
        }
        Ok(())
    }

    /// How it runs after the next step, and the time until then; `None` if there is no more.
    fn next_step(&self, course: Course) -> Option<(Ramp, Duration)> {
        let full = self.options.speed.number();
        let slow = self.options.home_speed.map_or(full * HOMING, Rate::number);
        let (to, speed) = match course {
            Course::Go(to) | Course::Stop(to) => (to, full),
            Course::Seek(to, _) | Course::Leave(to, _) => (to, slow),
        };
        self.ramp.next(to - self.at, self.options.limits(speed))
    }

    /// There are no more steps on this course.
    fn arrive(&mut self, course: Course) -> Result<(), Fault> {
        match course {
            Course::Go(goal) if self.home.is_some() && goal == self.origin() => self.course = Some(self.search(goal)?),
            Course::Go(_) | Course::Stop(_) => self.stand()?,
            Course::Seek(..) | Course::Leave(..) => {
                let does = if matches!(course, Course::Seek(..)) { "come on" } else { "go off" };
                let message = format!("its `home` switch did not {does} over more than the whole way");
                return Err(Fault::new(FaultKind::Bus, message));
            }
        }
        Ok(())
    }

    /// Whether its switch gives it another course before a step.
    fn meets_switch(&mut self, course: Course, forward: bool) -> Result<bool, Fault> {
        let leaves = matches!(course, Course::Leave(..));
        // Only towards the switch there is something to run into.
        if self.home.is_none() || (forward && !leaves) || self.is_on_switch()? == leaves {
            return Ok(false);
        }
        self.ramp.run = 0;
        match course {
            Course::Leave(_, goal) => self.course = Some(self.search(goal)?),
            Course::Seek(_, goal) => {
                (self.at, self.known) = (self.origin(), true);
                self.course = Some(Course::Go(goal));
                if goal == self.at {
                    self.stand()?;
                }
            }
            // It should not have been here yet: the motor did not take all steps.
            Course::Go(goal) => {
                self.known = false;
                self.course = Some(self.search(goal)?);
            }
            Course::Stop(_) => {
                self.known = false;
                self.stand()?;
            }
        }
        Ok(true)
    }

    /// Makes a step.
    fn pulse(&mut self, ramp: Ramp) -> Result<(), Fault> {
        if self.forward != Some(ramp.forward) {
            let level = PinState::from(ramp.forward != self.options.reverse);
            self.dir.set_state(level).map_err(|error| Fault::line(error, "setting the direction"))?;
            Delay.delay_us(SETUP_US);
            self.forward = Some(ramp.forward);
        }
        self.step.set_high().map_err(|error| Fault::line(error, "beginning a pulse"))?;
        // After it: if this thread has to wait, the next pulse is later, never earlier.
        self.last = clock::now();
        Delay.delay_us(PULSE_US);
        self.step.set_low().map_err(|error| Fault::line(error, "ending a pulse"))?;
        self.ramp = ramp;
        self.at += if ramp.forward { 1 } else { -1 };
        Ok(())
    }

    fn power(&mut self, on: bool) -> Result<(), Fault> {
        let Some(enable) = self.enable.as_mut().filter(|_| self.powered != Some(on)) else { return Ok(()) };
        let level = PinState::from(self.options.enable_active.level(on));
        enable.set_state(level).map_err(|error| Fault::line(error, "switching its current"))?;
        Delay.delay_us(SETUP_US);
        self.powered = Some(on);
        Ok(())
    }

    /// Makes no more steps.
    fn stand(&mut self) -> Result<(), Fault> {
        self.course = None;
        self.ramp.run = 0;
        self.step.set_low().map_err(|error| Fault::line(error, "resting the step line"))?;
        if self.options.rest == Rest::Release { self.power(false) } else { Ok(()) }
    }

    fn tell(&mut self) -> Value {
        self.told = (self.state(), clock::now());
        self.told.0.clone()
    }
}

/// Without an agent it rests as it is told to.
impl Drop for Stepper {
    fn drop(&mut self) {
        if self.options.rest == Rest::Release && self.powered == Some(true) {
            let _ = self.power(false); // nobody to tell
        }
    }
}

impl Actuator for Stepper {
    fn apply(&mut self, value: &Value) -> Result<Value, Fault> {
        let range = self.options.range();
        match *value {
            Value::STOP if self.ramp.run > 0 => self.course = Some(Course::Stop(self.at + self.ramp.braking())),
            Value::STOP => self.stand()?,
            Value::Position { at: Some(goal), moves: true } if range.contains(&goal) => {
                self.set_out(self.options.step(goal))?;
            }
            // Where it was when somebody last knew, of which its switch knows more.
            Value::Position { at: Some(at), moves: false } if range.contains(&at) => {
                self.stand()?;
                if self.home.is_none() {
                    (self.at, self.known) = (self.options.step(at), true);
                }
            }
            _ => {
                let (min, max) = range.into_inner();
                return Err(Fault::rejected(format!("a stepper stops, or goes to {min} to {max}, not {value}")));
            }
        }
        Ok(self.tell())
    }

    /// Without slowing down: of a fast motor nobody knows where it stands then.
    fn apply_at_once(&mut self, value: &Value) -> Result<Value, Fault> {
        if *value == Value::STOP {
            // Where nothing would find it again, what was sent is the best that there is.
            self.known &= self.ramp.run <= 1 || self.home.is_none();
            self.ramp.run = 0;
        }
        self.apply(value)
    }

    fn read(&mut self) -> Result<Option<Value>, Fault> {
        // It does not tell where it is; the line tells whether it is there.
        self.step.is_set_high().map_err(|error| Fault::line(error, "reading the step line"))?;
        Ok(Some(self.state()))
    }

    fn next(&self) -> Option<Duration> {
        let interval = self.next_step(self.course?).map_or(Duration::ZERO, |(_, interval)| interval);
        Some((self.last + interval).saturating_duration_since(clock::now()).saturating_sub(LEAD))
    }

    fn advance(&mut self) -> Result<Option<Value>, Fault> {
        if let Err(fault) = self.go_on() {
            (self.course, self.known, self.ramp.run) = (None, false, 0);
            return Err(fault);
        }
        let early = self.course.is_some() && clock::now().saturating_duration_since(self.told.1) < TELL;
        if early || self.state() == self.told.0 {
            return Ok(None);
        }
        Ok(Some(self.tell()))
    }
}
