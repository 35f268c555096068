//! Model of the VL53L0X: pages of registers, its memory of detectors, its calibrations, one measurement at a time.
//!
//! It measures only what it was told to as the maker's library does: with its own value given back, and well only with
//! both calibrations.

use crate::sim::clock::now;
use crate::sim::{I2cPart, Nack, Part};
use std::time::{Duration, Instant};

/// The value that it wants back before each measurement.
const STOP_VARIABLE: u8 = 0x3C;
/// Its memory: five reference detectors behind an aperture.
const REFERENCE_SPADS: u8 = 0x80 | 5;
/// How long calibrations and its memory take.
const CALIBRATION: Duration = Duration::from_millis(4);
const MEMORY: Duration = Duration::from_micros(1_500);

/// The part.
pub struct Model {
    /// By page and register.
    registers: [[u8; 256]; 8],
    pointer: u8,
    /// mm.
    distance: f64,
    /// What the result says of a target that is there.
    status: u8,
    /// When the running measurement or calibration ends.
    ends: Option<Instant>,
    /// When its memory answers.
    memory: Option<Instant>,
    /// Its value was given back since the last measurement.
    prepared: bool,
    calibrated: [bool; 2],
    /// Its calibrations never end.
    stuck: bool,
}

impl Default for Model {
    fn default() -> Self {
        let mut registers = [[0; 256]; 8];
        // Section 3.2.
        registers[0][0xC0..0xC3].copy_from_slice(&[0xEE, 0xAA, 0x10]);
        registers[0][0x51..0x53].copy_from_slice(&[0x00, 0x99]);
        registers[0][0x01] = 0xFF;
        registers[0][0x84] = 0x11;
        registers[0][0xB0..0xB6].copy_from_slice(&[0xFF, 0xE7, 0xFB, 0xFF, 0x7F, 0x0F]);
        registers[1][0x91] = STOP_VARIABLE;
        Self {
            registers,
            pointer: 0,
            distance: 500.0,
            status: 11,
            ends: None,
            memory: None,
            prepared: false,
            calibrated: [false; 2],
            stuck: false,
        }
    }
}

impl Model {
    /// One with another identity.
    #[cfg(test)]
    pub(super) fn with_identity(identity: [u8; 2]) -> Self {
        let mut model = Self::default();
        model.registers[0][0xC0..0xC2].copy_from_slice(&identity);
        model
    }

    /// One that says this of each measurement.
    #[cfg(test)]
    pub(super) fn with_status(status: u8) -> Self {
        Self { status, ..Self::default() }
    }

    /// One whose calibrations never end.
    #[cfg(test)]
    pub(super) fn never_ending() -> Self {
        Self { stuck: true, ..Self::default() }
    }

    fn page(&self) -> usize {
        usize::from(self.registers[0][0xFF] & 0b111)
    }

    /// How long a measurement takes: what the register leaves for the fine range, and 17 ms.
    fn time(&self) -> Duration {
        let [high, low] = [self.registers[0][0x71], self.registers[0][0x72]];
        let periods = (u32::from(low) << high.min(16)) + 1;
        Duration::from_micros(17_000) + Duration::from_nanos(38_131) * periods.saturating_sub(0x97)
    }

    fn start(&mut self) {
        let calibration = match self.registers[0][0x01] {
            0x01 => Some(0),
            0x02 => Some(1),
            _ => None,
        };
        self.ends = match calibration {
            Some(which) => {
                self.calibrated[which] = true;
                (!self.stuck).then(|| now() + CALIBRATION)
            }
            None => std::mem::take(&mut self.prepared).then(|| now() + self.time()),
        };
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
    fn settle(&mut self) {
        if self.ends.take_if(|ends| now() >= *ends).is_some() {
            // The end is seen if it is asked for (register 0x0A).
            self.registers[0][0x13] = self.registers[0][0x0A] & 0b111;
            let off = if self.calibrated == [true; 2] { 0.0 } else { 40.0 };
            let distance = (self.distance + off).round();
            let (status, distance) =
                if distance > 2_000.0 { (4, 8_190) } else { (self.status, distance.clamp(0.0, 8_190.0) as u16) };
            let [high, low] = distance.to_be_bytes();
            let result = [status << 3 | 1, 0, 5, 0, 0, 0, 0x0C, 0x80, 0x00, 0x20, high, low];
            self.registers[0][0x14..0x20].copy_from_slice(&result);
        }
        if self.memory.take_if(|ready| now() >= *ready).is_some() {
            self.registers[7][0x83] = 0x10;
            self.registers[7][0x92] = REFERENCE_SPADS;
        }
    }

    fn write_register(&mut self, value: u8) {
        let register = usize::from(self.pointer);
        self.pointer = self.pointer.wrapping_add(1);
        match (self.page(), register) {
            (_, 0xFF | 0x80) => self.registers[0][register] = value,
            (0, 0x00) if value & 1 != 0 => self.start(),
            (0, 0x0B) => self.registers[0][0x13] = 0,
            (0, 0x13..=0x1F | 0xC0..=0xC2) => {} // read only
            (1, 0x91) => self.prepared = value == STOP_VARIABLE && self.registers[0][0x80] == 1,
            (7, 0x83) => {
                self.registers[7][0x83] = value;
                self.memory = (value == 0).then(|| now() + MEMORY);
            }
            (page, register) => self.registers[page][register] = value,
        }
    }

    fn read_register(&mut self) -> u8 {
        let register = usize::from(self.pointer);
        self.pointer = self.pointer.wrapping_add(1);
        match (self.page(), register) {
            // What is inside is there only while it is open.
            (1, 0x91) if self.registers[0][0x80] == 0 => 0,
            (page, register) => self.registers[page][register],
        }
    }
}

impl Part for Model {
    fn stimulate(&mut self, channel: &str, value: f64) -> bool {
        if channel == "distance" {
            self.distance = value;
        }
        channel == "distance"
    }

    fn i2c(&mut self) -> Option<&mut dyn I2cPart> {
        Some(self)
    }
}

impl I2cPart for Model {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        self.settle();
        let [pointer, values @ ..] = bytes else { return Ok(()) };
        self.pointer = *pointer;
        values.iter().for_each(|value| self.write_register(*value));
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        self.settle();
        buffer.fill_with(|| self.read_register());
        Ok(())
    }
}
