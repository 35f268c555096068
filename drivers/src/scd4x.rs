//! Driver for the SCD40 and SCD41 carbon dioxide sensors of Sensirion.
//!
//! Source: Sensirion, "Datasheet SCD4x", version 1.3 of September 2022; sections are cited from it.
//!
//! The part measures every five seconds from when it is opened until it is halted, and keeps each result until it is
//! read. Whoever asks more often waits for the next one. Its settings (temperature offset, altitude, self-calibration)
//! are left as they are stored in the part.

#[cfg(test)]
mod tests;

pub mod sim;

use crate::channel::{Channel, Quantity, within};
use crate::driver::{Attachment, Driver, Role, Spec};
use crate::fault::{Fault, FaultKind};
use crate::options::{read, shape};
use crate::port::{Delay, Wire};
use crate::sensirion::{not_yet, words};
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
    name: "scd4x",
    summary: "Sensirion SCD40, SCD41: carbon dioxide, temperature and humidity",
    source: "Sensirion, Datasheet SCD4x, version 1.3",
    role: Role::Sensor,
    attachments: &[Attachment::I2c { addresses: &[0x62] }],
    identity: &[],
    example: "\
- id: air
  driver: scd4x
  bus: i2c-1
  address: 0x62
  every: 30s
",
    defaults: || Spec::Sensor(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| read::<Options>(node, problems).map(|options| Spec::Sensor(Arc::new(options))),
};

/// Index of each channel.
const CARBON_DIOXIDE: usize = 0;
const TEMPERATURE: usize = 1;
const HUMIDITY: usize = 2;

/// Section 1.1: what the part can give, in ppm; it is specified from 400 on.
const CARBON_DIOXIDE_RANGE: RangeInclusive<f64> = 0.0..=40_000.0;
/// Section 1.3: the range in °C.
const TEMPERATURE_RANGE: RangeInclusive<f64> = -10.0..=60.0;
/// Section 1.2: the range in %.
const HUMIDITY_RANGE: RangeInclusive<f64> = 0.0..=100.0;

/// Section 3.4, table 9: the commands.
const START: u16 = 0x21B1;
const STOP: u16 = 0x3F86;
const READ_MEASUREMENT: u16 = 0xEC05;
const DATA_READY: u16 = 0xE4B8;
const SERIAL: u16 = 0x3682;
/// Section 3.4, table 9: how long the part needs to stop, in µs.
const STOP_TIME_US: u32 = 500_000;
/// Section 3.4, table 9: how long it needs for whatever is read, in µs.
const READ_TIME_US: u32 = 1_000;
/// Section 3.8.2: any of these bits set means that a result waits to be read.
const READY: u16 = 0x07FF;

/// How often a result is asked for, in µs, and how many times: a bit longer than the five seconds that it takes.
const POLL_US: u32 = 250_000;
const POLLS: u32 = 24;

/// Options of the `scd4x` driver: there are none.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Options {}

/// An SCD4x on its bus.
pub struct Scd4x<I, D> {
    i2c: I,
    address: u8,
    delay: D,
}

impl<I: I2c, D: DelayNs> Scd4x<I, D> {
    /// Stops what an earlier run may have left running, reads the serial number, and starts to measure. There is no
    /// identity register, but whatever knows the command and gives a right checksum three times is an SCD4x.
    ///
    /// # Errors
    /// Absent, wrong chip (wrong checksums), or a failed transfer.
    pub fn new(i2c: I, address: u8, delay: D) -> Result<Self, Fault> {
        let mut part = Self { i2c, address, delay };
        // A part that is stopping already, because it was just halted, answers nothing.
        if part.stop().is_err() {
            part.delay.delay_us(STOP_TIME_US);
            part.stop()?;
        }
        part.delay.delay_us(STOP_TIME_US);
        part.ask::<3>(SERIAL, "reading the serial number").map_err(|fault| fault.instead_of("an SCD4x"))?;
        part.send(START, "starting to measure")?;
        // The first result takes five seconds: no need to ask at once.
        part.delay.delay_us(POLL_US);
        Ok(part)
    }

    fn measure(&mut self) -> Result<[u16; 3], Fault> {
        for _ in 0..POLLS {
            let [status] = self.ask(DATA_READY, "asking for a result")?;
            if status & READY != 0 {
                // It refuses to be read without a result (section 3.5.2).
                return self.ask(READ_MEASUREMENT, "reading the measurement").map_err(not_yet);
            }
            self.delay.delay_us(POLL_US);
        }
        // A part that lost its power is idle. One that does measure refuses the command, and is left as it is.
        let again = self.send(START, "starting to measure");
        let kind = again.map_or_else(|fault| fault.kind, |()| FaultKind::NotReady);
        let kind = if kind == FaultKind::Absent { FaultKind::NotReady } else { kind };
        Err(Fault::new(kind, "no result within six seconds: it was told to measure again"))
    }

    fn stop(&mut self) -> Result<(), Fault> {
        self.send(STOP, "stopping")
    }

    fn send(&mut self, command: u16, doing: &str) -> Result<(), Fault> {
        self.i2c.write(self.address, &command.to_be_bytes()).map_err(|error| Fault::i2c(error, doing))
    }

    fn ask<const WORDS: usize>(&mut self, command: u16, doing: &str) -> Result<[u16; WORDS], Fault> {
        self.send(command, doing)?;
        self.delay.delay_us(READ_TIME_US);
        words(&mut self.i2c, self.address, doing)
    }
}

impl<I: I2c + Send, D: DelayNs + Send> Sensor for Scd4x<I, D> {
    fn sample(&mut self, out: &mut Sample) -> Result<(), Fault> {
        let [carbon_dioxide, temperature, humidity] = self.measure()?;
        let ppm = f64::from(carbon_dioxide);
        out.number(CARBON_DIOXIDE, within(ppm, &CARBON_DIOXIDE_RANGE, "carbon dioxide in ppm")?);
        out.number(TEMPERATURE, within(celsius(temperature), &TEMPERATURE_RANGE, "a temperature in °C")?);
        out.number(HUMIDITY, within(percent(humidity), &HUMIDITY_RANGE, "a humidity in %")?);
        Ok(())
    }

    /// Nothing else is to be asked, so it need not be waited for.
    fn halt(&mut self) -> Result<(), Fault> {
        self.stop()
    }
}

impl SensorSpec for Options {
    fn channels(&self) -> Vec<Channel> {
        vec![
            Channel::number("carbon_dioxide", Quantity::CARBON_DIOXIDE, CARBON_DIOXIDE_RANGE),
            Channel::number("temperature", Quantity::TEMPERATURE, TEMPERATURE_RANGE),
            Channel::number("humidity", Quantity::HUMIDITY, HUMIDITY_RANGE),
        ]
    }

    fn open(&self, wire: Wire) -> Result<Box<dyn Sensor>, Fault> {
        let (i2c, address) = wire.i2c()?;
        Ok(Box::new(Scd4x::new(i2c, address, Delay)?))
    }

    fn simulate(&self) -> Option<Box<dyn Part>> {
        Some(Box::new(sim::Model::default()))
    }
}

/// Temperature in °C of a word (section 3.5.2).
fn celsius(word: u16) -> f64 {
    -45.0 + 175.0 * f64::from(word) / 65_536.0
}

/// Relative humidity in % of a word (section 3.5.2).
fn percent(word: u16) -> f64 {
    100.0 * f64::from(word) / 65_536.0
}
