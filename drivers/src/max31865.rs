//! Driver for the MAX31865 converter for platinum resistance thermometers of Maxim.
//!
//! Source: Maxim, "MAX31865 RTD-to-Digital Converter", 19-6478, revision 3 of July 2015; tables and sections are named
//! from it. Callendar and Van Dusen's equation is that of IEC 60751.
//!
//! SPI has no acknowledge, and the part no identity: it is known by giving back the thresholds that were written. Each
//! measurement writes all settings, looks for faults of the wires, and reads all registers back, so that a part that
//! lost its power meanwhile is noticed. Between measurements there is no voltage on the element, which would warm it.

#[cfg(test)]
mod tests;

pub mod sim;

use crate::channel::{Channel, Quantity, within};
use crate::driver::{Attachment, Driver, Role, Spec};
use crate::fault::{Fault, FaultKind};
use crate::options::limits::{choice, limited};
use crate::options::{read, shape};
use crate::port::{Delay, SpiSettings, Wire};
use crate::sensor::{Sample, Sensor, SensorSpec};
use crate::sim::Part;
use embedded_hal::delay::DelayNs;
use embedded_hal::spi::{self, Operation, SpiDevice};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use std::sync::Arc;

/// The driver's entry in the list.
pub static DRIVER: Driver = Driver {
    name: "max31865",
    summary: "Maxim MAX31865: temperature of a platinum resistance thermometer",
    source: "Maxim, 19-6478, revision 3",
    role: Role::Sensor,
    attachments: &[Attachment::Spi],
    identity: &[],
    example: "\
- id: boiler
  driver: max31865
  bus: spi0.0
  every: 10s
  element: pt100
  reference: 430
  wires: 3
",
    defaults: || Spec::Sensor(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| read::<Options>(node, problems).map(|options| Spec::Sensor(Arc::new(options))),
};

/// Index of the channel.
const TEMPERATURE: usize = 0;

/// IEC 60751: where the equation holds, in °C.
const TEMPERATURE_RANGE: RangeInclusive<f64> = -200.0..=850.0;
/// IEC 60751: the coefficients of Callendar and Van Dusen's equation; the datasheet has them too ("Linearizing").
const A: f64 = 3.908_3e-3;
const B: f64 = -5.775e-7;
const C: f64 = -4.183e-12;

/// Table 1: the registers. Eight follow each other; they are written with the highest bit set.
const CONFIG: u8 = 0x00;
const THRESHOLDS: u8 = 0x03;
const WRITE: u8 = 0x80;

/// Table 2: the bits of the configuration.
const BIAS: u8 = 1 << 7;
const ONE_SHOT: u8 = 1 << 5;
const THREE_WIRES: u8 = 1 << 4;
/// The two steps of a search for faults whose pace is the driver's ("Fault Detection Cycle").
const DETECT_CLOSED: u8 = 0b10 << 2;
const DETECT_OPEN: u8 = 0b11 << 2;
const CLEAR_FAULTS: u8 = 1 << 1;
const FILTER_50_HZ: u8 = 1 << 0;

/// "Bias": the capacitors at the inputs need 10.5 of their time constants, and 1 ms more; with the 100 nF of the
/// typical circuit that is less than 2 ms, and this has room for larger ones.
const SETTLE_TIME_US: u32 = 10_000;

/// Table 7 and tables 10 to 12: the bits of the fault status, and what they mean in most cases.
const FAULTS: [(u8, &str); 6] = [
    (1 << 7, "the resistance is above that at 850 °C: the element is broken or not connected"),
    (1 << 6, "the resistance is below that at -200 °C: the element or its wires are shorted"),
    (1 << 5, "REFIN- is too high: the element is open, or a wire is shorted to the supply"),
    (1 << 4, "REFIN- is too low with FORCE- open: RTDIN- or FORCE- is shorted to ground"),
    (1 << 3, "RTDIN- is too low with FORCE- open: a wire is shorted to ground"),
    (1 << 2, "the voltage at an input is above the supply or below ground"),
];

/// Modes 1 and 3, at up to 5 MHz ("Serial Interface").
const SPI: SpiSettings = SpiSettings { mode: spi::MODE_1, max_hz: 5_000_000 };

/// Options of the `max31865` driver.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// The element: its resistance at 0 °C.
    pub element: Element,
    /// Resistance in Ω of the reference resistor on the board. Boards for a Pt100 have 400 or 430, and those for a Pt1000 ten
    /// times as much; 430 is printed on it as 4300, and 4300 as 4301.
    pub reference: Reference,
    /// How many wires lead to the element. The resistance of two is measured along, that of three is taken off, if all are
    /// alike, and that of four is of no matter. The jumpers on the board must agree.
    pub wires: Wires,
    /// The frequency of the mains, whose hum is suppressed.
    pub mains: Mains,
}

