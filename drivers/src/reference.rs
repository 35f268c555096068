//! The reference page of a driver, in Markdown: all of it comes from the driver itself.

use crate::actuator::{Control, Reading};
use crate::channel::Channel;
use crate::driver::{Attachment, Driver, KernelClass, Member, Spec};
use crate::expander::Offer;
use crate::text::Texts;
use serde_json::{Map, Value as Json};
use std::fmt::Write;

/// The page of `driver`.
#[must_use]
pub fn reference(driver: &Driver) -> String {
    let spec = (driver.defaults)();
    let mut page = Page::default();
    page.line(format_args!("# {}\n", driver.name));
    page.line(format_args!("{}.\n", driver.summary));
    page.line(format_args!("```yaml\n{}```\n", driver.example));
    let places: Vec<_> = driver.attachments.iter().map(place).collect();
    page.line(format_args!("Connected by {}.", places.join(", or ")));
    page.line(format_args!("Written from: {}.\n", driver.source));
    match &spec {
        Spec::Sensor(spec) => page.channels(&spec.channels()),
        Spec::Edge(spec) => page.channels(&spec.channels()),
        Spec::Serial(spec) => page.channels(&spec.channels()),
        Spec::Actuator(spec) => {
            page.control(&spec.control());
            page.readings(&spec.readings());
        }
        Spec::Expander(spec) => page.offer(&spec.offer()),
    }
    page.line(format_args!("## Options\n"));
    let schema = driver.schema();
    page.options("", &schema, &schema);
    page.0.truncate(page.0.trim_end().len());
    page.0.push('\n');
    page.0
}

/// How a part is connected.
fn place(attachment: &Attachment) -> String {
    match attachment {
        Attachment::I2c { addresses } => {
            let addresses: Vec<_> = addresses.iter().map(|address| format!("`{address:#04x}`")).collect();
            format!("I2C (`bus: i2c-1`), at `address` {}", alternatives(&addresses))
        }
        Attachment::Spi => "SPI (`bus: spi0.0`)".to_owned(),
        Attachment::InputLine | Attachment::OutputLine => {
            "a GPIO line (`line: GPIO17`; on a Raspberry Pi also `pin: 11`)".to_owned()
        }
        Attachment::Serial => "a serial port (`port: /dev/ttyAMA0`)".to_owned(),
        Attachment::Kernel(class) => match class {
            KernelClass::OneWire => "1-Wire, by the kernel (`device: 28-00000a1b2c3d`, or the only one without `device`)",
            KernelClass::Iio => {
                "the kernel's IIO subsystem (`device: bme280`, `iio:device0` or a folder below `/sys`, or the only one \
                 without `device`)"
            }
            KernelClass::Hwmon => {
                "the kernel's hwmon subsystem (`device: lm75`, `hwmon0` or a folder below `/sys`, or the only one without \
                 `device`)"
            }
            KernelClass::System => "no wire: it is the machine itself",
        }
        .to_owned(),
        Attachment::Described => "I2C (`bus: i2c-1`), at any `address`".to_owned(),
        Attachment::Modbus => {
            "Modbus, on a serial line (`port: /dev/ttyUSB0`) or on TCP (`host: 192.0.2.7:502`), at `address` 1 to 247, by default 1"
                .to_owned()
        }
        Attachment::Pwm => {
            "a PWM channel (`pwm: { chip: pwmchip0, channel: 0 }`; on a Raspberry Pi also `pwm: GPIO18`)".to_owned()
        }
        Attachment::Several(members) => {
            let members: Vec<_> = members.iter().map(member).collect();
            members.join(" and ")
        }
    }
}

