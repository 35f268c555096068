//! The gate by random histories: commands, times, faults, a broker and a controller that come and go, reloads, restarts, kills
//! and power failures, with clocks that are right, wrong or set meanwhile.
//!
//! `World` owns the outputs, and judges by nothing but when they really went on and off, what was asked, and what was
//! answered. 50,000 steps are the default; `HALYARD_HISTORIES=1000000` makes it as many as it says.

use super::*;
use crate::acting::command::parse;
use crate::acting::memory::Memory;
use crate::acting::stamp::Stamp;
use halyard_drivers::FaultKind;
use proptest::prelude::*;
use proptest::test_runner::{TestError, TestRunner};
use std::collections::BTreeSet;

/// Steps of a history, on average.
const STEPS: usize = 200;
const ON: Value = Value::Switch(true);
const OFF: Value = Value::Switch(false);
/// A write takes no longer.
const SLOWEST: Duration = Duration::from_millis(40);
/// So much later than promised something may be: a write may be under way, and the one that counts comes after it.
const SLACK: Duration = Duration::from_millis(100);
/// Hardware that was broken is tried again within this.
const MENDED: Duration = Duration::from_millis(5_200);
/// An actuator that cannot be opened is tried again after this.
const AGAIN: Duration = Duration::from_secs(1);
/// The last notes of this time may be lost in a crash: they were not on disk.
const UNWRITTEN: Duration = Duration::from_millis(80);

const TOPIC: &str = "plant/controller";
const PUMP: usize = 0;
const VALVE: usize = 1;
const DRAIN: usize = 2;
const COMPRESSOR: usize = 3;
const FAN: usize = 4;
const HEATER: usize = 5;
const LAMP: usize = 6;
const BLIND: usize = 7;
const IDS: [&str; 8] = ["pump", "valve", "drain", "compressor", "fan", "heater", "lamp", "blind"];
const PAIRS: [(usize, usize); 3] = [(PUMP, VALVE), (VALVE, DRAIN), (FAN, HEATER)];

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn rules(unit: usize) -> Rules {
    let interlock = PAIRS.iter().filter_map(|(a, b)| if *a == unit { Some(*b) } else { (*b == unit).then_some(*a) });
    let interlock = interlock.map(|other| IDS[other].to_owned()).collect();
    let heartbeat = |timeout| Some(Heartbeat { topic: TOPIC.into(), timeout });
    let plain = Rules {
        control: Control::Switch,
        safe: OFF,
        safe_after: None,
        max_on: None,
        min_off: None,
        interlock,
        dead_time: Duration::ZERO,
        heartbeat: None,
        rate: None,
    };
    match unit {
        PUMP => {
            Rules { max_on: Some(secs(5)), safe_after: Some(secs(3)), dead_time: Duration::from_millis(300), ..plain }
        }
        VALVE => Rules { max_on: Some(secs(4)), safe_after: Some(secs(3)), ..plain },
        DRAIN => Rules { rate: Some(Rate { limit: 3, per: secs(2) }), dead_time: secs(1), ..plain },
        COMPRESSOR => Rules { min_off: Some(secs(6)), max_on: Some(secs(8)), heartbeat: heartbeat(secs(4)), ..plain },
        FAN => Rules { safe: ON, safe_after: Some(secs(2)), heartbeat: heartbeat(secs(3)), ..plain },
        HEATER => Rules { safe_after: Some(secs(2)), dead_time: Duration::from_millis(200), ..plain },
        LAMP => Rules { max_on: Some(secs(5)), ..plain },
        _ => Rules { max_on: Some(secs(6)), min_off: Some(secs(2)), ..plain },
    }
}

/// How the hardware of an output takes a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Fine,
    /// Nothing happens, and it says so.
    Fails,
    /// It is done, but the answer is lost.
    Lies,
    /// It cannot be turned on.
    Refuses,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clock {
    /// Right, and known to be.
    Right,
    /// From 1970.
    Nothing,
    /// So many seconds behind: the time of the last stop, as boards without a battery have it.
    Behind(u64),
}

