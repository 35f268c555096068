//! Driver for the BME280 temperature, humidity and pressure sensor of Bosch.
//!
//! Source: Bosch Sensortec, "BME280 Data sheet", BST-BME280-DS001-23, revision 1.23 of January 2022; sections are cited
//! from it.
//!
//! It wraps the crate `bme280` 0.5.1, which knows calibration and compensation. Where that crate stands in the way:
//!
//! - Over SPI it reads each register one byte too early. So it always speaks as on I2C, and [`Registers`] turns that
//!   into SPI.
//! - It accepts a BMP280 and gives 0 % for its humidity, says nothing of what it found in place of an identity, and
//!   nothing of what it did when a transfer failed. [`Checked`] sees every transfer: it checks, and names them.
//! - After a loss of power it measures with all three quantities switched off, and compensates what the part gives
//!   then into likely values. [`Checked`] refuses them, and the next sample sets the part up anew.
//! - It waits for 40 ms, whatever was configured. [`Patient`] waits for as long as the conversion takes.
//! - It gives the end of the range for what is beyond it. So what it gives at an end is a fault here, save for the
//!   humidity, which does reach its ends.
//!
//! It computes in single precision: to about 0.5 Pa.

#[cfg(test)]
mod tests;

pub mod sim;

use crate::byte_registers::{OverI2c, OverSpi, Registers};
use crate::channel::{Channel, Quantity, within};
use crate::driver::{Attachment, Driver, Role, Spec};
use crate::fault::{Fault, FaultKind};
use crate::identity::Identity;
use crate::options::limits::choice;
use crate::options::{read, shape};
use crate::port::{Delay, SpiSettings, Wire};
use crate::sensor::{Sample, Sensor, SensorSpec};
use crate::sim::Part;
use bme280::i2c::BME280;
use bme280::{Configuration, Error as CrateError, IIRFilter};
use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::{self, ErrorKind, I2c, NoAcknowledgeSource, Operation};
use embedded_hal::spi;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use std::sync::Arc;

/// The driver's entry in the list.
pub static DRIVER: Driver = Driver {
    name: "bme280",
    summary: "Bosch BME280: temperature, humidity and air pressure",
    source: "Bosch Sensortec, BST-BME280-DS001-23, revision 1.23",
    role: Role::Sensor,
    attachments: &[Attachment::I2c { addresses: &[0x76, 0x77] }, Attachment::Spi],
    identity: &[Identity::byte(IDENTITY, &[BME280_IDENTITY as u16])],
    example: "\
- id: climate
  driver: bme280
  bus: i2c-1
  address: 0x76
  every: 10s
",
    defaults: || Spec::Sensor(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| read::<Options>(node, problems).map(|options| Spec::Sensor(Arc::new(options))),
};

/// Index of each channel.
const TEMPERATURE: usize = 0;
const HUMIDITY: usize = 1;
const PRESSURE: usize = 2;

/// Section 1: the range of operation in °C.
const TEMPERATURE_RANGE: RangeInclusive<f64> = -40.0..=85.0;
/// Section 1: the range in %.
const HUMIDITY_RANGE: RangeInclusive<f64> = 0.0..=100.0;
/// Section 1: the range in hPa.
const PRESSURE_RANGE: RangeInclusive<f64> = 300.0..=1100.0;

/// Section 5.4.1: the identity register, and what it holds.
const IDENTITY: u8 = 0xD0;
const BME280_IDENTITY: u8 = 0x60;
/// BST-BMP280-DS001, section 4.3.1: the same of the BMP280.
const BMP280_IDENTITY: u8 = 0x58;
/// Section 5.4.7: the first of the eight data registers.
const DATA: u8 = 0xF7;
/// Sections 5.4.7 to 5.4.9: pressure, temperature and humidity after a reset, and of a quantity that is switched off.
const NO_DATA: [u8; 8] = [0x80, 0, 0, 0x80, 0, 0, 0x80, 0];
/// Section 6.3: SPI modes 0 and 3, at up to 10 MHz.
const SPI: SpiSettings = SpiSettings { mode: spi::MODE_0, max_hz: 10_000_000 };

/// Options of the `bme280` driver.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// How many conversions are averaged into one measurement, for each quantity. Each takes 2.3 ms. The air pressure
    /// is the one that gains: noise 1.3 Pa at 16, 3.3 Pa at 1.
    pub oversampling: Oversampling,
}

