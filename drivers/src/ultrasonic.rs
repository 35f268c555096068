//! Driver for ultrasonic rangers with a trigger and an echo line: HC-SR04 and those that are made like it.

mod sim;
#[cfg(test)]
mod tests;

use crate::channel::{Channel, Quantity, within};
use crate::driver::{Attachment, Driver, Member, Role, Spec};
use crate::fault::{Fault, FaultKind};
use crate::options::limits::limited;
use crate::options::{read, shape};
use crate::port::{Delay, InputLine, InputPort, InputSettings, OutputPort, Wire};
use crate::sensor::{Sample, Sensor, SensorSpec};
use crate::sim::Part;
use embedded_hal::delay::DelayNs;
use embedded_hal::digital::OutputPin;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The driver's entry in the list.
pub static DRIVER: Driver = Driver {
    name: "ultrasonic",
    summary: "HC-SR04 and alike: distance by ultrasound, 2 cm to 4 m",
    source: "ElecFreaks, Ultrasonic Ranging Module HC-SR04",
    role: Role::Sensor,
    attachments: &[Attachment::Several(&[
        Member { key: "trigger", at: Attachment::OutputLine, required: true, what: "starts a measurement" },
        Member {
            key: "echo",
            at: Attachment::InputLine,
            required: true,
            what: "is high while the sound is on its way; 5 V of most parts, so by a divider",
        },
    ])],
    identity: &[],
    example: "\
- id: tank
  driver: ultrasonic
  trigger: GPIO20
  echo: GPIO21
  every: 10s
  filters:
    distance: [ { median: 5 } ]
",
    defaults: || Spec::Sensor(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| read::<Options>(node, problems).map(|options| Spec::Sensor(Arc::new(options))),
};

/// Index of the channel.
const DISTANCE: usize = 0;

/// What it measures, in m ("electric parameter").
const RANGE: RangeInclusive<f64> = 0.02..=4.0;
/// Length of the trigger pulse ("timing diagram").
const TRIGGER_US: u32 = 10;
/// Least time from trigger to trigger, so that no echo of the one before is heard ("timing diagram").
const CYCLE: Duration = Duration::from_millis(60);
/// The echo line rises half a millisecond after the trigger: the part sends eight periods of 40 kHz before. This is what a
/// busy machine may add.
const BEGIN: Duration = Duration::from_millis(100);
/// The echo line of a part that hears nothing falls after 38 ms; some take 200 ms.
const END: Duration = Duration::from_millis(300);
/// More edges than this before a measurement are no echoes.
const MOST_OLD: usize = 2_000;

/// Options of the `ultrasonic` driver.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Temperature of the air in °C, on which the speed of sound depends: 10 °C more make 1.8 % of the distance.
    pub air_temperature: AirTemperature,
    /// The unit of the distance.
    pub unit: Unit,
}

limited! {
    /// Temperature of the air in °C.
    pub struct AirTemperature in -40.0..=85.0
}

/// The unit of the distance.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Metres.
    #[default]
    M,
    /// Millimetres.
    Mm,
}

impl Default for Options {
    fn default() -> Self {
        Self { air_temperature: AirTemperature(20.0), unit: Unit::default() }
    }
}

impl Unit {
    fn of_a_metre(self) -> f64 {
        match self {
            Self::M => 1.0,
            Self::Mm => 1_000.0,
        }
    }
}

impl SensorSpec for Options {
    fn channels(&self) -> Vec<Channel> {
        // The accuracy is 3 mm.
        let quantity = match self.unit {
            Unit::M => Quantity::measurement("m", "distance", 3),
            Unit::Mm => Quantity::measurement("mm", "distance", 0),
        };
        let factor = self.unit.of_a_metre();
        vec![Channel::number("distance", quantity, RANGE.start() * factor..=RANGE.end() * factor)]
    }

