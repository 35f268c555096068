//! From the changes of a button to presses, double and long ones.
//!
//! ```text
//!             ┌──────────┐        ┌──────
//! ────────────┘          └────────┘        Idle → Down → Up → Told (double)
//!             ┌─────────────────────┐
//! ────────────┘        long ^       └───   Idle → Down → Told (long) → Idle
//! ```

use super::Press;
use std::time::{Duration, SystemTime};

/// What is waited for; `None` where nobody wants to know.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// How long a press lasts to be a long one.
    pub long: Option<Duration>,
    /// How soon after a release the next press makes a double one.
    pub double: Option<Duration>,
}

/// A button: each of its presses is told once, alone or with another one as a double.
#[derive(Clone, Copy, Debug)]
pub struct Presses {
    times: Times,
    phase: Phase,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Nothing is going on; also while it is held since nobody knows when.
    Idle,
    /// Pressed since then.
    Down(SystemTime),
    /// Pressed shortly, and released then: a second press may follow.
    Up(SystemTime),
    /// Still pressed, and told.
    Told,
}

impl Presses {
    /// One of which nothing is known.
    #[must_use]
    pub fn new(times: Times) -> Self {
        Self { times, phase: Phase::Idle }
    }

    /// Whatever was going on ended unseen.
    pub fn forget(&mut self) {
        self.phase = Phase::Idle;
    }

    /// When [`pass`](Self::pass) has something to tell, if nothing changes before.
    #[must_use]
    pub fn deadline(&self) -> Option<SystemTime> {
        match self.phase {
            Phase::Down(since) => self.times.long.map(|long| since + long),
            Phase::Up(since) => self.times.double.map(|double| since + double),
            Phase::Idle | Phase::Told => None,
        }
    }

    /// It is `time`, and nothing changed before. A press has the time of its release, a long one that at which it became so.
    pub fn pass(&mut self, time: SystemTime) -> Option<(SystemTime, Press)> {
        let due = self.deadline().filter(|deadline| *deadline <= time)?;
        match self.phase {
            Phase::Up(released) => {
                self.phase = Phase::Idle;
                Some((released, Press::Press))
            }
            _ => {
                self.phase = Phase::Told;
                Some((due, Press::Long))
            }
        }
    }

    /// It was pressed or released, after [`pass`](Self::pass) was told the time.
    pub fn change(&mut self, down: bool, time: SystemTime) -> Option<(SystemTime, Press)> {
        let (phase, told) = match (self.phase, down) {
            (Phase::Up(_), true) => (Phase::Told, Some((time, Press::Double))),
            (_, true) => (Phase::Down(time), None),
            (Phase::Down(_), false) if self.times.double.is_some() => (Phase::Up(time), None),
            (Phase::Down(_), false) => (Phase::Idle, Some((time, Press::Press))),
            (_, false) => (Phase::Idle, None),
        };
        self.phase = phase;
        told
    }
}
