//! The log on disk: segments, each a file, the oldest first.
//!
//! Samples are appended in batches, and each batch is on the disk itself when `append` returns. What a broker has is noted in
//! the newest segment, whichever it was in. Segments whose samples are all delivered go as soon as there is none before them, so
//! that a store in which nothing waits takes no room. What exceeds the bounds goes a segment at a time.

mod reading;

use super::record::{Ending, HEADER, Number, Record, Sample, encode_done, read_all};
use super::segment::{BLOCK, Segment};
use crate::files::sync_folder;
use std::collections::VecDeque;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Error, Result, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tracing::{debug, warn};

/// How many segments there are when the store is full: what goes at once is as small a part of all.
const SEGMENTS: u64 = 16;
/// Largest segment.
const LARGEST: u64 = 1 << 20;

/// Bounds of a store on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes on disk.
    pub size: u64,
    /// How long a sample may wait.
    pub age: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { size: 64_000_000, age: Duration::from_secs(7 * 86_400) }
    }
}

pub(super) struct Log {
    folder: PathBuf,
    /// The folder itself, locked.
    handle: File,
    bounds: Bounds,
    segments: VecDeque<Segment>,
    /// The last segment, if it can be appended to.
    end: Option<File>,
    /// Samples that are needed no more, which is not on disk yet.
    unnoted: Vec<Number>,
    /// Where reading stopped: the segment, the last number, and the place of the next record.
    stopped: Option<(u64, Number, u64)>,
    /// The segment that was damaged when it was read, and whole when it was looked at again.
    doubted: Option<u64>,
    /// Samples that were given up because of the bounds.
    pub(super) dropped: u64,
    /// What was wrong with a segment.
    pub(super) damage: Option<String>,
}

/// A folder that is for this user only.
pub(super) fn make_folder(folder: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // It may be new. Where that cannot be synced, all goes on as well.
    folder.parent().into_iter().for_each(|parent| drop(sync_folder(parent)));
    Ok(())
}

/// The folder, locked against other agents.
pub(super) fn lock(folder: &Path) -> Result<File> {
    let handle = File::open(folder)?;
    match handle.try_lock() {
        Err(TryLockError::WouldBlock) => Err(Error::other("another agent has it")),
        // Or there are no locks on this file system.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(handle),
    }
}

/// The highest number that is in use in a folder, as far as can be seen quickly.
pub(super) fn highest(folder: &Path) -> Number {
    let Some(name) = names(folder).unwrap_or_default().pop() else { return 0 };
    let mut highest = name;
    read_all(&std::fs::read(folder.join(Segment::file(name))).unwrap_or_default(), |record| {
        if let Record::Sample(sample) = record {
            highest = highest.max(sample.number);
        }
    });
    highest
}

/// The segments in a folder by their names, in order.
fn names(folder: &Path) -> Result<Vec<u64>> {
    let entries = std::fs::read_dir(folder)?;
    let mut names: Vec<_> = entries.flatten().filter_map(|entry| Segment::name(entry.file_name().to_str()?)).collect();
    names.sort_unstable();
    Ok(names)
}

impl Log {
    /// Opens what is there; a torn end is cut, and what is damaged is set aside.
    ///
    /// # Errors
    /// When there is no such folder and none can be made, or another agent has it.
    pub(super) fn open(folder: &Path, bounds: Bounds) -> Result<Self> {
        make_folder(folder)?;
        let handle = lock(folder)?;
        let mut log = Self {
            folder: folder.to_owned(),
            handle,
            bounds,
            segments: VecDeque::new(),
            end: None,
            unnoted: Vec::new(),
            stopped: None,
            doubted: None,
            dropped: 0,
            damage: None,
        };
        let names = names(folder)?;
        for (index, name) in names.iter().enumerate() {
            log.load(*name, names.get(index + 1).copied());
        }
        log.tidy();
        log.expire();
        Ok(log)
    }

    /// Samples that wait.
    pub(super) fn waiting(&self) -> u64 {
        self.segments.iter().map(|segment| segment.waiting).sum()
    }