impl Default for Options {
    fn default() -> Self {
        Self { element: Element::Pt100, reference: Reference(430.0), wires: Wires::Four, mains: Mains::Hz50 }
    }
}

/// The element.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Element {
    /// 100 Ω
    Pt100,
    /// 1000 Ω
    Pt1000,
}

limited! {
    /// Resistance of the reference resistor in Ω.
    pub struct Reference in 100.0..=10000.0
}

choice! {
    /// How many wires lead to the element.
    pub enum Wires {
        /// Their resistance is measured along.
        Two = 2,
        /// Their resistance is measured and taken off, if all are alike.
        Three = 3,
        /// Their resistance is of no matter.
        Four = 4,
    }
}

/// The frequency of the mains ("50/60Hz", bit 0 of the configuration).
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[allow(missing_docs)] // named as in the configuration
pub enum Mains {
    #[serde(rename = "50Hz")]
    Hz50,
    #[serde(rename = "60Hz")]
    Hz60,
}

impl Element {
    /// Resistance in Ω at 0 °C.
    fn ohms(self) -> f64 {
        match self {
            Self::Pt100 => 100.0,
            Self::Pt1000 => 1_000.0,
        }
    }
}

impl Mains {
    /// Time of a conversion in µs ("1-Shot"): 62.5 ms or 52 ms, said to be approximate, and a tenth more.
    fn time_us(self) -> u32 {
        match self {
            Self::Hz50 => 68_750,
            Self::Hz60 => 57_200,
        }
    }
}

impl Options {
    /// Steps of the converter for each share of the element's resistance at 0 °C ("RTD Resistance Registers").
    fn scale(&self) -> f64 {
        32_768.0 * self.element.ohms() / self.reference.number()
    }

    /// The bits of the configuration that are always the same.
    fn config(&self) -> u8 {
        let wires = if self.wires == Wires::Three { THREE_WIRES } else { 0 };
        let filter = if self.mains == Mains::Hz50 { FILTER_50_HZ } else { 0 };
        wires | filter
    }

    /// The threshold registers: what is at or beyond them is a fault. They are the ends of the range.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
    fn thresholds(&self) -> [u8; 4] {
        let code = |celsius: f64| (self.scale() * resistance(celsius)).clamp(0.0, 32_767.0);
        let high = (code(*TEMPERATURE_RANGE.end()).ceil() as u16) << 1;
        let low = (code(*TEMPERATURE_RANGE.start()).floor() as u16) << 1;
        let ([high, high_low], [low, low_low]) = (high.to_be_bytes(), low.to_be_bytes());
        [high, high_low, low, low_low]
    }
}

/// A MAX31865 on its bus.
pub struct Max31865<S, D> {
    spi: S,
    delay: D,
    options: Options,
}

impl<S: SpiDevice, D: DelayNs> Max31865<S, D> {
    /// Writes the settings and reads them back. What the element does is no matter yet.
    ///
    /// # Errors
    /// Absent, wrong chip, or a failed transfer.
    pub fn new(spi: S, delay: D, options: Options) -> Result<Self, Fault> {
        let mut part = Self { spi, delay, options };
        part.set_up()?;
        part.configure(0)?;
        part.registers(0).map_err(|fault| fault.instead_of("a MAX31865"))?;
        Ok(part)
    }

    fn set_up(&mut self) -> Result<(), Fault> {
        let [high, high_low, low, low_low] = self.options.thresholds();
        self.write(&[THRESHOLDS | WRITE, high, high_low, low, low_low])
    }

    /// Writes the configuration: the bits that are always the same, and `bits`.
    fn configure(&mut self, bits: u8) -> Result<(), Fault> {
        self.write(&[CONFIG | WRITE, self.options.config() | bits])
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.spi
            .write(bytes)
            .map_err(|error| Fault::spi(error, &format!("writing register {:#04x}", bytes[0] & !WRITE)))
    }

