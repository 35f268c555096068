//! What is known of all agents, and how that looks. It is fed with whatever a broker sends, so everything is bounded.

use super::clean;
use crate::config::is_id;
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// More agents, and more entities of one, are not shown.
const MOST: usize = 1_000;
/// Characters of a state or problem that are kept.
const LONGEST: usize = 400;

/// A topic of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Topic<'t> {
    pub(super) agent: &'t str,
    /// None for what the agent says of itself.
    pub(super) entity: Option<&'t str>,
    pub(super) kind: Kind,
}

/// What is on a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Availability,
    State,
    /// `B/A/agent`
    Agent,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Availability => "availability",
            Self::State => "state",
            Self::Agent => "agent",
        }
    }
}

impl<'t> Topic<'t> {
    /// None for all others, and for names that no agent and no entity can have.
    pub(super) fn parse(topic: &'t str, base: &str) -> Option<Self> {
        let (agent, rest) = topic.strip_prefix(base)?.strip_prefix('/')?.split_once('/')?;
        let (entity, kind) = match rest.split_once('/') {
            None if rest == "availability" => (None, Kind::Availability),
            None if rest == "agent" => (None, Kind::Agent),
            None => (Some(rest), Kind::State),
            Some((entity, "availability")) => (Some(entity), Kind::Availability),
            Some(_) => return None,
        };
        (is_id(agent) && entity.is_none_or(is_id)).then_some(Self { agent, entity, kind })
    }
}

#[derive(Default)]
struct Agent {
    online: Option<bool>,
    entities: BTreeMap<String, Entity>,
}

#[derive(Default)]
struct Entity {
    online: Option<bool>,
    state: String,
    /// When the state was taken, by its own word, or came.
    time: Option<SystemTime>,
    problem: Option<String>,
}

/// All agents.
pub(super) struct Table {
    broker: String,
    agents: BTreeMap<String, Agent>,
    /// None before the first time.
    connected: Option<bool>,
    why: String,
}

impl Table {
    pub(super) fn new(broker: &str) -> Self {
        Self { broker: clean::text(broker), agents: BTreeMap::new(), connected: None, why: String::new() }
    }

    pub(super) fn connected(&mut self) {
        self.connected = Some(true);
    }

    pub(super) fn disconnected(&mut self, why: &str) {
        self.connected = self.connected.map(|_| false);
        self.why = short(why);
    }

    pub(super) fn was_connected(&self) -> bool {
        self.connected.is_some()
    }

    /// Takes a message in, and gives the change as a line if it is one.
    pub(super) fn hear(&mut self, topic: Topic<'_>, payload: &[u8], now: SystemTime) -> Option<String> {
        let text = String::from_utf8_lossy(payload);
        if self.agents.len() >= MOST && !self.agents.contains_key(topic.agent) {
            return None;
        }
        let agent = self.agents.entry(topic.agent.to_owned()).or_default();
        let line = |what: &str| {
            let name =
                topic.entity.map_or_else(|| topic.agent.to_owned(), |entity| format!("{}/{entity}", topic.agent));
            Some(format!("{} {name} {what}", crate::time::rfc3339(now)))
        };
        let Some(entity) = topic.entity else {
            return match topic.kind {
                Kind::Agent => agent.problems(&text).and_then(|what| line(&what)),
                _ => changed(&mut agent.online, &text).and_then(line),
            };
        };
        if payload.is_empty() && topic.kind == Kind::State {
            // A retained state was cleared: the entity is no more.
            return agent.entities.remove(entity).and_then(|_| line("is no more"));
        }
        if agent.entities.len() >= MOST && !agent.entities.contains_key(entity) {
            return None;
        }
        if payload.is_empty() {
            return None;
        }
        let entity = agent.entities.entry(entity.to_owned()).or_default();
        if topic.kind == Kind::Availability {
            return changed(&mut entity.online, &text).and_then(line);
        }
        let (state, time) = state(&text);
        entity.time = Some(time.unwrap_or(now));
        entity.state = state;
        line(&entity.state)
    }

