//! Model of the BME280: registers over I2C and SPI, forced and normal mode, conversion times.
//!
//! Its back door finds raw values with the **integer** formulas of section 4.2.3, while the driver's crate uses those
//! in floating point. Its calibration is that of a real part.

use super::{BME280_IDENTITY, DATA, IDENTITY, NO_DATA};
use crate::bosch::{Interface, Registers, times};
use crate::sim::clock::now;
use crate::sim::{I2cPart, Part, SpiPart, smallest};
use std::time::{Duration, Instant};

/// Registers 0x88 to 0xA1 and 0xE1 to 0xE7 of a real part, recorded by the periph project (bmxx80).
pub(super) const CALIBRATION: [u8; 26] = [
    0x10, 0x6E, 0x6C, 0x66, 0x32, 0x00, 0x5D, 0x95, 0xB8, 0xD5, 0xD0, 0x0B, 0x77, 0x1E, 0x9D, 0xFF, 0xF9, 0xFF, 0xAC,
    0x26, 0x0A, 0xD8, 0xBD, 0x10, 0x00, 0x4B,
];
pub(super) const HUMIDITY_CALIBRATION: [u8; 7] = [0x6E, 0x01, 0x00, 0x13, 0x05, 0x00, 0x1E];

const CALIBRATION_START: usize = 0x88;
const HUMIDITY_CALIBRATION_START: usize = 0xE1;
const RESET: u8 = 0xE0;
const CTRL_HUM: u8 = 0xF2;
const STATUS: u8 = 0xF3;
const CTRL_MEAS: u8 = 0xF4;
const CONFIG: u8 = 0xF5;
/// Section 3.3, table 11: field `mode` of `ctrl_meas`, one measurement after another.
const NORMAL: u8 = 0b11;
/// Section 3.6.3, table 27: field `t_sb` of `config`, the time between two of them, in µs.
const STANDBY_US: [u64; 8] = [500, 62_500, 125_000, 250_000, 500_000, 1_000_000, 10_000, 20_000];
/// Section 1, t_startup: 2 ms at most.
const START_UP: Duration = Duration::from_micros(1_500);

/// The part.
pub struct Model {
    registers: [u8; 256],
    interface: Interface,
    /// `ctrl_hum` counts from the next write to `ctrl_meas` on (section 5.4.3).
    humidity_oversampling: u8,
    /// Raw pressure, temperature and humidity as in 20, 20 and 16 bits.
    raw: [u32; 3],
    /// °C, %, hPa.
    stimuli: [f64; 3],
    /// What the current conversion gives, and when.
    converting: Option<(Instant, [u8; 8])>,
}

impl Default for Model {
    fn default() -> Self {
        let mut model = Self {
            registers: [0; 256],
            interface: Interface::new(0x80, false),
            humidity_oversampling: 0,
            raw: [0; 3],
            stimuli: [21.5, 45.0, 1013.25],
            converting: None,
        };
        model.registers[usize::from(IDENTITY)] = BME280_IDENTITY;
        model.registers[CALIBRATION_START..][..26].copy_from_slice(&CALIBRATION);
        model.registers[HUMIDITY_CALIBRATION_START..][..7].copy_from_slice(&HUMIDITY_CALIBRATION);
        model.reset();
        model.interface.answer_after(Duration::ZERO);
        model.find_raw();
        model
    }
}

impl Model {
    /// One with these registers set otherwise: another identity, another calibration.
    #[cfg(test)]
    pub(super) fn with_registers(start: u8, values: &[u8]) -> Self {
        let mut model = Self::default();
        model.registers[usize::from(start)..][..values.len()].copy_from_slice(values);
        model
    }

    /// What the conversions give from now on: raw pressure, temperature and humidity.
    #[cfg(test)]
    pub(super) fn set_raw(&mut self, raw: [u32; 3]) {
        self.raw = raw;
    }

    /// As after a loss of power.
    pub(super) fn reset(&mut self) {
        for register in [CTRL_HUM, STATUS, CTRL_MEAS, CONFIG] {
            self.registers[usize::from(register)] = 0;
        }
        self.registers[usize::from(DATA)..].copy_from_slice(&padded(NO_DATA));
        self.humidity_oversampling = 0;
        self.converting = None;
        self.interface.answer_after(START_UP);
    }

