//! The storm: thousands of messages a second while the broker is killed again and again. None may get lost.
//!
//! `HALYARD_STORM=long cargo test --test storm` runs the long one.

// Helpers of tests fail them this way; clippy knows the tests themselves only.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use bytes::Bytes;
use halyard::mqtt::{Client, Event, Limits, Outbox, Outgoing, Protocol, Settings, paho_fix};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};
use support::broker::Broker;
use support::proxy::Proxy;
use support::wait_until;
use support::wire::Publish;
use tokio::sync::mpsc;

const PER_SECOND: u32 = 2000;

#[test]
fn no_message_is_lost_while_the_broker_dies_again_and_again() {
    let (messages, kills) = match std::env::var("HALYARD_STORM").as_deref() {
        Ok("long") => (60_000, 20),
        _ => (3_000, 2),
    };
    for (protocol, version) in [(Protocol::V5, 5), (Protocol::V3, 4)] {
        storm(protocol, version, messages, kills);
    }
}

fn storm(protocol: Protocol, version: u8, messages: u32, kills: u32) {
    let Some(mut broker) = Broker::start("max_queued_messages 0") else { return };
    let proxy = Proxy::start(broker.address(), version);
    let outbox = Outbox::new(Limits { messages: messages as usize, ..Limits::default() });
    let settings = Settings { protocol, ..Settings::new(vec![proxy.url()], "storm") };
    let (to, mut events) = mpsc::channel(64);
    let client = Client::start(&settings, Some("storm/availability"), Vec::new(), outbox.clone(), to).unwrap();
    wait_until("the first connection", || matches!(events.try_recv(), Ok(Event::Connected)));

    // Commands come in all the while, so that both directions are busy when the line breaks.
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let start = Instant::now();
            for number in 0..messages {
                let due = start + Duration::from_secs(1) * number / PER_SECOND;
                // The pace of the load, not a wait for anything.
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                let message = Outgoing {
                    topic: format!("storm/{}", number % 7),
                    payload: Bytes::from(format!("{number:06} {}", "x".repeat((number % 300) as usize))),
                    qos: 1,
                    retained: false,
                    expiry: None,
                    correlation: None,
                };
                // Results leave on the threads of workers, and all else on that of the connection.
                let given = outbox.send(message);
                if number % 2 == 1 {
                    given.now();
                }
            }
            over.store(true, SeqCst);
        });
        for kill in 1..=kills {
            // Each kill falls into traffic: so many more messages have gone out since the one before.
            let after = proxy.record(|record| record.published.len()) + (messages / kills / 10).max(50) as usize;
            wait_until("traffic", || {
                proxy.record(|record| record.published.len()) >= after
                    || (over.load(SeqCst) && outbox.status().depth == 0)
            });
            broker.kill();
            broker.restart();
            let connections = proxy.record(|record| record.connections);
            wait_until("a connection after the kill", || {
                outbox.status().connected && proxy.record(|record| record.connections) >= connections
            });
            println!("{protocol:?}, kill {kill}: {:?}", outbox.status());
        }
    });
    wait_until("all delivered", || {
        let status = outbox.status();
        status.depth == 0 && status.in_flight == 0
    });

    proxy.record(|record| in_order(&record.published));
    let status = outbox.status();
    let acknowledged: HashSet<String> = proxy.record(|record| {
        assert_eq!(record.malformed, [] as [String; 0]);
        record
            .acknowledged
            .iter()
            .map(|payload| String::from_utf8_lossy(&payload[..6.min(payload.len())]).into())
            .collect()
    });
    let lost: Vec<u32> = (0..messages).filter(|number| !acknowledged.contains(&format!("{number:06}"))).collect();
    println!(
        "{protocol:?}: {messages} messages, {kills} kills, {} transmissions, {} failed writes cured, {} lost, {status:?}",
        paho_fix::publishes(),
        paho_fix::failed_writes(),
        lost.len(),
    );
    assert_eq!(lost, [] as [u32; 0]);
    assert_eq!((status.dropped, status.failed), (0, 0));
    assert!(status.delivered >= u64::from(messages));
    assert!(paho_fix::publishes() >= u64::from(messages), "the library's calls do not go through the guards");

    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(client.stop(Duration::from_secs(5)));
    assert!(!outbox.status().connected);
}

/// No message overtakes another on its topic, on no connection and not in between either.
fn in_order(published: &[(usize, Publish)]) {
    let mut last = HashMap::new();
    for (connection, message) in published.iter().filter(|(_, message)| message.topic != "storm/availability") {
        let number: u32 = std::str::from_utf8(&message.payload[..6]).unwrap().parse().unwrap();
        let (on, before, highest) = last.entry(&message.topic).or_insert((&0, None, number));
        assert!(
            *on != connection || *before < Some(number),
            "{number} after {before:?} on {}, connection {on}",
            message.topic,
        );
        assert!(number <= *highest + 7, "{number} before {} on {}", *highest + 7, message.topic);
        (*on, *before, *highest) = (connection, Some(number), number.max(*highest));
    }
}
