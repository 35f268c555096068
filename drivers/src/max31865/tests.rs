use super::sim::Model;
use super::*;
use crate::sim::SharedPart;
use crate::tests::rig::{Rig, Stuck, sample};

fn options(text: &str) -> Options {
    serde_yaml::from_str(text).unwrap()
}

/// A model, opened.
fn opened(options: &Options, model: Model) -> (Rig, SharedPart, Box<dyn Sensor>) {
    let part = SharedPart::new(Box::new(model));
    let rig = Rig::new(Attachment::Spi, Some(part.clone()));
    let sensor = options.open(rig.wire()).unwrap();
    (rig, part, sensor)
}

/// Table 9: a Pt100 with 400 Ω, from temperature to the registers. Its resistances are rounded to 0.01 Ω, which are
/// 0.03 °C, and a step of the converter is as much.
#[test]
fn examples_of_the_datasheet() {
    let scale = options("{ reference: 400 }").scale();
    for (expected, ohms, registers) in [
        (-200.0, 18.52, 0x0BDA),
        (-175.0, 29.22, 0x12B4),
        (-150.0, 39.72, 0x196C),
        (-100.0, 60.26, 0x2690),
        (-50.0, 80.31, 0x3366),
        (-10.0, 96.09, 0x3D7E),
        (0.0, 100.00, 0x4000),
        (10.0, 103.90, 0x4280),
        (50.0, 119.40, 0x4C6A),
        (100.0, 138.51, 0x58A4),
        (200.0, 175.86, 0x708C),
        (300.0, 212.05, 0x87B6),
        (500.0, 280.98, 0xB3D4),
        (550.0, 297.49, 0xBE64),
    ] {
        assert!((100.0 * resistance(expected) - ohms).abs() < 0.006, "{expected} °C: {}", resistance(expected));
        assert!((temperature(ohms / 100.0) - expected).abs() < 0.02, "{ohms} Ω: {}", temperature(ohms / 100.0));
        // The lowest one is a hair below the range.
        if expected > -200.0 {
            let found = celsius(registers, 0, scale).unwrap();
            assert!((found - expected).abs() < 0.05, "{registers:#06x}: {found}");
        }
    }
}

/// Table 5: registers and the share of the reference resistor.
#[test]
fn codes_of_the_datasheet() {
    for (share, registers) in [(0.025, 0x0666), (0.125, 0x2000), (0.25, 0x4000), (0.5, 0x8000), (0.75, 0xC000)] {
        let ohms = f64::from(registers >> 1) / options("{ reference: 400 }").scale() * 100.0;
        assert!((ohms - share * 400.0).abs() < 0.01, "{registers:#06x}: {ohms}");
    }
}

#[test]
fn there_and_back() {
    for step in -2_000..=8_500 {
        let celsius = f64::from(step) / 10.0;
        assert!((temperature(resistance(celsius)) - celsius).abs() < 1e-6, "{celsius}");
    }
    // Whatever the part sends has some temperature, or none, and no panic.
    for code in 0..=u16::MAX {
        let _ = celsius(code, 0, options("{}").scale());
    }
}

#[test]
fn transcript() {
    let options = options("{ reference: 400, wires: 3 }");
    let part = SharedPart::new(Box::new(Model::new(&options)));
    let rig = Rig::new(Attachment::Spi, Some(part.clone()));
    let Rig::Spi(slot) = &rig else { unreachable!() };
    slot.record();
    let mut sensor = options.open(rig.wire()).unwrap();
    part.stimulate("temperature", 100.0);
    let found = sample(&options, &mut *sensor).unwrap()[TEMPERATURE];
    assert!((found - 100.0).abs() < 0.02, "{found}");
    sensor.halt().unwrap();
    let expected = [
        "W 83 f9 ea 0b da", // 390.48 Ω and 18.52 Ω
        "W 80 11",          // 0001 0001: three wires, 50 Hz
        "W 00 · R 11 00 00 f9 ea 0b da 00",
        "W 83 f9 ea 0b da",
        "W 80 93", // 1001 0011: voltage on, faults cleared
        "W 80 99", // 1001 1001: FORCE- closed
        "W 80 9d", // 1001 1101: FORCE- open
        "W 80 b1", // 1011 0001: once
        "W 00 · R 91 58 a4 f9 ea 0b da 00",
        "W 80 11",
        "W 80 11",
    ];
    assert_eq!(slot.recorded(), expected);
}

#[test]
fn each_option_is_heard() {
    for (text, config) in [
        ("{}", 0x01),
        ("{ wires: 2 }", 0x01),
        ("{ wires: 3 }", 0x11),
        ("{ wires: 3, mains: 60Hz }", 0x10),
        ("{ mains: 60Hz, wires: 4 }", 0x00),
    ] {
        let options = options(text);
        assert_eq!(options.config(), config, "{text}");
        let (_, part, mut sensor) = opened(&options, Model::new(&options));
        for celsius in [-50.0, 400.0] {
            part.stimulate("temperature", celsius);
            let found = sample(&options, &mut *sensor).unwrap()[TEMPERATURE];
            assert!((found - celsius).abs() < 0.03, "{text}: {found}");
        }
    }
    // The same steps stand for ten times the resistance.
    assert_eq!(options("{}").scale(), options("{ element: pt1000, reference: 4300 }").scale());
}

