//! Driver for the INA226 current and power monitor of Texas Instruments.
//!
//! Source: Texas Instruments, "High-Side or Low-Side Measurement, Bi-Directional Current/Power Monitor with I2C Interface", SBOS547 of June 2011;
//! sections are named from it.
//!
//! Its alert is not used.
//!
//! The part multiplies what it measures at the shunt by a calibration. It is set so that a step of the current is a step
//! of the voltage at the shunt, the finest that is measured: no bit is lost, and nothing can overflow unless something
//! is wrong. The power is computed here from the same conversions: the part's own has no sign, and 25 times larger
//! steps.

#[cfg(test)]
mod tests;

pub mod sim;

pub use crate::ina::Shunt;

use crate::channel::{Channel, within};
use crate::driver::{Attachment, Driver, Role, Spec};
use crate::fault::{Fault, FaultKind};
use crate::identity::{self, Identity};
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
    name: "ina226",
    summary: "Texas Instruments INA226: voltage, current and power",
    source: "Texas Instruments, SBOS547",
    role: Role::Sensor,
    attachments: &[Attachment::I2c { addresses: ADDRESSES }],
    identity: &IDENTITIES,
    example: "\
- id: battery
  driver: ina226
  bus: i2c-1
  address: 0x40
  every: 10s
  shunt: 0.1
",
    defaults: || Spec::Sensor(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| read::<Options>(node, problems).map(|options| Spec::Sensor(Arc::new(options))),
};

/// "Electrical Characteristics": the highest voltage of the bus in V.
const HIGHEST_VOLTAGE: f64 = 36.0;
/// "Electrical Characteristics": the highest voltage over the shunt in mV.
const FULL_SCALE_MV: f64 = 81.92;

/// "Register Information": the registers.
const FLAGS: u8 = 0x06;
const MANUFACTURER: u8 = 0xFE;
const DIE: u8 = 0xFF;

/// "Die ID", with the revision in its lowest four bits, and "Manufacturer ID": what they hold. In this order: 0xFE resets
/// an HTU21, which can have the same address.
const IDENTITIES: [Identity; 2] =
    [Identity::word(DIE, 0xFFF0, &[0x2260]), Identity::word(MANUFACTURER, 0xFFFF, &[0x5449])];

/// "Configuration Register": always reads so, above the averages.
const FIXED: u16 = 0b0100 << 12;
/// "Configuration Register", fields VBUSCT and VSHCT: conversions of 1.1 ms.
const CONVERSIONS: u16 = 0b100 << 6 | 0b100 << 3;
/// "Mask/Enable": the measurement is ready; the part's arithmetic overflowed.
const READY: u16 = 1 << 3;
const OVERFLOW: u16 = 1 << 2;

/// "Bus Voltage Register" and "Shunt Voltage Register": V for each bit.
const BUS_STEP: f64 = 1.25e-3;
const SHUNT_STEP: f64 = 2.5e-6;
/// "Configure/Measure/Calculate Example", equation 1: 0.00512 / (A for each bit · Ω). With [`SHUNT_STEP`] / Ω for the
/// first of them, the resistor drops out.
const SHUNT_AS_CURRENT: u16 = 2_048;

/// "Configuration Register", tables 4 and 5: the time of one conversion in µs; averages take a multiple.
const CONVERSION_TIME_US: u32 = 1_100;

/// Options of the `ina226` driver.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// The resistor that the current flows through, in Ω: `0.1` on most boards, marked `R100`. The highest current is
    /// what makes 81.92 mV there: 0.8 A at 0.1 Ω, 8 A at 0.01 Ω.
    pub shunt: Shunt,
    /// How many conversions are averaged into one measurement. Each takes 2.2 ms.
    pub averages: Averages,
}

impl Default for Options {
    fn default() -> Self {
        Self { shunt: Shunt::default(), averages: Averages::X4 }
    }
}

impl Options {
    /// "Configuration Register": all of it.
    fn config(self, mode: u16) -> u16 {
        FIXED | self.averages.avg() << 9 | CONVERSIONS | mode
    }
}

