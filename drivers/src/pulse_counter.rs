//! Driver for meters that give pulses: flow sensors, electricity, gas and water meters.
//!
//! Written from the data that such parts have in common: a number of pulses for each unit (SEA YF-S201: 450 for a litre;
//! S0 outputs by DIN 43864, now EN 62053-31: as printed on the meter, often 1000 for a kWh).

mod rate;
#[cfg(test)]
mod tests;

use crate::channel::{Channel, Quantity};
use crate::driver::{Attachment, Driver, Role, Spec};
use crate::edge::{Edge, EdgeSensor, EdgeSpec, Emit, Play};
use crate::options::limits::limited;
use crate::options::{Span, read, shape};
use crate::port::{InputSettings, Pull};
use crate::sensor::Sample;
use rate::Rate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The driver's entry in the list.
pub static DRIVER: Driver = Driver {
    name: "pulse-counter",
    summary: "GPIO line with pulses: a flow sensor, or a meter for water, gas or electricity",
    source: "EN 62053-31 (S0 outputs), data of YF-S201 flow sensors",
    role: Role::Sensor,
    attachments: &[Attachment::InputLine],
    identity: &[],
    example: "\
- id: water
  driver: pulse-counter
  line: GPIO23
  pull: up
  kind: water
  pulses_per_unit: 450
  every: 10s
",
    defaults: || Spec::Edge(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| read::<Options>(node, problems).map(|options| Spec::Edge(Arc::new(options))),
};

/// Index of each channel.
const TOTAL: usize = 0;
const RATE: usize = 1;
const CHANNELS: usize = 2;

/// More than any meter has digits for.
const MOST: f64 = 1e12;

/// Options of the `pulse-counter` driver.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// What the pulses stand for.
    pub kind: Kind,
    /// How many pulses one unit of the total has: `450` of a YF-S201 for a litre, `1000` of an electricity meter with
    /// "1000 imp/kWh", `0.1` of a water meter with a pulse for every ten litres.
    pub pulses_per_unit: PulsesPerUnit,
    /// The total to begin with, in its unit: what the meter shows. It counts when the counter runs for the first time, and
    /// whenever it is changed here; so it also resets the total. Else the total goes on after a restart: it is kept in the
    /// state directory, written when the agent stops and otherwise at most once a minute. What is lost are the pulses while
    /// the agent does not run, and those of the last minute before a power failure.
    pub start: Total,
    /// Which edges are counted.
    pub edge: Counted,
    /// The resistor inside the chip that holds the line while nothing drives it. Most meters have an open collector: `up`.
    pub pull: Pull,
    /// How long a level has to hold before it counts; `0ms` counts every edge. An S0 pulse lasts 30 ms at least, a reed
    /// contact bounces for a few.
    pub debounce: Span,
    /// What the rate of `count` and `water` is for. That of `water-m3` and `gas` is for an hour, that of `energy` a power.
    pub per: Per,
    /// After so long without a pulse the rate is 0. Before, it falls as the time since the last pulse grows.
    pub still: Span,
}

limited! {
    /// How many pulses there are for a unit.
    pub struct PulsesPerUnit in 0.0001..=1000000.0
}

limited! {
    /// A total to begin with.
    pub struct Total in 0.0..=1000000000.0
}

impl Default for Options {
    fn default() -> Self {
        Self {
            kind: Kind::default(),
            pulses_per_unit: PulsesPerUnit(1.0),
            start: Total(0.0),
            edge: Counted::default(),
            pull: Pull::default(),
            debounce: Span(Duration::ZERO),
            per: Per::default(),
            still: Span(Duration::from_secs(600)),
        }
    }
}

/// What pulses stand for.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Anything: a number without a unit.
    #[default]
    Count,
    /// Water in litres.
    Water,
    /// Water in cubic metres.
    WaterM3,
    /// Gas in cubic metres.
    Gas,
    /// Electricity in kWh, its rate as a power in W.
    Energy,
}

/// Which edges are counted.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Counted {
    /// From low to high.
    Rising,
    /// From high to low: where a pulse begins that pulls the line down.
    #[default]
    Falling,
    /// Both: two for each pulse.
    Both,
}

/// The time that a rate is for.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Per {
    /// A minute.
    #[default]
    Minute,
    /// An hour.
    Hour,
}

impl Options {
    fn total_quantity(&self) -> Quantity {
        let (unit, device_class, precision) = match self.kind {
            Kind::Count => (None, None, if self.pulses_per_unit.number() == 1.0 { 0 } else { 3 }),
            Kind::Water => (Some("L"), Some("water"), 3),
            Kind::WaterM3 => (Some("m³"), Some("water"), 4),
            Kind::Gas => (Some("m³"), Some("gas"), 4),
            Kind::Energy => (Some("kWh"), Some("energy"), 4),
        };
        Quantity { unit, device_class, state_class: Some("total_increasing"), precision }
    }

