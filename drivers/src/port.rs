//! What connects a driver to its part. The agent opens these; drivers only see embedded-hal.

mod kernel;
mod rounds;

pub use kernel::{KernelFiles, KernelPort, Space, Stream, number};
pub use rounds::{Rounds, Seat};

use crate::fault::{Fault, FaultKind};
use embedded_hal::i2c::{self, I2c, NoAcknowledgeSource, Operation, SevenBitAddress};
use embedded_hal::spi::{self, SpiDevice};
use embedded_hal::{delay, digital};
use std::fmt;
use std::time::Duration;

/// Why a transfer failed.
#[derive(Clone, PartialEq, Eq)]
pub struct PortError {
    /// [`FaultKind::Absent`] for a missing acknowledge, else mostly [`FaultKind::Bus`].
    pub kind: FaultKind,
    /// In the words of the operating system, with its error name: `no acknowledge (ENXIO)`.
    pub message: String,
}

impl PortError {
    /// An error of `kind`.
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

// Drivers are generic over the error, which embedded-hal only lets them print by Debug.
impl fmt::Debug for PortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Display for PortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for PortError {}

impl i2c::Error for PortError {
    fn kind(&self) -> i2c::ErrorKind {
        match self.kind {
            FaultKind::Absent => i2c::ErrorKind::NoAcknowledge(NoAcknowledgeSource::Unknown),
            FaultKind::Bus => i2c::ErrorKind::Bus,
            _ => i2c::ErrorKind::Other,
        }
    }
}

impl spi::Error for PortError {
    fn kind(&self) -> spi::ErrorKind {
        spi::ErrorKind::Other
    }
}

impl digital::Error for PortError {
    fn kind(&self) -> digital::ErrorKind {
        digital::ErrorKind::Other
    }
}

/// An I2C bus as one device on it sees it: locked for each transaction and not between them.
pub struct I2cPort(pub Box<dyn I2c<SevenBitAddress, Error = PortError> + Send>);

impl i2c::ErrorType for I2cPort {
    type Error = PortError;
}

impl I2c for I2cPort {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), PortError> {
        self.0.transaction(address, operations)
    }
}

/// One chip select of an SPI bus.
pub struct SpiPort(pub Box<dyn SpiDevice<u8, Error = PortError> + Send>);

impl spi::ErrorType for SpiPort {
    type Error = PortError;
}

impl SpiDevice for SpiPort {
    fn transaction(&mut self, operations: &mut [spi::Operation<'_, u8>]) -> Result<(), PortError> {
        self.0.transaction(operations)
    }
}

/// What a GPIO line that drives something can do. Levels are physical: what is active is the driver's business.
pub trait OutputLine: Send {
    /// Makes the line an output of this level, in one step: it never shows the other level on the way.
    ///
    /// # Errors
    /// When the line is gone or the operating system refuses.
    fn drive(&mut self, high: bool) -> Result<(), PortError>;

    /// The level that the line has now. Before the first [`drive`](Self::drive): as it was found.
    ///
    /// # Errors
    /// When the line is gone or the operating system refuses.
    fn level(&mut self) -> Result<bool, PortError>;
}

/// A GPIO line that drives something. Opening it changes nothing: the first `set_high` or `set_low` does.
pub struct OutputPort(pub Box<dyn OutputLine>);

impl digital::ErrorType for OutputPort {
    type Error = PortError;
}

impl digital::OutputPin for OutputPort {
    fn set_low(&mut self) -> Result<(), PortError> {
        self.0.drive(false)
    }

    fn set_high(&mut self) -> Result<(), PortError> {
        self.0.drive(true)
    }
}

impl digital::StatefulOutputPin for OutputPort {
    fn is_set_high(&mut self) -> Result<bool, PortError> {
        self.0.level()
    }

    fn is_set_low(&mut self) -> Result<bool, PortError> {
        self.0.level().map(|high| !high)
    }
}

/// A GPIO line that a driver listens to beside its other work: to an answer within milliseconds, or to what came meanwhile.
pub trait InputLine: Send {
    /// The level that the line has now. Physical.
    ///
    /// # Errors
    /// When the line is gone.
    fn level(&mut self) -> Result<bool, PortError>;

