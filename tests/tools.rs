//! `halyard scan`, `doctor` and `watch`: the built program, on simulated buses and at a real broker.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // all of this file is a test

mod support;

#[path = "tools/doctor.rs"]
mod doctor;
#[path = "tools/scan.rs"]
mod scan;
#[path = "tools/watch.rs"]
mod watch;
