//! A part on a simulated bus, whatever the bus.

use crate::port::{I2cPort, InputPort, OutputPort, SpiPort, Wire};
use crate::sim::{I2cBus, I2cPart, Line, Machine, Nack, Part, SharedPart, SpiPart, SpiSlot, connect};
use crate::{Attachment, DRIVERS, Driver, Fault, Sample, Sensor, SensorSpec, Spec};
use std::sync::Arc;

/// The bus, with a part on it or none.
pub enum Rig {
    I2c(I2cBus, u8),
    Spi(SpiSlot),
    /// By their keys, with what each is.
    Lines(Vec<(&'static str, Attachment, Line)>),
    Kernel(Machine),
}

impl Rig {
    pub fn new(attachment: Attachment, part: Option<SharedPart>) -> Self {
        match attachment {
            Attachment::I2c { addresses } => {
                let bus = I2cBus::new();
                if let Some(part) = part {
                    bus.attach(addresses[0], part);
                }
                Self::I2c(bus, addresses[0])
            }
            Attachment::Spi => Self::Spi(SpiSlot::new(part)),
            Attachment::Several(members) => {
                let lines: Vec<_> = members.iter().map(|member| (member.key, member.at, Line::new())).collect();
                if let Some(part) = part {
                    let lines: Vec<_> = lines.iter().map(|(key, _, line)| (*key, line.clone())).collect();
                    connect(&part, &lines);
                }
                Self::Lines(lines)
            }
            Attachment::Kernel(_) => {
                let machine = Machine::new();
                if let Some(part) = part {
                    machine.attach(part, None);
                }
                Self::Kernel(machine)
            }
            _ => panic!("a part on no bus"),
        }
    }

    pub fn wire(&self) -> Wire {
        match self {
            Self::I2c(bus, address) => wire_at(bus, *address),
            Self::Spi(slot) => Wire::Spi(SpiPort(Box::new(slot.clone()))),
            Self::Lines(lines) => {
                let wires = lines.iter().map(|(key, at, line)| match at {
                    Attachment::InputLine => (*key, Wire::Input(InputPort(Box::new(line.listen())))),
                    _ => (*key, Wire::Output(OutputPort(Box::new(line.clone())))),
                });
                Wire::Several(wires.collect())
            }
            Self::Kernel(machine) => Wire::Kernel(machine.port(), None),
        }
    }
}

/// An I2C bus as the part at an address is given it.
pub fn wire_at(bus: &I2cBus, address: u8) -> Wire {
    Wire::I2c(I2cPort(Box::new(bus.clone())), address)
}

/// Every sensor that is asked, with each bus that it can be on.
pub fn sensors() -> impl Iterator<Item = (&'static Driver, Arc<dyn SensorSpec>, Attachment)> {
    DRIVERS.iter().flat_map(|driver| {
        let Spec::Sensor(spec) = (driver.defaults)() else { return Vec::new() };
        let on_bus = |attachment: &&Attachment| matches!(attachment, Attachment::I2c { .. } | Attachment::Spi);
        driver.attachments.iter().filter(on_bus).map(|attachment| (*driver, spec.clone(), *attachment)).collect()
    })
}

/// The model of a sensor's part.
pub fn model(spec: &dyn SensorSpec) -> Box<dyn Part> {
    spec.simulate().expect("a sensor on a bus has a model")
}

/// One sample; each value is there and within the range of its channel.
pub fn sample(spec: &dyn SensorSpec, sensor: &mut dyn Sensor) -> Result<Vec<f64>, Fault> {
    let channels = spec.channels();
    let mut out = Sample::new(channels.len());
    sensor.sample(&mut out)?;
    let numbers = out.values().iter().zip(&channels).map(|(value, channel)| {
        let value = value.as_ref().unwrap_or_else(|| panic!("{} has no value", channel.name));
        let number = value.number().unwrap_or_else(|| panic!("{} is no number", channel.name));
        let range = channel.range.as_ref().unwrap_or_else(|| panic!("{} has no range", channel.name));
        assert!(range.contains(&number), "{} is {number}, outside of {range:?}", channel.name);
        number
    });
    Ok(numbers.collect())
}

/// A part on I2C that answers each command with what was recorded for it, once.
pub struct Recording {
    /// The commands, and the answer to each.
    pub answers: Vec<(Vec<u8>, Vec<u8>)>,
    next: Option<Vec<u8>>,
}

impl Recording {
    pub fn new(answers: &[(&[u8], &[u8])]) -> Self {
        let answers = answers.iter().map(|(command, answer)| (command.to_vec(), answer.to_vec())).collect();
        Self { answers, next: None }
    }
}

impl Part for Recording {
    fn stimulate(&mut self, _: &str, _: f64) -> bool {
        false
    }

    fn i2c(&mut self) -> Option<&mut dyn I2cPart> {
        Some(self)
    }
}

impl I2cPart for Recording {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        self.next = self.answers.iter().find(|(command, _)| bytes == command).map(|(_, answer)| answer.clone());
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        buffer.copy_from_slice(&self.next.take().ok_or(Nack)?);
        Ok(())
    }
}

/// A part on SPI whose output is stuck at these bits.
pub struct Stuck(pub u8);

impl Part for Stuck {
    fn stimulate(&mut self, _: &str, _: f64) -> bool {
        false
    }

    fn spi(&mut self) -> Option<&mut dyn SpiPart> {
        Some(self)
    }
}

impl SpiPart for Stuck {
    fn select(&mut self) {}

    fn exchange(&mut self, _: u8) -> u8 {
        self.0
    }
}
