//! What waits for the broker, and what goes next: no threads, no clock, no network.

use super::message::Outgoing;
use crate::config::Store;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// Bounds of an outbox.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Messages that wait, results and responses together. The oldest gives way.
    pub messages: usize,
    /// States of one entity that wait. The oldest gives way.
    pub states: usize,
    /// Messages that are on their way and not acknowledged yet. The library below slows down with its backlog.
    pub in_flight: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { messages: 1000, states: 1000, in_flight: 100 }
    }
}

/// Everything has a number in the order in which it was given; whatever comes back takes its old place by it.
pub(super) type Number = u64;

/// What waits and what is on its way.
#[derive(Debug)]
pub(super) struct Queue {
    limits: Limits,
    connected: bool,
    /// Messages that may be on their way on this connection.
    most_in_flight: usize,
    last: Number,
    messages: BTreeMap<Number, Outgoing>,
    /// States for their own topics.
    live: BTreeMap<Number, State>,
    /// States of an outage, which newer ones have passed.
    backlog: BTreeMap<Number, State>,
    entities: HashMap<Arc<str>, Entity>,
    in_flight: HashMap<Number, Flight>,
    /// Topics of states that this connection's broker has acknowledged.
    known: HashSet<Arc<str>>,
    pub(super) counters: Counters,
}

#[derive(Clone, Debug)]
struct State {
    topic: Arc<str>,
    payload: Bytes,
    /// Something that happened: never retained, and no newer one makes it void.
    is_event: bool,
}

/// A topic of states and events, as long as any of them waits or is on its way.
#[derive(Debug)]
struct Entity {
    store: Store,
    /// The newest state; 0 if only events were given.
    newest: Number,
    /// All that wait, in `live` or `backlog`.
    waiting: BTreeSet<Number>,
    in_flight: usize,
}

#[derive(Debug)]
enum Flight {
    Message(Outgoing),
    State(State),
    /// A state of an entity that is no more.
    Forgotten,
}

impl Flight {
    fn is_state(&self) -> bool {
        matches!(self, Self::State(state) if !state.is_event)
    }
}

/// What became of messages so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counters {
    pub(super) delivered: u64,
    pub(super) dropped: u64,
    pub(super) failed: u64,
    pub(super) repeated: u64,
}

