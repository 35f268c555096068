//! Driver for the machine that the agent runs on: temperature, load, memory, disk, power supply, wireless network.
//!
//! Sources: the kernel's Documentation/ABI/testing/sysfs-class-thermal, Documentation/filesystems/proc.rst and proc_loadavg(5),
//! statvfs(3); for a Raspberry Pi its documentation of `vcgencmd get_throttled`, whose number the kernel has in a file, and the
//! kernel's Documentation/hwmon/raspberrypi-hwmon.rst.

#[cfg(test)]
mod tests;

mod files;
pub mod sim;

use crate::channel::{Channel, Quantity, within};
use crate::driver::{Attachment, Driver, KernelClass, Role, Spec};
use crate::fault::Fault;
use crate::options::{Input, Inputs, read, shape};
use crate::port::{KernelPort, Wire};
use crate::sensor::{Sample, Sensor, SensorSpec};
use crate::sim::Part;
use crate::value::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use std::sync::Arc;

/// The driver's entry in the list.
pub static DRIVER: Driver = Driver {
    name: "system",
    summary: "The machine itself: temperature, load, memory, disk, uptime, power supply, wireless signal",
    source: "Linux, Documentation/filesystems/proc.rst and Documentation/ABI/testing/sysfs-class-thermal",
    role: Role::Sensor,
    attachments: &[Attachment::Kernel(KernelClass::System)],
    identity: &[],
    example: "\
- id: computer
  driver: system
  every: 1m
  channels: [cpu_temperature, load_1, memory_used, disk_used, uptime]
",
    defaults: || Spec::Sensor(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| read::<Options>(node, problems).map(|options| Spec::Sensor(Arc::new(options))),
};

/// Options of the `system` driver.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// What to read: `cpu_temperature` in °C; `load_1`, `load_5`, `load_15`, the mean number of processes that want to run;
    /// `memory_used` and `disk_used` in %; `uptime` in s; `signal` of the wireless network in dBm. On a Raspberry Pi,
    /// `under_voltage`, on while the supply is below 4.63 V, and `throttled`, on while the processor is slowed down for it or
    /// for heat. Name only what the machine has: what it does not have is a fault of the whole sensor. A list, or a mapping that gives each another name.
    pub channels: Inputs<Reading>,
    /// A folder of the file system that `disk_used` is about.
    pub disk: String,
    /// The network interface that `signal` is about, such as `wlan0`. Without it: the first wireless one.
    pub interface: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        use Reading::{CpuTemperature, DiskUsed, Load1, MemoryUsed, Uptime};
        let channels = Inputs::of(&[CpuTemperature, Load1, MemoryUsed, DiskUsed, Uptime]);
        Self { channels, disk: "/".to_owned(), interface: None }
    }
}

/// One thing to read.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // see `Options::channels`
pub enum Reading {
    CpuTemperature,
    #[serde(rename = "load_1")]
    Load1,
    #[serde(rename = "load_5")]
    Load5,
    #[serde(rename = "load_15")]
    Load15,
    MemoryUsed,
    DiskUsed,
    Uptime,
    Signal,
    UnderVoltage,
    Throttled,
}

/// Per cents of memory or disk.
const USED: Quantity = Quantity { unit: Some("%"), device_class: None, state_class: Some("measurement"), precision: 1 };
/// Mean number of processes.
const LOAD: Quantity = Quantity { unit: None, device_class: None, state_class: Some("measurement"), precision: 2 };
/// Time since the start in s.
const UPTIME: Quantity = Quantity::measurement("s", "duration", 0);
/// Strength of a wireless signal.
const SIGNAL: Quantity = Quantity::measurement("dBm", "signal_strength", 0);
/// On when something is wrong.
const PROBLEM: Quantity = Quantity { device_class: Some("problem"), ..Quantity::STATE };

/// No processor works beyond these.
const TEMPERATURE_RANGE: RangeInclusive<f64> = -55.0..=150.0;
/// Four million processes are the most that Linux can have.
const LOAD_RANGE: RangeInclusive<f64> = 0.0..=4_194_304.0;
/// A hundred years.
const UPTIME_RANGE: RangeInclusive<f64> = 0.0..=3_155_760_000.0;
/// From the noise of the smallest channel to the transmitter itself.
const SIGNAL_RANGE: RangeInclusive<f64> = -120.0..=20.0;

