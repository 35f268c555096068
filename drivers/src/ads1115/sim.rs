//! Model of the ADS1115: four registers, single conversions and continuous ones, their times, the input multiplexer.

use super::{Inputs, Pins};
use crate::analog::Scales;
use crate::sim::clock::now;
use crate::sim::{I2cPart, Nack, Part};
use std::time::{Duration, Instant};

/// "Config Register" and "Lo_thresh and Hi_thresh Registers": their values after a reset, with the conversion first.
const RESET: [u16; 4] = [0x0000, 0x8583, 0x8000, 0x7FFF];
/// "Config Register": field by field.
const OS: u16 = 0x8000;
const MODE: u16 = 0x0100;
const STEPS: [f64; 8] = [187.5e-6, 125e-6, 62.5e-6, 31.25e-6, 15.625e-6, 7.8125e-6, 7.8125e-6, 7.8125e-6];
const RATES: [u64; 8] = [8, 16, 32, 64, 128, 250, 475, 860];

/// The part.
pub struct Model {
    registers: [u16; 4],
    pointer: usize,
    /// Voltages of the four inputs against ground.
    inputs: [f64; 4],
    /// When the running conversion ends, and what it gives.
    converting: Option<(Instant, u16)>,
    /// The names of the channels.
    channels: Inputs<Pins>,
    /// What is connected to them.
    scales: Scales,
}

impl Model {
    /// A part whose inputs are known by these names.
    #[must_use]
    pub fn new(channels: Inputs<Pins>, scales: Scales) -> Self {
        Self { registers: RESET, pointer: 0, inputs: [1.65, 0.82, 0.41, 0.2], converting: None, channels, scales }
    }

    /// "Config Register", fields MUX and PGA; "Data Format": two's complement that stops at both ends.
    #[allow(clippy::cast_possible_truncation)] // clamped
    fn code(&self, config: u16) -> u16 {
        let [a0, a1, a2, a3] = self.inputs;
        let volts = [a0 - a1, a0 - a3, a1 - a3, a2 - a3, a0, a1, a2, a3][usize::from(config >> 12 & 0b111)];
        let steps = (volts / STEPS[usize::from(config >> 9 & 0b111)]).round();
        (steps.clamp(-32_768.0, 32_767.0) as i16).cast_unsigned()
    }

    fn settle(&mut self) {
        if let Some((_, code)) = self.converting.take_if(|(ready, _)| now() >= *ready) {
            self.registers[0] = code;
        }
        if self.registers[1] & MODE == 0 && self.converting.is_none() {
            self.convert(self.registers[1]);
        }
    }

    fn convert(&mut self, config: u16) {
        let time = Duration::from_micros(1_000_000 / RATES[usize::from(config >> 5 & 0b111)]);
        self.converting = Some((now() + time, self.code(config)));
    }
}

impl Part for Model {
    fn stimulate(&mut self, channel: &str, value: f64) -> bool {
        let Some((_, pins)) = self.channels.iter().find(|(name, _)| *name == channel) else { return false };
        let (positive, negative) = pins.numbers();
        let volts = self.scales.volts(channel, value);
        self.inputs[positive] = volts + negative.map_or(0.0, |negative| self.inputs[negative]);
        true
    }

    fn i2c(&mut self) -> Option<&mut dyn I2cPart> {
        Some(self)
    }
}

impl I2cPart for Model {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        self.settle();
        match *bytes {
            [] => {}
            [pointer] => self.pointer = usize::from(pointer & 0b11),
            // More bytes than the register has are acknowledged and lost; a half register changes nothing.
            [pointer, ref value @ ..] => {
                self.pointer = usize::from(pointer & 0b11);
                let [high, low, ..] = *value else { return Ok(()) };
                let value = u16::from_be_bytes([high, low]);
                match self.pointer {
                    0 => {} // read only
                    1 => {
                        self.registers[1] = value & !OS;
                        if value & OS != 0 && value & MODE != 0 {
                            self.convert(value);
                        }
                    }
                    other => self.registers[other] = value,
                }
            }
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        self.settle();
        let idle = if self.pointer == 1 && self.converting.is_none() { OS } else { 0 };
        let value = (self.registers[self.pointer] | idle).to_be_bytes();
        // Whoever reads on reads the register again.
        buffer.iter_mut().zip(value.into_iter().cycle()).for_each(|(to, from)| *to = from);
        Ok(())
    }
}
