//! The bytes of the store: pure, and the same in the journal and in the segments of the log.
//!
//! ```text
//! file    HEADER record…
//! record  length of the body: u32   CRC-32 of the length and the body: u32   body
//! body    1 (state) or 2 (event)   number: u64   written, ms since 1970: u64   length of the topic: u16   topic   payload
//!         3 (done)                 numbers: u64…
//! ```
//!
//! Integers are little-endian. Another layout gets another version: the last byte of the header.

use bytes::Bytes;
use std::sync::Arc;

/// Beginning of a file: a name and the version of what follows.
pub(super) const HEADER: [u8; 8] = *b"halyard\x01";
/// Bytes of a record before its body.
const HEAD: usize = 8;
/// Longest body. What is longer was not written by us.
pub(super) const LONGEST: usize = 64 * 1024;
/// Bytes of the body of a sample besides its topic and payload.
const SAMPLE: usize = 1 + 8 + 8 + 2;

const STATE: u8 = 1;
const EVENT: u8 = 2;
const DONE: u8 = 3;

/// The order in which samples were given.
pub(crate) type Number = u64;
/// No sample has a higher number: they are made of the clock's milliseconds, and last until the year 2248.
pub(super) const HIGHEST: Number = (1 << 63) - 1;

/// A state or an event that is kept until a broker has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) number: Number,
    /// When it was given, by the clock: ms since 1970.
    pub(crate) written: u64,
    pub(crate) topic: Arc<str>,
    pub(crate) payload: Bytes,
    pub(crate) is_event: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Record {
    Sample(Sample),
    /// These are needed no more.
    Done(Vec<Number>),
}

/// What is at a place of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A record, and the bytes that it takes.
    Record(Record, usize),
    /// The file ends here.
    End,
    /// A record that was not written to its end, or zeros that a power failure left: the last write did not come to its end.
    Torn,
    /// What nobody wrote.
    Damaged,
}

impl Sample {
    /// Bytes of its record.
    pub(super) fn size(&self) -> usize {
        HEAD + SAMPLE + self.topic.len() + self.payload.len()
    }

    /// Whether there is a record for it.
    pub(super) fn fits(&self) -> bool {
        self.size() - HEAD <= LONGEST && self.topic.len() <= usize::from(u16::MAX)
    }

    /// Appends its record. It must [fit](Self::fits).
    pub(super) fn encode(&self, to: &mut Vec<u8>) {
        seal(to, |body| {
            body.push(if self.is_event { EVENT } else { STATE });
            body.extend(self.number.to_le_bytes());
            body.extend(self.written.to_le_bytes());
            body.extend(u16::try_from(self.topic.len()).unwrap_or(u16::MAX).to_le_bytes());
            body.extend(self.topic.as_bytes());
            body.extend(&self.payload);
        });
    }
}

/// Appends records that these are needed no more.
pub(super) fn encode_done(numbers: &[Number], to: &mut Vec<u8>) {
    for numbers in numbers.chunks((LONGEST - 1) / 8) {
        seal(to, |body| {
            body.push(DONE);
            numbers.iter().for_each(|number| body.extend(number.to_le_bytes()));
        });
    }
}

/// Appends a record with this body.
pub(super) fn seal(to: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let start = to.len();
    to.extend([0; HEAD]);
    body(to);
    let length = u32::try_from(to.len() - start - HEAD).unwrap_or(u32::MAX).to_le_bytes();
    let check = crc(&[&length, &to[start + HEAD..]]).to_le_bytes();
    to[start..start + 4].copy_from_slice(&length);
    to[start + 4..start + HEAD].copy_from_slice(&check);
}

