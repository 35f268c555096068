//! Model of the BH1750: power, data register, measurement time, single and continuous measurements.

use crate::sim::clock::now;
use crate::sim::{I2cPart, Nack, Part};
use std::time::{Duration, Instant};

/// The measurement time after a loss of power.
const USUAL_TIME: u8 = 69;

/// The part.
pub struct Model {
    lux: f64,
    on: bool,
    time: u8,
    data: u16,
    /// The opcode of the running measurement, and when it ends.
    measuring: Option<(u8, Instant)>,
}

impl Default for Model {
    fn default() -> Self {
        Self { lux: 320.0, on: false, time: USUAL_TIME, data: 0, measuring: None }
    }
}

impl Model {
    /// A little less than the longest times: 170 ms and 22 ms at the usual setting.
    fn start(&mut self, opcode: u8) {
        let usual_us = if opcode & 0b11 == 0b11 { 22_000 } else { 170_000 };
        let time = Duration::from_micros(usual_us * u64::from(self.time) / u64::from(USUAL_TIME));
        self.measuring = Some((opcode, now() + time));
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped to the range
    fn settle(&mut self) {
        if let Some((opcode, _)) = self.measuring.take_if(|(_, ready)| now() >= *ready) {
            // Steps of 4/1.2 in the low mode, and of 0.5 in mode 2.
            let (factor, step) = match opcode & 0b11 {
                0b01 => (2.0, 1.0),
                0b11 => (1.0, 4.0),
                _ => (1.0, 1.0),
            };
            let counts = self.lux * 1.2 * f64::from(self.time) / f64::from(USUAL_TIME) * factor;
            self.data = ((counts / step).round() * step).clamp(0.0, 65_535.0) as u16;
            if opcode & 0xF0 == 0x10 {
                self.start(opcode);
            } else {
                self.on = false;
            }
        }
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
        // One opcode for each start and stop: what follows is lost.
        let [opcode, ..] = *bytes else { return Ok(()) };
        match opcode {
            0x00 => {
                self.on = false;
                self.measuring = None;
            }
            0x01 => self.on = true,
            // Not while it is off.
            0x07 if self.on => self.data = 0,
            0x10 | 0x11 | 0x13 | 0x20 | 0x21 | 0x23 => {
                self.on = true;
                self.start(opcode);
            }
            0x40..=0x47 => self.time = self.time & 0b0001_1111 | opcode << 5,
            0x60..=0x7F => self.time = self.time & 0b1110_0000 | opcode & 0b1_1111,
            _ => {}
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        self.settle();
        buffer.iter_mut().zip(self.data.to_be_bytes().into_iter().cycle()).for_each(|(to, from)| *to = from);
        Ok(())
    }
}
