//! What is connected to an analog-to-digital converter: from its voltage to what is measured. The option `scales` of
//! parts that measure voltages.

#[cfg(test)]
mod tests;

use crate::channel::{Channel, Quantity, within};
use crate::described::Described;
use crate::described::classes::DeviceClass;
use crate::fault::Fault;
use crate::options::limits::limited;
use crate::options::node::quote;
use crate::options::read::{alternatives, nearest};
use crate::options::{Node, Report};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// Scales by the names of their channels. A channel without one is the voltage in V.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Scales(BTreeMap<String, Scale>);

/// What a channel's voltage comes from.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// A voltage divider: the channel is the voltage before it.
    Divider(Divider),
    /// A thermistor (NTC) with a resistor in series: the channel is its temperature in °C.
    Thermistor(Thermistor),
    /// A transmitter of 4 to 20 mA whose current flows through a resistor: the channel is what it measures.
    CurrentLoop(CurrentLoop),
}

limited! {
    /// A resistance in Ω.
    pub struct Ohms in 0.001..=1e9
}

limited! {
    /// The B constant of a thermistor in K.
    pub struct Beta in 500.0..=10000.0
}

limited! {
    /// A voltage in V.
    pub struct Volts in 0.1..=60.0
}

/// Two resistors: the voltage falls from the one to the other, where it is measured.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Divider {
    /// The resistor between the voltage and the input, in Ω.
    pub upper: Ohms,
    /// The resistor between the input and ground, in Ω.
    pub lower: Ohms,
}

/// A thermistor and a resistor between supply and ground, with the input between them.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Thermistor {
    /// Its resistance at 25 °C, in Ω.
    pub nominal: Ohms,
    /// Its B constant, in K.
    pub beta: Beta,
    /// The resistor in series, in Ω.
    pub series: Ohms,
    /// The voltage over both, in V.
    pub supply: Volts,
    /// Where the thermistor is: between the input and `ground`, or between the input and `supply`.
    #[serde(default)]
    pub to: Side,
}

/// An end of a series of two resistors.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// At 0 V.
    #[default]
    Ground,
    /// At the supply.
    Supply,
}

/// A current loop of 4 to 20 mA.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CurrentLoop {
    /// The resistor that the current flows through, in Ω: 150 Ω make 3 V of 20 mA.
    pub shunt: Ohms,
    /// What is measured at 4 mA.
    pub from: f64,
    /// What is measured at 20 mA.
    pub to: f64,
    /// Its unit, such as `m`.
    #[serde(default)]
    pub unit: Option<String>,
    /// What it is to Home Assistant.
    #[serde(default)]
    pub device_class: Option<DeviceClass>,
    /// Decimal places worth showing, 0 to 9. Default: 2.
    #[serde(default)]
    pub precision: Option<u8>,
}

/// 0 °C in K, and the temperature that thermistors are named for.
const ZERO_CELSIUS: f64 = 273.15;
const NOMINAL: f64 = ZERO_CELSIUS + 25.0;
/// What thermistors are for, in °C.
const TEMPERATURES: RangeInclusive<f64> = -80.0..=300.0;
/// The part of the supply that is left at an end of a series when a wire is broken or shorted.
const NOTHING: f64 = 0.001;

/// NAMUR NE 43: measured values are from 3.8 to 20.5 mA; up to 3.6 mA and from 21 mA on the transmitter says that it, or the
/// wire, has failed.
const MEASURED_MA: RangeInclusive<f64> = 3.8..=20.5;
const FAILED_MA: (f64, f64) = (3.6, 21.0);
const LIVE_ZERO_MA: f64 = 4.0;
const SPAN_MA: f64 = 16.0;

impl Scales {
    /// The channel of this name, whose input can have these voltages.
    #[must_use]
    pub fn channel(&self, name: &str, volts: RangeInclusive<f64>) -> Channel {
        match self.0.get(name) {
            None => Channel::number(name.to_owned(), Quantity::VOLTAGE, volts),
            Some(scale) => scale.channel(name, volts),
        }
    }

    /// What the channel of this name has at this voltage.
    ///
    /// # Errors
    /// A voltage that what is connected cannot give: a broken wire, a short.
    pub fn value(&self, name: &str, volts: f64) -> Result<f64, Fault> {
        self.0.get(name).map_or(Ok(volts), |scale| scale.value(volts)).map_err(|fault| fault.on(name))
    }

    /// The voltage that this value of a channel comes from: for models.
    #[must_use]
    pub fn volts(&self, name: &str, value: f64) -> f64 {
        self.0.get(name).map_or(value, |scale| scale.volts(value))
    }

