//! What can be read of an IIO device: its types of channels, and their units (sysfs-bus-iio).

use super::{Channel, Fault};
use crate::channel::{Quantity, within};
use crate::options::Input;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;
use std::fmt;
use std::ops::RangeInclusive;

/// A type of channels.
#[derive(Debug)]
struct Type {
    /// What the names of its channels begin with.
    name: &'static str,
    /// What a channel is called if it is given no name.
    word: &'static str,
    /// One of the kernel's unit, which values have after offset and scale, is so many of the channel's.
    factor: f64,
    quantity: Quantity,
    /// What can be at all: what the part can measure is the kernel's to know.
    range: RangeInclusive<f64>,
}

/// A unit that Home Assistant has no device class for.
const fn plain(unit: &'static str, precision: u8) -> Quantity {
    Quantity { unit: Some(unit), device_class: None, state_class: Some("measurement"), precision }
}

/// A number without a unit.
const BARE: Quantity = Quantity { unit: None, device_class: None, state_class: Some("measurement"), precision: 3 };
const CONDUCTIVITY: Quantity = Quantity { device_class: Some("conductivity"), ..plain("µS/cm", 1) };
const DISTANCE: Quantity = Quantity { device_class: Some("distance"), ..plain("m", 3) };
/// ppm of a gas in the air: the kernel's unit is a percent.
const CO2: Quantity = Quantity::CARBON_DIOXIDE;

/// All types; of two that a name begins with, the longer one is first.
const TYPES: [Type; 21] = [
    // m°C
    Type { name: "temp", word: "temperature", factor: 1e-3, quantity: Quantity::TEMPERATURE, range: -273.15..=2_000.0 },
    // thousandths of a percent
    Type { name: "humidityrelative", word: "humidity", factor: 1e-3, quantity: Quantity::HUMIDITY, range: 0.0..=100.0 },
    // kPa
    Type { name: "pressure", word: "pressure", factor: 10.0, quantity: Quantity::PRESSURE, range: 0.0..=100_000.0 },
    // mV
    Type { name: "voltage", word: "voltage", factor: 1e-3, quantity: Quantity::VOLTAGE, range: -1_000.0..=1_000.0 },
    // mA
    Type { name: "current", word: "current", factor: 1e-3, quantity: Quantity::CURRENT, range: -1_000.0..=1_000.0 },
    // mW
    Type { name: "power", word: "power", factor: 1e-3, quantity: Quantity::POWER, range: -100_000.0..=100_000.0 },
    // lx
    Type { name: "illuminance", word: "illuminance", factor: 1.0, quantity: Quantity::ILLUMINANCE, range: 0.0..=1e6 },
    Type { name: "intensity", word: "intensity", factor: 1.0, quantity: BARE, range: 0.0..=1e9 },
    Type { name: "proximity", word: "proximity", factor: 1.0, quantity: BARE, range: -1e9..=1e9 },
    // m
    Type { name: "distance", word: "distance", factor: 1.0, quantity: DISTANCE, range: 0.0..=100_000.0 },
    // m/s², rad/s
    Type { name: "accel", word: "acceleration", factor: 1.0, quantity: plain("m/s²", 4), range: -10_000.0..=10_000.0 },
    Type { name: "anglvel", word: "rotation", factor: 1.0, quantity: plain("rad/s", 4), range: -1_000.0..=1_000.0 },
    // rad
    Type { name: "angl", word: "angle", factor: 1.0, quantity: plain("rad", 4), range: -1_000.0..=1_000.0 },
    // Gauss
    Type { name: "magn", word: "magnetic_field", factor: 100.0, quantity: plain("µT", 2), range: -1e7..=1e7 },
    // percent
    Type { name: "concentration_co2", word: "co2", factor: 1e4, quantity: CO2, range: 0.0..=1_000_000.0 },
    Type { name: "concentration", word: "concentration", factor: 1.0, quantity: plain("%", 6), range: 0.0..=100.0 },
    Type { name: "ph", word: "ph", factor: 1.0, quantity: BARE, range: 0.0..=14.0 },
    // S/m
    Type {
        name: "electricalconductivity",
        word: "conductivity",
        factor: 1e4,
        quantity: CONDUCTIVITY,
        range: 0.0..=1e9,
    },
    // Ω, nF
    Type { name: "resistance", word: "resistance", factor: 1.0, quantity: plain("Ω", 2), range: 0.0..=1e12 },
    Type { name: "capacitance", word: "capacitance", factor: 1.0, quantity: plain("nF", 4), range: 0.0..=1e9 },
    Type { name: "count", word: "count", factor: 1.0, quantity: BARE, range: -1e12..=1e12 },
];

