//! Home Assistant's device-based discovery: one retained message that describes the agent and all of its entities.
//!
//! Home Assistant refuses a whole message for one mistake in it, and ignores keys that it does not know without a word.
//! The tests beside this file hold every message against its rules, as versions 2025.4 and 2026.11 apply them.

mod entity;
#[cfg(test)]
mod tests;

use super::topics::Topics;
use crate::config::{ActuatorConfig, At, Config, SensorConfig, Source};
use entity::Entity;
use halyard_drivers::actuator::FULL;
use halyard_drivers::sort::sort;
use halyard_drivers::{Appearance, Channel, Control, Reading, Texts, Value as Number};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Name of the software in `origin`: how the agent recognises its own messages.
const ORIGIN: &str = "halyard";
/// Every platform that a component can have.
const PLATFORMS: [&str; 11] = [
    "sensor",
    "binary_sensor",
    "switch",
    "number",
    "light",
    "fan",
    "cover",
    "text",
    "button",
    "device_tracker",
    "event",
];
/// A retained message that is longer is not one of ours.
const LONGEST: usize = 1 << 20;
/// A sensor's value is void after this many intervals without a new one …
const MISSED: u32 = 3;
/// … but not before this time: a reconnect takes a while.
const EXPIRY_MIN: Duration = Duration::from_secs(60);
/// Home Assistant takes no smaller step of a number.
const STEP_MIN: f64 = 0.001;
/// Key of the component that shows a place on the map; no channel is called so.
const TRACKER: &str = "TRACKER";
/// Key of an event in the message that tells of it.
const EVENT: &str = "event";
/// Key of an actuator's value in its state.
const STATE: &str = "state";
/// Key of the button that stops an actuator; no reading is called so.
const STOP: &str = "stop";

/// The discovery message of a configuration. `board` is the name of the hardware, if it is known: `Raspberry Pi 4
/// Model B`. It goes to [`Topics::discovery`], retained.
#[must_use]
pub fn message(config: &Config, board: Option<&str>) -> Value {
    let topics = Topics::new(&config.base, &config.agent);
    let mut components = Map::new();
    for sensor in &config.sensors {
        add_sensor(&mut components, config, &topics, sensor);
    }
    for actuator in &config.actuators {
        add_actuator(&mut components, config, &topics, actuator);
    }
    let mut device = json!({
        "identifiers": [format!("{ORIGIN}.{}", config.agent)],
        "name": config.agent,
        "manufacturer": "Halyard",
        "sw_version": env!("CARGO_PKG_VERSION"),
    });
    if let Some(board) = board {
        device["model"] = board.into();
    }
    json!({
        "device": device,
        "origin": { "name": ORIGIN, "sw_version": env!("CARGO_PKG_VERSION") },
        "qos": 1,
        "components": components,
    })
}

/// What has to go before a discovery message that no longer has all components of the one before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Cleanup {
    /// To be sent first, retained like the new message: the new message, with what is gone as a bare platform, which
    /// Home Assistant takes for its removal. A component that is only left out would stay there for ever.
    pub payload: Value,
    /// Retained topics of entities that no longer exist, to be cleared when the new message was sent.
    pub retained: Vec<String>,
}