    /// The next edge: the level after it, and when it was, on the kernel's clock that never jumps. Waits for it as long as
    /// `patience`, which may be zero; `None` if there is none. Of more than about a thousand that nobody took the oldest are
    /// lost.
    ///
    /// # Errors
    /// When the line is gone.
    fn edge(&mut self, patience: Duration) -> Result<Option<(bool, Duration)>, PortError>;
}

/// A GPIO line to listen to. Edges are kept from the moment when it is opened.
pub struct InputPort(pub Box<dyn InputLine>);

/// What a PWM channel can do. Levels are physical.
pub trait PwmOutput: Send {
    /// Gives pulses: high for `high_ns` in every `period_ns`, both in ns. A `high_ns` of 0 is always low, one of `period_ns`
    /// always high. A new pulse width never shows another one on the way.
    ///
    /// # Errors
    /// When the channel is gone, or it cannot give such pulses.
    fn pulses(&mut self, period_ns: u64, high_ns: u64) -> Result<(), PortError>;

    /// What it gives now, in the words of [`pulses`](Self::pulses): period and high time in ns, as found before the first
    /// call. `None` if it gives nothing (disabled: the level is the hardware's), or if it cannot tell.
    ///
    /// # Errors
    /// When the channel is gone.
    fn found(&mut self) -> Result<Option<(u64, u64)>, PortError>;
}

/// A PWM channel. Opening it changes nothing.
pub struct PwmPort(pub Box<dyn PwmOutput>);

impl PwmOutput for PwmPort {
    fn pulses(&mut self, period_ns: u64, high_ns: u64) -> Result<(), PortError> {
        self.0.pulses(period_ns, high_ns)
    }

    fn found(&mut self) -> Result<Option<(u64, u64)>, PortError> {
        self.0.found()
    }
}

/// The tables of a Modbus device (MODBUS Application Protocol Specification V1.1b3, section 4.3).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize, serde::Serialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Table {
    /// Holding registers: 16 bits, read and written.
    Holding,
    /// Input registers: 16 bits, read only.
    Input,
    /// Coils: one bit, read and written.
    Coil,
    /// Discrete inputs: one bit, read only.
    Discrete,
}

/// What a Modbus device can do. Bits are words of 0 and 1.
pub trait Modbus: Send {
    /// Reads so many registers or bits.
    ///
    /// # Errors
    /// [`FaultKind::Absent`] if nothing answers; [`FaultKind::Rejected`] if the device answers with an exception.
    fn read(&mut self, table: Table, address: u16, count: u16) -> Result<Vec<u16>, PortError>;

    /// Writes registers or bits, of holding registers and coils.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    fn write(&mut self, table: Table, address: u16, words: &[u16]) -> Result<(), PortError>;
}

/// A Modbus device on its line.
pub struct ModbusPort(pub Box<dyn Modbus>);

/// How a Modbus device is talked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModbusSettings {
    /// How its line is set up, where it is a serial one.
    pub serial: SerialSettings,
    /// How long its answer may take.
    pub timeout: Duration,
}

/// What a serial port can do for a driver that writes to it.
pub trait SerialOutput: Send {
    /// Writes all of it, and returns when it is on the wire.
    ///
    /// # Errors
    /// When the port is gone, or takes too long. Some of the bytes may have been written.
    fn write(&mut self, bytes: &[u8]) -> Result<(), PortError>;

    /// Looks whether the port is still there. What came in is dropped.
    ///
    /// # Errors
    /// When the port is gone.
    fn check(&mut self) -> Result<(), PortError>;
}

/// A serial port to write to. Opening it writes nothing.
pub struct SerialPort(pub Box<dyn SerialOutput>);

/// Waits on the worker's thread, with no bus locked. In the tests of this crate, and for a fuzzer, it lets the time of the
/// [models](crate::sim) pass instead.
#[derive(Clone, Copy, Debug, Default)]
pub struct Delay;

impl delay::DelayNs for Delay {
    fn delay_ns(&mut self, ns: u32) {
        let time = Duration::from_nanos(u64::from(ns));
        #[cfg(not(any(test, fuzzing)))]
        std::thread::sleep(time);
        #[cfg(any(test, fuzzing))]
        crate::sim::clock::pass(time);
    }
}

