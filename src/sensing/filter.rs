//! Filters between a sample and a state.
//!
//! [`Filter`] is what the configuration says, one step each; [`Chain`] is what runs, with the memory that steps need.

use halyard_drivers::Value;
use halyard_drivers::options::{Span, number};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Most samples that a filter looks back on.
const LONGEST_WINDOW: u16 = 1_000;
/// Most decimal places that a number can be rounded to.
const MOST_PLACES: u8 = 9;

/// One step between what a channel measures and its state. Steps apply in the order in which they are written.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// Adds this, in the channel's unit.
    Offset(#[serde(deserialize_with = "finite")] f64),
    /// Multiplies by this.
    Scale(#[serde(deserialize_with = "finite")] f64),
    /// Rounds to this many decimal places, 0 to 9.
    Round(
        #[serde(deserialize_with = "places")]
        #[schemars(range(max = MOST_PLACES))]
        u8,
    ),
    /// Gives the median of the last samples, this many: single wrong ones vanish.
    Median(
        #[serde(deserialize_with = "window")]
        #[schemars(range(min = 1, max = LONGEST_WINDOW))]
        u16,
    ),
    /// Gives the mean of the last samples, this many: noise gets less.
    MovingAverage(
        #[serde(deserialize_with = "window")]
        #[schemars(range(min = 1, max = LONGEST_WINDOW))]
        u16,
    ),
    /// Passes a value only if it differs by this or more from the one that passed last.
    Delta(
        #[serde(deserialize_with = "above_zero")]
        #[schemars(extend("exclusiveMinimum" = 0))]
        f64,
    ),
    /// Passes a value at most once in this time; those between are dropped.
    Throttle(#[serde(deserialize_with = "some_time")] Span),
    /// Moves what is outside of `[min, max]` to the nearer end.
    Clamp(#[serde(deserialize_with = "ends")] [f64; 2]),
}

fn finite<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    number(deserializer, "a finite number", |number| number.is_finite().then_some(number))
}

fn above_zero<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    number(deserializer, "a number above 0", |number| (number.is_finite() && number > 0.0).then_some(number))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // only numbers that fit come so far
fn places<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    number(deserializer, "a whole number of decimal places from 0 to 9", |number| {
        (number.fract() == 0.0 && (0.0..=f64::from(MOST_PLACES)).contains(&number)).then_some(number as u8)
    })
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // only numbers that fit come so far
fn window<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    number(deserializer, "a whole number of samples from 1 to 1000", |number| {
        (number.fract() == 0.0 && (1.0..=f64::from(LONGEST_WINDOW)).contains(&number)).then_some(number as u16)
    })
}

fn some_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
    let span = Span::deserialize(deserializer)?;
    if span.0.is_zero() {
        return Err(D::Error::invalid_value(Unexpected::Other("a duration of 0"), &"a longer one"));
    }
    Ok(span)
}

