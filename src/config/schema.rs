//! The JSON Schema of the file, from the types that read it.

use super::actuator;
use super::header;
use super::place::{INTERRUPT, place_keys};
use halyard_drivers::{Attachment, DRIVERS, Driver, KernelClass, Role, Spec};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The schemas of the agent's own types. A test writes them (`UPDATE_REFERENCE=1`): see
/// [`Driver::schema`](halyard_drivers::Driver::schema).
const PARTS: &str = include_str!("schema/parts.json");

/// Schemas that the whole is made of.
#[derive(Deserialize, Serialize)]
struct Parts {
    file: Value,
    /// What all of a role have in common.
    sensor: Map<String, Value>,
    actuator: Map<String, Value>,
    text_actuator: Map<String, Value>,
    expander: Map<String, Value>,
    filter: Value,
    /// Places that are maps.
    line_offset: Value,
    pwm_channel: Value,
    expander_pin: Value,
}

/// JSON Schema (draft 2020-12) of the file.
///
/// It says as much as a schema can: what one key says about another (two parts at one address, channels of filters) is
/// left to `halyard check`.
#[must_use]
pub fn schema() -> Value {
    let Ok(parts) = serde_json::from_str::<Parts>(PARTS) else { return Value::Null };
    let mut root = parts.file.clone();
    let mut definitions = Map::new();
    // Each section and each of its drivers is a definition; the driver's name decides.
    for (role, common) in
        [(Role::Sensor, &parts.sensor), (Role::Actuator, &parts.actuator), (Role::Expander, &parts.expander)]
    {
        let drivers = || DRIVERS.iter().copied().filter(move |driver| driver.role == role);
        let (section, name) = match role {
            Role::Sensor => ("sensors", "sensor"),
            Role::Actuator => ("actuators", "actuator"),
            Role::Expander => ("expanders", "expander"),
        };
        let names: Vec<Value> =
            drivers().map(|driver| json!({ "const": driver.name, "description": driver.summary })).collect();
        let branches: Vec<Value> = drivers()
            .map(|driver| {
                json!({
                    "if": { "properties": { "driver": { "const": driver.name } }, "required": ["driver"] },
                    "then": { "$ref": format!("#/$defs/{}", driver.name) },
                })
            })
            .collect();
        let stanza = json!({
            "type": "object",
            "required": ["id", "driver"],
            "properties": { "driver": { "description": "The part's driver.", "oneOf": names } },
            "allOf": branches,
        });
        definitions.insert(name.to_owned(), stanza);
        for driver in drivers() {
            let own = own_schema(driver, &mut definitions);
            let common = if actuator::takes_text(driver) { &parts.text_actuator } else { common };
            let definition = stanza_schema(driver, common, own, &parts);
            definitions.insert(driver.name.to_owned(), definition);
        }
        if let Some(list) = root.pointer_mut(&format!("/properties/{section}")).and_then(Value::as_object_mut) {
            list.insert("type".to_owned(), json!(["array", "null"]));
            list.insert("items".to_owned(), json!({ "$ref": format!("#/$defs/{name}") }));
        }
    }
    if let Some(root) = root.as_object_mut() {
        root.insert("title".to_owned(), json!("Configuration of Halyard"));
        root.shift_remove("description");
        let shared = root.entry("$defs").or_insert_with(|| json!({}));
        if let Some(shared) = shared.as_object_mut() {
            shared.extend(definitions);
        }
    }
    allow_elsewhere(&mut root);
    if let Some(shared) = root.pointer_mut("/$defs").and_then(Value::as_object_mut) {
        shared.insert(ELSEWHERE.to_owned(), elsewhere());
    }
    if let Value::Object(object) = &mut root {
        // The draft comes first, where editors look for it.
        let mut ordered = Map::new();
        for key in ["$schema", "title"] {
            ordered.extend(object.shift_remove(key).map(|value| (key.to_owned(), value)));
        }
        ordered.append(object);
        return Value::Object(ordered);
    }
    root
}

/// Name of the definition of a text that is somewhere else.
const ELSEWHERE: &str = "elsewhere";