/// How many conversions are averaged into one measurement.
///
/// The defaults take 47 ms. The air pressure is the one that gains: noise 1.3 Pa at 16, 3.3 Pa at 1 (section 3.6), and its compensation needs a temperature that is as good.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Oversampling {
    /// For the temperature.
    pub temperature: Times,
    /// For the humidity.
    pub humidity: Times,
    /// For the air pressure.
    pub pressure: Times,
}

impl Default for Oversampling {
    fn default() -> Self {
        Self { temperature: Times::X2, humidity: Times::X1, pressure: Times::X16 }
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
    }
}

impl Times {
    fn for_crate(self) -> bme280::Oversampling {
        match self {
            Self::X1 => bme280::Oversampling::Oversampling1X,
            Self::X2 => bme280::Oversampling::Oversampling2X,
            Self::X4 => bme280::Oversampling::Oversampling4X,
            Self::X8 => bme280::Oversampling::Oversampling8X,
            Self::X16 => bme280::Oversampling::Oversampling16X,
        }
    }
}

impl Oversampling {
    /// Longest time of a measurement in µs (section 9.1).
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // at most 112 925
    fn time_us(self) -> u32 {
        let conversions = [self.temperature, self.humidity, self.pressure].map(Times::number).iter().sum::<f64>();
        (1_250.0 + 2_300.0 * conversions + 2.0 * 575.0) as u32
    }

    fn for_crate(self) -> Configuration {
        Configuration::default()
            .with_temperature_oversampling(self.temperature.for_crate())
            .with_humidity_oversampling(self.humidity.for_crate())
            .with_pressure_oversampling(self.pressure.for_crate())
            // Smoothing is for the agent's filters, which say what they do.
            .with_iir_filter(IIRFilter::Off)
    }
}

/// A BME280 on its bus.
pub struct Bme280<R, D> {
    part: BME280<Checked<R>>,
    delay: D,
    oversampling: Oversampling,
    /// Whether the part has its settings, as far as is known.
    ready: bool,
}

impl<R: Registers, D: DelayNs> Bme280<R, D> {
    /// Checks the identity, resets the part, reads its calibration and sets it up.
    ///
    /// # Errors
    /// Absent, wrong chip, or a failed transfer.
    pub fn new(registers: R, delay: D, oversampling: Oversampling) -> Result<Self, Fault> {
        // The address is a formality: `Checked` knows where its part is.
        let mut part = Self { part: BME280::new(Checked(registers), 0), delay, oversampling, ready: false };
        part.set_up()?;
        Ok(part)
    }

    fn set_up(&mut self) -> Result<(), Fault> {
        self.part.init_with_config(&mut self.delay, self.oversampling.for_crate()).map_err(fault)?;
        self.ready = true;
        Ok(())
    }

    fn measure(&mut self) -> Result<[f64; 3], Fault> {
        if !self.ready {
            self.set_up()?;
        }
        let mut delay = Patient { delay: &mut self.delay, at_least_us: self.oversampling.time_us() };
        let measured = self.part.measure(&mut delay).map_err(fault)?;
        let temperature = inside(measured.temperature.into(), &TEMPERATURE_RANGE, "a temperature in °C")?;
        let pressure = inside(f64::from(measured.pressure) / 100.0, &PRESSURE_RANGE, "a pressure in hPa")?;
        let humidity = within(measured.humidity.into(), &HUMIDITY_RANGE, "a humidity in %")?;
        Ok([temperature, humidity, pressure])
    }
}

impl<R: Registers + Send, D: DelayNs + Send> Sensor for Bme280<R, D> {
    fn sample(&mut self, out: &mut Sample) -> Result<(), Fault> {
        let measured = self.measure();
        // Whatever went wrong, settings or calibration may be at fault: the next sample begins afresh.
        self.ready = measured.is_ok();
        let [temperature, humidity, pressure] = measured?;
        out.number(TEMPERATURE, temperature);
        out.number(HUMIDITY, humidity);
        out.number(PRESSURE, pressure);
        Ok(())
    }
}

