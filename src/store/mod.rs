//! The store of the outbox: what `store: all` must not lose, from the moment it is given until a broker has it.
//!
//! ```text
//! sensor ─▶ journal (a file in memory) ─ after 10 s, in one batch ─▶ log (segments on disk)
//!               │ acknowledged: forgotten                                │ read back in chunks, the oldest first
//!               ▼                                                        ▼
//!            nothing was written to the disk                          outbox ─▶ broker
//! ```
//!
//! A sample is in the journal when [`Shelf::keep`] returns: it survives the death of the process. Within [`BATCH`] it is with
//! a broker, or on the disk, synced: it survives the loss of power. Only the thread of the store touches the disk, so one that is
//! slow, full or broken holds up nobody; meanwhile samples wait in the journal, which is bounded.

mod journal;
mod keeper;
mod log;
mod places;
mod record;
mod segment;
#[cfg(any(test, fuzzing))]
mod torture;

pub use log::Bounds;
pub use places::Places;
pub(crate) use record::{Number, Sample};
#[cfg(fuzzing)]
pub use torture::torture;

use crate::problem::Problem;
use bytes::Bytes;
use journal::Journal;
use keeper::Keeper;
use std::collections::HashSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, oneshot};
use tracing::{error, warn};

/// What a broker does not have after this time goes to the disk, with all that is younger.
const BATCH: Duration = Duration::from_secs(10);
/// So many bytes go to the disk sooner.
const FULL: usize = 256 << 10;
/// How soon it is noted on disk what a broker has. What was not noted is delivered twice when the agent is killed.
const NOTE: Duration = Duration::from_secs(1);

/// A handle of the store; all of its clones are the same store. No method waits for the disk.
#[derive(Clone)]
pub struct Shelf {
    shared: Arc<Shared>,
}

/// How the store is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Samples that wait.
    pub waiting: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Samples that were given up since the start, because of the bounds or because they could not be read any more.
    pub dropped: u64,
    /// Why samples are not on disk, or not all of them: of the kind `disk`.
    pub problem: Option<Problem>,
}

/// Some of the samples that wait, the oldest first.
pub(crate) struct Chunk {
    /// What it was asked for with.
    pub(crate) ticket: u64,
    pub(crate) samples: Vec<Sample>,
}

/// Which samples are wanted: those with numbers after one and up to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Want {
    pub(crate) ticket: u64,
    pub(crate) after: Number,
    pub(crate) upto: Number,
}

struct Shared {
    places: Places,
    bounds: Bounds,
    front: Mutex<Front>,
    changed: Condvar,
}

/// What the thread of the store shares with others.
struct Front {
    journal: Journal,
    /// Samples on disk that are needed no more, since then.
    done: HashSet<Number>,
    done_since: Option<Instant>,
    want: Option<Want>,
    /// Nothing waits for a batch any more.
    is_hurried: bool,
    is_ending: bool,
    ended: Option<oneshot::Receiver<()>>,
    /// Samples of this process have no lower number.
    first: Number,
    /// The highest number on disk.
    on_disk: Number,
    /// Numbers that were given up before they were on disk: from, to.
    given_up: Vec<(Number, Number)>,
    disk: Status,
    dropped: u64,
}

impl Shelf {
    /// Looks what an earlier run left in the journal; the disk is left to the thread.
    #[must_use]
    pub fn open(places: Places, bounds: Bounds) -> Self {
        let mut journal = Journal::open(places.memory.clone());
        let dropped = places.earlier.iter().map(|folder| journal.adopt(folder)).sum();
        let front = Front {
            journal,
            done: HashSet::new(),
            done_since: None,
            want: None,
            is_hurried: false,
            is_ending: false,
            ended: None,
            first: 0,
            on_disk: 0,
            given_up: Vec::new(),
            disk: Status::default(),
            dropped,
        };
        Self { shared: Arc::new(Shared { places, bounds, front: Mutex::new(front), changed: Condvar::new() }) }
    }

    /// A number from which on none is in use. By the clock besides, for a disk that cannot be read yet.
    pub(crate) fn first_number(&self) -> Number {
        let on_disk = log::highest(&self.shared.places.disk);
        let mut front = self.shared.lock();
        // With room for those of the journal, should they have to stand behind what is on disk.
        let free = front.journal.last().max(on_disk) + 1 + front.journal.len() as u64;
        front.first = free.max(segment::now().min(record::HIGHEST >> 21) << 20);
        front.first
    }

