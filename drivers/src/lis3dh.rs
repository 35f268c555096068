//! Driver for the LIS3DH accelerometer of ST; the LIS2DH12 is the same to it.
//!
//! Source: ST, "LIS3DH datasheet", DocID17530, revision 2; sections and tables are cited from it. The example of values is
//! in ST's application note AN3308.
//!
//! The part measures all the time, in its finest mode of twelve bits, from when it is opened until it is halted. A sample
//! reads its settings along with the values, in one transaction: a part that lost its power is noticed and set up anew.

#[cfg(test)]
mod tests;

pub mod sim;

use crate::byte_registers::{OverI2c, OverSpi, Registers};
use crate::channel::{Channel, Quantity, within};
use crate::driver::{Attachment, Driver, Role, Spec};
use crate::fault::{Fault, FaultKind};
use crate::identity::Identity;
use crate::options::limits::choice;
use crate::options::{read, shape};
use crate::port::{Delay, SpiSettings, Wire};
use crate::sensor::{Sample, Sensor, SensorSpec};
use crate::sim::Part;
use embedded_hal::delay::DelayNs;
use embedded_hal::spi;
use schemars::JsonSchema;
use serde::Deserialize;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// The driver's entry in the list.
pub static DRIVER: Driver = Driver {
    name: "lis3dh",
    summary: "ST LIS3DH, LIS2DH12: acceleration",
    source: "ST, DocID17530, revision 2",
    role: Role::Sensor,
    attachments: &[Attachment::I2c { addresses: &[0x18, 0x19] }, Attachment::Spi],
    identity: &[Identity::byte(WHO_AM_I, &[IDENTITY as u16])],
    example: "\
- id: tilt
  driver: lis3dh
  bus: i2c-1
  address: 0x18
  every: 1s
",
    defaults: || Spec::Sensor(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| read::<Options>(node, problems).map(|options| Spec::Sensor(Arc::new(options))),
};

/// The channels, in the order of the data registers.
const CHANNELS: [&str; 3] = ["acceleration_x", "acceleration_y", "acceleration_z"];

/// Standard gravity in m/s².
const G: f64 = 9.806_65;

/// Section 7, table 21: the registers.
const WHO_AM_I: u8 = 0x0F;
const CTRL_REG1: u8 = 0x20;
const CTRL_REG4: u8 = 0x23;
/// From the first control register to the last byte of data: CTRL_REG1 to 6, REFERENCE, STATUS, and three words.
const BLOCK: usize = 14;

/// Section 8.6, table 25: the identity.
const IDENTITY: u8 = 0x33;
/// Section 8.8: all three axes.
const AXES: u8 = 0b111;
/// Section 8.11: both bytes of a word are of the same measurement; twelve bits.
const WHOLE_WORDS: u8 = 1 << 7;
const HIGH_RESOLUTION: u8 = 1 << 3;
/// Section 8.14: all three axes have a value that was not read yet.
const DATA_AVAILABLE: u8 = 1 << 3;

/// Section 6.1.1 and 6.2: the bit of a register's address that lets it count on, on I2C and on SPI.
const COUNT_ON_I2C: u8 = 1 << 7;
const COUNT_ON_SPI: u8 = 1 << 6;

/// How often new values are asked for, a period apart.
const POLLS: u32 = 3;

/// Section 6.2: the clock rests high; at most 10 MHz.
const SPI: SpiSettings = SpiSettings { mode: spi::MODE_3, max_hz: 10_000_000 };

/// Options of the `lis3dh` driver.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// The highest acceleration that can be measured, in g (9.80665 m/s²). At rest, gravity alone is 1.
    pub range: Range,
    /// How many times a second it measures. Vibrations faster than half of that are not resolved. A sample is the newest
    /// of these measurements.
    pub rate: Rate,
}

impl Default for Options {
    fn default() -> Self {
        Self { range: Range::G2, rate: Rate::Hz10 }
    }
}

choice! {
    /// The highest acceleration that can be measured, in g.
    pub enum Range {
        /// Steps of 1 mg.
        G2 = 2,
        /// Steps of 2 mg.
        G4 = 4,
        /// Steps of 4 mg.
        G8 = 8,
        /// Steps of 12 mg.
        G16 = 16,
    }
}

choice! {
    /// How many times a second it measures.
    pub enum Rate {
        /// 10 Hz
        Hz10 = 10,
        /// 25 Hz
        Hz25 = 25,
        /// 50 Hz
        Hz50 = 50,
        /// 100 Hz
        Hz100 = 100,
        /// 200 Hz
        Hz200 = 200,
        /// 400 Hz
        Hz400 = 400,
    }
}

impl Range {
    /// Section 8.11, table 35: the field FS.
    fn fs(self) -> u8 {
        match self {
            Self::G2 => 0b00,
            Self::G4 => 0b01,
            Self::G8 => 0b10,
            Self::G16 => 0b11,
        }
    }

    /// Section 2.1, table 4: a step of twelve bits, in m/s².
    fn step(self) -> f64 {
        let milligravities = match self {
            Self::G2 => 1.0,
            Self::G4 => 2.0,
            Self::G8 => 4.0,
            Self::G16 => 12.0,
        };
        milligravities * G / 1_000.0
    }

    /// The range of a channel in m/s².
    fn limits(self) -> RangeInclusive<f64> {
        -self.number() * G..=self.number() * G
    }
}

