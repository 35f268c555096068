//! Sensors that are told by the edges of lines: contacts, pulses, encoders.

use crate::channel::Channel;
use crate::fault::Fault;
use crate::port::InputSettings;
use crate::sensor::Sample;
use serde_json::Value as Json;
use std::time::SystemTime;

/// A change of level on a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Which of the sensor's lines, in the order of [`EdgeSpec::lines`].
    pub line: usize,
    /// The level after it: physical.
    pub high: bool,
    /// When, by the kernel's time stamp.
    pub time: SystemTime,
    /// How many edges of this line were lost before this one, because nobody took them for too long: 0 as a rule.
    pub lost: u32,
}

impl Edge {
    /// An edge of the only or first line, with none lost before it.
    #[must_use]
    pub fn new(high: bool, time: SystemTime) -> Self {
        Self { line: 0, high, time, lost: 0 }
    }
}

/// Takes what a sensor says, and when that was.
pub type Emit<'a> = dyn FnMut(SystemTime, Result<Sample, Fault>) + 'a;

/// A sensor that is told: edges of its lines go in, in the order in which they happened, samples come out. Nothing here
/// waits, asks a clock or touches hardware.
pub trait EdgeSensor: Send + Sync {
    /// The level of a line at the start, or again after the lines were lost and found: for each of them once, in order.
    fn level(&mut self, level: Edge, emit: &mut Emit<'_>);

    /// An edge.
    fn edge(&mut self, edge: Edge, emit: &mut Emit<'_>);

    /// When it wants to be told by [`pass`](Self::pass) that no edge came.
    fn deadline(&self) -> Option<SystemTime> {
        None
    }

    /// It is `time`, and all edges before were told.
    fn pass(&mut self, time: SystemTime, emit: &mut Emit<'_>) {
        let _ = (time, emit);
    }

    /// Says how things are, for one that [reports](EdgeSpec::reports) at intervals.
    fn report(&mut self, time: SystemTime, emit: &mut Emit<'_>) {
        let _ = (time, emit);
    }

    /// What has to survive a restart; `None` if nothing.
    fn memory(&self) -> Option<Json> {
        None
    }

    /// Told once, before everything else: the [`memory`](Self::memory) of an earlier one with this id, perhaps with other
    /// options or of another driver.
    fn recall(&mut self, memory: &Json) {
        let _ = memory;
    }
}

/// A configured edge sensor.
pub trait EdgeSpec: Send + Sync {
    /// What it tells.
    fn channels(&self) -> Vec<Channel>;

    /// The events that its samples can [carry](Sample::event).
    fn events(&self) -> Vec<&'static str> {
        Vec::new()
    }

    /// The keys of its lines, in the order of [`Edge::line`]; any one key for the driver of a single line.
    fn lines(&self) -> &'static [&'static str] {
        &["line"]
    }

    /// How its lines are asked for.
    fn input(&self) -> InputSettings;

    /// Whether it is asked at intervals for a [report](EdgeSensor::report), rather than saying what it has to say when it
    /// happens.
    fn reports(&self) -> bool {
        false
    }

    /// What happens on its lines in a demonstration.
    fn play(&self) -> Play {
        Play::Contact
    }

    /// A new one that has seen nothing yet.
    fn open(&self) -> Box<dyn EdgeSensor>;
}

/// What the world does to lines that nobody drives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Play {
    /// Goes on for some time, now and then.
    Contact,
    /// Is pressed: shortly, twice or long.
    Button,
    /// Pulses, with pauses between some of them.
    Pulses,
    /// A knob on two lines is turned to and fro.
    Turns,
}
