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
    /// What is written or shown. Of an actuator that writes, the empty text is nothing at all.
    Text(String),
    /// Of what a motor moves: where it is or shall go, in % or the unit of its actuator.
    Position {
        /// `None` where nobody knows. Never NaN or infinite when it leaves the agent.
        at: Option<f64>,
        /// Whether it moves, or shall.
        moves: bool,
    },
}

impl Value {
    /// To stop where it is.
    pub const STOP: Self = Self::Position { at: None, moves: false };

    /// To go there.
    #[must_use]
    pub const fn go(at: f64) -> Self {
        Self::Position { at: Some(at), moves: true }
    }

    /// To be there, at rest.
    #[must_use]
    pub const fn rest(at: Option<f64>) -> Self {
        Self::Position { at, moves: false }
    }

    /// The number, if it is one.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Position { at, .. } => *at,
            Self::Switch(_) | Self::Text(_) => None,
        }
    }

    /// Whether an actuator with this value is doing something: on, a number other than 0, or moving. A text never is.
    #[must_use]
    pub fn is_active(&self) -> bool {
        match self {
            Self::Switch(on) => *on,
            Self::Number(number) => *number != 0.0,
            Self::Position { moves, .. } => *moves,
            Self::Text(_) => false,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Switch(true) => f.write_str("ON"),
            Self::Switch(false) => f.write_str("OFF"),
            Self::Number(number) | Self::Position { at: Some(number), .. } => number.fmt(f),
            Self::Position { at: None, .. } => f.write_str("at an unknown position"),
            // Quoted, and without any control characters in it.
            Self::Text(text) => write!(f, "{text:?}"),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Switch(_) => serializer.collect_str(self),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Position { at: Some(at), .. } => Self::Number(*at).serialize(serializer),
            Self::Position { at: None, .. } => serializer.serialize_none(),
            // 21 rather than 21.0: what a person would write. Exact below 2^53.
            #[allow(clippy::cast_possible_truncation)]
            Self::Number(number) if number.fract() == 0.0 && number.abs() < 9e15 => {
                serializer.serialize_i64(*number as i64)
            }
            Self::Number(number) => serializer.serialize_f64(*number),
        }
    }
}
