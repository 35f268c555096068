//! Driver for the VL53L0X distance sensor of ST: time of flight of a laser's light.
//!
//! Source: ST, "VL53L0X datasheet", DocID029104, revision 2, for what it can do and how it is known (section 3.2). The
//! maker publishes no map of its registers, only a library (STSW-IMG005): what is written here, in which order, and what
//! the result means is what that library does, as other drivers in use do it too. Names of registers are the library's.
//!
//! What others have recorded of it: two results, byte by byte, which are in the tests. Of the calibration, of the choice of
//! detectors and of the time for the fine range none was found, in questions and answers, reports of faults, tests and logs of
//! other drivers: there the tests rest on the library's arithmetic, done by hand.
//!
//! It is a driver of its own: the crate `vl53l0x` 1.0 looks for ends without waiting, overflows on bytes that cannot be,
//! and gives a distance whether or not the part says that it is one.
//!
//! A sample is one measurement. The part is idle between them, and keeps its settings: one of them is read back each
//! time, so that a part that lost its power is noticed and set up anew.

#[cfg(test)]
mod tests;

mod settings;
pub mod sim;

use crate::byte_registers::{OverI2c, Registers};
use crate::channel::{Channel, Quantity, within};
use crate::driver::{Attachment, Driver, Role, Spec};
use crate::fault::{Fault, FaultKind};
use crate::identity::Identity;
use crate::options::limits::choice;
use crate::options::{read, shape};
use crate::port::{Delay, Wire};
use crate::sensor::{Sample, Sensor, SensorSpec};
use crate::sim::Part;
use embedded_hal::delay::DelayNs;
use schemars::JsonSchema;
use serde::Deserialize;
use settings::{TUNING, final_range_timeout, reference_spads};
use std::ops::RangeInclusive;
use std::sync::Arc;

/// The driver's entry in the list.
pub static DRIVER: Driver = Driver {
    name: "vl53l0x",
    summary: "ST VL53L0X: distance by light",
    source: "ST, DocID029104, revision 2, and its library STSW-IMG005",
    role: Role::Sensor,
    attachments: &[Attachment::I2c { addresses: &[0x29] }],
    identity: &[Identity::byte(IDENTIFICATION_MODEL_ID, &[IDENTITY[0] as u16])],
    example: "\
- id: level
  driver: vl53l0x
  bus: i2c-1
  address: 0x29
  every: 5s
",
    defaults: || Spec::Sensor(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| read::<Options>(node, problems).map(|options| Spec::Sensor(Arc::new(options))),
};

/// Index of the channel.
const DISTANCE: usize = 0;

/// Front page: up to 2 m, in mm.
const DISTANCE_RANGE: RangeInclusive<f64> = 0.0..=2_000.0;

/// The registers.
const SYSRANGE_START: u8 = 0x00;
const SYSTEM_SEQUENCE_CONFIG: u8 = 0x01;
const SYSTEM_INTERRUPT_CONFIG_GPIO: u8 = 0x0A;
const SYSTEM_INTERRUPT_CLEAR: u8 = 0x0B;
const RESULT_INTERRUPT_STATUS: u8 = 0x13;
const RESULT_RANGE_STATUS: u8 = 0x14;
const DYNAMIC_SPAD_NUM_REQUESTED_REF_SPAD: u8 = 0x4E;
const DYNAMIC_SPAD_REF_EN_START_OFFSET: u8 = 0x4F;
const FINAL_RANGE_CONFIG_TIMEOUT_MACROP_HI: u8 = 0x71;
const GPIO_HV_MUX_ACTIVE_HIGH: u8 = 0x84;
const VHV_CONFIG_PAD_SCL_SDA_EXTSUP_HV: u8 = 0x89;
const GLOBAL_CONFIG_SPAD_ENABLES_REF_0: u8 = 0xB0;
const GLOBAL_CONFIG_REF_EN_START_SELECT: u8 = 0xB6;
const IDENTIFICATION_MODEL_ID: u8 = 0xC0;
/// Which page the other registers are of, and a switch that opens those of the inside; neither has a name.
const PAGE: u8 = 0xFF;
const INSIDE: u8 = 0x80;
/// On page 1: a value of each part that is given back to it before each measurement.
const STOP_VARIABLE: u8 = 0x91;

/// Section 3.2: the model and the module.
const IDENTITY: [u8; 2] = [0xEE, 0xAA];
/// The steps of a measurement: dynamic choice of light detectors, a coarse range, a fine one.
const SEQUENCE: u8 = 0xE8;
/// The steps of the two calibrations, and how they are started.
const CALIBRATIONS: [(u8, u8); 2] = [(0x01, 0x41), (0x02, 0x01)];
/// RESULT_INTERRUPT_STATUS: any of these bits is an end.
const ENDED: u8 = 0b111;

/// What the part does by itself takes a few ms at most: how often its end is asked for, and how far apart.
const POLLS: u32 = 50;
const POLL_TIME_US: u32 = 1_000;

/// Options of the `vl53l0x` driver.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// How long a measurement takes, in ms. Longer is finer, and reaches further: the maker names 20 high speed and 200
    /// high accuracy.
    pub budget: Budget,
}

