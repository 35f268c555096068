//! Home Assistant's rules for a device's discovery message, as versions 2025.4 and 2026.11 apply them.

use serde_json::{Value, json};
use std::collections::HashSet;

/// Keys that Home Assistant knows in each kind of component, of those in use here. It ignores all others silently.
fn known_keys(platform: &str) -> &'static [&'static str] {
    match platform {
        "sensor" => {
            &["device_class", "unit_of_measurement", "state_class", "suggested_display_precision", "expire_after"]
        }
        "binary_sensor" => &["device_class", "payload_on", "payload_off", "expire_after"],
        "switch" => {
            &["command_topic", "payload_on", "payload_off", "state_on", "state_off", "optimistic", "device_class"]
        }
        "number" => &["command_topic", "min", "max", "step", "unit_of_measurement", "optimistic", "device_class"],
        "event" => &["device_class", "event_types"],
        "light" => &[
            "command_topic",
            "schema",
            "state_template",
            "brightness_template",
            "command_on_template",
            "command_off_template",
            "optimistic",
        ],
        "fan" => &[
            "command_topic",
            "state_value_template",
            "payload_on",
            "payload_off",
            "percentage_state_topic",
            "percentage_value_template",
            "percentage_command_topic",
            "optimistic",
        ],
        "cover" => &[
            "command_topic",
            "state_open",
            "state_closed",
            "payload_open",
            "payload_close",
            "payload_stop",
            "position_topic",
            "position_template",
            "position_open",
            "position_closed",
            "set_position_topic",
            "optimistic",
        ],
        "text" => &["command_topic", "command_template", "min", "max", "mode", "pattern", "optimistic"],
        "button" => &["command_topic", "payload_press"],
        "device_tracker" => &["json_attributes_topic", "source_type"],
        other => panic!("unknown platform {other}"),
    }
}

/// Units that both versions take for a device class of numbers: of all the classes, those that parts here measure.
fn units(class: &str) -> &'static [&'static str] {
    match class {
        "temperature" => &["°C", "°F", "K"],
        "humidity" | "moisture" | "battery" => &["%"],
        "atmospheric_pressure" | "pressure" => &["hPa", "Pa", "kPa", "mbar", "bar"],
        "voltage" => &["V", "mV"],
        "current" => &["A", "mA"],
        "power" => &["W", "kW"],
        "energy" => &["Wh", "kWh"],
        "illuminance" => &["lx"],
        "distance" => &["mm", "cm", "m"],
        "frequency" => &["Hz", "kHz"],
        "carbon_dioxide" => &["ppm"],
        "pm1" | "pm25" | "pm10" | "nitrogen_dioxide" | "volatile_organic_compounds" => &["µg/m³"],
        "conductivity" => &["µS/cm", "mS/cm"],
        "speed" => &["km/h", "m/s"],
        "water" => &["L", "m³"],
        "gas" => &["m³"],
        // L/h since 2025.
        "volume_flow_rate" => &["L/min", "L/h", "m³/h"],
        "signal_strength" => &["dBm", "dB"],
        "duration" => &["s", "min", "h"],
        other => panic!("device class {other}: unknown to Home Assistant, or to be added here with its units"),
    }
}

const BINARY_CLASSES: &[&str] = &[
    "battery",
    "battery_charging",
    "carbon_monoxide",
    "cold",
    "connectivity",
    "door",
    "garage_door",
    "gas",
    "heat",
    "light",
    "lock",
    "moisture",
    "motion",
    "moving",
    "occupancy",
    "opening",
    "plug",
    "power",
    "presence",
    "problem",
    "running",
    "safety",
    "smoke",
    "sound",
    "tamper",
    "update",
    "vibration",
    "window",
];

