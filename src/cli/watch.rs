//! `halyard watch`: all agents of a broker, live.
//!
//! ```text
//! $ halyard watch
//! mqtt://127.0.0.1:1883: 1 agent, 2 entities
//!
//! greenhouse  online
//!   climate   online   temperature 21.53   humidity 40.2   pressure 1013.25              3 s
//!   pump      offline  ON   by command                                                  12 s
//!             ! the line GPIO27 is in use by "gpioset" (EBUSY)
//! ```
//!
//! On a terminal the table is drawn anew in its place; elsewhere each change is a line. What comes from the broker is
//! shown as [`clean`] leaves it.

mod clean;
mod screen;
mod table;
#[cfg(test)]
mod tests;

use super::broker::Broker;
use super::{Failure, Output, code, print, wait};
use crate::config::is_id;
use crate::mqtt::{Client, Event, Incoming, Limits, Outbox, Settings};
use clap::Args;
use screen::Screen;
use serde_json::{Value as Json, json};
use std::io::IsTerminal;
use std::time::{Duration, SystemTime};
use table::{Table, Topic};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

/// How often the table is drawn at most; ages go on by themselves.
const FRAME: Duration = Duration::from_millis(250);

#[derive(Args)]
pub(super) struct Watch {
    /// Agents to show [default: all]
    #[arg(value_name = "AGENT")]
    agents: Vec<String>,
    #[command(flatten)]
    broker: Broker,
    #[command(flatten)]
    output: Output,
}

/// Where it goes.
enum Sink {
    Screen(Screen),
    Lines,
    Json,
}

impl Watch {
    /// Whether the table is drawn on a terminal, where a log would be in its way.
    pub(super) fn draws(&self) -> bool {
        !self.output.json && std::io::stdout().is_terminal()
    }

    pub(super) fn run(&self) -> Result<u8, Failure> {
        if let Some(wrong) = self.agents.iter().find(|agent| !is_id(agent)) {
            let message = format!("{wrong:?} is no agent: ids are a-z, 0-9, _ and -");
            return Err(Failure::new(code::USAGE, message));
        }
        let (settings, base) = self.broker.settings("watch")?;
        wait(self.watch(&settings, &base))?
    }

    /// What is listened to: states, what agents say of themselves, and both availabilities.
    fn subscriptions(&self, base: &str) -> Vec<(String, u8)> {
        let all = ["+".to_owned()];
        let agents = if self.agents.is_empty() { all.as_slice() } else { self.agents.as_slice() };
        let filters =
            agents.iter().flat_map(|agent| [format!("{base}/{agent}/+"), format!("{base}/{agent}/+/availability")]);
        filters.map(|filter| (filter, 1)).collect()
    }

    async fn watch(&self, settings: &Settings, base: &str) -> Result<u8, Failure> {
        let failed = |error: std::io::Error| Failure::new(code::FAILED, error);
        let (to, mut events) = mpsc::channel(4096);
        let client = Client::start(settings, None, self.subscriptions(base), Outbox::new(Limits::default()), to)
            .map_err(|error| Failure::new(code::CONFIGURATION, error))?;
        let mut signals =
            [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].into_iter().map(signal);
        let (Some(interrupt), Some(terminate), Some(hangup)) = (signals.next(), signals.next(), signals.next()) else {
            return Ok(code::FAILED); // there are three
        };
        let (mut interrupt, mut terminate, mut hangup) =
            (interrupt.map_err(failed)?, terminate.map_err(failed)?, hangup.map_err(failed)?);
        let mut sink = if self.output.json {
            Sink::Json
        } else if self.draws() {
            Sink::Screen(Screen::open())
        } else {
            Sink::Lines
        };
        let mut table = Table::new(&settings.urls.join(", "));
        let mut refusals = Vec::new();
        let mut frames = interval(FRAME);
        frames.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let result = loop {
            tokio::select! {
                event = events.recv() => match event {
                    Some(Event::Connected) => table.connected(),
                    Some(Event::Disconnected { why }) => {
                        // A broker that lets nobody in from the beginning is a mistake; one that goes away comes back.
                        refusals.push(why.clone());
                        if !table.was_connected() && refusals.len() >= settings.urls.len() {
                            break Err(Failure::new(code::UNAVAILABLE, clean::text(&refusals.join("; "))));
                        }
                        table.disconnected(&why);
                    }
                    Some(Event::Message(message)) => {
                        if let Err(failure) = self.hear(&message, base, &mut table, &sink) {
                            break failure;
                        }
                    }
                    None => break Err(Failure::new(code::FAILED, "the connection has ended")),
                },
                _ = frames.tick() => if let Sink::Screen(screen) = &mut sink {
                    screen.draw(|width, height| table.lines(SystemTime::now(), width, height));
                },
                _ = interrupt.recv() => break Ok(0),
                _ = terminate.recv() => break Ok(0),
                _ = hangup.recv() => break Ok(0),
            }
        };
        // The terminal first: what follows may take a moment, and may have something to say.
        drop(sink);
        client.stop(Duration::ZERO).await;
        result
    }

    /// A message. The error is how the command ends: whoever read our lines has gone, or they cannot be written.
    fn hear(&self, message: &Incoming, base: &str, table: &mut Table, sink: &Sink) -> Result<(), Result<u8, Failure>> {
        let Some(topic) = Topic::parse(&message.topic, base) else { return Ok(()) };
        // Of a broker with odd ideas of what was subscribed to.
        if !self.agents.is_empty() && !self.agents.iter().any(|agent| agent == topic.agent) {
            return Ok(());
        }
        let change = table.hear(topic, &message.payload, SystemTime::now());
        let line = match sink {
            Sink::Screen(_) => None,
            Sink::Lines => change,
            Sink::Json => Some(clean::json(&as_json(topic, message).to_string())),
        };
        match line {
            Some(line) if is_closed() => Err(print(&line)),
            Some(line) => print(&line).map(drop).map_err(Err),
            None => Ok(()),
        }
    }
}

/// A message as a line of JSON.
fn as_json(topic: Topic<'_>, message: &Incoming) -> Json {
    let payload = serde_json::from_slice(&message.payload)
        .unwrap_or_else(|_| Json::String(String::from_utf8_lossy(&message.payload).into_owned()));
    json!({
        "received": crate::time::rfc3339(SystemTime::now()),
        "agent": topic.agent,
        "entity": topic.entity,
        "kind": topic.kind.name(),
        "retained": message.retained,
        "payload": payload,
    })
}

/// Whether the reader of stdout has gone, as `head` does.
fn is_closed() -> bool {
    let mut poll = libc::pollfd { fd: libc::STDOUT_FILENO, events: 0, revents: 0 };
    // SAFETY: the pointer is to one pollfd of ours, and nothing is waited for.
    unsafe { libc::poll(&raw mut poll, 1, 0) };
    poll.revents & libc::POLLERR != 0
}
