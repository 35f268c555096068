//! Model of the BME680: registers over I2C, forced mode, conversion times, and a hot plate.
//!
//! Its back door finds raw values with the maker's **integer** formulas, while the driver uses those in floating point.
//! Its calibration is that of a real part.

use crate::bosch::{Interface, Registers, times};
use crate::sim::clock::now;
use crate::sim::{I2cPart, Part, smallest};
use std::time::{Duration, Instant};

/// Registers 0x8A, 0xE1 and 0x00 on, of a real BME680, recorded by the bosch-bme680 project.
pub(super) const FIRST: [u8; 23] = [
    0x28, 0x68, 0x03, 0xF0, 0x3F, 0x92, 0xB4, 0xD7, 0x58, 0x00, 0xED, 0x28, 0xCC, 0xFE, 0x3E, 0x1E, 0x00, 0x00, 0xD8,
    0xEB, 0xE0, 0xF9, 0x1E,
];
pub(super) const SECOND: [u8; 14] =
    [0x3D, 0xD1, 0x37, 0x00, 0x2D, 0x14, 0x78, 0x9C, 0x56, 0x65, 0x7C, 0xDC, 0xBB, 0x12];
pub(super) const THIRD: [u8; 5] = [0x1E, 0xAA, 0x16, 0xCE, 0x03];

const MEAS_STATUS_0: usize = 0x1D;
const RES_HEAT_0: usize = 0x5A;
const GAS_WAIT_0: usize = 0x64;
const CTRL_GAS_0: usize = 0x70;
const CTRL_GAS_1: usize = 0x71;
const CTRL_HUM: usize = 0x72;
const CTRL_MEAS: usize = 0x74;
const CONFIG: usize = 0x75;
const RESET: usize = 0xE0;

/// The part.
pub struct Model {
    registers: [u8; 256],
    interface: Interface,
    /// °C, %, hPa, Ω.
    stimuli: [f64; 4],
    /// Raw temperature, pressure, humidity; raw gas, and its range.
    raw: [u32; 5],
    /// When the running measurement ends.
    ends: Option<Instant>,
    /// The plate stays cold, whatever it is told.
    cold: bool,
}

impl Default for Model {
    fn default() -> Self {
        Self::with_registers(0, &[])
    }
}

impl Model {
    /// One with these registers set otherwise: another identity, another calibration.
    pub(super) fn with_registers(start: usize, values: &[u8]) -> Self {
        let mut model = Self {
            registers: [0; 256],
            interface: Interface::new(0, false),
            stimuli: [21.5, 45.0, 1_013.25, 120_000.0],
            raw: [0; 5],
            ends: None,
            cold: false,
        };
        model.registers[0xD0] = 0x61;
        model.registers[0x8A..][..FIRST.len()].copy_from_slice(&FIRST);
        model.registers[0xE1..][..SECOND.len()].copy_from_slice(&SECOND);
        model.registers[..THIRD.len()].copy_from_slice(&THIRD);
        model.reset();
        model.registers[start..][..values.len()].copy_from_slice(values);
        model.find_raw();
        model
    }

    /// One whose plate stays cold.
    #[cfg(test)]
    pub(super) fn cold() -> Self {
        Self { cold: true, ..Self::default() }
    }

    /// Makes it measure these raw values: temperature, pressure, humidity; gas, and its range.
    #[cfg(test)]
    pub(super) fn set_raw(&mut self, raw: [u32; 5]) {
        self.raw = raw;
    }

    fn reset(&mut self) {
        self.registers[RES_HEAT_0] = 0;
        self.registers[GAS_WAIT_0] = 0;
        self.registers[CTRL_GAS_0..=CONFIG].fill(0);
        let data = [0, 0, 0x80, 0, 0, 0x80, 0, 0, 0x80, 0, 0, 0, 0, 0, 0x04];
        self.registers[MEAS_STATUS_0..][..data.len()].copy_from_slice(&data);
        self.ends = None;
    }

    fn runs_gas(&self) -> bool {
        self.registers[CTRL_GAS_1] & 0x10 != 0
    }

    /// How long the plate is heated.
    fn heating(&self) -> Duration {
        let wait = self.registers[GAS_WAIT_0];
        Duration::from_millis(u64::from(wait & 0x3F) << (2 * (wait >> 6)))
    }

