//! From a later broker of the list back to one before it.

use super::{Error, Event, GOODBYE, Link, Operation, Phase, jitter};
use crate::mqtt::outbox::Signal;
use crate::mqtt::words;
use paho_mqtt::AsyncClient;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};
use tracing::{debug, info, warn};

/// While connected to a later broker, how often the ones before it are tried: at first, and at last.
const FIRST_LOOK_BACK: Duration = Duration::from_secs(10);
const LONGEST_LOOK_BACK: Duration = Duration::from_secs(300);
/// How long each of a broker's addresses may take to accept a connection.
const REACH: Duration = Duration::from_secs(3);

/// When an earlier broker of the list is tried next, which one, and the pause after that.
pub(super) struct LookBack {
    pub(super) at: Option<Instant>,
    way: usize,
    pause: Duration,
}

impl LookBack {
    pub(super) const NONE: Self = Self { at: None, way: 0, pause: FIRST_LOOK_BACK };

    pub(super) fn plan(&mut self) {
        self.at = Some(Instant::now() + jitter(self.pause));
        self.pause = (self.pause * 2).min(LONGEST_LOOK_BACK);
    }
}

impl Link {
    /// Looks whether an earlier broker is there, on a thread of its own: the library holds its lock while it looks up a name,
    /// and all that goes over the connection that there is would wait for it.
    pub(super) fn look_back(&mut self) {
        self.look_back.at = None;
        let way = self.look_back.way % self.way.max(1);
        self.look_back.way = way + 1;
        let (shared, url) = (self.shared.clone(), self.ways[way].url.clone());
        let look = move || shared.signal(Signal::Reached { way, is_there: is_there(&url) });
        if let Err(error) = std::thread::Builder::new().name("look-back".to_owned()).spawn(look) {
            warn!("no thread to look for an earlier broker: {error}");
            self.look_back.plan();
        }
    }

    /// Tries whether it lets us in, under another name: it may be the same one to which we are connected.
    pub(super) fn reached(&mut self, way: usize, is_there: bool) {
        if !self.is_behind(way) {
            return;
        }
        let begin = || -> Result<_, Error> {
            let options = (self.make_options)(&self.ways[way].url, true, None)?;
            let client = (self.make_client)(true)?;
            let token = client.connect(options);
            Ok(Operation::LookBack { client, way, token })
        };
        match is_there.then(begin) {
            Some(Ok(operation)) => return self.start(operation),
            Some(Err(error)) => warn!("no way back to {}: {error}", self.ways[way].url),
            None => debug!("{} is not back yet", self.ways[way].url),
        }
        self.look_back.plan();
    }

    pub(super) fn looked_back(&mut self, client: &AsyncClient, way: usize, refusal: Option<paho_mqtt::Error>) {
        if let Some(error) = refusal {
            let url = &self.ways[way].url;
            debug!("{url} is back, but: {}", words::refusal(url, &error));
            if self.is_behind(way) {
                self.look_back.plan();
            }
            return;
        }
        // Either way it is gone then.
        let _ = client.disconnect(self.farewell()).wait_for(GOODBYE);
        if self.is_behind(way) && self.stop.is_none() {
            self.go_back(way);
        }
    }

    fn is_behind(&self, way: usize) -> bool {
        matches!(self.phase, Phase::Connected) && way < self.way
    }

    /// Leaves the broker that we are connected to for an earlier one.
    fn go_back(&mut self, way: usize) {
        let (from, to) = (self.ways[self.way].url.clone(), self.ways[way].url.clone());
        self.shared.line().close();
        self.say_goodbye();
        if self.leave() {
            info!("leaving {from}: {to} is back");
            self.lost = None;
            self.way = way;
            self.phase = Phase::Waiting(Instant::now());
            self.tell(Event::Disconnected { why: format!("{to} is back") });
        }
    }
}

/// Whether somebody accepts connections at the broker's address.
fn is_there(url: &str) -> bool {
    let address = url.split_once("://").map_or(url, |(_, address)| address);
    let reaches = |address| TcpStream::connect_timeout(&address, REACH).is_ok();
    address.to_socket_addrs().is_ok_and(|mut addresses| addresses.any(reaches))
}
