//! Driver for the MCP9808 temperature sensor of Microchip.
//!
//! Source: Microchip, "MCP9808 ±0.5°C Maximum Accuracy Digital Temperature Sensor", DS25095A of October 2011; sections
//! are cited from it.
//!
//! It sleeps between measurements. There is no single conversion and no flag of its end: it is woken, and left alone
//! for as long as a conversion takes. Its output for alerts is not used.

#[cfg(test)]
mod tests;

pub mod sim;

use crate::channel::{Channel, Quantity, within};
use crate::driver::{Attachment, Driver, Role, Spec};
use crate::fault::Fault;
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
    name: "mcp9808",
    summary: "Microchip MCP9808: temperature, to 0.5 °C",
    source: "Microchip, DS25095A",
    role: Role::Sensor,
    attachments: &[Attachment::I2c { addresses: &[0x18, 0x19, 0x1A, 0x1B, 0x1C, 0x1D, 0x1E, 0x1F] }],
    identity: &IDENTITIES,
    example: "\
- id: tank
  driver: mcp9808
  bus: i2c-1
  address: 0x18
  every: 10s
",
    defaults: || Spec::Sensor(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| read::<Options>(node, problems).map(|options| Spec::Sensor(Arc::new(options))),
};

/// Index of the channel.
const TEMPERATURE: usize = 0;

/// "Temperature Characteristics": the range of operation in °C.
const TEMPERATURE_RANGE: RangeInclusive<f64> = -40.0..=125.0;

/// Section 5.1: the registers.
const CONFIG: u8 = 0x01;
const RESULT: u8 = 0x05;
const MANUFACTURER: u8 = 0x06;
const DEVICE: u8 = 0x07;
const RESOLUTION: u8 = 0x08;

/// Section 5.1.4: Microchip. Section 5.1.5: the upper byte is the device's, the lower one its revision.
const IDENTITIES: [Identity; 2] =
    [Identity::word(MANUFACTURER, 0xFFFF, &[0x0054]), Identity::word(DEVICE, 0xFF00, &[0x0400])];

/// Section 5.1.1: asleep.
const SHUTDOWN: u16 = 1 << 8;
/// Section 5.1.1: the hysteresis of the alert is 1.5 °C. It is what a reset does not leave, so that one is noticed.
const MARK: u16 = 0b01 << 9;

/// Section 5.1.3: °C for each bit.
const STEP: f64 = 0.0625;

/// Options of the `mcp9808` driver.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Size of a step in °C. A measurement takes 375 ms at 0.0625, 195 ms at 0.125, 98 ms at 0.25, 45 ms at 0.5.
    pub resolution: Resolution,
}

impl Default for Options {
    fn default() -> Self {
        Self { resolution: Resolution::Sixteenth }
    }
}

choice! {
    /// Size of a step in °C (section 5.2.4).
    pub enum Resolution {
        /// 30 ms
        Half = 0.5,
        /// 65 ms
        Quarter = 0.25,
        /// 130 ms
        Eighth = 0.125,
        /// 250 ms
        Sixteenth = 0.0625,
    }
}

impl Resolution {
    /// Section 5.1.6, resolution register.
    fn code(self) -> u8 {
        match self {
            Self::Half => 0b00,
            Self::Quarter => 0b01,
            Self::Eighth => 0b10,
            Self::Sixteenth => 0b11,
        }
    }

    /// How long to wait for a conversion in µs. The datasheet has its typical time only: half as much again.
    fn time_us(self) -> u32 {
        let typical = match self {
            Self::Half => 30_000,
            Self::Quarter => 65_000,
            Self::Eighth => 130_000,
            Self::Sixteenth => 250_000,
        };
        typical * 3 / 2
    }
}

/// An MCP9808 on its bus.
pub struct Mcp9808<I, D> {
    registers: Registers<I>,
    delay: D,
    resolution: Resolution,
}

impl<I: I2c, D: DelayNs> Mcp9808<I, D> {
    /// Checks the identity, and puts the part to sleep.
    ///
    /// # Errors
    /// Absent, wrong chip, or a failed transfer.
    pub fn new(i2c: I, address: u8, delay: D, resolution: Resolution) -> Result<Self, Fault> {
        let mut part = Self { registers: Registers { i2c, address }, delay, resolution };
        identity::check(&IDENTITIES, &mut part.registers.i2c, address, &mut part.delay)?;
        part.sleep()?;
        Ok(part)
    }

    fn measure(&mut self) -> Result<u16, Fault> {
        let Registers { i2c, address } = &mut self.registers;
        // This one has eight bits.
        i2c.write(*address, &[RESOLUTION, self.resolution.code()])
            .map_err(|error| Fault::i2c(error, "writing the resolution"))?;
        self.registers.write(CONFIG, MARK, "starting a measurement")?;
        self.delay.delay_us(self.resolution.time_us());
        // A reset leaves other settings, and perhaps no result yet.
        self.registers.read_config(CONFIG, MARK, 0xFFFF)?;
        let result = self.registers.read(RESULT, "reading the measurement")?;
        self.sleep()?;
        Ok(result)
    }

    fn sleep(&mut self) -> Result<(), Fault> {
        self.registers.write(CONFIG, MARK | SHUTDOWN, "putting it to sleep")
    }
}

impl<I: I2c + Send, D: DelayNs + Send> Sensor for Mcp9808<I, D> {
    fn sample(&mut self, out: &mut Sample) -> Result<(), Fault> {
        out.number(TEMPERATURE, celsius(self.measure()?)?);
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
        Ok(Box::new(Mcp9808::new(i2c, address, Delay, self.resolution)?))
    }

    fn simulate(&self) -> Option<Box<dyn Part>> {
        Some(Box::new(sim::Model::default()))
    }
}

/// Temperature in °C of a result (section 5.1.3): 13 bits of two's complement. The three bits above them tell what the
/// temperature is to the limits of the alert.
fn celsius(result: u16) -> Result<f64, Fault> {
    let code = (result << 3).cast_signed() >> 3;
    within(f64::from(code) * STEP, &TEMPERATURE_RANGE, "a temperature in °C")
}
