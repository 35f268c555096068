use super::sim::Model;
use super::*;
use crate::sim::{I2cPart, Nack, SharedPart};
use crate::tests::rig::{Rig, sample};

const PLACE: Attachment = Attachment::I2c { addresses: &[0x48] };

/// Table 5.
#[test]
fn codes_of_12_bits() {
    for (code, expected) in [
        (0x640, 100.0),
        (0x500, 80.0),
        (0x4B0, 75.0),
        (0x320, 50.0),
        (0x190, 25.0),
        (0x004, 0.25),
        (0x000, 0.0),
        (0xFFC, -0.25),
        (0xE70, -25.0),
        (0xC90, -55.0),
    ] {
        assert_eq!(celsius(code << 4, Bits::B12), Ok(expected), "{code:#05x}");
    }
    // The code of 127.9375 °C also stands for 128 °C.
    let fault = celsius(0x7FF0, Bits::B12).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Corrupt);
    assert_eq!(fault.message, "128 °C or beyond, the end of the range (code 0x7ff)");
}

/// Table 6.
#[test]
fn codes_of_13_bits() {
    for (code, expected) in [
        (0x0960, 150.0),
        (0x0800, 128.0),
        (0x07FF, 127.9375),
        (0x0640, 100.0),
        (0x0500, 80.0),
        (0x04B0, 75.0),
        (0x0320, 50.0),
        (0x0190, 25.0),
        (0x0004, 0.25),
        (0x0000, 0.0),
        (0x1FFC, -0.25),
        (0x1E70, -25.0),
        (0x1C90, -55.0),
    ] {
        assert_eq!(celsius(code << 3 | 1, Bits::B13), Ok(expected), "{code:#06x}");
    }
    let fault = celsius(0x0961 << 3 | 1, Bits::B13).unwrap_err();
    assert_eq!(fault.message, "a temperature in °C of 150.06 is outside of what the part can measure, -55 to 150");
}

/// What a measurement looks like on the bus, and what the part holds before: "Configuration Register", table 7.
#[test]
fn transcript() {
    let part = SharedPart::new(Box::new(Model::default()));
    let rig = Rig::new(PLACE, Some(part.clone()));
    let Rig::I2c(bus, address) = &rig else { unreachable!() };
    bus.record();
    for register in [RESULT, CONFIG] {
        bus.clone().write_read(*address, &[register], &mut [0; 2]).unwrap();
    }
    part.stimulate("temperature", -25.0);
    let options = Options::default();
    assert_eq!(sample(&options, &mut *options.open(rig.wire()).unwrap()), Ok(vec![-25.0]));
    let expected = [
        "48 W 00 · R 00 00",
        "48 W 01 · R 60 a0",
        "48 W 01 01 00",
        "48 W 01 · R 61 20", // 0 11 00 0 0 1 00 1 0 0000: the first conversion since the reset still runs
        "48 W 01 01 10",
        "48 W 01 · R 61 30",
        "48 W 01 e1 00",     // 1 11 00 0 0 1 00 0 0 0000: convert once, then sleep
        "48 W 01 · R 61 20", // not yet, after 26 ms
        "48 W 01 · R 61 20",
        "48 W 01 · R 61 20",
        "48 W 01 · R 61 20",
        "48 W 01 · R e1 20", // ready, and no alert
        "48 W 00 · R e7 00",
    ];
    assert_eq!(bus.recorded(), expected);
}

#[test]
fn both_lengths_measure_what_is_there_now() {
    for bits in Bits::ALL {
        let options = Options { bits: *bits };
        let part = SharedPart::new(options.simulate().unwrap());
        let mut sensor = options.open(Rig::new(PLACE, Some(part.clone())).wire()).unwrap();
        // Above the limit of the alert and below it: what the alert says is no fault.
        for celsius in [21.0, 90.5, -10.5] {
            part.stimulate("temperature", celsius);
            assert_eq!(sample(&options, &mut *sensor), Ok(vec![celsius]), "{bits:?}");
        }
        part.stimulate("temperature", 140.0);
        match bits {
            Bits::B12 => assert_eq!(sample(&options, &mut *sensor).unwrap_err().kind, FaultKind::Corrupt),
            Bits::B13 => assert_eq!(sample(&options, &mut *sensor), Ok(vec![140.0])),
        }
    }
}

