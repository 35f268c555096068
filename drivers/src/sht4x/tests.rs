use super::sim::Model;
use super::*;
use crate::fault::FaultKind;
use crate::port::I2cPort;
use crate::sensirion::with_checksum;
use crate::sim::{I2cBus, I2cFaults, SharedPart};
use crate::tests::rig::Recording;

const ADDRESS: u8 = 0x44;

fn bus_with(part: impl Part + 'static) -> (I2cBus, SharedPart) {
    let (bus, part) = (I2cBus::new(), SharedPart::new(Box::new(part)));
    bus.attach(ADDRESS, part.clone());
    (bus, part)
}

fn open(bus: &I2cBus) -> Result<Box<dyn Sensor>, Fault> {
    Options::default().open(Wire::I2c(I2cPort(Box::new(bus.clone())), ADDRESS))
}

fn sample(sensor: &mut dyn Sensor) -> Result<Vec<f64>, Fault> {
    let mut out = Sample::new(2);
    sensor.sample(&mut out)?;
    Ok(out.values().iter().map(|value| value.as_ref().and_then(crate::Value::number).unwrap()).collect())
}

/// What a real SHT40 answered to 0x89 and 0xFD, recorded by the periph project (periph/devices, sht4x).
fn recorded() -> Recording {
    let serial = [0x0D, 0x20, 0x47, 0x61, 0x01, 0x11];
    let measured = [0x66, 0xF4, 0xC8, 0x4C, 0x9B, 0x6F];
    Recording::new(&[(&[READ_SERIAL], &serial), (&[0xFD], &measured)])
}

#[test]
fn checksums_of_the_datasheet_and_of_a_recording() {
    // Section 4.4, table 7.
    assert_eq!(with_checksum(0xBEEF), [0xBE, 0xEF, 0x92]);
    for [a, b, sent] in [[0x0D, 0x20, 0x47], [0x61, 0x01, 0x11], [0x66, 0xF4, 0xC8], [0x4C, 0x9B, 0x6F]] {
        assert_eq!(with_checksum(u16::from_be_bytes([a, b])), [a, b, sent]);
    }
}

#[test]
fn formulas_at_their_corners() {
    // Section 4.6: the ends of the scale, and 2^15, a hair above its middle.
    for (raw, temperature, humidity) in [(0, -45.0, 0.0), (0x8000, 42.501_3, 56.501), (0xFFFF, 130.0, 100.0)] {
        assert!((celsius(raw) - temperature).abs() < 1e-3, "{raw:#06x}: {}", celsius(raw));
        assert!((percent(raw) - humidity).abs() < 1e-3, "{raw:#06x}: {}", percent(raw));
    }
}

#[test]
fn recorded_measurement() {
    let (bus, _) = bus_with(recorded());
    let values = sample(&mut *open(&bus).unwrap()).unwrap();
    // 0x66F4 = 26356, 0x4C9B = 19611: by hand.
    assert!((values[TEMPERATURE] - 25.379).abs() < 1e-3, "{values:?}");
    assert!((values[HUMIDITY] - 31.406).abs() < 1e-3, "{values:?}");
}

#[test]
fn transcript() {
    let (bus, _) = bus_with(recorded());
    bus.record();
    sample(&mut *open(&bus).unwrap()).unwrap();
    let expected = ["44 W 94", "44 W 89", "44 R 0d 20 47 61 01 11", "44 W fd", "44 R 66 f4 c8 4c 9b 6f"];
    assert_eq!(bus.recorded(), expected);
}

#[test]
fn each_repeatability_waits_long_enough() {
    for repeatability in [Repeatability::High, Repeatability::Medium, Repeatability::Low] {
        let (bus, part) = bus_with(Model::default());
        part.stimulate("temperature", 30.0);
        let options = Options { repeatability };
        let mut sensor = options.open(Wire::I2c(I2cPort(Box::new(bus)), ADDRESS)).unwrap();
        assert!((sample(&mut *sensor).unwrap()[TEMPERATURE] - 30.0).abs() < 0.01);
    }
}

#[test]
fn wrong_checksums_are_never_a_reading() {
    let (bus, _) = bus_with(Model::default());
    let mut sensor = open(&bus).unwrap();
    bus.set_faults(ADDRESS, I2cFaults { flip: true, ..I2cFaults::default() });
    let fault = sample(&mut *sensor).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Corrupt);
    assert!(fault.message.starts_with("reading the measurement: the checksum is "), "{fault}");
    assert_eq!(open(&bus).err().unwrap().kind, FaultKind::WrongChip);
    bus.set_faults(ADDRESS, I2cFaults { all_ones: true, ..I2cFaults::default() });
    assert_eq!(sample(&mut *sensor).unwrap_err().kind, FaultKind::Corrupt);
    bus.set_faults(ADDRESS, I2cFaults::default());
    assert!(sample(&mut *sensor).is_ok(), "the next one is right again");
}

#[test]
fn a_temperature_that_it_cannot_measure_is_a_fault() {
    let (bus, part) = bus_with(Model::default());
    let mut sensor = open(&bus).unwrap();
    part.stimulate("temperature", 127.0);
    let fault = sample(&mut *sensor).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Corrupt);
    let expected = "a temperature in °C of 127.00 is outside of what the part can measure, -40 to 125";
    assert_eq!(fault.message, expected);
}

#[test]
fn gone_and_back() {
    let (bus, _) = bus_with(Model::default());
    let mut sensor = open(&bus).unwrap();
    bus.set_faults(ADDRESS, I2cFaults { absent: true, ..I2cFaults::default() });
    let fault = sample(&mut *sensor).unwrap_err();
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::Absent, "starting a measurement: no acknowledge"));
    bus.set_faults(ADDRESS, I2cFaults::default());
    assert!(sample(&mut *sensor).is_ok());
}

#[test]
fn a_part_that_needs_longer_is_not_ready() {
    let mut slow = recorded();
    slow.answers.pop();
    let (bus, _) = bus_with(slow);
    assert_eq!(sample(&mut *open(&bus).unwrap()).unwrap_err().kind, FaultKind::NotReady);
}
