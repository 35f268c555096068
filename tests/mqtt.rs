//! The connection to a real broker: will, outages, restarts, requests.

// Helpers of tests fail them this way; clippy knows the tests themselves only.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use bytes::Bytes;
use halyard::config::Store;
use halyard::mqtt::{Client, Error, Event, Incoming, Limits, Outbox, Outgoing, Protocol, Settings};
use std::time::{Duration, Instant};
use support::broker::{Broker, free_port};
use support::peer::Peer;
use support::proxy::Proxy;
use support::wait_until;
use tokio::sync::mpsc;

const PROTOCOLS: [(Protocol, u8); 2] = [(Protocol::V5, 5), (Protocol::V3, 4)];

/// An agent that is connected.
struct Agent {
    client: Client,
    outbox: Outbox,
    events: mpsc::Receiver<Event>,
}

impl Agent {
    fn connect(urls: &[String], protocol: Protocol, filters: &[&str]) -> Self {
        let mut agent = Self::start(urls, protocol, filters, 64);
        agent.connected();
        agent
    }

    fn start(urls: &[String], protocol: Protocol, filters: &[&str], room: usize) -> Self {
        let settings = Settings { protocol, ..Settings::new(urls.to_vec(), "agent") };
        let (to, events) = mpsc::channel(room);
        let outbox = Outbox::new(Limits::default());
        let filters = filters.iter().map(|filter| ((*filter).to_owned(), 1)).collect();
        let client = Client::start(&settings, Some("h/agent/availability"), filters, outbox.clone(), to).unwrap();
        Self { client, outbox, events }
    }

    fn connected(&mut self) {
        wait_until("a connection", || matches!(self.events.try_recv(), Ok(Event::Connected)));
    }

    fn disconnected(&mut self) {
        wait_until("a loss", || matches!(self.events.try_recv(), Ok(Event::Disconnected { .. })));
    }

    fn message(&mut self) -> Incoming {
        let mut message = None;
        wait_until("a message", || match self.events.try_recv() {
            Ok(Event::Message(incoming)) => message.insert(incoming).payload.len() < usize::MAX,
            _ => false,
        });
        message.unwrap()
    }

    fn delivered(&self) {
        wait_until("all delivered", || {
            let status = self.outbox.status();
            status.depth == 0 && status.in_flight == 0
        });
    }

    fn stop(self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(self.client.stop(Duration::from_secs(5)));
    }
}

fn text(topic: &str, payload: &str, retained: bool) -> (String, String, bool) {
    (topic.to_owned(), payload.to_owned(), retained)
}

#[test]
fn an_agent_is_online_while_it_runs_and_offline_after_it() {
    for (protocol, _) in PROTOCOLS {
        let Some(broker) = Broker::start("") else { return };
        let peer = Peer::connect(broker.address(), "peer");
        peer.listen("h/agent/#");
        let agent = Agent::connect(&[broker.url()], protocol, &[]);
        assert_eq!(peer.next(), text("h/agent/availability", "online", false));
        agent.outbox.state("h/agent/pump", "ON".into(), Store::Latest);
        // What still waits goes before the goodbye.
        agent.stop();
        assert_eq!(peer.next(), text("h/agent/pump", "ON", false));
        assert_eq!(peer.next(), text("h/agent/availability", "offline", false));
        peer.publish("h/agent/end", "", false);
        assert_eq!(peer.next().0, "h/agent/end", "nothing else was said");

        let late = Peer::connect(broker.address(), "late");
        late.listen("h/agent/availability");
        assert_eq!(late.next(), text("h/agent/availability", "offline", true));
        late.listen("h/agent/pump");
        assert_eq!(late.next(), text("h/agent/pump", "ON", true));
    }
}

#[test]
fn the_broker_announces_the_death_of_an_agent() {
    for (protocol, version) in PROTOCOLS {
        let Some(broker) = Broker::start("") else { return };
        let proxy = Proxy::start(broker.address(), version);
        let mut agent = Agent::connect(&[proxy.url()], protocol, &[]);
        let peer = Peer::connect(broker.address(), "peer");
        peer.listen("h/agent/availability");
        // Retained, unless the broker hears of the listener first.
        let (topic, payload, _) = peer.next();
        assert_eq!((topic.as_str(), payload.as_str()), ("h/agent/availability", "online"));
        proxy.cut();
        assert_eq!(peer.next(), text("h/agent/availability", "offline", false));
        agent.disconnected();
        proxy.mend();
        agent.connected();
        assert_eq!(peer.next(), text("h/agent/availability", "online", false));
        agent.stop();
    }
}

