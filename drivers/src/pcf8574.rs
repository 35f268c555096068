//! Driver for the PCF8574 and PCF8574A: eight quasi-bidirectional lines on I2C.
//!
//! Source: NXP, "PCF8574; PCF8574A", revision 5 of 2013; sections are cited from it. The parts of Texas Instruments (SCPS068)
//! behave the same.
//!
//! A pin that is high is held so by a weak current source (section 7.1): it is an input as well, and can drive next to
//! nothing. So what is to be driven is connected to be on at a low level. The part has neither registers nor an
//! identity: any part that can be read at the address is taken for it.

#[cfg(test)]
mod tests;

pub mod sim;

use crate::driver::{Attachment, Driver, Role, Spec};
use crate::expander::{Expander, ExpanderSpec, Levels, Offer};
use crate::fault::{Fault, FaultKind};
use crate::options::{read, shape};
use crate::port::{Pull, Wire};
use crate::sim::Part;
use embedded_hal::i2c::I2c;
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;

/// The driver's entry in the list.
pub static DRIVER: Driver = Driver {
    name: "pcf8574",
    summary: "NXP PCF8574, PCF8574A: eight lines, weak when high",
    source: "NXP, PCF8574/PCF8574A revision 5",
    role: Role::Expander,
    attachments: &[Attachment::I2c {
        addresses: &[0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x38, 0x39, 0x3A, 0x3B, 0x3C, 0x3D, 0x3E, 0x3F],
    }],
    identity: &[],
    example: "\
- id: relays
  driver: pcf8574
  bus: i2c-1
  address: 0x38
",
    defaults: || Spec::Expander(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| read::<Options>(node, problems).map(|options| Spec::Expander(Arc::new(options))),
};

/// Section 7: pins P0 to P7.
const PINS: u8 = 8;

/// Options of the `pcf8574` driver.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {}

/// A PCF8574 on its bus.
pub struct Pcf8574<I> {
    i2c: I,
    address: u8,
    /// What was written last: 0 drives a pin low, 1 lets it be high.
    latch: u8,
}

impl<I: I2c> Pcf8574<I> {
    /// Takes over what the pins do. The latch itself cannot be read: a pin that is low is taken for one that is driven so,
    /// which changes nothing at the pin.
    ///
    /// # Errors
    /// Absent, or a failed transfer.
    pub fn new(i2c: I, address: u8) -> Result<Self, Fault> {
        let mut part = Self { i2c, address, latch: 0 };
        part.latch = part.read()?;
        Ok(part)
    }

    fn read(&mut self) -> Result<u8, Fault> {
        let mut byte = [0];
        self.i2c.read(self.address, &mut byte).map_err(|error| Fault::i2c(error, "reading the pins"))?;
        Ok(byte[0])
    }

    fn write(&mut self, latch: u8) -> Result<(), Fault> {
        self.i2c.write(self.address, &[latch]).map_err(|error| Fault::i2c(error, "writing the pins"))?;
        self.latch = latch;
        Ok(())
    }

    /// A pin that is driven low is low. After a reset all pins are high (section 7.2).
    fn check(&self, pins: u8) -> Result<(), Fault> {
        let wrong = pins & !self.latch;
        if wrong == 0 {
            return Ok(());
        }
        let message = format!(
            "the pins {wrong:#010b} are high after they were driven low: it was reset, or something stronger holds them"
        );
        Err(Fault::new(FaultKind::Bus, message))
    }
}

impl<I: I2c + Send> Expander for Pcf8574<I> {
    fn drive(&mut self, pin: u8, high: bool) -> Result<(), Fault> {
        let bit = bit(pin)?;
        let pins = self.read()?;
        self.check(pins)?;
        self.write(if high { self.latch | bit } else { self.latch & !bit })
    }

    fn listen(&mut self, pin: u8, pull: Pull) -> Result<(), Fault> {
        if !matches!(pull, Pull::Keep | Pull::Up) {
            return Err(Fault::rejected("the PCF8574 holds its inputs up, always"));
        }
        self.write(self.latch | bit(pin)?)
    }

    fn levels(&mut self) -> Result<Levels, Fault> {
        let pins = self.read()?;
        self.check(pins)?;
        Ok(pins.into())
    }
}

fn bit(pin: u8) -> Result<u8, Fault> {
    1_u8.checked_shl(pin.into()).ok_or_else(|| Fault::rejected(format!("there is no pin {pin}: they are 0 to 7")))
}

impl ExpanderSpec for Options {
    fn offer(&self) -> Offer {
        Offer { pins: PINS, inputs: true, pulses: None, pulls: &[Pull::Keep, Pull::Up] }
    }

    fn open(&self, wire: Wire) -> Result<Box<dyn Expander>, Fault> {
        let (i2c, address) = wire.i2c()?;
        Ok(Box::new(Pcf8574::new(i2c, address)?))
    }

    fn simulate(&self) -> Box<dyn Part> {
        Box::new(sim::Model::default())
    }
}
