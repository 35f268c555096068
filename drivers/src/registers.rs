//! Driver for any device that has registers, on I2C or Modbus: the configuration says what they hold.
//!
//! Source: MODBUS Application Protocol Specification V1.1b3, cited by its sections, and the manual of the device.

mod access;
#[cfg(test)]
mod tests;

pub mod sim;
pub mod table;

pub use access::{Access, Pointer};
pub use table::{Kind, Order, Register};

use crate::channel::Channel;
use crate::driver::{Attachment, Driver, Role, Spec};
use crate::fault::Fault;
use crate::options::limits::choice;
use crate::options::node::quote;
use crate::options::{Content, Node, Report, Span, read_checked, shape};
use crate::port::{ModbusSettings, Parity, SerialSettings, Wire};
use crate::sensor::{Sample, Sensor, SensorSpec};
use crate::serial::Baud;
use crate::sim::{Part, clock};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The driver's entry in the list.
pub static DRIVER: Driver = Driver {
    name: "registers",
    summary: "Any device with registers, on I2C or Modbus: the values in them",
    source: "the device's own manual; MODBUS Application Protocol Specification V1.1b3",
    role: Role::Sensor,
    attachments: &[Attachment::Modbus, Attachment::Described],
    identity: &[],
    example: "\
- id: meter
  driver: registers
  port: /dev/ttyUSB0
  address: 1
  baud: 9600
  every: 5s
  registers:
    voltage: { table: input, register: 0x0000, type: f32, unit: V, device_class: voltage, min: 0, max: 300 }
    power: { table: input, register: 0x000C, type: f32, unit: W, device_class: power, min: -25000, max: 25000 }
    energy: { table: input, register: 0x0156, type: f32, unit: kWh, device_class: energy, min: 0, max: 1000000, every: 1m }
",
    defaults: || Spec::Sensor(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| read_checked(node, problems, Options::contradictions).map(|options| Spec::Sensor(Arc::new(options))),
};

/// Options of the `registers` driver.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// The values, by the names of their channels. Each has a `register`, the address as it is sent; on Modbus a `table`
    /// (`holding`, the default, `input`, `coil` or `discrete`); a `type` (`u8`, `i8`, `u16`, the default, `i16`, `u24`,
    /// `i24`, `u32`, `i32`, `u64`, `i64`, `f32`, `f64` or `bool`); the order of its `bytes` and of its `words`, `big`, the
    /// default, or `little`; a `mask` for the bits that count; `scale` and `offset`; an `invalid` raw value that stands for
    /// none; `every`, how often it is read at most; and what is known of it: `unit`, `device_class`, `state_class`,
    /// `precision`, `min` and `max`. A value outside of these two is a fault.
    pub registers: BTreeMap<String, Register>,
    /// A register that says whether this is the device: where it is, and what it has to hold, as in
    /// `{ register: 0xFF, value: 0x2270 }`.
    pub identity: Option<Identity>,
    /// On I2C, how many bytes the address of a register has: 1 or 2.
    pub pointer: PointerBytes,
    /// On a serial line: bits in a second.
    pub baud: Baud,
    /// On a serial line: the parity bit.
    pub parity: Parity,
    /// On Modbus: how long an answer may take.
    pub timeout: Span,
}

impl Default for Options {
    fn default() -> Self {
        let line = Line::default();
        Self {
            registers: BTreeMap::from([("value".to_owned(), Register::default())]),
            identity: None,
            pointer: PointerBytes::One,
            baud: line.baud,
            parity: line.parity,
            timeout: line.timeout,
        }
    }
}

/// A register that tells the device from others.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Its address.
    pub register: u16,
    /// What it holds: 16 bits.
    pub value: u16,
}

choice! {
    /// How many bytes the address of a register has.
    pub enum PointerBytes {
        /// One byte.
        One = 1,
        /// Two bytes, the high one first.
        Two = 2,
    }
}

impl PointerBytes {
    /// Such a pointer, where the device is on I2C.
    pub(crate) fn on_i2c(self, at: Attachment) -> Option<Pointer> {
        (at == Attachment::Described).then(|| self.into())
    }
}

impl From<PointerBytes> for Pointer {
    fn from(bytes: PointerBytes) -> Self {
        match bytes {
            PointerBytes::One => Self::Byte,
            PointerBytes::Two => Self::Word,
        }
    }
}

/// How a Modbus line is set up if nobody says (MODBUS over Serial Line V1.02, section 2.5.1, but for the parity, which most
/// devices come without).
pub(crate) struct Line {
    pub(crate) baud: Baud,
    pub(crate) parity: Parity,
    pub(crate) timeout: Span,
}

