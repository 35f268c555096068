//! Commands as they arrive: from a payload to something that can be decided upon.

use halyard_drivers::options::Span;
use halyard_drivers::{Control, Value};
use serde_json::{Map, Value as Json};
use std::time::{Duration, SystemTime};

/// Longest payload that is looked at, in bytes.
const LONGEST_PAYLOAD: usize = 4096;
/// Longest `id`, in bytes.
const LONGEST_ID: usize = 128;
/// Longest `for` and `ttl`.
const LONGEST_SPAN: Duration = Duration::from_secs(7 * 24 * 3600);

/// What a value can be.
const KNOWN: &str = "ON, OFF, TOGGLE, OPEN, CLOSE, STOP or a number";

/// A command that was understood; whether it is carried out is the gate's decision.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// The sender's id of it: answered with, and never carried out twice.
    pub id: Option<String>,
    /// What is asked for.
    pub value: Wanted,
    /// For how long, after which the state before returns.
    pub pulse: Option<Duration>,
    /// When it ceases to be valid.
    pub expires: Option<SystemTime>,
}

/// What an actuator takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Words and numbers.
    Words,
    /// Text: `ON` and `12.50` are no more than that.
    Text,
}

impl Takes {
    /// What can be asked of such an actuator.
    #[must_use]
    pub fn of(control: &Control) -> Self {
        if matches!(control, Control::Text(_)) { Self::Text } else { Self::Words }
    }
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Wanted {
    /// This.
    Value(Value),
    /// The other of on and off.
    Toggle,
    /// Wherever open is.
    Open,
    /// Wherever closed is.
    Close,
    /// That it stops where it is.
    Stop,
}

/// Why a command was not carried out: the contract's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Not a command at all.
    Malformed,
    /// A value that this actuator does not know.
    UnknownValue,
    /// A number outside of the actuator's range.
    OutOfRange,
    /// A retained message: nobody knows how old it is.
    Retained,
    /// Past its `ttl`.
    Expired,
    /// Its `id` was seen in the last ten minutes.
    Duplicate,
    /// Another actuator that must not be on together with this one is on, may be, or went off a moment ago.
    Interlock,
    /// Not now: too many commands, a rest, a controller that is not heard, or an agent that stops.
    Busy,
    /// The write failed.
    Hardware,
}

impl Reason {
    /// The word in the result.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownValue => "unknown-value",
            Self::OutOfRange => "out-of-range",
            Self::Retained => "retained",
            Self::Expired => "expired",
            Self::Duplicate => "duplicate",
            Self::Interlock => "interlock",
            Self::Busy => "busy",
            Self::Hardware => "hardware",
        }
    }
}

/// A refusal.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// The command's id, if that much could be read.
    pub id: Option<String>,
    /// Why, for programs.
    pub reason: Reason,
    /// Why, for people.
    pub message: String,
}

/// Reads a payload: `ON`, `OFF`, `TOGGLE`, `OPEN`, `CLOSE`, `STOP`, a number, or the JSON form. Where text is taken, whatever is
/// not the JSON form is text, without the line end at its end, which shells put there.
///
/// # Errors
/// A [`Refusal`] as `malformed` or `unknown-value`.
pub fn parse(payload: &[u8], takes: Takes, now: SystemTime) -> Result<Command, Refusal> {
    let refuse = |reason, message: String| Refusal { id: None, reason, message };
    if payload.len() > LONGEST_PAYLOAD {
        let message = format!("{} bytes are too many; at most {LONGEST_PAYLOAD} are read", payload.len());
        return Err(refuse(Reason::Malformed, message));
    }
    let Ok(text) = std::str::from_utf8(payload) else {
        return Err(refuse(Reason::Malformed, "not UTF-8".into()));
    };
    let trimmed = text.trim_ascii();
    // A text may be blanks, and begin with a quotation mark.
    let is_json = match takes {
        Takes::Words => trimmed.starts_with(['{', '[', '"']),
        Takes::Text => trimmed.starts_with('{'),
    };
    let text = match takes {
        Takes::Text if !is_json => text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line)),
        _ => trimmed,
    };
    if text.is_empty() {
        return Err(refuse(Reason::Malformed, "empty".into()));
    }
    if is_json {
        return match serde_json::from_str(text) {
            Ok(Json::Object(map)) => from_json(&map, takes, now),
            Ok(_) => Err(refuse(Reason::Malformed, "a JSON object was expected".into())),
            Err(error) => Err(refuse(Reason::Malformed, format!("not JSON: {error}"))),
        };
    }
    let value = wanted(text, takes).map_err(|message| refuse(Reason::UnknownValue, message))?;
    Ok(Command { id: None, value, pulse: None, expires: None })
}

