use super::sim::Model;
use super::*;
use crate::sim::{I2cFaults, I2cPart, Nack, SharedPart};
use crate::tests::rig::{Rig, sample};
use embedded_hal::i2c::I2c;

const PLACE: Attachment = Attachment::I2c { addresses: &[0x40] };

fn rig(part: impl Part + 'static) -> Rig {
    Rig::new(PLACE, Some(SharedPart::new(Box::new(part))))
}

fn sampled(rig: &Rig) -> Result<Vec<f64>, Fault> {
    let options = Options::default();
    sample(&options, &mut *options.open(rig.wire())?)
}

/// The identities are right; everything else reads as these results, or is never acknowledged.
struct Stub {
    pointer: u8,
    results: Option<[u8; 4]>,
}

impl Part for Stub {
    fn stimulate(&mut self, _: &str, _: f64) -> bool {
        false
    }

    fn i2c(&mut self) -> Option<&mut dyn I2cPart> {
        Some(self)
    }
}

impl I2cPart for Stub {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        self.pointer = bytes[0];
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        match self.pointer {
            MANUFACTURER => buffer.copy_from_slice(&[0x54, 0x49]),
            DEVICE => buffer.copy_from_slice(&[0x10, 0x50]),
            _ => buffer.copy_from_slice(&self.results.ok_or(Nack)?),
        }
        Ok(())
    }
}

/// Four bytes of a real HDC1008, which has the same registers and formulas: a question in the maker's forum
/// (e2e.ti.com, 478340) that has them as 23.14 °C and 9.27 %.
const RECORDED: [u8; 4] = [0x61, 0xF8, 0x17, 0xBC];

#[test]
fn recorded_measurement() {
    let values = sampled(&rig(Stub { pointer: 0, results: Some(RECORDED) })).unwrap();
    assert!((values[TEMPERATURE] - 23.14).abs() < 0.01, "{values:?}");
    assert!((values[HUMIDITY] - 9.27).abs() < 0.01, "{values:?}");
}

/// Sections 8.6.1 and 8.6.2: straight lines. Linux (iio/hdc100x) has -15887.515151 steps of 165000/65536 m°C as offset.
#[test]
fn formulas_at_their_corners() {
    assert_eq!((celsius(0), percent(0)), (-40.0, 0.0));
    assert!((celsius(0xFFFC) - 124.99).abs() < 0.01 && (percent(0xFFFC) - 99.99).abs() < 0.01);
    assert!(celsius(15_888).abs() < 0.002, "{}", celsius(15_888));
}

#[test]
fn transcript() {
    let part = SharedPart::new(Box::new(Model::default()));
    part.stimulate("temperature", 23.145);
    part.stimulate("humidity", 9.271_24);
    let rig = Rig::new(PLACE, Some(part));
    let Rig::I2c(bus, _) = &rig else { unreachable!() };
    bus.record();
    sampled(&rig).unwrap();
    let expected = [
        "40 W ff · R 10 50",
        "40 W fe · R 54 49",
        "40 W 02 10 00", // 0 0 0 1 0 0 00: both, 14 bits each
        "40 W 00",
        "40 no acknowledge", // not yet
        "40 R 61 f8 17 bc",
    ];
    assert_eq!(bus.recorded(), expected);
}

/// An earlier owner left the heater on, and single measurements of 11 bits.
#[test]
fn settings_of_before_are_gone() {
    let rig = rig(Model::default());
    let Rig::I2c(bus, address) = &rig else { unreachable!() };
    bus.clone().write(*address, &[CONFIG, 0x25, 0x00]).unwrap();
    assert!(sampled(&rig).is_ok());
    let mut config = [0; 2];
    bus.clone().write_read(*address, &[CONFIG], &mut config).unwrap();
    assert_eq!(config, [0x10, 0x00]);
}

/// A reset leaves the part as it is needed.
#[test]
fn loss_of_power_is_survived() {
    let rig = rig(Model::default());
    let Rig::I2c(bus, address) = &rig else { unreachable!() };
    let options = Options::default();
    let mut sensor = options.open(rig.wire()).unwrap();
    let before = sample(&options, &mut *sensor).unwrap();
    bus.clone().write(*address, &[CONFIG, 0x80, 0x00]).unwrap();
    assert_eq!(sample(&options, &mut *sensor).unwrap(), before);
}

#[test]
fn parts_are_known_by_both_identities() {
    for (identities, expected) in [
        ([0x5449, 0x1000], "the identity register 0xff holds 0x1000, expected 0x1050"), // an HDC1000
        ([0x5448, 0x1050], "the identity register 0xfe holds 0x5448, expected 0x5449"),
    ] {
        let fault = sampled(&rig(Model::with_identities(identities))).unwrap_err();
        assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::WrongChip, expected));
    }
}

#[test]
fn what_is_no_measurement_is_a_fault() {
    for (results, kind, expected) in [
        (None, FaultKind::NotReady, "the measurement takes more than twice its time"),
        (Some([0; 4]), FaultKind::NotReady, "the results are as after a reset"),
        (Some([0xFF; 4]), FaultKind::Corrupt, "the results are 0xffff and 0xffff, whose two lowest bits are always 0"),
        (
            Some([0x61, 0xF8, 0x17, 0xBE]),
            FaultKind::Corrupt,
            "the results are 0x61f8 and 0x17be, whose two lowest bits are always 0",
        ),
    ] {
        let fault = sampled(&rig(Stub { pointer: 0, results })).unwrap_err();
        assert_eq!((fault.kind, fault.message.as_str()), (kind, expected));
    }
}

#[test]
fn failed_transfers_are_named() {
    let rig = rig(Model::default());
    let Rig::I2c(bus, address) = &rig else { unreachable!() };
    let options = Options::default();
    let mut sensor = options.open(rig.wire()).unwrap();
    for (faults, kind, expected) in [
        (
            I2cFaults { absent: true, ..I2cFaults::default() },
            FaultKind::Absent,
            "starting a measurement: no acknowledge",
        ),
        (
            I2cFaults { timeout: true, ..I2cFaults::default() },
            FaultKind::Bus,
            "starting a measurement: the transfer timed out",
        ),
    ] {
        bus.set_faults(*address, faults);
        let fault = sample(&options, &mut *sensor).unwrap_err();
        assert_eq!((fault.kind, fault.message.as_str()), (kind, expected));
    }
}