    /// Starts the thread. `give` takes what was fetched; `news` hears when the status is worth telling.
    pub(crate) fn start(&self, give: Box<dyn Fn(Chunk) + Send>, news: Arc<Notify>) {
        let (end, ended) = oneshot::channel::<()>();
        let keeper = Keeper::new(Arc::clone(&self.shared), give, news);
        let run = move || {
            keeper.run();
            drop(end);
        };
        match std::thread::Builder::new().name("store".to_owned()).spawn(run) {
            Ok(_) => self.shared.lock().ended = Some(ended),
            Err(error) => error!("no thread for the store: {error}; samples of an outage wait in memory"),
        }
    }

    /// Takes a sample; gives whether it did. Numbers go up.
    pub(crate) fn keep(&self, number: Number, topic: Arc<str>, payload: Bytes, is_event: bool) -> bool {
        let sample = Sample { number, written: segment::now(), topic, payload, is_event };
        if !sample.fits() {
            return false;
        }
        let mut front = self.shared.lock();
        let was_empty = front.journal.len() == 0;
        let dropped = front.journal.keep(sample);
        front.give_up(&dropped);
        // One that waits for the oldest need not be told of younger ones.
        if was_empty || !front.journal.is_safe() || front.journal.bytes() >= FULL {
            self.shared.changed.notify_one();
        }
        true
    }

    /// A sample that was kept is needed no more. Once for each.
    pub(crate) fn done(&self, number: Number) {
        let mut front = self.shared.lock();
        if front.journal.release(&[number]).is_empty() || number > front.on_disk || front.was_given_up(number) {
            return;
        }
        front.done.insert(number);
        if front.done_since.is_none() {
            front.done_since = Some(Instant::now());
            self.shared.changed.notify_one();
        }
    }

    /// Whether a sample that was fetched is still needed.
    pub(crate) fn needs(&self, number: Number) -> bool {
        let front = self.shared.lock();
        front.journal.contains(number) || (number <= front.on_disk && !front.done.contains(&number))
    }

    /// Asks for samples that wait. They are given by the thread; none, when there is none.
    pub(crate) fn fetch(&self, want: Want) {
        self.shared.lock().want = Some(want);
        self.shared.changed.notify_one();
    }

    /// How it is doing.
    #[must_use]
    pub fn status(&self) -> Status {
        let front = self.shared.lock();
        let on_disk = front.disk.waiting.saturating_sub(front.done.len() as u64);
        Status {
            waiting: on_disk + front.journal.len() as u64,
            dropped: front.disk.dropped + front.dropped,
            ..front.disk.clone()
        }
    }

    /// From now on all goes to the disk at once: the end is near, and a disk can be slow.
    pub(crate) fn hurry(&self) {
        self.shared.lock().is_hurried = true;
        self.shared.changed.notify_one();
    }

    /// Brings what is in the journal to the disk, and ends the thread. Waits for `limit` at most.
    pub async fn close(&self, limit: Duration) {
        let ended = {
            let mut front = self.shared.lock();
            front.is_ending = true;
            front.ended.take()
        };
        self.shared.changed.notify_one();
        if let Some(ended) = ended
            && tokio::time::timeout(limit, ended).await.is_err()
        {
            warn!("the disk is slow: what no broker has of the last seconds may be lost when the power goes off");
        }
    }
}

impl Shared {
    /// Nothing that holds this lock waits for the disk. A panic leaves nothing half done: maps change in one step.
    fn lock(&self) -> MutexGuard<'_, Front> {
        self.front.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Front {
    fn give_up(&mut self, numbers: &[Number]) {
        let Some(last) = numbers.last() else { return };
        self.dropped += numbers.len() as u64;
        // All that is not on disk, up to there.
        match self.given_up.last_mut().filter(|(after, _)| *after == self.on_disk) {
            Some((_, to)) => *to = *last,
            None => self.given_up.push((self.on_disk, *last)),
        }
    }

    fn was_given_up(&self, number: Number) -> bool {
        self.given_up.iter().any(|(after, to)| (*after + 1..=*to).contains(&number))
    }
}

#[cfg(test)]
mod tests;
