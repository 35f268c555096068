//! What goes to the broker and comes from it.

use bytes::Bytes;
use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The way to the broker.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// `mqtt://host:port` or `mqtts://host:port`, all of one kind; the first that answers is used.
    pub urls: Vec<String>,
    /// Client identifier.
    pub client_id: String,
    /// User name.
    pub username: Option<String>,
    /// Password.
    pub password: Option<Secret>,
    /// Protocol version.
    pub protocol: Protocol,
    /// How long the connection may be silent before it is probed. Whole seconds.
    pub keep_alive: Duration,
    /// How long the broker keeps what it has for us when the connection is lost. Commands that were sent in a longer
    /// outage are not carried out after it. Whole seconds.
    pub session: Duration,
    /// Where a message goes that an earlier broker of the list has to acknowledge before it is taken again.
    pub probe_topic: Option<String>,
    /// Certificates of authorities (PEM) that vouch for the broker; the system's if there is none.
    pub ca: Option<PathBuf>,
    /// Our certificate (PEM), for brokers that want one.
    pub certificate: Option<PathBuf>,
    /// The key of our certificate (PEM), unless it is in the same file.
    pub key: Option<PathBuf>,
}

impl Settings {
    /// MQTT 5 without user name and password, probed after 15 s, with a session of 60 s.
    pub fn new(urls: Vec<String>, client_id: impl Into<String>) -> Self {
        Self {
            urls,
            client_id: client_id.into(),
            username: None,
            password: None,
            protocol: Protocol::default(),
            keep_alive: Duration::from_secs(15),
            session: Duration::from_secs(60),
            probe_topic: None,
            ca: None,
            certificate: None,
            key: None,
        }
    }
}

/// MQTT's version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// MQTT 5.
    #[default]
    V5,
    /// MQTT 3.1.1.
    V3,
}

/// Text that no message, log or answer shows.
#[derive(Clone, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[schemars(inline)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("•••")
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("urls", &self.urls).field("protocol", &self.protocol).finish_non_exhaustive()
    }
}

/// What happens on the connection.
#[derive(Debug)]
pub enum Event {
    /// Connected, everything is subscribed to, and the broker has acknowledged that we are online.
    Connected,
    /// The connection is lost, or could not be made; it is tried again without end.
    Disconnected {
        /// Why, for people.
        why: String,
    },
    /// A message arrived.
    Message(Incoming),
}

/// A message from the broker.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Topic.
    pub topic: String,
    /// Payload.
    pub payload: Bytes,
    /// Whether the broker had kept it.
    pub retained: bool,
    /// MQTT 5: where the answer shall go.
    pub response_topic: Option<String>,
    /// MQTT 5: what the answer shall carry.
    pub correlation: Option<Bytes>,
    /// When it arrived here.
    pub received: Instant,
}

/// A message to the broker.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Topic.
    pub topic: String,
    /// Payload.
    pub payload: Bytes,
    /// Quality of service.
    pub qos: u8,
    /// Whether the broker shall keep it.
    pub retained: bool,
    /// MQTT 5: how long the broker shall try to deliver it.
    pub expiry: Option<Duration>,
    /// MQTT 5: goes back with an answer.
    pub correlation: Option<Bytes>,
}
