//! Types that options are made of.

use std::time::Duration;

/// A duration: `250ms`, `10s`, `5m`, `1h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// A frequency in Hz: `50Hz`, `1kHz`, `1MHz`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Frequency(pub f64);