#[derive(Clone, Debug)]
enum Step {
    Send {
        unit: usize,
        payload: usize,
        retained: bool,
    },
    /// The same, so often that some of it is too much.
    Flood {
        unit: usize,
        payload: usize,
    },
    Pass(u64),
    Broker(bool),
    Beat,
    Mood(usize, Mood),
    /// Somebody turns the lamp by hand.
    Hand,
    Set(Clock),
    Reload(usize),
    /// The agent ends and starts again after a while.
    Restart {
        how: Ending,
        down: u64,
        initial: [u8; IDS.len()],
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// Orderly.
    Stop,
    /// Killed; the kernel may let outputs drop.
    Kill { drop: bool },
    /// The machine loses its power; what is on a chip of its own may keep what it had.
    Power { drop: bool, clock: Clock },
}

const PAYLOADS: &[&str] = &[
    "ON",
    "ON",
    "OFF",
    "TOGGLE",
    "7",
    r#"{"value":"ON","for":"2s"}"#,
    r#"{"value":"OFF","for":"1s"}"#,
    r#"{"id":"a","value":"ON"}"#,
    r#"{"value":"ON","ttl":"1s","time":"1970-01-01T00:01:00Z"}"#,
    "{",
];

fn clock() -> impl Strategy<Value = Clock> {
    prop_oneof![Just(Clock::Right), Just(Clock::Nothing), (1..100_u64).prop_map(Clock::Behind)]
}

fn step() -> impl Strategy<Value = Step> {
    let unit = || 0..IDS.len();
    let ending = prop_oneof![
        2 => Just(Ending::Stop),
        3 => any::<bool>().prop_map(|drop| Ending::Kill { drop }),
        3 => (any::<bool>(), clock()).prop_map(|(drop, clock)| Ending::Power { drop, clock }),
    ];
    prop_oneof![
        40 => (unit(), 0..PAYLOADS.len(), prop::bool::weighted(0.05))
            .prop_map(|(unit, payload, retained)| Step::Send { unit, payload, retained }),
        3 => (unit(), 0..PAYLOADS.len()).prop_map(|(unit, payload)| Step::Flood { unit, payload }),
        40 => (1..3_000_u64).prop_map(Step::Pass),
        15 => (1..60_u64).prop_map(Step::Pass),
        5 => prop::bool::weighted(0.7).prop_map(Step::Broker),
        15 => Just(Step::Beat),
        5 => (unit(), prop_oneof![4 => Just(Mood::Fine), 1 => Just(Mood::Fails), 1 => Just(Mood::Lies), 1 => Just(Mood::Refuses)])
            .prop_map(|(unit, mood)| Step::Mood(unit, mood)),
        2 => Just(Step::Hand),
        1 => clock().prop_map(Step::Set),
        3 => unit().prop_map(Step::Reload),
        4 => (ending, prop_oneof![1..500_u64, 500..9_000_u64], prop::array::uniform8(0..4_u8))
            .prop_map(|(how, down, initial)| Step::Restart { how, down, initial }),
    ]
}

/// An output, as it really is.
struct Output {
    on: bool,
    /// Since when.
    since: Duration,
    mood: Mood,
    /// Since when its hardware works.
    fine: Duration,
    /// When it was opened, if it is.
    open: Option<Duration>,
    opens: Option<Duration>,
    /// When it was taken out of the configuration, while it is on its way out.
    leaves: Option<Duration>,
    /// When a command was last sent or applied.
    obeyed: Duration,
    /// When commands came that count for a rate and were applied.
    taken: Vec<Duration>,
}

struct Pending {
    unit: usize,
    value: bool,
    effect: Duration,
    done: Duration,
    /// Whoever asked is gone.
    orphan: bool,
}

struct Sent {
    unit: usize,
    at: Duration,
    counts: bool,
    answers: u32,
}

struct World {
    zero: Instant,
    now: Duration,
    random: fastrand::Rng,
    gate: Gate<usize>,
    outputs: Vec<Output>,
    pending: Vec<Pending>,
    sent: Vec<Sent>,
    /// Commands before this number were sent to a process that was killed.
    lost: usize,
    memory: Memory,
    /// What was noted, and when: the file is made of it.
    notes: Vec<(Duration, usize, bool, Stamp)>,
    initial: [u8; IDS.len()],
    boots: (u32, Duration),
    clock: (Clock, Duration),
    /// While there is none: since when.
    no_broker: Option<Duration>,
    beat: Duration,
    started: Duration,
    broken: Result<(), String>,
    count: BTreeMap<&'static str, u64>,
}

impl World {
    fn new(seed: u64) -> Self {
        let zero = Instant::now();
        let mut world = Self {
            zero,
            now: Duration::ZERO,
            random: fastrand::Rng::with_seed(seed),
            gate: Gate::new(zero),
            outputs: (0..IDS.len())
                .map(|_| Output {
                    on: false,
                    since: Duration::ZERO,
                    mood: Mood::Fine,
                    fine: Duration::ZERO,
                    open: None,
                    opens: None,
                    leaves: None,
                    obeyed: Duration::ZERO,
                    taken: Vec::new(),
                })
                .collect(),
            pending: Vec::new(),
            sent: Vec::new(),
            lost: 0,
            memory: Memory::load(None),
            notes: Vec::new(),
            initial: [0; IDS.len()],
            boots: (0, Duration::ZERO),
            clock: (Clock::Right, Duration::ZERO),
            no_broker: None,
            beat: Duration::ZERO,
            started: Duration::ZERO,
            broken: Ok(()),
            count: BTreeMap::new(),
        };
        world.start();
        world
    }

