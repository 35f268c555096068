use super::sim::Model;
use super::*;
use crate::port::{I2cPort, SpiPort};
use crate::sim::{I2cBus, I2cFaults, SharedPart, SpiSlot};

const ADDRESS: u8 = 0x76;

fn bus_with(model: Model) -> (I2cBus, SharedPart) {
    let (bus, part) = (I2cBus::new(), SharedPart::new(Box::new(model)));
    bus.attach(ADDRESS, part.clone());
    (bus, part)
}

fn open(bus: &I2cBus) -> Result<Box<dyn Sensor>, Fault> {
    Options::default().open(Wire::I2c(I2cPort(Box::new(bus.clone())), ADDRESS))
}

fn open_spi(slot: &SpiSlot) -> Result<Box<dyn Sensor>, Fault> {
    Options::default().open(Wire::Spi(SpiPort(Box::new(slot.clone()))))
}

fn sample(sensor: &mut dyn Sensor) -> Result<[f64; 3], Fault> {
    let mut out = Sample::new(3);
    sensor.sample(&mut out)?;
    Ok([TEMPERATURE, HUMIDITY, PRESSURE].map(|channel| out.values()[channel].as_ref().unwrap().number().unwrap()))
}

fn assert_near(found: [f64; 3], expected: [f64; 3]) {
    let tolerances = [0.006, 0.02, 0.02];
    for ((found, expected), tolerance) in found.iter().zip(expected).zip(tolerances) {
        assert!((found - expected).abs() <= tolerance, "{found} is not {expected}");
    }
}

/// A model that measures what a real part did, recorded by the periph project (bmxx80): 0xF7 on were
/// 4a 52 c0 80 96 c0 7a 76, which Bosch's integer formulas turn into 23.72 °C, 1009.427 hPa, 65.31 %.
fn recorded() -> Model {
    let mut model = Model::default();
    model.set_raw([0x4_A52C, 0x8_096C, 0x7A76]);
    model
}

const RECORDED: [f64; 3] = [23.72, 65.305, 1_009.426_95];

#[test]
fn recorded_measurement() {
    let (bus, _) = bus_with(recorded());
    assert_near(sample(&mut *open(&bus).unwrap()).unwrap(), RECORDED);
    let slot = SpiSlot::new(Some(SharedPart::new(Box::new(recorded()))));
    assert_near(sample(&mut *open_spi(&slot).unwrap()).unwrap(), RECORDED);
}

/// BST-BMP280-DS001, section 3.12: the worked example, whose formulas for temperature and pressure are the same:
/// 519888 and 415148 with this calibration are 25.08 °C and 100653.27 Pa.
#[test]
fn worked_example_of_bosch() {
    let words: [i32; 12] = [27_504, 26_435, -1_000, 36_477, -10_685, 3_024, 2_855, 140, -7, 15_500, -14_600, 6_000];
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes().into_iter().take(2)).collect();
    let mut model = Model::with_registers(0x88, &bytes);
    model.set_raw([415_148, 519_888, 0x7000]);
    let (bus, _) = bus_with(model);
    let [temperature, _, pressure] = sample(&mut *open(&bus).unwrap()).unwrap();
    assert!((temperature - 25.08).abs() < 0.005, "{temperature}");
    assert!((pressure - 1_006.532_7).abs() < 0.01, "{pressure}");
}

/// Section 5: reset, calibration, settings 1x humidity, 2x temperature, 16x pressure; then forced mode and 8 bytes.
#[test]
fn transcript() {
    let (bus, _) = bus_with(recorded());
    bus.record();
    sample(&mut *open(&bus).unwrap()).unwrap();
    let expected = [
        "76 W d0 · R 60",
        "76 W e0 b6",
        "76 W 88 · R 10 6e 6c 66 32 00 5d 95 b8 d5 d0 0b 77 1e 9d ff f9 ff ac 26 0a d8 bd 10 00 4b",
        "76 W e1 · R 6e 01 00 13 05 00 1e",
        "76 W f4 · R 00",
        "76 W f2 01",
        "76 W f4 · R 00",
        "76 W f4 54", // 010 101 00
        "76 W f5 · R 00",
        "76 W f5 00",
        "76 W f4 · R 54",
        "76 W f4 · R 54",
        "76 W f4 55",                          // 010 101 01
        "76 W f7 · R 4a 52 c0 80 96 80 7a 76", // 17 bits of temperature
    ];
    assert_eq!(bus.recorded(), expected);
}

#[test]
fn transcript_of_spi() {
    let slot = SpiSlot::new(Some(SharedPart::new(Box::new(recorded()))));
    slot.record();
    sample(&mut *open_spi(&slot).unwrap()).unwrap();
    let lines = slot.recorded();
    assert_eq!(lines[..2], ["W d0 · R 60", "W 60 b6"], "0xE0 is written as 0x60");
    assert_eq!(lines[3], "W e1 · R 6e 01 00 13 05 00 1e");
    assert_eq!(lines[13], "W f7 · R 4a 52 c0 80 96 80 7a 76");
}

