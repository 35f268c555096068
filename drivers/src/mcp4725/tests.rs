use super::sim::Model;
use super::*;
use crate::fault::FaultKind;
use crate::sim::{I2cBus, SharedPart};
use crate::tests::rig::wire_at;

fn stage() -> I2cBus {
    let bus = I2cBus::new();
    bus.attach(0x60, SharedPart::new(Box::new(Model::default())));
    bus
}

fn open(bus: &I2cBus) -> Box<dyn Actuator> {
    Options { reference: Supply(5.0) }.open(wire_at(bus, 0x60)).unwrap()
}

/// Equation 4-1 with the step of a supply of 5 V, 1.22 mV ("Features": 12 bits; section 4.1).
#[test]
fn steps_of_the_datasheet() {
    assert!((volts(1, 5.0) - 0.001_22).abs() < 1e-5);
    assert!((volts(HIGHEST, 5.0) - 4.998_78).abs() < 1e-5);
    assert_eq!([code(0.0, 5.0), code(2.5, 5.0), code(5.0, 5.0)], [0, 0x800, 0xFFF]);
}

/// Figure 6-1: fast mode is two bytes, of which the first four bits are zero; figure 6-3: the code stands left in what is read.
#[test]
fn bytes_on_the_bus() {
    let bus = stage();
    let mut output = open(&bus);
    bus.record();
    let found = output.apply(&Value::Number(1.25)).unwrap();
    assert_eq!(found, Value::Number(1.25));
    assert_eq!(bus.recorded(), ["60 W 04 00", "60 R c0 40 00"]);
}

#[test]
fn opening_writes_nothing_and_tells_what_is_there() {
    let bus = stage();
    bus.record();
    assert_eq!(open(&bus).read().unwrap(), Some(Value::Number(2.5)), "the factory's setting");
    assert!(bus.recorded().iter().all(|line| !line.contains('W')));
}

/// The EEPROM has what it had: it is worn out by a million writes.
#[test]
fn the_eeprom_is_left_alone() {
    let bus = stage();
    open(&bus).apply(&Value::Number(1.0)).unwrap();
    let mut answer = [0; 5];
    embedded_hal::i2c::I2c::read(&mut bus.clone(), 0x60, &mut answer).unwrap();
    assert_eq!(answer[3..], [0x08, 0x00]);
}

#[test]
fn other_parts_and_nobody() {
    let bus = I2cBus::new();
    let options = Options::default();
    assert_eq!(options.open(wire_at(&bus, 0x60)).err().unwrap().kind, FaultKind::Absent);
    let bus = stage();
    bus.set_faults(0x60, crate::sim::I2cFaults { all_ones: true, ..Default::default() });
    assert_eq!(options.open(wire_at(&bus, 0x60)).err().unwrap().kind, FaultKind::WrongChip);
    let mut output = open(&stage());
    assert_eq!(output.apply(&Value::Switch(true)).unwrap_err().kind, FaultKind::Rejected);
}
