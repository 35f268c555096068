use super::*;
use crate::ina::tests::{PLACE, close, simulated};
use crate::sim::SharedPart;
use crate::tests::rig::{Rig, sample};

fn options(text: &str) -> Options {
    serde_yaml::from_str(text).unwrap()
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
    let part = SharedPart::new(Box::new(crate::ina226::sim::model(Shunt::new(0.1).unwrap())));
    let fault = Options::default().open(Rig::new(PLACE, Some(part)).wire()).err().unwrap();
    assert_eq!(fault.kind, FaultKind::WrongChip);
    let expected = "the configuration register holds 0x4127 after it was reset, expected 0x399f: not an INA219";
    assert_eq!(fault.message, expected);
}
