//! I2C adapters that are not there for parts of ours.

use std::path::Path;

/// Words in the names that the kernel's drivers give to the adapters of displays and of a computer's memory modules.
const NAMES: [&str; 7] = ["ddc", "gmbus", "smbus", "aux", "hdmi", "nvidia", "amdgpu"];

/// The name of the adapter, if a display or memory modules are on its bus: what they keep must not get lost. `root` is `/`.
#[must_use]
pub fn of_others(root: &Path, bus: u8) -> Option<String> {
    let name = std::fs::read_to_string(root.join(format!("sys/bus/i2c/devices/i2c-{bus}/name"))).unwrap_or_default();
    let name = name.trim();
    let lower = name.to_lowercase();
    let named = NAMES.iter().any(|word| lower.contains(word));
    (named || is_of_display(root, bus)).then(|| if name.is_empty() { "no name".to_owned() } else { name.to_owned() })
}

/// Whether a connector of a display says that the bus is its own.
fn is_of_display(root: &Path, bus: u8) -> bool {
    let connectors = std::fs::read_dir(root.join("sys/class/drm")).into_iter().flatten().flatten();
    let mut buses = connectors.filter_map(|connector| std::fs::read_link(connector.path().join("ddc")).ok());
    buses.any(|link| link.file_name().is_some_and(|name| name.to_str() == Some(&format!("i2c-{bus}"))))
}