fn ends<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[f64; 2], D::Error> {
    #[derive(Deserialize)]
    struct Ends(#[serde(deserialize_with = "finite")] f64, #[serde(deserialize_with = "finite")] f64);

    let Ends(min, max) = Ends::deserialize(deserializer)?;
    if min > max {
        return Err(D::Error::custom(format_args!(
            "the first number, {min}, is the lower end and above the other, {max}"
        )));
    }
    Ok([min, max])
}

/// The filters of one channel at work.
#[derive(Clone, Debug)]
pub struct Chain {
    steps: Vec<Step>,
}

#[derive(Clone, Debug)]
enum Step {
    Offset(f64),
    Scale(f64),
    Round(u8),
    Median(Window),
    MovingAverage(Window),
    Delta { least: f64, passed: Option<f64> },
    Throttle { least: Duration, passed: Option<Instant> },
    Clamp(f64, f64),
}

impl Chain {
    /// These filters, which have seen nothing yet.
    #[must_use]
    pub fn new(filters: &[Filter]) -> Self {
        let steps = filters.iter().map(|filter| match *filter {
            Filter::Offset(offset) => Step::Offset(offset),
            Filter::Scale(factor) => Step::Scale(factor),
            Filter::Round(places) => Step::Round(places),
            Filter::Median(length) => Step::Median(Window::new(length)),
            Filter::MovingAverage(length) => Step::MovingAverage(Window::new(length)),
            Filter::Delta(least) => Step::Delta { least, passed: None },
            Filter::Throttle(Span(least)) => Step::Throttle { least, passed: None },
            Filter::Clamp([min, max]) => Step::Clamp(min, max),
        });
        Self { steps: steps.collect() }
    }

    /// What becomes of a number that was sampled at `now`; `None` if it is dropped, as is what is not finite.
    pub fn apply(&mut self, number: f64, now: Instant) -> Option<f64> {
        let first = number.is_finite().then_some(number)?;
        self.steps.iter_mut().try_fold(first, |number, step| step.apply(number, now))
    }

    /// What becomes of a value: on and off pass as they are.
    pub fn pass(&mut self, value: Value, now: Instant) -> Option<Value> {
        match value {
            Value::Number(number) => self.apply(number, now).map(Value::Number),
            Value::Switch(_) | Value::Position { .. } | Value::Text(_) => Some(value),
        }
    }
}

impl Step {
    /// Gives a finite number for every finite one: what is too large becomes the largest there is.
    fn apply(&mut self, number: f64, now: Instant) -> Option<f64> {
        let result = match self {
            Self::Offset(offset) => number + *offset,
            Self::Scale(factor) => number * *factor,
            Self::Round(places) => round(number, *places),
            Self::Median(window) => {
                window.push(number);
                window.median()
            }
            Self::MovingAverage(window) => {
                window.push(number);
                window.mean()
            }
            Self::Delta { least, passed } => {
                if passed.is_some_and(|passed| (number - passed).abs() < *least) {
                    return None;
                }
                *passed = Some(number);
                number
            }
            Self::Throttle { least, passed } => {
                if passed.is_some_and(|passed| now.saturating_duration_since(passed) < *least) {
                    return None;
                }
                *passed = Some(now);
                number
            }
            Self::Clamp(min, max) => number.clamp(*min, *max),
        };
        Some(result.clamp(f64::MIN, f64::MAX))
    }
}

/// To decimal places, halves away from zero. A number too large to have any stays as it is.
fn round(number: f64, places: u8) -> f64 {
    let factor = 10_f64.powi(i32::from(places));
    let scaled = number * factor;
    if scaled.is_finite() { scaled.round() / factor } else { number }
}

/// The last numbers: at first fewer than its length.
#[derive(Clone, Debug)]
struct Window {
    length: usize,
    numbers: VecDeque<f64>,
}

impl Window {
    fn new(length: u16) -> Self {
        // A Filter that was not read from a file may say 0: the last number is always there.
        let length = usize::from(length.max(1));
        Self { length, numbers: VecDeque::with_capacity(length) }
    }

    fn push(&mut self, number: f64) {
        if self.numbers.len() == self.length {
            self.numbers.pop_front();
        }
        self.numbers.push_back(number);
    }

    fn median(&self) -> f64 {
        let mut sorted: Vec<f64> = self.numbers.iter().copied().collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        if sorted.len() % 2 == 1 { sorted[middle] } else { sorted[middle - 1].midpoint(sorted[middle]) }
    }

    /// As the first number plus the mean of the differences to it: exact if all are alike.
    #[allow(clippy::cast_precision_loss)] // a thousand at most
    fn mean(&self) -> f64 {
        let (first, count) = (self.numbers[0], self.numbers.len() as f64);
        first + self.numbers.iter().map(|number| (number - first) / count).sum::<f64>()
    }
}

#[cfg(test)]
mod tests;
