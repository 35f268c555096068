//! A PUBLISH whose write fails costs a new connection, and nothing else.
//!
//! The test shuts the write side of the client's own socket: the next write fails with EPIPE, while the read side stays
//! healthy, so that the library notices nothing by itself. Without the guard the process ends here with "double free".

// Helpers of tests fail them this way; clippy knows the tests themselves only.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use halyard::mqtt::{Client, Event, Limits, Outbox, Outgoing, Protocol, Settings, paho_fix};
use std::mem::ManuallyDrop;
use std::net::{Shutdown, TcpStream};
use std::os::fd::FromRawFd;
use std::time::Duration;
use support::fake::FakeBroker;
use support::wait_until;
use support::wire::kind;
use tokio::sync::mpsc;

// One test: the counters belong to the process, and the socket is found among all of its files.
#[test]
fn a_failed_write_costs_a_new_connection_only() {
    for (protocol, version) in [(Protocol::V5, 5), (Protocol::V3, 4)] {
        for keeps_session in [true, false] {
            for qos in [1, 2] {
                case(protocol, version, keeps_session, qos);
            }
        }
    }
}

fn case(protocol: Protocol, version: u8, keeps_session: bool, qos: u8) {
    let name = format!("{protocol:?}, QoS {qos}, session {}", if keeps_session { "kept" } else { "lost" });
    let broker = FakeBroker::start(version, keeps_session);
    let outbox = Outbox::new(Limits::default());
    let settings = Settings { protocol, ..Settings::new(vec![broker.url()], "agent") };
    let (to, mut events) = mpsc::channel(16);
    let client = Client::start(&settings, Some("t/availability"), Vec::new(), outbox.clone(), to).unwrap();
    wait_until("the connection", || matches!(events.try_recv(), Ok(Event::Connected)));

    let send = |payload: &str| {
        outbox.send(Outgoing {
            topic: "t/message".to_owned(),
            payload: payload.to_owned().into(),
            qos,
            retained: false,
            expiry: None,
            correlation: None,
        });
    };
    send("before");
    wait_until("a first delivery", || outbox.status().delivered == 1);
    assert!(paho_fix::publishes() > 0, "the library's calls do not go through the guards");

    let failed_before = paho_fix::failed_writes();
    shut_writing(broker.port());
    for number in 0..5 {
        send(&format!("m{number}"));
    }
    wait_until("the loss", || matches!(events.try_recv(), Ok(Event::Disconnected { .. })));
    wait_until("a new connection", || matches!(events.try_recv(), Ok(Event::Connected)));
    send("after");
    wait_until("all deliveries", || outbox.status().delivered == 7);

    let seen: Vec<String> = broker
        .packets
        .try_iter()
        .filter(|packet| packet.kind() == kind::PUBLISH)
        .map(|packet| packet.publish(version).unwrap())
        .filter(|publish| publish.topic == "t/message")
        .map(|publish| String::from_utf8(publish.payload).unwrap())
        .collect();
    assert_eq!(seen, ["before", "m0", "m1", "m2", "m3", "m4", "after"], "{name}");
    assert!(paho_fix::failed_writes() > failed_before, "{name}: no write has failed");
    assert_eq!(outbox.status().dropped + outbox.status().failed, 0, "{name}");

    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(client.stop(Duration::from_secs(5)));
}

/// Shuts the write side of this process's socket to that port.
fn shut_writing(port: u16) {
    for file in 3..1024 {
        // SAFETY: not dropped, so nothing is closed; a file that is no socket has no peer.
        let stream = ManuallyDrop::new(unsafe { TcpStream::from_raw_fd(file) });
        if stream.peer_addr().is_ok_and(|peer| peer.port() == port) {
            return stream.shutdown(Shutdown::Write).unwrap();
        }
    }
    panic!("no socket to port {port}");
}