/// Every refusal of Home Assistant that is known.
pub fn assert_accepted(message: &Value) {
    let only = |map: &Value, keys: &[&str]| {
        for (key, value) in map.as_object().unwrap() {
            assert!(keys.contains(&key.as_str()), "unknown key {key}");
            assert!(!value.is_null(), "{key} is null");
        }
    };
    only(message, &["device", "origin", "components", "qos"]);
    only(&message["device"], &["identifiers", "name", "manufacturer", "model", "sw_version"]);
    only(&message["origin"], &["name", "sw_version"]);
    assert!(message["origin"]["name"].is_string());
    assert!(!message["device"]["identifiers"].as_array().unwrap().is_empty());
    let device_name = message["device"]["name"].as_str().unwrap();

    let (mut unique_ids, mut object_ids) = (HashSet::new(), HashSet::new());
    for (key, component) in message["components"].as_object().unwrap() {
        let text = |key: &str| component[key].as_str().unwrap_or_else(|| panic!("no {key} in {component}"));
        assert!(!key.contains(char::is_whitespace));
        let platform = text("platform");
        let mut keys = vec!["platform", "unique_id", "default_entity_id", "object_id", "name", "state_topic"];
        keys.extend(["value_template", "availability", "availability_mode"]);
        keys.extend(known_keys(platform));
        only(component, &keys);

        assert!(unique_ids.insert(text("unique_id").to_owned()), "{key}");
        let object_id = text("object_id");
        assert!(object_ids.insert(format!("{platform}.{object_id}")), "{key}");
        assert_eq!(text("default_entity_id"), format!("{platform}.{object_id}"));
        assert!(object_id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'), "{object_id}");
        assert!(!text("name").is_empty() && !text("name").starts_with(&format!("{device_name} ")), "{}", text("name"));
        assert_ne!(text("name"), device_name);
        for topic in ["state_topic", "command_topic"].iter().filter_map(|key| component.get(*key)) {
            assert!(!topic.as_str().unwrap().contains(['+', '#', '\0']));
        }
        if platform == "light" || platform == "fan" {
            // Neither knows the plain key.
            assert!(component.get("value_template").is_none());
            if platform == "light" {
                assert_light(component);
            } else {
                assert_fan(component);
            }
            continue;
        }
        if platform == "text" {
            assert_text(component);
            continue;
        }
        if platform == "cover" {
            assert_cover(component);
            continue;
        }
        if platform == "button" {
            // It has no state.
            assert!(component.get("state_topic").is_none() && component.get("value_template").is_none());
            assert!(text("command_topic").ends_with("/set") && !text("payload_press").is_empty());
            continue;
        }
        let value = match platform {
            "event" => {
                assert!(
                    text("value_template").contains("'event_type'") && text("value_template").ends_with("else '' }}")
                );
                "event"
            }
            _ => text("value_template").strip_prefix("{{ value_json.get('").unwrap().strip_suffix("') }}").unwrap(),
        };
        let word = if platform == "device_tracker" { value.to_ascii_lowercase() } else { value.to_owned() };
        assert!(word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'), "template of {key}");
        assert_eq!(text("availability_mode"), "all");
        let state_topic = text("state_topic");
        let base = state_topic.rsplit_once('/').unwrap().0;
        assert_eq!(
            component["availability"],
            json!([{ "topic": format!("{base}/availability") }, { "topic": format!("{state_topic}/availability") }])
        );
        if let Some(expiry) = component.get("expire_after") {
            assert!(expiry.as_u64().unwrap() >= 60);
        }

        let class = component.get("device_class").map(|class| class.as_str().unwrap());
        let unit = component.get("unit_of_measurement").map(|unit| unit.as_str().unwrap());
        match platform {
            "sensor" => {
                assert!(!unit.is_some_and(|unit| unit.contains('\u{3BC}')), "the micro sign is U+00B5");
                if let Some(class) = class {
                    assert!(unit.is_some_and(|unit| units(class).contains(&unit)), "{unit:?} for {class}");
                }
                let state_class = component.get("state_class").map(|class| class.as_str().unwrap());
                assert!(matches!(state_class, None | Some("measurement" | "total" | "total_increasing")));
                assert!(!matches!(class, Some("energy" | "water" | "gas")) || state_class != Some("measurement"));
                assert!(component["suggested_display_precision"].as_u64().unwrap() <= 10);
            }
            "binary_sensor" => {
                assert!(class.is_none_or(|class| BINARY_CLASSES.contains(&class)), "{class:?}");
                assert_eq!((text("payload_on"), text("payload_off")), ("ON", "OFF"));
            }
            "event" => {
                assert_eq!(class, Some("button"));
                assert!(component["event_types"].as_array().unwrap().iter().all(Value::is_string));
            }
            "device_tracker" => assert_eq!(text("json_attributes_topic"), state_topic),
            "switch" => {
                assert_eq!(text("command_topic"), format!("{state_topic}/set"));
                assert_eq!((text("payload_on"), text("payload_off")), ("ON", "OFF"));
                assert_eq!((text("state_on"), text("state_off")), ("ON", "OFF"));
                assert_eq!(component["optimistic"], false);
            }
            _ => {
                assert_eq!(text("command_topic"), format!("{state_topic}/set"));
                assert!(component["min"].as_f64().unwrap() < component["max"].as_f64().unwrap());
                assert!(component["step"].as_f64().unwrap() >= 0.001);
                assert_eq!(component["optimistic"], false);
            }
        }
    }
}

/// A lamp, by templates: Home Assistant's brightnesses are 0 to 255, and it sends one only when it was asked for one.
fn assert_light(component: &Value) {
    let text = |key: &str| component[key].as_str().unwrap_or_else(|| panic!("no {key} in {component}"));
    assert_eq!(text("schema"), "template");
    assert_eq!(text("command_topic"), format!("{}/set", text("state_topic")));
    for word in ["'on'", "'off'", "'None'"] {
        assert!(text("state_template").contains(word), "{word}");
    }
    // Of a fraction, "1.0", Home Assistant makes no brightness.
    assert!(text("brightness_template").ends_with("| round | int }}"));
    assert!(text("command_on_template").ends_with("if brightness is defined else 'ON' }}"));
    assert_eq!(text("command_off_template"), "OFF");
    assert_eq!(component["optimistic"], false);
}

/// A fan.
fn assert_fan(component: &Value) {
    let text = |key: &str| component[key].as_str().unwrap_or_else(|| panic!("no {key} in {component}"));
    let state_topic = text("state_topic");
    assert_eq!(text("command_topic"), format!("{state_topic}/set"));
    assert_eq!(text("percentage_command_topic"), format!("{state_topic}/set"));
    assert_eq!(text("percentage_state_topic"), state_topic);
    assert!(text("percentage_value_template").contains("value_json.get('state')"));
    assert!(text("state_value_template").contains("'ON'") && text("state_value_template").contains("'OFF'"));
    assert_eq!((text("payload_on"), text("payload_off")), ("ON", "OFF"));
    assert_eq!(component["optimistic"], false);
}

/// A text. Home Assistant refuses a `max` beyond 255, the longest state that it has.
fn assert_text(component: &Value) {
    let text = |key: &str| component[key].as_str().unwrap_or_else(|| panic!("no {key} in {component}"));
    assert_eq!(text("command_topic"), format!("{}/set", text("state_topic")));
    assert!((1..=255).contains(&component["max"].as_u64().unwrap()));
    assert!(text("value_template").contains("value_json.get('state')"));
    assert_eq!(text("command_template"), r#"{"value": {{ value | tojson }}}"#);
    assert_eq!(component["optimistic"], false);
}

/// A cover: its position is its state, and it is told on one topic where to go and to stop.
fn assert_cover(component: &Value) {
    let text = |key: &str| component[key].as_str().unwrap_or_else(|| panic!("no {key} in {component}"));
    let state_topic = text("state_topic");
    assert_eq!(text("position_topic"), state_topic);
    assert_eq!(text("command_topic"), format!("{state_topic}/set"));
    assert_eq!(text("set_position_topic"), format!("{state_topic}/set"));
    for word in [text("state_open"), text("state_closed"), "None"] {
        assert!(text("value_template").contains(&format!("'{word}'")), "{word}");
    }
    assert!(text("position_template").contains("value_json.get('state')"));
    assert_eq!((text("payload_open"), text("payload_close"), text("payload_stop")), ("OPEN", "CLOSE", "STOP"));
    assert_eq!((&component["position_closed"], &component["position_open"]), (&json!(0), &json!(100)));
    assert_eq!(component["optimistic"], false);
}
