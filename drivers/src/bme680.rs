//! Driver for the BME680 temperature, humidity, pressure and gas sensor of Bosch.
//!
//! Source: Bosch Sensortec, `BME68x_SensorAPI`, the maker's own driver, for registers, times, calibration and formulas; its
//! names of registers and parameters are those of the datasheet, BST-BME680-DS001, which was not at hand as a whole.
//!
//! It is a driver of its own: the crate `bosch-bme680` 1.0 panics on bytes that cannot be, and may wait for ever.
//!
//! Each measurement writes all settings, so that a part that lost its power between two of them measures as well. After
//! a failed one it is set up anew. The gas is measured on a hot plate, last, and only what was measured at the right
//! temperature counts. The plate warms the part by a degree or so, the more the more often it is asked. The maker's index
//! of air quality is made by a library of his whose source is closed; here it is the resistance.
//!
//! The BME688 has another circuit for the gas: it is refused.

#[cfg(test)]
mod tests;

mod compensation;
pub mod sim;

use crate::bme280::{Oversampling, Times};
use crate::byte_registers::{OverI2c, Registers};
use crate::channel::{Channel, Quantity, within};
use crate::driver::{Attachment, Driver, Role, Spec};
use crate::fault::{Fault, FaultKind};
use crate::identity::Identity;
use crate::options::limits::limited;
use crate::options::{Span, read, shape};
use crate::port::{Delay, Wire};
use crate::sensor::{Sample, Sensor, SensorSpec};
use crate::sim::Part;
use compensation::Calibration;
use embedded_hal::delay::DelayNs;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

/// The driver's entry in the list.
pub static DRIVER: Driver = Driver {
    name: "bme680",
    summary: "Bosch BME680: temperature, humidity, air pressure and gas resistance",
    source: "Bosch Sensortec, BME68x_SensorAPI",
    role: Role::Sensor,
    attachments: &[Attachment::I2c { addresses: &[0x76, 0x77] }],
    identity: &[Identity::byte(CHIP_ID, &[IDENTITY as u16])],
    example: "\
- id: air
  driver: bme680
  bus: i2c-1
  address: 0x77
  every: 30s
",
    defaults: || Spec::Sensor(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| read::<Options>(node, problems).map(|options| Spec::Sensor(Arc::new(options))),
};

/// Index of each channel; the last one only if the gas is measured.
const TEMPERATURE: usize = 0;
const HUMIDITY: usize = 1;
const PRESSURE: usize = 2;
const GAS_RESISTANCE: usize = 3;

/// The ranges of operation: in °C, %, hPa.
const TEMPERATURE_RANGE: RangeInclusive<f64> = -40.0..=85.0;
const HUMIDITY_RANGE: RangeInclusive<f64> = 0.0..=100.0;
const PRESSURE_RANGE: RangeInclusive<f64> = 300.0..=1100.0;
/// What the formula can give, in Ω.
const GAS_RESISTANCE_RANGE: RangeInclusive<f64> = 170.0..=12_900_000.0;
/// Home Assistant has no class for it.
const OHMS: Quantity = Quantity { unit: Some("Ω"), state_class: Some("measurement"), ..Quantity::STATE };

/// The registers.
const MEAS_STATUS_0: u8 = 0x1D;
const RES_HEAT_0: u8 = 0x5A;
const GAS_WAIT_0: u8 = 0x64;
const CTRL_GAS_0: u8 = 0x70;
const CTRL_GAS_1: u8 = 0x71;
const CTRL_HUM: u8 = 0x72;
const CTRL_MEAS: u8 = 0x74;
const CONFIG: u8 = 0x75;
const CHIP_ID: u8 = 0xD0;
const RESET: u8 = 0xE0;
const VARIANT_ID: u8 = 0xF0;
/// Where the three pieces of the calibration begin.
const CALIBRATION: [u8; 3] = [0x8A, 0xE1, 0x00];

/// What `CHIP_ID` and `VARIANT_ID` hold; the BME688 has the same of the first.
const IDENTITY: u8 = 0x61;
const VARIANT: u8 = 0x00;
/// `RESET`: soft reset. 10 ms until it is up again, as the maker waits.
const SOFT_RESET: u8 = 0xB6;
const RESET_TIME_US: u32 = 10_000;

/// `CTRL_GAS_0`: the plate is off. `CTRL_GAS_1`: measure the gas, with the first of its settings.
const HEATER_OFF: u8 = 1 << 3;
const RUN_GAS: u8 = 1 << 4;
/// `CTRL_MEAS`: once.
const FORCED: u8 = 0b01;
/// `MEAS_STATUS_0`: there is something new; the gas, and the rest, are being measured.
const NEW_DATA: u8 = 1 << 7;
const MEASURING: u8 = 1 << 6 | 1 << 5;
/// The last byte of the data: the gas was measured, and at the right temperature.
const GAS_VALID: u8 = 1 << 5;
const HEAT_STABLE: u8 = 1 << 4;
/// What the data registers hold after a reset, or of what was not measured: temperature and pressure, humidity.
const NO_DATA: u32 = 0x8_0000;
const NO_HUMIDITY: u16 = 0x8000;

/// Times in µs: of a conversion; of changing from one quantity to the next, and of the gas, nine steps together; of waking.
const CONVERSION_US: u32 = 1_963;
const STEPS_US: u32 = 9 * 477;
const WAKING_US: u32 = 1_000;
/// How often the end of a measurement is asked for after its typical time; a tenth of that time apart.
const POLLS: u32 = 10;

/// The temperature that the plate's setting reckons with until there is a measured one, in °C.
const AMBIENT: f64 = 25.0;

/// Options of the `bme680` driver.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// How many conversions are averaged into one measurement, for each quantity. Each takes 2 ms.
    pub oversampling: Oversampling,
    /// Whether the gas is measured. Without it the plate stays cold, and the channel `gas_resistance` is not there.
    pub gas: bool,
    /// The hot plate on which the gas is measured.
    pub heater: Heater,
}

