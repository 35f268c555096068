//! Wall-clock time, and how it is written: RFC 3339 in UTC with milliseconds.

use jiff::Timestamp;
use std::path::Path;
use std::time::SystemTime;

/// `2026-11-22T10:00:00.123Z`. A time outside of the years -9999 to 9999, which no clock has, becomes 1970.
#[must_use]
pub fn rfc3339(time: SystemTime) -> String {
    format!("{:.3}", Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH))
}

/// Reads a time in RFC 3339 with any offset.
#[must_use]
pub fn parse(text: &str) -> Option<SystemTime> {
    text.parse::<Timestamp>().ok().map(SystemTime::from)
}

/// Whether somebody keeps the clock right: systemd-timesyncd says so, or the kernel was told. `root` is where `/` is.
#[must_use]
pub fn is_synchronized(root: &Path) -> bool {
    if root.join("run/systemd/timesync/synchronized").exists() {
        return true;
    }
    // SAFETY: all zeros is a timex that asks for nothing to be changed.
    let mut state: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a timex of ours.
    let result = unsafe { libc::adjtimex(&raw mut state) };
    result >= 0 && result != libc::TIME_ERROR && state.status & libc::STA_UNSYNC == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn writes_milliseconds_and_reads_offsets() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_341_600_007);
        assert_eq!(rfc3339(time), "2026-11-22T10:00:00.007Z");
        assert_eq!(parse("2026-11-22T11:00:00.007+01:00"), Some(time));
        assert_eq!(parse("yesterday"), None);
    }
}
