//! The JSON Schema of the configuration, against files that are right and files that are wrong.

#![allow(clippy::panic, clippy::unwrap_used)] // in helpers of tests

use boon::{Compiler, SchemaIndex, Schemas};
use halyard_drivers::{DRIVERS, Role};
use serde_json::Value;

struct Checked(Schemas, SchemaIndex);

impl Checked {
    fn new() -> Self {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        let schema = serde_json::from_str(&halyard::cli::schema::text()).unwrap();
        compiler.add_resource("halyard.json", schema).unwrap();
        let index = compiler.compile("halyard.json", &mut schemas).unwrap_or_else(|error| panic!("{error:#}"));
        Self(schemas, index)
    }

    fn accepts(&self, text: &str) -> Result<(), String> {
        let value: Value = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
        self.0.validate(&value, self.1).map_err(|error| format!("{error:#}"))
    }
}

#[test]
fn right_files_are_accepted() {
    let schema = Checked::new();
    schema.accepts(include_str!("../config.yaml")).unwrap();
    for driver in DRIVERS {
        let section = match driver.role {
            Role::Sensor => "sensors",
            Role::Actuator => "actuators",
            Role::Expander => "expanders",
        };
        let text = format!("agent: {{ id: test }}\n{section}:\n{}", driver.example);
        schema.accepts(&text).unwrap_or_else(|error| panic!("{}: {error}", driver.name));
        halyard::config::parse(&text, driver.name).unwrap_or_else(|report| panic!("{report}"));
    }
    for text in [
        "{}",
        "{ sensors: , actuators: , expanders: , mqtt: , agent: , board: , broker: }",
        "mqtt: { url: [ mqtt://a, mqtt://b ], version: 3.1.1, discovery: false, password: { file: /x }, username: { env: X } }",
        "mqtt: { version: 5, url: { env: URL } }",
        "agent: { id: a, store: { size: 64MB, age: { env: AGE } } }",
        "agent: { store: }",
        "sensors: [ { id: { env: X }, driver: bme280, bus: spi0.1 } ]",
        "sensors: [ { id: a, driver: sht4x, bus: i2c-1, address: 0x44, repeatability: { env: X }, every: { file: x } } ]",
        "{ expanders: [ { id: x, driver: mcp23017, bus: i2c-1, address: 0x20, interrupt: GPIO4, poll: 1s } ], sensors: [ { id: a, driver: digital-input, line: { expander: x, pin: 3 } } ] }",
        "sensors: [ { id: a, driver: ds18b20 }, { id: b, driver: system } ]",
        "sensors: [ { id: a, driver: iio, device: /sys/bus/i2c/devices/1-0076, channels: { t: temp }, rate: 10Hz } ]",
        "actuators: [ { id: a, driver: serial-write, port: /dev/ttyS0, initial: restore, safe: BYE, safe_after: 5s, max_length: 9 } ]",
        "actuators: [ { id: a, driver: switch, line: { chip: gpiochip0, offset: 3 }, initial: keep, interlock: b, safe: true } ]",
    ] {
        schema.accepts(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    }
}

/// What is shipped is right, for the schema and for the agent.
#[test]
fn examples_are_accepted() {
    let schema = Checked::new();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/examples");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        schema.accepts(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        halyard::config::load(&path).unwrap_or_else(|report| panic!("{report}"));
    }
}

#[test]
fn wrong_files_are_refused() {
    let schema = Checked::new();
    for text in [
        "sensor: []",
        "agent: { id: Big }",
        "agent: { id: agent }",
        "agent: { store: { size: 64 } }",
        "agent: { store: { size: 64MiB } }",
        "agent: { store: { age: 7 } }",
        "agent: { store: all }",
        "board: arduino",
        "broker: {}",
        "mqtt: { url: http://a }",
        "mqtt: { url: mqtt://me:secret@a }",
        "mqtt: { version: 4 }",
        "mqtt: { base: a/# }",
        "mqtt: { password: { fiel: x } }",
        "mqtt: { password: 5 }",
        "sensors: [ { id: a } ]",
        "sensors: [ { driver: sht4x, bus: i2c-1, address: 0x44 } ]",
        "sensors: [ { id: a, driver: sht5x } ]",
        "sensors: [ { id: a, driver: switch, line: A } ]",
        "sensors: [ { id: a, driver: sht4x, bus: i2c-1 } ]",
        "sensors: [ { id: a, driver: sht4x, bus: spi0.0, address: 0x44 } ]",
        "sensors: [ { id: a, driver: sht4x, bus: i2c-1, address: 0x76 } ]",
        "sensors: [ { id: a, driver: sht4x, bus: i2c-1, address: 0x44, line: A } ]",
        "sensors: [ { id: a, driver: sht4x, bus: i2c-1, address: 0x44, repeatibility: low } ]",
        "sensors: [ { id: a, driver: sht4x, bus: i2c-1, address: 0x44, repeatability: lo } ]",
        "sensors: [ { id: a, driver: sht4x, bus: i2c-1, address: 0x44, every: 10 } ]",
        "sensors: [ { id: a, driver: sht4x, bus: i2c-1, address: 0x44, filters: [] } ]",
        "sensors: [ { id: a, driver: sht4x, bus: i2c-1, address: 0x44, filters: { humidity: [ { medain: 5 } ] } } ]",
        "sensors: [ { id: a, driver: digital-input, line: A, every: 1s } ]",
        "sensors: [ { id: a, driver: digital-input, line: 17 } ]",
        "sensors: [ { id: a, driver: digital-input, line: { chip: gpiochip0 } } ]",
        "sensors: [ { id: a, driver: ds18b20, device: 28-1 } ]",
        "sensors: [ { id: a, driver: iio, device: a/b } ]",
        "sensors: [ { id: a, driver: hwmon, channels: [pwm1] } ]",
        "sensors: [ { id: a, driver: system, device: x } ]",
        "actuators: [ { id: a, driver: switch } ]",
        "actuators: [ { id: a, driver: switch, line: A, every: 1s } ]",
        "actuators: [ { id: a, driver: switch, line: A, safe: keep } ]",
        "actuators: [ { id: a, driver: switch, line: A, active: lo } ]",
        "actuators: [ { id: a, driver: switch, line: A, max_on: 5 } ]",
        "actuators: [ { id: a, driver: serial-write, port: /dev/ttyS0, max_on: 5s } ]",
        "actuators: [ { id: a, driver: serial-write, port: /dev/ttyS0, safe: 5 } ]",
        "actuators: [ { id: a, driver: serial-write, port: /dev/ttyS0, max_length: 0 } ]",
    ] {
        assert!(schema.accepts(text).is_err(), "{text} is accepted");
        // What the schema refuses, the reader refuses.
        assert!(halyard::config::parse(text, "f").is_err(), "{text} is read");
    }
}
