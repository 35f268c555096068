//! Model of the MPU-6050: registers, sleep and reset, a thousand measurements a second, gyroscopes that need time to start.

use crate::sim::clock::now;
use crate::sim::{I2cPart, Nack, Part};
use std::time::{Duration, Instant};

const CONFIG: usize = 0x1A;
const GYRO_CONFIG: usize = 0x1B;
const ACCEL_CONFIG: usize = 0x1C;
const INT_ENABLE: usize = 0x38;
const INT_STATUS: usize = 0x3A;
const DATA: usize = 0x3B;
const PWR_MGMT_1: usize = 0x6B;
const WHO_AM_I: usize = 0x75;

const G: f64 = 9.806_65;
/// PS, section 6.1: until the gyroscopes give what they should.
const STARTING: Duration = Duration::from_millis(30);
/// With a filter, there are new values each millisecond (SMPLRT_DIV).
const PERIOD: Duration = Duration::from_millis(1);
/// How long a reset takes here.
const RESETTING: Duration = Duration::from_millis(50);

/// The part.
pub struct Model {
    registers: [u8; 128],
    /// Register that the next byte is read from or written to.
    pointer: usize,
    /// m/s², °/s, °C, in the order of the channels.
    stimuli: [f64; 7],
    /// Since when it is awake.
    awake: Option<Instant>,
    /// When there are new values.
    next: Instant,
    /// It takes nothing before this.
    busy: Instant,
}

impl Default for Model {
    fn default() -> Self {
        let mut model = Self {
            registers: [0; 128],
            pointer: 0,
            stimuli: [0.0, 0.0, G, 0.0, 0.0, 0.0, 21.5],
            awake: None,
            next: now(),
            busy: now(),
        };
        model.reset();
        model
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

    /// Section 3, "Register Map": all registers are 0 after a reset, but for two.
    fn reset(&mut self) {
        let identity = self.registers[WHO_AM_I];
        self.registers = [0; 128];
        self.registers[WHO_AM_I] = if identity == 0 { 0x68 } else { identity };
        self.registers[PWR_MGMT_1] = 0x40;
        self.awake = None;
    }

    #[allow(clippy::cast_possible_truncation)] // clamped
    fn settle(&mut self) {
        let Some(awake) = self.awake.filter(|_| now() >= self.next) else { return };
        self.next = now() + PERIOD;
        self.registers[INT_STATUS] |= self.registers[INT_ENABLE] & 1;
        let [ax, ay, az, gx, gy, gz, temperature] = self.stimuli;
        let range = |register: usize| usize::from(self.registers[register] >> 3 & 0b11);
        let acceleration = |value: f64| value / G * f64::from(16_384 >> range(ACCEL_CONFIG));
        // A gyroscope that starts turns by itself.
        let drift = if now() < awake + STARTING { 20.0 } else { 0.0 };
        let rotation = |value: f64| (value + drift) * [131.0, 65.5, 32.8, 16.4][range(GYRO_CONFIG)];
        let celsius = (temperature - 36.53) * 340.0;
        let words =
            [acceleration(ax), acceleration(ay), acceleration(az), celsius, rotation(gx), rotation(gy), rotation(gz)];
        for (at, word) in words.into_iter().enumerate() {
            let word = word.round().clamp(-32_768.0, 32_767.0) as i16;
            [self.registers[DATA + 2 * at], self.registers[DATA + 2 * at + 1]] = word.to_be_bytes();
        }
    }

    fn write_register(&mut self, value: u8) {
        let register = self.pointer;
        self.pointer = (register + 1) % 128;
        match register {
            PWR_MGMT_1 if value & 0x80 != 0 => {
                self.reset();
                self.busy = now() + RESETTING;
            }
            PWR_MGMT_1 => {
                self.registers[PWR_MGMT_1] = value;
                self.awake = if value & 0x40 == 0 { self.awake.or_else(|| Some(now())) } else { None };
                self.next = now() + PERIOD;
            }
            // While it sleeps it takes settings as well.
            0x19 | CONFIG | GYRO_CONFIG | ACCEL_CONFIG | INT_ENABLE => self.registers[register] = value,
            _ => {} // read only, or without effect here
        }
    }

    fn read_register(&mut self) -> u8 {
        let register = self.pointer;
        self.pointer = (register + 1) % 128;
        let value = self.registers[register];
        if register == INT_STATUS {
            self.registers[INT_STATUS] = 0; // cleared when read
        }
        value
    }
}

impl Part for Model {
    fn stimulate(&mut self, channel: &str, value: f64) -> bool {
        let channels = super::ACCELERATION.into_iter().chain(super::ROTATION).chain([super::TEMPERATURE]);
        let Some(slot) = channels.zip(&mut self.stimuli).find(|(name, _)| *name == channel) else { return false };
        *slot.1 = value;
        true
    }

    fn i2c(&mut self) -> Option<&mut dyn I2cPart> {
        Some(self)
    }
}

impl I2cPart for Model {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        if now() < self.busy {
            return Err(Nack);
        }
        self.settle();
        let [pointer, values @ ..] = bytes else { return Ok(()) };
        self.pointer = usize::from(pointer & 0x7F);
        values.iter().for_each(|value| self.write_register(*value));
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        if now() < self.busy {
            return Err(Nack);
        }
        self.settle();
        buffer.fill_with(|| self.read_register());
        Ok(())
    }
}
