//! Every driver once over a real device node, in the hardware lab: the program that is shipped reads what the model of the
//! part was told, or drives it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // all of this file is a test

mod lab;

use halyard::config::{ActuatorConfig, At, Board, Config, Source};
use halyard::sensing::wire;
use halyard_drivers::{Actuator, Channel, Control, DRIVERS, Driver, Role, Value};
use serde_json::Value as Json;
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Drivers that are not on I2C, SPI or a serial port, and where they meet a device node.
const ELSEWHERE: &[(&str, &str)] = &[
    ("cover", "lines of /dev/gpiochip0: lab_agent, motions"),
    ("digital-input", "edges of /dev/gpiochip0: lab_agent, inputs"),
    ("ds18b20", "the kernel's, on its 1-Wire bus: lab_agent, kernel"),
    ("fan", "a channel of pwmchip0: lab_bus, pwm"),
    ("hwmon", "devices of the kernel: lab_agent, kernel"),
    ("iio", "devices of the kernel: lab_agent, kernel"),
    ("led-strip", "gives nothing back: lab_agent, motions"),
    ("light", "a channel of pwmchip0: lab_agent, outputs"),
    ("pulse-counter", "edges of /dev/gpiochip0: lab_agent, inputs"),
    ("pwm", "a channel of pwmchip0: lab_bus, pwm"),
    ("register", "Modbus, which the lab does not serve: tests/modbus.rs, over a pseudo terminal"),
    ("registers", "Modbus, which the lab does not serve: tests/modbus.rs, over a pseudo terminal"),
    ("rotary-encoder", "edges of /dev/gpiochip0: lab_agent, inputs"),
    ("servo", "a channel of pwmchip0: lab_bus, pwm"),
    ("stepper", "lines of /dev/gpiochip0: lab_agent, motions"),
    ("switch", "lines of /dev/gpiochip0: lab_agent, outputs"),
    ("system", "the machine itself: lab_agent, kernel"),
    ("ultrasonic", "a line and edges of /dev/gpiochip0: lab_agent, inputs"),
];

/// What is measured may be off by so much of the range: coarse for all parts but the one with ten bits.
const RESOLUTION: f64 = 1e-3;
/// Where the interrupts of expanders are.
const GPIO: &str = "lab-gpio create > /dev/null";

/// A part at a node.
struct Node {
    driver: &'static Driver,
    at: At,
    /// What it measures, if it does.
    channels: Vec<Channel>,
    /// The driver's example, with the driver's name for an id.
    stanza: String,
}

impl Node {
    /// The part of the driver's example; `None` if it is at no node where a process can be the part.
    fn of(driver: &'static Driver) -> Option<Self> {
        let (_, keys) = driver.example.split_once('\n').unwrap();
        let stanza = format!("- id: {}\n{keys}", driver.name);
        let config = lab::config(&format!("{}:\n{stanza}", section(driver.role)));
        let (at, channels) = match driver.role {
            Role::Sensor => {
                let sensor = &config.sensors[0];
                let channels = match &sensor.source {
                    Source::Sampled { spec, .. } => spec.channels(),
                    Source::Serial { spec, .. } => spec.channels(),
                    Source::Edges { .. } => return None,
                };
                (sensor.at.clone(), channels)
            }
            Role::Actuator => (config.actuators[0].at.clone(), Vec::new()),
            Role::Expander => (config.expanders[0].at.clone(), Vec::new()),
        };
        // Further kinds of nodes come here, as soon as `Parts`, or a module of the lab, has models for them.
        let is_served = matches!(at, At::I2c { .. } | At::Spi { .. } | At::Serial(_));
        let can_be_asked = driver.name != "led-strip";
        (is_served && can_be_asked).then_some(Self { driver, at, channels, stanza })
    }
}

fn section(role: Role) -> &'static str {
    match role {
        Role::Sensor => "sensors",
        Role::Actuator => "actuators",
        Role::Expander => "expanders",
    }
}

/// All with one of these roles.
fn nodes(roles: &[Role]) -> Vec<Node> {
    DRIVERS.iter().filter(|driver| roles.contains(&driver.role)).filter_map(|driver| Node::of(driver)).collect()
}

#[test]
fn each_driver_is_here_or_elsewhere() {
    let found: Vec<_> = DRIVERS.iter().filter(|driver| Node::of(driver).is_none()).map(|driver| driver.name).collect();
    let named: Vec<_> = ELSEWHERE.iter().map(|(name, _)| *name).collect();
    assert_eq!(found, named, "ELSEWHERE names those that are not tested here, and why, in the order of the list");
}

