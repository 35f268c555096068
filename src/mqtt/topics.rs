//! The topics of the public contract, each built and recognised here and nowhere else.

/// Topic levels below an agent that no entity can have as its id.
const RESERVED: [&str; 2] = ["agent", "availability"];

/// The topics of one agent: `B/A/…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    base: String,
    agent: String,
}

/// What a topic that a message arrived on is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inbound<'a> {
    /// A command for the entity with this id, which may not exist.
    Set(&'a str),
    /// A request of this name to the agent, which may not exist.
    Request(&'a str),
    /// Home Assistant says that it started or stopped.
    HomeAssistantStatus,
    /// The agent's own discovery message, or Home Assistant's removal of it.
    Discovery,
    /// None of the agent's business.
    Other,
}

impl Topics {
    /// The topics of the agent `agent` below `base`, which may have several levels.
    pub fn new(base: impl Into<String>, agent: impl Into<String>) -> Self {
        Self { base: base.into(), agent: agent.into() }
    }

    /// `B/A/availability`: the last will.
    #[must_use]
    pub fn agent_availability(&self) -> String {
        self.below("availability")
    }

    /// `B/A/agent`: version, health and problems.
    #[must_use]
    pub fn agent(&self) -> String {
        self.below("agent")
    }

    /// `B/A/agent/request/NAME`.
    #[must_use]
    pub fn request(&self, name: &str) -> String {
        self.below(&format!("agent/request/{name}"))
    }

    /// `B/A/agent/response/NAME`.
    #[must_use]
    pub fn response(&self, name: &str) -> String {
        self.below(&format!("agent/response/{name}"))
    }

    /// `B/A/E`: the state.
    #[must_use]
    pub fn state(&self, entity: &str) -> String {
        self.below(entity)
    }

    /// `B/A/E/availability`.
    #[must_use]
    pub fn availability(&self, entity: &str) -> String {
        self.below(&format!("{entity}/availability"))
    }

    /// `B/A/E/backlog`: states of an outage.
    #[must_use]
    pub fn backlog(&self, entity: &str) -> String {
        self.below(&format!("{entity}/backlog"))
    }

    /// `B/A/E/set`: commands.
    #[must_use]
    pub fn set(&self, entity: &str) -> String {
        self.below(&format!("{entity}/set"))
    }

    /// `B/A/E/result`: what became of commands.
    #[must_use]
    pub fn result(&self, entity: &str) -> String {
        self.below(&format!("{entity}/result"))
    }

    /// `PREFIX/device/A/config`: Home Assistant's discovery.
    #[must_use]
    pub fn discovery(&self, prefix: &str) -> String {
        format!("{prefix}/device/{}/config", self.agent)
    }

    /// `PREFIX/status`: whether Home Assistant is there.
    #[must_use]
    pub fn home_assistant_status(prefix: &str) -> String {
        format!("{prefix}/status")
    }

    /// What the agent listens to; `prefix` is Home Assistant's, if discovery is on.
    #[must_use]
    pub fn subscriptions(&self, prefix: Option<&str>) -> Vec<String> {
        let mut all = vec![self.set("+"), self.request("+")];
        if let Some(prefix) = prefix {
            all.extend([Self::home_assistant_status(prefix), self.discovery(prefix)]);
        }
        all
    }

    /// What `topic` is for; `prefix` is Home Assistant's, if discovery is on.
    #[must_use]
    pub fn parse<'a>(&self, topic: &'a str, prefix: Option<&str>) -> Inbound<'a> {
        if let Some(prefix) = prefix {
            if topic == Self::home_assistant_status(prefix) {
                return Inbound::HomeAssistantStatus;
            }
            if topic == self.discovery(prefix) {
                return Inbound::Discovery;
            }
        }
        let Some(rest) = self.strip(topic) else { return Inbound::Other };
        if let Some(name) = rest.strip_prefix("agent/request/").filter(|name| is_level(name)) {
            return Inbound::Request(name);
        }
        match rest.strip_suffix("/set").filter(|entity| is_entity(entity)) {
            Some(entity) => Inbound::Set(entity),
            None => Inbound::Other,
        }
    }

    /// The entity whose state topic this is.
    #[must_use]
    pub fn entity_of_state<'a>(&self, topic: &'a str) -> Option<&'a str> {
        self.strip(topic).filter(|entity| is_entity(entity))
    }

    fn below(&self, rest: &str) -> String {
        format!("{}/{}/{rest}", self.base, self.agent)
    }

    /// What follows `B/A/`.
    fn strip<'a>(&self, topic: &'a str) -> Option<&'a str> {
        let topic = topic.strip_prefix(self.base.as_str())?.strip_prefix('/')?;
        topic.strip_prefix(self.agent.as_str())?.strip_prefix('/')
    }
}