impl SensorSpec for Options {
    fn channels(&self) -> Vec<Channel> {
        vec![
            Channel::number("temperature", Quantity::TEMPERATURE, TEMPERATURE_RANGE),
            Channel::number("humidity", Quantity::HUMIDITY, HUMIDITY_RANGE),
            Channel::number("pressure", Quantity::PRESSURE, PRESSURE_RANGE),
        ]
    }

    fn open(&self, wire: Wire) -> Result<Box<dyn Sensor>, Fault> {
        match wire {
            Wire::I2c(i2c, address) => Ok(Box::new(Bme280::new(OverI2c(i2c, address), Delay, self.oversampling)?)),
            Wire::Spi(spi) => Ok(Box::new(Bme280::new(OverSpi(spi), Delay, self.oversampling)?)),
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

/// What the crate takes for an I2C bus: checks what the part says before the crate believes it.
struct Checked<R>(R);

impl<R: Registers> Checked<R> {
    fn read(&mut self, register: u8, buffer: &mut [u8]) -> Result<(), Fault> {
        self.0.read(register, buffer)?;
        match (register, &*buffer) {
            (IDENTITY, [identity]) => check_identity(*identity),
            (DATA, data) if data == NO_DATA => Err(Fault::corrupt(
                "the data registers are as after a reset: the part lost its settings, and gets them again",
            )),
            // Calibration and data: never all alike, unless nobody drives the bus.
            (_, [first, rest @ ..]) if rest.len() > 4 && rest.iter().all(|byte| byte == first) => {
                Err(Fault::corrupt(format!("all registers from {register:#04X} on hold {first:#04x}")))
            }
            _ => Ok(()),
        }
    }
}

fn check_identity(identity: u8) -> Result<(), Fault> {
    let found = format!("identity register {IDENTITY:#04X} holds {identity:#04x}, expected {BME280_IDENTITY:#04x}");
    match identity {
        BME280_IDENTITY => Ok(()),
        BMP280_IDENTITY => {
            Err(Fault::wrong_chip(format!("{found} ({BMP280_IDENTITY:#04x} is a BMP280, which has no humidity)")))
        }
        // SPI has no acknowledge: this is how it looks when nobody is there.
        0x00 | 0xFF => Err(Fault::new(FaultKind::Absent, format!("{found}: nothing answers"))),
        _ => Err(Fault::wrong_chip(found)),
    }
}

impl<R: Registers> i2c::ErrorType for Checked<R> {
    type Error = Refused;
}

impl<R: Registers> I2c for Checked<R> {
    fn transaction(&mut self, _: u8, operations: &mut [Operation<'_>]) -> Result<(), Refused> {
        match operations {
            [Operation::Write([register]), Operation::Read(buffer)] => self.read(*register, buffer),
            [Operation::Write([register, value])] => self.0.write(*register, *value),
            _ => Err(Fault::new(FaultKind::Bus, "a transfer that is neither reading nor writing a register")),
        }
        .map_err(Refused)
    }
}

/// A fault on its way through the crate.
#[derive(Debug)]
struct Refused(Fault);

impl i2c::Error for Refused {
    fn kind(&self) -> ErrorKind {
        match self.0.kind {
            FaultKind::Absent => ErrorKind::NoAcknowledge(NoAcknowledgeSource::Unknown),
            _ => ErrorKind::Other,
        }
    }
}

/// Waits for as long as it is asked to, and at least for this long.
struct Patient<'a, D> {
    delay: &'a mut D,
    at_least_us: u32,
}

impl<D: DelayNs> DelayNs for Patient<'_, D> {
    fn delay_ns(&mut self, ns: u32) {
        self.delay.delay_us(self.at_least_us.max(ns.div_ceil(1_000)));
    }
}

fn fault(error: CrateError<Refused>) -> Fault {
    match error {
        CrateError::Bus(Refused(fault)) => fault,
        // Checked has seen the identity, so what is left is a mode or a pressure that cannot be.
        error => Fault::corrupt(format!("what the part gives cannot be compensated ({error:?})")),
    }
}

/// Like [`within`], but refuses the ends: the crate gives them for whatever is beyond.
fn inside(value: f64, range: &RangeInclusive<f64>, what: &str) -> Result<f64, Fault> {
    let (start, end) = (*range.start(), *range.end());
    if start < value && value < end {
        return Ok(value);
    }
    Err(Fault::corrupt(format!("{what} at an end of what the part can measure, {start} to {end}, or beyond")))
}
