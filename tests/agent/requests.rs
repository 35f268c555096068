//! Requests to the agent.

use super::stand::{PARTS, Stand, topic};
use crate::support::witness::Witness;
use serde_json::json;

#[test]
fn health_read_and_config_are_answered() {
    let Some(stand) = Stand::start(PARTS) else { return };
    let health = stand.request("health");
    assert_eq!((&health["status"], &health["health"]["board"]), (&json!("ok"), &json!("simulated")));

    let read = stand.request("read");
    assert_eq!((&read["status"], &read["faults"]), (&json!("ok"), &json!({})));
    assert!(read["states"]["climate"]["temperature"].is_number(), "{read}");
    assert!(read["states"]["door"]["state"].is_string(), "{read}");

    let config = stand.request("config");
    assert_eq!((&config["status"], &config["config"]["agent"]), (&json!("ok"), &json!("a")));
    let ids = |kind: &str| -> Vec<String> {
        let list = config["config"][kind].as_array().unwrap();
        list.iter().map(|part| part["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        (ids("sensors").join(" "), ids("actuators").join(" ")),
        ("climate door".into(), "pump valve lamp".into())
    );
}

#[test]
fn an_unknown_request_is_an_error() {
    let Some(stand) = Stand::start(PARTS) else { return };
    let answer = stand.request("reboot");
    assert_eq!(answer["status"], "error");
    assert!(answer["message"].as_str().unwrap().contains("restart"), "it says what there is: {answer}");
}

#[test]
fn a_restart_comes_back() {
    let Some(mut stand) = Stand::start(PARTS) else { return };
    assert_eq!(stand.command("lamp", "ON")["status"], "applied");
    assert_eq!(stand.request("restart")["status"], "ok");
    stand.witness.wait_for(&topic("availability"), "offline");
    stand.state("lamp", "OFF", "start");
    stand.witness.wait_for(&topic("availability"), "online");
    assert!(stand.program.runs(), "it is another process");
    stand.answers();
    assert_eq!(stand.command("lamp", "ON")["status"], "applied");
}

#[test]
fn a_retained_request_is_not_carried_out() {
    let Some(broker) = crate::support::broker::Broker::start("") else { return };
    let early = Witness::connect(broker.address());
    early.peer.publish(&topic("agent/request/restart"), "now", true);
    early.wait(&topic("agent/request/restart"), |_| true);
    let text = super::stand::configuration(&broker.url(), PARTS);
    let stand = Stand::with(broker, &text);
    let answer = stand.witness.wait(&topic("agent/response/restart"), |_| true).json();
    assert_eq!(answer["status"], "error");
    stand.answers();
    assert!(!stand.program.log().contains("starting again"));
}