    /// Starts a measurement. It takes a twentieth longer than is typical.
    fn start(&mut self) {
        let [meas, hum] = [self.registers[CTRL_MEAS], self.registers[CTRL_HUM]];
        let conversions = times(meas >> 5) + times(meas >> 2 & 0b111) + times(hum & 0b111);
        let heating = if self.runs_gas() { self.heating() } else { Duration::ZERO };
        let time = Duration::from_micros(1_963 * conversions + 477 * 9 + 1_000) + heating;
        self.ends = Some(now() + time * 21 / 20);
        self.registers[MEAS_STATUS_0] = if self.runs_gas() { 0x60 } else { 0x20 };
    }

    fn settle(&mut self) {
        if self.ends.take_if(|ends| now() >= *ends).is_none() {
            return;
        }
        self.registers[CTRL_MEAS] &= !0b11; // asleep
        self.registers[MEAS_STATUS_0] = 0x80;
        let [temperature, pressure, humidity, gas, range] = self.raw;
        let [meas, hum] = [self.registers[CTRL_MEAS], self.registers[CTRL_HUM]];
        let twenty = |raw: u32, on: bool| if on { (raw << 4).to_be_bytes() } else { [0, 0x80, 0, 0] };
        let [_, p0, p1, p2] = twenty(pressure, meas >> 2 & 0b111 != 0);
        let [_, t0, t1, t2] = twenty(temperature, meas >> 5 != 0);
        let [_, _, h0, h1] = if hum & 0b111 != 0 { humidity.to_be_bytes() } else { [0, 0, 0x80, 0] };
        self.registers[0x1F..0x27].copy_from_slice(&[p0, p1, p2, t0, t1, t2, h0, h1]);
        if self.runs_gas() {
            let hot =
                !self.cold && self.registers[CTRL_GAS_0] & 0x08 == 0 && self.heating() >= Duration::from_millis(25);
            let [_, _, g0, g1] = (gas << 6).to_be_bytes();
            let flags = 0x20 | if hot { 0x10 } else { 0 };
            self.registers[0x2A..0x2C].copy_from_slice(&[g0, g1 | flags | range.to_le_bytes()[0]]);
        }
    }

    /// Finds the raw values that the formulas turn into the stimuli.
    fn find_raw(&mut self) {
        let [temperature, humidity, pressure, gas] = self.stimuli;
        let raw = smallest(20, |raw| f64::from(celsius(fine(raw))) >= temperature * 100.0);
        let fine = fine(raw);
        // The pressure and the resistance fall with their raw values.
        let raw_pressure = smallest(20, |raw| pascal(raw, fine) <= pressure * 100.0);
        let raw_humidity = smallest(16, |raw| f64::from(percent(raw, fine)) >= humidity * 1_000.0);
        let of_range = |range| (smallest(10, |raw| ohms(raw, range) <= gas), range);
        let off = |(raw, range): &(u32, u32)| (ohms(*raw, *range) - gas).abs();
        let nearest = (0..16).map(of_range).min_by(|a, b| off(a).total_cmp(&off(b)));
        let (raw_gas, range) = nearest.unwrap_or_default();
        self.raw = [raw, raw_pressure, raw_humidity, raw_gas, range];
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
        match (usize::from(register), value) {
            (RESET, 0xB6) => {
                self.reset();
                self.interface.answer_after(Duration::from_millis(5));
            }
            (CTRL_MEAS, value) => {
                self.registers[CTRL_MEAS] = value;
                if value & 0b11 == 0b01 {
                    self.start();
                }
            }
            (at @ (RES_HEAT_0 | GAS_WAIT_0 | CTRL_GAS_0..=CTRL_HUM | CONFIG), value) => self.registers[at] = value,
            _ => {} // all others are read only, or without effect here
        }
    }
}

impl Part for Model {
    fn stimulate(&mut self, channel: &str, value: f64) -> bool {
        match channel {
            "temperature" => self.stimuli[0] = value,
            "humidity" => self.stimuli[1] = value,
            "pressure" => self.stimuli[2] = value,
            "gas_resistance" => self.stimuli[3] = value,
            _ => return false,
        }
        self.find_raw();
        true
    }

    fn i2c(&mut self) -> Option<&mut dyn I2cPart> {
        Some(self)
    }
}

fn first(low: usize) -> i64 {
    i64::from(i16::from_le_bytes([FIRST[low], FIRST[low + 1]]))
}

fn short(byte: u8) -> i64 {
    i64::from(byte.cast_signed())
}

