//! What becomes of entities that are gone.

use super::*;

fn topics() -> Topics {
    Topics::new("halyard", "greenhouse")
}

fn clean(old: &Config, new: &Config) -> Option<Cleanup> {
    cleanup(message(old, None).to_string().as_bytes(), &message(new, Some("Pi")), &topics())
}

#[test]
fn what_is_gone_is_removed_once() {
    let mut new = greenhouse();
    new.sensors.remove(0);
    let Cleanup { payload, retained } = clean(&greenhouse(), &new).unwrap();
    assert_eq!(payload["components"]["climate-temperature"], json!({ "platform": "sensor" }));
    assert_eq!(payload["components"]["climate-humidity"], json!({ "platform": "sensor" }));
    assert_eq!(retained, ["halyard/greenhouse/climate", "halyard/greenhouse/climate/availability"]);
    // All else is the new message.
    let mut rest = payload;
    let components = rest["components"].as_object_mut().unwrap();
    components.retain(|_, component| component.get("unique_id").is_some());
    assert_eq!(rest, message(&new, Some("Pi")));
    assert_eq!(clean(&new, &new), None);
    assert_eq!(clean(&new, &greenhouse()), None, "only something new");
}

#[test]
fn one_channel_less_keeps_the_entity() {
    let volts = |names: &[&'static str]| {
        let channels = names.iter().map(|name| Channel::number(*name, Quantity::VOLTAGE, 0.0..=5.0)).collect();
        config(vec![sampled("adc", channels, Duration::from_secs(1))], vec![])
    };
    let cleanup = clean(&volts(&["soil", "light"]), &volts(&["soil"])).unwrap();
    assert_eq!(cleanup.payload["components"]["adc-light"], json!({ "platform": "sensor" }));
    assert_eq!(cleanup.retained, Vec::<String>::new(), "its state topic lives on");
}

#[test]
fn another_platform_needs_the_old_one_removed_first() {
    let as_control = |control| config(vec![], vec![actuator("light", control)]);
    let cleanup = clean(&as_control(Control::Switch), &as_control(dimmer(0.0, 1.0, 0.1))).unwrap();
    assert_eq!(cleanup.payload["components"]["light-state"], json!({ "platform": "switch" }));
    assert_eq!(cleanup.retained, Vec::<String>::new());
}

#[test]
fn what_others_wrote_is_left_alone() {
    let new = message(&config(vec![], vec![]), None);
    let mut old = message(&greenhouse(), None);
    assert!(cleanup(old.to_string().as_bytes(), &new, &topics()).is_some());

    let mut foreign = old.clone();
    foreign["origin"]["name"] = "zigbee".into();
    let mut other_device = old.clone();
    other_device["device"]["identifiers"] = json!(["halyard.attic"]);
    let mut huge = old.clone();
    huge["padding"] = "x".repeat(LONGEST).into();
    let deep = "[".repeat(100_000);
    for payload in [
        "",
        "null",
        "[]",
        "{",
        "1e999",
        "{\"components\":[]}",
        "\u{feff}{}",
        &deep,
        &foreign.to_string(),
        &other_device.to_string(),
        &huge.to_string(),
    ] {
        assert_eq!(cleanup(payload.as_bytes(), &new, &topics()), None, "{payload:.40}");
    }
    assert_eq!(cleanup(b"\xff\xfe", &new, &topics()), None);

    // Components that are not ours, or that would spoil the message.
    old["components"] = json!({
        "a b": { "platform": "sensor" },
        "": { "platform": "sensor" },
        "c": { "platform": "vacuum" },
        "d": { "platform": 7 },
        "e": 1,
        "f": null,
        "g": {},
    });
    assert_eq!(cleanup(old.to_string().as_bytes(), &new, &topics()), None);
    for topic in
        ["halyard/other/pump", "halyard/greenhouse/#", "halyard/greenhouse/agent", "halyard/greenhouse/a/b", ""]
    {
        old["components"] = json!({ "x": { "platform": "sensor", "state_topic": topic } });
        let cleanup = cleanup(old.to_string().as_bytes(), &new, &topics()).unwrap();
        assert_eq!(cleanup.retained, Vec::<String>::new(), "{topic}");
    }
}
