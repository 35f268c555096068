//! What the fuzz targets were fed with, and what once made them fail: each input again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../fuzz/targets/agent.rs"]
mod targets;

use std::path::Path;

fn replay(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let inputs: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!inputs.is_empty());
    for input in inputs {
        println!("{}", input.display());
        target(&std::fs::read(input).unwrap());
    }
}

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
