use super::sim::{HTU21D_USER, Model};
use super::*;
use crate::sim::{I2cFaults, SharedPart};
use crate::tests::rig::{Recording, Rig, sample};
use embedded_hal::i2c::I2c;

const PLACE: Attachment = Attachment::I2c { addresses: &[0x40] };

fn rig(part: impl Part + 'static) -> Rig {
    Rig::new(PLACE, Some(SharedPart::new(Box::new(part))))
}

fn sampled(rig: &Rig) -> Result<Vec<f64>, Fault> {
    let options = Options::default();
    sample(&options, &mut *options.open(rig.wire())?)
}

/// What a real SHT21 answered, recorded by the Gobot project (sht2x), which reads it as 18.809052 °C and 40.279907 %;
/// and its user register.
fn recorded() -> Recording {
    Recording::new(&[
        (&[READ_USER_REGISTER], &[0x3A]),
        (&[MEASURE_TEMPERATURE], &[95, 168, 59]),
        (&[MEASURE_HUMIDITY], &[94, 202, 22]),
    ])
}

/// The same with another answer to a command.
fn with(command: u8, answer: &[u8]) -> Recording {
    let mut part = recorded();
    part.answers.iter_mut().filter(|(known, _)| *known == [command]).for_each(|(_, old)| *old = answer.to_vec());
    part
}

#[test]
fn checksums_of_the_datasheet_and_of_a_recording() {
    // The three examples of HPC199, as the drivers of SparkFun and others quote them; a real Si7021 (si7021-hal).
    assert_eq!(crc8(CHECKSUM_START, &[0xDC]), 0x79);
    for [high, low, sent] in [[0x68, 0x3A, 0x7C], [0x4E, 0x85, 0x6B], [0x66, 0x4C, 0x4F]] {
        assert_eq!(crc8(CHECKSUM_START, &[high, low]), sent);
    }
}

#[test]
fn formulas() {
    // The ends of the scale, as Sensirion's driver for the SHT2x is tested; a real Si7021 (si7021-hal, 23.36 °C).
    for (raw, expected) in [(0, -46.85), (0xFFFF, 128.87), (0x664C, 23.36)] {
        assert!((celsius(raw) - expected).abs() < 0.01, "{raw:#06x}: {}", celsius(raw));
    }
    assert_eq!((percent(0), percent(0xFFFC)), (0.0, 100.0), "cropped");
}

#[test]
fn recorded_measurement() {
    let values = sampled(&rig(recorded())).unwrap();
    assert!((values[TEMPERATURE] - 18.809_052).abs() < 1e-5, "{values:?}");
    assert!((values[HUMIDITY] - 40.279_907).abs() < 1e-5, "{values:?}");
}

#[test]
fn transcript() {
    let rig = rig(recorded());
    let Rig::I2c(bus, _) = &rig else { unreachable!() };
    bus.record();
    sampled(&rig).unwrap();
    let expected = [
        "40 W fe",
        "40 W e7 · R 3a",
        "40 W f3",
        "40 R 5f a8 3b",
        "40 W f3",
        "40 R 5f a8 3b",
        "40 W f5",
        "40 R 5e ca 16",
    ];
    assert_eq!(bus.recorded(), expected);
}

/// Typical times of the Si7021, and the longest ones of the SHT21.
#[test]
fn slower_and_faster_parts_are_waited_for() {
    for (user, times) in [(HTU21D_USER, [50, 16]), (0x3A, [7, 17]), (0x3A, [85, 29])] {
        let part = SharedPart::new(Box::new(Model::new(user, times)));
        part.stimulate("temperature", 30.0);
        part.stimulate("humidity", 60.0);
        let values = sampled(&Rig::new(PLACE, Some(part))).unwrap();
        assert!((values[TEMPERATURE] - 30.0).abs() < 0.02 && (values[HUMIDITY] - 60.0).abs() < 0.02, "{values:?}");
    }
}

#[test]
fn a_part_that_never_ends_is_not_ready() {
    let fault = sampled(&rig(Model::new(HTU21D_USER, [1_000, 1_000]))).unwrap_err();
    let expected = "measuring the temperature: not acknowledged for 50 ms more";
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::NotReady, expected));
    let fault = sampled(&rig(Model::new(HTU21D_USER, [44, 1_000]))).unwrap_err();
    let expected = "measuring the humidity: not acknowledged for 50 ms more";
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::NotReady, expected));
}

/// An earlier owner left the heater on, at a low resolution.
#[test]
fn settings_of_before_are_gone() {
    let rig = rig(Model::default());
    let Rig::I2c(bus, address) = &rig else { unreachable!() };
    bus.clone().write(*address, &[0xE6, 0x87]).unwrap();
    let mut user = [0];
    bus.clone().write_read(*address, &[READ_USER_REGISTER], &mut user).unwrap();
    assert_eq!(user, [0x87]);
    assert!(sampled(&rig).is_ok());
}

#[test]
fn other_parts_are_recognised() {
    // No memory bit; a heater, or a resolution, that does not go away; a supply below 2.25 V.
    for user in [0x00, 0x06, 0x82, 0x03, 0x42, 0xFF] {
        let fault = sampled(&rig(with(READ_USER_REGISTER, &[user]))).unwrap_err();
        assert_eq!(fault.kind, FaultKind::WrongChip, "{user:#04x}");
        assert!(fault.message.starts_with(&format!("the user register after a reset is {user:#04x}, ")), "{fault}");
    }
    let fault = sampled(&rig(with(MEASURE_TEMPERATURE, &[95, 168, 58]))).unwrap_err();
    let expected = "not an HTU21D: measuring the temperature: the checksum is 0x3a, expected 0x3b";
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::WrongChip, expected));
}

#[test]
fn wrong_checksums_are_never_a_reading() {
    let fault = sampled(&rig(with(MEASURE_HUMIDITY, &[94, 203, 22]))).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Corrupt);
    let rig = rig(Model::default());
    let Rig::I2c(bus, address) = &rig else { unreachable!() };
    let options = Options::default();
    let mut sensor = options.open(rig.wire()).unwrap();
    bus.set_faults(*address, I2cFaults { flip: true, ..I2cFaults::default() });
    let fault = sample(&options, &mut *sensor).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Corrupt);
    assert!(fault.message.starts_with("measuring the temperature: the checksum is "), "{fault}");
}

#[test]
fn what_it_cannot_measure_is_a_fault() {
    let part = SharedPart::new(Box::new(Model::default()));
    let options = Options::default();
    let mut sensor = options.open(Rig::new(PLACE, Some(part.clone())).wire()).unwrap();
    part.stimulate("temperature", -43.0);
    let fault = sample(&options, &mut *sensor).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Corrupt);
    assert!(fault.message.starts_with("a temperature in °C of -43.0"), "{fault}");
}
