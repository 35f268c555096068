//! Model of the MAX31865: its eight registers, one conversion at a time, the search for faults, and an element whose
//! inputs need time to settle.

use super::{BIAS, CLEAR_FAULTS, DETECT_CLOSED, DETECT_OPEN, ONE_SHOT, Options, resistance};
use crate::sim::clock::now;
use crate::sim::{Part, SpiPart};
use std::time::{Duration, Instant};

/// "1-Shot": how long a conversion takes with the filter for 50 Hz, and for 60 Hz.
const CONVERSION: [Duration; 2] = [Duration::from_micros(62_500), Duration::from_micros(52_000)];
/// How long the inputs need to settle after the voltage was switched on.
const SETTLING: Duration = Duration::from_millis(2);
/// Table 1: registers after a reset.
const RESET: [u8; 8] = [0, 0, 0, 0xFF, 0xFF, 0, 0, 0];

/// The part, the reference resistor and the element.
pub struct Model {
    registers: [u8; 8],
    /// Steps of the converter for each share of the element's resistance at 0 °C.
    scale: f64,
    /// The element's resistance as a share of that at 0 °C.
    element: f64,
    /// Table 7: faults of the wires that a search finds, bits 2 to 5.
    faults: u8,
    /// Since when there is a voltage on the element.
    biased: Option<Instant>,
    /// Since when the first step of a search waits for the second.
    detecting: Option<Instant>,
    /// When the running conversion ends, and what it gives.
    converting: Option<(Instant, u16)>,
    /// The address that was sent since it was selected, and counts on.
    address: Option<u8>,
}

impl Model {
    /// A part with the element and the reference resistor of these options, at 21.5 °C.
    #[must_use]
    pub fn new(options: &Options) -> Self {
        Self {
            registers: RESET,
            scale: options.scale(),
            element: resistance(21.5),
            faults: 0,
            biased: None,
            detecting: None,
            converting: None,
            address: None,
        }
    }

    /// Another resistance of the element, as a share of that at 0 °C: 0 is shorted, infinite is open.
    pub fn set_element(&mut self, share: f64) {
        self.element = share;
    }

    /// Connects the element wrongly: bits 2 to 5 of table 7.
    pub fn set_faults(&mut self, faults: u8) {
        self.faults = faults & 0b0011_1100;
    }

    /// Takes the power away and gives it back.
    pub fn reset(&mut self) {
        self.registers = RESET;
        (self.biased, self.detecting, self.converting) = (None, None, None);
    }

    fn settled(&self) -> bool {
        self.biased.is_some_and(|since| now() >= since + SETTLING)
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
    fn configure(&mut self, value: u8) {
        self.biased = if value & BIAS == 0 { None } else { self.biased.or_else(|| Some(now())) };
        let mut kept = value & !CLEAR_FAULTS & !ONE_SHOT;
        match value & DETECT_OPEN {
            DETECT_CLOSED => self.detecting = self.settled().then(now),
            DETECT_OPEN => {
                if self.detecting.take().is_some_and(|since| now() >= since + SETTLING) {
                    self.registers[7] |= self.faults;
                }
                kept &= !DETECT_OPEN;
            }
            _ if value & CLEAR_FAULTS != 0 => self.registers[7] = 0,
            _ if value & ONE_SHOT != 0 => {
                // What has not settled is nothing like the element.
                let code = if self.settled() { self.scale * self.element } else { 0.0 };
                let time = CONVERSION[usize::from(value & 1 == 0)];
                self.converting = Some((now() + time, code.round().clamp(0.0, 32_767.0) as u16));
                kept |= ONE_SHOT;
            }
            _ => {}
        }
        self.registers[0] = kept;
    }

    fn settle(&mut self) {
        let Some((_, code)) = self.converting.take_if(|(ends, _)| now() >= *ends) else { return };
        self.registers[0] &= !ONE_SHOT;
        let word = |at: usize| u16::from_be_bytes([self.registers[at], self.registers[at + 1]]);
        let (high, low) = (word(3), word(5));
        if code << 1 >= high {
            self.registers[7] |= 1 << 7;
        }
        if code << 1 <= low {
            self.registers[7] |= 1 << 6;
        }
        let fault = u16::from(self.registers[7] != 0);
        [self.registers[1], self.registers[2]] = (code << 1 | fault).to_be_bytes();
    }
}

impl Part for Model {
    fn stimulate(&mut self, channel: &str, value: f64) -> bool {
        if channel == "temperature" {
            self.element = resistance(value);
        }
        channel == "temperature"
    }

    fn spi(&mut self) -> Option<&mut dyn SpiPart> {
        Some(self)
    }
}

impl SpiPart for Model {
    fn select(&mut self) {
        self.settle();
        self.address = None;
    }

    fn exchange(&mut self, byte: u8) -> u8 {
        // Nothing drives the line while the part takes a byte: the board pulls it down.
        const IDLE: u8 = 0;
        let Some(address) = self.address else {
            self.address = Some(byte);
            return IDLE;
        };
        self.address = Some(address & 0x80 | address.wrapping_add(1) & 0x07);
        let register = usize::from(address & 0x07);
        if address & 0x80 == 0 {
            return self.registers[register];
        }
        match register {
            0 => self.configure(byte),
            3..=6 => self.registers[register] = byte,
            _ => {} // read only
        }
        IDLE
    }
}