impl Default for Line {
    fn default() -> Self {
        Self { baud: Baud::B9600, parity: Parity::None, timeout: Span(Duration::from_secs(1)) }
    }
}

impl Line {
    pub(crate) fn settings(&self) -> ModbusSettings {
        let serial = SerialSettings { parity: self.parity, ..SerialSettings::plain(self.baud.bits_per_second()) };
        ModbusSettings { serial, timeout: self.timeout.0 }
    }

    /// Reports a time-out that cannot be.
    pub(crate) fn check(&self, report: &mut Report) {
        const MOST: Duration = Duration::from_secs(4);
        if !(Duration::from_millis(1)..=MOST).contains(&self.timeout.0) {
            report.at(&["timeout"], format!("`timeout` must be from 1ms to {}", Span(MOST)));
        }
    }
}

impl Options {
    fn line(&self) -> Line {
        Line { baud: self.baud, parity: self.parity, timeout: self.timeout }
    }

    fn contradictions(&self, report: &mut Report) {
        self.line().check(report);
        match report.node.get("registers") {
            None => report.at(&[], "missing key `registers`"),
            Some(Node { content: Content::Map(entries), .. }) if entries.is_empty() => {
                report.at(&["registers"], "at least one register is needed");
            }
            Some(_) => {}
        }
    }
}

/// Names of channels are keys of the state.
fn name_problem(name: &str) -> Option<String> {
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let good = name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(letters) && name.len() <= 64;
    (!good || name == "time").then(|| {
        format!(
            "{} is no name of a channel: a lower-case letter, then lower-case letters, digits and _, up to 64 in all, and \
             not `time`",
            quote(name)
        )
    })
}

/// A device with these registers.
struct Registers {
    access: Access,
    registers: Vec<(Register, Option<Instant>)>,
}

impl Registers {
    fn open(mut access: Access, options: &Options) -> Result<Self, Fault> {
        if let Some(identity) = options.identity {
            let register = Register { register: identity.register, ..Register::default() };
            let found = access.read(&register)?;
            if found != u64::from(identity.value) {
                return Err(Fault::wrong_chip(format!(
                    "the identity register {:#04x} holds {found:#06x}, expected {:#06x}",
                    identity.register, identity.value
                )));
            }
        } else if let Some(first) = options.registers.values().next() {
            // Whether somebody is there.
            access.read(first)?;
        }
        Ok(Self { access, registers: options.registers.values().map(|register| (register.clone(), None)).collect() })
    }
}

impl Sensor for Registers {
    fn sample(&mut self, out: &mut Sample) -> Result<(), Fault> {
        let now = clock::now();
        let is_due = |(register, read): &(Register, Option<Instant>)| match (register.every, read) {
            (Some(every), Some(read)) => now.saturating_duration_since(*read) >= every.0,
            _ => true,
        };
        let due: Vec<usize> = (0..self.registers.len()).filter(|index| is_due(&self.registers[*index])).collect();
        let registers: Vec<&Register> = due.iter().map(|index| &self.registers[*index].0).collect();
        let raw = self.access.read_all(&registers)?;
        for (index, raw) in due.into_iter().zip(raw) {
            let (register, read) = &mut self.registers[index];
            if let Some(value) = register.value(raw)? {
                out.set(index, value);
            }
            *read = Some(now);
        }
        Ok(())
    }
}

impl SensorSpec for Options {
    fn channels(&self) -> Vec<Channel> {
        self.registers.iter().map(|(name, register)| register.channel(name)).collect()
    }

    fn check(&self, at: Attachment, report: &mut Report) {
        let on_i2c = self.pointer.on_i2c(at);
        for (key, value) in report.node.get("registers").and_then(Node::entries).unwrap_or_default() {
            let Some(name) = key.text() else { continue };
            if let Some(message) = name_problem(name) {
                report.push(key.place, message);
            } else if let Some(message) = self.registers.get(name).and_then(|register| register.problem(on_i2c)) {
                report.push(value.place, message);
            }
        }
        let identity = self.identity.map(|identity| Register { register: identity.register, ..Register::default() });
        if let Some(message) = identity.and_then(|it| it.problem(on_i2c)) {
            report.at(&["identity"], message);
        }
    }

    fn open(&self, wire: Wire) -> Result<Box<dyn Sensor>, Fault> {
        Ok(Box::new(Registers::open(Access::new(wire, self.pointer.into())?, self)?))
    }

    fn modbus(&self) -> Option<ModbusSettings> {
        Some(self.line().settings())
    }

    fn simulate(&self) -> Option<Box<dyn Part>> {
        Some(Box::new(sim::Model::new(&self.registers, self.identity, self.pointer.into())))
    }
}
