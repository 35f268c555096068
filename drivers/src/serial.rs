//! What drivers on serial ports have in common: finding messages in a stream of bytes, and the option `baud`.
//!
//! Nothing here allocates more than its limit, whatever comes.

use crate::options::limits::choice;

choice! {
    /// Bits in a second on the wire.
    pub enum Baud {
        /// As old devices have it.
        B300 = 300,
        /// 1200.
        B1200 = 1200,
        /// 2400.
        B2400 = 2400,
        /// 4800: the one of NMEA 0183.
        B4800 = 4800,
        /// 9600: the usual one.
        B9600 = 9600,
        /// 19200.
        B19200 = 19200,
        /// 38400.
        B38400 = 38400,
        /// 57600.
        B57600 = 57600,
        /// 115200: the usual one of development boards.
        B115200 = 115200,
        /// 230400.
        B230400 = 230400,
        /// 460800.
        B460800 = 460800,
        /// 921600.
        B921600 = 921600,
    }
}

impl Baud {
    /// As [`SerialSettings`](crate::port::SerialSettings) have it.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // all choices are small whole numbers
    pub const fn bits_per_second(self) -> u32 {
        self.number() as u32
    }
}

/// Finds messages of `N` bytes that all begin alike.
///
/// After one that is wrong it looks for the next beginning inside of it: a message that begins where another was cut off
/// is not lost.
pub struct Frames<const N: usize> {
    beginning: &'static [u8],
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Frames<N> {
    /// Messages that begin with these bytes, fewer than `N`.
    #[must_use]
    pub const fn new(beginning: &'static [u8]) -> Self {
        Self { beginning, bytes: [0; N], length: 0 }
    }

    /// Takes what came. `whole` gets each message and says whether it is right, by its checksum.
    pub fn receive(&mut self, bytes: &[u8], mut whole: impl FnMut(&[u8; N]) -> bool) {
        for byte in bytes {
            self.bytes[self.length] = *byte;
            self.length += 1;
            if self.length == N {
                if whole(&self.bytes) {
                    self.length = 0;
                } else {
                    self.drop_first();
                }
            }
            while !self.begins() {
                self.drop_first();
            }
        }
    }

    fn begins(&self) -> bool {
        self.bytes[..self.length].iter().zip(self.beginning).all(|(found, expected)| found == expected)
    }

    fn drop_first(&mut self) {
        self.bytes.copy_within(1..self.length, 0);
        self.length -= 1;
    }
}

/// Finds lines, which end with a line feed, a carriage return or both. Longer ones than the limit, and empty ones, are
/// dropped.
pub struct Lines {
    limit: usize,
    line: Vec<u8>,
    /// The rest of a line is dropped.
    skipping: bool,
}

impl Lines {
    /// Lines of at most so many bytes. The first one has lost its beginning, for all that is known: it counts only if
    /// `checked`, that is if lines have checksums of their own.
    #[must_use]
    pub const fn new(limit: usize, checked: bool) -> Self {
        Self { limit, line: Vec::new(), skipping: !checked }
    }

    /// Takes what came. `whole` gets each line, without its end.
    pub fn receive(&mut self, bytes: &[u8], mut whole: impl FnMut(&[u8])) {
        for byte in bytes {
            match byte {
                b'\n' | b'\r' => {
                    if !self.skipping && !self.line.is_empty() {
                        whole(&self.line);
                    }
                    self.skipping = false;
                    self.line.clear();
                }
                _ if self.skipping => {}
                _ if self.line.len() == self.limit => {
                    self.skipping = true;
                    self.line.clear();
                }
                _ => self.line.push(*byte),
            }
        }
    }
}

#[cfg(test)]
mod tests;
