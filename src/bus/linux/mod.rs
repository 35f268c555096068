//! The buses and lines of a Linux machine, through the kernel's character devices.

mod edges;
mod errno;
mod gpio;
mod i2c;
mod kernel;
mod serial;
mod spi;

use super::{Bus, Edges, Serial};
use crate::config::LineName;
use halyard_drivers::port::{
    I2cPort, InputSettings, KernelPort, OutputPort, PortError, Rounds, SerialSettings, SpiPort, SpiSettings,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Whatever Linux machine this is: `/dev/i2c-N`, `/dev/spidevB.C`, `/dev/gpiochipN`, serial ports, and what the kernel
/// drives by itself.
#[derive(Default)]
pub struct Linux {
    i2c: Locks,
    spi: Locks,
    rounds: Rounds,
}

impl Linux {
    /// Touches nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Bus for Linux {
    fn i2c(&self, bus: u8, _address: u8) -> Result<I2cPort, PortError> {
        i2c::open(bus, self.i2c.of(bus))
    }

    fn i2c_buses(&self) -> Vec<u8> {
        i2c::buses()
    }

    fn i2c_taken(&self, bus: u8, address: u8) -> Option<String> {
        i2c::kernel_driver(bus, address)
    }

    fn spi(&self, bus: u8, chip_select: u8, settings: SpiSettings) -> Result<SpiPort, PortError> {
        spi::open(bus, chip_select, settings, self.spi.of(bus))
    }

    fn output(&self, line: &LineName) -> Result<OutputPort, PortError> {
        gpio::output(line)
    }

    fn kernel(&self) -> Result<KernelPort, PortError> {
        Ok(KernelPort { files: Box::new(kernel::Files::new("/")), rounds: self.rounds.clone() })
    }

    fn line_holder(&self, line: &LineName) -> Result<Option<String>, PortError> {
        gpio::holder(line)
    }

    fn input(&self, line: &LineName, settings: InputSettings) -> Result<Box<dyn Edges>, PortError> {
        edges::open(line, settings)
    }

    fn serial(&self, path: &str, settings: SerialSettings) -> Result<Box<dyn Serial>, PortError> {
        serial::open(path, settings)
    }
}

/// The lock of one bus: held for a transaction, never between two.
type BusLock = Arc<Mutex<()>>;

/// The locks of all buses of one sort, by number.
#[derive(Default)]
struct Locks(Mutex<BTreeMap<u8, BusLock>>);

impl Locks {
    fn of(&self, bus: u8) -> BusLock {
        lock(&self.0).entry(bus).or_default().clone()
    }
}

/// Neither a bus nor the list of locks can be left half-way by a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
