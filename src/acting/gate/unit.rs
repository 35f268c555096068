//! One actuator as the gate sees it: what is known, under way and wanted.

use super::rate::Taken;
use super::seen::Seen;
use super::{Before, By, Rules, Spell};
use crate::acting::command::{Command, Reason, Wanted};
use halyard_drivers::actuator::FULL;
use halyard_drivers::text::Unfit;
use halyard_drivers::{Control, Value};
use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant, SystemTime};

/// How many commands of one actuator may wait while a write is under way.
pub(super) const QUEUE: usize = 16;
/// First pause before a failed write is followed by one of `safe`; it doubles up to [`LONGEST_RETRY`].
pub(super) const FIRST_RETRY: Duration = Duration::from_secs(1);
pub(super) const LONGEST_RETRY: Duration = Duration::from_secs(5);
/// The same while the agent stops, when there is little time.
const STOP_RETRY: Duration = Duration::from_millis(100);

pub(super) struct Unit<R> {
    pub(super) rules: Rules,
    /// `None` while not known.
    pub(super) state: Option<Value>,
    /// What it was told to be, or was found to be: where its state will be when it has got there.
    pub(super) target: Option<Value>,
    /// Last level that was not 0, in %.
    level: f64,
    /// On whose behalf it is what it is, the command's id, and what for if it is for safety.
    pub(super) last: (By, Option<String>, Option<String>),
    /// Whether it has yet to be driven for the first time: its state will be known in a moment.
    pub(super) starting: bool,
    /// Whether it was opened and can be written to.
    pub(super) open: bool,
    /// Why it could not be opened.
    pub(super) absent: Option<String>,
    /// Whether it was taken out of the configuration, and takes no command any more.
    pub(super) retired: bool,
    /// Whether nobody will be there for it soon.
    pub(super) leaving: bool,
    pub(super) writing: Option<Job<R>>,
    /// What the gate itself wants written next.
    pub(super) forced: Option<Job<R>>,
    pub(super) queue: VecDeque<Job<R>>,
    /// An active `initial` or `safe` that waits until nothing is in its way any more.
    pub(super) deferred: Option<Job<R>>,
    /// When that may be, if it is a matter of time.
    pub(super) wake: Option<Instant>,
    /// Since when it is on or off.
    pub(super) spell: Spell,
    pub(super) pulse: Option<Pulse>,
    /// Whether it went to `safe` since the broker was lost.
    pub(super) safed: bool,
    /// When its controller was heard last, and whether that is too long ago.
    pub(super) heard: Instant,
    pub(super) silent: bool,
    /// When to write `safe` after a failure, and the pause after the next one.
    pub(super) retry: Option<Instant>,
    pub(super) pause: Duration,
    pub(super) seen: Seen,
    taken: Taken,
}

/// Something to write.
pub(super) struct Job<R> {
    pub(super) value: Wanted,
    pub(super) by: By,
    pub(super) id: Option<String>,
    /// Where the answer goes; `None` if nobody asked.
    pub(super) route: Option<R>,
    pub(super) pulse: Option<Duration>,
    /// Whatever the clock is set to while it waits.
    pub(super) expires: Option<Instant>,
    /// What for, if it is for safety.
    pub(super) why: Option<String>,
    /// What was on its way to the hardware, and since when; set when the write begins.
    pub(super) begun: Option<(Value, Instant)>,
}

pub(super) struct Pulse {
    pub(super) until: Instant,
    pub(super) back: Value,
    pub(super) id: Option<String>,
}

impl<R> Job<R> {
    pub(super) fn own(value: Value, by: By) -> Self {
        let value = Wanted::Value(value);
        Self { value, by, id: None, route: None, pulse: None, expires: None, why: None, begun: None }
    }

    pub(super) fn safety(value: Value, why: String) -> Self {
        Self { why: Some(why), ..Self::own(value, By::Safety) }
    }
}

impl<R> Unit<R> {
    /// One that was not opened yet, whose controller has from now on to be heard.
    pub(super) fn new(rules: Rules, now: Instant) -> Self {
        Self {
            rules,
            state: None,
            target: None,
            level: FULL,
            last: (By::Start, None, None),
            starting: true,
            open: false,
            absent: None,
            retired: false,
            leaving: false,
            writing: None,
            forced: None,
            queue: VecDeque::new(),
            deferred: None,
            wake: None,
            spell: Spell::default(),
            pulse: None,
            safed: false,
            heard: now,
            silent: false,
            retry: None,
            pause: FIRST_RETRY,
            seen: Seen::default(),
            taken: Taken::default(),
        }
    }

    /// Whether it is on, may be on, or is just being turned on.
    pub(super) fn may_be_on(&self) -> bool {
        let going_on =
            self.writing.as_ref().and_then(|job| job.begun.as_ref()).is_some_and(|(value, _)| value.is_active());
        going_on || self.state.as_ref().is_none_or(Value::is_active)
    }

