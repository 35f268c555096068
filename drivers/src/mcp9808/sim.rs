//! Model of the MCP9808: its registers, periodic conversions and their times, shutdown, the flags of the limits.

use crate::sim::clock::now;
use crate::sim::{I2cPart, Nack, Part};
use std::time::{Duration, Instant};

/// Section 5.1: the registers 0 to 7 as they are after a reset.
const RESET: [u16; 8] = [0x001F, 0, 0, 0, 0, 0, 0x0054, 0x0400];
const CONFIG: usize = 1;
const UPPER: usize = 2;
const LOWER: usize = 3;
const CRITICAL: usize = 4;
const RESULT: usize = 5;
const RESOLUTION: usize = 8;

/// Section 5.1.1: hysteresis, shutdown, both locks, and the bits of the alert that are kept.
const WRITABLE: u16 = 0x07CF;
const SHUTDOWN: u16 = 0x0100;
const LOCKS: u16 = 0x00C0;
/// Section 5.1.2: the bits of a limit, 0.25 °C each.
const LIMIT: u16 = 0x1FFC;

/// The part.
pub struct Model {
    registers: [u16; 8],
    resolution: u8,
    pointer: usize,
    temperature: f64,
    /// When the running conversion ends, and what it gives.
    converting: Option<(Instant, u16)>,
}

impl Default for Model {
    fn default() -> Self {
        let mut model = Self { registers: RESET, resolution: 0b11, pointer: 0, temperature: 21.5, converting: None };
        model.convert();
        model
    }
}

/// A register of 13 bits of two's complement.
fn signed(register: u16) -> i16 {
    (register << 3).cast_signed() >> 3
}

impl Model {
    /// Section 5.2.4: the typical time and a quarter more; the bits below a step stay clear.
    #[allow(clippy::cast_possible_truncation)] // clamped
    fn convert(&mut self) {
        let (time_ms, unused) = [(30, 3), (65, 2), (130, 1), (250, 0)][usize::from(self.resolution)];
        let code = (self.temperature / 0.0625).round().clamp(-4_096.0, 4_095.0) as i16;
        let code = (code >> unused << unused).cast_unsigned() & 0x1FFF;
        self.converting = Some((now() + Duration::from_micros(time_ms * 1_250), code));
    }

    fn settle(&mut self) {
        if let Some((_, code)) = self.converting.take_if(|(ready, _)| now() >= *ready) {
            self.registers[RESULT] = code;
            self.convert();
        }
    }

    /// Section 5.1.3: above the temperature stands what it is to the limits.
    fn result(&self) -> u16 {
        let [_, _, upper, lower, critical, result, ..] = self.registers;
        let flag = |set, bit: u16| if set { 1 << bit } else { 0 };
        result
            | flag(signed(result) >= signed(critical), 15)
            | flag(signed(result) > signed(upper), 14)
            | flag(signed(result) < signed(lower), 13)
    }

    fn configure(&mut self, value: u16) {
        let old = self.registers[CONFIG];
        let mut new = value & WRITABLE;
        if old & LOCKS != 0 {
            // Locked: shutdown can be cleared but not set, and only a reset unlocks.
            new = old & !SHUTDOWN | old & new & SHUTDOWN;
        }
        self.registers[CONFIG] = new;
        if new & SHUTDOWN != 0 {
            self.converting = None;
        } else if old & SHUTDOWN != 0 {
            self.convert();
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
        self.pointer = usize::from(pointer & 0xF);
        match (self.pointer, value) {
            (RESOLUTION, [resolution, ..]) => self.resolution = resolution & 0b11,
            (CONFIG, [high, low, ..]) => self.configure(u16::from_be_bytes([*high, *low])),
            (UPPER | LOWER | CRITICAL, [high, low, ..]) => {
                self.registers[self.pointer] = u16::from_be_bytes([*high, *low]) & LIMIT;
            }
            // Read only, or half a register.
            _ => {}
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        self.settle();
        let value = match self.pointer {
            RESULT => self.result().to_be_bytes(),
            RESOLUTION => [self.resolution, 0xFF],
            register => self.registers.get(register).copied().unwrap_or(0).to_be_bytes(),
        };
        // Section 4.1.1: no sequential reads. Whoever reads on reads ones.
        buffer.iter_mut().zip(value.into_iter().chain(std::iter::repeat(0xFF))).for_each(|(to, from)| *to = from);
        Ok(())
    }
}
