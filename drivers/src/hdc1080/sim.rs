//! Model of the HDC1080: its registers, single and double measurements, their times, refusals, reset.

use crate::sim::clock::now;
use crate::sim::{I2cPart, Nack, Part};
use std::time::{Duration, Instant};

const TEMPERATURE: u8 = 0x00;
const HUMIDITY: u8 = 0x01;
const CONFIG: u8 = 0x02;

/// Section 8.6, table 1, and 8.6.3: the configuration after a reset, and its fields.
const CONFIG_AFTER_RESET: u16 = 0x1000;
const RESET: u16 = 1 << 15;
const BOTH: u16 = 1 << 12;
const TEMPERATURE_11_BITS: u16 = 1 << 10;
const WRITABLE: u16 = 0x3700;

/// The part.
pub struct Model {
    temperature: f64,
    humidity: f64,
    pointer: u8,
    config: u16,
    results: [u16; 2],
    /// What the running measurement gives, and when.
    measuring: Option<(Instant, [u16; 2])>,
    identities: [u16; 2],
}

impl Default for Model {
    fn default() -> Self {
        Self {
            temperature: 21.5,
            humidity: 45.0,
            pointer: 0,
            config: CONFIG_AFTER_RESET,
            results: [0; 2],
            measuring: None,
            identities: [0x5449, 0x1050],
        }
    }
}

impl Model {
    /// One with another identity: of the manufacturer, of the device.
    #[cfg(test)]
    pub(super) fn with_identities(identities: [u16; 2]) -> Self {
        Self { identities, ..Self::default() }
    }

    /// Section 8.6.3: times by the resolutions, a tenth longer than is typical.
    fn measure(&mut self, register: u8) {
        let temperature_us = if self.config & TEMPERATURE_11_BITS == 0 { 6_350 } else { 3_650 };
        let humidity_us = [6_500, 3_850, 2_500, 2_500][usize::from(self.config >> 8 & 0b11)];
        let both = self.config & BOTH != 0;
        let (time_us, results) = match register {
            _ if both => (temperature_us + humidity_us, self.measured()),
            TEMPERATURE => (temperature_us, [self.measured()[0], self.results[1]]),
            _ => (humidity_us, [self.results[0], self.measured()[1]]),
        };
        self.measuring = Some((now() + Duration::from_micros(time_us * 11 / 10), results));
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped to the range
    fn measured(&self) -> [u16; 2] {
        let raw = |share: f64| (share * 65_536.0).round().clamp(0.0, 65_535.0) as u16 & !0b11;
        [raw((self.temperature + 40.0) / 165.0), raw(self.humidity / 100.0)]
    }

    fn register(&self) -> u16 {
        match self.pointer {
            TEMPERATURE => self.results[0],
            HUMIDITY => self.results[1],
            CONFIG => self.config,
            0xFE => self.identities[0],
            0xFF => self.identities[1],
            _ => 0,
        }
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
        let [pointer, value @ ..] = bytes else { return Ok(()) };
        self.pointer = *pointer;
        match (*pointer, value) {
            // The pointer to a result starts a measurement.
            (TEMPERATURE | HUMIDITY, []) => self.measure(*pointer),
            (CONFIG, [high, low, ..]) => {
                let value = u16::from_be_bytes([*high, *low]);
                if value & RESET == 0 {
                    self.config = value & WRITABLE;
                } else {
                    *self = Self {
                        temperature: self.temperature,
                        humidity: self.humidity,
                        identities: self.identities,
                        ..Self::default()
                    };
                }
            }
            _ => {} // all others are read only
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        if let Some((_, results)) = self.measuring.take_if(|(ready, _)| now() >= *ready) {
            self.results = results;
        }
        if self.measuring.is_some() && matches!(self.pointer, TEMPERATURE | HUMIDITY) {
            return Err(Nack);
        }
        // Whoever reads on reads the next register.
        for pair in buffer.chunks_mut(2) {
            pair.copy_from_slice(&self.register().to_be_bytes()[..pair.len()]);
            self.pointer = self.pointer.wrapping_add(1);
        }
        Ok(())
    }
}
