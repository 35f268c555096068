//! Model of the AHT20: commands, status, the time of a measurement, checksum.

use super::CHECKSUM_START;
use crate::checksum::crc8;
use crate::sim::clock::now;
use crate::sim::{I2cPart, Nack, Part};
use std::time::{Duration, Instant};

/// The bits of the status that a good part has set besides: reserved, and "calibrated".
const IDLE: u8 = 0x10;
const CALIBRATED: u8 = 0x08;
const BUSY: u8 = 0x80;

/// The part.
pub struct Model {
    temperature: f64,
    humidity: f64,
    calibrated: bool,
    /// Raw humidity and temperature of the last measurement.
    raw: [u32; 2],
    /// What the running measurement gives, and when.
    measuring: Option<(Instant, [u32; 2])>,
    measuring_time: Duration,
    /// It answers from here on.
    awake: Instant,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            temperature: 21.5,
            humidity: 45.0,
            calibrated: false,
            raw: [0; 2],
            measuring: None,
            measuring_time: Duration::from_millis(84), // a little longer than is said
            awake: now(),
        }
    }
}

impl Model {
    /// One that takes this long.
    #[cfg(test)]
    pub(super) fn slow(measuring_time: Duration) -> Self {
        Self { measuring_time, ..Self::default() }
    }

    /// As after a loss of power.
    pub(super) fn reset(&mut self) {
        self.calibrated = false;
        self.raw = [0; 2];
        self.measuring = None;
        self.awake = now() + Duration::from_millis(19);
    }

    fn status(&self) -> u8 {
        let flag = |set, bit| if set { bit } else { 0 };
        IDLE | flag(self.calibrated, CALIBRATED) | flag(self.measuring.is_some(), BUSY)
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped to the range
    fn measured(&self) -> [u32; 2] {
        let raw = |share: f64| (share * 1_048_576.0).round().clamp(0.0, 1_048_575.0) as u32;
        [raw(self.humidity / 100.0), raw((self.temperature + 50.0) / 200.0)]
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
        if now() < self.awake {
            return Err(Nack);
        }
        match *bytes {
            [0xBA] => self.reset(),
            [0xBE, 0x08, 0x00] => self.calibrated = true,
            [0xAC, 0x33, 0x00] => self.measuring = Some((now() + self.measuring_time, self.measured())),
            // 0x71 asks for the status, which is what is read first in any case.
            _ => {}
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        if now() < self.awake {
            return Err(Nack);
        }
        if let Some((_, raw)) = self.measuring.take_if(|(ready, _)| now() >= *ready) {
            self.raw = raw;
        }
        let [humidity, temperature] = self.raw;
        let [_, h2, h1, h0] = (humidity << 4).to_be_bytes();
        let [_, t2, t1, t0] = temperature.to_be_bytes();
        let measured = [self.status(), h2, h1, h0 | t2, t1, t0];
        let bytes = measured.into_iter().chain([crc8(CHECKSUM_START, &measured)]);
        // Whoever reads on reads ones.
        buffer.iter_mut().zip(bytes.chain(std::iter::repeat(0xFF))).for_each(|(to, from)| *to = from);
        Ok(())
    }
}