    /// Reads all registers, and checks that the settings are those that were written, with `bits` in the configuration.
    /// Gives the result and the faults.
    fn registers(&mut self, bits: u8) -> Result<(u16, u8), Fault> {
        let mut registers = [0; 8];
        self.spi
            .transaction(&mut [Operation::Write(&[CONFIG]), Operation::Read(&mut registers)])
            .map_err(|error| Fault::spi(error, "reading the registers"))?;
        for idle in [0x00, 0xFF] {
            if registers == [idle; 8] {
                return Err(Fault::new(FaultKind::Absent, format!("nothing answers: all registers hold {idle:#04x}")));
            }
        }
        let [config, msb, lsb, thresholds @ .., faults] = registers;
        let (expected, written) = (self.options.config() | bits, self.options.thresholds());
        if config != expected || thresholds != written {
            return Err(Fault::corrupt(format!(
                "configuration and thresholds are {config:#04x} and {thresholds:02x?}, but {expected:#04x} and \
                 {written:02x?} were written"
            )));
        }
        Ok((u16::from_be_bytes([msb, lsb]), faults))
    }

    /// Temperature in °C.
    fn measure(&mut self) -> Result<f64, Fault> {
        self.set_up()?;
        self.configure(BIAS | CLEAR_FAULTS)?;
        self.delay.delay_us(SETTLE_TIME_US);
        self.configure(BIAS | DETECT_CLOSED)?;
        self.delay.delay_us(SETTLE_TIME_US);
        self.configure(BIAS | DETECT_OPEN)?;
        self.delay.delay_us(SETTLE_TIME_US);
        self.configure(BIAS | ONE_SHOT)?;
        self.delay.delay_us(self.options.mains.time_us());
        // The part has taken back the bits that start something.
        let (result, faults) = self.registers(BIAS)?;
        self.configure(0)?;
        celsius(result, faults, self.options.scale())
    }
}

impl<S: SpiDevice + Send, D: DelayNs + Send> Sensor for Max31865<S, D> {
    fn sample(&mut self, out: &mut Sample) -> Result<(), Fault> {
        out.number(TEMPERATURE, self.measure()?);
        Ok(())
    }

    /// No voltage on the element.
    fn halt(&mut self) -> Result<(), Fault> {
        self.configure(0)
    }
}

impl SensorSpec for Options {
    fn channels(&self) -> Vec<Channel> {
        vec![Channel::number("temperature", Quantity::TEMPERATURE, TEMPERATURE_RANGE)]
    }

    fn open(&self, wire: Wire) -> Result<Box<dyn Sensor>, Fault> {
        Ok(Box::new(Max31865::new(wire.spi()?, Delay, *self)?))
    }

    fn spi(&self) -> Option<SpiSettings> {
        Some(SPI)
    }

    fn simulate(&self) -> Option<Box<dyn Part>> {
        Some(Box::new(sim::Model::new(self)))
    }
}

/// Temperature in °C of a result, whose lowest bit tells of faults; with `scale` steps for each share of the resistance
/// at 0 °C.
fn celsius(result: u16, faults: u8, scale: f64) -> Result<f64, Fault> {
    let words: Vec<_> = FAULTS.iter().filter(|(bit, _)| faults & bit != 0).map(|(_, words)| *words).collect();
    if !words.is_empty() {
        return Err(Fault::corrupt(words.join("; ")));
    }
    if result & 1 != 0 {
        return Err(Fault::corrupt(format!("the result {result:#06x} tells of a fault, but not of which")));
    }
    within(temperature(f64::from(result >> 1) / scale), &TEMPERATURE_RANGE, "a temperature in °C")
}

/// Callendar and Van Dusen: the resistance at a temperature in °C, as a share of that at 0 °C.
fn resistance(celsius: f64) -> f64 {
    let cold = if celsius < 0.0 { C * (celsius - 100.0) * celsius.powi(3) } else { 0.0 };
    1.0 + A * celsius + B * celsius * celsius + cold
}

/// The other way round: from the resistance as a share of that at 0 °C to the temperature in °C.
fn temperature(share: f64) -> f64 {
    // Without the term for cold, a quadratic equation. It is at most 2.5 °C off down to -200 °C, and more below.
    let mut celsius = (-A + (A * A - 4.0 * B * (1.0 - share)).sqrt()) / (2.0 * B);
    if celsius < 0.0 {
        // Newton: each step squares the error; three would do.
        for _ in 0..5 {
            let slope = A + 2.0 * B * celsius + C * (4.0 * celsius - 300.0) * celsius * celsius;
            celsius -= (resistance(celsius) - share) / slope;
        }
    }
    celsius
}
