//! What most parts of Sensirion have in common on I2C: words of 16 bits, each followed by its checksum.

use crate::checksum;
use crate::fault::{Fault, FaultKind};
use embedded_hal::i2c::I2c;

/// Reads so many words; `doing` says what for.
///
/// # Errors
/// Absent, a failed transfer, or corrupt for a checksum that is not right.
pub fn words<const N: usize>(i2c: &mut impl I2c, address: u8, doing: &str) -> Result<[u16; N], Fault> {
    let mut groups = [[0; 3]; N];
    i2c.read(address, groups.as_flattened_mut()).map_err(|error| Fault::i2c(error, doing))?;
    let mut words = [0; N];
    for (word, [high, low, sent]) in words.iter_mut().zip(groups) {
        let [_, _, expected] = with_checksum(u16::from_be_bytes([high, low]));
        if sent != expected {
            return Err(Fault::corrupt(format!("{doing}: the checksum is {sent:#04x}, expected {expected:#04x}")));
        }
        *word = u16::from_be_bytes([high, low]);
    }
    Ok(words)
}

/// A fault of reading what a part was asked for just now: whatever acknowledged that is there, and refuses to be read for
/// as long as it has no result.
#[must_use]
pub fn not_yet(fault: Fault) -> Fault {
    match fault.kind {
        FaultKind::Absent => Fault { kind: FaultKind::NotReady, ..fault },
        _ => fault,
    }
}

/// A word as it is on the wire: CRC-8 with polynomial 0x31, start 0xFF.
#[must_use]
pub fn with_checksum(word: u16) -> [u8; 3] {
    let [high, low] = word.to_be_bytes();
    [high, low, checksum::crc8(0xFF, &[high, low])]
}

/// What a bus reads of a part that sends these words. Whoever reads on reads ones. The models answer so.
pub fn answer(words: impl IntoIterator<Item = u16>, buffer: &mut [u8]) {
    let bytes = words.into_iter().flat_map(with_checksum).chain(std::iter::repeat(0xFF));
    buffer.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
}
