//! What the fuzz targets were fed with, and what once made them fail: each input again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../fuzz/replay.rs"]
mod replay;
#[path = "../fuzz/targets/agent.rs"]
mod targets;

use replay::replay;

#[test]
fn configuration_files() {
    replay("configuration", targets::configuration);
}

#[test]
fn payloads_of_commands() {
    replay("command", targets::command);
}

#[test]
fn what_comes_from_the_broker() {
    replay("inbound", targets::inbound);
}