/// Gives back the configuration, changed, and a result as it was told.
struct Stub {
    pointer: u8,
    config: u16,
    /// What the configuration reads from the third time on: when it measures.
    change: fn(u16) -> u16,
    reads: usize,
    result: u16,
}

impl Part for Stub {
    fn stimulate(&mut self, _: &str, _: f64) -> bool {
        false
    }

    fn i2c(&mut self) -> Option<&mut dyn I2cPart> {
        Some(self)
    }
}

impl I2cPart for Stub {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        self.pointer = bytes[0];
        if let [_, high, low] = *bytes {
            self.config = u16::from_be_bytes([high, low]);
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        let mut value = self.result;
        if self.pointer == CONFIG {
            self.reads += 1;
            value = self.config | RESOLUTION;
            value = if self.reads > 2 { (self.change)(value) } else { value };
        }
        buffer.copy_from_slice(&value.to_be_bytes());
        Ok(())
    }
}

fn sampled(change: fn(u16) -> u16, result: u16) -> Result<Vec<f64>, Fault> {
    let part = SharedPart::new(Box::new(Stub { pointer: 0, config: 0, change, reads: 0, result }));
    let options = Options::default();
    sample(&options, &mut *options.open(Rig::new(PLACE, Some(part)).wire())?)
}

#[test]
fn what_is_no_measurement_is_a_fault() {
    assert_eq!(sampled(|config| config, 0x1900), Ok(vec![25.0]));
    for (change, result, kind, expected) in [
        (
            (|config| config & !OS) as fn(u16) -> u16,
            0x1900,
            FaultKind::NotReady,
            "the measurement takes more than twice its time",
        ),
        // The part lost its power while it measured: its own settings again.
        (|_| 0x60A0, 0x0000, FaultKind::Corrupt, "the configuration register holds 0x60a0 after 0x6100 was written"),
        // A result of 13 bits where 12 were asked for.
        (|config| config, 0x0C81, FaultKind::Corrupt, "the temperature register holds 0x0c81, which is not of 12 bits"),
    ] {
        let fault = sampled(change, result).unwrap_err();
        assert_eq!((fault.kind, fault.message.as_str()), (kind, expected));
    }
}

/// A memory gives back all that was written, also the bits that a TMP102 has for itself.
#[test]
fn a_part_that_gives_back_everything_is_another_one() {
    struct Memory([u8; 2]);

    impl Part for Memory {
        fn stimulate(&mut self, _: &str, _: f64) -> bool {
            false
        }

        fn i2c(&mut self) -> Option<&mut dyn I2cPart> {
            Some(self)
        }
    }

    impl I2cPart for Memory {
        fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
            if let [_, high, low] = *bytes {
                self.0 = [high, low];
            }
            Ok(())
        }

        fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
            buffer.copy_from_slice(&self.0);
            Ok(())
        }
    }

    let part = SharedPart::new(Box::new(Memory([0; 2])));
    let fault = Options::default().open(Rig::new(PLACE, Some(part)).wire()).err().unwrap();
    assert_eq!(fault.kind, FaultKind::WrongChip);
    let expected = "the configuration register holds 0x0100 after 0x0100 was written, expected 0x6100: not a TMP102";
    assert_eq!(fault.message, expected);
}

#[test]
fn wrong_options_are_refused() {
    for (text, expected) in [("{ bits: 11 }", "expected one of 12, 13"), ("{ bit: 12 }", "unknown field `bit`")] {
        let message = serde_yaml::from_str::<Options>(text).unwrap_err().to_string();
        assert!(message.contains(expected), "{text}: {message}");
    }
}
