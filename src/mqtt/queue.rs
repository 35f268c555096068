//! What waits for the broker, and what goes next: no threads, no clock, no network.

mod flight;
mod kept;

use super::message::Outgoing;
use crate::config::Store;
use crate::store::{Number, Want};
use bytes::Bytes;
use flight::Flight;
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

/// What waits and what is on its way.
///
/// Everything has a number in the order in which it was given; whatever comes back takes its old place by it. What a
/// store on disk has as well is not kept here once it is history: it is fetched from there when its turn comes.
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
    /// How many of those are of the backlog.
    late: usize,
    /// What is still to be fetched from the store.
    wanted: Option<Want>,
    /// Whether it was asked for.
    is_asked: bool,
    /// Counts what is fetched: what was asked for on an earlier connection is void.
    ticket: u64,
    /// Topics on which no state was given yet, and the newest that was fetched of them.
    silent: HashMap<Arc<str>, Option<Bytes>>,
    /// What the store needs no more.
    released: Vec<Number>,
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
    /// The store has it too.
    is_kept: bool,
    /// It goes to the backlog.
    is_late: bool,
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

impl Entity {
    fn new(store: Store) -> Self {
        Self { store, newest: 0, waiting: BTreeSet::new(), in_flight: 0 }
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
            late: 0,
            wanted: None,
            is_asked: false,
            ticket: 0,
            silent: HashMap::new(),
            released: Vec::new(),
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

    /// Takes the newest state of an entity; gives its number and topic.
    pub(super) fn state(&mut self, topic: &str, payload: Bytes, store: Store) -> Option<(Number, Arc<str>)> {
        self.silent.remove(topic);
        let (number, topic) = self.entity(topic, store)?;
        let entity = self.entities.get_mut(&topic)?;
        entity.newest = number;
        match store {
            Store::Latest => {
                for older in std::mem::take(&mut entity.waiting) {
                    let state = self.live.get(&older).or_else(|| self.backlog.get(&older));
                    // What was given when all were to be kept stays, too.
                    if state.is_some_and(|state| state.is_event || state.is_kept) {
                        entity.waiting.insert(older);
                    } else {
                        self.live.remove(&older);
                        self.backlog.remove(&older);
                    }
                }
            }
            Store::All if !self.connected => {
                for older in std::mem::take(&mut entity.waiting) {
                    match self.live.remove(&older) {
                        Some(state) if state.is_kept => continue,
                        Some(state) => drop(self.backlog.insert(older, state)),
                        None => {}
                    }
                    entity.waiting.insert(older);
                }
            }
            Store::All | Store::None => (),
        }
        entity.waiting.insert(number);
        let state = State { topic: topic.clone(), payload, is_event: false, is_kept: false, is_late: false };
        self.live.insert(number, state);
        self.bound_states(&topic);
        Some((number, topic))
    }

    /// Takes an event of an entity. During an outage it is history at once: kept for the backlog, or not at all. Gives its
    /// number and topic.
    pub(super) fn event(&mut self, topic: &str, payload: Bytes, store: Store) -> Option<(Number, Arc<str>)> {
        if store == Store::Latest && !self.connected {
            self.counters.dropped += 1;
            return None;
        }
        let (number, topic) = self.entity(topic, store)?;
        let entity = self.entities.get_mut(&topic)?;
        entity.waiting.insert(number);
        let event = State { topic: topic.clone(), payload, is_event: true, is_kept: false, is_late: false };
        let queue = if self.connected { &mut self.live } else { &mut self.backlog };
        queue.insert(number, event);
        self.bound_states(&topic);
        Some((number, topic))
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
        let entity = self.entities.entry(topic.clone()).or_insert_with(|| Entity::new(store));
        entity.store = store;
        Some((self.last, topic))
    }

    /// Whether the broker of this connection has the newest state of this topic, or will have it.
    pub(super) fn is_known(&self, topic: &str) -> bool {
        let will =
            |entity: &Entity| entity.waiting.contains(&entity.newest) || self.in_flight.contains_key(&entity.newest);
        self.known.contains(topic) || self.entities.get(topic).is_some_and(will)
    }

    /// Drops what waits for this topic; what the store has is history now.
    pub(super) fn forget(&mut self, topic: &str) {
        self.known.remove(topic);
        self.silent.remove(topic);
        let Some(entity) = self.entities.remove(topic) else { return };
        let mut history = Entity::new(Store::All);
        for number in entity.waiting {
            let state = self.live.remove(&number).or_else(|| self.backlog.remove(&number));
            if let Some(state) = state.filter(|state| state.is_kept && self.connected) {
                history.waiting.insert(number);
                self.backlog.insert(number, state);
            }
        }
        if !history.waiting.is_empty() {
            self.entities.insert(topic.into(), history);
        }
        for flight in self.in_flight.values_mut() {
            if let Flight::State(state) = flight
                && &*state.topic == topic
            {
                self.late -= usize::from(state.is_late);
                *flight = Flight::Forgotten { is_kept: state.is_kept };
            }
        }
    }

    /// All that the store has and that is not here waits to be fetched.
    pub(super) fn connected(&mut self) {
        self.connected = true;
        self.want_from(0, self.last);
    }

    /// States that were to go to their own topics are history now, but for the newest of each entity.
    pub(super) fn disconnected(&mut self) {
        self.connected = false;
        self.wanted = None;
        self.known.clear();
        let kept: Vec<_> = self.backlog.iter().filter(|(_, state)| state.is_kept).map(|(number, _)| *number).collect();
        for number in kept {
            if let Some(state) = self.backlog.remove(&number) {
                self.leave(number, &state);
            }
        }
        for (number, state) in std::mem::take(&mut self.live) {
            let Some(entity) = self.entities.get_mut(&state.topic) else { continue };
            if state.is_kept && number != entity.newest {
                self.leave(number, &state);
                continue;
            }
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

    fn bound_messages(&mut self) {
        while self.messages.len() > self.limits.messages {
            self.messages.pop_first();
            self.counters.dropped += 1;
        }
    }

    fn bound_states(&mut self, topic: &str) {
        let Some(mut entity) = self.entities.get_mut(topic) else { return };
        while entity.waiting.len() > self.limits.states {
            // Not the newest state, whatever came after it: the topic has to show it.
            let Some(oldest) = entity.waiting.iter().copied().find(|number| *number != entity.newest) else { break };
            entity.waiting.remove(&oldest);
            let state = self.live.remove(&oldest).or_else(|| self.backlog.remove(&oldest));
            if !state.is_some_and(|state| state.is_kept) {
                self.counters.dropped += 1;
            } else if self.connected {
                // It is fetched again, in its turn.
                let (after, upto) = self.wanted.map_or((Number::MAX, 0), |want| (want.after, want.upto));
                self.want_from(after.min(oldest - 1), upto.max(oldest));
            }
            let Some(again) = self.entities.get_mut(topic) else { return };
            entity = again;
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
