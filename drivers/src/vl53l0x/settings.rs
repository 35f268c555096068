//! What is written to the part, and what of it is computed.

/// The maker's tuning (the library's default settings): registers and values, in this order. Register 0xFF chooses the
/// page of what follows.
pub const TUNING: &[(u8, u8)] = &[
    (0xFF, 0x01),
    (0x00, 0x00),
    (0xFF, 0x00),
    (0x09, 0x00),
    (0x10, 0x00),
    (0x11, 0x00),
    (0x24, 0x01),
    (0x25, 0xFF),
    (0x75, 0x00),
    (0xFF, 0x01),
    (0x4E, 0x2C),
    (0x48, 0x00),
    (0x30, 0x20),
    (0xFF, 0x00),
    (0x30, 0x09),
    (0x54, 0x00),
    (0x31, 0x04),
    (0x32, 0x03),
    (0x40, 0x83),
    (0x46, 0x25),
    (0x60, 0x00),
    (0x27, 0x00),
    (0x50, 0x06),
    (0x51, 0x00),
    (0x52, 0x96),
    (0x56, 0x08),
    (0x57, 0x30),
    (0x61, 0x00),
    (0x62, 0x00),
    (0x64, 0x00),
    (0x65, 0x00),
    (0x66, 0xA0),
    (0xFF, 0x01),
    (0x22, 0x32),
    (0x47, 0x14),
    (0x49, 0xFF),
    (0x4A, 0x00),
    (0xFF, 0x00),
    (0x7A, 0x0A),
    (0x7B, 0x00),
    (0x78, 0x21),
    (0xFF, 0x01),
    (0x23, 0x34),
    (0x42, 0x00),
    (0x44, 0xFF),
    (0x45, 0x26),
    (0x46, 0x05),
    (0x40, 0x40),
    (0x0E, 0x06),
    (0x20, 0x1A),
    (0x43, 0x40),
    (0xFF, 0x00),
    (0x34, 0x03),
    (0x35, 0x44),
    (0xFF, 0x01),
    (0x31, 0x04),
    (0x4B, 0x09),
    (0x4C, 0x05),
    (0x4D, 0x04),
    (0xFF, 0x00),
    (0x44, 0x00),
    (0x45, 0x20),
    (0x47, 0x08),
    (0x48, 0x28),
    (0x67, 0x00),
    (0x70, 0x04),
    (0x71, 0x01),
    (0x72, 0xFE),
    (0x76, 0x00),
    (0x77, 0x00),
    (0xFF, 0x01),
    (0x0D, 0x01),
    (0xFF, 0x00),
    (0x80, 0x01),
    (0x01, 0xF8),
    (0xFF, 0x01),
    (0x8E, 0x01),
    (0x00, 0x01),
    (0xFF, 0x00),
    (0x80, 0x00),
];

/// A macro period in ns: 2304 clocks of 1.655 ns, times the clocks from one pulse of the laser to the next.
const fn macro_period_ns(pulse: u32) -> u32 {
    (2_304 * pulse * 1_655 + 500) / 1_000
}

/// Clocks from pulse to pulse: 14 for the coarse range, 10 for the fine one (registers 0x50 and 0x70 of the tuning).
const COARSE_NS: u32 = macro_period_ns(14);
const FINE_NS: u32 = macro_period_ns(10);
/// How many macro periods the first steps may take (register 0x46), and the coarse range (registers 0x51 and 0x52).
const FIRST_PERIODS: u32 = 0x25 + 1;
const COARSE_PERIODS: u32 = 0x96 + 1;
/// What the library reckons for the start, the end, the choice of detectors, the coarse range and the fine one, in µs.
const OVERHEADS_US: u32 = 1_320 + 960 + 2 * 690 + 660 + 550;

/// The time for the fine range, as its register has it: what is left of `budget_us`, and the periods of the coarse range
/// besides. The choice of detectors takes the first steps twice.
pub fn final_range_timeout(budget_us: u32) -> u16 {
    let others_us = OVERHEADS_US + 2 * coarse_us(FIRST_PERIODS) + coarse_us(COARSE_PERIODS);
    let left_ns = budget_us.saturating_sub(others_us) * 1_000;
    encoded(COARSE_PERIODS + (left_ns + FINE_NS / 2) / FINE_NS)
}

/// Time of so many macro periods of the coarse range in µs. The library adds half a period.
fn coarse_us(periods: u32) -> u32 {
    (periods * COARSE_NS + COARSE_NS / 2) / 1_000
}

/// A number of periods as a register has it: (low byte · 2^high byte) + 1.
fn encoded(periods: u32) -> u16 {
    let (mut low, mut high) = (periods.saturating_sub(1), 0);
    while low > 0xFF {
        low >>= 1;
        high += 1;
    }
    u16::from_be_bytes([high, low.to_le_bytes()[0]])
}

/// Which reference detectors are to be on: the first so many of the good ones, beginning with the twelfth if they are to
/// be those behind an aperture. `chosen` is the number, and in its highest bit the kind.
pub fn reference_spads(good: [u8; 6], chosen: u8) -> [u8; 6] {
    let (mut left, first) = (chosen & 0x7F, if chosen & 0x80 == 0 { 0 } else { 12 });
    let mut on = [0; 6];
    for spad in first..48 {
        let (at, bit) = (spad / 8, 1 << (spad % 8));
        if left > 0 && good[at] & bit != 0 {
            on[at] |= bit;
            left -= 1;
        }
    }
    on
}
