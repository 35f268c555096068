use super::sim::Model;
use super::*;
use crate::FaultKind;
use crate::sim::{I2cPart, Nack, SharedPart};
use crate::tests::rig::{Rig, sample};

const PLACE: Attachment = Attachment::I2c { addresses: &[0x10] };

fn with(gain: Gain, integration: Integration) -> Options {
    Options { gain, integration }
}

const TIMES: [Integration; 6] = [
    Integration::Ms25,
    Integration::Ms50,
    Integration::Ms100,
    Integration::Ms200,
    Integration::Ms400,
    Integration::Ms800,
];

/// Application note: 1500 lx by the count are 1658 lx.
#[test]
fn correction_of_the_application_note() {
    assert!((corrected(1_500.0) - 1_658.0).abs() < 0.5, "{}", corrected(1_500.0));
    assert_eq!(corrected(0.0), 0.0);
    // What the header says of smaller ones.
    assert!((corrected(1_000.0) / 1_000.0 - 1.07).abs() < 0.01);
    assert!((corrected(100.0) / 100.0 - 1.01).abs() < 0.001);
}

/// Application note, table of resolutions, in the row of gain 1; the others are its multiples.
#[test]
fn resolutions_of_the_application_note() {
    for (integration, expected) in TIMES.into_iter().zip([0.2688, 0.1344, 0.0672, 0.0336, 0.0168, 0.0084]) {
        for (gain, factor) in Gain::ALL.iter().zip([8.0, 4.0, 1.0, 0.5]) {
            let found = with(*gain, integration).resolution();
            assert!((found - expected * factor).abs() < 1e-9, "{gain:?} {integration:?}: {found}");
        }
    }
}

/// What the doc comment of the option says.
#[test]
fn ranges() {
    for (gain, end) in [(Gain::X0_125, 140_000.0), (Gain::X0_25, 49_500.0), (Gain::X1, 5_400.0), (Gain::X2, 2_500.0)] {
        let range = with(gain, Integration::Ms100).range();
        assert!((range.end() - end).abs() < 0.01 * end, "{gain:?}: {range:?}");
    }
}

#[test]
fn transcript() {
    let part = SharedPart::new(Box::new(Model::default()));
    part.stimulate("illuminance", 1_658.141);
    let rig = Rig::new(PLACE, Some(part));
    let Rig::I2c(bus, _) = &rig else { unreachable!() };
    bus.record();
    let options = Options::default();
    let mut sensor = options.open(rig.wire()).unwrap();
    let found = sample(&options, &mut *sensor).unwrap()[ILLUMINANCE];
    assert!((found - 1_658.141).abs() < 0.5, "{found}");
    sensor.halt().unwrap();
    let expected = [
        "10 W 00 f3 1b",
        "10 W 00 · R f3 1b",
        "10 W 00 01 10", // 10 0 0000 00 00 01: gain 1/8, 100 ms, asleep
        "10 W 00 · R 01 10",
        "10 W 03 00 00",
        "10 W 00 00 10",
        "10 W 04 · R e6 0a", // 2790 · 0.5376 lx is 1500 lx
        "10 W 00 · R 00 10",
        "10 W 00 01 10",
        "10 W 00 01 10",
    ];
    assert_eq!(bus.recorded(), expected);
}

/// The fields as Linux (iio/veml6030) writes them.
#[test]
fn each_setting_is_written_and_waited_for() {
    let gains = [0x1000, 0x1800, 0x0000, 0x0800];
    let times = [0x300, 0x200, 0x000, 0x040, 0x080, 0x0C0];
    for (gain, gain_bits) in Gain::ALL.iter().zip(gains) {
        for (integration, time_bits) in TIMES.into_iter().zip(times) {
            let options = with(*gain, integration);
            assert_eq!(options.config(), gain_bits | time_bits, "{options:?}");
            let part = SharedPart::new(options.simulate().unwrap());
            let mut sensor = options.open(Rig::new(PLACE, Some(part.clone())).wire()).unwrap();
            for lux in [200.0, 90.0] {
                part.stimulate("illuminance", lux);
                let found = sample(&options, &mut *sensor).unwrap()[ILLUMINANCE];
                assert!((found - lux).abs() <= options.resolution(), "{options:?}: {found}");
            }
        }
    }
}