fn from_json(map: &Map<String, Json>, takes: Takes, now: SystemTime) -> Result<Command, Refusal> {
    let id = match map.get("id") {
        None | Some(Json::Null) => None,
        Some(Json::String(id)) if id.len() <= LONGEST_ID => Some(id.clone()),
        Some(Json::String(_)) => {
            let message = format!("`id` is longer than {LONGEST_ID} bytes");
            return Err(Refusal { id: None, reason: Reason::Malformed, message });
        }
        Some(_) => {
            return Err(Refusal { id: None, reason: Reason::Malformed, message: "`id` must be a text".into() });
        }
    };
    let refuse = |reason, message: String| Refusal { id: id.clone(), reason, message };
    let malformed = |message: String| refuse(Reason::Malformed, message);
    if let Some(key) = map.keys().find(|key| !["id", "value", "for", "ttl", "time"].contains(&key.as_str())) {
        let key: String = key.chars().take(64).collect();
        return Err(malformed(format!("unknown key {key:?}; there are id, value, for, ttl, time")));
    }
    let value = match map.get("value") {
        None => return Err(malformed("`value` is missing".into())),
        Some(Json::String(text)) => wanted(text, takes),
        Some(Json::Number(number)) => wanted(&number.to_string(), takes),
        Some(_) if takes == Takes::Text => Err("`value` must be a text".to_owned()),
        Some(_) => Err(format!("`value` must be {KNOWN}")),
    }
    .map_err(|message| refuse(Reason::UnknownValue, message))?;
    let span = |key: &str| match map.get(key) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => match Span::parse(text) {
            Some(Span(span)) if span.is_zero() => Err(malformed(format!("`{key}` must be longer than 0"))),
            Some(Span(span)) if span > LONGEST_SPAN => Err(malformed(format!("`{key}` is longer than seven days"))),
            Some(Span(span)) => Ok(Some(span)),
            None => Err(malformed(format!("`{key}` must be a duration such as \"5s\""))),
        },
        Some(_) => Err(malformed(format!("`{key}` must be a duration such as \"5s\""))),
    };
    let sent = match map.get("time") {
        None | Some(Json::Null) => now,
        Some(Json::String(text)) => crate::time::parse(text)
            .ok_or_else(|| malformed("`time` must be a time such as \"2026-11-22T10:00:00Z\"".into()))?,
        Some(_) => return Err(malformed("`time` must be a text".into())),
    };
    let expires = match span("ttl")? {
        None => None,
        Some(ttl) => Some(sent.checked_add(ttl).ok_or_else(|| malformed("`time` is out of range".into()))?),
    };
    let pulse = span("for")?;
    Ok(Command { id, value, pulse, expires })
}

