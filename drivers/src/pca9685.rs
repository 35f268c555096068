//! Driver for the PCA9685 of NXP: sixteen PWM channels of 12 bits on I2C, all of one frequency.
//!
//! Source: NXP, "PCA9685 16-channel, 12-bit PWM Fm+ I2C-bus LED controller", revision 4 of 2015; sections are cited from it.
//!
//! The part has no identity register. It is known by its four further addresses, which are registers (table 4) that
//! nobody has a reason to change.

#[cfg(test)]
mod tests;

pub mod sim;

use crate::driver::{Attachment, Driver, Role, Spec};
use crate::expander::{Expander, ExpanderSpec, Levels, Offer, Pulses};
use crate::fault::{Fault, FaultKind};
use crate::options::{Frequency, read, shape};
use crate::port::{Delay, Pull, Wire};
use crate::sim::Part;
use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::I2c;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;

/// The driver's entry in the list.
pub static DRIVER: Driver = Driver {
    name: "pca9685",
    summary: "NXP PCA9685: sixteen PWM channels, 12 bits",
    source: "NXP, PCA9685 revision 4",
    role: Role::Expander,
    attachments: &[Attachment::I2c { addresses: &ADDRESSES }],
    identity: &[],
    example: "\
- id: dimmers
  driver: pca9685
  bus: i2c-1
  address: 0x40
  frequency: 200Hz
",
    defaults: || Spec::Expander(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| read::<Options>(node, problems).map(|options| Spec::Expander(Arc::new(options))),
};

/// Section 7.1.1: A5 to A0 are the low six bits. 0x70 is the address that all parts answer at after a reset; from 0x78
/// on the bus has other uses.
const ADDRESSES: [u8; 55] = {
    let mut addresses = [0; 55];
    let mut index = 0;
    while index < addresses.len() {
        // 0x40 to 0x6f, then 0x71 to 0x77.
        #[allow(clippy::cast_possible_truncation)] // at most 54
        let offset = index as u8;
        addresses[index] = if offset < 0x30 { 0x40 + offset } else { 0x41 + offset };
        index += 1;
    }
    addresses
};

/// Table 4: the registers.
const MODE1: u8 = 0x00;
const SUBADR1: u8 = 0x02;
const LED0: u8 = 0x06;
const PRE_SCALE: u8 = 0xFE;

/// Table 4: what SUBADR1, 2, 3 and ALLCALLADR hold.
const FURTHER_ADDRESSES: [u8; 4] = [0xE2, 0xE4, 0xE8, 0xE0];

/// Table 5: the oscillator is off; the register's pointer goes on; the part answers at 0x70 as well.
const SLEEP: u8 = 1 << 4;
const AUTO_INCREMENT: u8 = 1 << 5;
const EXTERNAL_CLOCK: u8 = 1 << 6;

/// Table 7: all of the time high, or low, whatever the counts are. In the high bytes of ON and OFF.
const FULL: u8 = 1 << 4;

/// Section 7.3.5: the oscillator's frequency in Hz, and what the period is divided into.
const OSCILLATOR: f64 = 25e6;
const STEPS: u32 = 4096;
/// Section 7.3.5: the range of PRE_SCALE.
const PRESCALES: std::ops::RangeInclusive<f64> = 3.0..=255.0;
/// Section 7.3.1: the oscillator is up after 500 µs at most.
const OSCILLATOR_UP_US: u32 = 500;
/// Channels LED0 to LED15.
const CHANNELS: u8 = 16;

/// Options of the `pca9685` driver.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// The frequency of all channels, 24Hz to 1526Hz: 50Hz for servos, 200Hz and more for lamps. Devices on the channels
    /// have to ask for the same one.
    pub frequency: Rate,
}

impl Default for Options {
    fn default() -> Self {
        Self { frequency: Rate(Frequency(200.0)) }
    }
}

/// A frequency that the part can have (section 7.3.5).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Rate(Frequency);

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let frequency = Frequency::deserialize(deserializer)?;
        if (24.0..=1526.0).contains(&frequency.0) {
            Ok(Self(frequency))
        } else {
            Err(D::Error::custom(format_args!("the frequency must be from 24Hz to 1526Hz, not `{frequency}`")))
        }
    }
}

impl JsonSchema for Rate {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Rate".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Frequency::json_schema(generator);
        schema.insert("description".to_owned(), "A frequency, 24Hz to 1526Hz.".into());
        schema
    }
}