    /// What a command asks for as a value of this actuator.
    pub(super) fn resolve(&self, wanted: &Wanted) -> Result<Value, (Reason, String)> {
        match (wanted, &self.rules.control) {
            (Wanted::Toggle, Control::Switch) => match &self.state {
                Some(Value::Switch(on)) => Ok(Value::Switch(!on)),
                _ => Err((Reason::UnknownValue, "TOGGLE needs a known state".into())),
            },
            (Wanted::Value(value @ Value::Switch(_)), Control::Switch) => Ok(value.clone()),
            (Wanted::Toggle, Control::Level(_)) => match &self.target {
                Some(target) => Ok(Value::Number(if target.is_active() { 0.0 } else { self.level })),
                None => Err((Reason::UnknownValue, "TOGGLE needs a known state".into())),
            },
            (Wanted::Value(Value::Switch(on)), Control::Level(_)) => {
                Ok(Value::Number(if *on { self.level } else { 0.0 }))
            }
            (Wanted::Value(Value::Number(level)), Control::Level(_)) => {
                if (0.0..=FULL).contains(level) {
                    Ok(Value::Number(*level))
                } else {
                    Err((Reason::OutOfRange, format!("{level} is outside of 0 to {FULL} %")))
                }
            }
            (Wanted::Value(Value::Number(number)), Control::Number { range, unit, .. }) => {
                if range.contains(number) {
                    Ok(Value::Number(*number))
                } else {
                    Err(outside(*number, range, *unit))
                }
            }
            (Wanted::Value(Value::Text(text)), Control::Text(texts)) => match texts.check(text) {
                Ok(()) => Ok(Value::Text(text.clone())),
                Err(unfit @ Unfit::Long(_)) => Err((Reason::OutOfRange, texts.explain(unfit))),
                Err(unfit @ Unfit::Character(_)) => Err((Reason::UnknownValue, texts.explain(unfit))),
            },
            // What it is left as: no command says so.
            (Wanted::Value(Value::Switch(false)), Control::Text(_)) => Ok(Value::Switch(false)),
            (Wanted::Open, Control::Cover) => Ok(Value::go(FULL)),
            (Wanted::Close, Control::Cover) => Ok(Value::go(0.0)),
            (
                Wanted::Stop | Wanted::Value(Value::Position { at: None, .. }),
                Control::Cover | Control::Position { .. },
            ) => Ok(Value::STOP),
            (Wanted::Value(Value::Number(at) | Value::Position { at: Some(at), .. }), Control::Cover) => {
                if (0.0..=FULL).contains(at) {
                    Ok(Value::go(*at))
                } else {
                    Err((Reason::OutOfRange, format!("{at} is outside of 0 to {FULL} %")))
                }
            }
            (
                Wanted::Value(value @ (Value::Number(at) | Value::Position { at: Some(at), .. })),
                Control::Position { range, unit, .. },
            ) => {
                match value {
                    _ if !range.contains(at) => Err(outside(*at, range, *unit)),
                    // Where it is said to be.
                    Value::Position { moves: false, .. } => Ok(value.clone()),
                    _ => Ok(Value::go(*at)),
                }
            }
            (_, Control::Switch) => Err((Reason::UnknownValue, "this actuator knows ON, OFF and TOGGLE".into())),
            (_, Control::Level(_)) => {
                let message = format!("this actuator knows ON, OFF, TOGGLE and numbers from 0 to {FULL}");
                Err((Reason::UnknownValue, message))
            }
            (_, Control::Cover) => {
                let message = format!("this actuator knows OPEN, CLOSE, STOP and numbers from 0 to {FULL}");
                Err((Reason::UnknownValue, message))
            }
            (_, Control::Text(_)) => Err((Reason::UnknownValue, "this actuator takes text".into())),
            (_, Control::Position { range, .. }) => {
                let message = format!("this actuator knows STOP and numbers from {} to {}", range.start(), range.end());
                Err((Reason::UnknownValue, message))
            }
            (_, Control::Number { range, .. }) => {
                let message = format!("this actuator knows numbers from {} to {}", range.start(), range.end());
                Err((Reason::UnknownValue, message))
            }
        }
    }

    /// Everything that can be said about a command when it arrives.
    pub(super) fn admit(
        &mut self,
        command: Command,
        stopping: bool,
        now: Instant,
        wall: SystemTime,
    ) -> Result<Command, (Reason, String)> {
        if command.expires.is_some_and(|at| at < wall) {
            return Err((Reason::Expired, "its `ttl` is over".into()));
        }
        if stopping {
            return Err((Reason::Busy, "the agent is stopping".into()));
        }
        if self.retired {
            return Err((Reason::Busy, "the actuator was removed from the configuration".into()));
        }
        if let Some(why) = &self.absent {
            return Err((Reason::Hardware, why.clone()));
        }
        if self.queue.len() >= QUEUE {
            return Err((Reason::Busy, format!("{QUEUE} commands are waiting already")));
        }
        // What can be refused whatever the state will be, is refused now. TOGGLE has to wait for its turn.
        let value = if command.value == Wanted::Toggle { None } else { Some(self.resolve(&command.value)?) };
        // What turns it off is never one too many.
        let rate = self.rules.rate.filter(|_| value.as_ref().is_none_or(does_something));
        if let Some(rate) = rate
            && let Some(wait) = self.taken.full(rate, now)
        {
            let message =
                format!("more than {} commands in {:?}; the next one in {}", rate.limit, rate.per, rough(wait));
            return Err((Reason::Busy, message));
        }
        // Last: the sender of a command that was refused for a passing reason may send it again.
        if let Some(id) = &command.id {
            self.seen.check(id, now)?;
        }
        if rate.is_some() {
            self.taken.take(now);
        }
        Ok(command)
    }

