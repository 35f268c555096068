//! What all components of one sensor or actuator have.

use super::{ORIGIN, STATE};
use crate::config::Config;
use crate::mqtt::Topics;
use serde_json::{Map, Value, json};

/// A sensor or actuator as its components see it.
pub(super) struct Entity<'a> {
    pub(super) id: &'a str,
    pub(super) name: Option<&'a str>,
    pub(super) config: &'a Config,
    pub(super) topics: &'a Topics,
}

impl Entity<'_> {
    /// Key of a component: ids may have hyphens, names of values have none, so no two are alike.
    pub(super) fn key(&self, value: &str) -> String {
        format!("{}-{value}", self.id)
    }

    /// What all components have. `value` is the key in the state's JSON; `label` tells it from the entity's others.
    pub(super) fn component(&self, platform: &str, value: &str, label: Option<&str>) -> Map<String, Value> {
        let agent = &self.config.agent;
        let mut object_id = slug(&format!("{agent}_{}", self.id));
        if let Some(label) = label {
            object_id = format!("{object_id}_{}", slug(label));
        }
        let topics = self.topics;
        [
            ("platform", json!(platform)),
            ("unique_id", json!(format!("{ORIGIN}.{agent}.{}.{value}", self.id))),
            // 2025 knows the one, 2026 the other.
            ("default_entity_id", json!(format!("{platform}.{object_id}"))),
            ("object_id", json!(object_id)),
            ("name", json!(self.shown_name(label))),
            ("state_topic", json!(topics.state(self.id))),
            // `get` makes a missing value "unknown"; the plain key would also warn at every message.
            ("value_template", json!(format!("{{{{ value_json.get('{value}') }}}}"))),
            // These replace the device's, so both stand here.
            (
                "availability",
                json!([{ "topic": topics.agent_availability() }, { "topic": topics.availability(self.id) }]),
            ),
            ("availability_mode", json!("all")),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
    }

    /// The name shown after the device's, which it does not repeat.
    fn shown_name(&self, label: Option<&str>) -> String {
        let name = self.name.unwrap_or(self.id);
        let own = name.strip_prefix(self.config.agent.as_str()).map_or(name, |rest| match rest.chars().next() {
            // "greenhouse door" is the greenhouse's door, "greenhouses" is not the greenhouse's.
            Some(' ' | '-' | '_') => rest.trim_start_matches([' ', '-', '_']),
            Some(_) => name,
            None => "",
        });
        match (own, label) {
            ("", label) => label.unwrap_or(STATE).to_owned(),
            (own, Some(label)) => format!("{own} {label}"),
            (own, None) => own.to_owned(),
        }
    }
}

/// Home Assistant's entity ids have no hyphens.
fn slug(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect()
}
