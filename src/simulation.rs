//! What happens around the simulated parts of `run --simulate`: a greenhouse with weather, a heater, a pump and a door.
//!
//! It only turns the knobs that the world turns: what parts measure, and levels of lines that nobody drives. Drivers,
//! buses and everything above them are those of a real machine.

mod play;
mod world;

pub use world::{Influence, World};

use crate::bus::Simulated;
use crate::config::{ActuatorConfig, At, Config, LineName, SensorConfig, Source};
use halyard_drivers::port::{OutputPort, Wire};
use halyard_drivers::sim::{Line, SharedPart};
use halyard_drivers::{Actuator, Channel};
use play::Player;
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// Time between two steps.
const STEP: Duration = Duration::from_millis(250);
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
    inputs: Vec<Input>,
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

/// An input that changes by itself.
struct Input {
    is_door: bool,
    player: Player,
}

/// What an input is connected to.
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

    /// `time`: when that was, for whoever tells others of it.
    fn pull_at(&self, high: bool, time: SystemTime) {
        match self {
            Self::Line(line) => line.pull_at(high, time),
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
            inputs: Vec::new(),
            interrupts: Vec::new(),
            heaters: actuators("heater"),
            pumps: actuators("pump"),
        };
        for sensor in &config.sensors {
            if let Source::Edges { spec, .. } = &sensor.source {
                let lines = spec.lines().iter().filter_map(|key| Wired::to(sensor.at.line(key)?, config, stage));
                let player = Player::new(spec.as_ref(), lines.collect(), &mut scene.random);
                scene.inputs.push(Input { is_door: sensor.id.contains("door"), player });
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
        for input in &mut self.inputs {
            input.player.step(dt, &mut self.random);
        }
        for Interrupt { part, line } in &self.interrupts {
            let active = part.lock().interrupt().unwrap_or(false);
            line.pull(!active);
        }
        let influence = Influence {
            heater: self.heaters.iter_mut().any(is_on),
            pump: self.pumps.iter_mut().any(is_on),
            door: self.inputs.iter().any(|input| input.is_door && input.player.is_on()),
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