    fn rate_quantity(&self) -> Quantity {
        let (unit, device_class, precision) = match (self.kind, self.per) {
            (Kind::Count, Per::Minute) => ("1/min", None, 2),
            (Kind::Count, Per::Hour) => ("1/h", None, 1),
            (Kind::Water, Per::Minute) => ("L/min", Some("volume_flow_rate"), 2),
            (Kind::Water, Per::Hour) => ("L/h", Some("volume_flow_rate"), 1),
            // Home Assistant's versions do not agree on m³/min.
            (Kind::WaterM3 | Kind::Gas, _) => ("m³/h", Some("volume_flow_rate"), 4),
            (Kind::Energy, _) => ("W", Some("power"), 1),
        };
        Quantity { unit: Some(unit), device_class, state_class: Some("measurement"), precision }
    }

    /// What a pulse in each second amounts to, in the unit of the rate.
    fn rate_of_one_hertz(&self) -> f64 {
        let factor = match (self.kind, self.per) {
            (Kind::Energy, _) => 3_600.0 * 1_000.0, // kWh in an hour are kW
            (Kind::WaterM3 | Kind::Gas, _) | (_, Per::Hour) => 3_600.0,
            (_, Per::Minute) => 60.0,
        };
        factor / self.pulses_per_unit.number()
    }
}

impl EdgeSpec for Options {
    fn channels(&self) -> Vec<Channel> {
        let rate = if self.kind == Kind::Energy { "power" } else { "rate" };
        vec![
            Channel::number("total", self.total_quantity(), 0.0..=MOST),
            Channel::number(rate, self.rate_quantity(), 0.0..=MOST),
        ]
    }

    fn input(&self) -> InputSettings {
        InputSettings { pull: self.pull, debounce: self.debounce.0 }
    }

    fn reports(&self) -> bool {
        true
    }

    fn play(&self) -> Play {
        Play::Pulses
    }

    fn open(&self) -> Box<dyn EdgeSensor> {
        Box::new(PulseCounter {
            base: self.start.number(),
            pulses: 0,
            rate: Rate::new(self.still.0),
            options: self.clone(),
        })
    }
}

/// A counter.
struct PulseCounter {
    options: Options,
    /// The total before the first pulse that was counted here, in its unit.
    base: f64,
    pulses: u64,
    rate: Rate,
}

impl PulseCounter {
    #[allow(clippy::cast_precision_loss)] // none below 2^53 pulses, which nothing gives in a lifetime
    fn total(&self) -> f64 {
        self.base + self.pulses as f64 / self.options.pulses_per_unit.number()
    }
}

impl EdgeSensor for PulseCounter {
    /// A level is no pulse, and how many there were while the line was away nobody knows.
    fn level(&mut self, _: Edge, _: &mut Emit<'_>) {}

    fn edge(&mut self, edge: Edge, _: &mut Emit<'_>) {
        let pulses = counted(self.options.edge, edge);
        if pulses > 0 {
            self.pulses += pulses;
            self.rate.pulses(pulses, edge.time);
        }
    }

    fn report(&mut self, time: SystemTime, emit: &mut Emit<'_>) {
        let mut sample = Sample::new(CHANNELS);
        sample.number(TOTAL, self.total());
        sample.number(RATE, self.rate.hertz(time) * self.options.rate_of_one_hertz());
        emit(time, Ok(sample));
    }

    fn memory(&self) -> Option<Json> {
        let Options { kind, start, .. } = &self.options;
        Some(json!({ "kind": kind, "start": start.number(), "total": self.total() }))
    }

    /// Goes on from where it was, unless it counts something else now, or was given another total to begin with.
    fn recall(&mut self, memory: &Json) {
        let is_same = memory.get("kind") == Some(&json!(self.options.kind))
            && memory.get("start").and_then(Json::as_f64) == Some(self.options.start.number());
        let total = memory.get("total").and_then(Json::as_f64).filter(|total| (0.0..=MOST).contains(total));
        if let Some(total) = total.filter(|_| is_same) {
            self.base = total;
        }
    }
}

/// How many pulses an edge amounts to, with those that were lost before it: levels alternate.
fn counted(wanted: Counted, edge: Edge) -> u64 {
    let all = u64::from(edge.lost) + 1;
    match wanted {
        Counted::Both => all,
        // The last is such an edge, and so is every other one before it.
        Counted::Rising if edge.high => all.div_ceil(2),
        Counted::Falling if !edge.high => all.div_ceil(2),
        Counted::Rising | Counted::Falling => all / 2,
    }
}
