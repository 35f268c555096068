//! Driver for the ADS1115 analog-to-digital converter of Texas Instruments: four inputs, 16 bits.
//!
//! Source: Texas Instruments, "ADS111x Ultra-Small, Low-Power, I2C-Compatible, 860-SPS, 16-Bit ADCs", SBAS444E of
//! December 2024; sections are named from it.
//!
//! The part has no identity register. It is known by its configuration register, which gives back what was written to
//! it, both when the part is opened and with every conversion. An ADS1015 does so too: it would be read with its
//! twelve bits, at a data rate that is not the configured one.

#[cfg(test)]
mod tests;

pub mod sim;

use crate::analog::Scales;
use crate::channel::Channel;
use crate::driver::{Attachment, Driver, Role, Spec};
use crate::fault::{Fault, FaultKind};
use crate::options::limits::choice;
use crate::options::{Input, Inputs, Report, read_checked, shape};
use crate::port::{Delay, Wire};
use crate::sensor::{Sample, Sensor, SensorSpec};
use crate::sim::Part;
use crate::word_registers::Registers;
use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::I2c;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use std::sync::Arc;

/// The driver's entry in the list.
pub static DRIVER: Driver = Driver {
    name: "ads1115",
    summary: "Texas Instruments ADS1115: four voltages, 16 bits",
    source: "Texas Instruments, SBAS444E",
    role: Role::Sensor,
    attachments: &[Attachment::I2c { addresses: &[0x48, 0x49, 0x4A, 0x4B] }],
    identity: &[],
    example: "\
- id: voltages
  driver: ads1115
  bus: i2c-1
  address: 0x48
  every: 10s
  range: 4.096
  channels: { battery: a0, solar: a1 }
",
    defaults: || Spec::Sensor(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| {
        read_checked(node, problems, Options::contradictions).map(|options| Spec::Sensor(Arc::new(options)))
    },
};

/// "Address Pointer Register": the registers.
const CONVERSION: u8 = 0b00;
const CONFIG: u8 = 0b01;

/// "Config Register": starts a conversion when written; reads 1 when none is running.
const OS: u16 = 1 << 15;
/// "Config Register": one conversion, then asleep.
const SINGLE_SHOT: u16 = 1 << 8;
/// "Config Register": the comparator is off.
const NO_COMPARATOR: u16 = 0b11;

/// "Electrical Characteristics": a data rate may be off by 10 %.
const SLOWEST: f64 = 1.1;
/// "Noise Performance" and "Operating Modes": waking up takes 25 µs.
const WAKE_UP_US: f64 = 25.0;
/// How often the end of a conversion is asked for after the time that it should take; a tenth of that time apart.
const POLLS: u32 = 10;

/// Options of the `ads1115` driver.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// The inputs to read: `a0` to `a3` against ground, or the differences `a0-a1`, `a0-a3`, `a1-a3`, `a2-a3`.
    /// A list, or a mapping that gives each a name: `{ battery: a0, shunt: a2-a3 }`.
    pub channels: Inputs<Pins>,
    /// The highest voltage that can be measured, in V. No input may be above the part's supply, whatever is set here.
    pub range: FullScale,
    /// Conversions in a second; fewer are less noisy. Each channel takes one.
    pub rate: Rate,
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
        let channels = Inputs::of(&[Pins::A0, Pins::A1, Pins::A2, Pins::A3]);
        Self { channels, range: FullScale::V4_096, rate: Rate::R128, scales: Scales::default() }
    }
}

/// What is measured: an input against ground, or the difference of two inputs.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[allow(missing_docs)] // named as on the part
pub enum Pins {
    #[serde(rename = "a0")]
    A0,
    #[serde(rename = "a1")]
    A1,
    #[serde(rename = "a2")]
    A2,
    #[serde(rename = "a3")]
    A3,
    #[serde(rename = "a0-a1")]
    A0A1,
    #[serde(rename = "a0-a3")]
    A0A3,
    #[serde(rename = "a1-a3")]
    A1A3,
    #[serde(rename = "a2-a3")]
    A2A3,
}

