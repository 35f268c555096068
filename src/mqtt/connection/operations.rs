//! What the library was asked for, and what becomes of it.

use super::{Connection, Phase};
use crate::mqtt::grants::Grants;
use crate::mqtt::reasons;
use crate::mqtt::shared::{Heard, Shared};
use paho_mqtt::{DeliveryToken, QoS, ReasonCode, Token};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;
use tracing::{debug, warn};

/// Something that the library will complete.
pub(super) enum Operation {
    Connect(Token),
    /// What has this number in the queue.
    Publish(u64, DeliveryToken),
    Greeting(DeliveryToken),
    Subscribe {
        filter: String,
        connection: u64,
        token: Token,
    },
    Unsubscribe {
        filter: String,
        token: Token,
    },
}

impl Operation {
    /// What it is, for people.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Connect(_) => "a connect".to_owned(),
            Self::Publish(_, token) | Self::Greeting(token) => format!("a message on {}", token.message().topic()),
            Self::Subscribe { filter, .. } => format!("a subscription to {filter}"),
            Self::Unsubscribe { filter, .. } => format!("the end of a subscription to {filter}"),
        }
    }
}

impl Connection {
    pub(super) fn start(&mut self, operation: Operation) {
        self.follow(self.shared.new_operation(), operation);
    }

    /// Ends the operation if it is complete, and else asks for a signal when it will be.
    pub(super) fn follow(&mut self, number: u64, mut operation: Operation) {
        // What the broker was greeted with makes the connection; what else it has acknowledged is only to be forgotten.
        let heard = if matches!(operation, Operation::Publish(..)) { Heard::InTime } else { Heard::AtOnce };
        let waker = self.shared.waker(number, heard);
        let mut context = Context::from_waker(&waker);
        let poll = match &mut operation {
            Operation::Publish(_, token) | Operation::Greeting(token) => {
                Pin::new(token).poll(&mut context).map_ok(|()| Grants::default())
            }
            Operation::Connect(token) | Operation::Subscribe { token, .. } | Operation::Unsubscribe { token, .. } => {
                Pin::new(token).poll(&mut context).map_ok(|answer| Grants::of(answer.properties()))
            }
        };
        match poll {
            Poll::Pending => drop(self.operations.insert(number, operation)),
            Poll::Ready(result) => self.complete(operation, result),
        }
    }

    pub(super) fn complete(&mut self, operation: Operation, result: paho_mqtt::Result<Grants>) {
        match (operation, result) {
            (Operation::Connect(_), Ok(grants)) => self.connected(grants),
            (Operation::Connect(_), Err(error)) => {
                let broker = &mut self.brokers[self.broker];
                let before = broker.will;
                match &error {
                    paho_mqtt::Error::ReasonCode(ReasonCode::QosNotSupported, _) => broker.will.qos = QoS::AtMostOnce,
                    paho_mqtt::Error::ReasonCode(ReasonCode::RetainNotSupported, _) => broker.will.retained = false,
                    _ => (),
                }
                let url = &broker.url;
                let why = format!("{url}: {}", reasons::refusal(url, &error));
                if broker.will != before {
                    debug!("{why}: another try with what it supports");
                    return self.phase = Phase::Waiting(Instant::now());
                }
                self.failures += 1;
                self.broker = (self.broker + 1) % self.brokers.len();
                self.try_again(why);
            }
            (Operation::Publish(number, _), Ok(_)) => {
                let mut state = self.shared.lock();
                state.delivered(number);
                if self.doubted == Some(self.broker) && self.connected_at.elapsed() > self.patience {
                    self.doubted = None;
                    state.doubt = None;
                }
            }
            (Operation::Publish(number, token), Err(paho_mqtt::Error::ReasonCode(reason, _))) => {
                warn!("the broker refuses a message on {}: {reason}", token.message().topic());
                self.shared.lock().refused(number);
            }
            (Operation::Publish(number, _), Err(error)) => {
                debug!("a message is sent again: {error}");
                self.shared.lock().queue.lost(number);
            }
            (Operation::Subscribe { filter, connection, .. }, result) if connection == self.connection => {
                if let Err(error) = result {
                    warn!("no subscription to {filter}: {error}");
                }
                self.answered();
            }
            (Operation::Greeting(_), Ok(_)) => self.answered(),
            (Operation::Greeting(token), Err(paho_mqtt::Error::ReasonCode(reason, _))) => {
                warn!("the broker refuses a message on {}: {reason}", token.message().topic());
                self.answered();
            }
            (Operation::Unsubscribe { filter, .. }, Ok(_)) => drop(self.unwanted.remove(&filter)),
            // The next connect makes up for them.
            (Operation::Subscribe { .. } | Operation::Greeting(_) | Operation::Unsubscribe { .. }, _) => (),
        }
    }
}

/// What a client that is gone has not delivered waits again.
pub(super) fn take_back(shared: &Shared, operations: impl IntoIterator<Item = (u64, Operation)>) {
    let mut state = shared.lock();
    state.queue.disconnected();
    for (_, operation) in operations {
        if let Operation::Publish(number, _) = operation {
            state.queue.lost(number);
        }
    }
}
