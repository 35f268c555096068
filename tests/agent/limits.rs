//! Rests, rates and a controller that has to be heard; what outlasts a kill.

use super::stand::Stand;
use crate::support::wait_until;
use serde_json::{Value as Json, json};
use std::time::{Duration, Instant};

/// The time that a refusal names last: `3s to go`.
fn to_go(result: &Json) -> u64 {
    let message = result["message"].as_str().unwrap();
    let (_, seconds) = message.rsplit_once(": ").unwrap();
    seconds.strip_suffix("s to go").and_then(|seconds| seconds.parse().ok()).unwrap_or_else(|| panic!("{message}"))
}

/// Ends the agent as a crash does, and starts it again.
fn kill(stand: &mut Stand) {
    stand.program.signal(libc::SIGKILL);
    assert!(!stand.program.exit().success());
    stand.witness.mark();
    stand.program.run_again(|_| {});
}

#[test]
fn a_compressor_rests_also_after_a_kill() {
    let parts = |initial: &str| {
        format!("actuators: [ {{ id: compressor, driver: switch, line: GPIO27, min_off: 1h, initial: {initial} }} ]")
    };
    // Nobody knows how long it has rested: it waits, and does so from when it was seen first.
    let Some(mut stand) = Stand::start(&parts("on")) else { return };
    let first = to_go(&stand.command("compressor", "ON"));
    assert!((3_500..=3_600).contains(&first), "{first}");
    assert_eq!(stand.verdict("compressor", "TOGGLE"), ("rejected".to_owned(), "busy".to_owned()));
    assert_eq!(stand.command("compressor", "OFF")["status"], "applied");
    wait_until("it is on disk", || stand.program.kept().contains("\"on\":false"));
    let noted = stand.program.kept();
    let now = Instant::now();
    wait_until("a second", || now.elapsed() > Duration::from_secs(1));
    kill(&mut stand);
    stand.state("compressor", "OFF", "start");
    let second = to_go(&stand.command("compressor", "ON"));
    assert!(second < first, "it does not begin anew: {first}, {second}");
    assert_eq!(stand.program.kept(), noted);

    // As if it had gone off two hours ago, after this start of the machine or before it.
    stand.program.signal(libc::SIGKILL);
    stand.program.exit();
    let mut entry: Json = serde_json::from_str(&noted).unwrap();
    entry["compressor"]["uptime"] = json!(entry["compressor"]["uptime"].as_i64().unwrap() - 7_200_000);
    std::fs::write(stand.program.file().with_file_name("state/halyard/actuators.json"), entry.to_string()).unwrap();
    stand.witness.mark();
    stand.program.run_again(|_| {});
    stand.state("compressor", "ON", "start");
}

#[test]
fn max_on_goes_on_after_a_kill() {
    let parts = "actuators: [ { id: pump, driver: switch, line: GPIO27, max_on: 1h, initial: restore } ]";
    let Some(mut stand) = Stand::start(parts) else { return };
    assert_eq!(stand.command("pump", "ON")["status"], "applied");
    wait_until("it is on disk", || stand.program.kept().contains("\"on\":true"));
    stand.program.signal(libc::SIGKILL);
    stand.program.exit();
    // As if it had gone on almost an hour ago.
    let mut entry: Json = serde_json::from_str(&stand.program.kept()).unwrap();
    assert_eq!(entry["pump"]["state"], "ON");
    entry["pump"]["uptime"] = json!(entry["pump"]["uptime"].as_i64().unwrap() - 3_600_000 + 2_000);
    std::fs::write(stand.program.file().with_file_name("state/halyard/actuators.json"), entry.to_string()).unwrap();
    stand.witness.mark();
    stand.program.run_again(|_| {});
    let end = stand.state("pump", "OFF", "safety").json();
    assert_eq!(end["why"], "on for 3600s, which is its `max_on`");
}

