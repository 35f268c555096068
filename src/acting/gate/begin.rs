//! What begins when: which job of an actuator is next, and what keeps it from being on.

use super::unit::{Job, Unit, does_something, rough};
use super::{Action, By, Gate, Outcome, Reason};
use std::time::{Duration, Instant};

/// Why an actuator must not go on.
enum Hindrance {
    /// Another one is about to be driven for the first time: in a moment it is known.
    Starting,
    /// Until this time, for this reason.
    Until(Instant, Reason, String),
    /// For this reason, as long as that lasts.
    While(Reason, String),
}

impl<R> Gate<R> {
    /// What keeps an actuator from going on.
    fn hindrance(&self, actuator: &str, now: Instant) -> Option<Hindrance> {
        let unit = self.units.get(actuator)?;
        let others = || unit.rules.interlock.iter().filter_map(|id| self.units.get_key_value(id));
        let mut on = others().filter(|(_, other)| other.may_be_on());
        if let Some((id, _)) = on.clone().find(|(_, other)| !other.starting) {
            return Some(Hindrance::While(Reason::Interlock, format!("{id} is on, or its state is not known")));
        }
        if on.next().is_some() {
            return Some(Hindrance::Starting);
        }
        // What is on already does not begin.
        if unit.spell.is_on() {
            return None;
        }
        let rest = unit.rules.min_off.and_then(|min_off| match unit.spell.off_since() {
            Some(off) => {
                let left = (off + min_off).saturating_duration_since(now);
                let message = format!("off for less than its `min_off` of {min_off:?}: {} to go", rough(left));
                (!left.is_zero()).then(|| Hindrance::Until(now + left, Reason::Busy, message))
            }
            None => Some(Hindrance::While(
                Reason::Busy,
                "its state is not known, nor whether it has been off for its `min_off`".to_owned(),
            )),
        });
        // The longest one: whatever waits is woken once.
        others().filter_map(|(id, other)| dead_time(unit, id, other, now)).chain(rest).max_by_key(|hindrance| {
            match hindrance {
                Hindrance::Until(until, ..) => Some(*until),
                _ => None,
            }
        })
    }

    /// Until when an actuator must not go on, if that is a matter of time only.
    pub(super) fn waits_until(&self, actuator: &str, now: Instant) -> Option<Instant> {
        match self.hindrance(actuator, now)? {
            Hindrance::Until(until, ..) => Some(until),
            Hindrance::Starting | Hindrance::While(..) => None,
        }
    }

    /// Begins whatever can begin, and notes what is or may be on by then.
    pub(super) fn advance(&mut self, now: Instant) {
        let actuators: Vec<_> = self.units.keys().cloned().collect();
        for actuator in &actuators {
            while self.begin_next(actuator, now) {}
        }
        for (actuator, unit) in &mut self.units {
            if let Some((active, since)) = unit.spell.change() {
                self.actions.push(Action::Note { actuator: actuator.clone(), active, since });
            }
        }
    }

    /// Takes the next job of an actuator, if it can take one; `true` if nothing came of it and there may be another.
    fn begin_next(&mut self, actuator: &str, now: Instant) -> bool {
        let hindrance = self.hindrance(actuator, now);
        let Some(unit) = self.units.get_mut(actuator) else { return false };
        if unit.writing.is_some() || !unit.open {
            return false;
        }
        unit.wake = None;
        let Some(mut job) = unit.forced.take().or_else(|| unit.queue.pop_front()) else {
            return unit.wait_or_begin(hindrance.as_ref());
        };
        let verdict = if job.expires.is_some_and(|at| at < now) {
            Err((Reason::Expired, "it expired while it waited".to_owned()))
        } else {
            unit.resolve(&job.value)
        };
        // A value that is none will not become one.
        let wait = verdict.is_ok();
        let verdict = match verdict {
            Ok(value) if job.route.is_some() && does_something(&value) && value != unit.rules.safe => {
                unit.silence().map_or(Ok(value), |why| Err((Reason::Busy, why)))
            }
            other => other,
        };
        let verdict = match (verdict, hindrance) {
            (Ok(value), Some(hindrance)) if value.is_active() => match hindrance {
                Hindrance::Starting if job.route.is_some() => {
                    unit.queue.push_front(job);
                    return false;
                }
                hindrance => Err(hindrance.told()),
            },
            (verdict, _) => verdict,
        };
        let value = match (verdict, job.route.take()) {
            (Ok(value), route) => {
                job.route = route;
                value
            }
            (Err((reason, message)), Some(route)) => {
                let outcome =
                    Outcome { id: job.id, reason: Some(reason), state: unit.state.clone(), message: Some(message) };
                self.actions.push(Action::Answer { actuator: actuator.to_owned(), outcome, route });
                return true;
            }
            // The gate's own wish for something active is in the way of another actuator: off it is, for now.
            (Err(_), None) => {
                let (off, by, why) = (unit.rules.control.off(), job.by, job.why.clone());
                if by != By::Command && wait {
                    unit.deferred = Some(job);
                    if unit.state.as_ref().is_some_and(|state| !state.is_active()) {
                        return true;
                    }
                }
                job = Job { why, ..Job::own(off.clone(), by) };
                off
            }
        };
        if job.by == By::Command {
            unit.deferred = None;
        }
        if value.is_active() {
            unit.spell.begins(now);
        }
        job.begun = Some((value.clone(), now));
        let at_once = job.by == By::Safety;
        unit.writing = Some(job);
        self.actions.push(Action::Write { actuator: actuator.to_owned(), value, at_once });
        false
    }
}

impl<R> Unit<R> {
    /// Without anything else to do: what was deferred begins when it can. `true` if it does.
    fn wait_or_begin(&mut self, hindrance: Option<&Hindrance>) -> bool {
        match hindrance {
            None => self.forced = self.deferred.take(),
            Some(Hindrance::Until(until, ..)) => self.wake = self.deferred.as_ref().map(|_| *until),
            Some(Hindrance::Starting | Hindrance::While(..)) => {}
        }
        self.forced.is_some()
    }
}

impl Hindrance {
    fn told(self) -> (Reason, String) {
        match self {
            Self::Starting => (Reason::Interlock, "another actuator is not known yet".to_owned()),
            Self::Until(_, reason, message) | Self::While(reason, message) => (reason, message),
        }
    }
}

/// What another actuator that went off keeps this one from.
fn dead_time<R>(unit: &Unit<R>, id: &str, other: &Unit<R>, now: Instant) -> Option<Hindrance> {
    let dead_time = unit.rules.dead_time_after(&other.rules);
    let until = other.spell.off_since()? + dead_time;
    let left: Duration = until.saturating_duration_since(now);
    let message = format!("{id} went off less than {dead_time:?} ago: {} to go", rough(left));
    (!left.is_zero()).then_some(Hindrance::Until(until, Reason::Interlock, message))
}