    /// Brings the data registers up to date.
    fn settle(&mut self) {
        if let Some((_, data)) = self.converting.take_if(|(ready, _)| now() >= *ready) {
            self.registers[usize::from(STATUS)] = 0;
            let ctrl_meas = self.registers[usize::from(CTRL_MEAS)];
            if ctrl_meas & 0b11 == NORMAL {
                // One after another (section 3.3.4): however long nobody looked, the newest is of now.
                let standby = STANDBY_US[usize::from(self.registers[usize::from(CONFIG)] >> 5)];
                let data = self.data(ctrl_meas);
                self.registers[usize::from(DATA)..].copy_from_slice(&padded(data));
                self.convert(ctrl_meas, standby);
            } else {
                self.registers[usize::from(DATA)..].copy_from_slice(&padded(data));
                self.registers[usize::from(CTRL_MEAS)] &= !0b11; // back to sleep (section 3.3.3)
            }
        }
    }

    /// How often each of pressure, temperature and humidity is measured.
    fn oversampling(&self, ctrl_meas: u8) -> [u64; 3] {
        [ctrl_meas >> 2 & 0b111, ctrl_meas >> 5, self.humidity_oversampling].map(times)
    }

    /// Begins a measurement after this time in µs, with the typical times of section 9.1.
    fn convert(&mut self, ctrl_meas: u8, standby: u64) {
        let [pressure, temperature, humidity] = self.oversampling(ctrl_meas);
        let extra = |times: u64| if times == 0 { 0 } else { 500 };
        let time = 1_000 + 2_000 * (pressure + temperature + humidity) + extra(pressure) + extra(humidity);
        self.registers[usize::from(STATUS)] = if standby == 0 { 0b1000 } else { 0 };
        self.converting = Some((now() + Duration::from_micros(standby + time), self.data(ctrl_meas)));
    }

    /// What a measurement gives.
    fn data(&self, ctrl_meas: u8) -> [u8; 8] {
        let [pressure, temperature, humidity] = self.oversampling(ctrl_meas);
        // 16 bits without oversampling, one more for each doubling (section 3.4).
        let resolved = |raw: u32, times: u64| match times {
            0 => 0x8_0000,
            _ => raw & !(0b1111 >> times.ilog2()),
        };
        let humidity = if humidity == 0 { 0x8000 } else { self.raw[2] };
        let [_, p2, p1, p0] = (resolved(self.raw[0], pressure) << 4).to_be_bytes();
        let [_, t2, t1, t0] = (resolved(self.raw[1], temperature) << 4).to_be_bytes();
        let [_, _, h1, h0] = humidity.to_be_bytes();
        [p2, p1, p0, t2, t1, t0, h1, h0]
    }

    /// Finds the raw values that the formulas of the datasheet turn into the stimuli.
    fn find_raw(&mut self) {
        let [temperature, humidity, pressure] = self.stimuli;
        let raw = smallest(20, |raw| f64::from(celsius(raw).1) >= temperature * 100.0);
        let fine = celsius(raw).0;
        self.raw = [
            // The pressure falls with its raw value.
            smallest(20, |raw| pascal(raw, fine) <= pressure * 100.0),
            raw,
            smallest(16, |raw| percent(raw, fine) >= humidity),
        ];
    }
}

impl Registers for Model {
    fn interface(&mut self) -> &mut Interface {
        &mut self.interface
    }

    fn read_register(&mut self, register: u8) -> u8 {
        self.settle();
        self.registers[usize::from(register)]
    }

    fn write_register(&mut self, register: u8, value: u8) {
        self.settle();
        match register {
            RESET if value == 0xB6 => self.reset(),
            CTRL_HUM => self.registers[usize::from(register)] = value & 0b111,
            CTRL_MEAS => {
                self.registers[usize::from(register)] = value;
                self.humidity_oversampling = self.registers[usize::from(CTRL_HUM)];
                if value & 0b11 == 0 {
                    self.converting = None;
                } else if self.converting.is_none() {
                    self.convert(value, 0);
                }
            }
            CONFIG => self.registers[usize::from(register)] = value & 0b1111_1101,
            _ => {} // all others are read only (section 5.3)
        }
    }
}