impl Input for Pins {
    const LIST: &'static str = "[a0, a1]";

    fn name(&self) -> String {
        let (positive, negative) = self.numbers();
        negative.map_or_else(|| format!("a{positive}"), |negative| format!("a{positive}_a{negative}"))
    }
}

impl Pins {
    /// Numbers of the positive input, and of the negative one if it is not ground.
    fn numbers(self) -> (usize, Option<usize>) {
        match self {
            Self::A0 => (0, None),
            Self::A1 => (1, None),
            Self::A2 => (2, None),
            Self::A3 => (3, None),
            Self::A0A1 => (0, Some(1)),
            Self::A0A3 => (0, Some(3)),
            Self::A1A3 => (1, Some(3)),
            Self::A2A3 => (2, Some(3)),
        }
    }

    /// "Config Register", field MUX.
    fn mux(self) -> u16 {
        match self {
            Self::A0A1 => 0b000,
            Self::A0A3 => 0b001,
            Self::A1A3 => 0b010,
            Self::A2A3 => 0b011,
            Self::A0 => 0b100,
            Self::A1 => 0b101,
            Self::A2 => 0b110,
            Self::A3 => 0b111,
        }
    }

    /// What can be measured here, in V. "Absolute Maximum Ratings": no input may be more than 0.3 V below ground.
    fn range(self, full_scale: FullScale) -> RangeInclusive<f64> {
        let end = full_scale.number();
        match self.numbers() {
            (_, None) => (-end).max(-0.3)..=end,
            (_, Some(_)) => -end..=end,
        }
    }
}

choice! {
    /// The highest voltage that can be measured, in V ("Full-Scale Range (FSR) and LSB Size").
    pub enum FullScale {
        /// 187.5 µV a step.
        V6_144 = 6.144,
        /// 125 µV a step.
        V4_096 = 4.096,
        /// 62.5 µV a step.
        V2_048 = 2.048,
        /// 31.25 µV a step.
        V1_024 = 1.024,
        /// 15.625 µV a step.
        V0_512 = 0.512,
        /// 7.8125 µV a step.
        V0_256 = 0.256,
    }
}

impl FullScale {
    /// "Config Register", field PGA.
    fn pga(self) -> u16 {
        match self {
            Self::V6_144 => 0b000,
            Self::V4_096 => 0b001,
            Self::V2_048 => 0b010,
            Self::V1_024 => 0b011,
            Self::V0_512 => 0b100,
            Self::V0_256 => 0b101,
        }
    }
}

choice! {
    /// Conversions in a second.
    pub enum Rate {
        /// 125 ms each.
        R8 = 8,
        /// 62.5 ms each.
        R16 = 16,
        /// 31.25 ms each.
        R32 = 32,
        /// 15.6 ms each.
        R64 = 64,
        /// 7.8 ms each.
        R128 = 128,
        /// 4 ms each.
        R250 = 250,
        /// 2.1 ms each.
        R475 = 475,
        /// 1.2 ms each.
        R860 = 860,
    }
}

impl Rate {
    /// "Config Register", field DR.
    fn dr(self) -> u16 {
        match self {
            Self::R8 => 0b000,
            Self::R16 => 0b001,
            Self::R32 => 0b010,
            Self::R64 => 0b011,
            Self::R128 => 0b100,
            Self::R250 => 0b101,
            Self::R475 => 0b110,
            Self::R860 => 0b111,
        }
    }

    /// Longest time of a conversion in µs.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // at most 137 525
    fn time_us(self) -> u32 {
        (1e6 / self.number() * SLOWEST + WAKE_UP_US).ceil() as u32
    }
}

/// The configuration for a single conversion, without the bit that starts it.
fn config(pins: Pins, options: &Options) -> u16 {
    pins.mux() << 12 | options.range.pga() << 9 | SINGLE_SHOT | options.rate.dr() << 5 | NO_COMPARATOR
}

