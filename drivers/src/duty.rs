//! A PWM channel as a part of a whole: what lamps, fans and motors are driven by.

use crate::fault::{Fault, FaultKind};
use crate::options::Frequency;
use crate::port::PwmOutput;

/// How far what is read back may be from what was asked for, of 1: hardware counts in steps.
const STEP: f64 = 0.01;

/// Parts that differ by less are the same: a period has at least a thousand steps.
pub const SAME: f64 = 1e-3;

/// A channel with a frequency.
pub struct Duty<P> {
    channel: P,
    period_ns: u64,
    /// Whether what is on the channel is driven while it is low.
    invert: bool,
}

impl<P: PwmOutput> Duty<P> {
    /// On `channel`, which is not touched.
    pub fn new(channel: P, frequency: Frequency, invert: bool) -> Self {
        Self { channel, period_ns: period(frequency), invert }
    }

    /// Drives it for this part of the time, 0 to 1.
    ///
    /// # Errors
    /// When the channel fails, or gives something else.
    pub fn set(&mut self, part: f64) -> Result<(), Fault> {
        let high = if self.invert { 1.0 - part } else { part };
        // Between 0 and a period.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let high_ns = (self.period_ns as f64 * high.clamp(0.0, 1.0)).round() as u64;
        self.channel.pulses(self.period_ns, high_ns)?;
        match self.found()? {
            Some(found) if (found - part).abs() <= STEP => Ok(()),
            Some(found) => {
                let message = format!("the channel gives {:.1} % after it was set to {:.1} %", found * 1e2, part * 1e2);
                Err(Fault::new(FaultKind::Bus, message))
            }
            None => Err(Fault::new(FaultKind::Bus, "the channel was turned off while it was set")),
        }
    }

    /// The part of the time for which it is driven now, 0 to 1; `None` if it gives nothing.
    ///
    /// # Errors
    /// When the channel fails.
    pub fn found(&mut self) -> Result<Option<f64>, Fault> {
        let Some((period, high)) = self.channel.found()? else { return Ok(None) };
        #[allow(clippy::cast_precision_loss)] // a period is far from 2^53 ns
        let part = if period == 0 { 0.0 } else { high as f64 / period as f64 };
        Ok(Some(if self.invert { 1.0 - part } else { part }))
    }
}

/// The period of a frequency in ns: 1 ns to 10 s.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // just limited
fn period(frequency: Frequency) -> u64 {
    (1e9 / frequency.0).round().clamp(1.0, 1e10) as u64
}

/// A level in % as people see it: with one decimal, and not 0 unless it is.
#[must_use]
pub fn shown(level: f64) -> f64 {
    // Less is the noise of the arithmetic.
    let least = if level > 1e-6 { 0.1 } else { 0.0 };
    ((level * 10.0).round() / 10.0).max(least)
}
