//! Moments that can be told apart by another run of the agent: a clock may have been set since, or may have begun in 1970.

use crate::time::is_synchronized;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

/// A moment, by all clocks that there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Which start of the machine it was; empty if that cannot be told.
    pub boot: String,
    /// Time since that start in milliseconds, sleep included; negative before it.
    pub uptime: i64,
    /// What the clock said.
    pub wall: SystemTime,
    /// Whether somebody kept that clock right.
    pub sure: bool,
}

impl Stamp {
    /// The present.
    #[must_use]
    pub fn now() -> Self {
        Self { sure: is_synchronized(Path::new("/")), ..Self::of_this_run() }
    }

    /// The present for whoever asks before this run of the machine ends: nobody is asked whether the clock is right, which
    /// takes its time.
    #[must_use]
    pub fn of_this_run() -> Self {
        static BOOT: OnceLock<String> = OnceLock::new();
        let boot = BOOT.get_or_init(|| {
            let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
            id.trim().to_owned()
        });
        Self { boot: boot.clone(), uptime: uptime(), wall: SystemTime::now(), sure: false }
    }

    /// When `since` was, if this is when `now` is.
    #[must_use]
    pub fn at(mut self, since: Instant, now: Instant) -> Self {
        let ago = now.saturating_duration_since(since);
        self.uptime = self.uptime.saturating_sub(milliseconds(ago));
        self.wall = self.wall.checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH);
        self
    }

    /// How long before this one `earlier` was, if a clock can tell: the machine's own since it was started, else the wall
    /// clock, if it was right both times.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Option<Duration> {
        if self.boot == earlier.boot && !self.boot.is_empty() {
            return u64::try_from(self.uptime.checked_sub(earlier.uptime)?).ok().map(Duration::from_millis);
        }
        self.wall.duration_since(earlier.wall).ok().filter(|_| self.sure && earlier.sure)
    }
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn uptime() -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec of ours. It cannot fail: Linux has this clock since 2.6.39.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    #[allow(clippy::useless_conversion)] // 32 bits on some machines
    let (seconds, nanoseconds) = (i64::from(time.tv_sec), i64::from(time.tv_nsec));
    seconds.saturating_mul(1000).saturating_add(nanoseconds / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(boot: &str, uptime: i64, wall: u64, sure: bool) -> Stamp {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(wall);
        Stamp { boot: boot.to_owned(), uptime, wall, sure }
    }

    #[test]
    fn believes_no_clock_that_may_be_wrong() {
        const TODAY: u64 = 1_800_000_000;
        let secs = |seconds| Some(Duration::from_secs(seconds));
        let was = stamp("a", 5_000, TODAY, true);
        // Since the same start of the machine the wall clock does not matter.
        assert_eq!(stamp("a", 65_000, 0, false).since(&was), secs(60));
        assert_eq!(stamp("a", 4_000, TODAY + 9, true).since(&was), None, "that was not before");
        assert_eq!(stamp("b", 9_000, TODAY + 60, true).since(&was), secs(60));
        for doubtful in [
            stamp("b", 9_000, 60, true),
            stamp("b", 9_000, 60, false),
            stamp("b", 9_000, TODAY + 60, false),
            stamp("b", 9_000, TODAY - 1, true),
        ] {
            assert_eq!(doubtful.since(&was), None, "{doubtful:?}");
        }
        // What was noted in 1970 says nothing in 2026.
        assert_eq!(stamp("b", 9_000, TODAY, true).since(&stamp("a", 5_000, 60, false)), None);
        assert_eq!(stamp("", 9_000, 60, false).since(&stamp("", 5_000, 0, false)), None, "which start is not known");
    }

    #[test]
    fn goes_back_before_the_start_of_the_machine() {
        let now = Instant::now();
        let then = stamp("a", 5_000, 100, true).at(now.checked_sub(Duration::from_secs(8)).unwrap(), now);
        assert_eq!(then, stamp("a", -3_000, 92, true));
        let first = Stamp::now();
        assert!(Stamp::now().since(&first).is_some_and(|time| time < Duration::from_secs(60)));
    }
}
