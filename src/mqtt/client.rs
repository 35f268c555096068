//! The connection to the broker, seen from outside.

use super::connection::Connection;
use super::message::{Event, Incoming, Settings};
use super::options::{bare_client, check_urls, make_options};
use super::outbox::Outbox;
use super::shared::{Shared, Signal};
use super::{paho_fix, reasons};
use bytes::Bytes;
use paho_mqtt::{AsyncClient, Message, PropertyCode, ReasonCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// How long the broker may take to answer a connect.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the goodbye may take, each step of it, and all that is waited for.
pub(super) const GOODBYE: Duration = Duration::from_millis(400);

/// A connection to the broker, which is made again whenever it is lost.
///
/// Dropping it is a [`stop`](Self::stop) without a time limit to wait for.
pub struct Client {
    shared: Arc<Shared>,
    refused: Arc<AtomicU64>,
    ended: Option<oneshot::Receiver<()>>,
}

/// Settings with which there is no connecting.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no URL.
    #[error("no broker is named")]
    NoUrl,
    /// A URL that is none of `mqtt://` and `mqtts://` with a host.
    #[error("{0:?} is not the URL of a broker: mqtt://HOST[:PORT] or mqtts://HOST[:PORT]")]
    Url(String),
    /// A URL with a user name or a password in it, which logs would show.
    #[error("user name and password do not belong into the URL of a broker")]
    Credentials,
    /// `mqtt://` and `mqtts://` in one list.
    #[error("the brokers of a list are either all mqtt:// or all mqtts://")]
    MixedUrls,
    /// `mqtts://` without TLS.
    #[error("this halyard was built without TLS (cargo feature `tls`), so it cannot connect to mqtts://")]
    NoTls,
    /// A file that TLS needs.
    #[error("cannot read {path} (`{key}`): {why}")]
    File {
        /// The key that names it.
        key: &'static str,
        /// The file.
        path: String,
        /// Why not.
        why: String,
    },
    /// A topic that cannot be one.
    #[error("{0:?} is not a topic")]
    Topic(String),
    /// The MQTT library does not accept the settings.
    #[error("the MQTT library refuses the settings: {0}")]
    Library(#[from] paho_mqtt::Error),
    /// There is no thread for it.
    #[error("no thread for the connection: {0}")]
    Thread(#[from] std::io::Error),
    /// The program was linked wrongly.
    #[error("linked without the guards around the MQTT library: see build.rs")]
    Unguarded,
}

/// Sees each message first, on the thread that received it, and gives back what shall wait for its turn among the events.
/// The library's lock is held meanwhile, so it waits for nothing but short locks, and publishes by [`Outbox::send`] only.
pub type Shortcut = Box<dyn Fn(Incoming) -> Option<Incoming> + Send + Sync>;

impl Client {
    /// Starts to connect, and goes on trying without end: a broker that is away is not an error.
    ///
    /// The last will is `offline`, retained, on `will_topic`, if there is one, where every connect publishes `online`
    /// before anything new is sent. Every connect makes the subscriptions anew, since a broker may have lost them. A subscription with
    /// QoS 2 is made with QoS 1: a command may arrive twice, but a lost connection never loses it. `events` is never
    /// waited for: when it is nearly full, messages from the broker are refused, counted and logged; what happens to
    /// the connection is told as soon as there is room.
    ///
    /// # Errors
    /// When there is no connecting with these settings.
    pub fn start(
        settings: &Settings,
        will_topic: Option<&str>,
        subscriptions: Vec<(String, u8)>,
        outbox: Outbox,
        events: mpsc::Sender<Event>,
    ) -> Result<Self, Error> {
        Self::start_with(settings, will_topic, subscriptions, outbox, events, Box::new(Some))
    }

    /// The same, with a shortcut for some of the messages.
    ///
    /// # Errors
    /// When there is no connecting with these settings.
    pub fn start_with(
        settings: &Settings,
        will_topic: Option<&str>,
        subscriptions: Vec<(String, u8)>,
        outbox: Outbox,
        events: mpsc::Sender<Event>,
        shortcut: Shortcut,
    ) -> Result<Self, Error> {
        if !paho_fix::in_force() {
            return Err(Error::Unguarded);
        }
        #[cfg(feature = "tls")]
        paho_fix::leave_openssl();
        check_urls(&settings.urls)?;
        for topic in subscriptions.iter().map(|(filter, _)| filter.as_str()).chain(will_topic) {
            if topic.is_empty() || topic.contains('\0') {
                return Err(Error::Topic(topic.to_owned()));
            }
        }
        let make_options = make_options(settings, will_topic)?;
        let shared = outbox.into_shared();
        let refused = Arc::new(AtomicU64::new(0));
        let make_client = {
            let (settings, shared, refused, events) =
                (settings.clone(), shared.clone(), refused.clone(), events.clone());
            let shortcut = Arc::new(shortcut);
            Box::new(move |probe| {
                if probe {
                    bare_client(&settings, "-probe")
                } else {
                    library_client(&settings, &shared, &refused, &events, &shortcut)
                }
            })
        };
        let (end, ended) = oneshot::channel();
        let connection =
            Connection::new(make_client, make_options, settings, will_topic, subscriptions, shared.clone(), events)?;
        std::thread::Builder::new().name("mqtt".to_owned()).spawn(move || {
            connection.run();
            // Nobody waits any more when this fails.
            let _ = end.send(());
        })?;
        Ok(Self { shared, refused, ended: Some(ended) })
    }

    /// Subscribes to these filters with these qualities of service, now and on every connect. When the broker has
    /// agreed, [`Event::Connected`] says so once more.
    pub fn subscribe(&self, filters: Vec<(String, u8)>) {
        self.shared.signal(Signal::Subscribe(filters));
    }

    /// Subscribes to these filters no more.
    pub fn unsubscribe(&self, filters: Vec<String>) {
        self.shared.signal(Signal::Unsubscribe(filters));
    }

    /// Messages from the broker that were refused since the start, because those before them were not taken.
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// Sends what the outbox holds, then `offline`, and ends the connection. It takes `limit` at most: what is not
    /// sent until then stays in the outbox.
    pub async fn stop(mut self, limit: Duration) {
        self.shared.signal(Signal::Stop(Instant::now() + limit));
        if let Some(ended) = self.ended.take() {
            // Either way there is nothing left to do. The goodbye has a time of its own.
            let _ = tokio::time::timeout(limit + GOODBYE, ended).await;
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if self.ended.is_some() {
            self.shared.signal(Signal::Stop(Instant::now()));
        }
    }
}

fn library_client(
    settings: &Settings,
    shared: &Arc<Shared>,
    refused: &Arc<AtomicU64>,
    events: &mpsc::Sender<Event>,
    shortcut: &Arc<Shortcut>,
) -> paho_mqtt::Result<AsyncClient> {
    let client = bare_client(settings, "")?;
    // Callbacks run on threads of the library, which hold its global lock: nothing in them waits.
    // Some room is kept for what happens to the connection.
    let reserve = (events.max_capacity() / 2).min(8);
    let (to, refused, events, shortcut) = (shared.clone(), refused.clone(), events.clone(), shortcut.clone());
    client.set_message_callback(move |_, message| {
        let Some(message) = message else { return };
        if message.topic().is_empty() {
            return; // Emptied by the guard, which has counted it.
        }
        let Some(message) = shortcut(incoming(&message)) else { return };
        if events.capacity() <= reserve || events.try_send(Event::Message(message)).is_err() {
            refused.fetch_add(1, Relaxed);
            to.signal(Signal::Overrun);
        }
    });
    let to = shared.clone();
    client.set_connection_lost_callback(move |_| to.signal(Signal::Lost));
    let to = shared.clone();
    client.set_disconnected_callback(move |_, properties, reason| {
        let taken_over = reason == ReasonCode::SessionTakenOver;
        to.signal(Signal::Closing { why: reasons::reason(reason, &properties), taken_over });
    });
    Ok(client)
}

fn incoming(message: &Message) -> Incoming {
    let properties = message.properties();
    Incoming {
        topic: message.topic().to_owned(),
        payload: Bytes::copy_from_slice(message.payload()),
        retained: message.retained(),
        response_topic: properties.get_string(PropertyCode::ResponseTopic).filter(|topic| !topic.is_empty()),
        correlation: properties.get_binary(PropertyCode::CorrelationData).map(Bytes::from),
        received: Instant::now(),
    }
}
