//! Driver for whatever prints lines with numbers on a serial port: development boards, scales, meters, weather stations.

mod classes;
mod pattern;
#[cfg(test)]
mod tests;

pub mod sim;

pub use classes::{DeviceClass, StateClass};
pub use pattern::Pattern;

use crate::channel::{Channel, Quantity};
use crate::driver::{Attachment, Driver, Role, Spec};
use crate::fault::Fault;
use crate::options::node::quote;
use crate::options::read::{alternatives, nearest};
use crate::options::{Node, Problem, Span, read};
use crate::port::{Parity, SerialSettings};
use crate::sensor::{Sample, SerialSensor, SerialSpec};
use crate::serial::{Baud, Lines};
use crate::sim::Part;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The driver's entry in the list.
pub static DRIVER: Driver = Driver {
    name: "serial-lines",
    summary: "Any device that prints lines: the numbers in them",
    source: "the device's own manual",
    role: Role::Sensor,
    attachments: &[Attachment::Serial],
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
    schema: || schema_for!(Options),
    parse: |node, problems| parse(node, problems).map(|options| Spec::Serial(Arc::new(options))),
};

/// Longer lines are dropped.
const LONGEST: usize = 4096;
/// Limits of a channel that names none.
const WIDEST: RangeInclusive<f64> = -1e12..=1e12;
/// Most decimal places.
const MOST_PLACES: u8 = 9;

/// Options of the `serial-lines` driver.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// A regular expression. Each named group, `(?<name>…)`, is a channel and must match a number. Lines that do not
    /// match are passed over, as is the first line after the port was opened, which may lack its beginning.
    pub pattern: Pattern,
    /// What the channels are: a mapping from names of groups to what is known of each, `unit`, `device_class`,
    /// `state_class`, `precision` (decimal places), `min` and `max`. A number outside of these two is a fault.
    pub channels: BTreeMap<String, Known>,
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

/// What is known of a channel.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Known {
    /// Its unit, such as `°C`: at most 32 bytes.
    pub unit: Option<String>,
    /// What it is to Home Assistant.
    pub device_class: Option<DeviceClass>,
    /// How Home Assistant keeps statistics of it. Default: `measurement`, of counters such as `energy` and `water`
    /// `total_increasing`.
    pub state_class: Option<StateClass>,
    /// Decimal places worth showing, 0 to 9. Default: 2.
    pub precision: Option<u8>,
    /// The lowest number that can be right.
    pub min: Option<f64>,
    /// The highest number that can be right.
    pub max: Option<f64>,
}

impl Known {
    fn quantity(&self) -> Quantity {
        let counts = self.device_class.is_some_and(DeviceClass::is_counter);
        let usual = if counts { StateClass::TotalIncreasing } else { StateClass::Measurement };
        Quantity {
            unit: self.unit.as_deref().map(lasting),
            device_class: self.device_class.map(DeviceClass::name),
            state_class: Some(self.state_class.unwrap_or(usual).name()),
            precision: self.precision.unwrap_or(2),
        }
    }

    fn range(&self) -> RangeInclusive<f64> {
        self.min.unwrap_or(*WIDEST.start())..=self.max.unwrap_or(*WIDEST.end())
    }

    /// What is wrong with it, if anything is.
    fn problem(&self) -> Option<String> {
        if self.unit.as_ref().is_some_and(|unit| unit.is_empty() || unit.len() > 32 || unit.contains(char::is_control))
        {
            return Some("`unit` must be a text of 1 to 32 bytes".to_owned());
        }
        if self.precision.is_some_and(|precision| precision > MOST_PLACES) {
            return Some(format!("`precision` must be from 0 to {MOST_PLACES}"));
        }
        // Home Assistant does not take such a number.
        if let (Some(class), None) = (self.device_class, &self.unit)
            && class.has_unit()
        {
            return Some(format!("`device_class: {}` needs a `unit`", class.name()));
        }
        let range = self.range();
        let inside = WIDEST.contains(range.start()) && WIDEST.contains(range.end());
        (!inside || range.start() >= range.end())
            .then(|| "`min` must be below `max`, both from -1e12 to 1e12".to_owned())
    }
}

/// Units are static, since all but these are. Each text is kept once, for as long as the program runs.
fn lasting(text: &str) -> &'static str {
    static TEXTS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = texts.get(text) {
        return known;
    }
    let text: &'static str = Box::leak(text.to_owned().into_boxed_str());
    texts.insert(text);
    text
}

fn parse(node: &Node, problems: &mut Vec<Problem>) -> Option<Options> {
    let options: Options = read(node, problems)?;
    let before = problems.len();
    if let (true, Some(silence)) = (options.silence.0.is_zero(), node.get("silence")) {
        problems.push(Problem::new(silence.place, "`silence` must be longer than 0s"));
    }
    let names: Vec<&str> = options.pattern.names().collect();
    for (key, value) in node.get("channels").and_then(Node::entries).unwrap_or_default() {
        let Some(name) = key.text() else { continue };
        if !names.contains(&name) {
            let hint = match nearest(name, names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there is {}", alternatives(&names).replace(" or ", " and ")),
            };
            let message = format!("the pattern has no group {}; {hint}", quote(name));
            problems.push(Problem::new(key.place, message));
        } else if let Some(message) = options.channels.get(name).and_then(Known::problem) {
            problems.push(Problem::new(value.place, message));
        }
    }
    (problems.len() == before).then_some(options)
}

impl SerialSpec for Options {
    fn channels(&self) -> Vec<Channel> {
        let unknown = Known::default();
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
