use super::sim::Model;
use super::*;
use crate::sim::SharedPart;
use crate::tests::rig::{Rig, sample};
use embedded_hal::i2c::I2c;

const PLACE: Attachment = Attachment::I2c { addresses: &[0x29] };

fn rig(model: Model) -> (Rig, SharedPart) {
    let part = SharedPart::new(Box::new(model));
    (Rig::new(PLACE, Some(part.clone())), part)
}

/// What the library's own arithmetic gives, step by step: 38 periods of 53.384 µs are 2055 µs, 151 are 8087 µs; with the
/// overheads 17067 µs. The rest, in periods of 38.131 µs, and 151 besides: 569 for 33 ms, 228 for 20 ms.
#[test]
fn budgets() {
    assert_eq!(final_range_timeout(33_000), 0x028E); // 568 = 142 · 2²
    assert_eq!(final_range_timeout(20_000), 0x00E3); // 227
    assert_eq!(final_range_timeout(200_000), 0x059A); // 4797 and 151 besides; 4947 is 154 · 2⁵ and a bit
    // Whatever is too little leaves the coarse range.
    assert_eq!(final_range_timeout(0), 0x0096);
}

#[test]
fn reference_detectors_are_chosen_from_the_good_ones() {
    let good = [0xFF, 0xE7, 0xFB, 0xFF, 0x7F, 0x0F];
    // From the twelfth on: bits 13, 14 and 15 of the second byte, then 0 and 1 of the third.
    assert_eq!(reference_spads(good, 0x80 | 5), [0, 0xE0, 0x03, 0, 0, 0]);
    // From the first on; bits 3 and 4 of the second byte are not good.
    assert_eq!(reference_spads(good, 12), [0xFF, 0x27, 0, 0, 0, 0]);
    assert_eq!(reference_spads(good, 0x7F), good, "never more than there are");
    assert_eq!(reference_spads([0; 6], 0xFF), [0; 6]);
}

/// Section 3.2, reference registers: what they hold after a reset, and that this is enough for the part to be known.
#[test]
fn reference_registers_of_the_datasheet() {
    let (rig, _) = rig(Model::default());
    let Rig::I2c(bus, address) = &rig else { unreachable!() };
    let mut found = [[0; 2]; 4];
    for (register, found) in [0xC0, 0xC2, 0x51, 0x61].into_iter().zip(&mut found) {
        bus.clone().write_read(*address, &[register], found).unwrap();
    }
    assert_eq!(found[0], [0xEE, 0xAA]);
    assert_eq!(found[1][0], 0x10);
    assert_eq!(found[2..], [[0x00, 0x99], [0x00, 0x00]], "words, the high byte first");
    assert!(Options::default().open(rig.wire()).is_ok());
}

/// Results of real parts, as others published them: the twelve bytes from register 0x14 on.
#[test]
fn recorded_results() {
    // github.com/goatchurchprime/jupyter_micropython_developer_notebooks, Sensor_Kennel/Lidar_VL53L0X.ipynb: status 11, "accurate
    // when this is 11". Its author has 41.0 mm a moment later: without the library's settings a part counts in quarters.
    let near = [0x5E, 0x06, 0x2B, 0x00, 0xFF, 0xFF, 0x0B, 0x18, 0x00, 0x06, 0x00, 0xA5];
    assert_eq!(millimetres(near), Ok(165.0));
    assert!(TUNING.contains(&(0x09, 0x00)), "ours counts whole ones: SYSTEM_RANGE_CONFIG");

    // A MicroPython script for the K210 that reads the part as it is after a reset, and prints of these bytes "ambient count 8,
    // signal count 139, distance 20". The library takes status 8 for a target below its least distance, which 20 mm is.
    let too_near = [0x41, 0x06, 0xB9, 0x00, 0x00, 0x03, 0x00, 0x08, 0x00, 0x8B, 0x00, 0x14];
    let fault = millimetres(too_near).unwrap_err();
    let expected = "no target: what comes back is from too near (status 8)";
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::NotReady, expected));
}