/// What is at the beginning of `bytes`, which go to the end of the file, or beyond one whole record.
pub(super) fn decode(bytes: &[u8]) -> Found {
    if bytes.is_empty() {
        return Found::End;
    }
    let Some((head, rest)) = bytes.split_at_checked(HEAD) else { return Found::Torn };
    let (length, check) = head.split_at(4);
    let size = length.try_into().map_or(0, u32::from_le_bytes) as usize;
    if !(1..=LONGEST).contains(&size) {
        return if bytes.iter().all(|byte| *byte == 0) { Found::Torn } else { Found::Damaged };
    }
    let Some(body) = rest.get(..size) else { return Found::Torn };
    if crc(&[length, body]).to_le_bytes() != check {
        return if rest.iter().all(|byte| *byte == 0) { Found::Torn } else { Found::Damaged };
    }
    read(body).map_or(Found::Damaged, |record| Found::Record(record, HEAD + size))
}

fn read(body: &[u8]) -> Option<Record> {
    let (kind, body) = body.split_first()?;
    if *kind == DONE {
        let (numbers, rest) = body.as_chunks();
        return rest.is_empty().then(|| Record::Done(numbers.iter().copied().map(Number::from_le_bytes).collect()));
    }
    let is_event = match *kind {
        STATE => false,
        EVENT => true,
        _ => return None,
    };
    let (number, body) = body.split_first_chunk()?;
    let (written, body) = body.split_first_chunk()?;
    let (length, body) = body.split_first_chunk()?;
    let (topic, payload) = body.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
    Some(Record::Sample(Sample {
        number: Some(u64::from_le_bytes(*number)).filter(|number| *number <= HIGHEST)?,
        written: u64::from_le_bytes(*written),
        topic: std::str::from_utf8(topic).ok()?.into(),
        payload: Bytes::copy_from_slice(payload),
        is_event,
    }))
}

/// How reading a file ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// At its end.
    Whole,
    /// At this place, from which on the last write is missing.
    Torn(usize),
    /// At this place, where something stands that nobody wrote.
    Damaged(usize),
}

/// Reads a whole file: gives each record, and where and why it ended.
pub(super) fn read_all(bytes: &[u8], mut each: impl FnMut(Record)) -> Ending {
    let Some(mut rest) = bytes.strip_prefix(&HEADER) else {
        let is_torn = HEADER.starts_with(bytes) || bytes.iter().all(|byte| *byte == 0);
        return if is_torn { Ending::Torn(0) } else { Ending::Damaged(0) };
    };
    loop {
        match decode(rest) {
            Found::Record(record, size) => {
                each(record);
                rest = &rest[size..];
            }
            Found::End => return Ending::Whole,
            Found::Torn => return Ending::Torn(bytes.len() - rest.len()),
            Found::Damaged => return Ending::Damaged(bytes.len() - rest.len()),
        }
    }
}