impl Default for Options {
    fn default() -> Self {
        Self { budget: Budget::Ms33 }
    }
}

choice! {
    /// How long a measurement takes, in ms.
    pub enum Budget {
        /// High speed.
        Ms20 = 20,
        /// As the library does.
        Ms33 = 33,
        /// Twice that.
        Ms66 = 66,
        /// 100 ms
        Ms100 = 100,
        /// High accuracy.
        Ms200 = 200,
    }
}

impl Budget {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // at most 200 000
    fn time_us(self) -> u32 {
        (self.number() * 1_000.0) as u32
    }
}

/// A VL53L0X on its bus.
pub struct Vl53l0x<R, D> {
    registers: R,
    delay: D,
    budget: Budget,
    /// The part's own value, if it has its settings as far as is known.
    stop_variable: Option<u8>,
}

impl<R: Registers, D: DelayNs> Vl53l0x<R, D> {
    /// Checks the identity, and sets the part up: its detectors, its tuning, its calibration.
    ///
    /// # Errors
    /// Absent, wrong chip, not ready (a calibration does not end), or a failed transfer.
    pub fn new(registers: R, delay: D, budget: Budget) -> Result<Self, Fault> {
        let mut part = Self { registers, delay, budget, stop_variable: None };
        part.set_up()?;
        Ok(part)
    }

    fn read_byte(&mut self, register: u8) -> Result<u8, Fault> {
        let mut byte = [0];
        self.registers.read(register, &mut byte)?;
        Ok(byte[0])
    }

    fn write_all(&mut self, pairs: &[(u8, u8)]) -> Result<(), Fault> {
        pairs.iter().try_for_each(|(register, value)| self.registers.write(*register, *value))
    }

    fn check_identity(&mut self) -> Result<(), Fault> {
        let mut found = [0; 2];
        self.registers.read(IDENTIFICATION_MODEL_ID, &mut found)?;
        if found != IDENTITY {
            // Whoever was interrupted while another page was chosen left it so.
            self.write_all(&[(PAGE, 0), (INSIDE, 0)])?;
            self.registers.read(IDENTIFICATION_MODEL_ID, &mut found)?;
        }
        if found != IDENTITY {
            return Err(Fault::wrong_chip(format!(
                "identity registers {IDENTIFICATION_MODEL_ID:#04x} and 0xc1 hold {found:02x?}, expected {IDENTITY:02x?}"
            )));
        }
        Ok(())
    }