/// The library's device errors: 11 is a measurement, all others are not.
#[test]
fn what_the_status_says() {
    let result = |status: u8| {
        let mut bytes = [0; 12];
        (bytes[0], bytes[10], bytes[11]) = (status << 3 | 1, 0x01, 0xF4);
        millimetres(bytes)
    };
    for status in 0..=15 {
        match (status, result(status)) {
            (11, found) => assert_eq!(found, Ok(500.0)),
            (4..=10, Err(fault)) => {
                assert_eq!(fault.kind, FaultKind::NotReady);
                assert!(fault.message.starts_with("no target: "), "{fault}");
                assert!(fault.message.ends_with(&format!("(status {status})")), "{fault}");
            }
            (_, Err(fault)) => assert_eq!(fault.kind, FaultKind::Corrupt),
            (_, Ok(found)) => panic!("{status}: {found}"),
        }
    }
    let fault = millimetres([11 << 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x1F, 0xFE]).unwrap_err();
    let expected = "a distance in mm of 8190.00 is outside of what the part can measure, 0 to 2000";
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::Corrupt, expected));
}

#[test]
fn transcript() {
    let (rig, part) = rig(Model::default());
    let Rig::I2c(bus, _) = &rig else { unreachable!() };
    bus.record();
    let options = Options::default();
    let mut sensor = options.open(rig.wire()).unwrap();
    let lines = bus.recorded();
    let start = [
        "29 W c0 · R ee aa",
        "29 W 89 · R 00", // 2.8 V
        "29 W 89 01",
        "29 W 88 00",
        "29 W 80 01", // its own value
        "29 W ff 01",
        "29 W 00 00",
        "29 W 91 · R 3c",
        "29 W 00 01",
        "29 W ff 00",
        "29 W 80 00",
        "29 W 01 ff",
        "29 W 80 01", // its memory
        "29 W ff 01",
        "29 W 00 00",
        "29 W ff 06",
        "29 W 83 · R 00",
        "29 W 83 04",
        "29 W ff 07",
        "29 W 81 01",
        "29 W 80 01",
        "29 W 94 6b",
        "29 W 83 00",
        "29 W 83 · R 00", // not yet
        "29 W 83 · R 00",
        "29 W 83 · R 10",
        "29 W 83 01",
        "29 W 92 · R 85", // five, behind an aperture
        "29 W 81 00",
        "29 W ff 06",
        "29 W 83 · R 04",
        "29 W 83 00",
        "29 W ff 01",
        "29 W 00 01",
        "29 W ff 00",
        "29 W 80 00",
        "29 W b0 · R ff e7 fb ff 7f 0f",
        "29 W ff 01",
        "29 W 4f 00",
        "29 W 4e 2c",
        "29 W ff 00",
        "29 W b6 b4",
        "29 W b0 00",
        "29 W b1 e0",
        "29 W b2 03",
        "29 W b3 00",
        "29 W b4 00",
        "29 W b5 00",
    ];
    assert_eq!(lines[..start.len()], start);
    let rest = &lines[start.len() + TUNING.len()..];
    let end = [
        "29 W 84 · R 11",
        "29 W 0a 04",
        "29 W 84 01",
        "29 W 0b 01",
        "29 W 71 02",
        "29 W 72 8e",
        "29 W 01 01", // the first calibration
        "29 W 00 41",
        "29 W 13 · R 00",
        "29 W 13 · R 00",
        "29 W 13 · R 00",
        "29 W 13 · R 00",
        "29 W 13 · R 04",
        "29 W 0b 01",
        "29 W 00 00",
        "29 W 01 02", // the second
        "29 W 00 01",
        "29 W 13 · R 00",
        "29 W 13 · R 00",
        "29 W 13 · R 00",
        "29 W 13 · R 00",
        "29 W 13 · R 04",
        "29 W 0b 01",
        "29 W 00 00",
        "29 W 01 e8",
    ];
    assert_eq!(rest, end);

    part.stimulate("distance", 1_234.0);
    assert_eq!(sample(&options, &mut *sensor), Ok(vec![1_234.0]));
    let expected = [
        "29 W 01 · R e8",
        "29 W 80 01",
        "29 W ff 01",
        "29 W 00 00",
        "29 W 91 3c",
        "29 W 00 01",
        "29 W ff 00",
        "29 W 80 00",
        "29 W 0b 01",
        "29 W 00 01",
        "29 W 13 · R 04",
        "29 W 14 · R 59 00 05 00 00 00 0c 80 00 20 04 d2", // 0 1011 001: a measurement
        "29 W 0b 01",
    ];
    assert_eq!(bus.recorded(), expected);
}