    /// Reports what is wrong with the scales of a part whose channels have these names.
    pub fn check(&self, names: &[&str], report: &mut Report) {
        for (key, value) in report.node.get("scales").and_then(Node::entries).unwrap_or_default() {
            let Some(name) = key.text() else { continue };
            if !names.contains(&name) {
                let hint = match nearest(name, names.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("there is {}", alternatives(names).replace(" or ", " and ")),
                };
                report.push(key.place, format!("there is no channel {}; {hint}", quote(name)));
            } else if let Some(message) = self.0.get(name).and_then(Scale::problem) {
                report.push(value.place, message);
            }
        }
    }
}

impl Scale {
    fn channel(&self, name: &str, volts: RangeInclusive<f64>) -> Channel {
        match self {
            Self::Divider(divider) => {
                let range = divider.value(*volts.start())..=divider.value(*volts.end());
                Channel::number(name.to_owned(), Quantity::VOLTAGE, range)
            }
            Self::Thermistor(_) => Channel::number(name.to_owned(), Quantity::TEMPERATURE, TEMPERATURES),
            Self::CurrentLoop(current) => {
                let ends = [*MEASURED_MA.start(), *MEASURED_MA.end()].map(|ma| current.value(ma));
                let range = ends[0].min(ends[1])..=ends[0].max(ends[1]);
                Channel::number(name.to_owned(), current.described().quantity(), range)
            }
        }
    }

    fn value(&self, volts: f64) -> Result<f64, Fault> {
        match self {
            Self::Divider(divider) => Ok(divider.value(volts)),
            Self::Thermistor(thermistor) => thermistor.celsius(volts),
            Self::CurrentLoop(current) => current.measured(volts),
        }
    }

    fn volts(&self, value: f64) -> f64 {
        match self {
            Self::Divider(divider) => value / divider.value(1.0),
            Self::Thermistor(thermistor) => thermistor.volts(value),
            Self::CurrentLoop(CurrentLoop { shunt, from, to, .. }) => {
                (LIVE_ZERO_MA + SPAN_MA * (value - from) / (to - from)) / 1e3 * shunt.number()
            }
        }
    }

    fn problem(&self) -> Option<String> {
        match self {
            Self::CurrentLoop(current) => {
                let sound = current.from.is_finite() && current.to.is_finite() && current.from != current.to;
                if sound { current.described().problem() } else { Some("`from` and `to` must differ".to_owned()) }
            }
            Self::Divider(_) | Self::Thermistor(_) => None,
        }
    }
}

impl Divider {
    fn value(self, volts: f64) -> f64 {
        let (upper, lower) = (self.upper.number(), self.lower.number());
        volts * (upper + lower) / lower
    }
}

impl Thermistor {
    /// By the equation that defines B: R = nominal · exp(B · (1/T − 1/298.15 K)).
    fn celsius(self, volts: f64) -> Result<f64, Fault> {
        let part = volts / self.supply.number();
        // The part of the supply that is left for the thermistor.
        let own = if self.to == Side::Ground { part } else { 1.0 - part };
        if own < NOTHING {
            return Err(Fault::corrupt(format!("{volts:.3} V: the thermistor is shorted")));
        }
        if own > 1.0 - NOTHING {
            return Err(Fault::corrupt(format!("{volts:.3} V: the thermistor is not connected")));
        }
        let ohms = self.series.number() * own / (1.0 - own);
        let kelvin = 1.0 / (1.0 / NOMINAL + (ohms / self.nominal.number()).ln() / self.beta.number());
        within(kelvin - ZERO_CELSIUS, &TEMPERATURES, "a temperature in °C")
    }

    fn volts(self, celsius: f64) -> f64 {
        let exponent = self.beta.number() * (1.0 / (celsius + ZERO_CELSIUS) - 1.0 / NOMINAL);
        let ohms = self.nominal.number() * exponent.exp();
        let own = ohms / (ohms + self.series.number());
        self.supply.number() * if self.to == Side::Ground { own } else { 1.0 - own }
    }
}

impl CurrentLoop {
    fn described(&self) -> Described {
        Described {
            unit: self.unit.clone(),
            device_class: self.device_class,
            precision: self.precision,
            ..Described::default()
        }
    }

    fn value(&self, ma: f64) -> f64 {
        self.from + (self.to - self.from) * (ma - LIVE_ZERO_MA) / SPAN_MA
    }

    fn measured(&self, volts: f64) -> Result<f64, Fault> {
        let ma = volts / self.shunt.number() * 1e3;
        if ma <= FAILED_MA.0 {
            return Err(Fault::corrupt(format!("{ma:.2} mA: the loop is broken, or the transmitter has failed")));
        }
        if ma >= FAILED_MA.1 {
            return Err(Fault::corrupt(format!("{ma:.2} mA: the loop is shorted, or the transmitter has failed")));
        }
        // Between what is measured and what is a failure nothing is said: the end of the range it is.
        Ok(self.value(ma.clamp(*MEASURED_MA.start(), *MEASURED_MA.end())))
    }
}
