//! Model of the LM75A: four registers, periodic conversions, shutdown.

use crate::sim::clock::now;
use crate::sim::{I2cPart, Nack, Part};
use std::time::{Duration, Instant};

/// Section 7.4, table 5: the registers.
const CONFIG: usize = 1;
const HYSTERESIS: usize = 2;
const LIMIT: usize = 3;
const SHUTDOWN: u8 = 1;

/// From one conversion to the next: 100 ms typically. Here three times as much, as with the slowest of its kind.
const CYCLE: Duration = Duration::from_millis(300);

/// The part.
pub struct Model {
    pointer: usize,
    temperature: f64,
    result: u16,
    config: u8,
    hysteresis: u16,
    limit: u16,
    /// When the running conversion ends, and what it gives.
    converting: Option<(Instant, u16)>,
}

impl Default for Model {
    fn default() -> Self {
        let mut model = Self {
            pointer: 0,
            temperature: 21.5,
            result: 0,
            config: 0,
            hysteresis: 0x4B00,
            limit: 0x5000,
            converting: None,
        };
        model.convert();
        model
    }
}

impl Model {
    /// Section 7.4.3: eleven bits of two's complement, 0.125 °C each, with five zeros below.
    #[allow(clippy::cast_possible_truncation)] // clamped
    fn convert(&mut self) {
        let code = (self.temperature / 0.125).round().clamp(-1_024.0, 1_023.0) as i16;
        self.converting = Some((now() + CYCLE, code.cast_unsigned() << 5));
    }

    fn settle(&mut self) {
        if let Some((_, code)) = self.converting.take_if(|(ready, _)| now() >= *ready) {
            self.result = code;
            self.convert();
        }
    }
}

impl Part for Model {
    fn stimulate(&mut self, channel: &str, value: f64) -> bool {
        if channel == "temperature" {
            self.temperature = value;
        }
        channel == "temperature"
    }

    fn i2c(&mut self) -> Option<&mut dyn I2cPart> {
        Some(self)
    }
}

impl I2cPart for Model {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        self.settle();
        let [pointer, value @ ..] = bytes else { return Ok(()) };
        self.pointer = usize::from(pointer & 0b11);
        match (self.pointer, value) {
            (CONFIG, [config, ..]) => {
                let was_asleep = self.config & SHUTDOWN != 0;
                // Section 7.4.2: the upper three bits are reserved, and zeros.
                self.config = config & 0b0001_1111;
                if self.config & SHUTDOWN != 0 {
                    self.converting = None;
                } else if was_asleep {
                    self.convert();
                }
            }
            // Section 7.4.4: nine bits, with seven zeros below.
            (HYSTERESIS, [high, low, ..]) => self.hysteresis = u16::from_be_bytes([*high, low & 0x80]),
            (LIMIT, [high, low, ..]) => self.limit = u16::from_be_bytes([*high, low & 0x80]),
            _ => {}
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        self.settle();
        let value = match self.pointer {
            CONFIG => [self.config; 2],
            HYSTERESIS => self.hysteresis.to_be_bytes(),
            LIMIT => self.limit.to_be_bytes(),
            _ => self.result.to_be_bytes(),
        };
        // Whoever reads on reads the register again.
        buffer.iter_mut().zip(value.into_iter().cycle()).for_each(|(to, from)| *to = from);
        Ok(())
    }
}