    fn instant(&self) -> Instant {
        self.zero + self.now
    }

    fn wall(&self) -> SystemTime {
        const TODAY: Duration = Duration::from_secs(1_800_000_000);
        let (clock, set) = self.clock;
        SystemTime::UNIX_EPOCH
            + match clock {
                Clock::Right => TODAY + self.now,
                Clock::Behind(seconds) => TODAY + self.now - secs(seconds),
                Clock::Nothing => self.now - set,
            }
    }

    fn stamp(&self) -> Stamp {
        let uptime = i64::try_from((self.now - self.boots.1).as_millis()).unwrap();
        let sure = self.clock.0 == Clock::Right;
        Stamp { boot: self.boots.0.to_string(), uptime, wall: self.wall(), sure }
    }

    fn happened(&mut self, what: &'static str) {
        *self.count.entry(what).or_default() += 1;
    }

    fn demand(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds && self.broken.is_ok() {
            self.broken = Err(format!("at {:?}: {}", self.now, what()));
        }
    }

    // The process.

    fn start(&mut self) {
        let now = self.instant();
        self.gate = Gate::new(now);
        self.gate.broker(self.no_broker.is_none(), now);
        self.no_broker = self.no_broker.map(|_| self.now);
        (self.started, self.beat) = (self.now, self.now);
        for unit in 0..IDS.len() {
            self.add(unit);
        }
    }

    fn add(&mut self, unit: usize) {
        self.gate.add(IDS[unit], rules(unit), self.instant());
        let soon = Duration::from_millis(self.random.u64(0..100));
        let output = &mut self.outputs[unit];
        (output.open, output.opens, output.leaves) = (None, Some(self.now + soon), None);
        if unit == COMPRESSOR || unit == FAN {
            // From now on the controller is waited for.
            self.outputs[unit].obeyed = self.now;
        }
        for pending in self.pending.iter_mut().filter(|pending| pending.unit == unit) {
            pending.orphan = true;
        }
    }

