//! Model of a receiver: RMC and GGA each second.

use super::KNOT;
use crate::sim::{Part, SerialPart};
use std::time::Duration;

/// The receiver, with a fix.
pub struct Model {
    latitude: f64,
    longitude: f64,
    altitude: f64,
    speed: f64,
    satellites: f64,
    fix: f64,
}

impl Default for Model {
    fn default() -> Self {
        Self { latitude: 53.361_3, longitude: -6.505_6, altitude: 61.7, speed: 0.0, satellites: 8.0, fix: 1.0 }
    }
}

impl Part for Model {
    /// A `fix` of 0 is none.
    fn stimulate(&mut self, channel: &str, value: f64) -> bool {
        *match channel {
            "latitude" => &mut self.latitude,
            "longitude" => &mut self.longitude,
            "altitude" => &mut self.altitude,
            "speed" => &mut self.speed,
            "satellites" => &mut self.satellites,
            "fix" => &mut self.fix,
            _ => return false,
        } = value;
        true
    }

    fn serial(&mut self) -> Option<&mut dyn SerialPart> {
        Some(self)
    }
}

impl SerialPart for Model {
    fn period(&self) -> Option<Duration> {
        Some(Duration::from_secs(1))
    }

    fn talk(&mut self, out: &mut Vec<u8>) {
        let fix = self.fix.round();
        let place = if fix > 0.0 {
            format!("{},{}", angle(self.latitude, 2, "NS"), angle(self.longitude, 3, "EW"))
        } else {
            ",,,".to_owned()
        };
        let valid = if fix > 0.0 { 'A' } else { 'V' };
        let (knots, satellites, altitude) = (self.speed / KNOT, self.satellites.round(), self.altitude);
        sentence(out, &format!("GPRMC,120000.00,{valid},{place},{knots:.3},,010126,,,A"));
        sentence(out, &format!("GPGGA,120000.00,{place},{fix},{satellites:02},1.0,{altitude:.1},M,0.0,M,,"));
    }
}

/// Degrees and minutes: `5321.6780,N`.
fn angle(degrees: f64, digits: usize, ends: &str) -> String {
    let (positive, negative) = ends.split_at(1);
    let end = if degrees < 0.0 { negative } else { positive };
    // In 1/100000 of a minute, so that there are no 60 minutes after rounding.
    let parts = (degrees.abs() * 6_000_000.0).round();
    let (whole, rest) = ((parts / 6_000_000.0).floor(), parts % 6_000_000.0);
    format!("{whole:0digits$}{:08.5},{end}", rest / 100_000.0)
}

fn sentence(out: &mut Vec<u8>, body: &str) {
    let sum = body.bytes().fold(0, |sum, byte| sum ^ byte);
    out.extend(format!("${body}*{sum:02X}\r\n").bytes());
}
