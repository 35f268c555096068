//! How a connection is made, and what it begins with.

use super::back::LookBack;
use super::loss::{KEEP_ALIVES, SHORTEST_PATIENCE, SHORTEST_PAUSE};
use super::operations::Operation;
use super::{Connection, Phase};
use crate::mqtt::grants::Grants;
use crate::mqtt::message::Event;
use paho_mqtt::QoS;
use std::time::Instant;
use tracing::{debug, info, warn};

impl Connection {
    pub(super) fn connect(&mut self) {
        let broker = &self.brokers[self.broker];
        // A new process has no use for commands that were given to the one before, nor has one that was away for long.
        let fresh = self.lost.is_none_or(|lost| lost.elapsed() > self.session);
        debug!("connecting to {}", broker.url);
        match (self.make_options)(&broker.url, fresh, Some(broker.will)) {
            Ok(options) => {
                self.phase = Phase::Connecting;
                let token = self.client.connect(options);
                self.start(Operation::Connect(token));
            }
            // It worked when this began.
            Err(error) => self.try_again(error.to_string()),
        }
    }

    pub(super) fn connected(&mut self, grants: Grants) {
        info!("connected to {}", self.brokers[self.broker].url);
        if !grants.retain {
            warn!("the broker keeps no messages: who comes later sees a state when it is published again");
        }
        self.taken_over = false;
        self.connected_at = Instant::now();
        self.patience = (grants.keep_alive.unwrap_or(self.keep_alive) * KEEP_ALIVES).max(SHORTEST_PATIENCE);
        self.look_back = LookBack::NONE;
        if self.broker > 0 {
            self.look_back.plan();
        }
        self.phase = Phase::Connected;
        self.failures = 0;
        self.pause = SHORTEST_PAUSE;
        self.why = None;
        self.connection += 1;
        // One more, until all is begun: answers can be here already, and it shall be told once.
        self.unanswered = 1;
        for filter in self.unwanted.clone() {
            self.unsubscribe(&filter);
        }
        for (filter, qos) in self.subscriptions.clone() {
            self.subscribe(&filter, qos);
        }
        self.brokers[self.broker].will.fit(grants);
        // After the subscriptions: whoever hears it can be heard. When it gets lost, so does the connection, and the next
        // one has a greeting of its own. A broker that does not acknowledge it is none.
        if let Some(topic) = &self.will_topic
            && let Ok(token) = self.client.try_publish(self.brokers[self.broker].will.message(topic, "online"))
        {
            self.unanswered += 1;
            self.start(Operation::Greeting(token));
        }
        self.shared.publisher().open(self.client.clone(), self.connection, grants);
        let mut state = self.shared.lock();
        state.queue.allow(grants.in_flight);
        state.queue.connected();
        drop(state);
        self.answered();
    }

    /// One more of what the connection begins with was answered.
    pub(super) fn answered(&mut self) {
        self.unanswered -= 1;
        if self.unanswered == 0 && matches!(self.phase, Phase::Connected) {
            self.tell(Event::Connected);
        }
    }

    pub(super) fn subscribe(&mut self, filter: &str, qos: u8) {
        if !matches!(self.phase, Phase::Connected) {
            return; // It is made with all others on the next connect.
        }
        // QoS 2 needs a memory of what has arrived, which the client of one connection has not.
        let qos = if qos == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce };
        self.unanswered += 1;
        let token = self.client.subscribe(filter, qos);
        self.start(Operation::Subscribe { filter: filter.to_owned(), connection: self.connection, token });
    }

    pub(super) fn unsubscribe(&mut self, filter: &str) {
        if matches!(self.phase, Phase::Connected) {
            let token = self.client.unsubscribe(filter);
            self.start(Operation::Unsubscribe { filter: filter.to_owned(), token });
        }
    }
}