    fn open(&mut self, unit: usize) {
        let now = self.instant();
        let Output { on, mood, .. } = self.outputs[unit];
        if mood == Mood::Fails {
            self.outputs[unit].opens = Some(self.now + AGAIN);
            return self.gate.absent(IDS[unit], &Fault::new(FaultKind::Bus, "broken"), now);
        }
        (self.outputs[unit].open, self.outputs[unit].opens) = (Some(self.now), None);
        // Nobody can see whether the blind moves.
        let found = (unit != BLIND).then_some(Value::Switch(on));
        let safe = rules(unit).safe;
        let initial = match self.initial[unit] {
            0 => OFF,
            // Two that exclude each other are not configured to be on both.
            1 if [VALVE, HEATER].contains(&unit) => OFF,
            1 => ON,
            2 => found.clone().unwrap_or(safe),
            _ => self.memory.recall(IDS[unit]).unwrap_or(safe),
        };
        let past = self.memory.past(IDS[unit], &self.stamp());
        if initial == ON && past.is_some_and(|past| past.active) {
            self.happened("on from the start, as before");
        }
        self.gate.opened(IDS[unit], initial, Before { state: found, past }, now);
    }

    fn end(&mut self, how: Ending, down: u64, initial: [u8; IDS.len()]) {
        let dropped = match how {
            Ending::Stop => {
                self.happened("stop");
                self.stop();
                self.random.bool()
            }
            Ending::Kill { drop } | Ending::Power { drop, .. } => {
                self.happened(if matches!(how, Ending::Kill { .. }) { "kill" } else { "power failure" });
                self.lose_notes();
                drop
            }
        };
        // What was under way is done, or is not.
        for pending in std::mem::take(&mut self.pending) {
            if self.random.bool() && pending.effect > self.now {
                self.drive(pending.unit, pending.value);
            }
        }
        if dropped {
            (0..IDS.len()).for_each(|unit| self.drive(unit, false));
        }
        self.lost = self.sent.len();
        self.now += Duration::from_millis(down);
        if let Ending::Power { clock, .. } = how {
            self.boots = (self.boots.0 + 1, self.now);
            self.now += Duration::from_millis(500);
            self.clock = (clock, self.boots.1);
        }
        self.initial = initial;
        self.restore_memory();
        self.start();
    }

    /// In order: all is safe, and everybody has an answer.
    fn stop(&mut self) {
        // After what it is at: a reload.
        while self.broken.is_ok() && self.outputs.iter().any(|output| output.leaves.is_some()) {
            self.pass(Duration::from_millis(100));
        }
        self.gate.stop(self.instant());
        self.settle();
        self.pass(Duration::from_millis(900));
        for unit in 0..IDS.len() {
            let Output { on, fine, open, mood, .. } = self.outputs[unit];
            let able = mood == Mood::Fine && open.is_some() && self.now > fine + MENDED && !self.waits(unit);
            self.demand(!able || on == rules(unit).safe.is_active(), || {
                format!("{} is not safe at the end", IDS[unit])
            });
        }
        let silent = self.sent[self.lost..].iter().filter(|sent| sent.answers == 0).count();
        self.demand(silent == 0, || format!("{silent} commands without an answer at the end"));
    }

    fn lose_notes(&mut self) {
        let from = self.now.saturating_sub(Duration::from_millis(self.random.u64(0..=80)).min(UNWRITTEN));
        // What has a `min_off` is noted before it is driven. Of what cannot be seen, only what was noted is known; and what
        // was never noted counts from the start.
        let first = |unit: usize, on: bool| unit == BLIND || (on && rules(unit).min_off.is_some());
        let mut noted = BTreeSet::new();
        self.notes.retain(|(at, unit, on, _)| noted.insert(*unit) || *at <= from || first(*unit, *on));
    }

