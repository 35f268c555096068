use super::sim::Model;
use super::*;
use crate::sim::{I2cBus, I2cPart, Nack, SharedPart};
use crate::tests::rig::{Rig, sample};

const PLACE: Attachment = Attachment::I2c { addresses: &[0x40] };

fn options(text: &str) -> Options {
    serde_yaml::from_str(text).unwrap()
}

fn simulated(options: &Options) -> (I2cBus, Rig, SharedPart) {
    let part = SharedPart::new(options.simulate().unwrap());
    let rig = Rig::new(PLACE, Some(part.clone()));
    let Rig::I2c(bus, _) = &rig else { unreachable!() };
    (bus.clone(), rig, part)
}

fn close(found: &[f64], expected: [f64; 3]) -> bool {
    found.len() == 3 && found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-9)
}

/// "Register Results for the Example Circuit": 10 A through 2 mΩ at 12 V, with a step of 1 mA.
#[test]
fn model_as_in_the_example_of_the_datasheet() {
    let (bus, _, part) = simulated(&options("{ shunt: 0.002 }"));
    part.stimulate("voltage", 11.98);
    part.stimulate("current", 10.0);
    let mut bus = bus;
    bus.write(0x40, &[CALIBRATION, 0x50, 0x00]).unwrap();
    bus.write(0x40, &[CONFIG, 0x01, 0x9F]).unwrap();
    Delay.delay_ms(2);
    let mut read = |register| {
        let mut bytes = [0; 2];
        bus.write_read(0x40, &[register], &mut bytes).unwrap();
        u16::from_be_bytes(bytes)
    };
    assert_eq!(read(0x01), 0x07D0);
    assert_eq!(read(BUS), 0x5D98 | READY);
    assert_eq!(read(PART_CURRENT), 0x2710);
    assert_eq!(read(PART_POWER), 0x1766);
}

/// The same, step by step; and equation 1 with the step of 1 mA, and with the step of the driver.
#[test]
fn example_of_the_datasheet() {
    let volts = volts(0x5D98, BusRange::V16).unwrap();
    assert!((volts - 11.98).abs() < 1e-9);
    let options = options("{ shunt: 0.002, range: 40, bus_range: 16 }");
    assert!((amperes(0x07D0, &options).unwrap() - 10.0).abs() < 1e-9);
    let calibration = |step: f64, shunt: f64| (0.04096 / (step * shunt)).round();
    assert_eq!(calibration(1e-3, 0.002), f64::from(0x5000));
    assert_eq!(calibration(SHUNT_STEP / 0.002, 0.002), f64::from(SHUNT_AS_CURRENT));
    // 16 V, 40 mV, continuous; the example does not average.
    assert_eq!(options.config(0b111) & !(0b1111 << 7 | 0b1111 << 3), 0x019F & !(0b1111 << 7 | 0b1111 << 3));
}

/// The same circuit through the driver, whose steps are finer or coarser than the example's.
#[test]
fn circuit_of_the_datasheet() {
    let options = options("{ shunt: 0.002, range: 40, bus_range: 16, averages: 1 }");
    let (_, rig, part) = simulated(&options);
    part.stimulate("voltage", 11.98);
    part.stimulate("current", 10.0);
    let mut sensor = options.open(rig.wire()).unwrap();
    let found = sample(&options, &mut *sensor).unwrap();
    assert!(close(&found, [11.98, 10.0, 119.8]), "{found:?}");
    part.stimulate("current", -10.0);
    let found = sample(&options, &mut *sensor).unwrap();
    assert!(close(&found, [11.98, -10.0, -119.8]), "{found:?}");
}

/// What a measurement looks like on the bus.
#[test]
fn transcript() {
    let options = Options::default();
    let (bus, rig, part) = simulated(&options);
    bus.record();
    part.stimulate("voltage", 12.0);
    part.stimulate("current", -1.5);
    let mut sensor = options.open(rig.wire()).unwrap();
    let found = sample(&options, &mut *sensor).unwrap();
    assert!(close(&found, [12.0, -1.5, -18.0]), "{found:?}");
    sensor.halt().unwrap();
    let expected = [
        "40 W 00 80 00",
        "40 W 00 · R 39 9f", // 0 0 1 11 0011 0011 111
        "40 W 00 3d d8",     // 0 0 1 11 1011 1011 000: 32 V, 320 mV, eight averages, asleep
        "40 W 00 · R 3d d8",
        "40 W 05 10 00",
        "40 W 03 · R 00 00",
        "40 W 00 3d db", // shunt and bus, once
        "40 W 00 · R 3d db",
        "40 W 02 · R 00 00", // not yet
        "40 W 00 · R 3d db",
        "40 W 02 · R 00 00",
        "40 W 00 · R 3d db",
        "40 W 02 · R 5d c2", // 3000 · 4 mV, ready
        "40 W 04 · R c5 68", // −15000 · 10 µV
        "40 W 00 3d d8",
        "40 W 00 3d d8",
    ];
    assert_eq!(bus.recorded(), expected);
}