impl Rate {
    /// Section 8.8, table 31: the field ODR.
    fn odr(self) -> u8 {
        match self {
            Self::Hz10 => 0b0010,
            Self::Hz25 => 0b0011,
            Self::Hz50 => 0b0100,
            Self::Hz100 => 0b0101,
            Self::Hz200 => 0b0110,
            Self::Hz400 => 0b0111,
        }
    }

    /// Time from one measurement to the next in µs.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // at most 100 000
    fn period_us(self) -> u32 {
        (1e6 / self.number()) as u32
    }
}

impl Options {
    /// CTRL_REG1 and CTRL_REG4.
    fn control(&self) -> [u8; 2] {
        [self.rate.odr() << 4 | AXES, WHOLE_WORDS | self.range.fs() << 4 | HIGH_RESOLUTION]
    }
}

/// A LIS3DH on its bus.
pub struct Lis3dh<R, D> {
    registers: R,
    /// The bit of a register's address that lets it count on.
    count_on: u8,
    delay: D,
    options: Options,
    /// Whether the part has its settings, as far as is known.
    ready: bool,
}

impl<R: Registers, D: DelayNs> Lis3dh<R, D> {
    /// Checks the identity, and starts to measure.
    ///
    /// # Errors
    /// Absent, wrong chip, or a failed transfer.
    pub fn new(registers: R, count_on: u8, delay: D, options: Options) -> Result<Self, Fault> {
        let mut part = Self { registers, count_on, delay, options, ready: false };
        part.set_up()?;
        Ok(part)
    }

    fn set_up(&mut self) -> Result<(), Fault> {
        let mut identity = [0];
        self.registers.read(WHO_AM_I, &mut identity)?;
        check_identity(identity[0])?;
        let [control1, control4] = self.options.control();
        self.registers.write(CTRL_REG4, control4)?;
        self.registers.write(CTRL_REG1, control1)?;
        // Section 3.2.1, table 11: seven measurements until it is as fine as it can be.
        self.delay.delay_us(7 * self.options.rate.period_us());
        self.ready = true;
        Ok(())
    }

    /// Acceleration along each axis in m/s².
    fn measure(&mut self) -> Result<[f64; 3], Fault> {
        if !self.ready {
            self.set_up()?;
        }
        for _ in 0..POLLS {
            let mut block = [0; BLOCK];
            self.registers.read(CTRL_REG1 | self.count_on, &mut block)?;
            let [control1, _, _, control4, _, _, _, status, data @ ..] = block;
            let (found, expected) = ([control1, control4], self.options.control());
            if found != expected {
                return Err(Fault::corrupt(format!(
                    "CTRL_REG1 and 4 hold {found:02x?} after {expected:02x?} was written: the part lost its settings, \
                     and gets them again"
                )));
            }
            if status & DATA_AVAILABLE != 0 {
                let [x, xh, y, yh, z, zh] = data;
                let [x, y, z] = [[x, xh], [y, yh], [z, zh]].map(|word| acceleration(word, self.options.range));
                return Ok([x?, y?, z?]);
            }
            self.delay.delay_us(self.options.rate.period_us());
        }
        Err(Fault::new(FaultKind::NotReady, "no new measurement in three times the time that it takes"))
    }
}

impl<R: Registers + Send, D: DelayNs + Send> Sensor for Lis3dh<R, D> {
    fn sample(&mut self, out: &mut Sample) -> Result<(), Fault> {
        let measured = self.measure();
        // Whatever went wrong, settings may be at fault: the next sample begins afresh.
        self.ready = measured.is_ok();
        for (channel, value) in measured?.into_iter().enumerate() {
            out.number(channel, value);
        }
        Ok(())
    }

    /// Section 8.8, table 31: powered down.
    fn halt(&mut self) -> Result<(), Fault> {
        self.ready = false;
        self.registers.write(CTRL_REG1, 0)
    }
}

impl SensorSpec for Options {
    fn channels(&self) -> Vec<Channel> {
        CHANNELS.map(|name| Channel::number(name, Quantity::ACCELERATION, self.range.limits())).into()
    }

    fn open(&self, wire: Wire) -> Result<Box<dyn Sensor>, Fault> {
        match wire {
            Wire::I2c(i2c, address) => Ok(Box::new(Lis3dh::new(OverI2c(i2c, address), COUNT_ON_I2C, Delay, *self)?)),
            Wire::Spi(spi) => Ok(Box::new(Lis3dh::new(OverSpi(spi), COUNT_ON_SPI, Delay, *self)?)),
            other => Err(other.unexpected()),
        }
    }

    fn spi(&self) -> Option<SpiSettings> {
        Some(SPI)
    }

    fn simulate(&self) -> Option<Box<dyn Part>> {
        Some(Box::new(sim::Model::default()))
    }
}

fn check_identity(identity: u8) -> Result<(), Fault> {
    let found = format!("identity register {WHO_AM_I:#04x} holds {identity:#04x}, expected {IDENTITY:#04x}");
    match identity {
        IDENTITY => Ok(()),
        // SPI has no acknowledge: this is how it looks when nobody is there.
        0x00 | 0xFF => Err(Fault::new(FaultKind::Absent, format!("{found}: nothing answers"))),
        _ => Err(Fault::wrong_chip(found)),
    }
}

/// Acceleration in m/s² of a word (sections 3.2.1 and 8.15): twelve bits, two's complement, at its upper end.
fn acceleration(word: [u8; 2], range: Range) -> Result<f64, Fault> {
    let steps = i16::from_le_bytes(word) >> 4;
    within(f64::from(steps) * range.step(), &range.limits(), "an acceleration in m/s²")
}
