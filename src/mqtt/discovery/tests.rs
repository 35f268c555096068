mod cleanup;
mod rules;

use super::*;
use crate::config::LineName;
use crate::testing::{self, config, sensor};
use halyard_drivers::options::{Content, Node, Place};
use halyard_drivers::port::{InputSettings, Wire};
use halyard_drivers::sim::Part;
use halyard_drivers::{
    Actuator, ActuatorSpec, DRIVERS, Driver, EdgeSensor, EdgeSpec, Fault, Quantity, Sensor, SensorSpec, Spec, sht4x,
};
use rules::assert_accepted;
use std::collections::HashSet;
use std::sync::Arc;

/// A sensor with these channels, asked or told.
#[derive(Debug)]
struct Channels(Vec<Channel>);

impl SensorSpec for Channels {
    fn channels(&self) -> Vec<Channel> {
        self.0.clone()
    }
    fn open(&self, _: Wire) -> Result<Box<dyn Sensor>, Fault> {
        Err(Fault::rejected("only described"))
    }
    fn simulate(&self) -> Option<Box<dyn Part>> {
        None
    }
}

impl EdgeSpec for Channels {
    fn channels(&self) -> Vec<Channel> {
        self.0.clone()
    }
    fn input(&self) -> InputSettings {
        InputSettings::default()
    }
    fn open(&self) -> Box<dyn EdgeSensor> {
        unreachable!("only described")
    }
}

#[derive(Debug)]
struct Controlled(Control);

impl ActuatorSpec for Controlled {
    fn control(&self) -> Control {
        self.0.clone()
    }
    fn open(&self, _: Wire) -> Result<Box<dyn Actuator>, Fault> {
        Err(Fault::rejected("only described"))
    }
    fn simulate(&self) -> Option<Box<dyn Part>> {
        None
    }
}

fn sampled(id: &str, channels: Vec<Channel>, every: Duration) -> SensorConfig {
    sensor(id, Source::Sampled { spec: Arc::new(Channels(channels)), every })
}

fn edges(id: &str) -> SensorConfig {
    sensor(id, Source::Edges { spec: Arc::new(Channels(vec![Channel::switch("state", Quantity::STATE)])), every: None })
}

fn climate() -> SensorConfig {
    sensor("climate", Source::Sampled { spec: Arc::new(sht4x::Options::default()), every: Duration::from_secs(10) })
}

fn actuator(id: &str, control: Control) -> ActuatorConfig {
    testing::actuator(id, Arc::new(Controlled(control)))
}

fn dimmer(min: f64, max: f64, step: f64) -> Control {
    Control::Number { range: min..=max, step, unit: Some("%") }
}

fn greenhouse() -> Config {
    config(
        vec![climate(), edges("door")],
        vec![actuator("pump", Control::Switch), actuator("light", dimmer(0.0, 100.0, 1.0))],
    )
}

#[test]
fn a_greenhouse() {
    let message = message(&greenhouse(), Some("Raspberry Pi 4 Model B"));
    assert_accepted(&message);
    assert_eq!(message["device"]["model"], "Raspberry Pi 4 Model B");
    let keys: Vec<_> = message["components"].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["climate-temperature", "climate-humidity", "door-state", "pump-state", "light-state"]);
    assert_eq!(
        message["components"]["climate-temperature"],
        json!({
            "platform": "sensor",
            "unique_id": "halyard.greenhouse.climate.temperature",
            "default_entity_id": "sensor.greenhouse_climate_temperature",
            "object_id": "greenhouse_climate_temperature",
            "name": "climate temperature",
            "state_topic": "halyard/greenhouse/climate",
            "value_template": "{{ value_json.get('temperature') }}",
            "availability": [
                { "topic": "halyard/greenhouse/availability" },
                { "topic": "halyard/greenhouse/climate/availability" },
            ],
            "availability_mode": "all",
            "device_class": "temperature",
            "unit_of_measurement": "°C",
            "state_class": "measurement",
            "suggested_display_precision": 2,
            "expire_after": 60,
        })
    );
    assert_eq!(message["components"]["door-state"]["platform"], "binary_sensor");
    assert_eq!(message["components"]["door-state"]["name"], "door");
    assert!(message["components"]["door-state"].get("expire_after").is_none(), "a door may stay closed for long");
    assert_eq!(message["components"]["pump-state"]["platform"], "switch");
    assert_eq!(message["components"]["light-state"]["max"], 100);
}

