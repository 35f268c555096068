//! The drivers of the actuators, and the workers that use them: what the gate decides is begun here, and what came of it
//! goes back to the gate.
//!
//! All of this is behind one lock, which is never held while a driver works, while anything is published or logged, or
//! while a driver is dropped. So whoever holds it holds it for microseconds, and a driver that never returns costs its
//! worker only.

mod removal;
#[cfg(test)]
mod tests;
mod work;

pub(super) use removal::Removal;
pub(super) use work::Returned;

use super::gate::{Action, Before, By, Gate};
use super::memory::{Disk, Memory};
use super::stamp::Stamp;
use super::{Route, Shared};
use crate::bus::Bus;
use crate::config::{ActuatorConfig, Initial};
use crate::device::{Factory, no_answer, not_returned};
use crate::sensing::wire;
use halyard_drivers::{Actuator, Control, Fault, Next, Shown, Value};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use work::{Done, Job};

/// Longest time that a write may take.
const LIMIT: Duration = Duration::from_secs(5);
/// First pause before an actuator that could not be opened is looked for again; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often an output is looked at between writes: it may have lost its power, or its chip.
const CHECK: Duration = Duration::from_secs(10);

/// An actuator's driver, and what is done with it.
pub(super) struct Hands {
    config: ActuatorConfig,
    /// The values of other entities that it shows.
    shows: Arc<[Shown]>,
    factory: Factory<dyn Actuator>,
    /// Open, and not with a worker.
    driver: Option<Box<dyn Actuator>>,
    /// What a worker does with it.
    call: Option<Call>,
    /// The number of a call that did not return in time. It has the driver, and perhaps its bus.
    stuck: Option<u64>,
    /// While it could not be opened: when to try again, and the pause after that.
    away: Option<(Instant, Duration)>,
    /// When it is looked at next.
    check: Instant,
    /// When it wants to take its next step.
    step: Option<Instant>,
    /// What it measures beside its state.
    readings: Vec<(&'static str, f64)>,
    /// Its last step failed, without more.
    ailing: bool,
    /// What is written after what the worker does now.
    next: Option<Job>,
}

impl Hands {
    /// What it shall be at the start, if it was this: of a position, that it stands there is all that is known.
    fn restored(&self, value: Value) -> Value {
        match (self.config.spec.control(), value) {
            (Control::Position { .. }, Value::Number(at)) => Value::rest(Some(at)),
            (_, value) => value,
        }
    }
}

/// Work under way.
struct Call {
    /// Tells it from every other one, so that nothing late is taken for the result of something newer.
    number: u64,
    job: Job,
    /// When it is given up.
    until: Instant,
}

/// What has to be told, in this order.
pub(super) enum News {
    Well(String),
    Fault { actuator: String, fault: Fault, pause: Option<Duration> },
    State(State),
    Gate(Action<Route>),
}

/// A new state of an actuator.
pub(super) struct State {
    pub(super) actuator: String,
    pub(super) value: Value,
    pub(super) by: By,
    pub(super) id: Option<String>,
    /// What for, if it is for safety.
    pub(super) why: Option<String>,
    /// What it measures beside its state.
    pub(super) readings: Vec<(&'static str, f64)>,
}

/// The gate and the hands.
pub(super) struct Body {
    pub(super) gate: Gate<Route>,
    hands: BTreeMap<String, Hands>,
    /// How many calls there have been.
    calls: u64,
    bus: Arc<dyn Bus>,
    pub(super) memory: Memory,
    /// What is to be told, and whether somebody is at it.
    pub(super) news: VecDeque<News>,
    pub(super) telling: bool,
    /// Commands are not taken any more.
    pub(super) closed: bool,
    pub(super) stopping: Option<oneshot::Sender<()>>,
    pub(super) removing: Vec<Removal>,
    /// When the timer looks next.
    pub(super) timer: Instant,
    /// Where workers report.
    shared: Weak<Shared>,
}

impl Body {
    pub(super) fn new(bus: Arc<dyn Bus>, memory: Memory, shared: Weak<Shared>) -> Self {
        let now = Instant::now();
        Self {
            gate: Gate::new(now),
            hands: BTreeMap::new(),
            calls: 0,
            bus,
            memory,
            news: VecDeque::new(),
            telling: false,
            closed: false,
            stopping: None,
            removing: Vec::new(),
            timer: now,
            shared,
        }
    }

