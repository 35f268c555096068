//! Driver for whatever a kernel driver shows by the subsystem for hardware monitoring (hwmon): temperatures, voltages, fans,
//! currents, power, energy, humidity, and their alarms.
//!
//! Source: the kernel's Documentation/hwmon/sysfs-interface.rst and Documentation/ABI/testing/sysfs-class-hwmon.

#[cfg(test)]
mod tests;

mod input;
pub mod sim;

pub use input::Reading;

use crate::channel::{Channel, Quantity, within};
use crate::devices::{Class, Found};
use crate::driver::{Attachment, Driver, KernelClass, Role, Spec};
use crate::fault::{Fault, FaultKind};
use crate::options::{Inputs, read, shape};
use crate::port::{KernelPort, Wire};
use crate::sensor::{Sample, Sensor, SensorSpec};
use crate::sim::Part;
use crate::value::Value;
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;

/// The driver's entry in the list.
pub static DRIVER: Driver = Driver {
    name: "hwmon",
    summary: "Linux hwmon: whatever a kernel driver monitors, such as temperatures, voltages and fans",
    source: "Linux, Documentation/hwmon/sysfs-interface.rst",
    role: Role::Sensor,
    attachments: &[Attachment::Kernel(KernelClass::Hwmon)],
    identity: &[],
    example: "\
- id: case
  driver: hwmon
  device: lm75
  every: 30s
  channels: { inside: temp1 }
",
    defaults: || Spec::Sensor(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| read::<Options>(node, problems).map(|options| Spec::Sensor(Arc::new(options))),
};

/// Where the kernel shows the devices.
const CLASS: Class = Class { folder: "/sys/class/hwmon", prefix: "hwmon", what: "hwmon device" };

/// Options of the `hwmon` driver.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// What to read, as the kernel's files are called without their ending: `temp1`, `in0`, `fan1`, `curr1`, `power1`,
    /// `energy1`, `humidity1`; or an alarm, which is on or off: `temp1_crit_alarm`, `in0_lcrit_alarm`.
    /// A list, or a mapping that gives each a name: `{ cpu: temp1, fan: fan2 }`.
    pub channels: Inputs<Reading>,
}

impl Default for Options {
    fn default() -> Self {
        Self { channels: Inputs::of(&[Reading::TEMP1]) }
    }
}

/// A device and what is read of it.
struct Hwmon {
    port: KernelPort,
    device: Found,
    channels: Inputs<Reading>,
}

impl Hwmon {
    fn new(mut port: KernelPort, device: Option<&str>, channels: Inputs<Reading>) -> Result<Self, Fault> {
        let device = CLASS.find(&mut port, device)?;
        let files = port.names(&device.folder)?;
        let hwmon = Self { port, device, channels };
        for (_, reading) in hwmon.channels.iter() {
            if !reading.files().iter().any(|file| files.contains(file)) {
                return Err(hwmon.has_no(&reading, &files));
            }
        }
        Ok(hwmon)
    }

    /// What is said of a reading that the device does not have.
    fn has_no(&self, reading: &Reading, files: &[String]) -> Fault {
        let known: Vec<&str> = files
            .iter()
            .filter_map(|file| {
                file.strip_suffix("_input").or_else(|| Some(file.as_str()).filter(|f| f.ends_with("_alarm")))
            })
            .collect();
        let known = if known.is_empty() { "nothing to read".to_owned() } else { known.join(", ") };
        Fault::wrong_chip(format!("{} has no {reading}: it has {known}", self.device.name))
    }

    fn read(&mut self, reading: &Reading) -> Result<Value, Fault> {
        let folder = self.device.folder.clone();
        // Whether the sensor itself is known to be bad.
        if let Some(file) = reading.fault()
            && self.port.number_if_any(&format!("{folder}/{file}"))?.is_some_and(|fault| fault != 0.0)
        {
            return Err(Fault::corrupt(format!("the sensor is open or shorted ({file})")));
        }
        for file in reading.files() {
            if let Some(number) = self.port.number_if_any(&format!("{folder}/{file}"))? {
                return reading.value(number);
            }
        }
        Err(Fault::new(FaultKind::Absent, format!("{folder} is gone, or what is read there")))
    }
}

impl Sensor for Hwmon {
    fn sample(&mut self, out: &mut Sample) -> Result<(), Fault> {
        self.device.check(&mut self.port)?;
        let channels = self.channels.clone();
        for (index, (name, reading)) in channels.iter().enumerate() {
            out.set(index, self.read(&reading).map_err(|fault| fault.on(name))?);
        }
        Ok(())
    }
}

impl SensorSpec for Options {
    fn channels(&self) -> Vec<Channel> {
        self.channels.iter().map(|(name, reading)| reading.channel(name)).collect()
    }

    fn open(&self, wire: Wire) -> Result<Box<dyn Sensor>, Fault> {
        let (port, device) = wire.kernel()?;
        Ok(Box::new(Hwmon::new(port, device.as_deref(), self.channels.clone())?))
    }

    fn simulate(&self) -> Option<Box<dyn Part>> {
        Some(Box::new(sim::Model::new(self.channels.clone())))
    }
}
