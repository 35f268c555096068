//! Opening and sharing buses and lines. Everything above sees embedded-hal only.

use crate::config::LineName;
use halyard_drivers::Edge;
use halyard_drivers::port::{I2cPort, InputSettings, OutputPort, PortError, SpiPort, SpiSettings};
use std::future::Future;
use std::pin::Pin;

/// What parts are connected to: a Linux machine, or simulated buses.
///
/// All methods may block: call them on a worker. They may be called again for the same place once what they gave
/// before was dropped.
pub trait Bus: Send + Sync {
    /// One device on an I2C bus. Opening it does not touch the device.
    ///
    /// # Errors
    /// When there is no such bus, or no permission.
    fn i2c(&self, bus: u8, address: u8) -> Result<I2cPort, PortError>;

    /// One chip select of an SPI bus.
    ///
    /// # Errors
    /// When there is no such bus, or no permission, or it cannot work with these settings.
    fn spi(&self, bus: u8, chip_select: u8, settings: SpiSettings) -> Result<SpiPort, PortError>;

    /// A line to drive. Opening it does not change its level.
    ///
    /// # Errors
    /// When there is no such line, or no permission, or it is in use.
    fn output(&self, line: &LineName) -> Result<OutputPort, PortError>;

    /// A line to watch. Needs the runtime's context.
    ///
    /// # Errors
    /// When there is no such line, or no permission, or it is in use.
    fn input(&self, line: &LineName, settings: InputSettings) -> Result<Box<dyn Edges>, PortError>;
}

/// The edges of a line.
pub trait Edges: Send {
    /// The level now, with the time of asking.
    ///
    /// # Errors
    /// When the line is gone.
    fn level(&mut self) -> Result<Edge, PortError>;

    /// The next edge, with the kernel's time stamp. Safe to cancel: no edge is lost.
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Result<Edge, PortError>> + Send + '_>>;
}
