//! Model of the MAX31855: it converts for as long as it is not selected, and sends what it has when it is.

use crate::sim::clock::now;
use crate::sim::{Part, SpiPart};
use std::time::{Duration, Instant};

/// The longest time of a conversion.
const CONVERSION: Duration = Duration::from_millis(100);

/// The part.
pub struct Model {
    thermocouple: f64,
    internal: f64,
    /// Table 3: the faults of the thermocouple, in the lowest three bits.
    faults: u32,
    result: u32,
    /// Since when it has not been selected.
    converting: Instant,
    /// How many bytes were sent since it was selected.
    sent: usize,
}

impl Default for Model {
    fn default() -> Self {
        let mut model = Self { thermocouple: 180.0, internal: 24.0, faults: 0, result: 0, converting: now(), sent: 0 };
        model.convert();
        model
    }
}

impl Model {
    /// Connects the thermocouple wrongly: bits of table 3.
    pub fn set_faults(&mut self, faults: u32) {
        self.faults = faults & 0b111;
    }

    /// Table 2: two's complement that stops at both ends.
    #[allow(clippy::cast_possible_truncation)] // clamped
    fn convert(&mut self) {
        let code = |celsius: f64, step: f64, end: f64| (celsius / step).round().clamp(-end, end - 1.0) as i32;
        let thermocouple = code(self.thermocouple, 0.25, 8_192.0).cast_unsigned() << 18;
        let internal = (code(self.internal, 0.0625, 2_048.0).cast_unsigned() & 0xFFF) << 4;
        let fault = if self.faults == 0 { 0 } else { 1 << 16 };
        self.result = thermocouple | fault | internal | self.faults;
    }
}

impl Part for Model {
    fn stimulate(&mut self, channel: &str, value: f64) -> bool {
        match channel {
            "temperature" => self.thermocouple = value,
            "internal_temperature" => self.internal = value,
            _ => return false,
        }
        true
    }

    fn spi(&mut self) -> Option<&mut dyn SpiPart> {
        Some(self)
    }
}

impl SpiPart for Model {
    fn select(&mut self) {
        // Selecting it stops a conversion; letting go of it starts the next one.
        if now().duration_since(self.converting) >= CONVERSION {
            self.convert();
        }
        self.converting = now();
        self.sent = 0;
    }

    fn exchange(&mut self, _: u8) -> u8 {
        let byte = self.result.to_be_bytes().get(self.sent).copied();
        self.sent += 1;
        byte.unwrap_or(0)
    }
}
