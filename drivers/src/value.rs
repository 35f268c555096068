//! What a channel or an actuator can hold.

use serde::{Serialize, Serializer};
use std::fmt;

/// A value of a channel or an actuator.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// On or off; `ON` and `OFF` on the wire.
    Switch(bool),
    /// A number in the unit of its channel or actuator. Never NaN or infinite when it leaves the agent.
    Number(f64),
}

impl Value {
    /// The number, if it is one.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Switch(_) => None,
        }
    }

    /// Whether an actuator with this value is doing something: on, or a number other than 0.
    #[must_use]
    pub fn is_active(&self) -> bool {
        match self {
            Self::Switch(on) => *on,
            Self::Number(number) => *number != 0.0,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Switch(true) => f.write_str("ON"),
            Self::Switch(false) => f.write_str("OFF"),
            Self::Number(number) => number.fmt(f),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Switch(_) => serializer.collect_str(self),
            // 21 rather than 21.0: what a person would write. Exact below 2^53.
            #[allow(clippy::cast_possible_truncation)]
            Self::Number(number) if number.fract() == 0.0 && number.abs() < 9e15 => {
                serializer.serialize_i64(*number as i64)
            }
            Self::Number(number) => serializer.serialize_f64(*number),
        }
    }
}
