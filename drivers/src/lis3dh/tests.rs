use super::sim::Model;
use super::*;
use crate::sim::{I2cFaults, SharedPart, SpiSlot};
use crate::tests::rig::{Rig, sample};
use embedded_hal::i2c::I2c;

const I2C: Attachment = Attachment::I2c { addresses: &[0x18] };

fn options(text: &str) -> Options {
    serde_yaml::from_str(text).unwrap()
}

fn rig(place: Attachment, model: Model) -> (Rig, SharedPart) {
    let part = SharedPart::new(Box::new(model));
    (Rig::new(place, Some(part.clone())), part)
}

/// AN3308, "Understanding acceleration data": what the data registers hold at ±2 g. For 1 g the note takes the step to be
/// 2 g / 2048, for 350 mg the 1 mg of the datasheet's table 4, as the maker's own driver does.
#[test]
fn examples_of_the_application_note() {
    for (word, milligravities) in [
        ([0x00, 0x00], 0.0),
        ([0xE0, 0x15], 350.0),
        ([0x20, 0xEA], -350.0),
        ([0x00, 0x40], 1_024.0),
        ([0x00, 0xC0], -1_024.0),
    ] {
        let found = acceleration(word, Range::G2).unwrap();
        assert!((found - milligravities * 0.009_806_65).abs() < 1e-9, "{word:02x?}: {found}");
    }
}

/// Section 2.1, table 4: steps in mg; section 8.11, table 35: FS.
#[test]
fn ranges() {
    for (range, step, fs) in [(Range::G2, 1.0, 0), (Range::G4, 2.0, 1), (Range::G8, 4.0, 2), (Range::G16, 12.0, 3)] {
        assert_eq!(range.fs(), fs);
        let found = acceleration([0x40, 0x06], range).unwrap() / G; // 100 steps
        assert!((found - step / 10.0).abs() < 1e-12, "{range:?}: {found}");
    }
    for word in [[0xF0, 0x7F], [0x00, 0x80]] {
        for range in Range::ALL {
            let fault = acceleration(word, *range).unwrap_err();
            assert_eq!(fault.kind, FaultKind::Corrupt, "the end of the scale is not a measurement: {fault}");
        }
    }
}

#[test]
fn transcript() {
    let (rig, _) = rig(I2C, Model::with_data([0xE0, 0x15, 0x20, 0xEA, 0x80, 0x3E]));
    let Rig::I2c(bus, _) = &rig else { unreachable!() };
    bus.record();
    let options = Options::default();
    let mut sensor = options.open(rig.wire()).unwrap();
    let found = sample(&options, &mut *sensor).unwrap();
    assert!(found.iter().zip([0.35, -0.35, 1.0]).all(|(found, g)| (found - g * G).abs() < 1e-9), "{found:?}");
    sample(&options, &mut *sensor).unwrap();
    sensor.halt().unwrap();
    let expected = [
        "18 W 0f · R 33",
        "18 W 23 88", // 1 0 00 1 000: whole words, ±2 g, twelve bits
        "18 W 20 27", // 0010 0 111: 10 Hz, three axes
        "18 W a0 · R 27 00 00 88 00 00 00 0f e0 15 20 ea 80 3e",
        "18 W a0 · R 27 00 00 88 00 00 00 00 e0 15 20 ea 80 3e", // nothing new yet
        "18 W a0 · R 27 00 00 88 00 00 00 0f e0 15 20 ea 80 3e",
        "18 W 20 00", // powered down
    ];
    assert_eq!(bus.recorded(), expected);
}

#[test]
fn transcript_of_spi() {
    let (_, part) = rig(Attachment::Spi, Model::with_data([0xE0, 0x15, 0x20, 0xEA, 0x80, 0x3E]));
    let slot = SpiSlot::new(Some(part));
    slot.record();
    let options = options("{ range: 8, rate: 400 }");
    let mut sensor = options.open(Rig::Spi(slot.clone()).wire()).unwrap();
    let found = sample(&options, &mut *sensor).unwrap();
    assert!(found.iter().zip([0.352, -0.352, 1.0]).all(|(found, g)| (found - g * G).abs() < 1e-9), "{found:?}");
    sensor.halt().unwrap();
    let expected = [
        "W 8f · R 33",
        "W 23 a8", // 1 0 10 1 000
        "W 20 77", // 0111 0 111
        "W e0 · R 77 00 00 a8 00 00 00 0f 80 05 80 fa a0 0f",
        "W 20 00",
    ];
    assert_eq!(slot.recorded(), expected);
}

