//! Modbus RTU as it goes over the wire: the built program at one end of a pseudo terminal, a test at the other.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // all of this file is a test

mod support;

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::thread::JoinHandle;
use support::cable::Cable;
use support::program::halyard;
use tempfile::TempDir;

/// A request, and what is answered to it.
type Exchange = (&'static [u8; 8], &'static [u8]);

/// Eastron, SDM230-Modbus, protocol implementation: the voltage of unit 1, 230.2 V.
const VOLTAGE: Exchange =
    (&[0x01, 0x04, 0x00, 0x00, 0x00, 0x02, 0x71, 0xCB], &[0x01, 0x04, 0x04, 0x43, 0x66, 0x33, 0x34, 0x1B, 0x38]);
/// MODBUS Application Protocol Specification V1.1b3, section 6.5: coil 172, here of unit 17, is turned on.
const COIL: Exchange =
    (&[0x11, 0x05, 0x00, 0xAC, 0xFF, 0x00, 0x4E, 0x8B], &[0x11, 0x05, 0x00, 0xAC, 0xFF, 0x00, 0x4E, 0x8B]);
/// Section 7: it refuses, for there is no such address.
const REFUSAL: Exchange = (VOLTAGE.0, &[0x01, 0x84, 0x02, 0xC2, 0xC1]);
/// A bit of the voltage went wrong on its way.
const GARBLED: Exchange = (VOLTAGE.0, &[0x01, 0x04, 0x04, 0x43, 0x67, 0x33, 0x34, 0x1B, 0x38]);

/// A line with devices on it.
struct Bench {
    cable: Cable,
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let (cable, folder) = (Cable::new(), TempDir::new().unwrap());
        let text = format!(
            "\
agent: {{ id: test }}
mqtt: {{ url: mqtt://127.0.0.1:1 }}
sensors:
  - id: meter
    driver: registers
    port: {port}
    baud: 2400
    parity: even
    timeout: 2s
    registers: {{ voltage: {{ table: input, register: 0, type: f32, unit: V, min: 0, max: 300 }} }}
actuators:
  - id: relay
    driver: register
    port: {port}
    address: 17
    baud: 2400
    parity: even
    table: coil
    register: 0x00AC
    readable: false
",
            port = cable.path
        );
        std::fs::write(folder.path().join("config.yaml"), text).unwrap();
        Self { cable, folder }
    }

    /// Answers what is asked, in this order, until the line is pulled or all was asked; gives how much of it was.
    fn answer(&self, talk: &'static [Exchange]) -> JoinHandle<usize> {
        let mut device = self.cable.device.try_clone().unwrap();
        std::thread::spawn(move || {
            for (index, (request, answer)) in talk.iter().enumerate() {
                let mut bytes = [0; 8];
                if device.read_exact(&mut bytes).is_err() {
                    return index;
                }
                assert_eq!(&bytes, *request, "what goes over the line");
                device.write_all(answer).unwrap();
            }
            talk.len()
        })
    }

    /// Runs a command to its end: exit code, stdout, stderr.
    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = halyard(&self.folder, arguments);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }
}

#[test]
fn a_meter_is_read_with_the_frames_of_its_manual() {
    let bench = Bench::new();
    // Once to see whether it is there.
    let device = bench.answer(&[VOLTAGE, VOLTAGE]);
    let (code, out, err) = bench.run(&["read", "--json"]);
    assert_eq!((code, device.join().unwrap()), (0, 2), "{err}");
    assert!(out.contains("230.2"), "{out}");

    // As the program left the line: both ends of a pseudo terminal have the same settings, but no parity ever.
    // SAFETY: plain data; all zeros are a value of it.
    let mut line: libc::termios2 = unsafe { std::mem::zeroed() };
    // SAFETY: the descriptor is open, and the pointer is to a variable of ours, of the sort that this request fills.
    assert_eq!(unsafe { libc::ioctl(bench.cable.device.as_raw_fd(), libc::TCGETS2, &raw mut line) }, 0);
    assert_eq!(line.c_ospeed, 2_400);
}

#[test]
fn a_relay_is_driven_with_the_frame_of_the_specification() {
    let bench = Bench::new();
    let device = bench.answer(&[COIL]);
    let (code, out, err) = bench.run(&["set", "relay", "ON"]);
    assert_eq!((code, device.join().unwrap()), (0, 1), "{err}");
    assert!(out.contains("relay ON"), "{out}");
}

#[test]
fn a_refusal_and_a_wrong_check_are_no_measurements() {
    for (talk, expected) in [(&[REFUSAL] as &[Exchange], "refuses"), (&[GARBLED], "unit 1 does not answer")] {
        let bench = Bench::new();
        let device = bench.answer(talk);
        let (code, out, err) = bench.run(&["read"]);
        assert_eq!((code, out.as_str(), device.join().unwrap()), (69, "", 1), "{err}");
        assert!(err.contains("reading input register 0x0000") && err.contains(expected), "{err}");
    }
}
