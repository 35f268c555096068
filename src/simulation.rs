//! What happens around the simulated parts of `run --simulate`: a greenhouse with weather, a heater, a pump and a door.
//!
//! It only turns the knobs that the world turns: what parts measure, and levels of lines that nobody drives. Drivers,
//! buses and everything above them are those of a real machine.

mod world;

pub use world::{Influence, World};

use crate::bus::Simulated;
use crate::config::{ActuatorConfig, At, Config, LineName, SensorConfig, Source};
use halyard_drivers::port::{OutputPort, Wire};
use halyard_drivers::sim::{Line, SharedPart};
use halyard_drivers::{Actuator, Channel, Edge, EdgeSpec, Sample, Value};
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// Time between two steps.
const STEP: Duration = Duration::from_millis(250);
/// How long contacts stay off and on, in s: from, to.
const OFF: (f64, f64) = (20.0, 60.0);
const ON: (f64, f64) = (5.0, 15.0);
/// The same day in every demonstration.
const SEED: u64 = 7;

/// The simulated buses as the scene needs them.
pub trait Stage {
    /// The model at a place.
    fn part(&self, at: &At) -> Option<SharedPart>;

    /// A line.
    fn line(&self, name: &LineName) -> Line;
}

/// Everything of a configuration that the world acts on, or that acts on the world.
pub struct Scene {
    world: World,
    random: fastrand::Rng,
    measured: Vec<Measured>,
    contacts: Vec<Contact>,
    interrupts: Vec<Interrupt>,
    heaters: Vec<Box<dyn Actuator>>,
    pumps: Vec<Box<dyn Actuator>>,
}

/// A part that measures.
struct Measured {
    id: String,
    part: SharedPart,
    channels: Vec<Channel>,
}

/// An input that goes on and off by itself.
struct Contact {
    wire: Wired,
    /// The level that means on.
    level_of_on: bool,
    is_door: bool,
    on: bool,
    /// Time until it changes.
    left: Duration,
}

/// What a contact is connected to.
enum Wired {
    Line(Line),
    /// A pin of an expander.
    Pin(SharedPart, u8),
}

impl Wired {
    fn to(line: &LineName, config: &Config, stage: &impl Stage) -> Option<Self> {
        match line {
            LineName::Pin { expander, pin } => {
                let expander = config.expanders.iter().find(|config| config.id == *expander)?;
                Some(Self::Pin(stage.part(&expander.at)?, *pin))
            }
            _ => Some(Self::Line(stage.line(line))),
        }
    }

    fn pull(&self, high: bool) {
        match self {
            Self::Line(line) => line.pull(high),
            Self::Pin(part, pin) => {
                part.stimulate(&pin.to_string(), f64::from(u8::from(high)));
            }
        }
    }
}

/// The interrupt of an expander, which pulls a line low.
struct Interrupt {
    part: SharedPart,
    line: Line,
}

impl Scene {
    /// The scene of a configuration, as it is in the morning. Known by their ids: heaters, pumps and doors.
    pub fn new(config: &Config, stage: &impl Stage) -> Self {
        let actuators = |word: &str| {
            config
                .actuators
                .iter()
                .filter(|actuator| actuator.id.contains(word))
                .filter_map(|a| observe(a, stage))
                .collect()
        };
        let mut scene = Self {
            world: World::default(),
            random: fastrand::Rng::with_seed(SEED),
            measured: config.sensors.iter().filter_map(|sensor| measured(sensor, stage)).collect(),
            contacts: Vec::new(),
            interrupts: Vec::new(),
            heaters: actuators("heater"),
            pumps: actuators("pump"),
        };
        for sensor in &config.sensors {
            if let (Source::Edges { spec }, At::Line(line)) = (&sensor.source, &sensor.at)
                && let Some(wire) = Wired::to(line, config, stage)
            {
                scene.contacts.push(Contact {
                    wire,
                    level_of_on: level_of_on(spec.as_ref()),
                    is_door: sensor.id.contains("door"),
                    on: false,
                    left: between(&mut scene.random, OFF),
                });
            }
        }
        for expander in &config.expanders {
            if let (Some(line), Some(part)) = (&expander.interrupt, stage.part(&expander.at)) {
                scene.interrupts.push(Interrupt { part, line: stage.line(line) });
            }
        }
        scene.step(Duration::ZERO);
        scene
    }

    /// Lets `dt` pass, and shows its effects to the parts.
    pub fn step(&mut self, dt: Duration) {
        for contact in &mut self.contacts {
            contact.step(dt, &mut self.random);
        }
        for Interrupt { part, line } in &self.interrupts {
            let active = part.lock().interrupt().unwrap_or(false);
            line.pull(!active);
        }
        let influence = Influence {
            heater: self.heaters.iter_mut().any(is_on),
            pump: self.pumps.iter_mut().any(is_on),
            door: self.contacts.iter().any(|contact| contact.is_door && contact.on),
        };
        self.world.step(dt, influence);
        for Measured { id, part, channels } in &self.measured {
            for channel in channels {
                if let Some(value) = self.world.value(id, channel) {
                    part.stimulate(&channel.name, value);
                }
            }
        }
    }
}

impl Contact {
    fn step(&mut self, dt: Duration, random: &mut fastrand::Rng) {
        self.left = self.left.saturating_sub(dt);
        if self.left.is_zero() {
            self.on = !self.on;
            self.left = between(random, if self.on { ON } else { OFF });
        }
        self.wire.pull(self.on == self.level_of_on);
    }
}

/// Lets time pass until `cancel`.
pub async fn run(mut scene: Scene, cancel: CancellationToken) {
    let mut steps = interval(STEP);
    steps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = Instant::now();
    while cancel.run_until_cancelled(steps.tick()).await.is_some() {
        let now = Instant::now();
        scene.step(now - last);
        last = now;
    }
}

fn measured(sensor: &SensorConfig, stage: &impl Stage) -> Option<Measured> {
    let channels = match &sensor.source {
        Source::Sampled { spec, .. } => spec.channels(),
        Source::Serial { spec, .. } => spec.channels(),
        Source::Edges { .. } => return None,
    };
    Some(Measured { id: sensor.id.clone(), part: stage.part(&sensor.at)?, channels })
}

/// A second driver on an actuator's line, which only ever reads: it knows what level is on.
fn observe(actuator: &ActuatorConfig, stage: &impl Stage) -> Option<Box<dyn Actuator>> {
    let At::Line(line) = &actuator.at else { return None };
    actuator.spec.open(Wire::Output(OutputPort(Box::new(stage.line(line))))).ok()
}

fn is_on(actuator: &mut Box<dyn Actuator>) -> bool {
    actuator.read().is_ok_and(|value| value.is_some_and(|value| value.is_active()))
}

/// Which level the sensor calls on: found by showing it a high one.
fn level_of_on(spec: &dyn EdgeSpec) -> bool {
    let mut on = true;
    let mut see = |_, sample: Sample| on = sample.values().first() != Some(&Some(Value::Switch(false)));
    spec.open().level(Edge { high: true, time: SystemTime::UNIX_EPOCH }, &mut see);
    on
}

fn between(random: &mut fastrand::Rng, (from, to): (f64, f64)) -> Duration {
    Duration::from_secs_f64(from + (to - from) * random.f64())
}

#[cfg(test)]
mod tests;

impl Stage for Simulated {
    fn part(&self, at: &At) -> Option<SharedPart> {
        Self::part(self, at)
    }

    fn line(&self, name: &LineName) -> Line {
        Self::line(self, name)
    }
}
