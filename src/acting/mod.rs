//! From a command to an output, and the state back.

pub mod command;
pub mod gate;
pub mod memory;

use crate::bus::Bus;
use crate::config::{ActuatorConfig, Initial, Store};
use crate::device::{Device, Factory};
use crate::mqtt::Incoming;
use crate::reporter::Reporter;
use crate::sensing::{json_of, title, wire};
use crate::time::rfc3339;
use crate::watchdog::Watchdog;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use gate::{Action, By, Gate, Outcome, Rules};
use halyard_drivers::{Actuator, Fault, Next, Value};
use memory::Memory;
use serde_json::{Map, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, error, info};

/// Longest time that a write may take.
const LIMIT: Duration = Duration::from_secs(5);
/// First pause before an actuator that could not be opened is looked for again; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Longest time that somebody waits for an actuator which is removed to become safe.
const REMOVAL: Duration = Duration::from_secs(2);
/// How often an output is looked at between writes: it may have lost its power, or its chip.
const CHECK: Duration = Duration::from_secs(10);
/// Orders that may wait; beyond, commands are refused.
const ORDERS: usize = 256;
/// The loop goes round at least this often.
const ROUND: Duration = Duration::from_secs(1);

/// What can be asked of the one that has the actuators.
enum Order {
    Command { actuator: String, message: Incoming },
    Broker(bool),
    Add(Box<ActuatorConfig>),
    Remove(Removal),
    Stop { done: oneshot::Sender<()> },
}

/// An actuator that is let go once it is safe.
struct Removal {
    actuator: String,
    /// When nobody waits for that any more.
    until: Instant,
    done: Option<oneshot::Sender<()>>,
}

/// Where the answer to a command goes beside `B/A/E/result`: MQTT 5's response topic and correlation data.
type Route = Option<(String, Option<Bytes>)>;

/// A handle to the task that has the actuators.
#[derive(Clone)]
pub struct Acting {
    orders: mpsc::Sender<Order>,
    reporter: Reporter,
}

impl Acting {
    /// Starts the task, without actuators. It ends when the last handle is dropped.
    #[must_use]
    pub fn start(bus: Arc<dyn Bus>, reporter: Reporter, watchdog: &Watchdog, memory: Memory) -> Self {
        let (orders, inbox) = mpsc::channel(ORDERS);
        let progress = watchdog.watch("actuators", ROUND * 10);
        let now = Instant::now();
        let task = Task {
            gate: Gate::new(now),
            hands: BTreeMap::new(),
            added: 0,
            work: FuturesUnordered::new(),
            bus,
            reporter: reporter.clone(),
            memory,
            stopping: None,
            removing: Vec::new(),
        };
        tokio::spawn(async move { task.run(inbox, progress).await });
        Self { orders, reporter }
    }

    /// A command from the broker. Never waits: a flood is refused.
    pub fn command(&self, actuator: &str, message: Incoming) {
        let order = Order::Command { actuator: actuator.to_owned(), message };
        if let Err(error) = self.orders.try_send(order)
            && let Order::Command { message, .. } = error.into_inner()
        {
            self.refuse(actuator, message, "too many commands are waiting");
        }
    }

    /// Answers a command that does not reach the gate.
    pub fn refuse(&self, actuator: &str, message: Incoming, why: &str) {
        let id = match command::parse(&message.payload, SystemTime::now()) {
            Ok(command) => command.id,
            Err(refusal) => refusal.id,
        };
        let outcome = Outcome { id, reason: Some(command::Reason::Busy), state: None, message: Some(why.to_owned()) };
        let route = message.response_topic.map(|topic| (topic, message.correlation));
        answer(&self.reporter, actuator, &outcome, route);
    }

    /// The broker is there, or lost.
    pub async fn broker(&self, connected: bool) {
        self.tell(Order::Broker(connected)).await;
    }

    /// A new actuator: it is opened and gets its `initial`.
    pub async fn add(&self, config: ActuatorConfig) {
        self.tell(Order::Add(Box::new(config))).await;
    }

    /// An actuator goes to `safe` and is let go. Returns when it is safe, or when that takes long.
    pub async fn remove(&self, actuator: &str) {
        let (done, gone) = oneshot::channel();
        self.tell(Order::Remove(Removal {
            actuator: actuator.to_owned(),
            until: Instant::now() + REMOVAL,
            done: Some(done),
        }))
        .await;
        let _ = gone.await;
    }

    /// No more commands; all actuators go to `safe`. Returns when they are there.
    pub async fn stop(&self) {
        let (done, safe) = oneshot::channel();
        self.tell(Order::Stop { done }).await;
        let _ = safe.await;
    }

    /// The task ends only after its handles, so this cannot fail.
    async fn tell(&self, order: Order) {
        let _ = self.orders.send(order).await;
    }
}

