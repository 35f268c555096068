use super::*;
use crate::ina::tests::{PLACE, close, simulated};
use crate::sim::{I2cPart, Nack, SharedPart};
use crate::tests::rig::{Rig, sample};

fn options(text: &str) -> Options {
    serde_yaml::from_str(text).unwrap()
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
