//! What is wrong with an entity, or with the agent itself, as `B/A/agent` shows it.

use crate::time::rfc3339;
use serde_json::{Value as Json, json};
use std::time::SystemTime;

/// Something that does not work now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Its kind in one word.
    pub kind: &'static str,
    /// What it is, for people.
    pub message: String,
    /// When it began.
    pub since: SystemTime,
    /// How often it was met since then.
    pub count: u64,
    /// When it is tried again, if that is not the ordinary schedule.
    pub next: Option<SystemTime>,
}

impl Problem {
    /// One that was met for the first time, now.
    #[must_use]
    pub fn new(kind: &'static str, message: String) -> Self {
        Self { kind, message, since: SystemTime::now(), count: 1, next: None }
    }

    /// As `B/A/agent` has it.
    #[must_use]
    pub fn json(&self) -> Json {
        json!({
            "kind": self.kind,
            "message": self.message,
            "since": rfc3339(self.since),
            "count": self.count,
            "next": self.next.map(rfc3339),
        })
    }
}
