//! The brokers to which a connection can be made.

use super::grants::Grants;
use paho_mqtt::{Message, MessageBuilder, QoS};

/// One of the brokers, and what it is to say when we are gone.
pub(super) struct Broker {
    pub(super) url: String,
    pub(super) will: Will,
}

/// How a last will is published.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Will {
    pub(super) qos: QoS,
    pub(super) retained: bool,
}

impl Will {
    pub(super) fn fit(&mut self, grants: Grants) {
        self.retained &= grants.retain;
        if grants.qos == 0 {
            self.qos = QoS::AtMostOnce;
        }
    }

    pub(super) fn message(self, topic: &str, text: &str) -> Message {
        MessageBuilder::new().topic(topic).payload(text).qos(self.qos).retained(self.retained).finalize()
    }
}

impl Broker {
    pub(super) fn new(url: &str) -> Self {
        Self { url: url.to_owned(), will: Will { qos: QoS::AtLeastOnce, retained: true } }
    }
}
