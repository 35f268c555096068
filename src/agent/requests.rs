//! Requests to the agent: `B/A/agent/request/NAME`.

use super::Agent;
use crate::config::{Config, Source};
use crate::mqtt::Incoming;
use crate::reporter::Reporter;
use bytes::Bytes;
use serde_json::{Map, Value as Json, json};
use std::time::Duration;
use tokio::sync::oneshot;

/// How long all sensors together may take to be read.
const READ: Duration = Duration::from_secs(15);

/// Where an answer goes.
struct Asked {
    name: String,
    response: Option<(String, Option<Bytes>)>,
}

impl Asked {
    fn answer(self, reporter: &Reporter, answer: Result<Map<String, Json>, String>) {
        let mut payload = Map::new();
        match answer {
            Ok(more) => {
                payload.insert("status".into(), json!("ok"));
                payload.extend(more);
            }
            Err(message) => {
                payload.insert("status".into(), json!("error"));
                payload.insert("message".into(), json!(message));
            }
        }
        let payload = payload.into();
        reporter.send(reporter.topics().response(&self.name), &payload, None);
        if let Some((topic, correlation)) = self.response {
            reporter.send(topic, &payload, correlation);
        }
    }
}

impl Agent {
    pub(super) async fn request(&mut self, name: &str, message: Incoming) {
        let response = message.response_topic.map(|topic| (topic, message.correlation));
        let asked = Asked { name: name.to_owned(), response };
        if message.retained {
            return asked.answer(&self.reporter, Err("retained requests are not carried out".into()));
        }
        match name {
            "health" => asked.answer(&self.reporter, Ok(object(json!({ "health": self.reporter.health().json() })))),
            "read" => self.read(asked),
            "config" => asked.answer(&self.reporter, Ok(object(json!({ "config": describe(&self.config) })))),
            "reload" => {
                let answer = self.reload().await.map(|summary| object(json!({ "changed": summary })));
                asked.answer(&self.reporter, answer);
            }
            "restart" => {
                asked.answer(&self.reporter, Ok(Map::new()));
                self.restart = true;
            }
            _ => {
                let message = "there is no such request; there are health, read, config, reload and restart";
                asked.answer(&self.reporter, Err(message.into()));
            }
        }
    }

    /// Samples all sensors at once, beside everything else.
    fn read(&self, asked: Asked) {
        let waiting: Vec<_> = self
            .sensors
            .iter()
            .map(|(id, sensor)| {
                let (answer, state) = oneshot::channel();
                // A full queue answers by being dropped.
                let _ = sensor.requests.try_send(answer);
                (id.clone(), state)
            })
            .collect();
        let reporter = self.reporter.clone();
        crate::task::spawn(async move {
            let (mut states, mut faults) = (Map::new(), Map::new());
            let limit = tokio::time::Instant::now() + READ;
            for (id, state) in waiting {
                match tokio::time::timeout_at(limit, state).await {
                    Ok(Ok(Ok(state))) => states.insert(id, state),
                    Ok(Ok(Err(fault))) => faults.insert(id, json!(fault.message)),
                    Ok(Err(_)) => faults.insert(id, json!("busy")),
                    Err(_) => faults.insert(id, json!(format!("no answer within {READ:?}"))),
                };
            }
            asked.answer(&reporter, Ok(object(json!({ "states": states, "faults": faults }))));
        });
    }
}

/// The configuration as it is in force, without anything secret: only what is listed here is told.
fn describe(config: &Config) -> Json {
    let sensors: Vec<_> = config
        .sensors
        .iter()
        .map(|sensor| {
            let every = match &sensor.source {
                Source::Sampled { every, .. } | Source::Serial { every, .. } => Some(every.as_secs_f64()),
                Source::Edges { every, .. } => every.map(|every| every.as_secs_f64()),
            };
            json!({ "id": sensor.id, "driver": sensor.driver.name, "at": sensor.at.to_string(), "every": every })
        })
        .collect();
    let actuators: Vec<_> = config
        .actuators
        .iter()
        .map(|actuator| {
            json!({
                "id": actuator.id,
                "driver": actuator.driver.name,
                "at": actuator.at.to_string(),
                "safe": actuator.rules.safe,
                "safe_after": actuator.rules.safe_after.map(|span| span.as_secs_f64()),
                "max_on": actuator.rules.max_on.map(|span| span.as_secs_f64()),
                "min_off": actuator.rules.min_off.map(|span| span.as_secs_f64()),
                "interlock": actuator.rules.interlock,
                "dead_time": actuator.rules.dead_time.as_secs_f64(),
                "control": actuator.rules.heartbeat.as_ref().map(|heartbeat| {
                    json!({ "topic": heartbeat.topic, "timeout": heartbeat.timeout.as_secs_f64() })
                }),
                "rate": actuator.rules.rate.map(|rate| json!({ "limit": rate.limit, "per": rate.per.as_secs_f64() })),
            })
        })
        .collect();
    json!({
        "agent": config.agent,
        "base": config.base,
        "discovery": config.discovery,
        "sensors": sensors,
        "actuators": actuators,
    })
}

fn object(json: Json) -> Map<String, Json> {
    match json {
        Json::Object(map) => map,
        _ => Map::new(),
    }
}
