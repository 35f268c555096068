//! The tachometer of a fan, as Intel's specification has it: two pulses in a revolution, and none below the least speed.

use crate::port::{InputLine, PortError};
use crate::sim::{Pwm, clock};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Revolutions in a minute at full speed.
pub const FULL_SPEED: f64 = 2_000.0;
/// Below this part of the time the fan stands still (section 3, type C).
const LEAST: f64 = 0.1;
/// Edges that are kept until they are taken, as many as the kernel keeps.
const KEPT: u32 = 1024;

/// A fan that turns as its signal says, without inertia.
pub struct Tachometer {
    signal: Pwm,
    invert: bool,
    start: Instant,
    /// Of the last edge, or of the last look at a fan that stood still.
    since: Instant,
    high: bool,
    /// What was not taken yet.
    edges: VecDeque<(bool, Duration)>,
}

impl Tachometer {
    /// Of a fan whose control input is on `signal`, perhaps through a transistor that turns it round.
    #[must_use]
    pub fn new(signal: Pwm, invert: bool) -> Self {
        let start = clock::now();
        Self { signal, invert, start, since: start, high: true, edges: VecDeque::new() }
    }
}

impl InputLine for Tachometer {
    fn level(&mut self) -> Result<bool, PortError> {
        Ok(true)
    }

    fn edge(&mut self, _: Duration) -> Result<Option<(bool, Duration)>, PortError> {
        if self.edges.is_empty() {
            self.turn();
        }
        Ok(self.edges.pop_front())
    }
}

impl Tachometer {
    /// Gives the edges that are due since the last one: none before half a period has passed, however often it is asked.
    fn turn(&mut self) {
        let now = clock::now();
        let part = if self.invert { 1.0 - self.signal.duty() } else { self.signal.duty() };
        if part < LEAST {
            self.since = now;
            return;
        }
        let half = Duration::from_secs_f64(60.0 / (part * FULL_SPEED) / 4.0);
        // Those that nobody came for in time are lost.
        let kept = half * KEPT;
        if now.saturating_duration_since(self.since) > kept {
            self.since = now.checked_sub(kept).unwrap_or(now);
        }
        while now.saturating_duration_since(self.since) >= half {
            self.since += half;
            self.high = !self.high;
            self.edges.push_back((self.high, self.since.saturating_duration_since(self.start)));
        }
    }
}