    /// Bytes on disk, in the blocks that a file system has.
    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(Segment::room).sum()
    }

    /// The highest number that was appended to what is still here.
    pub(super) fn last(&self) -> Number {
        self.segments.back().map_or(0, |segment| segment.last)
    }

    /// Appends samples, the oldest first and after all before, and notes what is needed no more. Samples are on the disk then.
    ///
    /// # Errors
    /// As the operating system has them: none of the samples counts as appended then.
    pub(super) fn append(&mut self, samples: &[Sample], done: &[Number]) -> Result<()> {
        for number in done {
            if self.mark(*number) {
                self.unnoted.push(*number);
            }
        }
        self.tidy();
        self.expire();
        let first = self.segments.front().map_or(Number::MAX, |segment| segment.first);
        self.unnoted.retain(|number| *number >= first);
        if samples.first().is_some_and(|sample| sample.number <= self.last()) {
            return Err(Error::other("what is there is newer: was the clock set back?"));
        }
        let mut batch = Vec::new();
        encode_done(&self.unnoted, &mut batch);
        samples.iter().for_each(|sample| sample.encode(&mut batch));
        // A segment is begun for samples only.
        if batch.is_empty() || (samples.is_empty() && self.end.is_none()) {
            return Ok(());
        }
        self.make_room(batch.len() as u64);
        self.write(samples, &batch)?;
        self.unnoted.clear();
        Ok(())
    }

    fn write(&mut self, samples: &[Sample], batch: &[u8]) -> Result<()> {
        let largest = (self.bounds.size / SEGMENTS).min(LARGEST);
        let age = self.bounds.age;
        let is_full = |segment: &Segment| segment.bytes >= largest || segment.begun.now() > age / 8;
        if !samples.is_empty() && self.segments.back().is_none_or(is_full) {
            self.end = None;
        }
        let mut end = match (self.end.take(), samples.first()) {
            (Some(end), _) => end,
            (None, Some(first)) => self.begin(first.number)?,
            (None, None) => return Ok(()),
        };
        let Some(segment) = self.segments.back_mut() else { return Ok(()) };
        let written = end.write_all(batch).and_then(|()| if samples.is_empty() { Ok(()) } else { end.sync_data() });
        if let Err(error) = written {
            if segment.samples == 0 {
                self.drop_last();
            } else if end.set_len(segment.bytes).is_ok() {
                self.end = Some(end);
            } // Else the next batch gets another segment.
            return Err(error);
        }
        segment.bytes += batch.len() as u64;
        samples.iter().for_each(|sample| segment.add(sample));
        self.end = Some(end);
        Ok(())
    }

    /// Begins a segment with this number.
    fn begin(&mut self, first: Number) -> Result<File> {
        let segment = Segment::new(first);
        let path = segment.path(&self.folder);
        // What is there already was begun with the same sample, and could neither be gone on with nor be removed.
        let mut end = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
        // Its name has to survive a power failure too.
        let begun = end.set_len(0).and_then(|()| end.write_all(&HEADER)).and_then(|()| self.handle.sync_all());
        if let Err(error) = begun {
            let _ = std::fs::remove_file(path);
            return Err(error);
        }
        self.segments.push_back(segment);
        Ok(end)
    }

    /// Loads the segment with this name, before the one with the next.
    fn load(&mut self, name: u64, next: Option<u64>) {
        let path = self.folder.join(Segment::file(name));
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) => return self.say_damage(&path, &error.to_string()),
        };
        let mut segment = Segment::between(self.last(), name, next.unwrap_or(Number::MAX));
        let mut done = Vec::new();
        let ending = segment.fill(&bytes, |numbers| done.extend(numbers));
        if segment.strange > 0 {
            self.dropped += segment.strange;
            self.say_damage(&path, &format!("{} of its samples belong after the next file", segment.strange));
        }
        let is_last = next.is_none();
        let mut is_appendable = is_last;
        match ending {
            Ending::Whole => {}
            Ending::Torn(place) if is_last => {
                warn!(
                    "{}: cut at byte {place} of {}: the last write did not come to its end",
                    path.display(),
                    bytes.len()
                );
                let cut = || OpenOptions::new().write(true).open(&path)?.set_len(place as u64);
                if place < HEADER.len() {
                    // Nothing is in it.
                    let _ = std::fs::remove_file(&path);
                    return;
                }
                is_appendable = cut().is_ok();
            }
            Ending::Torn(place) | Ending::Damaged(place) => {
                is_appendable = false;
                self.set_aside(&path, &bytes, place);
            }
        }
        if is_appendable {
            self.end = OpenOptions::new().append(true).open(&path).ok();
        }
        self.segments.push_back(segment);
        for number in done {
            self.mark(number);
        }
    }

    /// Keeps a damaged file for people, the newest of them, and in its place what can be read of it.
    fn set_aside(&mut self, path: &Path, bytes: &[u8], place: usize) {
        let aside = path.with_extension("corrupt");
        for entry in std::fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            if entry.path().extension().is_some_and(|extension| extension == "corrupt") {
                let _ = std::fs::remove_file(entry.path());
            }
        }
        let result = std::fs::rename(path, &aside).and_then(|()| {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            file.write_all(bytes.get(..place.max(HEADER.len())).unwrap_or(&HEADER))?;
            // What is readable was on the disk before, and waits for a broker.
            file.sync_all().and_then(|()| self.handle.sync_all())
        });
        let kept = match result {
            Ok(()) => format!("the file is kept as {}", aside.display()),
            Err(error) => format!("it could not be set aside: {error}"),
        };
        let lost = bytes.len() - place;
        self.say_damage(path, &format!("damaged at byte {place}; {lost} bytes are lost, and {kept}"));
    }

    fn say_damage(&mut self, path: &Path, what: &str) {
        warn!("{}: {what}", path.display());
        self.damage = Some(format!("{}: {what}", path.display()));
    }

    /// Gives whether it was waiting here.
    fn mark(&mut self, number: Number) -> bool {
        let index = self.segments.partition_point(|segment| segment.last < number);
        self.segments.get_mut(index).is_some_and(|segment| segment.mark(number))
    }

    /// Removes what is needed no more.
    fn tidy(&mut self) {
        while self.segments.front().is_some_and(|segment| segment.waiting == 0) {
            self.drop_first();
        }
    }

    /// Removes what waits for too long.
    fn expire(&mut self) {
        while self.segments.front().is_some_and(|segment| segment.newest.now() > self.bounds.age) {
            self.drop_first();
        }
    }

    fn make_room(&mut self, more: u64) {
        // It may begin a segment.
        let more = (more + BLOCK).next_multiple_of(BLOCK);
        while self.segments.len() > 1 && self.bytes() + more > self.bounds.size {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        let Some(segment) = self.segments.pop_front() else { return };
        self.dropped += segment.waiting;
        self.remove(&segment);
    }

    fn drop_last(&mut self) {
        if let Some(segment) = self.segments.pop_back() {
            self.remove(&segment);
        }
    }

    fn remove(&mut self, segment: &Segment) {
        if self.segments.is_empty() {
            self.end = None;
        }
        if let Err(error) = std::fs::remove_file(segment.path(&self.folder)) {
            // It comes again when the agent starts again: twice is better than never.
            debug!("{}: {error}", segment.path(&self.folder).display());
        }
    }
}

#[cfg(test)]
mod tests;
