use super::sim::Model;
use super::*;
use crate::sim::SharedPart;
use crate::tests::rig::{Rig, sample};
use embedded_hal::i2c::I2c;

const PLACE: Attachment = Attachment::I2c { addresses: &[0x68] };

fn options(text: &str) -> Options {
    serde_yaml::from_str(text).unwrap()
}

fn rig(model: Model) -> (Rig, SharedPart) {
    let part = SharedPart::new(Box::new(model));
    (Rig::new(PLACE, Some(part.clone())), part)
}

/// PS, sections 6.1 to 6.3: what the maker's tables say of 1 g, of 1 °/s, and of 35 °C.
#[test]
fn scales_of_the_datasheet() {
    for (acceleration, word, field) in [
        (Acceleration::G2, 16_384, 0),
        (Acceleration::G4, 8_192, 1),
        (Acceleration::G8, 4_096, 2),
        (Acceleration::G16, 2_048, 3),
    ] {
        let found = axial(word, acceleration.step(), &acceleration.limits()).unwrap();
        assert!((found - 9.806_65).abs() < 1e-12, "{acceleration:?}: {found}");
        assert_eq!(acceleration.field(), field);
    }
    // Ten degrees, so that the tables' halves are whole.
    for (rotation, word, field) in [
        (Rotation::Dps250, 1_310, 0),
        (Rotation::Dps500, 655, 1),
        (Rotation::Dps1000, 328, 2),
        (Rotation::Dps2000, 164, 3),
    ] {
        let found = axial(-word, rotation.step(), &rotation.limits()).unwrap();
        assert!((found + 10.0).abs() < 1e-12, "{rotation:?}: {found}");
        assert_eq!(rotation.field(), field);
    }
    assert!((celsius(-521) - 35.0).abs() < 0.01, "{}", celsius(-521));
    assert!((celsius(-521 + 340) - 36.0).abs() < 0.01);
}

#[test]
fn transcript() {
    let (rig, part) = rig(Model::default());
    let Rig::I2c(bus, _) = &rig else { unreachable!() };
    bus.record();
    let options = Options::default();
    for (channel, value) in [("acceleration_x", -G / 2.0), ("rotation_y", 10.0), ("temperature", 35.0)] {
        assert!(part.stimulate(channel, value));
    }
    let mut sensor = options.open(rig.wire()).unwrap();
    let found = sample(&options, &mut *sensor).unwrap();
    let expected = [-G / 2.0, 0.0, G, 0.0, 10.0, 0.0, 35.0];
    assert!(found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 0.005), "{found:?}");
    sensor.halt().unwrap();
    let expected = [
        "68 W 75 · R 68",
        "68 W 6b 80",
        "68 W 6b 01",
        "68 W 19 00",
        "68 W 1a 06", // 5 Hz
        "68 W 1b 00",
        "68 W 1c 00",
        "68 W 38 01",
        "68 W 19 · R 00 06 00 00",
        "68 W 3a · R 01 e0 00 00 00 40 00 fd f8 00 00 05 1e 00 00", // fdf8 is -520: 35.0 °C
        "68 W 6b 40",
    ];
    assert_eq!(bus.recorded(), expected);
}

#[test]
fn each_option_is_heard() {
    for (text, settings) in [
        ("{ bandwidth: 184 }", [0, 1, 0x00, 0x00]),
        ("{ bandwidth: 94, rotation: 500 }", [0, 2, 0x08, 0x00]),
        ("{ bandwidth: 44, rotation: 1000, acceleration: 4 }", [0, 3, 0x10, 0x08]),
        ("{ bandwidth: 21, rotation: 2000, acceleration: 8 }", [0, 4, 0x18, 0x10]),
        ("{ bandwidth: 10, acceleration: 16 }", [0, 5, 0x00, 0x18]),
    ] {
        let options = options(text);
        assert_eq!(options.settings(), settings, "{text}");
        let (rig, part) = rig(Model::default());
        let mut sensor = options.open(rig.wire()).unwrap();
        for (channel, index, value) in [("acceleration_z", 2, -12.0), ("rotation_x", 3, 200.0)] {
            part.stimulate(channel, value);
            Delay.delay_ms(1);
            let found = sample(&options, &mut *sensor).unwrap()[index];
            assert!((found - value).abs() < 0.05, "{text} {channel}: {found}");
        }
    }
}

#[test]
fn parts_are_known_by_their_identity() {
    for (identity, name) in [(0x70, "MPU-6500"), (0x71, "MPU-9250"), (0x69, "")] {
        let fault = Options::default().open(rig(Model::with_identity(identity)).0.wire()).err().unwrap();
        let expected = format!("WHO_AM_I, register 0x75, holds {identity:#04x}, expected 0x68");
        assert_eq!((fault.kind, fault.message), (FaultKind::WrongChip, expected), "{name}");
    }
}

/// A part that loses its power between two samples sleeps, or has other settings: one is refused, the next is right.
#[test]
fn loss_of_power_is_noticed_and_mended() {
    let asleep = "no new values: the part is asleep, and is set up again";
    let others = "the registers from 0x19 on hold [00, 00, 00, 00] after [00, 06, 00, 00] was written";
    for (disturbance, kind, expected) in
        [([PWR_MGMT_1, RESET], FaultKind::Corrupt, others), ([PWR_MGMT_1, ASLEEP], FaultKind::NotReady, asleep)]
    {
        let (rig, _) = rig(Model::default());
        let Rig::I2c(bus, address) = &rig else { unreachable!() };
        let options = Options::default();
        let mut sensor = options.open(rig.wire()).unwrap();
        sample(&options, &mut *sensor).unwrap();
        bus.clone().write(*address, &disturbance).unwrap();
        Delay.delay_ms(100);
        let fault = sample(&options, &mut *sensor).unwrap_err();
        assert_eq!(fault.kind, kind, "{fault}");
        assert!(fault.message.starts_with(expected), "{fault}");
        assert!((sample(&options, &mut *sensor).unwrap()[2] - G).abs() < 0.01);
    }
}

#[test]
fn beyond_the_range_is_a_fault() {
    let (rig, part) = rig(Model::default());
    let options = Options::default();
    let mut sensor = options.open(rig.wire()).unwrap();
    for (channel, beyond, fine) in [
        ("acceleration_x", 30.0, 19.0),
        ("acceleration_z", -20.0, -19.0),
        ("rotation_y", -300.0, -249.0),
        ("rotation_z", 250.1, 249.9),
        ("temperature", 86.0, 84.9),
        ("temperature", -41.0, 20.0),
    ] {
        part.stimulate(channel, beyond);
        Delay.delay_ms(1);
        let fault = sample(&options, &mut *sensor).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Corrupt, "{channel} {beyond}: {fault}");
        assert!(fault.message.contains(channel), "{fault}");
        part.stimulate(channel, fine);
        sample(&options, &mut *sensor).unwrap_or_else(|fault| panic!("{channel} {fine}: {fault}"));
    }
}