impl Reading {
    fn word(self) -> &'static str {
        match self {
            Self::CpuTemperature => "cpu_temperature",
            Self::Load1 => "load_1",
            Self::Load5 => "load_5",
            Self::Load15 => "load_15",
            Self::MemoryUsed => "memory_used",
            Self::DiskUsed => "disk_used",
            Self::Uptime => "uptime",
            Self::Signal => "signal",
            Self::UnderVoltage => "under_voltage",
            Self::Throttled => "throttled",
        }
    }

    /// Its quantity, and its range if it is a number.
    fn quantity(self) -> (Quantity, Option<RangeInclusive<f64>>) {
        match self {
            Self::CpuTemperature => (Quantity::TEMPERATURE, Some(TEMPERATURE_RANGE)),
            Self::Load1 | Self::Load5 | Self::Load15 => (LOAD, Some(LOAD_RANGE)),
            Self::MemoryUsed | Self::DiskUsed => (USED, Some(0.0..=100.0)),
            Self::Uptime => (UPTIME, Some(UPTIME_RANGE)),
            Self::Signal => (SIGNAL, Some(SIGNAL_RANGE)),
            Self::UnderVoltage | Self::Throttled => (PROBLEM, None),
        }
    }
}

impl Input for Reading {
    const LIST: &'static str = "[cpu_temperature, load_1]";

    fn name(&self) -> String {
        self.word().to_owned()
    }
}

/// The machine.
struct System {
    port: KernelPort,
    options: Options,
    /// The file with the temperature of the processor, if that is read.
    temperature: Option<String>,
    /// The file that tells of the power supply, if that is read.
    supply: Option<files::Supply>,
}

impl System {
    /// Looks whether the machine has all that is to be read.
    fn new(mut port: KernelPort, options: Options) -> Result<Self, Fault> {
        let reads = |wanted: &[Reading]| options.channels.iter().any(|(_, reading)| wanted.contains(&reading));
        let temperature = match reads(&[Reading::CpuTemperature]) {
            true => Some(files::cpu_temperature(&mut port)?),
            false => None,
        };
        let supply = match (reads(&[Reading::Throttled]), reads(&[Reading::UnderVoltage])) {
            (false, false) => None,
            (throttled, _) => Some(files::Supply::find(&mut port, throttled)?),
        };
        let mut system = Self { port, options, temperature, supply };
        let channels = system.options.channels.clone();
        for (name, reading) in channels.iter() {
            system.read(reading).map_err(|fault| fault.on(name))?;
        }
        Ok(system)
    }

    fn read(&mut self, reading: Reading) -> Result<Value, Fault> {
        let number = match reading {
            Reading::CpuTemperature => {
                let file = self.temperature.as_deref().unwrap_or_default();
                self.port.number(file)? / 1000.0
            }
            Reading::Load1 => files::load(&mut self.port, 0)?,
            Reading::Load5 => files::load(&mut self.port, 1)?,
            Reading::Load15 => files::load(&mut self.port, 2)?,
            Reading::MemoryUsed => files::memory_used(&mut self.port)?,
            Reading::DiskUsed => files::disk_used(&mut self.port, &self.options.disk)?,
            Reading::Uptime => files::uptime(&mut self.port)?,
            Reading::Signal => files::signal(&mut self.port, self.options.interface.as_deref())?,
            Reading::UnderVoltage | Reading::Throttled => {
                let Some(supply) = &self.supply else { return Err(Fault::rejected("it was not looked for")) };
                let on = supply.read(&mut self.port, reading == Reading::UnderVoltage)?;
                return Ok(Value::Switch(on));
            }
        };
        let (quantity, range) = reading.quantity();
        let what = format!("{} in {}", reading.word(), quantity.unit.unwrap_or("processes"));
        Ok(Value::Number(range.map_or(Ok(number), |range| within(number, &range, &what))?))
    }
}

impl Sensor for System {
    fn sample(&mut self, out: &mut Sample) -> Result<(), Fault> {
        let channels = self.options.channels.clone();
        for (index, (name, reading)) in channels.iter().enumerate() {
            out.set(index, self.read(reading).map_err(|fault| fault.on(name))?);
        }
        Ok(())
    }
}

impl SensorSpec for Options {
    fn channels(&self) -> Vec<Channel> {
        let channel = |(name, reading): (&str, Reading)| {
            let (quantity, range) = reading.quantity();
            Channel { name: name.to_owned().into(), quantity, range }
        };
        self.channels.iter().map(channel).collect()
    }

    fn open(&self, wire: Wire) -> Result<Box<dyn Sensor>, Fault> {
        match wire {
            Wire::Kernel(port, _) => Ok(Box::new(System::new(port, self.clone())?)),
            _ => Err(Fault::rejected("the machine is not connected to anything")),
        }
    }

    fn simulate(&self) -> Option<Box<dyn Part>> {
        Some(Box::new(sim::Model::new(self.channels.clone())))
    }
}