#[test]
fn an_agent_hears_commands_after_a_broker_forgot_everything() {
    for (protocol, _) in PROTOCOLS {
        let Some(mut broker) = Broker::start("persistence false") else { return };
        let mut agent = Agent::connect(&[broker.url()], protocol, &["h/agent/+/set"]);
        broker.kill();
        agent.disconnected();
        broker.restart();
        agent.connected();
        Peer::connect(broker.address(), "peer").publish("h/agent/pump/set", "ON", false);
        let message = agent.message();
        assert_eq!((message.topic.as_str(), &message.payload[..]), ("h/agent/pump/set", &b"ON"[..]));
        agent.stop();
    }
}

#[test]
fn an_outage_ends_with_the_newest_state_and_then_the_backlog() {
    for (protocol, version) in PROTOCOLS {
        let Some(broker) = Broker::start("") else { return };
        let proxy = Proxy::start(broker.address(), version);
        let mut agent = Agent::connect(&[proxy.url()], protocol, &[]);
        agent.outbox.state("h/agent/door", "0".into(), Store::All);
        agent.delivered();
        let peer = Peer::connect(broker.address(), "peer");
        peer.listen("h/agent/#");
        wait_until("the old state", || peer.next() == text("h/agent/door", "0", true));

        proxy.cut();
        agent.disconnected();
        for value in ["1", "2", "3"] {
            agent.outbox.state("h/agent/door", value.into(), Store::All);
            agent.outbox.state("h/agent/climate", value.into(), Store::Latest);
            agent.outbox.state("h/agent/noise", value.into(), Store::None);
        }
        proxy.mend();
        agent.connected();
        agent.delivered();
        peer.publish("h/agent/end", "", false);
        let mut seen = Vec::new();
        wait_until("the end", || {
            seen.push(peer.next());
            seen.last().is_some_and(|(topic, ..)| topic == "h/agent/end")
        });
        seen.retain(|(topic, ..)| !topic.ends_with("/availability") && !topic.ends_with("/end"));
        let expected = [
            text("h/agent/door", "3", false),
            text("h/agent/climate", "3", false),
            text("h/agent/door/backlog", "1", false),
            text("h/agent/door/backlog", "2", false),
        ];
        assert_eq!(seen, expected);
        assert_eq!(agent.outbox.status().dropped, 3, "states of an entity that keeps none");

        let late = Peer::connect(broker.address(), "late");
        late.listen("h/agent/door/#");
        assert_eq!(late.next(), text("h/agent/door", "3", true), "and the backlog is not retained");
        agent.stop();
    }
}

/// The library looks once a second, and ours too, for what nobody has told them of.
#[test]
fn nothing_waits_for_a_timer() {
    // To the second one goes a message when the one before is acknowledged.
    for configuration in ["", "max_inflight_messages 1"] {
        let Some(broker) = Broker::start(configuration) else { return };
        let peer = Peer::connect(broker.address(), "peer");
        peer.listen("h/agent/pump/result");
        let agent = Agent::connect(&[broker.url()], Protocol::V5, &[]);
        let start = Instant::now();
        let give = |number: usize| {
            let topic = "h/agent/pump/result".to_owned();
            let payload = Bytes::from(number.to_string());
            agent.outbox.send(Outgoing { topic, payload, qos: 1, retained: false, expiry: None, correlation: None })
        };
        for number in 0..50 {
            match number % 2 {
                0 => give(number).now(),
                _ => drop(give(number)),
            }
            assert_eq!(peer.next().1, number.to_string());
        }
        (0..50).for_each(|number| give(number).now());
        (0..50).for_each(|number| assert_eq!(peer.next().1, number.to_string()));
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
        agent.stop();
    }
}

