//! A new configuration for an agent that runs, and secrets, which no one gets to see.

use super::stand::{PARTS, Stand, configuration, topic};
use crate::support::broker::Broker;
use crate::support::program::Program;
use serde_json::json;

#[test]
fn what_did_not_change_is_not_touched() {
    let Some(stand) = Stand::start(PARTS) else { return };
    assert_eq!(stand.command("pump", "ON")["status"], "applied");
    assert_eq!(stand.command("lamp", "ON")["status"], "applied");
    stand.witness.mark();
    // The lamp moves to another line; a fan comes.
    let changed = PARTS.replace("GPIO5 }", "GPIO6 }\n  - { id: fan, driver: switch, line: GPIO5 }");
    stand.program.write(&stand.configuration(&changed));
    stand.witness.peer.publish(&topic("agent/request/reload"), "", false);
    let answer = stand.witness.wait(&topic("agent/response/reload"), |_| true).json();
    assert_eq!(answer, json!({ "status": "ok", "changed": ["lamp started", "fan started"] }));
    stand.state("lamp", "OFF", "safety");
    stand.state("lamp", "OFF", "start");
    stand.state("fan", "OFF", "start");
    for same in ["pump", "valve", "door"] {
        assert_eq!(stand.witness.all(&topic(same)), [], "{same} flickered");
    }
    assert_eq!(stand.command("fan", "ON")["status"], "applied");
    assert_eq!(stand.command("pump", "TOGGLE")["state"], "OFF");
}

#[test]
fn an_actuator_that_goes_goes_to_safe() {
    let Some(stand) = Stand::start(PARTS) else { return };
    assert_eq!(stand.command("lamp", "ON")["status"], "applied");
    stand.witness.mark();
    let text = stand.configuration(PARTS).lines().filter(|line| !line.contains("lamp")).collect::<Vec<_>>().join("\n");
    stand.program.write(&text);
    stand.program.signal(libc::SIGHUP);
    stand.program.logs("reloaded: lamp removed");
    stand.program.logs("lamp: OFF for safety");
    stand.witness.wait_for(&topic("lamp"), "");
    // Its topic is nobody's now.
    stand.witness.peer.publish(&topic("lamp/set"), "ON", false);
    assert_eq!(stand.command("pump", "ON")["status"], "applied");
    assert_eq!(stand.witness.all(&topic("lamp/result")), []);
}

#[test]
fn a_sensor_that_comes_is_simulated_as_well() {
    let Some(stand) = Stand::start(PARTS) else { return };
    let more = "\n  - { id: outside, driver: sht4x, bus: i2c-1, address: 0x44, every: 100ms }\nactuators:";
    stand.program.write(&stand.configuration(&PARTS.replace("\nactuators:", more)));
    assert_eq!(stand.request("reload"), json!({ "status": "ok", "changed": ["outside started"] }));
    let state = stand.witness.wait(&topic("outside"), |_| true).json();
    assert!(state["temperature"].is_number(), "{state}");
}

#[test]
fn a_wrong_file_changes_nothing() {
    let Some(stand) = Stand::start(PARTS) else { return };
    assert_eq!(stand.command("pump", "ON")["status"], "applied");
    let good = stand.configuration(PARTS);
    let wrong = good.replace("line: GPIO22", "lin: GPIO22").replace("every: 100ms", "every: soon");
    let place = |text: &str| {
        let line = wrong.lines().position(|line| line.contains(text)).unwrap();
        format!("config.yaml:{}:{}: ", line + 1, wrong.lines().nth(line).unwrap().find(text).unwrap() + 1)
    };
    stand.program.write(&wrong);
    let answer = stand.request("reload");
    assert_eq!(answer["status"], "error");
    let message = answer["message"].as_str().unwrap();
    assert!(message.contains(&place("lin: ")) && message.contains(&place("soon")), "{message}\n{wrong}");
    stand.witness.mark();
    stand.program.signal(libc::SIGHUP);
    stand.program.logs(&place("lin: "));
    assert_eq!(stand.request("config")["config"]["actuators"].as_array().unwrap().len(), 3);
    for entity in ["pump", "valve", "lamp"] {
        assert_eq!(stand.witness.all(&topic(entity)), [], "{entity}");
    }
    // What only a restart can change is refused whole.
    stand.program.write(&good.replace("id: a }", "id: b }").replace("GPIO22", "GPIO23"));
    let answer = stand.request("reload");
    assert_eq!(answer["status"], "error");
    assert!(answer["message"].as_str().unwrap().contains("restart"), "{answer}");
    stand.program.write(&good);
    assert_eq!(stand.request("reload"), json!({ "status": "ok", "changed": [] }));
}

#[test]
fn a_secret_is_never_shown() {
    const SECRET: &str = "correct-horse-battery";
    const NAME: &str = "HALYARD_TEST_PASSWORD";
    let Some(broker) = Broker::start("") else { return };
    let text = configuration(&broker.url(), PARTS);
    let text =
        text.replace("mqtt: { ", &format!("mqtt: {{ username: {{ env: {NAME} }}, password: {{ env: {NAME} }}, "));
    let mut stand = Stand::with_program(broker, || {
        Program::run_with(&text, |command| {
            command.env(NAME, SECRET).env("HALYARD_LOG", "trace");
        })
    });
    assert_eq!(stand.request("config")["status"], "ok");
    // In the wrong place, as a value that cannot be: the error says where, not what.
    let mut answers = Vec::new();
    for (good, wrong) in [
        ("every: 100ms", "every: { env: HALYARD_TEST_PASSWORD }"),
        ("driver: bme280", "driver: { env: HALYARD_TEST_PASSWORD }"),
        ("address: 0x76", "address: { env: HALYARD_TEST_PASSWORD }"),
        ("line: GPIO22", "line: { env: HALYARD_TEST_PASSWORD, chip: x }"),
        ("interlock: [ valve ]", "interlock: [ { env: HALYARD_TEST_PASSWORD } ]"),
        ("id: lamp", "id: { env: HALYARD_TEST_PASSWORD }, safe: { env: HALYARD_TEST_PASSWORD }"),
    ] {
        assert!(text.contains(good), "{good}");
        stand.program.write(&text.replace(good, wrong));
        let answer = stand.request("reload");
        assert_eq!(answer["status"], "error", "{wrong}");
        answers.push(answer.to_string());
    }
    stand.program.write(&text.replace("username: { env: HALYARD_TEST_PASSWORD }", "username: other"));
    answers.push(stand.request("reload").to_string());
    stand.program.signal(libc::SIGTERM);
    assert!(stand.program.exit().success());
    let shown = |text: &str| text.contains(SECRET);
    assert!(answers.iter().all(|answer| !shown(answer)), "{answers:#?}");
    assert!(!shown(&stand.program.log()), "in the log");
    stand.witness.wait_for(&topic("availability"), "offline");
    stand.witness.unmark();
    assert!(stand.witness.everything().iter().all(|message| !shown(&message.text())), "on a topic");
}
