//! Clients of both protocol versions, written by others, against the embedded broker.

use super::Handle;
use crate::config::{BrokerUser, EmbeddedBroker};
use crate::mqtt::Secret;
use rumqttc::v5::mqttbytes::{QoS as QoS5, v5};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

/// Nothing here takes longer, unless it never happens.
const LIMIT: Duration = Duration::from_secs(20);
const LOOPBACK: &str = "127.0.0.1:0";
const KEEP_ALIVE: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Version {
    V3,
    V5,
}

/// What a client saw.
#[derive(Debug, PartialEq)]
enum Seen {
    Connected,
    Subscribed,
    Acknowledged,
    Message { topic: String, payload: String, retained: bool },
}

enum Sender {
    V3(rumqttc::AsyncClient),
    V5(rumqttc::v5::AsyncClient),
}

struct Client {
    sender: Sender,
    seen: UnboundedReceiver<Seen>,
    poll: JoinHandle<()>,
}

impl Client {
    /// Connects; `will` is the topic of a retained `offline`.
    async fn connect(version: Version, address: SocketAddr, id: &str, will: Option<&str>) -> Self {
        let (tell, seen) = unbounded_channel();
        let host = address.ip().to_string();
        let (sender, poll) = match version {
            Version::V3 => {
                let mut options = rumqttc::MqttOptions::new(id, host, address.port());
                options.set_keep_alive(KEEP_ALIVE);
                if let Some(topic) = will {
                    options.set_last_will(rumqttc::LastWill::new(topic, "offline", rumqttc::QoS::AtLeastOnce, true));
                }
                let (client, events) = rumqttc::AsyncClient::new(options, 100);
                (Sender::V3(client), crate::task::spawn(poll_v3(events, tell)))
            }
            Version::V5 => {
                let mut options = rumqttc::v5::MqttOptions::new(id, host, address.port());
                options.set_keep_alive(KEEP_ALIVE);
                if let Some(topic) = will {
                    options.set_last_will(v5::LastWill::new(topic, "offline", QoS5::AtLeastOnce, true, None));
                }
                let (client, events) = rumqttc::v5::AsyncClient::new(options, 100);
                (Sender::V5(client), crate::task::spawn(poll_v5(events, tell)))
            }
        };
        let mut client = Self { sender, seen, poll };
        client.expect(&Seen::Connected).await;
        client
    }

    async fn subscribe(&mut self, filter: &str) {
        match &self.sender {
            Sender::V3(client) => client.subscribe(filter, rumqttc::QoS::AtLeastOnce).await.unwrap(),
            Sender::V5(client) => client.subscribe(filter, QoS5::AtLeastOnce).await.unwrap(),
        }
        self.expect(&Seen::Subscribed).await;
    }

    /// Publishes with QoS 1 and waits for the acknowledgement.
    async fn publish(&mut self, topic: &str, payload: &str, retain: bool) {
        let payload = payload.to_owned();
        match &self.sender {
            Sender::V3(client) => client.publish(topic, rumqttc::QoS::AtLeastOnce, retain, payload).await.unwrap(),
            Sender::V5(client) => client.publish(topic, QoS5::AtLeastOnce, retain, payload).await.unwrap(),
        }
        self.expect(&Seen::Acknowledged).await;
    }

    async fn next(&mut self) -> Seen {
        tokio::time::timeout(LIMIT, self.seen.recv()).await.expect("in time").expect("the connection holds")
    }

    async fn expect(&mut self, expected: &Seen) {
        let seen = self.next().await;
        assert_eq!(seen, *expected);
    }

    async fn expect_message(&mut self, topic: &str, payload: &str, retained: bool) {
        self.expect(&Seen::Message { topic: topic.into(), payload: payload.into(), retained }).await;
    }

