//! What the agent tells about its entities: states, availability and problems. The one place where a fault becomes a
//! line in the log, a count, an `offline` and an entry in `B/A/agent`, all at once.

use crate::acting::command::Reason;
use crate::bus::Loads;
use crate::config::Store;
use crate::health::{self, APPLIED, Health, UNREAD};
use crate::mqtt::{Given, Outbox, Outgoing, Topics};
use crate::problem::Problem;
use bytes::Bytes;
use halyard_drivers::{Fault, Value};
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::Notify;
use tracing::{debug, error, info, warn};

/// Keys of a state: its time, and the value of an input or an actuator.
const TIME: &str = "time";
const STATE: &str = "state";

/// Shared by all that have something to tell. Never waits for the network.
#[derive(Clone)]
pub struct Reporter {
    outbox: Outbox,
    topics: Topics,
    board: &'static str,
    loads: Loads,
    started: Instant,
    /// Connections to a broker so far.
    connections: Arc<AtomicU64>,
    entities: Arc<Mutex<BTreeMap<String, Entity>>>,
    changed: Arc<Notify>,
}

struct Entity {
    /// How people call it in the log: `climate (bme280 at i2c-1/0x76)`.
    title: String,
    /// What becomes of its states while the broker is away.
    store: Store,
    health: health::Entity,
}

impl Reporter {
    /// A reporter without entities. What goes over the buses is counted in `loads`.
    #[must_use]
    pub fn new(outbox: Outbox, topics: Topics, board: &'static str, loads: Loads) -> Self {
        let (connections, entities, changed) = Default::default();
        Self { outbox, topics, board, loads, started: Instant::now(), connections, entities, changed }
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
        self.insert(id, title, store, false);
    }

    /// The same of an actuator that takes text.
    pub fn add_text(&self, id: &str, title: String) {
        self.insert(id, title, Store::Latest, true);
    }

    fn insert(&self, id: &str, title: String, store: Store, is_text: bool) {
        let mut entities = self.lock();
        let entity = Entity { title, store, health: health::Entity { is_text, ..health::Entity::default() } };
        if entities.insert(id.to_owned(), entity).is_none() && store == Store::All {
            self.outbox.expect(&self.topics.state(id));
        }
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

    /// A new state, if the entity is still there.
    pub fn state(&self, id: &str, state: Map<String, Json>) -> Option<Given<'_>> {
        let state = Json::Object(state);
        let payload = Bytes::from(state.to_string());
        let mut entities = self.lock();
        let entity = entities.get_mut(id)?;
        entity.health.state = Some(state);
        // Below the lock, so that states of one entity keep their order.
        Some(self.outbox.state(&self.topics.state(id), payload, entity.store))
    }

    /// Something that happened, with the state in which it did: told once, and not kept.
    pub fn event(&self, id: &str, event: Map<String, Json>) {
        let payload = Bytes::from(Json::Object(event).to_string());
        if let Some(entity) = self.lock().get(id) {
            self.outbox.event(&self.topics.state(id), payload, entity.store);
        }
    }

    /// A command was carried out, or why it was not.
    pub fn answered(&self, id: &str, reason: Option<Reason>) {
        if let Some(entity) = self.lock().get_mut(id) {
            *entity.health.commands.entry(reason.map_or(APPLIED, Reason::name)).or_default() += 1;
        }
    }

    /// A command was dropped in a flood, without an answer.
    pub fn unread(&self, id: &str) {
        if let Some(entity) = self.lock().get_mut(id) {
            let count = entity.health.commands.entry(UNREAD).or_default();
            *count += 1;
            if *count == 1 {
                error!("{}: more commands than can be answered: those are dropped, and counted", entity.title);
            }
        }
    }

    /// There is a connection to a broker. Tells everything again that it keeps: it may have lost its memory.
    pub fn connected(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
        for (id, entity) in self.lock().iter() {
            if let Some(state) = &entity.health.state {
                self.outbox.refresh(&self.topics.state(id), Bytes::from(state.to_string()));
            }
            if let Some(online) = entity.health.online {
                let payload = if online { "online" } else { "offline" };
                self.outbox.refresh(&self.topics.availability(id), Bytes::from_static(payload.as_bytes()));
            }
        }
        self.publish_health();
        self.changed.notify_one();
    }

