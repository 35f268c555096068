//! How a part on I2C is told apart from others by what it says of itself.
//!
//! An [`Identity`] is what `halyard scan` sends to an address at which it does not know yet who answers. So it has to be
//! harmless to whatever part can be there: one byte, which registers of all sorts take for the number of a register to
//! read, and never a second one, which would be a value to write. A part that can only be asked by more has no identity,
//! and the scan says that it is not sure.

use crate::checksum;
use crate::fault::Fault;
use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::I2c;

/// Something that a part says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// A register, read after a repeated start.
    Register {
        /// Its number: the one byte that is written.
        register: u8,
        /// How many bytes it has, one or two, the highest first.
        bytes: usize,
        /// The bits that count.
        mask: u16,
        /// What they can hold.
        values: &'static [u16],
    },
    /// A command that gives words with checksums (CRC-8, polynomial 0x31, start 0xFF), as Sensirion's parts give their
    /// serial number.
    Words {
        /// The one byte that is written.
        command: u8,
        /// How long until there is an answer, in µs.
        time_us: u32,
        /// How many words there are.
        words: usize,
    },
}

/// Bytes of the longest answer: four words with their checksums.
const LONGEST: usize = 12;

impl Identity {
    /// A register of one byte, which can hold these values.
    pub const fn byte(register: u8, values: &'static [u16]) -> Self {
        Self::Register { register, bytes: 1, mask: 0x00FF, values }
    }

    /// A register of two bytes, which holds one of these values in the bits of `mask`.
    pub const fn word(register: u8, mask: u16, values: &'static [u16]) -> Self {
        Self::Register { register, bytes: 2, mask, values }
    }

    /// The one byte that is written to ask for it.
    #[must_use]
    pub fn sent(&self) -> u8 {
        match self {
            Self::Register { register, .. } => *register,
            Self::Words { command, .. } => *command,
        }
    }

    /// Asks the part at `address`, and gives what it said, for people, if it fits.
    ///
    /// # Errors
    /// Wrong chip if it does not fit; a failed transfer, which parts that do not know the command may answer by as well.
    pub fn check<I: I2c>(&self, i2c: &mut I, address: u8, delay: &mut impl DelayNs) -> Result<String, Fault> {
        match *self {
            Self::Register { register, bytes, mask, values } => {
                let mut answer = [0; 2];
                let answer = &mut answer[2 - bytes.clamp(1, 2)..];
                let doing = format!("reading the identity register {register:#04x}");
                i2c.write_read(address, &[register], answer).map_err(|error| Fault::i2c(error, &doing))?;
                let found = answer.iter().fold(0, |all, byte| all << 8 | u16::from(*byte));
                let hex = |number: u16| format!("{number:#0width$x}", width = 2 + 2 * bytes);
                let said = format!("the identity register {register:#04x} holds {}", hex(found));
                if values.contains(&(found & mask)) {
                    return Ok(said);
                }
                let all = u16::MAX >> (16 - 8 * bytes);
                let bits = if mask == all { String::new() } else { format!(" in the bits {}", hex(mask)) };
                let values: Vec<_> = values.iter().map(|value| hex(*value)).collect();
                Err(Fault::wrong_chip(format!("{said}, expected {}{bits}", values.join(" or "))))
            }
            Self::Words { command, time_us, words } => {
                let doing = format!("asking by the command {command:#04x}");
                i2c.write(address, &[command]).map_err(|error| Fault::i2c(error, &doing))?;
                delay.delay_us(time_us);
                let mut answer = [0; LONGEST];
                let answer = &mut answer[..LONGEST.min(3 * words)];
                i2c.read(address, answer).map_err(|error| Fault::i2c(error, &doing))?;
                let right = answer.chunks_exact(3).all(|word| checksum::crc8(0xFF, &word[..2]) == word[2]);
                if right {
                    return Ok(format!("the command {command:#04x} gives a serial number with right checksums"));
                }
                Err(Fault::wrong_chip(format!("{doing} gives no right checksums")))
            }
        }
    }
}

/// Checks all of what a part says of itself; for drivers, when they open it.
///
/// # Errors
/// Absent, wrong chip, or a failed transfer.
pub(crate) fn check<I: I2c>(all: &[Identity], i2c: &mut I, address: u8, delay: &mut impl DelayNs) -> Result<(), Fault> {
    all.iter().try_for_each(|identity| identity.check(i2c, address, delay).map(drop))
}
