//! Every topic: its payload, whether it is retained, its quality of service.

use super::stand::{PARTS, Stand, configuration, configuration_of_v3, topic};
use crate::support::LIMIT;
use crate::support::fake::FakeBroker;
use crate::support::program::Program;
use crate::support::wire::kind;
use crate::support::witness::{Message, retained};
use serde_json::Value as Json;

/// `2026-11-22T10:00:00.123Z`
fn is_time(json: &Json) -> bool {
    let text = json.as_str().unwrap_or_default();
    text.len() == 24 && text.ends_with('Z') && halyard::time::parse(text).is_some()
}

fn keys(json: &Json) -> Vec<&str> {
    json.as_object().unwrap().keys().map(String::as_str).collect()
}

#[track_caller]
fn is_sent_as(message: &Message, qos: u8, retained: bool) {
    assert_eq!((message.qos, message.retained), (qos, retained), "{message:?}");
}

#[test]
fn states_and_availabilities_are_retained() {
    let Some(stand) = Stand::start(PARTS) else { return };
    for entity in ["", "climate/", "door/", "pump/", "valve/", "lamp/"] {
        let online = stand.witness.wait_for(&topic(&format!("{entity}availability")), "online");
        is_sent_as(&online, 1, true);
    }

    let climate = stand.witness.wait(&topic("climate"), |_| true);
    is_sent_as(&climate, 1, true);
    let climate = climate.json();
    assert_eq!(keys(&climate), ["time", "temperature", "humidity", "pressure"]);
    assert!(is_time(&climate["time"]), "{climate}");
    assert!((-40.0..60.0).contains(&climate["temperature"].as_f64().unwrap()), "{climate}");
    assert!((0.0..=100.0).contains(&climate["humidity"].as_f64().unwrap()), "{climate}");
    assert!((800.0..1200.0).contains(&climate["pressure"].as_f64().unwrap()), "{climate}");
    // It goes on, and time with it.
    let later = stand.witness.wait(&topic("climate"), |message| message.json()["time"] != climate["time"]);
    assert!(later.json()["time"].as_str() > climate["time"].as_str());

    let door = stand.witness.wait(&topic("door"), |_| true);
    is_sent_as(&door, 1, true);
    assert_eq!(keys(&door.json()), ["time", "state"]);
    assert!(is_time(&door.json()["time"]) && ["ON", "OFF"].contains(&door.json()["state"].as_str().unwrap()));

    let pump = stand.witness.wait(&topic("pump"), |_| true);
    is_sent_as(&pump, 1, true);
    let pump = pump.json();
    assert_eq!(keys(&pump), ["time", "state", "by", "id"]);
    assert!(is_time(&pump["time"]));
    assert_eq!((&pump["state"], &pump["by"], &pump["id"]), (&"OFF".into(), &"start".into(), &Json::Null));

    // What a newcomer finds is what was said last.
    let kept = retained(&stand.broker);
    let expected = ["climate", "door", "pump", "valve", "lamp"].map(topic);
    for state in &expected {
        assert!(kept.contains_key(state), "{state} among {:?}", kept.keys());
        assert_eq!(kept[&format!("{state}/availability")].text(), "online");
    }
}

#[test]
fn the_agent_tells_of_itself() {
    let Some(stand) = Stand::start(PARTS) else { return };
    let health = stand.witness.wait(&topic("agent"), |_| true);
    is_sent_as(&health, 1, true);
    let health = health.json();
    assert_eq!((&health["version"], &health["board"]), (&env!("CARGO_PKG_VERSION").into(), &"simulated".into()));
    assert!(health["uptime"].is_u64() && health["queue"]["depth"].is_u64() && is_time(&health["time"]), "{health}");
    assert_eq!(health["problems"], serde_json::json!({}));
}

#[test]
fn results_and_responses_are_not_retained() {
    let Some(stand) = Stand::start(PARTS) else { return };
    stand.command("pump", "ON");
    is_sent_as(&stand.witness.wait(&topic("pump/result"), |_| true), 1, false);
    stand.request("health");
    is_sent_as(&stand.witness.wait(&topic("agent/response/health"), |_| true), 1, false);
    let ours = retained(&stand.broker).into_keys().filter(|topic| topic.starts_with("halyard/"));
    let passing = ours.filter(|topic| topic.contains("/result") || topic.contains("/response"));
    assert_eq!(passing.collect::<Vec<_>>(), [] as [String; 0]);
}

#[test]
fn a_base_of_several_levels_and_no_discovery() {
    let Some(broker) = crate::support::broker::Broker::start("") else { return };
    let text = configuration(&broker.url(), PARTS);
    let text = text.replace("mqtt: { ", "mqtt: { base: site/7, discovery: false, ");
    let stand = Stand::with(broker, &text);
    stand.witness.wait_for("site/7/a/pump/availability", "online");
    stand.witness.peer.publish("site/7/a/pump/set", "ON", false);
    assert_eq!(stand.witness.wait("site/7/a/pump/result", |_| true).json()["status"], "applied");
    for other in ["halyard/", "homeassistant/"] {
        assert!(stand.witness.everything().iter().all(|message| !message.topic.starts_with(other)), "{other}");
    }
}

#[test]
fn it_listens_before_it_says_that_it_is_online() {
    for (version, configure) in [(5, configuration as fn(&str, &str) -> String), (4, configuration_of_v3)] {
        let broker = FakeBroker::start(version, false);
        let _program = Program::run(&configure(&broker.url(), PARTS));
        let mut kinds = Vec::new();
        while kinds.last() != Some(&kind::PUBLISH) {
            kinds.push(broker.packets.recv_timeout(LIMIT).expect("a packet").kind());
        }
        // Commands, requests, Home Assistant's status, and what is kept of our discovery.
        assert_eq!(
            kinds,
            [kind::CONNECT, kind::SUBSCRIBE, kind::SUBSCRIBE, kind::SUBSCRIBE, kind::SUBSCRIBE, kind::PUBLISH]
        );
    }
}
