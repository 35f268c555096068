use super::sim::Model;
use super::*;
use crate::FaultKind;
use crate::sim::{I2cFaults, SharedPart};
use crate::tests::rig::{Rig, sample};
use embedded_hal::i2c::I2c;

const PLACE: Attachment = Attachment::I2c { addresses: &[0x23] };

fn rig(lux: f64) -> Rig {
    let part = SharedPart::new(Box::new(Model::default()));
    part.stimulate("illuminance", lux);
    Rig::new(PLACE, Some(part))
}

fn with(resolution: Resolution, sensitivity: Sensitivity) -> Options {
    Options { resolution, sensitivity }
}

/// Page 10: the example. Linux (iio/bh1750): 57.5 lx for each count, divided by the setting of the time. A user's
/// correction of Tasmota (16021), by the table of the datasheet: 10 counts at 254 are 2.3 lx.
#[test]
fn counts_of_the_datasheet() {
    let lux = Options::default().lux(0b1000_0011_1001_0000);
    assert!((lux - 28_067.0).abs() < 0.5, "{lux}");
    for sensitivity in Sensitivity::ALL {
        let lux = with(Resolution::Lx1, *sensitivity).lux(1_000);
        let expected = 57.5 / f64::from(sensitivity.setting()) * 1_000.0;
        assert!((lux - expected).abs() < 1e-9, "{sensitivity:?}: {lux}");
    }
    let lux = with(Resolution::Lx1, Sensitivity::X3_68).lux(10);
    assert!((lux - 2.3).abs() < 0.05, "{lux}");
    // The finest step is said to be 0.11 lx, in mode 2.
    let lux = with(Resolution::Lx0_5, Sensitivity::X3_68).lux(1);
    assert!((lux - 0.11).abs() < 0.005, "{lux}");
}

/// What the doc comment of the option says.
#[test]
fn ranges() {
    for (sensitivity, end) in
        [(Sensitivity::X0_45, 121_555.0), (Sensitivity::X1, 54_611.0), (Sensitivity::X3_68, 14_835.0)]
    {
        assert_eq!(with(Resolution::Lx1, sensitivity).range(), 0.0..=end);
    }
}

#[test]
fn transcript() {
    let rig = rig(28_066.667);
    let Rig::I2c(bus, _) = &rig else { unreachable!() };
    bus.record();
    let options = Options::default();
    let mut sensor = options.open(rig.wire()).unwrap();
    sample(&options, &mut *sensor).unwrap();
    sensor.halt().unwrap();
    let expected = [
        "23 W 01",
        "23 W 07",
        "23 R 00 00",
        "23 W 00",
        "23 W 42", // 69 is 010 00101
        "23 W 65",
        "23 W 20",
        "23 R 83 90",
        "23 W 00",
    ];
    assert_eq!(bus.recorded(), expected);
}

#[test]
fn each_setting_is_waited_for() {
    for (resolution, command) in Resolution::ALL.iter().zip([0x21, 0x20, 0x23]) {
        assert_eq!(resolution.command(), command);
        for sensitivity in Sensitivity::ALL {
            let options = with(*resolution, *sensitivity);
            let part = SharedPart::new(options.simulate().unwrap());
            let mut sensor = options.open(Rig::new(PLACE, Some(part.clone())).wire()).unwrap();
            for lux in [5_000.0, 200.0] {
                part.stimulate("illuminance", lux);
                let found = sample(&options, &mut *sensor).unwrap()[ILLUMINANCE];
                assert!((found - lux).abs() <= 4.0, "{options:?}: {found}");
            }
        }
    }
}

/// What is beyond the range looks like its end.
#[test]
fn saturation_is_a_fault() {
    for (options, expected) in [
        (Options::default(), "54612 lx or beyond, the end of the range (count 0xffff)"),
        (with(Resolution::Lx0_5, Sensitivity::X1), "27306 lx or beyond, the end of the range (count 0xffff)"),
    ] {
        let fault = sample(&options, &mut *options.open(rig(60_000.0).wire()).unwrap()).unwrap_err();
        assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::Corrupt, expected));
    }
    let options = with(Resolution::Lx1, Sensitivity::X0_45);
    let found = sample(&options, &mut *options.open(rig(60_000.0).wire()).unwrap()).unwrap()[ILLUMINANCE];
    assert!((found - 60_000.0).abs() < 2.0, "{found}");
}

/// The measurement time is the usual one again, and another driver's owner may have set any.
#[test]
fn the_measurement_time_is_set_each_time() {
    let rig = rig(320.0);
    let Rig::I2c(bus, address) = &rig else { unreachable!() };
    let options = with(Resolution::Lx1, Sensitivity::X3_68);
    let mut sensor = options.open(rig.wire()).unwrap();
    for command in [TIME_HIGH | USUAL_TIME >> 5, TIME_LOW | USUAL_TIME & 0b1_1111] {
        bus.clone().write(*address, &[command]).unwrap();
    }
    let found = sample(&options, &mut *sensor).unwrap()[ILLUMINANCE];
    assert!((found - 320.0).abs() < 1.0, "{found}");
}

/// It may measure by itself since before.
#[test]
fn a_part_that_measures_is_no_surprise() {
    let rig = rig(320.0);
    let Rig::I2c(bus, address) = &rig else { unreachable!() };
    bus.clone().write(*address, &[0x10]).unwrap();
    Delay.delay_ms(500);
    let options = Options::default();
    let found = sample(&options, &mut *options.open(rig.wire()).unwrap()).unwrap()[ILLUMINANCE];
    assert!((found - 320.0).abs() < 1.0, "{found}");
}

#[test]
fn what_cannot_be_cleared_is_no_bh1750() {
    let rig = rig(320.0);
    let Rig::I2c(bus, address) = &rig else { unreachable!() };
    bus.set_faults(*address, I2cFaults { all_ones: true, ..I2cFaults::default() });
    let fault = Options::default().open(rig.wire()).err().unwrap();
    let expected = "the data register holds 0xffff after it was cleared: not a BH1750";
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::WrongChip, expected));
}

#[test]
fn wrong_options_are_refused() {
    for (text, expected) in [
        ("{ resolution: 2 }", "expected one of 0.5, 1, 4"),
        ("{ sensitivity: 2 }", "expected one of 0.45, 1, 3.68"),
        ("{ gain: 2 }", "unknown field `gain`"),
    ] {
        let message = serde_yaml::from_str::<Options>(text).unwrap_err().to_string();
        assert!(message.contains(expected), "{text}: {message}");
    }
}
