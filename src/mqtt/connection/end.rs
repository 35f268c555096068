//! The end of the thread, and what the broker is told before it.

use super::loss::LONGEST_PAUSE;
use super::operations::{Operation, take_back};
use super::{Connection, Phase};
use crate::mqtt::client::{CONNECT_TIMEOUT, GOODBYE};
use crate::mqtt::message::Protocol;
use crate::mqtt::shared::Signal;
use paho_mqtt::{DisconnectOptions, DisconnectOptionsBuilder, Properties, PropertyCode};
use tracing::warn;

impl Connection {
    pub(super) fn end(mut self) {
        if matches!(self.phase, Phase::Connecting) {
            // The library must not be left while it connects.
            if let Some((_, Operation::Connect(token))) = self.operations.pop_first()
                && token.wait_for(CONNECT_TIMEOUT + LONGEST_PAUSE).is_ok()
            {
                self.phase = Phase::Connected;
            }
        }
        self.shared.publisher().close();
        if matches!(self.phase, Phase::Connected) {
            self.say_goodbye();
        }
        let Self { client, operations, shared, .. } = self;
        // No callback comes after this.
        drop(client);
        take_back(&shared, operations);
        let mut state = shared.lock();
        for signal in std::mem::take(&mut state.signals) {
            if let Signal::Published { number, .. } = signal {
                state.queue.lost(number);
            }
        }
    }

    pub(super) fn say_goodbye(&self) {
        let told = self.will_topic.as_ref().map_or(Ok(()), |topic| {
            let offline = self.brokers[self.broker].will.message(topic, "offline");
            self.client.try_publish(offline)?.wait_for(GOODBYE)
        });
        let left = self.client.disconnect(self.farewell()).wait_for(GOODBYE);
        if let Err(error) = told.and(left.map(|_| ())) {
            warn!("the broker may not know that this agent is offline: {error}");
        }
    }

    /// The broker need not collect commands for us.
    pub(super) fn farewell(&self) -> DisconnectOptions {
        let mut options = DisconnectOptionsBuilder::new();
        if self.protocol == Protocol::V5 {
            let mut properties = Properties::new();
            if properties.push_u32(PropertyCode::SessionExpiryInterval, 0).is_ok() {
                options.properties(properties);
            }
        }
        options.finalize()
    }
}
