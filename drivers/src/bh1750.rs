//! Driver for the BH1750FVI ambient light sensor of ROHM.
//!
//! Source: ROHM, "BH1750FVI Technical Note", revision B of April 2009; pages are cited from it. Compared with Linux
//! (iio/bh1750) for the commands, and for the scale and time of each setting of the measurement time.
//!
//! The part has no identity, no checksum, no flag of the end of a measurement and no register that gives back what was
//! written. What is looked at is that its data register is 0 after it was told to clear it: an open bus, or a part that
//! does not know the command, mostly is not. A part that loses its power while it measures gives 0 lx.

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
use serde::Deserialize;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// The driver's entry in the list.
pub static DRIVER: Driver = Driver {
    name: "bh1750",
    summary: "ROHM BH1750FVI: ambient light",
    source: "ROHM, BH1750FVI Technical Note, revision B",
    role: Role::Sensor,
    attachments: &[Attachment::I2c { addresses: &[0x23, 0x5C] }],
    identity: &[],
    example: "\
- id: light
  driver: bh1750
  bus: i2c-1
  address: 0x23
  every: 10s
",
    defaults: || Spec::Sensor(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| read::<Options>(node, problems).map(|options| Spec::Sensor(Arc::new(options))),
};

/// Index of the channel.
const ILLUMINANCE: usize = 0;

/// Page 5: the commands, each in a transaction of its own (page 10). The measurement time goes into the low bits of two.
const POWER_DOWN: u8 = 0x00;
const POWER_ON: u8 = 0x01;
const CLEAR: u8 = 0x07;
const TIME_HIGH: u8 = 0x40;
const TIME_LOW: u8 = 0x60;

/// Page 2: counts for each lx, at the usual measurement time.
const COUNTS_PER_LUX: f64 = 1.2;
/// The usual setting of the measurement time.
const USUAL_TIME: u8 = 69;

/// Options of the `bh1750` driver.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// How fine a measurement is, in lx, at a sensitivity of 1. 0.5 and 1 take 180 ms, and suppress the flicker of lamps;
    /// 0.5 reaches half as far.
    pub resolution: Resolution,
    /// How sensitive the part is: 1 reaches 54 611 lx; 0.45 reaches 121 555 lx, as for the sun, in 0.45 times the time;
    /// 3.68 reaches 14 835 lx, as behind a dark window, in 3.68 times the time.
    pub sensitivity: Sensitivity,
}

impl Default for Options {
    fn default() -> Self {
        Self { resolution: Resolution::Lx1, sensitivity: Sensitivity::X1 }
    }
}

choice! {
    /// How fine a measurement is, in lx.
    pub enum Resolution {
        /// "H-Resolution Mode2": 180 ms.
        Lx0_5 = 0.5,
        /// "H-Resolution Mode": 180 ms.
        Lx1 = 1,
        /// "L-Resolution Mode": 24 ms.
        Lx4 = 4,
    }
}

impl Resolution {
    /// Command for one measurement, after which the part is asleep (page 5).
    fn command(self) -> u8 {
        match self {
            Self::Lx0_5 => 0x21,
            Self::Lx1 => 0x20,
            Self::Lx4 => 0x23,
        }
    }

    /// Longest time of the measurement in µs, at the usual setting (page 2).
    fn time_us(self) -> u32 {
        match self {
            Self::Lx0_5 | Self::Lx1 => 180_000,
            Self::Lx4 => 24_000,
        }
    }

    /// Counts for each of those of the other modes: mode 2 counts halves.
    fn counts(self) -> f64 {
        match self {
            Self::Lx0_5 => 2.0,
            Self::Lx1 | Self::Lx4 => 1.0,
        }
    }
}

choice! {
    /// How sensitive the part is: the measurement time, against the usual one.
    pub enum Sensitivity {
        /// The shortest time that can be set, 31.
        X0_45 = 0.45,
        /// The usual one, 69.
        X1 = 1,
        /// The longest one, 254.
        X3_68 = 3.68,
    }
}

