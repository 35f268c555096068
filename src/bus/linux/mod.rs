//! The buses and lines of a Linux machine, through the kernel's character devices.

mod edges;
mod errno;
pub(super) mod gpio;
mod i2c;
mod kernel;
mod listener;
pub(super) mod pwm;
mod serial;
mod spi;

use super::modbus::Lines;
use super::{Bus, Edges, Serial};
use crate::config::{LineName, Link, PwmName};
use halyard_drivers::FaultKind;
use halyard_drivers::port::{
    I2cPort, InputPort, InputSettings, KernelPort, ModbusPort, ModbusSettings, OutputPort, PortError, PwmPort, Rounds,
    SerialSettings, SpiPort, SpiSettings,
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
    modbus: Lines,
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

    fn pwm(&self, channel: &PwmName) -> Result<PwmPort, PortError> {
        match channel {
            PwmName::Channel { chip, channel } => pwm::open(chip, *channel),
            PwmName::Line(line) => {
                let message = format!("no pulses on {line} here: name a channel, `{{ chip: pwmchip0, channel: 0 }}`");
                Err(PortError::new(FaultKind::Rejected, message))
            }
        }
    }

    fn input(&self, line: &LineName, settings: InputSettings) -> Result<Box<dyn Edges>, PortError> {
        edges::open(std::slice::from_ref(line), settings)
    }

    fn inputs(&self, lines: &[LineName], settings: InputSettings) -> Result<Box<dyn Edges>, PortError> {
        match lines {
            [only] => self.input(only, settings),
            several => edges::open(several, settings),
        }
    }

    fn listen(&self, line: &LineName, settings: InputSettings) -> Result<InputPort, PortError> {
        listener::open(line, settings)
    }

    fn serial(&self, path: &str, settings: SerialSettings) -> Result<Box<dyn Serial>, PortError> {
        serial::open(path, settings)
    }

    fn modbus(&self, link: &Link, unit: u8, settings: ModbusSettings) -> Result<ModbusPort, PortError> {
        let path = link.to_string();
        self.modbus.device(link, unit, settings, Box::new(move || serial::open(&path, settings.serial)))
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
