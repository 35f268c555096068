//! What can go wrong with a part, classified by what happens next.

use crate::port::PortError;
use std::fmt;

/// A class of faults. [`FaultKind::next`] is the one place that says what each leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// An answer that cannot be true: wrong checksum, a value outside of the part's range, all ones.
    Corrupt,
    /// The part is there but has no result yet.
    NotReady,
    /// Nothing acknowledges at this address, or the line or device is gone.
    Absent,
    /// The bus itself failed: time-out, stuck line, lost arbitration, an error of the operating system.
    Bus,
    /// Something answers, but its identity register names another part.
    WrongChip,
    /// The part cannot do what was asked; asking again changes nothing.
    Rejected,
    /// The operating system does not let this user near it.
    Denied,
    /// The driver did not return in time, or panicked.
    Stuck,
}

/// What follows a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Try again at the next scheduled time, with the driver as it is.
    TryAgain,
    /// Drop the driver, wait (longer each time), open it anew.
    Reopen,
    /// Tell the one who asked. The part is as it was.
    Answer,
}

impl FaultKind {
    /// What follows a fault of this kind.
    #[must_use]
    pub fn next(self) -> Next {
        match self {
            Self::Corrupt | Self::NotReady => Next::TryAgain,
            // A wrong chip may be unplugged and the right one plugged in: look again, ever more rarely.
            Self::Absent | Self::Bus | Self::WrongChip | Self::Denied | Self::Stuck => Next::Reopen,
            Self::Rejected => Next::Answer,
        }
    }

    /// The kind in one word, as it appears in `B/A/agent`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Corrupt => "corrupt",
            Self::NotReady => "not-ready",
            Self::Absent => "absent",
            Self::Bus => "bus",
            Self::WrongChip => "wrong-chip",
            Self::Rejected => "rejected",
            Self::Denied => "denied",
            Self::Stuck => "stuck",
        }
    }
}

/// Something went wrong with a part. The message says what a driver knows: register, expected, found. Bus, address
/// and entity are added by those who know them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What happens next.
    pub kind: FaultKind,
    /// What was seen, for people.
    pub message: String,
}

impl Fault {
    /// A fault of `kind`.
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// An answer that cannot be true.
    pub fn corrupt(message: impl Into<String>) -> Self {
        Self::new(FaultKind::Corrupt, message)
    }

    /// An identity register holds something else.
    pub fn wrong_chip(message: impl Into<String>) -> Self {
        Self::new(FaultKind::WrongChip, message)
    }

    /// The same while a part is looked for: what answers so is not `part`, as in "an SHT3x".
    #[must_use]
    pub fn instead_of(self, part: &str) -> Self {
        match self.kind {
            FaultKind::Corrupt => Self::wrong_chip(format!("not {part}: {self}")),
            _ => self,
        }
    }

    /// Something the part cannot do.
    pub fn rejected(message: impl Into<String>) -> Self {
        Self::new(FaultKind::Rejected, message)
    }

    /// The same, with the name of the channel that it is about.
    #[must_use]
    pub fn on(self, channel: &str) -> Self {
        Self { message: format!("{channel}: {}", self.message), ..self }
    }

    /// A failed I2C transfer; `doing` completes "while …": "reading the identity register 0xD0".
    #[allow(clippy::needless_pass_by_value)] // as embedded-hal's methods return it: for map_err
    pub fn i2c<E: embedded_hal::i2c::Error>(error: E, doing: &str) -> Self {
        let kind = match error.kind() {
            embedded_hal::i2c::ErrorKind::NoAcknowledge(_) => FaultKind::Absent,
            _ => FaultKind::Bus,
        };
        Self::new(kind, format!("{doing}: {error:?}"))
    }

    /// A failed SPI transfer. SPI has no acknowledge: whatever fails is the bus.
    #[allow(clippy::needless_pass_by_value)]
    pub fn spi<E: embedded_hal::spi::Error>(error: E, doing: &str) -> Self {
        Self::new(FaultKind::Bus, format!("{doing}: {error:?}"))
    }

    /// A failed access to a GPIO line.
    #[allow(clippy::needless_pass_by_value)]
    pub fn line<E: embedded_hal::digital::Error>(error: E, doing: &str) -> Self {
        Self::new(FaultKind::Bus, format!("{doing}: {error:?}"))
    }
}

impl From<PortError> for Fault {
    fn from(error: PortError) -> Self {
        Self { kind: error.kind, message: error.message }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}
