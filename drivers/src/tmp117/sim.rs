//! Model of the TMP117: its registers, one-shot and continuous conversions, their times, averaging, reset.

use crate::sim::clock::now;
use crate::sim::{I2cPart, Nack, Part};
use std::time::{Duration, Instant};

/// Section 7.6: the registers by their addresses, as they are after a reset.
const RESET: [u16; 16] = [0x8000, 0x0220, 0x6000, 0x8000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0117];
const RESULT: usize = 0x0;
const CONFIG: usize = 0x1;
const OFFSET: usize = 0x7;
const IDENTITY: usize = 0xF;

/// Section 7.6, configuration register: the bits that can be written, but for the reset.
const WRITABLE: u16 = 0x0FFC;
const DATA_READY: u16 = 0x2000;
const MOD: u16 = 0x0C00;
const SHUTDOWN: u16 = 0x0400;
const ONE_SHOT: u16 = 0x0C00;
const SOFT_RESET: u16 = 0x0002;
/// Fields AVG and CONV.
const AVERAGES: [u32; 4] = [1, 8, 32, 64];
const CYCLES_MS: [u64; 8] = [0, 125, 250, 500, 1_000, 4_000, 8_000, 16_000];

/// The part.
pub struct Model {
    registers: [u16; 16],
    pointer: usize,
    temperature: f64,
    /// When the running conversion ends, and what it gives.
    converting: Option<(Instant, u16)>,
}

impl Default for Model {
    fn default() -> Self {
        let mut model = Self { registers: RESET, pointer: 0, temperature: 21.5, converting: None };
        model.convert_after(Duration::ZERO);
        model
    }
}

impl Model {
    /// Starts a measurement if the part is not shut down (section 7.6, field MOD).
    #[allow(clippy::cast_possible_truncation)] // clamped
    fn convert_after(&mut self, standby: Duration) {
        let config = self.registers[CONFIG];
        let code = self.temperature * 128.0 + f64::from(self.registers[OFFSET].cast_signed());
        let code = (code.round().clamp(-32_768.0, 32_767.0) as i16).cast_unsigned();
        self.converting = (config & MOD != SHUTDOWN).then(|| (now() + standby + active(config), code));
    }

    fn settle(&mut self) {
        if let Some((_, code)) = self.converting.take_if(|(ready, _)| now() >= *ready) {
            self.registers[RESULT] = code;
            let config = &mut self.registers[CONFIG];
            *config |= DATA_READY;
            if *config & MOD == ONE_SHOT {
                *config = *config & !MOD | SHUTDOWN;
            }
            let cycle = CYCLES_MS[usize::from(*config >> 7 & 0b111)];
            let standby = Duration::from_millis(cycle).saturating_sub(active(*config));
            self.convert_after(standby);
        }
    }
}

/// How long the conversions of one measurement take together (section 7.3.2): here, a tenth longer than is typical.
fn active(config: u16) -> Duration {
    Duration::from_micros(17_050) * AVERAGES[usize::from(config >> 5 & 0b11)]
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
        // More bytes than the register has are acknowledged and lost; a half register changes nothing.
        let [high, low, ..] = *value else { return Ok(()) };
        let value = u16::from_be_bytes([high, low]);
        match self.pointer {
            RESULT | IDENTITY => {} // read only
            CONFIG if value & SOFT_RESET != 0 => {
                *self = Self { temperature: self.temperature, pointer: self.pointer, ..Self::default() };
            }
            CONFIG => {
                self.registers[CONFIG] = self.registers[CONFIG] & !WRITABLE | value & WRITABLE;
                self.convert_after(Duration::ZERO);
            }
            other => self.registers[other] = value,
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        self.settle();
        let value = self.registers[self.pointer].to_be_bytes();
        // Whoever reads on reads the register again.
        buffer.iter_mut().zip(value.into_iter().cycle()).for_each(|(to, from)| *to = from);
        // Section 7.6: reading either of them clears the flag.
        if matches!(self.pointer, RESULT | CONFIG) {
            self.registers[CONFIG] &= !DATA_READY;
        }
        Ok(())
    }
}
