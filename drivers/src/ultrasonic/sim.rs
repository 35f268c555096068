//! Model of an HC-SR04, from its timing diagram, in air of 20 °C.

use crate::sim::{LinesPart, Part, clock};
use std::time::{Duration, Instant};

/// A shorter pulse does not trigger it.
const TRIGGER: Duration = Duration::from_micros(10);
/// From the trigger to the echo line's rise: it sends its sound meanwhile.
const BURST: Duration = Duration::from_micros(450);
/// How long the echo line is high if nothing is heard.
const DEAF: Duration = Duration::from_millis(38);
/// Speed of sound in m/s at 20 °C, as tables have it.
const SOUND: f64 = 343.21;
/// What it hears, in m.
const FARTHEST: f64 = 4.2;

/// What stands before it, and its trigger.
pub struct Model {
    /// In m.
    distance: f64,
    /// What a metre is in the unit that the back door takes.
    of_a_metre: f64,
    triggered: Option<Instant>,
}

impl Model {
    /// One with a wall a metre before it.
    pub fn new(of_a_metre: f64) -> Self {
        Self { distance: 1.0, of_a_metre, triggered: None }
    }
}

impl Part for Model {
    fn stimulate(&mut self, channel: &str, value: f64) -> bool {
        if channel == "distance" {
            self.distance = value / self.of_a_metre;
        }
        channel == "distance"
    }

    fn lines(&mut self) -> Option<&mut dyn LinesPart> {
        Some(self)
    }
}

impl LinesPart for Model {
    fn driven(&mut self, key: &str, high: bool) -> Vec<(&'static str, bool, Duration)> {
        if key != "trigger" {
            return Vec::new();
        }
        let began = std::mem::replace(&mut self.triggered, high.then(clock::now));
        if began.is_none_or(|began| clock::now().saturating_duration_since(began) < TRIGGER) {
            return Vec::new();
        }
        let echo = if self.distance > FARTHEST {
            DEAF
        } else {
            Duration::try_from_secs_f64(2.0 * self.distance / SOUND).unwrap_or_default()
        };
        vec![("echo", true, BURST), ("echo", false, BURST + echo)]
    }
}
