//! Simulated buses that carry register-level models of parts.
//!
//! A model stands beside its driver and behaves as the datasheet says the part does on the wire: addresses,
//! registers, checksums, conversion times, refusals. Its back door, [`Part::stimulate`], sets what the part
//! measures in the units of the channels, so that one test covers every sensor.

pub mod clock;
mod i2c;
mod kernel;
mod line;
mod pwm;
mod spi;

pub use i2c::{I2cBus, I2cFaults};
pub use kernel::{Files, KernelPart, Machine, MachineFaults};
pub use line::{Line, Listener};
pub use pwm::Pwm;
pub use spi::SpiSlot;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A part does not acknowledge: the address while it is busy, or a byte that it does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nack;

/// The model of a part.
pub trait Part: Send {
    /// Sets what the part measures: the channel's name and a value in the channel's unit. `false` if it has no such
    /// channel.
    fn stimulate(&mut self, channel: &str, value: f64) -> bool;

    /// The model of a device of which several stanzas describe registers, if it is one.
    fn described(&mut self) -> Option<&mut crate::registers::sim::Model> {
        None
    }

    /// The lines of text that it shows, or has taken.
    fn texts(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether it asks for attention, by its interrupt output; `None` if it has none.
    fn interrupt(&self) -> Option<bool> {
        None
    }

    /// The part as seen from an I2C bus, if it has that interface.
    fn i2c(&mut self) -> Option<&mut dyn I2cPart> {
        None
    }

    /// The part as seen from an SPI bus, if it has that interface.
    fn spi(&mut self) -> Option<&mut dyn SpiPart> {
        None
    }

    /// The part as seen from its lines, if it is on lines only.
    fn lines(&mut self) -> Option<&mut dyn LinesPart> {
        None
    }

    /// The part as seen from a serial port, if it has that interface.
    fn serial(&mut self) -> Option<&mut dyn SerialPart> {
        None
    }

    /// The part as its kernel driver shows it, if there is one.
    fn files(&mut self) -> Option<&mut dyn KernelPart> {
        None
    }
}

/// The I2C interface of a part: called once for each segment between (repeated) start conditions.
pub trait I2cPart {
    /// The bus writes `bytes` to the part; empty for an address alone.
    ///
    /// # Errors
    /// [`Nack`] if the part does not acknowledge.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack>;

    /// The bus reads from the part.
    ///
    /// # Errors
    /// [`Nack`] if the part does not acknowledge its address.
    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack>;
}

/// The SPI interface of a part.
pub trait SpiPart {
    /// The chip is selected.
    fn select(&mut self);

    /// One byte in each direction.
    fn exchange(&mut self, byte: u8) -> u8;
}

/// A part on several lines, by the keys that they have in the configuration.
pub trait LinesPart {
    /// The levels that it gives its lines from the beginning, by their keys.
    fn levels(&self) -> Vec<(&'static str, bool)> {
        Vec::new()
    }

    /// A line is driven to this level. Gives what the part does for it: the key of another line, its level, and how long
    /// from now. In the order of time.
    fn driven(&mut self, key: &str, high: bool) -> Vec<(&'static str, bool, Duration)>;
}

/// Connects a part to its lines. What it does later than now is on its lines at once, with the later time stamps: whoever
/// listens goes by these.
pub fn connect(part: &SharedPart, lines: &[(&'static str, Line)]) {
    let levels = part.lock().lines().map(|part| part.levels()).unwrap_or_default();
    for (key, high) in levels {
        lines.iter().filter(|(other, _)| *other == key).for_each(|(_, line)| line.pull(high));
    }
    for (key, line) in lines {
        let (key, part) = (*key, part.clone());
        let others: Vec<_> = lines.iter().filter(|(other, _)| *other != key).cloned().collect();
        line.watch(move |edge| {
            let answers = part.lock().lines().map_or_else(Vec::new, |lines| lines.driven(key, edge.high));
            for (to, high, after) in answers {
                for (_, line) in others.iter().filter(|(other, _)| *other == to) {
                    line.pull_at(high, edge.time + after);
                }
            }
            true
        });
    }
}

/// The serial interface of a part.
pub trait SerialPart {
    /// Time from one message that it sends by itself to the next; `None` if it only answers.
    fn period(&self) -> Option<Duration> {
        None
    }

    /// Appends a message that it sends by itself.
    fn talk(&mut self, out: &mut Vec<u8>) {
        let _ = out;
    }

    /// The port writes `bytes` to the part, which appends what it answers.
    fn receive(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let _ = (bytes, out);
    }
}

/// A model that a bus and a test share.
#[derive(Clone)]
pub struct SharedPart(Arc<Mutex<Box<dyn Part>>>);

impl SharedPart {
    /// Shares `part`.
    #[must_use]
    pub fn new(part: Box<dyn Part>) -> Self {
        Self(Arc::new(Mutex::new(part)))
    }

    /// The part, for as long as the guard lives.
    pub fn lock(&self) -> MutexGuard<'_, Box<dyn Part>> {
        lock(&self.0)
    }

    /// See [`Part::stimulate`].
    pub fn stimulate(&self, channel: &str, value: f64) -> bool {
        self.lock().stimulate(channel, value)
    }
}

/// A model whose driver panicked inside a transfer is as good as before: it is registers, not an invariant.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The bytes as transcripts show them, each after a space.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!(" {byte:02x}")).collect()
}

/// The smallest raw value of so many bits for which `reached` holds; it holds for all above. So a model finds what the
/// formulas of its datasheet turn into a measurement.
pub(crate) fn smallest(bits: u32, reached: impl Fn(u32) -> bool) -> u32 {
    let (mut low, mut high) = (0, (1 << bits) - 1);
    while low < high {
        let middle = u32::midpoint(low, high);
        if reached(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}
