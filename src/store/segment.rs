//! What is known of a segment of the log without reading it.

use super::record::{Ending, HEADER, HIGHEST, Number, Record, Sample, read_all};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// What a small file takes of most file systems.
pub(super) const BLOCK: u64 = 4096;
/// Clocks that were not set are before it (2024-01-01), in ms since 1970.
const PLAUSIBLE: u64 = 1_704_067_200_000;

pub(super) struct Segment {
    /// None of its samples has a lower number, and none of the segments before has a higher one.
    pub(super) name: u64,
    pub(super) bytes: u64,
    /// Its lowest and its highest number.
    pub(super) first: Number,
    pub(super) last: Number,
    /// All of its samples.
    pub(super) samples: u64,
    /// Samples that are still needed.
    pub(super) waiting: u64,
    /// Samples that are not: all up to a number, and these.
    done_to: Number,
    done: HashSet<Number>,
    /// Numbers up to here are in a segment before, and those from there on in one after it.
    floor: Number,
    ceiling: Number,
    /// Samples in it that are beyond that: nobody wrote them here.
    pub(super) strange: u64,
    /// The ages of its oldest and its newest sample.
    pub(super) begun: Age,
    pub(super) newest: Age,
}

impl Segment {
    pub(super) fn new(name: u64) -> Self {
        Self {
            name,
            bytes: HEADER.len() as u64,
            first: name,
            last: name.saturating_sub(1),
            samples: 0,
            waiting: 0,
            done_to: 0,
            done: HashSet::new(),
            floor: 0,
            ceiling: Number::MAX,
            strange: 0,
            begun: Age::of(now()),
            newest: Age::of(now()),
        }
    }

    /// One between segments that end with `floor` and begin with `ceiling`.
    pub(super) fn between(floor: Number, name: u64, ceiling: Number) -> Self {
        let new = Self::new(name);
        Self { floor, ceiling, last: new.last.max(floor), ..new }
    }

    /// The same, before what is in it was counted.
    pub(super) fn renewed(&self) -> Self {
        Self { done_to: self.done_to, done: self.done.clone(), ..self.emptied() }
    }

    /// The same, without anything in it.
    pub(super) fn emptied(&self) -> Self {
        Self::between(self.floor, self.name, self.ceiling)
    }

    pub(super) fn file(name: u64) -> String {
        format!("{name:016x}.log")
    }

    /// The name of the segment in this file, if it is one.
    pub(super) fn name(file: &str) -> Option<u64> {
        let name = file.strip_suffix(".log").filter(|name| name.len() == 16)?;
        u64::from_str_radix(name, 16).ok().filter(|name| *name <= HIGHEST)
    }

    pub(super) fn path(&self, folder: &Path) -> PathBuf {
        folder.join(Self::file(self.name))
    }

    /// Bytes that it takes on disk.
    pub(super) fn room(&self) -> u64 {
        self.bytes.next_multiple_of(BLOCK)
    }

    /// Counts a sample that was appended.
    pub(super) fn add(&mut self, sample: &Sample) {
        if self.samples == 0 {
            self.first = sample.number;
            self.begun = Age::of(sample.written);
        }
        self.newest = Age::of(sample.written);
        self.last = sample.number;
        self.samples += 1;
        self.waiting += u64::from(!self.is_done(sample.number));
    }

    /// Counts what is in a file, as far as it can be read, and gives the numbers of samples that are needed no more.
    pub(super) fn fill(&mut self, bytes: &[u8], mut done: impl FnMut(Vec<Number>)) -> Ending {
        let ending = read_all(bytes, |record| match record {
            Record::Sample(sample) if sample.number >= self.ceiling => self.strange += 1,
            Record::Sample(sample) if sample.number > self.last => self.add(&sample),
            // A batch that failed and could not be taken back was written once more.
            Record::Sample(_) => {}
            Record::Done(numbers) => done(numbers),
        });
        let length = match ending {
            Ending::Whole => bytes.len(),
            Ending::Torn(place) | Ending::Damaged(place) => place.max(HEADER.len()),
        };
        self.bytes = length as u64;
        ending
    }

    /// Whether a sample with this number is in its place here.
    pub(super) fn may_have(&self, number: Number) -> bool {
        self.floor < number && number < self.ceiling
    }

    pub(super) fn is_done(&self, number: Number) -> bool {
        number <= self.done_to || self.done.contains(&number)
    }

    /// Notes that a sample is needed no more; gives whether it was.
    pub(super) fn mark(&mut self, number: Number) -> bool {
        let is_new = number >= self.first && number > self.done_to && self.done.insert(number);
        self.waiting -= u64::from(is_new).min(self.waiting);
        if self.waiting == 0 {
            (self.done_to, self.done) = (self.last, HashSet::new());
        }
        is_new
    }
}

/// How old something is, by a clock that nobody sets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Age {
    at: Instant,
    then: Duration,
}

impl Age {
    /// Of what was written then, in ms since 1970. Where a clock was not set, age counts from now on.
    pub(super) fn of(written: u64) -> Self {
        let now = now();
        let is_known = written >= PLAUSIBLE && now >= PLAUSIBLE;
        let then = if is_known { now.saturating_sub(written) } else { 0 };
        Self { at: Instant::now(), then: Duration::from_millis(then) }
    }

    pub(super) fn now(self) -> Duration {
        self.then + self.at.elapsed()
    }
}

/// The clock: ms since 1970.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