impl Default for Options {
    fn default() -> Self {
        Self { oversampling: Oversampling::default(), gas: true, heater: Heater::default() }
    }
}

/// The hot plate on which the gas is measured.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Heater {
    /// How hot it is, in °C. What is measured depends on it: other temperatures give other resistances.
    pub temperature: PlateTemperature,
    /// How long it is heated before the gas is measured, up to 4032 ms. It needs 20 to 30 ms to get hot, and more until
    /// what it gives is settled.
    pub duration: HeatingTime,
}

impl Default for Heater {
    /// As the Linux driver has it.
    fn default() -> Self {
        Self { temperature: PlateTemperature(320.0), duration: HeatingTime(Duration::from_millis(150)) }
    }
}

limited! {
    /// Temperature of the plate in °C.
    pub struct PlateTemperature in 200.0..=400.0
}

/// How long the plate is heated: 1 ms to 4032 ms.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(try_from = "Span", into = "Span")]
#[schemars(with = "Span")]
pub struct HeatingTime(Duration);

impl TryFrom<Span> for HeatingTime {
    type Error = &'static str;

    fn try_from(Span(time): Span) -> Result<Self, Self::Error> {
        let possible = Duration::from_millis(1)..=Duration::from_millis(4_032);
        possible.contains(&time).then_some(Self(time)).ok_or("expected a duration from 1ms to 4032ms")
    }
}

impl From<HeatingTime> for Span {
    fn from(HeatingTime(time): HeatingTime) -> Self {
        Self(time)
    }
}

impl HeatingTime {
    /// The register: six bits of ms, times a power of four that the two highest bits name. Never longer than what was
    /// asked for.
    #[allow(clippy::cast_possible_truncation)] // at most 63
    fn gas_wait(self) -> u8 {
        let (mut time, mut power) = (self.0.as_millis(), 0);
        while time > 0x3F {
            time /= 4;
            power += 1;
        }
        power << 6 | time as u8
    }
}

/// The field for a number of conversions: its logarithm, and 1.
fn osrs(times: Times) -> u8 {
    match times {
        Times::X1 => 1,
        Times::X2 => 2,
        Times::X4 => 3,
        Times::X8 => 4,
        Times::X16 => 5,
    }
}

