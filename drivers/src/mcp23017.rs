//! Driver for the MCP23017 of Microchip: sixteen lines on I2C, with pull-ups and an interrupt.
//!
//! Source: Microchip, "MCP23017/MCP23S17", DS20001952D of 2022; sections are cited from it.
//!
//! Pins 0 to 7 are GPA0 to GPA7, pins 8 to 15 are GPB0 to GPB7. The datasheet of revision D has pins 7 and 15 as outputs
//! only: as inputs they can disturb the bus. They are refused as inputs.
//!
//! The part has no identity register. It is known by its configuration register, which is there at two addresses at
//! once and has a bit that always reads 0.

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
    name: "mcp23017",
    summary: "Microchip MCP23017: sixteen lines",
    source: "Microchip, DS20001952D",
    role: Role::Expander,
    attachments: &[Attachment::I2c { addresses: &[0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27] }],
    identity: &[],
    example: "\
- id: porch
  driver: mcp23017
  bus: i2c-1
  address: 0x20
  interrupt: GPIO4
",
    defaults: || Spec::Expander(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| read::<Options>(node, problems).map(|options| Spec::Expander(Arc::new(options))),
};

/// Table 3-5, addresses of the registers with IOCON.BANK = 0, as after a reset. Each is a pair, A before B.
const IODIR: u8 = 0x00;
const IPOL: u8 = 0x02;
const GPINTEN: u8 = 0x04;
const INTCON: u8 = 0x08;
const IOCON: u8 = 0x0A;
const GPPU: u8 = 0x0C;
const INTF: u8 = 0x0E;
const INTCAP: u8 = 0x10;
const GPIO: u8 = 0x12;
const OLAT: u8 = 0x14;
/// How many registers there are.
const REGISTERS: usize = 0x16;

/// Register 3-6: the pins INTA and INTB are one, which pulls to ground only, so that several chips can share a line.
const MIRROR: u8 = 1 << 6;
const OPEN_DRAIN: u8 = 1 << 2;
/// Register 3-6: not there, reads 0.
const UNIMPLEMENTED: u8 = 1 << 0;

/// Section 1.0, tables 1-1 and 1-2, of GPA7 and GPB7: "Output only".
const OUTPUT_ONLY: u16 = 1 << 7 | 1 << 15;

/// Options of the `mcp23017` driver.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {}

/// An MCP23017 on its bus. What it was told is kept, and held against what it has: it forgets all of it without power.
pub struct Mcp23017<I> {
    i2c: I,
    address: u8,
    /// Pins that are inputs.
    iodir: u16,
    /// Pins that are pulled up.
    gppu: u16,
    /// Pins whose changes cause an interrupt.
    gpinten: u16,
    /// Levels of outputs.
    olat: u16,
}

/// All registers, by their addresses.
type Registers = [u8; REGISTERS];

/// A pair of registers, A in the low byte.
fn pair(registers: &Registers, address: u8) -> u16 {
    let index = usize::from(address);
    u16::from_le_bytes([registers[index], registers[index + 1]])
}

impl<I: I2c> Mcp23017<I> {
    /// Recognises the part, joins its interrupts, and takes over what its pins do.
    ///
    /// # Errors
    /// Absent, wrong chip, or a failed transfer.
    pub fn new(i2c: I, address: u8) -> Result<Self, Fault> {
        let mut part = Self { i2c, address, iodir: 0, gppu: 0, gpinten: 0, olat: 0 };
        part.recognise()?;
        part.write(IOCON, (MIRROR | OPEN_DRAIN).into(), "joining the interrupts")?;
        let registers = part.read()?;
        let found = registers[usize::from(IOCON)];
        if found != MIRROR | OPEN_DRAIN {
            return Err(Fault::wrong_chip(format!(
                "the configuration register 0x0a holds {found:#04x} after 0x44 was written: not an MCP23017"
            )));
        }
        // Levels as they are, and interrupts at any change (registers 3-2 and 3-5).
        part.write(IPOL, 0, "setting the polarity")?;
        part.write(INTCON, 0, "setting the interrupts")?;
        part.iodir = pair(&registers, IODIR);
        part.gppu = pair(&registers, GPPU);
        part.gpinten = pair(&registers, GPINTEN);
        part.olat = pair(&registers, OLAT);
        Ok(part)
    }

    /// Looks without writing: IOCON is there twice, without its bit 0.
    fn recognise(&mut self) -> Result<(), Fault> {
        let registers = self.read()?;
        let [a, b] = pair(&registers, IOCON).to_le_bytes();
        if a != b || a & UNIMPLEMENTED != 0 {
            return Err(Fault::wrong_chip(format!(
                "the registers 0x0a and 0x0b hold {a:#04x} and {b:#04x}, expected twice the same with bit 0 clear: not an \
                 MCP23017"
            )));
        }
        Ok(())
    }

