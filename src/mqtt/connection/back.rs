//! From a later broker of the list back to one before it.

use super::loss::jitter;
use super::{Connection, Phase};
use crate::mqtt::broker::Will;
use crate::mqtt::client::{Error, GOODBYE};
use crate::mqtt::grants::Grants;
use crate::mqtt::message::Event;
use crate::mqtt::reasons;
use crate::mqtt::shared::Signal;
use paho_mqtt::{AsyncClient, ConnectOptions, DisconnectOptions, QoS};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};
use tracing::{debug, info, warn};

/// While connected to a later broker, how often the ones before it are tried: at first, and at last.
const FIRST_LOOK_BACK: Duration = Duration::from_secs(10);
const LONGEST_LOOK_BACK: Duration = Duration::from_secs(300);
/// How long each of a broker's addresses may take to accept a connection.
const REACH: Duration = Duration::from_secs(3);
/// How long it may take to acknowledge a message. One that takes longer works worse than the one that there is.
const PROOF: Duration = Duration::from_secs(5);
/// What it has to acknowledge.
const MESSAGE: &str = r#"{"status":"ok"}"#;

/// When an earlier broker of the list is tried next, which one, and the pause after that.
pub(super) struct LookBack {
    pub(super) at: Option<Instant>,
    broker: usize,
    pause: Duration,
}

impl LookBack {
    pub(super) const NONE: Self = Self { at: None, broker: 0, pause: FIRST_LOOK_BACK };

    pub(super) fn plan(&mut self) {
        self.at = Some(Instant::now() + jitter(self.pause));
        self.pause = (self.pause * 2).min(LONGEST_LOOK_BACK);
    }
}

/// What an earlier broker is tried with: another name, since it may be the same one to which we are connected.
struct Probe {
    client: AsyncClient,
    options: ConnectOptions,
    farewell: DisconnectOptions,
    url: String,
    /// Where a message goes that it has to acknowledge.
    topic: Option<String>,
}

impl Connection {
    /// Tries an earlier broker, on a thread of its own: the library holds its lock while it looks up a name, and all that goes
    /// over the connection that there is would wait for it.
    pub(super) fn look_back(&mut self) {
        self.look_back.at = None;
        let broker = self.look_back.broker % self.broker.max(1);
        self.look_back.broker = broker + 1;
        let url = self.brokers[broker].url.clone();
        let begin = || -> Result<_, Error> {
            let options = (self.make_options)(&url, true, None)?;
            let client = (self.make_client)(true)?;
            let (farewell, topic, url) = (self.farewell(), self.probe_topic.clone(), url.clone());
            let (probe, shared) = (Probe { client, options, farewell, url, topic }, self.shared.clone());
            let look = move || shared.signal(Signal::LookedBack { broker, result: probe.run() });
            std::thread::Builder::new().name("look-back".to_owned()).spawn(look)?;
            Ok(())
        };
        if let Err(error) = begin() {
            warn!("no way back to {url}: {error}");
            self.look_back.plan();
        }
    }

    /// Whether an earlier broker is in order, and else why not.
    pub(super) fn looked_back(&mut self, broker: usize, result: Result<(), String>) {
        if !matches!(self.phase, Phase::Connected) || broker >= self.broker {
            return;
        }
        match result {
            Ok(()) if self.stop.is_none() => self.go_back(broker),
            Ok(()) => {}
            Err(why) => {
                debug!("no way back to {}: {why}", self.brokers[broker].url);
                self.look_back.plan();
            }
        }
    }

    /// Leaves the broker that we are connected to for an earlier one.
    fn go_back(&mut self, broker: usize) {
        let (from, to) = (self.brokers[self.broker].url.clone(), self.brokers[broker].url.clone());
        self.shared.publisher().close();
        self.say_goodbye();
        if self.leave() {
            info!("leaving {from}: {to} is back");
            self.lost = None;
            self.broker = broker;
            self.phase = Phase::Waiting(Instant::now());
            self.tell(Event::Disconnected { why: format!("{to} is back") });
        }
    }
}

impl Probe {
    /// Whether the broker accepts connections, lets us in, and acknowledges what it gets.
    fn run(self) -> Result<(), String> {
        let Self { client, options, farewell, url, topic } = self;
        if !is_there(&url) {
            return Err("nobody accepts a connection there".to_owned());
        }
        // The library ends it in its time, and must not be left before.
        let answer = client.connect(options).wait().map_err(|error| reasons::refusal(&url, &error))?;
        let mut style = Will { qos: QoS::AtLeastOnce, retained: false };
        style.fit(Grants::of(answer.properties()));
        let proof = topic.map_or(Ok(()), |topic| client.try_publish(style.message(&topic, MESSAGE))?.wait_for(PROOF));
        // Either way it is gone then.
        let _ = client.disconnect(farewell).wait_for(GOODBYE);
        match proof {
            // A word against the message is an answer, too.
            Ok(()) | Err(paho_mqtt::Error::ReasonCode(..)) => Ok(()),
            Err(error) => Err(format!("it acknowledges nothing: {error}")),
        }
    }
}

/// Whether somebody accepts connections at the broker's address.
fn is_there(url: &str) -> bool {
    let address = url.split_once("://").map_or(url, |(_, address)| address);
    let reaches = |address| TcpStream::connect_timeout(&address, REACH).is_ok();
    address.to_socket_addrs().is_ok_and(|mut addresses| addresses.any(reaches))
}
