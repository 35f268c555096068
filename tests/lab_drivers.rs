//! Every driver once over a real device node, in the hardware lab: the program that is shipped reads what the model of the
//! part was told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // all of this file is a test

mod lab;

use halyard::config::{At, Source};
use halyard_drivers::{Channel, DRIVERS, Driver, Role};
use serde_json::Value as Json;
use std::process::{Command, Stdio};

/// Drivers that are not on I2C, SPI or a serial port, and where they meet a device node.
const ELSEWHERE: &[(&str, &str)] = &[
    ("digital-input", "edges of /dev/gpiochip0: lab_agent, inputs"),
    ("switch", "lines of /dev/gpiochip0: lab_agent, outputs"),
];

/// What is measured may be off by so much of the range: coarse for all parts but the one with ten bits.
const RESOLUTION: f64 = 1e-3;

/// A sensor at a node.
struct Node {
    driver: &'static Driver,
    at: At,
    channels: Vec<Channel>,
    /// The driver's example, with the driver's name for an id.
    stanza: String,
}

impl Node {
    /// The part of the driver's example; `None` if it is at no node where a process can be the part.
    fn of(driver: &'static Driver) -> Option<Self> {
        let (_, keys) = driver.example.split_once('\n').unwrap();
        let stanza = format!("- id: {}\n{keys}", driver.name);
        let config = lab::config(&format!("{}:\n{stanza}", section(driver)));
        let sensor = config.sensors.first()?;
        let channels = match (&sensor.source, &sensor.at) {
            (Source::Sampled { spec, .. }, At::I2c { .. } | At::Spi { .. }) => spec.channels(),
            (Source::Serial { spec, .. }, At::Serial(_)) => spec.channels(),
            // Further kinds of nodes come here, as soon as `Parts` or a module of the lab serves their models.
            _ => return None,
        };
        Some(Self { driver, at: sensor.at.clone(), channels, stanza })
    }
}

fn section(driver: &Driver) -> &'static str {
    match driver.role {
        Role::Sensor => "sensors",
        Role::Actuator => "actuators",
    }
}

/// All that are to be read, in groups of different places.
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

#[test]
fn each_driver_is_here_or_elsewhere() {
    let found: Vec<_> = DRIVERS.iter().filter(|driver| Node::of(driver).is_none()).map(|driver| driver.name).collect();
    let named: Vec<_> = ELSEWHERE.iter().map(|(name, _)| *name).collect();
    assert_eq!(found, named, "ELSEWHERE names those that cannot be read here, and why, in the order of the list");
}

#[test]
fn each_driver_reads_its_part_over_a_device_node() {
    lab::in_guest("each_driver_reads_its_part_over_a_device_node", "", || {
        let nodes: Vec<_> = DRIVERS.iter().copied().filter_map(Node::of).collect();
        let count = nodes.len();
        let wrong: Vec<_> = groups(nodes).iter().flat_map(|group| read(group)).collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        println!("{count} drivers");
    });
}

/// Lets one channel of each part of a group measure something after the other; gives what is read otherwise.
fn read(group: &[Node]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let stanzas: String = group.iter().map(|node| node.stanza.as_str()).collect();
    let text = format!("agent: {{ id: lab }}\nmqtt: {{ url: mqtt://127.0.0.1 }}\nsensors:\n{stanzas}");
    std::fs::write(folder.path().join("config.yaml"), &text).unwrap();
    let parts = lab::connect(&format!("sensors:\n{stanzas}"));
    let mut wrong = Vec::new();
    for turn in 0.. {
        let on_turn: Vec<_> = group.iter().filter_map(|node| Some((node, node.channels.get(turn)?))).collect();
        if on_turn.is_empty() {
            break;
        }
        let told: Vec<_> = on_turn.iter().map(|(_, channel)| something(channel)).collect();
        for ((node, channel), value) in on_turn.iter().zip(&told) {
            parts.stimulate(node.driver.name, &channel.name, *value).unwrap();
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_halyard"));
        command.args(["read", "--json"]).args(on_turn.iter().map(|(node, _)| node.driver.name));
        let output = command.current_dir(&folder).stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        if !text.is_empty() {
            wrong.push(text.trim_end().to_owned());
        }
        let states = serde_json::from_slice::<Json>(&output.stdout).unwrap()["states"].take();
        for ((node, channel), value) in on_turn.iter().zip(&told) {
            let found = &states[node.driver.name][channel.name.as_ref()];
            let near = found.as_f64().is_some_and(|found| (found - value).abs() <= tolerance(channel));
            println!("{} {}: {value} is {found}", node.driver.name, channel.name);
            if !near {
                wrong.push(format!("{} at {} reads {} {found}, not {value}", node.driver.name, node.at, channel.name));
            }
        }
    }
    wrong
}

fn span(channel: &Channel) -> (f64, f64) {
    let range = channel.range.as_ref().unwrap_or_else(|| panic!("{} is no number", channel.name));
    (*range.start(), range.end() - range.start())
}

/// A value that no part has without being told.
fn something(channel: &Channel) -> f64 {
    let (start, span) = span(channel);
    start + 0.37 * span
}

fn tolerance(channel: &Channel) -> f64 {
    let shown = 10_f64.powi(-i32::from(channel.quantity.precision));
    span(channel).1 * RESOLUTION + shown / 2.0
}
