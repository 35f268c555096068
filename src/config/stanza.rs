//! What sensors and actuators have in common: a stanza's driver, its keys sorted by who reads them, and where the part
//! is connected.

use super::model::{At, LineName};
use super::port;
use super::written::{self, LineOffset};
use halyard_drivers::options::node::quote;
use halyard_drivers::options::read::{alternatives, nearest, unknown_key};
use halyard_drivers::options::{Content, Node, Placed, Problem, read, read_rest};
use halyard_drivers::{Attachment, DRIVERS, Driver, Role, find};
use schemars::{Schema, schema_for};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Keys that say where a part is connected.
const ATTACHMENT_KEYS: [&str; 4] = ["bus", "address", "line", "port"];

/// A stanza, its keys sorted by who reads them.
pub struct Stanza<'d> {
    /// All of it.
    pub node: &'d Node,
    /// Its driver, if it names one.
    pub driver: Option<&'static Driver>,
    /// The keys that all of its role have.
    pub common: Node,
    /// `filters` of a sensor.
    pub filters: Option<&'d Node>,
    attachment: Node,
    own: Node,
    /// Keys that were meant by unknown ones: they are not missing.
    meant: Vec<String>,
}

/// The keys of an object's schema.
pub fn keys(schema: &Schema) -> Vec<String> {
    let properties = schema.get("properties").and_then(|properties| properties.as_object());
    properties.map(|properties| properties.keys().cloned().collect()).unwrap_or_default()
}

/// The keys that all of a role have, besides `driver`.
fn common_keys(role: Role) -> Vec<String> {
    match role {
        Role::Sensor => {
            let mut keys = keys(&schema_for!(written::Sensor));
            keys.push("filters".to_owned());
            keys
        }
        Role::Actuator => keys(&schema_for!(written::Actuator)),
    }
}

/// `a sensor`, `sensors`.
fn words(role: Role) -> (&'static str, &'static str) {
    match role {
        Role::Sensor => ("a sensor", "sensors"),
        Role::Actuator => ("an actuator", "actuators"),
    }
}

fn other(role: Role) -> Role {
    match role {
        Role::Sensor => Role::Actuator,
        Role::Actuator => Role::Sensor,
    }
}

impl<'d> Stanza<'d> {
    /// Sorts the keys of `node`. `None` if it is no map.
    pub fn new(node: &'d Node, role: Role, problems: &mut Vec<Problem>) -> Option<Self> {
        let Some(entries) = node.entries() else {
            if !matches!(node.content, Content::Unknown) {
                let message = format!("{} must be a map of keys and values, not {}", words(role).0, node.kind());
                problems.push(Problem::new(node.place, message));
            }
            return None;
        };
        let driver = driver(node, role, problems);
        let own_keys = driver.map(|driver| keys(&(driver.schema)())).unwrap_or_default();
        let common_keys = common_keys(role);
        let (mut common, mut own, mut attachment, mut filters) = (Vec::new(), Vec::new(), Vec::new(), None);
        let mut meant = Vec::new();
        for (key, value) in entries {
            let is_in = |keys: &[String]| key.text().is_some_and(|text| keys.iter().any(|key| key == text));
            let entry = || (key.clone(), value.clone());
            match key.text() {
                None => problems.push(Problem::new(key.place, format!("a key must be text, not {}", key.kind()))),
                Some("driver") => {}
                Some("filters") if role == Role::Sensor => filters = Some(value),
                Some(text) if ATTACHMENT_KEYS.contains(&text) => attachment.push(entry()),
                Some(_) if is_in(&common_keys) => common.push(entry()),
                Some(_) if is_in(&own_keys) => own.push(entry()),
                Some(text) => {
                    // Without its driver, a key may be the driver's.
                    if let Some(driver) = driver {
                        let (message, near) = unknown(text, driver, &common_keys, &own_keys);
                        problems.push(Problem::new(key.place, message));
                        meant.extend(near);
                    }
                }
            }
        }
        let map = |entries| Node::new(node.place, Content::Map(entries));
        Some(Self { node, driver, common: map(common), filters, attachment: map(attachment), own: map(own), meant })
    }

    /// What the driver makes of its own options.
    pub fn spec(&self, problems: &mut Vec<Problem>) -> Option<halyard_drivers::Spec> {
        let mut found = Vec::new();
        let spec = (self.driver?.parse)(&self.own, &mut found);
        found.retain(|problem| !self.meant.iter().any(|key| problem.message == missing_key(key)));
        problems.extend(found);
        spec
    }

