//! What a worker does with a driver, and what it comes back with. It blocks, and knows nothing of the gate.

use crate::device::{Factory, attempt};
use halyard_drivers::{Actuator, Fault, Value};
use std::time::Duration;

/// What a worker can do.
#[derive(Clone)]
pub(super) enum Job {
    Open,
    Check,
    Step,
    Write { value: Value, at_once: bool },
}

/// What came of it.
pub(super) enum Done {
    Opened(Result<Option<Value>, Fault>),
    Checked(Result<Option<Value>, Fault>),
    Advanced(Result<Option<Value>, Fault>),
    Written(Result<Value, Fault>),
}

impl Job {
    /// `seen`: the values of others that it shows.
    pub(super) fn run(
        self,
        factory: &Factory<dyn Actuator>,
        driver: Option<Box<dyn Actuator>>,
        seen: &[Option<Value>],
    ) -> Returned {
        let mut after = After { seen, ..After::default() };
        let (driver, done) = match self {
            Self::Open => and_next(factory, driver, &mut after, <dyn Actuator>::read, Done::Opened),
            Self::Check => and_next(factory, driver, &mut after, <dyn Actuator>::read, Done::Checked),
            Self::Step => and_next(factory, driver, &mut after, <dyn Actuator>::advance, Done::Advanced),
            Self::Write { value, at_once: false } => {
                and_next(factory, driver, &mut after, |driver| driver.apply(&value), Done::Written)
            }
            Self::Write { value, at_once: true } => {
                and_next(factory, driver, &mut after, |driver| driver.apply_at_once(&value), Done::Written)
            }
        };
        let (next, readings) = if driver.is_some() { (after.next, after.readings) } else { (None, Vec::new()) };
        Returned { driver, done, next, readings }
    }

    pub(super) fn turns_on(&self) -> bool {
        matches!(self, Self::Write { value, .. } if value.is_active())
    }

    pub(super) fn failed(&self, fault: Fault) -> Done {
        match self {
            Self::Open => Done::Opened(Err(fault)),
            Self::Check => Done::Checked(Err(fault)),
            Self::Step => Done::Advanced(Err(fault)),
            Self::Write { .. } => Done::Written(Err(fault)),
        }
    }
}

/// What a driver is shown before it does something, and what it has to say after that.
#[derive(Default)]
struct After<'a> {
    seen: &'a [Option<Value>],
    /// Time until its next step.
    next: Option<Duration>,
    /// What it measures beside its state.
    readings: Vec<(&'static str, f64)>,
}

/// Does `work`, and asks what is after it.
fn and_next<R>(
    factory: &Factory<dyn Actuator>,
    driver: Option<Box<dyn Actuator>>,
    after: &mut After<'_>,
    work: impl FnOnce(&mut (dyn Actuator + 'static)) -> Result<R, Fault>,
    done: fn(Result<R, Fault>) -> Done,
) -> (Option<Box<dyn Actuator>>, Done) {
    let (driver, result) = attempt(factory, driver, |driver| {
        driver.see(after.seen);
        let result = work(driver);
        (after.next, after.readings) = (driver.next(), driver.readings());
        result
    });
    (driver, done(result))
}

/// What a worker comes back with.
pub(in crate::acting) struct Returned {
    pub(super) driver: Option<Box<dyn Actuator>>,
    pub(super) done: Done,
    /// Time until its next step.
    pub(super) next: Option<Duration>,
    /// What it measures beside its state.
    pub(super) readings: Vec<(&'static str, f64)>,
}
