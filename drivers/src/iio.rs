//! Driver for whatever a kernel driver shows by the subsystem for industrial I/O (IIO): converters, accelerometers, gas,
//! light, pressure and humidity sensors and hundreds more.
//!
//! Source: the kernel's Documentation/ABI/testing/sysfs-bus-iio, Documentation/iio/iio_devbuf.rst and
//! Documentation/iio/iio_configfs.rst.
//!
//! A channel is read from its file at each sample. With the option `rate` the kernel reads all channels at that rate into a
//! [buffer], and a sample is the mean of what came since the last one.

#[cfg(test)]
mod tests;

mod buffer;
mod quantity;
pub mod sim;

pub use quantity::Source;

use crate::channel::Channel;
use crate::devices::{Class, Found};
use crate::driver::{Attachment, Driver, KernelClass, Role, Spec};
use crate::fault::{Fault, FaultKind};
use crate::options::{Frequency, Inputs, read, shape};
use crate::port::{KernelPort, Wire};
use crate::sensor::{Sample, Sensor, SensorSpec};
use crate::sim::Part;
use buffer::Buffer;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The driver's entry in the list.
pub static DRIVER: Driver = Driver {
    name: "iio",
    summary: "Linux IIO: whatever a kernel driver measures, such as voltages, light, pressure and acceleration",
    source: "Linux, Documentation/ABI/testing/sysfs-bus-iio and Documentation/iio/iio_devbuf.rst",
    role: Role::Sensor,
    attachments: &[Attachment::Kernel(KernelClass::Iio)],
    identity: &[],
    example: "\
- id: room
  driver: iio
  device: bme280
  every: 10s
  channels: [temp, humidityrelative, pressure]
",
    defaults: || Spec::Sensor(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| read::<Options>(node, problems).map(|options| Spec::Sensor(Arc::new(options))),
};

/// Where the kernel shows the devices.
const CLASS: Class = Class { folder: "/sys/bus/iio/devices", prefix: "iio:device", what: "IIO device" };

/// Options of the `iio` driver.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// What to read, as the kernel's files are called without `in_` and their ending: `temp`, `humidityrelative`,
    /// `pressure`, `voltage0`, `voltage0-voltage1`, `accel_x`, `illuminance`. Where one is not there, the fault names those
    /// that are. A list, or a mapping that gives each a name: `{ battery: voltage0, solar: voltage3 }`.
    pub channels: Inputs<Source>,
    /// How often the kernel samples by itself; a state is then the mean of all samples since the one before. Without it, a
    /// state is one sample. For devices that have a buffer.
    pub rate: Option<Frequency>,
    /// Name of the trigger that takes these samples. Without it: the one that the device has, the device's own, or else a
    /// timer that is made for it, which takes the rights of root.
    pub trigger: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { channels: Inputs::of(&[Source::TEMPERATURE]), rate: None, trigger: None }
    }
}

/// A device and what is read of it.
struct Iio {
    port: KernelPort,
    device: Found,
    channels: Vec<Resolved>,
    buffer: Option<Buffer>,
}

/// A channel and the files that are about it.
#[derive(Clone, Debug)]
struct Resolved {
    /// Its name in the state.
    name: String,
    source: Source,
    /// What is read: a value in the unit of its type, or a raw one.
    file: String,
    is_raw: bool,
    /// What a raw value is multiplied by, and what is added to it before.
    scale: Option<String>,
    offset: Option<String>,
}

impl Iio {
    fn new(mut port: KernelPort, device: Option<&str>, options: &Options) -> Result<Self, Fault> {
        let device = CLASS.find(&mut port, device)?;
        let files = port.names(&device.folder)?;
        let channels =
            options.channels.iter().map(|(name, source)| resolve(name, source, &device, &files, options.rate));
        let channels = channels.collect::<Result<Vec<_>, _>>()?;
        let buffer = match options.rate {
            Some(Frequency(rate)) => {
                Some(Buffer::open(&mut port, &device, &channels, rate, options.trigger.as_deref())?)
            }
            None => None,
        };
        Ok(Self { port, device, channels, buffer })
    }

