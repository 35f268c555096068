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

/// "Configure/Measure/Calculate Example", table 1: 10 A through 2 mΩ at 12 V, with a step of 1 mA.
#[test]
fn model_as_in_the_example_of_the_datasheet() {
    let (bus, _, part) = simulated(&options("{ shunt: 0.002 }"));
    part.stimulate("voltage", 11.98);
    part.stimulate("current", 10.0);
    let mut bus = bus;
    bus.write(0x40, &[CALIBRATION, 0x0A, 0x00]).unwrap();
    bus.write(0x40, &[CONFIG, 0x41, 0x27]).unwrap();
    Delay.delay_ms(3);
    let mut read = |register| {
        let mut bytes = [0; 2];
        bus.write_read(0x40, &[register], &mut bytes).unwrap();
        u16::from_be_bytes(bytes)
    };
    assert_eq!(read(FLAGS), READY);
    assert_eq!(read(0x01), 0x1F40);
    assert_eq!(read(BUS), 0x2570);
    assert_eq!(read(PART_CURRENT), 0x2710);
    assert_eq!(read(0x03), 0x12B8);
}

/// The same, step by step; and equation 1 with the step of 1 mA, and with the step of the driver.
#[test]
fn example_of_the_datasheet() {
    assert!((volts(0x2570).unwrap() - 11.98).abs() < 1e-9);
    let options = options("{ shunt: 0.002, averages: 1 }");
    assert!((amperes(0x1F40, &options).unwrap() - 10.0).abs() < 1e-9);
    let calibration = |step: f64, shunt: f64| (0.00512 / (step * shunt)).round();
    assert_eq!(calibration(1e-3, 0.002), f64::from(0xA00));
    assert_eq!(calibration(SHUNT_STEP / 0.002, 0.002), f64::from(SHUNT_AS_CURRENT));
    assert_eq!(options.config(0b111), 0x4127);
}

/// The same circuit through the driver, whose steps are finer or coarser than the example's.
#[test]
fn circuit_of_the_datasheet() {
    let options = options("{ shunt: 0.002, averages: 1 }");
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
    part.stimulate("current", -0.5);
    let mut sensor = options.open(rig.wire()).unwrap();
    let found = sample(&options, &mut *sensor).unwrap();
    assert!(close(&found, [12.0, -0.5, -6.0]), "{found:?}");
    sensor.halt().unwrap();
    let expected = [
        "40 W ff · R 22 60",
        "40 W fe · R 54 49",
        "40 W 00 43 20", // 0100 001 100 100 000: four averages of 1.1 ms, asleep
        "40 W 05 08 00",
        "40 W 00 43 23", // shunt and bus, once
        "40 W 00 · R 43 23",
        "40 W 06 · R 00 00", // not yet
        "40 W 00 · R 43 23",
        "40 W 06 · R 00 08", // ready
        "40 W 02 · R 25 80", // 9600 · 1.25 mV
        "40 W 04 · R b1 e0", // −20000 · 2.5 µV
        "40 W 00 43 20",
        "40 W 00 43 20",
    ];
    assert_eq!(bus.recorded(), expected);
}

/// "Configuration Register", table 3.
#[test]
fn settings_of_the_datasheet() {
    for (averages, avg) in Averages::ALL.iter().zip([0b000, 0b001, 0b010, 0b011, 0b100, 0b101, 0b110, 0b111]) {
        assert_eq!(averages.avg(), avg, "{averages:?}");
    }
}

#[test]
fn parts_are_known_by_their_identity() {
    struct Identity([u16; 2], u8);

    impl Part for Identity {
        fn stimulate(&mut self, _: &str, _: f64) -> bool {
            false
        }

        fn i2c(&mut self) -> Option<&mut dyn I2cPart> {
            Some(self)
        }
    }

    impl I2cPart for Identity {
        fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
            self.1 = bytes[0];
            Ok(())
        }

        fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
            buffer.copy_from_slice(&self.0[usize::from(self.1 == DIE)].to_be_bytes());
            Ok(())
        }
    }

    let open = |identity| {
        let part = SharedPart::new(Box::new(Identity(identity, 0)));
        Options::default().open(Rig::new(PLACE, Some(part)).wire()).map(drop)
    };
    assert_eq!(open([0x5449, 0x2260]), Ok(()));
    assert_eq!(open([0x5449, 0x2261]), Ok(()), "a later revision");
    for (identity, expected) in [
        ([0x5449, 0x2270], "the identity register 0xff holds 0x2270, expected 0x2260 in the bits 0xfff0"),
        ([0x0000, 0x2260], "the identity register 0xfe holds 0x0000, expected 0x5449"),
    ] {
        let fault = open(identity).unwrap_err();
        assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::WrongChip, expected));
    }
}

#[test]
fn what_is_beyond_the_range_is_a_fault() {
    for (text, channel, value, expected) in [
        ("{}", "current", 0.82, "current: 81.92 mV or beyond at the shunt, the end of the range"),
        ("{ shunt: 0.01 }", "current", -8.2, "current: 81.92 mV or beyond at the shunt, the end of the range"),
        ("{}", "voltage", 37.0, "voltage: a voltage in V of 37.00 is outside of what the part can measure, 0 to 36"),
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
        (FLAGS, |flags| flags & !READY, FaultKind::NotReady, "the measurement takes more than twice its time"),
        (FLAGS, |flags| flags | OVERFLOW, FaultKind::Corrupt, "the part's arithmetic overflowed (flag OVF)"),
        // The part lost its power while it measured: its own settings again, and no calibration.
        (CONFIG, |_| 0x4127, FaultKind::Corrupt, "the configuration register holds 0x4127 after 0x4323 was written"),
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
        ("{ averages: 2 }", "expected one of 1, 4, 16, 64, 128, 256, 512, 1024"),
        ("{ shunt: 0 }", "expected a number from 0.0001 to 100.0"),
        ("{ shunts: 1 }", "unknown field `shunts`"),
    ] {
        let message = serde_yaml::from_str::<Options>(text).unwrap_err().to_string();
        assert!(message.contains(expected), "{text}: {message}");
    }
}
