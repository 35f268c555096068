//! What was given and is neither on disk nor with a broker yet: in memory, and in a file in memory (a tmpfs), which outlives the
//! process. Writing to that waits for no disk and wears none out, so it is done at once, by whoever gives a sample.

use super::log::lock;
use super::record::{Ending, HEADER, Number, Record, Sample, encode_done, read_all};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Result, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tracing::{debug, info, warn};

/// Bytes that may wait here: so much is kept while the disk cannot be written. The oldest give way.
const MOST: usize = 4 << 20;
/// From this size on, the file is written anew when most of it is needed no more.
const LONG: u64 = 1 << 20;
pub(super) const FILE: &str = "journal";
const ASIDE: &str = "journal.corrupt";

pub(super) struct Journal {
    /// Where the file is, if there is a place for it.
    folder: Option<PathBuf>,
    file: Option<Opened>,
    held: BTreeMap<Number, (Sample, Instant)>,
    bytes: usize,
}

struct Opened {
    file: File,
    length: u64,
    /// The folder, locked.
    _lock: File,
}

impl Journal {
    /// Takes up what an earlier process left.
    pub(super) fn open(folder: Option<PathBuf>) -> Self {
        let mut journal = Self { folder, file: None, held: BTreeMap::new(), bytes: 0 };
        let left = journal.folder.as_ref().map(|folder| folder.join(FILE)).filter(|file| file.exists());
        if let Some(path) = left {
            match std::fs::read(&path).and_then(|bytes| Ok((bytes, journal.create()?))) {
                Ok((bytes, opened)) => journal.take_up(&bytes, opened),
                Err(error) => {
                    warn!("{}: {error}; what an earlier run left there is not delivered", path.display());
                    journal.folder = None;
                }
            }
        }
        journal
    }

    /// Takes over what an earlier run left in another folder, if it is there and nobody has it. Gives how many samples had to
    /// give way.
    pub(super) fn adopt(&mut self, folder: &Path) -> u64 {
        if !folder.join(FILE).exists() {
            return 0;
        }
        let mut left = Self::open(Some(folder.to_owned()));
        let samples: Vec<Sample> = left.samples(0, Number::MAX).cloned().collect();
        let mut dropped = 0;
        for sample in &samples {
            let number = if self.contains(sample.number) { self.last() + 1 } else { sample.number };
            dropped += self.keep(Sample { number, ..sample.clone() }).len() as u64;
        }
        if !samples.is_empty() {
            info!("{} samples of an earlier run are taken over from {}", samples.len(), folder.display());
        }
        left.release(&samples.iter().map(|sample| sample.number).collect::<Vec<_>>());
        left.close();
        dropped
    }

    /// Gives these, which are all from before this process, other numbers: after this one, and before those of this process,
    /// which begin with `first`.
    pub(super) fn move_behind(&mut self, numbers: &[Number], mut last: Number, first: Number) {
        // There is room for them, unless what is on disk could not be seen when the numbers of this process were chosen.
        if last + numbers.len() as u64 >= first {
            return warn!("{} samples of an earlier run have no place behind those on disk", numbers.len());
        }
        let samples: Vec<_> = numbers.iter().filter_map(|number| self.remove(*number)).collect();
        for sample in samples {
            last += 1;
            self.hold(Sample { number: last, ..sample });
        }
        self.rewrite();
    }

    fn take_up(&mut self, bytes: &[u8], opened: Opened) {
        let ending = read_all(bytes, |record| match record {
            Record::Sample(sample) => self.hold(sample),
            Record::Done(numbers) => numbers.iter().for_each(|number| drop(self.remove(*number))),
        });
        if let Ending::Damaged(place) = ending {
            let aside = self.folder.as_ref().map(|folder| folder.join(ASIDE)).unwrap_or_default();
            let kept = match std::fs::write(&aside, bytes) {
                Ok(()) => format!("the file is kept as {}", aside.display()),
                Err(error) => format!("it could not be set aside: {error}"),
            };
            let length = bytes.len();
            warn!("the journal of an earlier run is damaged at byte {place} of {length}: the rest is lost, and {kept}");
        }
        self.file = Some(opened);
        self.rewrite();
    }

