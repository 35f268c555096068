//! Who is on the 1-Wire buses: the kernel has searched them already, so nothing is sent.

use halyard_drivers::sort::sort_by;
use std::path::Path;

/// A device on a 1-Wire bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its number as the kernel writes it: `28-0000046a1e9f`, the family first.
    pub id: String,
    /// The part, by its family; `None` if that is not known here.
    pub part: Option<&'static str>,
    /// The name of its driver.
    pub driver: Option<&'static str>,
}

/// The families (Maxim, application note 155; the kernel's w1_family.h), and the driver of those that have one.
const FAMILIES: [(&str, &str, Option<&str>); 16] = [
    ("01", "DS2401 serial number", None),
    ("05", "DS2405 switch", None),
    ("10", "DS18S20 thermometer", None),
    ("12", "DS2406 switch", None),
    ("1d", "DS2423 counter", None),
    ("20", "DS2450 analogue inputs", None),
    ("22", "DS1822 thermometer", None),
    ("26", "DS2438 battery monitor", None),
    ("28", "DS18B20 thermometer", Some("ds18b20")),
    ("29", "DS2408 switch", None),
    ("2d", "DS2431 memory", None),
    ("3a", "DS2413 switch", None),
    ("3b", "DS1825 thermometer", None),
    ("42", "DS28EA00 thermometer", None),
    ("43", "DS28EC20 memory", None),
    ("81", "USB adapter's serial number", None),
];

/// The devices in the kernel's list; `None` if there is no 1-Wire bus. `root` is `/`.
#[must_use]
pub fn devices(root: &Path) -> Option<Vec<Device>> {
    let entries = std::fs::read_dir(root.join("sys/bus/w1/devices")).ok()?;
    let names: Vec<String> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    let bus = names.iter().any(|name| name.starts_with("w1_bus_master"));
    let mut devices: Vec<Device> = names.into_iter().filter_map(device).collect();
    sort_by(&mut devices, |a, b| a.id <= b.id);
    (bus || !devices.is_empty()).then_some(devices)
}

fn device(id: String) -> Option<Device> {
    let (family, number) = id.split_once('-')?;
    let hex = |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    // A search that was disturbed leaves numbers of zeros behind.
    if !hex(family, 2) || !hex(number, 12) || family == "00" {
        return None;
    }
    let known = FAMILIES.iter().find(|(code, ..)| *code == family);
    Some(Device { part: known.map(|(_, part, _)| *part), driver: known.and_then(|(.., driver)| *driver), id })
}
