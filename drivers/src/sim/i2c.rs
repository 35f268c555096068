//! A simulated I2C bus.

use super::{SharedPart, hex, lock};
use crate::fault::FaultKind;
use crate::port::PortError;
use embedded_hal::i2c::{ErrorType, I2c, Operation};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// A bus and its parts. Clones are handles to the same bus.
#[derive(Clone, Default)]
pub struct I2cBus {
    wires: Arc<Mutex<Wires>>,
}

#[derive(Default)]
struct Wires {
    parts: BTreeMap<u8, SharedPart>,
    faults: BTreeMap<u8, I2cFaults>,
    log: Option<Vec<String>>,
}

/// What goes wrong on the way to and from one address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct I2cFaults {
    /// The address is not acknowledged.
    pub absent: bool,
    /// Transfers time out.
    pub timeout: bool,
    /// Every byte read is 0xFF, as from a bus that nobody drives.
    pub all_ones: bool,
    /// The lowest bit of the last byte of each read is flipped.
    pub flip: bool,
}

impl I2cBus {
    /// An empty bus.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts `part` at `address`, in place of what was there.
    pub fn attach(&self, address: u8, part: SharedPart) {
        lock(&self.wires).parts.insert(address, part);
    }

    /// Takes away what is at `address`.
    pub fn detach(&self, address: u8) {
        lock(&self.wires).parts.remove(&address);
    }

    /// Sets what goes wrong at `address` from now on.
    pub fn set_faults(&self, address: u8, faults: I2cFaults) {
        lock(&self.wires).faults.insert(address, faults);
    }

    /// Starts to record transfers.
    pub fn record(&self) {
        lock(&self.wires).log = Some(Vec::new());
    }

    /// What was recorded since the last call: a line for each transaction, as in `44 W fd · R 66 b2 93 …`.
    #[must_use]
    pub fn recorded(&self) -> Vec<String> {
        lock(&self.wires).log.as_mut().map(std::mem::take).unwrap_or_default()
    }
}

impl Wires {
    fn transfer(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), PortError> {
        let faults = self.faults.get(&address).copied().unwrap_or_default();
        let absent = || PortError::new(FaultKind::Absent, "no acknowledge");
        if faults.timeout {
            return Err(PortError::new(FaultKind::Bus, "the transfer timed out"));
        }
        let part = self.parts.get(&address).filter(|_| !faults.absent).ok_or_else(absent)?;
        let mut part = part.lock();
        let part = part.i2c().ok_or_else(absent)?;
        for operation in operations {
            match operation {
                Operation::Write(bytes) => part.write(bytes).map_err(|_| absent())?,
                Operation::Read(buffer) => {
                    part.read(buffer).map_err(|_| absent())?;
                    if faults.all_ones {
                        buffer.fill(0xFF);
                    } else if let (true, Some(last)) = (faults.flip, buffer.last_mut()) {
                        *last ^= 1;
                    }
                }
            }
        }
        Ok(())
    }
}

impl ErrorType for I2cBus {
    type Error = PortError;
}

impl I2c for I2cBus {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), PortError> {
        let mut wires = lock(&self.wires);
        let result = wires.transfer(address, operations);
        if let Some(log) = &mut wires.log {
            log.push(transcript(address, operations, result.as_ref().err()));
        }
        result
    }
}

fn transcript(address: u8, operations: &[Operation<'_>], error: Option<&PortError>) -> String {
    let segments: Vec<_> = operations
        .iter()
        .map(|operation| match operation {
            Operation::Write(bytes) => format!("W{}", hex(bytes)),
            Operation::Read(bytes) => format!("R{}", hex(bytes)),
        })
        .collect();
    match error {
        Some(error) => format!("{address:02x} {error}"),
        None => format!("{address:02x} {}", segments.join(" · ")),
    }
}
