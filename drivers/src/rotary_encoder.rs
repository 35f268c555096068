//! Driver for rotary encoders: knobs with two contacts whose levels are a Gray code.
//!
//! Written from Bourns, PEC11R, and Alps, EC11: turned clockwise, A changes before B. A turn from detent to detent is a
//! whole cycle of both contacts, a half or a quarter, depending on the part.

#[cfg(test)]
mod tests;

use crate::channel::{Channel, Quantity};
use crate::driver::{Attachment, Driver, Member, Role, Spec};
use crate::edge::{Edge, EdgeSensor, EdgeSpec, Emit, Play};
use crate::fault::Fault;
use crate::options::limits::choice;
use crate::options::{Span, read, shape};
use crate::port::{InputSettings, Pull};
use crate::sensor::Sample;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The driver's entry in the list.
pub static DRIVER: Driver = Driver {
    name: "rotary-encoder",
    summary: "Rotary encoder: the position of a knob; its switch is a digital-input of its own",
    source: "Bourns PEC11R, Alps EC11",
    role: Role::Sensor,
    attachments: &[Attachment::Several(&[
        Member { key: "a", at: Attachment::InputLine, required: true, what: "contact A" },
        Member { key: "b", at: Attachment::InputLine, required: true, what: "contact B" },
    ])],
    identity: &[],
    example: "\
- id: volume
  driver: rotary-encoder
  a: GPIO5
  b: GPIO6
  range: [0, 100]
",
    defaults: || Spec::Edge(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| read::<Options>(node, problems).map(|options| Spec::Edge(Arc::new(options))),
};

/// Index of the channel.
const POSITION: usize = 0;
/// Keys and indices of the lines.
const LINES: &[&str] = &["a", "b"];
const A: usize = 0;
const B: usize = 1;

/// Options of the `rotary-encoder` driver.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// How many changes of the two contacts, taken together, there are from detent to detent: 4 of most knobs, 2 of those
    /// with twice as many detents as pulses. Without detents: how fine the position is.
    pub steps_per_detent: StepsPerDetent,
    /// The first and the last position: turned further, it stays there. None is without end. At the start the position is
    /// 0, or what is nearest to it.
    pub range: Option<Ends>,
    /// Swaps the directions.
    pub invert: bool,
    /// The resistor inside the chip that holds the lines while a contact is open.
    pub pull: Pull,
    /// How long a level has to hold before it counts. Bounces do no harm here: they go to and fro.
    pub debounce: Span,
}

choice! {
    /// How many changes there are from detent to detent.
    pub enum StepsPerDetent {
        /// A whole cycle.
        Four = 4,
        /// A half.
        Two = 2,
        /// Each change.
        One = 1,
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            steps_per_detent: StepsPerDetent::Four,
            range: None,
            invert: false,
            pull: Pull::Up,
            debounce: Span(Duration::ZERO),
        }
    }
}

/// The first and the last position.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(try_from = "[i32; 2]")]
pub struct Ends([i32; 2]);

impl Ends {
    /// Of a knob that turns without end.
    const NONE: Self = Self([i32::MIN, i32::MAX]);

    fn clamp(self, position: i32) -> i32 {
        let Self([first, last]) = self;
        position.clamp(first, last)
    }
}

impl TryFrom<[i32; 2]> for Ends {
    type Error = String;

    fn try_from(ends: [i32; 2]) -> Result<Self, String> {
        match ends {
            [first, last] if first < last => Ok(Self(ends)),
            [first, last] => {
                Err(format!("the first number, {first}, is the lower end and not below the other, {last}"))
            }
        }
    }
}

impl EdgeSpec for Options {
    fn channels(&self) -> Vec<Channel> {
        let Ends([first, last]) = self.range.unwrap_or(Ends::NONE);
        let plain = Quantity { state_class: Some("measurement"), ..Quantity::STATE };
        vec![Channel::number("position", plain, f64::from(first)..=f64::from(last))]
    }