    /// Reports a key that is not there, unless it is there misspelt.
    pub fn missing(&self, key: &str, problems: &mut Vec<Problem>) {
        if !self.meant.iter().any(|meant| meant == key) {
            let mut message = missing_key(key);
            if let Some(driver) = self.driver
                && ATTACHMENT_KEYS.contains(&key)
            {
                message = format!("{message}: {} is {}", driver.name, wants(driver));
            }
            problems.push(Problem::new(self.node.place, message));
        }
    }

    /// Where the part is connected, and the key that says so.
    pub fn at(&self, problems: &mut Vec<Problem>) -> Option<Placed<At>> {
        let driver = self.driver?;
        let on_line = driver.attachments.iter().any(|at| matches!(at, Attachment::InputLine | Attachment::OutputLine));
        let on_bus = driver.attachments.iter().any(|at| matches!(at, Attachment::I2c { .. } | Attachment::Spi));
        let on_port = driver.attachments.contains(&Attachment::Serial);
        let mut fits = true;
        for (key, _) in self.attachment.entries().unwrap_or_default() {
            let Some(name) = key.text() else { continue };
            let has = match name {
                "line" => on_line,
                "port" => on_port,
                _ => on_bus,
            };
            if !has {
                let message = format!("{} has no `{name}`: it is {}", driver.name, wants(driver));
                problems.push(Problem::new(key.place, message));
                fits = false;
            }
        }
        if on_port {
            return match self.attachment.get("port") {
                Some(port) if !matches!(port.content, Content::Null) => port::read(port, problems).filter(|_| fits),
                _ => {
                    if fits {
                        self.missing("port", problems);
                    }
                    None
                }
            };
        }
        let at = match (self.attachment.get("line"), on_line, on_bus) {
            (Some(line), true, _) => line_of(line, problems).map(|name| Placed {
                place: line.place,
                origin: line.origin.clone(),
                value: At::Line(name),
            }),
            (None, true, false) => {
                if fits {
                    self.missing("line", problems);
                }
                None
            }
            (_, _, true) => self.bus(driver, fits, problems),
            _ => None,
        };
        if fits { at } else { None }
    }

    fn bus(&self, driver: &'static Driver, fits: bool, problems: &mut Vec<Problem>) -> Option<Placed<At>> {
        #[derive(Deserialize)]
        struct Keys {
            address: Option<Placed<i64>>,
        }
        let keys: Keys = read_rest(&self.attachment, problems)?;
        let bus = match self.attachment.get("bus") {
            None | Some(Node { content: Content::Null, .. }) => {
                if fits {
                    self.missing("bus", problems);
                }
                return None;
            }
            Some(Node { content: Content::Unknown, .. }) => return None,
            Some(bus) => bus,
        };
        let addresses = driver.attachments.iter().find_map(|at| match at {
            Attachment::I2c { addresses } => Some(*addresses),
            _ => None,
        });
        let on_spi = driver.attachments.contains(&Attachment::Spi);
        match (bus.text().and_then(bus_of), addresses) {
            (Some(Bus::I2c(number)), Some(addresses)) => {
                let (address, place) = match keys.address {
                    Some(address) => (check_address(&address, addresses, problems)?, address.place),
                    // What is there but cannot be read was reported.
                    None if self
                        .attachment
                        .get("address")
                        .is_some_and(|node| !matches!(node.content, Content::Null)) =>
                    {
                        return None;
                    }
                    None => match addresses {
                        [only] => (*only, bus.place),
                        _ => {
                            self.missing("address", problems);
                            return None;
                        }
                    },
                };
                Some(Placed { place, origin: None, value: At::I2c { bus: number, address } })
            }
            (Some(Bus::Spi(number, chip_select)), _) if on_spi => {
                if let Some(address) = keys.address {
                    let message = "`address` is for I2C; on SPI the chip select says which part it is";
                    problems.push(Problem::new(address.place, message));
                }
                Some(Placed { place: bus.place, origin: None, value: At::Spi { bus: number, chip_select } })
            }
            (_, addresses) => {
                let expected = match (addresses.is_some(), on_spi) {
                    (true, true) => "`i2c-N` or `spiB.C`, such as `i2c-1` or `spi0.0`",
                    (true, false) => "`i2c-N`, such as `i2c-1`",
                    _ => "`spiB.C`, such as `spi0.0`",
                };
                let hint = match bus
                    .text()
                    .and_then(|text| text.strip_prefix("/dev/"))
                    .map(|rest| rest.replace("spidev", "spi"))
                {
                    Some(rest) if bus.origin.is_none() => format!("; did you mean {}?", quote(&rest)),
                    _ => String::new(),
                };
                let message = format!("`bus` of {} must be {expected}, not {}{hint}", driver.name, bus.shown());
                problems.push(Problem::new(bus.place, message));
                None
            }
        }
    }