impl Queue {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            connected: false,
            most_in_flight: limits.in_flight,
            last: 0,
            messages: BTreeMap::new(),
            live: BTreeMap::new(),
            backlog: BTreeMap::new(),
            entities: HashMap::new(),
            in_flight: HashMap::new(),
            known: HashSet::new(),
            counters: Counters::default(),
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.connected
    }

    pub(super) fn depth(&self) -> usize {
        self.messages.len() + self.live.len() + self.backlog.len()
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// What the broker allows to be on its way on this connection.
    pub(super) fn allow(&mut self, in_flight: usize) {
        self.most_in_flight = in_flight.min(self.limits.in_flight);
    }

    /// Whether there is something that can go now.
    pub(super) fn is_ready(&self) -> bool {
        self.connected && self.in_flight.len() < self.most_in_flight && self.depth() > 0
    }

    /// Takes a message.
    pub(super) fn send(&mut self, message: Outgoing) {
        if !is_topic_name(&message.topic) {
            self.counters.failed += 1;
            return;
        }
        self.last += 1;
        self.messages.insert(self.last, message);
        self.bound_messages();
    }

    /// Takes the newest state of an entity.
    pub(super) fn state(&mut self, topic: &str, payload: Bytes, store: Store) {
        let Some((number, topic)) = self.entity(topic, store) else { return };
        let Some(entity) = self.entities.get_mut(&topic) else { return };
        entity.newest = number;
        match store {
            Store::Latest => {
                for older in std::mem::take(&mut entity.waiting) {
                    if self.live.get(&older).is_some_and(|state| state.is_event) {
                        entity.waiting.insert(older);
                    } else {
                        self.live.remove(&older);
                        self.backlog.remove(&older);
                    }
                }
            }
            Store::All if !self.connected => {
                for older in &entity.waiting {
                    if let Some(state) = self.live.remove(older) {
                        self.backlog.insert(*older, state);
                    }
                }
            }
            Store::All | Store::None => (),
        }
        entity.waiting.insert(number);
        self.live.insert(number, State { topic: topic.clone(), payload, is_event: false });
        self.bound_states(&topic);
    }

    /// Takes an event of an entity. During an outage it is history at once: kept for the backlog, or not at all.
    pub(super) fn event(&mut self, topic: &str, payload: Bytes, store: Store) {
        if store == Store::Latest && !self.connected {
            self.counters.dropped += 1;
            return;
        }
        let Some((number, topic)) = self.entity(topic, store) else { return };
        let Some(entity) = self.entities.get_mut(&topic) else { return };
        entity.waiting.insert(number);
        let event = State { topic: topic.clone(), payload, is_event: true };
        let queue = if self.connected { &mut self.live } else { &mut self.backlog };
        queue.insert(number, event);
        self.bound_states(&topic);
    }

    /// A number for what an entity gives, and its topic; `None` if it is not taken.
    fn entity(&mut self, topic: &str, store: Store) -> Option<(Number, Arc<str>)> {
        if !is_topic_name(topic) {
            self.counters.failed += 1;
            return None;
        }
        if store == Store::None && !self.connected {
            self.counters.dropped += 1;
            return None;
        }
        self.last += 1;
        let topic: Arc<str> = match self.entities.get_key_value(topic) {
            Some((known, _)) => known.clone(),
            None => topic.into(),
        };
        let entity = self.entities.entry(topic.clone()).or_insert_with(|| Entity {
            store,
            newest: 0,
            waiting: BTreeSet::new(),
            in_flight: 0,
        });
        entity.store = store;
        Some((self.last, topic))
    }

    /// Whether the broker of this connection has the newest state of this topic, or will have it.
    pub(super) fn is_known(&self, topic: &str) -> bool {
        let will =
            |entity: &Entity| entity.waiting.contains(&entity.newest) || self.in_flight.contains_key(&entity.newest);
        self.known.contains(topic) || self.entities.get(topic).is_some_and(will)
    }

    /// Drops what waits for this topic.
    pub(super) fn forget(&mut self, topic: &str) {
        self.known.remove(topic);
        let Some(entity) = self.entities.remove(topic) else { return };
        for number in entity.waiting {
            self.live.remove(&number);
            self.backlog.remove(&number);
        }
        for flight in self.in_flight.values_mut() {
            if matches!(flight, Flight::State(state) if &*state.topic == topic) {
                *flight = Flight::Forgotten;
            }
        }
    }

    pub(super) fn connected(&mut self) {
        self.connected = true;
    }

    /// States that were to go to their own topics are history now, but for the newest of each entity.
    pub(super) fn disconnected(&mut self) {
        self.connected = false;
        self.known.clear();
        for (number, state) in std::mem::take(&mut self.live) {
            let Some(entity) = self.entities.get_mut(&state.topic) else { continue };
            if entity.store == Store::None || (entity.store == Store::Latest && state.is_event) {
                entity.waiting.remove(&number);
                self.counters.dropped += 1;
                self.tidy(&state.topic);
            } else if entity.store == Store::All && number != entity.newest {
                self.backlog.insert(number, state);
            } else {
                self.live.insert(number, state);
            }
        }
    }

    /// What shall go now: messages and states in the order in which they came, and the backlog when nothing else waits.
    pub(super) fn next(&mut self) -> Option<(Number, Outgoing)> {
        if !self.connected || self.in_flight.len() >= self.most_in_flight {
            return None;
        }
        let message = self.messages.first_key_value().map(|(number, _)| *number);
        let state = self.live.first_key_value().map(|(number, _)| *number);
        if message.is_some_and(|message| state.is_none_or(|state| message < state)) {
            let (number, message) = self.messages.pop_first()?;
            self.in_flight.insert(number, Flight::Message(message.clone()));
            return Some((number, message));
        }
        let (number, state, is_live) = match self.live.pop_first() {
            Some((number, state)) => (number, state, true),
            None => self.backlog.pop_first().map(|(number, state)| (number, state, false))?,
        };
        if let Some(entity) = self.entities.get_mut(&state.topic) {
            entity.waiting.remove(&number);
            entity.in_flight += 1;
        }
        let topic = if is_live { state.topic.to_string() } else { format!("{}/backlog", state.topic) };
        let retained = is_live && !state.is_event;
        let message =
            Outgoing { topic, payload: state.payload.clone(), qos: 1, retained, expiry: None, correlation: None };
        self.in_flight.insert(number, Flight::State(state));
        Some((number, message))
    }

    /// The broker has it.
    pub(super) fn delivered(&mut self, number: Number) {
        self.counters.delivered += 1;
        if let Some(Flight::State(state)) = self.in_flight.get(&number).filter(|flight| flight.is_state()) {
            self.known.insert(Arc::clone(&state.topic));
        }
        self.done(number);
    }

    /// The broker does not want it: sending it again would not help.
    pub(super) fn refused(&mut self, number: Number) {
        self.counters.failed += 1;
        self.done(number);
    }

    /// It was lost on the way: it takes its old place again, unless a newer state has replaced it.
    pub(super) fn lost(&mut self, number: Number) {
        self.counters.repeated += 1;
        match self.landed(number) {
            Some(Flight::Message(message)) => {
                self.messages.insert(number, message);
                self.bound_messages();
            }
            Some(Flight::State(state)) => self.state_lost(number, state),
            Some(Flight::Forgotten) | None => (),
        }
    }

    fn state_lost(&mut self, number: Number, state: State) {
        let topic = state.topic.clone();
        let Some(entity) = self.entities.get_mut(&topic) else { return };
        match entity.store {
            Store::None if !self.connected => self.counters.dropped += 1,
            _ if number == entity.newest => {
                entity.waiting.insert(number);
                self.live.insert(number, state);
            }
            Store::All => {
                entity.waiting.insert(number);
                self.backlog.insert(number, state);
            }
            Store::Latest | Store::None if state.is_event => self.counters.dropped += 1,
            Store::Latest | Store::None => (),
        }
        self.bound_states(&topic);
        self.tidy(&topic);
    }

    fn done(&mut self, number: Number) {
        if let Some(Flight::State(state)) = self.landed(number) {
            self.tidy(&state.topic);
        }
    }

    fn landed(&mut self, number: Number) -> Option<Flight> {
        let flight = self.in_flight.remove(&number)?;
        if let Flight::State(state) = &flight
            && let Some(entity) = self.entities.get_mut(&state.topic)
        {
            entity.in_flight -= 1;
        }
        Some(flight)
    }

    fn bound_messages(&mut self) {
        while self.messages.len() > self.limits.messages {
            self.messages.pop_first();
            self.counters.dropped += 1;
        }
    }

    fn bound_states(&mut self, topic: &str) {
        let Some(entity) = self.entities.get_mut(topic) else { return };
        while entity.waiting.len() > self.limits.states {
            // Not the newest state, whatever came after it: the topic has to show it.
            let Some(oldest) = entity.waiting.iter().copied().find(|number| *number != entity.newest) else { break };
            entity.waiting.remove(&oldest);
            self.live.remove(&oldest);
            self.backlog.remove(&oldest);
            self.counters.dropped += 1;
        }
    }

    /// Entities come and go; none stays behind here.
    fn tidy(&mut self, topic: &str) {
        if self.entities.get(topic).is_some_and(|entity| entity.waiting.is_empty() && entity.in_flight == 0) {
            self.entities.remove(topic);
        }
    }
}

/// Whether a message can be published on this topic (MQTT 5, 4.7): a broker ends the connection over one that cannot.
fn is_topic_name(topic: &str) -> bool {
    !topic.is_empty() && topic.len() <= usize::from(u16::MAX) && !topic.contains(['\0', '+', '#'])
}

#[cfg(test)]
mod tests;
