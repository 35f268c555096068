//! Model of a chip with a step and a direction input and the motor behind it. It takes nothing that is faster than its
//! datasheet allows: such a pulse makes no step, and is noted.

use super::Options;
use crate::sim::{LinesPart, Part, clock};
use crate::switch::Active;
use std::time::{Duration, Instant};

/// What a datasheet demands of the inputs, in ns.
#[derive(Clone, Copy)]
pub struct Timing {
    /// STEP high, and low, at least.
    pub pulse: (u64, u64),
    /// Direction before the rising edge of STEP, and after it.
    pub dir: (u64, u64),
    /// Enabled before the rising edge of STEP.
    pub enable: u64,
}

/// Texas Instruments SLVSA73F, section 6.6.
pub const DRV8825: Timing = Timing { pulse: (1_900, 1_900), dir: (650, 650), enable: 650 };

/// How far it stands from its switch at first, in steps: more than none.
const FIRST: i64 = 3;

/// The chip, its motor and a switch.
pub struct Model {
    timing: Timing,
    enable_active: Active,
    home_active: Active,
    reverse: bool,
    /// Levels of the inputs, and since when.
    step: (bool, Option<Instant>),
    dir: (bool, Option<Instant>),
    enable: (bool, Option<Instant>),
    rose: Option<Instant>,
    /// Where it stands: steps beyond its switch, which is on up to 0.
    pub at: i64,
    /// What was against the datasheet.
    pub wrong: Vec<String>,
    /// How long after the one before each pulse rose.
    pub intervals: Vec<Duration>,
}

impl Model {
    /// With current, as such a chip is when nobody drives `enable` and the board pulls it to where it has.
    pub fn new(timing: Timing, options: &Options) -> Self {
        Self {
            timing,
            enable_active: options.enable_active,
            home_active: options.home_active,
            reverse: options.reverse,
            step: (false, None),
            dir: (false, None),
            enable: (options.enable_active.level(true), None),
            rose: None,
            at: FIRST,
            wrong: Vec::new(),
            intervals: Vec::new(),
        }
    }

    /// The level of its switch.
    pub fn home(&self) -> bool {
        self.home_active.level(self.at <= 0)
    }

    /// Whether the motor has current.
    pub fn has_current(&self) -> bool {
        self.enable_active.level(self.enable.0)
    }

    fn demand(&mut self, what: &str, since: Option<Instant>, least: u64) {
        let found = since.map(|since| clock::now().saturating_duration_since(since));
        if let Some(found) = found.filter(|found| *found < Duration::from_nanos(least)) {
            self.wrong.push(format!("{what} for {found:?}"));
        }
    }

    fn step(&mut self) {
        let now = clock::now();
        self.demand("low", self.step.1, self.timing.pulse.1);
        self.demand("direction", self.dir.1, self.timing.dir.0);
        self.demand("enabled", self.enable.1, self.timing.enable);
        if let Some(before) = self.rose.replace(now) {
            self.intervals.push(now.saturating_duration_since(before));
        }
        if self.has_current() {
            self.at += if self.dir.0 == self.reverse { -1 } else { 1 };
        } else {
            self.wrong.push("a pulse without current".to_owned());
        }
    }
}

impl Part for Model {
    fn stimulate(&mut self, _: &str, _: f64) -> bool {
        false
    }

    fn lines(&mut self) -> Option<&mut dyn LinesPart> {
        Some(self)
    }
}

impl LinesPart for Model {
    fn levels(&self) -> Vec<(&'static str, bool)> {
        vec![("home", self.home())]
    }

    fn driven(&mut self, key: &str, high: bool) -> Vec<(&'static str, bool, Duration)> {
        let since = Some(clock::now());
        match key {
            "step" if high => {
                self.step();
                self.step = (true, since);
            }
            "step" => {
                self.demand("high", self.step.1, self.timing.pulse.0);
                self.step = (false, since);
            }
            "dir" => {
                self.demand("direction held", self.rose, self.timing.dir.1);
                self.dir = (high, since);
            }
            "enable" => self.enable = (high, since),
            _ => {}
        }
        vec![("home", self.home(), Duration::ZERO)]
    }
}