    /// The connection is lost.
    pub fn disconnected(&self) {
        self.changed.notify_one();
    }

    /// The hardware of this entity works.
    pub fn well(&self, id: &str) {
        let mut entities = self.lock();
        let Some(entity) = entities.get_mut(id) else { return };
        if let Some(problem) = entity.health.problem.take() {
            info!("{}: works again after {} faults ({})", entity.title, problem.count, problem.message);
            self.changed.notify_one();
        }
        if entity.health.online != Some(true) {
            entity.health.online = Some(true);
            self.outbox.retained(&self.topics.availability(id), Bytes::from_static(b"online"));
        }
    }

    /// The hardware of this entity failed. `offline`: no state of it can be believed until it works again. `pause`: how
    /// long until it is tried again.
    pub fn fault(&self, id: &str, fault: &Fault, offline: bool, pause: Option<Duration>) {
        let mut entities = self.lock();
        let Some(entity) = entities.get_mut(id) else { return };
        let next = pause.map(|pause| SystemTime::now() + pause);
        entity.health.faults += 1;
        match &mut entity.health.problem {
            Some(problem) if (problem.kind, &problem.message) == (fault.kind.name(), &fault.message) => {
                problem.count += 1;
                problem.next = next;
                debug!("{}: {fault} ({} times)", entity.title, problem.count);
            }
            problem => {
                warn!("{}: {fault}", entity.title);
                let new = Problem { next, ..Problem::new(fault.kind.name(), fault.message.clone()) };
                let (since, count) = problem.as_ref().map_or((new.since, 0), |old| (old.since, old.count));
                *problem = Some(Problem { since, count: count + 1, ..new });
                self.changed.notify_one();
            }
        }
        if offline && entity.health.online != Some(false) {
            entity.health.online = Some(false);
            error!("{}: offline until it works again", entity.title);
            self.outbox.retained(&self.topics.availability(id), Bytes::from_static(b"offline"));
        }
    }

    /// The newest state of an entity.
    #[must_use]
    pub fn last(&self, id: &str) -> Option<Json> {
        self.lock().get(id).and_then(|entity| entity.health.state.clone())
    }

    /// A value of an entity's newest state, or the only one; `None` if there is none that can be believed.
    #[must_use]
    pub fn value(&self, id: &str, key: Option<&str>) -> Option<Value> {
        let entities = self.lock();
        let entity = entities.get(id).filter(|entity| entity.health.online == Some(true))?;
        let state = entity.health.state.as_ref()?.as_object()?;
        let key = key.or_else(|| {
            let mut keys = state.keys().map(String::as_str).filter(|key| *key != TIME);
            if state.contains_key(STATE) { Some(STATE) } else { keys.next() }
        })?;
        match state.get(key)? {
            Json::Number(number) => number.as_f64().map(Value::Number),
            Json::String(text) => Some(Value::Text(text.clone())),
            _ => None,
        }
    }

    /// A message that is not a state.
    pub fn send(&self, topic: String, payload: &Json, correlation: Option<Bytes>) -> Given<'_> {
        let payload = Bytes::from(payload.to_string());
        self.outbox.send(Outgoing { topic, payload, qos: 1, retained: false, expiry: None, correlation })
    }

    /// Publishes `B/A/agent`.
    pub fn publish_health(&self) {
        self.outbox.retained(&self.topics.agent(), Bytes::from(self.health().json().to_string()));
    }

    /// Waits until the health is worth publishing again.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// How all are doing.
    #[must_use]
    pub fn health(&self) -> Health {
        let entities = self.lock().iter().map(|(id, entity)| (id.clone(), entity.health.clone())).collect();
        Health {
            board: self.board,
            uptime: self.started.elapsed(),
            connections: self.connections.load(Ordering::Relaxed),
            outbox: self.outbox.status(),
            buses: self.loads.all(),
            entities,
        }
    }

    /// The map is whole also after a panic: each change of it is one assignment.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entity>> {
        self.entities.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
