//! Model of the VEML7700: its registers, shutdown, continuous measurements and their times.

use crate::sim::clock::now;
use crate::sim::{I2cPart, Nack, Part};
use std::time::{Duration, Instant};

/// The registers: configuration, two thresholds, power saving, light, white light, interrupts, and none.
const CONFIG: usize = 0;
const LIGHT: usize = 4;
const SHUTDOWN: u16 = 1;
const RESET: [u16; 8] = [SHUTDOWN, 0, 0, 0, 0, 0, 0, 0];

/// The part.
pub struct Model {
    lux: f64,
    registers: [u16; 8],
    pointer: usize,
    /// When the running integration ends, unless it is asleep.
    integrating: Option<Instant>,
}

impl Default for Model {
    fn default() -> Self {
        Self { lux: 320.0, registers: RESET, pointer: 0, integrating: None }
    }
}

impl Model {
    /// As after a loss of power.
    #[cfg(test)]
    pub(super) fn lose_power(&mut self) {
        *self = Self { lux: self.lux, ..Self::default() };
    }

    /// A tenth longer than is said.
    fn integration(&self) -> Duration {
        let ms = match self.registers[CONFIG] >> 6 & 0b1111 {
            0b1100 => 25,
            0b1000 => 50,
            0b0001 => 200,
            0b0010 => 400,
            0b0011 => 800,
            _ => 100,
        };
        Duration::from_micros(ms * 1_100)
    }

    fn settle(&mut self) {
        if self.integrating.take_if(|ready| now() >= *ready).is_some() {
            self.registers[LIGHT] = self.count();
            self.integrating = Some(now() + self.integration());
        }
    }

    /// The count that the formulas of the application note turn into this light.
    fn count(&self) -> u16 {
        let gain = [1.0, 2.0, 0.125, 0.25][usize::from(self.registers[CONFIG] >> 11 & 0b11)];
        let step = 0.0042 * 16.0 / gain * 0.11 / self.integration().as_secs_f64();
        let lux = |count: u16| {
            let x = f64::from(count) * step;
            6.0135e-13 * x.powi(4) - 9.3924e-9 * x.powi(3) + 8.1488e-5 * x.powi(2) + 1.0023 * x
        };
        // The count below the light, and the one above.
        let (mut low, mut high) = (0, u16::MAX);
        while high - low > 1 {
            let middle = low.midpoint(high);
            if lux(middle) <= self.lux { low = middle } else { high = middle }
        }
        if self.lux - lux(low) < lux(high) - self.lux { low } else { high }
    }
}

impl Part for Model {
    fn stimulate(&mut self, channel: &str, value: f64) -> bool {
        if channel == "illuminance" {
            self.lux = value;
        }
        channel == "illuminance"
    }

    fn i2c(&mut self) -> Option<&mut dyn I2cPart> {
        Some(self)
    }
}

impl I2cPart for Model {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        self.settle();
        let [pointer, value @ ..] = bytes else { return Ok(()) };
        self.pointer = usize::from(pointer & 0b111);
        // A half register changes nothing.
        let [low, high, ..] = *value else { return Ok(()) };
        // Those from the light on are read only.
        if self.pointer < LIGHT {
            let before = std::mem::replace(&mut self.registers[self.pointer], u16::from_le_bytes([low, high]));
            if self.pointer == CONFIG {
                let config = self.registers[CONFIG];
                self.integrating = match (config & SHUTDOWN == 0, before == config) {
                    (false, _) => None,
                    (true, true) => self.integrating,
                    (true, false) => Some(now() + Duration::from_micros(3_900) + self.integration()),
                };
            }
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        self.settle();
        let value = self.registers[self.pointer].to_le_bytes();
        buffer.iter_mut().zip(value.into_iter().cycle()).for_each(|(to, from)| *to = from);
        Ok(())
    }
}
