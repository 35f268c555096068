//! What the fuzz targets of the drivers were fed with, and what once made them fail: each input again.

#[path = "../../../fuzz/targets/drivers.rs"]
mod targets;

use std::path::Path;

fn replay(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(name);
    let inputs: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!inputs.is_empty());
    for input in inputs {
        println!("{}", input.display());
        target(&std::fs::read(input).unwrap());
    }
}

#[test]
fn bytes_on_serial_ports() {
    replay("serial", targets::serial);
}

#[test]
fn answers_of_parts() {
    replay("answers", targets::answers);
}
