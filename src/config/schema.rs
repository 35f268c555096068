//! The JSON Schema of the file, from the types that read it.

use super::actuator;
use super::header;
use super::place::{INTERRUPT, place_keys};
use halyard_drivers::{Attachment, DRIVERS, Driver, KernelClass, Role, Spec};
use serde_json::{Map, Value};

/// The schemas of the agent's own types. A test writes them (`UPDATE_REFERENCE=1`): see
/// [`Driver::schema`](halyard_drivers::Driver::schema).
const PARTS: &str = include_str!("schema/parts.json");

/// What is written by hand, with holes for what differs: data, since the code of `json!` is large.
const SHAPES: &str = include_str!("schema/shapes.json");

/// Schemas that the whole is made of, by name. One that is missing is null, which the tests would see.
struct Parts {
    types: Value,
    shapes: Value,
}

impl Parts {
    fn read() -> Self {
        Self { types: read(PARTS), shapes: read(SHAPES) }
    }

    fn of_type(&self, name: &str) -> Value {
        self.types[name].clone()
    }

    fn shape(&self, name: &str) -> Value {
        self.shapes[name].clone()
    }

    /// The shape with this description.
    fn described(&self, name: &str, description: &str) -> Value {
        let mut shape = self.shape(name);
        put(&mut shape, "/description", text(description));
        shape
    }

    /// What says that the driver is this one.
    fn name(&self, driver: &Driver) -> Value {
        let mut name = self.described("name", driver.summary);
        put(&mut name, "/const", text(driver.name));
        name
    }
}

/// Of a file of the program's own: it can be read.
fn read(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_default()
}

// Each of these once, and not wherever it is used.

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn reference(name: &str) -> Value {
    Value::String(format!("#/$defs/{name}"))
}

/// Fills a hole, which is at this JSON pointer.
fn put(schema: &mut Value, hole: &str, value: Value) {
    if let Some(place) = schema.pointer_mut(hole) {
        *place = value;
    }
}

/// Adds to the list at this JSON pointer.
fn push(schema: &mut Value, list: &str, value: Value) {
    if let Some(Value::Array(list)) = schema.pointer_mut(list) {
        list.push(value);
    }
}

/// Adds the members of an object to the object at this JSON pointer.
fn merge(schema: &mut Value, object: &str, more: Value) {
    if let (Some(Value::Object(object)), Value::Object(more)) = (schema.pointer_mut(object), more) {
        object.extend(more);
    }
}

/// Adds a member to the object at this JSON pointer.
fn insert(schema: &mut Value, object: &str, key: &str, value: Value) {
    if let Some(Value::Object(object)) = schema.pointer_mut(object) {
        object.insert(key.to_owned(), value);
    }
}

fn take(schema: &mut Value, key: &str) -> Value {
    schema.as_object_mut().and_then(|object| object.shift_remove(key)).unwrap_or_default()
}

