//! Model of the TMP102: four registers, single conversions and continuous ones, both lengths of a result, the alert.

use crate::sim::clock::now;
use crate::sim::{I2cPart, Nack, Part};
use std::time::{Duration, Instant};

/// The registers after a reset: temperature, configuration, low limit (75 °C), high limit (80 °C).
const RESET: [u16; 4] = [0x0000, 0x60A0, 0x4B00, 0x5000];
const RESULT: usize = 0;
const CONFIG: usize = 1;
const LOW: usize = 2;
const HIGH: usize = 3;

/// "Configuration Register": field by field. What is missing here reads 0.
const OS: u16 = 0x8000;
const RESOLUTION: u16 = 0x6000;
const POLARITY: u16 = 0x0400;
const SHUTDOWN: u16 = 0x0100;
const ALERT: u16 = 0x0020;
const EXTENDED: u16 = 0x0010;
const WRITABLE: u16 = 0x1FD0;
const CYCLES_MS: [u64; 4] = [4_000, 1_000, 250, 125];

/// The longest time of the electrical characteristics: a typical part is faster.
const CONVERSION: Duration = Duration::from_millis(35);

/// The part.
pub struct Model {
    registers: [u16; 4],
    pointer: usize,
    temperature: f64,
    alert: bool,
    /// When the running conversion ends, and what it gives.
    converting: Option<(Instant, u16)>,
}

impl Default for Model {
    fn default() -> Self {
        let mut model = Self { registers: RESET, pointer: 0, temperature: 21.5, alert: false, converting: None };
        model.convert_after(Duration::ZERO);
        model
    }
}

impl Model {
    /// Tables 3 to 6: two's complement that stops at both ends, left-aligned; the lowest bit tells its length.
    #[allow(clippy::cast_possible_truncation)] // clamped
    fn code(&self) -> u16 {
        let steps = (self.temperature / 0.0625).round();
        if self.registers[CONFIG] & EXTENDED == 0 {
            (steps.clamp(-2_048.0, 2_047.0) as i16).cast_unsigned() << 4
        } else {
            (steps.clamp(-4_096.0, 4_095.0) as i16).cast_unsigned() << 3 | 1
        }
    }

    fn convert_after(&mut self, standby: Duration) {
        self.converting = Some((now() + standby + CONVERSION, self.code()));
    }

    fn settle(&mut self) {
        if let Some((_, code)) = self.converting.take_if(|(ready, _)| now() >= *ready) {
            self.registers[RESULT] = code;
            let temperature = code.cast_signed();
            if temperature >= self.registers[HIGH].cast_signed() {
                self.alert = true;
            } else if temperature < self.registers[LOW].cast_signed() {
                self.alert = false;
            }
            let config = self.registers[CONFIG];
            if config & SHUTDOWN == 0 {
                let cycle = CYCLES_MS[usize::from(config >> 6 & 0b11)];
                self.convert_after(Duration::from_millis(cycle) - CONVERSION);
            }
        }
    }

    /// What a register reads: "One-Shot/Conversion Ready" and "Alert" are told by the part.
    fn value(&self) -> u16 {
        let value = self.registers[self.pointer];
        if self.pointer != CONFIG {
            return value;
        }
        let idle = value & SHUTDOWN != 0 && self.converting.is_none();
        let alert = self.alert == (value & POLARITY != 0);
        value & !(OS | ALERT) | if idle { OS } else { 0 } | if alert { ALERT } else { 0 }
    }

    fn configure(&mut self, value: u16) {
        let was_asleep = self.registers[CONFIG] & SHUTDOWN != 0;
        self.registers[CONFIG] = RESOLUTION | value & WRITABLE;
        let asleep = value & SHUTDOWN != 0;
        if was_asleep && (!asleep || value & OS != 0) {
            self.convert_after(Duration::ZERO);
        }
    }
}

impl Part for Model {
    fn stimulate(&mut self, channel: &str, value: f64) -> bool {
        if channel == "temperature" {
            self.temperature = value;
        }
        channel == "temperature"
    }

    fn i2c(&mut self) -> Option<&mut dyn I2cPart> {
        Some(self)
    }
}

impl I2cPart for Model {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        self.settle();
        let [pointer, value @ ..] = bytes else { return Ok(()) };
        self.pointer = usize::from(pointer & 0b11);
        // Registers are updated byte by byte: the first byte alone changes the upper half.
        let [_, old] = self.registers[self.pointer].to_be_bytes();
        let value = match *value {
            [] => return Ok(()),
            [high] => u16::from_be_bytes([high, old]),
            [high, low, ..] => u16::from_be_bytes([high, low]),
        };
        match self.pointer {
            RESULT => {} // read only
            CONFIG => self.configure(value),
            limit => self.registers[limit] = value & 0xFFF8,
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        self.settle();
        let value = self.value().to_be_bytes();
        // Whoever reads on reads the register again.
        buffer.iter_mut().zip(value.into_iter().cycle()).for_each(|(to, from)| *to = from);
        Ok(())
    }
}
