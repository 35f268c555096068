//! The thread of the connection: connects, subscribes, publishes, and learns what became of it.
//!
//! Every call into the library is made here, since each may wait for the library's global lock; but for workers that
//! publish what they have to tell themselves ([`Given::now`](super::outbox::Given::now)), which is followed here
//! all the same. What the library's callbacks have to tell comes as signals.
//!
//! Each connection has a client of the library of its own. One that was used again would keep what it had not written
//! when the connection broke, and send that before what a broker that lost the session makes fail: messages would
//! overtake each other. So everything that is not acknowledged goes back into the queue when a connection breaks, to its
//! old place. The session at the broker lives on all the same, for what others send meanwhile.

mod back;
mod end;
mod loss;
mod open;
mod operations;

use super::broker::{Broker, Will};
use super::client::Error;
use super::grants::Grants;
use super::message::{Event, Protocol, Settings};
use super::shared::{Shared, Signal};
use back::LookBack;
use loss::{LONGEST_PAUSE, SHORTEST_PATIENCE, SHORTEST_PAUSE};
use operations::Operation;
use paho_mqtt::{AsyncClient, ConnectOptions};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tracing::warn;

/// How soon to try again what a full channel did not take.
const MOMENT: Duration = Duration::from_millis(100);

/// Makes options to connect to this URL, with a new session or the one there was, and with a last will.
pub(super) type MakeOptions = Box<dyn Fn(&str, bool, Option<Will>) -> Result<ConnectOptions, Error> + Send>;

/// Makes a client of the library: one that signals what happens to it, or one that tries whether a broker lets us in.
pub(super) type MakeClient = Box<dyn Fn(bool) -> paho_mqtt::Result<AsyncClient> + Send>;

/// See the module.
pub(super) struct Connection {
    client: AsyncClient,
    make_client: MakeClient,
    make_options: MakeOptions,
    client_id: String,
    protocol: Protocol,
    brokers: Vec<Broker>,
    /// How long a broker keeps our session.
    session: Duration,
    keep_alive: Duration,
    will_topic: Option<String>,
    /// Where a message goes that an earlier broker of the list has to acknowledge.
    probe_topic: Option<String>,
    subscriptions: BTreeMap<String, u8>,
    /// Filters that the session at the broker may still have.
    unwanted: BTreeSet<String>,
    shared: Arc<Shared>,
    events: mpsc::Sender<Event>,
    phase: Phase,
    /// The one that is taken now, and how many failed since the last pause.
    broker: usize,
    failures: usize,
    pause: Duration,
    /// When the last connection was lost, and its session began to age.
    lost: Option<Instant>,
    /// What the broker said before it closed the connection, and whether another client took it.
    why: Option<String>,
    taken_over: bool,
    /// When the connection was made, and how many in a row were short.
    connected_at: Instant,
    short: u32,
    look_back: LookBack,
    /// In the order in which they began.
    operations: BTreeMap<u64, Operation>,
    /// How long this connection's broker may take for the oldest of them, and since when which one is that.
    patience: Duration,
    oldest: (u64, Instant),
    /// The broker that was given up last for want of acknowledgements, until it has proven better.
    doubted: Option<usize>,
    /// Which connection it is, and how many of its subscriptions are not answered yet.
    connection: u64,
    unanswered: usize,
    /// What happened last to the connection, if the channel was full then.
    untold: Option<Event>,
    overrun_logged: Option<Instant>,
    stop: Option<Instant>,
}

enum Phase {
    Waiting(Instant),
    Connecting,
    Connected,
}

enum Task {
    Hear(Vec<Signal>),
    Tell,
    Connect,
    LookBack,
    GiveUp,
    Publish,
    End,
}

impl Connection {
    pub(super) fn new(
        make_client: MakeClient,
        make_options: MakeOptions,
        settings: &Settings,
        will_topic: Option<&str>,
        subscriptions: Vec<(String, u8)>,
        shared: Arc<Shared>,
        events: mpsc::Sender<Event>,
    ) -> paho_mqtt::Result<Self> {
        Ok(Self {
            client: make_client(false)?,
            make_client,
            make_options,
            client_id: settings.client_id.clone(),
            protocol: settings.protocol,
            brokers: settings.urls.iter().map(|url| Broker::new(url)).collect(),
            session: settings.session,
            keep_alive: settings.keep_alive,
            will_topic: will_topic.map(ToOwned::to_owned),
            probe_topic: settings.probe_topic.clone(),
            subscriptions: subscriptions.into_iter().collect(),
            unwanted: BTreeSet::new(),
            shared,
            events,
            phase: Phase::Waiting(Instant::now()),
            broker: 0,
            failures: 0,
            pause: SHORTEST_PAUSE,
            lost: None,
            why: None,
            taken_over: false,
            connected_at: Instant::now(),
            short: 0,
            look_back: LookBack::NONE,
            operations: BTreeMap::new(),
            patience: SHORTEST_PATIENCE,
            oldest: (0, Instant::now()),
            doubted: None,
            connection: 0,
            unanswered: 0,
            untold: None,
            overrun_logged: None,
            stop: None,
        })
    }