    /// All of the stanza as canonical text, secrets included.
    pub fn fingerprint(&self) -> String {
        canonical(self.node).to_string()
    }
}

fn missing_key(key: &str) -> String {
    format!("missing key `{key}`")
}

/// The driver that a stanza names.
fn driver(node: &Node, role: Role, problems: &mut Vec<Problem>) -> Option<&'static Driver> {
    let Some(value) = node.get("driver") else {
        problems.push(Problem::new(node.place, "missing key `driver`"));
        return None;
    };
    let Some(name) = value.text() else {
        if !matches!(value.content, Content::Unknown) {
            let message = format!("`driver` must be the name of a driver, not {}", value.kind());
            problems.push(Problem::new(value.place, message));
        }
        return None;
    };
    match find(name) {
        Some(driver) if driver.role == role => Some(driver),
        Some(driver) => {
            let (one, section) = words(driver.role);
            let message = format!("{} is the driver of {one}: it belongs below `{section}`", driver.name);
            problems.push(Problem::new(value.place, message));
            None
        }
        None => {
            let names = || DRIVERS.iter().filter(|driver| driver.role == role).map(|driver| driver.name);
            let hint = match nearest(name, names()) {
                _ if value.origin.is_some() => String::new(),
                Some(near) => format!("; did you mean `{near}`?"),
                None => "; `halyard drivers` lists them".to_owned(),
            };
            let message = format!("there is no driver {} for {}{hint}", value.shown(), words(role).1);
            problems.push(Problem::new(value.place, message));
            None
        }
    }
}

/// What is said of a key that neither all of the role nor the driver have.
/// Also the key that was probably meant.
fn unknown(key: &str, driver: &Driver, common: &[String], own: &[String]) -> (String, Option<String>) {
    let role = driver.role;
    if common_keys(other(role)).iter().any(|other| other == key) {
        let message = format!("unknown key `{key}`: {} have it, {} do not", words(other(role)).1, words(role).1);
        return (message, None);
    }
    let here = attachment_keys(driver);
    let all: Vec<&str> = own.iter().chain(common).map(String::as_str).chain(here).chain(["driver"]).collect();
    let near = nearest(key, all.iter().copied()).map(str::to_owned);
    if near.is_some() || own.is_empty() {
        return (unknown_key(key, &all), near);
    }
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    let own = alternatives(&own).replace(" or ", " and ");
    (format!("unknown key {}; {} has {own} of its own", quote(key), driver.name), None)
}

/// The keys that say where parts of this driver are connected.
pub fn attachment_keys(driver: &Driver) -> Vec<&'static str> {
    let mut keys = Vec::new();
    for attachment in driver.attachments {
        let more: &[&str] = match attachment {
            Attachment::I2c { .. } => &["bus", "address"],
            Attachment::Spi => &["bus"],
            Attachment::InputLine | Attachment::OutputLine => &["line"],
            Attachment::Serial => &["port"],
        };
        for key in more {
            if !keys.contains(key) {
                keys.push(*key);
            }
        }
    }
    keys
}

/// Completes "it is …".
fn wants(driver: &Driver) -> String {
    let ways: Vec<String> = driver
        .attachments
        .iter()
        .map(|attachment| match attachment {
            Attachment::I2c { addresses } => {
                format!("on I2C, with `bus`, such as `i2c-1`, and `address`, {}", listed(addresses))
            }
            Attachment::Spi => "on SPI, with `bus`, such as `spi0.0`".to_owned(),
            Attachment::InputLine | Attachment::OutputLine => {
                "on a GPIO line, with `line`, such as `GPIO17`".to_owned()
            }
            Attachment::Serial => "on a serial port, with `port`, such as `/dev/ttyAMA0`".to_owned(),
        })
        .collect();
    ways.join(", or ")
}

enum Bus {
    I2c(u8),
    Spi(u8, u8),
}

