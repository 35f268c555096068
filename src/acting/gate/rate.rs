//! How many commands an actuator takes in a time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// At most so many commands in any time of this length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub limit: usize,
    /// In which time.
    pub per: Duration,
}

/// When the last commands were taken.
#[derive(Default)]
pub(super) struct Taken(VecDeque<Instant>);

impl Taken {
    /// How long it takes until there is room for another one, if there is none now.
    pub(super) fn full(&mut self, rate: Rate, now: Instant) -> Option<Duration> {
        while self.0.front().is_some_and(|at| now.saturating_duration_since(*at) >= rate.per) {
            self.0.pop_front();
        }
        let oldest = self.0.front().filter(|_| self.0.len() >= rate.limit)?;
        Some(rate.per.saturating_sub(now.saturating_duration_since(*oldest)))
    }

    /// One more was taken.
    pub(super) fn take(&mut self, now: Instant) {
        self.0.push_back(now);
    }
}