impl Rate {
    /// Section 7.3.5: round(25 MHz / (4096 × rate)) − 1.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped to a byte
    fn prescale(self) -> u8 {
        let prescale = (OSCILLATOR / (f64::from(STEPS) * self.0.0)).round() - 1.0;
        prescale.clamp(*PRESCALES.start(), *PRESCALES.end()) as u8
    }
}

/// The period in ns that a prescale gives.
fn period_ns(prescale: u8) -> f64 {
    (f64::from(prescale) + 1.0) * f64::from(STEPS) / OSCILLATOR * 1e9
}

/// A PCA9685 on its bus.
pub struct Pca9685<I, D> {
    i2c: I,
    address: u8,
    delay: D,
    prescale: u8,
    /// What was written to the four registers of each channel, if something was.
    written: [Option<[u8; 4]>; CHANNELS as usize],
}

impl<I: I2c, D: DelayNs> Pca9685<I, D> {
    /// Recognises the part, and starts it with this frequency. One that runs with it already goes on undisturbed.
    ///
    /// # Errors
    /// Absent, wrong chip, or a failed transfer.
    pub fn new(i2c: I, address: u8, delay: D, options: Options) -> Result<Self, Fault> {
        let prescale = options.frequency.prescale();
        let mut part = Self { i2c, address, delay, prescale, written: [None; CHANNELS as usize] };
        let mut found = [0; 4];
        // One by one: only a part that was set up goes on by itself.
        for (register, byte) in (SUBADR1..).zip(&mut found) {
            *byte = part.read(register, "reading the further addresses")?;
        }
        if found != FURTHER_ADDRESSES {
            return Err(Fault::wrong_chip(format!(
                "the registers 0x02 to 0x05 hold {found:02x?}, expected {FURTHER_ADDRESSES:02x?}: not a PCA9685"
            )));
        }
        let mode = part.read(MODE1, "reading MODE1")?;
        let divides_by = part.read(PRE_SCALE, "reading PRE_SCALE")?;
        let runs = mode & (SLEEP | EXTERNAL_CLOCK) == 0 && divides_by == prescale;
        if !runs {
            // Section 7.3.5: PRE_SCALE can be written asleep only. What the channels were told stays.
            part.write(&[MODE1, SLEEP | AUTO_INCREMENT], "putting it to sleep")?;
            part.write(&[PRE_SCALE, prescale], "writing PRE_SCALE")?;
        }
        part.write(&[MODE1, AUTO_INCREMENT], "waking it up")?;
        part.delay.delay_us(OSCILLATOR_UP_US);
        part.check()?;
        Ok(part)
    }

    fn read(&mut self, register: u8, doing: &str) -> Result<u8, Fault> {
        let mut byte = [0];
        self.i2c.write_read(self.address, &[register], &mut byte).map_err(|error| Fault::i2c(error, doing))?;
        Ok(byte[0])
    }

    fn write(&mut self, bytes: &[u8], doing: &str) -> Result<(), Fault> {
        self.i2c.write(self.address, bytes).map_err(|error| Fault::i2c(error, doing))
    }

    /// Whether it still runs as it was set up: after a reset it sleeps (table 5).
    fn check(&mut self) -> Result<(), Fault> {
        let mode = self.read(MODE1, "reading MODE1")?;
        let prescale = self.read(PRE_SCALE, "reading PRE_SCALE")?;
        if mode == AUTO_INCREMENT && prescale == self.prescale {
            return Ok(());
        }
        let message = format!(
            "MODE1 and PRE_SCALE hold {mode:#04x} and {prescale:#04x}, {AUTO_INCREMENT:#04x} and {:#04x} were written: it was \
             reset, or somebody else writes to it",
            self.prescale
        );
        Err(Fault::new(FaultKind::Bus, message))
    }

    fn channel(&mut self, pin: u8) -> Result<[u8; 4], Fault> {
        let register = register(pin)?;
        let mut bytes = [0; 4];
        self.i2c
            .write_read(self.address, &[register], &mut bytes)
            .map_err(|error| Fault::i2c(error, "reading a channel"))?;
        Ok(bytes)
    }

    fn set(&mut self, pin: u8, bytes: [u8; 4]) -> Result<(), Fault> {
        let register = register(pin)?;
        self.check()?;
        let [on_low, on_high, off_low, off_high] = bytes;
        // One transaction: outputs change at its end (section 7.3.2), and never show half of it.
        self.write(&[register, on_low, on_high, off_low, off_high], "writing a channel")?;
        self.written[usize::from(pin)] = Some(bytes);
        let found = self.channel(pin)?;
        if found != bytes {
            let message = format!("the channel reads back {found:02x?} after {bytes:02x?} was written");
            return Err(Fault::new(FaultKind::Bus, message));
        }
        Ok(())
    }
}