/// An actuator's driver; away while a worker has it.
struct Hands {
    /// Tells it from an earlier one of the same id, whose worker may still be at it.
    number: u64,
    config: ActuatorConfig,
    device: Option<Device<dyn Actuator>>,
    /// While it could not be opened: when to try again, and the pause after that.
    away: Option<(Instant, Duration)>,
    /// When it is looked at next.
    check: Instant,
    /// What is written when it was looked at.
    next: Option<Value>,
}

enum Done {
    Opened(Result<Option<Value>, Fault>),
    Checked(Result<Option<Value>, Fault>),
    Written(Result<Value, Fault>),
}

type Work = BoxFuture<'static, (String, u64, Device<dyn Actuator>, Done)>;

struct Task {
    gate: Gate<Route>,
    hands: BTreeMap<String, Hands>,
    /// How many actuators there have been.
    added: u64,
    work: FuturesUnordered<Work>,
    bus: Arc<dyn Bus>,
    reporter: Reporter,
    memory: Memory,
    stopping: Option<oneshot::Sender<()>>,
    removing: Vec<Removal>,
}

impl Task {
    async fn run(mut self, mut inbox: mpsc::Receiver<Order>, progress: crate::watchdog::Progress) {
        loop {
            let deadline = self.deadline().min(Instant::now() + ROUND);
            tokio::select! {
                order = inbox.recv() => match order {
                    Some(order) => self.order(order),
                    None => return,
                },
                Some((id, number, device, done)) = self.work.next() => self.done(&id, number, device, done),
                () = tokio::time::sleep_until(deadline.into()) => {}
            }
            let now = Instant::now();
            self.gate.tick(now);
            self.reopen(now);
            self.check(now);
            self.carry_out();
            self.settle();
            progress.beat();
        }
    }

    fn deadline(&self) -> Instant {
        let reopen = self.hands.values().filter_map(|hands| hands.away.map(|(at, _)| at)).min();
        let far = Instant::now() + ROUND;
        self.gate.deadline().into_iter().chain(reopen).min().unwrap_or(far)
    }

    fn order(&mut self, order: Order) {
        let now = Instant::now();
        match order {
            Order::Command { actuator, message } => {
                let wall = SystemTime::now();
                let command = command::parse(&message.payload, wall);
                let route = message.response_topic.map(|topic| (topic, message.correlation));
                self.gate.command(&actuator, command, message.retained, route, now, wall);
            }
            Order::Broker(connected) => self.gate.broker(connected, now),
            Order::Add(config) => self.add(*config, now),
            Order::Remove(removal) => {
                self.gate.retire(&removal.actuator, now);
                self.removing.push(removal);
            }
            Order::Stop { done } => {
                self.gate.stop(now);
                self.stopping = Some(done);
            }
        }
    }

    fn add(&mut self, config: ActuatorConfig, now: Instant) {
        let id = config.id.clone();
        // One of the same id that could not be made safe yet gives way: the new one gets its `initial`.
        self.removing.retain(|removal| removal.actuator != id);
        let rules = Rules {
            control: config.spec.control(),
            safe: config.safe.clone(),
            safe_after: config.safe_after,
            max_on: config.max_on,
            interlock: config.interlock.clone(),
        };
        self.gate.add(&id, rules);
        let (bus, at, spec) = (Arc::clone(&self.bus), config.at.clone(), Arc::clone(&config.spec));
        let factory: Factory<dyn Actuator> = Arc::new(move || spec.open(wire(bus.as_ref(), &at, None)?));
        self.reporter.add(&id, title(&id, config.driver.name, &config.at), Store::Latest);
        self.added += 1;
        let number = self.added;
        let device = Some(Device::new(factory, LIMIT));
        let hands = Hands { number, config, device, away: Some((now, FIRST_PAUSE)), check: now + CHECK, next: None };
        self.hands.insert(id, hands);
    }

    /// Opens what is not open yet and due.
    fn reopen(&mut self, now: Instant) {
        for (id, hands) in &mut self.hands {
            if hands.away.is_some_and(|(at, _)| at <= now)
                && let Some(mut device) = hands.device.take()
            {
                hands.away = hands.away.map(|(_, pause)| (now + LIMIT * 2, pause));
                let (id, number) = (id.clone(), hands.number);
                self.work.push(Box::pin(async move {
                    let found = device.call(<dyn Actuator>::read).await;
                    (id, number, device, Done::Opened(found))
                }));
            }
        }
    }

    /// Looks at what is known and due.
    fn check(&mut self, now: Instant) {
        for (id, hands) in &mut self.hands {
            if hands.check <= now
                && self.gate.state(id).is_some()
                && let Some(mut device) = hands.device.take()
            {
                let (id, number) = (id.clone(), hands.number);
                self.work.push(Box::pin(async move {
                    let found = device.call(<dyn Actuator>::read).await;
                    (id, number, device, Done::Checked(found))
                }));
            }
        }
    }

