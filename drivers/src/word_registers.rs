//! Registers of 16 bits, the high byte first, as many parts have them on I2C.

use crate::fault::Fault;
use embedded_hal::i2c::I2c;

/// The registers of a part, with its address. What is done with them completes "while …" in faults.
pub struct Registers<I> {
    pub i2c: I,
    pub address: u8,
}

impl<I: I2c> Registers<I> {
    /// Writes one register.
    ///
    /// # Errors
    /// Absent, or a failed transfer.
    pub fn write(&mut self, register: u8, value: u16, doing: &str) -> Result<(), Fault> {
        let [high, low] = value.to_be_bytes();
        self.i2c.write(self.address, &[register, high, low]).map_err(|error| Fault::i2c(error, doing))
    }

    /// Reads one register.
    ///
    /// # Errors
    /// Absent, or a failed transfer.
    pub fn read(&mut self, register: u8, doing: &str) -> Result<u16, Fault> {
        let mut bytes = [0; 2];
        self.i2c.write_read(self.address, &[register], &mut bytes).map_err(|error| Fault::i2c(error, doing))?;
        Ok(u16::from_be_bytes(bytes))
    }

    /// Reads the configuration register, and looks whether these bits of it are still as they were written: a reset
    /// leaves others, and what the part measures then is not what was asked for.
    ///
    /// # Errors
    /// Absent, a failed transfer, or corrupt if it was reset.
    pub fn read_config(&mut self, register: u8, written: u16, bits: u16) -> Result<u16, Fault> {
        let found = self.read(register, "reading the configuration")?;
        if found & bits == written & bits {
            return Ok(found);
        }
        let message = format!("the configuration register holds {found:#06x} after {written:#06x} was written");
        Err(Fault::corrupt(message))
    }
}
