//! The outbox: what waits until the broker has acknowledged it.

use super::line::Line;
use super::message::Outgoing;
use super::queue::{Limits, Number, Queue};
use crate::config::Store;
use bytes::Bytes;
use paho_mqtt::DeliveryToken;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboxStatus {
    /// Messages and states that wait.
    pub depth: usize,
    /// Messages and states that are on their way and not acknowledged yet.
    pub in_flight: usize,
    /// Acknowledged since the start.
    pub delivered: u64,
    /// Given up since the start because a queue was full, or because an entity keeps nothing in an outage.
    pub dropped: u64,
    /// Given up since the start because the broker refused them, or because no broker takes such a topic.
    pub failed: u64,
    /// Lost on the way since the start, and sent again unless a newer state had replaced them.
    pub repeated: u64,
    /// Whether there is a connection.
    pub connected: bool,
}

impl Outbox {
    /// An empty outbox with these bounds.
    pub fn new(limits: Limits) -> Self {
        let state = State {
            queue: Queue::new(limits),
            signals: VecDeque::new(),
            waiting: false,
            held_until: None,
            round: Instant::now(),
        };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), line: Mutex::default() }) }
    }

    /// The newest state of an entity: retained on `topic`, QoS 1.
    ///
    /// With [`Store::All`] every state is delivered: on `topic` while there is a connection, and those that an outage
    /// held up on `topic` + `/backlog`, not retained, oldest first, after the newest went to `topic`. With
    /// [`Store::Latest`] a state that still waits gives way to a newer one. With [`Store::None`] nothing is kept while
    /// there is no connection.
    pub fn state(&self, topic: &str, payload: Bytes, store: Store) {
        let mut state = self.shared.lock();
        state.queue.state(topic, payload, store);
        self.shared.wake(state);
    }

    /// Something that happened to an entity: on the topic of its states and in order with them, QoS 1, not retained.
    ///
    /// With [`Store::All`] those of an outage are delivered on `topic` + `/backlog`, like states; else they are dropped.
    pub fn event(&self, topic: &str, payload: Bytes, store: Store) {
        self.shared.lock().queue.event(topic, payload, store);
        self.shared.changed.notify_one();
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
        OutboxStatus {
            depth: state.queue.depth(),
            in_flight: state.queue.in_flight(),
            delivered: counters.delivered,
            dropped: counters.dropped,
            failed: counters.failed,
            repeated: counters.repeated,
            connected: state.queue.is_connected(),
        }
    }

    /// For how long the thread of the connection has not asked for something to do. It does so every second, with or
    /// without a connection, unless it stands still.
    pub fn silence(&self) -> Duration {
        self.shared.lock().round.elapsed()
    }

    /// Drops what waits for this topic and its backlog, for an entity that is no more.
    pub fn forget(&self, topic: &str) {
        self.shared.lock().queue.forget(topic);
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
    pub(super) signals: VecDeque<Signal>,
    /// Whether the thread of the connection waits, and nobody has woken it yet.
    waiting: bool,
    /// Nothing is published before.
    pub(super) held_until: Option<Instant>,
    /// When the thread of the connection last asked for something to do.
    pub(super) round: Instant,
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
    /// Whether this broker of the list accepts connections.
    Reached { way: usize, is_there: bool },
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