/// JSON Schema (draft 2020-12) of the file.
///
/// It says as much as a schema can: what one key says about another (two parts at one address, channels of filters) is
/// left to `halyard check`.
#[must_use]
pub fn schema() -> Value {
    let parts = Parts::read();
    let mut file = parts.of_type("file");
    let mut definitions = Value::Object(Map::new());
    // Each section and each of its drivers is a definition; the driver's name decides.
    for (role, section, name) in [
        (Role::Sensor, "sensors", "sensor"),
        (Role::Actuator, "actuators", "actuator"),
        (Role::Expander, "expanders", "expander"),
    ] {
        let drivers = || DRIVERS.iter().copied().filter(move |driver| driver.role == role);
        let mut any = parts.shape("section");
        for driver in drivers() {
            push(&mut any, "/properties/driver/oneOf", parts.name(driver));
            let mut branch = parts.shape("branch");
            put(&mut branch, "/if/properties/driver/const", text(driver.name));
            put(&mut branch, "/then/$ref", reference(driver.name));
            push(&mut any, "/allOf", branch);
        }
        insert(&mut definitions, "", name, any);
        for driver in drivers() {
            let own = own_schema(driver, &mut definitions);
            let common = parts.of_type(if actuator::takes_text(driver) { "text_actuator" } else { name });
            insert(&mut definitions, "", driver.name, stanza_schema(driver, common, own, &parts));
        }
        let mut list = parts.shape("list");
        put(&mut list, "/items/$ref", reference(name));
        merge(&mut file, &format!("/properties/{section}"), list);
    }
    merge(&mut file, "/$defs", definitions);
    take(&mut file, "title");
    take(&mut file, "description");
    allow_elsewhere(&mut file, &parts);
    insert(&mut file, "/$defs", ELSEWHERE, parts.shape("elsewhere"));
    // The draft comes first, where editors look for it.
    let mut ordered = Map::new();
    ordered.insert("$schema".to_owned(), take(&mut file, "$schema"));
    ordered.insert("title".to_owned(), text("Configuration of Halyard"));
    if let Value::Object(file) = file {
        ordered.extend(file);
    }
    ordered.into()
}

/// Name of the definition of a text that is somewhere else.
const ELSEWHERE: &str = "elsewhere";
/// Name of the shape that refers to it.
const REFERENCE: &str = "reference to elsewhere";

/// The schema of a driver's own options, its definitions moved to `definitions` under names of their own.
fn own_schema(driver: &Driver, definitions: &mut Value) -> Value {
    let mut own = driver.schema();
    rename(&mut own, driver.name);
    if let Value::Object(more) = take(&mut own, "$defs") {
        for (name, schema) in more {
            insert(definitions, "", &format!("{}.{name}", driver.name), schema);
        }
    }
    own
}

