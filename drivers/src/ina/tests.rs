//! What both are asked.

use super::*;
use crate::driver::Attachment;
use crate::fault::FaultKind;
use crate::sensor::SensorSpec;
use crate::sim::{I2cBus, I2cPart, Nack, Part, SharedPart};
use crate::tests::rig::{Rig, sample};
use crate::{ina219, ina226};
use serde::de::DeserializeOwned;

pub const PLACE: Attachment = Attachment::I2c { addresses: &[0x40] };

/// The options of a chip, from their text.
type Options = fn(&str) -> Result<Box<dyn SensorSpec>, String>;
const INA219: Options = parse::<ina219::Options>;
const INA226: Options = parse::<ina226::Options>;

fn parse<O: SensorSpec + DeserializeOwned + 'static>(text: &str) -> Result<Box<dyn SensorSpec>, String> {
    serde_yaml::from_str::<O>(text).map(|options| Box::new(options) as _).map_err(|error| error.to_string())
}

pub fn simulated(options: &dyn SensorSpec) -> (I2cBus, Rig, SharedPart) {
    let part = SharedPart::new(options.simulate().unwrap());
    let rig = Rig::new(PLACE, Some(part.clone()));
    let Rig::I2c(bus, _) = &rig else { unreachable!() };
    (bus.clone(), rig, part)
}

pub fn close(found: &[f64], expected: [f64; 3]) -> bool {
    found.len() == 3 && found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-9)
}

/// The circuit of both datasheets' examples through the driver, whose steps are finer or coarser than the examples'.
#[test]
fn circuit_of_the_datasheet() {
    for (chip, text) in
        [(INA219, "{ shunt: 0.002, range: 40, bus_range: 16, averages: 1 }"), (INA226, "{ shunt: 0.002, averages: 1 }")]
    {
        let options = chip(text).unwrap();
        let (_, rig, part) = simulated(&*options);
        part.stimulate("voltage", 11.98);
        part.stimulate("current", 10.0);
        let mut sensor = options.open(rig.wire()).unwrap();
        let found = sample(&*options, &mut *sensor).unwrap();
        assert!(close(&found, [11.98, 10.0, 119.8]), "{text}: {found:?}");
        part.stimulate("current", -10.0);
        let found = sample(&*options, &mut *sensor).unwrap();
        assert!(close(&found, [11.98, -10.0, -119.8]), "{text}: {found:?}");
    }
}

#[test]
fn what_is_beyond_the_range_is_a_fault() {
    for (chip, text, channel, value, expected) in [
        (INA219, "{}", "current", 3.3, "current: 320 mV or beyond at the shunt, the end of the range"),
        (INA219, "{ range: 40 }", "current", -0.4, "current: 40 mV or beyond at the shunt, the end of the range"),
        (
            INA219,
            "{ range: 80, shunt: 0.01 }",
            "current",
            8.0,
            "current: 80 mV or beyond at the shunt, the end of the range",
        ),
        (INA219, "{ bus_range: 16 }", "voltage", 17.0, "voltage: 16 V or beyond, the end of the range"),
        (
            INA219,
            "{}",
            "voltage",
            27.0,
            "voltage: a voltage in V of 27.00 is outside of what the part can measure, 0 to 26",
        ),
        (INA226, "{}", "current", 0.82, "current: 81.92 mV or beyond at the shunt, the end of the range"),
        (INA226, "{ shunt: 0.01 }", "current", -8.2, "current: 81.92 mV or beyond at the shunt, the end of the range"),
        (
            INA226,
            "{}",
            "voltage",
            37.0,
            "voltage: a voltage in V of 37.00 is outside of what the part can measure, 0 to 36",
        ),
    ] {
        let options = chip(text).unwrap();
        let (_, rig, part) = simulated(&*options);
        part.stimulate(channel, value);
        let fault = sample(&*options, &mut *options.open(rig.wire()).unwrap()).unwrap_err();
        assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::Corrupt, expected));
    }
}

