use super::sim::Model;
use super::*;
use crate::sim::SharedPart;
use crate::tests::rig::{Rig, Stuck, sample};

/// Table 4, with the part at 25 °C.
#[test]
fn codes_of_the_thermocouple() {
    for (code, expected) in [
        (0b01_1001_0000_0000, 1600.0),
        (0b00_1111_1010_0000, 1000.0),
        (0b00_0001_1001_0011, 100.75),
        (0b00_0000_0110_0100, 25.0),
        (0b00_0000_0000_0000, 0.0),
        (0b11_1111_1111_1111, -0.25),
        (0b11_1111_1111_1100, -1.0),
        (0b11_1100_0001_1000, -250.0),
    ] {
        assert_eq!(celsius(code << 18 | 0x1900), Ok((expected, 25.0)), "{code:#016b}");
    }
    // Codes that no thermocouple gives.
    for (code, expected) in [
        (0b01_1111_1111_1111, "a temperature in °C of 2047.75 is outside of what the part can measure, -270 to 1800"),
        (0b10_0000_0000_0000, "a temperature in °C of -2048.00 is outside of what the part can measure, -270 to 1800"),
    ] {
        let fault = celsius(code << 18 | 0x1900).unwrap_err();
        assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::Corrupt, expected));
    }
}

/// Table 5, with the thermocouple at 25 °C.
#[test]
fn codes_of_the_part() {
    for (code, expected) in [
        (0b0111_1111_0000, 127.0),
        (0b0110_0100_1001, 100.5625),
        (0b0001_1001_0000, 25.0),
        (0b0000_0000_0000, 0.0),
        (0b1111_1111_1111, -0.0625),
        (0b1111_1111_0000, -1.0),
        (0b1110_1100_0000, -20.0),
        (0b1100_1001_0000, -55.0),
    ] {
        assert_eq!(celsius(0x0190_0000 | code << 4), Ok((25.0, expected)), "{code:#014b}");
    }
    let fault = celsius(0x0190_0000 | 0x7FF0).unwrap_err();
    let expected = "an internal temperature in °C of 127.94 is outside of what the part can measure, -55 to 127";
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::Corrupt, expected));
}

/// Tables 2 and 3.
#[test]
fn faults_of_the_thermocouple() {
    for (bits, expected) in [
        (0b001, "the thermocouple is open: broken or not connected"),
        (0b010, "the thermocouple is shorted to ground"),
        (0b100, "the thermocouple is shorted to the supply"),
        (0b011, "the thermocouple is open: broken or not connected; the thermocouple is shorted to ground"),
    ] {
        let mut model = Model::default();
        model.set_faults(bits);
        let part = SharedPart::new(Box::new(model));
        let options = Options::default();
        // A thermocouple may be connected later: the part is there.
        let mut sensor = options.open(Rig::new(Attachment::Spi, Some(part)).wire()).unwrap();
        let fault = sample(&options, &mut *sensor).unwrap_err();
        assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::Corrupt, expected));
    }
    let fault = celsius(0x0191_1900).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Corrupt);
    assert_eq!(fault.message, "0x01911900 tells of a fault, but not of which");
}

#[test]
fn transcript() {
    let part = SharedPart::new(Box::new(Model::default()));
    let rig = Rig::new(Attachment::Spi, Some(part.clone()));
    let Rig::Spi(slot) = &rig else { unreachable!() };
    slot.record();
    let options = Options::default();
    let mut sensor = options.open(rig.wire()).unwrap();
    part.stimulate("temperature", 100.75);
    part.stimulate("internal_temperature", -0.0625);
    assert_eq!(sample(&options, &mut *sensor), Ok(vec![100.75, -0.0625]));
    part.stimulate("temperature", -250.0);
    assert_eq!(sample(&options, &mut *sensor), Ok(vec![-250.0, -0.0625]), "the next conversion is waited for");
    assert_eq!(slot.recorded(), ["R 0b 40 18 00", "R 06 4c ff f0", "R f0 60 ff f0"]);
}

/// A line that nobody drives, pulled up or down.
#[test]
fn nobody_there_is_absent() {
    for (level, expected) in
        [(0xFF, "nothing answers: bits 17 and 3 of 0xffffffff are not 0"), (0x00, "nothing answers: all bits are 0")]
    {
        let part = SharedPart::new(Box::new(Stuck(level)));
        let fault = Options::default().open(Rig::new(Attachment::Spi, Some(part)).wire()).err().unwrap();
        assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::Absent, expected));
    }
}
