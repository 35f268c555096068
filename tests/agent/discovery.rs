//! What Home Assistant learns.

use super::stand::{PARTS, Stand, topic};
use crate::support::broker::Broker;
use crate::support::witness::retained;
use serde_json::{Value as Json, json};

const CONFIG: &str = "homeassistant/device/a/config";

/// The greenhouse of the repository, at this broker.
fn greenhouse(broker: &Broker) -> String {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config.yaml")).unwrap();
    // Without the broker of its own, at the port that others may have.
    let (before, rest) = text.split_once("\nbroker:").unwrap();
    let (_, after) = rest.split_once("\n\n").unwrap();
    assert!(after.contains("mqtt://127.0.0.1:1883"));
    format!("board: simulated\n{before}\n{}", after.replace("mqtt://127.0.0.1:1883", &broker.url()))
}

#[test]
fn everything_of_the_example_is_described() {
    let Some(broker) = Broker::start("") else { return };
    let text = greenhouse(&broker);
    let stand = Stand::with(broker, &text);
    let message = stand.witness.wait("homeassistant/device/greenhouse/config", |_| true);
    assert_eq!((message.qos, message.retained), (1, true));
    let config = message.json();
    assert!(config["device"]["identifiers"].is_array() && config["origin"]["name"] == "halyard", "{config}");
    let components = config["components"].as_object().unwrap();
    let mut keys: Vec<&str> = components.keys().map(String::as_str).collect();
    keys.sort_unstable();
    let expected = [
        "climate-humidity",
        "climate-pressure",
        "climate-temperature",
        "door-state",
        "heater-state",
        "outside-humidity",
        "outside-temperature",
        "pump-state",
        "soil-bed_1",
        "soil-bed_2",
        "tank-level",
        "valve-state",
    ];
    assert_eq!(keys, expected);
    let temperature = &components["climate-temperature"];
    assert_eq!(temperature["platform"], "sensor");
    assert_eq!(temperature["device_class"], "temperature");
    assert_eq!(temperature["unit_of_measurement"], "°C");
    assert_eq!(temperature["state_topic"], "halyard/greenhouse/climate");
    assert!(temperature["expire_after"].as_u64().unwrap() >= 30);
    assert!(temperature["default_entity_id"].as_str().unwrap().starts_with("sensor."));
    let both =
        json!([{ "topic": "halyard/greenhouse/availability" }, { "topic": "halyard/greenhouse/climate/availability" }]);
    assert_eq!(temperature["availability"], both);
    assert_eq!(
        (&components["door-state"]["platform"], &components["door-state"]["device_class"]),
        (&json!("binary_sensor"), &json!("door"))
    );
    assert_eq!(components["pump-state"]["platform"], "switch");
    // What it says is true: the topic is heard, and the state is where it says.
    let set = components["pump-state"]["command_topic"].as_str().unwrap();
    let on = components["pump-state"]["payload_on"].as_str().unwrap();
    stand.witness.peer.publish(set, on, false);
    let state = components["pump-state"]["state_topic"].as_str().unwrap();
    stand.witness.wait(state, |message| message.json()["state"] == components["pump-state"]["state_on"]);
    let mut ids: Vec<&str> = components.values().map(|component| component["unique_id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), components.len());
}

#[test]
fn home_assistant_is_told_again_when_it_starts() {
    let Some(stand) = Stand::start(PARTS) else { return };
    let first = stand.witness.wait(CONFIG, |_| true);
    stand.answers();
    stand.witness.mark();
    stand.witness.peer.publish("homeassistant/status", "offline", false);
    stand.witness.peer.publish("homeassistant/status", "online", false);
    assert_eq!(stand.witness.wait(CONFIG, |_| true), first);
    stand.answers();
    stand.witness.mark();
    stand.witness.peer.publish("homeassistant/status", "offline", false);
    stand.request("health");
    assert_eq!(stand.witness.all(CONFIG), [], "offline is no reason");
}

/// Home Assistant takes for a lamp's brightness what it was shown last, on the way to off too.
#[test]
fn a_lamp_that_fades_comes_back_as_it_was() {
    let lamp = "actuators:\n  - { id: lamp, driver: light, pwm: { chip: pwmchip0, channel: 0 }, transition: 300ms }\n";
    let Some(stand) = Stand::start(lamp) else { return };
    let message = stand.witness.wait(CONFIG, |_| true).json();
    let component = &message["components"]["lamp-state"];
    let on = component["command_on_template"].as_str().unwrap();
    assert!(on.ends_with("if brightness is defined else 'ON' }}"), "{on}");
    let reaches = |level: f64| stand.witness.wait(&topic("lamp"), |message| message.json()["state"] == level);
    assert_eq!(stand.command("lamp", "40")["status"], "applied");
    reaches(40.0);
    stand.command("lamp", "OFF");
    reaches(0.0);
    stand.command("lamp", "ON");
    reaches(40.0);
}

/// The parts without the door and the lamp.
fn fewer() -> String {
    let gone = |line: &&str| !line.contains("id: door") && !line.contains("id: lamp");
    PARTS.lines().filter(gone).map(|line| format!("{line}\n")).collect()
}

#[track_caller]
fn is_cleaned_up(stand: &Stand) {
    let removal = json!({ "platform": "switch" });
    stand.witness.wait(CONFIG, |message| {
        let components = &message.json()["components"];
        components["lamp-state"] == removal && components["door-state"] == json!({ "platform": "binary_sensor" })
    });
    for gone in ["lamp", "lamp/availability", "door", "door/availability"] {
        let cleared = stand.witness.wait_for(&topic(gone), "");
        assert!(cleared.retained, "{gone}");
    }
    // After the bare platforms comes the message without them, and it is what stays.
    let mut kept = Json::Null;
    crate::support::wait_until("the message without them stays", || {
        let all = retained(&stand.broker);
        assert!(all.keys().all(|kept| !kept.starts_with(&topic("lamp")) && !kept.starts_with(&topic("door"))));
        kept = all[CONFIG].json()["components"].clone();
        kept.get("lamp-state").is_none() && kept.get("door-state").is_none()
    });
    let kept: Vec<&String> = kept.as_object().unwrap().keys().collect();
    assert_eq!(kept, ["climate-temperature", "climate-humidity", "climate-pressure", "pump-state", "valve-state"]);
    let last = stand.witness.all(CONFIG).pop().unwrap().json();
    assert!(last["components"].get("lamp-state").is_none(), "the last word");
}

#[test]
fn an_entity_that_a_reload_removes_is_cleaned_up() {
    let Some(stand) = Stand::start(PARTS) else { return };
    for entity in ["lamp", "door"] {
        stand.witness.wait(&topic(entity), |_| true);
        stand.witness.wait_for(&topic(&format!("{entity}/availability")), "online");
    }
    stand.witness.mark();
    stand.program.write(&stand.configuration(&fewer()));
    stand.program.signal(libc::SIGHUP);
    is_cleaned_up(&stand);
}

#[test]
fn an_entity_that_is_gone_after_a_restart_is_cleaned_up() {
    let Some(mut stand) = Stand::start(PARTS) else { return };
    for entity in ["lamp", "door"] {
        stand.witness.wait(&topic(entity), |_| true);
    }
    stand.witness.wait(CONFIG, |_| true);
    stand.program.signal(libc::SIGTERM);
    assert!(stand.program.exit().success());
    assert!(retained(&stand.broker).contains_key(&topic("lamp")));
    let text = stand.configuration(&fewer());
    let stand = Stand::with(stand.broker, &text);
    is_cleaned_up(&stand);
}
