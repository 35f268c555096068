//! Model of the BMP388: registers over I2C and SPI, forced and normal mode, conversion times.
//!
//! Its back door finds raw values with the maker's **integer** formulas, while the driver uses those in floating point.
//! Its calibration is that of a real part.

use crate::bosch::{Interface, Registers};
use crate::sim::clock::now;
use crate::sim::{I2cPart, Part, SpiPart, smallest};
use std::time::{Duration, Instant};

/// Registers 0x31 to 0x45 of a real BMP388, recorded by the elixir-sensors project (bmp3xx).
pub(super) const CALIBRATION: [u8; 21] = [
    0x23, 0x6B, 0x58, 0x49, 0xF6, 0x5C, 0xFF, 0xCE, 0xF4, 0x23, 0x00, 0xEA, 0x63, 0x6E, 0x79, 0xF3, 0xF6, 0xAA, 0x43,
    0x12, 0xC4,
];

const CALIBRATION_START: usize = 0x31;
const ERR_REG: usize = 0x02;
const STATUS: usize = 0x03;
const DATA: usize = 0x04;
const PWR_CTRL: usize = 0x1B;
const OSR: usize = 0x1C;
const CMD: u8 = 0x7E;

const COMMAND_READY: u8 = 1 << 4;
const PRESSURE_READY: u8 = 1 << 5;
const TEMPERATURE_READY: u8 = 1 << 6;
const COMMAND_ERROR: u8 = 1 << 1;
const MODE: u8 = 0b11 << 4;

/// The part.
pub struct Model {
    registers: [u8; 256],
    interface: Interface,
    /// Raw pressure and temperature.
    raw: [u32; 2],
    /// °C, hPa.
    stimuli: [f64; 2],
    /// When the running measurement ends, and what it gives.
    converting: Option<(Instant, [u8; 6])>,
}

impl Default for Model {
    fn default() -> Self {
        Self::with_registers(0, &[])
    }
}

impl Model {
    /// One with these registers set otherwise: another identity, another calibration.
    pub(super) fn with_registers(start: usize, values: &[u8]) -> Self {
        let mut model = Self {
            registers: [0; 256],
            interface: Interface::new(0, true),
            raw: [0; 2],
            stimuli: [21.5, 1_013.25],
            converting: None,
        };
        model.registers[0] = 0x50;
        model.registers[CALIBRATION_START..][..21].copy_from_slice(&CALIBRATION);
        model.registers[start..][..values.len()].copy_from_slice(values);
        model.reset();
        model.interface.answer_after(Duration::ZERO);
        model.find_raw();
        model
    }

    /// What the conversions give from now on: raw pressure and temperature.
    #[cfg(test)]
    pub(super) fn set_raw(&mut self, raw: [u32; 2]) {
        self.raw = raw;
    }

    /// As after a loss of power.
    pub(super) fn reset(&mut self) {
        self.registers[ERR_REG] = 0;
        self.registers[STATUS] = COMMAND_READY;
        self.registers[DATA..][..6].copy_from_slice(&[0, 0, 0x80, 0, 0, 0x80]);
        self.registers[PWR_CTRL] = 0;
        self.registers[OSR] = 0x02;
        self.converting = None;
        self.interface.answer_after(Duration::from_micros(1_900));
    }

    fn settle(&mut self) {
        if let Some((_, data)) = self.converting.take_if(|(ready, _)| now() >= *ready) {
            self.registers[DATA..][..6].copy_from_slice(&data);
            let enabled = self.registers[PWR_CTRL];
            self.registers[STATUS] |= (enabled & 1) << 5 | (enabled & 0b10) << 5;
            if enabled & MODE == MODE {
                self.convert();
            } else {
                self.registers[PWR_CTRL] &= !MODE; // back to sleep
            }
        }
    }

    /// A tenth longer than is typical.
    fn convert(&mut self) {
        let conversions = |osr: u8| 1_u64 << (osr & 0b111).min(5);
        let osr = self.registers[OSR];
        let time_us = 234 + 392 + 313 + 2_000 * (conversions(osr) + conversions(osr >> 3));
        let [[_, p2, p1, p0], [_, t2, t1, t0]] = self.raw.map(u32::to_be_bytes);
        let ready = now() + Duration::from_micros(time_us * 11 / 10);
        self.converting = Some((ready, [p0, p1, p2, t0, t1, t2]));
    }

