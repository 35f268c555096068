//! The thread of the store: the only one that touches the disk.

use super::log::Log;
use super::record::{Number, Sample};
use super::{BATCH, Chunk, FULL, NOTE, Shared, Want};
use crate::problem::Problem;
use std::collections::BTreeMap;
use std::io::Result;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tracing::{error, info};

/// How soon a disk that failed is tried again.
const AGAIN: Duration = Duration::from_secs(10);
/// How long to wait for something to do.
const IDLE: Duration = Duration::from_secs(3600);
/// Samples that are given at once from the journal.
const CHUNK: usize = 256;
/// Bytes that are written at once, so that a segment keeps its size.
const PIECE: usize = 64 << 10;

pub(super) struct Keeper {
    shared: Arc<Shared>,
    log: Option<Log>,
    give: Box<dyn Fn(Chunk) + Send>,
    news: Arc<Notify>,
    /// When the disk failed.
    failed: Option<Instant>,
    /// What could not be read, and when it is tried again.
    unread: Option<(Want, Instant)>,
    /// Why it could not be written or read, if so it was the last time.
    unwritten: Option<String>,
    unreadable: Option<String>,
}

enum Task {
    Store,
    Give(Want),
    End,
}

impl Keeper {
    pub(super) fn new(shared: Arc<Shared>, give: Box<dyn Fn(Chunk) + Send>, news: Arc<Notify>) -> Self {
        Self { shared, log: None, give, news, failed: None, unread: None, unwritten: None, unreadable: None }
    }

    pub(super) fn run(mut self) {
        // What an earlier run left counts from the beginning, also if nothing is new.
        if self.shared.places.disk.exists() {
            self.store();
        }
        loop {
            match self.wait() {
                Task::Store => self.store(),
                Task::Give(want) => self.give(want),
                Task::End => {
                    let is_idle = {
                        let front = self.shared.lock();
                        front.journal.len() == 0 && front.done.is_empty()
                    };
                    if !is_idle {
                        self.store();
                    }
                    return self.shared.lock().journal.close();
                }
            }
        }
    }

