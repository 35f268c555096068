//! A strip of WS2812B: it goes by the times for which its input is high and low, as the datasheet has them.

use crate::sim::{Part, SpiPart};
use std::ops::Range;

/// Time of a bit on the bus in ns, at 2.4 MHz.
const CLOCK_NS: u32 = 417;
/// T0H and T0L in ns: 0.4 µs and 0.85 µs, each ± 0.15 µs.
const ZERO: [Range<u32>; 2] = [250..551, 700..1001];
/// T1H and T1L in ns: 0.8 µs and 0.45 µs, each ± 0.15 µs.
const ONE: [Range<u32>; 2] = [650..951, 300..601];
/// A low for this long shows what came, in ns.
const RESET: u32 = 280_000;

/// A strip.
pub struct Strip {
    /// For how long the input was high, and then low, in ns.
    high: u32,
    low: u32,
    bits: Vec<bool>,
    /// What each LED shows, as it came.
    shown: Vec<[u8; 3]>,
    /// Bits that are neither one nor zero.
    wrong: usize,
}

impl Strip {
    /// So many dark LEDs.
    #[must_use]
    pub fn new(leds: usize) -> Self {
        Self { high: 0, low: 0, bits: Vec::new(), shown: vec![[0; 3]; leds], wrong: 0 }
    }

    /// What each LED shows.
    #[must_use]
    pub fn shown(&self) -> &[[u8; 3]] {
        &self.shown
    }

    /// How many bits came that are neither one nor zero.
    #[must_use]
    pub fn wrong(&self) -> usize {
        self.wrong
    }

    fn level(&mut self, high: bool) {
        if high && self.low > 0 {
            self.bit();
            (self.high, self.low) = (0, 0);
        }
        if high {
            self.high += CLOCK_NS;
            return;
        }
        self.low += CLOCK_NS;
        if self.low >= RESET {
            self.latch();
        }
    }

    /// The bit that ended with a low.
    fn bit(&mut self) {
        if self.high == 0 {
            return;
        }
        let is = |times: &[Range<u32>; 2]| times[0].contains(&self.high) && times[1].contains(&self.low);
        match (is(&ZERO), is(&ONE)) {
            (true, false) => self.bits.push(false),
            (false, true) => self.bits.push(true),
            _ => self.wrong += 1,
        }
    }

    fn latch(&mut self) {
        // The low of the last bit goes on into the reset: its high alone tells.
        if self.high > 0 {
            self.bits.push(ONE[0].contains(&self.high));
            self.high = 0;
        }
        let byte = |bits: &[bool]| bits.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
        for (shown, bits) in self.shown.iter_mut().zip(self.bits.chunks_exact(24)) {
            *shown = [byte(&bits[..8]), byte(&bits[8..16]), byte(&bits[16..])];
        }
        self.bits.clear();
    }
}

impl Part for Strip {
    fn stimulate(&mut self, _channel: &str, _value: f64) -> bool {
        false
    }

    fn spi(&mut self) -> Option<&mut dyn SpiPart> {
        Some(self)
    }
}

impl SpiPart for Strip {
    fn select(&mut self) {}

    fn exchange(&mut self, byte: u8) -> u8 {
        (0..8).rev().for_each(|index| self.level(byte >> index & 1 == 1));
        0
    }
}
