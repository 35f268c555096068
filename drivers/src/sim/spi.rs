//! A simulated chip select of an SPI bus.

use super::{SharedPart, hex, lock};
use crate::fault::FaultKind;
use crate::port::PortError;
use embedded_hal::spi::{ErrorType, Operation, SpiDevice};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// One chip select with at most one part. Clones are handles to the same one.
#[derive(Clone, Default)]
pub struct SpiSlot {
    part: Option<SharedPart>,
    broken: Arc<AtomicBool>,
    log: Arc<Mutex<Option<Vec<String>>>>,
}

impl SpiSlot {
    /// A chip select with `part` on it; without one, all reads are ones.
    #[must_use]
    pub fn new(part: Option<SharedPart>) -> Self {
        Self { part, ..Self::default() }
    }

    /// While set, transfers fail.
    pub fn set_broken(&self, broken: bool) {
        self.broken.store(broken, Ordering::Relaxed);
    }

    /// Starts to record transfers.
    pub fn record(&self) {
        *lock(&self.log) = Some(Vec::new());
    }

    /// What was recorded since the last call: a line for each transaction, as in `W d0 · R 60`, or
    /// `W 01 80 00 & R ff fa 00` where both ways are used at once.
    #[must_use]
    pub fn recorded(&self) -> Vec<String> {
        lock(&self.log).as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn exchange(&self, operations: &mut [Operation<'_, u8>]) -> Result<String, PortError> {
        if self.broken.load(Ordering::Relaxed) {
            return Err(PortError::new(FaultKind::Bus, "the transfer failed"));
        }
        let mut guard = self.part.as_ref().map(SharedPart::lock);
        let mut part = guard.as_mut().and_then(|part| part.spi());
        if let Some(part) = &mut part {
            part.select();
        }
        let mut exchange = |byte| part.as_mut().map_or(0xFF, |part| part.exchange(byte));
        let mut segments = Vec::new();
        for operation in operations {
            segments.push(match operation {
                Operation::Read(buffer) => {
                    buffer.iter_mut().for_each(|byte| *byte = exchange(0));
                    format!("R{}", hex(buffer))
                }
                Operation::Write(bytes) => {
                    for byte in *bytes {
                        exchange(*byte);
                    }
                    format!("W{}", hex(bytes))
                }
                Operation::Transfer(read, write) => {
                    for index in 0..read.len().max(write.len()) {
                        let byte = exchange(write.get(index).copied().unwrap_or(0));
                        if let Some(slot) = read.get_mut(index) {
                            *slot = byte;
                        }
                    }
                    format!("W{} & R{}", hex(write), hex(read))
                }
                Operation::TransferInPlace(bytes) => {
                    let written = hex(bytes);
                    bytes.iter_mut().for_each(|byte| *byte = exchange(*byte));
                    format!("W{written} & R{}", hex(bytes))
                }
                Operation::DelayNs(_) => continue,
            });
        }
        Ok(segments.join(" · "))
    }
}

impl ErrorType for SpiSlot {
    type Error = PortError;
}

impl SpiDevice for SpiSlot {
    fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), PortError> {
        let result = self.exchange(operations);
        if let Some(log) = lock(&self.log).as_mut() {
            log.push(result.clone().unwrap_or_else(|error| error.to_string()));
        }
        result.map(drop)
    }
}
