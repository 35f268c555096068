//! Model of the SGP40: commands, their times, checksums in both directions, and a hot plate.

use super::{HEATER_OFF, MEASURE_RAW, MEASURE_TEST, SERIAL, TEST_PASSED};
use crate::sensirion::{answer, with_checksum};
use crate::sim::clock::now;
use crate::sim::{I2cPart, Nack, Part};
use std::time::{Duration, Instant};

/// The serial number of the model.
const SERIAL_NUMBER: [u16; 3] = [0x0000, 0x0212, 0x5A3C];

/// The part. It acknowledges nothing while it is busy (section 4.5).
pub struct Model {
    signal: f64,
    /// What its test gives.
    test: u16,
    hot: bool,
    /// What it took for the air at the last measurement: humidity and temperature as words.
    air: [u16; 2],
    answer: Option<(Instant, Vec<u16>)>,
}

impl Default for Model {
    fn default() -> Self {
        // Table 1: within what is typical.
        Self { signal: 30_000.0, test: TEST_PASSED, hot: false, air: [0; 2], answer: None }
    }
}

impl Model {
    /// Whether the hot plate is on.
    #[must_use]
    pub fn is_hot(&self) -> bool {
        self.hot
    }

    /// What it took for the air at the last measurement: humidity and temperature as words.
    #[must_use]
    pub fn air(&self) -> [u16; 2] {
        self.air
    }

    /// One whose test gives this.
    #[must_use]
    pub fn with_test(test: u16) -> Self {
        Self { test, ..Self::default() }
    }

    fn answer_after(&mut self, time_ms: u64, words: &[u16]) {
        self.answer = Some((now() + Duration::from_millis(time_ms), words.to_vec()));
    }
}

impl Part for Model {
    fn stimulate(&mut self, channel: &str, value: f64) -> bool {
        if channel == "raw_signal" {
            self.signal = value;
        }
        channel == "raw_signal"
    }

    fn i2c(&mut self) -> Option<&mut dyn I2cPart> {
        Some(self)
    }
}

impl I2cPart for Model {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        if self.answer.as_ref().is_some_and(|(ready, _)| now() < *ready) {
            return Err(Nack);
        }
        let [high, low, arguments @ ..] = bytes else { return if bytes.is_empty() { Ok(()) } else { Err(Nack) } };
        self.answer = None;
        match (u16::from_be_bytes([*high, *low]), arguments) {
            (SERIAL, []) => self.answer_after(0, &SERIAL_NUMBER),
            (MEASURE_TEST, []) => self.answer_after(300, &[self.test]),
            (HEATER_OFF, []) => self.hot = false,
            (MEASURE_RAW, [a, b, ab, c, d, cd]) => {
                let air = [u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d])];
                if air.map(with_checksum) != [[*a, *b, *ab], [*c, *d, *cd]] {
                    return Err(Nack);
                }
                (self.air, self.hot) = (air, true);
                self.answer_after(30, &[self.signal.round().clamp(0.0, 65_535.0) as u16]);
            }
            _ => return Err(Nack),
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        let (_, words) = self.answer.take_if(|(ready, _)| now() >= *ready).ok_or(Nack)?;
        answer(words, buffer);
        Ok(())
    }
}
