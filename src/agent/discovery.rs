//! When Home Assistant is told what there is.

use crate::config::Config;
use crate::mqtt::{Incoming, Outgoing, Topics, discovery};
use crate::reporter::Reporter;
use bytes::Bytes;
use serde_json::Value as Json;

/// The agent's discovery message.
pub(super) struct Discovery {
    topic: String,
    payload: Json,
    /// Whether what the broker had kept from before was looked at.
    compared: bool,
}

impl Discovery {
    pub(super) fn new(prefix: &str, config: &Config, topics: &Topics, board: &str) -> Self {
        let payload = discovery::message(config, Some(board));
        Self { topic: topics.discovery(prefix), payload, compared: false }
    }

    /// The same for another configuration, without what is gone.
    pub(super) fn replace(&mut self, new: Self, reporter: &Reporter) {
        let old = std::mem::replace(&mut self.payload, new.payload).to_string();
        self.follow(old.as_bytes(), reporter);
    }

    pub(super) fn publish(&self, reporter: &Reporter) {
        self.send(&self.payload, reporter);
    }

    /// What the broker has kept on our topic: what an earlier run, perhaps with other entities, said.
    pub(super) fn found(&mut self, message: &Incoming, reporter: &Reporter) {
        if message.retained && !std::mem::replace(&mut self.compared, true) {
            self.follow(&message.payload, reporter);
        }
    }

    /// Publishes, after another message: first what is gone is removed, and last its retained topics are cleared.
    fn follow(&self, old: &[u8], reporter: &Reporter) {
        let cleanup = discovery::cleanup(old, &self.payload, reporter.topics());
        if let Some(cleanup) = &cleanup {
            self.send(&cleanup.payload, reporter);
        }
        self.publish(reporter);
        for topic in cleanup.into_iter().flat_map(|cleanup| cleanup.retained) {
            reporter.outbox().retained(&topic, Bytes::new());
        }
    }

    /// In the queue, not in a slot: a clean-up must not be replaced by what follows it.
    fn send(&self, payload: &Json, reporter: &Reporter) {
        reporter.outbox().send(Outgoing {
            topic: self.topic.clone(),
            payload: Bytes::from(payload.to_string()),
            qos: 1,
            retained: true,
            expiry: None,
            correlation: None,
        });
    }
}
