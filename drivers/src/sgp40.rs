//! Driver for the SGP40 sensor of volatile organic compounds of Sensirion.
//!
//! Source: Sensirion, "Datasheet SGP40", version 1.0 of July 2020; sections and tables are cited from it.
//!
//! What the part gives are ticks, not a concentration: proportional to the logarithm of the resistance of its hot metal
//! oxide, which falls when there is more to burn. That is the channel here.
//!
//! The maker's index from 0 to 500 is made of these ticks by an algorithm of his own, which this driver does not have. Neither of
//! its ports to Rust can be used: `gas-index-algorithm` 0.1.3 takes its roots from `micromath`, whose error adds up each second
//! (over three days of made-up air it was 22 off the maker's library in the mean, and 367 at most; with exact roots it is the
//! same), and the one inside `sgp40` 1.0.0 is for itself only, and panics at signals of 0 and from 65 000 on.
//!
//! The hot plate is on from the first measurement until the sensor is halted.

#[cfg(test)]
mod tests;

pub mod sim;

use crate::channel::{Channel, Quantity};
use crate::driver::{Attachment, Driver, Role, Spec};
use crate::fault::Fault;
use crate::options::limits::limited;
use crate::options::{read, shape};
use crate::port::{Delay, Wire};
use crate::sensirion::{not_yet, with_checksum, words};
use crate::sensor::{Sample, Sensor, SensorSpec};
use crate::sim::Part;
use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::I2c;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use std::sync::Arc;

/// The driver's entry in the list.
pub static DRIVER: Driver = Driver {
    name: "sgp40",
    summary: "Sensirion SGP40: raw signal of volatile organic compounds",
    source: "Sensirion, Datasheet SGP40, version 1.0",
    role: Role::Sensor,
    attachments: &[Attachment::I2c { addresses: &[0x59] }],
    identity: &[],
    example: "\
- id: air
  driver: sgp40
  bus: i2c-1
  address: 0x59
  every: 1s
",
    defaults: || Spec::Sensor(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| read::<Options>(node, problems).map(|options| Spec::Sensor(Arc::new(options))),
};

/// Index of the channel.
const RAW_SIGNAL: usize = 0;

/// Table 11: any word is a signal.
const RAW_SIGNAL_RANGE: RangeInclusive<f64> = 0.0..=65_535.0;
/// Plain numbers, for which Home Assistant has no class.
const TICKS: Quantity = Quantity { unit: Some("ticks"), state_class: Some("measurement"), ..Quantity::STATE };

/// Tables 9, 12 and 14, and that for the serial number: the commands.
const MEASURE_RAW: u16 = 0x260F;
const MEASURE_TEST: u16 = 0x280E;
const HEATER_OFF: u16 = 0x3615;
const SERIAL: u16 = 0x3682;
/// Section 3.1: time of a measurement in µs.
const MEASURE_TIME_US: u32 = 30_000;
/// Section 3.3: time of the test in µs, 250 ms; later versions of the datasheet have 320 ms.
const TEST_TIME_US: u32 = 320_000;
/// The serial number is ready without a measurement; 1 ms is safe.
const SERIAL_TIME_US: u32 = 1_000;
/// Table 13: what the test gives.
const TEST_PASSED: u16 = 0xD400;
const TEST_FAILED: u16 = 0x4B00;

/// Options of the `sgp40` driver.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// The air that the part reckons with: its signal depends on the humidity. Left out, it does not compensate.
    pub compensation: Compensation,
}

/// The air that the part reckons with.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Compensation {
    /// Relative humidity in %.
    pub humidity: Humidity,
    /// Temperature in °C.
    pub temperature: Temperature,
}

limited! {
    /// Relative humidity in %.
    pub struct Humidity in 0.0..=100.0
}

limited! {
    /// Temperature in °C.
    pub struct Temperature in -45.0..=130.0
}

impl Default for Compensation {
    /// Table 10: with these, the part does not compensate.
    fn default() -> Self {
        Self { humidity: Humidity(50.0), temperature: Temperature(25.0) }
    }
}

