//! Channels that the configuration describes, of parts that can be anything: unit, classes, limits.

pub mod classes;

use crate::channel::Quantity;
use classes::{DeviceClass, StateClass};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::{Mutex, PoisonError};

/// Limits of a channel that names none.
const WIDEST: RangeInclusive<f64> = -1e12..=1e12;
/// Most decimal places.
const MOST_PLACES: u8 = 9;

/// What is known of a channel.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Described {
    /// Its unit, such as `°C`: at most 32 bytes.
    pub unit: Option<String>,
    /// What it is to Home Assistant.
    pub device_class: Option<DeviceClass>,
    /// How Home Assistant keeps statistics of it. Default: `measurement`, of counters such as `energy` and `water`
    /// `total_increasing`.
    pub state_class: Option<StateClass>,
    /// Decimal places worth showing, 0 to 9. Default: 2.
    pub precision: Option<u8>,
    /// The lowest number that can be right.
    pub min: Option<f64>,
    /// The highest number that can be right.
    pub max: Option<f64>,
}

impl Described {
    /// As channels have it.
    #[must_use]
    pub fn quantity(&self) -> Quantity {
        let counts = self.device_class.is_some_and(DeviceClass::is_counter);
        let usual = if counts { StateClass::TotalIncreasing } else { StateClass::Measurement };
        Quantity {
            unit: self.unit.as_deref().map(lasting),
            device_class: self.device_class.map(DeviceClass::name),
            state_class: Some(self.state_class.unwrap_or(usual).name()),
            precision: self.precision.unwrap_or(2),
        }
    }

    /// What can be right.
    #[must_use]
    pub fn range(&self) -> RangeInclusive<f64> {
        self.min.unwrap_or(*WIDEST.start())..=self.max.unwrap_or(*WIDEST.end())
    }

    /// What is wrong with it, if anything is.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        if self.unit.as_ref().is_some_and(|unit| unit.is_empty() || unit.len() > 32 || unit.contains(char::is_control))
        {
            return Some("`unit` must be a text of 1 to 32 bytes".to_owned());
        }
        if self.precision.is_some_and(|precision| precision > MOST_PLACES) {
            return Some(format!("`precision` must be from 0 to {MOST_PLACES}"));
        }
        // Home Assistant does not take such a number.
        if let (Some(class), None) = (self.device_class, &self.unit)
            && class.has_unit()
        {
            return Some(format!("`device_class: {}` needs a `unit`", class.name()));
        }
        let range = self.range();
        let inside = WIDEST.contains(range.start()) && WIDEST.contains(range.end());
        (!inside || range.start() >= range.end())
            .then(|| "`min` must be below `max`, both from -1e12 to 1e12".to_owned())
    }
}

/// Units are static, since all but these are. Each text is kept once, for as long as the program runs.
pub(crate) fn lasting(text: &str) -> &'static str {
    static TEXTS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = texts.get(text) {
        return known;
    }
    let text: &'static str = Box::leak(text.to_owned().into_boxed_str());
    texts.insert(text);
    text
}
