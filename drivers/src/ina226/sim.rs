//! Model of the INA226: its registers, single conversions and continuous ones, averages, the arithmetic of current and
//! power. It has no alert.

use super::Shunt;
use crate::sim::clock::now;
use crate::sim::{I2cPart, Nack, Part};
use std::time::{Duration, Instant};

/// "Register Information": the registers 0 to 7 as they are after a reset.
const RESET: [u16; 8] = [0x4127, 0, 0, 0, 0, 0, 0, 0];
const CONFIG: usize = 0;
const SHUNT: usize = 1;
const BUS: usize = 2;
const POWER: usize = 3;
const CURRENT: usize = 4;
const CALIBRATION: usize = 5;
const FLAGS: usize = 6;
const LIMIT: usize = 7;
/// "Mask/Enable": the bits that the part sets.
const READY: u16 = 1 << 3;
const OVERFLOW: u16 = 1 << 2;
/// "Configuration Register": fields AVG, and VBUSCT and VSHCT in µs.
const AVERAGES: [u32; 8] = [1, 4, 16, 64, 128, 256, 512, 1_024];
const TIMES_US: [u64; 8] = [140, 204, 332, 588, 1_100, 2_116, 4_156, 8_244];
/// The pins do not endure more.
const HIGHEST_VOLTAGE: f64 = 36.0;

/// The part and the resistor beside it.
pub struct Model {
    registers: [u16; 8],
    pointer: usize,
    shunt: f64,
    volts: f64,
    amperes: f64,
    /// When the running measurement ends.
    ready: Option<Instant>,
}

impl Model {
    /// A part with this resistor, and 10 mV over it.
    #[must_use]
    pub fn new(shunt: Shunt) -> Self {
        let shunt = shunt.number();
        let mut model = Self { registers: RESET, pointer: 0, shunt, volts: 12.0, amperes: 0.01 / shunt, ready: None };
        model.start();
        model
    }

    /// "Configuration Register", field MODE: whether shunt and bus are converted, and whether again and again.
    fn mode(&self) -> (bool, bool, bool) {
        let mode = self.registers[CONFIG] & 0b111;
        (mode & 0b001 != 0, mode & 0b010 != 0, mode & 0b100 != 0)
    }

    /// Starts a measurement if the mode has one. It takes a tenth longer than is typical.
    fn start(&mut self) {
        let config = self.registers[CONFIG];
        let field = |shift: u16| usize::from(config >> shift & 0b111);
        let (shunt, bus, _) = self.mode();
        let shunt_us = if shunt { TIMES_US[field(3)] } else { 0 };
        let bus_us = if bus { TIMES_US[field(6)] } else { 0 };
        let time = Duration::from_micros(shunt_us + bus_us) * AVERAGES[field(9)] * 11 / 10;
        self.ready = (shunt || bus).then(|| now() + time);
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
    fn settle(&mut self) {
        if self.ready.take_if(|ready| now() >= *ready).is_none() {
            return;
        }
        let (shunt, bus, continuous) = self.mode();
        if shunt {
            let code = (self.amperes * self.shunt / 2.5e-6).round().clamp(-32_768.0, 32_767.0) as i16;
            self.registers[SHUNT] = code.cast_unsigned();
        }
        if bus {
            self.registers[BUS] = (self.volts / 1.25e-3).round().clamp(0.0, 32_767.0) as u16;
        }
        // Equations 3 and 4.
        let current = i64::from(self.registers[SHUNT].cast_signed()) * i64::from(self.registers[CALIBRATION]) / 2_048;
        let power = current.unsigned_abs() * u64::from(self.registers[BUS]) / 20_000;
        let overflow = i16::try_from(current).is_err() || u16::try_from(power).is_err();
        self.registers[CURRENT] = (current as i16).cast_unsigned();
        self.registers[POWER] = power as u16;
        self.registers[FLAGS] = self.registers[FLAGS] & !OVERFLOW | READY | if overflow { OVERFLOW } else { 0 };
        if continuous {
            self.start();
        }
    }
}

impl Part for Model {
    fn stimulate(&mut self, channel: &str, value: f64) -> bool {
        match channel {
            "voltage" => self.volts = value,
            "current" => self.amperes = value,
            // The voltage only if the current alone cannot do it.
            "power" => {
                let end = 81.9e-3 / self.shunt;
                if (value / self.volts).abs() >= end || self.volts <= 0.0 {
                    self.volts = HIGHEST_VOLTAGE;
                }
                self.amperes = value / self.volts;
            }
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
        let [pointer, value @ ..] = bytes else { return Ok(()) };
        self.pointer = usize::from(*pointer);
        // More bytes than the register has are acknowledged and lost; a half register changes nothing.
        let [high, low, ..] = *value else { return Ok(()) };
        let value = u16::from_be_bytes([high, low]);
        match self.pointer {
            CONFIG if value & 0x8000 != 0 => {
                (self.registers, self.pointer) = (RESET, CONFIG);
                self.start();
            }
            CONFIG => {
                self.registers[CONFIG] = 0x4000 | value & 0x0FFF;
                if value & 0b011 != 0 {
                    self.registers[FLAGS] &= !READY;
                }
                self.start();
            }
            CALIBRATION => self.registers[CALIBRATION] = value & 0x7FFF,
            FLAGS => self.registers[FLAGS] = value & 0xFC03 | self.registers[FLAGS] & (READY | OVERFLOW),
            LIMIT => self.registers[LIMIT] = value,
            _ => {} // read only
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        self.settle();
        let value = match self.pointer {
            0xFE => 0x5449,
            0xFF => 0x2260,
            register => self.registers.get(register).copied().unwrap_or(0),
        };
        // Whoever reads on reads the register again.
        buffer.iter_mut().zip(value.to_be_bytes().into_iter().cycle()).for_each(|(to, from)| *to = from);
        if self.pointer == FLAGS {
            self.registers[FLAGS] &= !READY;
        }
        Ok(())
    }
}
