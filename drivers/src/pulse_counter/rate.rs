//! How fast pulses come, from their own times: also where there is less than one from report to report.

use std::time::{Duration, SystemTime};

/// Less than this, or than two intervals, may be no more than the time that it takes to hear of a pulse.
const LATE: Duration = Duration::from_secs(1);

/// A rate of pulses.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// Without a pulse for so long, there is no rate.
    still: Duration,
    /// The last pulse that an earlier report has seen.
    before: Option<SystemTime>,
    /// The first and the last pulse since that report, and how many there were from the first to the last.
    since: Option<(SystemTime, SystemTime, u64)>,
    /// Pulses in a second, as they came last.
    hertz: f64,
}

impl Rate {
    /// A rate that is 0 after `still` without a pulse.
    #[must_use]
    pub fn new(still: Duration) -> Self {
        Self { still, before: None, since: None, hertz: 0.0 }
    }

    /// So many pulses up to `time`.
    pub fn pulses(&mut self, count: u64, time: SystemTime) {
        self.since = Some(match self.since {
            Some((first, _, intervals)) => (first, time, intervals + count),
            // Those that were lost before it came at unknown times after the last one.
            None => (time, time, count - 1),
        });
    }

    /// Pulses in a second, at `time`.
    ///
    /// From the first pulse since the last report to the last one; from one before it if there is a single one. Without a
    /// pulse the rate falls: a pulse in as long as there was none is the most that it can be.
    pub fn hertz(&mut self, time: SystemTime) -> f64 {
        if let Some((first, last, intervals)) = self.since.take() {
            let found = match self.before {
                _ if last > first => over(intervals, first, last),
                Some(before) => over(intervals + 1, before, last),
                None => Some(0.0),
            };
            // A clock that was set meanwhile leaves the rate as it was.
            self.hertz = found.unwrap_or(self.hertz);
            self.before = Some(last);
        }
        let Some(silent) = self.before.and_then(|last| time.duration_since(last).ok()) else { return self.hertz };
        if silent >= self.still {
            (self.hertz, self.before) = (0.0, None);
        } else if silent > LATE && silent.as_secs_f64() * self.hertz > 2.0 {
            self.hertz = silent.as_secs_f64().recip();
        }
        self.hertz
    }
}

/// `None` if the times are not in order.
#[allow(clippy::cast_precision_loss)] // none below 2^53
fn over(intervals: u64, from: SystemTime, to: SystemTime) -> Option<f64> {
    let time = to.duration_since(from).ok().filter(|time| !time.is_zero())?;
    Some(intervals as f64 / time.as_secs_f64())
}