    fn restore_memory(&mut self) {
        let values: Vec<_> = IDS.iter().map(|id| self.memory.recall(id)).collect();
        self.memory = Memory::load(None);
        for (id, value) in IDS.iter().zip(values) {
            value.into_iter().for_each(|value| self.memory.remember(id, &value));
        }
        for (_, unit, active, since) in &self.notes {
            // Dead times count from the start where nothing is kept.
            if rules(*unit).max_on.is_some() || rules(*unit).min_off.is_some() {
                self.memory.note(IDS[*unit], *active, since.clone(), true);
            }
        }
    }

    // The outputs.

    /// An output is what it shall be: judges the change.
    fn drive(&mut self, unit: usize, on: bool) {
        if self.outputs[unit].on == on {
            return;
        }
        let was = self.now - self.outputs[unit].since;
        if on {
            let rule = rules(unit);
            let min_off = rule.min_off.unwrap_or_default();
            let never = self.outputs[unit].since.is_zero();
            self.demand(never || was >= min_off, || format!("{} went on after {was:?} off", IDS[unit]));
            for (a, b) in PAIRS {
                let other = if a == unit {
                    b
                } else if b == unit {
                    a
                } else {
                    continue;
                };
                let rest = self.now - self.outputs[other].since;
                let dead = rule.dead_time.max(rules(other).dead_time);
                let (other_on, new) = (self.outputs[other].on, self.outputs[other].since.is_zero());
                self.demand(!other_on, || format!("{} and {} on together", IDS[unit], IDS[other]));
                self.demand(new || rest >= dead, || {
                    format!("{} went on {rest:?} after {} went off", IDS[unit], IDS[other])
                });
            }
        } else {
            self.too_long(unit);
        }
        self.happened(if on { "on" } else { "off" });
        (self.outputs[unit].on, self.outputs[unit].since) = (on, self.now);
    }

    /// Whether an output is on for longer than it may be, without an excuse.
    fn too_long(&mut self, unit: usize) {
        let Some(max_on) = rules(unit).max_on else { return };
        let output = &self.outputs[unit];
        let on = self.now - output.since;
        let able = output.open.is_some_and(|open| self.now > open + SLACK)
            && output.mood == Mood::Fine
            && self.now > output.fine + MENDED;
        let fine = !output.on || on <= max_on + SLACK || !able;
        self.demand(fine, || format!("{} on for {on:?}", IDS[unit]));
    }

    /// What must hold at any time.
    fn judge(&mut self) {
        for unit in 0..IDS.len() {
            self.too_long(unit);
            let rule = rules(unit);
            let safe = rule.safe.is_active();
            let output = &self.outputs[unit];
            let able = output.mood == Mood::Fine && self.now > output.fine + MENDED;
            let Some(open) = output.open.filter(|_| able && output.leaves.is_none()) else { continue };
            let (on, obeyed) = (output.on, output.obeyed);
            let waits = self.waits(unit);
            // Of `initial` that comes after it, or while it counts anew, nothing is promised.
            if let (Some(lost), Some(limit)) = (self.no_broker, rule.safe_after) {
                let due = (lost + limit).max(open) + SLACK * 2;
                let obeys = safe && obeyed > lost;
                self.demand(self.now <= due || waits || obeys || on == safe, || {
                    format!("{} is not safe without a broker", IDS[unit])
                });
            }
            if let Some(heartbeat) = &rule.heartbeat {
                let heard = self.beat.max(self.added(unit));
                let due = (heard + heartbeat.timeout).max(open) + SLACK * 2;
                // Off is always obeyed.
                let obeys = safe && obeyed > heard;
                self.demand(self.now <= due || waits || obeys || on == safe, || {
                    format!("{} is not safe without its controller", IDS[unit])
                });
            }
        }
    }

