use super::sim::Model;
use super::*;
use crate::port::I2cPort;
use crate::sim::{I2cBus, I2cFaults, I2cPart, Nack, SharedPart};

const ADDRESS: u8 = 0x48;

fn options(text: &str) -> Options {
    serde_yaml::from_str(text).unwrap()
}

fn bus_with(part: impl Part + 'static) -> (I2cBus, SharedPart) {
    let (bus, part) = (I2cBus::new(), SharedPart::new(Box::new(part)));
    bus.attach(ADDRESS, part.clone());
    (bus, part)
}

fn simulated(options: &Options) -> (I2cBus, SharedPart) {
    bus_with(Model::new(options.channels.clone(), Scales::default()))
}

fn open(options: &Options, bus: &I2cBus) -> Result<Box<dyn Sensor>, Fault> {
    options.open(Wire::I2c(I2cPort(Box::new(bus.clone())), ADDRESS))
}

fn sample(sensor: &mut dyn Sensor, channels: usize) -> Result<Vec<f64>, Fault> {
    let mut out = Sample::new(channels);
    sensor.sample(&mut out)?;
    Ok(out.values().iter().map(|value| value.as_ref().and_then(crate::Value::number).unwrap()).collect())
}

/// "Data Format", "Input Signal Versus Ideal Output Code", and the sizes of a step for each range.
#[test]
fn codes_of_the_datasheet() {
    let steps = [187.5e-6, 125e-6, 62.5e-6, 31.25e-6, 15.625e-6, 7.8125e-6];
    for (range, step) in FullScale::ALL.iter().zip(steps) {
        let volts = |code: u16| volts(code.cast_signed(), Pins::A0A1, *range);
        assert_eq!(volts(0x0000).unwrap(), 0.0);
        assert!((volts(0x0001).unwrap() - step).abs() < 1e-12);
        assert!((volts(0xFFFF).unwrap() + step).abs() < 1e-12);
        assert!((volts(0x4000).unwrap() - range.number() / 2.0).abs() < 1e-12);
        assert!((volts(0x8001).unwrap() + range.number() - step).abs() < 1e-9);
        for (end, sign) in [(0x7FFF, ""), (0x8000, "-")] {
            let fault = volts(end).unwrap_err();
            assert_eq!(fault.kind, FaultKind::Corrupt);
            let expected = format!("{sign}{} V or beyond, the end of the range (code {end:#06x})", range.number());
            assert_eq!(fault.message, expected);
        }
    }
}

/// "Quick-Start Guide" writes 0x8483: A0 against A1, 2.048 V, continuous, 128 a second. A single conversion differs
/// from it in the mode only, and the reset value 0x8583 is just that.
#[test]
fn configuration_of_the_datasheet() {
    let options = options("{ range: 2.048, rate: 128 }");
    assert_eq!(OS | config(Pins::A0A1, &options), 0x8583);
    assert_eq!(OS | config(Pins::A0A1, &options) & !SINGLE_SHOT, 0x8483);
    let (bus, _) = bus_with(Model::new(options.channels, Scales::default()));
    let mut found = [0; 2];
    bus.clone().write_read(ADDRESS, &[CONFIG], &mut found).unwrap();
    assert_eq!(found, [0x85, 0x83]);
}

/// Code 0x3390 = 13200 of 125 µV.
#[test]
fn transcript() {
    let options = options("{ channels: [a0, a2-a3] }");
    let (bus, part) = simulated(&options);
    part.stimulate("a0", 1.65);
    part.stimulate("a2_a3", -0.125);
    bus.record();
    let volts = sample(&mut *open(&options, &bus).unwrap(), 2).unwrap();
    assert_eq!(volts, [4.096 * 13_200.0 / 32_768.0, -0.125]);
    let expected = [
        "48 W 01 03 83", // 0 000 001 1 100 00011
        "48 W 01 · R 83 83",
        "48 W 01 73 83",
        "48 W 01 · R f3 83",
        "48 W 01 c3 83", // 1 100 001 1 100 00011
        "48 W 01 · R c3 83",
        "48 W 00 · R 33 90",
        "48 W 01 b3 83", // 1 011 001 1 100 00011
        "48 W 01 · R b3 83",
        "48 W 00 · R fc 18", // -1000
    ];
    assert_eq!(bus.recorded(), expected);
}

