//! What the models of Bosch's environmental sensors have in common: how their registers are reached, on I2C and on SPI.

use crate::sim::clock::now;
use crate::sim::{I2cPart, Nack, SpiPart};
use std::time::{Duration, Instant};

/// A model with registers of eight bits.
pub trait Registers {
    /// What reaches them.
    fn interface(&mut self) -> &mut Interface;

    /// What is read of one, with all that reading it does.
    fn read_register(&mut self, register: u8) -> u8;

    /// One is written.
    fn write_register(&mut self, register: u8, value: u8);
}

/// Where the buses are in the registers.
pub struct Interface {
    /// The register that the next byte is read from.
    pointer: u8,
    /// It answers from here on.
    awake: Instant,
    /// On SPI the highest bit of a register's number says which way. This is what it stands for: 0x80 or 0.
    upper: u8,
    /// On SPI a byte without meaning is read first.
    dummy: bool,
    spi: SpiState,
}

/// Bytes since the chip select of SPI.
enum SpiState {
    Start,
    Dummy,
    Read,
    Write(Option<u8>),
}

impl Interface {
    /// Of a part that is awake, with its registers on SPI from `upper` on, and a dummy byte there or none.
    pub fn new(upper: u8, dummy: bool) -> Self {
        Self { pointer: 0, awake: now(), upper, dummy, spi: SpiState::Start }
    }

    /// It answers from so long after now on.
    pub fn answer_after(&mut self, time: Duration) {
        self.awake = now() + time;
    }

    fn is_awake(&self) -> bool {
        now() >= self.awake
    }
}

/// Conversions that a field of oversampling stands for (BME280, section 5.4.3).
pub fn times(field: u8) -> u64 {
    match field {
        0 => 0,
        1..=4 => 1 << (field - 1),
        _ => 16,
    }
}

fn next(model: &mut impl Registers) -> u8 {
    let pointer = &mut model.interface().pointer;
    let register = *pointer;
    *pointer = register.wrapping_add(1);
    model.read_register(register)
}

impl<R: Registers> I2cPart for R {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        if !self.interface().is_awake() {
            return Err(Nack);
        }
        // Pairs of register and value; a register alone is read from next (BME280, section 6.2).
        for pair in bytes.chunks(2) {
            match *pair {
                [register, value] => self.write_register(register, value),
                [register] => self.interface().pointer = register,
                _ => {}
            }
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        if !self.interface().is_awake() {
            return Err(Nack);
        }
        buffer.fill_with(|| next(self));
        Ok(())
    }
}

impl<R: Registers> SpiPart for R {
    fn select(&mut self) {
        self.interface().spi = SpiState::Start;
    }

    fn exchange(&mut self, byte: u8) -> u8 {
        // Nothing drives the line while the part takes a byte.
        const IDLE: u8 = 0xFF;
        let interface = self.interface();
        if !interface.is_awake() {
            return IDLE;
        }
        let register = byte & 0x7F | interface.upper;
        match interface.spi {
            SpiState::Start if byte & 0x80 != 0 => {
                interface.pointer = register;
                interface.spi = if interface.dummy { SpiState::Dummy } else { SpiState::Read };
            }
            SpiState::Start | SpiState::Write(None) => interface.spi = SpiState::Write(Some(register)),
            SpiState::Dummy => interface.spi = SpiState::Read,
            SpiState::Read => return next(self),
            SpiState::Write(Some(register)) => {
                interface.spi = SpiState::Write(None);
                self.write_register(register, byte);
            }
        }
        IDLE
    }
}
