//! Opening and sharing buses and lines. Everything above sees embedded-hal only.

pub mod expanders;
pub mod linux;
mod metered;
mod modbus;
#[cfg(feature = "rppal")]
pub mod raspberry;
pub mod sim;
mod writing;

pub use expanders::Expanded;
pub use linux::Linux;
pub use metered::{Load, Loads, Metered};
pub use sim::Simulated;
pub use writing::writing;

use crate::config::{Board, Config, LineName, Link, PwmName};
use halyard_drivers::Edge;
use halyard_drivers::port::{
    I2cPort, InputPort, InputSettings, KernelPort, ModbusPort, ModbusSettings, OutputPort, PortError, PwmPort,
    SerialSettings, SpiPort, SpiSettings,
};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};

/// The buses of `board`; where they are simulated, the parts of `config` are on them. What goes over them is counted in
/// `loads`.
///
/// # Errors
/// When this is not the board that was asked for, or there is no permission for it.
pub fn open(board: Board, config: &Config, loads: Loads) -> Result<Arc<dyn Bus>, PortError> {
    let board: Arc<dyn Bus> = match board {
        Board::Simulated => Arc::new(Simulated::new(config)),
        Board::Linux => Arc::new(Linux::new()),
        Board::RaspberryPi => raspberry_pi()?,
        Board::Auto => auto(),
    };
    Ok(with_expanders(board, config, loads))
}

/// The same of buses that are open already.
pub fn with_expanders(board: Arc<dyn Bus>, config: &Config, loads: Loads) -> Arc<dyn Bus> {
    Arc::new(Expanded::new(Arc::new(Metered::new(board, loads)), config))
}

#[cfg(feature = "rppal")]
fn raspberry_pi() -> Result<Arc<dyn Bus>, PortError> {
    let advice = "`board: auto` and `board: linux` do with the character device";
    match raspberry::Raspberry::open() {
        Ok(bus) => Ok(Arc::new(bus)),
        Err(why) => Err(PortError::new(why.kind, format!("`board: raspberry-pi`: {why}; {advice}"))),
    }
}

#[cfg(not(feature = "rppal"))]
fn raspberry_pi() -> Result<Arc<dyn Bus>, PortError> {
    let message = "`board: raspberry-pi`: this halyard was built without rppal; `board: linux` is for all boards";
    Err(PortError::new(halyard_drivers::FaultKind::Rejected, message))
}

#[cfg(feature = "rppal")]
fn auto() -> Arc<dyn Bus> {
    match raspberry::Raspberry::if_suitable() {
        Ok(bus) => Arc::new(bus),
        Err(why) => {
            tracing::info!("GPIO by the character device: {why}");
            Arc::new(Linux::new())
        }
    }
}

#[cfg(not(feature = "rppal"))]
fn auto() -> Arc<dyn Bus> {
    Arc::new(Linux::new())
}

/// What parts are connected to: a Linux machine, or simulated buses.
///
/// All methods may block: call them on a worker. They may be called again for the same place once what they gave
/// before was dropped.
pub trait Bus: Send + Sync {
    /// A new configuration: what it does not have any more was closed, and nothing of it was opened yet.
    fn follow(&self, config: &Config) {
        let _ = config;
    }

    /// One device on an I2C bus. Opening it does not touch the device.
    ///
    /// # Errors
    /// When there is no such bus, or no permission.
    fn i2c(&self, bus: u8, address: u8) -> Result<I2cPort, PortError>;

    /// The numbers of the I2C buses that there are, in ascending order.
    fn i2c_buses(&self) -> Vec<u8>;

    /// The driver of the kernel that has the device at this address for itself, if one has.
    fn i2c_taken(&self, bus: u8, address: u8) -> Option<String>;

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

    /// A PWM channel. Opening it does not change what it gives.
    ///
    /// # Errors
    /// When there is no such channel, or no permission, or it is in use.
    fn pwm(&self, channel: &PwmName) -> Result<PwmPort, PortError>;

    /// What the kernel drives by itself.
    ///
    /// # Errors
    /// When there is no kernel.
    fn kernel(&self) -> Result<KernelPort, PortError>;

    /// Who has a line, by the name that the kernel knows, which may be empty; `None` if nobody has it.
    ///
    /// # Errors
    /// When there is no such line, or no permission.
    fn line_holder(&self, line: &LineName) -> Result<Option<String>, PortError>;

    /// A Modbus device. Opening it touches neither the device nor its line: the first transfer does.
    ///
    /// # Errors
    /// When others use the line with other settings.
    ///
    /// # Panics
    /// Outside of the runtime's context.
    fn modbus(&self, link: &Link, unit: u8, settings: ModbusSettings) -> Result<ModbusPort, PortError>;

    /// A line to watch. Every edge from now on is kept until [`Edges::next`] takes it, up to about a thousand.
    ///
    /// # Errors
    /// When there is no such line, or no permission, or it is in use.
    ///
    /// # Panics
    /// Outside of the runtime's context.
    fn input(&self, line: &LineName, settings: InputSettings) -> Result<Box<dyn Edges>, PortError>;

    /// Several lines of one part to watch, whose edges come in the order in which they happened.
    ///
    /// # Errors
    /// As [`input`](Self::input); when the lines are not on one chip, whose edges alone have an order.
    ///
    /// # Panics
    /// Outside of the runtime's context.
    fn inputs(&self, lines: &[LineName], settings: InputSettings) -> Result<Box<dyn Edges>, PortError>;

    /// A line to listen to on a worker, while something is done to the part.
    ///
    /// # Errors
    /// When there is no such line, or no permission, or it is in use.
    fn listen(&self, line: &LineName, settings: InputSettings) -> Result<InputPort, PortError>;

    /// A serial port, for one user at a time. Dropping it closes it.
    ///
    /// # Errors
    /// When there is no such port, or no permission, or it is in use, or cannot work with these settings.
    ///
    /// # Panics
    /// Outside of the runtime's context.
    fn serial(&self, path: &str, settings: SerialSettings) -> Result<Box<dyn Serial>, PortError>;
}

/// The bytes of a serial port. Its end, and every error, mean that it is gone: open it anew.
pub trait Serial: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Serial for T {}

/// The edges of a line, or of several.
pub trait Edges: Send {
    /// The level now, of the first line, with the time of asking. Edges that wait to be taken stay where they are.
    ///
    /// # Errors
    /// When the line is gone.
    fn level(&mut self) -> Result<Edge, PortError>;

    /// The same of all lines, in their order.
    ///
    /// # Errors
    /// When a line is gone.
    fn levels(&mut self) -> Result<Vec<Edge>, PortError> {
        Ok(vec![self.level()?])
    }

    /// The next edge, with the kernel's time stamp. Safe to cancel: no edge is lost.
    ///
    /// When nobody took edges for so long that the kernel had to drop some, these are the oldest ones: a warning says
    /// how many, the next edge has their number and may repeat the level that is known already, and the last one is always
    /// the level now.
    ///
    /// # Errors
    /// When the line is gone. It stays gone: open it anew.
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Result<Edge, PortError>> + Send + '_>>;
}
