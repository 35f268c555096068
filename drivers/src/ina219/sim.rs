//! Model of the INA219: what is its own. The rest it has in common with the INA226.

use super::Shunt;
use crate::ina::sim::{BUS, Chip, Model, POWER};

/// The chip, from "Register Maps".
static CHIP: Chip = Chip {
    reset: [0x399F, 0, 0, 0, 0, 0, 0, 0],
    // The lowest bit of the calibration is always 0.
    writable: [0x3FFF, 0, 0, 0, 0, 0xFFFE, 0, 0],
    identities: &[],
    // "Bus Voltage Register": CNVR and OVF.
    flags: BUS,
    ready: 1 << 1,
    overflow: 1 << 0,
    clears: POWER,
    times_us: |config| [config >> 3, config >> 7].map(time_us),
    // "Shunt Voltage Register": 10 µV each, to the end of the range.
    shunt_step: 10e-6,
    shunt_codes: |config| {
        let end = f64::from(4_000 << (config >> 11 & 0b11));
        -end..=end
    },
    // "Bus Voltage Register": 4 mV each, to 16 V or 32 V.
    bus_step: 4e-3,
    bus_codes: |config| 0.0..=if config & 1 << 13 == 0 { 4_000.0 } else { 8_000.0 },
    bus_shift: 3,
    current_divisor: 4_096,
    power_divisor: 5_000,
    highest_voltage: 26.0,
    highest_shunt_voltage: 0.32,
};

/// "Configuration Register", table of ADC settings.
fn time_us(field: u16) -> u64 {
    match field & 0b1111 {
        n @ 0b1000..=0b1111 => 532 << (n & 0b111),
        n => [84, 148, 276, 532][usize::from(n & 0b11)],
    }
}

/// A part with this resistor.
#[must_use]
pub fn model(shunt: Shunt) -> Model {
    Model::new(&CHIP, shunt)
}
