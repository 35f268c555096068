//! The safety gate: the one place that decides what an actuator gets. Everything that wants to drive one, be it MQTT,
//! the command line or the start of the agent, comes through here.
//!
//! It is a state machine without clock, threads or hardware: what happens goes in by method calls, with the time; what
//! shall be done comes out of [`Gate::actions`]. Whoever owns it carries the actions out and reports back.
//!
//! Two rules keep it honest:
//!
//! - A state is *known* only after a write or a read that succeeded. After a failed write it is not, and an actuator
//!   whose state is not known counts as on for its interlocks, and goes to `safe` as soon as the hardware lets it.
//! - Only one write of an actuator is under way at a time; what the gate wants itself goes before what was asked.
//!
//! What holds for an actuator is in [`rules`], what keeps it from being on, and what begins when, in [`begin`], since when it is
//! on or off in [`spell`]; all that is known of it in [`unit`]. What comes out is in [`told`].

mod begin;
#[cfg(test)]
mod histories;
mod rate;
mod rules;
mod seen;
mod spell;
#[cfg(test)]
mod tests;
mod told;
mod unit;

pub use rate::Rate;
pub use rules::{Heartbeat, Rules};
pub use spell::Past;
pub use told::{Action, By, Outcome};

use super::command::{Command, Reason, Refusal, Takes, Wanted};
use halyard_drivers::{Fault, Next, Value};
use spell::Spell;
use std::collections::BTreeMap;
use std::time::{Instant, SystemTime};
use unit::{FIRST_RETRY, Job, Pulse, Unit};

/// An actuator as it is when it is opened.
#[derive(Clone, Debug, Default)]
pub struct Before {
    /// What it is, where the hardware can tell.
    pub state: Option<Value>,
    /// What was noted of it.
    pub past: Option<Past>,
}

/// See the module's description.
pub struct Gate<R> {
    units: BTreeMap<String, Unit<R>>,
    actions: Vec<Action<R>>,
    /// Since when there is no broker.
    lost_since: Option<Instant>,
    stopping: bool,
}

