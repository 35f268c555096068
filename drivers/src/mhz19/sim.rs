//! Model of the MH-Z19B: commands, checksums.

use super::{LENGTH, READ, SELF_CALIBRATION, START, TEMPERATURE_OFFSET, WARMING_UP, checksum};
use crate::serial::Frames;
use crate::sim::{Part, SerialPart};

/// The part.
pub struct Model {
    co2: f64,
    temperature: f64,
    warm: bool,
    self_calibration: bool,
    commands: Frames<LENGTH>,
}

impl Default for Model {
    fn default() -> Self {
        let commands = Frames::new(&[START, 0x01]);
        Self { co2: 612.0, temperature: 23.0, warm: true, self_calibration: true, commands }
    }
}

impl Model {
    /// As it is in the first minutes.
    #[must_use]
    pub fn cold() -> Self {
        Self { warm: false, ..Self::default() }
    }

    /// Whether it calibrates itself.
    #[must_use]
    pub fn calibrates_itself(&self) -> bool {
        self.self_calibration
    }
}

impl Part for Model {
    fn stimulate(&mut self, channel: &str, value: f64) -> bool {
        match channel {
            "co2" => self.co2 = value,
            "temperature" => self.temperature = value,
            _ => return false,
        }
        true
    }

    fn serial(&mut self) -> Option<&mut dyn SerialPart> {
        Some(self)
    }
}

impl SerialPart for Model {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates
    fn receive(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let (co2, temperature) = (self.co2.round() as u16, (self.temperature + TEMPERATURE_OFFSET).round() as u8);
        let (warm, self_calibration) = (self.warm, &mut self.self_calibration);
        self.commands.receive(bytes, |command| {
            if command[LENGTH - 1] != checksum(command) {
                return false;
            }
            match command[2] {
                READ => {
                    let [high, low] = if warm { co2 } else { 410 }.to_be_bytes();
                    let [mark_high, mark_low] = if warm { 0 } else { WARMING_UP }.to_be_bytes();
                    let mut answer = [START, READ, high, low, temperature, 0, mark_high, mark_low, 0];
                    answer[LENGTH - 1] = checksum(&answer);
                    out.extend(answer);
                }
                SELF_CALIBRATION => *self_calibration = command[3] == 0xA0,
                _ => {}
            }
            true
        });
    }
}
