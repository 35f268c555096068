use super::sim::{FIRST, Model, SECOND, THIRD};
use super::*;
use crate::sim::SharedPart;
use crate::tests::rig::{Rig, sample};
use embedded_hal::i2c::I2c;

const PLACE: Attachment = Attachment::I2c { addresses: &[0x77] };

fn options(text: &str) -> Options {
    serde_yaml::from_str(text).unwrap()
}

fn rig(model: Model) -> (Rig, SharedPart) {
    let part = SharedPart::new(Box::new(model));
    (Rig::new(PLACE, Some(part.clone())), part)
}

/// The part whose registers were recorded by the bosch-bme680 project, with what the maker's formulas in single precision
/// made of its raw values there.
fn recorded() -> Calibration {
    Calibration::new(FIRST, SECOND, THIRD)
}

#[test]
fn recorded_temperatures() {
    for (raw, celsius, fine) in [
        (482_062, 21.295_866, 109_034.835_938),
        (482_452, 21.419_861, 109_669.687_5),
        (482_058, 21.294_596, 109_028.328_125),
    ] {
        let found = recorded().fine(raw);
        assert!((found - fine).abs() < 0.05, "{raw}: {found}");
        assert!((Calibration::celsius(found) - celsius).abs() < 1e-5, "{raw}: {found}");
    }
}

#[test]
fn recorded_pressures_and_humidities() {
    for (raw, pascal, fine) in [
        (307_582, 95_058.664, 111_095.656_25),
        (307_395, 95_058.992, 110_130.359_375),
        (307_254, 95_060.328, 109_436.914),
    ] {
        let found = recorded().pascal(raw, fine);
        assert!((found - pascal).abs() < 0.1, "{raw}: {found}");
    }
    for (raw, percent, fine) in
        [(25_537, 59.469_585, 109_842.234), (25_531, 59.410_557, 109_090.187_5), (25_549, 59.537_392, 109_531.328)]
    {
        let found = recorded().percent(raw, Calibration::celsius(fine));
        assert!((found - percent).abs() < 1e-4, "{raw}: {found}");
    }
}

/// Another part: its calibration and raw values are those of the tests of Pimoroni's bme680-python, and what the maker's
/// integer formulas make of them there.
#[test]
fn another_part() {
    // par_h1 676 and par_h2 1029 share the second byte.
    let first = [
        0x65, 0x67, 3, 0, 0x41, 0x8F, 0xED, 0xD6, 88, 0, 0x8E, 0x1C, 0x7F, 0xFF, 46, 30, 0, 0, 0x97, 0xF3, 0xB5, 0xF6,
        30,
    ];
    let second = [0x40, 0x54, 0x2A, 0, 45, 20, 120, 0x9C, 0xB9, 0x65, 0x4E, 0x9F, 0xE2, 18];
    let calibration = Calibration::new(first, second, [48, 0, 1 << 4, 0, 0]);
    let fine = calibration.fine(501_240);
    assert!((fine - 136_667.0).abs() < 5.0, "{fine}");
    let celsius = Calibration::celsius(fine);
    assert!((celsius - 26.69).abs() < 0.01, "{celsius}");
    let pascal = calibration.pascal(353_485, fine);
    assert!((pascal - 98_712.0).abs() < 5.0, "{pascal}");
    let percent = calibration.percent(19_019, celsius);
    assert!((percent - 42.402).abs() < 0.05, "{percent}");
    let ohms = calibration.ohms(0, 0);
    assert!((ohms - 12_946_860.0).abs() < 1.0, "{ohms}");
}

/// The maker's integer formula, as the Linux driver has it, with the air at 25 °C.
#[test]
fn settings_of_the_plate() {
    let (gh1, gh2, gh3, range, value) = (-69, -9_092, 18, 1, 30);
    for celsius in 200..=400 {
        let air = 25 * gh3 / 1_000 * 256;
        let hot = (gh1 + 784) * (((gh2 + 154_009) * celsius * 5 / 100 + 3_276_800) / 10);
        let expected = (((air + hot / 2) / (range + 4) / (131 * value + 65_536) - 250) * 34 + 50) / 100;
        let found = recorded().res_heat(f64::from(celsius), 25.0);
        assert!((i32::from(found) - expected).abs() <= 1, "{celsius}: {found}, expected {expected}");
    }
    // The datasheet's example of 100 ms, and the ends.
    for (text, expected) in [("100ms", 0x59), ("1ms", 0x01), ("63ms", 0x3F), ("64ms", 0x50), ("4032ms", 0xFF)] {
        let options = options(&format!("{{ heater: {{ duration: {text} }} }}"));
        assert_eq!(options.heater.duration.gas_wait(), expected, "{text}");
    }
}