/// A channel of a device, as its files are called: `voltage0`, `accel_x`, `voltage0-voltage1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source(Cow<'static, str>);

impl Source {
    /// The only temperature.
    pub const TEMPERATURE: Self = Self(Cow::Borrowed("temp"));

    /// Reads one; `None` if `text` is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
        let sound = text.len() <= 64 && text.chars().all(fine) && !text.ends_with(['_', '-']);
        let source = Self(text.to_owned().into());
        // A name that ends as the files of another channel do would be read as that.
        let ends = ["_raw", "_input", "_scale", "_offset"].iter().any(|end| text.ends_with(end));
        (sound && !ends && source.rest().is_some()).then_some(source)
    }

    /// Its type, and the rest of its name.
    fn rest(&self) -> Option<(&'static Type, &str)> {
        let begins = |kind: &'static Type| Some((kind, self.0.strip_prefix(kind.name)?));
        let is_end = |rest: &str| !rest.starts_with(|c: char| c.is_ascii_lowercase());
        TYPES.iter().filter_map(begins).find(|(_, rest)| is_end(rest))
    }

    fn kind(&self) -> &'static Type {
        // All that exist have a type.
        self.rest().map_or(&TYPES[0], |(kind, _)| kind)
    }

    /// Whether its values mean nothing without a scale.
    pub(super) fn has_unit(&self) -> bool {
        self.kind().quantity.unit.is_some()
    }

    /// The files that may say something (`scale`, `offset`) of it: its own first, then those that it shares with others of its
    /// type, then those of all channels.
    pub(super) fn shared(&self, end: &str) -> Vec<String> {
        let mut files = vec![format!("in_{}_{end}", self.0)];
        // Its type: `voltage`, `voltage-voltage`, `accel`, `temp_ambient` of `temp_ambient0`.
        let letters = |text: &str| text.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned();
        let plain: Vec<String> = self.0.split('-').map(letters).collect();
        files.push(format!("in_{}_{end}", plain.join("-")));
        let mut base = self.0.as_ref();
        while let Some((shorter, _)) = base.rsplit_once('_') {
            files.push(format!("in_{shorter}_{end}"));
            files.push(format!("in_{}_{end}", letters(shorter)));
            base = shorter;
        }
        files.extend([format!("in_{}_{end}", self.kind().name), format!("in_{end}"), end.to_owned()]);
        files.dedup();
        files
    }

    /// Its channel, by this name.
    pub(super) fn channel(&self, name: &str) -> Channel {
        let kind = self.kind();
        Channel::number(name.to_owned(), kind.quantity, kind.range.clone())
    }

    /// A value in the channel's unit, from one in the kernel's.
    pub(super) fn value(&self, number: f64) -> Result<f64, Fault> {
        let kind = self.kind();
        let unit = kind.quantity.unit.map(|unit| format!(" in {unit}")).unwrap_or_default();
        within(number * kind.factor, &kind.range, &format!("{}{unit}", self.0))
    }

    /// A value in the kernel's unit, from one in the channel's: the back door of the model.
    pub(super) fn kernel_value(&self, value: f64) -> f64 {
        value / self.kind().factor
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Input for Source {
    const LIST: &'static str = "[temp, voltage0]";

    /// `temperature`, `voltage0`, `acceleration_x`, `voltage0_voltage1`.
    fn name(&self) -> String {
        let (kind, rest) = self.rest().unwrap_or((&TYPES[0], ""));
        format!("{}{}", kind.word, rest.replace('-', "_"))
    }
}

/// What the reader says that it expected.
struct Expected;

impl de::Expected for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = TYPES.iter().map(|kind| kind.name).collect();
        write!(f, "a channel such as `temp`, `voltage0` or `accel_x`, of one of the types {}", names.join(", "))
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::invalid_value(de::Unexpected::Str(&text), &Expected))
    }
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Source {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Source".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<_> = TYPES.iter().map(|kind| kind.name).collect();
        json_schema!({
            "type": "string",
            "pattern": format!("^({})([0-9_-][a-z0-9_-]*)?$", names.join("|")),
            "examples": ["temp", "voltage0", "accel_x"],
        })
    }
}
