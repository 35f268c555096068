//! Driver for the MAX31855 thermocouple converter of Maxim.
//!
//! Source: Maxim, "MAX31855 Cold-Junction Compensated Thermocouple-to-Digital Converter", 19-5793, revision 5 of
//! January 2015; tables and sections are named from it. Its section on timing was not at hand: what is said here of
//! conversions and the clock rests on other drivers.
//!
//! SPI has no acknowledge, and the part no identity: it only sends 32 bits. Two of them always read 0, so that a line
//! that nobody drives, and that is pulled up, is noticed. A line that is stuck low would read as 0 °C at both ends of
//! the thermocouple: such an answer is refused, and with it those two temperatures at the same moment, exactly.
//!
//! There is one part for each type of thermocouple (MAX31855K, J, N, T, S, R, E). All of them take the thermocouple
//! for linear, and so does this driver: far from room temperature, a K-type is a few °C off.

#[cfg(test)]
mod tests;

pub mod sim;

use crate::channel::{Channel, Quantity, within};
use crate::driver::{Attachment, Driver, Role, Spec};
use crate::fault::{Fault, FaultKind};
use crate::options::{read, shape};
use crate::port::{Delay, SpiSettings, Wire};
use crate::sensor::{Sample, Sensor, SensorSpec};
use crate::sim::Part;
use embedded_hal::delay::DelayNs;
use embedded_hal::spi::{self, SpiDevice};
use schemars::JsonSchema;
use serde::Deserialize;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// The driver's entry in the list.
pub static DRIVER: Driver = Driver {
    name: "max31855",
    summary: "Maxim MAX31855: temperature of a thermocouple",
    source: "Maxim, 19-5793, revision 5",
    role: Role::Sensor,
    attachments: &[Attachment::Spi],
    identity: &[],
    example: "\
- id: oven
  driver: max31855
  bus: spi0.0
  every: 10s
",
    defaults: || Spec::Sensor(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| read::<Options>(node, problems).map(|options| Spec::Sensor(Arc::new(options))),
};

/// Index of each channel.
const TEMPERATURE: usize = 0;
const INTERNAL: usize = 1;

/// "General Description": the readings of all types together, in °C.
const TEMPERATURE_RANGE: RangeInclusive<f64> = -270.0..=1800.0;
/// Table 5: of the part itself, in °C.
const INTERNAL_RANGE: RangeInclusive<f64> = -55.0..=127.0;

/// The part could do more than 1 MHz, but 32 bits are no hurry. It changes its output with the falling edge.
const SPI: SpiSettings = SpiSettings { mode: spi::MODE_0, max_hz: 1_000_000 };

/// How long is left for a conversion, in µs: 220 ms, as in the driver of ESPHome, which is more than twice what the
/// part needs. Selecting the part ends the conversion that runs, without a result: whoever asks more often would get the
/// same value for ever.
const CONVERSION_TIME_US: u32 = 220_000;

/// Table 2: bits that always read 0.
const RESERVED: u32 = 1 << 17 | 1 << 3;
/// Table 2: any of the three faults.
const ANY_FAULT: u32 = 1 << 16;
/// Table 3: the three faults.
const FAULTS: [(u32, &str); 3] = [
    (1 << 0, "the thermocouple is open: broken or not connected"),
    (1 << 1, "the thermocouple is shorted to ground"),
    (1 << 2, "the thermocouple is shorted to the supply"),
];

/// Options of the `max31855` driver: there are none.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Options {}

/// A MAX31855 on its bus.
pub struct Max31855<S, D> {
    spi: S,
    delay: D,
}

impl<S: SpiDevice, D: DelayNs> Max31855<S, D> {
    /// Reads once, to see whether somebody is there. What the thermocouple does is no matter yet.
    ///
    /// # Errors
    /// Absent, or a failed transfer.
    pub fn new(spi: S, delay: D) -> Result<Self, Fault> {
        let mut part = Self { spi, delay };
        part.read()?;
        Ok(part)
    }

    fn read(&mut self) -> Result<u32, Fault> {
        let mut bytes = [0; 4];
        self.spi.read(&mut bytes).map_err(|error| Fault::spi(error, "reading the measurement"))?;
        let answer = u32::from_be_bytes(bytes);
        if answer & RESERVED != 0 {
            return Err(Fault::new(
                FaultKind::Absent,
                format!("nothing answers: bits 17 and 3 of {answer:#010x} are not 0"),
            ));
        }
        if answer == 0 {
            return Err(Fault::new(FaultKind::Absent, "nothing answers: all bits are 0"));
        }
        Ok(answer)
    }
}

impl<S: SpiDevice + Send, D: DelayNs + Send> Sensor for Max31855<S, D> {
    fn sample(&mut self, out: &mut Sample) -> Result<(), Fault> {
        self.delay.delay_us(CONVERSION_TIME_US);
        let (thermocouple, internal) = celsius(self.read()?)?;
        out.number(TEMPERATURE, thermocouple);
        out.number(INTERNAL, internal);
        Ok(())
    }
}

impl SensorSpec for Options {
    fn channels(&self) -> Vec<Channel> {
        vec![
            Channel::number("temperature", Quantity::TEMPERATURE, TEMPERATURE_RANGE),
            Channel::number("internal_temperature", Quantity::TEMPERATURE, INTERNAL_RANGE),
        ]
    }

    fn open(&self, wire: Wire) -> Result<Box<dyn Sensor>, Fault> {
        Ok(Box::new(Max31855::new(wire.spi()?, Delay)?))
    }

    fn spi(&self) -> Option<SpiSettings> {
        Some(SPI)
    }

    fn simulate(&self) -> Option<Box<dyn Part>> {
        Some(Box::new(sim::Model::default()))
    }
}

/// Temperatures in °C of the thermocouple and of the part (table 2): two's complement, of 0.25 °C and 0.0625 °C.
///
/// ```text
/// 31 … 18         17  16     15 … 4     3  2            1            0
/// thermocouple    0   fault  internal   0  to supply    to ground    open
/// ```
fn celsius(answer: u32) -> Result<(f64, f64), Fault> {
    let faults: Vec<_> = FAULTS.iter().filter(|(bit, _)| answer & bit != 0).map(|(_, words)| *words).collect();
    if !faults.is_empty() {
        return Err(Fault::corrupt(faults.join("; ")));
    }
    if answer & ANY_FAULT != 0 {
        return Err(Fault::corrupt(format!("{answer:#010x} tells of a fault, but not of which")));
    }
    let thermocouple = f64::from(answer.cast_signed() >> 18) * 0.25;
    let internal = f64::from((answer << 16).cast_signed() >> 20) * 0.0625;
    Ok((
        within(thermocouple, &TEMPERATURE_RANGE, "a temperature in °C")?,
        within(internal, &INTERNAL_RANGE, "an internal temperature in °C")?,
    ))
}