fn bus_of(text: &str) -> Option<Bus> {
    let number = |text: &str| {
        let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'));
        if plain { text.parse::<u8>().ok() } else { None }
    };
    if let Some(rest) = text.strip_prefix("i2c-") {
        return number(rest).map(Bus::I2c);
    }
    let (bus, chip_select) = text.strip_prefix("spi")?.split_once('.')?;
    Some(Bus::Spi(number(bus)?, number(chip_select)?))
}

fn check_address(address: &Placed<i64>, addresses: &[u8], problems: &mut Vec<Problem>) -> Option<u8> {
    let has = |number: i64| addresses.iter().copied().find(|address| i64::from(*address) == number);
    if let Some(address) = has(address.value) {
        return Some(address);
    }
    // 76 where 0x76 was meant.
    let hint = i64::from_str_radix(&address.value.to_string(), 16)
        .ok()
        .and_then(has)
        .map(|near| format!("; did you mean `{near:#04x}`?"))
        .unwrap_or_default();
    let found = if hint.is_empty() && address.value >= 0 {
        format!("{:#04x}", address.value)
    } else {
        address.value.to_string()
    };
    let message = format!("`address` must be {}, not `{found}`{hint}", listed(addresses));
    problems.push(Problem::new(address.place, message));
    None
}

/// `0x44, 0x45 or 0x46`, or the first and last of many.
fn listed(addresses: &[u8]) -> String {
    let texts: Vec<String> = addresses.iter().map(|address| format!("{address:#04x}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    alternatives(&texts)
}

fn line_of(node: &Node, problems: &mut Vec<Problem>) -> Option<LineName> {
    let expected = "a name such as `GPIO17`, or `{ chip: gpiochip0, offset: 17 }`";
    match &node.content {
        // The kernel has 31 bytes for a name.
        Content::Text(name) if (1..32).contains(&name.len()) && !name.contains(char::is_control) => {
            Some(LineName::Name(name.clone()))
        }
        Content::Map(_) => {
            let LineOffset { chip, offset } = read(node, problems)?;
            let name = chip.strip_prefix("/dev/").unwrap_or(&chip);
            if name.is_empty() || name.contains(|c: char| c == '/' || c.is_control()) {
                let message = format!("`chip` must be a GPIO chip such as `gpiochip0`, not {}", chip.shown());
                problems.push(Problem::new(chip.place, message));
                return None;
            }
            Some(LineName::Offset { chip: name.to_owned(), offset })
        }
        Content::Unknown => None,
        content => {
            let hint = match content {
                Content::Integer(number @ 0..) => format!("; did you mean `GPIO{number}`?"),
                _ => String::new(),
            };
            let message = format!("`line` must be {expected}, not {}{hint}", node.shown());
            problems.push(Problem::new(node.place, message));
            None
        }
    }
}

/// The tree as JSON with its keys in order.
fn canonical(node: &Node) -> serde_json::Value {
    use serde_json::Value;
    match &node.content {
        Content::Null | Content::Unknown => Value::Null,
        Content::Bool(value) => (*value).into(),
        Content::Integer(number) => (*number).into(),
        Content::Float(number) => (*number).into(),
        Content::Text(text) => text.clone().into(),
        Content::List(items) => items.iter().map(canonical).collect(),
        Content::Map(entries) => {
            let sorted: BTreeMap<String, Value> = entries
                .iter()
                .map(|(key, value)| (key.text().map_or_else(|| key.shown(), str::to_owned), canonical(value)))
                .collect();
            sorted.into_iter().collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A driver's option that is called as a key of the agent's would never reach the driver.
    #[test]
    fn drivers_have_keys_of_their_own() {
        for driver in DRIVERS {
            for key in keys(&(driver.schema)()) {
                let taken = ATTACHMENT_KEYS.contains(&key.as_str()) || key == "driver";
                assert!(!taken && !common_keys(driver.role).contains(&key), "{}: {key}", driver.name);
            }
        }
    }

    #[test]
    fn names_of_buses() {
        assert!(matches!(bus_of("i2c-1"), Some(Bus::I2c(1))));
        assert!(matches!(bus_of("spi10.2"), Some(Bus::Spi(10, 2))));
        for text in ["", "i2c-", "i2c-01", "i2c-256", "i2c-+1", "i2c1", "spi0", "spi0.", "spi.0", "spi0.0.0", "I2C-1"] {
            assert!(bus_of(text).is_none(), "{text}");
        }
    }
}