#[test]
fn each_budget_is_waited_for() {
    for budget in Budget::ALL {
        let options = Options { budget: *budget };
        let (rig, part) = rig(Model::default());
        let mut sensor = options.open(rig.wire()).unwrap();
        for distance in [30.0, 1_900.0] {
            part.stimulate("distance", distance);
            assert_eq!(sample(&options, &mut *sensor), Ok(vec![distance]), "{budget:?}");
        }
    }
}

/// It is no fault of the part, and its settings stay.
#[test]
fn no_target_is_not_ready() {
    let (rig, part) = rig(Model::default());
    let Rig::I2c(bus, _) = &rig else { unreachable!() };
    let options = Options::default();
    let mut sensor = options.open(rig.wire()).unwrap();
    part.stimulate("distance", 3_000.0);
    let fault = sample(&options, &mut *sensor).unwrap_err();
    let expected = "no target: too little light comes back (status 4)";
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::NotReady, expected));
    part.stimulate("distance", 700.0);
    bus.record();
    assert_eq!(sample(&options, &mut *sensor), Ok(vec![700.0]));
    assert_eq!(bus.recorded().len(), 13);
}

#[test]
fn parts_are_known_by_their_identity() {
    for (identity, expected) in [
        ([0xEE, 0xAC], "identity registers 0xc0 and 0xc1 hold [ee, ac], expected [ee, aa]"),
        ([0x00, 0x00], "identity registers 0xc0 and 0xc1 hold [00, 00], expected [ee, aa]"),
    ] {
        let fault = Options::default().open(rig(Model::with_identity(identity)).0.wire()).err().unwrap();
        assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::WrongChip, expected));
    }
}

/// Whoever was interrupted while it spoke to the inside of the part leaves another page behind.
#[test]
fn another_page_is_left() {
    let (rig, _) = rig(Model::default());
    let Rig::I2c(bus, address) = &rig else { unreachable!() };
    for bytes in [[INSIDE, 1], [PAGE, 1]] {
        bus.clone().write(*address, &bytes).unwrap();
    }
    let options = Options::default();
    assert_eq!(sample(&options, &mut *options.open(rig.wire()).unwrap()), Ok(vec![500.0]));
}

/// A part that loses its power between two samples measures, but worse: one is refused, the next is right.
#[test]
fn loss_of_power_is_noticed_and_mended() {
    let (rig, part) = rig(Model::default());
    let options = Options::default();
    let mut sensor = options.open(rig.wire()).unwrap();
    sample(&options, &mut *sensor).unwrap();
    *part.lock() = Box::new(Model::default());
    let fault = sample(&options, &mut *sensor).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Corrupt);
    assert!(fault.message.starts_with("register 0x01 holds 0xff after 0xe8 was written"), "{fault}");
    assert_eq!(sample(&options, &mut *sensor), Ok(vec![500.0]));
}

#[test]
fn what_does_not_end_is_not_ready() {
    let fault = Options::default().open(rig(Model::never_ending()).0.wire()).err().unwrap();
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::NotReady, "the calibration does not end"));
    // Its settings are right, and it measures nothing.
    struct Still;
    impl Registers for Still {
        fn read(&mut self, register: u8, buffer: &mut [u8]) -> Result<(), Fault> {
            buffer[0] = if register == SYSTEM_SEQUENCE_CONFIG { SEQUENCE } else { 0 };
            Ok(())
        }

        fn write(&mut self, _: u8, _: u8) -> Result<(), Fault> {
            Ok(())
        }
    }
    let mut part = Vl53l0x { registers: Still, delay: Delay, budget: Budget::Ms33, stop_variable: Some(0) };
    let fault = part.measure().unwrap_err();
    let expected = "the measurement takes more than twice its time";
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::NotReady, expected));
}

#[test]
fn a_laser_that_fails_is_a_fault() {
    let options = Options::default();
    let (rig, _) = rig(Model::with_status(2));
    let fault = sample(&options, &mut *options.open(rig.wire()).unwrap()).unwrap_err();
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::Corrupt, "the laser failed its test (status 2)"));
}
