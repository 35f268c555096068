//! From raw values to what was measured: the maker's formulas in floating point.

/// The calibration of one part. The pressure's and the humidity's parameters are numbered from 1, as by the maker.
#[derive(Clone, Copy, Debug)]
pub struct Calibration {
    t: [f64; 3],
    p: [f64; 10],
    h: [f64; 7],
    g: [f64; 3],
    res_heat_range: f64,
    res_heat_val: f64,
    range_sw_err: f64,
}

/// Of each range of the gas: how far it is off, in % (`lookup_k1_range`, `lookup_k2_range`).
const K1: [f64; 16] = [0.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, -0.8, 0.0, 0.0, -0.2, -0.5, 0.0, -1.0, 0.0, 0.0];
const K2: [f64; 16] = [0.0, 0.0, 0.0, 0.0, 0.1, 0.7, 0.0, -0.8, -0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];

impl Calibration {
    /// From the registers 0x8A on, 0xE1 on, and 0x00 on. Any bytes are some calibration: what it leads to is checked by
    /// the ranges.
    #[must_use]
    pub fn new(first: [u8; 23], second: [u8; 14], third: [u8; 5]) -> Self {
        let [t2, t2h, t3, _, p1, p1h, p2, p2h, p3, _, p4, p4h, p5, p5h, p7, p6, _, _, p8, p8h, p9, p9h, p10] = first;
        let [h2, both, h1, h3, h4, h5, h6, h7, t1, t1h, g2, g2h, g1, g3] = second;
        let [res_heat_val, _, res_heat_range, _, range_sw_err] = third;
        let unsigned = |low, high| f64::from(u16::from_le_bytes([low, high]));
        let signed = |low, high| f64::from(i16::from_le_bytes([low, high]));
        let short = |byte: u8| f64::from(byte.cast_signed());
        // Two numbers of twelve bits share a byte.
        let twelve = |high: u8, low: u8| f64::from(u16::from(high) << 4 | u16::from(low));
        Self {
            t: [unsigned(t1, t1h), signed(t2, t2h), short(t3)],
            p: [
                unsigned(p1, p1h),
                signed(p2, p2h),
                short(p3),
                signed(p4, p4h),
                signed(p5, p5h),
                short(p6),
                short(p7),
                signed(p8, p8h),
                signed(p9, p9h),
                f64::from(p10),
            ],
            h: [
                twelve(h1, both & 0x0F),
                twelve(h2, both >> 4),
                short(h3),
                short(h4),
                short(h5),
                f64::from(h6),
                short(h7),
            ],
            g: [short(g1), signed(g2, g2h), short(g3)],
            res_heat_range: f64::from(res_heat_range >> 4 & 0b11),
            res_heat_val: short(res_heat_val),
            range_sw_err: f64::from(range_sw_err.cast_signed() >> 4),
        }
    }

    /// The temperature as the other formulas want it: 5120 for each °C.
    #[must_use]
    pub fn fine(&self, raw: u32) -> f64 {
        let ([t1, t2, t3], raw) = (self.t, f64::from(raw));
        let square = (raw / 131_072.0 - t1 / 8_192.0).powi(2);
        (raw / 16_384.0 - t1 / 1_024.0) * t2 + square * t3 * 16.0
    }

    /// Temperature in °C.
    #[must_use]
    pub fn celsius(fine: f64) -> f64 {
        fine / 5_120.0
    }

    /// Pressure in Pa.
    #[must_use]
    pub fn pascal(&self, raw: u32, fine: f64) -> f64 {
        let [p1, p2, p3, p4, p5, p6, p7, p8, p9, p10] = self.p;
        let x = fine / 2.0 - 64_000.0;
        let offset = (x * x * p6 / 131_072.0 + x * p5 * 2.0) / 4.0 + p4 * 65_536.0;
        let slope = (1.0 + (p3 * x * x / 16_384.0 + p2 * x) / 524_288.0 / 32_768.0) * p1;
        let pressure = (1_048_576.0 - f64::from(raw) - offset / 4_096.0) * 6_250.0 / slope;
        let square = p9 * pressure * pressure / 2_147_483_648.0;
        let cube = (pressure / 256.0).powi(3) * p10 / 131_072.0;
        pressure + (square + pressure * p8 / 32_768.0 + cube + p7 * 128.0) / 16.0
    }

    /// Relative humidity in %. The formula reaches beyond what is possible at both ends, where the maker's driver crops.
    #[must_use]
    pub fn percent(&self, raw: u16, celsius: f64) -> f64 {
        let [h1, h2, h3, h4, h5, h6, h7] = self.h;
        let difference = f64::from(raw) - (h1 * 16.0 + h3 / 2.0 * celsius);
        let slope = h2 / 262_144.0 * (1.0 + h4 / 16_384.0 * celsius + h5 / 1_048_576.0 * celsius * celsius);
        let linear = difference * slope;
        (linear + (h6 / 16_384.0 + h7 / 2_097_152.0 * celsius) * linear * linear).clamp(0.0, 100.0)
    }

    /// Resistance of the gas sensor in Ω; `range` is from 0 to 15.
    #[must_use]
    pub fn ohms(&self, raw: u16, range: u8) -> f64 {
        let at = usize::from(range & 0x0F);
        let middle = (1_340.0 + 5.0 * self.range_sw_err) * (1.0 + K1[at] / 100.0);
        let scale = (1.0 + K2[at] / 100.0) * 0.000_000_125 * f64::from(1_u32 << at);
        1.0 / (scale * ((f64::from(raw) - 512.0) / middle + 1.0))
    }

    /// The setting for a plate of so many °C, with the air at `ambient` °C.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
    pub fn res_heat(&self, celsius: f64, ambient: f64) -> u8 {
        let [g1, g2, g3] = self.g;
        let hot = (g1 / 16.0 + 49.0) * (1.0 + (g2 / 32_768.0 * 0.000_5 + 0.002_35) * celsius) + g3 / 1_024.0 * ambient;
        let value = hot * (4.0 / (4.0 + self.res_heat_range)) / (1.0 + self.res_heat_val * 0.002);
        (3.4 * (value - 25.0)).clamp(0.0, 255.0) as u8
    }
}
