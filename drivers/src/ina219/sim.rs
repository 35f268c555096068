//! Model of the INA219: six registers, single conversions and continuous ones, averages, the arithmetic of current and
//! power.

use super::Shunt;
use crate::sim::clock::now;
use crate::sim::{I2cPart, Nack, Part};
use std::time::{Duration, Instant};

/// "Register Maps": the registers, and what the configuration holds after a reset.
const CONFIG: usize = 0;
const SHUNT: usize = 1;
const BUS: usize = 2;
const POWER: usize = 3;
const CURRENT: usize = 4;
const CALIBRATION: usize = 5;
const RESET: [u16; 6] = [0x399F, 0, 0, 0, 0, 0];
/// "Bus Voltage Register": its flags.
const READY: u16 = 0b10;
const OVERFLOW: u16 = 0b01;
/// The pins do not endure more.
const HIGHEST_VOLTAGE: f64 = 26.0;

/// The part and the resistor beside it.
pub struct Model {
    registers: [u16; 6],
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

    /// Starts a measurement if the mode has one: "Configuration Register", table of ADC settings, and a tenth more.
    fn start(&mut self) {
        let config = self.registers[CONFIG];
        let time_us = |field: u16| match field & 0b1111 {
            n @ 0b1000..=0b1111 => 532 << (n & 0b111),
            n => [84, 148, 276, 532][usize::from(n & 0b11)],
        };
        let (shunt, bus, _) = self.mode();
        let shunt_us = if shunt { time_us(config >> 3) } else { 0 };
        let bus_us = if bus { time_us(config >> 7) } else { 0 };
        let time = Duration::from_micros(shunt_us + bus_us) * 11 / 10;
        self.ready = (shunt || bus).then(|| now() + time);
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
    fn settle(&mut self) {
        if self.ready.take_if(|ready| now() >= *ready).is_none() {
            return;
        }
        let config = self.registers[CONFIG];
        let (shunt, bus, continuous) = self.mode();
        if shunt {
            // "Shunt Voltage Register": 10 µV each, to the end of the range.
            let end = f64::from(4_000 << (config >> 11 & 0b11));
            let code = (self.amperes * self.shunt / 10e-6).round().clamp(-end, end) as i16;
            self.registers[SHUNT] = code.cast_unsigned();
        }
        let mut volts = self.registers[BUS] >> 3;
        if bus {
            let end = if config & 1 << 13 == 0 { 4_000.0 } else { 8_000.0 };
            volts = (self.volts / 4e-3).round().clamp(0.0, end) as u16;
        }
        // "Current Register" and "Power Register".
        let current = i32::from(self.registers[SHUNT].cast_signed()) * i32::from(self.registers[CALIBRATION]) / 4_096;
        let power = current.unsigned_abs() * u32::from(volts) / 5_000;
        let overflow = i16::try_from(current).is_err() || u16::try_from(power).is_err();
        self.registers[CURRENT] = (current as i16).cast_unsigned();
        self.registers[POWER] = power as u16;
        self.registers[BUS] = volts << 3 | READY | if overflow { OVERFLOW } else { 0 };
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
                let end = 0.32 / self.shunt;
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
                self.registers[CONFIG] = value & 0x3FFF;
                if value & 0b011 != 0 {
                    self.registers[BUS] &= !READY;
                }
                self.start();
            }
            // Its lowest bit is always 0.
            CALIBRATION => self.registers[CALIBRATION] = value & !1,
            _ => {} // read only
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        self.settle();
        let value = self.registers.get(self.pointer).copied().unwrap_or(0).to_be_bytes();
        // Whoever reads on reads the register again.
        buffer.iter_mut().zip(value.into_iter().cycle()).for_each(|(to, from)| *to = from);
        if self.pointer == POWER {
            self.registers[BUS] &= !READY;
        }
        Ok(())
    }
}