/// An ADS1115 on its bus.
pub struct Ads1115<I, D> {
    registers: Registers<I>,
    delay: D,
    options: Options,
}

impl<I: I2c, D: DelayNs> Ads1115<I, D> {
    /// Puts the part to sleep, and looks whether it took the configuration.
    ///
    /// # Errors
    /// Absent, wrong chip (it did not), or a failed transfer.
    pub fn new(i2c: I, address: u8, delay: D, options: Options) -> Result<Self, Fault> {
        let mut part = Self { registers: Registers { i2c, address }, delay, options };
        // Two of them: one could be what another part happens to hold.
        let mut idle = false;
        for pins in [Pins::A0A1, Pins::A3] {
            let written = config(pins, &part.options);
            part.write_config(written)?;
            let config = part.read_config()?;
            idle = config & OS != 0;
            let found = config & !OS;
            if found != written {
                return Err(Fault::wrong_chip(format!(
                    "the configuration register holds {found:#06x} after {written:#06x} was written: not an ADS1115"
                )));
            }
        }
        // A register of another part may keep what is written; only this one says that nothing runs, at the latest when
        // a conversion that was started before has ended.
        if !idle {
            part.delay.delay_us(Rate::R8.time_us());
            if part.read_config()? & OS == 0 {
                return Err(Fault::wrong_chip("the configuration register never says idle: not an ADS1115"));
            }
        }
        Ok(part)
    }

    fn convert(&mut self, pins: Pins) -> Result<i16, Fault> {
        let written = config(pins, &self.options);
        self.write_config(OS | written)?;
        let time_us = self.options.rate.time_us();
        self.delay.delay_us(time_us);
        for _ in 0..POLLS {
            let found = self.read_config()?;
            if found == OS | written {
                return Ok(self.registers.read(CONVERSION, "reading the conversion")?.cast_signed());
            }
            if found != written {
                return Err(Fault::corrupt(format!(
                    "the configuration register holds {found:#06x} after {written:#06x} was written"
                )));
            }
            self.delay.delay_us(time_us / POLLS);
        }
        Err(Fault::new(FaultKind::NotReady, "the conversion takes more than twice its time"))
    }

    fn write_config(&mut self, config: u16) -> Result<(), Fault> {
        self.registers.write(CONFIG, config, "writing the configuration")
    }

    fn read_config(&mut self) -> Result<u16, Fault> {
        self.registers.read(CONFIG, "reading the configuration")
    }
}

impl<I: I2c + Send, D: DelayNs + Send> Sensor for Ads1115<I, D> {
    fn sample(&mut self, out: &mut Sample) -> Result<(), Fault> {
        let channels = self.options.channels.clone();
        for (index, (name, pins)) in channels.iter().enumerate() {
            let code = self.convert(pins)?;
            let volts = volts(code, pins, self.options.range).map_err(|fault| fault.on(name))?;
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
        self.channels.iter().map(|(name, pins)| self.scales.channel(name, pins.range(self.range))).collect()
    }

    fn open(&self, wire: Wire) -> Result<Box<dyn Sensor>, Fault> {
        let (i2c, address) = wire.i2c()?;
        Ok(Box::new(Ads1115::new(i2c, address, Delay, self.clone())?))
    }

    fn simulate(&self) -> Option<Box<dyn Part>> {
        Some(Box::new(sim::Model::new(self.channels.clone(), self.scales.clone())))
    }
}

/// Voltage in V of a code ("Data Format"). The codes at both ends also stand for all that is beyond.
fn volts(code: i16, pins: Pins, full_scale: FullScale) -> Result<f64, Fault> {
    let full = full_scale.number();
    if code == i16::MAX || code == i16::MIN {
        let end = if code == i16::MAX { full } else { -full };
        return Err(Fault::corrupt(format!("{end} V or beyond, the end of the range (code {code:#06x})")));
    }
    let volts = full * f64::from(code) / 32_768.0;
    crate::channel::within(volts, &pins.range(full_scale), "a voltage in V")
}
