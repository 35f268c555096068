//! The reader.

use super::node::{Node, Place};
use serde::de::DeserializeOwned;

/// Something wrong in a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where: the offending key or value.
    pub place: Place,
    /// What is wrong and what was expected; with a suggestion where one is near.
    pub message: String,
}

/// Reads a `T` from `node`. Reports every problem, not only the first; `None` if there was one.
pub fn read<T: DeserializeOwned>(_node: &Node, _problems: &mut Vec<Problem>) -> Option<T> {
    None
}
