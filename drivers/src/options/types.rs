//! Types that options are made of.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// A duration: `250ms`, `10s`, `5m`, `1h`, `1d`; also `1.5s`. At most ten years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// A frequency in Hz: `50Hz`, `1kHz`, `2.5MHz`. More than 0.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Frequency(pub f64);

/// Units of [`Span`] in nanoseconds, smallest first.
const SPAN_UNITS: [(&str, u64); 5] = [
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];
/// Longest [`Span`].
const LONGEST: Duration = Duration::from_secs(3_650 * 86_400);
/// Units of [`Frequency`] in Hz, smallest first.
const FREQUENCY_UNITS: [(&str, f64); 3] = [("Hz", 1.0), ("kHz", 1e3), ("MHz", 1e6)];

impl Span {
    /// Reads one; `None` if `text` is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (number, unit) = split(text)?;
        let unit = SPAN_UNITS.iter().find(|(name, _)| *name == unit)?.1;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        // Ten digits of any unit fit a u128 in nanoseconds; a fraction is exact to the nanosecond.
        if whole.len() > 10 || fraction.len() > 9 {
            return None;
        }
        let scaled: u128 = format!("{whole}{fraction:0<9}").parse().ok()?;
        let nanoseconds = u64::try_from(scaled * u128::from(unit) / 1_000_000_000).ok()?;
        let duration = Duration::from_nanos(nanoseconds);
        (duration <= LONGEST).then_some(Self(duration))
    }
}

impl Frequency {
    /// Reads one; `None` if `text` is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (number, unit) = split(text)?;
        let unit = FREQUENCY_UNITS.iter().find(|(name, _)| *name == unit)?.1;
        let hertz = number.parse::<f64>().ok()? * unit;
        (hertz > 0.0 && hertz.is_finite()).then_some(Self(hertz))
    }
}

/// Splits `1.5kHz` into a decimal number and its unit.
fn split(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(end);
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let fine = match number.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(number),
    };
    fine.then_some((number, unit))
}

impl fmt::Display for Span {
    /// In the largest unit that gives a whole number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanoseconds = self.0.as_nanos();
        for (name, unit) in SPAN_UNITS.iter().rev() {
            let unit = u128::from(*unit);
            if nanoseconds >= unit && nanoseconds.is_multiple_of(unit) {
                return write!(f, "{}{name}", nanoseconds / unit);
            }
        }
        write!(f, "{}ms", self.0.as_secs_f64() * 1e3)
    }
}

impl fmt::Display for Frequency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, unit) =
            FREQUENCY_UNITS.iter().rev().find(|(_, unit)| self.0 >= *unit).unwrap_or(&FREQUENCY_UNITS[0]);
        write!(f, "{}{name}", self.0 / unit)
    }
}

/// What both have in common with serde and schemars.
macro_rules! written_with_unit {
    ($type:ident, $expected:literal, $pattern:literal, [$($example:literal),*], $description:literal) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;

                impl Visitor<'_> for Text {
                    type Value = $type;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expected)
                    }

                    fn visit_str<E: Error>(self, text: &str) -> Result<$type, E> {
                        $type::parse(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
                    }

                    // A number lacks its unit: say so of the value rather than of its type.
                    fn visit_i64<E: Error>(self, number: i64) -> Result<$type, E> {
                        Err(E::invalid_value(Unexpected::Signed(number), &self))
                    }

                    fn visit_f64<E: Error>(self, number: f64) -> Result<$type, E> {
                        Err(E::invalid_value(Unexpected::Float(number), &self))
                    }
                }

                deserializer.deserialize_any(Text)
            }
        }

        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "string", "pattern": $pattern, "examples": [$($example),*], "description": $description
                })
            }
        }
    };
}

written_with_unit!(
    Span,
    "a duration with its unit, such as `250ms`, `10s`, `5m` or `1h`",
    r"^[0-9]{1,10}(\.[0-9]{1,9})?(ms|s|m|h|d)$",
    ["250ms", "10s", "5m", "1h"],
    "A duration with its unit: `250ms`, `10s`, `5m`, `1h`, `1d`."
);
written_with_unit!(
    Frequency,
    "a frequency with its unit, such as `50Hz`, `1kHz` or `2.5MHz`",
    r"^[0-9]+(\.[0-9]+)?(Hz|kHz|MHz)$",
    ["50Hz", "1kHz", "1MHz"],
    "A frequency with its unit: `50Hz`, `1kHz`, `1MHz`."
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, nanoseconds) in [
            ("250ms", 250_000_000_u64),
            ("10s", 10_000_000_000),
            ("1.5s", 1_500_000_000),
            ("0.000000001s", 1),
            ("5m", 300_000_000_000),
            ("1h", 3_600_000_000_000),
            ("1d", 86_400_000_000_000),
            ("0s", 0),
        ] {
            assert_eq!(Span::parse(text), Some(Span(Duration::from_nanos(nanoseconds))), "{text}");
        }
        let wrong = ["", "10", "s", "-1s", "1 s", "1.s", ".5s", "1s ", "1h30m", "1S", "1.5.5s", "3651d", "99999999999ms"];
        for text in wrong {
            assert_eq!(Span::parse(text), None, "{text}");
        }
    }

    #[test]
    fn durations_as_text() {
        for text in ["250ms", "10s", "90s", "5m", "36h", "2d", "1.5ms"] {
            assert_eq!(Span::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn frequencies() {
        for (text, hertz) in [("50Hz", 50.0), ("1kHz", 1e3), ("2.5MHz", 2.5e6), ("0.5Hz", 0.5)] {
            assert_eq!(Frequency::parse(text), Some(Frequency(hertz)));
            assert_eq!(Frequency(hertz).to_string(), text);
        }
        for text in ["50", "0Hz", "1khz", "kHz", "-1Hz", "1e3Hz", "infHz"] {
            assert_eq!(Frequency::parse(text), None, "{text}");
        }
    }
}
