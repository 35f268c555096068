//! Commands, and exactly one result for each.

use super::stand::{PARTS, Stand, configuration, configuration_of_v3, topic};
use crate::support::broker::Broker;
use crate::support::witness::{Witness, unique};
use rumqttc::v5::mqttbytes::QoS;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

fn stands() -> Option<[Stand; 2]> {
    let start = |configure: fn(&str, &str) -> String| {
        let broker = Broker::start("")?;
        let text = configure(&broker.url(), PARTS);
        Some(Stand::with(broker, &text))
    };
    Some([start(configuration)?, start(configuration_of_v3)?])
}

#[test]
fn every_form_is_carried_out() {
    for stand in stands().into_iter().flatten() {
        for (payload, state, id) in [
            ("ON", "ON", Json::Null),
            ("OFF", "OFF", Json::Null),
            (" ON\n", "ON", Json::Null),
            ("TOGGLE", "OFF", Json::Null),
            (r#"{"value":"TOGGLE"}"#, "ON", Json::Null),
            (r#"{"id":"7f3","value":"OFF","ttl":"5m"}"#, "OFF", json!("7f3")),
            (r#"{"id":"7f4","value":"ON","ttl":"1h","time":"2099-11-22T10:00:00+01:00"}"#, "ON", json!("7f4")),
        ] {
            let result = stand.command("lamp", payload);
            assert_eq!(
                (&result["status"], &result["state"]),
                (&json!("applied"), &json!(state)),
                "{payload}: {result}"
            );
            assert_eq!((&result["id"], result.get("reason")), (&id, None), "{payload}: {result}");
            let told = stand.state("lamp", state, "command").json();
            assert_eq!(told["id"], id, "{payload}: {told}");
        }
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            assert_eq!(stand.command_as("lamp", "TOGGLE", qos)["status"], "applied", "{qos:?}");
        }
    }
}

#[test]
fn what_is_rejected_says_why_and_changes_nothing() {
    for stand in stands().into_iter().flatten() {
        stand.witness.wait(&topic("lamp"), |_| true);
        for (payload, reason, id) in [
            ("", "malformed", Json::Null),
            ("{", "malformed", Json::Null),
            ("[]", "malformed", Json::Null),
            (r#"{"id":"m1","value":"ON","four":"2s"}"#, "malformed", json!("m1")),
            (r#"{"id":"m2","value":"ON","for":"0s"}"#, "malformed", json!("m2")),
            (r#"{"id":"m3"}"#, "malformed", json!("m3")),
            ("on", "unknown-value", Json::Null),
            ("BLINK", "unknown-value", Json::Null),
            ("7", "unknown-value", Json::Null),
            (r#"{"id":"u1","value":true}"#, "unknown-value", json!("u1")),
            (r#"{"id":"e1","value":"ON","ttl":"5s","time":"2020-11-22T10:00:00Z"}"#, "expired", json!("e1")),
        ] {
            let result = stand.command("lamp", payload);
            assert_eq!((&result["status"], &result["reason"]), (&json!("rejected"), &json!(reason)), "{payload}");
            assert_eq!((&result["id"], &result["state"]), (&id, &json!("OFF")), "{payload}: {result}");
            assert!(!result["message"].as_str().unwrap().is_empty(), "{payload}");
            assert_eq!(stand.witness.all(&topic("lamp")), [], "{payload}");
        }
        let again = r#"{"id":"d1","value":"ON"}"#;
        assert_eq!(stand.command("lamp", again)["status"], "applied");
        assert_eq!(stand.command("lamp", "OFF")["status"], "applied");
        assert_eq!(stand.verdict("lamp", again), ("rejected".into(), "duplicate".into()));
        assert_eq!(stand.command("lamp", "TOGGLE")["state"], "ON", "the duplicate was carried out");
    }
}

#[test]
fn interlocked_actuators_are_never_on_together() {
    let Some(stand) = Stand::start(PARTS) else { return };
    assert_eq!(stand.command("pump", "ON")["status"], "applied");
    // The other way round than it is written.
    assert_eq!(stand.verdict("valve", "ON"), ("rejected".into(), "interlock".into()));
    assert_eq!(stand.verdict("valve", "TOGGLE"), ("rejected".into(), "interlock".into()));
    assert_eq!(stand.command("valve", "OFF")["status"], "applied");
    assert_eq!(stand.command("lamp", "ON")["status"], "applied");
    assert_eq!(stand.command("pump", "OFF")["status"], "applied");
    assert_eq!(stand.command("valve", "ON")["status"], "applied");
    assert_eq!(stand.verdict("pump", "ON"), ("rejected".into(), "interlock".into()));
}

#[test]
fn every_command_of_a_flood_has_one_result() {
    const COMMANDS: usize = 300;
    for stand in stands().into_iter().flatten() {
        stand.witness.mark();
        for number in 0..COMMANDS {
            let actuator = ["pump", "valve", "lamp"][number % 3];
            let payload = json!({ "id": format!("{number}"), "value": "TOGGLE" }).to_string();
            let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][number / 3 % 3];
            stand.witness.peer.publish_as(&topic(&format!("{actuator}/set")), payload.as_bytes(), qos);
        }
        let results = || -> Vec<Json> {
            let of = |actuator: &str| stand.witness.all(&topic(&format!("{actuator}/result")));
            ["pump", "valve", "lamp"].iter().flat_map(|actuator| of(actuator)).map(|message| message.json()).collect()
        };
        crate::support::wait_until("all results", || results().len() >= COMMANDS);
        // A second result for any of them would come before this answer.
        stand.witness.peer.publish(&topic("agent/request/health"), "", false);
        stand.witness.wait(&topic("agent/response/health"), |_| true);
        let mut count = BTreeMap::new();
        for result in results() {
            *count.entry(result["id"].as_str().unwrap().to_owned()).or_insert(0) += 1;
            let outcome = (result["status"].as_str().unwrap(), result["reason"].as_str());
            let known = [("applied", None), ("rejected", Some("interlock")), ("rejected", Some("busy"))];
            assert!(known.contains(&outcome), "{result}");
        }
        assert_eq!(count.len(), COMMANDS);
        assert!(count.values().all(|count| *count == 1), "{count:?}");
    }
}

#[test]
fn whoever_asks_with_a_response_topic_is_answered_there_too() {
    let Some(stand) = Stand::start(PARTS) else { return };
    let answered = |set: &str, payload: &str, status: &str| {
        stand.witness.mark();
        let response = unique("answers/here");
        stand.witness.peer.request(&topic(set), payload, &response, b"\0corr\xff");
        let answer = stand.witness.wait(&response, |_| true);
        assert_eq!(answer.correlation.as_deref(), Some(&b"\0corr\xff"[..]));
        assert_eq!((answer.json()["status"].as_str(), answer.retained), (Some(status), false));
        let result = stand.witness.wait(&topic("lamp/result"), |_| true);
        assert_eq!((result.json(), result.correlation), (answer.json(), None));
    };
    answered("lamp/set", r#"{"id":"r","value":"ON"}"#, "applied");
    answered("lamp/set", r#"{"id":"r","value":"ON"}"#, "rejected");
    answered("lamp/set", "nonsense", "rejected");
    let response = "answers/health";
    stand.witness.peer.request(&topic("agent/request/health"), "", response, b"h");
    let answer = stand.witness.wait(response, |_| true);
    assert_eq!((answer.json()["status"].as_str(), answer.correlation.as_deref()), (Some("ok"), Some(&b"h"[..])));
}

#[test]
fn a_retained_command_is_not_carried_out() {
    for configure in [configuration, configuration_of_v3] {
        let Some(broker) = Broker::start("") else { return };
        let early = Witness::connect(broker.address());
        early.peer.publish(&topic("lamp/set"), r#"{"id":"old","value":"ON"}"#, true);
        early.wait(&topic("lamp/set"), |_| true);
        let text = configure(&broker.url(), PARTS);
        let stand = Stand::with(broker, &text);
        let result = stand.witness.wait(&topic("lamp/result"), |_| true).json();
        assert_eq!((&result["status"], &result["reason"]), (&json!("rejected"), &json!("retained")), "{result}");
        assert_eq!(result["id"], "old");
        // The same payload live is a command, and its id was not used up.
        let result = stand.command("lamp", r#"{"id":"old","value":"TOGGLE"}"#);
        assert_eq!((&result["status"], &result["state"]), (&json!("applied"), &json!("ON")), "{result}");
    }
}
