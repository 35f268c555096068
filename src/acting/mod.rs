//! From a command to an output, and the state back.
//!
//! Commands come in on the thread that received them, and go through the gate to a worker at once; the worker itself
//! reports to the gate and tells what came of it. A task looks after the time.

pub mod command;
pub mod gate;
mod hands;
pub mod memory;
pub mod stamp;

use crate::bus::Bus;
use crate::config::{ActuatorConfig, Store};
use crate::mqtt::{Given, Incoming};
use crate::reporter::Reporter;
use crate::sensing::{json_of, title};
use crate::time::rfc3339;
use crate::watchdog::{Progress, Watchdog};
use bytes::Bytes;
use command::{Reason, Takes};
use gate::{Action, By, Outcome};
use halyard_drivers::Value;
use hands::{Body, News, Removal, Returned, State};
use memory::Memory;
use serde_json::{Map, json};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime};
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};
use tracing::{debug, error, info};

/// Longest time that somebody waits for an actuator which is removed to become safe.
const REMOVAL: Duration = Duration::from_secs(2);
/// What waits to be told at most, before more commands are read: far more answers than are kept for the broker. Then they come
/// faster than anybody could hear of them.
const MOST_NEWS: usize = 10_000;
/// The timer looks at least this often.
const ROUND: Duration = Duration::from_secs(1);

/// Where the answer to a command goes beside `B/A/E/result`: MQTT 5's response topic and correlation data.
pub(crate) type Route = Option<(String, Option<Bytes>)>;

/// A handle to the actuators. They and their timer are gone with the last one.
#[derive(Clone)]
pub struct Acting {
    shared: Arc<Shared>,
}

impl Acting {
    /// Starts the timer, without actuators. To be called in a runtime.
    #[must_use]
    pub fn start(bus: Arc<dyn Bus>, reporter: Reporter, watchdog: &Watchdog, memory: Memory) -> Self {
        let shared = Arc::new_cyclic(|shared| Shared {
            body: Mutex::new(Body::new(bus, memory, Weak::clone(shared))),
            reporter,
            runtime: Handle::current(),
            wake: Arc::default(),
        });
        let progress = watchdog.watch("actuators", ROUND * 10);
        crate::task::spawn(keep_time(Arc::downgrade(&shared), Arc::clone(&shared.wake), progress));
        Self { shared }
    }

    /// A command from the broker. May be called from any thread, callbacks too: it waits for nothing, refuses a flood, and
    /// leaves it to others to tell. What is more than can be told is counted, and not read.
    pub fn command(&self, actuator: &str, message: Incoming) {
        let (now, wall) = (Instant::now(), SystemTime::now());
        let route = message.response_topic.map(|topic| (topic, message.correlation));
        let _runtime = self.shared.runtime.enter();
        let mut body = self.shared.lock();
        if body.news.len() >= MOST_NEWS {
            drop(body);
            return self.shared.reporter.unread(actuator);
        }
        // Below the lock: at most 4 KiB.
        let command = command::parse(&message.payload, body.gate.takes(actuator), wall);
        if body.closed {
            let id = command.map_or_else(|refusal| refusal.id, |command| command.id);
            let message = Some("the agent is stopping".to_owned());
            let outcome = Outcome { id, reason: Some(Reason::Busy), state: None, message };
            body.news.push_back(News::Gate(Action::Answer { actuator: actuator.to_owned(), outcome, route }));
        } else {
            body.gate.command(actuator, command, message.retained, route, now, wall);
        }
        self.shared.begin(&mut body, now);
        if !body.news.is_empty() {
            self.shared.wake.notify_one();
        }
    }

    /// A message on this topic, which may be a controller's. From any thread, as [`command`](Self::command). One that the
    /// broker had kept says nothing of the controller.
    pub fn heartbeat(&self, topic: &str, retained: bool) {
        if retained {
            return;
        }
        let missed = self.shared.lock().gate.heartbeat(topic, Instant::now());
        if !missed.is_empty() {
            // From now on it is waited for again.
            self.shared.wake.notify_one();
        }
        for actuator in missed {
            info!("{actuator}: there are messages on {topic} again");
        }
    }

    /// From now on commands are refused.
    pub fn close(&self) {
        self.shared.lock().closed = true;
    }

    /// The broker is there, or lost.
    pub fn broker(&self, connected: bool) {
        self.change(|body, now| body.gate.broker(connected, now));
    }

    /// A new actuator: it is opened and gets its `initial`.
    pub fn add(&self, config: ActuatorConfig) {
        let title = title(&config.id, config.driver.name, &config.at);
        if Takes::of(&config.spec.control()) == Takes::Text {
            self.shared.reporter.add_text(&config.id, title);
        } else {
            self.shared.reporter.add(&config.id, title, Store::Latest);
        }
        drop(self.change(|body, now| body.add(config, now)));
    }

    /// An actuator goes to `safe` and is let go. Returns when it is safe, or when that takes long.
    pub async fn remove(&self, actuator: &str) {
        let (done, gone) = oneshot::channel();
        self.change(|body, now| {
            body.gate.retire(actuator, now);
            body.removing.push(Removal { actuator: actuator.to_owned(), until: now + REMOVAL, done: Some(done) });
        });
        let _ = gone.await;
    }

