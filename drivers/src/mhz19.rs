//! Driver for the carbon dioxide sensor MH-Z19B of Winsen.
//!
//! Source: Winsen, "Intelligent infrared CO2 module (model: MH-Z19B), user's manual". It does not mention
//! what is known of the bytes that it calls reserved: a temperature, and a mark of the first minutes, which several
//! public projects found alike (ESPHome, ESP Easy).

#[cfg(test)]
mod tests;

pub mod sim;

use crate::channel::{Channel, Quantity};
use crate::driver::{Attachment, Driver, Role, Spec};
use crate::fault::{Fault, FaultKind};
use crate::options::{read, shape};
use crate::port::SerialSettings;
use crate::sensor::{Sample, SerialSensor, SerialSpec};
use crate::serial::Frames;
use crate::sim::Part;
use schemars::JsonSchema;
use serde::Deserialize;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

/// The driver's entry in the list.
pub static DRIVER: Driver = Driver {
    name: "mhz19",
    summary: "Winsen MH-Z19B: carbon dioxide",
    source: "Winsen, MH-Z19B user's manual",
    role: Role::Sensor,
    attachments: &[Attachment::Serial],
    identity: &[],
    example: "\
- id: air
  driver: mhz19
  port: /dev/ttyAMA0
  every: 30s
",
    defaults: || Spec::Serial(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| read::<Options>(node, problems).map(|options| Spec::Serial(Arc::new(options))),
};

/// Index of each channel.
const CO2: usize = 0;
const TEMPERATURE: usize = 1;

/// The manual names ranges from 0 to 2000, 5000 or 10000 ppm. No air on earth has less than 300 ppm; a part whose
/// baseline is off by 100 is still worth reading.
const CO2_RANGE: RangeInclusive<f64> = 200.0..=10_000.0;
/// What it is at in °C: the manual has 0 to 50 for its surroundings, and it works beyond.
const TEMPERATURE_RANGE: RangeInclusive<f64> = -39.0..=85.0;

/// The answer takes less than a tenth of a second.
const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes of a command and of an answer.
const LENGTH: usize = 9;
/// Beginning of the answer to [`READ`].
const BEGINNING: &[u8] = &[START, READ];
const START: u8 = 0xFF;
/// "0x86 – Read CO2 concentration".
const READ: u8 = 0x86;
/// "0x79 – On/Off self-calibration for zero point". It is not answered.
const SELF_CALIBRATION: u8 = 0x79;
/// What bytes 6 and 7 hold until there is a measurement.
const WARMING_UP: u16 = 15_000;
/// The temperature is so much more than in °C.
const TEMPERATURE_OFFSET: f64 = 40.0;

/// Options of the `mhz19` driver.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// The part's own calibration, which takes the lowest value of each day for that of fresh air, 400 ppm: `true` turns
    /// it on, `false` off, for rooms that are never aired. Default: as the part has it.
    pub self_calibration: Option<bool>,
}

impl SerialSpec for Options {
    fn channels(&self) -> Vec<Channel> {
        let temperature = Quantity { precision: 0, ..Quantity::TEMPERATURE };
        vec![
            Channel::number("co2", Quantity::CARBON_DIOXIDE, CO2_RANGE),
            Channel::number("temperature", temperature, TEMPERATURE_RANGE),
        ]
    }

    fn settings(&self) -> SerialSettings {
        SerialSettings::plain(9600)
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }

    fn open(&self) -> Box<dyn SerialSensor> {
        Box::new(Mhz19 { self_calibration: self.self_calibration, frames: Frames::new(BEGINNING) })
    }

    fn simulate(&self) -> Box<dyn Part> {
        Box::new(sim::Model::default())
    }
}

struct Mhz19 {
    /// To be told when there is a measurement: the part turns it on when it starts.
    self_calibration: Option<bool>,
    frames: Frames<LENGTH>,
}

impl SerialSensor for Mhz19 {
    fn request(&mut self, out: &mut Vec<u8>) {
        // Every time: a part that lost its power for a moment has forgotten it.
        if let Some(on) = self.self_calibration {
            out.extend(command(SELF_CALIBRATION, if on { 0xA0 } else { 0x00 }));
        }
        out.extend(command(READ, 0));
    }

    fn receive(&mut self, bytes: &[u8], emit: &mut dyn FnMut(Result<Sample, Fault>)) {
        self.frames.receive(bytes, |frame| {
            let (sent, expected) = (frame[LENGTH - 1], checksum(frame));
            let right = sent == expected;
            emit(if right {
                sample(frame)
            } else {
                Err(Fault::corrupt(format!("the checksum is {sent:#04x}, expected {expected:#04x}")))
            });
            right
        });
    }
}

fn sample(frame: &[u8; LENGTH]) -> Result<Sample, Fault> {
    if u16::from_be_bytes([frame[6], frame[7]]) == WARMING_UP {
        return Err(Fault::new(FaultKind::NotReady, "it warms up: there is no measurement yet"));
    }
    let mut sample = Sample::new(TEMPERATURE + 1);
    sample.number(CO2, u16::from_be_bytes([frame[2], frame[3]]).into());
    // Parts without a temperature send 0.
    if frame[4] > 0 {
        sample.number(TEMPERATURE, f64::from(frame[4]) - TEMPERATURE_OFFSET);
    }
    Ok(sample)
}

fn command(command: u8, argument: u8) -> [u8; LENGTH] {
    let mut bytes = [START, 0x01, command, argument, 0, 0, 0, 0, 0];
    bytes[LENGTH - 1] = checksum(&bytes);
    bytes
}

/// "Checksum calculation method": the negative of the sum of all bytes between the first and the last.
fn checksum(bytes: &[u8; LENGTH]) -> u8 {
    bytes[1..LENGTH - 1].iter().fold(0_u8, |sum, byte| sum.wrapping_sub(*byte))
}
