//! What an expander is to the agent: a chip that gives lines or PWM channels to other devices.

use crate::fault::Fault;
use crate::port::{Pull, Wire};
use crate::sim::Part;

/// What an expander has to give.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Offer {
    /// How many pins it has, numbered from 0.
    pub pins: u8,
    /// Whether they can be read.
    pub inputs: bool,
    /// The pulses that they can give, if they can, which makes them PWM channels.
    pub pulses: Option<Pulses>,
    /// The pulls that an input can have.
    pub pulls: &'static [Pull],
}

/// Pulses that have the same period on all pins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pulses {
    /// That period in ns.
    pub period_ns: f64,
}

impl Pulses {
    /// How far a period that is asked for may be from it.
    const TOLERANCE: f64 = 0.05;

    /// Whether this period, in ns, can be asked for.
    #[must_use]
    pub fn allow(self, period_ns: f64) -> bool {
        (period_ns - self.period_ns).abs() <= self.period_ns * Self::TOLERANCE
    }
}

/// The levels of all pins: bit N is pin N, 1 is high.
pub type Levels = u32;

/// An expander. Its methods block: they run on workers only, one at a time, whoever has its pins.
///
/// A chip that was without power has forgotten which of its pins are outputs, and of what level. Every method that can
/// notice that says so by a fault that has the chip opened anew.
pub trait Expander: Send {
    /// Makes a pin an output of this level, in one step: it never shows the other level on the way.
    ///
    /// # Errors
    /// A [`Fault`]: the level is not known then.
    fn drive(&mut self, pin: u8, high: bool) -> Result<(), Fault>;

    /// Makes a pin an input.
    ///
    /// # Errors
    /// A [`Fault`]; [`Rejected`](crate::FaultKind::Rejected) if it has no such pull, or no inputs.
    fn listen(&mut self, pin: u8, pull: Pull) -> Result<(), Fault>;

    /// The levels of all pins, outputs included, as they are at the pins where the chip can tell. Ends its interrupt.
    ///
    /// # Errors
    /// A [`Fault`].
    fn levels(&mut self) -> Result<Levels, Fault>;

    /// The levels as they were when the chip noticed the first change since it was last asked, and as they are now. Of a
    /// chip that keeps no such record both are the levels now.
    ///
    /// # Errors
    /// A [`Fault`].
    fn changes(&mut self) -> Result<(Levels, Levels), Fault> {
        let now = self.levels()?;
        Ok((now, now))
    }

    /// Gives pulses: see [`PwmOutput::pulses`](crate::port::PwmOutput::pulses).
    ///
    /// # Errors
    /// A [`Fault`]; [`Rejected`](crate::FaultKind::Rejected) if it cannot give such ones.
    fn pulses(&mut self, pin: u8, period_ns: u64, high_ns: u64) -> Result<(), Fault> {
        let _ = (pin, period_ns, high_ns);
        Err(Fault::rejected("this expander has lines, and no PWM channels"))
    }

    /// The pulses that a pin gives: see [`PwmOutput::found`](crate::port::PwmOutput::found).
    ///
    /// # Errors
    /// A [`Fault`].
    fn found(&mut self, pin: u8) -> Result<Option<(u64, u64)>, Fault> {
        let _ = pin;
        Ok(None)
    }
}

/// A configured expander: knows all about it but the hardware, and opens it as often as needed.
pub trait ExpanderSpec: Send + Sync {
    /// What it has to give.
    fn offer(&self) -> Offer;

    /// Opens the part without changing what its pins do.
    ///
    /// # Errors
    /// A [`Fault`]: absent, another part, a failed transfer.
    fn open(&self, wire: Wire) -> Result<Box<dyn Expander>, Fault>;

    /// The register-level model of the part. Its pins are the channels `0`, `1` and so on of
    /// [`stimulate`](Part::stimulate): what drives them from outside, 0 for low and anything else for high.
    fn simulate(&self) -> Box<dyn Part>;
}
