//! Model of the MCP3008, bit by bit (section 5.0, figures 5-1 and 5-2).

use super::{Inputs, Pin, Reference};
use crate::analog::Scales;
use crate::sim::{Part, SpiPart};

/// The part.
pub struct Model {
    /// Voltages of the inputs.
    inputs: [f64; 8],
    reference: f64,
    /// Clocks since the start bit, which is 0; none before it.
    clocks: Option<u8>,
    /// The four bits after the start bit.
    request: u8,
    /// The result of the conversion.
    code: u16,
    /// The names of the channels.
    channels: Inputs<Pin>,
    /// What is connected to them.
    scales: Scales,
}

impl Model {
    /// A part whose inputs are known by these names.
    #[must_use]
    pub fn new(channels: Inputs<Pin>, reference: Reference, scales: Scales) -> Self {
        let reference = reference.number();
        Self {
            inputs: std::array::from_fn(|_| reference / 2.0),
            reference,
            clocks: None,
            request: 0,
            code: 0,
            channels,
            scales,
        }
    }

    /// One clock: a bit in, a bit out. While nothing is driven, the line is pulled up.
    fn clock(&mut self, bit: bool) -> bool {
        const RELEASED: bool = true;
        let Some(clocks) = self.clocks.as_mut() else {
            self.clocks = bit.then_some(0);
            return RELEASED;
        };
        *clocks = clocks.saturating_add(1);
        match *clocks {
            1..=4 => {
                self.request = self.request << 1 | u8::from(bit);
                RELEASED
            }
            5 => {
                self.code = self.convert();
                RELEASED
            }
            6 => false,
            n @ 7..=16 => self.code >> (16 - n) & 1 == 1,
            // Whoever clocks on gets the bits again, from the second lowest up, then zeros.
            n @ 17..=25 => self.code >> (n - 16) & 1 == 1,
            _ => false,
        }
    }

    /// Section 4.2, and table 5-2: against ground, or against the neighbour, which the lowest bit swaps.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
    fn convert(&self) -> u16 {
        let (single, number) = (self.request & 0b1000 != 0, usize::from(self.request & 0b0111));
        let volts = self.inputs[number] - if single { 0.0 } else { self.inputs[number ^ 1] };
        (1_024.0 * volts / self.reference).clamp(0.0, 1_023.0) as u16
    }
}

impl Part for Model {
    fn stimulate(&mut self, channel: &str, value: f64) -> bool {
        let Some((_, pin)) = self.channels.iter().find(|(name, _)| *name == channel) else { return false };
        self.inputs[pin as usize] = self.scales.volts(channel, value);
        true
    }

    fn spi(&mut self) -> Option<&mut dyn SpiPart> {
        Some(self)
    }
}

impl SpiPart for Model {
    fn select(&mut self) {
        (self.clocks, self.request) = (None, 0);
    }

    fn exchange(&mut self, byte: u8) -> u8 {
        (0..8).rev().fold(0, |out, bit| out << 1 | u8::from(self.clock(byte >> bit & 1 == 1)))
    }
}
