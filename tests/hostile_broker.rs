//! A broker that sends what no broker may: the agent goes on, and nothing of it gets through.

// Helpers of tests fail them this way; clippy knows the tests themselves only.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use halyard::mqtt::{Client, Event, Incoming, Limits, Outbox, Outgoing, Protocol, Settings, paho_fix};
use std::time::Duration;
use support::fake::FakeBroker;
use support::wait_until;
use support::wire::kind;
use tokio::sync::mpsc;

/// A PUBLISH with these flags, this topic, these properties (MQTT 5) and the payload "x".
fn publish(version: u8, qos: u8, topic: &[u8], properties: &[u8]) -> Vec<u8> {
    let mut body = u16::try_from(topic.len()).unwrap().to_be_bytes().to_vec();
    body.extend_from_slice(topic);
    if qos > 0 {
        body.extend_from_slice(&[0, 7]);
    }
    if version == 5 {
        body.push(u8::try_from(properties.len()).unwrap());
        body.extend_from_slice(properties);
    }
    body.push(b'x');
    let mut packet = vec![kind::PUBLISH << 4 | qos << 1, u8::try_from(body.len()).unwrap()];
    packet.extend_from_slice(&body);
    packet
}

fn next_message(events: &mut mpsc::Receiver<Event>) -> Incoming {
    let mut message = None;
    wait_until("a message", || match events.try_recv() {
        Ok(Event::Message(incoming)) => {
            message = Some(incoming);
            true
        }
        Ok(Event::Disconnected { why }) => panic!("disconnected: {why}"),
        _ => false,
    });
    message.unwrap()
}

// One test: the counter belongs to the process.
#[test]
fn invalid_topics_do_not_get_through_and_do_no_harm() {
    for (protocol, version) in [(Protocol::V5, 5), (Protocol::V3, 4)] {
        let broker = FakeBroker::start(version, false);
        let settings = Settings { protocol, ..Settings::new(vec![broker.url()], "agent") };
        let (to, mut events) = mpsc::channel(64);
        let outbox = Outbox::new(Limits::default());
        let client = Client::start(&settings, Some("t/availability"), Vec::new(), outbox.clone(), to).unwrap();
        wait_until("the connection", || matches!(events.try_recv(), Ok(Event::Connected)));

        let invalid: [&[u8]; 7] = [b"t/\0/set", b"\0", b"t\0", b"t/\xff", b"\xc0\x80", b"\xed\xa0\x80", b""];
        for qos in [0, 1, 2] {
            let before = paho_fix::emptied();
            for topic in invalid {
                broker.say(&publish(version, qos, topic, &[]));
                if qos == 2 {
                    broker.say(&[kind::PUBREL << 4 | 2, 2, 0, 7]);
                }
            }
            // What comes through is what was sent after them, on the same connection.
            broker.say(&publish(version, 1, b"t/pump/set", &[]));
            assert_eq!(next_message(&mut events).topic, "t/pump/set", "QoS {qos}");
            // An empty topic is text, so it is not counted.
            assert_eq!(paho_fix::emptied() - before, invalid.len() as u64 - 1, "QoS {qos}");
        }

        if version == 5 {
            // Response Topic "a\0b" twice over, and one of bad UTF-8; then correlation data of no length.
            for response in [&b"\x08\0\x03a\0b"[..], &b"\x08\0\x02\xff\xfe"[..], &b"\x08\0\0"[..]] {
                broker.say(&publish(version, 1, b"t/pump/set", response));
                assert_eq!(next_message(&mut events).response_topic, None);
            }
            broker.say(&publish(version, 1, b"t/pump/set", b"\x08\0\x01a\x09\0\0"));
            let message = next_message(&mut events);
            assert_eq!(message.response_topic.as_deref(), Some("a"));
            assert_eq!(message.correlation.as_deref(), Some(&b""[..]));
        }

        // A topic of theirs that is used for an answer.
        for topic in ["a\0b", "a/#", "+", ""] {
            outbox.send(Outgoing {
                topic: topic.to_owned(),
                payload: "x".into(),
                qos: 1,
                retained: false,
                expiry: None,
                correlation: None,
            });
        }
        assert_eq!(outbox.status().failed, 4);

        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(client.stop(Duration::from_secs(5)));
    }
}
