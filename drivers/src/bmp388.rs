//! Driver for the BMP388 and BMP390 pressure and temperature sensors of Bosch.
//!
//! Source: Bosch Sensortec, `BMP3_SensorAPI`, the maker's own driver, for registers, times, calibration and formulas;
//! its names of registers and parameters are those of the datasheet, BST-BMP388-DS001, which was not at hand as a whole.
//!
//! Each measurement writes all settings, so that a part that lost its power between two of them measures as well. After
//! a failed one it is set up anew, which also clears flags that nobody has read.

#[cfg(test)]
mod tests;

mod compensation;
pub mod sim;

use crate::byte_registers::{OverI2c, Registers};
use crate::channel::{Channel, Quantity, within};
use crate::driver::{Attachment, Driver, Role, Spec};
use crate::fault::{Fault, FaultKind};
use crate::identity::Identity;
use crate::options::limits::choice;
use crate::options::{read, shape};
use crate::port::{Delay, SpiSettings, Wire};
use crate::sensor::{Sample, Sensor, SensorSpec};
use crate::sim::Part;
use compensation::Calibration;
use embedded_hal::delay::DelayNs;
use embedded_hal::spi::{self, SpiDevice};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use std::sync::Arc;

/// The driver's entry in the list.
pub static DRIVER: Driver = Driver {
    name: "bmp388",
    summary: "Bosch BMP388, BMP390: air pressure and temperature",
    source: "Bosch Sensortec, BMP3_SensorAPI",
    role: Role::Sensor,
    attachments: &[Attachment::I2c { addresses: &[0x76, 0x77] }, Attachment::Spi],
    identity: &[Identity::byte(CHIP_ID, &[IDENTITIES[0] as u16, IDENTITIES[1] as u16])],
    example: "\
- id: air
  driver: bmp388
  bus: i2c-1
  address: 0x77
  every: 10s
",
    defaults: || Spec::Sensor(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| read::<Options>(node, problems).map(|options| Spec::Sensor(Arc::new(options))),
};

/// Index of each channel.
const TEMPERATURE: usize = 0;
const PRESSURE: usize = 1;

/// `BMP3_MIN_TEMP`, `BMP3_MAX_TEMP`: the range of operation in °C.
const TEMPERATURE_RANGE: RangeInclusive<f64> = -40.0..=85.0;
/// `BMP3_MIN_PRES`, `BMP3_MAX_PRES`: the range in hPa.
const PRESSURE_RANGE: RangeInclusive<f64> = 300.0..=1250.0;

/// The registers.
const CHIP_ID: u8 = 0x00;
const ERR_REG: u8 = 0x02;
const DATA: u8 = 0x04;
const PWR_CTRL: u8 = 0x1B;
const OSR: u8 = 0x1C;
const CALIBRATION: u8 = 0x31;
const CMD: u8 = 0x7E;

/// What `CHIP_ID` holds, by part.
const IDENTITIES: [u8; 2] = [0x50, 0x60];
/// `CMD`: soft reset, which takes 2 ms; 10 ms until it is up again is safe.
const SOFT_RESET: u8 = 0xB6;
const RESET_TIME_US: u32 = 10_000;

/// `ERR_REG`: fatal error, command failed, configuration refused.
const ERRORS: u8 = 0b111;
/// `STATUS`, behind `ERR_REG`: pressure and temperature are there.
const DATA_READY: u8 = 1 << 5 | 1 << 6;
/// `PWR_CTRL`: both of them, once.
const FORCED: u8 = 0b01 << 4 | 1 << 1 | 1 << 0;

/// What the data registers hold after a reset: 0x800000 each.
const NO_DATA: [u8; 6] = [0, 0, 0x80, 0, 0, 0x80];
/// How often the end of a measurement is asked for after its typical time; a tenth of that time apart.
const POLLS: u32 = 10;

/// SPI modes 0 and 3, at up to 10 MHz.
const SPI: SpiSettings = SpiSettings { mode: spi::MODE_0, max_hz: 10_000_000 };

/// Options of the `bmp388` driver.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// How many conversions are averaged into one measurement, for each quantity. Each takes 2 ms.
    pub oversampling: Oversampling,
}

