//! The program as it is shipped, from real device nodes to a real broker, in the hardware lab.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // all of this file is a test

mod lab;
mod support;

#[path = "lab_agent/ends.rs"]
mod ends;
#[path = "lab_agent/faults.rs"]
mod faults;
#[path = "lab_agent/inputs.rs"]
mod inputs;
#[path = "lab_agent/kernel.rs"]
mod kernel;
#[path = "lab_agent/motions.rs"]
mod motions;
#[path = "lab_agent/outputs.rs"]
mod outputs;
#[path = "lab_agent/power.rs"]
mod power;
#[path = "lab_agent/sensors.rs"]
mod sensors;
#[path = "lab_agent/tools.rs"]
mod tools;
#[path = "lab_agent/world.rs"]
mod world;

use std::io::Write;

/// Runs a test in a guest that has Mosquitto and a GPIO chip like a Raspberry Pi's.
fn scenario(name: &str, body: impl FnOnce()) {
    guest(name, "lab-gpio create > /dev/null", body);
}

/// Runs a test in a guest that has Mosquitto and no GPIO chip.
fn guest(name: &str, setup: &str, body: impl FnOnce()) {
    guest_with(&[], name, setup, body);
}

/// The same with more options of `lab run`.
fn guest_with(options: &[&str], name: &str, setup: &str, body: impl FnOnce()) {
    if support::broker::program().is_none() {
        // Past the capture of the test runner, which shows nothing of a test that passes.
        std::io::stderr().write_all(b"skipped: mosquitto is not installed\n").unwrap();
        return;
    }
    lab::in_guest_with(options, name, setup, body);
}
