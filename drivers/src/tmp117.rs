//! Driver for the TMP117 temperature sensor of Texas Instruments.
//!
//! Source: Texas Instruments, "TMP117 High-Accuracy, Low-Power, Digital Temperature Sensor", SNOSD82D of September 2022;
//! sections are cited from it.
//!
//! A TMP119 has the same identity, with another revision, and the same registers: it is read as well.

#[cfg(test)]
mod tests;

pub mod sim;

use crate::channel::{Channel, Quantity, within};
use crate::driver::{Attachment, Driver, Role, Spec};
use crate::fault::{Fault, FaultKind};
use crate::identity::{self, Identity};
use crate::options::limits::choice;
use crate::options::{read, shape};
use crate::port::{Delay, Wire};
use crate::sensor::{Sample, Sensor, SensorSpec};
use crate::sim::Part;
use crate::word_registers::Registers;
use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::I2c;
use schemars::JsonSchema;
use serde::Deserialize;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// The driver's entry in the list.
pub static DRIVER: Driver = Driver {
    name: "tmp117",
    summary: "Texas Instruments TMP117: temperature, to 0.1 °C",
    source: "Texas Instruments, SNOSD82D",
    role: Role::Sensor,
    attachments: &[Attachment::I2c { addresses: &[0x48, 0x49, 0x4A, 0x4B] }],
    identity: &IDENTITIES,
    example: "\
- id: water
  driver: tmp117
  bus: i2c-1
  address: 0x48
  every: 10s
",
    defaults: || Spec::Sensor(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| read::<Options>(node, problems).map(|options| Spec::Sensor(Arc::new(options))),
};

/// Index of the channel.
const TEMPERATURE: usize = 0;

/// Section 6.3: the range of operation in °C.
const TEMPERATURE_RANGE: RangeInclusive<f64> = -55.0..=150.0;

/// Section 7.6: the registers.
const RESULT: u8 = 0x00;
const CONFIG: u8 = 0x01;
const IDENTITY: u8 = 0x0F;

/// Section 7.6, device ID register: what bits 11 to 0 hold. The revision is above them.
const IDENTITIES: [Identity; 1] = [Identity::word(IDENTITY, 0x0FFF, &[0x0117])];

/// Section 7.6, configuration register: a conversion is done and was not read yet.
const DATA_READY: u16 = 1 << 13;
/// Field MOD: one conversion, then asleep.
const ONE_SHOT: u16 = 0b11 << 10;
/// What the part gives back as it was written: all but its flags, and the mode, which changes by itself.
const SETTINGS: u16 = 0x03FF;

/// Section 7.3.3: what the result register holds from a reset to the end of the first conversion, −256 °C.
const NO_RESULT: u16 = 0x8000;
/// Section 7.3.3: a step of the result in °C.
const STEP: f64 = 0.007_812_5;
/// Section 7.3.2: typical time of a conversion.
const CONVERSION_TIME_US: u32 = 15_500;
/// How often the end of a measurement is asked for after its typical time; a tenth of that time apart.
const POLLS: u32 = 10;

/// Options of the `tmp117` driver.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// How many conversions are averaged into one measurement. Each takes 15.5 ms, and warms the part a little. The
    /// noise is 0.02 °C at 1, 0.008 °C at 8.
    pub averages: Averages,
}

impl Default for Options {
    fn default() -> Self {
        Self { averages: Averages::X8 }
    }
}

choice! {
    /// How many conversions are averaged into one measurement (section 7.3.2).
    pub enum Averages {
        /// 15.5 ms
        X1 = 1,
        /// 124 ms
        X8 = 8,
        /// 496 ms
        X32 = 32,
        /// 992 ms
        X64 = 64,
    }
}

impl Averages {
    /// Section 7.6, configuration register, field AVG.
    fn avg(self) -> u16 {
        match self {
            Self::X1 => 0b00,
            Self::X8 => 0b01,
            Self::X32 => 0b10,
            Self::X64 => 0b11,
        }
    }

    /// Typical time of the measurement in µs.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // at most 64
    fn time_us(self) -> u32 {
        CONVERSION_TIME_US * self.number() as u32
    }
}

/// A TMP117 on its bus.
pub struct Tmp117<I, D> {
    registers: Registers<I>,
    delay: D,
    averages: Averages,
}

impl<I: I2c, D: DelayNs> Tmp117<I, D> {
    /// Checks the identity. There is nothing to set up: each measurement writes the whole configuration.
    ///
    /// # Errors
    /// Absent, wrong chip, or a failed transfer.
    pub fn new(i2c: I, address: u8, delay: D, averages: Averages) -> Result<Self, Fault> {
        let mut part = Self { registers: Registers { i2c, address }, delay, averages };
        identity::check(&IDENTITIES, &mut part.registers.i2c, address, &mut part.delay)?;
        Ok(part)
    }

    fn measure(&mut self) -> Result<u16, Fault> {
        // Reading it clears the flag (section 7.4.3): what sets it from here on is a measurement of now.
        self.registers.read(CONFIG, "reading the configuration")?;
        let written = ONE_SHOT | self.averages.avg() << 5;
        self.registers.write(CONFIG, written, "starting a measurement")?;
        let time_us = self.averages.time_us();
        self.delay.delay_us(time_us);
        for _ in 0..POLLS {
            // A reset leaves other settings: what it measures then is not what was asked for.
            let found = self.registers.read_config(CONFIG, written, SETTINGS)?;
            if found & DATA_READY != 0 {
                return self.registers.read(RESULT, "reading the measurement");
            }
            self.delay.delay_us(time_us / POLLS);
        }
        Err(Fault::new(FaultKind::NotReady, "the measurement takes more than twice its time"))
    }
}

impl<I: I2c + Send, D: DelayNs + Send> Sensor for Tmp117<I, D> {
    fn sample(&mut self, out: &mut Sample) -> Result<(), Fault> {
        out.number(TEMPERATURE, celsius(self.measure()?)?);
        Ok(())
    }
}

impl SensorSpec for Options {
    fn channels(&self) -> Vec<Channel> {
        vec![Channel::number("temperature", Quantity::TEMPERATURE, TEMPERATURE_RANGE)]
    }

    fn open(&self, wire: Wire) -> Result<Box<dyn Sensor>, Fault> {
        let (i2c, address) = wire.i2c()?;
        Ok(Box::new(Tmp117::new(i2c, address, Delay, self.averages)?))
    }

    fn simulate(&self) -> Option<Box<dyn Part>> {
        Some(Box::new(sim::Model::default()))
    }
}

/// Temperature in °C of a result (section 7.3.3): two's complement.
fn celsius(result: u16) -> Result<f64, Fault> {
    if result == NO_RESULT {
        return Err(Fault::new(FaultKind::NotReady, "no measurement since the part was reset"));
    }
    within(f64::from(result.cast_signed()) * STEP, &TEMPERATURE_RANGE, "a temperature in °C")
}
