//! From raw values to temperature and pressure: the maker's formulas in floating point.

/// How many bytes of calibration there are.
pub const BYTES: usize = 21;

/// The calibration of one part, scaled (`parse_calib_data`).
#[derive(Clone, Copy, Debug)]
pub struct Calibration {
    t: [f64; 3],
    p: [f64; 11],
}

impl Calibration {
    /// From the registers 0x31 to 0x45. Any bytes are some calibration: what it leads to is checked by the ranges.
    #[must_use]
    pub fn new(bytes: [u8; BYTES]) -> Self {
        let [t1, t1h, t2, t2h, t3, p1, p1h, p2, p2h, p3, p4, p5, p5h, p6, p6h, p7, p8, p9, p9h, p10, p11] = bytes;
        let unsigned = |low, high| f64::from(u16::from_le_bytes([low, high]));
        let signed = |low, high| f64::from(i16::from_le_bytes([low, high]));
        let short = |byte: u8| f64::from(byte.cast_signed());
        let scaled = |value: f64, power: i32| value * 2_f64.powi(power);
        Self {
            t: [scaled(unsigned(t1, t1h), 8), scaled(unsigned(t2, t2h), -30), scaled(short(t3), -48)],
            p: [
                scaled(signed(p1, p1h) - 16_384.0, -20),
                scaled(signed(p2, p2h) - 16_384.0, -29),
                scaled(short(p3), -32),
                scaled(short(p4), -37),
                scaled(unsigned(p5, p5h), 3),
                scaled(unsigned(p6, p6h), -6),
                scaled(short(p7), -8),
                scaled(short(p8), -15),
                scaled(signed(p9, p9h), -48),
                scaled(short(p10), -48),
                scaled(short(p11), -65),
            ],
        }
    }

    /// Temperature in °C of a raw one.
    #[must_use]
    pub fn celsius(&self, raw: u32) -> f64 {
        let [t1, t2, t3] = self.t;
        let difference = f64::from(raw) - t1;
        difference * t2 + difference * difference * t3
    }

    /// Pressure in Pa of a raw one, at this temperature in °C.
    #[must_use]
    pub fn pascal(&self, raw: u32, t: f64) -> f64 {
        let [p1, p2, p3, p4, p5, p6, p7, p8, p9, p10, p11] = self.p;
        let raw = f64::from(raw);
        let offset = p5 + p6 * t + p7 * t.powi(2) + p8 * t.powi(3);
        let slope = p1 + p2 * t + p3 * t.powi(2) + p4 * t.powi(3);
        offset + raw * slope + raw.powi(2) * (p9 + p10 * t) + raw.powi(3) * p11
    }
}