/// ``a GPIO line `trigger` (starts a measurement)``
fn member(member: &Member) -> String {
    let sort = if member.at == Attachment::Pwm { "a PWM channel" } else { "a GPIO line" };
    let optional = if member.required { "" } else { ", optional" };
    format!("{sort} `{}` ({}{optional})", member.key, member.what)
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn line(&mut self, line: impl std::fmt::Display) {
        let _ = writeln!(self.0, "{line}"); // to a String: cannot fail
    }

    fn channels(&mut self, channels: &[Channel]) {
        self.line("## Channels\n");
        self.line("| channel | unit | range |\n|---|---|---|");
        for Channel { name, quantity, range } in channels {
            let range = range
                .as_ref()
                .map_or_else(|| "`ON`, `OFF`".to_owned(), |range| format!("{} to {}", range.start(), range.end()));
            self.line(format_args!("| `{name}` | {} | {range} |", quantity.unit.unwrap_or_default()));
        }
        self.line("");
    }

    fn control(&mut self, control: &Control) {
        self.line("## Commands\n");
        match control {
            Control::Switch => self.line("`ON`, `OFF`, `TOGGLE`.\n"),
            Control::Level(_) => self.line(
                "A number from 0 to 100 %, `ON`, `OFF`, `TOGGLE`. `OFF` is 0; `ON` is the last level that was not 0, at first \
                 100.\n",
            ),
            Control::Cover => self.line(
                "`OPEN`, `CLOSE`, `STOP`, or a position: a number from 0 (closed) to 100 % (open). As a setting, `off` is \
                 `STOP`.\n",
            ),
            Control::Text(Texts { longest, characters }) => {
                self.line(format_args!(
                    "A text of up to {longest} characters: {characters}. Whatever arrives is text here, `ON` and numbers too; \
                     only what begins with `{{` has to be the JSON form. It is never on: it has no `max_on` and no \
                     `interlock`. `initial` and `safe` are texts as well, by default the empty one.\n",
                ));
            }
            Control::Position { range, unit, .. } => {
                let unit = unit.map(|unit| format!(" {unit}")).unwrap_or_default();
                self.line(format_args!(
                    "A position, from `min` to `max`, by default {} to {}{unit}, or `STOP`. As a setting, `off` is `STOP`.\n",
                    range.start(),
                    range.end()
                ));
            }
            Control::Number { range, step, unit } => {
                let unit = unit.unwrap_or_default();
                self.line(format_args!(
                    "A number from {} to {} {unit}, in steps of {step}.\n",
                    range.start(),
                    range.end()
                ));
            }
        }
    }

    fn readings(&mut self, readings: &[Reading]) {
        for Reading { connection, channel: Channel { name, quantity, .. } } in readings {
            let unit = quantity.unit.unwrap_or_default();
            self.line(format_args!("With `{connection}`, its state has a key `{name}` beside the level, in {unit}.\n"));
        }
    }

    fn offer(&mut self, offer: &Offer) {
        self.line("## Pins\n");
        let last = offer.pins.saturating_sub(1);
        let key = if offer.pulses.is_some() { "pwm" } else { "line" };
        self.line(format_args!("Pins 0 to {last}, for other devices as `{key}: {{ expander: ID, pin: 0 }}`."));
        let uses = match (offer.inputs, offer.pulses.is_some()) {
            (true, _) => "They are inputs or outputs.",
            (false, true) => "They give pulses, and as a `line` are outputs.",
            (false, false) => "They are outputs.",
        };
        self.line(format_args!("{uses}\n"));
    }

    /// The properties of `object`, each below its full name, and those of the objects in it.
    fn options(&mut self, prefix: &str, object: &Json, root: &Json) {
        let none = Map::new();
        let properties = object.get("properties").and_then(Json::as_object).unwrap_or(&none);
        if properties.is_empty() {
            self.line("None but those that are common to all.");
        }
        for (name, property) in properties {
            let schema = resolve(property, root);
            self.line(format_args!("### `{prefix}{name}`\n"));
            if let Some(description) = property.get("description").and_then(Json::as_str) {
                self.line(format_args!("{}\n", description.replace('\n', " ").trim()));
            }
            if schema.get("properties").is_some() {
                self.options(&format!("{prefix}{name}."), schema, root);
                continue;
            }
            let default = property.get("default").map_or_else(String::new, |default| match default {
                Json::Null => " Default: none.".to_owned(),
                default => format!(" Default: {}.", plain(default)),
            });
            self.line(format_args!("{}.{default}\n", capital(&values(schema, root))));
            for choice in schema.get("oneOf").and_then(Json::as_array).into_iter().flatten() {
                if let (Some(value), Some(text)) = (choice.get("const"), choice.get("description")) {
                    self.line(format_args!("- {}: {}", plain(value), text.as_str().unwrap_or_default()));
                }
            }
            if schema.get("oneOf").is_some() {
                self.line("");
            }
        }
    }
}

/// The schema that a reference stands for, and that of an optional value without its `null`.
fn resolve<'a>(schema: &'a Json, root: &'a Json) -> &'a Json {
    let name = schema.get("$ref").and_then(Json::as_str).and_then(|name| name.strip_prefix('#'));
    if let Some(target) = name.and_then(|pointer| root.pointer(pointer)) {
        return resolve(target, root);
    }
    match schema.get("anyOf").and_then(Json::as_array).map(Vec::as_slice) {
        Some([some, null]) if null.get("type") == Some(&"null".into()) => resolve(some, root),
        _ => schema,
    }
}

/// What a value can be, in words.
fn values(schema: &Json, root: &Json) -> String {
    let schema = resolve(schema, root);
    let list = |key: &str| schema.get(key).and_then(Json::as_array);
    let number = |key: &str| schema.get(key).map(plain);
    if let Some(choices) = list("enum") {
        return format!("one of {}", alternatives(&choices.iter().map(plain).collect::<Vec<_>>()));
    }
    if let Some(choices) = list("oneOf") {
        let choices: Vec<_> = choices.iter().filter_map(|choice| choice.get("const")).map(plain).collect();
        return format!("one of {}", alternatives(&choices));
    }
    if let Some(forms) = list("anyOf") {
        return forms.iter().map(|form| values(form, root)).collect::<Vec<_>>().join("; or ");
    }
    if let Some(examples) = list("examples") {
        return format!("text such as {}", alternatives(&examples.iter().map(plain).collect::<Vec<_>>()));
    }
    let sort = match schema.get("type") {
        // Or `null`, which is none.
        Some(Json::Array(sorts)) => sorts.iter().find(|sort| *sort != "null"),
        sort => sort,
    };
    match (sort.and_then(Json::as_str), number("minimum"), number("maximum")) {
        (Some("boolean"), ..) => "`true` or `false`".to_owned(),
        (Some("array"), ..) => {
            format!("a list, each item {}", schema.get("items").map_or_else(String::new, |items| values(items, root)))
        }
        (Some("object"), ..) => "a mapping from names to such items".to_owned(),
        (Some("integer" | "number"), Some(min), Some(max)) => format!("a number from {min} to {max}"),
        (Some("integer" | "number"), Some(min), None) => format!("a number, {min} or more"),
        (Some("integer" | "number"), None, Some(max)) => format!("a number, {max} or less"),
        (Some("integer" | "number"), ..) => "a number".to_owned(),
        _ => "text".to_owned(),
    }
}

/// A value as it is written in the configuration.
fn plain(value: &Json) -> String {
    match value {
        Json::String(text) => format!("`{text}`"),
        Json::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| plain(item).replace('`', "")).collect();
            format!("`[{}]`", items.join(", "))
        }
        other => format!("`{other}`"),
    }
}

/// `a, b or c`
fn alternatives(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [only] => only.clone(),
        [rest @ .., last] => format!("{} or {last}", rest.join(", ")),
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