#[test]
fn a_stop_does_not_wait_for_a_timer() {
    let Some(broker) = Broker::start("") else { return };
    let peer = Peer::connect(broker.address(), "peer");
    peer.listen("h/agent/#");
    let mut waited = Duration::ZERO;
    for number in 0..5 {
        let agent = Agent::connect(&[broker.url()], Protocol::V5, &[]);
        agent.outbox.state("h/agent/pump", Bytes::from(number.to_string()), Store::Latest).now();
        // The goodbye waits for the acknowledgement, and for nothing else.
        agent.stop();
        let mut heard = Vec::new();
        let mut find = |payload: &str| {
            wait_until("state and goodbye", || {
                heard.extend(peer.arrived());
                heard.iter().any(|(_, publish)| publish.payload == payload)
            });
            heard.iter().find(|(_, publish)| publish.payload == payload).unwrap().0
        };
        let state = find(&number.to_string());
        waited += find("offline") - state;
    }
    assert!(waited < Duration::from_secs(1), "{waited:?}");
}

#[test]
fn a_request_says_where_the_answer_goes() {
    let Some(broker) = Broker::start("") else { return };
    let mut agent = Agent::connect(&[broker.url()], Protocol::V5, &["h/agent/+/set"]);
    let peer = Peer::connect(broker.address(), "peer");
    peer.listen("answers/#");
    peer.request("h/agent/pump/set", "ON", "answers/7", b"\0\x017f3");
    let request = agent.message();
    assert_eq!(request.response_topic.as_deref(), Some("answers/7"));
    assert_eq!(request.correlation.as_deref(), Some(&b"\0\x017f3"[..]));
    agent.outbox.send(Outgoing {
        topic: request.response_topic.unwrap(),
        payload: "applied".into(),
        qos: 1,
        retained: false,
        expiry: Some(Duration::from_millis(59_001)),
        correlation: request.correlation,
    });
    let answer = peer.next_whole();
    let properties = answer.properties.unwrap();
    assert_eq!((&answer.topic[..], &answer.payload[..]), (&b"answers/7"[..], &b"applied"[..]));
    assert_eq!(properties.correlation_data.as_deref(), Some(&b"\0\x017f3"[..]));
    // The broker subtracts whole seconds of its own delay.
    assert!((55..=60).contains(&properties.message_expiry_interval.unwrap()));
    agent.stop();
}

#[test]
fn a_retained_command_is_told_from_a_fresh_one() {
    for (protocol, _) in PROTOCOLS {
        let Some(broker) = Broker::start("") else { return };
        let peer = Peer::connect(broker.address(), "peer");
        peer.listen("h/agent/pump/set");
        peer.publish("h/agent/pump/set", "OLD", true);
        peer.next();
        let mut agent = Agent::start(&[broker.url()], protocol, &["h/agent/+/set"], 64);
        let message = agent.message();
        assert_eq!((&message.payload[..], message.retained), (&b"OLD"[..], true));
        peer.publish("h/agent/pump/set", "NEW", true);
        let message = agent.message();
        assert_eq!((&message.payload[..], message.retained), (&b"NEW"[..], false));
        agent.stop();
    }
}

#[test]
fn commands_for_an_agent_that_did_not_run_are_not_carried_out_later() {
    for (protocol, _) in PROTOCOLS {
        let Some(broker) = Broker::start("") else { return };
        let peer = Peer::connect(broker.address(), "peer");
        Agent::connect(&[broker.url()], protocol, &["h/agent/+/set"]).stop();
        peer.publish("h/agent/pump/set", "STALE", false);
        peer.listen("h/agent/+/set");
        let mut agent = Agent::connect(&[broker.url()], protocol, &["h/agent/+/set"]);
        peer.publish("h/agent/pump/set", "FRESH", false);
        assert_eq!(&agent.message().payload[..], b"FRESH");
        agent.stop();
    }
}

#[test]
fn commands_of_a_short_outage_arrive_after_it() {
    for (protocol, version) in PROTOCOLS {
        let Some(broker) = Broker::start("") else { return };
        let proxy = Proxy::start(broker.address(), version);
        let mut agent = Agent::connect(&[proxy.url()], protocol, &["h/agent/+/set"]);
        // In MQTT 3.1.1 the session of the first connection ends with it; that of the second lasts.
        for _ in 0..2 {
            proxy.cut();
            agent.disconnected();
            proxy.mend();
            agent.connected();
        }
        proxy.cut();
        agent.disconnected();
        let peer = Peer::connect(broker.address(), "peer");
        peer.publish("h/agent/pump/set", "MEANWHILE", false);
        peer.listen("h/agent/availability");
        proxy.mend();
        assert_eq!(&agent.message().payload[..], b"MEANWHILE");
        agent.stop();
    }
}