#[test]
fn transcript() {
    let mut model = Model::default();
    model.set_raw([482_062, 307_582, 25_537, 512, 6]);
    let (rig, _) = rig(model);
    let Rig::I2c(bus, _) = &rig else { unreachable!() };
    bus.record();
    let options = Options::default();
    let mut sensor = options.open(rig.wire()).unwrap();
    let found = sample(&options, &mut *sensor).unwrap();
    assert!((found[TEMPERATURE] - 21.296).abs() < 1e-3, "{found:?}");
    // Half of its range, and 2⁶ of the smallest resistance: 1 / (0.125 µS · 64).
    assert!((found[GAS_RESISTANCE] - 125_000.0).abs() < 1e-6, "{found:?}");
    sensor.halt().unwrap();
    let expected = [
        "77 W d0 · R 61",
        "77 W f0 · R 00",
        "77 W e0 b6",
        "77 W 8a · R 28 68 03 f0 3f 92 b4 d7 58 00 ed 28 cc fe 3e 1e 00 00 d8 eb e0 f9 1e",
        "77 W e1 · R 3d d1 37 00 2d 14 78 9c 56 65 7c dc bb 12",
        "77 W 00 · R 1e aa 16 ce 03",
        "77 W 72 01", // once
        "77 W 75 00",
        "77 W 5a 6f", // 320 °C
        "77 W 64 65", // 37 · 4 ms
        "77 W 70 00",
        "77 W 71 10",
        "77 W 74 55",                                               // 010 101 01: twice, sixteen times, now
        "77 W 1d · R 60 00 80 00 00 80 00 00 80 00 00 00 00 00 04", // not yet
        "77 W 1d · R 80 00 4b 17 e0 75 b0 e0 63 c1 00 00 00 80 36", // 11 0110: valid, hot, range 6
        "77 W 70 08",
    ];
    assert_eq!(bus.recorded(), expected);
}

#[test]
fn each_oversampling_is_waited_for() {
    for times in Times::ALL {
        let oversampling = Oversampling { temperature: *times, humidity: *times, pressure: *times };
        for gas in [false, true] {
            let options = Options { oversampling, gas, ..Options::default() };
            let (rig, part) = rig(Model::default());
            let mut sensor = options.open(rig.wire()).unwrap();
            for temperature in [10.0, 30.0] {
                part.stimulate("temperature", temperature);
                let found = sample(&options, &mut *sensor).unwrap();
                assert!((found[TEMPERATURE] - temperature).abs() < 0.01, "{times:?}: {found:?}");
                assert_eq!(found.len(), if gas { 4 } else { 3 });
            }
        }
    }
}

/// Without the gas, the plate is never told to be hot.
#[test]
fn the_plate_stays_cold() {
    let (rig, _) = rig(Model::default());
    let Rig::I2c(bus, _) = &rig else { unreachable!() };
    let options = options("{ gas: false }");
    let mut sensor = options.open(rig.wire()).unwrap();
    bus.record();
    sample(&options, &mut *sensor).unwrap();
    let lines = bus.recorded();
    assert!(lines.contains(&"77 W 70 08".to_owned()) && lines.contains(&"77 W 71 00".to_owned()), "{lines:?}");
    assert!(!lines.iter().any(|line| line.starts_with("77 W 5a")), "{lines:?}");
}

#[test]
fn a_plate_that_is_not_hot_is_not_ready() {
    let expected =
        "the hot plate did not get as hot as it should: a longer `heater.duration` may help, or `gas: false`";
    for (model, text) in [(Model::cold(), "{}"), (Model::default(), "{ heater: { duration: 5ms } }")] {
        let (rig, _) = rig(model);
        let options = options(text);
        let fault = sample(&options, &mut *options.open(rig.wire()).unwrap()).unwrap_err();
        assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::NotReady, expected));
    }
    let (rig, _) = rig(Model::cold());
    let options = options("{ gas: false }");
    assert!(sample(&options, &mut *options.open(rig.wire()).unwrap()).is_ok());
}

#[test]
fn what_is_no_gas_is_a_fault() {
    let calibration = recorded();
    let with_gas = |g0, g1| {
        convert([0x80, 0, 0x4B, 0x17, 0xE0, 0x75, 0xB0, 0xE0, 0x63, 0xC1, 0, 0, 0, g0, g1], &calibration, true)
    };
    assert!(with_gas(0x80, 0x36).is_ok());
    for (g0, g1, kind) in [
        (0x80, 0x16, FaultKind::NotReady), // not valid
        (0x80, 0x26, FaultKind::NotReady), // not hot
        (0x00, 0x30, FaultKind::Corrupt),  // beyond the range
    ] {
        assert_eq!(with_gas(g0, g1).err().unwrap().kind, kind, "{g0:#04x} {g1:#04x}");
    }
}

