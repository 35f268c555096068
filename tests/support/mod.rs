//! What the tests against real brokers share.
//!
//! Each test file uses a part of it, so unused items are no news.
#![allow(dead_code)]

pub mod broker;
pub mod cable;
pub mod fake;
pub mod meter;
pub mod peer;
pub mod program;
pub mod proxy;
pub mod wire;
pub mod witness;

use std::time::{Duration, Instant};

/// How long anything may take in a test before it counts as not happening. Only failures wait so long.
pub const LIMIT: Duration = Duration::from_secs(30);

/// Waits until the condition holds.
#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < end, "not within {LIMIT:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