#[test]
fn subscriptions_come_and_go_while_connected_and_not() {
    let Some(broker) = Broker::start("") else { return };
    let proxy = Proxy::start(broker.address(), 5);
    let mut agent = Agent::connect(&[proxy.url()], Protocol::V5, &["old"]);
    agent.client.subscribe(vec![("new".to_owned(), 2)]);
    agent.connected();
    let peer = Peer::connect(broker.address(), "peer");
    peer.publish("new", "1", false);
    assert_eq!(agent.message().topic, "new");
    agent.client.unsubscribe(vec!["old".to_owned()]);
    proxy.cut();
    agent.disconnected();
    agent.client.subscribe(vec![("newer".to_owned(), 0)]);
    proxy.mend();
    agent.connected();
    for topic in ["old", "newer", "new"] {
        peer.publish(topic, "2", false);
    }
    assert_eq!(agent.message().topic, "newer");
    assert_eq!(agent.message().topic, "new");
    agent.stop();
}

#[test]
fn the_next_broker_of_the_list_takes_over() {
    let (Some(mut first), Some(second)) = (Broker::start(""), Broker::start("")) else { return };
    let nobody = format!("mqtt://127.0.0.1:{}", free_port());
    let mut agent = Agent::connect(&[nobody, first.url(), second.url()], Protocol::V5, &[]);
    first.kill();
    agent.disconnected();
    agent.connected();
    let peer = Peer::connect(second.address(), "peer");
    peer.listen("h/agent/availability");
    assert_eq!(peer.next(), text("h/agent/availability", "online", true));
    agent.stop();
}

#[test]
fn what_nobody_takes_is_refused_and_counted_but_a_loss_is_told() {
    let Some(mut broker) = Broker::start("") else { return };
    let mut agent = Agent::start(&[broker.url()], Protocol::V5, &["commands"], 8);
    wait_until("a connection", || agent.outbox.status().connected);
    agent.connected();
    let peer = Peer::connect(broker.address(), "peer");
    for number in 0..20 {
        peer.publish("commands", &number.to_string(), false);
    }
    wait_until("refusals", || agent.client.refused() == 16);
    broker.kill();
    // The first four were taken, and then the loss is told.
    for number in 0..4 {
        assert_eq!(agent.message().payload, number.to_string());
    }
    agent.disconnected();
    agent.stop();
}

#[test]
fn what_was_not_sent_before_a_stop_stays_for_the_next_connection() {
    let Some(broker) = Broker::start("") else { return };
    let proxy = Proxy::start(broker.address(), 5);
    let mut agent = Agent::connect(&[proxy.url()], Protocol::V5, &[]);
    proxy.cut();
    agent.disconnected();
    agent.outbox.retained("h/agent/agent", "{}".into());
    let outbox = agent.outbox.clone();
    agent.stop();
    assert_eq!((outbox.status().depth, outbox.status().in_flight), (1, 0));
    let (to, _events) = mpsc::channel(8);
    let settings = Settings::new(vec![broker.url()], "agent");
    let _client = Client::start(&settings, Some("h/agent/availability"), Vec::new(), outbox.clone(), to).unwrap();
    wait_until("delivery", || outbox.status().delivered == 1);
}

#[test]
fn settings_that_cannot_work_are_refused_at_once() {
    let start = |urls: &[&str]| {
        let settings = Settings::new(urls.iter().map(|url| (*url).to_owned()).collect(), "agent");
        Client::start(&settings, Some("will"), Vec::new(), Outbox::new(Limits::default()), mpsc::channel(8).0).err()
    };
    assert!(matches!(start(&[]), Some(Error::NoUrl)));
    for url in ["", "mqtt://", "mqtt://:1883", "http://broker", "broker:1883", "mqtt://a\0b"] {
        assert!(matches!(start(&[url]), Some(Error::Url(_))), "{url:?}");
    }
    let error = start(&["mqtt://me:secret@broker"]).unwrap();
    assert!(!format!("{error} {error:?}").contains("secret"));
    if cfg!(feature = "tls") {
        assert!(matches!(start(&["mqtt://a", "mqtts://b"]), Some(Error::MixedUrls)));
    } else {
        assert!(matches!(start(&["mqtts://b"]), Some(Error::NoTls)));
    }
}