    /// The table for a terminal of this size.
    pub(super) fn lines(&self, now: SystemTime, width: usize, height: usize) -> Vec<String> {
        let entities: usize = self.agents.values().map(|agent| agent.entities.len()).sum();
        let status = match self.connected {
            Some(true) => {
                format!("{}, {}", count(self.agents.len(), "agent", "agents"), count(entities, "entity", "entities"))
            }
            Some(false) => format!("no connection: {}", self.why),
            None => "connecting".to_owned(),
        };
        let mut lines = vec![cut(&format!("{}: {status}", self.broker), width), String::new()];
        let names = self.agents.iter().flat_map(|(name, agent)| {
            let entities = agent.entities.keys().map(|name| name.chars().count() + 2);
            entities.chain(std::iter::once(name.chars().count()))
        });
        let column = names.max().unwrap_or_default();
        for (name, agent) in &self.agents {
            lines.push(cut(&format!("{name:<column$}  {}", word(agent.online)), width));
            for (id, entity) in &agent.entities {
                let age = entity.time.map(|time| age(now, time)).unwrap_or_default();
                let start = format!(
                    "  {id:<inner$}  {:<7}  {}",
                    word(entity.online),
                    entity.state,
                    inner = column.saturating_sub(2)
                );
                // The age is at the right edge, whatever the state is.
                let room = width.saturating_sub(age.chars().count() + 2);
                lines.push(cut(&format!("{:<room$}  {age}", cut(&start, room)), width));
                if let Some(problem) = &entity.problem {
                    lines.push(cut(&format!("{:column$}  ! {problem}", ""), width));
                }
            }
        }
        if lines.len() > height && height > 0 {
            let more = lines.len() - height + 1;
            lines.truncate(height - 1);
            lines.push(cut(&format!("… {more} more lines"), width));
        }
        lines
    }
}

impl Agent {
    /// Takes the problems in that an agent tells of its entities, and gives them as a text if they are others than before.
    fn problems(&mut self, text: &str) -> Option<String> {
        let told: Map<String, Json> = serde_json::from_str(text).unwrap_or_default();
        let told = told.get("problems").and_then(Json::as_object);
        let mut news = Vec::new();
        for (id, _) in told.into_iter().flatten().filter(|(id, _)| is_id(id)).take(MOST) {
            self.entities.entry(id.clone()).or_default();
        }
        for (id, entity) in &mut self.entities {
            let problem = told.and_then(|told| told.get(id)).and_then(|problem| problem.get("message"));
            let problem = problem.and_then(Json::as_str).map(short);
            if problem != entity.problem {
                news.push(
                    problem.as_ref().map_or_else(|| format!("{id} is well"), |problem| format!("{id}: {problem}")),
                );
                entity.problem = problem;
            }
        }
        (!news.is_empty()).then(|| news.join("; "))
    }
}

/// Takes an availability in, and gives it if it is another than before.
fn changed(online: &mut Option<bool>, text: &str) -> Option<&'static str> {
    let new = match text {
        "online" => Some(true),
        "offline" => Some(false),
        _ => None,
    };
    let is_new = *online != new;
    *online = new;
    is_new.then(|| word(new))
}

fn word(online: Option<bool>) -> &'static str {
    match online {
        Some(true) => "online",
        Some(false) => "offline",
        None => "?",
    }
}

/// A state as people read it, and its time.
fn state(text: &str) -> (String, Option<SystemTime>) {
    let Ok(Json::Object(values)) = serde_json::from_str(text) else { return (short(text), None) };
    let time = values.get("time").and_then(Json::as_str).and_then(crate::time::parse);
    let shown = values.iter().filter(|(name, value)| !["time", "id"].contains(&name.as_str()) && !value.is_null());
    let shown = shown.map(|(name, value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if name == "state" { value } else { format!("{name} {value}") }
    });
    (short(&shown.collect::<Vec<_>>().join("   ")), time)
}

fn short(text: &str) -> String {
    clean::text(&text.chars().take(LONGEST).collect::<String>())
}

/// As much as there is room for. Wide characters take more than one column: the terminal leaves out what is too much.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(std::iter::once('…')).collect()
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// `3 s`, `12 min`, `5 h`, `3 d`; nothing for a time that is yet to come.
fn age(now: SystemTime, time: SystemTime) -> String {
    let seconds = now.duration_since(time).unwrap_or(Duration::ZERO).as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}