/// Table 4: the first of the four registers of a channel.
fn register(pin: u8) -> Result<u8, Fault> {
    if pin < CHANNELS {
        Ok(LED0 + 4 * pin)
    } else {
        Err(Fault::rejected(format!("there is no channel {pin}: they are 0 to 15")))
    }
}

/// The registers for so many steps high: on at the beginning of the period, off after them.
fn registers(steps: u32) -> [u8; 4] {
    match steps {
        0 => [0, 0, 0, FULL],
        STEPS.. => [0, FULL, 0, 0],
        steps => {
            let [low, high, ..] = steps.to_le_bytes();
            [0, 0, low, high]
        }
    }
}

/// For how many steps of the period such a channel is high (table 7: full off goes before full on).
fn steps(registers: [u8; 4]) -> u32 {
    let [on_low, on_high, off_low, off_high] = registers;
    if off_high & FULL != 0 {
        return 0;
    }
    if on_high & FULL != 0 {
        return STEPS;
    }
    let on = u32::from(u16::from_le_bytes([on_low, on_high & 0x0F]));
    let off = u32::from(u16::from_le_bytes([off_low, off_high & 0x0F]));
    (off + STEPS - on) % STEPS
}

impl<I: I2c + Send, D: DelayNs + Send> Expander for Pca9685<I, D> {
    fn drive(&mut self, pin: u8, high: bool) -> Result<(), Fault> {
        self.set(pin, registers(if high { STEPS } else { 0 }))
    }

    fn listen(&mut self, _pin: u8, _pull: Pull) -> Result<(), Fault> {
        Err(Fault::rejected("the PCA9685 has outputs only"))
    }

    /// A channel that gives pulses counts as high.
    fn levels(&mut self) -> Result<Levels, Fault> {
        self.check()?;
        let mut bytes = [0; 4 * CHANNELS as usize];
        self.i2c
            .write_read(self.address, &[LED0], &mut bytes)
            .map_err(|error| Fault::i2c(error, "reading the channels"))?;
        let (channels, _) = bytes.as_chunks::<4>();
        let mut levels = 0;
        for (pin, (found, written)) in channels.iter().zip(self.written).enumerate() {
            if let Some(written) = written
                && written != *found
            {
                let message = format!("channel {pin} holds {found:02x?} after {written:02x?} was written");
                return Err(Fault::new(FaultKind::Bus, message));
            }
            if steps(*found) > 0 {
                levels |= 1 << pin;
            }
        }
        Ok(levels)
    }

    fn pulses(&mut self, pin: u8, period_ns: u64, high_ns: u64) -> Result<(), Fault> {
        let own = self::period_ns(self.prescale);
        #[allow(clippy::cast_precision_loss)] // periods are far below 2^53 ns
        let (asked, high) = (period_ns as f64, high_ns as f64);
        if high > 0.0 && high < asked && !(Pulses { period_ns: own }).allow(asked) {
            let (asked, own) = (1e9 / asked, 1e9 / own);
            return Err(Fault::rejected(format!(
                "all channels of this PCA9685 have {own:.0} Hz, {asked:.0} Hz were asked for: the expander's `frequency` \
                 has to be the same"
            )));
        }
        // The length of the pulse counts, as for a servo, not its part of a period that is a little off.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
        let steps = if high >= asked {
            STEPS
        } else {
            (high / own * f64::from(STEPS)).round().clamp(0.0, f64::from(STEPS)) as u32
        };
        self.set(pin, registers(steps))
    }

    fn found(&mut self, pin: u8) -> Result<Option<(u64, u64)>, Fault> {
        self.check()?;
        let found = self.channel(pin)?;
        let period = period_ns(self.prescale);
        let high = period * f64::from(steps(found)) / f64::from(STEPS);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // at most 42 ms
        Ok(Some((period.round() as u64, high.round() as u64)))
    }
}

impl ExpanderSpec for Options {
    fn offer(&self) -> Offer {
        Offer {
            pins: CHANNELS,
            inputs: false,
            pulses: Some(Pulses { period_ns: period_ns(self.frequency.prescale()) }),
            pulls: &[],
        }
    }

    fn open(&self, wire: Wire) -> Result<Box<dyn Expander>, Fault> {
        let (i2c, address) = wire.i2c()?;
        Ok(Box::new(Pca9685::new(i2c, address, Delay, *self)?))
    }

    fn simulate(&self) -> Box<dyn Part> {
        Box::new(sim::Model::default())
    }
}
