//! Driver for whatever takes text on a serial port: scrolling signs, printers, projectors and amplifiers with commands of
//! their own, development boards.
//!
//! Source: the device's own manual; for the bytes of characters, ISO/IEC 8859-1 and RFC 3629.
//!
//! Nothing is read: what the device answers is dropped, and the state is the text that was written last.

#[cfg(test)]
mod tests;

pub mod sim;

use crate::actuator::{Actuator, ActuatorSpec, Control};
use crate::driver::{Attachment, Driver, Role, Spec};
use crate::fault::Fault;
use crate::options::{Report, read_checked, shape};
use crate::port::{Parity, SerialPort, SerialSettings, Wire};
use crate::serial::Baud;
use crate::sim::Part;
use crate::text::{Characters, Texts};
use crate::value::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The driver's entry in the list.
pub static DRIVER: Driver = Driver {
    name: "serial-write",
    summary: "Any device that takes text: a sign, a printer, a projector",
    source: "the device's own manual; ISO/IEC 8859-1, RFC 3629",
    role: Role::Actuator,
    attachments: &[Attachment::Serial],
    identity: &[],
    example: "\
- id: projector
  driver: serial-write
  port: /dev/ttyUSB0
  baud: 9600
  ending: cr
",
    defaults: || Spec::Actuator(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| {
        read_checked(node, problems, Options::contradictions).map(|options| Spec::Actuator(Arc::new(options)))
    },
};

/// Most characters of a text. With an MQTT command around it, it is shorter than the longest that is read.
const LONGEST: u16 = 1000;
/// How long a text may be on its way, in s: a write that takes 5 s is given up.
const MOST_SECONDS: usize = 4;
/// Bits of a byte on the wire, with start bit, parity bit and stop bit.
const BITS: usize = 11;

/// Options of the `serial-write` driver.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// What follows each text. The empty text writes nothing, not even this.
    pub ending: Ending,
    /// Which characters can be written, and as which bytes. Texts with others are refused; control characters always are.
    pub encoding: Characters,
    /// Most characters of a text, without its ending, 1 to 1000. Longer ones are refused. At a low baud rate it can be less: a
    /// text must be written within 4 s.
    #[schemars(range(min = 1, max = 1000))]
    pub max_length: u16,
    /// Bits in a second on the wire.
    pub baud: Baud,
    /// Parity bit.
    pub parity: Parity,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ending: Ending::Lf,
            encoding: Characters::Ascii,
            max_length: 80,
            baud: Baud::B9600,
            parity: Parity::None,
        }
    }
}

/// What follows a text.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// A line feed, 0x0A.
    #[default]
    Lf,
    /// A carriage return, 0x0D.
    Cr,
    /// Both, 0x0D 0x0A.
    Crlf,
    /// Nothing.
    None,
}

impl Ending {
    /// Its bytes.
    #[must_use]
    pub const fn bytes(self) -> &'static [u8] {
        match self {
            Self::Lf => b"\n",
            Self::Cr => b"\r",
            Self::Crlf => b"\r\n",
            Self::None => b"",
        }
    }
}

impl Options {
    fn contradictions(&self, report: &mut Report) {
        let (most, baud) = (self.most(), self.baud.bits_per_second());
        let message = if !(1..=LONGEST).contains(&self.max_length) {
            format!("`max_length` must be from 1 to {LONGEST}")
        } else if usize::from(self.max_length) > most {
            format!("`max_length` must be at most {most} at {baud} Bd: a text must be written within {MOST_SECONDS} s")
        } else {
            return;
        };
        report.at(&["max_length", "baud"], message);
    }

    fn texts(&self) -> Texts {
        Texts { longest: self.max_length.into(), characters: self.encoding }
    }

    /// How many characters can be written in time.
    fn most(&self) -> usize {
        let bytes = usize::try_from(self.baud.bits_per_second()).unwrap_or(usize::MAX) * MOST_SECONDS / BITS;
        (bytes - self.ending.bytes().len()) / self.encoding.most_bytes()
    }
}

/// A port that is written to.
struct SerialWrite {
    port: SerialPort,
    options: Options,
}

impl Actuator for SerialWrite {
    fn apply(&mut self, value: &Value) -> Result<Value, Fault> {
        let text = match value {
            Value::Text(text) => text.as_str(),
            // Nothing is on that could be turned off.
            Value::Switch(false) => "",
            _ => return Err(Fault::rejected(format!("what is written is a text, not {value}"))),
        };
        let texts = self.options.texts();
        texts.check(text).map_err(|unfit| Fault::rejected(texts.explain(unfit)))?;
        if text.is_empty() {
            self.port.0.check()?;
        } else {
            let mut bytes = self.options.encoding.bytes(text);
            bytes.extend(self.options.ending.bytes());
            self.port.0.write(&bytes)?;
        }
        Ok(Value::Text(text.to_owned()))
    }

    fn read(&mut self) -> Result<Option<Value>, Fault> {
        // What it wrote before it was opened, nobody knows.
        Ok(self.port.0.check().map(|()| None)?)
    }
}

impl ActuatorSpec for Options {
    fn control(&self) -> Control {
        Control::Text(self.texts())
    }

    fn open(&self, wire: Wire) -> Result<Box<dyn Actuator>, Fault> {
        Ok(Box::new(SerialWrite { port: wire.serial()?, options: *self }))
    }

    fn serial(&self) -> Option<SerialSettings> {
        Some(SerialSettings { parity: self.parity, ..SerialSettings::plain(self.baud.bits_per_second()) })
    }

    fn simulate(&self) -> Option<Box<dyn Part>> {
        Some(Box::new(sim::Terminal::new(self.ending)))
    }
}
