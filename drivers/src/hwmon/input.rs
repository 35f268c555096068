//! What can be read of an hwmon device.

use super::{Channel, Fault, Quantity, Value, within};
use crate::options::Input;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;
use std::fmt;
use std::ops::RangeInclusive;

/// A sort of reading (sysfs-class-hwmon).
#[derive(Debug)]
struct Sort {
    /// What the names of its files begin with.
    prefix: &'static str,
    /// One of these in the file is so many of the channel's unit.
    factor: f64,
    quantity: Quantity,
    range: RangeInclusive<f64>,
}

const fn plain(unit: &'static str) -> Quantity {
    Quantity { unit: Some(unit), device_class: None, state_class: Some("measurement"), precision: 0 }
}

/// Wh that were used: they only become more.
const ENERGY: Quantity =
    Quantity { unit: Some("Wh"), device_class: Some("energy"), state_class: Some("total_increasing"), precision: 3 };

/// All sorts: m°C, mV, mA, µW, µJ, revolutions in a minute, thousandths of a percent. The ranges are what can be at all.
const SORTS: [Sort; 7] = [
    Sort { prefix: "temp", factor: 1e-3, quantity: Quantity::TEMPERATURE, range: -273.15..=2_000.0 },
    Sort { prefix: "in", factor: 1e-3, quantity: Quantity::VOLTAGE, range: -1_000.0..=1_000.0 },
    Sort { prefix: "fan", factor: 1.0, quantity: plain("rpm"), range: 0.0..=100_000.0 },
    Sort { prefix: "curr", factor: 1e-3, quantity: Quantity::CURRENT, range: -1_000.0..=1_000.0 },
    Sort { prefix: "power", factor: 1e-6, quantity: Quantity::POWER, range: -100_000.0..=100_000.0 },
    Sort { prefix: "energy", factor: 1.0 / 3.6e9, quantity: ENERGY, range: 0.0..=1e9 },
    Sort { prefix: "humidity", factor: 1e-3, quantity: Quantity::HUMIDITY, range: 0.0..=100.0 },
];

/// One thing to read: `temp1`, `in0_lcrit_alarm`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading(Cow<'static, str>);

impl Reading {
    /// The first temperature.
    pub const TEMP1: Self = Self(Cow::Borrowed("temp1"));

    /// Reads one; `None` if `text` is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (number, alarm) = match text.split_once('_') {
            Some((number, alarm)) => (number, Some(alarm)),
            None => (text, None),
        };
        let is_number = SORTS.iter().any(|sort| number.strip_prefix(sort.prefix).is_some_and(is_number));
        let letters = |alarm: &str| alarm.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        let is_alarm = alarm.is_none_or(|alarm| (alarm == "alarm" || alarm.ends_with("_alarm")) && letters(alarm));
        (is_number && is_alarm).then(|| Self(text.to_owned().into()))
    }

    pub(super) fn is_alarm(&self) -> bool {
        self.0.ends_with("_alarm")
    }

    fn sort(&self) -> Option<&'static Sort> {
        SORTS.iter().find(|sort| {
            self.0.strip_prefix(sort.prefix).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        })
    }

    /// The names of the files that may have it, best first.
    pub(super) fn files(&self) -> Vec<String> {
        if self.is_alarm() {
            return vec![self.0.to_string()];
        }
        // Some parts only know the power of the last while.
        ["input", "average"].map(|end| format!("{}_{end}", self.0)).to_vec()
    }

    /// The name of the file that says whether the sensor is bad.
    pub(super) fn fault(&self) -> Option<String> {
        (!self.is_alarm()).then(|| format!("{}_fault", self.0))
    }

    /// Its channel, by this name.
    pub(super) fn channel(&self, name: &str) -> Channel {
        match self.sort() {
            Some(sort) if !self.is_alarm() => Channel::number(name.to_owned(), sort.quantity, sort.range.clone()),
            _ => Channel::switch(name.to_owned(), Quantity { device_class: Some("problem"), ..Quantity::STATE }),
        }
    }

    /// What the number in its file means.
    pub(super) fn value(&self, number: f64) -> Result<Value, Fault> {
        match self.sort() {
            Some(sort) if !self.is_alarm() => within(
                number * sort.factor,
                &sort.range,
                &format!("{} of {}", sort.prefix, sort.quantity.unit.unwrap_or_default()),
            )
            .map(Value::Number),
            _ if number == 0.0 || number == 1.0 => Ok(Value::Switch(number == 1.0)),
            _ => Err(Fault::corrupt(format!("an alarm is 0 or 1, not {number}"))),
        }
    }

    /// What its file holds for a value: the back door of the model.
    pub(super) fn text(&self, value: f64) -> String {
        match self.sort() {
            Some(sort) if !self.is_alarm() => format!("{:.0}\n", value / sort.factor),
            _ => format!("{value:.0}\n"),
        }
    }
}

/// What follows the kind of a file: a number.
fn is_number(text: &str) -> bool {
    (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Input for Reading {
    const LIST: &'static str = "[temp1, fan1]";

    fn name(&self) -> String {
        self.0.to_string()
    }
}

const EXPECTED: &str =
    "a reading such as `temp1`, `in0`, `fan1`, `curr1`, `power1`, `energy1`, `humidity1` or `temp1_crit_alarm`";

impl<'de> Deserialize<'de> for Reading {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::invalid_value(de::Unexpected::Str(&text), &EXPECTED))
    }
}

impl Serialize for Reading {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Reading {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Reading".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^(temp|in|fan|curr|power|energy|humidity)[0-9]{1,3}(_([a-z_]+_)?alarm)?$",
            "examples": ["temp1", "in0", "fan1"],
        })
    }
}
