//! Registers of eight bits, as many parts have them on I2C and on SPI.

use crate::fault::Fault;
use embedded_hal::i2c::I2c;
use embedded_hal::spi::{self, SpiDevice};

/// The registers of a part over one of its buses.
pub trait Registers {
    /// Reads from `register` on.
    ///
    /// # Errors
    /// Absent, or a failed transfer.
    fn read(&mut self, register: u8, buffer: &mut [u8]) -> Result<(), Fault>;

    /// Writes one register.
    ///
    /// # Errors
    /// Absent, or a failed transfer.
    fn write(&mut self, register: u8, value: u8) -> Result<(), Fault>;
}

/// Over I2C, with the part's address.
pub struct OverI2c<I>(pub I, pub u8);

impl<I: I2c> Registers for OverI2c<I> {
    fn read(&mut self, register: u8, buffer: &mut [u8]) -> Result<(), Fault> {
        self.0
            .write_read(self.1, &[register], buffer)
            .map_err(|error| Fault::i2c(error, &format!("reading register {register:#04X}")))
    }

    fn write(&mut self, register: u8, value: u8) -> Result<(), Fault> {
        self.0
            .write(self.1, &[register, value])
            .map_err(|error| Fault::i2c(error, &format!("writing register {register:#04X}")))
    }
}

/// Over SPI: the highest bit of the register's number says which way.
pub struct OverSpi<S>(pub S);

impl<S: SpiDevice> Registers for OverSpi<S> {
    fn read(&mut self, register: u8, buffer: &mut [u8]) -> Result<(), Fault> {
        self.0
            .transaction(&mut [spi::Operation::Write(&[register | 0x80]), spi::Operation::Read(buffer)])
            .map_err(|error| Fault::spi(error, &format!("reading register {register:#04X}")))
    }

    fn write(&mut self, register: u8, value: u8) -> Result<(), Fault> {
        self.0
            .write(&[register & 0x7F, value])
            .map_err(|error| Fault::spi(error, &format!("writing register {register:#04X}")))
    }
}
