//! Driver for the VEML7700 ambient light sensor of Vishay.
//!
//! Sources: Vishay, "VEML7700", document 84286, revision 1.7 of November 2023, and the application note "Designing the
//! VEML7700 Into an Application", document 84323, neither of which was at hand as a whole. Registers and fields were
//! compared in Linux (iio/veml6030), the veml6030 crate and Adafruit's libraries. The resolution is that of revision 1.7,
//! 0.0042 lx at its finest: what was said before, 0.0036 lx, was wrong by the maker's own notice, and is in many drivers.
//!
//! The note asks for its correction above 1000 lx, where it would begin with a step of 7 %. It is smooth and small below:
//! 1 % at 100 lx. So it is applied throughout, and no step can make a rule go back and forth.
//!
//! Whether all parts have an identity register was not to be found out. The part is known by its configuration register, which gives
//! back what was written to it, both when the part is opened and with every measurement.

#[cfg(test)]
mod tests;

pub mod sim;

use crate::channel::{Channel, Quantity, within};
use crate::driver::{Attachment, Driver, Role, Spec};
use crate::fault::Fault;
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
    name: "veml7700",
    summary: "Vishay VEML7700: ambient light",
    source: "drivers in use, for Vishay's documents 84286 and 84323",
    role: Role::Sensor,
    attachments: &[Attachment::I2c { addresses: &[0x10] }],
    identity: &[],
    example: "\
- id: light
  driver: veml7700
  bus: i2c-1
  address: 0x10
  every: 10s
",
    defaults: || Spec::Sensor(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| read::<Options>(node, problems).map(|options| Spec::Sensor(Arc::new(options))),
};

/// Index of the channel.
const ILLUMINANCE: usize = 0;

/// The registers, of 16 bits, the low byte first.
const CONFIG: u8 = 0x00;
const POWER_SAVING: u8 = 0x03;
const LIGHT: u8 = 0x04;

/// Configuration: asleep.
const SHUTDOWN: u16 = 1 << 0;
/// All its fields: gain, integration time, persistence, interrupt, shutdown.
const FIELDS: u16 = 0b11 << 11 | 0b1111 << 6 | 0b11 << 4 | 0b11;

/// It takes 4 ms to wake up (Linux).
const WAKE_UP_US: u32 = 4_000;
/// Application note: lx of a count at the highest gain and the longest integration.
const FINEST: f64 = 0.0042;
/// The datasheet's highest illuminance, in lx.
const BRIGHTEST: f64 = 140_000.0;
/// Application note: the correction, for lx, its square, its cube and so on.
const CORRECTION: [f64; 4] = [1.0023, 8.1488e-5, -9.3924e-9, 6.0135e-13];

/// Options of the `veml7700` driver.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// How much the light is amplified. 0.125 and 0.25 are for daylight, 1 and 2 for the dark. At 100 ms, the brightest
    /// that can be measured is 140 000 lx at 0.125, 49 500 lx at 0.25, 5 400 lx at 1, and 2 500 lx at 2.
    pub gain: Gain,
    /// How long light is collected. Longer is finer, and reaches less far.
    pub integration: Integration,
}

impl Default for Options {
    fn default() -> Self {
        Self { gain: Gain::X0_125, integration: Integration::Ms100 }
    }
}

choice! {
    /// How much the light is amplified.
    pub enum Gain {
        /// 1/8
        X0_125 = 0.125,
        /// 1/4
        X0_25 = 0.25,
        /// 1
        X1 = 1,
        /// 2
        X2 = 2,
    }
}

impl Gain {
    /// Configuration, bits 12 and 11.
    fn field(self) -> u16 {
        match self {
            Self::X1 => 0b00,
            Self::X2 => 0b01,
            Self::X0_125 => 0b10,
            Self::X0_25 => 0b11,
        }
    }
}

/// How long light is collected.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[allow(missing_docs)] // named as in the configuration
pub enum Integration {
    #[serde(rename = "25ms")]
    Ms25,
    #[serde(rename = "50ms")]
    Ms50,
    #[serde(rename = "100ms")]
    Ms100,
    #[serde(rename = "200ms")]
    Ms200,
    #[serde(rename = "400ms")]
    Ms400,
    #[serde(rename = "800ms")]
    Ms800,
}

impl Integration {
    /// In ms.
    fn ms(self) -> u16 {
        match self {
            Self::Ms25 => 25,
            Self::Ms50 => 50,
            Self::Ms100 => 100,
            Self::Ms200 => 200,
            Self::Ms400 => 400,
            Self::Ms800 => 800,
        }
    }

    /// Configuration, bits 9 to 6.
    fn field(self) -> u16 {
        match self {
            Self::Ms25 => 0b1100,
            Self::Ms50 => 0b1000,
            Self::Ms100 => 0b0000,
            Self::Ms200 => 0b0001,
            Self::Ms400 => 0b0010,
            Self::Ms800 => 0b0011,
        }
    }
}

