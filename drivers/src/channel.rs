//! What a sensor measures: names, units and limits, in the terms of Home Assistant.

use crate::fault::Fault;
use std::borrow::Cow;
use std::ops::RangeInclusive;

/// A kind of measurement, with the terms that Home Assistant has for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantity {
    /// Unit as shown to people: `°C`, `%`, `hPa`, `lx`, `V`; `None` for on/off and plain numbers.
    pub unit: Option<&'static str>,
    /// Home Assistant's device class.
    pub device_class: Option<&'static str>,
    /// Home Assistant's state class: `measurement`, `total_increasing`, …
    pub state_class: Option<&'static str>,
    /// Decimal places worth showing.
    pub precision: u8,
}

impl Quantity {
    pub(crate) const fn measurement(unit: &'static str, device_class: &'static str, precision: u8) -> Self {
        Self { unit: Some(unit), device_class: Some(device_class), state_class: Some("measurement"), precision }
    }

    /// Temperature in °C.
    pub const TEMPERATURE: Self = Self::measurement("°C", "temperature", 2);
    /// Relative humidity in %.
    pub const HUMIDITY: Self = Self::measurement("%", "humidity", 1);
    /// Air pressure in hPa.
    pub const PRESSURE: Self = Self::measurement("hPa", "atmospheric_pressure", 2);
    /// Illuminance in lx.
    pub const ILLUMINANCE: Self = Self::measurement("lx", "illuminance", 1);
    /// Voltage in V.
    pub const VOLTAGE: Self = Self::measurement("V", "voltage", 4);
    /// Electric current in A.
    pub const CURRENT: Self = Self::measurement("A", "current", 4);
    /// Electric power in W.
    pub const POWER: Self = Self::measurement("W", "power", 3);
    /// Carbon dioxide in ppm.
    pub const CARBON_DIOXIDE: Self = Self::measurement("ppm", "carbon_dioxide", 0);
    /// Distance in mm.
    pub const DISTANCE: Self = Self::measurement("mm", "distance", 0);
    /// Acceleration in m/s², for which Home Assistant has no class.
    pub const ACCELERATION: Self = Self { device_class: None, ..Self::measurement("m/s²", "", 3) };
    /// Rate of rotation in °/s, for which Home Assistant has no class.
    pub const ROTATION: Self = Self { device_class: None, ..Self::measurement("°/s", "", 2) };
    /// Plain on or off.
    pub const STATE: Self = Self { unit: None, device_class: None, state_class: None, precision: 0 };
}

/// One value that a sensor gives: a key of its state.
#[derive(Clone, Debug, PartialEq)]
pub struct Channel {
    /// Key in the state's JSON: `temperature`.
    pub name: Cow<'static, str>,
    /// What it is.
    pub quantity: Quantity,
    /// What the part can give, in the channel's unit. A value outside is a fault, never a reading.
    /// `None` for on/off.
    pub range: Option<RangeInclusive<f64>>,
}

impl Channel {
    /// A number within `range`.
    pub fn number(name: impl Into<Cow<'static, str>>, quantity: Quantity, range: RangeInclusive<f64>) -> Self {
        Self { name: name.into(), quantity, range: Some(range) }
    }

    /// An on/off channel.
    pub fn switch(name: impl Into<Cow<'static, str>>, quantity: Quantity) -> Self {
        Self { name: name.into(), quantity, range: None }
    }
}

/// Gives `value` back if the part can measure it; `what` names the quantity in the message.
///
/// # Errors
/// [`FaultKind::Corrupt`](crate::FaultKind::Corrupt) if it is outside of `range`, or not a number.
pub fn within(value: f64, range: &RangeInclusive<f64>, what: &str) -> Result<f64, Fault> {
    if range.contains(&value) {
        return Ok(value);
    }
    let (start, end) = (range.start(), range.end());
    Err(Fault::corrupt(format!("{what} of {value:.2} is outside of what the part can measure, {start} to {end}")))
}
