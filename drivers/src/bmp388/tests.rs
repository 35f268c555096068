use super::sim::{CALIBRATION as RECORDED_CALIBRATION, Model};
use super::*;
use crate::sim::{SharedPart, SpiSlot};
use crate::tests::rig::{Rig, sample};
use embedded_hal::i2c::I2c;

const I2C: Attachment = Attachment::I2c { addresses: &[0x77] };

fn rig(place: Attachment, model: Model) -> Rig {
    Rig::new(place, Some(SharedPart::new(Box::new(model))))
}

fn sampled(rig: &Rig) -> Result<Vec<f64>, Fault> {
    let options = Options::default();
    sample(&options, &mut *options.open(rig.wire())?)
}

/// A model that measures what a real part did, recorded by the elixir-sensors project (bmp3xx): 0x04 on were
/// 97 9f 6d 73 d8 85, which is 30.499314 °C and 100876.006347 Pa there.
fn recorded() -> Model {
    let mut model = Model::default();
    model.set_raw([0x6D_9F97, 0x85_D873]);
    model
}

#[test]
fn recorded_measurement() {
    for place in [I2C, Attachment::Spi] {
        let values = sampled(&rig(place, recorded())).unwrap();
        assert!((values[TEMPERATURE] - 30.499_314_454).abs() < 1e-6, "{values:?}");
        assert!((values[PRESSURE] - 1_008.760_063_469).abs() < 1e-6, "{values:?}");
    }
}

/// Another part, recorded by the Gobot project (bmp388), which computes in single precision: 22.906143 °C and
/// 98874.85 Pa.
#[test]
fn recorded_measurement_of_another_part() {
    let calibration =
        [36, 107, 156, 73, 246, 104, 255, 189, 245, 35, 0, 151, 101, 184, 122, 243, 246, 211, 64, 14, 196];
    let calibration = Calibration::new(calibration);
    let temperature = calibration.celsius(u32::from_le_bytes([0, 28, 127, 0]));
    assert!((temperature - 22.906_143).abs() < 1e-5, "{temperature}");
    let pascal = calibration.pascal(u32::from_le_bytes([0, 66, 113, 0]), temperature);
    assert!((pascal - 98_874.85).abs() < 0.1, "{pascal}");
}

#[test]
fn transcript() {
    let rig = rig(I2C, recorded());
    let Rig::I2c(bus, _) = &rig else { unreachable!() };
    bus.record();
    sampled(&rig).unwrap();
    let expected = [
        "77 W 00 · R 50",
        "77 W 7e b6",
        "77 W 31 · R 23 6b 58 49 f6 5c ff ce f4 23 00 ea 63 6e 79 f3 f6 aa 43 12 c4",
        "77 W 1c 0c",        // 00 001 100: twice, sixteen times
        "77 W 1b 13",        // 00 01 00 11: forced, both
        "77 W 02 · R 00 10", // not yet
        "77 W 02 · R 00 70",
        "77 W 04 · R 97 9f 6d 73 d8 85",
    ];
    assert_eq!(bus.recorded(), expected);
}

#[test]
fn transcript_of_spi() {
    let slot = SpiSlot::new(Some(SharedPart::new(Box::new(recorded()))));
    let rig = Rig::Spi(slot.clone());
    slot.record();
    sampled(&rig).unwrap();
    let expected = [
        "W 80 00 · R 50",
        "W 7e b6",
        "W b1 00 · R 23 6b 58 49 f6 5c ff ce f4 23 00 ea 63 6e 79 f3 f6 aa 43 12 c4",
        "W 1c 0c",
        "W 1b 13",
        "W 82 00 · R 00 10",
        "W 82 00 · R 00 70",
        "W 84 00 · R 97 9f 6d 73 d8 85",
    ];
    assert_eq!(slot.recorded(), expected);
}

#[test]
fn parts_are_known_by_their_identity() {
    for identity in [0x50, 0x60] {
        assert!(sampled(&rig(I2C, Model::with_registers(0, &[identity]))).is_ok(), "{identity:#04x}");
    }
    for (identity, kind, expected) in [
        (0x58, FaultKind::WrongChip, "identity register 0x00 holds 0x58, expected 0x50 or 0x60"),
        (0x00, FaultKind::Absent, "identity register 0x00 holds 0x00, expected 0x50 or 0x60: nothing answers"),
    ] {
        let fault = sampled(&rig(I2C, Model::with_registers(0, &[identity]))).unwrap_err();
        assert_eq!((fault.kind, fault.message.as_str()), (kind, expected));
    }
    let fault = sampled(&Rig::new(Attachment::Spi, None)).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Absent, "{fault}");
}

#[test]
fn a_calibration_that_cannot_be_is_refused() {
    for byte in [0x00, 0xFF] {
        let fault = sampled(&rig(I2C, Model::with_registers(0x31, &[byte; 21]))).unwrap_err();
        let expected = format!("all registers from 0x31 on hold {byte:#04x}");
        assert_eq!((fault.kind, fault.message), (FaultKind::Corrupt, expected));
    }
}

