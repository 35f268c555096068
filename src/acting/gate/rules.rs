//! What holds for one actuator.

use super::Rate;
use halyard_drivers::{Control, Value};
use std::time::Duration;

/// What holds for one actuator.
#[derive(Clone, Debug)]
pub struct Rules {
    /// What can be asked of it.
    pub control: Control,
    /// What it goes to when nobody is in control. Default: off.
    pub safe: Value,
    /// How long it may be without a broker before it goes to `safe`; `None`: for ever.
    pub safe_after: Option<Duration>,
    /// How long it may be on at a stretch.
    pub max_on: Option<Duration>,
    /// How long it stays off once it went off.
    pub min_off: Option<Duration>,
    /// Ids of actuators that are never on together with this one, which have it among theirs.
    pub interlock: Vec<String>,
    /// How long after one of those went off this one may go on. The longer one of two counts.
    pub dead_time: Duration,
    /// Who has to be heard for it to be on.
    pub heartbeat: Option<Heartbeat>,
    /// How many commands that do not turn it off it takes in a time.
    pub rate: Option<Rate>,
}

/// A controller that has to be heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// The topic on which it says anything.
    pub topic: String,
    /// How long it may be silent.
    pub timeout: Duration,
}

impl Rules {
    /// How long after `other` went off this one may go on: the longer one of the two counts.
    #[must_use]
    pub fn dead_time_after(&self, other: &Self) -> Duration {
        self.dead_time.max(other.dead_time)
    }
}
