//! Since when an actuator is on or off, also across a restart of the agent: what `max_on`, `min_off` and dead times count
//! from.

use super::Rules;
use std::time::{Duration, Instant};

/// What was noted of an actuator before the agent was started: that it went on, or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Past {
    /// Whether it was turned on last, or may have been.
    pub active: bool,
    /// How long ago; `None` where no clock can tell.
    pub lasted: Option<Duration>,
}

/// Doubt is counted against whatever wants to be on: it is on for longer, and off for shorter, than it may be.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spell {
    /// Since when it is, or may be, on.
    on: Option<Instant>,
    /// Since when it is known to be off. Beside `on`: it was off before what is under way, or was found off when the agent
    /// did not turn it off.
    off: Option<Instant>,
    /// Whether it is known to be on.
    known: bool,
    /// What was told of it last.
    told: Option<bool>,
}

impl Spell {
    /// At the start: `found` is whether it is on, where the hardware can tell.
    pub(super) fn at_start(found: Option<bool>, past: Option<Past>, rules: &Rules, now: Instant) -> Self {
        let noted_on = past.is_some_and(|past| past.active);
        let began = match past {
            // If no clock can tell, all of its time is over.
            Some(Past { lasted, .. }) => now.checked_sub(lasted.or(rules.max_on).unwrap_or_default()).unwrap_or(now),
            None => now,
        };
        let went_off = match past {
            // What has no `min_off` may have been on since, for a moment that was not noted any more.
            Some(Past { active: false, lasted: Some(lasted) }) if rules.min_off.is_some() => {
                now.checked_sub(lasted).unwrap_or(now)
            }
            _ => now,
        };
        Self {
            on: (noted_on || found == Some(true)).then_some(began),
            off: (found != Some(true)).then_some(went_off),
            known: found == Some(true),
            told: past.map(|past| past.active),
        }
    }

    /// Something that turns it on begins.
    pub(super) fn begins(&mut self, now: Instant) {
        self.on.get_or_insert(now);
    }

    /// What began was not done at all: it is off as before.
    pub(super) fn stays_off(&mut self) {
        self.on = None;
    }

    /// It is known what it is now; what made it so began at `began`.
    pub(super) fn is(&mut self, active: bool, began: Instant, now: Instant) {
        self.known = active;
        if active {
            self.on.get_or_insert(began);
            self.off = None;
        } else if self.on.take().is_some() || self.off.is_none() {
            self.off = Some(now);
        }
    }

    /// Nobody knows what it is: it may be on since `began`.
    pub(super) fn is_lost(&mut self, began: Instant) {
        self.on.get_or_insert(began);
        (self.off, self.known) = (None, false);
    }

    /// Since when it is, or may be, on.
    pub(super) fn on_since(&self) -> Option<Instant> {
        self.on
    }

    /// Since when it is known to be off.
    pub(super) fn off_since(&self) -> Option<Instant> {
        self.off
    }

    /// Whether it is known to be on.
    pub(super) fn is_on(&self) -> bool {
        self.known
    }

    /// What has to be noted: whether it is, or may be, on, and since when. Given once for each change.
    pub(super) fn change(&mut self) -> Option<(bool, Instant)> {
        let (active, since) = match (self.on, self.off) {
            (Some(on), _) => (true, on),
            (None, Some(off)) => (false, off),
            (None, None) => return None,
        };
        (self.told.replace(active) != Some(active)).then_some((active, since))
    }
}