#[test]
fn names_and_ranges_of_channels() {
    let options = options("{ channels: { battery: a0, shunt: a0-a1 }, range: 0.256 }");
    let channels: Vec<_> = options.channels();
    let found: Vec<_> = channels.iter().map(|channel| (&*channel.name, channel.range.clone().unwrap())).collect();
    assert_eq!(found, [("battery", -0.256..=0.256), ("shunt", -0.256..=0.256)]);
    assert_eq!(Options::default().channels()[0].range, Some(-0.3..=4.096));
    let names: Vec<_> = Options::default().channels().into_iter().map(|channel| channel.name).collect();
    assert_eq!(names, ["a0", "a1", "a2", "a3"]);
}

#[test]
fn every_rate_is_waited_for() {
    for rate in Rate::ALL {
        let options = Options { rate: *rate, channels: Inputs::of(&[Pins::A1]), ..Options::default() };
        let (bus, part) = simulated(&options);
        let mut sensor = open(&options, &bus).unwrap();
        for volts in [1.0, 2.5] {
            part.stimulate("a1", volts);
            assert_eq!(sample(&mut *sensor, 1).unwrap(), [volts], "{rate:?}");
        }
    }
}

#[test]
fn beyond_the_range_names_the_channel() {
    let options = options("{ channels: { solar: a0 }, range: 1.024 }");
    let (bus, part) = simulated(&options);
    let mut sensor = open(&options, &bus).unwrap();
    part.stimulate("solar", 3.0);
    let fault = sample(&mut *sensor, 1).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Corrupt);
    assert_eq!(fault.message, "solar: 1.024 V or beyond, the end of the range (code 0x7fff)");
    part.stimulate("solar", 1.0);
    assert_eq!(sample(&mut *sensor, 1).unwrap(), [1.0]);
}

/// Acknowledges all, keeps a configuration, and reads it with these bits of its high byte changed.
struct Stub(Vec<u8>, u8);

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
        if let [CONFIG, high, low] = *bytes {
            self.0 = vec![high ^ self.1, low];
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        buffer.copy_from_slice(&self.0);
        Ok(())
    }
}

#[test]
fn a_conversion_that_never_ends_is_not_ready() {
    // Idle when nothing was started, running for ever when something was.
    let (bus, _) = bus_with(Stub(Vec::new(), 0x80));
    let options = options("{ rate: 860 }");
    let mut sensor = open(&options, &bus).unwrap();
    assert_eq!(sample(&mut *sensor, 4).unwrap_err().kind, FaultKind::NotReady);
}

#[test]
fn another_part_and_a_bad_wire_are_noticed() {
    let options = Options::default();
    let (bus, _) = simulated(&options);
    let mut sensor = open(&options, &bus).unwrap();
    bus.set_faults(ADDRESS, I2cFaults { flip: true, ..I2cFaults::default() });
    assert_eq!(sample(&mut *sensor, 4).unwrap_err().kind, FaultKind::Corrupt);
    let fault = open(&options, &bus).err().unwrap();
    assert_eq!(fault.kind, FaultKind::WrongChip);
    let expected = "the configuration register holds 0x0382 after 0x0383 was written: not an ADS1115";
    assert_eq!(fault.message, expected);
    bus.set_faults(ADDRESS, I2cFaults { absent: true, ..I2cFaults::default() });
    assert_eq!(sample(&mut *sensor, 4).unwrap_err().message, "writing the configuration: no acknowledge");
}

#[test]
fn wrong_options_are_refused() {
    for (text, expected) in [
        ("{ range: 5 }", "expected one of 6.144, 4.096, 2.048, 1.024, 0.512, 0.256"),
        ("{ rate: 100 }", "expected one of 8, 16, 32, 64, 128, 250, 475, 860"),
        ("{ channels: [a4] }", "unknown variant `a4`"),
        ("{ channels: [a0, a0] }", "two channels `a0`"),
        ("{ gain: 1 }", "unknown field `gain`"),
    ] {
        let message = serde_yaml::from_str::<Options>(text).unwrap_err().to_string();
        assert!(message.contains(expected), "{text}: {message}");
    }
}

/// Another part's register that keeps what is written, such as a threshold: it never says that nothing runs.
#[test]
fn what_is_never_idle_is_no_ads1115() {
    let (bus, _) = bus_with(Stub(Vec::new(), 0));
    let fault = open(&options("{}"), &bus).err().unwrap();
    let expected = "the configuration register never says idle: not an ADS1115";
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::WrongChip, expected));
}

/// It may convert by itself since before, as slowly as it can.
#[test]
fn a_conversion_of_before_is_waited_for() {
    let options = options("{}");
    let (bus, _) = simulated(&options);
    embedded_hal::i2c::I2c::write(&mut bus.clone(), ADDRESS, &[CONFIG, 0x84, 0x03]).unwrap();
    sample(&mut *open(&options, &bus).unwrap(), 4).unwrap();
}
