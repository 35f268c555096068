//! The thread of the connection: connects, subscribes, publishes, and learns what became of it.
//!
//! Every call into the library is made here, since each may wait for the library's global lock; but for workers that
//! publish what they have to tell themselves ([`Outbox::send_now`](super::outbox::Outbox::send_now)), which is followed here
//! all the same. What the library's callbacks have to tell comes as signals.
//!
//! Each connection has a client of the library of its own. One that was used again would keep what it had not written
//! when the connection broke, and send that before what a broker that lost the session makes fail: messages would
//! overtake each other. So everything that is not acknowledged goes back into the queue when a connection breaks, to its
//! old place. The session at the broker lives on all the same, for what others send meanwhile.

mod back;

use super::client::{CONNECT_TIMEOUT, Error, GOODBYE};
use super::grants::Grants;
use super::message::{Event, Protocol, Settings};
use super::outbox::{Shared, Signal};
use super::way::{Way, Will};
use super::words;
use crate::problem::Problem;
use back::LookBack;
use paho_mqtt::{
    AsyncClient, ConnectOptions, DeliveryToken, DisconnectOptions, DisconnectOptionsBuilder, Properties, PropertyCode,
    QoS, ReasonCode, Token,
};
use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tracing::{debug, error, info, warn};

/// The pause before the first try to connect again is between a half of twice this and all of it, and doubles with each
/// try. The library's own reconnect looks at its clock every 3 s only, so a broker that restarts would wait for nothing.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause: a broker that comes back finds its agents within this, spread over half of it.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How soon to try again what a full channel did not take.
const MOMENT: Duration = Duration::from_millis(100);

/// A connection that is lost sooner than this was none. After so many of them in a row, somebody else may have our
/// identifier, or the broker something against us, and the first pause is longer than it would be.
const SHORT: Duration = Duration::from_secs(5);
const FEW: u32 = 3;
const PAUSE_OF_SHORT: Duration = Duration::from_secs(4);

/// A broker that has not acknowledged for so many times its keep-alive is given up, though it answers pings: an answer to a
/// ping that took half of that would have ended the connection already, so this is no network that is slow. One that is slow
/// with its work is not left as long as it acknowledges anything within this time, in the order in which it got it.
const KEEP_ALIVES: u32 = 2;
/// But not sooner: brokers with a short keep-alive may write to a slow disk all the same.
const SHORTEST_PATIENCE: Duration = Duration::from_secs(10);

/// Makes options to connect to this URL, with a new session or the one there was, and with a last will.
pub(super) type MakeOptions = Box<dyn Fn(&str, bool, Option<Will>) -> Result<ConnectOptions, Error> + Send>;

/// Makes a client of the library: one that signals what happens to it, or one that tries whether a broker lets us in.
pub(super) type MakeClient = Box<dyn Fn(bool) -> paho_mqtt::Result<AsyncClient> + Send>;

/// See the module.
pub(super) struct Link {
    client: AsyncClient,
    make_client: MakeClient,
    make_options: MakeOptions,
    client_id: String,
    protocol: Protocol,
    ways: Vec<Way>,
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
    /// The way that is taken now, and how many failed since the last pause.
    way: usize,
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
    last_operation: u64,
    /// How long this connection's broker may take for the oldest of them, and since when which one is that.
    patience: Duration,
    oldest: (u64, Instant),
    /// The way that was given up last for want of acknowledgements, until it has proven better.
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

/// Something that the library will complete.
enum Operation {
    Connect(Token),
    /// What has this number in the queue.
    Publish(u64, DeliveryToken),
    Greeting(DeliveryToken),
    Subscribe {
        filter: String,
        connection: u64,
        token: Token,
    },
    Unsubscribe {
        filter: String,
        token: Token,
    },
}

impl Operation {
    /// What it is, for people.
    fn name(&self) -> String {
        match self {
            Self::Connect(_) => "a connect".to_owned(),
            Self::Publish(_, token) | Self::Greeting(token) => format!("a message on {}", token.message().topic()),
            Self::Subscribe { filter, .. } => format!("a subscription to {filter}"),
            Self::Unsubscribe { filter, .. } => format!("the end of a subscription to {filter}"),
        }
    }
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

impl Link {
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
            ways: settings.urls.iter().map(|url| Way::new(url)).collect(),
            session: settings.session,
            keep_alive: settings.keep_alive,
            will_topic: will_topic.map(ToOwned::to_owned),
            probe_topic: settings.probe_topic.clone(),
            subscriptions: subscriptions.into_iter().collect(),
            unwanted: BTreeSet::new(),
            shared,
            events,
            phase: Phase::Waiting(Instant::now()),
            way: 0,
            failures: 0,
            pause: SHORTEST_PAUSE,
            lost: None,
            why: None,
            taken_over: false,
            connected_at: Instant::now(),
            short: 0,
            look_back: LookBack::NONE,
            operations: BTreeMap::new(),
            last_operation: 0,
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
                Task::Publish => self.shared.line().publish(&self.shared),
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
            state = shared.wait(state, until);
        }
    }

