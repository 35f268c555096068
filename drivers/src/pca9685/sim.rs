//! Model of the PCA9685: its registers, sleep, and what its channels give.

use crate::sim::{I2cPart, Nack, Part};

/// Table 4: the registers.
const MODE1: usize = 0x00;
const LED0: usize = 0x06;
const PRE_SCALE: usize = 0xFE;
/// Table 5.
const SLEEP: u8 = 1 << 4;
const AUTO_INCREMENT: u8 = 1 << 5;
const RESTART: u8 = 1 << 7;

/// The part.
pub struct Model {
    registers: [u8; 256],
    pointer: usize,
}

impl Default for Model {
    /// As after power-on (tables 4 to 8): asleep, all channels full off.
    fn default() -> Self {
        let mut registers = [0; 256];
        registers[..6].copy_from_slice(&[0x11, 0x04, 0xE2, 0xE4, 0xE8, 0xE0]);
        registers[PRE_SCALE] = 0x1E;
        (0..16).for_each(|channel| registers[LED0 + 4 * channel + 3] = 0x10);
        Self { registers, pointer: 0 }
    }
}

impl Model {
    /// The part of the period for which a channel is high, 0 to 1. Nothing comes out of a part that sleeps.
    #[must_use]
    pub fn duty(&self, channel: usize) -> f64 {
        let at = LED0 + 4 * channel;
        let (on, off) =
            ([self.registers[at], self.registers[at + 1]], [self.registers[at + 2], self.registers[at + 3]]);
        let (on, off) = (u16::from_le_bytes(on), u16::from_le_bytes(off));
        match (on, off) {
            (_, off) if off & 0x1000 != 0 => 0.0,
            _ if self.registers[MODE1] & SLEEP != 0 => 0.0,
            (on, _) if on & 0x1000 != 0 => 1.0,
            (on, off) => f64::from((off.wrapping_sub(on)) & 0x0FFF) / 4096.0,
        }
    }

    /// The frequency of all channels in Hz.
    #[must_use]
    pub fn frequency(&self) -> f64 {
        25e6 / 4096.0 / (f64::from(self.registers[PRE_SCALE]) + 1.0)
    }

    fn advance(&mut self) {
        if self.registers[MODE1] & AUTO_INCREMENT != 0 {
            // Section 7.3: from LED15 on it goes back to the beginning.
            self.pointer = if self.pointer == 0x45 { 0 } else { (self.pointer + 1) & 0xFF };
        }
    }
}

impl Part for Model {
    /// It measures nothing.
    fn stimulate(&mut self, _channel: &str, _value: f64) -> bool {
        false
    }

    fn i2c(&mut self) -> Option<&mut dyn I2cPart> {
        Some(self)
    }
}

impl I2cPart for Model {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        let [pointer, values @ ..] = bytes else { return Ok(()) };
        self.pointer = usize::from(*pointer);
        for value in values {
            match self.pointer {
                MODE1 => self.registers[MODE1] = value & !RESTART,
                // Section 7.3.5: only while it sleeps, and not below 3.
                PRE_SCALE if self.registers[MODE1] & SLEEP == 0 => {}
                PRE_SCALE => self.registers[PRE_SCALE] = (*value).max(3),
                pointer @ LED0..=0x45 if (pointer - LED0) % 2 == 1 => {
                    self.registers[pointer] = value & 0x1F;
                }
                pointer => self.registers[pointer] = *value,
            }
            self.advance();
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        for byte in buffer {
            *byte = self.registers[self.pointer];
            self.advance();
        }
        Ok(())
    }
}
