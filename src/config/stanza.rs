//! What sensors and actuators have in common: a stanza's driver, and its keys sorted by who reads them.

use super::model::Fingerprint;
use super::place::{PLACE_KEYS, place_keys, wants};
use super::written;
use halyard_drivers::options::node::quote;
use halyard_drivers::options::read::{alternatives, nearest, unknown_key};
use halyard_drivers::options::{Content, Node, Problem, Report, keys};
use halyard_drivers::sort::sort_by;
use halyard_drivers::{Attachment, DRIVERS, Driver, Role, Spec, find};

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
    /// The keys that say where the part is connected.
    pub attachment: Node,
    own: Node,
    /// Keys that were meant by unknown ones: they are not missing.
    meant: Vec<String>,
}

/// The keys that all of a role have, besides `driver`.
fn common_keys(role: Role) -> Vec<&'static str> {
    match role {
        Role::Sensor => [keys::<written::Sensor>(), &["filters"]].concat(),
        Role::Actuator => keys::<written::Actuator>().to_vec(),
        Role::Expander => keys::<written::Expander>().to_vec(),
    }
}

/// `a sensor`, `sensors`.
fn words(role: Role) -> (&'static str, &'static str) {
    match role {
        Role::Sensor => ("a sensor", "sensors"),
        Role::Actuator => ("an actuator", "actuators"),
        Role::Expander => ("an expander", "expanders"),
    }
}

/// Where a key is known, if not here.
fn elsewhere(key: &str, role: Role) -> Option<Role> {
    let others = [Role::Sensor, Role::Actuator, Role::Expander].into_iter().filter(|other| *other != role);
    others.into_iter().find(|other| common_keys(*other).contains(&key))
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
        let own_keys = driver.map(Driver::keys).unwrap_or_default();
        let place_keys = driver.map(place_keys).unwrap_or_default();
        let common_keys = common_keys(role);
        let (mut common, mut own, mut attachment, mut filters) = (Vec::new(), Vec::new(), Vec::new(), None);
        let mut meant = Vec::new();
        for (key, value) in entries {
            let entry = || (key.clone(), value.clone());
            match key.text() {
                None => problems.push(Problem::new(key.place, format!("a key must be text, not {}", key.kind()))),
                Some("driver") => {}
                Some("filters") if role == Role::Sensor => filters = Some(value),
                Some(text) if place_keys.contains(&text) || PLACE_KEYS.contains(&text) => attachment.push(entry()),
                Some(text) if common_keys.contains(&text) => common.push(entry()),
                Some(text) if own_keys.contains(&text) => own.push(entry()),
                Some(text) => {
                    // Without its driver, a key may be the driver's.
                    if let Some(driver) = driver {
                        let (message, near) = unknown(text, driver, &common_keys, own_keys);
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
    pub fn spec(&self, problems: &mut Vec<Problem>) -> Option<Spec> {
        let mut found = Vec::new();
        let spec = (self.driver?.parse)(&self.own, &mut found);
        if let (Some(spec), Some(at)) = (&spec, self.attached()) {
            let before = found.len();
            let mut report = Report::new(&self.own, &mut found);
            match spec {
                Spec::Sensor(spec) => spec.check(at, &mut report),
                Spec::Actuator(spec) => spec.check(at, &mut report),
                Spec::Edge(_) | Spec::Serial(_) | Spec::Expander(_) => {}
            }
            if found.len() > before {
                problems.extend(found);
                return None;
            }
        }
        found.retain(|problem| !self.meant.iter().any(|key| problem.message == missing_key(key)));
        problems.extend(found);
        spec
    }

    /// Reports what is wrong with one of the driver's own options, where it stands or would stand.
    pub fn wrong(&self, option: &str, message: String, problems: &mut Vec<Problem>) {
        Report::new(&self.own, problems).at(&[option], message);
    }

    /// Whether others of its sort can be connected to the same device.
    pub fn shares(&self) -> bool {
        let shares = |at: &Attachment| matches!(at, Attachment::Described | Attachment::Modbus);
        self.driver.is_some_and(|driver| driver.attachments.iter().any(shares))
    }

    /// Reports a key that is not there, unless it is there misspelt.
    pub fn missing(&self, key: &str, problems: &mut Vec<Problem>) {
        if !self.meant.iter().any(|meant| meant == key) {
            let mut message = missing_key(key);
            if let Some(driver) = self.driver
                && place_keys(driver).contains(&key)
            {
                message = format!("{message}: {} is {}", driver.name, wants(driver));
            }
            problems.push(Problem::new(self.node.place, message));
        }
    }

    /// All of the stanza as canonical text, secrets included.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(canonical(self.node).to_string())
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
fn unknown(key: &str, driver: &Driver, common: &[&str], own: &[&str]) -> (String, Option<String>) {
    let role = driver.role;
    if let Some(other) = elsewhere(key, role) {
        let message = format!("unknown key `{key}`: {} have it, {} do not", words(other).1, words(role).1);
        return (message, None);
    }
    let here = place_keys(driver);
    let all: Vec<&str> = own.iter().chain(common).copied().chain(here).chain(["driver"]).collect();
    let near = nearest(key, all.iter().copied()).map(str::to_owned);
    if near.is_some() || own.is_empty() {
        return (unknown_key(key, &all), near);
    }
    let own = alternatives(own).replace(" or ", " and ");
    (format!("unknown key {}; {} has {own} of its own", quote(key), driver.name), None)
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
            let mut sorted: Vec<_> = entries
                .iter()
                .map(|(key, value)| (key.text().map_or_else(|| key.shown(), str::to_owned), canonical(value)))
                .collect();
            sort_by(&mut sorted, |(a, _), (b, _)| a <= b);
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
            for key in driver.keys() {
                let taken = PLACE_KEYS.contains(key) || place_keys(driver).contains(key) || *key == "driver";
                assert!(!taken && !common_keys(driver.role).contains(key), "{}: {key}", driver.name);
            }
        }
    }
}