#[test]
fn parts_are_known_by_their_identity() {
    for (register, found, expected) in [
        (0xD0, 0x60, "identity register 0xD0 holds 0x60, expected 0x61"),
        (0xF0, 0x01, "identity register 0xF0 holds 0x01, expected 0x00 (0x01 is a BME688)"),
    ] {
        let fault = Options::default().open(rig(Model::with_registers(register, &[found])).0.wire()).err().unwrap();
        assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::WrongChip, expected));
    }
}

#[test]
fn a_calibration_that_cannot_be_is_refused() {
    for (register, length) in [(0x8A, 23), (0xE1, 14), (0x00, 5)] {
        let fault =
            Options::default().open(rig(Model::with_registers(register, &vec![0; length])).0.wire()).err().unwrap();
        let expected = format!("all registers from {register:#04X} on hold 0x00");
        assert_eq!((fault.kind, fault.message), (FaultKind::Corrupt, expected));
    }
}

/// A part that loses its power between two samples gets all its settings with the next one.
#[test]
fn loss_of_power_is_survived() {
    let (rig, _) = rig(Model::default());
    let Rig::I2c(bus, address) = &rig else { unreachable!() };
    let options = Options::default();
    let mut sensor = options.open(rig.wire()).unwrap();
    sample(&options, &mut *sensor).unwrap();
    let before = sample(&options, &mut *sensor).unwrap();
    bus.clone().write(*address, &[RESET, SOFT_RESET]).unwrap();
    Delay.delay_ms(10);
    assert_eq!(sample(&options, &mut *sensor).unwrap(), before);
}

/// While it measures: it never ends, or what is there is what a reset leaves.
#[test]
fn what_is_no_measurement_is_a_fault() {
    struct Stub([u8; 15]);
    impl Registers for Stub {
        fn read(&mut self, register: u8, buffer: &mut [u8]) -> Result<(), Fault> {
            let bytes: &[u8] = match register {
                CHIP_ID => &[IDENTITY],
                VARIANT_ID => &[VARIANT],
                0x8A => &FIRST,
                0xE1 => &SECOND,
                0x00 => &THIRD,
                _ => &self.0,
            };
            buffer.copy_from_slice(bytes);
            Ok(())
        }

        fn write(&mut self, _: u8, _: u8) -> Result<(), Fault> {
            Ok(())
        }
    }
    let reset = "the data registers are as after a reset";
    let late = "the measurement takes more than twice its time";
    let good = [0x80, 0, 0x4B, 0x17, 0xE0, 0x75, 0xB0, 0xE0, 0x63, 0xC1, 0, 0, 0, 0x80, 0x36];
    for (at, bytes, kind, expected) in [
        (0, &[0x00][..], FaultKind::NotReady, late),
        (0, &[0xC0], FaultKind::NotReady, late),
        (0, &[0xA0], FaultKind::NotReady, late),
        (2, &[0x80, 0x00, 0x00], FaultKind::Corrupt, reset),
        (5, &[0x80, 0x00, 0x00], FaultKind::Corrupt, reset),
        (8, &[0x80, 0x00], FaultKind::Corrupt, reset),
    ] {
        let mut data = good;
        data[at..][..bytes.len()].copy_from_slice(bytes);
        let mut part = Bme680::new(Stub(data), Delay, Options::default()).unwrap();
        let fault = part.measure().err().unwrap();
        assert_eq!((fault.kind, fault.message.as_str()), (kind, expected));
    }
    assert!(Bme680::new(Stub(good), Delay, Options::default()).unwrap().measure().is_ok());
}

#[test]
fn beyond_the_range_is_a_fault() {
    let (rig, part) = rig(Model::default());
    let options = Options::default();
    let mut sensor = options.open(rig.wire()).unwrap();
    for (channel, beyond, fine) in [
        ("temperature", 86.0, 84.9),
        ("temperature", -41.0, -39.9),
        ("pressure", 1_101.0, 1_099.0),
        ("pressure", 299.0, 301.0),
    ] {
        part.stimulate(channel, beyond);
        let fault = sample(&options, &mut *sensor).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Corrupt, "{channel} {beyond}");
        assert!(fault.message.starts_with(&format!("a {channel}")), "{fault}");
        part.stimulate(channel, fine);
        sample(&options, &mut *sensor).unwrap_or_else(|fault| panic!("{channel} {fine}: {fault}"));
        part.stimulate("temperature", 20.0);
        part.stimulate("pressure", 1_000.0);
    }
}

#[test]
fn wrong_options_are_refused() {
    for (text, expected) in [
        ("{ heater: { duration: 5s } }", "expected a duration from 1ms to 4032ms"),
        ("{ heater: { duration: 0ms } }", "expected a duration from 1ms to 4032ms"),
        ("{ heater: { duration: 150 } }", "a duration with its unit"),
    ] {
        let message = serde_yaml::from_str::<Options>(text).unwrap_err().to_string();
        assert!(message.contains(expected), "{text}: {message}");
    }
}
