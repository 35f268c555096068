//! Drivers of sensors and actuators, generic over the traits of embedded-hal.
//!
//! This crate knows no operating system, no MQTT and no YAML: a driver gets its [options](options), a
//! [wire](port) to its part, and time. Every part has a register-level model beside its driver (`sim.rs` in the
//! driver's folder), so that all of it runs and is tested without hardware.
//!
//! To add a part: `docs/adding-a-driver.md` goes through it. A file with its model and tests in a folder beside it, and
//! in this file its module and its line in [`DRIVERS`].

pub mod actuator;
pub mod analog;
mod bosch;
mod byte_registers;
pub mod channel;
mod checksum;
pub mod described;
mod devices;
pub mod driver;
mod duty;
pub mod edge;
pub mod expander;
pub mod fault;
pub mod identity;
mod ina;
pub mod options;
pub mod port;
pub mod reference;
mod sensirion;
pub mod sensor;
pub mod serial;
pub mod sim;
pub mod sort;
pub mod text;
pub mod value;
mod word_registers;

pub mod ads1115;
pub mod aht20;
pub mod bh1750;
pub mod bme280;
pub mod bme680;
pub mod bmp388;
pub mod cover;
pub mod digital_input;
pub mod display;
pub mod ds18b20;
pub mod fan;
pub mod hdc1080;
pub mod htu21;
pub mod hwmon;
pub mod iio;
pub mod ina219;
pub mod ina226;
pub mod led_strip;
pub mod light;
pub mod lis3dh;
pub mod lm75;
pub mod max31855;
pub mod max31865;
pub mod mcp23017;
pub mod mcp3008;
pub mod mcp4725;
pub mod mcp9808;
pub mod mhz19;
pub mod mpu6050;
pub mod nmea_gps;
pub mod pca9685;
pub mod pcf8574;
pub mod pms5003;
pub mod pulse_counter;
pub mod pwm;
pub mod register;
pub mod registers;
pub mod rotary_encoder;
pub mod scd4x;
pub mod serial_lines;
pub mod serial_write;
pub mod servo;
pub mod sgp40;
pub mod sht3x;
pub mod sht4x;
pub mod stepper;
pub mod switch;
pub mod system;
pub mod tmp102;
pub mod tmp117;
pub mod tsl2591;
pub mod ultrasonic;
pub mod veml7700;
pub mod vl53l0x;

// The fuzz targets know it by this name.
#[cfg(test)]
extern crate self as halyard_drivers;
#[cfg(test)]
mod tests;

pub use actuator::{Actuator, ActuatorSpec, Appearance, Control, Reading, Shown};
pub use channel::{Channel, Quantity};
pub use driver::{Attachment, Driver, KernelClass, Member, Role, Spec};
pub use edge::{Edge, EdgeSensor, EdgeSpec, Emit, Play};
pub use expander::{Expander, ExpanderSpec, Levels, Offer};
pub use fault::{Fault, FaultKind, Next};
pub use identity::Identity;
pub use sensor::{Sample, Sensor, SensorSpec, SerialSensor, SerialSpec};
pub use text::{Characters, Texts};
pub use value::Value;

/// Every driver there is, by name. The tests of this crate walk it.
pub static DRIVERS: &[&Driver] = &[
    &ads1115::DRIVER,
    &aht20::DRIVER,
    &bh1750::DRIVER,
    &bme280::DRIVER,
    &bme680::DRIVER,
    &bmp388::DRIVER,
    &cover::DRIVER,
    &digital_input::DRIVER,
    &display::DRIVER,
    &ds18b20::DRIVER,
    &fan::DRIVER,
    &hdc1080::DRIVER,
    &htu21::DRIVER,
    &hwmon::DRIVER,
    &iio::DRIVER,
    &ina219::DRIVER,
    &ina226::DRIVER,
    &led_strip::DRIVER,
    &light::DRIVER,
    &lis3dh::DRIVER,
    &lm75::DRIVER,
    &max31855::DRIVER,
    &max31865::DRIVER,
    &mcp23017::DRIVER,
    &mcp3008::DRIVER,
    &mcp4725::DRIVER,
    &mcp9808::DRIVER,
    &mhz19::DRIVER,
    &mpu6050::DRIVER,
    &nmea_gps::DRIVER,
    &pca9685::DRIVER,
    &pcf8574::DRIVER,
    &pms5003::DRIVER,
    &pulse_counter::DRIVER,
    &pwm::DRIVER,
    &register::DRIVER,
    &registers::DRIVER,
    &rotary_encoder::DRIVER,
    &scd4x::DRIVER,
    &serial_lines::DRIVER,
    &serial_write::DRIVER,
    &servo::DRIVER,
    &sgp40::DRIVER,
    &sht3x::DRIVER,
    &sht4x::DRIVER,
    &stepper::DRIVER,
    &switch::DRIVER,
    &system::DRIVER,
    &tmp102::DRIVER,
    &tmp117::DRIVER,
    &tsl2591::DRIVER,
    &ultrasonic::DRIVER,
    &veml7700::DRIVER,
    &vl53l0x::DRIVER,
];

/// The driver of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Driver> {
    DRIVERS.iter().copied().find(|driver| driver.name == name)
}