impl Options {
    /// Typical time of a measurement in µs (`bme68x_get_meas_dur`, and the plate).
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // at most 48 conversions, and 4032 ms
    fn time_us(&self) -> u32 {
        let Oversampling { temperature, humidity, pressure } = self.oversampling;
        let conversions = [temperature, humidity, pressure].map(Times::number).iter().sum::<f64>() as u32;
        let heating_us = if self.gas { self.heater.duration.0.as_micros() as u32 } else { 0 };
        CONVERSION_US * conversions + STEPS_US + WAKING_US + heating_us
    }
}

/// A BME680 on its bus.
pub struct Bme680<R, D> {
    registers: R,
    delay: D,
    options: Options,
    /// `None` if the part is to be set up before it measures.
    calibration: Option<Calibration>,
    /// The last temperature in °C.
    ambient: f64,
}

/// What one measurement gives: °C, %, hPa, Ω.
struct Measured {
    temperature: f64,
    humidity: f64,
    pressure: f64,
    gas: Option<f64>,
}

impl<R: Registers, D: DelayNs> Bme680<R, D> {
    /// Checks the identity, resets the part, and reads its calibration.
    ///
    /// # Errors
    /// Absent, wrong chip, or a failed transfer.
    pub fn new(registers: R, delay: D, options: Options) -> Result<Self, Fault> {
        let mut part = Self { registers, delay, options, calibration: None, ambient: AMBIENT };
        part.set_up()?;
        Ok(part)
    }

    fn check_register(&mut self, register: u8, expected: u8) -> Result<(), Fault> {
        let mut found = [0];
        self.registers.read(register, &mut found)?;
        if found == [expected] {
            return Ok(());
        }
        let hint = if register == VARIANT_ID { " (0x01 is a BME688)" } else { "" };
        Err(Fault::wrong_chip(format!(
            "identity register {register:#04X} holds {:#04x}, expected {expected:#04x}{hint}",
            found[0]
        )))
    }

    fn set_up(&mut self) -> Result<Calibration, Fault> {
        self.check_register(CHIP_ID, IDENTITY)?;
        self.check_register(VARIANT_ID, VARIANT)?;
        self.registers.write(RESET, SOFT_RESET)?;
        self.delay.delay_us(RESET_TIME_US);
        let (mut first, mut second, mut third) = ([0; 23], [0; 14], [0; 5]);
        let pieces: [&mut [u8]; 3] = [&mut first, &mut second, &mut third];
        for (register, piece) in CALIBRATION.into_iter().zip(pieces) {
            self.registers.read(register, piece)?;
            // Never all alike, unless nobody drives the bus.
            if piece.iter().all(|byte| *byte == piece[0]) {
                return Err(Fault::corrupt(format!("all registers from {register:#04X} on hold {:#04x}", piece[0])));
            }
        }
        let calibration = Calibration::new(first, second, third);
        self.calibration = Some(calibration);
        Ok(calibration)
    }

    fn measure(&mut self) -> Result<Measured, Fault> {
        let calibration = match self.calibration {
            Some(calibration) => calibration,
            None => self.set_up()?,
        };
        let Options { oversampling, gas, heater } = self.options;
        self.registers.write(CTRL_HUM, osrs(oversampling.humidity))?;
        // Smoothing is for the agent's filters, which say what they do.
        self.registers.write(CONFIG, 0)?;
        if gas {
            let plate = calibration.res_heat(heater.temperature.number(), self.ambient);
            self.registers.write(RES_HEAT_0, plate)?;
            self.registers.write(GAS_WAIT_0, heater.duration.gas_wait())?;
        }
        self.registers.write(CTRL_GAS_0, if gas { 0 } else { HEATER_OFF })?;
        self.registers.write(CTRL_GAS_1, if gas { RUN_GAS } else { 0 })?;
        let settings = osrs(oversampling.temperature) << 5 | osrs(oversampling.pressure) << 2;
        self.registers.write(CTRL_MEAS, settings | FORCED)?;
        let data = self.wait()?;
        convert(data, &calibration, gas)
    }