impl Options {
    /// The configuration register of a part that measures.
    fn config(self) -> u16 {
        self.gain.field() << 11 | self.integration.field() << 6
    }

    /// Lx of a count, before the correction.
    fn resolution(self) -> f64 {
        FINEST * (2.0 / self.gain.number()) * (800.0 / f64::from(self.integration.ms()))
    }

    /// Illuminance in lx of a count.
    fn lux(self, count: u16) -> f64 {
        corrected(f64::from(count) * self.resolution())
    }

    /// What can be measured, in whole lx. The highest count also stands for all that is beyond.
    fn range(self) -> RangeInclusive<f64> {
        0.0..=self.lux(u16::MAX - 1).floor().min(BRIGHTEST)
    }
}

/// A VEML7700 on its bus.
pub struct Veml7700<I, D> {
    i2c: I,
    address: u8,
    delay: D,
    options: Options,
}

impl<I: I2c, D: DelayNs> Veml7700<I, D> {
    /// Puts the part to sleep, and looks whether it took the configuration.
    ///
    /// # Errors
    /// Absent, wrong chip (it did not), or a failed transfer.
    pub fn new(i2c: I, address: u8, delay: D, options: Options) -> Result<Self, Fault> {
        let mut part = Self { i2c, address, delay, options };
        // Two of them: one could be what another part happens to hold.
        for written in [FIELDS, options.config() | SHUTDOWN] {
            part.write(CONFIG, written, "writing the configuration")?;
            let found = part.read(CONFIG, "reading the configuration")?;
            if found & FIELDS != written {
                return Err(Fault::wrong_chip(format!(
                    "the configuration register holds {found:#06x} after {written:#06x} was written: not a VEML7700"
                )));
            }
        }
        part.write(POWER_SAVING, 0, "turning the power saving off")?;
        Ok(part)
    }

    fn measure(&mut self) -> Result<u16, Fault> {
        let written = self.options.config();
        self.write(CONFIG, written, "waking it up")?;
        // Nothing tells when the first result is there, and its clock is not exact: twice the time.
        self.delay.delay_us(WAKE_UP_US + 2_000 * u32::from(self.options.integration.ms()));
        let count = self.read(LIGHT, "reading the measurement")?;
        // A part that lost its power has other settings.
        let found = self.read(CONFIG, "reading the configuration")?;
        self.write(CONFIG, written | SHUTDOWN, "putting it to sleep")?;
        if found & FIELDS != written {
            return Err(Fault::corrupt(format!(
                "the configuration register holds {found:#06x} after {written:#06x} was written"
            )));
        }
        Ok(count)
    }

    fn write(&mut self, register: u8, value: u16, doing: &str) -> Result<(), Fault> {
        let [low, high] = value.to_le_bytes();
        self.i2c.write(self.address, &[register, low, high]).map_err(|error| Fault::i2c(error, doing))
    }

    fn read(&mut self, register: u8, doing: &str) -> Result<u16, Fault> {
        let mut bytes = [0; 2];
        self.i2c.write_read(self.address, &[register], &mut bytes).map_err(|error| Fault::i2c(error, doing))?;
        Ok(u16::from_le_bytes(bytes))
    }
}

impl<I: I2c + Send, D: DelayNs + Send> Sensor for Veml7700<I, D> {
    fn sample(&mut self, out: &mut Sample) -> Result<(), Fault> {
        let count = self.measure()?;
        if count == u16::MAX {
            return Err(Fault::corrupt(format!(
                "too bright for a gain of {} at {} ms (count {count:#06x})",
                self.options.gain.number(),
                self.options.integration.ms()
            )));
        }
        let lux = self.options.lux(count);
        out.number(ILLUMINANCE, within(lux, &self.options.range(), "an illuminance in lx")?);
        Ok(())
    }

    fn halt(&mut self) -> Result<(), Fault> {
        self.write(CONFIG, self.options.config() | SHUTDOWN, "putting it to sleep")
    }
}

impl SensorSpec for Options {
    fn channels(&self) -> Vec<Channel> {
        vec![Channel::number("illuminance", Quantity::ILLUMINANCE, self.range())]
    }

    fn open(&self, wire: Wire) -> Result<Box<dyn Sensor>, Fault> {
        let (i2c, address) = wire.i2c()?;
        Ok(Box::new(Veml7700::new(i2c, address, Delay, *self)?))
    }

    fn simulate(&self) -> Option<Box<dyn Part>> {
        Some(Box::new(sim::Model::default()))
    }
}

/// The correction of the application note.
fn corrected(lux: f64) -> f64 {
    CORRECTION.iter().rev().fold(0.0, |sum, coefficient| (sum + coefficient) * lux)
}