choice! {
    /// How many conversions are averaged into one measurement.
    pub enum Averages {
        /// 2.2 ms
        X1 = 1,
        /// 8.8 ms
        X4 = 4,
        /// 35 ms
        X16 = 16,
        /// 141 ms
        X64 = 64,
        /// 282 ms
        X128 = 128,
        /// 563 ms
        X256 = 256,
        /// 1.1 s
        X512 = 512,
        /// 2.3 s
        X1024 = 1024,
    }
}

impl Averages {
    /// "Configuration Register", field AVG.
    fn avg(self) -> u16 {
        match self {
            Self::X1 => 0b000,
            Self::X4 => 0b001,
            Self::X16 => 0b010,
            Self::X64 => 0b011,
            Self::X128 => 0b100,
            Self::X256 => 0b101,
            Self::X512 => 0b110,
            Self::X1024 => 0b111,
        }
    }
}

impl Averages {
    /// How long the measurement typically takes, in µs: at the shunt, then at the bus.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // at most 1024
    fn time_us(self) -> u32 {
        2 * CONVERSION_TIME_US * self.number() as u32
    }
}

/// An INA226 on its bus.
pub struct Ina226<I, D> {
    registers: Registers<I>,
    delay: D,
    options: Options,
}

impl<I: I2c, D: DelayNs> Ina226<I, D> {
    /// Checks the identity, and puts the part to sleep.
    ///
    /// # Errors
    /// Absent, wrong chip, or a failed transfer.
    pub fn new(i2c: I, address: u8, delay: D, options: Options) -> Result<Self, Fault> {
        let mut part = Self { registers: Registers { i2c, address }, delay, options };
        identity::check(&IDENTITIES, &mut part.registers.i2c, address, &mut part.delay)?;
        part.sleep()?;
        Ok(part)
    }

    /// The registers of voltage and current.
    fn measure(&mut self) -> Result<(u16, u16), Fault> {
        self.registers.write(CALIBRATION, SHUNT_AS_CURRENT, "writing the calibration")?;
        // Writing it clears the flag: what sets it from here on is a measurement of now.
        let written = self.options.config(SHUNT_AND_BUS_ONCE);
        self.registers.write(CONFIG, written, "starting a measurement")?;
        let time_us = self.options.averages.time_us();
        self.delay.delay_us(time_us);
        for _ in 0..POLLS {
            self.registers.read_config(CONFIG, written, 0xFFFF)?;
            let flags = self.registers.read(FLAGS, "reading the flags")?;
            if flags & READY != 0 {
                if flags & OVERFLOW != 0 {
                    return Err(Fault::corrupt("the part's arithmetic overflowed (flag OVF)"));
                }
                let voltage = self.registers.read(BUS, "reading the voltage")?;
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

impl<I: I2c + Send, D: DelayNs + Send> Sensor for Ina226<I, D> {
    fn sample(&mut self, out: &mut Sample) -> Result<(), Fault> {
        let (voltage, current) = self.measure()?;
        let volts = volts(voltage).map_err(|fault| fault.on("voltage"))?;
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
        channels(HIGHEST_VOLTAGE, FULL_SCALE_MV, self.shunt)
    }

    fn open(&self, wire: Wire) -> Result<Box<dyn Sensor>, Fault> {
        let (i2c, address) = wire.i2c()?;
        Ok(Box::new(Ina226::new(i2c, address, Delay, *self)?))
    }

    fn simulate(&self) -> Option<Box<dyn Part>> {
        Some(Box::new(sim::model(self.shunt)))
    }
}

/// Voltage in V ("Bus Voltage Register").
fn volts(register: u16) -> Result<f64, Fault> {
    within(f64::from(register) * BUS_STEP, &(0.0..=HIGHEST_VOLTAGE), "a voltage in V")
}

/// Current in A ("Current Register" and "Shunt Voltage Register"): two's complement. The codes at both ends also stand
/// for all that is beyond.
fn amperes(register: u16, options: &Options) -> Result<f64, Fault> {
    let code = register.cast_signed();
    if code == i16::MAX || code == i16::MIN {
        return Err(Fault::corrupt("81.92 mV or beyond at the shunt, the end of the range"));
    }
    Ok(f64::from(code) * SHUNT_STEP / options.shunt.number())
}