impl Compensation {
    /// Table 10: humidity and temperature as words.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // limited
    fn words(self) -> [u16; 2] {
        let word = |share: f64| (share * 65_535.0).round() as u16;
        [word(self.humidity.number() / 100.0), word((self.temperature.number() + 45.0) / 175.0)]
    }
}

/// An SGP40 on its bus.
pub struct Sgp40<I, D> {
    i2c: I,
    address: u8,
    delay: D,
    compensation: Compensation,
}

impl<I: I2c, D: DelayNs> Sgp40<I, D> {
    /// Reads the serial number, and lets the part test its hot plate. There is no identity register, but whatever knows
    /// both commands and gives right checksums and a result of the test is an SGP40.
    ///
    /// # Errors
    /// Absent, wrong chip (wrong checksums), corrupt (the test failed), or a failed transfer.
    pub fn new(i2c: I, address: u8, delay: D, compensation: Compensation) -> Result<Self, Fault> {
        let mut part = Self { i2c, address, delay, compensation };
        let unknown = |fault: Fault| fault.instead_of("an SGP40");
        part.send(SERIAL, "asking for the serial number")?;
        part.delay.delay_us(SERIAL_TIME_US);
        words::<3>(&mut part.i2c, address, "reading the serial number").map_err(unknown)?;
        part.send(MEASURE_TEST, "starting the test")?;
        part.delay.delay_us(TEST_TIME_US);
        match words(&mut part.i2c, address, "reading the result of the test").map_err(unknown)? {
            [TEST_PASSED] => Ok(part),
            [TEST_FAILED] => Err(Fault::corrupt("the part's own test of its hot plate failed")),
            [result] => Err(Fault::wrong_chip(format!(
                "not an SGP40: the result of its test is {result:#06x}, neither {TEST_PASSED:#06x} nor {TEST_FAILED:#06x}"
            ))),
        }
    }

    fn send(&mut self, command: u16, doing: &str) -> Result<(), Fault> {
        self.i2c.write(self.address, &command.to_be_bytes()).map_err(|error| Fault::i2c(error, doing))
    }

    fn measure(&mut self) -> Result<u16, Fault> {
        let command = command(self.compensation);
        self.i2c.write(self.address, &command).map_err(|error| Fault::i2c(error, "starting a measurement"))?;
        self.delay.delay_us(MEASURE_TIME_US);
        // Section 4.5: it refuses to be read while it measures.
        let [signal] = words(&mut self.i2c, self.address, "reading the measurement").map_err(not_yet)?;
        Ok(signal)
    }
}

impl<I: I2c + Send, D: DelayNs + Send> Sensor for Sgp40<I, D> {
    fn sample(&mut self, out: &mut Sample) -> Result<(), Fault> {
        out.number(RAW_SIGNAL, self.measure()?.into());
        Ok(())
    }

    fn halt(&mut self) -> Result<(), Fault> {
        self.send(HEATER_OFF, "switching the hot plate off")
    }
}

impl SensorSpec for Options {
    fn channels(&self) -> Vec<Channel> {
        vec![Channel::number("raw_signal", TICKS, RAW_SIGNAL_RANGE)]
    }

    fn open(&self, wire: Wire) -> Result<Box<dyn Sensor>, Fault> {
        let (i2c, address) = wire.i2c()?;
        Ok(Box::new(Sgp40::new(i2c, address, Delay, self.compensation)?))
    }

    fn simulate(&self) -> Option<Box<dyn Part>> {
        Some(Box::new(sim::Model::default()))
    }
}

/// Table 9: the command that starts a measurement, with the air that the part reckons with.
fn command(compensation: Compensation) -> [u8; 8] {
    let ([a, b], [humidity, temperature]) = (MEASURE_RAW.to_be_bytes(), compensation.words().map(with_checksum));
    let ([c, d, e], [f, g, h]) = (humidity, temperature);
    [a, b, c, d, e, f, g, h]
}