    /// Opens the file, in a folder that is made if there is none.
    fn create(&self) -> Result<Opened> {
        let Some(folder) = &self.folder else { return Err(std::io::ErrorKind::NotFound.into()) };
        super::log::make_folder(folder)?;
        let lock = lock(folder)?;
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(folder.join(FILE))?;
        let length = file.metadata()?.len();
        Ok(Opened { file, length, _lock: lock })
    }

    /// Whether what is held outlives the process.
    pub(super) fn is_safe(&self) -> bool {
        self.file.is_some()
    }

    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn contains(&self, number: Number) -> bool {
        self.held.contains_key(&number)
    }

    /// The highest number.
    pub(super) fn last(&self) -> Number {
        self.held.last_key_value().map_or(0, |(number, _)| *number)
    }

    /// Since when the oldest waits.
    pub(super) fn since(&self) -> Option<Instant> {
        self.held.first_key_value().map(|(_, (_, given))| *given)
    }

    /// Samples with numbers after `after` and up to `upto`, the oldest first.
    pub(super) fn samples(&self, after: Number, upto: Number) -> impl Iterator<Item = &Sample> {
        let range = (after < upto).then(|| self.held.range(after + 1..=upto));
        range.into_iter().flatten().map(|(_, (sample, _))| sample)
    }

    /// Takes a sample: when this returns, it outlives the process, if anything here does. Gives the numbers of those that had to
    /// give way.
    pub(super) fn keep(&mut self, sample: Sample) -> Vec<Number> {
        if self.file.is_none() && self.held.is_empty() && self.folder.is_some() {
            match self.create() {
                Ok(mut opened) => {
                    // One that is there already is an empty one: it was read when the agent started.
                    let result = opened.file.set_len(0).and_then(|()| opened.file.write_all(&HEADER));
                    opened.length = HEADER.len() as u64;
                    self.file = result.is_ok().then_some(opened);
                }
                Err(error) => {
                    warn!("no journal of samples: {error}; they go to the disk at once");
                    self.folder = None;
                }
            }
        }
        let mut record = Vec::with_capacity(sample.size());
        sample.encode(&mut record);
        self.write(&record);
        self.hold(sample);
        let mut dropped = Vec::new();
        while self.bytes > MOST
            && let Some((number, _)) = self.held.first_key_value()
        {
            dropped.push(*number);
            self.remove(*dropped.last().unwrap_or(&0));
        }
        if !dropped.is_empty() {
            self.note(&dropped);
        }
        dropped
    }

    /// These are needed no more, or are on disk. Gives those that were not held.
    pub(super) fn release(&mut self, numbers: &[Number]) -> Vec<Number> {
        let (held, strange): (Vec<_>, Vec<_>) = numbers.iter().partition(|number| self.contains(**number));
        held.iter().for_each(|number| drop(self.remove(*number)));
        if !held.is_empty() {
            self.note(&held);
        }
        strange
    }

    /// Removes the file when it is not needed.
    pub(super) fn close(&mut self) {
        if self.held.is_empty()
            && self.file.take().is_some()
            && let Some(folder) = &self.folder
        {
            let _ = std::fs::remove_file(folder.join(FILE)).and_then(|()| std::fs::remove_dir(folder));
        }
    }

    fn hold(&mut self, sample: Sample) {
        self.bytes += sample.size();
        self.held.insert(sample.number, (sample, Instant::now()));
    }

    fn remove(&mut self, number: Number) -> Option<Sample> {
        let (sample, _) = self.held.remove(&number)?;
        self.bytes -= sample.size();
        Some(sample)
    }

    /// Writes down that these are held no more.
    fn note(&mut self, numbers: &[Number]) {
        let Some(opened) = &mut self.file else { return };
        if self.held.is_empty() {
            // Nothing is left: so it is nearly always while a broker is there.
            match opened.file.set_len(HEADER.len() as u64) {
                Ok(()) => opened.length = HEADER.len() as u64,
                Err(error) => self.fail(&error),
            }
        } else if opened.length > LONG && opened.length > 2 * self.bytes as u64 {
            self.rewrite();
        } else {
            let mut record = Vec::new();
            encode_done(numbers, &mut record);
            self.write(&record);
        }
    }

    fn write(&mut self, record: &[u8]) {
        let Some(opened) = &mut self.file else { return };
        match opened.file.write_all(record) {
            Ok(()) => opened.length += record.len() as u64,
            Err(error) => self.fail(&error),
        }
    }

