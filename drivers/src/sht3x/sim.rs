//! Model of the SHT3x: commands, status register, single and periodic measurements, their times, checksums.

use crate::sensirion::answer;
use crate::sim::clock::now;
use crate::sim::{I2cPart, Nack, Part};
use std::time::{Duration, Instant};

/// Section 4.11, table 18: an alert is pending, and a reset was detected.
const STATUS_AFTER_RESET: u16 = 0x8010;
/// The last command was not processed.
const REFUSED: u16 = 1 << 1;
const HEATER: u16 = 1 << 13;
/// All flags that "clear status" clears.
const FLAGS: u16 = 1 << 15 | 1 << 11 | 1 << 10 | 1 << 4;

/// The part. It does not acknowledge a read before its conversion is done (section 4.4), as the real one.
pub struct Model {
    temperature: f64,
    humidity: f64,
    status: u16,
    /// Measures by itself, as it was told before.
    periodic: bool,
    answer: Option<(Instant, Vec<u16>)>,
}

impl Default for Model {
    fn default() -> Self {
        Self { temperature: 21.5, humidity: 45.0, status: STATUS_AFTER_RESET, periodic: false, answer: None }
    }
}

impl Model {
    fn answer_after(&mut self, time_us: u64, words: Vec<u16>) {
        self.answer = Some((now() + Duration::from_micros(time_us), words));
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped to the range
    fn measured(&self) -> Vec<u16> {
        let raw = |share: f64| (share.clamp(0.0, 1.0) * 65_535.0).round() as u16;
        vec![raw((self.temperature + 45.0) / 175.0), raw(self.humidity / 100.0)]
    }
}

impl Part for Model {
    fn stimulate(&mut self, channel: &str, value: f64) -> bool {
        match channel {
            "temperature" => self.temperature = value,
            "humidity" => self.humidity = value,
            _ => return false,
        }
        true
    }

    fn i2c(&mut self) -> Option<&mut dyn I2cPart> {
        Some(self)
    }
}

impl I2cPart for Model {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        // Half a command is acknowledged, and forgotten.
        let [high, low, ..] = *bytes else { return Ok(()) };
        self.status &= !REFUSED;
        let command = u16::from_be_bytes([high, low]);
        match command {
            // Typical times of older versions of the datasheet, below those that the driver has to wait for.
            0x2400 if !self.periodic => self.answer_after(12_500, self.measured()),
            0x240B if !self.periodic => self.answer_after(4_500, self.measured()),
            0x2416 if !self.periodic => self.answer_after(2_500, self.measured()),
            0x2130 => self.periodic = true,
            0x3093 => self.periodic = false,
            // In idle state only (section 4.9).
            0x30A2 if !self.periodic => {
                self.status = STATUS_AFTER_RESET;
                self.answer = None;
            }
            0x306D => self.status |= HEATER,
            0x3066 => self.status &= !HEATER,
            0x3041 => self.status &= !FLAGS,
            0xF32D => self.answer_after(0, vec![self.status]),
            _ => self.status |= REFUSED,
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        let (_, words) = self.answer.take_if(|(ready, _)| now() >= *ready).ok_or(Nack)?;
        answer(words, buffer);
        Ok(())
    }
}
