//! Driver for one register of any device, on I2C or Modbus, that can be written: a relay, a set point, a mode.
//!
//! Source: as [`registers`](crate::registers), whose devices these are.

#[cfg(test)]
mod tests;

use crate::actuator::{Actuator, ActuatorSpec, Control};
use crate::described::lasting;
use crate::driver::{Attachment, Driver, Role, Spec};
use crate::fault::{Fault, FaultKind};
use crate::options::{Report, Span, read_checked, shape};
use crate::port::{ModbusSettings, Parity, Table, Wire};
use crate::registers::{Access, Kind, Line, Order, PointerBytes, Register, sim};
use crate::serial::Baud;
use crate::sim::Part;
use crate::value::Value;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The driver's entry in the list.
pub static DRIVER: Driver = Driver {
    name: "register",
    summary: "One register of any device, on I2C or Modbus: a relay, a set point",
    source: "the device's own manual; MODBUS Application Protocol Specification V1.1b3",
    role: Role::Actuator,
    attachments: &[Attachment::Modbus, Attachment::Described],
    identity: &[],
    example: "\
- id: fan
  driver: register
  port: /dev/ttyUSB0
  address: 2
  table: coil
  register: 0x0000
  type: bool
",
    defaults: || Spec::Actuator(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| {
        read_checked(node, problems, Options::contradictions).map(|options| Spec::Actuator(Arc::new(options)))
    },
};

/// Options of the `register` driver.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Where it is: the address as it is sent.
    pub register: u16,
    /// Which table of a Modbus device it is in: `holding` or `coil`.
    pub table: Table,
    /// What it holds: `bool` makes a switch, everything else a number, from `min` to `max`.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Which of its bytes comes first: that of the `big` end or that of the `little` one.
    pub bytes: Order,
    /// Which of its words comes first, of Modbus values of several.
    pub words: Order,
    /// The bits that are the value. The others stay as they are: they are read before each write.
    pub mask: Option<u64>,
    /// What one step of the raw value is worth.
    pub scale: f64,
    /// What a raw value of 0 is worth.
    pub offset: f64,
    /// The unit of a number, such as `°C`.
    pub unit: Option<String>,
    /// The lowest number that can be asked for.
    pub min: Option<f64>,
    /// The highest number that can be asked for.
    pub max: Option<f64>,
    /// Whether the register can be read as well: then the state is what it holds.
    pub readable: bool,
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
        let (register, line) = (Register::default(), Line::default());
        Self {
            register: 0,
            table: Table::Holding,
            kind: Kind::Bool,
            bytes: register.bytes,
            words: register.words,
            mask: None,
            scale: register.scale,
            offset: register.offset,
            unit: None,
            min: None,
            max: None,
            readable: true,
            pointer: PointerBytes::One,
            baud: line.baud,
            parity: line.parity,
            timeout: line.timeout,
        }
    }
}

impl Options {
    fn line(&self) -> Line {
        Line { baud: self.baud, parity: self.parity, timeout: self.timeout }
    }

    fn register(&self) -> Register {
        Register {
            register: self.register,
            table: self.table,
            kind: self.kind,
            bytes: self.bytes,
            words: self.words,
            mask: self.mask,
            scale: self.scale,
            offset: self.offset,
            unit: self.unit.clone(),
            min: self.min,
            max: self.max,
            ..Register::default()
        }
    }

    fn contradictions(&self, report: &mut Report) {
        self.line().check(report);
        if report.node.get("register").is_none() {
            report.at(&[], "missing key `register`");
        }
        if matches!(self.table, Table::Input | Table::Discrete) {
            report.at(&["table"], "`table` must be `holding` or `coil`: others cannot be written");
        }
        if self.kind != Kind::Bool && (self.min.is_none() || self.max.is_none()) {
            let message = "a number needs `min` and `max`: nobody can ask for what is outside of them";
            report.at(&["type"], message);
        }
        if self.mask.is_some() && !self.readable {
            report.at(&["mask"], "`mask` needs a register that is `readable`");
        }
    }
}

/// A register that is driven.
struct Driven {
    access: Access,
    register: Register,
    readable: bool,
}

impl Driven {
    fn found(&mut self) -> Result<Value, Fault> {
        let raw = self.access.read(&self.register)?;
        let none = || Fault::corrupt("the register holds the value that stands for none");
        self.register.value(raw)?.ok_or_else(none)
    }
}

impl Actuator for Driven {
    fn apply(&mut self, value: &Value) -> Result<Value, Fault> {
        if matches!(value, Value::Switch(_)) != (self.register.kind == Kind::Bool) {
            return Err(Fault::rejected(format!("this register does not take {value}")));
        }
        self.access.write(&self.register, value)?;
        // What can be asked for is as fine as the register is.
        let written = self.register.value(self.register.with(0, value))?.unwrap_or_else(|| value.clone());
        if !self.readable {
            return Ok(written);
        }
        let found = self.found()?;
        if found != written {
            let message = format!("the register reads back {found} after {written} was written");
            return Err(Fault::new(FaultKind::Bus, message));
        }
        Ok(found)
    }

    fn read(&mut self) -> Result<Option<Value>, Fault> {
        if self.readable { self.found().map(Some) } else { Ok(None) }
    }
}

impl ActuatorSpec for Options {
    fn control(&self) -> Control {
        if self.kind == Kind::Bool {
            return Control::Switch;
        }
        Control::Number {
            range: self.register().range(),
            step: self.scale.abs(),
            unit: self.unit.as_deref().map(lasting),
        }
    }

    fn check(&self, at: Attachment, report: &mut Report) {
        if let Some(message) = self.register().problem(self.pointer.on_i2c(at)) {
            report.at(&["register"], message);
        }
    }

    fn open(&self, wire: Wire) -> Result<Box<dyn Actuator>, Fault> {
        let access = Access::new(wire, self.pointer.into())?;
        Ok(Box::new(Driven { access, register: self.register(), readable: self.readable }))
    }

    fn modbus(&self) -> Option<ModbusSettings> {
        Some(self.line().settings())
    }

    fn simulate(&self) -> Option<Box<dyn Part>> {
        // It is driven, and measures nothing.
        Some(Box::new(sim::Model::new(&BTreeMap::new(), None, self.pointer.into())))
    }
}
