//! What is found on simulated buses becomes a configuration.

use crate::support::program::halyard;
use serde_json::Value as Json;
use std::process::Output;
use tempfile::TempDir;

const PARTS: &str = "
board: simulated
agent: { id: a }
sensors:
  - { id: one, driver: bme280, bus: i2c-1, address: 0x77 }
  - { id: two, driver: bme280, bus: i2c-1, address: 0x76 }
  - { id: three, driver: sht3x, bus: i2c-1, address: 0x45 }
  - { id: four, driver: tmp117, bus: i2c-4, address: 0x4A }
";

fn scan(folder: &TempDir, arguments: &[&str]) -> String {
    std::fs::write(folder.path().join("config.yaml"), PARTS).unwrap();
    let output = halyard(folder, [&["scan", "-c", "config.yaml"], arguments].concat());
    assert!(output.status.success(), "{output:?}");
    text(output)
}

fn text(output: Output) -> String {
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn each_part_is_a_line() {
    let found = scan(&TempDir::new().unwrap(), &[]);
    let lines: Vec<_> = found.lines().collect();
    assert_eq!(lines.len(), 4, "{found}");
    for (line, (place, what)) in lines.iter().zip([
        ("i2c-1   0x45", "possibly "),
        ("i2c-1   0x76", "bme280 "),
        ("i2c-1   0x77", "bme280 "),
        ("i2c-4   0x4a", "tmp117 "),
    ]) {
        assert!(line.starts_with(place) && line.contains(what), "{found}");
    }
    assert!(
        lines[0].contains("possibly sht3x") && !lines[0].contains("sht4x"),
        "the SHT4x would say who it is: {found}"
    );
}

#[test]
fn only_the_bus_that_was_named_and_nothing_said() {
    let folder = TempDir::new().unwrap();
    let found = scan(&folder, &["--bus", "4"]);
    assert_eq!(found.lines().count(), 1, "{found}");
    let found = scan(&folder, &["--bus", "4", "--passive"]);
    assert!(found.contains("possibly ") && found.contains("tmp117") && found.contains("lm75"), "{found}");
}

#[test]
fn as_json() {
    let found: Json = serde_json::from_str(&scan(&TempDir::new().unwrap(), &["--json"])).unwrap();
    let entries = found["i2c"].as_array().unwrap();
    let known: Vec<_> = entries.iter().map(|entry| (&entry["bus"], &entry["address"], &entry["status"])).collect();
    let expected = [("i2c-1", 0x45, "possible"), ("i2c-1", 0x76, "identified"), ("i2c-1", 0x77, "identified")];
    for (found, (bus, address, status)) in known.iter().zip(expected) {
        assert_eq!(*found, (&bus.into(), &address.into(), &status.into()));
    }
    assert_eq!(entries[1]["driver"], "bme280");
    assert_eq!(entries[0]["driver"], Json::Null);
    assert!(entries[0]["candidates"].as_array().unwrap().contains(&"sht3x".into()));
}

/// `check` takes what `scan` writes: as it is, and with a part of those that are not certain.
#[test]
fn the_stanzas_are_a_configuration() {
    let folder = TempDir::new().unwrap();
    let stanzas = scan(&folder, &["--yaml"]);
    let check = |text: &str| {
        std::fs::write(folder.path().join("found.yaml"), text).unwrap();
        let output = halyard(&folder, ["check", "-c", "found.yaml"]);
        assert!(output.status.success(), "{text}\n{output:?}");
        self::text(output)
    };
    assert!(check(&stanzas).contains("3 sensors"), "{stanzas}");

    let mut taken = String::new();
    let mut inside = false;
    for line in stanzas.lines() {
        if let Some(rest) = line.strip_prefix("  # - id: ") {
            inside = rest.starts_with("climate");
        }
        taken += match line.strip_prefix("  # ").filter(|rest| inside && !rest.contains("Take away")) {
            Some(rest) => format!("  {rest}\n"),
            None => format!("{line}\n"),
        }
        .as_str();
    }
    assert!(check(&taken).contains("4 sensors"), "{taken}");
}

#[test]
fn nothing_is_a_configuration_too() {
    let folder = TempDir::new().unwrap();
    let empty = "board: simulated\nsensors: [ { id: hall, driver: bme280, bus: spi0.0 } ]\n";
    std::fs::write(folder.path().join("config.yaml"), empty).unwrap();
    // No I2C bus at all.
    let output = halyard(&folder, ["scan", "-c", "config.yaml", "--yaml"]);
    assert_eq!(output.status.code(), Some(69), "{output:?}");
    assert!(String::from_utf8(output.stderr).unwrap().contains("halyard doctor"));
    assert_eq!(halyard(&folder, ["scan", "--yaml", "--json"]).status.code(), Some(2));
    let output = halyard(&folder, ["scan", "--simulate", "-c", "none.yaml"]);
    assert_eq!(output.status.code(), Some(78), "{output:?}");
}