    /// Adds an actuator. What is given back is an earlier one of the same id, to be dropped without the lock.
    #[must_use]
    pub(super) fn add(&mut self, config: ActuatorConfig, now: Instant) -> Option<Hands> {
        let id = config.id.clone();
        // One that could not be made safe yet gives way: the new one gets its `initial`.
        self.removing.retain(|removal| removal.actuator != id);
        self.gate.add(&id, config.rules.clone(), now);
        let (bus, at, spec) = (Arc::clone(&self.bus), config.at.clone(), Arc::clone(&config.spec));
        let factory: Factory<dyn Actuator> = Arc::new(move || spec.open(wire(bus.as_ref(), &at, spec.as_ref())?));
        let hands = Hands {
            shows: config.spec.shows().into(),
            config,
            factory,
            driver: None,
            call: None,
            stuck: None,
            away: Some((now, FIRST_PAUSE)),
            check: now + CHECK,
            step: None,
            readings: Vec::new(),
            ailing: false,
            next: None,
        };
        self.hands.insert(id, hands)
    }

    /// When [`tick`](Self::tick) has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let hands = self.hands.values().filter_map(|hands| match &hands.call {
            Some(call) => Some(call.until),
            None => hands.away.map(|(at, _)| at).or(hands.step),
        });
        let removals = self.removing.iter().filter(|removal| removal.done.is_some()).map(|removal| removal.until);
        self.gate.deadline().into_iter().chain(hands).chain(removals).min()
    }

    /// Does what is due.
    pub(super) fn tick(&mut self, now: Instant) {
        self.give_up(now);
        self.gate.tick(now);
        self.begin_due(now);
    }

    /// Lets go of workers that take too long. If one returns all the same, it is nothing but late.
    fn give_up(&mut self, now: Instant) {
        let overdue: Vec<_> = self
            .hands
            .iter_mut()
            .filter_map(|(id, hands)| {
                let call = hands.call.take_if(|call| call.until <= now)?;
                hands.stuck = Some(call.number);
                Some((id.clone(), call.job))
            })
            .collect();
        for (id, job) in overdue {
            self.done(&id, job.failed(no_answer(LIMIT)), now);
        }
    }

    /// Opens what is not open yet, and looks at what is known.
    fn begin_due(&mut self, now: Instant) {
        let due: Vec<_> = self
            .hands
            .iter()
            .filter(|(_, hands)| hands.call.is_none())
            .filter_map(|(id, hands)| {
                if hands.away.is_some_and(|(at, _)| at <= now) {
                    return Some((id.clone(), Job::Open));
                }
                if hands.step.is_some_and(|at| at <= now) {
                    return Some((id.clone(), Job::Step));
                }
                // What is on its way is another thing at each moment.
                let looks = hands.check <= now && hands.step.is_none() && self.gate.state(id).is_some();
                looks.then(|| (id.clone(), Job::Check))
            })
            .collect();
        for (id, job) in due {
            self.begin(&id, job, now);
        }
    }

    /// Begins the writes that the gate wants, and notes what it has to tell.
    pub(super) fn carry_out(&mut self, now: Instant) {
        loop {
            let actions = self.gate.actions();
            if actions.is_empty() {
                return;
            }
            for action in actions {
                match action {
                    Action::Write { actuator, value, at_once } => {
                        self.write(&actuator, Job::Write { value, at_once }, now);
                    }
                    Action::State { actuator, value, by, id, why } => {
                        self.remember(&actuator, &value);
                        let readings =
                            self.hands.get(&actuator).map(|hands| hands.readings.clone()).unwrap_or_default();
                        self.news.push_back(News::State(State { actuator, value, by, id, why, readings }));
                    }
                    Action::Note { actuator, active, since } => {
                        let keep = self.hands.get(&actuator).is_some_and(|hands| hands.config.outlasts());
                        let present = if keep { Stamp::now() } else { Stamp::of_this_run() };
                        self.memory.note(&actuator, active, present.at(since, now), keep);
                    }
                    Action::Answer { .. } => self.news.push_back(News::Gate(action)),
                }
            }
        }
    }

    fn remember(&mut self, actuator: &str, value: &Value) {
        let Some(hands) = self.hands.get(actuator) else { return };
        // Going to `safe` at the end is not what it was, but where a motor stands then is where it stands.
        let counts = self.stopping.is_none() || matches!(hands.config.spec.control(), Control::Position { .. });
        if counts && hands.config.initial == Initial::Restore {
            self.memory.remember(actuator, value);
        }
    }

    fn write(&mut self, actuator: &str, write: Job, now: Instant) {
        // The gate has one write of an actuator under way at a time, and none before it was opened, so a worker that has
        // the driver is only looking at it, or taking a step.
        match self.hands.get_mut(actuator) {
            Some(hands) if hands.call.is_some() => hands.next = Some(write),
            Some(_) => self.begin(actuator, write, now),
            None => {}
        }
    }

    fn begin(&mut self, actuator: &str, job: Job, now: Instant) {
        let (Some(hands), Some(shared)) = (self.hands.get_mut(actuator), self.shared.upgrade()) else { return };
        hands.step = None;
        if hands.stuck.is_some() {
            return self.done(actuator, job.failed(not_returned()), now);
        }
        self.calls += 1;
        let number = self.calls;
        hands.call = Some(Call { number, job: job.clone(), until: now + LIMIT });
        // If the power fails because this goes on, the next start has to know that it did.
        let first =
            (hands.config.rules.min_off.is_some() && job.turns_on()).then(|| self.memory.before_on(actuator)).flatten();
        let (factory, driver, id) = (Arc::clone(&hands.factory), hands.driver.take(), actuator.to_owned());
        let (runtime, shows) = (shared.runtime.clone(), Arc::clone(&hands.shows));
        #[allow(clippy::disallowed_methods)] // a command waits for it: one allocation less
        drop(runtime.spawn_blocking(move || {
            first.inspect(Disk::write);
            // Looked up when it is needed: nobody who measures waits for whoever shows it.
            let value = |shown: &Shown| shared.reporter.value(&shown.entity, shown.value.as_deref());
            let seen: Vec<_> = shows.iter().map(value).collect();
            let returned = job.run(&factory, driver, &seen);
            shared.returned(&id, number, returned);
        }));
    }

    /// A worker returned. What is given back is of no use any more, and dropped without the lock.
    #[must_use]
    pub(super) fn returned(
        &mut self,
        id: &str,
        number: u64,
        returned: Returned,
        now: Instant,
    ) -> Option<Box<dyn Actuator>> {
        let Some(hands) = self.hands.get_mut(id) else { return returned.driver };
        if hands.call.take_if(|call| call.number == number).is_some() {
            hands.driver = returned.driver;
            hands.step = returned.next.map(|next| now + next);
            hands.readings = returned.readings;
            self.done(id, returned.done, now);
            // What goes on at once does not wait for the timer: a motor would hear it.
            self.begin_due(now);
            return None;
        }
        hands.stuck.take_if(|stuck| *stuck == number);
        returned.driver
    }

    /// A call has come to its end, one way or another.
    fn done(&mut self, id: &str, done: Done, now: Instant) {
        let Some(hands) = self.hands.get_mut(id) else { return };
        hands.check = now + CHECK;
        if let Some(write) = hands.next.take() {
            self.begin(id, write, now);
        }
        let Some(hands) = self.hands.get_mut(id) else { return };
        let news = match &done {
            Done::Opened(Ok(_)) | Done::Checked(Ok(_)) => None,
            Done::Advanced(Ok(_)) => std::mem::take(&mut hands.ailing).then(|| News::Well(id.to_owned())),
            Done::Written(Ok(_)) => Some(News::Well(id.to_owned())),
            // Nothing is wrong with the hardware; the answer says it. Nobody gets one at the start.
            Done::Written(Err(fault)) if fault.kind.next() == Next::Answer && self.gate.state(id).is_some() => None,
            Done::Opened(Err(fault))
            | Done::Checked(Err(fault))
            | Done::Advanced(Err(fault))
            | Done::Written(Err(fault)) => {
                let pause = hands.away.map(|(_, pause)| pause);
                Some(News::Fault { actuator: id.to_owned(), fault: fault.clone(), pause })
            }
        };
        self.news.extend(news);
        match done {
            Done::Opened(Ok(found)) => {
                hands.away = None;
                let (safe, control) = (hands.config.rules.safe.clone(), hands.config.spec.control());
                let initial = match &hands.config.initial {
                    Initial::Value(value) => value.clone(),
                    Initial::Keep => found.clone().unwrap_or(safe),
                    Initial::Restore => self
                        .memory
                        .recall(id)
                        .filter(|value| is_of(value, &control))
                        .map_or(safe, |value| hands.restored(value)),
                };
                let past = self.memory.past(id, &Stamp::now());
                self.gate.opened(id, initial, Before { state: found, past }, now);
            }
            Done::Opened(Err(fault)) => {
                let pause = hands.away.map_or(FIRST_PAUSE, |(_, pause)| pause);
                hands.away = Some((now + pause, (pause * 2).min(LONGEST_PAUSE)));
                self.gate.absent(id, &fault, now);
            }
            Done::Checked(Ok(None)) => {}
            Done::Checked(Ok(Some(value))) => self.gate.checked(id, Ok(value), now),
            Done::Checked(Err(fault)) => self.gate.checked(id, Err(fault), now),
            Done::Advanced(Ok(None)) => {}
            Done::Advanced(Ok(Some(value))) => self.gate.moved(id, Ok(value), now),
            Done::Advanced(Err(fault)) if fault.kind.next() == Next::TryAgain => hands.ailing = true,
            Done::Advanced(Err(fault)) => self.gate.moved(id, Err(fault), now),
            Done::Written(result) => self.gate.written(id, result, now),
        }
    }
}

/// Whether a value that was remembered can be one of this actuator: its id may have been another one's.
fn is_of(value: &Value, control: &Control) -> bool {
    matches!(value, Value::Text(_)) == matches!(control, Control::Text(_))
}