#[test]
fn other_chips_are_named() {
    for (identity, kind, message) in [
        (
            0x58,
            FaultKind::WrongChip,
            "identity register 0xD0 holds 0x58, expected 0x60 (0x58 is a BMP280, which has no humidity)",
        ),
        (0x61, FaultKind::WrongChip, "identity register 0xD0 holds 0x61, expected 0x60"),
        (0xFF, FaultKind::Absent, "identity register 0xD0 holds 0xff, expected 0x60: nothing answers"),
    ] {
        let (bus, _) = bus_with(Model::with_registers(IDENTITY, &[identity]));
        let fault = open(&bus).err().unwrap();
        assert_eq!((fault.kind, fault.message.as_str()), (kind, message));
    }
    assert_eq!(open_spi(&SpiSlot::new(None)).err().unwrap().kind, FaultKind::Absent);
}

#[test]
fn failed_transfers_are_named() {
    let (bus, _) = bus_with(Model::default());
    let mut sensor = open(&bus).unwrap();
    bus.set_faults(ADDRESS, I2cFaults { timeout: true, ..I2cFaults::default() });
    let fault = sample(&mut *sensor).unwrap_err();
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::Bus, "reading register 0xF4: the transfer timed out"));
    bus.set_faults(ADDRESS, I2cFaults { absent: true, ..I2cFaults::default() });
    let fault = open(&bus).err().unwrap();
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::Absent, "reading register 0xD0: no acknowledge"));
}

/// A part that loses its power between two samples gives values that look right: one is refused, the next is right.
#[test]
fn loss_of_power_is_noticed_and_mended() {
    let (bus, _) = bus_with(recorded());
    let mut sensor = open(&bus).unwrap();
    let before = sample(&mut *sensor).unwrap();
    let mut handle = bus.clone();
    handle.write(ADDRESS, &[0xE0, 0xB6]).unwrap();
    Delay.delay_ms(2);
    let fault = sample(&mut *sensor).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Corrupt);
    assert!(fault.message.contains("lost its settings"), "{fault}");
    assert_eq!(sample(&mut *sensor).unwrap(), before);
}

#[test]
fn beyond_the_range_is_a_fault() {
    let (bus, part) = bus_with(Model::default());
    let mut sensor = open(&bus).unwrap();
    for (channel, beyond, fine) in [
        ("temperature", 91.0, 84.0),
        ("temperature", -44.0, -39.0),
        ("pressure", 1_150.0, 1_090.0),
        ("pressure", 250.0, 310.0),
    ] {
        part.stimulate(channel, beyond);
        let fault = sample(&mut *sensor).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Corrupt, "{channel} {beyond}");
        assert!(fault.message.starts_with(&format!("a {channel}")), "{fault}");
        part.stimulate(channel, fine);
        sample(&mut *sensor).unwrap_or_else(|fault| panic!("{channel} {fine}: {fault}"));
        part.stimulate("temperature", 20.0);
        part.stimulate("pressure", 1_000.0);
    }
    part.stimulate("humidity", 100.0);
    assert!((sample(&mut *sensor).unwrap()[HUMIDITY] - 100.0).abs() < 0.1, "but humidity reaches its end");
}

/// With an identity that was read well, and a calibration that was not.
#[test]
fn a_calibration_that_cannot_be_is_refused() {
    for byte in [0x00, 0xFF] {
        let (bus, _) = bus_with(Model::with_registers(0x88, &[byte; 26]));
        let fault = open(&bus).err().unwrap();
        assert_eq!(fault.kind, FaultKind::Corrupt);
        assert_eq!(fault.message, format!("all registers from 0x88 on hold {byte:#04x}"));
    }
}

/// The model takes its typical time, longer than the crate waits by itself.
#[test]
fn the_longest_conversion_is_waited_for() {
    let (bus, part) = bus_with(Model::default());
    let most = Oversampling { temperature: Times::X16, humidity: Times::X16, pressure: Times::X16 };
    assert_eq!(most.time_us(), 112_800);
    let options = Options { oversampling: most };
    let mut sensor = options.open(Wire::I2c(I2cPort(Box::new(bus)), ADDRESS)).unwrap();
    for temperature in [10.0, 30.0] {
        part.stimulate("temperature", temperature);
        let found = sample(&mut *sensor).unwrap()[TEMPERATURE];
        assert!((found - temperature).abs() < 0.02, "{found}");
    }
}

#[test]
fn options() {
    let read = |text| serde_yaml::from_str::<Options>(text).map(|options| options.oversampling);
    let oversampling = read("oversampling: { humidity: 8 }").unwrap();
    assert_eq!((oversampling.humidity, oversampling.pressure), (Times::X8, Times::X16));
    let message = read("oversampling: { humidity: 3 }").unwrap_err().to_string();
    assert!(message.contains("expected one of 1, 2, 4, 8, 16"), "{message}");
    assert!(read("oversampling: { humid: 1 }").is_err());
}
