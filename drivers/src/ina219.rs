//! Driver for the INA219 current and power monitor of Texas Instruments.
//!
//! Source: Texas Instruments, "INA219 Zerø-Drift, Bidirectional Current/Power Monitor With I2C Interface", SBOS448G of December 2015;
//! sections are named from it.
//!
//! The part has no identity register. It is known by what its configuration register holds after a reset, and by its
//! giving back what was written to it.
//!
//! The part multiplies what it measures at the shunt by a calibration. It is set so that a step of the current is a step
//! of the voltage at the shunt, the finest that is measured: no bit is lost, and nothing can overflow unless something
//! is wrong. The power is computed here from the same conversions: the part's own has no sign, and 20 times larger
//! steps.

#[cfg(test)]
mod tests;

pub mod sim;

pub use crate::ina::Shunt;

use crate::channel::{Channel, within};
use crate::driver::{Attachment, Driver, Role, Spec};
use crate::fault::{Fault, FaultKind};
use crate::ina::{
    ADDRESSES, BUS, CALIBRATION, CONFIG, PART_CURRENT, POLLS, POWER_DOWN, SHUNT_AND_BUS_ONCE, channels, give,
};
use crate::options::limits::choice;
use crate::options::{read, shape};
use crate::port::{Delay, Wire};
use crate::sensor::{Sample, Sensor, SensorSpec};
use crate::sim::Part;
use crate::word_registers::Registers;
use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::I2c;
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;

/// The driver's entry in the list.
pub static DRIVER: Driver = Driver {
    name: "ina219",
    summary: "Texas Instruments INA219: voltage, current and power",
    source: "Texas Instruments, SBOS448G",
    role: Role::Sensor,
    attachments: &[Attachment::I2c { addresses: ADDRESSES }],
    identity: &[],
    example: "\
- id: battery
  driver: ina219
  bus: i2c-1
  address: 0x40
  every: 10s
  shunt: 0.1
",
    defaults: || Spec::Sensor(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| read::<Options>(node, problems).map(|options| Spec::Sensor(Arc::new(options))),
};

/// "Overview": the highest voltage of the bus in V.
const HIGHEST_VOLTAGE: f64 = 26.0;

/// "Register Maps": the registers.
const PART_POWER: u8 = 0x03;

/// "Configuration Register": resets the part when written, and what it holds then.
const RESET: u16 = 1 << 15;
const AFTER_RESET: u16 = 0x399F;
/// "Bus Voltage Register": the measurement is ready; the part's arithmetic overflowed.
const READY: u16 = 1 << 1;
const OVERFLOW: u16 = 1 << 0;

/// "Bus Voltage Register" and "Shunt Voltage Register": V for each bit.
const BUS_STEP: f64 = 4e-3;
const SHUNT_STEP: f64 = 10e-6;
const STEPS_IN_A_MILLIVOLT: f64 = 100.0;
/// "Programming the Calibration Register", equation 1: 0.04096 / (A for each bit · Ω). With [`SHUNT_STEP`] / Ω for the
/// first of them, the resistor drops out.
const SHUNT_AS_CURRENT: u16 = 4_096;

/// "Configuration Register", table of ADC settings: the time of one conversion in µs; averages take a multiple.
const CONVERSION_TIME_US: u32 = 532;

/// Options of the `ina219` driver.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// The resistor that the current flows through, in Ω: `0.1` on most boards, marked `R100`.
    pub shunt: Shunt,
    /// The highest voltage over that resistor that can be measured, in mV. Divided by the resistor it is the highest
    /// current: 3.2 A for 320 mV at 0.1 Ω. The steps are 10 µV with all of them; a smaller range is less noisy.
    pub range: Range,
    /// The highest voltage of the bus that can be measured, in V. The pins endure 26 V, whatever is set here.
    pub bus_range: BusRange,
    /// How many conversions are averaged into one measurement. Each takes 1.1 ms.
    pub averages: Averages,
}

impl Default for Options {
    fn default() -> Self {
        Self { shunt: Shunt::default(), range: Range::Mv320, bus_range: BusRange::V32, averages: Averages::X8 }
    }
}

impl Options {
    /// "Configuration Register": all of it.
    fn config(self, mode: u16) -> u16 {
        let adc = self.averages.adc();
        self.bus_range.brng() << 13 | self.range.pg() << 11 | adc << 7 | adc << 3 | mode
    }
}

choice! {
    /// The highest voltage over the shunt in mV ("PGA Function").
    pub enum Range {
        /// Gain 1.
        Mv40 = 40,
        /// Gain 1/2.
        Mv80 = 80,
        /// Gain 1/4.
        Mv160 = 160,
        /// Gain 1/8.
        Mv320 = 320,
    }
}

impl Range {
    /// "Configuration Register", field PG.
    fn pg(self) -> u16 {
        match self {
            Self::Mv40 => 0b00,
            Self::Mv80 => 0b01,
            Self::Mv160 => 0b10,
            Self::Mv320 => 0b11,
        }
    }
}

choice! {
    /// The highest voltage of the bus in V.
    pub enum BusRange {
        /// To 16 V.
        V16 = 16,
        /// To 26 V: the pins do not endure more.
        V32 = 32,
    }
}

impl BusRange {
    /// "Configuration Register", field BRNG.
    fn brng(self) -> u16 {
        match self {
            Self::V16 => 0,
            Self::V32 => 1,
        }
    }

    /// What can be measured, in V.
    fn highest(self) -> f64 {
        self.number().min(HIGHEST_VOLTAGE)
    }
}