    fn lines(&self) -> &'static [&'static str] {
        LINES
    }

    fn input(&self) -> InputSettings {
        InputSettings { pull: self.pull, debounce: self.debounce.0 }
    }

    fn play(&self) -> Play {
        Play::Turns
    }

    fn open(&self) -> Box<dyn EdgeSensor> {
        let range = self.range.unwrap_or(Ends::NONE);
        Box::new(RotaryEncoder {
            decoder: Decoder::new(self.steps_per_detent),
            invert: self.invert,
            range,
            position: range.clamp(0),
            is_told: false,
        })
    }
}

/// A knob: says each new position.
struct RotaryEncoder {
    decoder: Decoder,
    invert: bool,
    range: Ends,
    position: i32,
    /// Whether anybody knows its position.
    is_told: bool,
}

impl RotaryEncoder {
    fn tell(&self, time: SystemTime, emit: &mut Emit<'_>) {
        let mut sample = Sample::new(POSITION + 1);
        sample.number(POSITION, f64::from(self.position));
        emit(time, Ok(sample));
    }
}

impl EdgeSensor for RotaryEncoder {
    fn level(&mut self, level: Edge, emit: &mut Emit<'_>) {
        self.decoder.found(level.line, level.high);
        if level.line == B && !std::mem::replace(&mut self.is_told, true) {
            self.tell(level.time, emit);
        }
    }

    fn edge(&mut self, edge: Edge, emit: &mut Emit<'_>) {
        let Ok(detents) = self.decoder.edge(edge) else {
            let message = "both contacts changed at once: it turns too fast, or a contact is bad";
            return emit(edge.time, Err(Fault::corrupt(message)));
        };
        let detents = if self.invert { -detents } else { detents };
        let position = self.range.clamp(self.position.saturating_add(detents));
        if std::mem::replace(&mut self.position, position) != position {
            self.tell(edge.time, emit);
        }
    }
}

/// From edges to detents. The code is A in bit 1 and B in bit 0.
struct Decoder {
    steps: i32,
    code: u8,
    /// The code of a detent.
    rest: u8,
    /// Steps since the last detent, clockwise.
    turned: i32,
}

/// An edge was lost.
#[derive(Debug, PartialEq, Eq)]
struct Lost;

impl Decoder {
    fn new(steps: StepsPerDetent) -> Self {
        let steps = match steps {
            StepsPerDetent::Four => 4,
            StepsPerDetent::Two => 2,
            StepsPerDetent::One => 1,
        };
        Self { steps, code: 0, rest: 0, turned: 0 }
    }

    /// A level of a knob that nobody turned: where it is now, there is a detent.
    fn found(&mut self, line: usize, high: bool) {
        self.code = with(self.code, line, high);
        self.rest = self.code;
        self.turned = 0;
    }

    /// Gives how many detents were passed, clockwise.
    fn edge(&mut self, edge: Edge) -> Result<i32, Lost> {
        let code = with(self.code, edge.line, edge.high);
        let step = step(self.code, code);
        self.code = code;
        if edge.lost > 0 || step == 0 {
            return Err(Lost);
        }
        self.turned += step;
        let is_detent = match self.steps {
            4 => code == self.rest,
            // The code of a detent, or its opposite.
            2 => matches!(code ^ self.rest, 0b00 | 0b11),
            _ => true,
        };
        if !is_detent {
            return Ok(0);
        }
        // Where edges were lost, the nearest: at a detent it is in step again.
        let detents = (2 * self.turned + self.turned.signum() * self.steps) / (2 * self.steps);
        self.turned = 0;
        Ok(detents)
    }
}

/// The code with another level of a line.
fn with(code: u8, line: usize, high: bool) -> u8 {
    let bit = if line == A { 0b10 } else { 0b01 };
    if high { code | bit } else { code & !bit }
}

/// One step from code to code: 1 clockwise, -1 counter-clockwise, 0 if it is none. Clockwise, A leads: from open contacts
/// (11) A closes first (01), then B (00), then A opens (10), then B (11).
fn step(from: u8, to: u8) -> i32 {
    match (from, to) {
        (0b11, 0b01) | (0b01, 0b00) | (0b00, 0b10) | (0b10, 0b11) => 1,
        (0b11, 0b10) | (0b10, 0b00) | (0b00, 0b01) | (0b01, 0b11) => -1,
        _ => 0,
    }
}
