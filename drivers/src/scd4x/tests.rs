use super::sim::Model;
use super::*;
use crate::sensirion::with_checksum;
use crate::sim::{I2cFaults, SharedPart};
use crate::tests::rig::{Recording, Rig, sample};

const PLACE: Attachment = Attachment::I2c { addresses: &[0x62] };
const OPTIONS: Options = Options {};

/// Section 3.9.2, the example of the serial number; section 3.5.2, the example of a measurement; section 3.11.
#[test]
fn checksums_of_the_datasheet() {
    for (word, sent) in [
        (0xF896_u16, 0x31),
        (0x9F07, 0xC2),
        (0x3BBE, 0x89),
        (0x01F4, 0x33),
        (0x6667, 0xA2),
        (0x5EB9, 0x3C),
        (0xBEEF, 0x92),
    ] {
        assert_eq!(with_checksum(word)[2], sent, "{word:#06x}");
    }
}

/// The examples of the datasheet: 500 ppm, 25 °C, 37 %.
fn examples() -> Recording {
    Recording::new(&[
        (&SERIAL.to_be_bytes(), &[0xF8, 0x96, 0x31, 0x9F, 0x07, 0xC2, 0x3B, 0xBE, 0x89]),
        (&DATA_READY.to_be_bytes(), &[0x80, 0x06, 0x04]),
        (&READ_MEASUREMENT.to_be_bytes(), &[0x01, 0xF4, 0x33, 0x66, 0x67, 0xA2, 0x5E, 0xB9, 0x3C]),
    ])
}

fn recorded(part: Recording) -> Rig {
    Rig::new(PLACE, Some(SharedPart::new(Box::new(part))))
}

#[test]
fn measurement_of_the_datasheet() {
    let mut sensor = OPTIONS.open(recorded(examples()).wire()).unwrap();
    let values = sample(&OPTIONS, &mut *sensor).unwrap();
    for (value, expected) in values.iter().zip([500.0, 25.0, 37.0]) {
        assert!((value - expected).abs() < 2e-3, "{values:?}");
    }
}

#[test]
fn transcript() {
    let part = SharedPart::new(Box::new(Model::default()));
    let rig = Rig::new(PLACE, Some(part.clone()));
    let Rig::I2c(bus, _) = &rig else { unreachable!() };
    bus.record();
    part.stimulate("carbon_dioxide", 500.0);
    part.stimulate("temperature", 25.001_6);
    part.stimulate("humidity", 37.001);
    let mut sensor = OPTIONS.open(rig.wire()).unwrap();
    let start = ["62 W 3f 86", "62 W 36 82", "62 R f8 96 31 9f 07 c2 3b be 89", "62 W 21 b1"];
    assert_eq!(bus.recorded(), start);
    sample(&OPTIONS, &mut *sensor).unwrap();
    let recorded = bus.recorded();
    let (waiting, ready) = recorded.split_at(recorded.len() - 4);
    assert!(!waiting.is_empty());
    assert!(waiting.chunks(2).all(|poll| poll == ["62 W e4 b8", "62 R 80 00 a2"]), "{waiting:?}");
    let expected = ["62 W e4 b8", "62 R 80 06 04", "62 W ec 05", "62 R 01 f4 33 66 67 a2 5e b9 3c"];
    assert_eq!(ready, expected);
    sensor.halt().unwrap();
    assert_eq!(bus.recorded(), ["62 W 3f 86"]);
}

/// A part that an earlier run left measuring is stopped first: it refuses its serial number till then.
#[test]
fn a_part_that_measures_already_is_opened() {
    let part = SharedPart::new(Box::new(Model::default()));
    let rig = Rig::new(PLACE, Some(part));
    for _ in 0..2 {
        let mut sensor = OPTIONS.open(rig.wire()).unwrap();
        sample(&OPTIONS, &mut *sensor).unwrap();
    }
}

/// While it stops, a part answers nothing.
#[test]
fn a_part_that_was_just_halted_is_opened() {
    let rig = Rig::new(PLACE, Some(SharedPart::new(Box::new(Model::default()))));
    OPTIONS.open(rig.wire()).unwrap().halt().unwrap();
    let mut sensor = OPTIONS.open(rig.wire()).unwrap();
    sample(&OPTIONS, &mut *sensor).unwrap();
}

#[test]
fn a_part_that_lost_its_power_is_started_again() {
    let options = OPTIONS;
    let part = SharedPart::new(Box::new(Model::default()));
    let rig = Rig::new(PLACE, Some(part.clone()));
    let mut sensor = options.open(rig.wire()).unwrap();
    sample(&options, &mut *sensor).unwrap();
    *part.lock() = Box::new(Model::default());
    let fault = sample(&options, &mut *sensor).unwrap_err();
    assert_eq!(fault.kind, FaultKind::NotReady);
    assert_eq!(fault.message, "no result within six seconds: it was told to measure again");
    assert!(sample(&options, &mut *sensor).is_ok(), "the next one is right again");
}

#[test]
fn what_is_no_measurement_is_a_fault() {
    let co2 = |high: u8, low: u8, crc: u8| vec![high, low, crc, 0x66, 0x67, 0xA2, 0x5E, 0xB9, 0x3C];
    for (answer, kind, expected) in [
        (
            Some(co2(0x01, 0xF5, 0x33)),
            FaultKind::Corrupt,
            "reading the measurement: the checksum is 0x33, expected 0x02",
        ),
        (
            Some(co2(0xFF, 0xFF, 0xAC)),
            FaultKind::Corrupt,
            "carbon dioxide in ppm of 65535.00 is outside of what the part can measure, 0 to 40000",
        ),
        (None, FaultKind::NotReady, "reading the measurement: no acknowledge"),
    ] {
        let mut part = examples();
        part.answers.pop();
        part.answers.extend(answer.map(|answer| (READ_MEASUREMENT.to_be_bytes().to_vec(), answer)));
        let mut sensor = OPTIONS.open(recorded(part).wire()).unwrap();
        let fault = sample(&OPTIONS, &mut *sensor).unwrap_err();
        assert_eq!((fault.kind, fault.message.as_str()), (kind, expected));
    }
}

#[test]
fn another_part_is_not_an_scd4x() {
    let rig = Rig::new(PLACE, Some(SharedPart::new(Box::new(Model::default()))));
    let Rig::I2c(bus, address) = &rig else { unreachable!() };
    bus.set_faults(*address, I2cFaults { flip: true, ..I2cFaults::default() });
    let fault = OPTIONS.open(rig.wire()).err().unwrap();
    assert_eq!(fault.kind, FaultKind::WrongChip);
    let expected = "not an SCD4x: reading the serial number: the checksum is 0x88, expected 0x89";
    assert_eq!(fault.message, expected);
}

#[test]
fn wrong_options_are_refused() {
    let message = serde_yaml::from_str::<Options>("{ altitude: 500 }").unwrap_err().to_string();
    assert!(message.contains("unknown field `altitude`"), "{message}");
}
