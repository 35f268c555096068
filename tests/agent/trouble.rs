//! Brokers in trouble, and brokers with wishes of their own.

use super::stand::{PARTS, Stand, configuration, configuration_of_v3, topic};
use crate::support::broker::{Broker, free_port};
use crate::support::fake::{FakeBroker, Manners};
use crate::support::program::{Program, halyard};
use crate::support::proxy::Proxy;
use crate::support::wait_until;
use crate::support::wire::{Packet, kind};
use crate::support::witness::{Witness, retained};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use tempfile::TempDir;

/// Server Keep Alive of 1 s (MQTT 5, 3.2.2.3.14): silence is noticed soon.
pub const IMPATIENT: [u8; 3] = [0x13, 0, 1];

/// A configuration with these brokers and parts.
pub fn list(urls: &[&str], parts: &str) -> String {
    configuration("URLS", parts).replace("\"URLS\"", &format!("{urls:?}"))
}

/// Listens, and never says a word.
fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

/// An agent without anybody around it.
fn alone(broker: &FakeBroker) -> Program {
    Program::run(&configuration(&broker.url(), PARTS))
}

/// Waits for a packet of this type.
#[track_caller]
fn next(broker: &FakeBroker, wanted: u8) -> Packet {
    let mut found = None;
    wait_until("a packet", || {
        found = broker.packets.try_iter().find(|packet| packet.kind() == wanted);
        found.is_some()
    });
    found.unwrap()
}

#[test]
fn the_log_says_why_there_is_no_broker_and_the_next_one_is_taken() {
    let Some(broker) = Broker::start("") else { return };
    let (_listener, silent) = listener();
    let nobody = "mqtt://nobody.invalid:1883";
    let refused = format!("mqtt://127.0.0.1:{}", free_port());
    let silent = format!("mqtt://{silent}");
    let text = list(&[nobody, &refused, &silent, &broker.url()], PARTS);
    let stand = Stand::with(broker, &text);
    for why in [
        format!("{nobody}: the host's name is not known"),
        format!("{refused}: nobody accepts a connection there"),
        format!("{silent}: no answer within 10s"),
    ] {
        assert!(stand.program.log().contains(&why), "{why}");
    }
    assert_eq!(stand.command("pump", "ON")["status"], "applied");
}

#[test]
fn a_broker_that_cannot_be_reached_does_not_hold_up_a_stop() {
    // Packets to a listener whose queue is full are dropped, as by a host that is not there.
    let (full, address) = listener();
    // SAFETY: a socket that listens may be told so again, with room for one that waits.
    assert_eq!(unsafe { libc::listen(full.as_raw_fd(), 0) }, 0);
    let _waiting = TcpStream::connect(&address).unwrap();
    for scheme in if cfg!(feature = "tls") { vec!["mqtt", "mqtts"] } else { vec!["mqtt"] } {
        let url = format!("{scheme}://{address}");
        let mut program = Program::run(&configuration(&url, PARTS));
        program.logs(&format!("connecting to {url}"));
        program.logs("pump: OFF by start");
        program.signal(libc::SIGTERM);
        assert_eq!(program.exit().code(), Some(0));
        assert!(!program.log().contains("connected to"));
    }
}

#[cfg(feature = "tls")]
#[test]
fn a_broker_that_never_begins_to_speak_tls_is_given_up() {
    let (_listener, address) = listener();
    let url = format!("mqtts://{address}");
    let program = Program::run(&configuration(&url, PARTS));
    program.logs(&format!("{url}: no answer within 10s"));
}

#[test]
fn a_broker_that_answers_no_ping_is_left() {
    // Nothing to say, so that it is asked.
    let manners = Manners { properties: IMPATIENT.into(), ignores: vec![kind::PINGREQ], ..Manners::default() };
    let broker = FakeBroker::with(5, false, manners);
    let program = Program::run(&configuration(&broker.url(), ""));
    next(&broker, kind::PINGREQ);
    program.logs("no connection to the broker: ");
    next(&broker, kind::CONNECT);
}

#[test]
fn half_a_connection_is_noticed_and_all_is_right_after_it() {
    let Some(broker) = Broker::start("max_keepalive 10") else { return };
    let proxy = Proxy::start(broker.address(), 5);
    let text = configuration(&proxy.url(), PARTS);
    let stand = Stand::with(broker, &text);
    assert_eq!(stand.command("pump", "ON")["state"], "ON");
    stand.witness.mark();
    proxy.hush();
    // A command of somebody who is cut off as well comes to an end.
    let folder = TempDir::new().unwrap();
    let call = ["call", "a/pump", "OFF", "--timeout", "500ms", "--url", &proxy.url()];
    assert_eq!(halyard(&folder, call).status.code(), Some(69));
    stand.witness.wait_for(&topic("availability"), "offline");
    stand.program.logs("no connection to the broker: ");
    proxy.mend();
    stand.witness.wait_for(&topic("availability"), "online");
    stand.answers();
    assert_eq!(retained(&stand.broker)[&topic("pump")].json()["state"], "ON");
    assert_eq!(stand.command("pump", "OFF")["state"], "OFF");
}

