//! The time of models.
//!
//! It is the real one, but for the tests of this crate and a fuzzer: there it stands still until a driver [waits](crate::port::Delay),
//! and each thread has its own. So tests take no time, and a driver that waits too little fails on a slow machine as well.

use std::sync::OnceLock;
use std::time::Instant;

/// Since when the time of models runs faster, if it does.
static HURRY: OnceLock<Instant> = OnceLock::new();

/// From now on a microsecond is a second for models: whatever a driver waits for is done when it looks. For tests that
/// record what happens, which must not depend on how fast a machine is.
pub fn hurry() {
    HURRY.get_or_init(Instant::now);
}

/// What time it is for a model.
#[cfg(not(any(test, fuzzing)))]
pub fn now() -> Instant {
    HURRY.get().map_or_else(Instant::now, |start| *start + start.elapsed() * 1_000_000)
}

#[cfg(any(test, fuzzing))]
pub use stopped::{now, pass};

#[cfg(any(test, fuzzing))]
mod stopped {
    use super::Instant;
    use std::cell::Cell;
    use std::time::Duration;

    thread_local! {
        static NOW: Cell<Instant> = Cell::new(Instant::now());
    }

    /// What time it is for a model of this thread.
    pub fn now() -> Instant {
        NOW.get()
    }

    /// Lets time pass.
    pub fn pass(time: Duration) {
        NOW.set(NOW.get() + time);
    }
}
