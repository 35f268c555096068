//! Wall-clock time as it is written: RFC 3339 in UTC with milliseconds.

use jiff::Timestamp;
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