#[test]
fn a_slow_broker_gets_everything() {
    let Some(broker) = Broker::start("") else { return };
    let proxy = Proxy::start(broker.address(), 5);
    proxy.slow(std::time::Duration::from_millis(50));
    let text = configuration(&proxy.url(), PARTS);
    let stand = Stand::with(broker, &text);
    stand.witness.mark();
    for number in 0..20 {
        let payload = format!("{{\"id\":\"{number}\",\"value\":\"ON\"}}");
        stand.witness.peer.publish(&topic("lamp/set"), &payload, false);
    }
    // Each is carried out, or refused because too many wait.
    wait_until("all results", || stand.witness.all(&topic("lamp/result")).len() == 20);
    stand.state("lamp", "ON", "command");
    assert!(!stand.program.log().contains("no connection"));
}

#[test]
fn an_agent_whose_identifier_is_anothers_too_says_so_and_does_not_fight() {
    let broker = FakeBroker::start(5, false);
    let program = alone(&broker);
    program.logs("connected to ");
    // DISCONNECT (MQTT 5, 3.14) "Session taken over".
    broker.say(b"\xe0\x02\x8e\x00");
    program.logs("trying again in ");
    let log = program.log();
    assert!(log.contains("ERROR another client connects as `halyard-a`, and takes the connection"), "{log}");
    let pause = log.split_once("trying again in ").unwrap().1.split_once('s').unwrap().0;
    assert!(pause.parse::<f64>().unwrap() >= 15.0, "{pause}");
}

#[test]
fn two_agents_with_one_identifier_are_suspected() {
    // Mosquitto 2.0.11 ends the older connection without a word, with both versions of MQTT.
    for configure in [configuration as fn(&str, &str) -> String, configuration_of_v3] {
        let Some(broker) = Broker::start("") else { return };
        let text = configure(&broker.url(), PARTS);
        let stand = Stand::with(broker, &text);
        let other = Program::run(&text);
        let suspects = |program: &Program| {
            let log = program.log();
            log.contains("it never lasts: does another client connect as `halyard-a`?")
                // Other brokers do say it.
                || log.contains("another client connects as `halyard-a`")
        };
        wait_until("one of them suspects", || suspects(&stand.program) || suspects(&other));
    }
}

#[test]
fn what_a_broker_says_at_the_end_is_in_the_log() {
    let broker = FakeBroker::start(5, false);
    let program = alone(&broker);
    next(&broker, kind::CONNECT);
    program.logs("connected to ");
    // DISCONNECT (MQTT 5, 3.14) "Server shutting down" with a Reason String.
    broker.say(b"\xe0\x10\x8b\x0e\x1f\x00\x0bmaintenance");
    program.logs("no connection to the broker: Server shutting down (maintenance)");
    next(&broker, kind::CONNECT);
}

#[test]
fn the_first_broker_of_a_list_is_taken_again_when_it_is_back() {
    let (Some(mut first), Some(second)) = (Broker::start(""), Broker::start("")) else { return };
    let text = list(&[&first.url(), &second.url()], PARTS);
    let program = Program::run(&text);
    program.logs(&format!("connected to {}", first.url()));
    first.kill();
    let witness = Witness::connect(second.address());
    witness.wait_for(&topic("availability"), "online");
    witness.wait(&topic("pump"), |message| message.json()["state"] == "OFF");
    first.restart();
    witness.mark();
    witness.wait_for(&topic("availability"), "offline");
    let stand = Stand { program, witness: Witness::connect(first.address()), broker: first };
    stand.answers();
    assert_eq!(retained(&stand.broker)[&topic("availability")].text(), "online");
    assert_eq!(stand.command("pump", "ON")["status"], "applied");
}

#[test]
fn a_brokers_limits_are_kept() {
    // Maximum Packet Size of 200 bytes, Maximum QoS 0, Retain Available 0 (MQTT 5, 3.2.2.3).
    let properties = vec![0x27, 0, 0, 0, 200, 0x24, 0, 0x25, 0];
    let broker = FakeBroker::with(5, false, Manners { properties, plain_wills: true, ..Manners::default() });
    let program = alone(&broker);
    program.logs("connected to ");
    program.logs("the broker keeps no messages");
    program.logs("the broker takes 200 bytes at most: ");
    let mut topics = Vec::new();
    wait_until("a state", || {
        for packet in broker.packets.try_iter().filter(|packet| packet.kind() == kind::PUBLISH) {
            let publish = packet.publish(5).unwrap();
            assert!(packet.body.len() + 3 <= 200, "{}", publish.topic);
            assert!(!publish.retained && publish.id.is_none(), "{}", publish.topic);
            topics.push(publish.topic);
        }
        topics.contains(&topic("pump")) && topics.contains(&topic("availability"))
    });
    assert!(!topics.iter().any(|topic| topic.starts_with("homeassistant/")), "discovery is longer");
}

#[test]
fn no_more_is_on_its_way_than_a_broker_wants() {
    // Receive Maximum of 2 (MQTT 5, 3.2.2.3.3).
    let properties = [&[0x21, 0, 2], &IMPATIENT[..]].concat();
    let broker = FakeBroker::with(5, false, Manners { properties, ignores: vec![kind::PUBLISH], ..Manners::default() });
    let program = alone(&broker);
    program.logs("connected to ");
    // When it has nothing else to say.
    let mut publishes = 0;
    wait_until("a ping", || {
        broker.packets.try_iter().any(|packet| {
            publishes += usize::from(packet.kind() == kind::PUBLISH);
            packet.kind() == kind::PINGREQ
        })
    });
    assert_eq!(publishes, 2);
}
