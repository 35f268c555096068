use super::sim::Model;
use super::*;
use crate::fault::FaultKind;
use crate::sensirion::with_checksum;
use crate::sim::SharedPart;
use crate::tests::rig::{Recording, Rig, sample};
use embedded_hal::i2c::I2c;

const PLACE: Attachment = Attachment::I2c { addresses: &[0x44] };

fn rig(part: impl Part + 'static) -> Rig {
    Rig::new(PLACE, Some(SharedPart::new(Box::new(part))))
}

fn sampled(rig: &Rig) -> Result<Vec<f64>, Fault> {
    let options = Options::default();
    sample(&options, &mut *options.open(rig.wire())?)
}

/// What a real SHT31 answered to a measurement, recorded by the senlib project (shtx), which reads it as 22.15 °C and
/// 42.92 %; and the status after a reset, table 18.
fn recorded() -> Recording {
    let status = [0x80, 0x10, 0xE1];
    let measured = [98, 60, 181, 109, 223, 190];
    Recording::new(&[(&READ_STATUS, &status), (&[0x24, 0x00], &measured)])
}

#[test]
fn checksums_of_the_datasheet_and_of_recordings() {
    // Section 4.12, table 20; a status with the heater on and off, and three measurements (senlib, shtx).
    for (word, sent) in [
        ([0xBE, 0xEF], 0x92),
        ([0x20, 0x00], 0x5D),
        ([0x00, 0x00], 0x81),
        ([98, 60], 181),
        ([109, 223], 190),
        ([98, 44], 246),
        ([110, 48], 124),
        ([98, 50], 170),
        ([110, 68], 64),
    ] {
        assert_eq!(with_checksum(u16::from_be_bytes(word))[2], sent, "{word:?}");
    }
}

#[test]
fn formulas_at_their_corners() {
    // Section 4.13.
    for (raw, temperature, humidity) in [(0, -45.0, 0.0), (0xFFFF, 130.0, 100.0)] {
        assert_eq!((celsius(raw), percent(raw)), (temperature, humidity));
    }
    // The word of table 20, as Gobot's driver reads it.
    assert!((celsius(0xBEEF) - 85.523).abs() < 1e-3, "{}", celsius(0xBEEF));
    assert!((percent(0xBEEF) - 74.584_5).abs() < 1e-3, "{}", percent(0xBEEF));
}

#[test]
fn recorded_measurement() {
    let values = sampled(&rig(recorded())).unwrap();
    assert!((values[TEMPERATURE] - 22.154).abs() < 1e-3, "{values:?}");
    assert!((values[HUMIDITY] - 42.919).abs() < 1e-3, "{values:?}");
}

#[test]
fn transcript() {
    let rig = rig(recorded());
    let Rig::I2c(bus, _) = &rig else { unreachable!() };
    bus.record();
    sampled(&rig).unwrap();
    let expected = ["44 W 30 93", "44 W 30 a2", "44 W f3 2d", "44 R 80 10 e1", "44 W 24 00", "44 R 62 3c b5 6d df be"];
    assert_eq!(bus.recorded(), expected);
}

#[test]
fn each_repeatability_waits_long_enough() {
    for (repeatability, command) in
        [(Repeatability::High, [0x24, 0x00]), (Repeatability::Medium, [0x24, 0x0B]), (Repeatability::Low, [0x24, 0x16])]
    {
        assert_eq!(repeatability.command(), command);
        let options = Options { repeatability };
        let part = SharedPart::new(options.simulate().unwrap());
        let mut sensor = options.open(Rig::new(PLACE, Some(part.clone())).wire()).unwrap();
        part.stimulate("temperature", 30.0);
        let found = sample(&options, &mut *sensor).unwrap()[TEMPERATURE];
        assert!((found - 30.0).abs() < 0.01, "{repeatability:?}: {found}");
    }
}

/// An earlier owner let the part measure by itself, with its heater on.
#[test]
fn what_it_did_before_is_ended() {
    let rig = rig(Model::default());
    let Rig::I2c(bus, address) = &rig else { unreachable!() };
    for command in [[0x30, 0x41], [0x30, 0x6D], [0x21, 0x30]] {
        bus.clone().write(*address, &command).unwrap();
    }
    assert!(sampled(&rig).is_ok());
}

#[test]
fn what_says_nothing_of_its_reset_is_no_sht3x() {
    // No reset, the heater on, the reset refused.
    for status in [[0x80, 0x00], [0xA0, 0x10], [0x80, 0x12]] {
        let mut part = recorded();
        part.answers[0].1 = with_checksum(u16::from_be_bytes(status)).to_vec();
        let fault = sampled(&rig(part)).unwrap_err();
        assert_eq!(fault.kind, FaultKind::WrongChip);
        let word = u16::from_be_bytes(status);
        assert_eq!(fault.message, format!("not an SHT3x: the status after a reset is {word:#06x}"));
    }
    let mut part = recorded();
    part.answers[0].1 = vec![0x80, 0x10, 0xE0];
    let fault = sampled(&rig(part)).unwrap_err();
    let expected = "not an SHT3x: reading the status: the checksum is 0xe0, expected 0xe1";
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::WrongChip, expected));
}

#[test]
fn wrong_checksums_are_never_a_reading() {
    for index in 0..6 {
        let mut part = recorded();
        part.answers[1].1[index] ^= 0x10;
        let fault = sampled(&rig(part)).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Corrupt, "byte {index}");
        assert!(fault.message.starts_with("reading the measurement: the checksum is "), "{fault}");
    }
}

#[test]
fn what_it_cannot_measure_is_a_fault() {
    let part = SharedPart::new(Box::new(Model::default()));
    part.stimulate("temperature", 127.0);
    let fault = sampled(&Rig::new(PLACE, Some(part))).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Corrupt);
    let expected = "a temperature in °C of 127.00 is outside of what the part can measure, -40 to 125";
    assert_eq!(fault.message, expected);
}

#[test]
fn a_part_that_needs_longer_is_not_ready() {
    let mut slow = recorded();
    slow.answers.pop();
    assert_eq!(sampled(&rig(slow)).unwrap_err().kind, FaultKind::NotReady);
}

#[test]
fn wrong_options_are_refused() {
    for (text, expected) in [("{ repeatability: best }", "unknown variant `best`"), ("{ heater: on }", "unknown field")]
    {
        let message = serde_yaml::from_str::<Options>(text).unwrap_err().to_string();
        assert!(message.contains(expected), "{text}: {message}");
    }
}
