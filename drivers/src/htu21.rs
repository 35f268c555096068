//! Driver for the HTU21D humidity and temperature sensor of TE Connectivity, and for those that speak like it: Si7021 and
//! Si7020 of Silicon Labs, SHT20, SHT21 and SHT25 of Sensirion.
//!
//! Sources: "HTU21D(F) Sensor", HPC199 of Measurement Specialties (now TE), which was not at hand as a whole. What is
//! here was compared in drivers that are used: Linux (iio, `ms_sensors_i2c` by the maker, and `si7020`) for commands,
//! times, register and formulas, Gobot (sht2x) for those of Sensirion.
//!
//! None of them has an identity that is common to all. The part is known by its user register, which a reset sets to
//! what is expected, and by the checksum of a first measurement. The two lowest bits of a result should tell humidity
//! from temperature; many parts on the market have other ones, so they are masked and not believed.

#[cfg(test)]
mod tests;

pub mod sim;

use crate::channel::{Channel, Quantity, within};
use crate::checksum::crc8;
use crate::driver::{Attachment, Driver, Role, Spec};
use crate::fault::{Fault, FaultKind};
use crate::options::{read, shape};
use crate::port::{Delay, Wire};
use crate::sensor::{Sample, Sensor, SensorSpec};
use crate::sim::Part;
use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::I2c;
use schemars::JsonSchema;
use serde::Deserialize;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// The driver's entry in the list.
pub static DRIVER: Driver = Driver {
    name: "htu21",
    summary: "TE HTU21D, Silicon Labs Si7021, Sensirion SHT21: temperature and humidity",
    source: "drivers in use (Linux, Gobot) and parts of HPC199",
    role: Role::Sensor,
    attachments: &[Attachment::I2c { addresses: &[0x40] }],
    identity: &[],
    example: "\
- id: climate
  driver: htu21
  bus: i2c-1
  address: 0x40
  every: 10s
",
    defaults: || Spec::Sensor(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| read::<Options>(node, problems).map(|options| Spec::Sensor(Arc::new(options))),
};

/// Index of each channel.
const TEMPERATURE: usize = 0;
const HUMIDITY: usize = 1;

/// The range of operation in °C.
const TEMPERATURE_RANGE: RangeInclusive<f64> = -40.0..=125.0;
/// The range in %.
const HUMIDITY_RANGE: RangeInclusive<f64> = 0.0..=100.0;

/// The commands; measurements are those that do not hold the bus.
const MEASURE_TEMPERATURE: u8 = 0xF3;
const MEASURE_HUMIDITY: u8 = 0xF5;
const READ_USER_REGISTER: u8 = 0xE7;
const SOFT_RESET: u8 = 0xFE;

/// Longest time of a reset: 15 ms (all three).
const RESET_TIME_US: u32 = 15_000;
/// Longest times at 14 bits of temperature and 12 of humidity: those of the HTU21D. A Si7021 takes less, an SHT21 more.
const TEMPERATURE_TIME_US: u32 = 50_000;
const HUMIDITY_TIME_US: u32 = 16_000;
/// How often a measurement is asked for after that time, and how far apart: an SHT21 takes 85 ms.
const POLLS: u32 = 5;
const POLL_US: u32 = 10_000;

/// User register: full resolution (bits 7 and 0), supply good (6), heater off (2), one-time memory not loaded again (1).
const USER_BITS: u8 = 0b1100_0111;
const USER_AFTER_RESET: u8 = 0b0000_0010;

/// The two lowest bits of a result are its status.
const STATUS_BITS: u16 = 0b11;
/// What the checksum starts from.
const CHECKSUM_START: u8 = 0x00;

/// Options of the `htu21` driver.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {}

/// An HTU21D on its bus.
pub struct Htu21<I, D> {
    i2c: I,
    address: u8,
    delay: D,
}

impl<I: I2c, D: DelayNs> Htu21<I, D> {
    /// Resets the part, which also turns its heater off, and looks whether it is one.
    ///
    /// # Errors
    /// Absent, wrong chip, or a failed transfer.
    pub fn new(i2c: I, address: u8, delay: D) -> Result<Self, Fault> {
        let mut part = Self { i2c, address, delay };
        part.send(SOFT_RESET, "resetting")?;
        part.delay.delay_us(RESET_TIME_US);
        let mut user = [0];
        part.i2c
            .write_read(address, &[READ_USER_REGISTER], &mut user)
            .map_err(|error| Fault::i2c(error, "reading the user register"))?;
        let [user] = user;
        if user & USER_BITS != USER_AFTER_RESET {
            return Err(Fault::wrong_chip(format!(
                "the user register after a reset is {user:#04x}, expected {USER_AFTER_RESET:#04x} in the bits \
                 {USER_BITS:#04x}: not an HTU21D, or one with a supply that is too low"
            )));
        }
        part.temperature().map_err(|fault| fault.instead_of("an HTU21D"))?;
        Ok(part)
    }

    fn temperature(&mut self) -> Result<f64, Fault> {
        let raw = self.measure(MEASURE_TEMPERATURE, TEMPERATURE_TIME_US, "measuring the temperature")?;
        within(celsius(raw), &TEMPERATURE_RANGE, "a temperature in °C")
    }

    fn humidity(&mut self) -> Result<f64, Fault> {
        Ok(percent(self.measure(MEASURE_HUMIDITY, HUMIDITY_TIME_US, "measuring the humidity")?))
    }

    fn send(&mut self, command: u8, doing: &str) -> Result<(), Fault> {
        self.i2c.write(self.address, &[command]).map_err(|error| Fault::i2c(error, doing))
    }

    /// The part does not acknowledge a read before it has measured.
    fn measure(&mut self, command: u8, time_us: u32, doing: &str) -> Result<u16, Fault> {
        self.send(command, doing)?;
        self.delay.delay_us(time_us);
        for _ in 0..POLLS {
            let mut bytes = [0; 3];
            match self.i2c.read(self.address, &mut bytes).map_err(|error| Fault::i2c(error, doing)) {
                Ok(()) => return checked(bytes, doing),
                Err(fault) if fault.kind == FaultKind::Absent => self.delay.delay_us(POLL_US),
                Err(fault) => return Err(fault),
            }
        }
        // It acknowledged the command: it is there.
        Err(Fault::new(
            FaultKind::NotReady,
            format!("{doing}: not acknowledged for {} ms more", POLLS * POLL_US / 1_000),
        ))
    }
}

impl<I: I2c + Send, D: DelayNs + Send> Sensor for Htu21<I, D> {
    fn sample(&mut self, out: &mut Sample) -> Result<(), Fault> {
        let temperature = self.temperature()?;
        out.number(TEMPERATURE, temperature);
        out.number(HUMIDITY, self.humidity()?);
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
        Ok(Box::new(Htu21::new(i2c, address, Delay)?))
    }

    fn simulate(&self) -> Option<Box<dyn Part>> {
        Some(Box::new(sim::Model::default()))
    }
}

/// The result without its status, if its checksum is right.
fn checked([high, low, sent]: [u8; 3], doing: &str) -> Result<u16, Fault> {
    let expected = crc8(CHECKSUM_START, &[high, low]);
    if sent != expected {
        return Err(Fault::corrupt(format!("{doing}: the checksum is {sent:#04x}, expected {expected:#04x}")));
    }
    Ok(u16::from_be_bytes([high, low]) & !STATUS_BITS)
}

/// Temperature in °C of a result.
fn celsius(raw: u16) -> f64 {
    -46.85 + 175.72 * f64::from(raw) / 65_536.0
}

/// Relative humidity in % of a result. The formula reaches beyond what is possible at both ends, and is cropped there.
fn percent(raw: u16) -> f64 {
    (-6.0 + 125.0 * f64::from(raw) / 65_536.0).clamp(*HUMIDITY_RANGE.start(), *HUMIDITY_RANGE.end())
}