    pub(super) fn run(mut self) {
        loop {
            match self.next_task() {
                Task::Hear(signals) => signals.into_iter().for_each(|signal| self.hear(signal)),
                Task::Tell => {
                    if let Some(event) = self.untold.take() {
                        self.tell(event);
                    }
                }
                Task::Connect => self.connect(),
                Task::LookBack => self.look_back(),
                Task::GiveUp => self.give_up(),
                Task::Publish => self.shared.publisher().publish(&self.shared),
                Task::End => return self.end(),
            }
        }
    }

    /// Waits until there is something to do. The lock is not held while it is done.
    fn next_task(&mut self) -> Task {
        let shared = self.shared.clone();
        let mut state = shared.lock();
        let mut told_at = None;
        loop {
            state.round = Instant::now();
            if !state.signals.is_empty() {
                return Task::Hear(state.signals.drain(..).collect());
            }
            let now = Instant::now();
            if self.untold.is_some() && *told_at.get_or_insert(now + MOMENT) <= now {
                return Task::Tell;
            }
            let connected = matches!(self.phase, Phase::Connected);
            let first = self.operations.first_key_value().map_or(0, |(number, _)| *number);
            if first != self.oldest.0 {
                self.oldest = (first, now);
            }
            if connected && first != 0 && self.oldest.1 + self.patience <= now {
                return Task::GiveUp;
            }
            let idle = state.queue.depth() == 0 && state.queue.in_flight() == 0;
            if self.stop.is_some_and(|stop| stop <= now || !connected || idle) {
                return Task::End;
            }
            let connect_at = match self.phase {
                Phase::Waiting(at) if at <= now => return Task::Connect,
                Phase::Waiting(at) => Some(at),
                Phase::Connecting | Phase::Connected => None,
            };
            if self.stop.is_none() {
                state.fetch();
            }
            let look_back = self.look_back.at.filter(|_| connected);
            if look_back.is_some_and(|at| at <= now) {
                return Task::LookBack;
            }
            let held_until = state.held_until.filter(|until| *until > now);
            if held_until.is_none() && state.queue.is_ready() {
                return Task::Publish;
            }
            let until = [told_at, self.stop, connect_at, look_back, held_until].into_iter().flatten().min();
            state = shared.wait(state, until, self.stop.is_some());
        }
    }

    fn hear(&mut self, signal: Signal) {
        match signal {
            Signal::Complete(number) => {
                if let Some(operation) = self.operations.remove(&number) {
                    self.follow(number, operation);
                }
            }
            Signal::Published { connection, number, operation, token, end }
                if connection == self.connection && matches!(self.phase, Phase::Connected) =>
            {
                let publish = Operation::Publish(number, token);
                match end {
                    Some(result) => self.complete(publish, result.map(|()| Grants::default())),
                    None => self.follow(operation, publish),
                }
            }
            Signal::Published { number, .. } => self.shared.lock().queue.lost(number),
            Signal::Closing { why, taken_over } => {
                (self.why, self.taken_over) = (Some(why), taken_over);
                // The library takes the connection for closed then, and says no more of it.
                self.lose();
            }
            Signal::Lost => self.lose(),
            Signal::LookedBack { broker, result } => self.looked_back(broker, result),
            Signal::Overrun => {
                if self.overrun_logged.is_none_or(|at| at.elapsed() > LONGEST_PAUSE) {
                    self.overrun_logged = Some(Instant::now());
                    warn!("messages from the broker are refused: those before them wait to be taken");
                }
            }
            Signal::Subscribe(filters) => {
                for (filter, qos) in filters {
                    self.subscribe(&filter, qos);
                    self.unwanted.remove(&filter);
                    self.subscriptions.insert(filter, qos);
                }
            }
            Signal::Unsubscribe(filters) => {
                for filter in filters {
                    if self.subscriptions.remove(&filter).is_some() {
                        self.unsubscribe(&filter);
                        self.unwanted.insert(filter);
                    }
                }
            }
            Signal::Stop(until) => self.stop = Some(until),
        }
    }

    /// Only the newest of what could not be told counts.
    fn tell(&mut self, event: Event) {
        self.untold = match self.events.try_send(event) {
            Err(mpsc::error::TrySendError::Full(event)) => Some(event),
            // When nobody listens any more, the outbox may still have work.
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => None,
        };
    }
}
