//! Driver for the MCP4725 digital-to-analog converter of Microchip: one output, 12 bits.
//!
//! Source: Microchip, "MCP4725 12-Bit Digital-to-Analog Converter with EEPROM Memory", DS22039D of 2009; sections are cited
//! from it.
//!
//! After it was without power the output has the voltage that its EEPROM holds, which this driver never writes: set it once
//! to what is safe. The part has no identity: it is known by saying that it is ready, and by giving back what was written.

#[cfg(test)]
mod tests;

pub mod sim;

use crate::actuator::{Actuator, ActuatorSpec, Control};
use crate::driver::{Attachment, Driver, Role, Spec};
use crate::fault::{Fault, FaultKind};
use crate::options::limits::limited;
use crate::options::{read, shape};
use crate::port::Wire;
use crate::sim::Part;
use crate::value::Value;
use embedded_hal::i2c::I2c;
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;

/// The driver's entry in the list.
pub static DRIVER: Driver = Driver {
    name: "mcp4725",
    summary: "Microchip MCP4725: one voltage to give, 12 bits",
    source: "Microchip, DS22039D",
    role: Role::Actuator,
    attachments: &[Attachment::I2c { addresses: &[0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67] }],
    identity: &[],
    example: "\
- id: setpoint
  driver: mcp4725
  bus: i2c-1
  address: 0x60
  reference: 3.3
",
    defaults: || Spec::Actuator(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| read::<Options>(node, problems).map(|options| Spec::Actuator(Arc::new(options))),
};

/// Section 4.1: the output has 4096 steps from 0 to the supply, less one.
const STEPS: f64 = 4096.0;
const HIGHEST: u16 = 0x0FFF;
/// Figure 6-3, first byte that is read: no write to the EEPROM is under way.
const READY: u8 = 1 << 7;
/// Figure 6-3: the output is switched off, and pulled to ground.
const POWER_DOWN: u8 = 0b11 << 1;

/// Options of the `mcp4725` driver.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// The supply at VDD in V, which is the reference: the output is at most one step below it.
    pub reference: Supply,
}

impl Default for Options {
    fn default() -> Self {
        Self { reference: Supply(3.3) }
    }
}

limited! {
    /// The supply in V (section 1, "Electrical Characteristics").
    pub struct Supply in 2.7..=5.5
}

/// An MCP4725 on its bus.
pub struct Mcp4725<I> {
    i2c: I,
    address: u8,
    reference: f64,
}

impl<I: I2c> Mcp4725<I> {
    /// Looks whether it answers as the part does. Writes nothing.
    ///
    /// # Errors
    /// Absent, wrong chip, or a failed transfer.
    pub fn new(i2c: I, address: u8, options: Options) -> Result<Self, Fault> {
        let mut part = Self { i2c, address, reference: options.reference.0 };
        part.code()?;
        Ok(part)
    }

    /// Figure 6-3: what the DAC register holds; `None` while the output is switched off.
    fn code(&mut self) -> Result<Option<u16>, Fault> {
        let mut bytes = [0; 3];
        self.i2c.read(self.address, &mut bytes).map_err(|error| Fault::i2c(error, "reading the output"))?;
        let [status, high, low] = bytes;
        let code = u16::from_be_bytes([high, low]);
        // Bits that the figure has as unknown or zero differ from part to part; the low four of the code are zero.
        if code & 0x000F != 0 {
            return Err(Fault::wrong_chip(format!("it answers {bytes:02x?}, which is not as an MCP4725 does")));
        }
        if status & READY == 0 {
            return Err(Fault::new(FaultKind::NotReady, "it writes to its EEPROM"));
        }
        Ok((status & POWER_DOWN == 0).then_some(code >> 4))
    }

    fn value(&self, code: Option<u16>) -> Value {
        Value::Number(volts(code.unwrap_or(0), self.reference))
    }
}

/// Section 4.1, equation 4-1; to the microvolt, which is far less than a step.
fn volts(code: u16, reference: f64) -> f64 {
    (reference * f64::from(code) / STEPS * 1e6).round() / 1e6
}

/// The nearest code.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
fn code(volts: f64, reference: f64) -> u16 {
    (volts / reference * STEPS).round().clamp(0.0, HIGHEST.into()) as u16
}

impl<I: I2c + Send> Actuator for Mcp4725<I> {
    fn apply(&mut self, value: &Value) -> Result<Value, Fault> {
        let Value::Number(volts) = *value else {
            return Err(Fault::rejected(format!("a voltage is a number in V, not {value}")));
        };
        let written = code(volts, self.reference);
        // Figure 6-1, fast mode: the register only, not the EEPROM; power-down bits are 0.
        self.i2c
            .write(self.address, &written.to_be_bytes())
            .map_err(|error| Fault::i2c(error, "writing the output"))?;
        let found = self.code()?;
        if found != Some(written) {
            let found = found.map_or_else(|| "off".to_owned(), |found| format!("{found:#05x}"));
            let message = format!("the output reads back {found} after {written:#05x} was written");
            return Err(Fault::new(FaultKind::Bus, message));
        }
        Ok(self.value(found))
    }

    fn read(&mut self) -> Result<Option<Value>, Fault> {
        let code = self.code()?;
        Ok(Some(self.value(code)))
    }
}

impl ActuatorSpec for Options {
    fn control(&self) -> Control {
        let reference = self.reference.0;
        Control::Number { range: 0.0..=volts(HIGHEST, reference), step: reference / STEPS, unit: Some("V") }
    }

    fn open(&self, wire: Wire) -> Result<Box<dyn Actuator>, Fault> {
        let (i2c, address) = wire.i2c()?;
        Ok(Box::new(Mcp4725::new(i2c, address, *self)?))
    }

    fn simulate(&self) -> Option<Box<dyn Part>> {
        Some(Box::new(sim::Model::default()))
    }
}
