//! What waits in the log, read back.

use super::Log;
use crate::store::record::{Ending, Found, HEADER, LONGEST, Number, Record, Sample, decode};
use crate::store::segment::Segment;
use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::FileExt;
use tracing::debug;

/// Samples that are read at once.
const CHUNK: usize = 256;
/// Bytes that are read at once: more than any record has.
const WINDOW: usize = 2 * LONGEST;

impl Log {
    /// Reads samples that wait: with numbers after `after` and up to `upto`, some of the oldest. None: there is none.
    ///
    /// # Errors
    /// When the next ones cannot be read now: a file that is damaged is set aside, but an error may pass.
    pub(in crate::store) fn read(&mut self, after: Number, upto: Number) -> Result<Vec<Sample>> {
        let (mut found, mut after) = (Vec::new(), after);
        while found.len() < CHUNK {
            let fits = |segment: &Segment| segment.waiting > 0 && segment.last > after && segment.first <= upto;
            let Some(index) = self.segments.iter().position(fits) else { break };
            match self.read_from(index, &mut after, upto, &mut found) {
                Ok(true) => after = after.max(self.segments[index].last),
                Ok(false) => break,
                Err(error) => match self.reread(index, error) {
                    Err(error) if found.is_empty() => return Err(error),
                    Err(_) => break,
                    Ok(()) => {}
                },
            }
        }
        Ok(found)
    }

    /// Shows those that wait, with numbers after `after`, as far as they can be read.
    pub(in crate::store) fn each_waiting(&mut self, mut after: Number, mut each: impl FnMut(&Sample)) {
        while let Ok(found) = self.read(after, Number::MAX)
            && let Some(last) = found.last()
        {
            after = last.number;
            found.iter().for_each(&mut each);
        }
    }

    /// Gives whether all of the segment was seen.
    fn read_from(&mut self, index: usize, after: &mut Number, upto: Number, found: &mut Vec<Sample>) -> Result<bool> {
        let segment = &self.segments[index];
        let file = File::open(segment.path(&self.folder))?;
        let mut place = match self.stopped {
            Some((name, last, place)) if name == segment.name && last == *after => place,
            _ => HEADER.len() as u64,
        };
        let mut window = vec![0; WINDOW];
        while place < segment.bytes {
            let length = usize::try_from(segment.bytes - place).unwrap_or(WINDOW).min(WINDOW);
            file.read_exact_at(&mut window[..length], place)?;
            let mut rest = &window[..length];
            // Beyond one whole record, or to the end.
            while rest.len() > LONGEST + HEADER.len()
                || (!rest.is_empty() && place + rest.len() as u64 == segment.bytes)
            {
                let Found::Record(record, size) = decode(rest) else {
                    return Err(Error::new(ErrorKind::InvalidData, format!("damaged at byte {place}")));
                };
                if let Record::Sample(sample) = record
                    && sample.number > *after
                    && segment.may_have(sample.number)
                {
                    if sample.number > upto || found.len() >= CHUNK {
                        let last = found.last().map_or(*after, |sample| sample.number);
                        self.stopped = Some((segment.name, last, place));
                        return Ok(false);
                    }
                    *after = sample.number;
                    if !segment.is_done(sample.number) {
                        found.push(sample);
                    }
                }
                rest = &rest[size..];
                place += size as u64;
            }
        }
        Ok(true)
    }

    /// Forgets what cannot be read of a segment that could be before, if the file is to blame: it is not there, too short, or
    /// nobody wrote what is in it.
    fn reread(&mut self, index: usize, error: Error) -> Result<()> {
        if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::UnexpectedEof | ErrorKind::InvalidData) {
            return Err(error);
        }
        let segment = &self.segments[index];
        let (name, waiting, path) = (segment.name, segment.waiting, segment.path(&self.folder));
        let bytes = match std::fs::read(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            read => read.unwrap_or_default(),
        };
        let mut again = segment.renewed();
        let place = match again.fill(&bytes, |_| {}) {
            Ending::Torn(place) | Ending::Damaged(place) => place,
            // A card that makes a mistake is asked once more, later.
            Ending::Whole if self.doubted.replace(name) != Some(name) => return Err(error),
            Ending::Whole => {
                again = again.emptied();
                0
            }
        };
        if index + 1 == self.segments.len() {
            self.end = None;
        }
        debug!("{}: {error}", path.display());
        self.set_aside(&path, &bytes, place);
        self.dropped += waiting - again.waiting.min(waiting);
        self.segments[index] = again;
        self.tidy();
        Ok(())
    }
}