    /// What has to be on for safety has to wait for what must not be on then.
    fn waits(&self, unit: usize) -> bool {
        let others = PAIRS.iter().filter_map(|(a, b)| if *a == unit { Some(*b) } else { (*b == unit).then_some(*a) });
        rules(unit).safe.is_active()
            && others.map(|other| &self.outputs[other]).any(|other| {
                let Some(open) = other.open.filter(|_| other.mood == Mood::Fine && !other.on) else { return true };
                self.now <= other.since.max(open).max(other.fine + MENDED) + secs(1) + SLACK
            })
    }

    fn added(&self, unit: usize) -> Duration {
        self.outputs[unit].open.unwrap_or(self.now).max(self.started)
    }

    // What happens.

    fn settle(&mut self) {
        loop {
            let actions = self.gate.actions();
            if actions.is_empty() {
                return;
            }
            for action in actions {
                self.act(action);
            }
        }
    }

    fn act(&mut self, action: Action<usize>) {
        let place = |id: &str| IDS.iter().position(|other| *other == id).unwrap();
        match action {
            Action::Write { actuator, value, .. } => {
                let unit = place(&actuator);
                let busy = self.pending.iter().any(|pending| pending.unit == unit && !pending.orphan);
                self.demand(!busy, || format!("two writes of {actuator} at once"));
                let slowest = u64::try_from(SLOWEST.as_millis()).unwrap();
                let done = self.random.u64(0..=slowest);
                let effect = self.now + Duration::from_millis(self.random.u64(0..=done));
                let done = self.now + Duration::from_millis(done);
                self.pending.push(Pending { unit, value: value.is_active(), effect, done, orphan: false });
            }
            Action::Answer { outcome, route, actuator } => {
                let sent = &mut self.sent[route];
                sent.answers += 1;
                let (answers, at, counts, unit) = (sent.answers, sent.at, sent.counts, sent.unit);
                self.demand(answers == 1 && place(&actuator) == unit && route >= self.lost, || {
                    format!("answer {answers} to command {route}")
                });
                let message = outcome.message.as_deref().unwrap_or_default();
                let kind = match outcome.reason {
                    None => "applied",
                    Some(Reason::Interlock) if message.contains("less than") => "refused: dead time",
                    Some(Reason::Interlock) => "refused: interlock",
                    Some(Reason::Busy) if message.contains("min_off") => "refused: min_off",
                    Some(Reason::Busy) if message.contains("commands in") => "refused: rate",
                    Some(Reason::Busy) if message.contains(TOPIC) => "refused: no controller",
                    Some(Reason::Hardware) => "failed",
                    Some(_) => "refused: other",
                };
                self.happened(kind);
                let output = &mut self.outputs[unit];
                if outcome.reason.is_none() {
                    output.obeyed = self.now;
                    if counts {
                        output.taken.push(at);
                    }
                }
                let output = &self.outputs[unit];
                if kind == "refused: min_off" {
                    let min_off = rules(unit).min_off.unwrap_or_default();
                    let known = output.open.is_some_and(|open| self.now > open + min_off + SLACK)
                        && self.now > output.since + min_off + SLACK
                        && output.mood == Mood::Fine
                        && self.now > output.fine + MENDED + min_off;
                    self.demand(!known, || format!("{actuator} was refused to go on after more than its min_off"));
                }
                if let Some(rate) = rules(unit).rate {
                    let recent = self.outputs[unit].taken.iter().filter(|taken| **taken + rate.per > at).count();
                    self.demand(recent <= rate.limit, || format!("{recent} commands for {actuator} at once"));
                }
            }
            Action::State { actuator, value, by, .. } => {
                self.memory.remember(&actuator, &value);
                if by == By::Safety {
                    self.happened("safe");
                }
            }
            Action::Note { actuator, active, since } => {
                let now = self.instant();
                self.demand(since <= now, || format!("{actuator} is noted for later"));
                let stamp = self.stamp().at(since, now);
                self.memory.note(&actuator, active, stamp.clone(), true);
                self.notes.push((self.now, place(&actuator), active, stamp));
            }
        }
    }