choice! {
    /// How many conversions are averaged into one measurement.
    pub enum Averages {
        /// 1.1 ms
        X1 = 1,
        /// 2.1 ms
        X2 = 2,
        /// 4.3 ms
        X4 = 4,
        /// 8.5 ms
        X8 = 8,
        /// 17 ms
        X16 = 16,
        /// 34 ms
        X32 = 32,
        /// 68 ms
        X64 = 64,
        /// 136 ms
        X128 = 128,
    }
}

impl Averages {
    /// "Configuration Register", fields BADC and SADC.
    fn adc(self) -> u16 {
        match self {
            Self::X1 => 0b1000,
            Self::X2 => 0b1001,
            Self::X4 => 0b1010,
            Self::X8 => 0b1011,
            Self::X16 => 0b1100,
            Self::X32 => 0b1101,
            Self::X64 => 0b1110,
            Self::X128 => 0b1111,
        }
    }
}

impl Averages {
    /// How long the measurement typically takes, in µs: at the shunt, then at the bus.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // at most 128
    fn time_us(self) -> u32 {
        2 * CONVERSION_TIME_US * self.number() as u32
    }
}

/// An INA219 on its bus.
pub struct Ina219<I, D> {
    registers: Registers<I>,
    delay: D,
    options: Options,
}

impl<I: I2c, D: DelayNs> Ina219<I, D> {
    /// Resets the part, looks what it holds then, and puts it to sleep.
    ///
    /// # Errors
    /// Absent, wrong chip (its configuration register is another one), or a failed transfer.
    pub fn new(i2c: I, address: u8, delay: D, options: Options) -> Result<Self, Fault> {
        let mut part = Self { registers: Registers { i2c, address }, delay, options };
        part.registers.write(CONFIG, RESET, "resetting")?;
        part.expect(AFTER_RESET, "it was reset")?;
        part.sleep()?;
        part.expect(options.config(POWER_DOWN), "it was put to sleep")?;
        Ok(part)
    }

    fn expect(&mut self, expected: u16, after: &str) -> Result<(), Fault> {
        let found = self.registers.read(CONFIG, "reading the configuration")?;
        if found == expected {
            return Ok(());
        }
        Err(Fault::wrong_chip(format!(
            "the configuration register holds {found:#06x} after {after}, expected {expected:#06x}: not an INA219"
        )))
    }

    /// The registers of voltage and current.
    fn measure(&mut self) -> Result<(u16, u16), Fault> {
        self.registers.write(CALIBRATION, SHUNT_AS_CURRENT, "writing the calibration")?;
        // Reading it clears the flag: what sets it from here on is a measurement of now.
        self.registers.read(PART_POWER, "reading the power register")?;
        let written = self.options.config(SHUNT_AND_BUS_ONCE);
        self.registers.write(CONFIG, written, "starting a measurement")?;
        let time_us = self.options.averages.time_us();
        self.delay.delay_us(time_us);
        for _ in 0..POLLS {
            self.registers.read_config(CONFIG, written, 0xFFFF)?;
            let voltage = self.registers.read(BUS, "reading the voltage")?;
            if voltage & READY != 0 {
                if voltage & OVERFLOW != 0 {
                    return Err(Fault::corrupt("the part's arithmetic overflowed (flag OVF)"));
                }
                let current = self.registers.read(PART_CURRENT, "reading the current")?;
                self.sleep()?;
                return Ok((voltage, current));
            }
            self.delay.delay_us(time_us / POLLS);
        }
        Err(Fault::new(FaultKind::NotReady, "the measurement takes more than twice its time"))
    }

    fn sleep(&mut self) -> Result<(), Fault> {
        self.registers.write(CONFIG, self.options.config(POWER_DOWN), "putting it to sleep")
    }
}

impl<I: I2c + Send, D: DelayNs + Send> Sensor for Ina219<I, D> {
    fn sample(&mut self, out: &mut Sample) -> Result<(), Fault> {
        let (voltage, current) = self.measure()?;
        let volts = volts(voltage, self.options.bus_range).map_err(|fault| fault.on("voltage"))?;
        let amperes = amperes(current, &self.options).map_err(|fault| fault.on("current"))?;
        give(out, volts, amperes);
        Ok(())
    }

    fn halt(&mut self) -> Result<(), Fault> {
        self.sleep()
    }
}

impl SensorSpec for Options {
    fn channels(&self) -> Vec<Channel> {
        channels(self.bus_range.highest(), self.range.number(), self.shunt)
    }

    fn open(&self, wire: Wire) -> Result<Box<dyn Sensor>, Fault> {
        let (i2c, address) = wire.i2c()?;
        Ok(Box::new(Ina219::new(i2c, address, Delay, *self)?))
    }

    fn simulate(&self) -> Option<Box<dyn Part>> {
        Some(Box::new(sim::model(self.shunt)))
    }
}

/// Voltage in V ("Bus Voltage Register"): 13 bits at the upper end. The code at the end of the range of 16 V also stands
/// for all that is beyond.
fn volts(register: u16, range: BusRange) -> Result<f64, Fault> {
    let volts = f64::from(register >> 3) * BUS_STEP;
    if range == BusRange::V16 && volts >= range.number() {
        return Err(Fault::corrupt("16 V or beyond, the end of the range"));
    }
    within(volts, &(0.0..=range.highest()), "a voltage in V")
}

/// Current in A ("Current Register" and "Shunt Voltage Register"): two's complement. The codes at both ends of the range
/// also stand for all that is beyond.
fn amperes(register: u16, options: &Options) -> Result<f64, Fault> {
    let code = register.cast_signed();
    if f64::from(code).abs() < options.range.number() * STEPS_IN_A_MILLIVOLT {
        return Ok(f64::from(code) * SHUNT_STEP / options.shunt.number());
    }
    Err(Fault::corrupt(format!("{} mV or beyond at the shunt, the end of the range", options.range.number())))
}
