use super::one_wire::{Device, devices};
use super::*;
use crate::bus::Simulated;
use crate::config::At;
use halyard_drivers::sim::{I2cFaults, I2cPart, Nack, Part};
use halyard_drivers::{Spec, find};

/// Keeps the last byte that was written, and gives it: a switch of buses, or an expander.
struct Latch(u8);

impl Part for Latch {
    fn stimulate(&mut self, _: &str, value: f64) -> bool {
        value == f64::from(self.0)
    }

    fn i2c(&mut self) -> Option<&mut dyn I2cPart> {
        Some(self)
    }
}

impl I2cPart for Latch {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        self.0 = bytes.last().copied().unwrap_or(self.0);
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        buffer.fill(self.0);
        Ok(())
    }
}

fn model(name: &str) -> Box<dyn Part> {
    match (find(name).unwrap().defaults)() {
        Spec::Sensor(spec) => spec.simulate(),
        Spec::Actuator(spec) => spec.simulate(),
        Spec::Expander(spec) => Some(spec.simulate()),
        _ => None,
    }
    .unwrap_or_else(|| panic!("{name} has no model"))
}

fn place(buses: &Simulated, address: u8, part: Box<dyn Part>) {
    buses.place(&At::I2c { bus: 1, address }, Some(part));
}

fn names(drivers: &[&Driver]) -> Vec<&'static str> {
    drivers.iter().map(|driver| driver.name).collect()
}

#[test]
fn every_part_is_known_or_possible_at_each_of_its_addresses() {
    for driver in DRIVERS {
        for address in addresses(driver) {
            let buses = Simulated::default();
            place(&buses, *address, model(driver.name));
            let found = bus(&buses, 1, Mode::Ask).unwrap();
            // It lets itself be read only after a command, and nothing but a read is tried where memories can be.
            if driver.name == "sgp40" {
                assert!(found.is_empty(), "{found:?}");
                continue;
            }
            let [Found { who, address: at, .. }] = found.as_slice() else { panic!("{driver:?}: {found:?}") };
            assert_eq!(at, address);
            match who {
                Who::Known(known, _) => assert_eq!(known.name, driver.name),
                Who::Possibly(drivers, _) => {
                    assert!(driver.identity.is_empty() || *at == NEVER_READ, "{driver:?}: {who:?}");
                    assert!(names(drivers).contains(&driver.name), "{driver:?}: {who:?}");
                }
                _ => panic!("{driver:?} at {address:#04x}: {who:?}"),
            }
        }
    }
}

#[test]
fn a_bus_with_several_parts() {
    let buses = Simulated::default();
    for (address, name) in [(0x40, "hdc1080"), (0x44, "sht4x"), (0x45, "sht3x"), (0x48, "ads1115"), (0x77, "bme280")] {
        place(&buses, address, model(name));
    }
    let found = bus(&buses, 1, Mode::Ask).unwrap();
    let known = found.iter().filter_map(|found| match &found.who {
        Who::Known(driver, _) => Some((found.address, driver.name)),
        _ => None,
    });
    assert_eq!(known.collect::<Vec<_>>(), [(0x40, "hdc1080"), (0x44, "sht4x"), (0x77, "bme280")]);
    // Other parts may join the list of drivers; those that say who they are never stand in these.
    for (address, first, and) in [(0x45, "sht3x", "ina219"), (0x48, "ads1115", "lm75")] {
        let who = &found.iter().find(|found| found.address == address).unwrap().who;
        let Who::Possibly(drivers, _) = who else { panic!("{who:?}") };
        assert_eq!(drivers[0].name, first, "the fewest addresses: {who:?}");
        assert!(names(drivers).contains(&and) && drivers.iter().all(|driver| driver.identity.is_empty()), "{who:?}");
    }
    assert_eq!(found.len(), 5);
}

/// All that goes over the wire to an address.
fn sent_to(address: u8, part: Box<dyn Part>, mode: Mode) -> Vec<String> {
    let buses = Simulated::default();
    place(&buses, address, part);
    let wire = buses.i2c_bus(1);
    wire.record();
    bus(&buses, 1, mode).unwrap();
    let prefix = format!("{address:02x} ");
    wire.recorded().into_iter().filter(|line| line.starts_with(&prefix)).collect()
}

#[test]
fn a_part_that_nobody_knows_gets_no_data() {
    // No driver's part at these says who it is.
    for address in [0x08, 0x21, 0x36, 0x50, 0x6B, 0x71] {
        let asked = at(address).into_iter().find(|driver| !driver.identity.is_empty());
        assert!(asked.is_none(), "{address:#04x}: {asked:?} may be asked now: take another");
        assert_eq!(sent_to(address, Box::new(Latch(7)), Mode::Ask), [format!("{address:02x} R 07")]);
    }
    assert_eq!(sent_to(0x69, Box::new(Latch(7)), Mode::Ask), ["69 W"], "these must not be read");
    assert!(sent_to(0x76, model("bme280"), Mode::Passive)[0].starts_with("76 R"));
}

#[test]
fn where_nobody_lets_himself_be_read_the_address_alone_is_sent_but_not_to_memories() {
    let buses = Simulated::default();
    let wire = buses.i2c_bus(1);
    wire.record();
    assert!(bus(&buses, 1, Mode::Ask).unwrap().is_empty());
    let tries = |address: u8| {
        let mut port = buses.i2c(1, address).unwrap();
        let _ = wire.recorded();
        assert!(!answers(&mut port, address).unwrap());
        wire.recorded().len()
    };
    assert_eq!([0x2F, 0x30, 0x37, 0x38, 0x50, 0x5F, 0x60, 0x69].map(tries), [2, 1, 1, 2, 1, 1, 2, 1]);
}