    /// Time passes, and everything happens when it is due.
    fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        let mut still = 0;
        while self.broken.is_ok() {
            let pending = self.pending.iter().map(|pending| pending.effect.max(self.now).min(pending.done));
            let opens = self.outputs.iter().filter_map(|output| output.opens);
            let leaves = self.outputs.iter().filter_map(|output| output.leaves).map(|at| at + secs(2));
            let gate = self.gate.deadline().map(|at| at.saturating_duration_since(self.zero));
            let next = pending.chain(opens).chain(leaves).chain(gate).min().filter(|at| *at <= end);
            let Some(next) = next else { break };
            still = if next > self.now { 0 } else { still + 1 };
            self.demand(still < 1_000, || "what is due is not done".to_owned());
            self.now = self.now.max(next);
            self.happen();
        }
        self.now = self.now.max(end);
        self.judge();
    }

    fn happen(&mut self) {
        let now = self.now;
        loop {
            // Those that are begun while others end take their effect before they end themselves.
            for index in 0..self.pending.len() {
                let Pending { unit, value, effect, .. } = self.pending[index];
                let mood = self.outputs[unit].mood;
                let works = matches!(mood, Mood::Fine | Mood::Lies) || (mood == Mood::Refuses && !value);
                if effect <= now {
                    self.pending[index].effect = Duration::MAX;
                    if works {
                        self.drive(unit, value);
                    }
                }
            }
            let Some(index) = self.pending.iter().position(|pending| pending.done <= now) else { break };
            let Pending { unit, value, orphan, .. } = self.pending.remove(index);
            let result = match self.outputs[unit].mood {
                // What it is by now: the mood may have changed between the two.
                Mood::Fine if self.outputs[unit].on == value => Ok(Value::Switch(value)),
                Mood::Refuses if !value && !self.outputs[unit].on => Ok(Value::Switch(value)),
                Mood::Refuses if value && !self.outputs[unit].on => Err(Fault::rejected("not now")),
                _ => Err(Fault::new(FaultKind::Bus, "broken")),
            };
            if !orphan {
                self.gate.written(IDS[unit], result, self.instant());
                self.settle();
            }
        }
        for unit in 0..IDS.len() {
            if self.outputs[unit].opens.is_some_and(|at| at <= now) {
                self.open(unit);
                self.settle();
            }
            let gone = |at: Duration| at + secs(2) <= now || self.gate.is_settled(IDS[unit]);
            if self.outputs[unit].leaves.is_some_and(gone) {
                self.gate.remove(IDS[unit]);
                self.settle();
                self.add(unit);
            }
        }
        self.gate.tick(self.instant());
        self.settle();
        self.judge();
    }

    fn send(&mut self, unit: usize, payload: &str, retained: bool) {
        let (now, wall) = (self.instant(), self.wall());
        let counts = payload != "OFF" && !payload.contains("\"OFF\"");
        self.sent.push(Sent { unit, at: self.now, counts, answers: 0 });
        self.outputs[unit].obeyed = self.now;
        let command = parse(payload.as_bytes(), wall);
        self.gate.command(IDS[unit], command, retained, self.sent.len() - 1, now, wall);
    }