impl Sensitivity {
    /// The setting of the measurement time.
    fn setting(self) -> u8 {
        match self {
            Self::X0_45 => 31,
            Self::X1 => USUAL_TIME,
            Self::X3_68 => 254,
        }
    }
}

impl Options {
    /// Longest time of a measurement in µs.
    fn time_us(self) -> u32 {
        (self.resolution.time_us() * u32::from(self.sensitivity.setting())).div_ceil(u32::from(USUAL_TIME))
    }

    /// Illuminance in lx of a count (page 10; page 11 for the measurement time).
    fn lux(self, count: u16) -> f64 {
        let time = f64::from(USUAL_TIME) / f64::from(self.sensitivity.setting());
        f64::from(count) / COUNTS_PER_LUX * time / self.resolution.counts()
    }

    /// What can be measured, in whole lx. The highest count also stands for all that is beyond.
    fn range(self) -> RangeInclusive<f64> {
        0.0..=self.lux(u16::MAX - 1).floor()
    }
}

/// A BH1750 on its bus.
pub struct Bh1750<I, D> {
    i2c: I,
    address: u8,
    delay: D,
    options: Options,
}

impl<I: I2c, D: DelayNs> Bh1750<I, D> {
    /// Clears the data register, and looks whether it is clear.
    ///
    /// # Errors
    /// Absent, wrong chip (it is not), or a failed transfer.
    pub fn new(i2c: I, address: u8, delay: D, options: Options) -> Result<Self, Fault> {
        let mut part = Self { i2c, address, delay, options };
        part.send(POWER_ON, "turning it on")?;
        part.send(CLEAR, "clearing the data register")?;
        let found = part.read("reading the cleared data register")?;
        part.send(POWER_DOWN, "turning it off")?;
        if found != 0 {
            return Err(Fault::wrong_chip(format!(
                "the data register holds {found:#06x} after it was cleared: not a BH1750"
            )));
        }
        Ok(part)
    }

    fn send(&mut self, command: u8, doing: &str) -> Result<(), Fault> {
        self.i2c.write(self.address, &[command]).map_err(|error| Fault::i2c(error, doing))
    }

    fn read(&mut self, doing: &str) -> Result<u16, Fault> {
        let mut bytes = [0; 2];
        self.i2c.read(self.address, &mut bytes).map_err(|error| Fault::i2c(error, doing))?;
        Ok(u16::from_be_bytes(bytes))
    }
}

impl<I: I2c + Send, D: DelayNs + Send> Sensor for Bh1750<I, D> {
    fn sample(&mut self, out: &mut Sample) -> Result<(), Fault> {
        // Each time: a loss of power sets the usual one again, and nothing tells.
        let setting = self.options.sensitivity.setting();
        self.send(TIME_HIGH | setting >> 5, "setting the measurement time")?;
        self.send(TIME_LOW | setting & 0b1_1111, "setting the measurement time")?;
        self.send(self.options.resolution.command(), "starting a measurement")?;
        self.delay.delay_us(self.options.time_us());
        let count = self.read("reading the measurement")?;
        if count == u16::MAX {
            let end = self.options.lux(count);
            return Err(Fault::corrupt(format!("{end:.0} lx or beyond, the end of the range (count {count:#06x})")));
        }
        let lux = self.options.lux(count);
        out.number(ILLUMINANCE, within(lux, &self.options.range(), "an illuminance in lx")?);
        Ok(())
    }

    fn halt(&mut self) -> Result<(), Fault> {
        self.send(POWER_DOWN, "turning it off")
    }
}

impl SensorSpec for Options {
    fn channels(&self) -> Vec<Channel> {
        vec![Channel::number("illuminance", Quantity::ILLUMINANCE, self.range())]
    }

    fn open(&self, wire: Wire) -> Result<Box<dyn Sensor>, Fault> {
        let (i2c, address) = wire.i2c()?;
        Ok(Box::new(Bh1750::new(i2c, address, Delay, *self)?))
    }

    fn simulate(&self) -> Option<Box<dyn Part>> {
        Some(Box::new(sim::Model::default()))
    }
}
