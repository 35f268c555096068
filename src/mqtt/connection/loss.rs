//! What becomes of a connection that is lost, not made, or given up, and when the next one is tried.

use super::operations::take_back;
use super::{Connection, Phase};
use crate::mqtt::broker::Will;
use crate::mqtt::client::GOODBYE;
use crate::mqtt::message::Event;
use crate::problem::Problem;
use paho_mqtt::QoS;
use std::time::{Duration, Instant};
use tracing::{debug, error, warn};

/// The pause before the first try to connect again is between a half of twice this and all of it, and doubles with each
/// try. The library's own reconnect looks at its clock every 3 s only, so a broker that restarts would wait for nothing.
pub(super) const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause: a broker that comes back finds its agents within this, spread over half of it.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A connection that is lost sooner than this was none. After so many of them in a row, somebody else may have our
/// identifier, or the broker something against us, and the first pause is longer than it would be.
const SHORT: Duration = Duration::from_secs(5);
const FEW: u32 = 3;
const PAUSE_OF_SHORT: Duration = Duration::from_secs(4);

/// A broker that has not acknowledged for so many times its keep-alive is given up, though it answers pings: an answer to a
/// ping that took half of that would have ended the connection already, so this is no network that is slow. One that is slow
/// with its work is not left as long as it acknowledges anything within this time, in the order in which it got it.
pub(super) const KEEP_ALIVES: u32 = 2;
/// But not sooner: brokers with a short keep-alive may write to a slow disk all the same.
pub(super) const SHORTEST_PATIENCE: Duration = Duration::from_secs(10);

impl Connection {
    pub(super) fn lose(&mut self) {
        if !matches!(self.phase, Phase::Connected) || !self.leave() {
            return;
        }
        self.lost = Some(Instant::now());
        self.short = if self.connected_at.elapsed() < SHORT { self.short + 1 } else { 0 };
        let mut why = self.why.take().unwrap_or_else(|| "the connection broke".to_owned());
        if std::mem::take(&mut self.taken_over) {
            let id = &self.client_id;
            error!("another client connects as `{id}`, and takes the connection: each agent needs an `id` of its own");
            self.pause = LONGEST_PAUSE;
        } else if self.short >= FEW {
            why += &format!("; it never lasts: does another client connect as `{}`?", self.client_id);
            self.pause = PAUSE_OF_SHORT;
        }
        self.try_again(why);
    }

    /// Leaves a broker that takes what it gets and acknowledges nothing. What it got goes to the next one of the list, or to
    /// the same one again.
    pub(super) fn give_up(&mut self) {
        let broker = self.broker;
        let url = &self.brokers[broker].url;
        let what = self.operations.first_key_value().map_or_else(String::new, |(_, operation)| operation.name());
        let why = format!("{url} has not acknowledged {what} for {} s", self.oldest.1.elapsed().as_secs());
        // Its last will is void when we go. Without an acknowledgement, for which there is no place any more.
        if let Some(topic) = &self.will_topic {
            let will = Will { qos: QoS::AtMostOnce, ..self.brokers[broker].will };
            let told = self.client.try_publish(will.message(topic, "offline"));
            let _ = told.and_then(|token| token.wait_for(GOODBYE));
        }
        if !self.leave() {
            self.oldest.1 = Instant::now();
            return;
        }
        self.lost = Some(Instant::now());
        self.short = 0;
        (self.broker, self.failures) = ((broker + 1) % self.brokers.len(), 1);
        let mut state = self.shared.lock();
        let again = state.doubt.take().filter(|_| self.doubted == Some(broker));
        let new = Problem::new("broker", why.clone());
        state.doubt = Some(match again {
            Some(doubt) => Problem { since: doubt.since, count: doubt.count + 1, ..new },
            None => new,
        });
        drop(state);
        self.doubted = Some(broker);
        self.try_again(why);
    }

    /// Ends the connection here; the next one has a client of its own. Whether it worked.
    pub(super) fn leave(&mut self) -> bool {
        match (self.make_client)(false) {
            // The new one is made before the old one goes: the library ends its threads with its last client.
            Ok(client) => {
                self.shared.publisher().close();
                drop(std::mem::replace(&mut self.client, client));
            }
            Err(error) => {
                warn!("no connection to the broker any more: {error}");
                return false;
            }
        }
        take_back(&self.shared, std::mem::take(&mut self.operations));
        self.failures = 0;
        // One that acknowledges nothing would let us in all the same.
        self.broker = usize::from(self.doubted == Some(0) && self.brokers.len() > 1);
        true
    }

    pub(super) fn try_again(&mut self, why: String) {
        let now = Instant::now();
        let at = if 0 < self.failures && self.failures < self.brokers.len() {
            now
        } else {
            self.failures = 0;
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            now + jitter(self.pause)
        };
        self.phase = Phase::Waiting(at);
        self.shared.lock().queue.disconnected();
        warn!("no connection to the broker: {why}");
        debug!("trying again in {:?}", at.saturating_duration_since(now));
        self.tell(Event::Disconnected { why });
    }
}

/// Between a half and all of it.
pub(super) fn jitter(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + 0.5 * fastrand::f64())
}