/// The open connection to a part, of the sort that its configuration asks for.
pub enum Wire {
    /// A device on an I2C bus, with its 7-bit address.
    I2c(I2cPort, u8),
    /// A device on an SPI bus.
    Spi(SpiPort),
    /// A GPIO line to drive.
    Output(OutputPort),
    /// A GPIO line to listen to.
    Input(InputPort),
    /// A PWM channel.
    Pwm(PwmPort),
    /// What the kernel drives, with the name of the device where the configuration has one.
    Kernel(KernelPort, Option<String>),
    /// A Modbus device.
    Modbus(ModbusPort),
    /// A serial port to write to.
    Serial(SerialPort),
    /// Several, by their keys.
    Several(Vec<(&'static str, Wire)>),
}

impl Wire {
    /// Takes out the connection with this key, if it is configured.
    pub fn take(&mut self, key: &str) -> Option<Wire> {
        let Self::Several(members) = self else { return None };
        let index = members.iter().position(|(name, _)| *name == key)?;
        Some(members.swap_remove(index).1)
    }

    /// A device on an I2C bus, and its 7-bit address.
    ///
    /// # Errors
    /// It is of another sort, as for all of these: a driver that lists one kind of attachment gets no other.
    pub fn i2c(self) -> Result<(I2cPort, u8), Fault> {
        match self {
            Self::I2c(port, address) => Ok((port, address)),
            other => Err(other.unexpected()),
        }
    }

    /// A device on an SPI bus.
    ///
    /// # Errors
    /// It is of another sort.
    pub fn spi(self) -> Result<SpiPort, Fault> {
        match self {
            Self::Spi(port) => Ok(port),
            other => Err(other.unexpected()),
        }
    }

    /// A GPIO line to drive.
    ///
    /// # Errors
    /// It is of another sort.
    pub fn output(self) -> Result<OutputPort, Fault> {
        match self {
            Self::Output(line) => Ok(line),
            other => Err(other.unexpected()),
        }
    }

    /// A PWM channel.
    ///
    /// # Errors
    /// It is of another sort.
    pub fn pwm(self) -> Result<PwmPort, Fault> {
        match self {
            Self::Pwm(channel) => Ok(channel),
            other => Err(other.unexpected()),
        }
    }

    /// What the kernel drives, with the name of the device where the configuration has one.
    ///
    /// # Errors
    /// It is of another sort.
    pub fn kernel(self) -> Result<(KernelPort, Option<String>), Fault> {
        match self {
            Self::Kernel(port, device) => Ok((port, device)),
            other => Err(other.unexpected()),
        }
    }

    /// A serial port to write to.
    ///
    /// # Errors
    /// It is of another sort.
    pub fn serial(self) -> Result<SerialPort, Fault> {
        match self {
            Self::Serial(port) => Ok(port),
            other => Err(other.unexpected()),
        }
    }

    /// What to say of a connection that a driver has no use for.
    #[must_use]
    pub fn unexpected(&self) -> Fault {
        let what = match self {
            Self::I2c(..) => "an I2C device",
            Self::Spi(_) => "an SPI device",
            Self::Output(_) => "a GPIO line to drive",
            Self::Input(_) => "a GPIO line to listen to",
            Self::Pwm(_) => "a PWM channel",
            Self::Kernel(..) => "a device of the kernel's",
            Self::Modbus(_) => "a Modbus device",
            Self::Serial(_) => "a serial port",
            Self::Several(_) => "several connections",
        };
        Fault::rejected(format!("the driver has no use for {what}"))
    }
}

/// How a device wants its SPI bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpiSettings {
    /// Clock polarity and phase.
    pub mode: spi::Mode,
    /// Highest clock of the part in Hz.
    pub max_hz: u32,
}

/// Bias of an input line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Pull {
    /// As the board has it.
    #[default]
    Keep,
    /// Pulled up inside the chip.
    Up,
    /// Pulled down inside the chip.
    Down,
    /// No pull: the circuit has its own.
    None,
}

/// How an input line is asked for. Levels are physical.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InputSettings {
    /// Bias.
    pub pull: Pull,
    /// The kernel reports an edge when the level held for this long; zero turns it off.
    pub debounce: Duration,
}

/// How a serial port is set up. There is no flow control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SerialSettings {
    /// Bits in a second on the wire.
    pub baud: u32,
    /// Bits of a character: 5 to 8.
    pub data_bits: u8,
    /// The bit after them.
    pub parity: Parity,
    /// How many bits' time a character ends with: 1 or 2.
    pub stop_bits: u8,
}

impl SerialSettings {
    /// Eight data bits, no parity, one stop bit, as most parts have it.
    #[must_use]
    pub const fn plain(baud: u32) -> Self {
        Self { baud, data_bits: 8, parity: Parity::None, stop_bits: 1 }
    }
}

/// The parity bit of a serial port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Parity {
    /// There is none.
    #[default]
    None,
    /// The number of ones is even.
    Even,
    /// The number of ones is odd.
    Odd,
}
