//! What the fuzz targets of the drivers were fed with, and what once made them fail: each input again.

#[path = "../../../fuzz/replay.rs"]
mod replay;
#[path = "../../../fuzz/targets/drivers.rs"]
pub mod targets;

use replay::replay;

#[test]
fn bytes_on_serial_ports() {
    replay("serial", targets::serial);
}

#[test]
fn answers_of_parts() {
    replay("answers", targets::answers);
}
