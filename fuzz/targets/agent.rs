//! What reaches the agent from files and from the broker. Each function takes whatever there is, and must not panic; what it
//! gives has to keep its promises.
#![allow(dead_code)] // each target uses one
#![allow(missing_docs)]

use halyard::acting::command::{self, Takes};
use halyard::config;
use halyard::mqtt::{Topics, discovery};
use serde_json::json;
use std::time::{Duration, SystemTime};

/// A configuration file. One that is right gives a discovery message, and each problem of a wrong one has a place in it.
pub fn configuration(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match config::parse(text, "config.yaml") {
        Ok(config) => {
            let message = discovery::message(&config, None);
            assert!(message["components"].is_object());
            assert!(config.agent.len() <= 64 && !format!("{config:?}").is_empty());
        }
        Err(report) => {
            assert!(!report.findings.is_empty());
            // YAML breaks lines at more than `\n` (1.1, 5.4); the end of a file is on a line of its own.
            let breaks = ['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'];
            let lines = text.replace("\r\n", "\n").matches(breaks).count() + 2;
            for position in report.findings.iter().filter_map(|finding| finding.position) {
                assert!((1..=lines).contains(&position.line) && position.column > 0, "{report}");
            }
        }
    }
}

/// A command's payload.
pub fn command(data: &[u8]) {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    for takes in [Takes::Words, Takes::Text] {
        match command::parse(data, takes, now) {
            Ok(command) => {
                assert!(command.id.is_none_or(|id| id.len() <= 128));
                assert!(command.pulse.is_none_or(|pulse| !pulse.is_zero()));
            }
            Err(refusal) => assert!(refusal.message.len() < 1000, "{}", refusal.message),
        }
    }
}

/// A topic in the first line and its payload after it. What is cleaned up is the agent's own.
pub fn inbound(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (topic, payload) = data.split_at(end);
    let payload = payload.get(1..).unwrap_or_default();
    let topics = Topics::new("halyard", "a");
    if let Ok(topic) = std::str::from_utf8(topic) {
        let _ = topics.parse(topic, Some("homeassistant"));
        let _ = topics.entity_of_state(topic);
    }
    let new = json!({
        "device": { "identifiers": ["halyard.a"] },
        "origin": { "name": "halyard" },
        "components": { "pump": { "platform": "switch", "unique_id": "halyard.a.pump" } },
    });
    if let Some(cleanup) = discovery::cleanup(payload, &new, &topics) {
        assert!(cleanup.payload["components"].is_object());
        for topic in cleanup.retained {
            assert!(topic.starts_with("halyard/a/") && !topic.contains(['+', '#', '\0']), "{topic:?}");
        }
    }
}
