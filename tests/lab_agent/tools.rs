//! `halyard scan` and `halyard doctor` on real device nodes.

use super::lab::{Bmp280, Expander, command, connect, set_absent, wait_until};
use super::scenario;
use super::world::World;
use halyard::config::At;
use halyard_drivers::bme280;
use serde_json::Value as Json;
use std::fs;
use std::path::Path;
use std::process::{Child, Command};

const NODE: &str = "/sys/bus/i2c/devices/i2c-1";

/// Lines of `halyard scan`, by bus and place.
fn scan(world: &World, arguments: &[&str]) -> Vec<(String, String)> {
    let (code, out, err) = world.halyard("scan", arguments);
    assert_eq!(code, 0, "{out}\n{err}");
    let place = |line: &str| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    let rest = |line: &str| line.split_whitespace().skip(2).collect::<Vec<_>>().join(" ");
    out.lines().map(|line| (place(line), rest(line))).collect()
}

#[test]
fn scan_names_who_is_there() {
    scenario("tools::scan_names_who_is_there", || {
        let parts = connect(
            "\
sensors:
  - { id: climate, driver: bme280, bus: i2c-1, address: 0x76 }
  - { id: air, driver: sht4x, bus: i2c-1, address: 0x44 }
  - { id: volts, driver: ads1115, bus: i2c-1, address: 0x48, channels: { battery: a0 } }
  - { id: light, driver: bh1750, bus: i2c-1, address: 0x23 }",
        );
        let expander = Expander::connect(&parts);
        let world = World::new("");
        let found = scan(&world, &[]);
        let what = |place: &str| {
            let entry = found.iter().find(|(found, _)| found == place);
            entry.unwrap_or_else(|| panic!("nothing at {place}: {found:#?}")).1.clone()
        };
        assert!(what("i2c-1 0x76").starts_with("bme280 "), "{found:#?}");
        assert!(what("i2c-1 0x44").starts_with("sht4x "), "{found:#?}");
        assert!(what("i2c-1 0x48").starts_with("possibly ads1115, "), "{found:#?}");
        assert!(what("i2c-1 0x20").contains("pcf8574"), "{found:#?}");
        assert!(what("i2c-1 0x23").contains("bh1750"), "{found:#?}");
        assert_eq!(found.iter().filter(|(place, _)| place.starts_with("i2c-1 ")).count(), 5, "{found:#?}");
        // Whatever is written to a PCF8574 goes to its lines.
        assert!(expander.driven().is_empty(), "something was written to the PCF8574");

        // Another part in its place is not taken for it.
        parts.place(&At::I2c { bus: 1, address: 0x76 }, Box::<Bmp280>::default());
        let found: Json = serde_json::from_str(&world.halyard("scan", &["--json"]).1).unwrap();
        let other = found["i2c"].as_array().unwrap().iter().find(|entry| entry["address"] == 0x76).unwrap();
        assert_eq!(other["driver"], Json::Null);
        assert!(other["said"].to_string().contains("0xd0 holds 0x58"), "{found:#}");
        parts.place(&At::I2c { bus: 1, address: 0x76 }, Box::<bme280::sim::Model>::default());

        // What the kernel has is not touched.
        expander.give_to_the_kernel();
        let before = expander.driven().len();
        let found = scan(&world, &[]);
        assert!(
            found.iter().any(|(place, what)| place == "i2c-1 0x20" && what.contains("kernel's driver pcf857x")),
            "{found:#?}"
        );
        assert_eq!(expander.driven().len(), before);

        let (_, stanzas, _) = world.halyard("scan", &["--yaml"]);
        fs::write("/tmp/found.yaml", &stanzas).unwrap();
        let check =
            Command::new(env!("CARGO_BIN_EXE_halyard")).args(["check", "-c", "/tmp/found.yaml"]).output().unwrap();
        assert!(check.status.success(), "{stanzas}\n{check:?}");
        assert!(stanzas.contains("driver: bme280\n    bus: i2c-1\n    address: 0x76\n"), "{stanzas}");

        let (code, _, err) = world.halyard_as_nobody("scan", &[]);
        assert_eq!(code, 77, "{err}");
        assert!(err.contains("group i2c"), "{err}");
    });
}

#[test]
fn scan_names_thermometers_on_one_wire() {
    scenario("tools::scan_names_thermometers_on_one_wire", || {
        let there = || {
            fs::read_dir("/sys/bus/w1/devices").is_ok_and(|entries| {
                entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with("28-")).count() == 2
            })
        };
        wait_until("search of the bus", there);
        let world = World::new("");
        let found = scan(&world, &["--passive"]);
        let thermometers: Vec<_> = found.iter().filter(|(place, _)| place.starts_with("1-Wire 28-")).collect();
        assert_eq!(thermometers.len(), 2, "{found:#?}");
        assert!(thermometers.iter().all(|(_, what)| what.ends_with("DS18B20 thermometer")), "{found:#?}");
    });
}

/// Exit code and findings.
fn doctor(world: &World) -> (i32, Vec<Json>) {
    let (code, out, err) = world.halyard("doctor", &["--json"]);
    let found: Json = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}\n{err}"));
    (code, found["findings"].as_array().unwrap().clone())
}

