use super::sim::Model;
use super::*;
use crate::sim::{I2cPart, Nack, SharedPart};
use crate::tests::rig::{Rig, sample};

const PLACE: Attachment = Attachment::I2c { addresses: &[0x48] };

/// Section 7.3.3, table 7-1.
#[test]
fn codes_of_the_datasheet() {
    for (code, expected) in [
        (0xF380, -25.0),
        (0xFFF0, -0.125),
        (0xFFFF, -0.007_812_5),
        (0x0000, 0.0),
        (0x0001, 0.007_812_5),
        (0x0010, 0.125),
        (0x0080, 1.0),
        (0x0C80, 25.0),
        (0x3200, 100.0),
    ] {
        assert_eq!(celsius(code), Ok(expected), "{code:#06x}");
    }
    // The last rows of the table are what no part can measure: −256 °C, which also stands for "nothing yet", and
    // 255.9921 °C.
    assert_eq!(celsius(0x8000).unwrap_err().kind, FaultKind::NotReady);
    let fault = celsius(0x7FFF).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Corrupt);
    assert_eq!(fault.message, "a temperature in °C of 255.99 is outside of what the part can measure, -55 to 150");
}

/// What a measurement looks like on the bus, and what the part holds before: section 7.6, reset values.
#[test]
fn transcript() {
    let part = SharedPart::new(Box::new(Model::default()));
    let rig = Rig::new(PLACE, Some(part.clone()));
    let Rig::I2c(bus, address) = &rig else { unreachable!() };
    bus.record();
    for register in [RESULT, CONFIG] {
        bus.clone().write_read(*address, &[register], &mut [0; 2]).unwrap();
    }
    part.stimulate("temperature", 25.0);
    let options = Options::default();
    assert_eq!(sample(&options, &mut *options.open(rig.wire()).unwrap()), Ok(vec![25.0]));
    let expected = [
        "48 W 00 · R 80 00",
        "48 W 01 · R 02 20",
        "48 W 0f · R 01 17",
        "48 W 01 · R 02 20",
        "48 W 01 0c 20",     // 0000 11 000 01 00000: one shot, eight averages
        "48 W 01 · R 0c 20", // not yet
        "48 W 01 · R 24 20", // 0010 01 000 01 00000: ready, and asleep
        "48 W 00 · R 0c 80",
    ];
    assert_eq!(bus.recorded(), expected);
}

/// A flag that an earlier measurement left does not pass for the end of this one.
#[test]
fn only_what_is_measured_now_counts() {
    let part = SharedPart::new(Box::new(Model::default()));
    let rig = Rig::new(PLACE, Some(part.clone()));
    let options = Options::default();
    let mut sensor = options.open(rig.wire()).unwrap();
    // It measures by itself from the start.
    Delay.delay_ms(900);
    part.stimulate("temperature", 25.0);
    assert_eq!(sample(&options, &mut *sensor), Ok(vec![25.0]));
}

#[test]
fn each_measurement_is_waited_for() {
    // Section 7.6, configuration register, field AVG.
    for (averages, avg) in Averages::ALL.iter().zip([0b00, 0b01, 0b10, 0b11]) {
        assert_eq!(averages.avg(), avg, "{averages:?}");
        let options = Options { averages: *averages };
        let part = SharedPart::new(options.simulate().unwrap());
        let mut sensor = options.open(Rig::new(PLACE, Some(part.clone())).wire()).unwrap();
        for celsius in [30.0, -10.5] {
            part.stimulate("temperature", celsius);
            assert_eq!(sample(&options, &mut *sensor), Ok(vec![celsius]), "{averages:?}");
        }
    }
}

/// Reads as it was told, whatever is written.
struct Stub {
    pointer: u8,
    identity: u16,
    config: u16,
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
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        let value = match self.pointer {
            IDENTITY => self.identity,
            CONFIG => self.config,
            _ => self.result,
        };
        buffer.copy_from_slice(&value.to_be_bytes());
        Ok(())
    }
}

/// Opens a part that holds these, and samples it.
fn sampled(identity: u16, config: u16, result: u16) -> Result<Vec<f64>, Fault> {
    let part = SharedPart::new(Box::new(Stub { pointer: 0, identity, config, result }));
    let options = Options::default();
    sample(&options, &mut *options.open(Rig::new(PLACE, Some(part)).wire())?)
}

#[test]
fn parts_are_known_by_their_identity() {
    assert_eq!(sampled(0x0117, 0x2420, 0x0C80), Ok(vec![25.0]));
    assert_eq!(sampled(0x2117, 0x2420, 0x0C80), Ok(vec![25.0]), "a TMP119");
    let fault = sampled(0x1116, 0x2420, 0x0C80).unwrap_err(); // a TMP116
    assert_eq!(fault.kind, FaultKind::WrongChip);
    assert_eq!(fault.message, "the identity register 0x0f holds 0x1116, expected 0x0117 in the bits 0x0fff");
}

#[test]
fn what_is_no_measurement_is_a_fault() {
    for (config, result, kind, expected) in [
        (0x0C20, 0x0C80, FaultKind::NotReady, "the measurement takes more than twice its time"),
        // The part lost its power while it measured: its own settings again, then a result of before.
        (0x2220, 0x0C80, FaultKind::Corrupt, "the configuration register holds 0x2220 after 0x0c20 was written"),
        (0x2420, 0x8000, FaultKind::NotReady, "no measurement since the part was reset"),
    ] {
        let fault = sampled(0x0117, config, result).unwrap_err();
        assert_eq!((fault.kind, fault.message.as_str()), (kind, expected));
    }
}

#[test]
fn wrong_options_are_refused() {
    for (text, expected) in
        [("{ averages: 16 }", "expected one of 1, 8, 32, 64"), ("{ average: 8 }", "unknown field `average`")]
    {
        let message = serde_yaml::from_str::<Options>(text).unwrap_err().to_string();
        assert!(message.contains(expected), "{text}: {message}");
    }
}