    /// The fifteen bytes from `MEAS_STATUS_0` on, when they are those of now.
    fn wait(&mut self) -> Result<[u8; 15], Fault> {
        let time_us = self.options.time_us();
        self.delay.delay_us(time_us);
        for _ in 0..POLLS {
            let mut data = [0; 15];
            self.registers.read(MEAS_STATUS_0, &mut data)?;
            if data[0] & (NEW_DATA | MEASURING) == NEW_DATA {
                return Ok(data);
            }
            self.delay.delay_us(time_us / POLLS);
        }
        Err(Fault::new(FaultKind::NotReady, "the measurement takes more than twice its time"))
    }
}

impl<R: Registers + Send, D: DelayNs + Send> Sensor for Bme680<R, D> {
    fn sample(&mut self, out: &mut Sample) -> Result<(), Fault> {
        let measured = self.measure();
        // Whatever went wrong, flags or calibration may be at fault: the next sample begins afresh.
        if measured.is_err() {
            self.calibration = None;
        }
        let Measured { temperature, humidity, pressure, gas } = measured?;
        self.ambient = temperature;
        out.number(TEMPERATURE, temperature);
        out.number(HUMIDITY, humidity);
        out.number(PRESSURE, pressure);
        if let Some(gas) = gas {
            out.number(GAS_RESISTANCE, gas);
        }
        Ok(())
    }

    fn halt(&mut self) -> Result<(), Fault> {
        self.registers.write(CTRL_GAS_0, HEATER_OFF)
    }
}

impl SensorSpec for Options {
    fn channels(&self) -> Vec<Channel> {
        let mut channels = vec![
            Channel::number("temperature", Quantity::TEMPERATURE, TEMPERATURE_RANGE),
            Channel::number("humidity", Quantity::HUMIDITY, HUMIDITY_RANGE),
            Channel::number("pressure", Quantity::PRESSURE, PRESSURE_RANGE),
        ];
        if self.gas {
            channels.push(Channel::number("gas_resistance", OHMS, GAS_RESISTANCE_RANGE));
        }
        channels
    }

    fn open(&self, wire: Wire) -> Result<Box<dyn Sensor>, Fault> {
        let (i2c, address) = wire.i2c()?;
        Ok(Box::new(Bme680::new(OverI2c(i2c, address), Delay, *self)?))
    }

    fn simulate(&self) -> Option<Box<dyn Part>> {
        Some(Box::new(sim::Model::default()))
    }
}

/// The bytes from `MEAS_STATUS_0` on: pressure and temperature of 20 bits, humidity of 16, gas of 10 with its range.
fn convert(data: [u8; 15], calibration: &Calibration, gas: bool) -> Result<Measured, Fault> {
    let [_, _, p0, p1, p2, t0, t1, t2, h0, h1, _, _, _, g0, g1] = data;
    let [pressure, temperature] = [[0, p0, p1, p2], [0, t0, t1, t2]].map(|bytes| u32::from_be_bytes(bytes) >> 4);
    let humidity = u16::from_be_bytes([h0, h1]);
    if temperature == NO_DATA || pressure == NO_DATA || humidity == NO_HUMIDITY {
        return Err(Fault::corrupt("the data registers are as after a reset"));
    }
    let fine = calibration.fine(temperature);
    let celsius = Calibration::celsius(fine);
    let gas = if gas {
        if g1 & (GAS_VALID | HEAT_STABLE) != GAS_VALID | HEAT_STABLE {
            return Err(Fault::new(
                FaultKind::NotReady,
                "the hot plate did not get as hot as it should: a longer `heater.duration` may help, or `gas: false`",
            ));
        }
        let ohms = calibration.ohms(u16::from_be_bytes([g0, g1]) >> 6, g1 & 0x0F);
        Some(within(ohms, &GAS_RESISTANCE_RANGE, "a gas resistance in Ω")?)
    } else {
        None
    };
    Ok(Measured {
        temperature: within(celsius, &TEMPERATURE_RANGE, "a temperature in °C")?,
        humidity: within(calibration.percent(humidity, celsius), &HUMIDITY_RANGE, "a humidity in %")?,
        pressure: within(calibration.pascal(pressure, fine) / 100.0, &PRESSURE_RANGE, "a pressure in hPa")?,
        gas,
    })
}
