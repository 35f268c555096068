//! How long transfers take: a bus over another bus that counts what goes over each I2C, SPI and Modbus bus.

use super::{Bus, Edges, Serial};
use crate::config::{Config, LineName, Link, PwmName};
use embedded_hal::{i2c, spi};
use halyard_drivers::port::{
    I2cPort, InputPort, InputSettings, KernelPort, Modbus, ModbusPort, ModbusSettings, OutputPort, PortError, PwmPort,
    SerialSettings, SpiPort, SpiSettings, Table,
};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What went over the buses since the start, by their names: `i2c-1`, `spi0`, `/dev/ttyUSB0`. Clones are handles to the same.
#[derive(Clone, Default)]
pub struct Loads(Arc<Mutex<BTreeMap<String, Arc<Counters>>>>);

/// What went over one bus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Transfers, those that failed included.
    pub transfers: u64,
    /// Those that failed, a missing acknowledge among them.
    pub failed: u64,
    /// How long they took together, waiting for others on the bus included.
    pub time: Duration,
}

#[derive(Default)]
struct Counters {
    transfers: AtomicU64,
    failed: AtomicU64,
    nanoseconds: AtomicU64,
}

impl Loads {
    /// All buses that something went over, or may have.
    #[must_use]
    pub fn all(&self) -> Vec<(String, Load)> {
        let load = |counters: &Counters| Load {
            transfers: counters.transfers.load(Ordering::Relaxed),
            failed: counters.failed.load(Ordering::Relaxed),
            time: Duration::from_nanos(counters.nanoseconds.load(Ordering::Relaxed)),
        };
        let buses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        buses.iter().map(|(name, counters)| (name.clone(), load(counters))).collect()
    }

    fn of(&self, bus: String) -> Arc<Counters> {
        Arc::clone(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(bus).or_default())
    }
}

impl Counters {
    fn count<R>(&self, transfer: impl FnOnce() -> Result<R, PortError>) -> Result<R, PortError> {
        let start = Instant::now();
        let result = transfer();
        let took = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(took, Ordering::Relaxed);
        self.transfers.fetch_add(1, Ordering::Relaxed);
        self.failed.fetch_add(u64::from(result.is_err()), Ordering::Relaxed);
        result
    }
}

/// A port whose transfers are counted.
struct Counted<P> {
    port: P,
    counters: Arc<Counters>,
}

impl i2c::ErrorType for Counted<I2cPort> {
    type Error = PortError;
}

impl i2c::I2c for Counted<I2cPort> {
    fn transaction(&mut self, address: u8, operations: &mut [i2c::Operation<'_>]) -> Result<(), PortError> {
        self.counters.count(|| self.port.transaction(address, operations))
    }
}

impl spi::ErrorType for Counted<SpiPort> {
    type Error = PortError;
}

impl spi::SpiDevice for Counted<SpiPort> {
    fn transaction(&mut self, operations: &mut [spi::Operation<'_, u8>]) -> Result<(), PortError> {
        self.counters.count(|| self.port.transaction(operations))
    }
}

impl Modbus for Counted<ModbusPort> {
    fn read(&mut self, table: Table, address: u16, count: u16) -> Result<Vec<u16>, PortError> {
        self.counters.count(|| self.port.0.read(table, address, count))
    }

    fn write(&mut self, table: Table, address: u16, words: &[u16]) -> Result<(), PortError> {
        self.counters.count(|| self.port.0.write(table, address, words))
    }
}

/// A bus whose transfers are counted.
pub struct Metered {
    bus: Arc<dyn Bus>,
    loads: Loads,
}

impl Metered {
    /// Counts in `loads` what goes over `bus`.
    #[must_use]
    pub fn new(bus: Arc<dyn Bus>, loads: Loads) -> Self {
        Self { bus, loads }
    }
}

impl Bus for Metered {
    fn follow(&self, config: &Config) {
        self.bus.follow(config);
    }

    fn i2c(&self, bus: u8, address: u8) -> Result<I2cPort, PortError> {
        let port = self.bus.i2c(bus, address)?;
        Ok(I2cPort(Box::new(Counted { port, counters: self.loads.of(format!("i2c-{bus}")) })))
    }

    fn i2c_buses(&self) -> Vec<u8> {
        self.bus.i2c_buses()
    }

    fn i2c_taken(&self, bus: u8, address: u8) -> Option<String> {
        self.bus.i2c_taken(bus, address)
    }

    fn spi(&self, bus: u8, chip_select: u8, settings: SpiSettings) -> Result<SpiPort, PortError> {
        let port = self.bus.spi(bus, chip_select, settings)?;
        Ok(SpiPort(Box::new(Counted { port, counters: self.loads.of(format!("spi{bus}")) })))
    }

    fn output(&self, line: &LineName) -> Result<OutputPort, PortError> {
        self.bus.output(line)
    }

    fn pwm(&self, channel: &PwmName) -> Result<PwmPort, PortError> {
        self.bus.pwm(channel)
    }

    fn kernel(&self) -> Result<KernelPort, PortError> {
        self.bus.kernel()
    }

    fn line_holder(&self, line: &LineName) -> Result<Option<String>, PortError> {
        self.bus.line_holder(line)
    }

    fn modbus(&self, link: &Link, unit: u8, settings: ModbusSettings) -> Result<ModbusPort, PortError> {
        let port = self.bus.modbus(link, unit, settings)?;
        Ok(ModbusPort(Box::new(Counted { port, counters: self.loads.of(link.to_string()) })))
    }

    fn input(&self, line: &LineName, settings: InputSettings) -> Result<Box<dyn Edges>, PortError> {
        self.bus.input(line, settings)
    }

    fn inputs(&self, lines: &[LineName], settings: InputSettings) -> Result<Box<dyn Edges>, PortError> {
        self.bus.inputs(lines, settings)
    }

    fn listen(&self, line: &LineName, settings: InputSettings) -> Result<InputPort, PortError> {
        self.bus.listen(line, settings)
    }

    fn serial(&self, path: &str, settings: SerialSettings) -> Result<Box<dyn Serial>, PortError> {
        self.bus.serial(path, settings)
    }
}
