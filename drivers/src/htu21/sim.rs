//! Model of the HTU21D: commands, user register, measurements that do not hold the bus, checksums.

use super::CHECKSUM_START;
use crate::checksum::crc8;
use crate::sim::clock::now;
use crate::sim::{I2cPart, Nack, Part};
use std::time::{Duration, Instant};

/// The user register after a reset, of the HTU21D; the Si7021 has 0x3A.
pub(super) const HTU21D_USER: u8 = 0x02;
/// What can be written there: resolution, heater, loading of the memory.
const WRITABLE: u8 = 0b1000_0111;

/// The part.
pub struct Model {
    temperature: f64,
    humidity: f64,
    user_after_reset: u8,
    user: u8,
    /// Time of a measurement of the temperature, and of the humidity.
    times: [Duration; 2],
    /// It answers from here on.
    awake: Instant,
    reading: Reading,
}

enum Reading {
    Nothing,
    User,
    Result { ready: Instant, bytes: [u8; 3] },
}

impl Default for Model {
    fn default() -> Self {
        Self::new(HTU21D_USER, [44, 14]) // typical of the HTU21D
    }
}

impl Model {
    /// One whose user register is this after a reset, and which takes these times in ms for temperature and humidity.
    #[must_use]
    pub(super) fn new(user_after_reset: u8, times_ms: [u64; 2]) -> Self {
        Self {
            temperature: 21.5,
            humidity: 45.0,
            user_after_reset,
            user: user_after_reset,
            times: times_ms.map(Duration::from_millis),
            awake: now(),
            reading: Reading::Nothing,
        }
    }

    /// `share` of the full scale, in 14 bits, with the status below them.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped to the range
    fn measure(&mut self, share: f64, status: u8, time: Duration) {
        let raw = (share * 65_536.0).round().clamp(0.0, 65_535.0) as u16 & !0b11;
        let [high, low] = (raw | u16::from(status)).to_be_bytes();
        self.reading = Reading::Result { ready: now() + time, bytes: [high, low, crc8(CHECKSUM_START, &[high, low])] };
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
        let measuring = matches!(self.reading, Reading::Result { ready, .. } if now() < ready);
        if now() < self.awake || measuring {
            return Err(Nack);
        }
        let [temperature_time, humidity_time] = self.times;
        match *bytes {
            [] => {}
            [0xF3] => self.measure((self.temperature + 46.85) / 175.72, 0b00, temperature_time),
            [0xF5] => self.measure((self.humidity + 6.0) / 125.0, 0b10, humidity_time),
            [0xE6, user] => self.user = self.user & !WRITABLE | user & WRITABLE,
            [0xE7] => self.reading = Reading::User,
            [0xFE] => {
                self.user = self.user_after_reset;
                self.reading = Reading::Nothing;
                self.awake = now() + Duration::from_millis(14);
            }
            _ => return Err(Nack),
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        let bytes = match std::mem::replace(&mut self.reading, Reading::Nothing) {
            Reading::User => vec![self.user],
            Reading::Result { ready, bytes } if now() >= ready => bytes.to_vec(),
            other => {
                self.reading = other;
                return Err(Nack);
            }
        };
        // Whoever reads on reads ones.
        buffer.iter_mut().zip(bytes.into_iter().chain(std::iter::repeat(0xFF))).for_each(|(to, from)| *to = from);
        Ok(())
    }
}
