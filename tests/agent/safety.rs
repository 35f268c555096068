//! What becomes of outputs when nobody is in control, and when their time is over.

use super::stand::{PARTS, Stand, configuration, topic};
use crate::support::broker::{Broker, free_port};
use crate::support::program::Program;
use crate::support::proxy::Proxy;
use crate::support::witness::{Witness, retained};
use std::time::{Duration, Instant};

/// What a stop may take. It takes a few milliseconds, or half a second without a broker to say goodbye to.
const STOP: Duration = Duration::from_secs(2);

#[test]
fn a_stop_makes_outputs_safe_and_then_says_goodbye() {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let Some(mut stand) = Stand::start(PARTS) else { return };
        assert_eq!(stand.command("pump", "ON")["status"], "applied");
        assert_eq!(stand.command("lamp", "ON")["status"], "applied");
        stand.witness.mark();
        stand.program.signal(signal);
        assert_eq!(stand.program.exit().code(), Some(0));
        let offline = stand.witness.wait_for(&topic("availability"), "offline");
        assert!(offline.retained);
        let all = stand.witness.everything();
        let place = |wanted: &str, text: &str| {
            let found = all.iter().position(|message| message.topic == topic(wanted) && message.text().contains(text));
            found.unwrap_or_else(|| panic!("{wanted} {text} among {all:#?}"))
        };
        let goodbye = place("availability", "offline");
        for actuator in ["pump", "lamp"] {
            let state = stand.state(actuator, "OFF", "safety");
            assert!(place(actuator, &state.text()) < goodbye);
        }
        assert_eq!(retained(&stand.broker)[&topic("pump")].json()["state"], "OFF");
    }
}

#[test]
fn a_stop_is_quick_without_a_broker_too() {
    let parts = "actuators: [ { id: pump, driver: switch, line: GPIO27, initial: on } ]";
    let stop = |program: &mut Program| {
        let start = Instant::now();
        program.signal(libc::SIGTERM);
        assert_eq!(program.exit().code(), Some(0));
        assert!(start.elapsed() < STOP, "{:?}", start.elapsed());
        assert!(program.log().contains("pump: OFF for safety"));
    };
    // Nobody listens.
    let mut program = Program::run(&configuration(&format!("mqtt://127.0.0.1:{}", free_port()), parts));
    program.logs("no connection to the broker: ");
    stop(&mut program);
    // Somebody does, but never answers any more.
    let Some(mut stand) = Stand::start(parts) else { return };
    stand.witness.wait(&topic("pump"), |_| true);
    stand.broker.freeze();
    stop(&mut stand.program);
}

#[test]
fn an_output_goes_to_safe_after_a_while_without_a_broker() {
    let Some(broker) = Broker::start("") else { return };
    let proxy = Proxy::start(broker.address(), 5);
    let parts = "
actuators:
  - { id: pump, driver: switch, line: GPIO27, safe_after: 200ms }
  - { id: fan, driver: switch, line: GPIO5, safe: on, safe_after: 200ms }
  - { id: lamp, driver: switch, line: GPIO22 }
";
    let text = configuration(&proxy.url(), parts);
    let stand = Stand::with(broker, &text);
    assert_eq!(stand.command("pump", "ON")["status"], "applied");
    assert_eq!(stand.command("lamp", "ON")["status"], "applied");
    stand.witness.mark();
    proxy.cut();
    stand.witness.wait_for(&topic("availability"), "offline");
    stand.program.logs("pump: OFF for safety");
    stand.program.logs("fan: ON for safety");
    proxy.mend();
    stand.witness.wait_for(&topic("availability"), "online");
    stand.state("pump", "OFF", "safety");
    stand.state("fan", "ON", "safety");
    // Without a limit it stays as it is.
    assert_eq!(stand.command("lamp", "TOGGLE")["state"], "OFF");
    assert_eq!(stand.command("pump", "ON")["status"], "applied");
}

#[test]
fn an_output_is_on_for_so_long_only() {
    let parts = "actuators: [ { id: pump, driver: switch, line: GPIO27, max_on: 300ms } ]";
    let Some(stand) = Stand::start(parts) else { return };
    for payload in ["ON", r#"{"value":"ON","for":"1h"}"#] {
        assert_eq!(stand.command("pump", payload)["status"], "applied");
        stand.state("pump", "ON", "command");
        stand.state("pump", "OFF", "safety");
    }
}

#[test]
fn a_pulse_ends_by_itself() {
    let Some(stand) = Stand::start(PARTS) else { return };
    let result = stand.command("lamp", r#"{"id":"p1","value":"ON","for":"200ms"}"#);
    assert_eq!(result["state"], "ON");
    assert_eq!(stand.state("lamp", "OFF", "command").json()["id"], "p1");
    // Back to what it was before, not to off.
    stand.command("lamp", "ON");
    // Its state comes after its result: it is not to be taken for the end of the pulse.
    stand.state("lamp", "ON", "command");
    stand.command("lamp", r#"{"id":"p2","value":"OFF","for":"200ms"}"#);
    assert_eq!(stand.state("lamp", "ON", "command").json()["id"], "p2");
    assert_eq!(stand.witness.all(&topic("lamp/result")).len(), 1, "one result for a command, not one for its end");
}

#[test]
fn outputs_start_as_configured() {
    let parts = |initial: &str| {
        format!("actuators: [ {{ id: pump, driver: switch, line: GPIO27, active: low, initial: {initial} }} ]")
    };
    let Some(mut stand) = Stand::start(&parts("restore")) else { return };
    // Nothing is known of the time before.
    stand.state("pump", "OFF", "start");
    assert_eq!(stand.command("pump", "ON")["status"], "applied");
    stand.request("health");
    // As the power fails: what was on disk has to do.
    crate::support::wait_until("it is on disk", || {
        let file = stand.program.file().with_file_name("state/halyard/actuators.json");
        std::fs::read_to_string(file).is_ok_and(|text| text.contains("ON"))
    });
    stand.witness.mark();
    stand.program.signal(libc::SIGHUP);
    stand.program.logs("reloaded: nothing changed");
    stand.witness.peer.publish(&topic("agent/request/restart"), "", false);
    stand.state("pump", "OFF", "safety");
    stand.state("pump", "ON", "start");
    stand.witness.mark();
    stand.program.signal(libc::SIGTERM);
    assert!(stand.program.exit().success());
    let witness = Witness::connect(stand.broker.address());
    let _on = Program::run(&stand.configuration(&parts("on")));
    witness.wait(&topic("pump"), |message| message.json()["state"] == "ON" && message.json()["by"] == "start");
}
