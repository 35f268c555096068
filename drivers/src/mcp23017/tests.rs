use super::sim::Model;
use super::*;
use crate::sim::{I2cBus, I2cPart, SharedPart};
use crate::tests::rig::wire_at;

fn open(bus: &I2cBus) -> Result<Box<dyn Expander>, Fault> {
    Options::default().open(wire_at(bus, 0x20))
}

fn stage() -> (I2cBus, SharedPart) {
    let (bus, part) = (I2cBus::new(), SharedPart::new(Box::new(Model::default())));
    bus.attach(0x20, part.clone());
    (bus, part)
}

/// All registers as the bus sees them.
fn registers(part: &SharedPart) -> Registers {
    let mut registers = [0; REGISTERS];
    let mut guard = part.lock();
    let chip = guard.i2c().unwrap();
    chip.write(&[0]).unwrap();
    chip.read(&mut registers).unwrap();
    registers
}

/// Table 3-5: values after a reset, and addresses with IOCON.BANK = 0.
#[test]
fn as_the_datasheet_has_it_after_a_reset() {
    let (_, part) = stage();
    let registers = registers(&part);
    assert_eq!(registers[0x00..0x02], [0xFF, 0xFF], "IODIR");
    assert!(registers[0x02..].iter().all(|register| *register == 0), "{registers:02x?}");
}

#[test]
fn opening_changes_nothing_that_a_pin_shows() {
    let (bus, part) = stage();
    let mut expander = open(&bus).unwrap();
    expander.drive(3, true).unwrap();
    expander.listen(8, Pull::Up).unwrap();
    let before = registers(&part);
    drop(expander);
    open(&bus).unwrap();
    assert_eq!(registers(&part), before);
}

#[test]
fn the_level_is_there_before_the_pin_drives() {
    let (bus, _) = stage();
    let mut expander = open(&bus).unwrap();
    bus.record();
    expander.drive(9, true).unwrap();
    let transfers = bus.recorded();
    let writes: Vec<_> = transfers.iter().filter(|line| !line.contains('R')).map(String::as_str).collect();
    // OLAT (0x14) is written with bit 9, which is bit 1 of port B, then IODIR (0x00) without it.
    assert_eq!(writes, ["20 W 14 00 02", "20 W 00 ff fd"]);
}

#[test]
fn inputs_are_pulled_up_and_seen() {
    let (bus, part) = stage();
    let mut expander = open(&bus).unwrap();
    expander.listen(2, Pull::Up).unwrap();
    assert_eq!(expander.levels().unwrap() & 1 << 2, 1 << 2, "nothing drives it: the pull-up does");
    part.stimulate("2", 0.0);
    assert_eq!(part.lock().interrupt(), Some(true));
    assert_eq!(expander.levels().unwrap() & 1 << 2, 0);
    assert_eq!(part.lock().interrupt(), Some(false), "reading the port ends the interrupt");
}

/// Section 3.6: what was there when the interrupt came is not lost when it is gone again.
#[test]
fn a_short_change_is_seen() {
    let (bus, part) = stage();
    let mut expander = open(&bus).unwrap();
    expander.listen(2, Pull::Up).unwrap();
    expander.levels().unwrap();
    part.stimulate("2", 0.0);
    part.stimulate("2", 1.0);
    let (then, now) = expander.changes().unwrap();
    assert_eq!((then & 1 << 2, now & 1 << 2), (0, 1 << 2));
    let (then, now) = expander.changes().unwrap();
    assert_eq!((then & 1 << 2, now & 1 << 2), (1 << 2, 1 << 2), "it is told once");
}

#[test]
fn a_reset_is_noticed() {
    let (bus, _) = stage();
    let mut expander = open(&bus).unwrap();
    expander.drive(0, true).unwrap();
    bus.attach(0x20, SharedPart::new(Box::new(Model::default())));
    let fault = expander.levels().unwrap_err();
    assert_eq!(fault.kind, FaultKind::Bus, "{fault}");
    assert!(fault.message.starts_with("IODIR holds 0xffff, 0xfffe was written"), "{fault}");
    assert!(expander.drive(1, true).is_err(), "nothing is driven on top of it");
}

#[test]
fn what_cannot_be_is_refused() {
    let (bus, _) = stage();
    let mut expander = open(&bus).unwrap();
    for (pin, pull, expected) in [
        (7, Pull::Up, "pin 7 (GPA7) can be an output only"),
        (15, Pull::Keep, "pin 15 (GPB7) can be an output only"),
        (0, Pull::Down, "the MCP23017 can pull up, not down"),
        (16, Pull::Up, "there is no pin 16: they are 0 to 15"),
    ] {
        let fault = expander.listen(pin, pull).unwrap_err();
        assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::Rejected, expected));
    }
    assert_eq!(expander.pulses(0, 1_000_000, 500_000).unwrap_err().kind, FaultKind::Rejected);
}

#[test]
fn another_part_is_recognised() {
    struct Other(u8);

    impl Part for Other {
        fn stimulate(&mut self, _: &str, _: f64) -> bool {
            false
        }

        fn i2c(&mut self) -> Option<&mut dyn I2cPart> {
            Some(self)
        }
    }

    impl I2cPart for Other {
        fn write(&mut self, _: &[u8]) -> Result<(), crate::sim::Nack> {
            Ok(())
        }

        fn read(&mut self, buffer: &mut [u8]) -> Result<(), crate::sim::Nack> {
            buffer.fill(self.0);
            Ok(())
        }
    }

    for byte in [0xFF, 0x01, 0x00] {
        let bus = I2cBus::new();
        bus.attach(0x20, SharedPart::new(Box::new(Other(byte))));
        assert_eq!(open(&bus).err().unwrap().kind, FaultKind::WrongChip, "{byte:#04x}");
    }
    assert_eq!(open(&I2cBus::new()).err().unwrap().kind, FaultKind::Absent);
}
