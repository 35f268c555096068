//! Whatever is sent to it, the agent goes on.

use super::stand::{PARTS, Stand, topic};
use rumqttc::v5::mqttbytes::QoS;

/// The same payloads in every run.
const SEED: u64 = 20_261_122;

/// Payloads that somebody may have thought about as little as somebody else about reading them.
fn payloads() -> Vec<Vec<u8>> {
    let nested = |open: &str, close: &str| format!("{{\"value\":{}{}}}", open.repeat(20_000), close.repeat(20_000));
    let mut payloads: Vec<Vec<u8>> = [
        "",
        "\0",
        "ON\0",
        "{\"value\":\"ON\\u0000\"}",
        "{\"id\":\"\\ud800\",\"value\":\"ON\"}",
        "{\"value\":1e999}",
        "{\"value\":\"ON\",\"ttl\":\"99999999999999999999h\"}",
        "{\"value\":\"ON\",\"time\":\"9999-12-31T23:59:59Z\",\"ttl\":\"168h\"}",
        "{\"value\":\"ON\",\"time\":\"-9999-01-01T00:00:00Z\",\"ttl\":\"1ms\"}",
        "{\"origin\":{\"name\":\"halyard\"},\"device\":{\"identifiers\":[\"halyard.a\"]},\"components\":{\"\":{}}}",
        "-0",
        "NaN",
        "online",
        "offline",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec();
    payloads.extend([nested("[", "]"), nested("{\"a\":", "}")].map(String::into_bytes));
    payloads.push(vec![b'x'; 1 << 20]);
    payloads.push(format!("{{\"id\":\"{}\",\"value\":\"ON\"}}", "i".repeat(1 << 20)).into_bytes());
    let mut random = fastrand::Rng::with_seed(SEED);
    for _ in 0..60 {
        let length = random.usize(..300);
        payloads.push(std::iter::repeat_with(|| random.u8(..)).take(length).collect());
        // Nearly right.
        let mut near = br#"{"id":"7f3","value":"ON","for":"2s","ttl":"5s","time":"2026-11-22T10:00:00Z"}"#.to_vec();
        let place = random.usize(..near.len());
        near[place] = random.u8(..);
        payloads.push(near);
    }
    payloads
}

#[test]
fn no_payload_ends_it() {
    let Some(mut stand) = Stand::start(PARTS) else { return };
    stand.witness.mark();
    let payloads = payloads();
    let agent = ["agent/request/health", "agent/request/config", "agent/request/reload", "agent/request/nonsense"];
    let others = ["lamp/set", "climate/set", "nobody/set", "agent/request/read"];
    let topics = agent.into_iter().chain(others).map(topic);
    let topics = topics.chain(["homeassistant/status", "homeassistant/device/a/config"].map(String::from));
    for topic in topics {
        for (number, payload) in payloads.iter().enumerate() {
            let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][number % 3];
            // Large ones once are enough.
            if payload.len() < 100_000 || topic.ends_with("lamp/set") || topic.ends_with("config") {
                stand.witness.peer.publish_as(&topic, payload, qos);
            }
        }
    }
    crate::support::wait_until("all results", || stand.witness.all(&topic("lamp/result")).len() >= payloads.len());
    assert!(stand.program.runs());
    assert_eq!(stand.request("health")["health"]["problems"], serde_json::json!({}));
    assert_eq!(stand.command("pump", "ON")["status"], "applied");
    stand.witness.wait(&topic("climate"), |_| true);
    assert!(!stand.program.log().contains("panicked"));
    stand.program.signal(libc::SIGTERM);
    assert_eq!(stand.program.exit().code(), Some(0));
}

#[test]
fn nobody_elses_message_is_cleaned_up() {
    let Some(broker) = crate::support::broker::Broker::start("") else { return };
    let early = crate::support::witness::Witness::connect(broker.address());
    // Retained where ours will be: other software's, and one that wants foreign topics cleared.
    let victim = "halyard/b/pump";
    early.peer.publish(victim, "state", true);
    let forged = serde_json::json!({
        "origin": { "name": "halyard" },
        "device": { "identifiers": ["halyard.a"] },
        "components": { "x": { "platform": "switch", "state_topic": victim } },
    });
    early.peer.publish("homeassistant/device/a/config", &forged.to_string(), true);
    early.wait("homeassistant/device/a/config", |_| true);
    let text = super::stand::configuration(&broker.url(), PARTS);
    let stand = Stand::with(broker, &text);
    stand.witness.wait("homeassistant/device/a/config", |message| {
        message.json()["components"]["x"] == serde_json::json!({ "platform": "switch" })
    });
    stand.answers();
    assert_eq!(crate::support::witness::retained(&stand.broker)[victim].text(), "state");
}
