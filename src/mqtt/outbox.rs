//! The outbox: what waits until the broker has acknowledged it.

use super::message::Outgoing;
use super::queue::{Limits, Queue};
use crate::config::Store;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The thread of the connection asks for something to do at least this often.
const ROUND: Duration = Duration::from_secs(1);

/// A handle of the outbox; all of its clones are the same outbox.
///
/// No method waits for the network, and all may be called from any thread, before there is a connection too. What was
/// given is kept until the broker has acknowledged it, and sent again when that fails: receivers may see it twice.
#[derive(Clone, Debug)]
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
        let state = State { queue: Queue::new(limits), signals: VecDeque::new(), round: Instant::now() };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() }) }
    }

    /// The newest state of an entity: retained on `topic`, QoS 1.
    ///
    /// With [`Store::All`] every state is delivered: on `topic` while there is a connection, and those that an outage
    /// held up on `topic` + `/backlog`, not retained, oldest first, after the newest went to `topic`. With
    /// [`Store::Latest`] a state that still waits gives way to a newer one. With [`Store::None`] nothing is kept while
    /// there is no connection.
    pub fn state(&self, topic: &str, payload: Bytes, store: Store) {
        self.shared.lock().queue.state(topic, payload, store);
        self.shared.changed.notify_one();
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
            self.shared.changed.notify_one();
        }
    }

    /// A message that is delivered once at least, within the bounds of the queue: when it is full, the oldest gives way.
    pub fn send(&self, message: Outgoing) {
        self.shared.lock().queue.send(message);
        self.shared.changed.notify_one();
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

/// What the outbox, the library's callbacks and the thread of the connection share.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) queue: Queue,
    pub(super) signals: VecDeque<Signal>,
    /// When the thread of the connection last asked for something to do.
    pub(super) round: Instant,
}

/// What the thread of the connection is told.
#[derive(Debug)]
pub(super) enum Signal {
    /// The operation with this number is complete.
    Complete(u64),
    /// The broker says that it will close the connection, and why.
    Closing(String),
    /// The connection is lost.
    Lost,
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

    pub(super) fn signal(&self, signal: Signal) {
        let signals = &mut self.lock().signals;
        // However many follow each other: they are counted elsewhere.
        if !(matches!(signal, Signal::Overrun) && matches!(signals.back(), Some(Signal::Overrun))) {
            signals.push_back(signal);
        }
        self.changed.notify_one();
    }

    /// Waits for a change, until then at most, and not for longer than a round.
    pub(super) fn wait<'a>(&'a self, state: MutexGuard<'a, State>, until: Option<Instant>) -> MutexGuard<'a, State> {
        let limit = until.map_or(ROUND, |until| until.saturating_duration_since(Instant::now()).min(ROUND));
        self.changed.wait_timeout(state, limit).unwrap_or_else(PoisonError::into_inner).0
    }
}