/// How many conversions are averaged into one measurement.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Oversampling {
    /// For the temperature.
    pub temperature: Times,
    /// For the air pressure.
    pub pressure: Times,
}

impl Default for Oversampling {
    fn default() -> Self {
        Self { temperature: Times::X2, pressure: Times::X16 }
    }
}

choice! {
    /// How many conversions are averaged into one measurement.
    pub enum Times {
        /// One is taken as it is.
        X1 = 1,
        /// 2
        X2 = 2,
        /// 4
        X4 = 4,
        /// 8
        X8 = 8,
        /// 16
        X16 = 16,
        /// 32
        X32 = 32,
    }
}

impl Times {
    /// Their logarithm, as in `OSR`.
    fn osr(self) -> u8 {
        match self {
            Self::X1 => 0,
            Self::X2 => 1,
            Self::X4 => 2,
            Self::X8 => 3,
            Self::X16 => 4,
            Self::X32 => 5,
        }
    }
}

impl Oversampling {
    /// Typical time of a measurement in µs (`calculate_press_meas_time`, `calculate_temp_meas_time`).
    fn time_us(self) -> u32 {
        234 + 392 + 313 + 2_000 * ((1 << self.temperature.osr()) + (1 << self.pressure.osr()))
    }

    /// The register `OSR`.
    fn osr(self) -> u8 {
        self.temperature.osr() << 3 | self.pressure.osr()
    }
}

/// A BMP388 on its bus.
pub struct Bmp388<R, D> {
    registers: R,
    delay: D,
    oversampling: Oversampling,
    /// `None` if the part is to be set up before it measures.
    calibration: Option<Calibration>,
}

impl<R: Registers, D: DelayNs> Bmp388<R, D> {
    /// Checks the identity, resets the part, and reads its calibration.
    ///
    /// # Errors
    /// Absent, wrong chip, or a failed transfer.
    pub fn new(registers: R, delay: D, oversampling: Oversampling) -> Result<Self, Fault> {
        let mut part = Self { registers, delay, oversampling, calibration: None };
        part.set_up()?;
        Ok(part)
    }

    fn set_up(&mut self) -> Result<Calibration, Fault> {
        let mut identity = [0];
        self.registers.read(CHIP_ID, &mut identity)?;
        check_identity(identity[0])?;
        self.registers.write(CMD, SOFT_RESET)?;
        self.delay.delay_us(RESET_TIME_US);
        let mut bytes = [0; compensation::BYTES];
        self.registers.read(CALIBRATION, &mut bytes)?;
        // Never all alike, unless nobody drives the bus.
        if bytes.iter().all(|byte| *byte == bytes[0]) {
            return Err(Fault::corrupt(format!("all registers from {CALIBRATION:#04X} on hold {:#04x}", bytes[0])));
        }
        let calibration = Calibration::new(bytes);
        self.calibration = Some(calibration);
        Ok(calibration)
    }

    /// Temperature in °C and pressure in hPa.
    fn measure(&mut self) -> Result<[f64; 2], Fault> {
        let calibration = match self.calibration {
            Some(calibration) => calibration,
            None => self.set_up()?,
        };
        self.registers.write(OSR, self.oversampling.osr())?;
        self.registers.write(PWR_CTRL, FORCED)?;
        let [p0, p1, p2, t0, t1, t2] = self.wait()?;
        let temperature = calibration.celsius(u32::from_le_bytes([t0, t1, t2, 0]));
        let pressure = calibration.pascal(u32::from_le_bytes([p0, p1, p2, 0]), temperature) / 100.0;
        Ok([
            within(temperature, &TEMPERATURE_RANGE, "a temperature in °C")?,
            within(pressure, &PRESSURE_RANGE, "a pressure in hPa")?,
        ])
    }

