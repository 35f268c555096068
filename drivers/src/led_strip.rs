//! Driver for strips of WS2812B LEDs (and those that understand the same, such as SK6812 without white): one colour, dimmed.
//!
//! Source: Worldsemi, "WS2812B Intelligent control LED integrated light source"; the times are from its table "Data transfer
//! time", as several who have it give them. A newer revision asks for 280 µs of reset where the first had 50 µs.
//!
//! The strip's input is at the data output (MOSI) of an SPI bus, whose clock gives the time: three of its bits are one of the
//! strip's. The strip does not know of chip selects, so nothing else can be on this bus. It gives nothing back: its state is
//! what was sent last. That is sent again whenever the agent looks, every ten seconds, for a strip that was without power.

pub mod sim;
#[cfg(test)]
mod tests;

use crate::actuator::{Actuator, ActuatorSpec, Appearance, Control};
use crate::driver::{Attachment, Driver, Role, Spec};
use crate::fault::Fault;
use crate::light::luminance;
use crate::options::{Report, read_checked, shape};
use crate::port::{SpiSettings, Wire};
use crate::pwm::level;
use crate::sim::Part;
use crate::value::Value;
use embedded_hal::spi::{self, SpiDevice};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The driver's entry in the list.
pub static DRIVER: Driver = Driver {
    name: "led-strip",
    summary: "Worldsemi WS2812B: a strip of LEDs of one colour, dimmed",
    source: "Worldsemi, WS2812B Intelligent control LED integrated light source",
    role: Role::Actuator,
    identity: &[],
    attachments: &[Attachment::Spi],
    example: "\
- id: strip
  driver: led-strip
  bus: spi0.0
  leds: 8
  colour: [255, 170, 90]
",
    defaults: || Spec::Actuator(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| {
        read_checked(node, problems, Options::contradictions).map(|options| Spec::Actuator(Arc::new(options)))
    },
};

/// Three bits at this clock are 1.25 µs, the time of one bit.
const SPI: SpiSettings = SpiSettings { mode: spi::MODE_0, max_hz: 2_400_000 };
/// A zero: 0.42 µs high (0.4 µs ± 0.15 µs), 0.83 µs low (0.85 µs ± 0.15 µs).
const ZERO: u32 = 0b100;
/// A one: 0.83 µs high (0.8 µs ± 0.15 µs), 0.42 µs low (0.45 µs ± 0.15 µs).
const ONE: u32 = 0b110;
/// Bytes of the clock in 280 µs of low, after which the LEDs show what they got.
const RESET: usize = 84;
/// More LEDs do not fit into the 4096 bytes that Linux sends at once.
const MOST: u16 = 400;

/// Options of the `led-strip` driver.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// How many LEDs the strip has, 1 to 400. Those beyond stay as they are.
    #[schemars(range(min = 1, max = 400))]
    pub leds: u16,
    /// Red, green and blue of all LEDs at 100 %.
    pub colour: [u8; 3],
    /// The order in which the LEDs take the colours.
    pub order: Order,
}

impl Default for Options {
    fn default() -> Self {
        Self { leds: 1, colour: [255; 3], order: Order::Grb }
    }
}

/// The order in which LEDs take the colours.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Green, red, blue: as the WS2812B has it.
    #[default]
    Grb,
    /// Red, green, blue: some others.
    Rgb,
}

impl Options {
    fn contradictions(&self, report: &mut Report) {
        if !(1..=MOST).contains(&self.leds) {
            report.at(&["leds"], format!("`leds` must be from 1 to {MOST}"));
        }
    }

    /// What one LED gets for a level in %: three bytes, in its order. Each colour that shines at 100 % shines at every
    /// level that is not 0.
    fn bytes(&self, level: f64) -> [u8; 3] {
        let part = luminance(level);
        let dim = |full: u8| {
            let least = f64::from(u8::from(level > 0.0 && full > 0));
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 to 255
            let dimmed = (f64::from(full) * part).round().max(least) as u8;
            dimmed
        };
        let [red, green, blue] = self.colour.map(dim);
        match self.order {
            Order::Grb => [green, red, blue],
            Order::Rgb => [red, green, blue],
        }
    }
}

/// A byte for the strip, highest bit first, in three for the bus.
fn encoded(byte: u8) -> [u8; 3] {
    let bits = (0..8).rev().fold(0, |bits, index| bits << 3 | if byte >> index & 1 == 1 { ONE } else { ZERO });
    let [_, first, second, third] = bits.to_be_bytes();
    [first, second, third]
}

/// A strip.
pub struct LedStrip<S> {
    spi: S,
    options: Options,
    /// What it was told to be, once it was.
    level: Option<f64>,
}

impl<S: SpiDevice> LedStrip<S> {
    /// On `spi`, which is not touched.
    pub fn new(spi: S, options: Options) -> Self {
        Self { spi, options, level: None }
    }

    fn send(&mut self, level: f64) -> Result<(), Fault> {
        let led: Vec<u8> = self.options.bytes(level).into_iter().flat_map(encoded).collect();
        let low = [0; RESET];
        // Low before as well: some buses rest high.
        let frame = [&low[..], &led.repeat(self.options.leds.into()), &low].concat();
        self.spi.write(&frame).map_err(|error| Fault::spi(error, "sending the colours"))
    }
}

impl<S: SpiDevice + Send> Actuator for LedStrip<S> {
    fn apply(&mut self, value: &Value) -> Result<Value, Fault> {
        let level = level(value)?;
        self.level = None;
        self.send(level)?;
        self.level = Some(level);
        Ok(Value::Number(level))
    }

    fn read(&mut self) -> Result<Option<Value>, Fault> {
        if let Some(level) = self.level {
            self.send(level)?;
        }
        Ok(self.level.map(Value::Number))
    }
}

impl ActuatorSpec for Options {
    fn control(&self) -> Control {
        Control::Level(Appearance::Light)
    }

    fn spi(&self) -> Option<SpiSettings> {
        Some(SPI)
    }

    fn open(&self, wire: Wire) -> Result<Box<dyn Actuator>, Fault> {
        Ok(Box::new(LedStrip::new(wire.spi()?, *self)))
    }

    fn simulate(&self) -> Option<Box<dyn Part>> {
        Some(Box::new(sim::Strip::new(self.leds.into())))
    }
}