/// Compares the message that the broker kept with the `new` one. `None` if there is nothing to remove, or if `old` is
/// not a message of this agent: what others wrote there is none of its business.
#[must_use]
pub fn cleanup(old: &[u8], new: &Value, topics: &Topics) -> Option<Cleanup> {
    if old.len() > LONGEST {
        return None;
    }
    let old: Value = serde_json::from_slice(old).ok()?;
    let ours = old.get("origin")?.get("name")? == ORIGIN
        && old.get("device")?.get("identifiers")? == new.get("device")?.get("identifiers")?;
    if !ours {
        return None;
    }
    let (before, after) = (old.get("components")?.as_object()?, new.get("components")?.as_object()?);
    let mut payload = new.clone();
    let mut removed = false;
    let mut retained = Vec::new();
    for (key, component) in before {
        let Some(platform) = component.get("platform").and_then(Value::as_str) else { continue };
        // Home Assistant would refuse all of the message for a platform it does not know, or a blank in a key.
        let sound = PLATFORMS.contains(&platform) && !key.is_empty() && !key.contains(char::is_whitespace);
        let unchanged =
            after.get(key).is_some_and(|component| component.get("platform").is_some_and(|p| p == platform));
        if !sound || unchanged {
            continue;
        }
        payload["components"][key.as_str()] = json!({ "platform": platform });
        removed = true;
        let Some(state) = component.get("state_topic").and_then(Value::as_str) else { continue };
        let lives = after.values().any(|component| component.get("state_topic").is_some_and(|topic| topic == state));
        if let Some(entity) = topics.entity_of_state(state).filter(|_| !lives) {
            retained.extend([topics.state(entity), topics.availability(entity)]);
        }
    }
    // Channels of one sensor share their topics.
    sort(&mut retained);
    retained.dedup();
    removed.then_some(Cleanup { payload, retained })
}

fn add_sensor(components: &mut Map<String, Value>, config: &Config, topics: &Topics, sensor: &SensorConfig) {
    let (channels, every) = match &sensor.source {
        Source::Sampled { spec, every } => (spec.channels(), Some(*every)),
        Source::Serial { spec, every } => (spec.channels(), Some((*every).max(spec.patience()))),
        // An edge input that nothing happens to is silent for as long: its value does not age.
        Source::Edges { spec, every } => (spec.channels(), *every),
    };
    let entity = Entity { id: &sensor.id, name: sensor.name.as_deref(), config, topics };
    for channel in &channels {
        // The name of the only channel says nothing that the entity's does not.
        let label = (channels.len() > 1).then_some(channel.name.as_ref());
        let platform = if channel.range.is_some() { "sensor" } else { "binary_sensor" };
        let mut component = entity.component(platform, &channel.name, label);
        describe(&mut component, channel);
        if let Some(every) = every {
            component.insert("expire_after".into(), expiry(every).into());
        }
        components.insert(entity.key(&channel.name), component.into());
    }
    if let Source::Edges { spec, .. } = &sensor.source
        && let events = spec.events()
        && !events.is_empty()
    {
        components.insert(entity.key(EVENT), add_events(&entity, &events).into());
    }
    // A place is on the map too.
    if ["latitude", "longitude"].iter().all(|name| channels.iter().any(|channel| channel.name == *name)) {
        // Its state has no such key: "None" makes Home Assistant go by the place, which is in the attributes.
        let mut component = entity.component("device_tracker", TRACKER, None);
        let state_topic = topics.state(&sensor.id);
        insert_all(&mut component, [("json_attributes_topic", state_topic.as_str()), ("source_type", "gps")]);
        components.insert(entity.key(TRACKER), component.into());
    }
}

/// What happens to a button: an entity beside that of its state.
fn add_events(entity: &Entity<'_>, events: &[&str]) -> Map<String, Value> {
    let mut component = entity.component("event", EVENT, Some(EVENT));
    // The state's own messages tell of no event: an empty text makes Home Assistant pass over them.
    let template = "{{ {'event_type': value_json.event} | tojson if value_json.event is defined else '' }}";
    insert_all(&mut component, [("value_template", template), ("device_class", "button")]);
    component.insert("event_types".into(), json!(events));
    component
}

/// What kind of value a channel has.
fn describe(component: &mut Map<String, Value>, channel: &Channel) {
    let quantity = &channel.quantity;
    if let Some(class) = quantity.device_class {
        component.insert("device_class".into(), class.into());
    }
    if channel.range.is_none() {
        insert_all(component, [("payload_on", "ON"), ("payload_off", "OFF")]);
        return;
    }
    if let Some(unit) = quantity.unit {
        component.insert("unit_of_measurement".into(), unit.into());
    }
    if let Some(class) = quantity.state_class {
        component.insert("state_class".into(), class.into());
    }
    component.insert("suggested_display_precision".into(), quantity.precision.into());
}