    /// No more commands; all actuators go to `safe`. Returns when they are there, and what is to be remembered is on disk.
    pub async fn stop(&self) {
        let (done, safe) = oneshot::channel();
        self.change(|body, now| {
            body.gate.stop(now);
            body.stopping = Some(done);
        });
        let _ = safe.await;
        let saved = self.shared.lock().memory.saved();
        saved.await;
    }

    fn change<R>(&self, change: impl FnOnce(&mut Body, Instant) -> R) -> R {
        let now = Instant::now();
        let mut body = self.shared.lock();
        let result = change(&mut body, now);
        self.shared.finish(body, now, Place::Elsewhere);
        result
    }
}

/// Where something is told: a worker may wait for the connection, and everybody else must not.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Worker,
    Elsewhere,
}

impl Place {
    fn publish(self, given: Given<'_>) {
        match self {
            Self::Worker => given.now(),
            Self::Elsewhere => drop(given),
        }
    }
}

/// What the handles, the workers and the timer share.
struct Shared {
    body: Mutex<Body>,
    reporter: Reporter,
    runtime: Handle,
    /// Wakes the timer.
    wake: Arc<Notify>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Body> {
        // Nothing in it panics; if it did all the same, going on is better than an output that nobody can turn off.
        self.body.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A worker returns.
    fn returned(&self, id: &str, number: u64, returned: Returned) {
        let now = Instant::now();
        let mut body = self.lock();
        let late = body.returned(id, number, returned, now);
        self.finish(body, now, Place::Worker);
        drop(late);
    }

    /// Does what is due, and says when to come again.
    fn tick(&self) -> (Instant, bool) {
        let now = Instant::now();
        let mut body = self.lock();
        body.tick(now);
        body.carry_out(now);
        let until = body.deadline().map_or(now + ROUND, |deadline| deadline.min(now + ROUND));
        body.timer = until;
        // Whoever tells for this long does not come back.
        let told = !body.telling;
        self.finish(body, now, Place::Elsewhere);
        (until, told)
    }

    /// Begins what the gate wants, and wakes the timer if it would be late.
    fn begin(&self, body: &mut Body, now: Instant) {
        body.carry_out(now);
        if body.deadline().is_some_and(|deadline| deadline < body.timer) {
            self.wake.notify_one();
        }
    }

    /// To be called after each change: begins what the gate wants, and tells what there is to tell.
    fn finish<'a>(&'a self, mut body: MutexGuard<'a, Body>, now: Instant, place: Place) {
        self.begin(&mut body, now);
        // Only one tells at a time, so that everything is told in its order; whoever comes meanwhile leaves it to him.
        if body.telling {
            return;
        }
        body.telling = true;
        while let Some(news) = body.news.pop_front() {
            drop(body);
            self.tell(news, place);
            body = self.lock();
        }
        body.telling = false;
        let gone = body.settle(now);
        drop(body);
        for gone in gone {
            if !gone.safe {
                error!("{}: removed, but it could not be made safe yet; that is tried on and on", gone.actuator);
            }
            gone.tell();
        }
    }

    fn tell(&self, news: News, place: Place) {
        match news {
            News::Well(actuator) => self.reporter.well(&actuator),
            News::Fault { actuator, fault, pause } => self.reporter.fault(&actuator, &fault, true, pause),
            News::Gate(Action::Answer { actuator, outcome, route }) => {
                self.answer(&actuator, &outcome, route, place);
            }
            News::State(state) => self.state(state, place),
            News::Gate(Action::Write { .. } | Action::State { .. } | Action::Note { .. }) => {} // begun, or told as above
        }
    }

    fn state(&self, State { actuator, value, by, id, why, readings }: State, place: Place) {
        let mut state = Map::new();
        state.insert("time".into(), json!(rfc3339(SystemTime::now())));
        state.insert("state".into(), json_of(&value));
        state.insert("by".into(), json!(by.name()));
        state.insert("id".into(), json!(id));
        if let Some(why) = &why {
            state.insert("why".into(), json!(why));
        }
        state.extend(readings.iter().map(|(name, number)| ((*name).to_owned(), json_of(&Value::Number(*number)))));
        if by == By::Safety {
            info!("{actuator}: {value} for safety: {}", why.unwrap_or_default());
        } else {
            debug!("{actuator}: {value} by {}", by.name());
        }
        if let Some(given) = self.reporter.state(&actuator, state) {
            place.publish(given);
        }
    }

    /// Sends the result of a command.
    fn answer(&self, actuator: &str, outcome: &Outcome, route: Route, place: Place) {
        self.reporter.answered(actuator, outcome.reason);
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
        place.publish(self.reporter.send(self.reporter.topics().result(actuator), &result, None));
        if let Some((topic, correlation)) = route {
            place.publish(self.reporter.send(topic, &result, correlation));
        }
    }
}

/// Looks after the time, until there is nobody any more to look after it for.
async fn keep_time(shared: Weak<Shared>, wake: Arc<Notify>, progress: Progress) {
    while let Some((until, told)) = shared.upgrade().map(|shared| shared.tick()) {
        if told {
            progress.beat();
        }
        // Either way there is a reason to look.
        let _ = tokio::time::timeout_at(until.into(), wake.notified()).await;
    }
}