    /// Finds the raw values that the formulas turn into the stimuli.
    fn find_raw(&mut self) {
        let [temperature, pressure] = self.stimuli;
        #[allow(clippy::cast_precision_loss)] // at most 2^40
        let celsius = |raw| linear(raw) as f64 * 25.0 / 16_384.0 / 100.0;
        let raw = smallest(24, |raw| celsius(raw) >= temperature);
        let t = linear(raw);
        // The pressure falls with its raw value.
        self.raw = [smallest(24, |raw| pascal(raw, t) <= pressure * 100.0), raw];
    }
}

impl Registers for Model {
    fn interface(&mut self) -> &mut Interface {
        &mut self.interface
    }

    fn read_register(&mut self, register: u8) -> u8 {
        self.settle();
        let value = self.registers[usize::from(register)];
        match usize::from(register) {
            ERR_REG => self.registers[ERR_REG] = 0, // cleared when read
            4..=6 => self.registers[STATUS] &= !PRESSURE_READY,
            7..=9 => self.registers[STATUS] &= !TEMPERATURE_READY,
            _ => {}
        }
        value
    }

    fn write_register(&mut self, register: u8, value: u8) {
        self.settle();
        match (usize::from(register), value) {
            (_, 0xB6) if register == CMD => self.reset(),
            _ if register == CMD => self.registers[ERR_REG] |= COMMAND_ERROR,
            (PWR_CTRL, value) => {
                self.registers[PWR_CTRL] = value & 0b0011_0011;
                if value & MODE != 0 {
                    self.convert();
                }
            }
            (OSR, value) => self.registers[OSR] = value & 0b0011_1111,
            _ => {} // all others are read only, or without effect here
        }
    }
}

impl Part for Model {
    fn stimulate(&mut self, channel: &str, value: f64) -> bool {
        match channel {
            "temperature" => self.stimuli[0] = value,
            "pressure" => self.stimuli[1] = value,
            _ => return false,
        }
        self.find_raw();
        true
    }

    fn i2c(&mut self) -> Option<&mut dyn I2cPart> {
        Some(self)
    }

    fn spi(&mut self) -> Option<&mut dyn SpiPart> {
        Some(self)
    }
}

fn unsigned(low: usize) -> i64 {
    i64::from(u16::from_le_bytes([CALIBRATION[low], CALIBRATION[low + 1]]))
}

fn signed(low: usize) -> i64 {
    i64::from(i16::from_le_bytes([CALIBRATION[low], CALIBRATION[low + 1]]))
}

fn short(at: usize) -> i64 {
    i64::from(CALIBRATION[at].cast_signed())
}

/// The temperature in steps of 1/65536 °C.
fn linear(raw: u32) -> i64 {
    let difference = i64::from(raw) - 256 * unsigned(0);
    (unsigned(2) * difference * 262_144 + difference * difference * short(4)) / 4_294_967_296
}

/// The pressure in Pa.
fn pascal(raw: u32, t: i64) -> f64 {
    let raw = i64::from(raw);
    let square = t * t;
    let cube = square / 64 * t / 256;
    let offset = unsigned(11) * 140_737_488_355_328
        + short(16) * cube / 32
        + short(15) * square * 16
        + unsigned(13) * t * 4_194_304;
    let slope = (signed(5) - 16_384) * 70_368_744_177_664
        + short(10) * cube / 32
        + short(9) * square * 4
        + (signed(7) - 16_384) * t * 2_097_152;
    let bend = (short(19) * t + 65_536 * signed(17)) * raw / 8_192;
    let bend = raw * (bend / 10) / 512 * 10;
    let twist = short(20) * (raw * raw) / 65_536 * raw / 128;
    let sum = offset / 4 + slope / 16_777_216 * raw + bend + twist;
    #[allow(clippy::cast_precision_loss)] // of no matter to the model
    let pascal = sum as f64 * 25.0 / 1_099_511_627_776.0 / 100.0;
    pascal
}
