//! Driver for the LM75A and LM75B temperature sensors of NXP, and for parts that are compatible with them.
//!
//! Source: NXP, "LM75A Digital temperature sensor and thermal watchdog", revision 04 of July 2007; sections are cited
//! from it. The LM75B has the same registers (NXP, LM75B, revision 6.1).
//!
//! The part has no identity register. It is known by its configuration register: one byte that gives back what was
//! written to it, with its three highest bits zero. That tells it from its neighbours at these addresses, but not from
//! the many parts that copy it. Those of nine bits, such as the LM75A of Texas Instruments, are read with `bits: 9`.
//!
//! It sleeps between measurements. There is no single conversion and no flag of its end: it is woken, and left alone
//! for as long as a conversion takes. Its output OS, which is set by a comparison with limits, is not used.

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
    name: "lm75",
    summary: "NXP LM75A, LM75B and compatible: temperature",
    source: "NXP, LM75A, revision 04",
    role: Role::Sensor,
    attachments: &[Attachment::I2c { addresses: &[0x48, 0x49, 0x4A, 0x4B, 0x4C, 0x4D, 0x4E, 0x4F] }],
    identity: &[],
    example: "\
- id: board
  driver: lm75
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

/// Section 1: the range of operation in °C.
const TEMPERATURE_RANGE: RangeInclusive<f64> = -55.0..=125.0;

/// Section 7.4, table 5: the registers.
const RESULT: u8 = 0x00;
const CONFIG: u8 = 0x01;

/// Section 7.4.2, table 8: asleep.
const SHUTDOWN: u8 = 1;
/// Section 7.4.2, table 8: two faults in a row set OS. It is what a reset does not leave, so that one is noticed.
const MARK: u8 = 0b01 << 3;
/// The same: six faults. For the check of the part only.
const OTHER_MARK: u8 = 0b11 << 3;

/// How long a conversion takes in µs: at most 300 ms with the slowest of them (Texas Instruments, LM75A, SNOS808O;
/// typically 100 ms). Any access meanwhile starts it anew, so the part is left alone.
const CONVERSION_TIME_US: u32 = 300_000;

/// Options of the `lm75` driver.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// How many bits of a result are used: 11 for the LM75A and LM75B of NXP, 9 for most of the others, whose further
    /// bits mean nothing.
    pub bits: Bits,
}

impl Default for Options {
    fn default() -> Self {
        Self { bits: Bits::B11 }
    }
}

choice! {
    /// How many bits of a result are used (section 7.4.3).
    pub enum Bits {
        /// 0.5 °C a step.
        B9 = 9,
        /// 0.125 °C a step.
        B11 = 11,
    }
}

/// An LM75 on its bus.
pub struct Lm75<I, D> {
    i2c: I,
    address: u8,
    delay: D,
    bits: Bits,
}

impl<I: I2c, D: DelayNs> Lm75<I, D> {
    /// Puts the part to sleep, and looks whether it took the configuration.
    ///
    /// # Errors
    /// Absent, wrong chip (it did not), or a failed transfer.
    pub fn new(i2c: I, address: u8, delay: D, bits: Bits) -> Result<Self, Fault> {
        let mut part = Self { i2c, address, delay, bits };
        // Two of them: one could be what another part happens to hold.
        for written in [OTHER_MARK | SHUTDOWN, MARK | SHUTDOWN] {
            part.write_config(written, "writing the configuration")?;
            let found = part.read_config()?;
            if found != written {
                return Err(Fault::wrong_chip(format!(
                    "the configuration register holds {found:#04x} after {written:#04x} was written: not an LM75"
                )));
            }
        }
        Ok(part)
    }

    fn measure(&mut self) -> Result<u16, Fault> {
        self.write_config(MARK, "starting a measurement")?;
        self.delay.delay_us(CONVERSION_TIME_US);
        let found = self.read_config()?;
        // After a reset there may be no result yet.
        if found != MARK {
            return Err(Fault::corrupt(format!(
                "the configuration register holds {found:#04x} after {MARK:#04x} was written"
            )));
        }
        let mut bytes = [0; 2];
        self.i2c
            .write_read(self.address, &[RESULT], &mut bytes)
            .map_err(|error| Fault::i2c(error, "reading the measurement"))?;
        self.sleep()?;
        Ok(u16::from_be_bytes(bytes))
    }

    fn sleep(&mut self) -> Result<(), Fault> {
        self.write_config(MARK | SHUTDOWN, "putting it to sleep")
    }

    fn write_config(&mut self, config: u8, doing: &str) -> Result<(), Fault> {
        self.i2c.write(self.address, &[CONFIG, config]).map_err(|error| Fault::i2c(error, doing))
    }

    fn read_config(&mut self) -> Result<u8, Fault> {
        let mut config = [0];
        self.i2c
            .write_read(self.address, &[CONFIG], &mut config)
            .map_err(|error| Fault::i2c(error, "reading the configuration"))?;
        Ok(config[0])
    }
}

impl<I: I2c + Send, D: DelayNs + Send> Sensor for Lm75<I, D> {
    fn sample(&mut self, out: &mut Sample) -> Result<(), Fault> {
        out.number(TEMPERATURE, celsius(self.measure()?, self.bits)?);
        Ok(())
    }

    fn halt(&mut self) -> Result<(), Fault> {
        self.sleep()
    }
}

impl SensorSpec for Options {
    fn channels(&self) -> Vec<Channel> {
        vec![Channel::number("temperature", Quantity::TEMPERATURE, TEMPERATURE_RANGE)]
    }

    fn open(&self, wire: Wire) -> Result<Box<dyn Sensor>, Fault> {
        let (i2c, address) = wire.i2c()?;
        Ok(Box::new(Lm75::new(i2c, address, Delay, self.bits)?))
    }

    fn simulate(&self) -> Option<Box<dyn Part>> {
        Some(Box::new(sim::Model::default()))
    }
}

/// Temperature in °C of a result (section 7.4.3): two's complement, at the upper end of the register. What is below
/// the bits that are used is ignored, as the section asks for.
fn celsius(result: u16, bits: Bits) -> Result<f64, Fault> {
    let used = match bits {
        Bits::B9 => result & 0xFF80,
        Bits::B11 => result & 0xFFE0,
    };
    within(f64::from(used.cast_signed()) / 256.0, &TEMPERATURE_RANGE, "a temperature in °C")
}
