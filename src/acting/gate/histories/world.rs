//! The process, its hardware, its clock and its memory, through which a history goes.

mod ends;
mod judge;

use super::*;
use crate::acting::command::{Takes, parse};
use crate::acting::memory::Memory;
use crate::acting::stamp::Stamp;
use halyard_drivers::FaultKind;

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
    /// Whether it has been off, and known to be so, before this start.
    rested: bool,
    /// What it has to be by then: a pulse is over, or it was started so. Nothing else has happened to it since.
    due: Option<(Duration, bool)>,
    /// When a pulse was asked for last.
    pulsed: Duration,
    /// When a command with the only id that there is was applied.
    identified: Option<Duration>,
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

pub(super) struct Sent {
    unit: usize,
    payload: usize,
    retained: bool,
    pub(super) at: Duration,
    /// By the clock, which may be wrong.
    wall: SystemTime,
    /// What it was then, if nothing was under way.
    was: Option<bool>,
    pub(super) answers: u32,
}

pub(super) struct World {
    zero: Instant,
    now: Duration,
    random: fastrand::Rng,
    gate: Gate<usize>,
    outputs: Vec<Output>,
    pending: Vec<Pending>,
    pub(super) sent: Vec<Sent>,
    /// Commands before this number were sent to a process that was killed.
    pub(super) lost: usize,
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
    stops: bool,
    pub(super) broken: Result<(), String>,
    pub(super) count: BTreeMap<&'static str, u64>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
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
                    rested: true,
                    due: None,
                    pulsed: Duration::ZERO,
                    identified: None,
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
            stops: false,
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

    /// Whether no write of it is under way.
    fn is_idle(&self, unit: usize) -> bool {
        !self.pending.iter().any(|pending| pending.unit == unit)
    }

    fn happened(&mut self, what: &'static str) {
        *self.count.entry(what).or_default() += 1;
    }

    pub(super) fn demand(&mut self, holds: bool, what: impl FnOnce() -> String) {
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
        (self.started, self.beat, self.stops) = (self.now, self.now, false);
        for unit in 0..IDS.len() {
            self.add(unit);
        }
    }

    fn add(&mut self, unit: usize) {
        self.gate.add(IDS[unit], rules(unit), self.instant());
        let soon = Duration::from_millis(self.random.u64(0..100));
        let output = &mut self.outputs[unit];
        (output.open, output.opens, output.leaves) = (None, Some(self.now + soon), None);
        // Commands are counted anew, and their ids forgotten.
        output.taken.clear();
        (output.identified, output.due) = (None, None);
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
        let min_off = rules(unit).min_off.unwrap_or_default();
        self.outputs[unit].due = match initial {
            _ if self.stops || self.outputs[unit].leaves.is_some() => None,
            OFF if unit != FAN => Some((self.now + SLACK * 2, false)),
            // Whatever keeps these from it is over by then.
            ON if [LAMP, BLIND].contains(&unit) && self.outputs[unit].rested && mood == Mood::Fine => {
                Some((self.now + min_off + SLACK * 2, true))
            }
            _ => None,
        };
        self.gate.opened(IDS[unit], initial, Before { state: found, past }, now);
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

    /// Time passes, and everything happens when it is due.
    pub(super) fn pass(&mut self, span: Duration) {
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
                self.judge_removal(unit);
                self.rest(unit);
                self.gate.remove(IDS[unit]);
                self.settle();
                self.add(unit);
            }
        }
        self.gate.tick(self.instant());
        self.settle();
        self.judge();
    }

    fn send(&mut self, unit: usize, payload: usize, retained: bool) {
        let (now, wall) = (self.instant(), self.wall());
        // Whatever it may have to go back to, from its start or an earlier pulse, is done by then.
        let output = &self.outputs[unit];
        let settled = |at: Option<Duration>, time| at.is_some_and(|at| self.now > at + time);
        let quiet = self.is_idle(unit) && settled(output.open, SLACK) && settled(Some(output.pulsed), secs(10));
        let was = quiet.then_some(output.on);
        self.sent.push(Sent { unit, payload, retained, at: self.now, wall, was, answers: 0 });
        let output = &mut self.outputs[unit];
        (output.obeyed, output.due) = (self.now, None);
        if PAYLOADS[payload].contains("for") {
            output.pulsed = self.now;
        }
        let command = parse(PAYLOADS[payload].as_bytes(), Takes::Words, wall);
        self.gate.command(IDS[unit], command, retained, self.sent.len() - 1, now, wall);
    }

    pub(super) fn step(&mut self, step: &Step) {
        let now = self.instant();
        match *step {
            // Commands and heartbeats come through the broker.
            Step::Send { .. } | Step::Flood { .. } | Step::Beat if self.no_broker.is_some() => {}
            Step::Send { unit, payload, retained } => self.send(unit, payload, retained),
            Step::Flood { unit, payload } => (0..20).for_each(|_| self.send(unit, payload, false)),
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
                (self.outputs[unit].fine, self.outputs[unit].due) = (self.now, None);
            }
            Step::Hand => {
                let on = !self.outputs[LAMP].on;
                if self.is_idle(LAMP) && self.outputs[LAMP].open.is_some() && self.outputs[LAMP].mood == Mood::Fine {
                    self.drive(LAMP, on);
                    self.outputs[LAMP].due = None;
                    self.gate.checked(IDS[LAMP], Ok(Value::Switch(on)), now);
                }
            }
            Step::Set(clock) => self.clock = (clock, self.now),
            Step::Reload(unit) => {
                if self.outputs[unit].leaves.is_none() {
                    self.happened("reload");
                    (self.outputs[unit].leaves, self.outputs[unit].due) = (Some(self.now), None);
                    self.gate.retire(IDS[unit], now);
                }
            }
            Step::Restart { how, down, initial } => self.end(how, down, initial),
        }
        self.settle();
        self.judge();
    }
}
