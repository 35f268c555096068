//! Filters between a sample and a state.

/// One step between a raw value and the state.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// Adds.
    Offset(f64),
}
