//! The agent dies, and the broker dies.

use super::stand::{PARTS, Stand, configuration, configuration_of_v3, topic};
use crate::support::broker::Broker;
use crate::support::proxy::Proxy;
use crate::support::wait_until;
use crate::support::witness::{Witness, retained};
use serde_json::json;
use std::time::{Duration, SystemTime};

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
    let text = configuration(&broker.url(), PARTS);
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

#[test]
fn commands_of_an_outage_are_carried_out_unless_they_are_too_old() {
    for (version, configure) in [(5, configuration as fn(&str, &str) -> String), (4, configuration_of_v3)] {
        let Some(broker) = Broker::start("") else { return };
        let proxy = Proxy::start(broker.address(), version);
        let text = configure(&proxy.url(), PARTS);
        let stand = Stand::with(broker, &text);
        if version == 4 {
            // In MQTT 3.1.1 the session of the first connection ends with it; that of the second lasts.
            stand.witness.mark();
            proxy.cut();
            stand.witness.wait_for(&topic("availability"), "offline");
            proxy.mend();
            stand.witness.wait_for(&topic("availability"), "online");
        }
        assert_eq!(stand.command("lamp", "ON")["state"], "ON");
        stand.witness.mark();
        proxy.cut();
        stand.witness.wait_for(&topic("availability"), "offline");
        let sent = SystemTime::now();
        let old = json!({ "id": "old", "value": "OFF", "ttl": "100ms", "time": halyard::time::rfc3339(sent) });
        let young = json!({ "id": "young", "value": "ON", "ttl": "1h", "time": halyard::time::rfc3339(sent) });
        stand.witness.peer.publish(&topic("lamp/set"), &old.to_string(), false);
        stand.witness.peer.publish(&topic("pump/set"), &young.to_string(), false);
        wait_until("the old one is too old", || sent.elapsed().is_ok_and(|age| age > Duration::from_millis(101)));
        proxy.mend();
        let result = |actuator: &str, id: &str| {
            stand.witness.wait(&topic(&format!("{actuator}/result")), |message| message.json()["id"] == id).json()
        };
        assert_eq!(result("lamp", "old")["reason"], "expired");
        assert_eq!(result("pump", "young")["status"], "applied");
        stand.state("pump", "ON", "command");
        assert_eq!(stand.command("lamp", "TOGGLE")["state"], "OFF", "it was not touched");
    }
}
