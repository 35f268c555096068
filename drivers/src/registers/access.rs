//! Registers over I2C and Modbus.

use super::table::{Kind, Register};
use crate::fault::Fault;
use crate::port::{I2cPort, ModbusPort, PortError, Table, Wire};
use crate::sort::sort_by;
use crate::value::Value;
use embedded_hal::i2c::I2c;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many bytes the address of a register has on I2C.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pointer {
    /// One.
    #[default]
    Byte,
    /// Two, the high one first.
    Word,
}

/// A device with registers.
pub enum Access {
    /// On I2C, at this address.
    I2c(I2cPort, u8, Pointer),
    /// On Modbus.
    Modbus(ModbusPort),
}

/// Most words that are read at once (MODBUS Application Protocol Specification V1.1b3, sections 6.3 and 6.4).
const MOST_WORDS: u16 = 125;

/// Changing some bits of a register takes a read and a write, which nobody else may come between: one lock for all
/// devices of an address. Two that only share the address wait for each other a little.
static CHANGES: [Mutex<()>; 128] = [const { Mutex::new(()) }; 128];

impl Access {
    /// The wire to such a device.
    ///
    /// # Errors
    /// Another wire.
    pub fn new(wire: Wire, pointer: Pointer) -> Result<Self, Fault> {
        match wire {
            Wire::I2c(i2c, address) => Ok(Self::I2c(i2c, address, pointer)),
            Wire::Modbus(modbus) => Ok(Self::Modbus(modbus)),
            other => Err(other.unexpected()),
        }
    }

    /// The raw value of one register.
    ///
    /// # Errors
    /// A failed transfer, or a device that refuses.
    pub fn read(&mut self, register: &Register) -> Result<u64, Fault> {
        match self {
            Self::I2c(i2c, address, pointer) => {
                let mut bytes = vec![0; register.kind.bytes()];
                i2c.write_read(*address, &pointed(*pointer, register.register), &mut bytes)
                    .map_err(|error| Fault::i2c(error, &format!("reading register {:#04x}", register.register)))?;
                Ok(register.of_bytes(&bytes))
            }
            Self::Modbus(port) => {
                let words = port
                    .0
                    .read(register.table, register.register, register.words())
                    .map_err(|error| named(&error, "reading", register.table, register.register))?;
                Ok(register.of_words(&words))
            }
        }
    }

    /// The raw values of several, in their order. On Modbus, neighbours are read together.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_all(&mut self, registers: &[&Register]) -> Result<Vec<u64>, Fault> {
        let Self::Modbus(port) = self else {
            return registers.iter().map(|register| self.read(register)).collect();
        };
        let mut order: Vec<usize> = (0..registers.len()).collect();
        let place = |index: usize| (registers[index].table, registers[index].register);
        sort_by(&mut order, |a, b| place(*a) <= place(*b));
        let mut raw = vec![0; registers.len()];
        let mut rest = order.as_slice();
        while let Some(first) = rest.first().map(|index| registers[*index]) {
            // What is not described may not be there: no gaps.
            let (mut length, mut count) = (0, 0);
            let next =
                |count: usize| rest.get(count).map(|index| registers[*index]).filter(|next| next.table == first.table);
            while let Some(next) = next(count) {
                let start = next.register - first.register;
                let after = start.saturating_add(next.words());
                if start > length || after > MOST_WORDS {
                    break;
                }
                length = length.max(after);
                count += 1;
            }
            let words = port
                .0
                .read(first.table, first.register, length)
                .map_err(|error| named(&error, "reading", first.table, first.register))?;
            let (block, after) = rest.split_at(count);
            for index in block {
                let register = registers[*index];
                let start = usize::from(register.register - first.register);
                let own = words.get(start..start + usize::from(register.words()));
                let own = own.ok_or_else(|| Fault::corrupt(format!("{} words came of {length}", words.len())))?;
                raw[*index] = register.of_words(own);
            }
            rest = after;
        }
        Ok(raw)
    }

    /// Writes a value. Of a register that has other bits too, these stay as they are.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn write(&mut self, register: &Register, value: &Value) -> Result<(), Fault> {
        let shared = register.mask.is_some();
        let _alone = if shared { Some(lock(&CHANGES[self.number()])) } else { None };
        let before = if shared { self.read(register)? } else { 0 };
        let raw = register.with(before, value);
        match self {
            Self::I2c(i2c, address, pointer) => {
                let mut bytes = pointed(*pointer, register.register);
                bytes.extend(register.to_bytes(raw));
                i2c.write(*address, &bytes)
                    .map_err(|error| Fault::i2c(error, &format!("writing register {:#04x}", register.register)))
            }
            Self::Modbus(port) => {
                let words = if register.kind == Kind::Bool && !shared {
                    vec![u16::from(raw != 0)]
                } else {
                    register.to_words(raw)
                };
                port.0
                    .write(register.table, register.register, &words)
                    .map_err(|error| named(&error, "writing", register.table, register.register))
            }
        }
    }

    /// The index of its lock.
    fn number(&self) -> usize {
        match self {
            Self::I2c(_, address, _) => usize::from(address & 0x7F),
            // All Modbus devices share one: a line has one conversation at a time anyhow.
            Self::Modbus(_) => 0,
        }
    }
}

fn pointed(pointer: Pointer, register: u16) -> Vec<u8> {
    let [high, low] = register.to_be_bytes();
    match pointer {
        Pointer::Byte => vec![low],
        Pointer::Word => vec![high, low],
    }
}

fn named(error: &PortError, doing: &str, table: Table, register: u16) -> Fault {
    let table = match table {
        Table::Holding => "holding register",
        Table::Input => "input register",
        Table::Coil => "coil",
        Table::Discrete => "discrete input",
    };
    Fault::new(error.kind, format!("{doing} {table} {register:#06x}: {error}"))
}

/// Nothing is half done under it but the device's own registers.
fn lock(mutex: &Mutex<()>) -> MutexGuard<'_, ()> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
