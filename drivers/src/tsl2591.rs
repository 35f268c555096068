//! Driver for the TSL2591 (TSL25911) ambient light sensor of ams.
//!
//! Sources: ams, "TSL2591 Datasheet", revision of April 2013, for the command register; the rest of it was not at hand,
//! and was compared in Linux (iio/tsl2591) and Adafruit's libraries: registers, times, nominal gains, and the highest
//! count at 100 ms.
//!
//! The datasheet has no formula for the illuminance. This is the one of two straight lines with the coefficients that
//! ams gave to Adafruit, as in `adafruit_tsl2591`; Linux has another one, which gives more where there is much infrared.
//! Both are for the open sensor, and good to tell a room from a garden rather than to measure. Light that is next to
//! nothing but infrared counts as dark.

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
use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::I2c;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use std::sync::Arc;

/// The driver's entry in the list.
pub static DRIVER: Driver = Driver {
    name: "tsl2591",
    summary: "ams TSL2591: ambient light",
    source: "ams, TSL2591 Datasheet, April 2013, and drivers in use",
    role: Role::Sensor,
    attachments: &[Attachment::I2c { addresses: &[0x29] }],
    identity: &IDENTITIES,
    example: "\
- id: light
  driver: tsl2591
  bus: i2c-1
  address: 0x29
  every: 10s
",
    defaults: || Spec::Sensor(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| read::<Options>(node, problems).map(|options| Spec::Sensor(Arc::new(options))),
};

/// Index of the channel.
const ILLUMINANCE: usize = 0;

/// Page 11, command register: a normal transaction, with the register's address in the low bits. It goes on to the next
/// register by itself.
const COMMAND: u8 = 0b101 << 5;
/// The registers.
const ENABLE: u8 = 0x00;
const CONTROL: u8 = 0x01;
const DEVICE_ID: u8 = 0x12;
/// Followed by both counts, the low byte first: of all light, and of infrared.
const STATUS: u8 = 0x13;

/// What the identity register holds.
const IDENTITIES: [Identity; 1] = [Identity::byte(COMMAND | DEVICE_ID, &[0x50])];
/// Enable: powered and measuring, or off.
const ON: u8 = 0b11;
const OFF: u8 = 0;
/// Status: an integration has ended since it was enabled.
const VALID: u8 = 1 << 0;

/// How often the end of an integration is asked for after its time; a tenth of that time apart.
const POLLS: u32 = 10;
/// The highest counts: of the shortest integration, and of all others.
const FULL_100_MS: u16 = 36_863;
const FULL: u16 = u16::MAX;

/// Adafruit, `_TSL2591_LUX_DF` and the coefficients after it.
const DEVICE_FACTOR: f64 = 408.0;
const COEFFICIENT_B: f64 = 1.64;
const COEFFICIENT_C: f64 = 0.59;
const COEFFICIENT_D: f64 = 0.86;

/// Options of the `tsl2591` driver.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// How much the light is amplified. At 100 ms, the brightest that can be measured is 150 000 lx at 1, 6 000 lx at 25,
    /// 350 lx at 428 and 15 lx at 9876.
    pub gain: Gain,
    /// How long light is collected. Longer is finer, and reaches less far.
    pub integration: Integration,
}

impl Default for Options {
    fn default() -> Self {
        Self { gain: Gain::X25, integration: Integration::Ms100 }
    }
}

choice! {
    /// How much the light is amplified.
    pub enum Gain {
        /// Low.
        X1 = 1,
        /// Medium.
        X25 = 25,
        /// High.
        X428 = 428,
        /// Highest.
        X9876 = 9876,
    }
}

impl Gain {
    /// Control, bits 5 and 4.
    fn field(self) -> u8 {
        match self {
            Self::X1 => 0b00,
            Self::X25 => 0b01,
            Self::X428 => 0b10,
            Self::X9876 => 0b11,
        }
    }
}

/// How long light is collected.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[allow(missing_docs)] // named as in the configuration
pub enum Integration {
    #[serde(rename = "100ms")]
    Ms100,
    #[serde(rename = "200ms")]
    Ms200,
    #[serde(rename = "300ms")]
    Ms300,
    #[serde(rename = "400ms")]
    Ms400,
    #[serde(rename = "500ms")]
    Ms500,
    #[serde(rename = "600ms")]
    Ms600,
}

impl Integration {
    /// Control, bits 2 to 0.
    fn field(self) -> u8 {
        match self {
            Self::Ms100 => 0,
            Self::Ms200 => 1,
            Self::Ms300 => 2,
            Self::Ms400 => 3,
            Self::Ms500 => 4,
            Self::Ms600 => 5,
        }
    }

