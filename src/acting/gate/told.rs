//! What comes out of the gate: what its owner has to do, and what it has to tell.

use crate::acting::command::Reason;
use halyard_drivers::Value;
use std::time::Instant;

/// On whose behalf a state came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// A command, or the end of its `for`.
    Command,
    /// The gate itself.
    Safety,
    /// The configured `initial`.
    Start,
    /// Nobody here: it was found to be so.
    Local,
}

impl By {
    /// The word in the state.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Safety => "safety",
            Self::Start => "start",
            Self::Local => "local",
        }
    }
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The command's id.
    pub id: Option<String>,
    /// `None`: applied. Else why not; `hardware` means failed, all others rejected.
    pub reason: Option<Reason>,
    /// The state, if it is known.
    pub state: Option<Value>,
    /// Why, for people.
    pub message: Option<String>,
}

impl Outcome {
    /// The contract's word.
    #[must_use]
    pub fn status(&self) -> &'static str {
        match self.reason {
            None => "applied",
            Some(Reason::Hardware) => "failed",
            Some(_) => "rejected",
        }
    }
}

/// What the owner of the gate has to do. `R` is whatever tells it where an answer goes.
#[derive(Clone, Debug, PartialEq)]
pub enum Action<R> {
    /// Drive the actuator, and report by [`Gate::written`].
    Write {
        /// Its id.
        actuator: String,
        /// The value.
        value: Value,
        /// For safety: without taking time for it.
        at_once: bool,
    },
    /// Answer a command.
    Answer {
        /// Its id.
        actuator: String,
        /// What became of it.
        outcome: Outcome,
        /// Where the answer goes.
        route: R,
    },
    /// The actuator has a new state.
    State {
        /// Its id.
        actuator: String,
        /// The value.
        value: Value,
        /// On whose behalf.
        by: By,
        /// The command's id.
        id: Option<String>,
        /// What for, if it is for safety.
        why: Option<String>,
    },
    /// It went on or off, or may have: for the next start, where it is [`Before::past`].
    Note {
        /// Its id.
        actuator: String,
        /// Whether it is on, or may be.
        active: bool,
        /// Since when.
        since: Instant,
    },
}
