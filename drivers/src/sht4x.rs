//! Driver for the SHT4x humidity and temperature sensors (SHT40, SHT41, SHT45) of Sensirion.
//!
//! Source: Sensirion, "Datasheet SHT4x", version 6.6 of April 2024; sections are cited from it.

#[cfg(test)]
mod tests;

pub mod sim;

use crate::channel::{Channel, Quantity, within};
use crate::driver::{Attachment, Driver, Role, Spec};
use crate::fault::Fault;
use crate::identity::Identity;
use crate::options::{read, shape};
use crate::port::{Delay, Wire};
use crate::sensirion::{not_yet, words};
use crate::sensor::{Sample, Sensor, SensorSpec};
use crate::sim::Part;
use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::I2c;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use std::sync::Arc;

/// The driver's entry in the list.
pub static DRIVER: Driver = Driver {
    name: "sht4x",
    summary: "Sensirion SHT40, SHT41, SHT45: temperature and humidity",
    source: "Sensirion, Datasheet SHT4x, version 6.6",
    role: Role::Sensor,
    attachments: &[Attachment::I2c { addresses: &[0x44, 0x45, 0x46] }],
    identity: &IDENTITIES,
    example: "\
- id: climate
  driver: sht4x
  bus: i2c-1
  address: 0x44
  every: 10s
",
    defaults: || Spec::Sensor(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| read::<Options>(node, problems).map(|options| Spec::Sensor(Arc::new(options))),
};

/// Index of each channel.
const TEMPERATURE: usize = 0;
const HUMIDITY: usize = 1;

/// Section 2.2: the range of operation in °C.
const TEMPERATURE_RANGE: RangeInclusive<f64> = -40.0..=125.0;
/// Section 2.1: the range in %.
const HUMIDITY_RANGE: RangeInclusive<f64> = 0.0..=100.0;

/// Section 4.5, table 8: read the serial number.
const READ_SERIAL: u8 = 0x89;
/// Section 4.5: it has no identity, but whatever gives a serial number of two words with right checksums is an SHT4x.
const IDENTITIES: [Identity; 1] = [Identity::Words { command: READ_SERIAL, time_us: SERIAL_TIME_US, words: 2 }];
/// Section 4.5, table 8: soft reset.
const SOFT_RESET: u8 = 0x94;
/// Section 3.1, table 5: longest time of a soft reset.
const RESET_TIME_US: u32 = 1_000;
/// Section 4.5: the serial number is ready without a conversion; 1 ms as for a reset is safe.
const SERIAL_TIME_US: u32 = 1_000;

/// Options of the `sht4x` driver.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// How exact a measurement is, and how long it takes.
    pub repeatability: Repeatability,
}

/// How exact a measurement is (section 3.1, table 5).
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Repeatability {
    /// 8.3 ms; noise 0.04 °C, 0.08 %.
    #[default]
    High,
    /// 4.5 ms; noise 0.07 °C, 0.15 %.
    Medium,
    /// 1.6 ms; noise 0.1 °C, 0.25 %.
    Low,
}

impl Repeatability {
    /// Command to measure without the heater (section 4.5, table 8).
    fn command(self) -> u8 {
        match self {
            Self::High => 0xFD,
            Self::Medium => 0xF6,
            Self::Low => 0xE0,
        }
    }

    /// Longest time of the measurement in µs (section 3.1, table 5).
    fn time_us(self) -> u32 {
        match self {
            Self::High => 8_300,
            Self::Medium => 4_500,
            Self::Low => 1_600,
        }
    }
}

/// An SHT4x on its bus.
pub struct Sht4x<I, D> {
    i2c: I,
    address: u8,
    delay: D,
    repeatability: Repeatability,
}

impl<I: I2c, D: DelayNs> Sht4x<I, D> {
    /// Resets the part and reads its serial number: it has no identity register, but whatever knows the command and
    /// gives a right checksum twice is an SHT4x.
    ///
    /// # Errors
    /// Absent, wrong chip (wrong checksums), or a failed transfer.
    pub fn new(i2c: I, address: u8, delay: D, repeatability: Repeatability) -> Result<Self, Fault> {
        let mut part = Self { i2c, address, delay, repeatability };
        part.send(SOFT_RESET, "resetting")?;
        part.delay.delay_us(RESET_TIME_US);
        part.send(READ_SERIAL, "asking for the serial number")?;
        part.delay.delay_us(SERIAL_TIME_US);
        words::<2>(&mut part.i2c, address, "reading the serial number")
            .map_err(|fault| fault.instead_of("an SHT4x"))?;
        Ok(part)
    }

    fn send(&mut self, command: u8, doing: &str) -> Result<(), Fault> {
        self.i2c.write(self.address, &[command]).map_err(|error| Fault::i2c(error, doing))
    }
}

impl<I: I2c + Send, D: DelayNs + Send> Sensor for Sht4x<I, D> {
    fn sample(&mut self, out: &mut Sample) -> Result<(), Fault> {
        self.send(self.repeatability.command(), "starting a measurement")?;
        self.delay.delay_us(self.repeatability.time_us());
        // Section 4.3: it refuses to be read while it measures.
        let [temperature, humidity] = words(&mut self.i2c, self.address, "reading the measurement").map_err(not_yet)?;
        out.number(TEMPERATURE, within(celsius(temperature), &TEMPERATURE_RANGE, "a temperature in °C")?);
        out.number(HUMIDITY, percent(humidity));
        Ok(())
    }
}

impl SensorSpec for Options {
    fn channels(&self) -> Vec<Channel> {
        vec![
            Channel::number("temperature", Quantity::TEMPERATURE, TEMPERATURE_RANGE),
            Channel::number("humidity", Quantity::HUMIDITY, HUMIDITY_RANGE),
        ]
    }

    fn open(&self, wire: Wire) -> Result<Box<dyn Sensor>, Fault> {
        let (i2c, address) = wire.i2c()?;
        Ok(Box::new(Sht4x::new(i2c, address, Delay, self.repeatability)?))
    }

    fn simulate(&self) -> Option<Box<dyn Part>> {
        Some(Box::new(sim::Model::default()))
    }
}

/// Temperature in °C of a raw word (section 4.6, formula 2).
fn celsius(raw: u16) -> f64 {
    -45.0 + 175.0 * f64::from(raw) / 65_535.0
}

/// Relative humidity in % of a raw word (section 4.6, formula 1). The formula reaches beyond what is possible at both
/// ends, where the section says to crop.
fn percent(raw: u16) -> f64 {
    (-6.0 + 125.0 * f64::from(raw) / 65_535.0).clamp(*HUMIDITY_RANGE.start(), *HUMIDITY_RANGE.end())
}
