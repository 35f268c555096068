//! Driver for the MPU-6050 accelerometer and gyroscope of InvenSense.
//!
//! Source: InvenSense, "MPU-6000 and MPU-6050 Product Specification", PS-MPU-6000A-00, revision 3.4 of August 2013, for
//! what it measures; its sections are cited as PS. "Register Map and Descriptions", RM-MPU-6000A-00, revision 4.2 of
//! August 2013, for the registers, which are named as there.
//!
//! The part measures a thousand times a second from when it is opened until it is halted. A sample reads its settings
//! before the values: a part that lost its power is noticed and set up anew. It is the MPU-6050 only: later parts of the
//! maker look alike, but for their identity and what their temperatures mean.

#[cfg(test)]
mod tests;

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
use std::ops::RangeInclusive;
use std::sync::Arc;

/// The driver's entry in the list.
pub static DRIVER: Driver = Driver {
    name: "mpu6050",
    summary: "InvenSense MPU-6050: acceleration, rotation and temperature",
    source: "InvenSense, PS-MPU-6000A-00, revision 3.4, and RM-MPU-6000A-00, revision 4.2",
    role: Role::Sensor,
    attachments: &[Attachment::I2c { addresses: &[0x68, 0x69] }],
    identity: &[Identity::byte(WHO_AM_I, &[IDENTITY as u16])],
    example: "\
- id: motion
  driver: mpu6050
  bus: i2c-1
  address: 0x68
  every: 1s
",
    defaults: || Spec::Sensor(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| read::<Options>(node, problems).map(|options| Spec::Sensor(Arc::new(options))),
};

/// The channels, in the order of the data registers but for the temperature, which is between the two there.
const ACCELERATION: [&str; 3] = ["acceleration_x", "acceleration_y", "acceleration_z"];
const ROTATION: [&str; 3] = ["rotation_x", "rotation_y", "rotation_z"];
const TEMPERATURE: &str = "temperature";

/// Standard gravity in m/s².
const G: f64 = 9.806_65;
/// PS, section 6.3: the range in °C.
const TEMPERATURE_RANGE: RangeInclusive<f64> = -40.0..=85.0;

/// The registers.
const SMPLRT_DIV: u8 = 0x19;
const CONFIG: u8 = 0x1A;
const GYRO_CONFIG: u8 = 0x1B;
const ACCEL_CONFIG: u8 = 0x1C;
const INT_ENABLE: u8 = 0x38;
/// Followed by seven words of data.
const INT_STATUS: u8 = 0x3A;
const PWR_MGMT_1: u8 = 0x6B;
const WHO_AM_I: u8 = 0x75;

/// WHO_AM_I: the identity, whatever the address.
const IDENTITY: u8 = 0x68;
/// PWR_MGMT_1: reset; asleep, as after a reset; awake, with the clock of a gyroscope, as is recommended.
const RESET: u8 = 1 << 7;
const ASLEEP: u8 = 1 << 6;
const AWAKE: u8 = 0b001;
/// INT_ENABLE, INT_STATUS: there are new values.
const DATA_READY: u8 = 1 << 0;

/// The documents have no time for the reset on I2C; drivers in use wait for 100 ms.
const RESET_TIME_US: u32 = 100_000;
/// PS, section 6.1: a gyroscope needs 30 ms to start; the filter of 5 Hz needs as much four or five times.
const START_TIME_US: u32 = 200_000;
/// How often new values are asked for, and how far apart: four of the times that they take.
const POLLS: u32 = 5;
const POLL_TIME_US: u32 = 4_000;

/// Options of the `mpu6050` driver.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// The highest acceleration that can be measured, in g (9.80665 m/s²). At rest, gravity alone is 1.
    pub acceleration: Acceleration,
    /// The fastest rotation that can be measured, in °/s.
    pub rotation: Rotation,
    /// What is faster than this is smoothed away, in Hz. A sample is one of a thousand measurements a second: at long
    /// intervals, a low bandwidth says more.
    pub bandwidth: Bandwidth,
}

impl Default for Options {
    fn default() -> Self {
        Self { acceleration: Acceleration::G2, rotation: Rotation::Dps250, bandwidth: Bandwidth::Hz5 }
    }
}

choice! {
    /// The highest acceleration that can be measured, in g.
    pub enum Acceleration {
        /// 2 g
        G2 = 2,
        /// 4 g
        G4 = 4,
        /// 8 g
        G8 = 8,
        /// 16 g
        G16 = 16,
    }
}