#[test]
fn levels_are_what_they_look_like() {
    let level = |id: &str, appearance| actuator(id, Control::Level(appearance));
    let actuators =
        vec![level("lamp", Appearance::Light), level("fan", Appearance::Fan), level("mat", Appearance::Plain)];
    let message = message(&config(vec![], actuators), None);
    assert_accepted(&message);
    let component = |key: &str| &message["components"][key];
    assert_eq!(component("lamp-state")["platform"], "light");
    assert_eq!(component("lamp-state")["schema"], "template");
    assert_eq!(component("fan-state")["platform"], "fan");
    assert_eq!(component("fan-state")["percentage_command_topic"], "halyard/greenhouse/fan/set");
    assert_eq!((&component("mat-state")["platform"], &component("mat-state")["max"]), (&json!("number"), &json!(100)));
}

#[test]
fn texts_are_no_longer_than_home_assistant_s() {
    let of = |longest| {
        let texts = Texts { longest, characters: halyard_drivers::Characters::Utf8 };
        let message = message(&config(vec![], vec![actuator("sign", Control::Text(texts))]), None);
        assert_accepted(&message);
        message["components"]["sign-state"].clone()
    };
    assert_eq!((&of(80)["platform"], &of(80)["max"]), (&json!("text"), &json!(80)));
    assert_eq!(of(80)["value_template"], "{{ value_json.get('state') }}");
    assert_eq!(of(1000)["max"], 255);
    assert_eq!(of(1000)["value_template"], "{{ (value_json.get('state') or '')[:255] }}");
}

#[test]
fn a_position_can_be_stopped() {
    let control = Control::Position { range: -5.0..=120.0, step: 0.025, unit: Some("mm") };
    let with = message(&config(vec![], vec![actuator("vent", control)]), None);
    assert_accepted(&with);
    let component = |key: &str| &with["components"][key];
    assert_eq!((&component("vent-state")["platform"], &component("vent-state")["min"]), (&json!("number"), &json!(-5)));
    assert_eq!(component("vent-state")["unit_of_measurement"], "mm");
    let stop = component("vent-stop");
    assert_eq!((&stop["platform"], &stop["payload_press"]), (&json!("button"), &json!("STOP")));
    assert_eq!(stop["command_topic"], component("vent-state")["command_topic"]);
    // What goes from the configuration goes from Home Assistant.
    let old = serde_json::to_vec(&with).unwrap();
    let new = message(&config(vec![], vec![]), None);
    let gone = cleanup(&old, &new, &Topics::new("halyard", "greenhouse")).unwrap();
    assert_eq!(
        gone.payload["components"],
        json!({ "vent-state": { "platform": "number" }, "vent-stop": { "platform": "button" } })
    );
}

#[test]
fn a_cover_that_goes_is_cleaned_up() {
    let old = serde_json::to_vec(&message(&config(vec![], vec![actuator("blind", Control::Cover)]), None)).unwrap();
    let new = message(&config(vec![], vec![]), None);
    let gone = cleanup(&old, &new, &Topics::new("halyard", "greenhouse")).unwrap();
    assert_eq!(gone.payload["components"], json!({ "blind-state": { "platform": "cover" } }));
}

#[test]
fn a_fan_with_a_tachometer_has_a_speed() {
    let fan = |keys: &[&'static str]| ActuatorConfig {
        spec: Arc::new(halyard_drivers::fan::Options::default()),
        at: At::Several(keys.iter().map(|key| (*key, At::Line(LineName::Name((*key).to_owned())))).collect()),
        ..actuator("fan", Control::Switch)
    };
    let with = message(&config(vec![], vec![fan(&["pwm", "tacho"])]), None);
    assert_accepted(&with);
    assert_eq!(with["components"]["fan-rpm"]["unit_of_measurement"], "rpm");
    let without = message(&config(vec![], vec![fan(&["pwm"])]), None);
    assert!(without["components"].get("fan-rpm").is_none());
}

