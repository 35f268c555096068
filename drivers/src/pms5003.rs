//! Driver for the particle sensors PMS5003 and PMS7003 of Plantower, in the mode in which they talk by themselves.
//!
//! Source: Plantower, "Digital universal particle concentration sensor, PMS5003 series data manual", version 2.3 of June
//! 2016; tables and appendices are cited from it.

#[cfg(test)]
mod tests;

pub mod sim;

use crate::channel::{Channel, Quantity};
use crate::driver::{Attachment, Driver, Role, Spec};
use crate::fault::Fault;
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
    name: "pms5003",
    summary: "Plantower PMS5003, PMS7003: fine dust",
    source: "Plantower, PMS5003 series data manual, version 2.3",
    role: Role::Sensor,
    attachments: &[Attachment::Serial],
    identity: &[],
    example: "\
- id: dust
  driver: pms5003
  port: /dev/ttyAMA0
  every: 30s
",
    defaults: || Spec::Serial(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| read::<Options>(node, problems).map(|options| Spec::Serial(Arc::new(options))),
};

/// Table 1: the range is "1000 µg/m³ or more"; several times as much is no measurement any more.
const CONCENTRATION_RANGE: RangeInclusive<f64> = 0.0..=5_000.0;
/// Appendix I: sixteen bits.
const COUNT_RANGE: RangeInclusive<f64> = 0.0..=65_535.0;

/// "Output result": the longest pause between two messages is 2.3 s.
const PATIENCE: Duration = Duration::from_secs(10);

/// Appendix I: start characters, and the length of what follows.
const BEGINNING: &[u8] = &[0x42, 0x4D, 0x00, 0x1C];
/// Bytes of a message with its beginning and its checksum.
const LENGTH: usize = 32;
/// Bytes that the checksum is the sum of.
const SUMMED: usize = 30;
/// Position of data 4: the first of the concentrations "under atmospheric environment".
const CONCENTRATIONS: usize = 10;
/// Position of data 7: the first of the numbers of particles.
const COUNTS: usize = 16;

/// Channels, in the order in which the part sends them.
const NAMES: [(&str, &str); 3] = [("pm1", "pm1"), ("pm2_5", "pm25"), ("pm10", "pm10")];
const COUNT_NAMES: [&str; 6] =
    ["particles_0_3", "particles_0_5", "particles_1", "particles_2_5", "particles_5", "particles_10"];

/// Options of the `pms5003` driver.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Gives the numbers of particles in 0.1 l of air too, of those larger than 0.3 µm, 0.5 µm, 1 µm, 2.5 µm, 5 µm and
    /// 10 µm.
    pub particles: bool,
}

impl SerialSpec for Options {
    fn channels(&self) -> Vec<Channel> {
        let concentration = |class| Quantity::measurement("µg/m³", class, 0);
        let count = Quantity { unit: Some("1/dL"), state_class: Some("measurement"), ..Quantity::STATE };
        let counts = if self.particles { &COUNT_NAMES[..] } else { &[] };
        NAMES
            .into_iter()
            .map(|(name, class)| Channel::number(name, concentration(class), CONCENTRATION_RANGE))
            .chain(counts.iter().map(|name| Channel::number(*name, count, COUNT_RANGE)))
            .collect()
    }

    fn settings(&self) -> SerialSettings {
        SerialSettings::plain(9600)
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }

    fn open(&self) -> Box<dyn SerialSensor> {
        Box::new(Pms5003 { particles: self.particles, frames: Frames::new(BEGINNING) })
    }

    fn simulate(&self) -> Box<dyn Part> {
        Box::new(sim::Model::default())
    }
}

struct Pms5003 {
    particles: bool,
    frames: Frames<LENGTH>,
}

impl SerialSensor for Pms5003 {
    fn receive(&mut self, bytes: &[u8], emit: &mut dyn FnMut(Result<Sample, Fault>)) {
        let particles = self.particles;
        self.frames.receive(bytes, |frame| {
            let (sent, expected) = (word(frame, SUMMED), checksum(frame));
            let right = sent == expected;
            emit(if right {
                Ok(sample(frame, particles))
            } else {
                Err(Fault::corrupt(format!("the checksum is {sent:#06x}, expected {expected:#06x}")))
            });
            right
        });
    }
}

fn sample(frame: &[u8; LENGTH], particles: bool) -> Sample {
    let counts = if particles { COUNT_NAMES.len() } else { 0 };
    let mut sample = Sample::new(NAMES.len() + counts);
    for channel in 0..NAMES.len() {
        sample.number(channel, word(frame, CONCENTRATIONS + 2 * channel).into());
    }
    for count in 0..counts {
        sample.number(NAMES.len() + count, word(frame, COUNTS + 2 * count).into());
    }
    sample
}

fn word(frame: &[u8; LENGTH], at: usize) -> u16 {
    u16::from_be_bytes([frame[at], frame[at + 1]])
}

/// Appendix I: the sum of all bytes before it.
fn checksum(frame: &[u8; LENGTH]) -> u16 {
    frame[..SUMMED].iter().map(|byte| u16::from(*byte)).sum()
}