    /// The library's data initialisation, static initialisation and calibration, one after the other.
    fn set_up(&mut self) -> Result<u8, Fault> {
        self.check_identity()?;
        // Its bus is at 2.8 V, not 1.8 V, whatever the board makes of that.
        let pads = self.read_byte(VHV_CONFIG_PAD_SCL_SDA_EXTSUP_HV)?;
        self.write_all(&[(VHV_CONFIG_PAD_SCL_SDA_EXTSUP_HV, pads | 1), (0x88, 0)])?;
        self.write_all(&[(INSIDE, 1), (PAGE, 1), (0x00, 0)])?;
        let stop_variable = self.read_byte(STOP_VARIABLE)?;
        self.write_all(&[(0x00, 1), (PAGE, 0), (INSIDE, 0), (SYSTEM_SEQUENCE_CONFIG, 0xFF)])?;
        self.set_reference_spads()?;
        self.write_all(TUNING)?;
        // The end of a measurement is to be seen, and the pin for it is low then.
        let pin = self.read_byte(GPIO_HV_MUX_ACTIVE_HIGH)?;
        let [high, low] = final_range_timeout(self.budget.time_us()).to_be_bytes();
        self.write_all(&[
            (SYSTEM_INTERRUPT_CONFIG_GPIO, 0x04),
            (GPIO_HV_MUX_ACTIVE_HIGH, pin & !0x10),
            (SYSTEM_INTERRUPT_CLEAR, 1),
            (FINAL_RANGE_CONFIG_TIMEOUT_MACROP_HI, high),
            (FINAL_RANGE_CONFIG_TIMEOUT_MACROP_HI + 1, low),
        ])?;
        for (step, start) in CALIBRATIONS {
            self.write_all(&[(SYSTEM_SEQUENCE_CONFIG, step), (SYSRANGE_START, start)])?;
            self.wait(RESULT_INTERRUPT_STATUS, ENDED, POLL_TIME_US, "the calibration does not end")?;
            self.write_all(&[(SYSTEM_INTERRUPT_CLEAR, 1), (SYSRANGE_START, 0)])?;
        }
        self.registers.write(SYSTEM_SEQUENCE_CONFIG, SEQUENCE)?;
        self.stop_variable = Some(stop_variable);
        Ok(stop_variable)
    }

    /// Chooses as many reference detectors, of the kind, as the maker found to be right for this part.
    fn set_reference_spads(&mut self) -> Result<(), Fault> {
        self.write_all(&[(INSIDE, 1), (PAGE, 1), (0x00, 0), (PAGE, 6)])?;
        let memory = self.read_byte(0x83)?;
        self.write_all(&[(0x83, memory | 0x04), (PAGE, 7), (0x81, 1), (INSIDE, 1), (0x94, 0x6B), (0x83, 0)])?;
        self.wait(0x83, 0xFF, POLL_TIME_US, "the part's memory does not answer")?;
        self.registers.write(0x83, 1)?;
        let chosen = self.read_byte(0x92)?;
        self.write_all(&[(0x81, 0), (PAGE, 6)])?;
        let memory = self.read_byte(0x83)?;
        self.write_all(&[(0x83, memory & !0x04), (PAGE, 1), (0x00, 1), (PAGE, 0), (INSIDE, 0)])?;

        let mut good = [0; 6];
        self.registers.read(GLOBAL_CONFIG_SPAD_ENABLES_REF_0, &mut good)?;
        self.write_all(&[
            (PAGE, 1),
            (DYNAMIC_SPAD_REF_EN_START_OFFSET, 0),
            (DYNAMIC_SPAD_NUM_REQUESTED_REF_SPAD, 0x2C),
            (PAGE, 0),
            (GLOBAL_CONFIG_REF_EN_START_SELECT, 0xB4),
        ])?;
        (GLOBAL_CONFIG_SPAD_ENABLES_REF_0..)
            .zip(reference_spads(good, chosen))
            .try_for_each(|(register, value)| self.registers.write(register, value))
    }