    /// The data registers, when they are those of now.
    fn wait(&mut self) -> Result<[u8; 6], Fault> {
        let time_us = self.oversampling.time_us();
        self.delay.delay_us(time_us);
        for _ in 0..POLLS {
            let mut state = [0; 2];
            self.registers.read(ERR_REG, &mut state)?;
            let [errors, status] = state;
            if errors & ERRORS != 0 {
                return Err(Fault::corrupt(format!("the error register {ERR_REG:#04x} holds {errors:#04x}")));
            }
            if status & DATA_READY == DATA_READY {
                let mut data = [0; 6];
                self.registers.read(DATA, &mut data)?;
                if data == NO_DATA {
                    return Err(Fault::corrupt("the data registers are as after a reset"));
                }
                return Ok(data);
            }
            self.delay.delay_us(time_us / POLLS);
        }
        Err(Fault::new(FaultKind::NotReady, "the measurement takes more than twice its time"))
    }
}

impl<R: Registers + Send, D: DelayNs + Send> Sensor for Bmp388<R, D> {
    fn sample(&mut self, out: &mut Sample) -> Result<(), Fault> {
        let measured = self.measure();
        // Whatever went wrong, flags or calibration may be at fault: the next sample begins afresh.
        if measured.is_err() {
            self.calibration = None;
        }
        let [temperature, pressure] = measured?;
        out.number(TEMPERATURE, temperature);
        out.number(PRESSURE, pressure);
        Ok(())
    }
}

impl SensorSpec for Options {
    fn channels(&self) -> Vec<Channel> {
        vec![
            Channel::number("temperature", Quantity::TEMPERATURE, TEMPERATURE_RANGE),
            Channel::number("pressure", Quantity::PRESSURE, PRESSURE_RANGE),
        ]
    }

    fn open(&self, wire: Wire) -> Result<Box<dyn Sensor>, Fault> {
        match wire {
            Wire::I2c(i2c, address) => Ok(Box::new(Bmp388::new(OverI2c(i2c, address), Delay, self.oversampling)?)),
            Wire::Spi(spi) => Ok(Box::new(Bmp388::new(OverSpi(spi), Delay, self.oversampling)?)),
            other => Err(other.unexpected()),
        }
    }

    fn spi(&self) -> Option<SpiSettings> {
        Some(SPI)
    }

    fn simulate(&self) -> Option<Box<dyn Part>> {
        Some(Box::new(sim::Model::default()))
    }
}

fn check_identity(identity: u8) -> Result<(), Fault> {
    let found = format!("identity register {CHIP_ID:#04x} holds {identity:#04x}, expected 0x50 or 0x60");
    match identity {
        known if IDENTITIES.contains(&known) => Ok(()),
        // SPI has no acknowledge: this is how it looks when nobody is there.
        0x00 | 0xFF => Err(Fault::new(FaultKind::Absent, format!("{found}: nothing answers"))),
        _ => Err(Fault::wrong_chip(found)),
    }
}

/// Over SPI: the highest bit of the register's number says which way, and what is read comes behind a byte that means
/// nothing.
struct OverSpi<S>(S);

impl<S: SpiDevice> Registers for OverSpi<S> {
    fn read(&mut self, register: u8, buffer: &mut [u8]) -> Result<(), Fault> {
        self.0
            .transaction(&mut [spi::Operation::Write(&[register | 0x80, 0]), spi::Operation::Read(buffer)])
            .map_err(|error| Fault::spi(error, &format!("reading register {register:#04X}")))
    }

    fn write(&mut self, register: u8, value: u8) -> Result<(), Fault> {
        self.0
            .write(&[register & 0x7F, value])
            .map_err(|error| Fault::spi(error, &format!("writing register {register:#04X}")))
    }
}