    fn step(&mut self, step: &Step) {
        let now = self.instant();
        match *step {
            // Commands and heartbeats come through the broker.
            Step::Send { .. } | Step::Flood { .. } | Step::Beat if self.no_broker.is_some() => {}
            Step::Send { unit, payload, retained } => self.send(unit, PAYLOADS[payload], retained),
            Step::Flood { unit, payload } => (0..20).for_each(|_| self.send(unit, PAYLOADS[payload], false)),
            Step::Pass(millis) => self.pass(Duration::from_millis(millis)),
            Step::Broker(there) => {
                self.gate.broker(there, now);
                self.no_broker = if there { None } else { self.no_broker.or(Some(self.now)) };
            }
            Step::Beat => {
                self.beat = self.now;
                let missed = self.gate.heartbeat(TOPIC, now);
                if !missed.is_empty() {
                    self.happened("a controller is back");
                }
            }
            Step::Mood(unit, mood) => {
                self.outputs[unit].mood = mood;
                // Also if it was broken for no time: what failed meanwhile is tried again later.
                self.outputs[unit].fine = self.now;
            }
            Step::Hand => {
                let on = !self.outputs[LAMP].on;
                let free = !self.pending.iter().any(|pending| pending.unit == LAMP);
                if free && self.outputs[LAMP].open.is_some() && self.outputs[LAMP].mood == Mood::Fine {
                    self.drive(LAMP, on);
                    self.gate.checked(IDS[LAMP], Ok(Value::Switch(on)), now);
                }
            }
            Step::Set(clock) => self.clock = (clock, self.now),
            Step::Reload(unit) => {
                if self.outputs[unit].leaves.is_none() {
                    self.happened("reload");
                    self.outputs[unit].leaves = Some(self.now);
                    self.gate.retire(IDS[unit], now);
                }
            }
            Step::Restart { how, down, initial } => self.end(how, down, initial),
        }
        self.settle();
        self.judge();
    }
}

fn live(seed: u64, steps: &[Step]) -> Result<BTreeMap<&'static str, u64>, TestCaseError> {
    let mut world = World::new(seed);
    for step in steps {
        world.step(step);
        world.broken.clone().map_err(TestCaseError::fail)?;
    }
    // Everybody is answered in the end.
    for unit in 0..IDS.len() {
        world.step(&Step::Mood(unit, Mood::Fine));
    }
    world.pass(secs(20));
    let silent: BTreeSet<_> =
        world.sent[world.lost..].iter().filter(|sent| sent.answers != 1).map(|sent| sent.at).collect();
    world.demand(silent.is_empty(), || format!("commands without an answer, of {silent:?}"));
    world.broken.map_err(TestCaseError::fail)?;
    Ok(world.count)
}

/// Whatever happens: outputs that exclude each other are never on together, nor too soon after each other; none is on for
/// longer or off for shorter than allowed, nor kept off for longer than promised; safe is reached in time; and each command
/// is answered exactly once.
#[test]
fn histories() {
    let steps: usize = std::env::var("HALYARD_HISTORIES").ok().and_then(|steps| steps.parse().ok()).unwrap_or(50_000);
    let cases = u32::try_from(steps.div_ceil(STEPS)).unwrap();
    let mut runner = TestRunner::new(ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    });
    let counts = std::cell::RefCell::new(BTreeMap::<&str, u64>::new());
    let strategy = (any::<u64>(), prop::collection::vec(step(), 0..=2 * STEPS));
    let result = runner.run(&strategy, |(seed, steps)| {
        let mut counts = counts.borrow_mut();
        live(seed, &steps)?.into_iter().for_each(|(what, count)| *counts.entry(what).or_default() += count);
        Ok(())
    });
    let counts = counts.into_inner();
    println!("{cases} histories of {STEPS} steps: {counts:#?}");
    match result {
        Ok(()) => {}
        Err(TestError::Fail(why, (seed, steps))) => panic!("{why}\nseed {seed}, after {steps:?}"),
        Err(other) => panic!("{other}"),
    }
    // A test in which nothing happens would find nothing.
    for what in [
        "applied",
        "failed",
        "refused: dead time",
        "refused: interlock",
        "refused: min_off",
        "refused: no controller",
        "refused: rate",
        "a controller is back",
        "safe",
        "on from the start, as before",
        "kill",
        "power failure",
        "reload",
        "stop",
    ] {
        assert!(counts.get(what).is_some_and(|count| *count >= u64::from(cases) / 10), "{what}: too seldom");
    }
}