#[test]
fn each_number_of_averages_is_waited_for() {
    for (chip, averages) in [
        (INA219, ina219::Averages::ALL.iter().map(|averages| averages.number()).collect::<Vec<_>>()),
        (INA226, ina226::Averages::ALL.iter().map(|averages| averages.number()).collect()),
    ] {
        for averages in averages {
            let options = chip(&format!("{{ averages: {averages} }}")).unwrap();
            let (_, rig, part) = simulated(&*options);
            let mut sensor = options.open(rig.wire()).unwrap();
            for volts in [5.0, 12.5] {
                part.stimulate("voltage", volts);
                part.stimulate("current", 0.5);
                let found = sample(&*options, &mut *sensor).unwrap();
                assert!(close(&found, [volts, 0.5, volts / 2.0]), "{averages}: {found:?}");
            }
        }
    }
}

type Change = fn(u16) -> u16;

/// A part behind a wire that changes what is read of one register, once it is set up.
struct Changed {
    part: Box<dyn Part>,
    pointer: u8,
    calibrated: bool,
    register: u8,
    change: Change,
}

impl Part for Changed {
    fn stimulate(&mut self, channel: &str, value: f64) -> bool {
        self.part.stimulate(channel, value)
    }

    fn i2c(&mut self) -> Option<&mut dyn I2cPart> {
        Some(self)
    }
}

impl I2cPart for Changed {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        self.pointer = bytes[0];
        self.calibrated |= bytes[0] == CALIBRATION;
        self.part.i2c().unwrap().write(bytes)
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        self.part.i2c().unwrap().read(buffer)?;
        if let ([high, low], true, true) = (&mut *buffer, self.calibrated, self.pointer == self.register) {
            [*high, *low] = (self.change)(u16::from_be_bytes([*high, *low])).to_be_bytes();
        }
        Ok(())
    }
}

#[test]
fn what_is_no_measurement_is_a_fault() {
    const LATE: &str = "the measurement takes more than twice its time";
    const OVERFLOWED: &str = "the part's arithmetic overflowed (flag OVF)";
    /// "Mask/Enable" of the INA226.
    const FLAGS: u8 = 0x06;
    let cases: [(Options, u8, Change, FaultKind, &str); 6] = [
        (INA219, BUS, |bus| bus & !(1 << 1), FaultKind::NotReady, LATE),
        (INA219, BUS, |bus| bus | 1 << 0, FaultKind::Corrupt, OVERFLOWED),
        (INA226, FLAGS, |flags| flags & !(1 << 3), FaultKind::NotReady, LATE),
        (INA226, FLAGS, |flags| flags | 1 << 2, FaultKind::Corrupt, OVERFLOWED),
        // The part lost its power while it measured: its own settings again, and no calibration.
        (
            INA219,
            CONFIG,
            |_| 0x399F,
            FaultKind::Corrupt,
            "the configuration register holds 0x399f after 0x3ddb was written",
        ),
        (
            INA226,
            CONFIG,
            |_| 0x4127,
            FaultKind::Corrupt,
            "the configuration register holds 0x4127 after 0x4323 was written",
        ),
    ];
    for (chip, register, change, kind, expected) in cases {
        let options = chip("{}").unwrap();
        let part = options.simulate().unwrap();
        let part = Changed { part, pointer: 0, calibrated: false, register, change };
        let rig = Rig::new(PLACE, Some(SharedPart::new(Box::new(part))));
        let fault = sample(&*options, &mut *options.open(rig.wire()).unwrap()).unwrap_err();
        assert_eq!((fault.kind, fault.message.as_str()), (kind, expected));
    }
}

#[test]
fn wrong_options_are_refused() {
    for (chip, text, expected) in [
        (INA219, "{ range: 100 }", "expected one of 40, 80, 160, 320"),
        (INA219, "{ bus_range: 26 }", "expected one of 16, 32"),
        (INA219, "{ averages: 3 }", "expected one of 1, 2, 4, 8, 16, 32, 64, 128"),
        (INA219, "{ shunt: 0 }", "expected a number from 0.0001 to 100.0"),
        (INA219, "{ shunts: 1 }", "unknown field `shunts`"),
        (INA226, "{ averages: 2 }", "expected one of 1, 4, 16, 64, 128, 256, 512, 1024"),
        (INA226, "{ shunt: 0 }", "expected a number from 0.0001 to 100.0"),
        (INA226, "{ shunts: 1 }", "unknown field `shunts`"),
    ] {
        let message = chip(text).err().unwrap();
        assert!(message.contains(expected), "{text}: {message}");
    }
}
