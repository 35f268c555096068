//! How soon all is right after an outage of the broker.

use super::faults::Inside;
use super::stand::topic;
use crate::support::broker::Broker;
use crate::support::wait_until;
use crate::support::witness::{Message, Witness, retained};
use halyard::config::At;
use serde_json::json;
use std::time::Duration;

/// What is promised, from the moment when others see that the agent is online.
const PROMISE: Duration = Duration::from_secs(1);
const PARTS: &str = "
sensors:
  - { id: climate, driver: bme280, bus: i2c-1, address: 0x76, every: 100ms }
  - { id: door, driver: digital-input, line: GPIO17 }
  - { id: window, driver: digital-input, line: GPIO18, store: latest }
actuators:
  - { id: pump, driver: switch, line: GPIO27 }
  - { id: lamp, driver: switch, line: GPIO5 }
";
const CLIMATE: At = At::I2c { bus: 1, address: 0x76 };
const ENTITIES: [&str; 5] = ["climate", "door", "window", "pump", "lamp"];

/// Whether it says on the topic of an entity, or on that of its availability, what is true after the outage.
fn is_right(entity: &str, message: &Message) -> bool {
    let json = message.json();
    match entity {
        "climate" => json["temperature"].as_f64().is_some_and(|degrees| (degrees - 33.0).abs() < 0.1),
        "door" | "window" | "pump" => json["state"] == "ON",
        "lamp" => json["state"] == "OFF",
        _ => message.text() == "online",
    }
}

/// Something breaks, while it is broken all changes, and it is mended.
fn outage(name: &str, configuration: &str, breaks: impl FnOnce(&mut Inside), mends: impl FnOnce(&mut Inside)) {
    let Some(broker) = Broker::start(configuration) else { return };
    let mut inside = Inside::at(broker, PARTS, None);
    let bus = inside.bus();
    bus.part(&CLIMATE).unwrap().stimulate("temperature", 21.0);
    let cold = |message: &Message| message.json()["temperature"].as_f64().is_some_and(|degrees| degrees < 22.0);
    inside.witness.wait(&topic("climate"), cold);
    assert_eq!(inside.command("pump", "1", "ON")["status"], "applied");
    let pulse = json!({ "id": "2", "value": "ON", "for": "500ms" });
    inside.witness.peer.publish(&topic("lamp/set"), &pulse.to_string(), false);
    inside.witness.wait(&topic("lamp/result"), |message| message.json()["id"] == "2");
    breaks(&mut inside);
    // The pulse ends, a door opens, it gets warm.
    wait_until("the pulse is over", || !inside.line("GPIO5").is_high());
    for line in ["GPIO17", "GPIO18"] {
        inside.line(line).pull(true);
    }
    bus.part(&CLIMATE).unwrap().stimulate("temperature", 33.0);
    inside.witness.mark();
    mends(&mut inside);

    let online = inside.witness.wait(&topic("availability"), |message| message.text() == "online");
    let availabilities = ENTITIES.map(|entity| format!("{entity}/availability"));
    let all = ENTITIES.iter().map(ToString::to_string).chain(availabilities);
    let right = |entity: &String| -> (Duration, String) {
        let found = inside.witness.wait(&topic(entity), |message| message.at >= online.at && is_right(entity, message));
        (found.at - online.at, entity.clone())
    };
    let (worst, entity) = all.clone().map(|entity| right(&entity)).max().unwrap();
    println!("{name}: all is right {worst:?} after `online`, {entity} at last");
    assert!(worst <= PROMISE, "{name}: {entity} is right after {worst:?} only");
    let kept = retained(&inside.broker);
    for entity in all {
        assert!(is_right(&entity, &kept[&topic(&entity)]), "{name}: {:?}", kept[&topic(&entity)]);
    }
    inside.stop();
}

#[test]
fn all_is_right_at_once_when_a_broker_accepts_connections_again() {
    outage("refused", "", |inside| inside.proxy.cut(), |inside| inside.proxy.mend());
}

#[test]
fn all_is_right_at_once_at_a_broker_that_was_killed_and_forgot_everything() {
    let breaks = |inside: &mut Inside| {
        inside.proxy.cut();
        inside.broker.kill();
    };
    let mends = |inside: &mut Inside| {
        inside.broker.restart();
        // Before the agent is let in.
        inside.witness = Witness::connect(inside.broker.address());
        inside.proxy.mend();
    };
    outage("killed", "persistence false", breaks, mends);
}

#[test]
fn all_is_right_at_once_after_half_a_connection() {
    let mends = |inside: &mut Inside| {
        let before = inside.proxy.record(|record| record.connections);
        wait_until("it is noticed", || inside.proxy.record(|record| record.connections) > before);
        inside.proxy.mend();
    };
    outage("half open", "max_keepalive 10", |inside| inside.proxy.hush(), mends);
}
