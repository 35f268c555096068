//! How the agent and its entities are doing, for people and their tools: `B/A/agent`, and a page for Prometheus.

mod metrics;
mod page;

pub use page::{Page, serve};

use crate::bus::Load;
use crate::mqtt::OutboxStatus;
use crate::problem::Problem;
use crate::time::rfc3339;
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// All of it at one moment.
#[derive(Clone, Debug)]
pub struct Health {
    /// How the hardware is called.
    pub board: &'static str,
    /// Since the agent started.
    pub uptime: Duration,
    /// Connections to a broker since then: all but the first are reconnects.
    pub connections: u64,
    /// What waits for the broker, and what became of the rest.
    pub outbox: OutboxStatus,
    /// What went over the buses.
    pub buses: Vec<(String, Load)>,
    /// The entities and their ids.
    pub entities: Vec<(String, Entity)>,
}

/// A sensor or an actuator.
#[derive(Clone, Debug, Default)]
pub struct Entity {
    /// Whether it works; `None` if that is not known yet.
    pub online: Option<bool>,
    /// What is wrong with it now.
    pub problem: Option<Problem>,
    /// Faults since the start of the agent.
    pub faults: u64,
    /// Results of commands since then, by [`Reason::name`](crate::acting::command::Reason::name), [`APPLIED`]
    /// or [`UNREAD`].
    pub commands: BTreeMap<&'static str, u64>,
    /// Whether its state is a text, whatever it says.
    pub is_text: bool,
    /// Its newest state.
    pub state: Option<Json>,
}

/// The result of a command that was carried out.
pub const APPLIED: &str = "applied";
/// The result of a command that was dropped in a flood.
pub const UNREAD: &str = "unread";
/// The reason of a command that was not refused, but failed.
const FAILED: &str = "hardware";

impl Health {
    /// What `B/A/agent` holds.
    #[must_use]
    pub fn json(&self) -> Json {
        let outbox = &self.outbox;
        let mut problems: Map<String, Json> = self
            .entities
            .iter()
            .filter_map(|(id, entity)| Some((id.clone(), entity.problem.as_ref()?.json())))
            .collect();
        // No entity has this id. Where both are in trouble, what may lose samples is said.
        let own = outbox.problem.as_ref().or(outbox.doubt.as_ref());
        problems.extend(own.map(|problem| ("agent".to_owned(), problem.json())));
        let buses: Map<String, Json> = self.buses.iter().map(|(name, load)| (name.clone(), load_json(load))).collect();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "board": self.board,
            "time": rfc3339(SystemTime::now()),
            "uptime": self.uptime.as_secs(),
            "connections": self.connections,
            "queue": {
                "depth": outbox.depth,
                "in_flight": outbox.in_flight,
                "delivered": outbox.delivered,
                "dropped": outbox.dropped,
                "failed": outbox.failed,
                "repeated": outbox.repeated,
                "bytes": outbox.bytes,
            },
            "commands": self.commands(),
            "faults": self.entities.iter().map(|(_, entity)| entity.faults).sum::<u64>(),
            "buses": buses,
            "problems": problems,
        })
    }

    /// A line for `systemctl status`.
    #[must_use]
    pub fn summary(&self) -> String {
        let outbox = &self.outbox;
        let mut line = match outbox.connected {
            true => "connected".to_owned(),
            false => "no connection to a broker".to_owned(),
        };
        let own = outbox.problem.as_ref().or(outbox.doubt.as_ref()).map(|_| "the agent itself");
        let troubled = self.entities.iter().filter(|(_, entity)| entity.problem.is_some()).map(|(id, _)| id.as_str());
        let troubled: Vec<_> = own.into_iter().chain(troubled).collect();
        match troubled[..] {
            [] => line += ", no entity in trouble",
            _ => line += &format!(", in trouble: {}", troubled.join(", ")),
        }
        line
    }

    /// The results of the commands of all actuators.
    fn commands(&self) -> Json {
        let (mut applied, mut failed, mut rejected) = (0, 0, BTreeMap::<&str, u64>::new());
        for (result, count) in self.entities.iter().flat_map(|(_, entity)| &entity.commands) {
            match *result {
                APPLIED => applied += count,
                FAILED => failed += count,
                reason => *rejected.entry(reason).or_default() += count,
            }
        }
        json!({ "applied": applied, "failed": failed, "rejected": rejected })
    }
}

fn load_json(load: &Load) -> Json {
    // Milliseconds are enough for people, and do not change the text each time by a dozen digits.
    let seconds = (load.time.as_secs_f64() * 1e3).round() / 1e3;
    json!({ "transfers": load.transfers, "failed": load.failed, "seconds": seconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_who_is_in_trouble() {
        let trouble = |problem| Entity { problem, ..Entity::default() };
        let problem = || Some(Problem::new("device", "no acknowledge".into()));
        let mut health = Health {
            board: "simulated",
            uptime: Duration::ZERO,
            connections: 1,
            outbox: OutboxStatus { connected: true, ..OutboxStatus::default() },
            buses: Vec::new(),
            entities: vec![("pump".into(), trouble(None)), ("air".into(), trouble(None))],
        };
        assert_eq!(health.summary(), "connected, no entity in trouble");
        health.entities[1].1.problem = problem();
        assert_eq!(health.summary(), "connected, in trouble: air");
        health.entities[0].1.problem = problem();
        (health.outbox.connected, health.outbox.problem) = (false, problem());
        assert_eq!(health.summary(), "no connection to a broker, in trouble: the agent itself, pump, air");
    }
}