/// Reads a value as it stands in a payload or on a command line.
///
/// # Errors
/// What was expected.
pub fn wanted(text: &str, takes: Takes) -> Result<Wanted, String> {
    Ok(match text {
        _ if takes == Takes::Text => Wanted::Value(Value::Text(text.to_owned())),
        "ON" => Wanted::Value(Value::Switch(true)),
        "OFF" => Wanted::Value(Value::Switch(false)),
        "TOGGLE" => Wanted::Toggle,
        "OPEN" => Wanted::Open,
        "CLOSE" => Wanted::Close,
        "STOP" => Wanted::Stop,
        _ => match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Wanted::Value(Value::Number(number)),
            _ => {
                let shown: String = text.chars().take(32).collect();
                return Err(format!("{shown:?} is not {KNOWN}"));
            }
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn plain(value: Wanted) -> Command {
        Command { id: None, value, pulse: None, expires: None }
    }

    #[test]
    fn reads_plain_values() {
        let on = Wanted::Value(Value::Switch(true));
        assert_eq!(parse(b"ON", Takes::Words, at(0)), Ok(plain(on.clone())));
        assert_eq!(parse(b" ON\n", Takes::Words, at(0)), Ok(plain(on)));
        assert_eq!(parse(b"TOGGLE", Takes::Words, at(0)), Ok(plain(Wanted::Toggle)));
        assert_eq!(parse(b"STOP", Takes::Words, at(0)), Ok(plain(Wanted::Stop)));
        assert_eq!(parse(b"-12.5", Takes::Words, at(0)), Ok(plain(Wanted::Value(Value::Number(-12.5)))));
    }

    #[test]
    fn reads_the_json_form() {
        let payload = br#"{"id":"7f3","value":"ON","for":"2s","ttl":"5s","time":"1970-01-01T00:01:40Z"}"#;
        let command = Command {
            id: Some("7f3".into()),
            value: Wanted::Value(Value::Switch(true)),
            pulse: Some(Duration::from_secs(2)),
            expires: Some(at(105)),
        };
        assert_eq!(parse(payload, Takes::Words, at(0)), Ok(command));
        // Without `time`, `ttl` counts from the arrival.
        assert_eq!(
            parse(br#"{"value":1,"ttl":"5s"}"#, Takes::Words, at(7)).map(|command| command.expires),
            Ok(Some(at(12)))
        );
    }

    #[test]
    fn refuses_with_the_right_reason() {
        use Reason::{Malformed, UnknownValue};
        let deep = format!("{{\"value\":{}{}}}", "[".repeat(1000), "]".repeat(1000));
        let long = format!("{{\"id\":\"{}\",\"value\":\"ON\"}}", "x".repeat(129));
        let huge = vec![b' '; LONGEST_PAYLOAD + 1];
        let table: &[(&[u8], Reason, Option<&str>)] = &[
            (b"", Malformed, None),
            (b"  ", Malformed, None),
            (b"\xff\xfe", Malformed, None),
            (b"\0", UnknownValue, None),
            (b"BLINK", UnknownValue, None),
            (b"on", UnknownValue, None),
            (b"nan", UnknownValue, None),
            (b"inf", UnknownValue, None),
            (b"1e999", UnknownValue, None),
            (b"{", Malformed, None),
            (b"[]", Malformed, None),
            (b"\"ON\"", Malformed, None),
            (b"{}", Malformed, None),
            (br#"{"id":"a"}"#, Malformed, Some("a")),
            (br#"{"id":7,"value":"ON"}"#, Malformed, None),
            (br#"{"id":"a","value":true}"#, UnknownValue, Some("a")),
            (br#"{"id":"a","value":"on"}"#, UnknownValue, Some("a")),
            (br#"{"id":"a","value":"ON","four":"2s"}"#, Malformed, Some("a")),
            (br#"{"id":"a","value":"ON","for":2}"#, Malformed, Some("a")),
            (br#"{"id":"a","value":"ON","for":"0s"}"#, Malformed, Some("a")),
            (br#"{"id":"a","value":"ON","for":"-1s"}"#, Malformed, Some("a")),
            (br#"{"id":"a","value":"ON","for":"999h"}"#, Malformed, Some("a")),
            (br#"{"id":"a","value":"ON","ttl":"x"}"#, Malformed, Some("a")),
            (br#"{"id":"a","value":"ON","time":"now"}"#, Malformed, Some("a")),
            (deep.as_bytes(), Malformed, None),
            (long.as_bytes(), Malformed, None),
            (&huge, Malformed, None),
        ];
        for (payload, reason, id) in table {
            let shown = String::from_utf8_lossy(payload).chars().take(60).collect::<String>();
            let refusal = parse(payload, Takes::Words, at(0)).expect_err(&shown);
            assert_eq!((refusal.reason, refusal.id.as_deref()), (*reason, *id), "{shown}");
        }
    }

    /// What is a word or a number to others.
    #[test]
    fn to_who_takes_text_everything_is_text() {
        let text = |text: &str| Ok(plain(Wanted::Value(Value::Text(text.into()))));
        for (payload, expected) in [
            ("ON", "ON"),
            ("TOGGLE", "TOGGLE"),
            ("012.50", "012.50"),
            ("  two words ", "  two words "),
            ("\"quoted\"", "\"quoted\""),
            ("[1]", "[1]"),
            (" ", " "),
            ("line\n", "line"),
            ("line\r\n", "line"),
            ("line\n\n", "line\n"),
            ("nan", "nan"),
            (r#"{"value":"ON"}"#, "ON"),
            (r#" {"value":" a\nb"}"#, " a\nb"),
            (r#"{"value":7}"#, "7"),
            (r#"{"value":""}"#, ""),
        ] {
            assert_eq!(parse(payload.as_bytes(), Takes::Text, at(0)), text(expected), "{payload}");
        }
        let reason = |payload: &str| parse(payload.as_bytes(), Takes::Text, at(0)).unwrap_err().reason;
        // What was meant for the JSON form is never written as it is.
        for payload in ["", "\n", "{", "{hello}", r#"{"value":"x""#, r#"{"text":"x"}"#] {
            assert_eq!(reason(payload), Reason::Malformed, "{payload}");
        }
        for payload in [r#"{"value":true}"#, r#"{"value":["x"]}"#, r#"{"value":null}"#] {
            assert_eq!(reason(payload), Reason::UnknownValue, "{payload}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(payload in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let _ = (parse(&payload, Takes::Words, at(0)), parse(&payload, Takes::Text, at(0)));
        }
    }
}