impl Part for Model {
    fn stimulate(&mut self, channel: &str, value: f64) -> bool {
        match channel {
            "temperature" => self.stimuli[0] = value,
            "humidity" => self.stimuli[1] = value,
            "pressure" => self.stimuli[2] = value,
            _ => return false,
        }
        self.find_raw();
        true
    }

    fn i2c(&mut self) -> Option<&mut dyn I2cPart> {
        Some(self)
    }

    fn spi(&mut self) -> Option<&mut dyn SpiPart> {
        Some(self)
    }
}

/// The data registers, and 0xFF behind them.
fn padded(data: [u8; 8]) -> [u8; 9] {
    let mut all = [0; 9];
    all[..8].copy_from_slice(&data);
    all
}

fn unsigned(low: usize) -> i64 {
    i64::from(u16::from_le_bytes([CALIBRATION[low], CALIBRATION[low + 1]]))
}

fn signed(low: usize) -> i64 {
    i64::from(i16::from_le_bytes([CALIBRATION[low], CALIBRATION[low + 1]]))
}

/// `t_fine`, and the temperature in 0.01 °C.
fn celsius(raw: u32) -> (i64, i32) {
    let (t1, t2, t3, raw) = (unsigned(0), signed(2), signed(4), i64::from(raw));
    let linear = (((raw >> 3) - (t1 << 1)) * t2) >> 11;
    let difference = (raw >> 4) - t1;
    let fine = linear + ((((difference * difference) >> 12) * t3) >> 14);
    (fine, i32::try_from((fine * 5 + 128) >> 8).unwrap_or(i32::MAX))
}

/// The pressure in Pa.
fn pascal(raw: u32, fine: i64) -> f64 {
    let p = |number: usize| if number == 1 { unsigned(6) } else { signed(4 + 2 * number) };
    let x = fine - 128_000;
    let offset = x * x * p(6) + ((x * p(5)) << 17) + (p(4) << 35);
    let slope = ((x * x * p(3)) >> 8) + ((x * p(2)) << 12);
    let slope = (((1 << 47) + slope) * p(1)) >> 33;
    if slope == 0 {
        return 0.0;
    }
    let pressure = ((((1_048_576 - i64::from(raw)) << 31) - offset) * 3_125) / slope;
    let square = (p(9) * (pressure >> 13) * (pressure >> 13)) >> 25;
    let pressure = ((pressure + square + ((p(8) * pressure) >> 19)) >> 8) + (p(7) << 4);
    #[allow(clippy::cast_precision_loss)] // Q24.8
    let pascal = pressure as f64 / 256.0;
    pascal
}

/// The humidity in %.
fn percent(raw: u32, fine: i64) -> f64 {
    let [h2_low, h2_high, h3, h4, both, h5, h6] = HUMIDITY_CALIBRATION;
    let (h1, h2, h3) = (i64::from(CALIBRATION[25]), i64::from(i16::from_le_bytes([h2_low, h2_high])), i64::from(h3));
    let h4 = (i64::from(h4.cast_signed()) << 4) | i64::from(both & 0x0F);
    let h5 = (i64::from(h5.cast_signed()) << 4) | i64::from(both >> 4);
    let h6 = i64::from(h6.cast_signed());
    let x = fine - 76_800;
    let first = ((i64::from(raw) << 14) - (h4 << 20) - h5 * x + 16_384) >> 15;
    let second = (((((x * h6) >> 10) * (((x * h3) >> 11) + 32_768)) >> 10) + 2_097_152) * h2 + 8_192;
    let product = first * (second >> 14);
    let bent = product - (((((product >> 15) * (product >> 15)) >> 7) * h1) >> 4);
    #[allow(clippy::cast_precision_loss)] // Q22.10
    let percent = (bent.clamp(0, 419_430_400) >> 12) as f64 / 1_024.0;
    percent
}