#[test]
fn each_sensor_reads_its_part() {
    lab::in_guest("each_sensor_reads_its_part", "", || {
        let nodes = nodes(&[Role::Sensor]);
        assert!(nodes.len() > 20);
        let wrong: Vec<_> = groups(nodes).iter().flat_map(|group| read(group)).collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}

/// All of them, in groups of different places.
fn groups(nodes: Vec<Node>) -> Vec<Vec<Node>> {
    let mut groups: Vec<Vec<Node>> = Vec::new();
    for node in nodes {
        match groups.iter_mut().find(|group| group.iter().all(|other| other.at != node.at)) {
            Some(group) => group.push(node),
            None => groups.push(vec![node]),
        }
    }
    groups
}

/// Lets one channel of each part of a group measure something after the other; gives what is read otherwise.
fn read(group: &[Node]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let stanzas: String = group.iter().map(|node| node.stanza.as_str()).collect();
    let parts = lab::connect(&configure(folder.path(), &format!("sensors:\n{stanzas}")));
    let mut wrong = Vec::new();
    for turn in 0.. {
        let on_turn: Vec<_> = group.iter().filter_map(|node| Some((node, node.channels.get(turn)?))).collect();
        if on_turn.is_empty() {
            break;
        }
        let range =
            |channel: &Channel| channel.range.clone().unwrap_or_else(|| panic!("{} is no number", channel.name));
        let told: Vec<_> = on_turn.iter().map(|(_, channel)| something(&range(channel))).collect();
        for ((node, channel), value) in on_turn.iter().zip(&told) {
            parts.stimulate(node.driver.name, &channel.name, *value).unwrap();
        }
        let names = on_turn.iter().map(|(node, _)| node.driver.name);
        let output = halyard(folder.path(), ["read", "--json"].into_iter().chain(names));
        wrong.extend(String::from_utf8(output.stderr).unwrap().lines().map(str::to_owned));
        let states = serde_json::from_slice::<Json>(&output.stdout).unwrap()["states"].take();
        for ((node, channel), value) in on_turn.iter().zip(&told) {
            let found = &states[node.driver.name][channel.name.as_ref()];
            println!("{} {}: {value} is {found}", node.driver.name, channel.name);
            let shown = 10_f64.powi(-i32::from(channel.quantity.precision));
            let tolerance = span(&range(channel)) * RESOLUTION + shown / 2.0;
            if found.as_f64().is_none_or(|found| (found - value).abs() > tolerance) {
                wrong.push(format!("{} at {} reads {} {found}, not {value}", node.driver.name, node.at, channel.name));
            }
        }
    }
    wrong
}

#[test]
fn each_actuator_and_expander_is_driven() {
    lab::in_guest("each_actuator_and_expander_is_driven", GPIO, || {
        for node in nodes(&[Role::Actuator, Role::Expander]) {
            drive(&node);
        }
    });
}

/// Drives a part, or a pin of an expander, by the program, and asks the part itself by a driver of our own.
fn drive(node: &Node) {
    let folder = tempfile::tempdir().unwrap();
    let (name, section) = (node.driver.name, section(node.driver.role));
    let user = match node.driver.role {
        Role::Expander => {
            format!("actuators: [ {{ id: lamp, driver: switch, line: {{ expander: {name}, pin: 3 }} }} ]\n")
        }
        _ => String::new(),
    };
    let config = configure(folder.path(), &format!("{section}:\n{}{user}", node.stanza));
    let parts = lab::connect(&config);
    let config = lab::config(&config);
    let actuator = &config.actuators[0];
    if let Control::Text(_) = actuator.spec.control() {
        // It cannot be read back: the part itself says what it has got.
        let output = halyard(folder.path(), ["set", actuator.id.as_str(), "Hello, 21 C"]);
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let texts = || parts.part(name).unwrap().lock().texts();
        return lab::wait_until("text", || texts().first().is_some_and(|text| text == "Hello, 21 C"));
    }
    let values = match actuator.spec.control() {
        Control::Number { range, .. } => vec![Value::Number(something(&range))],
        _ => vec![Value::Switch(false), Value::Switch(true)],
    };
    for value in values {
        let output = halyard(folder.path(), ["set", actuator.id.as_str(), value.to_string().as_str()]);
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let found = ask(&config, actuator);
        println!("{name}: {value} is {found}");
        let is_same = match (&value, &found, actuator.spec.control()) {
            (Value::Number(value), Value::Number(found), Control::Number { range, .. }) => {
                (found - value).abs() <= span(&range) * RESOLUTION
            }
            _ => value == found,
        };
        assert!(is_same, "{name} at {} was driven to {value}, and gives {found}", node.at);
    }
}

/// What the part gives.
fn ask(config: &Config, actuator: &ActuatorConfig) -> Value {
    let bus = halyard::bus::open(Board::Linux, config, halyard::bus::Loads::default()).unwrap();
    let wire = wire(bus.as_ref(), &actuator.at, actuator.spec.as_ref()).unwrap();
    let mut driver: Box<dyn Actuator> = actuator.spec.open(wire).unwrap();
    driver.read().unwrap().expect("a part that can be read back")
}

/// Writes a configuration with these sections; gives them.
fn configure(folder: &Path, sections: &str) -> String {
    let sections = format!("mqtt: {{ url: mqtt://127.0.0.1 }}\n{sections}");
    std::fs::write(folder.join("config.yaml"), format!("agent: {{ id: lab }}\n{sections}")).unwrap();
    sections
}

fn halyard<'a>(folder: &Path, arguments: impl IntoIterator<Item = &'a str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_halyard"));
    command.current_dir(folder).args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn span(range: &RangeInclusive<f64>) -> f64 {
    range.end() - range.start()
}

/// A value that no part has without being told.
fn something(range: &RangeInclusive<f64>) -> f64 {
    range.start() + 0.37 * span(range)
}
