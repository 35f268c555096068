//! The time of models.
//!
//! It is the real one, but for the tests of this crate: there it stands still until a driver [waits](crate::port::Delay),
//! and each thread has its own. So tests take no time, and a driver that waits too little fails on a slow machine as well.

use std::time::Instant;

/// What time it is for a model.
#[cfg(not(test))]
pub fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
pub use stopped::{now, pass};

#[cfg(test)]
mod stopped {
    use super::Instant;
    use std::cell::Cell;
    use std::time::Duration;

    thread_local! {
        static NOW: Cell<Instant> = Cell::new(Instant::now());
    }

    pub fn now() -> Instant {
        NOW.get()
    }

    /// Lets time pass.
    pub fn pass(time: Duration) {
        NOW.set(NOW.get() + time);
    }
}
