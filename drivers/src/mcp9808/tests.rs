use super::sim::Model;
use super::*;
use crate::FaultKind;
use crate::sim::{I2cBus, I2cPart, Nack, SharedPart};
use crate::tests::rig::{Rig, sample};

const PLACE: Attachment = Attachment::I2c { addresses: &[0x18] };

/// Example 5-1 of the datasheet in its own terms: masks, then bytes. What it computes below 0 °C lacks the sign.
fn example_of_the_datasheet(upper: u8, lower: u8) -> f64 {
    let (upper, lower) = (f64::from(upper & 0x1F), f64::from(lower));
    if upper < 16.0 { upper * 16.0 + lower / 16.0 } else { (upper - 16.0) * 16.0 + lower / 16.0 - 256.0 }
}

#[test]
fn conversion_of_the_datasheet() {
    // With two flags of the limits.
    assert_eq!(celsius(0xC194), Ok(25.25));
    for (code, expected) in [(0x07D0, 125.0), (0x0001, 0.0625), (0x0000, 0.0), (0x1FFF, -0.0625), (0x1D80, -40.0)] {
        assert_eq!(celsius(code), Ok(expected), "{code:#06x}");
    }
    for code in 0..=u16::MAX {
        let [upper, lower] = code.to_be_bytes();
        let expected = example_of_the_datasheet(upper, lower);
        match celsius(code) {
            Ok(celsius) => assert_eq!(celsius, expected, "{code:#06x}"),
            Err(_) => assert!(!TEMPERATURE_RANGE.contains(&expected), "{code:#06x}"),
        }
    }
    let fault = celsius(0x07D1).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Corrupt);
    assert_eq!(fault.message, "a temperature in °C of 125.06 is outside of what the part can measure, -40 to 125");
}

/// What a measurement looks like on the bus, and what the part holds before: section 5.1.
#[test]
fn transcript() {
    let part = SharedPart::new(Box::new(Model::default()));
    let rig = Rig::new(PLACE, Some(part.clone()));
    let Rig::I2c(bus, address) = &rig else { unreachable!() };
    bus.record();
    bus.clone().write_read(*address, &[CONFIG], &mut [0; 2]).unwrap();
    bus.clone().write_read(*address, &[RESOLUTION], &mut [0]).unwrap();
    part.stimulate("temperature", 25.25);
    let options = Options::default();
    let mut sensor = options.open(rig.wire()).unwrap();
    assert_eq!(sample(&options, &mut *sensor), Ok(vec![25.25]));
    sensor.halt().unwrap();
    let expected = [
        "18 W 01 · R 00 00",
        "18 W 08 · R 03",
        "18 W 06 · R 00 54",
        "18 W 07 · R 04 00",
        "18 W 01 03 00", // 00000 01 1 00000000: asleep
        "18 W 08 03",
        "18 W 01 02 00", // awake
        "18 W 01 · R 02 00",
        "18 W 05 · R c1 94", // above both limits, which are 0 °C
        "18 W 01 03 00",
        "18 W 01 03 00",
    ];
    assert_eq!(bus.recorded(), expected);
}

/// Neither what was measured before it slept, nor a conversion that has not ended yet.
#[test]
fn each_resolution_measures_what_is_there_now() {
    // Section 5.1.6, resolution register.
    for (resolution, code) in Resolution::ALL.iter().zip([0b00, 0b01, 0b10, 0b11]) {
        assert_eq!(resolution.code(), code, "{resolution:?}");
        let options = Options { resolution: *resolution };
        let part = SharedPart::new(options.simulate().unwrap());
        let mut sensor = options.open(Rig::new(PLACE, Some(part.clone())).wire()).unwrap();
        for celsius in [30.9375, -10.9375, 0.4375] {
            part.stimulate("temperature", celsius);
            let step = resolution.number();
            assert_eq!(sample(&options, &mut *sensor), Ok(vec![(celsius / step).floor() * step]), "{resolution:?}");
        }
    }
}

/// A part whose registers can be changed, and that can be replaced when it is woken.
struct Stub {
    model: Model,
    identity: [u16; 2],
    pointer: u8,
    resets: bool,
}

impl Part for Stub {
    fn stimulate(&mut self, channel: &str, value: f64) -> bool {
        self.model.stimulate(channel, value)
    }

    fn i2c(&mut self) -> Option<&mut dyn I2cPart> {
        Some(self)
    }
}

impl I2cPart for Stub {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        self.pointer = bytes[0];
        I2cPart::write(&mut self.model, bytes)?;
        if bytes == [CONFIG, 2, 0] && std::mem::take(&mut self.resets) {
            self.model = Model::default();
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        match self.pointer {
            MANUFACTURER => buffer.copy_from_slice(&self.identity[0].to_be_bytes()),
            DEVICE => buffer.copy_from_slice(&self.identity[1].to_be_bytes()),
            _ => I2cPart::read(&mut self.model, buffer)?,
        }
        Ok(())
    }
}

fn open(identity: [u16; 2], resets: bool) -> (I2cBus, Result<Box<dyn Sensor>, Fault>) {
    let part = SharedPart::new(Box::new(Stub { model: Model::default(), identity, pointer: 0, resets }));
    let rig = Rig::new(PLACE, Some(part));
    let sensor = Options::default().open(rig.wire());
    let Rig::I2c(bus, _) = rig else { unreachable!() };
    (bus, sensor)
}

#[test]
fn parts_are_known_by_their_identity() {
    assert!(open([0x0054, 0x0400], false).1.is_ok());
    assert!(open([0x0054, 0x0401], false).1.is_ok(), "a later revision");
    for (identity, expected) in [
        ([0x0054, 0x0201], "the identity register 0x07 holds 0x0201, expected 0x0400 in the bits 0xff00"), // an MCP9804
        ([0x0049, 0x0400], "the identity register 0x06 holds 0x0049, expected 0x0054"),
    ] {
        let fault = open(identity, false).1.err().unwrap();
        assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::WrongChip, expected));
    }
}

/// A part that lost its power has its own settings again, and perhaps no result yet.
#[test]
fn a_reset_is_noticed() {
    let options = Options::default();
    let mut sensor = open([0x0054, 0x0400], true).1.unwrap();
    let fault = sample(&options, &mut *sensor).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Corrupt);
    assert_eq!(fault.message, "the configuration register holds 0x0000 after 0x0200 was written");
    assert_eq!(sample(&options, &mut *sensor), Ok(vec![21.5]), "the next one is right again");
}

#[test]
fn wrong_options_are_refused() {
    for (text, expected) in [
        ("{ resolution: 0.1 }", "expected one of 0.5, 0.25, 0.125, 0.0625"),
        ("{ resolutions: 0.5 }", "unknown field `resolutions`"),
    ] {
        let message = serde_yaml::from_str::<Options>(text).unwrap_err().to_string();
        assert!(message.contains(expected), "{text}: {message}");
    }
}