    /// The connection breaks off without a farewell.
    fn crash(self) {
        self.poll.abort();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

async fn poll_v3(mut events: rumqttc::EventLoop, tell: UnboundedSender<Seen>) {
    use rumqttc::{Event, Packet};
    while let Ok(event) = events.poll().await {
        let seen = match event {
            Event::Incoming(Packet::ConnAck(_)) => Seen::Connected,
            Event::Incoming(Packet::SubAck(_)) => Seen::Subscribed,
            Event::Incoming(Packet::PubAck(_)) => Seen::Acknowledged,
            Event::Incoming(Packet::Publish(message)) => {
                Seen::Message { topic: message.topic, payload: text(&message.payload), retained: message.retain }
            }
            _ => continue,
        };
        let _ = tell.send(seen);
    }
}

async fn poll_v5(mut events: rumqttc::v5::EventLoop, tell: UnboundedSender<Seen>) {
    use rumqttc::v5::Event;
    use v5::Packet;
    while let Ok(event) = events.poll().await {
        let seen = match event {
            Event::Incoming(Packet::ConnAck(_)) => Seen::Connected,
            Event::Incoming(Packet::SubAck(_)) => Seen::Subscribed,
            Event::Incoming(Packet::PubAck(_)) => Seen::Acknowledged,
            Event::Incoming(Packet::Publish(message)) => {
                Seen::Message { topic: text(&message.topic), payload: text(&message.payload), retained: message.retain }
            }
            _ => continue,
        };
        let _ = tell.send(seen);
    }
}

/// A broker without passwords.
async fn start(listen: SocketAddr) -> anyhow::Result<Handle> {
    super::start(&EmbeddedBroker::open(listen)).await
}

async fn broker() -> Handle {
    start(LOOPBACK.parse().unwrap()).await.unwrap()
}

const PAIRS: [(Version, Version); 4] =
    [(Version::V5, Version::V5), (Version::V3, Version::V3), (Version::V5, Version::V3), (Version::V3, Version::V5)];

#[tokio::test]
async fn qos_1_between_both_versions_on_one_port() {
    let broker = broker().await;
    for (from, to) in PAIRS {
        let mut receiver = Client::connect(to, broker.address(), "receiver", None).await;
        receiver.subscribe("halyard/+/pump/set").await;
        let mut sender = Client::connect(from, broker.address(), "sender", None).await;
        for number in 0..20 {
            sender.publish("halyard/greenhouse/pump/set", &number.to_string(), false).await;
        }
        for number in 0..20 {
            receiver.expect_message("halyard/greenhouse/pump/set", &number.to_string(), false).await;
        }
        receiver.crash();
        sender.crash();
    }
    broker.stop().await;
}

#[tokio::test]
async fn retained_messages_are_kept_replaced_and_cleared() {
    let broker = broker().await;
    for (from, to) in PAIRS {
        let topic = format!("halyard/a/{from:?}{to:?}");
        let mut sender = Client::connect(from, broker.address(), "sender", None).await;
        sender.publish(&topic, "old", true).await;
        sender.publish(&topic, "new", true).await;
        let mut receiver = Client::connect(to, broker.address(), "receiver", None).await;
        receiver.subscribe(&topic).await;
        receiver.expect_message(&topic, "new", true).await;
        sender.publish(&topic, "", true).await;
        receiver.expect_message(&topic, "", false).await;

        let mut late = Client::connect(to, broker.address(), "late", None).await;
        late.subscribe(&topic).await;
        late.subscribe("other").await;
        sender.publish("other", "first", false).await;
        late.expect_message("other", "first", false).await;
        for client in [sender, receiver, late] {
            client.crash();
        }
    }
    broker.stop().await;
}

#[tokio::test]
async fn the_will_is_published_when_a_connection_breaks() {
    let broker = broker().await;
    for (dying, watching) in PAIRS {
        let topic = format!("halyard/{dying:?}{watching:?}/availability");
        let mut watcher = Client::connect(watching, broker.address(), "watcher", None).await;
        watcher.subscribe(&topic).await;
        let client = Client::connect(dying, broker.address(), "dying", Some(&topic)).await;
        client.crash();
        watcher.expect_message(&topic, "offline", false).await;
        let mut late = Client::connect(watching, broker.address(), "late", None).await;
        late.subscribe(&topic).await;
        late.expect_message(&topic, "offline", true).await;
        watcher.crash();
        late.crash();
    }
    broker.stop().await;
}

#[tokio::test]
async fn a_stopped_broker_leaves_its_port() {
    let first = broker().await;
    let address = first.address();
    let client = Client::connect(Version::V5, address, "client", None).await;
    first.stop().await;
    client.crash();
    let second = start(address).await.unwrap();
    let _client = Client::connect(Version::V5, address, "client", None).await;
    second.stop().await;
}

#[tokio::test]
async fn a_port_in_use_is_told_in_one_line() {
    let taken = std::net::TcpListener::bind(LOOPBACK).unwrap();
    let address = taken.local_addr().unwrap();
    let message = format!("{:#}", start(address).await.unwrap_err());
    assert!(message.starts_with(&format!("the embedded broker cannot listen on {address}: ")), "{message}");
    assert!(message.contains("in use") && !message.contains('\n'), "{message}");
}

#[tokio::test]
async fn the_network_needs_a_password() {
    for address in ["0.0.0.0:0", "[::]:0", "192.168.1.5:1883", "[::ffff:192.168.1.5]:1883"] {
        let message = format!("{:#}", start(address.parse().unwrap()).await.unwrap_err());
        assert!(message.contains("without passwords"), "{message}");
    }
    for address in ["127.0.0.2:0", "[::ffff:127.0.0.1]:0"] {
        start(address.parse().unwrap()).await.unwrap().stop().await;
    }
}

/// What a CONNECT with this login is answered with.
async fn login(version: Version, address: SocketAddr, login: Option<(&str, &str)>) -> Result<(), String> {
    let (host, name) = (address.ip().to_string(), "somebody");
    let answer = async {
        match version {
            Version::V3 => {
                let mut options = rumqttc::MqttOptions::new(name, host, address.port());
                if let Some((name, password)) = login {
                    options.set_credentials(name, password);
                }
                let (_client, mut events) = rumqttc::AsyncClient::new(options, 10);
                events.poll().await.map(drop).map_err(|error| error.to_string())
            }
            Version::V5 => {
                let mut options = rumqttc::v5::MqttOptions::new(name, host, address.port());
                if let Some((name, password)) = login {
                    options.set_credentials(name, password);
                }
                let (_client, mut events) = rumqttc::v5::AsyncClient::new(options, 10);
                events.poll().await.map(drop).map_err(|error| error.to_string())
            }
        }
    };
    tokio::time::timeout(LIMIT, answer).await.expect("in time")
}

#[tokio::test]
async fn who_has_no_password_is_refused() {
    let users = vec![BrokerUser { name: "pump".into(), password: Secret("hunter2".into()) }];
    let settings = EmbeddedBroker { listen: "0.0.0.0:0".parse().unwrap(), users };
    let broker = super::start(&settings).await.unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], broker.address().port()));
    for version in [Version::V3, Version::V5] {
        assert_eq!(login(version, address, Some(("pump", "hunter2"))).await, Ok(()));
        for wrong in [None, Some(("pump", "hunter")), Some(("pump", "")), Some(("other", "hunter2"))] {
            let refusal = login(version, address, wrong).await.unwrap_err();
            assert!(refusal.contains("BadUserNamePassword"), "{wrong:?}: {refusal}");
        }
    }
    broker.stop().await;
}
