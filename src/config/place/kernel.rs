//! What the kernel drives: the key `device`.

use super::Connection;
use crate::config::model::At;
use crate::config::stanza::Stanza;
use halyard_drivers::KernelClass;
use halyard_drivers::options::node::quote;
use halyard_drivers::options::{Content, Node, Placed, Problem};

impl Stanza<'_> {
    /// What the kernel drives: the device that is named, or the only one.
    pub(super) fn kernel(&self, class: KernelClass, problems: &mut Vec<Problem>) -> Option<Connection> {
        let node = self.named("device");
        let device = match node {
            Some(node) => Some(device_of(class, node, problems)?),
            None => None,
        };
        let at = At::Kernel { class, device };
        // Any number of sensors can look at the machine.
        if class == KernelClass::System {
            return Some(Connection { at, places: Vec::new() });
        }
        let place = node.map_or(self.node.place, |node| node.place);
        Some(Placed { place, origin: node.and_then(|node| node.origin.clone()), value: at }.into())
    }
}

/// The name of a device of the kernel.
fn device_of(class: KernelClass, node: &Node, problems: &mut Vec<Problem>) -> Option<String> {
    let name = node.text().unwrap_or_default();
    let plain = !name.is_empty() && name.len() < 256 && !name.contains(char::is_control);
    let (sound, expected) = match class {
        KernelClass::OneWire => (is_one_wire(name), "the id of a thermometer such as `28-00000a1b2c3d`, in lower case"),
        KernelClass::Iio => (plain, "an IIO device such as `bme280`, `iio:device0` or `/sys/bus/i2c/devices/1-0076`"),
        _ => (plain, "an hwmon device such as `cpu_thermal`, `hwmon0` or `/sys/bus/i2c/devices/1-0048`"),
    };
    let is_path = name.starts_with("/sys/") && !name.ends_with('/') && !name.split('/').any(|part| part == "..");
    if sound && (is_path || !name.contains('/')) {
        return Some(name.to_owned());
    }
    if !matches!(node.content, Content::Unknown) {
        let lower = name.to_ascii_lowercase();
        let hint = match class {
            KernelClass::OneWire if is_one_wire(&lower) && node.origin.is_none() => {
                format!("; did you mean {}?", quote(&lower))
            }
            _ => String::new(),
        };
        let message = format!("`device` must be {expected}, not {}{hint}", node.shown());
        problems.push(Problem::new(node.place, message));
    }
    None
}

/// Family code and number of a 1-Wire part, as the kernel writes them.
fn is_one_wire(name: &str) -> bool {
    let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    name.split_once('-').is_some_and(|(family, id)| family.len() == 2 && id.len() == 12 && hex(family) && hex(id))
}
