//! Driver for the MCP3008 analog-to-digital converter of Microchip: eight inputs, 10 bits.
//!
//! Source: Microchip, "MCP3004/3008", DS21295D of 2008; sections are cited from it.
//!
//! SPI has no acknowledge, and the part no identity. What it does have is a zero bit before each result, so that a
//! line that nobody drives, and that is pulled up, is noticed. Where the line is pulled down or stuck low, an absent
//! part looks like inputs at ground.

#[cfg(test)]
mod tests;

pub mod sim;

use crate::analog::Scales;
use crate::channel::Channel;
use crate::driver::{Attachment, Driver, Role, Spec};
use crate::fault::{Fault, FaultKind};
use crate::options::limits::{choice, limited};
use crate::options::{Input, Inputs, Report, read_checked, shape};
use crate::port::{SpiSettings, Wire};
use crate::sensor::{Sample, Sensor, SensorSpec};
use crate::sim::Part;
use embedded_hal::spi::{self, SpiDevice};
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;

/// The driver's entry in the list.
pub static DRIVER: Driver = Driver {
    name: "mcp3008",
    summary: "Microchip MCP3008: eight voltages, 10 bits",
    source: "Microchip, DS21295D",
    role: Role::Sensor,
    attachments: &[Attachment::Spi],
    identity: &[],
    example: "\
- id: soil
  driver: mcp3008
  bus: spi0.0
  every: 1m
  reference: 3.3
  channels: { bed: 0, pot: 1 }
",
    defaults: || Spec::Sensor(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| {
        read_checked(node, problems, Options::contradictions).map(|options| Spec::Sensor(Arc::new(options)))
    },
};

/// Section 1, "Timing Parameters": up to 1.35 MHz at 2.7 V, 3.6 MHz at 5 V. The slower one is good for every supply.
const SPI: SpiSettings = SpiSettings { mode: spi::MODE_0, max_hz: 1_350_000 };

/// Options of the `mcp3008` driver.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// The inputs to read, `0` to `7`, against ground: their channels are `ch0` to `ch7`. A list, or a mapping that
    /// gives each a name: `{ bed: 0, pot: 1 }`.
    pub channels: Inputs<Pin>,
    /// The voltage at the pin VREF in V: the highest one that can be measured.
    pub reference: Reference,
    /// What is connected, by the name of the channel, of which each is one of
    /// `divider: { upper: 100000, lower: 22000 }`, resistors in Ω, for the voltage before a divider;
    /// `thermistor: { nominal: 10000, beta: 3950, series: 10000, supply: 3.3, to: ground }`, resistances at 25 °C and of the
    /// resistor in series in Ω, for its temperature, to about 1 °C between 0 and 85 °C (`to: supply` if the thermistor is
    /// the upper one); `current_loop: { shunt: 150, from: 0, to: 2.5, unit: m, device_class: distance }` for what a
    /// transmitter measures at 4 mA (`from`) and at 20 mA (`to`). A channel without a scale is the voltage.
    pub scales: Scales,
}

impl Default for Options {
    fn default() -> Self {
        Self { channels: Inputs::of(Pin::ALL), reference: Reference(3.3), scales: Scales::default() }
    }
}

choice! {
    /// An input, by the number in its name.
    pub enum Pin {
        /// CH0
        Ch0 = 0,
        /// CH1
        Ch1 = 1,
        /// CH2
        Ch2 = 2,
        /// CH3
        Ch3 = 3,
        /// CH4
        Ch4 = 4,
        /// CH5
        Ch5 = 5,
        /// CH6
        Ch6 = 6,
        /// CH7
        Ch7 = 7,
    }
}

impl Input for Pin {
    const LIST: &'static str = "[0, 1]";

    fn name(&self) -> String {
        format!("ch{}", self.number())
    }
}

limited! {
    /// The voltage at VREF in V (section 1, "Reference Input"; the supply is 5.5 V at most).
    pub struct Reference in 0.25..=5.5
}

/// An MCP3008 on its bus.
pub struct Mcp3008<S> {
    spi: S,
    options: Options,
}

impl<S: SpiDevice> Mcp3008<S> {
    /// Converts once, to see whether somebody is there.
    ///
    /// # Errors
    /// Absent, or a failed transfer.
    pub fn new(spi: S, options: Options) -> Result<Self, Fault> {
        let mut part = Self { spi, options };
        part.convert(Pin::Ch0)?;
        Ok(part)
    }

    /// Section 6.1, figure 6-1: three bytes, so that the result ends with the last one.
    ///
    /// ```text
    /// to the part    0 0 0 0 0 0 0 1 | 1 D D D x x x x | x x x x x x x x    1: start; 1: against ground; D: input
    /// from the part  ? ? ? ? ? ? ? ? | ? ? ? ? ? 0 9 8 | 7 6 5 4 3 2 1 0
    /// ```
    fn convert(&mut self, pin: Pin) -> Result<u16, Fault> {
        let mut bytes = [0b1, request(pin), 0];
        self.spi.transfer_in_place(&mut bytes).map_err(|error| Fault::spi(error, "converting"))?;
        let [_, high, low] = bytes;
        if high & 0b100 != 0 {
            return Err(Fault::new(FaultKind::Absent, "nothing answers: the bit before the result is 1, expected 0"));
        }
        Ok(u16::from_be_bytes([high & 0b11, low]))
    }
}

impl<S: SpiDevice + Send> Sensor for Mcp3008<S> {
    fn sample(&mut self, out: &mut Sample) -> Result<(), Fault> {
        let channels = self.options.channels.clone();
        for (index, (name, pin)) in channels.iter().enumerate() {
            let volts = volts(self.convert(pin)?, self.options.reference);
            out.number(index, self.options.scales.value(name, volts)?);
        }
        Ok(())
    }
}

impl Options {
    fn contradictions(&self, report: &mut Report) {
        self.scales.check(&self.channels.names(), report);
    }
}

impl SensorSpec for Options {
    fn channels(&self) -> Vec<Channel> {
        let range = 0.0..=self.reference.number();
        self.channels.iter().map(|(name, _)| self.scales.channel(name, range.clone())).collect()
    }

    fn open(&self, wire: Wire) -> Result<Box<dyn Sensor>, Fault> {
        Ok(Box::new(Mcp3008::new(wire.spi()?, self.clone())?))
    }

    fn spi(&self) -> Option<SpiSettings> {
        Some(SPI)
    }

    fn simulate(&self) -> Option<Box<dyn Part>> {
        Some(Box::new(sim::Model::new(self.channels.clone(), self.reference, self.scales.clone())))
    }
}

/// Section 5.0, table 5-2: the input against ground, and which.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 to 7
fn request(pin: Pin) -> u8 {
    0b1000_0000 | (pin.number() as u8) << 4
}

/// Voltage in V of a code (section 4.2, equation 4-2).
fn volts(code: u16, reference: Reference) -> f64 {
    reference.number() * f64::from(code) / 1_024.0
}