    fn wait(&mut self) -> Task {
        let shared = Arc::clone(&self.shared);
        let mut front = shared.lock();
        loop {
            if front.is_ending {
                return Task::End;
            }
            let again = self.unread.filter(|(_, at)| *at <= Instant::now()).map(|(want, _)| want);
            if let Some(want) = front.want.take().or(again) {
                self.unread = None;
                return Task::Give(want);
            }
            let is_urgent = front.is_hurried || !front.journal.is_safe() || front.journal.bytes() >= FULL;
            let sample = front.journal.since().map(|since| if is_urgent { since } else { since + BATCH });
            let note = front.done_since.map(|since| since + NOTE);
            let due = [sample, note].into_iter().flatten().min();
            let due = due.map(|due| due.max(self.failed.map_or(due, |failed| failed + AGAIN)));
            let now = Instant::now();
            if due.is_some_and(|due| due <= now) {
                return Task::Store;
            }
            let again = self.unread.map(|(_, at)| at);
            let limit = [due, again].into_iter().flatten().min().map_or(IDLE, |due| due.saturating_duration_since(now));
            front = shared.changed.wait_timeout(front, limit).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Brings to the disk what is in the journal and what is noted as done.
    fn store(&mut self) {
        let result = self.open().and_then(|()| {
            let mut front = self.shared.lock();
            front.done_since = None;
            let samples: Vec<Sample> = front.journal.samples(0, Number::MAX).cloned().collect();
            let done: Vec<Number> = std::mem::take(&mut front.done).into_iter().collect();
            drop(front);
            self.append(&samples, &done)
        });
        self.failed = result.is_err().then(Instant::now);
        let folder = self.shared.places.disk.display();
        self.unwritten = result.err().map(|error| format!("samples of an outage are not on disk: {folder}: {error}"));
        self.tell();
    }

    /// Opens the log if it is not open.
    fn open(&mut self) -> Result<()> {
        if self.log.is_some() {
            return Ok(());
        }
        let mut log = Log::open(&self.shared.places.disk, self.shared.bounds)?;
        let (mut others, first): (BTreeMap<Number, Sample>, _) = {
            let front = self.shared.lock();
            let upto = log.last().min(front.first.saturating_sub(1));
            (front.journal.samples(0, upto).map(|sample| (sample.number, sample.clone())).collect(), front.first)
        };
        let left: Vec<Number> = others.keys().copied().collect();
        // An earlier process had brought these to the disk when it was killed. Others were in another place when later ones
        // went to the disk: now they come after those.
        if let Some(oldest) = left.first() {
            log.each_waiting(oldest - 1, |sample| {
                if others.get(&sample.number) == Some(sample) {
                    others.remove(&sample.number);
                }
            });
        }
        let stored: Vec<_> = left.into_iter().filter(|number| !others.contains_key(number)).collect();
        let others: Vec<_> = others.into_keys().collect();
        let mut front = self.shared.lock();
        front.on_disk = log.last();
        (front.disk.waiting, front.disk.bytes) = (log.waiting(), log.bytes());
        front.journal.release(&stored);
        if !others.is_empty() {
            // With what came after them, in their order.
            let later = front.journal.samples(log.last(), first.saturating_sub(1)).map(|sample| sample.number);
            let all: Vec<_> = others.into_iter().chain(later).collect();
            front.journal.move_behind(&all, log.last(), first);
        }
        drop(front);
        self.log = Some(log);
        Ok(())
    }

    fn append(&mut self, samples: &[Sample], done: &[Number]) -> Result<()> {
        let Some(log) = &mut self.log else { return Ok(()) };
        let mut done = Some(done);
        let mut rest = samples;
        loop {
            let mut size = 0;
            let fits = |sample: &&Sample| {
                size += sample.size();
                size <= PIECE
            };
            let count = rest.iter().take_while(fits).count().max(1).min(rest.len());
            let (piece, later) = rest.split_at(count);
            log.append(piece, done.take().unwrap_or_default())?;
            let mut front = self.shared.lock();
            if let Some(last) = piece.last() {
                front.on_disk = last.number;
                // What was acknowledged, or had to give way, while it was written.
                let numbers: Vec<_> = piece.iter().map(|sample| sample.number).collect();
                for number in front.journal.release(&numbers) {
                    front.done.insert(number);
                    front.done_since.get_or_insert_with(Instant::now);
                }
            }
            drop(front);
            rest = later;
            if rest.is_empty() {
                return Ok(());
            }
        }
    }

    /// Shows how things are, and says what changed.
    fn tell(&mut self) {
        let log = self.log.as_ref();
        let failure = self.unwritten.as_ref().or(self.unreadable.as_ref());
        let message = failure.or_else(|| log.and_then(|log| log.damage.as_ref())).cloned();
        let mut front = self.shared.lock();
        if let Some(log) = log {
            (front.disk.waiting, front.disk.bytes, front.disk.dropped) = (log.waiting(), log.bytes(), log.dropped);
        }
        let before = front.disk.problem.take();
        let is_same = before.as_ref().map(|problem| &problem.message) == message.as_ref();
        front.disk.problem = message.map(|message| match before.as_ref().filter(|_| is_same) {
            Some(before) => Problem { count: before.count + u64::from(failure.is_some()), ..before.clone() },
            None => Problem::new("disk", message),
        });
        drop(front);
        if is_same {
            return;
        }
        match failure {
            Some(what) if self.unwritten.is_some() => {
                error!("{what}; they wait in memory, and the oldest are dropped when there are too many");
            }
            Some(what) => error!("{what}; those after them wait"),
            None if before.is_some() => {
                info!("samples of an outage are on disk again: {}", self.shared.places.disk.display());
            }
            None => {}
        }
        self.news.notify_one();
    }

    fn give(&mut self, want: Want) {
        if self.shared.places.disk.exists() {
            // A disk that cannot be written may be readable.
            let _ = self.open();
        }
        let mut samples = Vec::new();
        if let Some(log) = &mut self.log {
            let lost = log.dropped;
            match log.read(want.after, want.upto) {
                Ok(read) => samples = read,
                Err(error) => {
                    // The next ones have to wait for them: the order is kept.
                    self.unread = Some((want, Instant::now() + AGAIN));
                    let folder = self.shared.places.disk.display();
                    self.unreadable = Some(format!("samples of an outage cannot be read: {folder}: {error}"));
                    return self.tell();
                }
            }
            if self.unreadable.take().is_some() || log.dropped != lost {
                self.tell();
            }
        }
        if samples.is_empty() {
            let front = self.shared.lock();
            samples = front.journal.samples(want.after, want.upto).take(CHUNK).cloned().collect();
        }
        (self.give)(Chunk { ticket: want.ticket, samples });
    }
}
