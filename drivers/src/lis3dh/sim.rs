//! Model of the LIS3DH: registers over I2C and SPI, a measurement each period, and values that are not settled at first.

use crate::sim::clock::now;
use crate::sim::{I2cPart, Nack, Part, SpiPart};
use std::time::{Duration, Instant};

const WHO_AM_I: usize = 0x0F;
const CTRL_REG1: usize = 0x20;
const CTRL_REG4: usize = 0x23;
const STATUS: usize = 0x27;
const DATA: usize = 0x28;
const LAST: usize = 0x2D;
const G: f64 = 9.806_65;

/// The part.
pub struct Model {
    registers: [u8; 64],
    /// Register that the next byte is read from or written to, and whether it counts on.
    pointer: (usize, bool),
    /// m/s².
    stimuli: [f64; 3],
    /// When the next measurement is there, unless it is powered down.
    next: Option<Instant>,
    /// How many there were since the settings were changed.
    count: u128,
    /// Whether the last of them was not read yet.
    new: bool,
    /// On SPI: whether this is a read, once the first byte has told.
    reading: Option<bool>,
}

impl Default for Model {
    fn default() -> Self {
        let mut registers = [0; 64];
        // Section 7, table 21: the values after a reset.
        registers[WHO_AM_I] = 0x33;
        registers[CTRL_REG1] = 0x07;
        Self { registers, pointer: (0, false), stimuli: [0.0, 0.0, G], next: None, count: 0, new: false, reading: None }
    }
}

impl Model {
    /// One with another identity.
    #[cfg(test)]
    pub(super) fn with_identity(identity: u8) -> Self {
        let mut model = Self::default();
        model.registers[WHO_AM_I] = identity;
        model
    }

    /// One that measures what makes these bytes of its data registers, at ±2 g.
    #[cfg(test)]
    pub(super) fn with_data(data: [u8; 6]) -> Self {
        let word = |at: usize| f64::from(i16::from_le_bytes([data[at], data[at + 1]]) >> 4) * G / 1_000.0;
        Self { stimuli: [word(0), word(2), word(4)], ..Self::default() }
    }

    /// Time from one measurement to the next; `None` if it is powered down.
    fn period(&self) -> Option<Duration> {
        let hertz = match self.registers[CTRL_REG1] >> 4 {
            0 => return None,
            1 => 1,
            2 => 10,
            3 => 25,
            4 => 50,
            5 => 100,
            6 => 200,
            7 => 400,
            8 => 1_600,
            _ => 1_344,
        };
        Some(Duration::from_secs(1) / hertz)
    }

    #[allow(clippy::cast_possible_truncation)] // clamped
    fn settle(&mut self) {
        let (Some(period), Some(next)) = (self.period(), self.next.filter(|next| now() >= *next)) else { return };
        self.count += 1 + (now() - next).as_nanos() / period.as_nanos();
        (self.next, self.new) = (Some(now() + period), true);
        // Section 2.1, table 4.
        let step = [1.0, 2.0, 4.0, 12.0][usize::from(self.registers[CTRL_REG4] >> 4 & 0b11)] * G / 1_000.0;
        // The first ones are nothing like it.
        let settled = if self.count < 7 { 0.5 } else { 1.0 };
        for (axis, value) in self.stimuli.iter().enumerate() {
            let steps = (value * settled / step).round().clamp(-2_048.0, 2_047.0) as i16;
            [self.registers[DATA + 2 * axis], self.registers[DATA + 2 * axis + 1]] = (steps << 4).to_le_bytes();
        }
    }

    fn write_register(&mut self, value: u8) {
        let (register, _) = self.pointer;
        self.count_on();
        // Section 7, table 21: what can be written.
        if matches!(register, 0x1E..=0x26 | 0x2E | 0x30 | 0x32..=0x34 | 0x36..=0x38 | 0x3A..=0x3F) {
            self.registers[register] = value;
        }
        if [CTRL_REG1, CTRL_REG4].contains(&register) {
            self.next = self.period().map(|period| now() + period);
            (self.count, self.new) = (0, false);
        }
    }

    fn read_register(&mut self) -> u8 {
        let (register, _) = self.pointer;
        self.count_on();
        match register {
            STATUS => return if self.new { 0b1111 } else { 0 },
            LAST => self.new = false,
            _ => {}
        }
        self.registers[register]
    }

    fn count_on(&mut self) {
        if let (register, true) = self.pointer {
            self.pointer.0 = (register + 1) % 64;
        }
    }
}

impl Part for Model {
    fn stimulate(&mut self, channel: &str, value: f64) -> bool {
        let axis = super::CHANNELS.iter().position(|name| *name == channel);
        if let Some(axis) = axis {
            self.stimuli[axis] = value;
        }
        axis.is_some()
    }

    fn i2c(&mut self) -> Option<&mut dyn I2cPart> {
        Some(self)
    }

    fn spi(&mut self) -> Option<&mut dyn SpiPart> {
        Some(self)
    }
}

impl I2cPart for Model {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        self.settle();
        let [pointer, values @ ..] = bytes else { return Ok(()) };
        self.pointer = (usize::from(pointer & 0x3F), pointer & 0x80 != 0);
        values.iter().for_each(|value| self.write_register(*value));
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        self.settle();
        buffer.fill_with(|| self.read_register());
        Ok(())
    }
}

impl SpiPart for Model {
    fn select(&mut self) {
        self.settle();
        self.reading = None;
    }

    fn exchange(&mut self, byte: u8) -> u8 {
        // Nothing drives the line while the part takes a byte.
        const IDLE: u8 = 0xFF;
        match self.reading {
            None => {
                self.reading = Some(byte & 0x80 != 0);
                self.pointer = (usize::from(byte & 0x3F), byte & 0x40 != 0);
            }
            Some(true) => return self.read_register(),
            Some(false) => self.write_register(byte),
        }
        IDLE
    }
}