/// What is said of this.
#[track_caller]
fn said<'a>(findings: &'a [Json], about: &str) -> (&'a str, &'a str, &'a str) {
    let about: Vec<_> = findings.iter().filter(|finding| finding["about"] == about).collect();
    assert_eq!(about.len(), 1, "{findings:#?}");
    let text = |key: &str| about[0][key].as_str().unwrap_or_default();
    (text("level"), text("what"), text("mend"))
}

const PARTS: &str = "
sensors:
  - { id: climate, driver: bme280, bus: i2c-1, address: 0x76 }
  - { id: hall, driver: bme280, bus: spi0.0 }
actuators:
  - { id: pump, driver: switch, line: GPIO27 }
";
const CLIMATE: &str = "climate (bme280 at i2c-1/0x76)";
const PUMP: &str = "pump (switch at GPIO27)";

/// Somebody else who has a line.
pub struct Holder(Child);

impl Holder {
    pub fn of(offset: &str) -> Self {
        let holder = Self(Command::new("lab-io").args(["gpio-set", "gpiochip0", offset, "1", "100"]).spawn().unwrap());
        wait_until("holder", || {
            let name = format!("gpiochip0:{offset} ");
            command("lab-gpio", &["list"]).lines().any(|line| line.starts_with(&name) && line.ends_with("lab-io"))
        });
        holder
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn doctor_finds_what_is_wrong() {
    scenario("tools::doctor_finds_what_is_wrong", || {
        let parts = connect(PARTS);
        let world = World::new(PARTS);
        let (code, findings) = doctor(&world);
        assert_eq!(code, 0, "{findings:#?}");
        assert_eq!(said(&findings, CLIMATE).0, "ok");
        assert_eq!(said(&findings, PUMP), ("ok", "the line is free", ""));
        assert_eq!(said(&findings, "i2c-1").0, "ok");
        assert_eq!(said(&findings, "spidev0.0").0, "ok");

        let holder = Holder::of("27");
        let (code, findings) = doctor(&world);
        let (level, what, mend) = said(&findings, PUMP);
        assert_eq!((code, level), (1, "problem"));
        assert!(what.contains("the line GPIO27 is in use by \"lab-io\""), "{what}");
        assert_eq!(mend, format!("sudo kill {}", holder.0.id()));
        drop(holder);

        set_absent(&parts, "climate", true);
        let (code, findings) = doctor(&world);
        let (level, what, _) = said(&findings, CLIMATE);
        assert_eq!((code, level, what), (1, "problem", "nobody answers at i2c-1/0x76"));
        set_absent(&parts, "climate", false);

        world.configure(&PARTS.replace("address: 0x76", "address: 0x77").replace("GPIO27", "gpio-27"));
        let (_, findings) = doctor(&world);
        let (_, what, mend) = said(&findings, "climate (bme280 at i2c-1/0x77)");
        assert_eq!(what, "configured at i2c-1/0x77, but a bme280 answers at i2c-1/0x76");
        assert!(mend.contains("address: 0x76"), "{mend}");
        assert!(said(&findings, "pump (switch at gpio-27)").1.contains("is it GPIO27?"));

        world.configure(&PARTS.replace("i2c-1", "i2c-7").replace("spi0.0", "spi3.1"));
        let (code, findings) = doctor(&world);
        assert_eq!(code, 1);
        assert!(said(&findings, "i2c-7").1.contains("there is no /dev/i2c-7; there is i2c-1"), "{findings:#?}");
        assert!(said(&findings, "spidev3.1").1.contains("there is spidev0.0"), "{findings:#?}");

        world.configure(PARTS);
        kernel_driver(&world);
        rights(&world);
    });
}

/// The kernel's own driver has the part; what is told to do lets it go.
fn kernel_driver(world: &World) {
    fs::write(format!("{NODE}/new_device"), "bme280 0x76").unwrap();
    wait_until("driver", || Path::new("/sys/bus/i2c/devices/1-0076/driver").exists());
    let (code, findings) = doctor(world);
    let (level, what, mend) = said(&findings, CLIMATE);
    assert_eq!((code, level), (1, "problem"), "{what}");
    assert!(what.contains("the kernel's own driver"), "{what}");
    let done = Command::new("bash").args(["-c", &mend.replace("sudo ", "")]).output().unwrap();
    assert!(done.status.success(), "{mend}: {done:?}");
    assert_eq!(said(&doctor(world).1, CLIMATE).0, "ok");
}

fn rights(world: &World) {
    let (code, out, _) = world.halyard_as_nobody("doctor", &[]);
    assert_eq!(code, 1, "{out}");
    let line = out.lines().find(|line| line.starts_with("problem  i2c-1 ")).unwrap_or_else(|| panic!("{out}"));
    assert!(line.contains("belongs to root alone"), "{line}");
    assert!(out.contains("60-halyard.rules"), "{out}");
    let group = |gid: u32| {
        use std::os::unix::fs::PermissionsExt;
        std::os::unix::fs::chown("/dev/i2c-1", None, Some(gid)).unwrap();
        fs::set_permissions("/dev/i2c-1", PermissionsExt::from_mode(0o660)).unwrap();
    };
    // dialout, which every Debian has.
    group(20);
    let (_, out, _) = world.halyard_as_nobody("doctor", &[]);
    assert!(out.contains("nobody is not a member of the group dialout"), "{out}");
    assert!(out.contains("mend: sudo usermod -aG dialout nobody"), "{out}");
}
