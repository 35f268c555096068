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
    since: Instant,
    /// What was not taken yet.
    edges: VecDeque<(bool, Duration)>,
}

impl Tachometer {
    /// Of a fan whose control input is on `signal`, perhaps through a transistor that turns it round.
    #[must_use]
    pub fn new(signal: Pwm, invert: bool) -> Self {
        let start = clock::now();
        Self { signal, invert, start, since: start, edges: VecDeque::new() }
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
    /// Gives the edges since it was looked at last.
    fn turn(&mut self) {
        let now = clock::now();
        let passed = now.saturating_duration_since(std::mem::replace(&mut self.since, now));
        let part = if self.invert { 1.0 - self.signal.duty() } else { self.signal.duty() };
        if part < LEAST {
            return;
        }
        let half = Duration::from_secs_f64(60.0 / (part * FULL_SPEED) / 4.0);
        let end = now.saturating_duration_since(self.start);
        let ages = (0..KEPT).map_while(|back| Some((back, half * back)).filter(|(_, age)| *age < passed));
        for (back, age) in ages {
            self.edges.push_front((back % 2 == 1, end.saturating_sub(age)));
        }
    }
}
