//! The way out: whoever has something to publish and may wait for the library, one at a time.

use super::grants::Grants;
use super::message::Outgoing;
use super::paho_wake;
use super::shared::{Heard, Shared, Signal};
use paho_mqtt::{AsyncClient, Message, MessageBuilder, Properties, PropertyCode, QoS};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tracing::{debug, warn};

/// How soon to try again what the library did not take.
const MOMENT: Duration = Duration::from_millis(100);

/// A connection, as long as there is one, its number, and what the broker grants on it.
#[derive(Default)]
pub(super) struct Publisher {
    client: Option<AsyncClient>,
    connection: u64,
    grants: Grants,
}

impl Publisher {
    pub(super) fn open(&mut self, client: AsyncClient, connection: u64, grants: Grants) {
        *self = Self { client: Some(client), connection, grants };
    }

    pub(super) fn close(&mut self) {
        self.client = None;
    }

    /// Publishes what is next in the queue, if anything can go now. The thread of the connection follows it, but is not woken
    /// for it: until the broker has acknowledged it there is nothing to do, and then often nothing but to forget it.
    pub(super) fn publish(&mut self, shared: &Arc<Shared>) {
        let Some(client) = &self.client else { return };
        let mut state = shared.lock();
        if state.held_until.is_some_and(|until| until > Instant::now()) {
            return;
        }
        let Some((number, mut message)) = state.queue.next() else { return };
        if let Err(length) = self.grants.fit(&mut message) {
            state.refused(number);
            drop(state);
            let Grants { packet, .. } = self.grants;
            return warn!("the broker takes {packet} bytes at most: {length} for {} are not sent", message.topic);
        }
        drop(state);
        let message = to_library(message);
        match paho_wake::after(|| client.try_publish(message)) {
            Ok(mut token) => {
                let operation = shared.new_operation();
                let waker = shared.waker(operation, Heard::InTime);
                let end = match Pin::new(&mut token).poll(&mut Context::from_waker(&waker)) {
                    Poll::Ready(result) => Some(result),
                    Poll::Pending => None,
                };
                let tell = if end.is_some() { Shared::signal } else { Shared::signal_in_time };
                tell(shared, Signal::Published { connection: self.connection, number, operation, token, end });
            }
            Err(error) => {
                // The connection has just been lost, which a signal will tell.
                debug!("not published: {error}");
                let mut state = shared.lock();
                state.held_until = Some(Instant::now() + MOMENT);
                state.queue.lost(number);
            }
        }
    }
}

fn to_library(message: Outgoing) -> Message {
    let mut properties = Properties::new();
    if let Some(expiry) = message.expiry {
        // Whole seconds: rather a bit longer than not at all.
        let seconds = expiry.as_secs() + u64::from(expiry.subsec_nanos() > 0);
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        let _ = properties.push_u32(PropertyCode::MessageExpiryInterval, seconds);
    }
    if let Some(correlation) = message.correlation {
        let _ = properties.push_binary(PropertyCode::CorrelationData, Vec::from(correlation));
    }
    let qos = match message.qos {
        0 => QoS::AtMostOnce,
        1 => QoS::AtLeastOnce,
        _ => QoS::ExactlyOnce,
    };
    MessageBuilder::new()
        .topic(message.topic)
        .payload(message.payload)
        .qos(qos)
        .retained(message.retained)
        .properties(properties)
        .finalize()
}
