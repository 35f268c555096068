//! Model of the SHT4x: commands, conversion times, checksums.

use super::{READ_SERIAL, Repeatability, SOFT_RESET};
use crate::sensirion::answer;
use crate::sim::clock::now;
use crate::sim::{I2cPart, Nack, Part};
use std::time::{Duration, Instant};

/// The part. It does not acknowledge a read before its conversion is done (section 4.3), as the real one.
pub struct Model {
    temperature: f64,
    humidity: f64,
    answer: Option<(Instant, [u16; 2])>,
}

impl Default for Model {
    fn default() -> Self {
        Self { temperature: 21.5, humidity: 45.0, answer: None }
    }
}

/// The serial number of the model.
const SERIAL: [u16; 2] = [0x0F4C, 0x1A2B];

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
        // Typical times of the datasheet's table 5: the driver has to wait for the longest ones.
        let (time_us, words) = match bytes {
            [] => return Ok(()),
            [SOFT_RESET] => {
                self.answer = None;
                return Ok(());
            }
            [READ_SERIAL] => (0, SERIAL),
            [command] if *command == Repeatability::High.command() => (6_900, self.measure()),
            [command] if *command == Repeatability::Medium.command() => (3_700, self.measure()),
            [command] if *command == Repeatability::Low.command() => (1_300, self.measure()),
            _ => return Err(Nack),
        };
        self.answer = Some((now() + Duration::from_micros(time_us), words));
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        let (_, words) = self.answer.take_if(|(ready, _)| now() >= *ready).ok_or(Nack)?;
        answer(words, buffer);
        Ok(())
    }
}

impl Model {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped to the range
    fn measure(&self) -> [u16; 2] {
        let raw = |share: f64| (share.clamp(0.0, 1.0) * 65_535.0).round() as u16;
        [raw((self.temperature + 45.0) / 175.0), raw((self.humidity + 6.0) / 125.0)]
    }
}