    /// It was opened.
    pub(super) fn is_open(&mut self, Before { state, past }: Before, now: Instant) {
        self.open = true;
        self.absent = None;
        self.spell = Spell::at_start(state.map(|state| state.is_active()), past, &self.rules, now);
    }

    /// It was written, or found, to be this.
    pub(super) fn settle_on(&mut self, target: Value) {
        if let Some(level) = target.number().filter(|level| *level > 0.0) {
            self.level = level;
        }
        self.target = Some(match target {
            Value::Position { at, .. } => Value::rest(at),
            other => other,
        });
    }

    /// Its state is not known any more; it may be on since `began`. It will be made safe.
    pub(super) fn lose(&mut self, began: Instant, now: Instant, stopping: bool) {
        self.state = None;
        self.target = None;
        self.pulse = None;
        self.deferred = None;
        self.spell.is_lost(began);
        self.retry = Some(now + if stopping { STOP_RETRY } else { self.pause });
        self.pause = (self.pause * 2).min(LONGEST_RETRY);
    }

    pub(super) fn force_safe(&mut self, why: String) {
        self.pulse = None;
        self.deferred = None;
        let Rules { control, safe, .. } = &self.rules;
        let safe = if self.leaving { control.left(safe) } else { safe.clone() };
        self.forced = Some(Job::safety(safe, why));
    }

    /// The time of its pulse is over.
    pub(super) fn end_pulse(&mut self) {
        if let Some(pulse) = self.pulse.take() {
            self.forced = Some(Job { id: pulse.id, ..Job::own(pulse.back, By::Command) });
        }
    }

    pub(super) fn max_on_ends(&self) -> Option<Instant> {
        Some(self.spell.on_since()? + self.rules.max_on?)
    }

    /// Says so if it has been on for as long as it may.
    pub(super) fn max_on_is_over(&self, now: Instant) -> Option<String> {
        self.max_on_ends().filter(|at| *at <= now)?;
        self.rules.max_on.map(|limit| format!("on for {limit:?}, which is its `max_on`"))
    }

    /// Whether it is going off, or is written to next for safety: there is nothing to add to that.
    pub(super) fn is_going_off(&self) -> bool {
        let off = |job: &Job<R>| job.begun.as_ref().is_some_and(|(value, _)| !value.is_active());
        self.forced.is_some() || self.retry.is_some() || self.writing.as_ref().is_some_and(off)
    }

    fn silence_ends(&self) -> Option<Instant> {
        let timeout = self.rules.heartbeat.as_ref()?.timeout;
        (!self.silent).then(|| self.heard + timeout)
    }

    /// Says so, once, if its controller has been silent for too long.
    pub(super) fn falls_silent(&mut self, now: Instant) -> Option<String> {
        self.silence_ends().filter(|at| *at <= now)?;
        self.silent = true;
        self.silence()
    }

    /// What is said of a controller that is silent.
    pub(super) fn silence(&self) -> Option<String> {
        let heartbeat = self.rules.heartbeat.as_ref().filter(|_| self.silent)?;
        Some(format!("no message on {} for {:?}", heartbeat.topic, heartbeat.timeout))
    }

    pub(super) fn lost_ends(&self, lost_since: Option<Instant>) -> Option<Instant> {
        if self.safed { None } else { Some(lost_since? + self.rules.safe_after?) }
    }

    pub(super) fn deadlines(&self, lost_since: Option<Instant>) -> [Option<Instant>; 6] {
        [
            self.retry,
            self.lost_ends(lost_since),
            self.silence_ends(),
            self.wake,
            self.max_on_ends().filter(|_| !self.is_going_off()),
            // While the gate's own wish waits for the worker, there is nothing to add to it.
            self.pulse.as_ref().map(|pulse| pulse.until).filter(|_| self.forced.is_none()),
        ]
    }
}

/// Whether this is more than to turn something off. A text is never on, but it is said.
pub(super) fn does_something(value: &Value) -> bool {
    value.is_active() || matches!(value, Value::Text(_))
}

/// For people: whole seconds from one second on, never less than it is.
pub(super) fn rough(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        return format!("{}ms", time.as_nanos().div_ceil(1_000_000));
    }
    format!("{}s", time.as_nanos().div_ceil(1_000_000_000))
}

fn outside(number: f64, range: &RangeInclusive<f64>, unit: Option<&str>) -> (Reason, String) {
    let unit = unit.map(|unit| format!(" {unit}")).unwrap_or_default();
    (Reason::OutOfRange, format!("{number} is outside of {} to {}{unit}", range.start(), range.end()))
}