#[test]
fn the_topic_takes_an_id_only() {
    let config = greenhouse();
    assert_eq!(
        Topics::new(&config.base, &config.agent).discovery("homeassistant"),
        "homeassistant/device/greenhouse/config"
    );
}

#[test]
fn every_driver_is_accepted() {
    for driver in DRIVERS {
        let stanza: serde_yaml::Value = serde_yaml::from_str(driver.example).unwrap();
        let mut problems = Vec::new();
        let spec = (driver.parse)(&own_options(driver, &stanza[0]), &mut problems);
        assert!(problems.is_empty(), "{driver:?}: {problems:?}");
        let every = Duration::from_secs(10);
        let config = match spec {
            Some(Spec::Sensor(spec)) => config(vec![sensor("x", Source::Sampled { spec, every })], vec![]),
            Some(Spec::Edge(spec)) => {
                let every = spec.reports().then_some(every);
                config(vec![sensor("x", Source::Edges { spec, every })], vec![])
            }
            Some(Spec::Serial(spec)) => config(vec![sensor("x", Source::Serial { spec, every })], vec![]),
            Some(Spec::Actuator(spec)) => {
                config(vec![], vec![ActuatorConfig { spec, ..actuator("x", Control::Switch) }])
            }
            // Nothing of it is an entity.
            Some(Spec::Expander(_)) => continue,
            None => {
                println!("skipped {driver:?}: its options were not read, without a problem being told");
                continue;
            }
        };
        let message = message(&config, None);
        assert_accepted(&message);
        let components = message["components"].as_object().unwrap();
        assert!(!components.is_empty(), "{driver:?}");
        for component in components.values() {
            let platform = component["platform"].as_str().unwrap();
            assert!(PLATFORMS.contains(&platform), "{driver:?}: {platform} would never be removed");
        }
    }
}

/// The driver's own options in a stanza.
fn own_options(driver: &Driver, stanza: &serde_yaml::Value) -> Node {
    let schema = driver.schema();
    let map = stanza.as_mapping().unwrap();
    let own = map.iter().filter(|(key, _)| schema["properties"].get(key.as_str().unwrap()).is_some());
    node(Content::Map(own.map(|(key, value)| (tree(key), tree(value))).collect()))
}

fn tree(value: &serde_yaml::Value) -> Node {
    node(match value {
        serde_yaml::Value::Null => Content::Null,
        serde_yaml::Value::Bool(b) => Content::Bool(*b),
        serde_yaml::Value::Number(n) => {
            n.as_i64().map_or_else(|| Content::Float(n.as_f64().unwrap()), Content::Integer)
        }
        serde_yaml::Value::String(text) => Content::Text(text.clone()),
        serde_yaml::Value::Sequence(list) => Content::List(list.iter().map(tree).collect()),
        serde_yaml::Value::Mapping(map) => Content::Map(map.iter().map(|(k, v)| (tree(k), tree(v))).collect()),
        serde_yaml::Value::Tagged(tagged) => return tree(&tagged.value),
    })
}

fn node(content: Content) -> Node {
    Node { place: Place::default(), content, origin: None }
}

#[test]
fn a_place_is_on_the_map() {
    let degrees = |name: &'static str| Channel::number(name, Quantity::STATE, -180.0..=180.0);
    let of = |channels| message(&config(vec![sampled("boat", channels, Duration::from_secs(10))], vec![]), None);
    let message = of(vec![degrees("latitude"), degrees("longitude")]);
    assert_accepted(&message);
    let tracker = &message["components"]["boat-TRACKER"];
    assert_eq!((&tracker["platform"], &tracker["source_type"]), (&json!("device_tracker"), &json!("gps")));
    assert_eq!(tracker["json_attributes_topic"], "halyard/greenhouse/boat");
    assert!(of(vec![degrees("latitude")])["components"]["boat-TRACKER"].is_null());
}

