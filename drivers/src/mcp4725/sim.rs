//! Model of the MCP4725: its register, its EEPROM, and power-down.

use crate::sim::{I2cPart, Nack, Part};

/// The part. Its EEPROM holds the middle, as it comes from the factory (section 5.1).
pub struct Model {
    code: u16,
    power_down: u8,
    eeprom: u16,
}

impl Default for Model {
    fn default() -> Self {
        Self { code: 0x800, power_down: 0, eeprom: 0x800 }
    }
}

impl Model {
    /// What the output gives, as a part of the supply.
    #[must_use]
    pub fn output(&self) -> f64 {
        if self.power_down == 0 { f64::from(self.code) / 4096.0 } else { 0.0 }
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
        match *bytes {
            // Figure 6-1: fast mode.
            [high, low] if high >> 6 == 0 => {
                self.power_down = high >> 4 & 0b11;
                self.code = u16::from_be_bytes([high & 0x0F, low]);
            }
            // Figure 6-2: the register, or the EEPROM too.
            [command, high, low] if matches!(command >> 5, 0b010 | 0b011) => {
                self.power_down = command >> 1 & 0b11;
                self.code = u16::from_be_bytes([high, low]) >> 4;
                if command >> 5 == 0b011 {
                    self.eeprom = self.code;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        let [high, low] = (self.code << 4).to_be_bytes();
        let [eeprom_high, eeprom_low] = self.eeprom.to_be_bytes();
        // Figure 6-3: ready, and not after a power-on reset.
        let answer = [0x80 | 0x40 | self.power_down << 1, high, low, eeprom_high, eeprom_low];
        buffer.iter_mut().zip(answer.into_iter().cycle()).for_each(|(to, from)| *to = from);
        Ok(())
    }
}
