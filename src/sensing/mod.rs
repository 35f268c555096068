//! From a part to a state: schedule, workers, filters.

pub mod filter;
