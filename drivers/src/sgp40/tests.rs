use super::sim::Model;
use super::*;
use crate::fault::FaultKind;
use crate::sim::{I2cFaults, I2cPart, Nack, SharedPart};
use crate::tests::rig::{Rig, sample};
use std::sync::{Mutex, PoisonError};

const PLACE: Attachment = Attachment::I2c { addresses: &[0x59] };

fn options(text: &str) -> Options {
    serde_yaml::from_str(text).unwrap()
}

/// A model that a test can look into.
#[derive(Clone)]
struct Seen(Arc<Mutex<Model>>);

impl Seen {
    fn model(&self) -> std::sync::MutexGuard<'_, Model> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Part for Seen {
    fn stimulate(&mut self, channel: &str, value: f64) -> bool {
        self.model().stimulate(channel, value)
    }

    fn i2c(&mut self) -> Option<&mut dyn I2cPart> {
        Some(self)
    }
}

impl I2cPart for Seen {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        I2cPart::write(&mut *self.model(), bytes)
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        I2cPart::read(&mut *self.model(), buffer)
    }
}

/// Tables 9 and 10: the command without compensation, and at both ends of it.
#[test]
fn commands_of_the_datasheet() {
    for (text, expected) in [
        ("{}", [0x26, 0x0F, 0x80, 0x00, 0xA2, 0x66, 0x66, 0x93]),
        ("{ compensation: { humidity: 0, temperature: -45 } }", [0x26, 0x0F, 0x00, 0x00, 0x81, 0x00, 0x00, 0x81]),
        ("{ compensation: { humidity: 100, temperature: 130 } }", [0x26, 0x0F, 0xFF, 0xFF, 0xAC, 0xFF, 0xFF, 0xAC]),
    ] {
        assert_eq!(command(options(text).compensation), expected, "{text}");
    }
}

#[test]
fn transcript() {
    let part = SharedPart::new(Box::new(Model::default()));
    let rig = Rig::new(PLACE, Some(part.clone()));
    let Rig::I2c(bus, _) = &rig else { unreachable!() };
    bus.record();
    let options = Options::default();
    let mut sensor = options.open(rig.wire()).unwrap();
    part.stimulate("raw_signal", f64::from(0xBEEF));
    assert_eq!(sample(&options, &mut *sensor), Ok(vec![f64::from(0xBEEF)]));
    sensor.halt().unwrap();
    let expected = [
        "59 W 36 82",
        "59 R 00 00 81 02 12 79 5a 3c 30",
        "59 W 28 0e",
        "59 R d4 00 c6", // passed
        "59 W 26 0f 80 00 a2 66 66 93",
        "59 R be ef 92",
        "59 W 36 15",
    ];
    assert_eq!(bus.recorded(), expected);
}

#[test]
fn the_part_learns_of_the_air_and_is_left_cold() {
    let seen = Seen(Arc::default());
    let options = options("{ compensation: { humidity: 30, temperature: 18.5 } }");
    let mut sensor = options.open(Rig::new(PLACE, Some(SharedPart::new(Box::new(seen.clone())))).wire()).unwrap();
    assert!(!seen.model().is_hot());
    sample(&options, &mut *sensor).unwrap();
    // 0.3 · 65535 and 63.5 / 175 · 65535: by hand.
    assert_eq!(seen.model().air(), [19_661, 23_780]);
    assert!(seen.model().is_hot());
    sensor.halt().unwrap();
    assert!(!seen.model().is_hot());
}

#[test]
fn a_part_is_known_by_its_test() {
    for (result, kind, expected) in [
        (TEST_FAILED, FaultKind::Corrupt, "the part's own test of its hot plate failed"),
        (0x0000, FaultKind::WrongChip, "not an SGP40: the result of its test is 0x0000, neither 0xd400 nor 0x4b00"),
    ] {
        let rig = Rig::new(PLACE, Some(SharedPart::new(Box::new(Model::with_test(result)))));
        let fault = Options::default().open(rig.wire()).err().unwrap();
        assert_eq!((fault.kind, fault.message.as_str()), (kind, expected));
    }
}

#[test]
fn wrong_checksums_are_never_a_reading() {
    let rig = Rig::new(PLACE, Some(SharedPart::new(Box::new(Model::default()))));
    let Rig::I2c(bus, address) = &rig else { unreachable!() };
    let options = Options::default();
    let mut sensor = options.open(rig.wire()).unwrap();
    for faults in
        [I2cFaults { flip: true, ..I2cFaults::default() }, I2cFaults { all_ones: true, ..I2cFaults::default() }]
    {
        bus.set_faults(*address, faults);
        let fault = sample(&options, &mut *sensor).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Corrupt);
        assert!(fault.message.starts_with("reading the measurement: the checksum is "), "{fault}");
        let fault = options.open(rig.wire()).err().unwrap();
        assert_eq!(fault.kind, FaultKind::WrongChip);
        assert!(fault.message.starts_with("not an SGP40: reading the serial number: the checksum is "), "{fault}");
    }
    bus.set_faults(*address, I2cFaults::default());
    assert!(sample(&options, &mut *sensor).is_ok(), "the next one is right again");
}

/// A part that was told, but has nothing to read.
#[test]
fn a_part_that_needs_longer_is_not_ready() {
    struct Slow(Model, bool);

    impl Part for Slow {
        fn stimulate(&mut self, _: &str, _: f64) -> bool {
            false
        }

        fn i2c(&mut self) -> Option<&mut dyn I2cPart> {
            Some(self)
        }
    }

    impl I2cPart for Slow {
        fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
            self.1 = bytes.len() > 2;
            I2cPart::write(&mut self.0, bytes)
        }

        fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
            if self.1 { Err(Nack) } else { I2cPart::read(&mut self.0, buffer) }
        }
    }

    let options = Options::default();
    let part = SharedPart::new(Box::new(Slow(Model::default(), false)));
    let mut sensor = options.open(Rig::new(PLACE, Some(part)).wire()).unwrap();
    assert_eq!(sample(&options, &mut *sensor).unwrap_err().kind, FaultKind::NotReady);
}

#[test]
fn wrong_options_are_refused() {
    for (text, expected) in [
        ("{ compensation: { humidity: 101 } }", "expected a number from 0.0 to 100.0"),
        ("{ compensation: { temperature: -50 } }", "expected a number from -45.0 to 130.0"),
        ("{ humidity: 50 }", "unknown field `humidity`"),
    ] {
        let message = serde_yaml::from_str::<Options>(text).unwrap_err().to_string();
        assert!(message.contains(expected), "{text}: {message}");
    }
}