fn elsewhere() -> Value {
    let text = |description: &str| json!({ "type": "string", "minLength": 1, "description": description });
    json!({
        "description": "A text from elsewhere, such as a secret.",
        "oneOf": [
            {
                "type": "object",
                "properties": { "file": text("Path of a file with the text; a line end at its end does not count.") },
                "required": ["file"],
                "additionalProperties": false,
            },
            {
                "type": "object",
                "properties": { "env": text("Name of an environment variable with the text.") },
                "required": ["env"],
                "additionalProperties": false,
            },
        ],
    })
}

/// The schema of a driver's own options, its definitions moved to `definitions` under names of their own.
fn own_schema(driver: &Driver, definitions: &mut Map<String, Value>) -> Value {
    let mut own = driver.schema();
    rename(&mut own, driver.name);
    if let Some(Value::Object(more)) = own.as_object_mut().and_then(|own| own.shift_remove("$defs")) {
        definitions.extend(more.into_iter().map(|(name, schema)| (format!("{}.{name}", driver.name), schema)));
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
fn stanza_schema(driver: &Driver, common: &Map<String, Value>, own: Value, parts: &Parts) -> Value {
    let mut properties = Map::new();
    let mut required = vec![json!("id"), json!("driver")];
    let is_told = matches!((driver.defaults)(), Spec::Edge(spec) if !spec.reports());
    properties.insert("driver".to_owned(), json!({ "const": driver.name, "description": driver.summary }));
    properties.extend(common.clone());
    if is_told {
        properties.shift_remove("every"); // edges are not asked for
    }
    for key in place_keys(driver) {
        if let Some((property, needed)) = attachment(driver, key, parts) {
            properties.insert(key.to_owned(), property);
            required.extend(needed.then(|| json!(key)));
        }
    }
    if driver.role == Role::Sensor {
        properties.insert(
            "filters".to_owned(),
            json!({
                "description": "Filters of channels, in the order in which they apply.",
                "type": ["object", "null"],
                "additionalProperties": { "type": "array", "items": parts.filter },
            }),
        );
    }
    if let Value::Object(mut own) = own {
        if let Some(Value::Object(more)) = own.shift_remove("properties") {
            properties.extend(more);
        }
        if let Some(Value::Array(more)) = own.shift_remove("required") {
            required.extend(more);
        }
    }
    // A null is as good as nothing, but the id has to be something.
    if let Some(Value::Object(id)) = properties.get_mut("id") {
        id.insert("type".to_owned(), json!("string"));
    }
    let has_pin = properties.contains_key("pin");
    let mut stanza = json!({
        "title": driver.name,
        "description": driver.summary,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    });
    if has_pin {
        stanza["oneOf"] = json!([{ "required": ["line"] }, { "required": ["pin"] }]);
    }
    stanza
}

/// A name without a slash, or a folder below `/sys`.
const KERNEL_NAME: &str = "^([^/]+|/sys/.*[^/])$";

impl Parts {
    fn line(&self, description: &str) -> Value {
        let name = json!({ "type": "string", "minLength": 1, "maxLength": 31, "examples": ["GPIO17"] });
        json!({ "description": description, "anyOf": [name, self.line_offset, self.expander_pin] })
    }

    fn pwm(&self, description: &str) -> Value {
        let name = json!({ "type": "string", "minLength": 1, "maxLength": 31, "examples": ["GPIO18"] });
        json!({ "description": description, "anyOf": [name, self.line_offset, self.pwm_channel, self.expander_pin] })
    }
}

/// The pins of a header that are lines.
fn pin_number(description: &str) -> Value {
    let pins: Vec<u8> = (1..=40).filter(|pin| header::gpio(*pin).is_ok()).collect();
    json!({ "description": description, "enum": pins })
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
            let description = "The bus: `i2c-1` is /dev/i2c-1, `spi0.0` is /dev/spidev0.0.";
            let schema =
                json!({ "description": description, "type": "string", "pattern": pattern, "examples": [example] });
            (schema, !modbus)
        }
        "port" => {
            let description = "The serial port: its path, best one below /dev/serial/by-id, which stays the same.";
            let examples = ["/dev/ttyAMA0", "/dev/ttyUSB0"];
            let schema =
                json!({ "description": description, "type": "string", "pattern": "^/.*[^/]$", "examples": examples });
            (schema, !modbus)
        }
        "host" => {
            let description = "The device on Modbus over TCP: its address or name, and its port if it is not 502.";
            let schema = json!({ "description": description, "type": "string", "examples": ["192.0.2.7:502"] });
            (schema, false)
        }
        "address" if modbus => {
            let description =
                "Address of the device: on an I2C bus 0x08 to 0x77, on Modbus 1 to 247, where 1 is the default.";
            (json!({ "description": description, "type": "integer", "minimum": 1, "maximum": 247 }), false)
        }
        "address" => {
            let addresses = addresses?;
            let texts: Vec<String> = addresses.iter().map(|address| format!("{address:#04x}")).collect();
            let description = format!("Address on the bus: {}.", texts.join(", "));
            (json!({ "description": description, "enum": addresses }), addresses.len() > 1 && !spi)
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
            let description = format!("{what} Without it: the only one.");
            let schema = json!({
                "description": description, "type": ["string", "null"], "pattern": pattern, "examples": [example],
            });
            (schema, false)
        }
        "pin" => (pin_number("Instead of `line`, on a Raspberry Pi: the number of the pin on the header."), false),
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
fn allow_elsewhere(schema: &mut Value) {
    let Value::Object(object) = schema else { return };
    let reference = json!({ "$ref": format!("#/$defs/{ELSEWHERE}") });
    for key in ["properties", "$defs"] {
        if let Some(Value::Object(schemas)) = object.get_mut(key) {
            schemas.values_mut().for_each(allow_elsewhere);
        }
    }
    for key in ["items", "additionalProperties"] {
        object.get_mut(key).into_iter().for_each(allow_elsewhere);
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        let Some(Value::Array(schemas)) = object.get_mut(key) else { continue };
        let named = |schema: &Value| {
            schema.get("type") == Some(&json!("string")) && (schema.get("const").or(schema.get("enum"))).is_some()
        };
        if key == "oneOf" && schemas.iter().all(named) {
            schemas.push(reference.clone());
        } else {
            schemas.iter_mut().for_each(allow_elsewhere);
        }
    }
    // A key without a value is not a default that an editor should fill in.
    if object.get("default") == Some(&Value::Null) {
        object.shift_remove("default");
    }
    let is_text = match object.get("type") {
        Some(Value::String(kind)) => kind == "string",
        Some(Value::Array(kinds)) => kinds.contains(&json!("string")),
        _ => false,
    };
    if is_text && !object.contains_key("const") {
        let mut text = Map::new();
        for key in ["type", "pattern", "enum", "minLength", "maxLength", "not", "format"] {
            text.extend(object.shift_remove(key).map(|value| (key.to_owned(), value)));
        }
        object.insert("anyOf".to_owned(), json!([text, reference]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::written;
    use crate::sensing::filter::Filter;
    use schemars::{JsonSchema, SchemaGenerator};

    fn properties<T: JsonSchema>(generator: &mut SchemaGenerator) -> Map<String, Value> {
        let mut schema = generator.root_schema_for::<T>().to_value();
        serde_json::from_value(schema["properties"].take()).unwrap()
    }

    /// With `UPDATE_REFERENCE=1` they are written instead.
    #[test]
    fn parts_are_up_to_date() {
        let mut generator = SchemaGenerator::default();
        let parts = Parts {
            sensor: properties::<written::Sensor>(&mut generator),
            actuator: properties::<written::Actuator>(&mut generator),
            text_actuator: properties::<written::TextActuator>(&mut generator),
            expander: properties::<written::Expander>(&mut generator),
            filter: generator.subschema_for::<Filter>().to_value(),
            line_offset: generator.subschema_for::<written::LineOffset>().to_value(),
            pwm_channel: generator.subschema_for::<written::PwmChannel>().to_value(),
            expander_pin: generator.subschema_for::<written::ExpanderPin>().to_value(),
            // With the definitions of all others.
            file: generator.root_schema_for::<written::File>().to_value(),
        };
        let parts = serde_json::to_string(&parts).unwrap();
        if std::env::var_os("UPDATE_REFERENCE").is_some_and(|value| value == "1") {
            let file = concat!(env!("CARGO_MANIFEST_DIR"), "/src/config/schema/parts.json");
            std::fs::write(file, format!("{parts}\n")).unwrap();
        } else {
            assert!(PARTS.trim_end() == parts, "run the tests with UPDATE_REFERENCE=1");
        }
    }
}