fn add_actuator(components: &mut Map<String, Value>, config: &Config, topics: &Topics, actuator: &ActuatorConfig) {
    let entity = Entity { id: &actuator.id, name: actuator.name.as_deref(), config, topics };
    let mut component = match actuator.spec.control() {
        Control::Switch => {
            let mut component = entity.component("switch", STATE, None);
            insert_all(
                &mut component,
                [("payload_on", "ON"), ("payload_off", "OFF"), ("state_on", "ON"), ("state_off", "OFF")],
            );
            component
        }
        Control::Level(Appearance::Light) => light(&entity),
        Control::Level(Appearance::Fan) => fan(&entity, topics, &actuator.id),
        Control::Cover => cover(&entity, topics, &actuator.id),
        Control::Text(texts) => text(&entity, texts),
        Control::Level(Appearance::Plain) => {
            let mut component = entity.component("number", STATE, None);
            component.extend([("min", json!(0)), ("max", json!(Number::Number(FULL))), ("step", json!(1))].map(owned));
            insert_all(&mut component, [("unit_of_measurement", "%")]);
            component
        }
        Control::Number { range, step, unit } | Control::Position { range, step, unit } => {
            let (min, max) = range.into_inner();
            // Home Assistant refuses a number without a choice.
            if !(min.is_finite() && max.is_finite() && min < max) {
                return;
            }
            let step = if step.is_finite() { step.max(STEP_MIN) } else { STEP_MIN };
            let mut component = entity.component("number", STATE, None);
            for (key, number) in [("min", min), ("max", max), ("step", step)] {
                component.insert(key.into(), json!(Number::Number(number)));
            }
            if let Some(unit) = unit {
                component.insert("unit_of_measurement".into(), unit.into());
            }
            component
        }
    };
    component.insert("command_topic".into(), topics.set(&actuator.id).into());
    // The state is what the hardware has, not what was asked for.
    component.insert("optimistic".into(), false.into());
    components.insert(entity.key(STATE), component.into());
    if let Control::Position { .. } = actuator.spec.control() {
        components.insert(entity.key(STOP), stop(&entity, topics, &actuator.id).into());
    }
    for Reading { channel, .. } in readings(actuator) {
        let mut component = entity.component("sensor", &channel.name, Some(&channel.name));
        describe(&mut component, &channel);
        components.insert(entity.key(&channel.name), component.into());
    }
}

/// What an actuator measures, as it is connected.
fn readings(actuator: &ActuatorConfig) -> impl Iterator<Item = Reading> {
    let has = |key: &str| match &actuator.at {
        At::Several(members) => members.iter().any(|(name, _)| *name == key),
        _ => false,
    };
    actuator.spec.readings().into_iter().filter(move |reading| has(reading.connection))
}

/// On or off, by a level.
const ON_OFF: &str = "{{ 'ON' if value_json.get('state') | float(0) > 0 else 'OFF' }}";
/// A level as a whole number, which Home Assistant wants of a fan.
const WHOLE: &str = "{{ value_json.get('state') | float(0) | round(0, 'ceil') | int }}";

/// Of a lamp: on or off, or that it is not known.
const LAMP: &str =
    "{% set level = value_json.get('state') %}{{ 'None' if level is none else 'on' if level > 0 else 'off' }}";
/// A level as one of Home Assistant's 255 brightnesses; of 0 it takes no notice.
const BRIGHTNESS: &str = "{{ (value_json.get('state') | float(0) * 2.55) | round | int }}";
/// A brightness as a level; without one, the level that it had, which the agent knows.
const LEVEL: &str = "{{ [(brightness / 2.55) | round | int, 1] | max if brightness is defined else 'ON' }}";

