//! What the current and power monitors INA219 and INA226 of Texas Instruments have in common.

pub mod sim;
#[cfg(test)]
pub mod tests;

use crate::channel::{Channel, Quantity};
use crate::options::limits::limited;
use crate::sensor::Sample;

/// The 16 addresses that two pins choose from ("Serial Bus Address").
pub const ADDRESSES: &[u8] =
    &[0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4A, 0x4B, 0x4C, 0x4D, 0x4E, 0x4F];

/// Registers that have the same numbers.
pub const CONFIG: u8 = 0x00;
pub const BUS: u8 = 0x02;
pub const PART_CURRENT: u8 = 0x04;
pub const CALIBRATION: u8 = 0x05;
/// "Configuration Register", field MODE.
pub const POWER_DOWN: u16 = 0b000;
pub const SHUNT_AND_BUS_ONCE: u16 = 0b011;

/// How often the end of a measurement is asked for after its typical time; a tenth of that time apart.
pub const POLLS: u32 = 10;

limited! {
    /// The resistor that the current flows through, in Ω.
    pub struct Shunt in 0.0001..=100.0
}

impl Default for Shunt {
    /// What most boards have.
    fn default() -> Self {
        Self(0.1)
    }
}

/// Voltage, current and power, up to this voltage of the bus, and this one at the shunt in mV.
pub fn channels(volts: f64, shunt_mv: f64, shunt: Shunt) -> Vec<Channel> {
    let milliohms = 1e3 * shunt.number();
    let (amperes, watts) = (shunt_mv / milliohms, volts * shunt_mv / milliohms);
    vec![
        Channel::number("voltage", Quantity::VOLTAGE, 0.0..=volts),
        Channel::number("current", Quantity::CURRENT, -amperes..=amperes),
        Channel::number("power", Quantity::POWER, -watts..=watts),
    ]
}

/// Gives them, in the order of the channels.
pub fn give(out: &mut Sample, volts: f64, amperes: f64) {
    out.number(0, volts);
    out.number(1, amperes);
    out.number(2, volts * amperes);
}
