//! Model of the INA226: what is its own. The rest it has in common with the INA219.

use super::Shunt;
use crate::ina::sim::{Chip, Model};

/// "Mask/Enable".
const FLAGS: usize = 6;
/// "Configuration Register": fields AVG, and VBUSCT and VSHCT in µs.
const AVERAGES: [u64; 8] = [1, 4, 16, 64, 128, 256, 512, 1_024];
const TIMES_US: [u64; 8] = [140, 204, 332, 588, 1_100, 2_116, 4_156, 8_244];

/// The chip, from "Register Information".
static CHIP: Chip = Chip {
    reset: [0x4127, 0, 0, 0, 0, 0, 0, 0],
    writable: [0x0FFF, 0, 0, 0, 0, 0x7FFF, 0xFC03, 0xFFFF],
    identities: &[(0xFE, 0x5449), (0xFF, 0x2260)],
    flags: FLAGS,
    ready: 1 << 3,
    overflow: 1 << 2,
    clears: FLAGS,
    times_us: |config| {
        let field = |shift: u16| usize::from(config >> shift & 0b111);
        [field(3), field(6)].map(|time| TIMES_US[time] * AVERAGES[field(9)])
    },
    // "Shunt Voltage Register" and "Bus Voltage Register": 2.5 µV and 1.25 mV each.
    shunt_step: 2.5e-6,
    shunt_codes: |_| -32_768.0..=32_767.0,
    bus_step: 1.25e-3,
    bus_codes: |_| 0.0..=32_767.0,
    bus_shift: 0,
    // Equations 3 and 4.
    current_divisor: 2_048,
    power_divisor: 20_000,
    highest_voltage: 36.0,
    highest_shunt_voltage: 81.9e-3,
};

/// A part with this resistor.
#[must_use]
pub fn model(shunt: Shunt) -> Model {
    Model::new(&CHIP, shunt)
}
