//! Model of the PMS5003: a message each second.

use super::{BEGINNING, CONCENTRATIONS, COUNT_NAMES, COUNTS, LENGTH, NAMES, SUMMED, checksum};
use crate::sim::{Part, SerialPart};
use std::time::Duration;

/// The part, in clean air at first.
pub struct Model {
    concentrations: [f64; 3],
    counts: [f64; 6],
}

impl Default for Model {
    fn default() -> Self {
        Self { concentrations: [4.0, 6.0, 7.0], counts: [900.0, 260.0, 42.0, 5.0, 1.0, 0.0] }
    }
}

impl Part for Model {
    fn stimulate(&mut self, channel: &str, value: f64) -> bool {
        let concentration = NAMES.iter().position(|(name, _)| *name == channel);
        let count = COUNT_NAMES.iter().position(|name| *name == channel);
        match (concentration, count) {
            (Some(index), _) => self.concentrations[index] = value,
            (_, Some(index)) => self.counts[index] = value,
            _ => return false,
        }
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
        let mut frame = [0; LENGTH];
        frame[..BEGINNING.len()].copy_from_slice(BEGINNING);
        let mut set = |at: usize, value: f64| {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates
            frame[at..at + 2].copy_from_slice(&(value.round() as u16).to_be_bytes());
        };
        for (index, value) in self.concentrations.into_iter().enumerate() {
            // "CF=1", for calibration in the factory, stands before those of the atmosphere.
            set(BEGINNING.len() + 2 * index, value);
            set(CONCENTRATIONS + 2 * index, value);
        }
        for (index, value) in self.counts.into_iter().enumerate() {
            set(COUNTS + 2 * index, value);
        }
        let sum = checksum(&frame);
        frame[SUMMED..].copy_from_slice(&sum.to_be_bytes());
        out.extend(frame);
    }
}
