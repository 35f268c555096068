//! The agent dies, and the broker dies.

use super::stand::{PARTS, Stand, topic};
use crate::support::broker::Broker;
use crate::support::wait_until;
use crate::support::witness::{Witness, retained};

#[test]
fn the_broker_tells_of_an_agent_that_was_killed() {
    let Some(mut stand) = Stand::start(PARTS) else { return };
    stand.witness.wait_for(&topic("availability"), "online");
    stand.witness.mark();
    stand.program.signal(libc::SIGKILL);
    assert!(!stand.program.exit().success());
    let offline = stand.witness.wait_for(&topic("availability"), "offline");
    assert_eq!((offline.qos, offline.retained), (1, true));
}

#[test]
fn a_broker_that_forgot_everything_is_told_everything() {
    let Some(broker) = Broker::start("persistence false") else { return };
    let text = super::stand::configuration(&broker.url(), PARTS);
    let mut stand = Stand::with(broker, &text);
    assert_eq!(stand.command("pump", "ON")["status"], "applied");
    stand.witness.unmark();
    for entity in ["climate", "door", "lamp", "pump", "valve"] {
        stand.witness.wait_for(&topic(&format!("{entity}/availability")), "online");
    }
    let before: Vec<String> = retained(&stand.broker).into_keys().collect();
    assert!(before.contains(&"homeassistant/device/a/config".to_owned()) && before.contains(&topic("agent")));
    stand.broker.kill();
    stand.program.logs("no connection to the broker: ");
    stand.broker.restart();
    let mut after = Default::default();
    wait_until("all is retained again", || {
        after = retained(&stand.broker);
        after.keys().eq(&before)
    });
    assert_eq!(after[&topic("availability")].text(), "online");
    assert_eq!(after[&topic("pump/availability")].text(), "online");
    let pump = after[&topic("pump")].json();
    assert_eq!((&pump["state"], &pump["by"]), (&"ON".into(), &"command".into()));

    // It hears again, too.
    stand.witness = Witness::connect(stand.broker.address());
    stand.answers();
    assert_eq!(stand.command("pump", "TOGGLE")["state"], "OFF");
}