choice! {
    /// The fastest rotation that can be measured, in °/s.
    pub enum Rotation {
        /// 250 °/s
        Dps250 = 250,
        /// 500 °/s
        Dps500 = 500,
        /// 1000 °/s
        Dps1000 = 1000,
        /// 2000 °/s
        Dps2000 = 2000,
    }
}

choice! {
    /// Bandwidth of the accelerometer in Hz; that of the gyroscope is about the same (CONFIG, field DLPF_CFG).
    pub enum Bandwidth {
        /// 5 Hz
        Hz5 = 5,
        /// 10 Hz
        Hz10 = 10,
        /// 21 Hz
        Hz21 = 21,
        /// 44 Hz
        Hz44 = 44,
        /// 94 Hz
        Hz94 = 94,
        /// 184 Hz
        Hz184 = 184,
    }
}

impl Acceleration {
    /// ACCEL_CONFIG: the field AFS_SEL.
    fn field(self) -> u8 {
        match self {
            Self::G2 => 0b00,
            Self::G4 => 0b01,
            Self::G8 => 0b10,
            Self::G16 => 0b11,
        }
    }

    /// PS, section 6.2: a step in m/s².
    fn step(self) -> f64 {
        G / f64::from(16_384 >> self.field())
    }

    /// The range of a channel in m/s².
    fn limits(self) -> RangeInclusive<f64> {
        -self.number() * G..=self.number() * G
    }
}

impl Rotation {
    /// GYRO_CONFIG: the field FS_SEL.
    fn field(self) -> u8 {
        match self {
            Self::Dps250 => 0b00,
            Self::Dps500 => 0b01,
            Self::Dps1000 => 0b10,
            Self::Dps2000 => 0b11,
        }
    }

    /// PS, section 6.1: a step in °/s.
    fn step(self) -> f64 {
        match self {
            Self::Dps250 => 1.0 / 131.0,
            Self::Dps500 => 1.0 / 65.5,
            Self::Dps1000 => 1.0 / 32.8,
            Self::Dps2000 => 1.0 / 16.4,
        }
    }

    /// The range of a channel in °/s.
    fn limits(self) -> RangeInclusive<f64> {
        -self.number()..=self.number()
    }
}

impl Bandwidth {
    /// CONFIG: the field DLPF_CFG.
    fn field(self) -> u8 {
        match self {
            Self::Hz184 => 1,
            Self::Hz94 => 2,
            Self::Hz44 => 3,
            Self::Hz21 => 4,
            Self::Hz10 => 5,
            Self::Hz5 => 6,
        }
    }
}

impl Options {
    /// SMPLRT_DIV, CONFIG, GYRO_CONFIG, ACCEL_CONFIG.
    fn settings(&self) -> [u8; 4] {
        [0, self.bandwidth.field(), self.rotation.field() << 3, self.acceleration.field() << 3]
    }
}

/// An MPU-6050 on its bus.
pub struct Mpu6050<R, D> {
    registers: R,
    delay: D,
    options: Options,
    /// Whether the part has its settings, as far as is known.
    ready: bool,
}

/// What one measurement gives: m/s², °/s, °C.
struct Measured {
    acceleration: [f64; 3],
    rotation: [f64; 3],
    temperature: f64,
}

impl<R: Registers, D: DelayNs> Mpu6050<R, D> {
    /// Checks the identity, resets the part, and starts to measure.
    ///
    /// # Errors
    /// Absent, wrong chip, or a failed transfer.
    pub fn new(registers: R, delay: D, options: Options) -> Result<Self, Fault> {
        let mut part = Self { registers, delay, options, ready: false };
        part.set_up()?;
        Ok(part)
    }

    fn set_up(&mut self) -> Result<(), Fault> {
        let mut identity = [0];
        self.registers.read(WHO_AM_I, &mut identity)?;
        if identity != [IDENTITY] {
            let [found] = identity;
            return Err(Fault::wrong_chip(format!(
                "WHO_AM_I, register {WHO_AM_I:#04x}, holds {found:#04x}, expected {IDENTITY:#04x}"
            )));
        }
        self.registers.write(PWR_MGMT_1, RESET)?;
        self.delay.delay_us(RESET_TIME_US);
        self.registers.write(PWR_MGMT_1, AWAKE)?;
        for (register, value) in
            [SMPLRT_DIV, CONFIG, GYRO_CONFIG, ACCEL_CONFIG].into_iter().zip(self.options.settings())
        {
            self.registers.write(register, value)?;
        }
        self.registers.write(INT_ENABLE, DATA_READY)?;
        self.delay.delay_us(START_TIME_US);
        self.ready = true;
        Ok(())
    }