    fn hear(&mut self, signal: Signal) {
        match signal {
            Signal::Complete(number) => {
                if let Some(operation) = self.operations.remove(&number) {
                    self.follow(number, operation);
                }
            }
            Signal::Published { connection, number, token }
                if connection == self.connection && matches!(self.phase, Phase::Connected) =>
            {
                self.start(Operation::Publish(number, token));
            }
            Signal::Published { number, .. } => self.shared.lock().queue.lost(number),
            Signal::Closing { why, taken_over } => {
                (self.why, self.taken_over) = (Some(why), taken_over);
                // The library takes the connection for closed then, and says no more of it.
                self.lose();
            }
            Signal::Lost => self.lose(),
            Signal::LookedBack { way, result } => self.looked_back(way, result),
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

    fn connect(&mut self) {
        let way = &self.ways[self.way];
        // A new process has no use for commands that were given to the one before, nor has one that was away for long.
        let fresh = self.lost.is_none_or(|lost| lost.elapsed() > self.session);
        debug!("connecting to {}", way.url);
        match (self.make_options)(&way.url, fresh, Some(way.will)) {
            Ok(options) => {
                self.phase = Phase::Connecting;
                let token = self.client.connect(options);
                self.start(Operation::Connect(token));
            }
            // It worked when this began.
            Err(error) => self.try_again(error.to_string()),
        }
    }

    fn connected(&mut self, grants: Grants) {
        info!("connected to {}", self.ways[self.way].url);
        if !grants.retain {
            warn!("the broker keeps no messages: who comes later sees a state when it is published again");
        }
        self.taken_over = false;
        self.connected_at = Instant::now();
        self.patience = (grants.keep_alive.unwrap_or(self.keep_alive) * KEEP_ALIVES).max(SHORTEST_PATIENCE);
        self.look_back = LookBack::NONE;
        if self.way > 0 {
            self.look_back.plan();
        }
        self.phase = Phase::Connected;
        self.failures = 0;
        self.pause = SHORTEST_PAUSE;
        self.why = None;
        self.connection += 1;
        // One more, until all is begun: answers can be here already, and it shall be told once.
        self.unanswered = 1;
        for filter in self.unwanted.clone() {
            self.unsubscribe(&filter);
        }
        for (filter, qos) in self.subscriptions.clone() {
            self.subscribe(&filter, qos);
        }
        self.ways[self.way].will.fit(grants);
        // After the subscriptions: whoever hears it can be heard. When it gets lost, so does the connection, and the next
        // one has a greeting of its own. A broker that does not acknowledge it is none.
        if let Some(topic) = &self.will_topic
            && let Ok(token) = self.client.try_publish(self.ways[self.way].will.message(topic, "online"))
        {
            self.unanswered += 1;
            self.start(Operation::Greeting(token));
        }
        self.shared.line().open(self.client.clone(), self.connection, grants);
        let mut state = self.shared.lock();
        state.queue.allow(grants.in_flight);
        state.queue.connected();
        drop(state);
        self.answered();
    }

    /// One more of what the connection begins with was answered.
    fn answered(&mut self) {
        self.unanswered -= 1;
        if self.unanswered == 0 && matches!(self.phase, Phase::Connected) {
            self.tell(Event::Connected);
        }
    }

    fn subscribe(&mut self, filter: &str, qos: u8) {
        if !matches!(self.phase, Phase::Connected) {
            return; // It is made with all others on the next connect.
        }
        // QoS 2 needs a memory of what has arrived, which the client of one connection has not.
        let qos = if qos == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce };
        self.unanswered += 1;
        let token = self.client.subscribe(filter, qos);
        self.start(Operation::Subscribe { filter: filter.to_owned(), connection: self.connection, token });
    }

    fn unsubscribe(&mut self, filter: &str) {
        if matches!(self.phase, Phase::Connected) {
            let token = self.client.unsubscribe(filter);
            self.start(Operation::Unsubscribe { filter: filter.to_owned(), token });
        }
    }

    fn start(&mut self, operation: Operation) {
        self.last_operation += 1;
        self.follow(self.last_operation, operation);
    }

    /// Ends the operation if it is complete, and else asks for a signal when it will be.
    fn follow(&mut self, number: u64, mut operation: Operation) {
        let waker = Waker::from(Arc::new(Completion { number, shared: self.shared.clone() }));
        let mut context = Context::from_waker(&waker);
        let poll = match &mut operation {
            Operation::Publish(_, token) | Operation::Greeting(token) => {
                Pin::new(token).poll(&mut context).map_ok(|()| Grants::default())
            }
            Operation::Connect(token) | Operation::Subscribe { token, .. } | Operation::Unsubscribe { token, .. } => {
                Pin::new(token).poll(&mut context).map_ok(|answer| Grants::of(answer.properties()))
            }
        };
        match poll {
            Poll::Pending => drop(self.operations.insert(number, operation)),
            Poll::Ready(result) => self.complete(operation, result),
        }
    }

    fn complete(&mut self, operation: Operation, result: paho_mqtt::Result<Grants>) {
        match (operation, result) {
            (Operation::Connect(_), Ok(grants)) => self.connected(grants),
            (Operation::Connect(_), Err(error)) => {
                let way = &mut self.ways[self.way];
                let before = way.will;
                match &error {
                    paho_mqtt::Error::ReasonCode(ReasonCode::QosNotSupported, _) => way.will.qos = QoS::AtMostOnce,
                    paho_mqtt::Error::ReasonCode(ReasonCode::RetainNotSupported, _) => way.will.retained = false,
                    _ => (),
                }
                let url = &way.url;
                let why = format!("{url}: {}", words::refusal(url, &error));
                if way.will != before {
                    debug!("{why}: another try with what it supports");
                    return self.phase = Phase::Waiting(Instant::now());
                }
                self.failures += 1;
                self.way = (self.way + 1) % self.ways.len();
                self.try_again(why);
            }
            (Operation::Publish(number, _), Ok(_)) => {
                let mut state = self.shared.lock();
                state.delivered(number);
                if self.doubted == Some(self.way) && self.connected_at.elapsed() > self.patience {
                    self.doubted = None;
                    state.doubt = None;
                }
            }
            (Operation::Publish(number, token), Err(paho_mqtt::Error::ReasonCode(reason, _))) => {
                warn!("the broker refuses a message on {}: {reason}", token.message().topic());
                self.shared.lock().refused(number);
            }
            (Operation::Publish(number, _), Err(error)) => {
                debug!("a message is sent again: {error}");
                self.shared.lock().queue.lost(number);
            }
            (Operation::Subscribe { filter, connection, .. }, result) if connection == self.connection => {
                if let Err(error) = result {
                    warn!("no subscription to {filter}: {error}");
                }
                self.answered();
            }
            (Operation::Greeting(_), Ok(_)) => self.answered(),
            (Operation::Greeting(token), Err(paho_mqtt::Error::ReasonCode(reason, _))) => {
                warn!("the broker refuses a message on {}: {reason}", token.message().topic());
                self.answered();
            }
            (Operation::Unsubscribe { filter, .. }, Ok(_)) => drop(self.unwanted.remove(&filter)),
            // The next connect makes up for them.
            (Operation::Subscribe { .. } | Operation::Greeting(_) | Operation::Unsubscribe { .. }, _) => (),
        }
    }

    fn lose(&mut self) {
        if !matches!(self.phase, Phase::Connected) || !self.leave() {
            return;
        }
        self.lost = Some(Instant::now());
        self.short = if self.connected_at.elapsed() < SHORT { self.short + 1 } else { 0 };
        let mut why = self.why.take().unwrap_or_else(|| "the connection broke".to_owned());
        if std::mem::take(&mut self.taken_over) {
            let id = &self.client_id;
            error!("another client connects as `{id}`, and takes the connection: each agent needs an `id` of its own");
            self.pause = LONGEST_PAUSE;
        } else if self.short >= FEW {
            why += &format!("; it never lasts: does another client connect as `{}`?", self.client_id);
            self.pause = PAUSE_OF_SHORT;
        }
        self.try_again(why);
    }

    /// Leaves a broker that takes what it gets and acknowledges nothing. What it got goes to the next one of the list, or to
    /// the same one again.
    fn give_up(&mut self) {
        let way = self.way;
        let url = &self.ways[way].url;
        let what = self.operations.first_key_value().map_or_else(String::new, |(_, operation)| operation.name());
        let why = format!("{url} has not acknowledged {what} for {} s", self.oldest.1.elapsed().as_secs());
        // Its last will is void when we go. Without an acknowledgement, for which there is no place any more.
        if let Some(topic) = &self.will_topic {
            let will = Will { qos: QoS::AtMostOnce, ..self.ways[way].will };
            let told = self.client.try_publish(will.message(topic, "offline"));
            let _ = told.and_then(|token| token.wait_for(GOODBYE));
        }
        if !self.leave() {
            return;
        }
        self.lost = Some(Instant::now());
        self.short = 0;
        (self.way, self.failures) = ((way + 1) % self.ways.len(), 1);
        let mut state = self.shared.lock();
        let again = state.doubt.take().filter(|_| self.doubted == Some(way));
        let new = Problem::new("broker", why.clone());
        state.doubt = Some(match again {
            Some(doubt) => Problem { since: doubt.since, count: doubt.count + 1, ..new },
            None => new,
        });
        drop(state);
        self.doubted = Some(way);
        self.try_again(why);
    }

    /// Ends the connection here; the next one has a client of its own. Whether it worked.
    fn leave(&mut self) -> bool {
        match (self.make_client)(false) {
            // The new one is made before the old one goes: the library ends its threads with its last client.
            Ok(client) => {
                self.shared.line().close();
                drop(std::mem::replace(&mut self.client, client));
            }
            Err(error) => {
                warn!("no connection to the broker any more: {error}");
                return false;
            }
        }
        take_back(&self.shared, std::mem::take(&mut self.operations));
        self.failures = 0;
        self.way = 0;
        true
    }

    fn try_again(&mut self, why: String) {
        let now = Instant::now();
        let at = if 0 < self.failures && self.failures < self.ways.len() {
            now
        } else {
            self.failures = 0;
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            now + jitter(self.pause)
        };
        self.phase = Phase::Waiting(at);
        self.shared.lock().queue.disconnected();
        warn!("no connection to the broker: {why}");
        debug!("trying again in {:?}", at.saturating_duration_since(now));
        self.tell(Event::Disconnected { why });
    }

    /// Only the newest of what could not be told counts.
    fn tell(&mut self, event: Event) {
        self.untold = match self.events.try_send(event) {
            Err(mpsc::error::TrySendError::Full(event)) => Some(event),
            // When nobody listens any more, the outbox may still have work.
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => None,
        };
    }

    fn end(mut self) {
        if matches!(self.phase, Phase::Connecting) {
            // The library must not be left while it connects.
            if let Some((_, Operation::Connect(token))) = self.operations.pop_first()
                && token.wait_for(CONNECT_TIMEOUT + LONGEST_PAUSE).is_ok()
            {
                self.phase = Phase::Connected;
            }
        }
        self.shared.line().close();
        if matches!(self.phase, Phase::Connected) {
            self.say_goodbye();
        }
        let Self { client, operations, shared, .. } = self;
        // No callback comes after this.
        drop(client);
        take_back(&shared, operations);
        let mut state = shared.lock();
        for signal in std::mem::take(&mut state.signals) {
            if let Signal::Published { number, .. } = signal {
                state.queue.lost(number);
            }
        }
    }

    fn say_goodbye(&self) {
        let told = self.will_topic.as_ref().map_or(Ok(()), |topic| {
            let offline = self.ways[self.way].will.message(topic, "offline");
            self.client.try_publish(offline)?.wait_for(GOODBYE)
        });
        let left = self.client.disconnect(self.farewell()).wait_for(GOODBYE);
        if let Err(error) = told.and(left.map(|_| ())) {
            warn!("the broker may not know that this agent is offline: {error}");
        }
    }

    /// The broker need not collect commands for us.
    fn farewell(&self) -> DisconnectOptions {
        let mut options = DisconnectOptionsBuilder::new();
        if self.protocol == Protocol::V5 {
            let mut properties = Properties::new();
            if properties.push_u32(PropertyCode::SessionExpiryInterval, 0).is_ok() {
                options.properties(properties);
            }
        }
        options.finalize()
    }
}

/// Between a half and all of it.
fn jitter(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + 0.5 * fastrand::f64())
}

/// What a client that is gone has not delivered waits again.
fn take_back(shared: &Shared, operations: impl IntoIterator<Item = (u64, Operation)>) {
    let mut state = shared.lock();
    state.queue.disconnected();
    for (_, operation) in operations {
        if let Operation::Publish(number, _) = operation {
            state.queue.lost(number);
        }
    }
}

/// Signals that an operation is complete. The library wakes it on a thread of its own, with its global lock held.
struct Completion {
    number: u64,
    shared: Arc<Shared>,
}

impl Wake for Completion {
    fn wake(self: Arc<Self>) {
        self.shared.signal(Signal::Complete(self.number));
    }
}
