//! Driver for receivers of satellite navigation that speak NMEA 0183: nearly all that have a serial or USB port.
//!
//! Source: NMEA 0183, sentences GGA and RMC. They are read by the crate `nmea`.

#[cfg(test)]
mod tests;

pub mod sim;

use crate::channel::{Channel, Quantity};
use crate::driver::{Attachment, Driver, Role, Spec};
use crate::fault::{Fault, FaultKind};
use crate::options::{read, shape};
use crate::port::SerialSettings;
use crate::sensor::{Sample, SerialSensor, SerialSpec};
use crate::serial::{Baud, Lines};
use crate::sim::Part;
use nmea::sentences::rmc::RmcStatusOfFix;
use nmea::sentences::{FixType, GgaData};
use nmea::{Error, ParseResult};
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

/// The driver's entry in the list.
pub static DRIVER: Driver = Driver {
    name: "nmea-gps",
    summary: "GPS receivers that speak NMEA 0183: position, speed",
    source: "NMEA 0183, sentences GGA and RMC",
    role: Role::Sensor,
    attachments: &[Attachment::Serial],
    identity: &[],
    example: "\
- id: position
  driver: nmea-gps
  port: /dev/ttyACM0
  every: 10s
",
    defaults: || Spec::Serial(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| read::<Options>(node, problems).map(|options| Spec::Serial(Arc::new(options))),
};

/// Index of each channel.
const LATITUDE: usize = 0;
const LONGITUDE: usize = 1;
const ALTITUDE: usize = 2;
const SPEED: usize = 3;
const SATELLITES: usize = 4;
const FIX: usize = 5;
const CHANNELS: usize = 6;

/// Sentences have 82 characters at most; some receivers do not keep to it.
const LONGEST: usize = 102;
/// Receivers talk each second, some of them each ten.
const PATIENCE: Duration = Duration::from_secs(15);
/// One knot in km/h.
const KNOT: f64 = 1.852;

/// Options of the `nmea-gps` driver.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Bits in a second on the wire. Receivers on USB take any.
    pub baud: Baud,
}

impl Default for Options {
    fn default() -> Self {
        Self { baud: Baud::B9600 }
    }
}

impl SerialSpec for Options {
    fn channels(&self) -> Vec<Channel> {
        let plain = Quantity { state_class: Some("measurement"), ..Quantity::STATE };
        let degrees = Quantity { unit: Some("°"), precision: 6, ..plain };
        let metres = Quantity { unit: Some("m"), precision: 1, ..plain };
        vec![
            Channel::number("latitude", degrees, -90.0..=90.0),
            Channel::number("longitude", degrees, -180.0..=180.0),
            // From below the Dead Sea to where airliners do not fly; civil receivers give up at 18 km or before.
            Channel::number("altitude", metres, -500.0..=18_000.0),
            // Civil receivers give up at 1000 knots.
            Channel::number("speed", Quantity::measurement("km/h", "speed", 1), 0.0..=1_852.0),
            Channel::number("satellites", plain, 0.0..=99.0),
            Channel::number("fix", Quantity { state_class: None, ..plain }, 1.0..=8.0),
        ]
    }

    fn settings(&self) -> SerialSettings {
        SerialSettings::plain(self.baud.bits_per_second())
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }

    fn open(&self) -> Box<dyn SerialSensor> {
        Box::new(NmeaGps { lines: Lines::new(LONGEST, true), speed: None })
    }

    fn simulate(&self) -> Box<dyn Part> {
        Box::new(sim::Model::default())
    }
}

struct NmeaGps {
    lines: Lines,
    /// In km/h, of the RMC since the last GGA: receivers send one of each in a second, in any order.
    speed: Option<f64>,
}

impl SerialSensor for NmeaGps {
    fn receive(&mut self, bytes: &[u8], emit: &mut dyn FnMut(Result<Sample, Fault>)) {
        let speed = &mut self.speed;
        self.lines.receive(bytes, |line| {
            // Whatever is before the last `$` is the rest of a sentence that was cut off.
            let Some(start) = line.iter().rposition(|byte| *byte == b'$') else { return };
            match nmea::parse_bytes(&line[start..]) {
                Ok(ParseResult::GGA(gga)) => emit(sample(&gga, speed.take())),
                Ok(ParseResult::RMC(rmc)) => {
                    let valid = rmc.status_of_fix != RmcStatusOfFix::Invalid;
                    *speed = rmc.speed_over_ground.filter(|_| valid).map(|knots| f64::from(knots) * KNOT);
                }
                Err(Error::ChecksumMismatch { calculated, found }) => {
                    emit(Err(Fault::corrupt(format!("the checksum is {found:02X}, expected {calculated:02X}"))));
                }
                // Other sentences, and those of a receiver that does not know anything yet.
                Ok(_) | Err(_) => {}
            }
        });
    }
}

fn sample(gga: &GgaData, speed: Option<f64>) -> Result<Sample, Fault> {
    let fix = gga.fix_type.map_or(0, quality);
    let (Some(latitude), Some(longitude), 1..) = (gga.latitude, gga.longitude, fix) else {
        return Err(Fault::new(FaultKind::NotReady, "there is no fix: it does not see enough satellites"));
    };
    let mut sample = Sample::new(CHANNELS);
    sample.number(LATITUDE, latitude);
    sample.number(LONGITUDE, longitude);
    let values = [
        (ALTITUDE, gga.altitude.map(f64::from)),
        (SPEED, speed),
        (SATELLITES, gga.fix_satellites.map(f64::from)),
        (FIX, Some(f64::from(fix))),
    ];
    for (channel, value) in values {
        if let Some(value) = value {
            sample.number(channel, value);
        }
    }
    Ok(sample)
}

/// GGA, "GPS quality indicator".
fn quality(fix: FixType) -> u8 {
    match fix {
        FixType::Invalid => 0,
        FixType::Gps => 1,
        FixType::DGps => 2,
        FixType::Pps => 3,
        FixType::Rtk => 4,
        FixType::FloatRtk => 5,
        FixType::Estimated => 6,
        FixType::Manual => 7,
        FixType::Simulation => 8,
    }
}