/// Lets references find definitions under their new names.
fn rename(schema: &mut Value, driver: &str) {
    match schema {
        Value::Object(object) => {
            for (key, value) in object {
                match value {
                    Value::String(reference) if key == "$ref" => {
                        if let Some(name) = reference.strip_prefix("#/$defs/") {
                            *reference = format!("#/$defs/{driver}.{name}");
                        }
                    }
                    _ => rename(value, driver),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, driver)),
        _ => {}
    }
}

/// All keys of a stanza with this driver.
fn stanza_schema(driver: &Driver, common: Value, mut own: Value, parts: &Parts) -> Value {
    let mut stanza = parts.described("stanza", driver.summary);
    put(&mut stanza, "/title", text(driver.name));
    insert(&mut stanza, "/properties", "driver", parts.name(driver));
    merge(&mut stanza, "/properties", common);
    if matches!((driver.defaults)(), Spec::Edge(spec) if !spec.reports()) {
        // Edges are not asked for.
        stanza.pointer_mut("/properties").into_iter().for_each(|properties| drop(take(properties, "every")));
    }
    for key in place_keys(driver) {
        if let Some((property, needed)) = attachment(driver, key, parts) {
            insert(&mut stanza, "/properties", key, property);
            if needed {
                push(&mut stanza, "/required", text(key));
            }
        }
    }
    if driver.role == Role::Sensor {
        let mut filters = parts.shape("filters");
        put(&mut filters, "/additionalProperties/items", parts.of_type("filter"));
        insert(&mut stanza, "/properties", "filters", filters);
    }
    merge(&mut stanza, "/properties", take(&mut own, "properties"));
    if let Value::Array(more) = take(&mut own, "required") {
        more.into_iter().for_each(|key| push(&mut stanza, "/required", key));
    }
    // A null is as good as nothing, but the id has to be something.
    put(&mut stanza, "/properties/id/type", text("string"));
    if stanza.pointer("/properties/pin").is_some() {
        insert(&mut stanza, "", "oneOf", parts.shape("line or pin"));
    }
    stanza
}

/// A name without a slash, or a folder below `/sys`.
const KERNEL_NAME: &str = "^([^/]+|/sys/.*[^/])$";

impl Parts {
    fn line(&self, description: &str) -> Value {
        self.place("line", description, &["line_offset", "expander_pin"])
    }

    fn pwm(&self, description: &str) -> Value {
        self.place("pwm", description, &["line_offset", "pwm_channel", "expander_pin"])
    }

    /// A name, or one of these maps.
    fn place(&self, shape: &str, description: &str, maps: &[&str]) -> Value {
        let mut place = self.described(shape, description);
        maps.iter().for_each(|map| push(&mut place, "/anyOf", self.of_type(map)));
        place
    }

    fn choice(&self, description: &str, of: Vec<u8>) -> Value {
        let mut choice = self.described("choice", description);
        put(&mut choice, "/enum", of.into());
        choice
    }
}

/// The schema of a key that says where a part is connected, and whether the key has to be there.
fn attachment(driver: &Driver, key: &str, parts: &Parts) -> Option<(Value, bool)> {
    let member = driver.attachments.iter().find_map(|attachment| match attachment {
        Attachment::Several(members) => members.iter().find(|member| member.key == key),
        _ => None,
    });
    if let Some(member) = member {
        let schema = match member.at {
            Attachment::Pwm => parts.pwm(&format!("The PWM channel: {}.", member.what)),
            _ => parts.line(&format!("The line: {}.", member.what)),
        };
        return Some((schema, member.required));
    }
    let addresses = driver.attachments.iter().find_map(|attachment| match attachment {
        Attachment::I2c { addresses } => Some(*addresses),
        _ => None,
    });
    let (modbus, described) =
        (driver.attachments.contains(&Attachment::Modbus), driver.attachments.contains(&Attachment::Described));
    let spi = driver.attachments.contains(&Attachment::Spi);
    Some(match key {
        "bus" => {
            let (pattern, example) = match (addresses.is_some() || described, spi) {
                (true, true) => (r"^(i2c-[0-9]{1,3}|spi[0-9]{1,3}\.[0-9]{1,3})$", "i2c-1"),
                (true, false) => (r"^i2c-[0-9]{1,3}$", "i2c-1"),
                _ => (r"^spi[0-9]{1,3}\.[0-9]{1,3}$", "spi0.0"),
            };
            let mut bus = parts.shape("bus");
            put(&mut bus, "/pattern", text(pattern));
            put(&mut bus, "/examples/0", text(example));
            (bus, !modbus)
        }
        "port" => (parts.shape("port"), !modbus),
        "host" => (parts.shape("host"), false),
        "address" if modbus => (parts.shape("address of Modbus"), false),
        "address" => {
            let addresses = addresses?;
            let texts: Vec<String> = addresses.iter().map(|address| format!("{address:#04x}")).collect();
            let description = format!("Address on the bus: {}.", texts.join(", "));
            (parts.choice(&description, addresses.to_vec()), addresses.len() > 1 && !spi)
        }
        "device" => {
            let class = driver.attachments.iter().find_map(|attachment| match attachment {
                Attachment::Kernel(class) => Some(*class),
                _ => None,
            })?;
            let (pattern, example, what) = match class {
                KernelClass::OneWire => {
                    ("^[0-9a-f]{2}-[0-9a-f]{12}$", "28-00000a1b2c3d", "The thermometer: its id on the 1-Wire bus.")
                }
                KernelClass::Iio => {
                    (KERNEL_NAME, "bme280", "The IIO device: its name or number, or a folder below /sys.")
                }
                _ => (KERNEL_NAME, "lm75", "The hwmon device: its name or number, or a folder below /sys."),
            };
            let mut device = parts.described("device", &format!("{what} Without it: the only one."));
            put(&mut device, "/pattern", text(pattern));
            put(&mut device, "/examples/0", text(example));
            (device, false)
        }
        "pin" => {
            let pins = (1..=40).filter(|pin| header::gpio(*pin).is_ok()).collect();
            (parts.choice("Instead of `line`, on a Raspberry Pi: the number of the pin on the header.", pins), false)
        }
        INTERRUPT => {
            let description = "The line of the board that the chip's interrupt is connected to. Changes of inputs are seen at \
                               once, with the time of the interrupt. Default: none, inputs are looked at every `poll`.";
            (parts.line(description), false)
        }
        "pwm" => (parts.pwm("The PWM channel: its chip and number there, or a line that can give pulses."), true),
        // Or its pin.
        _ => (parts.line("The line: its name, or its chip and the offset there."), false),
    })
}

/// Lets a text be elsewhere wherever the schema wants one.
fn allow_elsewhere(schema: &mut Value, parts: &Parts) {
    let Value::Object(object) = schema else { return };
    for key in ["properties", "$defs"] {
        if let Some(Value::Object(schemas)) = object.get_mut(key) {
            schemas.values_mut().for_each(|schema| allow_elsewhere(schema, parts));
        }
    }
    for key in ["items", "additionalProperties"] {
        object.get_mut(key).into_iter().for_each(|schema| allow_elsewhere(schema, parts));
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        let Some(Value::Array(schemas)) = object.get_mut(key) else { continue };
        let named =
            |schema: &Value| schema["type"] == "string" && (schema["const"].is_string() || schema["enum"].is_array());
        if key == "oneOf" && schemas.iter().all(named) {
            schemas.push(parts.shape(REFERENCE));
        } else {
            schemas.iter_mut().for_each(|schema| allow_elsewhere(schema, parts));
        }
    }
    // A key without a value is not a default that an editor should fill in.
    if object.get("default") == Some(&Value::Null) {
        object.shift_remove("default");
    }
    let is_text = match object.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "string"),
        kind => kind.is_some_and(|kind| kind == "string"),
    };
    if is_text && !object.contains_key("const") {
        let mut text = Map::new();
        for key in ["type", "pattern", "enum", "minLength", "maxLength", "not", "format"] {
            text.extend(object.shift_remove(key).map(|value| (key.to_owned(), value)));
        }
        object.insert("anyOf".to_owned(), Value::Array(vec![text.into(), parts.shape(REFERENCE)]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::written;
    use crate::sensing::filter::Filter;
    use schemars::{JsonSchema, SchemaGenerator};
    use serde_json::json;

    fn properties<T: JsonSchema>(generator: &mut SchemaGenerator) -> Map<String, Value> {
        let mut schema = generator.root_schema_for::<T>().to_value();
        serde_json::from_value(schema["properties"].take()).unwrap()
    }

    /// With `UPDATE_REFERENCE=1` they are written instead.
    #[test]
    fn parts_are_up_to_date() {
        let mut generator = SchemaGenerator::default();
        let mut parts = json!({
            // With the definitions of all others, which come up below: it is made last.
            "file": null,
            "sensor": properties::<written::Sensor>(&mut generator),
            "actuator": properties::<written::Actuator>(&mut generator),
            "text_actuator": properties::<written::TextActuator>(&mut generator),
            "expander": properties::<written::Expander>(&mut generator),
            "filter": generator.subschema_for::<Filter>().to_value(),
            // Places that are maps.
            "line_offset": generator.subschema_for::<written::LineOffset>().to_value(),
            "pwm_channel": generator.subschema_for::<written::PwmChannel>().to_value(),
            "expander_pin": generator.subschema_for::<written::ExpanderPin>().to_value(),
        });
        parts["file"] = generator.root_schema_for::<written::File>().to_value();
        let parts = serde_json::to_string(&parts).unwrap();
        if std::env::var_os("UPDATE_REFERENCE").is_some_and(|value| value == "1") {
            let file = concat!(env!("CARGO_MANIFEST_DIR"), "/src/config/schema/parts.json");
            std::fs::write(file, format!("{parts}\n")).unwrap();
        } else {
            assert!(PARTS.trim_end() == parts, "run the tests with UPDATE_REFERENCE=1");
        }
    }
}