/// A lamp: its level is its brightness. By templates, since Home Assistant's other ways of turning one on are either a brightness
/// always, the one that it was shown last on the way to off, or two commands at a time.
fn light(entity: &Entity<'_>) -> Map<String, Value> {
    let mut component = entity.component("light", STATE, None);
    component.shift_remove("value_template");
    insert_all(
        &mut component,
        [
            ("schema", "template"),
            ("state_template", LAMP),
            ("brightness_template", BRIGHTNESS),
            ("command_on_template", LEVEL),
            ("command_off_template", "OFF"),
        ],
    );
    component
}

/// A fan: its level is its speed.
fn fan(entity: &Entity<'_>, topics: &Topics, id: &str) -> Map<String, Value> {
    let mut component = entity.component("fan", STATE, None);
    component.shift_remove("value_template");
    let (state, set) = (topics.state(id), topics.set(id));
    insert_all(
        &mut component,
        [
            ("state_value_template", ON_OFF),
            ("payload_on", "ON"),
            ("payload_off", "OFF"),
            ("percentage_state_topic", &state),
            ("percentage_value_template", WHOLE),
            ("percentage_command_topic", &set),
        ],
    );
    component
}

/// Whether a cover is closed; `None` makes Home Assistant show that it does not know.
const OPEN_CLOSED: &str = "{% set at = value_json.get('state') %}\
    {{ 'None' if at is none else 'closed' if at | float(0) == 0 else 'open' }}";
/// A position, or nothing while it is not known.
const POSITION: &str = "{{ value_json.get('state') | default('', true) if value_json.get('state') != 0 else 0 }}";

/// A cover: a position to go to, and words.
fn cover(entity: &Entity<'_>, topics: &Topics, id: &str) -> Map<String, Value> {
    let mut component = entity.component("cover", STATE, None);
    let (state, set) = (topics.state(id), topics.set(id));
    insert_all(
        &mut component,
        [
            ("value_template", OPEN_CLOSED),
            ("state_open", "open"),
            ("state_closed", "closed"),
            ("payload_open", "OPEN"),
            ("payload_close", "CLOSE"),
            ("payload_stop", "STOP"),
            ("position_topic", &state),
            ("position_template", POSITION),
            ("set_position_topic", &set),
        ],
    );
    component.extend([("position_closed", json!(0)), ("position_open", json!(Number::Number(FULL)))].map(owned));
    component
}

/// Home Assistant's longest text, and longest state.
const LONGEST_TEXT: usize = 255;

/// A text. It is sent in the JSON form, which takes every text as it is.
fn text(entity: &Entity<'_>, texts: Texts) -> Map<String, Value> {
    let mut component = entity.component("text", STATE, None);
    insert_all(&mut component, [("command_template", r#"{"value": {{ value | tojson }}}"#)]);
    component.insert("max".into(), texts.longest.min(LONGEST_TEXT).into());
    if texts.longest > LONGEST_TEXT {
        let template = format!("{{{{ (value_json.get('{STATE}') or '')[:{LONGEST_TEXT}] }}}}");
        component.insert("value_template".into(), template.into());
    }
    component
}

/// A button that stops a motor, beside the number of its position. It has no state.
fn stop(entity: &Entity<'_>, topics: &Topics, id: &str) -> Map<String, Value> {
    let mut component = entity.component("button", STOP, Some(STOP));
    component.shift_remove("value_template");
    component.shift_remove("state_topic");
    insert_all(&mut component, [("payload_press", "STOP"), ("command_topic", &topics.set(id))]);
    component
}

fn owned<V>((key, value): (&str, V)) -> (String, V) {
    (key.to_owned(), value)
}

fn insert_all<const N: usize>(component: &mut Map<String, Value>, pairs: [(&str, &str); N]) {
    component.extend(pairs.map(|(key, value)| (key.to_owned(), value.into())));
}

/// Seconds after which a value that is sampled this often is void.
fn expiry(every: Duration) -> u64 {
    let time = every.saturating_mul(MISSED).max(EXPIRY_MIN);
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0))
}
