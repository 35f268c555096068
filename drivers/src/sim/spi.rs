//! A simulated chip select of an SPI bus.

use super::SharedPart;
use crate::fault::FaultKind;
use crate::port::PortError;
use embedded_hal::spi::{ErrorType, Operation, SpiDevice};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// One chip select with at most one part. Clones are handles to the same one.
#[derive(Clone, Default)]
pub struct SpiSlot {
    part: Option<SharedPart>,
    broken: Arc<AtomicBool>,
}

impl SpiSlot {
    /// A chip select with `part` on it; without one, all reads are ones.
    #[must_use]
    pub fn new(part: Option<SharedPart>) -> Self {
        Self { part, broken: Arc::default() }
    }

    /// While set, transfers fail.
    pub fn set_broken(&self, broken: bool) {
        self.broken.store(broken, Ordering::Relaxed);
    }
}

impl ErrorType for SpiSlot {
    type Error = PortError;
}

impl SpiDevice for SpiSlot {
    fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), PortError> {
        if self.broken.load(Ordering::Relaxed) {
            return Err(PortError::new(FaultKind::Bus, "the transfer failed"));
        }
        let mut guard = self.part.as_ref().map(SharedPart::lock);
        let mut part = guard.as_mut().and_then(|part| part.spi());
        if let Some(part) = &mut part {
            part.select();
        }
        let mut exchange = |byte| part.as_mut().map_or(0xFF, |part| part.exchange(byte));
        for operation in operations {
            match operation {
                Operation::Read(buffer) => buffer.iter_mut().for_each(|byte| *byte = exchange(0)),
                Operation::Write(bytes) => bytes.iter().for_each(|byte| {
                    exchange(*byte);
                }),
                Operation::Transfer(read, write) => {
                    for index in 0..read.len().max(write.len()) {
                        let byte = exchange(write.get(index).copied().unwrap_or(0));
                        if let Some(slot) = read.get_mut(index) {
                            *slot = byte;
                        }
                    }
                }
                Operation::TransferInPlace(bytes) => bytes.iter_mut().for_each(|byte| *byte = exchange(*byte)),
                Operation::DelayNs(_) => {}
            }
        }
        Ok(())
    }
}