    fn open(&self, mut wire: Wire) -> Result<Box<dyn Sensor>, Fault> {
        let (Some(Wire::Output(trigger)), Some(Wire::Input(echo))) = (wire.take("trigger"), wire.take("echo")) else {
            return Err(Fault::rejected("it needs a line to trigger it and a line with its echo"));
        };
        let mut part = Ultrasonic { trigger, echo, delay: Delay, options: *self, triggered: None };
        part.halt()?;
        Ok(Box::new(part))
    }

    fn listens(&self, key: &str) -> Option<InputSettings> {
        (key == "echo").then(InputSettings::default)
    }

    fn simulate(&self) -> Option<Box<dyn Part>> {
        Some(Box::new(sim::Model::new(self.unit.of_a_metre())))
    }
}

/// A part.
struct Ultrasonic<D> {
    trigger: OutputPort,
    echo: InputPort,
    delay: D,
    options: Options,
    triggered: Option<Instant>,
}

impl<D: DelayNs> Ultrasonic<D> {
    /// How long the sound was on its way: to what is there, and back.
    fn echo(&mut self) -> Result<Duration, Fault> {
        let echo = &mut self.echo.0;
        let mut old = 0;
        while echo.edge(Duration::ZERO)?.is_some() {
            old += 1;
            if old > MOST_OLD {
                return Err(Fault::corrupt("the echo line changes all the time"));
            }
        }
        if echo.level()? {
            return Err(Fault::new(FaultKind::NotReady, "the echo line is high before a measurement"));
        }
        self.trigger.set_high().map_err(|error| Fault::line(error, "starting a trigger pulse"))?;
        self.delay.delay_us(TRIGGER_US);
        self.trigger.set_low().map_err(|error| Fault::line(error, "ending a trigger pulse"))?;
        let began = level(echo.as_mut(), true, BEGIN)?
            .ok_or_else(|| Fault::new(FaultKind::Absent, "it does not answer to its trigger"))?;
        let ended = level(echo.as_mut(), false, END)?.ok_or_else(|| nothing_there(END))?;
        Ok(ended.saturating_sub(began))
    }
}

/// When the line next goes to this level.
fn level(line: &mut dyn InputLine, wanted: bool, patience: Duration) -> Result<Option<Duration>, Fault> {
    loop {
        match line.edge(patience)? {
            Some((high, time)) if high == wanted => return Ok(Some(time)),
            // An edge between two alike ones was too short to be seen.
            Some(_) => {}
            None => return Ok(None),
        }
    }
}

fn nothing_there(echo: Duration) -> Fault {
    Fault::new(FaultKind::NotReady, format!("nothing within its range: no echo for {} ms", echo.as_millis()))
}

impl<D: DelayNs + Send> Sensor for Ultrasonic<D> {
    fn sample(&mut self, out: &mut Sample) -> Result<(), Fault> {
        if let Some(rest) = self.triggered.and_then(|then| CYCLE.checked_sub(then.elapsed())) {
            self.delay.delay_us(u32::try_from(rest.as_micros()).unwrap_or(u32::MAX));
        }
        let echo = self.echo();
        // Whatever became of it: its sound is under way.
        self.triggered = Some(Instant::now());
        let metres = metres(echo?, self.options.air_temperature.number())?;
        out.number(DISTANCE, metres * self.options.unit.of_a_metre());
        Ok(())
    }

    fn halt(&mut self) -> Result<(), Fault> {
        self.trigger.set_low().map_err(|error| Fault::line(error, "resting the trigger line"))
    }
}

/// Distance in m ("timing diagram": high level time × velocity / 2).
fn metres(echo: Duration, celsius: f64) -> Result<f64, Fault> {
    let metres = echo.as_secs_f64() * speed_of_sound(celsius) / 2.0;
    if metres > *RANGE.end() {
        return Err(nothing_there(echo));
    }
    within(metres, &RANGE, "a distance in m")
}

/// In dry air, in m/s: 331.3 at 0 °C, and as the root of the absolute temperature.
fn speed_of_sound(celsius: f64) -> f64 {
    331.3 * (1.0 + celsius / 273.15).sqrt()
}