    /// Writes what is held to a new file, and puts that in the place of the old one.
    fn rewrite(&mut self) {
        let (Some(opened), Some(folder)) = (&mut self.file, &self.folder) else { return };
        let mut bytes = HEADER.to_vec();
        self.held.values().for_each(|(sample, _)| sample.encode(&mut bytes));
        let new = folder.join("journal.new");
        let write = || {
            let mut options = OpenOptions::new();
            // What a process left that was killed here.
            let _ = std::fs::remove_file(&new);
            let mut file = options.append(true).create_new(true).mode(0o600).open(&new)?;
            file.write_all(&bytes)?;
            std::fs::rename(&new, folder.join(FILE))?;
            Ok(file)
        };
        match write() {
            Ok(file) => (opened.file, opened.length) = (file, bytes.len() as u64),
            Err(error) => self.fail(&error),
        }
    }

    /// Goes on without the file, for as long as something is held: then all goes to the disk at once.
    fn fail(&mut self, error: &std::io::Error) {
        debug!("the journal cannot be written: {error}");
        // What it has stays readable: what comes after it would not.
        self.file = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn sample(number: Number, length: usize) -> Sample {
        Sample { number, written: 1, topic: "h/a/door".into(), payload: vec![b'x'; length].into(), is_event: false }
    }

    fn open(folder: &TempDir) -> Journal {
        Journal::open(Some(folder.path().join("run")))
    }

    fn numbers(journal: &Journal) -> Vec<Number> {
        journal.samples(0, Number::MAX).map(|sample| sample.number).collect()
    }

    #[test]
    fn what_is_held_outlives_the_process_and_what_is_released_does_not() {
        let folder = TempDir::new().unwrap();
        let mut journal = open(&folder);
        assert!(!folder.path().join("run").exists(), "nothing is made before there is something to keep");
        (1..=5).for_each(|number| assert!(journal.keep(sample(number, 10)).is_empty()));
        assert_eq!(journal.release(&[2, 4, 9]), [9]);
        // No word of farewell.
        drop(journal);
        let mut journal = open(&folder);
        assert_eq!((numbers(&journal), journal.last(), journal.is_safe()), (vec![1, 3, 5], 5, true));
        journal.keep(sample(6, 10));
        journal.release(&[1, 3, 5, 6]);
        assert_eq!((journal.len(), journal.bytes()), (0, 0));
        assert_eq!(std::fs::read(folder.path().join("run/journal")).unwrap(), HEADER);
        journal.close();
        assert!(!folder.path().join("run").exists());
    }

    #[test]
    fn a_record_that_was_not_written_to_its_end_is_not_there() {
        let folder = TempDir::new().unwrap();
        let mut journal = open(&folder);
        (1..=3).for_each(|number| drop(journal.keep(sample(number, 10))));
        drop(journal);
        let file = folder.path().join("run/journal");
        let bytes = std::fs::read(&file).unwrap();
        std::fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
        let mut journal = open(&folder);
        assert_eq!(numbers(&journal), [1, 2]);
        journal.keep(sample(4, 10));
        drop(journal);
        assert_eq!(numbers(&open(&folder)), [1, 2, 4], "what came after it is readable");
    }

    #[test]
    fn it_is_bounded_and_does_not_grow_with_what_is_done() {
        let folder = TempDir::new().unwrap();
        let mut journal = open(&folder);
        let mut dropped = 0;
        for number in 1..=100 {
            dropped += journal.keep(sample(number, 60_000)).len();
        }
        assert_eq!(numbers(&journal).first(), Some(&(dropped as u64 + 1)));
        assert!(journal.bytes() <= MOST && journal.bytes() > MOST - 100_000);
        journal.release(&(1..=99).collect::<Vec<_>>());
        for number in 101..1000 {
            journal.keep(sample(number, 10_000));
            journal.release(&[number]);
        }
        assert_eq!(numbers(&journal), [100]);
        assert!(std::fs::metadata(folder.path().join("run/journal")).unwrap().len() < 2 * LONG);
        drop(journal);
        assert_eq!(numbers(&open(&folder)), [100]);
    }

    #[test]
    fn two_agents_do_not_share_one() {
        let folder = TempDir::new().unwrap();
        let mut first = open(&folder);
        first.keep(sample(1, 10));
        let mut second = open(&folder);
        second.keep(sample(1, 10));
        assert_eq!((first.is_safe(), second.is_safe()), (true, false));
    }
}