    /// In ms.
    fn ms(self) -> u16 {
        100 * (u16::from(self.field()) + 1)
    }

    /// The highest count.
    fn full(self) -> u16 {
        if self == Self::Ms100 { FULL_100_MS } else { FULL }
    }
}

impl Options {
    /// The control register.
    fn control(self) -> u8 {
        self.gain.field() << 4 | self.integration.field()
    }

    /// Illuminance in lx of the counts of all light and of infrared.
    fn lux(self, all: u16, infrared: u16) -> f64 {
        let counts_per_lux = f64::from(self.integration.ms()) * self.gain.number() / DEVICE_FACTOR;
        let (all, infrared) = (f64::from(all), f64::from(infrared));
        let counts = (all - COEFFICIENT_B * infrared).max(COEFFICIENT_C * all - COEFFICIENT_D * infrared);
        counts.max(0.0) / counts_per_lux
    }

    /// What can be measured, in whole lx. The highest count also stands for all that is beyond.
    fn range(self) -> RangeInclusive<f64> {
        0.0..=self.lux(self.integration.full() - 1, 0).floor()
    }
}

/// A TSL2591 on its bus.
pub struct Tsl2591<I, D> {
    i2c: I,
    address: u8,
    delay: D,
    options: Options,
}

impl<I: I2c, D: DelayNs> Tsl2591<I, D> {
    /// Checks the identity. There is nothing to set up: each measurement writes all settings.
    ///
    /// # Errors
    /// Absent, wrong chip, or a failed transfer.
    pub fn new(i2c: I, address: u8, delay: D, options: Options) -> Result<Self, Fault> {
        let mut part = Self { i2c, address, delay, options };
        identity::check(&IDENTITIES, &mut part.i2c, address, &mut part.delay)?;
        Ok(part)
    }

    /// The counts of all light, and of infrared.
    fn measure(&mut self) -> Result<[u16; 2], Fault> {
        // From off to on, so that what is valid from here on is of now.
        self.write(ENABLE, OFF, "turning it off")?;
        self.write(CONTROL, self.options.control(), "writing gain and integration")?;
        self.write(ENABLE, ON, "starting a measurement")?;
        let counts = self.wait();
        self.write(ENABLE, OFF, "turning it off")?;
        counts
    }

    fn wait(&mut self) -> Result<[u16; 2], Fault> {
        let time_us = 1_000 * u32::from(self.options.integration.ms());
        self.delay.delay_us(time_us);
        for _ in 0..POLLS {
            let [status, a0, a1, i0, i1] = self.read(STATUS, "reading the measurement")?;
            if status & VALID != 0 {
                return Ok([u16::from_le_bytes([a0, a1]), u16::from_le_bytes([i0, i1])]);
            }
            self.delay.delay_us(time_us / POLLS);
        }
        Err(Fault::new(FaultKind::NotReady, "the measurement takes more than twice its time"))
    }

    fn write(&mut self, register: u8, value: u8, doing: &str) -> Result<(), Fault> {
        self.i2c.write(self.address, &[COMMAND | register, value]).map_err(|error| Fault::i2c(error, doing))
    }

    fn read<const N: usize>(&mut self, register: u8, doing: &str) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        self.i2c
            .write_read(self.address, &[COMMAND | register], &mut bytes)
            .map_err(|error| Fault::i2c(error, doing))?;
        Ok(bytes)
    }
}

impl<I: I2c + Send, D: DelayNs + Send> Sensor for Tsl2591<I, D> {
    fn sample(&mut self, out: &mut Sample) -> Result<(), Fault> {
        let [all, infrared] = self.measure()?;
        if all.max(infrared) >= self.options.integration.full() {
            return Err(Fault::corrupt(format!(
                "too bright for a gain of {} at {} ms (counts {all} and {infrared})",
                self.options.gain.number(),
                self.options.integration.ms()
            )));
        }
        let lux = self.options.lux(all, infrared);
        out.number(ILLUMINANCE, within(lux, &self.options.range(), "an illuminance in lx")?);
        Ok(())
    }

    fn halt(&mut self) -> Result<(), Fault> {
        self.write(ENABLE, OFF, "turning it off")
    }
}

impl SensorSpec for Options {
    fn channels(&self) -> Vec<Channel> {
        vec![Channel::number("illuminance", Quantity::ILLUMINANCE, self.range())]
    }

    fn open(&self, wire: Wire) -> Result<Box<dyn Sensor>, Fault> {
        let (i2c, address) = wire.i2c()?;
        Ok(Box::new(Tsl2591::new(i2c, address, Delay, *self)?))
    }

    fn simulate(&self) -> Option<Box<dyn Part>> {
        Some(Box::new(sim::Model::default()))
    }
}