#[test]
fn nothing_but_single_bytes_is_sent_to_anybody() {
    for address in ADDRESSES {
        for line in sent_to(address, Box::new(Latch(0x12)), Mode::Ask) {
            let written =
                line.split(" · ").filter_map(|segment| segment.split_once('W')).map(|(_, bytes)| bytes.trim());
            assert!(written.into_iter().all(|bytes| bytes.len() <= 2), "{line}");
        }
    }
}

#[test]
fn a_latch_has_its_old_state_afterwards() {
    let buses = Simulated::default();
    let at = At::I2c { bus: 1, address: 0x76 };
    buses.place(&at, Some(Box::new(Latch(0x04))));
    let wire = buses.i2c_bus(1);
    wire.record();
    let found = bus(&buses, 1, Mode::Ask).unwrap();
    assert!(matches!(found.as_slice(), [Found { address: 0x76, who: Who::Latch, .. }]), "{found:?}");
    // It was asked once, and no more when it was known.
    let wrote = wire.recorded().iter().filter(|line| line.starts_with("76 W ")).count();
    assert_eq!(wrote, 2, "the question, and the old state");
    assert!(buses.part(&at).unwrap().stimulate("", 4.0));
}

#[test]
fn what_a_part_says_that_is_another_one_is_told() {
    struct Bmp280;
    impl Part for Bmp280 {
        fn stimulate(&mut self, _: &str, _: f64) -> bool {
            false
        }
        fn i2c(&mut self) -> Option<&mut dyn I2cPart> {
            Some(self)
        }
    }
    impl I2cPart for Bmp280 {
        fn write(&mut self, _: &[u8]) -> Result<(), Nack> {
            Ok(())
        }
        fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
            buffer.fill(0x58);
            Ok(())
        }
    }
    let buses = Simulated::default();
    place(&buses, 0x76, Box::new(Bmp280));
    let found = bus(&buses, 1, Mode::Ask).unwrap();
    let [Found { who: Who::Unknown(said) | Who::Possibly(_, said), .. }] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert!(said.iter().any(|text| text.contains("0xd0 holds 0x58")), "{said:?}");
}

#[test]
fn a_bus_that_fails_is_given_up_soon() {
    let buses = Simulated::default();
    let wire = buses.i2c_bus(1);
    for address in ADDRESSES {
        wire.set_faults(address, I2cFaults { timeout: true, ..I2cFaults::default() });
    }
    wire.record();
    assert_eq!(bus(&buses, 1, Mode::Ask).unwrap_err().kind, FaultKind::Bus);
    assert_eq!(wire.recorded().len(), PATIENCE);
}

#[test]
fn devices_on_one_wire_are_named_by_their_family() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(devices(root.path()), None);
    let folder = root.path().join("sys/bus/w1/devices");
    for name in ["w1_bus_master1", "28-0000046a1e9f", "3a-00000012ab34", "f0-000000000001", "00-800000000000", "28-x"] {
        std::fs::create_dir_all(folder.join(name)).unwrap();
    }
    let device = |id: &str, part, driver| Device { id: id.to_owned(), part, driver };
    let expected = vec![
        device("28-0000046a1e9f", Some("DS18B20 thermometer"), Some("ds18b20")),
        device("3a-00000012ab34", Some("DS2413 switch"), None),
        device("f0-000000000001", None, None),
    ];
    assert_eq!(devices(root.path()), Some(expected));
}

#[test]
fn adapters_of_displays_and_memories_are_known() {
    let root = tempfile::tempdir().unwrap();
    for (bus, name) in [(0, "SMBus I801 adapter at efa0"), (1, "bcm2835 (i2c@7e804000)"), (20, "fef04500.i2c")] {
        let folder = root.path().join(format!("sys/bus/i2c/devices/i2c-{bus}"));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("name"), format!("{name}\n")).unwrap();
    }
    let connector = root.path().join("sys/class/drm/card1-HDMI-A-1");
    std::fs::create_dir_all(&connector).unwrap();
    std::os::unix::fs::symlink("../../../soc/fef04500.i2c/i2c-20", connector.join("ddc")).unwrap();
    let of_others = |bus| adapter::of_others(root.path(), bus);
    assert_eq!(of_others(0).as_deref(), Some("SMBus I801 adapter at efa0"));
    assert_eq!(of_others(1), None);
    assert_eq!(of_others(20).as_deref(), Some("fef04500.i2c"));
}

/// `docs/commands.md` says what is sent to whom.
#[test]
fn the_documentation_names_every_byte() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/commands.md")).unwrap();
    for driver in DRIVERS {
        let mut rows = page.lines().filter(|line| line.starts_with("| 0x"));
        let Some(row) = rows.find(|row| row.to_lowercase().contains(driver.name)) else {
            assert!(
                driver.identity.is_empty(),
                "docs/commands.md does not say what is sent to ask for a {}",
                driver.name
            );
            continue;
        };
        for identity in driver.identity {
            let byte = format!("{:#04x}", identity.sent()).to_uppercase().replace("0X", "0x");
            assert!(row.contains(&byte), "{}: {byte} is not in {row}", driver.name);
        }
    }
}
