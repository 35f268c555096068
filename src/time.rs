//! Wall-clock time, and how it is written: RFC 3339 in UTC with milliseconds.

use std::path::Path;
use std::time::{Duration, SystemTime};

/// Seconds in a day.
const DAY: i64 = 86_400;
/// Days in the 400 years after which the calendar repeats.
const CYCLE: i64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH: i64 = 719_468;

/// `2026-11-22T10:00:00.123Z`. A time outside of the years 0 to 9999, which no clock has, becomes 1970.
#[must_use]
pub fn rfc3339(time: SystemTime) -> String {
    let millis = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
        Err(before) => {
            i64::try_from(before.duration().as_nanos().div_ceil(1_000_000)).map_or(i64::MIN, |millis| -millis)
        }
    };
    let (seconds, millis) = (millis.div_euclid(1000), millis.rem_euclid(1000));
    match civil(seconds.div_euclid(DAY)) {
        (year @ 0..=9999, month, day) => {
            let second = seconds.rem_euclid(DAY);
            let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
            format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
        }
        _ => "1970-01-01T00:00:00.000Z".to_owned(),
    }
}

/// Reads a time in RFC 3339 with any offset. A leap second is the second before it.
#[must_use]
pub fn parse(text: &str) -> Option<SystemTime> {
    let mut rest = text;
    let year = number(&mut rest, 4)?;
    let month = after(&mut rest, "-").then(|| number(&mut rest, 2))??;
    let day = after(&mut rest, "-").then(|| number(&mut rest, 2))??;
    let hour = ["T", "t", " "].iter().any(|mark| after(&mut rest, mark)).then(|| number(&mut rest, 2))??;
    let minute = after(&mut rest, ":").then(|| number(&mut rest, 2))??;
    let second = after(&mut rest, ":").then(|| number(&mut rest, 2))??;
    let mut nanos = 0;
    if after(&mut rest, ".") {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (fraction, offset) = rest.split_at(digits);
        nanos = format!("{fraction:0<9}").get(..9)?.parse().ok().filter(|_| digits > 0)?;
        rest = offset;
    }
    let ahead = if rest.eq_ignore_ascii_case("z") {
        0
    } else {
        let sign = if after(&mut rest, "+") {
            1
        } else if after(&mut rest, "-") {
            -1
        } else {
            return None;
        };
        let hours = number(&mut rest, 2)?;
        let minutes = after(&mut rest, ":").then(|| number(&mut rest, 2))??;
        (rest.is_empty() && hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))?
    };
    let days = days(year, month, day);
    // A day that the month does not have is one of the next month.
    if civil(days) != (year, month, day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = days * DAY + hour * 3600 + minute * 60 + second.min(59) - ahead;
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let time =
        if seconds < 0 { SystemTime::UNIX_EPOCH.checked_sub(whole) } else { SystemTime::UNIX_EPOCH.checked_add(whole) };
    time?.checked_add(Duration::from_nanos(nanos))
}

/// Takes a number of so many digits from the beginning.
fn number(text: &mut &str, digits: usize) -> Option<i64> {
    let (number, rest) = text.split_at_checked(digits)?;
    *text = rest;
    number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse().ok())?
}

/// Takes `mark` from the beginning, if it is there.
fn after(text: &mut &str, mark: &str) -> bool {
    let rest = text.strip_prefix(mark);
    *text = rest.unwrap_or(text);
    rest.is_some()
}

/// Year, month and day of a day, counted from 1970. Years begin in March in here: a leap day is the last day of its year, and
/// the months before it have 153 days in every five.
fn civil(days: i64) -> (i64, i64, i64) {
    let (cycle, day) = ((days + EPOCH).div_euclid(CYCLE), (days + EPOCH).rem_euclid(CYCLE));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let year = 400 * cycle + year + i64::from(month >= 10);
    (year, if month < 10 { month + 3 } else { month - 9 }, day)
}

/// The day, counted from 1970, of a year, month and day.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (cycle, year) = (year.div_euclid(400), year.rem_euclid(400));
    cycle * CYCLE + 365 * year + year / 4 - year / 100 + (153 * month + 2) / 5 + day - 1 - EPOCH
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
    use jiff::Timestamp;
    use proptest::prelude::*;

    #[test]
    fn writes_milliseconds_and_reads_offsets() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_341_600_007);
        assert_eq!(rfc3339(time), "2026-11-22T10:00:00.007Z");
        assert_eq!(parse("2026-11-22T11:00:00.007+01:00"), Some(time));
        assert_eq!(parse("2026-11-22t04:30:00.007-05:30"), Some(time));
        assert_eq!(parse("1969-12-31 23:59:60z"), Some(SystemTime::UNIX_EPOCH - Duration::from_secs(1)));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "yesterday",
            "",
            "2026-11-22",
            "2026-11-22T10:00:00",
            "2026-11-22T10:00:00.Z",
            "2026-11-22T10:00:00Z ",
            "2026-11-22T24:00:00Z",
            "2026-11-22T10:60:00Z",
            "2026-11-22T10:00:61Z",
            "2026-02-29T10:00:00Z",
            "2026-00-10T10:00:00Z",
            "2026-13-10T10:00:00Z",
            "2026-11-00T10:00:00Z",
            "2026-11-22T10:00:00+1:00",
            "2026-11-22T10:00:00+01:0é",
            "2026-11-22T10:00:00+24:00",
            "+026-11-22T10:00:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(rfc3339(SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_300_800)), "1970-01-01T00:00:00.000Z");
    }

    proptest! {
        /// From the year 0 to 9999, as another library has it.
        #[test]
        fn all_times_are_written_and_read(seconds in -62_167_219_200_i64..253_402_300_800, nanos in 0..1_000_000_000_i32) {
            let expected = Timestamp::new(seconds, 0).unwrap().checked_add(jiff::SignedDuration::new(0, nanos)).unwrap();
            let time = SystemTime::from(expected);
            prop_assert_eq!(rfc3339(time), format!("{expected:.3}"));
            prop_assert_eq!(parse(&expected.to_string()), Some(time));
        }
    }
}