    fn measure(&mut self) -> Result<Measured, Fault> {
        if !self.ready {
            self.set_up()?;
        }
        let (mut found, expected) = ([0; 4], self.options.settings());
        self.registers.read(SMPLRT_DIV, &mut found)?;
        if found != expected {
            return Err(Fault::corrupt(format!(
                "the registers from {SMPLRT_DIV:#04x} on hold {found:02x?} after {expected:02x?} was written: the part \
                 lost its settings, and gets them again"
            )));
        }
        for _ in 0..POLLS {
            // One transaction: all values are of the same moment.
            let mut bytes = [0; 15];
            self.registers.read(INT_STATUS, &mut bytes)?;
            let [status, data @ ..] = bytes;
            if status & DATA_READY != 0 {
                return converted(data, &self.options);
            }
            self.delay.delay_us(POLL_TIME_US);
        }
        // What is asleep has all its settings, if they are those of a reset.
        Err(Fault::new(FaultKind::NotReady, "no new values: the part is asleep, and is set up again"))
    }
}

impl<R: Registers + Send, D: DelayNs + Send> Sensor for Mpu6050<R, D> {
    fn sample(&mut self, out: &mut Sample) -> Result<(), Fault> {
        let measured = self.measure();
        // Whatever went wrong, settings may be at fault: the next sample begins afresh.
        self.ready = measured.is_ok();
        let Measured { acceleration, rotation, temperature } = measured?;
        for (channel, value) in acceleration.into_iter().chain(rotation).chain([temperature]).enumerate() {
            out.number(channel, value);
        }
        Ok(())
    }

    fn halt(&mut self) -> Result<(), Fault> {
        self.ready = false;
        self.registers.write(PWR_MGMT_1, ASLEEP)
    }
}

impl SensorSpec for Options {
    fn channels(&self) -> Vec<Channel> {
        let acceleration =
            ACCELERATION.map(|name| Channel::number(name, Quantity::ACCELERATION, self.acceleration.limits()));
        let rotation = ROTATION.map(|name| Channel::number(name, Quantity::ROTATION, self.rotation.limits()));
        let temperature = Channel::number(TEMPERATURE, Quantity::TEMPERATURE, TEMPERATURE_RANGE);
        acceleration.into_iter().chain(rotation).chain([temperature]).collect()
    }

    fn open(&self, wire: Wire) -> Result<Box<dyn Sensor>, Fault> {
        let (i2c, address) = wire.i2c()?;
        Ok(Box::new(Mpu6050::new(OverI2c(i2c, address), Delay, *self)?))
    }

    fn simulate(&self) -> Option<Box<dyn Part>> {
        Some(Box::new(sim::Model::default()))
    }
}

/// The data registers: three words of acceleration, one of temperature, three of rotation.
fn converted(data: [u8; 14], options: &Options) -> Result<Measured, Fault> {
    let word = |at: usize| i16::from_be_bytes([data[2 * at], data[2 * at + 1]]);
    let acceleration = |axis: usize| {
        let Options { acceleration, .. } = options;
        axial(word(axis), acceleration.step(), &acceleration.limits()).map_err(|fault| fault.on(ACCELERATION[axis]))
    };
    let rotation = |axis: usize| {
        let Options { rotation, .. } = options;
        axial(word(4 + axis), rotation.step(), &rotation.limits()).map_err(|fault| fault.on(ROTATION[axis]))
    };
    Ok(Measured {
        acceleration: [acceleration(0)?, acceleration(1)?, acceleration(2)?],
        rotation: [rotation(0)?, rotation(1)?, rotation(2)?],
        temperature: within(celsius(word(3)), &TEMPERATURE_RANGE, "a temperature in °C")?,
    })
}

/// A value along an axis. What is beyond the range gives one of its ends.
fn axial(word: i16, step: f64, range: &RangeInclusive<f64>) -> Result<f64, Fault> {
    if [i16::MIN, i16::MAX].contains(&word) {
        let (start, end) = (range.start(), range.end());
        return Err(Fault::corrupt(format!("at an end of what can be measured, {start} to {end}, or beyond")));
    }
    within(f64::from(word) * step, range, "a value")
}

/// Temperature in °C of a word (TEMP_OUT).
fn celsius(word: i16) -> f64 {
    f64::from(word) / 340.0 + 36.53
}
