//! The option `pattern`: a regular expression whose named groups are channels.

use crate::fault::Fault;
use crate::options::node::quote;
use crate::sensor::Sample;
use regex_lite::{Regex, RegexBuilder};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error};
use serde::{Serialize, Serializer};
use std::borrow::Cow;

/// The first number of a line.
const FIRST_NUMBER: &str = r"(?<value>[-+]?[0-9]+(\.[0-9]+)?)";
/// Bytes of a pattern.
const LONGEST: usize = 1000;
/// Bytes that a compiled pattern may take. Matching takes time in proportion to the line, whatever the pattern is.
const LARGEST: usize = 1 << 20;
/// Levels of groups in groups.
const DEEPEST: u32 = 50;

/// A regular expression with at least one named group.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

impl Pattern {
    /// Compiles one.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("a pattern has {LONGEST} bytes at most"));
        }
        let regex = RegexBuilder::new(text).size_limit(LARGEST).nest_limit(DEEPEST).build();
        let regex = regex.map_err(|error| match error.to_string() {
            error if error.contains("size limit") => "the pattern is too large: it repeats too much".to_owned(),
            error => format!("no regular expression: {error}"),
        })?;
        let names: Vec<&str> = regex.capture_names().flatten().collect();
        if names.is_empty() {
            return Err("the pattern has no named group, such as `(?<temperature>[-0-9.]+)`".to_owned());
        }
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if let Some(wrong) = names.iter().find(|name| !name.chars().all(good) || **name == "time") {
            let wrong = quote(wrong);
            return Err(format!(
                "a group's name has `a` to `z`, `0` to `9` and `_`, and is not `time`, unlike {wrong}"
            ));
        }
        Ok(Self(regex))
    }

    /// Names of the channels, in the order of the groups.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.capture_names().flatten()
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// What a line says; `None` if it does not match.
    pub fn read(&self, line: &str) -> Option<Result<Sample, Fault>> {
        let groups = self.0.captures(line)?;
        let mut sample = Sample::new(self.names().count());
        for (channel, name) in self.names().enumerate() {
            // A group that is optional is a channel without a value.
            let Some(text) = groups.name(name).map(|group| group.as_str().trim()) else { continue };
            match text.parse::<f64>() {
                Ok(number) if number.is_finite() => sample.number(channel, number),
                _ => {
                    let short: String = text.chars().take(32).collect();
                    return Some(Err(Fault::corrupt(format!("{name} is no number: {}", quote(&short)))));
                }
            }
        }
        Some(Ok(sample))
    }
}

impl Default for Pattern {
    /// The first number of a line is the channel `value`.
    #[allow(clippy::expect_used)] // the tests read every driver's defaults
    fn default() -> Self {
        Self::new(FIRST_NUMBER).expect("a regular expression")
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&text).map_err(D::Error::custom)
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl JsonSchema for Pattern {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Pattern".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "maxLength": LONGEST })
    }
}
