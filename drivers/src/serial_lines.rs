//! Driver for whatever prints lines with numbers on a serial port: development boards, scales, meters, weather stations.

mod example;
mod pattern;
#[cfg(test)]
mod tests;

pub mod sim;

pub use pattern::Pattern;

use crate::channel::Channel;
use crate::described::Described;
use crate::driver::{Attachment, Driver, Role, Spec};
use crate::fault::Fault;
use crate::options::node::quote;
use crate::options::read::{alternatives, nearest};
use crate::options::{Node, Report, Span, read_checked, shape};
use crate::port::{Parity, SerialSettings};
use crate::sensor::{Sample, SerialSensor, SerialSpec};
use crate::serial::{Baud, Lines};
use crate::sim::Part;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The driver's entry in the list.
pub static DRIVER: Driver = Driver {
    name: "serial-lines",
    summary: "Any device that prints lines: the numbers in them",
    source: "the device's own manual",
    role: Role::Sensor,
    attachments: &[Attachment::Serial],
    identity: &[],
    example: "\
- id: shed
  driver: serial-lines
  port: /dev/ttyUSB0
  baud: 115200
  pattern: 'T=(?<temperature>[-+0-9.]+) H=(?<humidity>[0-9.]+)'
  channels:
    temperature: { unit: °C, device_class: temperature, precision: 1, min: -40, max: 85 }
    humidity: { unit: '%', device_class: humidity, min: 0, max: 100 }
",
    defaults: || Spec::Serial(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| {
        read_checked(node, problems, Options::contradictions).map(|options| Spec::Serial(Arc::new(options)))
    },
};

/// Longer lines are dropped.
const LONGEST: usize = 4096;

/// Options of the `serial-lines` driver.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// A regular expression. Each named group, `(?<name>…)`, is a channel and must match a number. `\d`, `\w` and `\s` mean
    /// ASCII. Lines that do not match are passed over, as is the first line after the port was opened, which may lack
    /// its beginning.
    pub pattern: Pattern,
    /// What the channels are: a mapping from names of groups to what is known of each, `unit`, `device_class`,
    /// `state_class`, `precision` (decimal places), `min` and `max`. A number outside of these two is a fault.
    pub channels: BTreeMap<String, Described>,
    /// How long the device may be silent before that is a fault.
    pub silence: Span,
    /// Bits in a second on the wire.
    pub baud: Baud,
    /// Parity bit.
    pub parity: Parity,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            pattern: Pattern::default(),
            channels: BTreeMap::new(),
            silence: Span(Duration::from_secs(60)),
            baud: Baud::B9600,
            parity: Parity::None,
        }
    }
}

impl Options {
    fn contradictions(&self, report: &mut Report) {
        if self.silence.0.is_zero() {
            report.at(&["silence"], "`silence` must be longer than 0s");
        }
        let names: Vec<&str> = self.pattern.names().collect();
        for (key, value) in report.node.get("channels").and_then(Node::entries).unwrap_or_default() {
            let Some(name) = key.text() else { continue };
            if !names.contains(&name) {
                let hint = match nearest(name, names.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("there is {}", alternatives(&names).replace(" or ", " and ")),
                };
                report.push(key.place, format!("the pattern has no group {}; {hint}", quote(name)));
            } else if let Some(message) = self.channels.get(name).and_then(Described::problem) {
                report.push(value.place, message);
            }
        }
    }
}

impl SerialSpec for Options {
    fn channels(&self) -> Vec<Channel> {
        let unknown = Described::default();
        let channel = |name: &str| {
            let known = self.channels.get(name).unwrap_or(&unknown);
            Channel::number(name.to_owned(), known.quantity(), known.range())
        };
        self.pattern.names().map(channel).collect()
    }

    fn settings(&self) -> SerialSettings {
        SerialSettings { parity: self.parity, ..SerialSettings::plain(self.baud.bits_per_second()) }
    }

    fn patience(&self) -> Duration {
        self.silence.0
    }

    fn open(&self) -> Box<dyn SerialSensor> {
        Box::new(SerialLines { pattern: self.pattern.clone(), lines: Lines::new(LONGEST, false) })
    }

    fn simulate(&self) -> Box<dyn Part> {
        Box::new(sim::Model::new(&self.pattern))
    }
}

struct SerialLines {
    pattern: Pattern,
    lines: Lines,
}

impl SerialSensor for SerialLines {
    fn receive(&mut self, bytes: &[u8], emit: &mut dyn FnMut(Result<Sample, Fault>)) {
        let pattern = &self.pattern;
        self.lines.receive(bytes, |line| {
            // What is no UTF-8 becomes U+FFFD, which no number has.
            if let Some(result) = pattern.read(&String::from_utf8_lossy(line)) {
                emit(result);
            }
        });
    }
}
