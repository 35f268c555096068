//! Driver for the AHT20 humidity and temperature sensor of ASAIR (Aosong), and for the AHT21 and DHT20, which are read
//! in the same way.
//!
//! Sources: Aosong, "DHT20 Data Sheet", version 1.0 of May 2021, section 7, whose commands, status, checksum and order of
//! reading are those of the AHT20; the AHT20's own datasheet was not at hand. Compared with the drivers of periph
//! (aht20) and Adafruit (AHTX0) for the AHT20's initialisation and soft reset, which that section does not have.
//!
//! The AHT10 is another part: it has no checksum, and is refused here.

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
    name: "aht20",
    summary: "ASAIR AHT20, AHT21, DHT20: temperature and humidity",
    source: "Aosong, DHT20 Data Sheet, version 1.0",
    role: Role::Sensor,
    attachments: &[Attachment::I2c { addresses: &[0x38] }],
    identity: &[],
    example: "\
- id: climate
  driver: aht20
  bus: i2c-1
  address: 0x38
  every: 10s
",
    defaults: || Spec::Sensor(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| read::<Options>(node, problems).map(|options| Spec::Sensor(Arc::new(options))),
};

/// Index of each channel.
const TEMPERATURE: usize = 0;
const HUMIDITY: usize = 1;

/// The range of operation in °C, of the AHT20; that of the DHT20 ends at 80.
const TEMPERATURE_RANGE: RangeInclusive<f64> = -40.0..=85.0;
/// The range in %.
const HUMIDITY_RANGE: RangeInclusive<f64> = 0.0..=100.0;

/// Section 7.4: read the status, and start a measurement.
const READ_STATUS: u8 = 0x71;
const MEASURE: [u8; 3] = [0xAC, 0x33, 0x00];
/// Soft reset, and initialisation (periph, Adafruit).
const SOFT_RESET: u8 = 0xBA;
const INITIALISE: [u8; 3] = [0xBE, 0x08, 0x00];

/// Longest time of a reset, and of the initialisation.
const RESET_TIME_US: u32 = 20_000;
const INITIALISE_TIME_US: u32 = 10_000;
/// Section 7.4: a measurement takes 80 ms. How often its end is asked for after that, and how far apart.
const MEASURE_TIME_US: u32 = 80_000;
const POLLS: u32 = 8;
const POLL_US: u32 = 10_000;

/// Section 7.3, table 9, status: measuring.
const BUSY: u8 = 1 << 7;
/// Calibrated.
const CALIBRATED: u8 = 1 << 3;

/// Section 7.4: what the checksum starts from.
const CHECKSUM_START: u8 = 0xFF;

/// Options of the `aht20` driver.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {}

/// An AHT20 on its bus.
pub struct Aht20<I, D> {
    i2c: I,
    address: u8,
    delay: D,
    /// Whether the part is calibrated, as far as is known.
    ready: bool,
}

impl<I: I2c, D: DelayNs> Aht20<I, D> {
    /// Resets the part, initialises it if it asks for it, and measures once: it has no identity, but whatever does all
    /// this and gives a right checksum is an AHT20.
    ///
    /// # Errors
    /// Absent, wrong chip, or a failed transfer.
    pub fn new(i2c: I, address: u8, delay: D) -> Result<Self, Fault> {
        let mut part = Self { i2c, address, delay, ready: false };
        part.measure().map_err(|fault| match fault.kind {
            FaultKind::Corrupt | FaultKind::NotReady => Fault::wrong_chip(format!("not an AHT20: {fault}")),
            _ => fault,
        })?;
        Ok(part)
    }

    fn set_up(&mut self) -> Result<(), Fault> {
        self.write(&[SOFT_RESET], "resetting")?;
        self.delay.delay_us(RESET_TIME_US);
        if self.status()? & CALIBRATED == 0 {
            self.write(&INITIALISE, "initialising")?;
            self.delay.delay_us(INITIALISE_TIME_US);
            let status = self.status()?;
            if status & CALIBRATED == 0 {
                return Err(not_calibrated(status));
            }
        }
        self.ready = true;
        Ok(())
    }

    /// Raw temperature and humidity, of 20 bits.
    fn measure(&mut self) -> Result<[u32; 2], Fault> {
        if !self.ready {
            self.set_up()?;
        }
        self.write(&MEASURE, "starting a measurement")?;
        self.delay.delay_us(MEASURE_TIME_US);
        for _ in 0..POLLS {
            let mut bytes = [0; 7];
            self.i2c.read(self.address, &mut bytes).map_err(|error| Fault::i2c(error, "reading the measurement"))?;
            if bytes[0] & BUSY == 0 {
                return split(bytes);
            }
            self.delay.delay_us(POLL_US);
        }
        Err(Fault::new(FaultKind::NotReady, "the measurement takes more than twice its time"))
    }

    fn status(&mut self) -> Result<u8, Fault> {
        let mut status = [0];
        self.i2c
            .write_read(self.address, &[READ_STATUS], &mut status)
            .map_err(|error| Fault::i2c(error, "reading the status"))?;
        Ok(status[0])
    }

    fn write(&mut self, bytes: &[u8], doing: &str) -> Result<(), Fault> {
        self.i2c.write(self.address, bytes).map_err(|error| Fault::i2c(error, doing))
    }
}

impl<I: I2c + Send, D: DelayNs + Send> Sensor for Aht20<I, D> {
    fn sample(&mut self, out: &mut Sample) -> Result<(), Fault> {
        let measured = self.measure();
        // Whatever went wrong, it may have lost its power: the next sample begins afresh.
        self.ready = measured.is_ok();
        let [temperature, humidity] = measured?;
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
        Ok(Box::new(Aht20::new(i2c, address, Delay)?))
    }

    fn simulate(&self) -> Option<Box<dyn Part>> {
        Some(Box::new(sim::Model::default()))
    }
}

/// Raw temperature and humidity of the seven bytes that are read: status, 20 bits of humidity, 20 of temperature,
/// checksum.
fn split(bytes: [u8; 7]) -> Result<[u32; 2], Fault> {
    let [status, h2, h1, both, t1, t0, sent] = bytes;
    let expected = crc8(CHECKSUM_START, &bytes[..6]);
    if sent != expected {
        return Err(Fault::corrupt(format!(
            "reading the measurement: the checksum is {sent:#04x}, expected {expected:#04x}"
        )));
    }
    if status & CALIBRATED == 0 {
        return Err(not_calibrated(status));
    }
    Ok([u32::from_be_bytes([0, both & 0x0F, t1, t0]), u32::from_be_bytes([0, h2, h1, both]) >> 4])
}

fn not_calibrated(status: u8) -> Fault {
    Fault::corrupt(format!("the part is not calibrated (status {status:#04x})"))
}

/// Temperature in °C of a raw value (section 7.4).
fn celsius(raw: u32) -> f64 {
    f64::from(raw) / SCALE * 200.0 - 50.0
}

/// Relative humidity in % of a raw value (section 7.4).
fn percent(raw: u32) -> f64 {
    f64::from(raw) / SCALE * 100.0
}

/// Both raw values are of 20 bits.
const SCALE: f64 = 1_048_576.0;