    fn read(&mut self) -> Result<Registers, Fault> {
        let mut registers = [0; REGISTERS];
        self.i2c
            .write_read(self.address, &[IODIR], &mut registers)
            .map_err(|error| Fault::i2c(error, "reading the registers"))?;
        Ok(registers)
    }

    fn write(&mut self, register: u8, value: u16, doing: &str) -> Result<(), Fault> {
        let [a, b] = value.to_le_bytes();
        // Both halves of IOCON are the same register: one write of one byte, or the first would be undone.
        let bytes = [register, a, b];
        let length = if register == IOCON { 2 } else { 3 };
        self.i2c.write(self.address, &bytes[..length]).map_err(|error| Fault::i2c(error, doing))
    }

    /// Compares what the part has with what it was told.
    fn check(&self, registers: &Registers) -> Result<(), Fault> {
        let expected = [
            (IODIR, self.iodir, "IODIR"),
            (GPPU, self.gppu, "GPPU"),
            (GPINTEN, self.gpinten, "GPINTEN"),
            (OLAT, self.olat, "OLAT"),
        ];
        for (address, expected, name) in expected {
            let found = pair(registers, address);
            if found != expected {
                return Err(Fault::new(
                    FaultKind::Bus,
                    format!(
                        "{name} holds {found:#06x}, {expected:#06x} was written: it was reset, or somebody else writes to it"
                    ),
                ));
            }
        }
        Ok(())
    }
}

impl<I: I2c + Send> Expander for Mcp23017<I> {
    fn drive(&mut self, pin: u8, high: bool) -> Result<(), Fault> {
        let bit = bit(pin)?;
        let registers = self.read()?;
        self.check(&registers)?;
        let olat = if high { self.olat | bit } else { self.olat & !bit };
        // The level before the direction (section 3.5.10): the pin never shows another one.
        if olat != self.olat {
            self.write(OLAT, olat, "writing the levels")?;
            self.olat = olat;
        }
        if self.gpinten & bit != 0 {
            self.write(GPINTEN, self.gpinten & !bit, "setting the interrupts")?;
            self.gpinten &= !bit;
        }
        if self.iodir & bit != 0 {
            self.write(IODIR, self.iodir & !bit, "making the pin an output")?;
            self.iodir &= !bit;
        }
        Ok(())
    }

    fn listen(&mut self, pin: u8, pull: Pull) -> Result<(), Fault> {
        let bit = bit(pin)?;
        if OUTPUT_ONLY & bit != 0 {
            return Err(Fault::rejected(format!(
                "pin {pin} (GP{}7) can be an output only",
                if pin == 7 { 'A' } else { 'B' }
            )));
        }
        let gppu = match pull {
            Pull::Keep => self.gppu,
            Pull::Up => self.gppu | bit,
            Pull::None => self.gppu & !bit,
            Pull::Down => return Err(Fault::rejected("the MCP23017 can pull up, not down")),
        };
        let registers = self.read()?;
        self.check(&registers)?;
        self.write(IODIR, self.iodir | bit, "making the pin an input")?;
        self.iodir |= bit;
        self.write(GPPU, gppu, "setting the pull-up")?;
        self.gppu = gppu;
        self.write(GPINTEN, self.gpinten | bit, "setting the interrupts")?;
        self.gpinten |= bit;
        Ok(())
    }

    fn levels(&mut self) -> Result<Levels, Fault> {
        self.changes().map(|(_, now)| now)
    }

    /// Section 3.6: INTCAP holds what the pins were when the interrupt came, which INTF says of which pin it is. Both are
    /// read before the port, whose reading ends the interrupt.
    fn changes(&mut self) -> Result<(Levels, Levels), Fault> {
        let registers = self.read()?;
        self.check(&registers)?;
        let (now, flags) = (pair(&registers, GPIO), pair(&registers, INTF));
        let then = now & !flags | pair(&registers, INTCAP) & flags;
        Ok((then.into(), now.into()))
    }
}

fn bit(pin: u8) -> Result<u16, Fault> {
    1_u16.checked_shl(pin.into()).ok_or_else(|| Fault::rejected(format!("there is no pin {pin}: they are 0 to 15")))
}

impl ExpanderSpec for Options {
    fn offer(&self) -> Offer {
        Offer { pins: 16, inputs: true, pulses: None, pulls: &[Pull::Keep, Pull::Up, Pull::None] }
    }

    fn open(&self, wire: Wire) -> Result<Box<dyn Expander>, Fault> {
        let (i2c, address) = wire.i2c()?;
        Ok(Box::new(Mcp23017::new(i2c, address)?))
    }

    fn simulate(&self) -> Box<dyn Part> {
        Box::new(sim::Model::default())
    }
}