#[test]
fn faults_of_the_element_and_its_wires() {
    let open = "the resistance is above that at 850 °C: the element is broken or not connected";
    let shorted = "the resistance is below that at -200 °C: the element or its wires are shorted";
    let high = "REFIN- is too high: the element is open, or a wire is shorted to the supply";
    let rtdin = "RTDIN- is too low with FORCE- open: a wire is shorted to ground";
    for (share, wires, expected) in [
        (f64::INFINITY, 0, open.to_owned()),
        (f64::INFINITY, 1 << 5, format!("{open}; {high}")),
        (0.0, 0, shorted.to_owned()),
        (1.0, 1 << 3, rtdin.to_owned()),
        (1.0, 1 << 2, "the voltage at an input is above the supply or below ground".to_owned()),
    ] {
        let options = options("{}");
        let mut model = Model::new(&options);
        model.set_element(share);
        model.set_faults(wires);
        // An element may be connected later: the part is there.
        let (_, part, mut sensor) = opened(&options, model);
        for _ in 0..2 {
            let fault = sample(&options, &mut *sensor).unwrap_err();
            assert_eq!((fault.kind, fault.message), (FaultKind::Corrupt, expected.clone()));
        }
        drop((part, sensor));
    }
    let fault = celsius(0x4001, 0, 8_192.0).unwrap_err();
    assert_eq!(fault.message, "the result 0x4001 tells of a fault, but not of which");
    let fault = celsius(0x0A00, 0, 8_192.0).unwrap_err();
    assert!(fault.message.starts_with("a temperature in °C of -20"), "{fault}");
}

/// Faults are latched in the part: an element that is connected again is measured again.
#[test]
fn a_fault_passes() {
    let options = options("{}");
    let (_, part, mut sensor) = opened(&options, Model::new(&options));
    part.stimulate("temperature", -230.0);
    assert_eq!(sample(&options, &mut *sensor).unwrap_err().kind, FaultKind::Corrupt);
    part.stimulate("temperature", 20.0);
    assert!((sample(&options, &mut *sensor).unwrap()[TEMPERATURE] - 20.0).abs() < 0.02);
}

/// A part that loses its power between two samples has its settings written anew; one that loses it while it measures
/// is noticed.
#[test]
fn loss_of_power() {
    struct Failing(Model, u32);

    impl Part for Failing {
        fn stimulate(&mut self, _: &str, _: f64) -> bool {
            false
        }

        fn spi(&mut self) -> Option<&mut dyn crate::sim::SpiPart> {
            Some(self)
        }
    }

    impl crate::sim::SpiPart for Failing {
        fn select(&mut self) {
            self.1 += 1;
            // Opening takes three transactions and a sample seven: before the first sample, and before the conversion
            // of the second.
            if [4, 15].contains(&self.1) {
                self.0.reset();
            }
            crate::sim::SpiPart::select(&mut self.0);
        }

        fn exchange(&mut self, byte: u8) -> u8 {
            crate::sim::SpiPart::exchange(&mut self.0, byte)
        }
    }

    let options = options("{}");
    let part = SharedPart::new(Box::new(Failing(Model::new(&options), 0)));
    let mut sensor = options.open(Rig::new(Attachment::Spi, Some(part)).wire()).unwrap();
    assert!(sample(&options, &mut *sensor).is_ok());
    let fault = sample(&options, &mut *sensor).unwrap_err();
    let expected =
        "configuration and thresholds are 0x81 and [ff, ff, 00, 00], but 0x81 and [e8, 7a, 0b, 06] were written";
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::Corrupt, expected));
}

/// A line that nobody drives, pulled up or down.
#[test]
fn nobody_there_is_absent() {
    for (level, kind, expected) in [
        (0xFF, FaultKind::Absent, "nothing answers: all registers hold 0xff"),
        (0x00, FaultKind::Absent, "nothing answers: all registers hold 0x00"),
        (0x55, FaultKind::WrongChip, "not a MAX31865: configuration and thresholds are 0x55"),
    ] {
        let part = SharedPart::new(Box::new(Stuck(level)));
        let fault = Options::default().open(Rig::new(Attachment::Spi, Some(part)).wire()).err().unwrap();
        assert_eq!(fault.kind, kind, "{fault}");
        assert!(fault.message.starts_with(expected), "{fault}");
    }
}

#[test]
fn wrong_options_are_refused() {
    let message = serde_yaml::from_str::<Options>("{ mains: 55Hz }").unwrap_err().to_string();
    assert!(message.contains("expected `50Hz` or `60Hz`"), "{message}");
}