/// "Configuration Register": each field, from its reset value on.
#[test]
fn settings_of_the_datasheet() {
    let reset = options("{ averages: 1 }");
    // After a reset both converters are at 0011, which is one conversion as well as 1000 is.
    assert_eq!(reset.config(0b111), 0b0011_1100_0100_0111);
    for (text, bits) in [
        ("{ averages: 1, bus_range: 16 }", 0b0001_1100_0100_0111),
        ("{ averages: 1, range: 160 }", 0b0011_0100_0100_0111),
        ("{ averages: 1, range: 80 }", 0b0010_1100_0100_0111),
        ("{ averages: 1, range: 40 }", 0b0010_0100_0100_0111),
        ("{ averages: 2 }", 0b0011_1100_1100_1111),
        ("{ averages: 4 }", 0b0011_1101_0101_0111),
        ("{ averages: 16 }", 0b0011_1110_0110_0111),
        ("{ averages: 32 }", 0b0011_1110_1110_1111),
        ("{ averages: 64 }", 0b0011_1111_0111_0111),
        ("{ averages: 128 }", 0b0011_1111_1111_1111),
    ] {
        assert_eq!(options(text).config(0b111), bits, "{text}");
    }
}

#[test]
fn another_part_is_not_an_ina219() {
    let part = SharedPart::new(Box::new(crate::ina226::sim::Model::new(crate::ina226::Shunt::new(0.1).unwrap())));
    let fault = Options::default().open(Rig::new(PLACE, Some(part)).wire()).err().unwrap();
    assert_eq!(fault.kind, FaultKind::WrongChip);
    let expected = "the configuration register holds 0x4127 after it was reset, expected 0x399f: not an INA219";
    assert_eq!(fault.message, expected);
}

#[test]
fn what_is_beyond_the_range_is_a_fault() {
    for (text, channel, value, expected) in [
        ("{}", "current", 3.3, "current: 320 mV or beyond at the shunt, the end of the range"),
        ("{ range: 40 }", "current", -0.4, "current: 40 mV or beyond at the shunt, the end of the range"),
        ("{ range: 80, shunt: 0.01 }", "current", 8.0, "current: 80 mV or beyond at the shunt, the end of the range"),
        ("{ bus_range: 16 }", "voltage", 17.0, "voltage: 16 V or beyond, the end of the range"),
        ("{}", "voltage", 27.0, "voltage: a voltage in V of 27.00 is outside of what the part can measure, 0 to 26"),
    ] {
        let options = options(text);
        let (_, rig, part) = simulated(&options);
        part.stimulate(channel, value);
        let fault = sample(&options, &mut *options.open(rig.wire()).unwrap()).unwrap_err();
        assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::Corrupt, expected));
    }
}

#[test]
fn each_number_of_averages_is_waited_for() {
    for averages in Averages::ALL {
        let options = Options { averages: *averages, ..Options::default() };
        let (_, rig, part) = simulated(&options);
        let mut sensor = options.open(rig.wire()).unwrap();
        for volts in [5.0, 12.5] {
            part.stimulate("voltage", volts);
            part.stimulate("current", 0.5);
            let found = sample(&options, &mut *sensor).unwrap();
            assert!(close(&found, [volts, 0.5, volts / 2.0]), "{averages:?}: {found:?}");
        }
    }
}

type Change = fn(u16) -> u16;

/// A part behind a wire that changes what is read of one register, once it is set up.
struct Changed {
    model: Model,
    pointer: u8,
    calibrated: bool,
    register: u8,
    change: Change,
}

impl Part for Changed {
    fn stimulate(&mut self, channel: &str, value: f64) -> bool {
        self.model.stimulate(channel, value)
    }

    fn i2c(&mut self) -> Option<&mut dyn I2cPart> {
        Some(self)
    }
}

impl I2cPart for Changed {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        self.pointer = bytes[0];
        self.calibrated |= bytes[0] == CALIBRATION;
        I2cPart::write(&mut self.model, bytes)
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        I2cPart::read(&mut self.model, buffer)?;
        if let ([high, low], true, true) = (&mut *buffer, self.calibrated, self.pointer == self.register) {
            [*high, *low] = (self.change)(u16::from_be_bytes([*high, *low])).to_be_bytes();
        }
        Ok(())
    }
}

#[test]
fn what_is_no_measurement_is_a_fault() {
    let cases: [(u8, Change, FaultKind, &str); 3] = [
        (BUS, |bus| bus & !READY, FaultKind::NotReady, "the measurement takes more than twice its time"),
        (BUS, |bus| bus | OVERFLOW, FaultKind::Corrupt, "the part's arithmetic overflowed (flag OVF)"),
        // The part lost its power while it measured: its own settings again, and no calibration.
        (
            CONFIG,
            |_| AFTER_RESET,
            FaultKind::Corrupt,
            "the configuration register holds 0x399f after 0x3ddb was written",
        ),
    ];
    for (register, change, kind, expected) in cases {
        let options = Options::default();
        let model = Model::new(options.shunt);
        let part = Changed { model, pointer: 0, calibrated: false, register, change };
        let rig = Rig::new(PLACE, Some(SharedPart::new(Box::new(part))));
        let fault = sample(&options, &mut *options.open(rig.wire()).unwrap()).unwrap_err();
        assert_eq!((fault.kind, fault.message.as_str()), (kind, expected));
    }
}

#[test]
fn wrong_options_are_refused() {
    for (text, expected) in [
        ("{ range: 100 }", "expected one of 40, 80, 160, 320"),
        ("{ bus_range: 26 }", "expected one of 16, 32"),
        ("{ averages: 3 }", "expected one of 1, 2, 4, 8, 16, 32, 64, 128"),
        ("{ shunt: 0 }", "expected a number from 0.0001 to 100.0"),
        ("{ shunts: 1 }", "unknown field `shunts`"),
    ] {
        let message = serde_yaml::from_str::<Options>(text).unwrap_err().to_string();
        assert!(message.contains(expected), "{text}: {message}");
    }
}