#[test]
fn set_by_hand_goes_on_where_the_agent_ended_and_the_agent_where_that_ended() {
    let parts = "actuators:
  - { id: compressor, driver: switch, line: GPIO27, min_off: 1h, initial: on, interlock: [ pump ] }
  - { id: pump, driver: switch, line: GPIO22, max_on: 1h }
  - { id: lamp, driver: switch, line: GPIO5, initial: restore }
";
    let Some(mut stand) = Stand::start(parts) else { return };
    assert_eq!(stand.command("pump", "ON")["status"], "applied");
    wait_until("it is on disk", || stand.program.kept().contains("\"on\":true"));
    let now = Instant::now();
    wait_until("a second", || now.elapsed() > Duration::from_secs(1));
    stand.program.signal(libc::SIGKILL);
    stand.program.exit();
    let entry = |stand: &Stand, actuator: &str| -> Json {
        serde_json::from_str::<Json>(&stand.program.kept()).unwrap()[actuator].clone()
    };
    // As if one had gone off, and the other on, so many milliseconds earlier.
    let earlier = |stand: &Stand, actuator: &str, time: i64| {
        let mut kept: Json = serde_json::from_str(&stand.program.kept()).unwrap();
        kept[actuator]["uptime"] = json!(kept[actuator]["uptime"].as_i64().unwrap() - time);
        std::fs::write(stand.program.state().join("actuators.json"), kept.to_string()).unwrap();
    };
    let set = |stand: &Stand, arguments: &[&str]| {
        let output = stand.program.beside(&[&["set"], arguments].concat());
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.code(), text)
    };
    let pump = entry(&stand, "pump");
    let (code, text) = set(&stand, &["compressor", "ON"]);
    assert!(code == Some(1) && text.contains("(busy): off for less than its `min_off` of 3600s: 3"), "{code:?} {text}");
    let left = to_go(&json!({ "message": text.trim_end() }));
    assert!(left < 3_600, "it does not begin anew: {text}");
    // Once it has rested it goes on, which is noted, and off, after which it rests.
    earlier(&stand, "compressor", 7_200_000);
    assert_eq!(set(&stand, &["compressor", "ON"]), (Some(0), "compressor ON\n".to_owned()));
    assert_eq!(entry(&stand, "compressor")["on"], true);
    assert_eq!(set(&stand, &["compressor", "OFF"]), (Some(0), "compressor OFF\n".to_owned()));
    assert_eq!(set(&stand, &["compressor", "ON"]).0, Some(1));
    // It was found to be off, but not driven.
    assert_eq!(entry(&stand, "pump"), pump);

    // What has been on for almost as long as it may goes off before its `--for`.
    earlier(&stand, "pump", 3_600_000 - 3_000);
    let now = Instant::now();
    assert_eq!(set(&stand, &["pump", "ON", "--for", "1h"]), (Some(0), "pump OFF\n".to_owned()));
    assert!(now.elapsed() < Duration::from_secs(35));
    assert_eq!(entry(&stand, "pump")["on"], false);

    assert_eq!(set(&stand, &["lamp", "ON"]).0, Some(0));
    stand.witness.mark();
    stand.program.run_again(|_| {});
    stand.state("lamp", "ON", "start");
    stand.state("compressor", "OFF", "start");
    let rest = to_go(&stand.command("compressor", "ON"));
    assert!(rest < 3_600, "{rest}");
}

#[test]
fn a_rate_is_kept_but_never_for_off() {
    let parts = "actuators: [ { id: pump, driver: switch, line: GPIO27, rate: { limit: 3, per: 1h } } ]";
    let Some(stand) = Stand::start(parts) else { return };
    for payload in ["ON", "OFF", "ON", "OFF", "TOGGLE"] {
        assert_eq!(stand.command("pump", payload)["status"], "applied", "{payload}");
    }
    let result = stand.command("pump", "ON");
    assert_eq!((&result["status"], &result["reason"]), (&json!("rejected"), &json!("busy")), "{result}");
    assert_eq!(stand.command("pump", "OFF")["status"], "applied");
}

#[test]
fn a_controller_has_to_be_heard() {
    let parts = |topic: &str| {
        format!(
            "actuators:
  - {{ id: pump, driver: switch, line: GPIO27, control: {{ topic: {topic}, timeout: 1s }} }}
"
        )
    };
    let Some(stand) = Stand::start(&parts("plant/plc")) else { return };
    let heard = |topic: &str| {
        // A word a moment, until it counts: the agent may be about to listen.
        wait_until("a command is taken", || {
            stand.witness.peer.publish(topic, "alive", false);
            stand.command("pump", "ON")["status"] == "applied"
        });
    };
    stand.state("pump", "OFF", "safety");
    assert_eq!(stand.verdict("pump", "ON"), ("rejected".to_owned(), "busy".to_owned()));
    assert_eq!(stand.command("pump", "OFF")["status"], "applied");
    heard("plant/plc");
    stand.program.logs("pump: there are messages on plant/plc again");
    let safe = stand.state("pump", "OFF", "safety").json();
    assert_eq!(safe["why"], "no message on plant/plc for 1s");
    stand.program.logs("pump: OFF for safety: no message on plant/plc for 1s");

    // Another one, after a reload. A retained one says nothing of now: it comes with the subscription.
    stand.witness.mark();
    stand.witness.peer.publish("plant/other", "alive", true);
    stand.program.write(&stand.configuration(&parts("plant/other")));
    assert_eq!(stand.request("reload"), json!({ "status": "ok", "changed": ["pump started"] }));
    stand.witness.mark();
    stand.state("pump", "OFF", "safety");
    stand.witness.peer.publish("plant/plc", "alive", false);
    assert_eq!(stand.verdict("pump", "ON"), ("rejected".to_owned(), "busy".to_owned()));
    heard("plant/other");
}