/// CRC-32 as in Ethernet and zlib: polynomial 0x04C11DB7, reflected.
fn crc(parts: &[&[u8]]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut index = 0;
        while index < 256 {
            // Below 256.
            #[allow(clippy::cast_possible_truncation)]
            let mut value = index as u32;
            let mut bit = 0;
            while bit < 8 {
                value = if value & 1 == 1 { (value >> 1) ^ 0xEDB8_8320 } else { value >> 1 };
                bit += 1;
            }
            table[index] = value;
            index += 1;
        }
        table
    };
    let bytes = parts.iter().copied().flatten();
    !bytes.fold(u32::MAX, |crc, byte| TABLE[usize::from(crc.to_le_bytes()[0] ^ byte)] ^ (crc >> 8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample(number: Number, topic: &str, payload: &str) -> Sample {
        let payload = Bytes::copy_from_slice(payload.as_bytes());
        Sample { number, written: 1_795_341_600_000 + number, topic: topic.into(), payload, is_event: number % 2 == 1 }
    }

    /// A small file, its records, and where each begins.
    fn file() -> (Vec<u8>, Vec<Record>, Vec<usize>) {
        let (mut bytes, mut records, mut starts) = (HEADER.to_vec(), Vec::new(), Vec::new());
        for number in 1..=4 {
            starts.push(bytes.len());
            let sample = sample(number, "h/a/door", &format!("{{\"state\":\"ON\",\"n\":{number}}}"));
            sample.encode(&mut bytes);
            assert_eq!(bytes.len() - starts[starts.len() - 1], sample.size());
            records.push(Record::Sample(sample));
            if number == 2 {
                starts.push(bytes.len());
                encode_done(&[1, 2], &mut bytes);
                records.push(Record::Done(vec![1, 2]));
            }
        }
        (bytes, records, starts)
    }

    fn all(bytes: &[u8]) -> (Vec<Record>, Ending) {
        let mut records = Vec::new();
        let ending = read_all(bytes, |record| records.push(record));
        (records, ending)
    }

    #[test]
    fn the_check_is_the_well_known_one() {
        // The check value of this CRC in catalogues.
        assert_eq!(crc(&[b"1234", b"56789"]), 0xCBF4_3926);
    }

    #[test]
    fn what_is_written_is_read() {
        let (bytes, records, _) = file();
        assert_eq!(all(&bytes), (records, Ending::Whole));
        assert_eq!(all(&HEADER), (Vec::new(), Ending::Whole));
    }

    #[test]
    fn a_file_that_is_cut_anywhere_has_all_whole_records() {
        let (bytes, records, starts) = file();
        for length in 0..bytes.len() {
            let (found, ending) = all(&bytes[..length]);
            let whole = starts.iter().skip(1).filter(|start| **start <= length).count();
            assert_eq!(found, records[..whole], "{length} bytes");
            let boundary = if length < HEADER.len() { 0 } else { starts[whole] };
            let expected = if length == boundary && length > 0 { Ending::Whole } else { Ending::Torn(boundary) };
            assert_eq!(ending, expected, "{length} bytes");
        }
    }

    #[test]
    fn a_file_whose_end_is_zeros_is_torn_there() {
        let (bytes, records, starts) = file();
        for length in HEADER.len()..bytes.len() {
            let zeroed: Vec<u8> = bytes[..length].iter().copied().chain(std::iter::repeat_n(0, 500)).collect();
            let (found, ending) = all(&zeroed);
            let whole = starts.iter().skip(1).filter(|start| **start <= length).count();
            // One whose last bytes are zeros is whole without them.
            assert!(found.len() >= whole && found == records[..found.len()], "{length} bytes: {found:?}");
            assert!(!matches!(ending, Ending::Whole), "{length} bytes");
        }
    }

    #[test]
    fn no_flipped_bit_makes_a_wrong_record() {
        let (bytes, records, starts) = file();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let (found, ending) = all(&flipped);
            // Those before the flipped one, and none after it.
            let before = starts.iter().skip(1).filter(|start| **start <= bit / 8).count();
            assert_eq!(found, records[..before], "bit {bit}");
            assert!(!matches!(ending, Ending::Whole), "bit {bit}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_sample_comes_back(
            number in 0..=HIGHEST, written: u64, is_event: bool, topic in ".{0,40}", payload in prop::collection::vec(any::<u8>(), 0..300)
        ) {
            let sample = Sample { number, written, topic: topic.as_str().into(), payload: payload.into(), is_event };
            let mut bytes = HEADER.to_vec();
            sample.encode(&mut bytes);
            prop_assert_eq!(all(&bytes), (vec![Record::Sample(sample)], Ending::Whole));
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let (records, _) = all(&bytes);
            prop_assert!(records.is_empty());
            let (records, _) = all(&[&HEADER[..], &bytes].concat());
            prop_assert!(records.is_empty());
        }
    }

    #[test]
    fn what_is_too_long_does_not_fit() {
        assert!(sample(1, "t", &"x".repeat(LONGEST - SAMPLE - 1)).fits());
        assert!(!sample(1, "t", &"x".repeat(LONGEST - SAMPLE)).fits());
        assert!(!sample(1, &"x".repeat(65_536), "").fits());
    }
}