    /// A value of a channel from what its file or the buffer has.
    fn value(&mut self, index: usize, number: f64) -> Result<f64, Fault> {
        let channel = &self.channels[index];
        let mut number = number;
        if channel.is_raw {
            if let Some(offset) = &channel.offset {
                number += self.port.number(&format!("{}/{offset}", self.device.folder))?;
            }
            if let Some(scale) = &channel.scale {
                number *= self.port.number(&format!("{}/{scale}", self.device.folder))?;
            }
        }
        channel.source.value(number)
    }
}

impl Sensor for Iio {
    fn sample(&mut self, out: &mut Sample) -> Result<(), Fault> {
        self.device.check(&mut self.port)?;
        let means = match &mut self.buffer {
            Some(buffer) => Some(buffer.means()?),
            None => None,
        };
        for index in 0..self.channels.len() {
            let number = match &means {
                Some(means) => means[index],
                None => self.port.number(&format!("{}/{}", self.device.folder, self.channels[index].file))?,
            };
            let value = self.value(index, number).map_err(|fault| fault.on(&self.channels[index].name))?;
            out.number(index, value);
        }
        Ok(())
    }

    fn halt(&mut self) -> Result<(), Fault> {
        match self.buffer.take() {
            Some(buffer) => buffer.close(&mut self.port),
            None => Ok(()),
        }
    }
}

impl Drop for Iio {
    /// A buffer that goes on would keep its channels from all others.
    fn drop(&mut self) {
        // If the device is gone, so is its buffer.
        let _ = self.halt();
    }
}

impl SensorSpec for Options {
    fn channels(&self) -> Vec<Channel> {
        self.channels.iter().map(|(name, source)| source.channel(name)).collect()
    }

    fn open(&self, wire: Wire) -> Result<Box<dyn Sensor>, Fault> {
        let (port, device) = wire.kernel()?;
        Ok(Box::new(Iio::new(port, device.as_deref(), self)?))
    }

    fn simulate(&self) -> Option<Box<dyn Part>> {
        Some(Box::new(sim::Model::new(self.channels.clone())))
    }
}

/// The files of a channel. With a `rate`, only raw values count: those are what a buffer has.
fn resolve(
    name: &str,
    source: Source,
    device: &Found,
    files: &[String],
    rate: Option<Frequency>,
) -> Result<Resolved, Fault> {
    let has = |file: &String| files.contains(file);
    let first = |end: &str| source.shared(end).into_iter().find(has);
    let [input, raw] = ["input", "raw"].map(|end| Some(format!("in_{source}_{end}")).filter(has));
    let (file, is_raw) = match (input, raw) {
        (Some(input), _) if rate.is_none() => (input, false),
        (_, Some(raw)) => (raw, true),
        (Some(input), None) => (input, false),
        (None, None) => {
            let mut known: Vec<String> = files.iter().filter_map(|file| channel_of(file)).map(str::to_owned).collect();
            crate::sort::sort(&mut known);
            known.dedup();
            let message = format!("{} has no {source}: it has {}", device.name, known.join(", "));
            return Err(Fault::wrong_chip(message));
        }
    };
    let (scale, offset) = (first("scale"), first("offset"));
    // A raw value without a scale is in no unit.
    if is_raw && scale.is_none() && source.has_unit() {
        let message = format!("the kernel does not know the scale of {source}: its values are in no unit");
        return Err(Fault::rejected(message));
    }
    Ok(Resolved { name: name.to_owned(), source, file, is_raw, scale, offset })
}

/// `temp` of `in_temp_raw`.
fn channel_of(file: &str) -> Option<&str> {
    let channel = file.strip_prefix("in_")?;
    channel.strip_suffix("_raw").or_else(|| channel.strip_suffix("_input"))
}
