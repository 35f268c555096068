use super::sim::Model;
use super::*;
use crate::sim::{I2cBus, SharedPart};
use crate::tests::rig::wire_at;

fn stage() -> (I2cBus, SharedPart) {
    let (bus, part) = (I2cBus::new(), SharedPart::new(Box::new(Model::default())));
    bus.attach(0x38, part.clone());
    (bus, part)
}

fn open(bus: &I2cBus) -> Box<dyn Expander> {
    Options::default().open(wire_at(bus, 0x38)).unwrap()
}

/// Section 7.1, figures 8 and 9: a write is the address and the levels of P7 to P0, a read gives those of the pins.
#[test]
fn bytes_on_the_bus() {
    let (bus, part) = stage();
    bus.record();
    let mut expander = open(&bus);
    expander.drive(5, false).unwrap();
    part.stimulate("0", 0.0);
    assert_eq!(expander.levels().unwrap(), 0b1101_1110);
    assert_eq!(bus.recorded(), ["38 R ff", "38 R ff", "38 W df", "38 R de"]);
}

/// One of its pins is held low from outside, as by a button: it can be let go again.
#[test]
fn opening_takes_over_what_is_there() {
    let (bus, part) = stage();
    open(&bus).drive(1, false).unwrap();
    part.stimulate("4", 0.0);
    let mut expander = open(&bus);
    assert_eq!(expander.levels().unwrap(), 0b1110_1101, "nothing moved");
    expander.listen(4, Pull::Up).unwrap();
    part.stimulate("4", 1.0);
    assert_eq!(expander.levels().unwrap(), 0b1111_1101);
}

#[test]
fn a_reset_is_noticed() {
    let (bus, _) = stage();
    let mut expander = open(&bus);
    expander.drive(0, false).unwrap();
    bus.attach(0x38, SharedPart::new(Box::new(Model::default())));
    let fault = expander.levels().unwrap_err();
    assert_eq!(fault.kind, FaultKind::Bus);
    assert!(fault.message.contains("0b00000001 are high"), "{fault}");
}

#[test]
fn what_cannot_be_is_refused() {
    let (bus, _) = stage();
    let mut expander = open(&bus);
    for fault in [
        expander.listen(0, Pull::Down).unwrap_err(),
        expander.listen(0, Pull::None).unwrap_err(),
        expander.listen(8, Pull::Up).unwrap_err(),
        expander.drive(8, true).unwrap_err(),
        expander.pulses(0, 1, 1).unwrap_err(),
    ] {
        assert_eq!(fault.kind, FaultKind::Rejected, "{fault}");
    }
    let absent = Options::default().open(wire_at(&I2cBus::new(), 0x38)).err().unwrap();
    assert_eq!(absent.kind, FaultKind::Absent);
}
