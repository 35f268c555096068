use super::sim::Model;
use super::*;
use crate::FaultKind;
use crate::sim::SharedPart;
use crate::tests::rig::{Rig, sample};

const PLACE: Attachment = Attachment::I2c { addresses: &[0x48] };

/// Section 7.4.3: eleven bits, with the values of table 10.
#[test]
fn codes_of_11_bits() {
    for (code, expected) in [
        (0x3E8, 125.0),
        (0x0C8, 25.0),
        (0x001, 0.125),
        (0x000, 0.0),
        (0x7FF, -0.125),
        (0x738, -25.0),
        (0x649, -54.875),
        (0x648, -55.0),
    ] {
        assert_eq!(celsius(code << 5, Bits::B11), Ok(expected), "{code:#05x}");
        // What is below them is to be ignored.
        assert_eq!(celsius(code << 5 | 0x1F, Bits::B11), Ok(expected), "{code:#05x}");
    }
    // The table begins with what is beyond the range of operation: 127.000, 126.875 and 126.125 °C.
    for code in [0x3F8, 0x3F7, 0x3F1] {
        assert_eq!(celsius(code << 5, Bits::B11).unwrap_err().kind, FaultKind::Corrupt);
    }
    let fault = celsius(0x3F8 << 5, Bits::B11).unwrap_err();
    assert_eq!(fault.message, "a temperature in °C of 127.00 is outside of what the part can measure, -55 to 125");
}

/// The table of nine bits that the compatible ones have (STMicroelectronics, STLM75, section 2.7, table 3).
#[test]
fn codes_of_9_bits() {
    for (code, expected) in [
        (0x0FA, 125.0),
        (0x032, 25.0),
        (0x001, 0.5),
        (0x000, 0.0),
        (0x1FF, -0.5),
        (0x1CE, -25.0),
        (0x1B0, -40.0),
        (0x192, -55.0),
    ] {
        assert_eq!(celsius(code << 7, Bits::B9), Ok(expected), "{code:#05x}");
        assert_eq!(celsius(code << 7 | 0x7F, Bits::B9), Ok(expected), "{code:#05x}");
    }
}

/// What a measurement looks like on the bus, and what the part holds before: section 7.4, table 5.
#[test]
fn transcript() {
    let part = SharedPart::new(Box::new(Model::default()));
    let rig = Rig::new(PLACE, Some(part.clone()));
    let Rig::I2c(bus, address) = &rig else { unreachable!() };
    bus.record();
    bus.clone().write_read(*address, &[CONFIG], &mut [0]).unwrap();
    for register in [2, 3] {
        bus.clone().write_read(*address, &[register], &mut [0; 2]).unwrap();
    }
    part.stimulate("temperature", -54.875);
    let options = Options::default();
    let mut sensor = options.open(rig.wire()).unwrap();
    assert_eq!(sample(&options, &mut *sensor), Ok(vec![-54.875]));
    sensor.halt().unwrap();
    let expected = [
        "48 W 01 · R 00",
        "48 W 02 · R 4b 00", // 75 °C
        "48 W 03 · R 50 00", // 80 °C
        "48 W 01 19",        // 000 11 0 0 1
        "48 W 01 · R 19",
        "48 W 01 09",
        "48 W 01 · R 09",
        "48 W 01 08", // awake
        "48 W 01 · R 08",
        "48 W 00 · R c9 20",
        "48 W 01 09", // asleep
        "48 W 01 09",
    ];
    assert_eq!(bus.recorded(), expected);
}

/// Neither what was measured before it slept, nor a conversion that has not ended yet.
#[test]
fn only_what_is_measured_now_counts() {
    for bits in Bits::ALL {
        let options = Options { bits: *bits };
        let part = SharedPart::new(options.simulate().unwrap());
        let mut sensor = options.open(Rig::new(PLACE, Some(part.clone())).wire()).unwrap();
        for (celsius, of_9_bits) in [(30.125, 30.0), (-10.25, -10.5), (21.5, 21.5)] {
            part.stimulate("temperature", celsius);
            let expected = if *bits == Bits::B9 { of_9_bits } else { celsius };
            assert_eq!(sample(&options, &mut *sensor), Ok(vec![expected]), "{bits:?}");
        }
    }
}

/// A part that lost its power has its own settings again, and perhaps no result yet.
#[test]
fn a_reset_is_noticed() {
    /// Replaces the part by a new one as soon as it is woken.
    struct Weak(Model, bool);

    impl Part for Weak {
        fn stimulate(&mut self, channel: &str, value: f64) -> bool {
            self.0.stimulate(channel, value)
        }

        fn i2c(&mut self) -> Option<&mut dyn crate::sim::I2cPart> {
            Some(self)
        }
    }

    impl crate::sim::I2cPart for Weak {
        fn write(&mut self, bytes: &[u8]) -> Result<(), crate::sim::Nack> {
            self.0.i2c().unwrap().write(bytes)?;
            if bytes == [CONFIG, MARK] && !std::mem::replace(&mut self.1, true) {
                self.0 = Model::default();
            }
            Ok(())
        }

        fn read(&mut self, buffer: &mut [u8]) -> Result<(), crate::sim::Nack> {
            self.0.i2c().unwrap().read(buffer)
        }
    }

    let options = Options::default();
    let part = SharedPart::new(Box::new(Weak(Model::default(), false)));
    let mut sensor = options.open(Rig::new(PLACE, Some(part)).wire()).unwrap();
    let fault = sample(&options, &mut *sensor).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Corrupt);
    assert_eq!(fault.message, "the configuration register holds 0x00 after 0x08 was written");
    assert_eq!(sample(&options, &mut *sensor), Ok(vec![21.5]), "the next one is right again");
}

#[test]
fn another_part_is_not_an_lm75() {
    let part = SharedPart::new(Box::new(crate::tmp102::sim::Model::default()));
    let fault = Options::default().open(Rig::new(PLACE, Some(part)).wire()).err().unwrap();
    assert_eq!(fault.kind, FaultKind::WrongChip);
    let expected = "the configuration register holds 0x79 after 0x19 was written: not an LM75";
    assert_eq!(fault.message, expected);
}

#[test]
fn wrong_options_are_refused() {
    for (text, expected) in [("{ bits: 12 }", "expected one of 9, 11"), ("{ bit: 9 }", "unknown field `bit`")] {
        let message = serde_yaml::from_str::<Options>(text).unwrap_err().to_string();
        assert!(message.contains(expected), "{text}: {message}");
    }
}
