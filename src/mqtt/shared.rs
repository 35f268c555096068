//! What the outbox, the library's callbacks and the thread of the connection share, and what that thread is told.

use super::publisher::Publisher;
use super::queue::{Limits, Queue};
use crate::config::Store;
use crate::problem::Problem;
use crate::store::{Chunk, Number, Shelf};
use bytes::Bytes;
use paho_mqtt::DeliveryToken;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

/// The thread of the connection asks for something to do at least this often.
const ROUND: Duration = Duration::from_secs(1);
/// It is woken for this many signals, even if none of them is for now.
const MANY: usize = 64;

/// What the outbox, the library's callbacks and the thread of the connection share.
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    pub(super) publisher: Mutex<Publisher>,
    operations: AtomicU64,
}

pub(super) struct State {
    pub(super) queue: Queue,
    pub(super) shelf: Option<Shelf>,
    pub(super) signals: VecDeque<Signal>,
    /// Whether the thread of the connection waits, and nobody has woken it yet.
    waiting: bool,
    /// Whether it waits for the end of all that is on its way.
    ending: bool,
    /// Nothing is published before.
    pub(super) held_until: Option<Instant>,
    /// What is wrong with a broker that lets us in.
    pub(super) doubt: Option<Problem>,
    /// When the thread of the connection last asked for something to do.
    pub(super) round: Instant,
}

impl State {
    /// Lets the store keep what was given, if it has to be kept.
    pub(super) fn keep(&mut self, given: Option<(Number, Arc<str>)>, payload: Bytes, store: Store, is_event: bool) {
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

    pub(super) fn refill(&mut self, chunk: Chunk) {
        if let Some(shelf) = &self.shelf {
            self.queue.refill(chunk.ticket, chunk.samples, |number| shelf.needs(number));
        }
    }
}

/// What the thread of the connection is told.
pub(super) enum Signal {
    /// The operation with this number is complete.
    Complete(u64),
    /// What has this number in the queue was published on this connection, as this operation. It may have come to its end.
    Published {
        connection: u64,
        number: Number,
        operation: u64,
        token: DeliveryToken,
        end: Option<paho_mqtt::Result<()>>,
    },
    /// The broker says that it will close the connection, and why; whether it does because of another client with our
    /// identifier.
    Closing { why: String, taken_over: bool },
    /// The connection is lost.
    Lost,
    /// Whether this broker of the list is in order, and else why not.
    LookedBack { broker: usize, result: Result<(), String> },
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
    pub(super) fn new(limits: Limits, shelf: Option<Shelf>) -> Self {
        let state = State {
            queue: Queue::new(limits),
            shelf,
            signals: VecDeque::new(),
            waiting: false,
            ending: false,
            held_until: None,
            doubt: None,
            round: Instant::now(),
        };
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
            publisher: Mutex::default(),
            operations: AtomicU64::new(0),
        }
    }

    /// Nothing that holds this lock waits for anything, so callbacks may take it.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic cannot leave the state half-changed in a way that matters more than going on.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The way out. Whoever has it may wait for the library, so callbacks must not take it, nor whoever holds the lock.
    pub(super) fn publisher(&self) -> MutexGuard<'_, Publisher> {
        self.publisher.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number for something that the library will complete; each is higher than all before.
    pub(super) fn new_operation(&self) -> u64 {
        self.operations.fetch_add(1, Relaxed) + 1
    }

    /// Tells the thread of the connection when that operation is complete.
    pub(super) fn waker(self: &Arc<Self>, operation: u64, heard: Heard) -> Waker {
        Waker::from(Arc::new(Completion { operation, heard, shared: Arc::clone(self) }))
    }

    /// A signal that changes nothing unless something waits to be sent: else the thread of the connection hears it with the
    /// next one, or in its next round. On a small machine each time that it wakes takes the place of whatever is done for a
    /// command then.
    pub(super) fn signal_in_time(&self, signal: Signal) {
        let mut state = self.lock();
        state.signals.push_back(signal);
        if state.ending || state.queue.depth() > 0 || state.signals.len() >= MANY {
            self.wake(state);
        }
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
    pub(super) fn wake(&self, mut state: MutexGuard<'_, State>) {
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        if waiting {
            self.changed.notify_one();
        }
    }

    /// Waits for a change, until then at most, and not for longer than a round. `ending`: for all that is on its way.
    pub(super) fn wait<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        until: Option<Instant>,
        ending: bool,
    ) -> MutexGuard<'a, State> {
        let limit = until.map_or(ROUND, |until| until.saturating_duration_since(Instant::now()).min(ROUND));
        (state.waiting, state.ending) = (true, ending);
        let mut state = self.changed.wait_timeout(state, limit).unwrap_or_else(PoisonError::into_inner).0;
        state.waiting = false;
        state
    }
}

/// How soon the end of an operation is heard of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    AtOnce,
    InTime,
}

/// Signals that an operation is complete. The library wakes it on a thread of its own, with its global lock held.
struct Completion {
    operation: u64,
    heard: Heard,
    shared: Arc<Shared>,
}

impl Wake for Completion {
    fn wake(self: Arc<Self>) {
        let signal = Signal::Complete(self.operation);
        match self.heard {
            Heard::AtOnce => self.shared.signal(signal),
            Heard::InTime => self.shared.signal_in_time(signal),
        }
    }
}