impl<R> Gate<R> {
    /// A gate without actuators, and without a broker since `now`.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { units: BTreeMap::new(), actions: Vec::new(), lost_since: Some(now), stopping: false }
    }

    /// What has to be done since the last call, in this order.
    #[must_use]
    pub fn actions(&mut self) -> Vec<Action<R>> {
        std::mem::take(&mut self.actions)
    }

    /// When [`tick`](Self::tick) wants to be called next.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.units.values().flat_map(|unit| unit.deadlines(self.lost_since).into_iter().flatten()).min()
    }

    /// A new actuator, not yet open.
    pub fn add(&mut self, actuator: &str, rules: Rules, now: Instant) {
        self.units.insert(actuator.to_owned(), Unit::new(rules, now));
    }

    /// The actuator was taken out of the configuration: it goes to `safe`, or stops, and takes no command any more.
    pub fn retire(&mut self, actuator: &str, now: Instant) {
        if let Some(unit) = self.units.get_mut(actuator) {
            unit.retired = true;
            unit.leaving = true;
        }
        self.make_safe(actuator, "it was removed from the configuration", now);
    }

    /// Forgets an actuator. Commands that wait are answered.
    pub fn remove(&mut self, actuator: &str) {
        self.refuse_waiting(actuator, Reason::Busy, "the actuator was removed from the configuration");
        self.units.remove(actuator);
    }

    /// The actuator was opened for the first time, was `before`, and shall be `initial`.
    pub fn opened(&mut self, actuator: &str, initial: Value, before: Before, now: Instant) {
        let Some(unit) = self.units.get_mut(actuator) else { return };
        // What was remembered may not be what it can be now.
        let initial = unit.resolve(&Wanted::Value(initial)).unwrap_or_else(|_| unit.rules.control.off());
        unit.is_open(before, now);
        if unit.forced.is_none() {
            unit.forced = match unit.max_on_is_over(now) {
                Some(why) if initial.is_active() => Some(Job::safety(unit.rules.control.off(), why)),
                _ => Some(Job::own(initial, By::Start)),
            };
        }
        self.advance(now);
    }

    /// The actuator was opened, and stays as it was found.
    pub fn found(&mut self, actuator: &str, before: Before, now: Instant) {
        if let Some(unit) = self.units.get_mut(actuator) {
            before.state.clone().into_iter().for_each(|state| unit.settle_on(state));
            unit.state.clone_from(&before.state);
            unit.is_open(before, now);
            unit.starting = false;
        }
        self.advance(now);
    }

    /// The actuator could not be opened. Commands fail from now on, until it is.
    pub fn absent(&mut self, actuator: &str, fault: &Fault, now: Instant) {
        if let Some(unit) = self.units.get_mut(actuator) {
            unit.absent = Some(fault.message.clone());
            unit.starting = false;
            self.refuse_waiting(actuator, Reason::Hardware, &fault.message);
        }
        self.advance(now);
    }

    /// How a command for `actuator` has to be read.
    #[must_use]
    pub fn takes(&self, actuator: &str) -> Takes {
        self.units.get(actuator).map_or(Takes::Words, |unit| Takes::of(&unit.rules.control))
    }

    /// A command for `actuator`, as it was read. An unknown actuator is ignored: its topic is not ours.
    #[allow(clippy::too_many_arguments)] // each is a fact about one message
    pub fn command(
        &mut self,
        actuator: &str,
        command: Result<Command, Refusal>,
        retained: bool,
        route: R,
        now: Instant,
        wall: SystemTime,
    ) {
        let Some(unit) = self.units.get_mut(actuator) else { return };
        let (id, verdict) = match command {
            // Its age is not known, so nothing else about it matters.
            Ok(Command { id, .. }) | Err(Refusal { id, .. }) if retained => {
                (id, Err((Reason::Retained, "retained commands are not carried out".to_owned())))
            }
            Err(Refusal { id, reason, message }) => (id, Err((reason, message))),
            Ok(command) => (command.id.clone(), unit.admit(command, self.stopping, now, wall)),
        };
        match verdict {
            Ok(command) => {
                let Command { id, value, pulse, expires } = command;
                unit.queue.push_back(Job {
                    value,
                    by: By::Command,
                    id,
                    route: Some(route),
                    pulse,
                    expires: expires.and_then(|at| now.checked_add(at.duration_since(wall).unwrap_or_default())),
                    why: None,
                    begun: None,
                });
                self.advance(now);
            }
            Err((reason, message)) => {
                let outcome = Outcome { id, reason: Some(reason), state: unit.state.clone(), message: Some(message) };
                self.actions.push(Action::Answer { actuator: actuator.to_owned(), outcome, route });
            }
        }
    }

    /// What became of the write that was asked for last.
    pub fn written(&mut self, actuator: &str, result: Result<Value, Fault>, now: Instant) {
        let stopping = self.stopping;
        let Some(unit) = self.units.get_mut(actuator) else { return };
        let Some(job) = unit.writing.take() else { return };
        let (asked, began) = job.begun.map_or((None, now), |(value, began)| (Some(value), began));
        let mut outcome = Outcome { id: job.id.clone(), reason: None, state: None, message: None };
        unit.starting = false;
        let mut shown = None;
        match result {
            Ok(value) => {
                let before = unit.state.replace(value.clone());
                let before = unit.target.take().or(before);
                // Where it stops, its state says.
                unit.settle_on(asked.filter(|asked| *asked != Value::STOP).unwrap_or_else(|| value.clone()));
                unit.last = (job.by, job.id.clone(), job.why.clone());
                unit.spell.is(value.is_active(), began, now);
                unit.pause = FIRST_RETRY;
                unit.retry = None;
                // The end of a pulse is a job without a pulse and without a route: it ends the pulse as well.
                let earlier = unit.pulse.take().map(|pulse| pulse.back).or(before);
                if let Some(length) = job.pulse {
                    let back = earlier.unwrap_or_else(|| unit.rules.safe.clone());
                    unit.pulse = Some(Pulse { until: now + length, back, id: job.id.clone() });
                }
                shown =
                    Some(Action::State { actuator: actuator.to_owned(), value, by: job.by, id: job.id, why: job.why });
            }
            Err(fault) => {
                outcome.reason = Some(Reason::Hardware);
                outcome.message = Some(fault.message.clone());
                // Also if the part cannot do it: what nobody asked for has to be done.
                if fault.kind.next() != Next::Answer || job.route.is_none() {
                    unit.lose(began, now, stopping);
                } else if unit.state.as_ref().is_some_and(|state| !state.is_active()) {
                    unit.spell.stays_off();
                }
            }
        }
        outcome.state.clone_from(&unit.state);
        if let Some(route) = job.route {
            self.actions.push(Action::Answer { actuator: actuator.to_owned(), outcome, route });
        }
        // After the answer, for which somebody waits.
        self.actions.extend(shown);
        self.advance(now);
    }

    /// What an actuator was found to be, between writes. A state that nobody asked for is told, and counts.
    pub fn checked(&mut self, actuator: &str, found: Result<Value, Fault>, now: Instant) {
        let stopping = self.stopping;
        let Some(unit) = self.units.get_mut(actuator) else { return };
        // What is just being written will be known in a moment; what is not known already will be made safe.
        if unit.writing.is_some() || unit.state.is_none() {
            return;
        }
        match found {
            Ok(value) if unit.state.as_ref() == Some(&value) => {}
            Ok(value) => {
                unit.settle_on(value.clone());
                unit.last = (By::Local, None, None);
                self.is_now(actuator, value, now);
            }
            Err(_) => unit.lose(now, now, stopping),
        }
        self.advance(now);
    }

    /// An actuator has gone on by itself towards what it was told.
    pub fn moved(&mut self, actuator: &str, state: Result<Value, Fault>, now: Instant) {
        let stopping = self.stopping;
        let Some(unit) = self.units.get_mut(actuator) else { return };
        if unit.writing.is_some() || unit.state.is_none() {
            return;
        }
        match state {
            Ok(value) => self.is_now(actuator, value, now),
            Err(_) => unit.lose(now, now, stopping),
        }
        self.advance(now);
    }

    fn is_now(&mut self, actuator: &str, value: Value, now: Instant) {
        let Some(unit) = self.units.get_mut(actuator) else { return };
        unit.state = Some(value.clone());
        unit.spell.is(value.is_active(), now, now);
        let (by, id, why) = unit.last.clone();
        self.actions.push(Action::State { actuator: actuator.to_owned(), value, by, id, why });
    }

    /// The broker is there, or lost.
    pub fn broker(&mut self, connected: bool, now: Instant) {
        if connected {
            self.lost_since = None;
            self.units.values_mut().for_each(|unit| unit.safed = false);
        } else {
            self.lost_since.get_or_insert(now);
        }
    }

    /// A controller said something on this topic. Gives the actuators that it was missed by.
    pub fn heartbeat(&mut self, topic: &str, now: Instant) -> Vec<String> {
        let mut missed = Vec::new();
        for (actuator, unit) in &mut self.units {
            if unit.rules.heartbeat.as_ref().is_some_and(|heartbeat| heartbeat.topic == topic) {
                unit.heard = now;
                if std::mem::take(&mut unit.silent) {
                    missed.push(actuator.clone());
                }
            }
        }
        missed
    }

    /// No command is taken any more; all actuators go to `safe`, or stop.
    pub fn stop(&mut self, now: Instant) {
        self.stopping = true;
        self.units.values_mut().for_each(|unit| unit.leaving = true);
        let actuators: Vec<_> = self.units.keys().cloned().collect();
        for actuator in actuators {
            self.make_safe(&actuator, "the agent stops", now);
        }
    }

    /// This actuator goes to `safe`; commands that wait for it are refused.
    pub fn make_safe(&mut self, actuator: &str, why: &str, now: Instant) {
        self.refuse_waiting(actuator, Reason::Busy, &format!("the actuator goes to its safe state: {why}"));
        if let Some(unit) = self.units.get_mut(actuator) {
            unit.force_safe(why.to_owned());
        }
        self.advance(now);
    }

    /// Whether nothing is under way or due for this actuator, and its state is known. One that could never be opened
    /// was never driven, and has nothing to settle.
    #[must_use]
    pub fn is_settled(&self, actuator: &str) -> bool {
        self.units
            .get(actuator)
            .is_none_or(|unit| !unit.open || (unit.writing.is_none() && unit.forced.is_none() && unit.state.is_some()))
    }

    /// Whether an actuator is not yet what it was told to be.
    #[must_use]
    pub fn is_on_its_way(&self, actuator: &str) -> bool {
        self.units.get(actuator).is_some_and(|unit| unit.state.is_some() && unit.state != unit.target)
    }

    /// The ids of the actuators.
    pub fn actuators(&self) -> impl Iterator<Item = &str> {
        self.units.keys().map(String::as_str)
    }

    /// The state of an actuator, if it is known.
    #[must_use]
    pub fn state(&self, actuator: &str) -> Option<&Value> {
        self.units.get(actuator).and_then(|unit| unit.state.as_ref())
    }

    /// Does what is due at `now`.
    pub fn tick(&mut self, now: Instant) {
        let (mut over, mut unsafe_now) = (Vec::new(), Vec::new());
        let waits: Vec<_> = self.units.keys().map(|actuator| self.waits_until(actuator, now)).collect();
        for ((actuator, unit), waits) in self.units.iter_mut().zip(waits) {
            if unit.retry.is_some_and(|at| at <= now) {
                unit.retry = None;
                unit.force_safe("its state is not known".to_owned());
            }
            if !unit.is_going_off()
                && let Some(why) = unit.max_on_is_over(now)
            {
                unit.pulse = None;
                unit.deferred = None;
                unit.forced = Some(Job::safety(unit.rules.control.off(), why.clone()));
                over.push((actuator.clone(), why));
            }
            if unit.lost_ends(self.lost_since).is_some_and(|at| at <= now) {
                unit.safed = true;
                unsafe_now
                    .push((actuator.clone(), format!("no broker for {:?}", unit.rules.safe_after.unwrap_or_default())));
            }
            if let Some(why) = unit.falls_silent(now) {
                unsafe_now.push((actuator.clone(), why));
            }
            // After the above: a pulse that ends at the same time as `max_on` must not turn anything on again.
            if unit.forced.is_none()
                && let Some(pulse) = &mut unit.pulse
                && pulse.until <= now
            {
                match waits.filter(|_| pulse.back.is_active()) {
                    // What it goes back to may not begin yet.
                    Some(until) => pulse.until = until,
                    None => unit.end_pulse(),
                }
            }
        }
        for (actuator, why) in over {
            // Else it would go on again at once.
            self.refuse_waiting(&actuator, Reason::Busy, &why);
        }
        for (actuator, why) in unsafe_now {
            self.make_safe(&actuator, &why, now);
        }
        self.advance(now);
    }

    fn refuse_waiting(&mut self, actuator: &str, reason: Reason, why: &str) {
        let Some(unit) = self.units.get_mut(actuator) else { return };
        for job in unit.queue.drain(..) {
            if let Some(route) = job.route {
                let (reason, message) = (Some(reason), Some(why.to_owned()));
                let outcome = Outcome { id: job.id, reason, state: unit.state.clone(), message };
                self.actions.push(Action::Answer { actuator: actuator.to_owned(), outcome, route });
            }
        }
    }
}
