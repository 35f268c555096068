//! Model of the PCF8574: its latch, and what is outside.

use crate::sim::{I2cPart, Nack, Part};

/// The part.
pub struct Model {
    latch: u8,
    /// What drives a pin low from outside: nothing can drive it high against the latch, but for a short.
    low: u8,
    /// The levels that were read or written last: another one is an interrupt (section 7.4).
    seen: u8,
}

impl Default for Model {
    /// As after power-on (section 7.2): all pins are high.
    fn default() -> Self {
        Self { latch: 0xFF, low: 0, seen: 0xFF }
    }
}

impl Model {
    /// The levels of the pins.
    #[must_use]
    pub fn levels(&self) -> u8 {
        self.latch & !self.low
    }
}

impl Part for Model {
    fn stimulate(&mut self, channel: &str, value: f64) -> bool {
        let Some(pin) = channel.parse::<u8>().ok().filter(|pin| *pin < 8) else { return false };
        let bit = 1 << pin;
        self.low = if value == 0.0 { self.low | bit } else { self.low & !bit };
        true
    }

    fn interrupt(&self) -> Option<bool> {
        Some(self.seen != self.levels())
    }

    fn i2c(&mut self) -> Option<&mut dyn I2cPart> {
        Some(self)
    }
}

impl I2cPart for Model {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        // Each byte is output at once (section 7.1): the last one stays.
        self.latch = bytes.last().copied().unwrap_or(self.latch);
        self.seen = self.levels();
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        self.seen = self.levels();
        buffer.fill(self.seen);
        Ok(())
    }
}
