//! Model of the SCD4x: idle and measuring, a result every five seconds, checksums, refusals.

use super::{DATA_READY, READ_MEASUREMENT, SERIAL, START, STOP};
use crate::sensirion::answer;
use crate::sim::clock::now;
use crate::sim::{I2cPart, Nack, Part};
use std::time::{Duration, Instant};

/// Section 3.5.1: from one result to the next.
const CYCLE: Duration = Duration::from_secs(5);
/// Section 3.4, table 9: how long it needs to stop.
const STOPPING: Duration = Duration::from_millis(500);
/// Section 3.9.2: the serial number of the example.
const SERIAL_NUMBER: [u16; 3] = [0xF896, 0x9F07, 0x3BBE];

/// The part.
pub struct Model {
    carbon_dioxide: f64,
    temperature: f64,
    humidity: f64,
    /// When the next result is there, while it measures.
    next: Option<Instant>,
    /// It does nothing before this.
    busy: Instant,
    result: Option<[u16; 3]>,
    /// What the next read gives: until when it is not ready, and the words.
    answer: Option<(Instant, Vec<u16>)>,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            carbon_dioxide: 650.0,
            temperature: 21.5,
            humidity: 45.0,
            next: None,
            busy: now(),
            result: None,
            answer: None,
        }
    }
}

impl Model {
    /// Section 3.5.2.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
    fn measure(&self) -> [u16; 3] {
        let word = |value: f64| value.round().clamp(0.0, 65_535.0) as u16;
        let share = |share: f64| word(share * 65_536.0);
        [word(self.carbon_dioxide), share((self.temperature + 45.0) / 175.0), share(self.humidity / 100.0)]
    }

    fn settle(&mut self) {
        while let Some(next) = self.next.filter(|next| now() >= *next) {
            self.result = Some(self.measure());
            self.next = Some(next + CYCLE);
        }
    }

    fn prepare(&mut self, words: &[u16]) {
        self.answer = Some((now() + Duration::from_millis(1), words.to_vec()));
    }
}

impl Part for Model {
    fn stimulate(&mut self, channel: &str, value: f64) -> bool {
        match channel {
            "carbon_dioxide" => self.carbon_dioxide = value,
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
        self.settle();
        if now() < self.busy {
            return Err(Nack);
        }
        let [high, low] = *bytes else { return if bytes.is_empty() { Ok(()) } else { Err(Nack) } };
        self.answer = None;
        match (u16::from_be_bytes([high, low]), self.next.is_some()) {
            (START, false) => self.next = Some(now() + CYCLE),
            (STOP, _) => {
                (self.next, self.result) = (None, None);
                self.busy = now() + STOPPING;
            }
            (SERIAL, false) => self.prepare(&SERIAL_NUMBER),
            (DATA_READY, _) => self.prepare(&[if self.result.is_some() { 0x8006 } else { 0x8000 }]),
            (READ_MEASUREMENT, _) => {
                // Reading empties the buffer; an empty one is not acknowledged.
                if let Some(result) = self.result.take() {
                    self.prepare(&result);
                }
            }
            // Table 9: while it measures, all others are refused.
            _ => return Err(Nack),
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        self.settle();
        let (_, words) = self.answer.take_if(|(ready, _)| now() >= *ready).ok_or(Nack)?;
        answer(words, buffer);
        Ok(())
    }
}
