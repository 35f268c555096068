//! A simulated PWM channel.

use super::lock;
use crate::fault::FaultKind;
use crate::port::{PortError, PwmOutput};
use std::sync::{Arc, Mutex};

/// A channel, and what it gives. Clones are handles to the same channel.
#[derive(Clone, Default)]
pub struct Pwm {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    /// Period and high time in ns.
    gives: Option<(u64, u64)>,
    broken: bool,
}

impl Pwm {
    /// A channel that gives nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What it gives: period and high time in ns.
    #[must_use]
    pub fn gives(&self) -> Option<(u64, u64)> {
        lock(&self.inner).gives
    }

    /// The part of the time for which it is high, 0 to 1; 0 if it gives nothing.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // a period is far from 2^53 ns
    pub fn duty(&self) -> f64 {
        self.gives().map_or(0.0, |(period, high)| high as f64 / period as f64)
    }

    /// While set, everything fails.
    pub fn set_broken(&self, broken: bool) {
        lock(&self.inner).broken = broken;
    }
}

impl PwmOutput for Pwm {
    fn pulses(&mut self, period_ns: u64, high_ns: u64) -> Result<(), PortError> {
        let mut inner = lock(&self.inner);
        if inner.broken {
            return Err(PortError::new(FaultKind::Bus, "the channel does not answer"));
        }
        // As the kernel says it.
        if period_ns == 0 || high_ns > period_ns {
            return Err(PortError::new(FaultKind::Rejected, "no such pulses (EINVAL)"));
        }
        inner.gives = Some((period_ns, high_ns));
        Ok(())
    }

    fn found(&mut self) -> Result<Option<(u64, u64)>, PortError> {
        let inner = lock(&self.inner);
        if inner.broken {
            return Err(PortError::new(FaultKind::Bus, "the channel does not answer"));
        }
        Ok(inner.gives)
    }
}
