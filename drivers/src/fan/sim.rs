//! The tachometer of a fan, as Intel's specification has it: two pulses in a revolution, and none below the least speed.

use crate::port::{EdgeInput, PortError};
use crate::sensor::Edge;
use crate::sim::{Pwm, clock};
use std::time::{Duration, Instant, SystemTime};

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
    since: Instant,
}

impl Tachometer {
    /// Of a fan whose control input is on `signal`, perhaps through a transistor that turns it round.
    #[must_use]
    pub fn new(signal: Pwm, invert: bool) -> Self {
        Self { signal, invert, since: clock::now() }
    }
}

impl EdgeInput for Tachometer {
    fn take(&mut self) -> Result<Vec<Edge>, PortError> {
        let now = clock::now();
        let passed = now.saturating_duration_since(std::mem::replace(&mut self.since, now));
        let part = if self.invert { 1.0 - self.signal.duty() } else { self.signal.duty() };
        if part < LEAST {
            return Ok(Vec::new());
        }
        let half = Duration::from_secs_f64(60.0 / (part * FULL_SPEED) / 4.0);
        let end = SystemTime::now();
        let times = (0..KEPT).map_while(|back| Some((back, half * back)).filter(|(_, age)| *age < passed));
        let mut edges: Vec<_> =
            times.filter_map(|(back, age)| Some(Edge { high: back % 2 == 1, time: end.checked_sub(age)? })).collect();
        edges.reverse();
        Ok(edges)
    }
}
