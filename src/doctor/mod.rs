//! What keeps an agent from its work on this machine, and what mends it.
//!
//! Every check looks and changes nothing. What is looked at below [`Machine`]'s root is files only, so that tests can
//! make a machine up; parts and lines are looked at through a [`Bus`].

mod broker;
mod clock;
mod interfaces;
mod machine;
mod parts;
mod power;
mod secrets;
#[cfg(test)]
mod tests;

pub use broker::broker;
pub use clock::{clock, is_synchronized};
pub use machine::{Machine, User};
pub use secrets::secrets;

use crate::bus::Bus;
use crate::config::Config;

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Ok,
    /// It works, but not as well as it could, or not for ever.
    Warning,
    /// Something will not work.
    Problem,
}

impl Level {
    /// In one word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// What came of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What it is about: `i2c-1`, `climate`, `clock`.
    pub about: String,
    /// What was found, for people.
    pub what: String,
    /// What mends it: a command, or what to write where.
    pub mend: Option<String>,
}

impl Finding {
    fn ok(about: impl Into<String>, what: impl Into<String>) -> Self {
        Self { level: Level::Ok, about: about.into(), what: what.into(), mend: None }
    }

    fn warning(about: impl Into<String>, what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { level: Level::Warning, about: about.into(), what: what.into(), mend: Some(mend.into()) }
    }

    fn problem(about: impl Into<String>, what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { level: Level::Problem, about: about.into(), what: what.into(), mend: Some(mend.into()) }
    }
}

/// What can be seen of the machine: interfaces and rights, as far as the configuration needs them, and the supply.
#[must_use]
pub fn machine(machine: &Machine, config: Option<&Config>) -> Vec<Finding> {
    let mut findings = interfaces::check(machine, config);
    findings.extend(power::check(machine));
    findings
}

/// Whether the configured parts and lines are there and free.
#[must_use]
pub fn parts(machine: &Machine, config: &Config, bus: &dyn Bus) -> Vec<Finding> {
    let mut findings = parts::addresses(config, bus);
    findings.extend(parts::lines(machine, config, bus));
    findings
}