#[test]
fn too_bright_is_a_fault() {
    for (options, lux, expected) in [
        (with(Gain::X2, Integration::Ms100), 3_000.0, "too bright for a gain of 2 at 100 ms (count 0xffff)"),
        (with(Gain::X0_125, Integration::Ms100), 150_000.0, "an illuminance in lx of 1500"),
    ] {
        let part = SharedPart::new(options.simulate().unwrap());
        part.stimulate("illuminance", lux);
        let mut sensor = options.open(Rig::new(PLACE, Some(part)).wire()).unwrap();
        let fault = sample(&options, &mut *sensor).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Corrupt);
        assert!(fault.message.starts_with(&expected[..expected.len() - 2]), "{fault}");
    }
}

/// A part that loses its power while it measures.
struct Weak {
    model: Model,
    /// Writes until then.
    writes: usize,
}

impl Part for Weak {
    fn stimulate(&mut self, channel: &str, value: f64) -> bool {
        self.model.stimulate(channel, value)
    }

    fn i2c(&mut self) -> Option<&mut dyn I2cPart> {
        Some(self)
    }
}

impl I2cPart for Weak {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        self.model.write(bytes)?;
        self.writes = self.writes.wrapping_sub(1);
        if self.writes == 0 {
            self.model.lose_power();
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        self.model.read(buffer)
    }
}

#[test]
fn loss_of_power_is_noticed_and_mended() {
    // Five writes to open it, pointers included; the sixth wakes it up.
    let part = SharedPart::new(Box::new(Weak { model: Model::default(), writes: 6 }));
    let options = Options::default();
    let mut sensor = options.open(Rig::new(PLACE, Some(part)).wire()).unwrap();
    let fault = sample(&options, &mut *sensor).unwrap_err();
    let expected = "the configuration register holds 0x0001 after 0x1000 was written";
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::Corrupt, expected));
    let found = sample(&options, &mut *sensor).unwrap()[ILLUMINANCE];
    assert!((found - 320.0).abs() < 1.0, "{found}");
}

/// Takes whatever is written as its own, but for one field.
#[test]
fn what_forgets_its_configuration_is_no_veml7700() {
    struct Forgetful([u8; 2]);
    impl Part for Forgetful {
        fn stimulate(&mut self, _: &str, _: f64) -> bool {
            false
        }

        fn i2c(&mut self) -> Option<&mut dyn I2cPart> {
            Some(self)
        }
    }
    impl I2cPart for Forgetful {
        fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
            if let [_, low, high] = *bytes {
                self.0 = [low & 0x0F, high];
            }
            Ok(())
        }

        fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
            buffer.copy_from_slice(&self.0);
            Ok(())
        }
    }
    let part = SharedPart::new(Box::new(Forgetful([0; 2])));
    let fault = Options::default().open(Rig::new(PLACE, Some(part)).wire()).err().unwrap();
    let expected = "the configuration register holds 0x1b03 after 0x1bf3 was written: not a VEML7700";
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::WrongChip, expected));
}

#[test]
fn wrong_options_are_refused() {
    for (text, expected) in [
        ("{ gain: 4 }", "expected one of 0.125, 0.25, 1, 2"),
        ("{ integration: 300ms }", "unknown variant `300ms`"),
        ("{ resolution: 1 }", "unknown field `resolution`"),
    ] {
        let message = serde_yaml::from_str::<Options>(text).unwrap_err().to_string();
        assert!(message.contains(expected), "{text}: {message}");
    }
}
