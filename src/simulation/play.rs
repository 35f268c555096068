//! What happens on lines that nobody drives: doors, buttons, meters and knobs by themselves.

use super::Wired;
use halyard_drivers::port::Pull;
use halyard_drivers::{Edge, EdgeSpec, Fault, Play, Sample, Value};
use std::time::{Duration, SystemTime};

/// Times in s, from and to: how long contacts stay off and on,
const OFF: (f64, f64) = (20.0, 60.0);
const ON: (f64, f64) = (5.0, 15.0);
/// how long buttons are left alone, shortly for a double press, and how long they are pressed, shortly or long,
const ALONE: (f64, f64) = (5.0, 15.0);
const BETWEEN: (f64, f64) = (0.1, 0.2);
const SHORT: (f64, f64) = (0.08, 0.3);
const LONG: (f64, f64) = (1.0, 2.0);
/// halves of a pulse, and the pauses between some of them,
const HALF: (f64, f64) = (0.02, 0.03);
const PAUSE: (f64, f64) = (5.0, 20.0);
/// and how long a knob takes for a quarter of a cycle, and stays at a detent.
const QUARTER: (f64, f64) = (0.005, 0.01);
const REST: (f64, f64) = (0.2, 4.0);
/// Whoever slept for long does not make up for it.
const LONGEST: Duration = Duration::from_secs(10);

/// An input that changes by itself.
pub struct Player {
    play: Play,
    lines: Vec<Wired>,
    /// The level that means on; of pulses and knobs that at rest is the other one.
    level_of_on: bool,
    /// On, pressed, within a pulse.
    on: bool,
    /// How far a knob was turned, in quarters of a cycle, and which way it goes.
    angle: i64,
    clockwise: bool,
    /// Time until something happens.
    left: Duration,
}

impl Player {
    /// All is at rest.
    pub fn new(spec: &dyn EdgeSpec, lines: Vec<Wired>, random: &mut fastrand::Rng) -> Self {
        let play = spec.play();
        let level_of_on = match play {
            Play::Contact | Play::Button => level_of_on(spec),
            Play::Pulses | Play::Turns => spec.input().pull != Pull::Up,
        };
        let first = match play {
            Play::Contact => OFF,
            Play::Button => ALONE,
            Play::Pulses | Play::Turns => REST,
        };
        let left = between(random, first);
        let player = Self { play, lines, level_of_on, on: false, angle: 0, clockwise: true, left };
        player.lines.iter().for_each(|line| line.pull_at(!level_of_on, SystemTime::now()));
        player
    }

    /// Whether it is on now.
    pub fn is_on(&self) -> bool {
        self.on
    }

    /// Lets `dt` pass, up to now.
    pub fn step(&mut self, dt: Duration, random: &mut fastrand::Rng) {
        let mut rest = dt.min(LONGEST);
        let mut time = SystemTime::now() - rest;
        while self.left <= rest {
            (time, rest) = (time + self.left, rest - self.left);
            self.left = match self.play {
                Play::Turns => self.turn(time, random),
                Play::Contact | Play::Button | Play::Pulses => self.change(time, random),
            };
        }
        self.left -= rest;
    }

    /// Goes on or off; gives for how long.
    fn change(&mut self, time: SystemTime, random: &mut fastrand::Rng) -> Duration {
        self.on = !self.on;
        for line in &self.lines {
            line.pull_at(self.on == self.level_of_on, time);
        }
        let chance = random.u32(0..100);
        let times = match (self.play, self.on) {
            (Play::Button, true) if chance < 25 => LONG,
            (Play::Button, true) => SHORT,
            (Play::Button, false) if chance < 33 => BETWEEN,
            (Play::Button, false) => ALONE,
            (Play::Pulses, false) if chance < 1 => PAUSE,
            (Play::Pulses, _) => HALF,
            (_, true) => ON,
            (_, false) => OFF,
        };
        between(random, times)
    }

    /// Turns the knob by a quarter of a cycle; gives for how long it stays there. Clockwise, the first line leads.
    fn turn(&mut self, time: SystemTime, random: &mut fastrand::Rng) -> Duration {
        if self.angle % 4 == 0 && random.u32(0..100) < 30 {
            self.clockwise = !self.clockwise;
        }
        self.angle += if self.clockwise { 1 } else { -1 };
        let on = [matches!(self.angle.rem_euclid(4), 1 | 2), matches!(self.angle.rem_euclid(4), 2 | 3)];
        for (line, on) in self.lines.iter().zip(on) {
            line.pull_at(on == self.level_of_on, time);
        }
        between(random, if self.angle % 4 == 0 { REST } else { QUARTER })
    }
}

/// Which level the sensor calls on: found by showing it a high one.
fn level_of_on(spec: &dyn EdgeSpec) -> bool {
    let mut on = true;
    let mut see = |_, sample: Result<Sample, Fault>| {
        on = sample.is_ok_and(|sample| sample.values().first() != Some(&Some(Value::Switch(false))));
    };
    spec.open().level(Edge::new(true, SystemTime::UNIX_EPOCH), &mut see);
    on
}

fn between(random: &mut fastrand::Rng, (from, to): (f64, f64)) -> Duration {
    Duration::from_secs_f64(from + (to - from) * random.f64())
}
