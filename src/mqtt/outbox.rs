//! The outbox: what waits until the broker has acknowledged it.

use super::message::Outgoing;
use super::queue::Limits;
use super::shared::Shared;
use crate::config::Store;
use crate::problem::Problem;
use crate::store::Shelf;
use bytes::Bytes;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// A handle of the outbox; all of its clones are the same outbox.
///
/// No method waits for anything, and all may be called from any thread, before there is a connection too. What was given is kept
/// until the broker has acknowledged it, and sent again when that fails: receivers may see it twice.
#[derive(Clone)]
pub struct Outbox {
    shared: Arc<Shared>,
}

/// How the outbox is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutboxStatus {
    /// Messages and states that wait, here and in the store.
    pub depth: usize,
    /// Messages and states that are on their way and not acknowledged yet. An acknowledgement for which nothing waits counts
    /// within a second.
    pub in_flight: usize,
    /// Acknowledged since the start.
    pub delivered: u64,
    /// Given up since the start because a queue or the store was full, because it waited for too long, or because an entity
    /// keeps nothing in an outage.
    pub dropped: u64,
    /// Given up since the start because the broker refused them, or because no broker takes such a topic.
    pub failed: u64,
    /// Lost on the way since the start, and sent again unless a newer state had replaced them.
    pub repeated: u64,
    /// Whether there is a connection.
    pub connected: bool,
    /// Bytes on disk.
    pub bytes: u64,
    /// Why what waits is not on disk, if it should be.
    pub problem: Option<Problem>,
    /// What is wrong with a broker that lets us in: of the kind `broker`.
    pub doubt: Option<Problem>,
}

impl Outbox {
    /// An empty outbox with these bounds, in memory.
    pub fn new(limits: Limits) -> Self {
        Self::with(limits, None)
    }

    /// An outbox that keeps in a store what [`Store::All`] says, and delivers what an earlier run left there. `news` hears
    /// when the store has something to tell: see [`OutboxStatus::problem`].
    pub fn with_store(limits: Limits, shelf: &Shelf, news: Arc<Notify>) -> Self {
        let outbox = Self::with(limits, Some(shelf.clone()));
        outbox.shared.lock().queue.begin_with(shelf.first_number());
        let shared = Arc::downgrade(&outbox.shared);
        let give = move |chunk| {
            if let Some(shared) = shared.upgrade() {
                let mut state = shared.lock();
                state.refill(chunk);
                shared.wake(state);
            }
        };
        shelf.start(Box::new(give), news);
        outbox
    }

    fn with(limits: Limits, shelf: Option<Shelf>) -> Self {
        Self { shared: Arc::new(Shared::new(limits, shelf)) }
    }

    /// An entity will have states on this topic. Until it has one, the newest that an earlier run left in the store is shown
    /// there.
    pub fn expect(&self, topic: &str) {
        self.shared.lock().queue.expect(topic);
    }

    /// The newest state of an entity: retained on `topic`, QoS 1.
    ///
    /// With [`Store::All`] every state is delivered: on `topic` while there is a connection, and those that an outage
    /// held up on `topic` + `/backlog`, not retained, oldest first, after the newest went to `topic`. With
    /// [`Store::Latest`] a state that still waits gives way to a newer one. With [`Store::None`] nothing is kept while
    /// there is no connection.
    pub fn state(&self, topic: &str, payload: Bytes, store: Store) -> Given<'_> {
        let mut state = self.shared.lock();
        let given = state.queue.state(topic, payload.clone(), store);
        state.keep(given, payload, store, false);
        Given(&self.shared)
    }

    /// Something that happened to an entity: on the topic of its states and in order with them, QoS 1, not retained.
    ///
    /// With [`Store::All`] those of an outage are delivered on `topic` + `/backlog`, like states; else they are dropped.
    pub fn event(&self, topic: &str, payload: Bytes, store: Store) -> Given<'_> {
        let mut state = self.shared.lock();
        let given = state.queue.event(topic, payload.clone(), store);
        state.keep(given, payload, store, true);
        Given(&self.shared)
    }

    /// A retained message of which only the newest counts. An empty payload clears the topic.
    pub fn retained(&self, topic: &str, payload: Bytes) -> Given<'_> {
        self.state(topic, payload, Store::Latest)
    }

    /// Repeats what is retained on a topic to a broker that may have forgotten it, unless this connection's broker has it
    /// or will have it anyhow.
    pub fn refresh(&self, topic: &str, payload: Bytes) {
        let mut state = self.shared.lock();
        if !state.queue.is_known(topic) {
            state.queue.state(topic, payload, Store::Latest);
            drop(state);
            drop(Given(&self.shared));
        }
    }

    /// A message that is delivered once at least, within the bounds of the queue: when it is full, the oldest gives way.
    pub fn send(&self, message: Outgoing) -> Given<'_> {
        self.shared.lock().queue.send(message);
        Given(&self.shared)
    }

    /// How it is doing.
    pub fn status(&self) -> OutboxStatus {
        let state = self.shared.lock();
        let counters = state.queue.counters;
        let shelf = state.shelf.as_ref().map(Shelf::status).unwrap_or_default();
        // What waits in both is counted once, and what is on its way is counted as that.
        let stored = usize::try_from(shelf.waiting).unwrap_or(usize::MAX).saturating_sub(state.queue.kept());
        OutboxStatus {
            depth: state.queue.depth() + stored,
            in_flight: state.queue.in_flight(),
            delivered: counters.delivered,
            dropped: counters.dropped + shelf.dropped,
            failed: counters.failed,
            repeated: counters.repeated,
            connected: state.queue.is_connected(),
            bytes: shelf.bytes,
            problem: shelf.problem,
            doubt: state.doubt.clone(),
        }
    }

    /// For how long the thread of the connection has not asked for something to do. It does so every second, with or
    /// without a connection, unless it stands still.
    pub fn silence(&self) -> Duration {
        self.shared.lock().round.elapsed()
    }

    /// Drops what waits for this topic and its backlog, for an entity that is no more. What the store has is delivered.
    pub fn forget(&self, topic: &str) {
        self.shared.lock().queue.forget(topic);
    }

    /// From now on, what has to be on disk goes there at once.
    pub fn hurry(&self) {
        if let Some(shelf) = &self.shared.lock().shelf {
            shelf.hurry();
        }
    }

    /// Brings to the disk what has to be there, when nothing is given any more. Waits for `limit` at most.
    pub async fn close(&self, limit: Duration) {
        let shelf = self.shared.lock().shelf.clone();
        if let Some(shelf) = shelf {
            shelf.close(limit).await;
        }
    }

    pub(super) fn into_shared(self) -> Arc<Shared> {
        self.shared
    }
}

/// Something that was given to the outbox. The thread of the connection is told when this is dropped.
pub struct Given<'a>(&'a Arc<Shared>);

impl Given<'_> {
    /// What is next leaves on this thread, if nobody else is at it: that spares the time in which the thread of the connection
    /// wakes up. For threads that may wait for the library's lock: never in a callback or a task.
    pub fn now(self) {
        if let Ok(mut publisher) = self.0.publisher.try_lock() {
            publisher.publish(self.0);
        }
    }
}

impl Drop for Given<'_> {
    fn drop(&mut self) {
        let state = self.0.lock();
        if state.queue.depth() > 0 {
            self.0.wake(state);
        }
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Outbox").field(&self.status()).finish()
    }
}
