//! A client that remembers everything that was published.

use super::LIMIT;
use super::broker::Broker;
use super::peer::Peer;
use rumqttc::v5::mqttbytes::v5::Publish;
use serde_json::Value as Json;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// A message as it was published.
#[derive(Clone)]
pub struct Message {
    pub topic: String,
    pub payload: Vec<u8>,
    pub qos: u8,
    pub retained: bool,
    pub correlation: Option<Vec<u8>>,
    /// When it arrived.
    pub at: Instant,
}

impl Message {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.payload).into_owned()
    }

    /// The payload; null if it is not JSON.
    pub fn json(&self) -> Json {
        serde_json::from_slice(&self.payload).unwrap_or(Json::Null)
    }
}

/// Whenever they arrived.
impl PartialEq for Message {
    fn eq(&self, other: &Self) -> bool {
        let all = |it: &Self| (it.topic.clone(), it.payload.clone(), it.qos, it.retained, it.correlation.clone());
        all(self) == all(other)
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let retained = if self.retained { ", retained" } else { "" };
        write!(f, "{} {} (QoS {}{retained})", self.topic, self.text(), self.qos)
    }
}

impl From<(Instant, Publish)> for Message {
    fn from((at, publish): (Instant, Publish)) -> Self {
        let correlation = publish.properties.and_then(|properties| properties.correlation_data);
        Self {
            topic: String::from_utf8(publish.topic.to_vec()).unwrap(),
            payload: publish.payload.to_vec(),
            qos: publish.qos as u8,
            retained: publish.retain,
            correlation: correlation.map(|data| data.to_vec()),
            at,
        }
    }
}

/// Listens to all topics, and remembers.
pub struct Witness {
    pub peer: Peer,
    seen: RefCell<Vec<Message>>,
    from: Cell<usize>,
}

impl Witness {
    pub fn connect(broker: SocketAddr) -> Self {
        let peer = Peer::connect(broker, &unique("witness"));
        peer.listen_as_published("#");
        Self { peer, seen: RefCell::default(), from: Cell::default() }
    }

    /// From now on, only what comes after this counts.
    pub fn mark(&self) {
        self.look();
        self.from.set(self.seen.borrow().len());
    }

    /// From now on, everything counts again.
    pub fn unmark(&self) {
        self.from.set(0);
    }

    /// Marks after everything that the broker had kept from before.
    pub fn forget_retained(&self) {
        let end = unique("now");
        self.peer.publish(&end, "", false);
        self.wait(&end, |_| true);
        self.mark();
    }

    /// Waits for a message on this topic, since the mark, for which the condition holds; gives the first.
    #[track_caller]
    pub fn wait(&self, topic: &str, condition: impl Fn(&Message) -> bool) -> Message {
        self.wait_where(topic, |message| message.topic == topic && condition(message))
    }

    /// The same on any topic.
    #[track_caller]
    pub fn wait_where(&self, what: &str, condition: impl Fn(&Message) -> bool) -> Message {
        let end = Instant::now() + LIMIT;
        loop {
            let all = self.everything();
            if let Some(found) = all.iter().find(|message| condition(message)) {
                return found.clone();
            }
            assert!(Instant::now() < end, "not within {LIMIT:?}: {what} that fits, among {all:#?}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits for this text on this topic, since the mark.
    #[track_caller]
    pub fn wait_for(&self, topic: &str, text: &str) -> Message {
        self.wait(topic, |message| message.payload == text.as_bytes())
    }

    /// Messages on this topic, since the mark, that have arrived.
    pub fn all(&self, topic: &str) -> Vec<Message> {
        self.look();
        let seen = self.seen.borrow();
        seen[self.from.get()..].iter().filter(|message| message.topic == topic).cloned().collect()
    }

    /// All messages since the mark that have arrived.
    pub fn everything(&self) -> Vec<Message> {
        self.look();
        self.seen.borrow()[self.from.get()..].to_vec()
    }

    fn look(&self) {
        self.seen.borrow_mut().extend(self.peer.arrived().map(Message::from));
    }
}

/// What the broker keeps, by topic.
pub fn retained(broker: &Broker) -> BTreeMap<String, Message> {
    let peer = Peer::connect(broker.address(), &unique("reader"));
    peer.listen_as_published("#");
    // What is retained comes before what is published after the subscription.
    let end = unique("end");
    peer.publish(&end, "", false);
    let mut all = BTreeMap::new();
    let limit = Instant::now() + LIMIT;
    loop {
        assert!(Instant::now() < limit, "no end of messages");
        let message = Message::from((Instant::now(), peer.next_whole()));
        if message.topic == end {
            return all;
        }
        if message.retained {
            all.insert(message.topic.clone(), message);
        }
    }
}

/// A name that nobody else in this process has.
pub fn unique(name: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("{name}-{}", COUNT.fetch_add(1, Relaxed))
}
