//! What the agent tells about its entities: states, availability and problems. The one place where a fault becomes a
//! line in the log, a count, an `offline` and an entry in `B/A/agent`, all at once.

use crate::config::Store;
use crate::mqtt::{Outbox, Outgoing, Topics};
use crate::time::rfc3339;
use bytes::Bytes;
use halyard_drivers::Fault;
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::Notify;
use tracing::{debug, error, info, warn};

/// Shared by all that have something to tell. Never waits for the network.
#[derive(Clone)]
pub struct Reporter {
    outbox: Outbox,
    topics: Topics,
    board: &'static str,
    started: Instant,
    entities: Arc<Mutex<BTreeMap<String, Entity>>>,
    changed: Arc<Notify>,
}

struct Entity {
    /// How people call it in the log: `climate (bme280 at i2c-1/0x76)`.
    title: String,
    /// What becomes of its states while the broker is away.
    store: Store,
    online: Option<bool>,
    state: Option<Json>,
    problem: Option<Problem>,
}

struct Problem {
    since: SystemTime,
    fault: Fault,
    count: u64,
    /// When it is tried again, if that is not the ordinary schedule.
    next: Option<SystemTime>,
}

impl Entity {
    fn new(title: String, store: Store) -> Self {
        Self { title, store, online: None, state: None, problem: None }
    }
}

impl Reporter {
    /// A reporter without entities.
    #[must_use]
    pub fn new(outbox: Outbox, topics: Topics, board: &'static str) -> Self {
        let changed = Arc::default();
        Self { outbox, topics, board, started: Instant::now(), entities: Arc::default(), changed }
    }

    /// Where messages go.
    #[must_use]
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// How topics are called.
    #[must_use]
    pub fn topics(&self) -> &Topics {
        &self.topics
    }

    /// How the hardware is called.
    #[must_use]
    pub fn board(&self) -> &'static str {
        self.board
    }

    /// A new entity, neither on- nor offline yet.
    pub fn add(&self, id: &str, title: String, store: Store) {
        self.lock().insert(id.to_owned(), Entity::new(title, store));
    }

    /// An entity is no more: nothing retained is left of it.
    pub fn remove(&self, id: &str) {
        if self.lock().remove(id).is_some() {
            self.outbox.forget(&self.topics.state(id));
            self.outbox.retained(&self.topics.state(id), Bytes::new());
            self.outbox.retained(&self.topics.availability(id), Bytes::new());
            self.changed.notify_one();
        }
    }

    /// A new state.
    pub fn state(&self, id: &str, state: Map<String, Json>) {
        let state = Json::Object(state);
        let payload = Bytes::from(state.to_string());
        let mut entities = self.lock();
        let Some(entity) = entities.get_mut(id) else { return };
        entity.state = Some(state);
        // Below the lock, so that states of one entity keep their order.
        self.outbox.state(&self.topics.state(id), payload, entity.store);
    }

    /// Something that happened, with the state in which it did: told once, and not kept.
    pub fn event(&self, id: &str, event: Map<String, Json>) {
        let payload = Bytes::from(Json::Object(event).to_string());
        if let Some(entity) = self.lock().get(id) {
            self.outbox.event(&self.topics.state(id), payload, entity.store);
        }
    }

    /// Tells everything again that a broker keeps: it may have lost its memory.
    pub fn repeat(&self) {
        for (id, entity) in self.lock().iter() {
            if let Some(state) = &entity.state {
                self.outbox.refresh(&self.topics.state(id), Bytes::from(state.to_string()));
            }
            if let Some(online) = entity.online {
                let payload = if online { "online" } else { "offline" };
                self.outbox.refresh(&self.topics.availability(id), Bytes::from_static(payload.as_bytes()));
            }
        }
        self.publish_health();
    }

    /// The hardware of this entity works.
    pub fn well(&self, id: &str) {
        let mut entities = self.lock();
        let Some(entity) = entities.get_mut(id) else { return };
        if let Some(problem) = entity.problem.take() {
            info!("{}: works again after {} faults ({})", entity.title, problem.count, problem.fault);
            self.changed.notify_one();
        }
        if entity.online != Some(true) {
            entity.online = Some(true);
            self.outbox.retained(&self.topics.availability(id), Bytes::from_static(b"online"));
        }
    }

    /// The hardware of this entity failed. `offline`: no state of it can be believed until it works again. `pause`: how
    /// long until it is tried again.
    pub fn fault(&self, id: &str, fault: &Fault, offline: bool, pause: Option<Duration>) {
        let mut entities = self.lock();
        let Some(entity) = entities.get_mut(id) else { return };
        let next = pause.map(|pause| SystemTime::now() + pause);
        match &mut entity.problem {
            Some(problem) if problem.fault == *fault => {
                problem.count += 1;
                problem.next = next;
                debug!("{}: {fault} ({} times)", entity.title, problem.count);
            }
            problem => {
                warn!("{}: {fault}", entity.title);
                let (since, count) = problem.as_ref().map_or((SystemTime::now(), 0), |old| (old.since, old.count));
                *problem = Some(Problem { since, fault: fault.clone(), count: count + 1, next });
                self.changed.notify_one();
            }
        }
        if offline && entity.online != Some(false) {
            entity.online = Some(false);
            error!("{}: offline until it works again", entity.title);
            self.outbox.retained(&self.topics.availability(id), Bytes::from_static(b"offline"));
        }
    }

    /// The newest state of an entity.
    #[must_use]
    pub fn last(&self, id: &str) -> Option<Json> {
        self.lock().get(id).and_then(|entity| entity.state.clone())
    }

    /// A message that is not a state.
    pub fn send(&self, topic: String, payload: &Json, correlation: Option<Bytes>) {
        self.outbox.send(message(topic, payload, correlation));
    }

    /// The same on a worker: see [`Outbox::send_now`].
    pub fn send_now(&self, topic: String, payload: &Json, correlation: Option<Bytes>) {
        self.outbox.send_now(message(topic, payload, correlation));
    }

    /// Publishes `B/A/agent`.
    pub fn publish_health(&self) {
        self.outbox.retained(&self.topics.agent(), Bytes::from(self.health().to_string()));
    }

    /// Waits until the health is worth publishing again.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// What `B/A/agent` holds.
    #[must_use]
    pub fn health(&self) -> Json {
        let outbox = self.outbox.status();
        let problems: Map<String, Json> = self
            .lock()
            .iter()
            .filter_map(|(id, entity)| {
                let problem = entity.problem.as_ref()?;
                let told = json!({
                    "kind": problem.fault.kind.name(),
                    "message": problem.fault.message,
                    "since": rfc3339(problem.since),
                    "count": problem.count,
                    "next": problem.next.map(rfc3339),
                });
                Some((id.clone(), told))
            })
            .collect();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "board": self.board,
            "time": rfc3339(SystemTime::now()),
            "uptime": self.started.elapsed().as_secs(),
            "queue": {
                "depth": outbox.depth,
                "in_flight": outbox.in_flight,
                "delivered": outbox.delivered,
                "dropped": outbox.dropped,
                "failed": outbox.failed,
            },
            "problems": problems,
        })
    }

    /// The map is whole also after a panic: each change of it is one assignment.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entity>> {
        self.entities.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn message(topic: String, payload: &Json, correlation: Option<Bytes>) -> Outgoing {
    let payload = Bytes::from(payload.to_string());
    Outgoing { topic, payload, qos: 1, retained: false, expiry: None, correlation }
}
