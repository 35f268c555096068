//! Model of the INA219 and the INA226: registers, single conversions and continuous ones, averages, the arithmetic of
//! current and power. They have no alert. What differs from one to the other is beside their drivers.

use super::Shunt;
use crate::sim::clock::now;
use crate::sim::{I2cPart, Nack, Part};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

/// The registers that both have.
pub const CONFIG: usize = 0;
pub const SHUNT: usize = 1;
pub const BUS: usize = 2;
pub const POWER: usize = 3;
pub const CURRENT: usize = 4;
pub const CALIBRATION: usize = 5;

/// One of the chips.
pub struct Chip {
    /// The registers 0 to 7 as they are after a reset, and the bits of them that can be written.
    pub reset: [u16; 8],
    pub writable: [u16; 8],
    /// Registers beyond these, and what they hold.
    pub identities: &'static [(usize, u16)],
    /// The register with the flags: a measurement is ready, the arithmetic overflowed.
    pub flags: usize,
    pub ready: u16,
    pub overflow: u16,
    /// Reading this register clears the first of them.
    pub clears: usize,
    /// Typical times in µs that the averaged conversions of the shunt and of the bus take with this configuration.
    pub times_us: fn(u16) -> [u64; 2],
    /// V for each bit, and the codes with this configuration.
    pub shunt_step: f64,
    pub shunt_codes: fn(u16) -> RangeInclusive<f64>,
    pub bus_step: f64,
    pub bus_codes: fn(u16) -> RangeInclusive<f64>,
    /// Where the voltage begins in its register.
    pub bus_shift: u32,
    /// By what the products of current and power are divided.
    pub current_divisor: i64,
    pub power_divisor: u64,
    /// V that the pins endure, and V over the shunt that can be measured.
    pub highest_voltage: f64,
    pub highest_shunt_voltage: f64,
}

/// The part and the resistor beside it.
pub struct Model {
    chip: &'static Chip,
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
    pub fn new(chip: &'static Chip, shunt: Shunt) -> Self {
        let shunt = shunt.number();
        let (registers, amperes) = (chip.reset, 0.01 / shunt);
        let mut model = Self { chip, registers, pointer: 0, shunt, volts: 12.0, amperes, ready: None };
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
        let (shunt, bus, _) = self.mode();
        let [shunt_us, bus_us] = (self.chip.times_us)(self.registers[CONFIG]);
        let time_us = if shunt { shunt_us } else { 0 } + if bus { bus_us } else { 0 };
        self.ready = (shunt || bus).then(|| now() + Duration::from_micros(time_us) * 11 / 10);
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
    fn settle(&mut self) {
        if self.ready.take_if(|ready| now() >= *ready).is_none() {
            return;
        }
        let (chip, config) = (self.chip, self.registers[CONFIG]);
        let code = |volts: f64, step: f64, codes: RangeInclusive<f64>| {
            (volts / step).round().clamp(*codes.start(), *codes.end())
        };
        let (shunt, bus, continuous) = self.mode();
        if shunt {
            let code = code(self.amperes * self.shunt, chip.shunt_step, (chip.shunt_codes)(config));
            self.registers[SHUNT] = (code as i16).cast_unsigned();
        }
        if bus {
            let code = code(self.volts, chip.bus_step, (chip.bus_codes)(config));
            self.registers[BUS] = (code as u16) << chip.bus_shift;
        }
        // "Current Register" and "Power Register": the products, which nothing keeps within a register.
        let volts = u64::from(self.registers[BUS] >> chip.bus_shift);
        let [calibration, shunt] = [self.registers[CALIBRATION], self.registers[SHUNT]];
        let current = i64::from(shunt.cast_signed()) * i64::from(calibration) / chip.current_divisor;
        let power = current.unsigned_abs() * volts / chip.power_divisor;
        let overflow = i16::try_from(current).is_err() || u16::try_from(power).is_err();
        self.registers[CURRENT] = (current as i16).cast_unsigned();
        self.registers[POWER] = power as u16;
        let flags = &mut self.registers[chip.flags];
        *flags = *flags & !chip.overflow | chip.ready | if overflow { chip.overflow } else { 0 };
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
                let end = self.chip.highest_shunt_voltage / self.shunt;
                if (value / self.volts).abs() >= end || self.volts <= 0.0 {
                    self.volts = self.chip.highest_voltage;
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
        if self.pointer == CONFIG && value & 0x8000 != 0 {
            self.registers = self.chip.reset;
            self.start();
            return Ok(());
        }
        // What is read only has no bits to write.
        let Some(register) = self.registers.get_mut(self.pointer) else { return Ok(()) };
        let writable = self.chip.writable[self.pointer];
        *register = *register & !writable | value & writable;
        if self.pointer == CONFIG {
            if value & 0b011 != 0 {
                self.registers[self.chip.flags] &= !self.chip.ready;
            }
            self.start();
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        self.settle();
        let identity = self.chip.identities.iter().find(|(register, _)| *register == self.pointer);
        let value = match identity {
            Some((_, identity)) => *identity,
            None => self.registers.get(self.pointer).copied().unwrap_or(0),
        };
        // Whoever reads on reads the register again.
        buffer.iter_mut().zip(value.to_be_bytes().into_iter().cycle()).for_each(|(to, from)| *to = from);
        if self.pointer == self.chip.clears {
            self.registers[self.chip.flags] &= !self.chip.ready;
        }
        Ok(())
    }
}
