//! Driver for the TMP102 temperature sensor of Texas Instruments.
//!
//! Source: Texas Instruments, "Low Power Digital Temperature Sensor With SMBus/Two-Wire Serial Interface in SOT563",
//! SBOS397C of October 2012; sections are named from it.
//!
//! The part has no identity register. It is known by its configuration register, which gives back what was written to
//! it, but for two bits that always read 1. A TMP112, which is more exact, has the same registers: it is read as well.

#[cfg(test)]
mod tests;

pub mod sim;

use crate::channel::{Channel, Quantity, within};
use crate::driver::{Attachment, Driver, Role, Spec};
use crate::fault::{Fault, FaultKind};
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
    name: "tmp102",
    summary: "Texas Instruments TMP102, TMP112: temperature",
    source: "Texas Instruments, SBOS397C",
    role: Role::Sensor,
    attachments: &[Attachment::I2c { addresses: &[0x48, 0x49, 0x4A, 0x4B] }],
    identity: &[],
    example: "\
- id: cabinet
  driver: tmp102
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

/// "Pointer Register": the registers.
const RESULT: u8 = 0b00;
const CONFIG: u8 = 0b01;

/// "Configuration Register": starts a conversion when written; reads 1 when none is running.
const OS: u16 = 1 << 15;
/// "Converter Resolution": always 1.
const RESOLUTION: u16 = 0b11 << 13;
/// "Shutdown Mode": asleep but for single conversions.
const SHUTDOWN: u16 = 1 << 8;
/// "Alert": told by the part.
const ALERT: u16 = 1 << 5;
/// "Extended Mode": 13 bits.
const EXTENDED: u16 = 1 << 4;

/// "Temperature Register": °C for each bit.
const STEP: f64 = 0.0625;
/// "Electrical Characteristics": how long a conversion takes in µs; at most 35 ms.
const CONVERSION_TIME_US: u32 = 26_000;
/// How often the end of a conversion is asked for after its typical time; a tenth of that time apart.
const POLLS: u32 = 10;

/// Options of the `tmp102` driver.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Length of a result in bits. A step is 0.0625 °C with both; 12 bits end at 128 °C, 13 reach 150 °C.
    pub bits: Bits,
}

impl Default for Options {
    fn default() -> Self {
        Self { bits: Bits::B12 }
    }
}

choice! {
    /// Length of a result in bits ("Extended Mode").
    pub enum Bits {
        /// To 128 °C.
        B12 = 12,
        /// To 150 °C.
        B13 = 13,
    }
}

impl Bits {
    /// "Configuration Register": all of it, as it reads while a conversion runs. The alert is not used, so its
    /// settings are zeros.
    fn config(self) -> u16 {
        RESOLUTION
            | SHUTDOWN
            | match self {
                Self::B12 => 0,
                Self::B13 => EXTENDED,
            }
    }

    /// Tables 5 and 6: what there are codes for, in °C; below −55 the part does not work.
    fn range(self) -> RangeInclusive<f64> {
        match self {
            Self::B12 => -55.0..=128.0,
            Self::B13 => -55.0..=150.0,
        }
    }
}

/// A TMP102 on its bus.
pub struct Tmp102<I, D> {
    registers: Registers<I>,
    delay: D,
    bits: Bits,
}

impl<I: I2c, D: DelayNs> Tmp102<I, D> {
    /// Puts the part to sleep, and looks whether it took the configuration.
    ///
    /// # Errors
    /// Absent, wrong chip (it did not), or a failed transfer.
    pub fn new(i2c: I, address: u8, delay: D, bits: Bits) -> Result<Self, Fault> {
        let mut part = Self { registers: Registers { i2c, address }, delay, bits };
        // Both: one could be what another part happens to hold. The two bits that cannot be written are written as 0,
        // for a part that gives back whatever it is told.
        for bits in Bits::ALL {
            let (written, expected) = (bits.config() & !RESOLUTION, bits.config());
            part.registers.write(CONFIG, written, "writing the configuration")?;
            let found = part.registers.read(CONFIG, "reading the configuration")? & !(OS | ALERT);
            if found != expected {
                return Err(Fault::wrong_chip(format!(
                    "the configuration register holds {found:#06x} after {written:#06x} was written, expected \
                     {expected:#06x}: not a TMP102"
                )));
            }
        }
        Ok(part)
    }

    fn measure(&mut self) -> Result<u16, Fault> {
        let written = self.bits.config();
        self.registers.write(CONFIG, OS | written, "starting a measurement")?;
        self.delay.delay_us(CONVERSION_TIME_US);
        for _ in 0..POLLS {
            // A reset leaves other settings: what it measures then is not what was asked for.
            let found = self.registers.read_config(CONFIG, written, !(OS | ALERT))?;
            if found & OS != 0 {
                return self.registers.read(RESULT, "reading the measurement");
            }
            self.delay.delay_us(CONVERSION_TIME_US / POLLS);
        }
        Err(Fault::new(FaultKind::NotReady, "the measurement takes more than twice its time"))
    }
}

impl<I: I2c + Send, D: DelayNs + Send> Sensor for Tmp102<I, D> {
    fn sample(&mut self, out: &mut Sample) -> Result<(), Fault> {
        out.number(TEMPERATURE, celsius(self.measure()?, self.bits)?);
        Ok(())
    }
}

impl SensorSpec for Options {
    fn channels(&self) -> Vec<Channel> {
        vec![Channel::number("temperature", Quantity::TEMPERATURE, self.bits.range())]
    }

    fn open(&self, wire: Wire) -> Result<Box<dyn Sensor>, Fault> {
        let (i2c, address) = wire.i2c()?;
        Ok(Box::new(Tmp102::new(i2c, address, Delay, self.bits)?))
    }

    fn simulate(&self) -> Option<Box<dyn Part>> {
        Some(Box::new(sim::Model::default()))
    }
}

/// Temperature in °C of a result ("Temperature Register", tables 3 to 6): two's complement, at the upper end of the
/// register. Its lowest bit tells the length; those between read 0.
///
/// ```text
/// 12 bits    s T T T T T T T | T T T T 0 0 0 0
/// 13 bits    s T T T T T T T | T T T T T 0 0 1
/// ```
fn celsius(result: u16, bits: Bits) -> Result<f64, Fault> {
    let (unused, tail) = match bits {
        Bits::B12 => (4, 0b0000),
        Bits::B13 => (3, 0b001),
    };
    if result & ((1 << unused) - 1) != tail {
        return Err(Fault::corrupt(format!(
            "the temperature register holds {result:#06x}, which is not of {} bits",
            bits.number()
        )));
    }
    let code = result.cast_signed() >> unused;
    if bits == Bits::B12 && code == 0x7FF {
        return Err(Fault::corrupt("128 °C or beyond, the end of the range (code 0x7ff)"));
    }
    within(f64::from(code) * STEP, &bits.range(), "a temperature in °C")
}