    fn done(&mut self, id: &str, number: u64, device: Device<dyn Actuator>, done: Done) {
        let now = Instant::now();
        let Some(hands) = self.hands.get_mut(id).filter(|hands| hands.number == number) else { return };
        hands.device = Some(device);
        hands.check = now + CHECK;
        if let Some(value) = hands.next.take() {
            self.write(id.to_owned(), value);
        }
        let Some(hands) = self.hands.get_mut(id) else { return };
        match done {
            Done::Opened(Ok(found)) => {
                hands.away = None;
                let safe = hands.config.safe.clone();
                let initial = match &hands.config.initial {
                    Initial::Value(value) => value.clone(),
                    Initial::Keep => found.unwrap_or(safe),
                    Initial::Restore => self.memory.recall(id).unwrap_or(safe),
                };
                self.gate.opened(id, initial, now);
            }
            Done::Opened(Err(fault)) => {
                let pause = hands.away.map_or(FIRST_PAUSE, |(_, pause)| pause);
                hands.away = Some((now + pause, (pause * 2).min(LONGEST_PAUSE)));
                self.gate.absent(id, &fault);
                self.reporter.fault(id, &fault, true, Some(pause));
            }
            Done::Checked(Ok(None)) => {}
            Done::Checked(Ok(Some(value))) => self.gate.checked(id, Ok(value), now),
            Done::Checked(Err(fault)) => {
                self.reporter.fault(id, &fault, true, None);
                self.gate.checked(id, Err(fault), now);
            }
            Done::Written(result) => {
                match &result {
                    Ok(_) => self.reporter.well(id),
                    Err(fault) if fault.kind.next() == Next::Answer => debug!("{id}: {fault}"),
                    Err(fault) => self.reporter.fault(id, fault, true, None),
                }
                self.gate.written(id, result, now);
            }
        }
    }

    fn carry_out(&mut self) {
        loop {
            let actions = self.gate.actions();
            if actions.is_empty() {
                return;
            }
            for action in actions {
                match action {
                    Action::Write { actuator, value } => self.write(actuator, value),
                    Action::Answer { actuator, outcome, route } => answer(&self.reporter, &actuator, &outcome, route),
                    Action::State { actuator, value, by, id } => self.state(&actuator, &value, by, id.as_deref()),
                }
            }
        }
    }

    fn write(&mut self, actuator: String, value: Value) {
        // The gate has one write of an actuator under way at a time, and none before it was opened, so a worker that has
        // the device is only looking at it.
        let Some(hands) = self.hands.get_mut(&actuator) else { return };
        let number = hands.number;
        let Some(mut device) = hands.device.take() else {
            hands.next = Some(value);
            return;
        };
        self.work.push(Box::pin(async move {
            let result = device.call(move |driver| driver.apply(&value)).await;
            (actuator, number, device, Done::Written(result))
        }));
    }

    fn state(&mut self, actuator: &str, value: &Value, by: By, id: Option<&str>) {
        let mut state = Map::new();
        state.insert("time".into(), json!(rfc3339(SystemTime::now())));
        state.insert("state".into(), json_of(value));
        state.insert("by".into(), json!(by.name()));
        state.insert("id".into(), json!(id));
        if by == By::Safety {
            info!("{actuator}: {value} for safety");
        } else {
            debug!("{actuator}: {value} by {}", by.name());
        }
        self.reporter.state(actuator, state);
        // Going to `safe` at the end is not what it was.
        let restores = self.hands.get(actuator).is_some_and(|hands| hands.config.initial == Initial::Restore);
        if restores && self.stopping.is_none() {
            self.memory.remember(actuator, value);
        }
    }

    /// Tells those who wait for actuators to be safe.
    fn settle(&mut self) {
        let now = Instant::now();
        let (gate, hands) = (&mut self.gate, &mut self.hands);
        self.removing.retain_mut(|Removal { actuator, until, done }| {
            let settled = gate.is_settled(actuator);
            if settled {
                gate.remove(actuator);
                hands.remove(actuator);
            }
            if (settled || *until <= now)
                && let Some(done) = done.take()
            {
                if !settled {
                    error!("{actuator}: removed, but it could not be made safe yet; that is tried on and on");
                }
                // Whoever waited may have gone.
                let _ = done.send(());
            }
            !settled
        });
        if self.gate.actuators().all(|id| self.gate.is_settled(id))
            && let Some(done) = self.stopping.take_if(|_| self.work.is_empty())
        {
            let _ = done.send(());
        }
    }
}

/// Sends the result of a command.
fn answer(reporter: &Reporter, actuator: &str, outcome: &Outcome, route: Route) {
    let mut result = Map::new();
    result.insert("id".into(), json!(outcome.id));
    result.insert("status".into(), json!(outcome.status()));
    result.insert("state".into(), json!(outcome.state.as_ref().map(json_of)));
    if let Some(reason) = outcome.reason {
        result.insert("reason".into(), json!(reason.name()));
    }
    if let Some(message) = &outcome.message {
        result.insert("message".into(), json!(message));
    }
    let result = result.into();
    reporter.send(reporter.topics().result(actuator), &result, None);
    if let Some((topic, correlation)) = route {
        reporter.send(topic, &result, correlation);
    }
}
