//! The outbox: what waits until the broker has acknowledged it.

use super::line::Line;
use super::message::Outgoing;
use super::queue::{Limits, Queue};
use crate::config::Store;
use crate::problem::Problem;
use crate::store::{Chunk, Number, Shelf};
use bytes::Bytes;
use paho_mqtt::DeliveryToken;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// The thread of the connection asks for something to do at least this often.
const ROUND: Duration = Duration::from_secs(1);

/// A handle of the outbox; all of its clones are the same outbox.
///
/// No method waits for the network, and all but [`send_now`](Self::send_now) may be called from any thread, before there is
/// a connection too. What was given is kept until the broker has acknowledged it, and sent again when that fails: receivers
/// may see it twice.
#[derive(Clone)]
pub struct Outbox {
    shared: Arc<Shared>,
}

/// How the outbox is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutboxStatus {
    /// Messages and states that wait, here and in the store.
    pub depth: usize,
    /// Messages and states that are on their way and not acknowledged yet.
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
        let state = State {
            queue: Queue::new(limits),
            shelf,
            signals: VecDeque::new(),
            waiting: false,
            held_until: None,
            doubt: None,
            round: Instant::now(),
        };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), line: Mutex::default() }) }
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
    pub fn state(&self, topic: &str, payload: Bytes, store: Store) {
        let mut state = self.shared.lock();
        let given = state.queue.state(topic, payload.clone(), store);
        state.keep(given, payload, store, false);
        self.shared.wake(state);
    }

    /// Something that happened to an entity: on the topic of its states and in order with them, QoS 1, not retained.
    ///
    /// With [`Store::All`] those of an outage are delivered on `topic` + `/backlog`, like states; else they are dropped.
    pub fn event(&self, topic: &str, payload: Bytes, store: Store) {
        let mut state = self.shared.lock();
        let given = state.queue.event(topic, payload.clone(), store);
        state.keep(given, payload, store, true);
        self.shared.wake(state);
    }

    /// A retained message of which only the newest counts. An empty payload clears the topic.
    pub fn retained(&self, topic: &str, payload: Bytes) {
        self.state(topic, payload, Store::Latest);
    }

    /// Repeats what is retained on a topic to a broker that may have forgotten it, unless this connection's broker has it
    /// or will have it anyhow.
    pub fn refresh(&self, topic: &str, payload: Bytes) {
        let mut state = self.shared.lock();
        if !state.queue.is_known(topic) {
            state.queue.state(topic, payload, Store::Latest);
            self.shared.wake(state);
        }
    }

    /// A message that is delivered once at least, within the bounds of the queue: when it is full, the oldest gives way.
    pub fn send(&self, message: Outgoing) {
        let mut state = self.shared.lock();
        state.queue.send(message);
        self.shared.wake(state);
    }

    /// Like [`send`](Self::send), and what is next leaves on this thread, if nobody else is at it, rather than on that of
    /// the connection: that spares the time in which that one wakes up. For threads that may wait for the library's lock:
    /// never in a callback or a task.
    pub fn send_now(&self, message: Outgoing) {
        self.shared.lock().queue.send(message);
        if let Ok(mut line) = self.shared.line.try_lock() {
            line.publish(&self.shared);
        }
        let state = self.shared.lock();
        if state.queue.depth() > 0 {
            self.shared.wake(state);
        }
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

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Outbox").field(&self.status()).finish()
    }
}

/// What the outbox, the library's callbacks and the thread of the connection share.
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    line: Mutex<Line>,
}

pub(super) struct State {
    pub(super) queue: Queue,
    shelf: Option<Shelf>,
    pub(super) signals: VecDeque<Signal>,
    /// Whether the thread of the connection waits, and nobody has woken it yet.
    waiting: bool,
    /// Nothing is published before.
    pub(super) held_until: Option<Instant>,
    /// What is wrong with a broker that lets us in.
    pub(super) doubt: Option<Problem>,
    /// When the thread of the connection last asked for something to do.
    pub(super) round: Instant,
}

impl State {
    /// Lets the store keep what was given, if it has to be kept.
    fn keep(&mut self, given: Option<(Number, Arc<str>)>, payload: Bytes, store: Store, is_event: bool) {
        if let (Some((number, topic)), Some(shelf), Store::All) = (given, &self.shelf, store)
            && shelf.keep(number, topic, payload, is_event)
        {
            self.queue.keep(number);
        }
    }

    /// The broker has it.
    pub(super) fn delivered(&mut self, number: Number) {
        self.queue.delivered(number);
        self.release();
    }

    /// The broker does not want it.
    pub(super) fn refused(&mut self, number: Number) {
        self.queue.refused(number);
        self.release();
    }

    fn release(&mut self) {
        let released = self.queue.released();
        if let Some(shelf) = &self.shelf {
            released.into_iter().for_each(|number| shelf.done(number));
        }
    }

    /// Asks the store for more of what waits there, when it is time.
    pub(super) fn fetch(&mut self) {
        if let Some(shelf) = &self.shelf
            && let Some(want) = self.queue.want()
        {
            shelf.fetch(want);
        }
    }

    fn refill(&mut self, chunk: Chunk) {
        if let Some(shelf) = &self.shelf {
            self.queue.refill(chunk.ticket, chunk.samples, |number| shelf.needs(number));
        }
    }
}

/// What the thread of the connection is told.
pub(super) enum Signal {
    /// The operation with this number is complete.
    Complete(u64),
    /// What has this number in the queue was published on this connection.
    Published { connection: u64, number: Number, token: DeliveryToken },
    /// The broker says that it will close the connection, and why; whether it does because of another client with our
    /// identifier.
    Closing { why: String, taken_over: bool },
    /// The connection is lost.
    Lost,
    /// Whether this broker of the list is in order, and else why not.
    LookedBack { way: usize, result: Result<(), String> },
    /// Messages from the broker were refused: nobody took those before them.
    Overrun,
    /// Subscribe to these filters with these qualities of service, now and on every connect.
    Subscribe(Vec<(String, u8)>),
    /// Subscribe to these filters no more.
    Unsubscribe(Vec<String>),
    /// Send what waits until then, and end.
    Stop(Instant),
}

impl Shared {
    /// Nothing that holds this lock waits for anything, so callbacks may take it.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic cannot leave the state half-changed in a way that matters more than going on.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The way out. Whoever has it may wait for the library, so callbacks must not take it, nor whoever holds the lock.
    pub(super) fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn signal(&self, signal: Signal) {
        let mut state = self.lock();
        // However many follow each other: they are counted elsewhere.
        if !(matches!(signal, Signal::Overrun) && matches!(state.signals.back(), Some(Signal::Overrun))) {
            state.signals.push_back(signal);
        }
        self.wake(state);
    }

    /// Wakes the thread of the connection, without the lock, since it takes that first. A wake-up is a system call, so there
    /// is one only, however many have something for it meanwhile.
    fn wake(&self, mut state: MutexGuard<'_, State>) {
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        if waiting {
            self.changed.notify_one();
        }
    }

    /// Waits for a change, until then at most, and not for longer than a round.
    pub(super) fn wait<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        until: Option<Instant>,
    ) -> MutexGuard<'a, State> {
        let limit = until.map_or(ROUND, |until| until.saturating_duration_since(Instant::now()).min(ROUND));
        state.waiting = true;
        let mut state = self.changed.wait_timeout(state, limit).unwrap_or_else(PoisonError::into_inner).0;
        state.waiting = false;
        state
    }
}
