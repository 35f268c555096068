//! Model of the TSL2591: commands, registers, integrations and their times, saturation, reset.

use crate::sim::clock::now;
use crate::sim::{I2cPart, Nack, Part};
use std::time::{Duration, Instant};

const ENABLE: usize = 0x00;
const CONTROL: usize = 0x01;
const DEVICE_ID: usize = 0x12;
const STATUS: usize = 0x13;
const COUNTS: usize = 0x14;
const ON: u8 = 0b11;
const RESET: u8 = 1 << 7;

/// The part.
pub struct Model {
    lux: f64,
    /// Share of infrared in the count of all light.
    infrared: f64,
    registers: [u8; 32],
    pointer: usize,
    /// When the running integration ends.
    integrating: Option<Instant>,
}

impl Default for Model {
    fn default() -> Self {
        let mut registers = [0; 32];
        registers[DEVICE_ID] = 0x50;
        Self { lux: 320.0, infrared: 0.0, registers, pointer: 0, integrating: None }
    }
}

impl Model {
    /// One under light with this share of infrared.
    #[cfg(test)]
    pub(super) fn with_infrared(infrared: f64) -> Self {
        Self { infrared, ..Self::default() }
    }

    /// One with this register set otherwise.
    #[cfg(test)]
    pub(super) fn with_register(register: usize, value: u8) -> Self {
        let mut model = Self::default();
        model.registers[register] = value;
        model
    }

    fn ms(&self) -> u64 {
        100 * (u64::from(self.registers[CONTROL] & 0b111) + 1)
    }

    /// A twelfth longer than is said, which is the most.
    fn integrate(&mut self) {
        self.integrating = Some(now() + Duration::from_micros(self.ms() * 1_083));
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)] // clamped, small
    fn settle(&mut self) {
        if self.integrating.take_if(|ready| now() >= *ready).is_some() {
            let gain = [1.0, 25.0, 428.0, 9_876.0][usize::from(self.registers[CONTROL] >> 4 & 0b11)];
            let full = if self.ms() == 100 { 36_863.0 } else { 65_535.0 };
            let share = (1.0 - 1.64 * self.infrared).max(0.59 - 0.86 * self.infrared).max(0.01);
            let all = self.lux * self.ms() as f64 * gain / 408.0 / share;
            let [all, infrared] = [all, all * self.infrared].map(|counts| counts.round().min(full) as u16);
            self.registers[COUNTS..][..2].copy_from_slice(&all.to_le_bytes());
            self.registers[COUNTS + 2..][..2].copy_from_slice(&infrared.to_le_bytes());
            self.registers[STATUS] |= 1;
            self.integrate();
        }
    }

    fn write_register(&mut self, register: usize, value: u8) {
        match register {
            CONTROL if value & RESET != 0 => *self = Self { lux: self.lux, infrared: self.infrared, ..Self::default() },
            ENABLE => {
                let before = std::mem::replace(&mut self.registers[ENABLE], value);
                if value & ON != ON {
                    self.integrating = None;
                    self.registers[STATUS] &= !1;
                } else if before & ON != ON {
                    self.integrate();
                }
            }
            CONTROL..=0x0C => self.registers[register] = value,
            _ => {} // read only
        }
    }
}

impl Part for Model {
    fn stimulate(&mut self, channel: &str, value: f64) -> bool {
        if channel == "illuminance" {
            self.lux = value;
        }
        channel == "illuminance"
    }

    fn i2c(&mut self) -> Option<&mut dyn I2cPart> {
        Some(self)
    }
}

impl I2cPart for Model {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        self.settle();
        let [command, values @ ..] = bytes else { return Ok(()) };
        // Normal transactions only: special functions are about interrupts.
        if command >> 5 == 0b101 {
            self.pointer = usize::from(command & 0b1_1111);
            for value in values {
                self.write_register(self.pointer, *value);
                self.pointer = (self.pointer + 1) % 32;
            }
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        self.settle();
        for byte in buffer {
            *byte = self.registers[self.pointer];
            self.pointer = (self.pointer + 1) % 32;
        }
        Ok(())
    }
}
