//! What goes wrong is a fault of the right kind, never a panic, and never a wrong value that could have been noticed.

use super::corpus::targets::noisy::Noisy;
use super::rig::{Rig, model, sample, sensors};
use crate::sim::{I2cFaults, MachineFaults, SharedPart};
use crate::{FaultKind, Next};
use proptest::prelude::*;

/// Drivers whose part sends a checksum with all that is measured.
const WITH_CHECKSUM: &[&str] = &["aht20", "htu21", "scd4x", "sgp40", "sht3x", "sht4x"];

#[test]
fn nobody_there_is_absent() {
    for (driver, spec, attachment) in sensors() {
        let rig = Rig::new(attachment, None);
        // Lines are there without a part: only a measurement shows that nobody is.
        let opened = spec.open(rig.wire());
        let fault = match (&rig, opened) {
            (Rig::Lines(_), Ok(mut sensor)) => sample(&*spec, &mut *sensor).unwrap_err(),
            (_, opened) => opened.err().unwrap(),
        };
        assert_eq!(fault.kind, FaultKind::Absent, "{} {attachment:?}: {fault}", driver.name);
    }
}

#[test]
fn another_wire_is_rejected() {
    for (driver, spec, _) in sensors() {
        let line = crate::port::OutputPort(Box::new(crate::sim::Line::new()));
        let fault = spec.open(crate::port::Wire::Output(line)).err().unwrap();
        assert_eq!(fault.kind, FaultKind::Rejected, "{}", driver.name);
    }
}

/// Each driver meets the parts of all others.
#[test]
fn another_part_is_recognised() {
    for (driver, spec, attachment) in sensors() {
        for (other, other_spec, other_attachment) in sensors() {
            let same_bus = std::mem::discriminant(&attachment) == std::mem::discriminant(&other_attachment);
            // These have no identity: the MCP3008 nothing at all to be known by, the BH1750 next to nothing.
            if driver.name == other.name || !same_bus || ["bh1750", "mcp3008"].contains(&driver.name) {
                continue;
            }
            // A register that gives back what was written is all that an LM75 is known by, and the VL53L0X has one of
            // the same number. They have no address in common.
            if (driver.name, other.name) == ("lm75", "vl53l0x") {
                continue;
            }
            let rig = Rig::new(attachment, Some(SharedPart::new(model(&*other_spec))));
            let fault = spec.open(rig.wire()).err();
            let fault = fault.unwrap_or_else(|| panic!("{} takes {} for its part", driver.name, other.name));
            assert_eq!(fault.kind.next(), Next::Reopen, "{} meets {}: {fault}", driver.name, other.name);
        }
    }
}

#[test]
fn injected_faults_on_i2c() {
    let none = I2cFaults::default();
    for (faults, kind) in [
        (I2cFaults { absent: true, ..none }, Some(FaultKind::Absent)),
        (I2cFaults { timeout: true, ..none }, Some(FaultKind::Bus)),
        (I2cFaults { all_ones: true, ..none }, None),
        (I2cFaults { flip: true, ..none }, None),
    ] {
        for (driver, spec, attachment) in sensors() {
            let rig = Rig::new(attachment, Some(SharedPart::new(model(&*spec))));
            let Rig::I2c(bus, address) = &rig else { continue };
            let mut sensor = spec.open(rig.wire()).unwrap();
            bus.set_faults(*address, faults);
            let found = sample(&*spec, &mut *sensor);
            let opened = spec.open(rig.wire()).err();
            match (found, kind) {
                (Err(fault), Some(kind)) => assert_eq!(fault.kind, kind, "{} {faults:?}: {fault}", driver.name),
                (Err(_), None) => {}
                // A flipped bit of a value is seen by a checksum only.
                (Ok(_), None) if faults.flip => assert!(!WITH_CHECKSUM.contains(&driver.name), "{}", driver.name),
                (Ok(values), _) => panic!("{} gives {values:?} with {faults:?}", driver.name),
            }
            let opened = opened.unwrap_or_else(|| panic!("{} opens with {faults:?}", driver.name));
            assert_eq!(opened.kind.next(), Next::Reopen, "{} {faults:?}: {opened}", driver.name);

            bus.set_faults(*address, none);
            // One more may be needed to notice that the part was disturbed.
            let again = sample(&*spec, &mut *sensor).or_else(|_| sample(&*spec, &mut *sensor));
            again.unwrap_or_else(|fault| panic!("{} does not recover from {faults:?}: {fault}", driver.name));
        }
    }
}

#[test]
fn injected_faults_on_spi() {
    for (driver, spec, attachment) in sensors() {
        let rig = Rig::new(attachment, Some(SharedPart::new(model(&*spec))));
        let Rig::Spi(slot) = &rig else { continue };
        let mut sensor = spec.open(rig.wire()).unwrap();
        slot.set_broken(true);
        assert_eq!(sample(&*spec, &mut *sensor).unwrap_err().kind, FaultKind::Bus, "{}", driver.name);
        slot.set_broken(false);
        let again = sample(&*spec, &mut *sensor).or_else(|_| sample(&*spec, &mut *sensor));
        again.unwrap_or_else(|fault| panic!("{} does not recover: {fault}", driver.name));
    }
}

#[test]
fn injected_faults_of_the_kernel() {
    let none = MachineFaults::default();
    for (faults, kind) in [
        (MachineFaults { absent: true, ..none }, Some(FaultKind::Absent)),
        (MachineFaults { broken: true, ..none }, Some(FaultKind::Bus)),
        (MachineFaults { empty: true, ..none }, None),
    ] {
        for (driver, spec, attachment) in sensors() {
            let rig = Rig::new(attachment, Some(SharedPart::new(model(&*spec))));
            let Rig::Kernel(machine) = &rig else { continue };
            let mut sensor = spec.open(rig.wire()).unwrap();
            machine.set_faults(faults);
            let fault = sample(&*spec, &mut *sensor).unwrap_err();
            assert!(kind.is_none_or(|kind| fault.kind == kind), "{} {faults:?}: {fault}", driver.name);
            assert!(spec.open(rig.wire()).is_err() || faults.empty, "{} opens with {faults:?}", driver.name);
            machine.set_faults(none);
            sample(&*spec, &mut *sensor).unwrap_or_else(|fault| panic!("{} does not recover: {fault}", driver.name));
            machine.detach();
            assert_eq!(sample(&*spec, &mut *sensor).unwrap_err().kind, FaultKind::Absent, "{}", driver.name);
        }
    }
}

/// Opens and samples a few times over a noisy wire. `sample` checks that what is given is within the ranges.
fn survive(masks: &[u8]) {
    for (_, spec, attachment) in sensors() {
        let rig = Rig::new(attachment, Some(Noisy::shared(model(&*spec), masks.to_vec(), false)));
        if let Ok(mut sensor) = spec.open(rig.wire()) {
            for _ in 0..2 {
                let _ = sample(&*spec, &mut *sensor);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn random_bytes_never_panic(masks in prop::collection::vec(any::<u8>(), 1..64)) {
        survive(&masks);
    }

    /// What a file holds is longer than what a part sends: rarer noise.
    #[test]
    fn rare_noise_in_files_never_panics(gap in 100_usize..2_000, mask in 1_u8..) {
        survive(&[vec![0; gap], vec![mask]].concat());
    }

    /// Rarely enough that a part is opened, and something goes wrong later.
    #[test]
    fn rare_noise_never_panics(gap in 1_usize..200, mask in 1_u8..) {
        survive(&[vec![0; gap], vec![mask]].concat());
    }
}