/// Whether this can stand between two slashes of a topic that is published to: without wildcards, nor characters that the
/// protocol forbids or that end a connection (MQTT 5, 1.5.4).
fn is_level(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| matches!(c, '/' | '+' | '#') || c.is_control())
}

fn is_entity(text: &str) -> bool {
    is_level(text) && !RESERVED.contains(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFIX: Option<&str> = Some("homeassistant");

    fn topics() -> Topics {
        Topics::new("halyard", "greenhouse")
    }

    #[test]
    fn topics_are_those_of_the_contract() {
        let topics = topics();
        assert_eq!(topics.agent_availability(), "halyard/greenhouse/availability");
        assert_eq!(topics.agent(), "halyard/greenhouse/agent");
        assert_eq!(topics.request("health"), "halyard/greenhouse/agent/request/health");
        assert_eq!(topics.response("health"), "halyard/greenhouse/agent/response/health");
        assert_eq!(topics.state("pump"), "halyard/greenhouse/pump");
        assert_eq!(topics.availability("pump"), "halyard/greenhouse/pump/availability");
        assert_eq!(topics.backlog("pump"), "halyard/greenhouse/pump/backlog");
        assert_eq!(topics.set("pump"), "halyard/greenhouse/pump/set");
        assert_eq!(topics.result("pump"), "halyard/greenhouse/pump/result");
        assert_eq!(topics.discovery("homeassistant"), "homeassistant/device/greenhouse/config");
    }

    #[test]
    fn incoming_topics_are_told_apart() {
        let topics = topics();
        assert_eq!(topics.parse("halyard/greenhouse/pump/set", PREFIX), Inbound::Set("pump"));
        assert_eq!(topics.parse("halyard/greenhouse/agent/request/read", PREFIX), Inbound::Request("read"));
        assert_eq!(topics.parse("homeassistant/status", PREFIX), Inbound::HomeAssistantStatus);
        assert_eq!(topics.parse("homeassistant/device/greenhouse/config", PREFIX), Inbound::Discovery);
        for other in [
            "",
            "/",
            "halyard",
            "halyard/greenhouse",
            "halyard/greenhouse/",
            "halyard/greenhouse//set",
            "halyard/greenhouse/set",
            "halyard/greenhouse/pump",
            "halyard/greenhouse/pump/sett",
            "halyard/greenhouse/pu\0mp/set",
            "halyard/greenhouse/pump/valve/set",
            "halyard/greenhouse/agent/set",
            "halyard/greenhouse/availability/set",
            "halyard/greenhouse/agent/request/",
            "halyard/greenhouse/agent/request/a/b",
            "halyard/greenhouse2/pump/set",
            "halyard2/greenhouse/pump/set",
            "homeassistant/device/other/config",
        ] {
            assert_eq!(topics.parse(other, PREFIX), Inbound::Other, "{other}");
        }
        assert_eq!(topics.parse("homeassistant/status", None), Inbound::Other, "discovery is off");
    }

    #[test]
    fn a_base_may_have_several_levels() {
        let topics = Topics::new("site/7", "a");
        assert_eq!(topics.parse(&topics.set("pump"), None), Inbound::Set("pump"));
        assert_eq!(topics.parse("site/a/pump/set", None), Inbound::Other);
    }

    #[test]
    fn every_subscription_is_understood() {
        let topics = topics();
        for filter in topics.subscriptions(PREFIX) {
            assert_ne!(topics.parse(&filter.replace('+', "x"), PREFIX), Inbound::Other, "{filter}");
        }
        assert_eq!(topics.subscriptions(None).len(), 2);
    }
}
