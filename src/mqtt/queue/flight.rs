//! What of a queue is on its way: what goes next, and what became of it.

use super::{Queue, State};
use crate::config::Store;
use crate::mqtt::message::Outgoing;
use crate::store::Number;
use std::sync::Arc;

/// One of so many that are on their way may be of the backlog: what is new does not stand behind a crowd.
const SHARE: usize = 4;

#[derive(Debug)]
pub(super) enum Flight {
    Message(Outgoing),
    State(State),
    /// A state of an entity that is no more, and whether the store has it.
    Forgotten {
        is_kept: bool,
    },
}

impl Flight {
    fn is_state(&self) -> bool {
        matches!(self, Self::State(state) if !state.is_event)
    }
}

impl Queue {
    /// Whether there is something that can go now.
    pub(in crate::mqtt) fn is_ready(&self) -> bool {
        let is_new = !self.messages.is_empty() || !self.live.is_empty();
        self.connected
            && self.in_flight.len() < self.most_in_flight
            && (is_new || (!self.backlog.is_empty() && self.backlog_may_go()))
    }

    fn backlog_may_go(&self) -> bool {
        self.late < (self.most_in_flight / SHARE).max(1)
    }

    /// What shall go now: messages and states in the order in which they came, and the backlog when nothing else waits.
    pub(in crate::mqtt) fn next(&mut self) -> Option<(Number, Outgoing)> {
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
        let (number, state) = match self.live.pop_first() {
            Some(state) => state,
            None if self.backlog_may_go() => {
                let (number, state) = self.backlog.pop_first()?;
                self.late += 1;
                (number, State { is_late: true, ..state })
            }
            None => return None,
        };
        if let Some(entity) = self.entities.get_mut(&state.topic) {
            entity.waiting.remove(&number);
            entity.in_flight += 1;
        }
        let topic = if state.is_late { format!("{}/backlog", state.topic) } else { state.topic.to_string() };
        let retained = !state.is_late && !state.is_event;
        let message =
            Outgoing { topic, payload: state.payload.clone(), qos: 1, retained, expiry: None, correlation: None };
        self.in_flight.insert(number, Flight::State(state));
        Some((number, message))
    }

    /// The broker has it.
    pub(in crate::mqtt) fn delivered(&mut self, number: Number) {
        self.counters.delivered += 1;
        if let Some(Flight::State(state)) = self.in_flight.get(&number).filter(|flight| flight.is_state()) {
            self.known.insert(Arc::clone(&state.topic));
        }
        self.done(number);
    }

    /// The broker does not want it: sending it again would not help.
    pub(in crate::mqtt) fn refused(&mut self, number: Number) {
        self.counters.failed += 1;
        self.done(number);
    }

    /// It was lost on the way: it takes its old place again, unless a newer state has replaced it.
    pub(in crate::mqtt) fn lost(&mut self, number: Number) {
        self.counters.repeated += 1;
        match self.landed(number) {
            Some(Flight::Message(message)) => {
                self.messages.insert(number, message);
                self.bound_messages();
            }
            Some(Flight::State(state)) => self.state_lost(number, state),
            Some(Flight::Forgotten { .. }) | None => (),
        }
    }

    fn state_lost(&mut self, number: Number, state: State) {
        let topic = state.topic.clone();
        let Some(entity) = self.entities.get_mut(&topic) else { return };
        match entity.store {
            // The store has it, and gives it when there is a connection again.
            _ if state.is_kept && !self.connected && number != entity.newest => {}
            _ if state.is_kept && number != entity.newest => {
                entity.waiting.insert(number);
                self.backlog.insert(number, state);
            }
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
        let is_kept = match self.landed(number) {
            Some(Flight::State(state)) => {
                self.tidy(&state.topic);
                state.is_kept
            }
            Some(Flight::Forgotten { is_kept }) => is_kept,
            Some(Flight::Message(_)) | None => false,
        };
        if is_kept {
            self.released.push(number);
        }
    }

    fn landed(&mut self, number: Number) -> Option<Flight> {
        let mut flight = self.in_flight.remove(&number)?;
        if let Flight::State(state) = &mut flight {
            self.late -= usize::from(std::mem::take(&mut state.is_late));
            if let Some(entity) = self.entities.get_mut(&state.topic) {
                entity.in_flight -= 1;
            }
        }
        Some(flight)
    }
}