#[test]
fn a_button_has_events_beside_its_state() {
    let options: halyard_drivers::digital_input::Options = serde_yaml::from_str("events: [long, press]").unwrap();
    let button = sensor("bell", Source::Edges { spec: Arc::new(options), every: None });
    let message = message(&config(vec![button], vec![]), None);
    assert_accepted(&message);
    let keys: Vec<_> = message["components"].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["bell-state", "bell-event"]);
    let event = &message["components"]["bell-event"];
    assert_eq!((&event["platform"], &event["event_types"]), (&json!("event"), &json!(["press", "long"])));
    assert_eq!(event["state_topic"], message["components"]["bell-state"]["state_topic"]);
    assert_eq!(event["name"], "bell event");
}

#[test]
fn a_meter_has_a_total_that_increases_and_a_rate() {
    let options: halyard_drivers::pulse_counter::Options = serde_yaml::from_str("{ kind: energy }").unwrap();
    let every = Some(Duration::from_secs(100));
    let meter = sensor("meter", Source::Edges { spec: Arc::new(options), every });
    let message = message(&config(vec![meter], vec![]), None);
    assert_accepted(&message);
    let total = &message["components"]["meter-total"];
    assert_eq!((&total["device_class"], &total["state_class"]), (&json!("energy"), &json!("total_increasing")));
    assert_eq!((&total["unit_of_measurement"], &total["expire_after"]), (&json!("kWh"), &json!(300)));
    assert_eq!(message["components"]["meter-power"]["device_class"], "power");
}

#[test]
fn ids_that_look_alike_stay_apart() {
    let on_off = || vec![Channel::switch("state", Quantity::STATE)];
    let volts = |name: &'static str| Channel::number(name, Quantity::VOLTAGE, 0.0..=5.0);
    let second = Duration::from_secs(1);
    let sensors = vec![
        sampled("a", vec![volts("b_c"), volts("d")], second),
        sampled("a_b", vec![volts("c"), volts("e")], second),
        sampled("a-b", on_off(), second),
    ];
    let message = message(&config(sensors, vec![actuator("a-b-state", Control::Switch)]), None);
    assert_eq!(message["components"].as_object().unwrap().len(), 6);
    let unique: HashSet<_> =
        message["components"].as_object().unwrap().values().map(|c| c["unique_id"].as_str().unwrap()).collect();
    assert_eq!(unique.len(), 6);
}

#[test]
fn names_do_not_repeat_the_device() {
    for (name, shown) in [
        ("greenhouse door", "door"),
        ("greenhouse-door", "door"),
        ("greenhouse", "state"),
        ("greenhouses", "greenhouses"),
        ("Front door", "Front door"),
    ] {
        let door = SensorConfig { name: Some(name.into()), ..edges("door") };
        let message = message(&config(vec![door], vec![]), None);
        assert_accepted(&message);
        assert_eq!(message["components"]["door-state"]["name"], shown);
    }
    let climate = SensorConfig { name: Some("greenhouse".into()), ..climate() };
    let message = message(&config(vec![climate], vec![]), None);
    assert_eq!(message["components"]["climate-humidity"]["name"], "humidity");
}

#[test]
fn numbers_that_would_be_refused_are_left_out_or_mended() {
    let nan = f64::NAN;
    for control in
        [dimmer(1.0, 1.0, 1.0), dimmer(2.0, 1.0, 1.0), dimmer(nan, 1.0, 1.0), dimmer(0.0, f64::INFINITY, 1.0)]
    {
        let message = message(&config(vec![], vec![actuator("light", control)]), None);
        assert!(message["components"].as_object().unwrap().is_empty());
    }
    for step in [0.0, -1.0, nan, f64::INFINITY, 1e-9] {
        let message = message(&config(vec![], vec![actuator("light", dimmer(0.0, 1.0, step))]), None);
        assert_accepted(&message);
        assert_eq!(message["components"]["light-state"]["step"], 0.001);
    }
}

#[test]
fn values_expire_after_three_intervals() {
    let seconds = |every| expiry(every);
    assert_eq!(seconds(Duration::from_millis(250)), 60);
    assert_eq!(seconds(Duration::from_secs(20)), 60);
    assert_eq!(seconds(Duration::from_secs(100)), 300);
    assert_eq!(seconds(Duration::from_millis(33_400)), 101);
    assert_eq!(seconds(Duration::MAX), u64::MAX);
}
