use super::sim::Model;
use super::*;
use crate::port::SpiPort;
use crate::sim::{SharedPart, SpiPart, SpiSlot};

fn options(text: &str) -> Options {
    serde_yaml::from_str(text).unwrap()
}

fn open(options: &Options, slot: &SpiSlot) -> Result<Box<dyn Sensor>, Fault> {
    options.open(Wire::Spi(SpiPort(Box::new(slot.clone()))))
}

fn sample(sensor: &mut dyn Sensor, channels: usize) -> Result<Vec<f64>, Fault> {
    let mut out = Sample::new(channels);
    sensor.sample(&mut out)?;
    Ok(out.values().iter().map(|value| value.as_ref().and_then(crate::Value::number).unwrap()).collect())
}

/// Figure 6-1: the bytes for each input of table 5-2.
#[test]
fn requests_of_the_datasheet() {
    let expected = [0x80, 0x90, 0xA0, 0xB0, 0xC0, 0xD0, 0xE0, 0xF0];
    let found: Vec<_> = Pin::ALL.iter().map(|pin| request(*pin)).collect();
    assert_eq!(found, expected);
}

/// Equation 4-2: code = 1024 · VIN / VREF.
#[test]
fn codes_of_the_datasheet() {
    let reference = Reference::new(5.12).unwrap();
    for (code, expected) in [(0, 0.0), (1, 0.005), (512, 2.56), (1_023, 5.115)] {
        assert!((volts(code, reference) - expected).abs() < 1e-12, "{code}");
    }
}

/// The model against figure 5-2, clock by clock: the result again with the lowest bit first, then zeros.
#[test]
fn model_as_in_the_figures() {
    let mut model = Model::new(Inputs::of(Pin::ALL), Reference::new(5.12).unwrap(), Scales::default());
    model.stimulate("ch5", 3.465); // 693 = 10 1011 0101
    model.select();
    let found = [0b1, 0b1101_0000, 0, 0, 0, 0].map(|byte| model.exchange(byte));
    assert_eq!(found, [0xFF, 0b1111_1010, 0b1011_0101, 0b0101_1010, 0b1000_0000, 0]);
}

#[test]
fn transcript() {
    let options = options("{ reference: 5.12, channels: { pot: 5, bed: 0 } }");
    let part = SharedPart::new(Box::new(Model::new(options.channels.clone(), options.reference, Scales::default())));
    part.stimulate("pot", 3.466);
    part.stimulate("bed", 0.0);
    let slot = SpiSlot::new(Some(part));
    slot.record();
    assert_eq!(sample(&mut *open(&options, &slot).unwrap(), 2).unwrap(), [3.465, 0.0]);
    let expected = ["W 01 80 00 & R ff f8 00", "W 01 d0 00 & R ff fa b5", "W 01 80 00 & R ff f8 00"];
    assert_eq!(slot.recorded(), expected);
}

#[test]
fn nobody_there_is_absent() {
    let slot = SpiSlot::new(None);
    let fault = open(&Options::default(), &slot).err().unwrap();
    assert_eq!(fault.kind, FaultKind::Absent);
    assert_eq!(fault.message, "nothing answers: the bit before the result is 1, expected 0");
}

#[test]
fn a_failed_transfer_is_the_bus() {
    let options = Options::default();
    let slot = SpiSlot::new(options.simulate().map(SharedPart::new));
    let mut sensor = open(&options, &slot).unwrap();
    slot.set_broken(true);
    let fault = sample(&mut *sensor, 8).unwrap_err();
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::Bus, "converting: the transfer failed"));
}

#[test]
fn wrong_options_are_refused() {
    for (text, expected) in [
        ("{ channels: [8] }", "expected one of 0, 1, 2, 3, 4, 5, 6, 7"),
        ("{ channels: [] }", "at least one channel"),
        ("{ reference: 0 }", "expected a number from 0.25 to 5.5"),
        ("{ vref: 5 }", "unknown field `vref`"),
    ] {
        let message = serde_yaml::from_str::<Options>(text).unwrap_err().to_string();
        assert!(message.contains(expected), "{text}: {message}");
    }
}