#[test]
fn each_oversampling_is_waited_for() {
    for (times, osr) in Times::ALL.iter().zip(0..) {
        let oversampling = Oversampling { temperature: *times, pressure: *times };
        assert_eq!(oversampling.osr(), osr << 3 | osr, "{times:?}");
        let options = Options { oversampling };
        let part = SharedPart::new(options.simulate().unwrap());
        let mut sensor = options.open(Rig::new(I2C, Some(part.clone())).wire()).unwrap();
        for temperature in [10.0, 30.0] {
            part.stimulate("temperature", temperature);
            let found = sample(&options, &mut *sensor).unwrap()[TEMPERATURE];
            assert!((found - temperature).abs() < 0.001, "{times:?}: {found}");
        }
    }
}

/// A flag that an earlier measurement left does not pass for the end of this one: after a failed sample the part is
/// reset.
#[test]
fn only_what_is_measured_now_counts() {
    let part = SharedPart::new(Box::new(Model::default()));
    let rig = Rig::new(I2C, Some(part.clone()));
    let Rig::I2c(bus, address) = &rig else { unreachable!() };
    let options = Options::default();
    let mut sensor = options.open(rig.wire()).unwrap();
    bus.clone().write(*address, &[PWR_CTRL, FORCED]).unwrap();
    Delay.delay_ms(100);
    bus.set_faults(*address, crate::sim::I2cFaults { timeout: true, ..Default::default() });
    let fault = sample(&options, &mut *sensor).unwrap_err();
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::Bus, "writing register 0x1C: the transfer timed out"));
    bus.set_faults(*address, crate::sim::I2cFaults::default());
    part.stimulate("temperature", 60.0);
    let found = sample(&options, &mut *sensor).unwrap()[TEMPERATURE];
    assert!((found - 60.0).abs() < 0.001, "{found}");
}

/// A part that loses its power between two samples gets all its settings with the next one.
#[test]
fn loss_of_power_is_survived() {
    let rig = rig(I2C, recorded());
    let Rig::I2c(bus, address) = &rig else { unreachable!() };
    let options = Options::default();
    let mut sensor = options.open(rig.wire()).unwrap();
    let before = sample(&options, &mut *sensor).unwrap();
    bus.clone().write(*address, &[CMD, SOFT_RESET]).unwrap();
    Delay.delay_ms(2);
    assert_eq!(sample(&options, &mut *sensor).unwrap(), before);
}

/// While it measures: it never ends.
#[test]
fn what_is_no_measurement_is_a_fault() {
    struct Stub {
        errors: u8,
        status: u8,
        data: [u8; 6],
    }
    impl Registers for Stub {
        fn read(&mut self, register: u8, buffer: &mut [u8]) -> Result<(), Fault> {
            match register {
                CHIP_ID => buffer.copy_from_slice(&[0x50]),
                ERR_REG => buffer.copy_from_slice(&[self.errors, self.status]),
                DATA => buffer.copy_from_slice(&self.data),
                _ => buffer.copy_from_slice(&RECORDED_CALIBRATION),
            }
            Ok(())
        }

        fn write(&mut self, _: u8, _: u8) -> Result<(), Fault> {
            Ok(())
        }
    }
    let good = [0x97, 0x9F, 0x6D, 0x73, 0xD8, 0x85];
    for (errors, status, data, kind, expected) in [
        (0, 0x10, good, FaultKind::NotReady, "the measurement takes more than twice its time"),
        (0, 0x30, good, FaultKind::NotReady, "the measurement takes more than twice its time"),
        (0x04, 0x70, good, FaultKind::Corrupt, "the error register 0x02 holds 0x04"),
        (0x01, 0x70, good, FaultKind::Corrupt, "the error register 0x02 holds 0x01"),
        (0, 0x70, NO_DATA, FaultKind::Corrupt, "the data registers are as after a reset"),
    ] {
        let mut part = Bmp388::new(Stub { errors, status, data }, Delay, Oversampling::default()).unwrap();
        let fault = part.measure().unwrap_err();
        assert_eq!((fault.kind, fault.message.as_str()), (kind, expected));
    }
    let mut part = Bmp388::new(Stub { errors: 0, status: 0x70, data: good }, Delay, Oversampling::default()).unwrap();
    assert!(part.measure().is_ok());
}

#[test]
fn beyond_the_range_is_a_fault() {
    let part = SharedPart::new(Box::new(Model::default()));
    let options = Options::default();
    let mut sensor = options.open(Rig::new(I2C, Some(part.clone())).wire()).unwrap();
    for (channel, beyond, fine) in [
        ("temperature", 86.0, 84.9),
        ("temperature", -41.0, -39.9),
        ("pressure", 1_251.0, 1_249.9),
        ("pressure", 299.0, 300.1),
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
fn options() {
    let read = |text| serde_yaml::from_str::<Options>(text).map(|options| options.oversampling);
    let oversampling = read("oversampling: { pressure: 32 }").unwrap();
    assert_eq!((oversampling.temperature, oversampling.pressure), (Times::X2, Times::X32));
    let message = read("oversampling: { pressure: 3 }").unwrap_err().to_string();
    assert!(message.contains("expected one of 1, 2, 4, 8, 16, 32"), "{message}");
    assert!(read("oversampling: { humidity: 1 }").is_err());
}
