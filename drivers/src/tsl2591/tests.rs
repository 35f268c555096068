use super::sim::Model;
use super::*;
use crate::sim::{I2cPart, Nack, SharedPart};
use crate::tests::rig::{Rig, sample};

const PLACE: Attachment = Attachment::I2c { addresses: &[0x29] };

fn rig(part: impl Part + 'static) -> Rig {
    Rig::new(PLACE, Some(SharedPart::new(Box::new(part))))
}

fn with(gain: Gain, integration: Integration) -> Options {
    Options { gain, integration }
}

const TIMES: [Integration; 6] = [
    Integration::Ms100,
    Integration::Ms200,
    Integration::Ms300,
    Integration::Ms400,
    Integration::Ms500,
    Integration::Ms600,
];

/// What a real part gave at dusk, at gain 1 and 100 ms, logged with Adafruit's library by a user of the indi-allsky
/// project (its issue 1333): both counts, and lx.
#[test]
fn recorded_measurements() {
    let options = with(Gain::X1, Integration::Ms100);
    for (all, infrared, lux) in [(22, 9, 29.539_2), (18, 7, 26.601_6), (15, 6, 21.052_8)] {
        let found = options.lux(all, infrared);
        assert!((found - lux).abs() < 1e-4, "{all}, {infrared}: {found}");
    }
}

/// The second line is above the first where infrared is more than 0.526 of all, and both are below 0 from 0.686 on.
#[test]
fn much_infrared() {
    let options = with(Gain::X1, Integration::Ms100);
    assert!((options.lux(1_000, 600) - 4.08 * (590.0 - 516.0)).abs() < 1e-9);
    assert_eq!(options.lux(1_000, 700), 0.0);
    assert_eq!(options.lux(0, 0), 0.0);
}

#[test]
fn transcript() {
    let part = SharedPart::new(Box::new(Model::with_infrared(9.0 / 22.0)));
    part.stimulate("illuminance", 29.539_2);
    let rig = Rig::new(PLACE, Some(part));
    let Rig::I2c(bus, _) = &rig else { unreachable!() };
    bus.record();
    let options = with(Gain::X1, Integration::Ms100);
    let mut sensor = options.open(rig.wire()).unwrap();
    let found = sample(&options, &mut *sensor).unwrap()[ILLUMINANCE];
    assert!((found - 29.539_2).abs() < 1e-4, "{found}");
    sensor.halt().unwrap();
    let expected = [
        "29 W b2 · R 50", // 101 10010
        "29 W a0 00",
        "29 W a1 00",
        "29 W a0 03",
        "29 W b3 · R 00 00 00 00 00", // not yet
        "29 W b3 · R 01 16 00 09 00", // 22 and 9
        "29 W a0 00",
        "29 W a0 00",
    ];
    assert_eq!(bus.recorded(), expected);
}

/// The fields as Linux (iio/tsl2591) writes them.
#[test]
fn each_setting_is_written_and_waited_for() {
    for (gain, gain_bits) in Gain::ALL.iter().zip([0x00, 0x10, 0x20, 0x30]) {
        for (integration, time_bits) in TIMES.into_iter().zip(0..) {
            let options = with(*gain, integration);
            assert_eq!(options.control(), gain_bits | time_bits, "{options:?}");
            assert_eq!(integration.ms(), 100 * (u16::from(time_bits) + 1));
            let part = SharedPart::new(options.simulate().unwrap());
            let mut sensor = options.open(Rig::new(PLACE, Some(part.clone())).wire()).unwrap();
            for share in [0.8, 0.1] {
                let lux = options.range().end() * share;
                part.stimulate("illuminance", lux);
                let found = sample(&options, &mut *sensor).unwrap()[ILLUMINANCE];
                assert!((found - lux).abs() <= 0.001 * options.range().end(), "{options:?}: {found} is not {lux}");
            }
        }
    }
}

/// What the doc comment of the option says.
#[test]
fn ranges() {
    for (gain, end) in Gain::ALL.iter().zip([150_000.0, 6_000.0, 350.0, 15.0]) {
        let range = with(*gain, Integration::Ms100).range();
        assert!((range.end() - end).abs() < 0.01 * end, "{gain:?}: {range:?}");
    }
}

#[test]
fn saturation_is_a_fault() {
    for (options, infrared, expected) in [
        (Options::default(), 0.0, "too bright for a gain of 25 at 100 ms (counts 36863 and 0)"),
        (with(Gain::X25, Integration::Ms600), 0.0, "too bright for a gain of 25 at 600 ms (counts 65535 and 0)"),
        (Options::default(), 1.2, "too bright for a gain of 25 at 100 ms (counts 36863 and 36863)"),
    ] {
        let part = SharedPart::new(Box::new(Model::with_infrared(infrared)));
        part.stimulate("illuminance", 20_000.0);
        let mut sensor = options.open(Rig::new(PLACE, Some(part)).wire()).unwrap();
        let fault = sample(&options, &mut *sensor).unwrap_err();
        assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::Corrupt, expected));
    }
}

/// A flag and counts that an earlier measurement left do not pass for those of this one.
#[test]
fn only_what_is_measured_now_counts() {
    let part = SharedPart::new(Box::new(Model::default()));
    let rig = Rig::new(PLACE, Some(part.clone()));
    let Rig::I2c(bus, address) = &rig else { unreachable!() };
    embedded_hal::i2c::I2c::write(&mut bus.clone(), *address, &[COMMAND | ENABLE, ON]).unwrap();
    Delay.delay_ms(500);
    part.stimulate("illuminance", 1_000.0);
    let options = Options::default();
    let found = sample(&options, &mut *options.open(rig.wire()).unwrap()).unwrap()[ILLUMINANCE];
    assert!((found - 1_000.0).abs() < 1.0, "{found}");
}

/// A part that loses its power when it is told to measure: it is off, and never has a result.
struct Weak(Model);

impl Part for Weak {
    fn stimulate(&mut self, _: &str, _: f64) -> bool {
        false
    }

    fn i2c(&mut self) -> Option<&mut dyn I2cPart> {
        Some(self)
    }
}

impl I2cPart for Weak {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        self.0.write(bytes)?;
        if *bytes == [COMMAND | ENABLE, ON] {
            self.0.write(&[COMMAND | CONTROL, 0x80])?;
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        self.0.read(buffer)
    }
}

#[test]
fn loss_of_power_is_not_ready() {
    let options = Options::default();
    let mut sensor = options.open(rig(Weak(Model::default())).wire()).unwrap();
    let fault = sample(&options, &mut *sensor).unwrap_err();
    let expected = "the measurement takes more than twice its time";
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::NotReady, expected));
}

#[test]
fn parts_are_known_by_their_identity() {
    let fault = Options::default().open(rig(Model::with_register(0x12, 0x0A)).wire()).err().unwrap();
    let expected = "the identity register 0xb2 holds 0x0a, expected 0x50";
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::WrongChip, expected));
}

#[test]
fn wrong_options_are_refused() {
    for (text, expected) in [
        ("{ gain: 2 }", "expected one of 1, 25, 428, 9876"),
        ("{ integration: 700ms }", "unknown variant `700ms`"),
        ("{ time: 1 }", "unknown field `time`"),
    ] {
        let message = serde_yaml::from_str::<Options>(text).unwrap_err().to_string();
        assert!(message.contains(expected), "{text}: {message}");
    }
}
