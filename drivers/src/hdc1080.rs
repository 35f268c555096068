//! Driver for the HDC1080 humidity and temperature sensor of Texas Instruments, and for the HDC1050, which has the same
//! identity.
//!
//! Source: Texas Instruments, "HDC1080 Low Power, High Accuracy Digital Humidity Sensor with Temperature Sensor",
//! SNAS672A of January 2016; sections are cited from it. The times of conversions are those of Linux (iio/hdc100x).
//!
//! The part sends no checksum. What can be seen is that the two lowest bits of each result are always 0.

#[cfg(test)]
mod tests;

pub mod sim;

use crate::channel::{Channel, Quantity, within};
use crate::driver::{Attachment, Driver, Role, Spec};
use crate::fault::{Fault, FaultKind};
use crate::identity::{self, Identity};
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
    name: "hdc1080",
    summary: "Texas Instruments HDC1080, HDC1050: temperature and humidity",
    source: "Texas Instruments, SNAS672A",
    role: Role::Sensor,
    attachments: &[Attachment::I2c { addresses: &[0x40] }],
    identity: &IDENTITIES,
    example: "\
- id: climate
  driver: hdc1080
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

/// Section 8.6.1: the range of the formula in °C.
const TEMPERATURE_RANGE: RangeInclusive<f64> = -40.0..=125.0;
/// Section 8.6.2: the range in %.
const HUMIDITY_RANGE: RangeInclusive<f64> = 0.0..=100.0;

/// Section 8.6, table 1: the registers.
const RESULTS: u8 = 0x00;
const CONFIG: u8 = 0x02;
const MANUFACTURER: u8 = 0xFE;
const DEVICE: u8 = 0xFF;

/// Section 8.6, table 1: what the last two hold. In this order: 0xFE resets an HTU21, which has the same address.
const IDENTITIES: [Identity; 2] =
    [Identity::word(DEVICE, 0xFFFF, &[0x1050]), Identity::word(MANUFACTURER, 0xFFFF, &[0x5449])];

/// Section 8.6.3: temperature and humidity in one measurement, both of 14 bits, without heater. It is also what a reset
/// sets, so that a loss of power changes nothing.
const CONFIGURATION: u16 = 1 << 12;

/// Typical time of both conversions, 6.35 ms and 6.5 ms.
const TIME_US: u32 = 12_850;
/// How often the results are asked for after that; a tenth of that time apart.
const POLLS: u32 = 10;

/// Sections 8.6.1 and 8.6.2: always 0 in a result.
const ZERO_BITS: u16 = 0b11;

/// Options of the `hdc1080` driver.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {}

/// An HDC1080 on its bus.
pub struct Hdc1080<I, D> {
    i2c: I,
    address: u8,
    delay: D,
}

impl<I: I2c, D: DelayNs> Hdc1080<I, D> {
    /// Checks both identities, and sets the part up.
    ///
    /// # Errors
    /// Absent, wrong chip, or a failed transfer.
    pub fn new(i2c: I, address: u8, delay: D) -> Result<Self, Fault> {
        let mut part = Self { i2c, address, delay };
        identity::check(&IDENTITIES, &mut part.i2c, address, &mut part.delay)?;
        let [high, low] = CONFIGURATION.to_be_bytes();
        part.i2c
            .write(address, &[CONFIG, high, low])
            .map_err(|error| Fault::i2c(error, "writing the configuration"))?;
        Ok(part)
    }

    /// Raw temperature and humidity. The part does not acknowledge a read before it has measured.
    fn measure(&mut self) -> Result<[u16; 2], Fault> {
        self.i2c.write(self.address, &[RESULTS]).map_err(|error| Fault::i2c(error, "starting a measurement"))?;
        self.delay.delay_us(TIME_US);
        for _ in 0..POLLS {
            let mut bytes = [0; 4];
            let read = self.i2c.read(self.address, &mut bytes);
            match read.map_err(|error| Fault::i2c(error, "reading the measurement")) {
                Ok(()) => {
                    let [t1, t0, h1, h0] = bytes;
                    return checked([u16::from_be_bytes([t1, t0]), u16::from_be_bytes([h1, h0])]);
                }
                // It acknowledged the start: it is there.
                Err(fault) if fault.kind == FaultKind::Absent => self.delay.delay_us(TIME_US / POLLS),
                Err(fault) => return Err(fault),
            }
        }
        Err(Fault::new(FaultKind::NotReady, "the measurement takes more than twice its time"))
    }
}

impl<I: I2c + Send, D: DelayNs + Send> Sensor for Hdc1080<I, D> {
    fn sample(&mut self, out: &mut Sample) -> Result<(), Fault> {
        let [temperature, humidity] = self.measure()?;
        out.number(TEMPERATURE, within(celsius(temperature), &TEMPERATURE_RANGE, "a temperature in °C")?);
        out.number(HUMIDITY, within(percent(humidity), &HUMIDITY_RANGE, "a humidity in %")?);
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
        Ok(Box::new(Hdc1080::new(i2c, address, Delay)?))
    }

    fn simulate(&self) -> Option<Box<dyn Part>> {
        Some(Box::new(sim::Model::default()))
    }
}

/// Gives both results back if they can be some.
fn checked(results: [u16; 2]) -> Result<[u16; 2], Fault> {
    let [temperature, humidity] = results;
    if (temperature | humidity) & ZERO_BITS != 0 {
        return Err(Fault::corrupt(format!(
            "the results are {temperature:#06x} and {humidity:#06x}, whose two lowest bits are always 0"
        )));
    }
    // Section 8.6, table 1. As a measurement: 0 % at −40 °C.
    if results == [0, 0] {
        return Err(Fault::new(FaultKind::NotReady, "the results are as after a reset"));
    }
    Ok(results)
}

/// Temperature in °C of a result (section 8.6.1).
fn celsius(raw: u16) -> f64 {
    f64::from(raw) / 65_536.0 * 165.0 - 40.0
}

/// Relative humidity in % of a result (section 8.6.2).
fn percent(raw: u16) -> f64 {
    f64::from(raw) / 65_536.0 * 100.0
}
