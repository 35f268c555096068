//! What a queue has to do with the store on disk: what is there too is history there, and comes back in its turn.

use super::flight::Flight;
use super::{Entity, Queue, State};
use crate::config::Store;
use crate::store::{Number, Sample, Want};

/// Below this, more of what waits in the store is fetched.
pub(super) const LOW: usize = 64;

impl Queue {
    /// Numbers begin here: those of what an earlier run left in the store are lower.
    pub(in crate::mqtt) fn begin_with(&mut self, number: Number) {
        self.last = self.last.max(number);
    }

    /// How much of what waits or is on its way is in the store too.
    pub(in crate::mqtt) fn kept(&self) -> usize {
        let waiting = self.live.values().chain(self.backlog.values());
        let flying = self.in_flight.values();
        let flying = flying.filter(|flight| matches!(flight, Flight::State(State { is_kept: true, .. })));
        waiting.filter(|state| state.is_kept).count() + flying.count()
    }

    /// The store has what was just given with this number.
    pub(in crate::mqtt) fn keep(&mut self, number: Number) {
        if let Some(state) = self.live.get_mut(&number) {
            state.is_kept = true;
        } else if let Some(state) = self.backlog.remove(&number) {
            self.leave(number, &state);
        }
    }

    /// Leaves what waits to the store.
    pub(super) fn leave(&mut self, number: Number, state: &State) {
        if let Some(entity) = self.entities.get_mut(&state.topic) {
            entity.waiting.remove(&number);
        }
        self.tidy(&state.topic);
    }

    /// What shall be fetched from the store, if anything shall.
    pub(in crate::mqtt) fn want(&mut self) -> Option<Want> {
        let is_low = self.connected && self.backlog.len() < LOW;
        let want = self.wanted.filter(|_| is_low && !self.is_asked)?;
        self.is_asked = true;
        Some(want)
    }

    /// Takes what was fetched with this ticket, the oldest first; nothing means that there is nothing more.
    pub(in crate::mqtt) fn refill(&mut self, ticket: u64, samples: Vec<Sample>, needs: impl Fn(Number) -> bool) {
        let Some(want) = self.wanted.as_mut().filter(|want| want.ticket == ticket) else { return };
        self.is_asked = false;
        match samples.last() {
            Some(last) => want.after = last.number,
            None => {
                self.wanted = None;
                let newest: Vec<_> =
                    self.silent.iter().filter_map(|(topic, last)| Some((topic.clone(), last.clone()?))).collect();
                for (topic, payload) in newest {
                    self.state(&topic, payload, Store::Latest);
                }
            }
        }
        for Sample { number, topic, payload, is_event, .. } in samples {
            let is_here = self.live.contains_key(&number) || self.in_flight.contains_key(&number);
            if let Some(newest) = self.silent.get_mut(&topic).filter(|_| !is_event) {
                *newest = Some(payload.clone());
            }
            if is_here || self.backlog.contains_key(&number) || !needs(number) {
                continue;
            }
            let topic = self.entities.get_key_value(&topic).map_or(topic, |(known, _)| known.clone());
            let entity = self.entities.entry(topic.clone()).or_insert_with(|| Entity::new(Store::All));
            entity.waiting.insert(number);
            self.backlog.insert(number, State { topic, payload, is_event, is_kept: true, is_late: false });
        }
    }

    /// An entity that has states. Until it gives one, the topic shall have the newest that an earlier run left in the store.
    pub(in crate::mqtt) fn expect(&mut self, topic: &str) {
        self.silent.insert(topic.into(), None);
    }

    /// What the store needs no more since this was asked last.
    pub(in crate::mqtt) fn released(&mut self) -> Vec<Number> {
        std::mem::take(&mut self.released)
    }

    pub(super) fn want_from(&mut self, after: Number, upto: Number) {
        self.ticket += 1;
        self.is_asked = false;
        self.wanted = Some(Want { ticket: self.ticket, after, upto });
    }
}
