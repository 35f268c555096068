//! Driver for the SHT3x humidity and temperature sensors (SHT30, SHT31, SHT35, SHT85) of Sensirion.
//!
//! Source: Sensirion, "Datasheet SHT3x-DIS", version 5 of May 2018; sections are cited from it. Its table of durations
//! was not at hand: the times are those for which Linux (hwmon/sht3x, by Sensirion) waits, and a little more.
//!
//! The order in which the part is set up, stop and reset, is that of Sensirion's own drivers.

#[cfg(test)]
mod tests;

pub mod sim;

use crate::channel::{Channel, Quantity, within};
use crate::driver::{Attachment, Driver, Role, Spec};
use crate::fault::Fault;
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
    name: "sht3x",
    summary: "Sensirion SHT30, SHT31, SHT35, SHT85: temperature and humidity",
    source: "Sensirion, Datasheet SHT3x-DIS, version 5",
    role: Role::Sensor,
    attachments: &[Attachment::I2c { addresses: &[0x44, 0x45] }],
    identity: &[],
    example: "\
- id: climate
  driver: sht3x
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

/// Section 2: the range of operation in °C.
const TEMPERATURE_RANGE: RangeInclusive<f64> = -40.0..=125.0;
/// Section 2: the range in %.
const HUMIDITY_RANGE: RangeInclusive<f64> = 0.0..=100.0;

/// Section 4.8: stop measuring by itself.
const BREAK: [u8; 2] = [0x30, 0x93];
/// Section 4.9: soft reset.
const SOFT_RESET: [u8; 2] = [0x30, 0xA2];
/// Section 4.11: read the status register.
const READ_STATUS: [u8; 2] = [0xF3, 0x2D];
/// Longest time of each of these in µs; section 4.3 asks for 1 ms between two commands.
const COMMAND_TIME_US: u32 = 2_000;

/// Section 4.11, table 18, status register: a reset since this flag was cleared. Set by the one that is done here.
const RESET_DETECTED: u16 = 1 << 4;
/// The heater is on, the last command was refused, the checksum of what was written was wrong: none after a reset.
const UNEXPECTED: u16 = 1 << 13 | 1 << 1 | 1 << 0;

/// Options of the `sht3x` driver.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// How exact a measurement is, and how long it takes.
    pub repeatability: Repeatability,
}

/// How exact a measurement is (section 4.3).
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Repeatability {
    /// Least noise, 15.5 ms.
    #[default]
    High,
    /// 6.5 ms.
    Medium,
    /// Most noise, 4.5 ms.
    Low,
}

impl Repeatability {
    /// Command for one measurement, without stretching the clock (section 4.3, table 9).
    fn command(self) -> [u8; 2] {
        match self {
            Self::High => [0x24, 0x00],
            Self::Medium => [0x24, 0x0B],
            Self::Low => [0x24, 0x16],
        }
    }

    /// Longest time of the measurement in µs.
    fn time_us(self) -> u32 {
        match self {
            Self::High => 15_500,
            Self::Medium => 6_500,
            Self::Low => 4_500,
        }
    }
}

/// An SHT3x on its bus.
pub struct Sht3x<I, D> {
    i2c: I,
    address: u8,
    delay: D,
    repeatability: Repeatability,
}

impl<I: I2c, D: DelayNs> Sht3x<I, D> {
    /// Resets the part, and looks whether its status says so, with a right checksum: that is how it is known.
    ///
    /// # Errors
    /// Absent, wrong chip, or a failed transfer.
    pub fn new(i2c: I, address: u8, delay: D, repeatability: Repeatability) -> Result<Self, Fault> {
        let mut part = Self { i2c, address, delay, repeatability };
        // It may be measuring by itself since long ago, and takes a reset only when it is not.
        part.send(BREAK, "stopping periodic measurements")?;
        part.send(SOFT_RESET, "resetting")?;
        part.send(READ_STATUS, "asking for the status")?;
        let [status] =
            words(&mut part.i2c, address, "reading the status").map_err(|fault| fault.instead_of("an SHT3x"))?;
        if status & (RESET_DETECTED | UNEXPECTED) != RESET_DETECTED {
            return Err(Fault::wrong_chip(format!("not an SHT3x: the status after a reset is {status:#06x}")));
        }
        Ok(part)
    }

    fn send(&mut self, command: [u8; 2], doing: &str) -> Result<(), Fault> {
        self.i2c.write(self.address, &command).map_err(|error| Fault::i2c(error, doing))?;
        self.delay.delay_us(COMMAND_TIME_US);
        Ok(())
    }
}

impl<I: I2c + Send, D: DelayNs + Send> Sensor for Sht3x<I, D> {
    fn sample(&mut self, out: &mut Sample) -> Result<(), Fault> {
        self.i2c
            .write(self.address, &self.repeatability.command())
            .map_err(|error| Fault::i2c(error, "starting a measurement"))?;
        self.delay.delay_us(self.repeatability.time_us());
        // Section 4.4: it refuses to be read while it measures.
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
        Ok(Box::new(Sht3x::new(i2c, address, Delay, self.repeatability)?))
    }

    fn simulate(&self) -> Option<Box<dyn Part>> {
        Some(Box::new(sim::Model::default()))
    }
}

/// Temperature in °C of a raw word (section 4.13).
fn celsius(raw: u16) -> f64 {
    -45.0 + 175.0 * f64::from(raw) / 65_535.0
}

/// Relative humidity in % of a raw word (section 4.13).
fn percent(raw: u16) -> f64 {
    100.0 * f64::from(raw) / 65_535.0
}