    /// Waits until one of these bits is set.
    fn wait(&mut self, register: u8, bits: u8, step_us: u32, late: &str) -> Result<(), Fault> {
        for _ in 0..POLLS {
            if self.read_byte(register)? & bits != 0 {
                return Ok(());
            }
            self.delay.delay_us(step_us);
        }
        Err(Fault::new(FaultKind::NotReady, late))
    }

    /// The twelve bytes from RESULT_RANGE_STATUS on, of a measurement.
    fn measure(&mut self) -> Result<[u8; 12], Fault> {
        let stop_variable = match self.stop_variable {
            Some(stop_variable) => stop_variable,
            None => self.set_up()?,
        };
        let sequence = self.read_byte(SYSTEM_SEQUENCE_CONFIG)?;
        if sequence != SEQUENCE {
            return Err(Fault::corrupt(format!(
                "register {SYSTEM_SEQUENCE_CONFIG:#04x} holds {sequence:#04x} after {SEQUENCE:#04x} was written: the part \
                 lost its settings, and gets them again"
            )));
        }
        self.write_all(&[(INSIDE, 1), (PAGE, 1), (0x00, 0), (STOP_VARIABLE, stop_variable)])?;
        // What an earlier measurement left is no end of this one.
        self.write_all(&[(0x00, 1), (PAGE, 0), (INSIDE, 0), (SYSTEM_INTERRUPT_CLEAR, 1), (SYSRANGE_START, 1)])?;
        let time_us = self.budget.time_us();
        self.delay.delay_us(time_us);
        let late = "the measurement takes more than twice its time";
        self.wait(RESULT_INTERRUPT_STATUS, ENDED, time_us / POLLS, late)?;
        let mut result = [0; 12];
        self.registers.read(RESULT_RANGE_STATUS, &mut result)?;
        self.registers.write(SYSTEM_INTERRUPT_CLEAR, 1)?;
        Ok(result)
    }
}

impl<R: Registers + Send, D: DelayNs + Send> Sensor for Vl53l0x<R, D> {
    fn sample(&mut self, out: &mut Sample) -> Result<(), Fault> {
        let result = self.measure();
        // Whatever went wrong, settings may be at fault: the next sample begins afresh. That there is no target is none.
        if result.is_err() {
            self.stop_variable = None;
        }
        out.number(DISTANCE, millimetres(result?)?);
        Ok(())
    }
}

impl SensorSpec for Options {
    fn channels(&self) -> Vec<Channel> {
        vec![Channel::number("distance", Quantity::DISTANCE, DISTANCE_RANGE)]
    }

    fn open(&self, wire: Wire) -> Result<Box<dyn Sensor>, Fault> {
        let (i2c, address) = wire.i2c()?;
        Ok(Box::new(Vl53l0x::new(OverI2c(i2c, address), Delay, self.budget)?))
    }

    fn simulate(&self) -> Option<Box<dyn Part>> {
        Some(Box::new(sim::Model::default()))
    }
}

/// Distance in mm of the twelve bytes from RESULT_RANGE_STATUS on. Bits 3 to 6 of the first say what became of the
/// measurement (the library's device errors); the last two are the distance.
fn millimetres(result: [u8; 12]) -> Result<f64, Fault> {
    let status = result[0] >> 3 & 0x0F;
    let none = |why: &str| Err(Fault::new(FaultKind::NotReady, format!("no target: {why} (status {status})")));
    match status {
        11 => within(u16::from_be_bytes([result[10], result[11]]).into(), &DISTANCE_RANGE, "a distance in mm"),
        4 | 5 => none("too little light comes back"),
        6 | 9 => none("what comes back is from beyond its reach"),
        7 => none("what comes back is too uncertain"),
        8 | 10 => none("what comes back is from too near"),
        1 | 2 => Err(Fault::corrupt(format!("the laser failed its test (status {status})"))),
        3 => Err(Fault::corrupt("the detectors have no voltage (status 3)")),
        _ => Err(Fault::corrupt(format!("there is no measurement (status {status})"))),
    }
}