#[test]
fn each_range_and_rate_is_heard() {
    for range in Range::ALL {
        for rate in Rate::ALL {
            let options = Options { range: *range, rate: *rate };
            let (rig, part) = rig(I2C, Model::default());
            let mut sensor = options.open(rig.wire()).unwrap();
            for g in [-1.5, 1.9] {
                part.stimulate("acceleration_y", g * G);
                let found = sample(&options, &mut *sensor).unwrap()[1];
                assert!((found - g * G).abs() <= range.step(), "{options:?}: {found}");
            }
        }
    }
}

#[test]
fn parts_are_known_by_their_identity() {
    for (identity, kind, expected) in [
        (0x32, FaultKind::WrongChip, "identity register 0x0f holds 0x32, expected 0x33"),
        (0xFF, FaultKind::Absent, "identity register 0x0f holds 0xff, expected 0x33: nothing answers"),
    ] {
        let fault = Options::default().open(rig(I2C, Model::with_identity(identity)).0.wire()).err().unwrap();
        assert_eq!((fault.kind, fault.message.as_str()), (kind, expected));
    }
}

/// A part that loses its power between two samples measures nothing: one is refused, the next is right.
#[test]
fn loss_of_power_is_noticed_and_mended() {
    let (rig, part) = rig(I2C, Model::default());
    let options = Options::default();
    let mut sensor = options.open(rig.wire()).unwrap();
    sample(&options, &mut *sensor).unwrap();
    *part.lock() = Box::new(Model::default());
    let fault = sample(&options, &mut *sensor).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Corrupt);
    assert!(fault.message.starts_with("CTRL_REG1 and 4 hold [07, 00] after [27, 88] was written"), "{fault}");
    assert!((sample(&options, &mut *sensor).unwrap()[2] - G).abs() < 0.01);
}

/// A part that stands still, and one that is back after it was not there.
#[test]
fn what_is_no_measurement_is_a_fault() {
    struct Still;
    impl Registers for Still {
        fn read(&mut self, register: u8, buffer: &mut [u8]) -> Result<(), Fault> {
            match register {
                WHO_AM_I => buffer[0] = IDENTITY,
                _ => [buffer[0], buffer[3]] = Options::default().control(),
            }
            Ok(())
        }

        fn write(&mut self, _: u8, _: u8) -> Result<(), Fault> {
            Ok(())
        }
    }
    let fault = Lis3dh::new(Still, COUNT_ON_I2C, Delay, Options::default()).unwrap().measure().unwrap_err();
    assert_eq!(fault.kind, FaultKind::NotReady);

    let (rig, part) = rig(I2C, Model::default());
    let Rig::I2c(bus, address) = &rig else { unreachable!() };
    let options = Options::default();
    let mut sensor = options.open(rig.wire()).unwrap();
    bus.set_faults(*address, I2cFaults { absent: true, ..I2cFaults::default() });
    let fault = sample(&options, &mut *sensor).unwrap_err();
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::Absent, "reading register 0xA0: no acknowledge"));
    bus.set_faults(*address, I2cFaults::default());
    part.stimulate("acceleration_x", 3.0 * G);
    assert_eq!(sample(&options, &mut *sensor).unwrap_err().kind, FaultKind::Corrupt, "beyond the range");
    part.stimulate("acceleration_x", 0.0);
    assert!(sample(&options, &mut *sensor).is_ok());
    // Whatever else was written is not its business.
    bus.clone().write(*address, &[0x22, 0x10]).unwrap();
    assert!(sample(&options, &mut *sensor).is_ok());
}

#[test]
fn wrong_options_are_refused() {
    for (text, expected) in [
        ("{ range: 3 }", "expected one of 2, 4, 8, 16"),
        ("{ rate: 1 }", "expected one of 10, 25, 50, 100, 200, 400"),
        ("{ rates: 1 }", "unknown field `rates`"),
    ] {
        let message = serde_yaml::from_str::<Options>(text).unwrap_err().to_string();
        assert!(message.contains(expected), "{text}: {message}");
    }
}