/// `t_fine`.
fn fine(raw: u32) -> i64 {
    let t1 = i64::from(u16::from_le_bytes([SECOND[8], SECOND[9]]));
    let x = (i64::from(raw) >> 3) - (t1 << 1);
    let square = ((x >> 1) * (x >> 1)) >> 12;
    ((x * first(0)) >> 11) + ((square * (short(FIRST[2]) << 4)) >> 14)
}

/// The temperature in 0.01 °C.
fn celsius(fine: i64) -> i32 {
    i32::try_from((fine * 5 + 128) >> 8).unwrap_or(i32::MAX)
}

/// The pressure in Pa.
fn pascal(raw: u32, fine: i64) -> f64 {
    let p1 = i64::from(u16::from_le_bytes([FIRST[4], FIRST[5]]));
    let x = (fine >> 1) - 64_000;
    let quarter = (x >> 2) * (x >> 2);
    let offset = (((quarter >> 11) * short(FIRST[15])) >> 2) + ((x * first(12)) << 1);
    let offset = (offset >> 2) + (first(10) << 16);
    let slope = (((quarter >> 13) * (short(FIRST[8]) << 5)) >> 3) + ((first(6) * x) >> 1);
    let slope = ((32_768 + (slope >> 18)) * p1) >> 15;
    let pressure = (1_048_576 - i64::from(raw) - (offset >> 12)) * 3_125 * 2 / slope;
    let square = (first(20) * (((pressure >> 3) * (pressure >> 3)) >> 13)) >> 12;
    let linear = ((pressure >> 2) * first(18)) >> 13;
    let cube = ((pressure >> 8).pow(3) * i64::from(FIRST[22])) >> 17;
    #[allow(clippy::cast_precision_loss)] // a few hundred thousand
    let pascal = (pressure + ((square + linear + cube + (short(FIRST[14]) << 7)) >> 4)) as f64;
    pascal
}

/// The humidity in 0.001 %.
fn percent(raw: u32, fine: i64) -> i32 {
    let h1 = i64::from(SECOND[2]) << 4 | i64::from(SECOND[1] & 0x0F);
    let h2 = i64::from(SECOND[0]) << 4 | i64::from(SECOND[1] >> 4);
    let t = (fine * 5 + 128) >> 8;
    let difference = i64::from(raw) - h1 * 16 - ((t * short(SECOND[3]) / 100) >> 1);
    let bend = ((t * (t * short(SECOND[5]) / 100)) >> 6) / 100;
    let slope = (h2 * (t * short(SECOND[4]) / 100 + bend + (1 << 14))) >> 10;
    let linear = difference * slope;
    let curve = ((i64::from(SECOND[6]) << 7) + t * short(SECOND[7]) / 100) >> 4;
    let square = ((linear >> 14) * (linear >> 14)) >> 10;
    let percent = (((linear + ((curve * square) >> 1)) >> 10) * 1_000) >> 12;
    i32::try_from(percent.clamp(0, 100_000)).unwrap_or(100_000)
}

/// The resistance of the gas sensor in Ω.
fn ohms(raw: u32, range: u32) -> f64 {
    // How far each range is off, in steps of 2^-31.
    const FACTORS: [i64; 16] = [
        2_147_483_647,
        2_147_483_647,
        2_147_483_647,
        2_147_483_647,
        2_147_483_647,
        2_126_008_810,
        2_147_483_647,
        2_130_303_777,
        2_147_483_647,
        2_147_483_647,
        2_143_188_679,
        2_136_746_228,
        2_147_483_647,
        2_126_008_810,
        2_147_483_647,
        2_147_483_647,
    ];
    const UNITS: [i64; 16] = [
        4_096_000_000,
        2_048_000_000,
        1_024_000_000,
        512_000_000,
        255_744_255,
        127_110_228,
        64_000_000,
        32_258_064,
        16_016_016,
        8_000_000,
        4_000_000,
        2_000_000,
        1_000_000,
        500_000,
        250_000,
        125_000,
    ];
    let at = range as usize;
    let middle = ((1_340 + 5 * (short(THIRD[4]) >> 4)) * FACTORS[at]) >> 16;
    let divisor = (i64::from(raw) << 15) - (1 << 24) + middle;
    #[allow(clippy::cast_precision_loss)] // of no matter to the model
    let ohms = (((UNITS[at] * middle) >> 9) + (divisor >> 1)) as f64 / divisor as f64;
    ohms
}
