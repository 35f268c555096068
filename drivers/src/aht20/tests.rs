use super::sim::Model;
use super::*;
use crate::sim::{I2cFaults, I2cPart, Nack, SharedPart};
use crate::tests::rig::{Rig, sample};
use std::time::Duration;

const PLACE: Attachment = Attachment::I2c { addresses: &[0x38] };

fn rig(part: impl Part + 'static) -> Rig {
    Rig::new(PLACE, Some(SharedPart::new(Box::new(part))))
}

fn sampled(rig: &Rig) -> Result<Vec<f64>, Fault> {
    let options = Options::default();
    sample(&options, &mut *options.open(rig.wire())?)
}

/// What real parts answered: an AHT20 (elixir-sensors, aht20), read there by formulas only; another that periph (aht20)
/// reads as 19.445800781 °C and 45.82824 %.
const ELIXIR: [u8; 7] = [28, 38, 154, 118, 66, 231, 118];
const PERIPH: [u8; 7] = [0x18, 0x75, 0x52, 0x05, 0x8E, 0x40, 0x7F];

/// Reads as it was told, whatever is written; the status is the first of the bytes.
struct Stub([u8; 7]);

impl Part for Stub {
    fn stimulate(&mut self, _: &str, _: f64) -> bool {
        false
    }

    fn i2c(&mut self) -> Option<&mut dyn I2cPart> {
        Some(self)
    }
}

impl I2cPart for Stub {
    fn write(&mut self, _: &[u8]) -> Result<(), Nack> {
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        buffer.copy_from_slice(&self.0[..buffer.len()]);
        Ok(())
    }
}

#[test]
fn recorded_measurements() {
    for (bytes, temperature, humidity) in [(PERIPH, 19.445_800_781, 45.828_24), (ELIXIR, 28.266_72, 15.079_40)] {
        let values = sampled(&rig(Stub(bytes))).unwrap();
        assert!((values[TEMPERATURE] - temperature).abs() < 1e-5, "{values:?}");
        assert!((values[HUMIDITY] - humidity).abs() < 1e-5, "{values:?}");
    }
}

/// The formulas are straight lines: their ends.
#[test]
fn formulas_at_their_ends() {
    assert_eq!((celsius(0), celsius(1 << 20)), (-50.0, 150.0));
    assert_eq!((percent(0), percent(1 << 20)), (0.0, 100.0));
}

#[test]
fn transcript() {
    let part = SharedPart::new(Box::new(Model::default()));
    part.stimulate("temperature", 19.445_800_781);
    part.stimulate("humidity", 45.828_24);
    let rig = Rig::new(PLACE, Some(part));
    let Rig::I2c(bus, _) = &rig else { unreachable!() };
    bus.record();
    sampled(&rig).unwrap();
    let expected = [
        "38 W ba",
        "38 W 71 · R 10",
        "38 W be 08 00",
        "38 W 71 · R 18",
        "38 W ac 33 00",
        "38 R 98 00 00 00 00 00 d9", // busy
        "38 R 18 75 52 05 8e 40 7f",
        "38 W ac 33 00",
        "38 R 98 75 52 05 8e 40 93",
        "38 R 18 75 52 05 8e 40 7f",
    ];
    assert_eq!(bus.recorded(), expected);
}

#[test]
fn what_answers_otherwise_is_no_aht20() {
    let with = |index: usize, value: u8| {
        let mut bytes = PERIPH;
        bytes[index] = value;
        bytes
    };
    for (bytes, expected) in [
        // An AHT10 gives ones instead of a checksum.
        (with(6, 0xFF), "not an AHT20: reading the measurement: the checksum is 0xff, expected 0x7f"),
        // The initialisation has no effect.
        (with(0, 0x10), "not an AHT20: the part is not calibrated (status 0x10)"),
        ([0xFF; 7], "not an AHT20: the measurement takes more than twice its time"),
    ] {
        let fault = sampled(&rig(Stub(bytes))).unwrap_err();
        assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::WrongChip, expected));
    }
}

#[test]
fn a_longer_measurement_is_waited_for_and_no_more() {
    let values = sampled(&rig(Model::slow(Duration::from_millis(140)))).unwrap();
    assert!((values[TEMPERATURE] - 21.5).abs() < 0.001, "{values:?}");
    let fault = sampled(&rig(Model::slow(Duration::from_millis(200)))).unwrap_err();
    assert_eq!(fault.kind, FaultKind::WrongChip);
}

#[test]
fn wrong_checksums_are_never_a_reading() {
    let rig = rig(Model::default());
    let Rig::I2c(bus, address) = &rig else { unreachable!() };
    let options = Options::default();
    let mut sensor = options.open(rig.wire()).unwrap();
    bus.set_faults(*address, I2cFaults { flip: true, ..I2cFaults::default() });
    let fault = sample(&options, &mut *sensor).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Corrupt);
    assert!(fault.message.starts_with("reading the measurement: the checksum is "), "{fault}");
    bus.set_faults(*address, I2cFaults::default());
    assert!(sample(&options, &mut *sensor).is_ok(), "the next one is right again");
}

/// After a loss of power it measures without calibration: one sample is refused, the next is right.
#[test]
fn loss_of_power_is_noticed_and_mended() {
    let rig = rig(Model::default());
    let Rig::I2c(bus, address) = &rig else { unreachable!() };
    let options = Options::default();
    let mut sensor = options.open(rig.wire()).unwrap();
    let before = sample(&options, &mut *sensor).unwrap();
    embedded_hal::i2c::I2c::write(&mut bus.clone(), *address, &[SOFT_RESET]).unwrap();
    Delay.delay_ms(20);
    let fault = sample(&options, &mut *sensor).unwrap_err();
    let expected = "the part is not calibrated (status 0x10)";
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::Corrupt, expected));
    assert_eq!(sample(&options, &mut *sensor).unwrap(), before);
}

#[test]
fn what_it_cannot_measure_is_a_fault() {
    let part = SharedPart::new(Box::new(Model::default()));
    part.stimulate("temperature", 90.0);
    let fault = sampled(&Rig::new(PLACE, Some(part))).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Corrupt);
    let expected = "a temperature in °C of 90.00 is outside of what the part can measure, -40 to 85";
    assert_eq!(fault.message, expected);
}
