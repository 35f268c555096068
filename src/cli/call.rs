//! `halyard call`: an actuator is driven through the broker, and the result is waited for.

use super::broker::Broker;
use super::{Failure, Output, code, print, span, wait};
use crate::acting::command::{Takes, wanted};
use crate::mqtt::{Client, Event, Limits, Outbox, Outgoing, Settings, Topics};
use bytes::Bytes;
use clap::Args;
use serde_json::{Map, Value as Json, json};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

#[derive(Args)]
pub(super) struct Call {
    /// The agent and its actuator, as in greenhouse/pump
    #[arg(value_name = "AGENT/ACTUATOR")]
    target: String,
    /// ON, OFF, TOGGLE, OPEN, CLOSE, STOP or a number; with --text whatever there is
    #[arg(allow_negative_numbers = true)]
    value: String,
    /// Send the value as it is, to an actuator that takes text
    #[arg(long)]
    text: bool,
    /// Go back to the state before after this time, as in 5s
    #[arg(long = "for", value_name = "TIME", value_parser = span)]
    pulse: Option<Duration>,
    /// How long to wait for the result
    #[arg(long, value_name = "TIME", value_parser = span, default_value = "5s")]
    timeout: Duration,
    #[command(flatten)]
    broker: Broker,
    #[command(flatten)]
    output: Output,
}

impl Call {
    pub(super) fn run(&self) -> Result<u8, Failure> {
        let value = if self.text { self.value.clone() } else { self.value.to_ascii_uppercase() };
        if !self.text {
            let not = |message| format!("{message}; a text needs --text");
            wanted(&value, Takes::Words).map_err(|message| Failure::new(code::USAGE, not(message)))?;
        }
        let Some((agent, actuator)) = self.target.split_once('/') else {
            let message = format!("{:?} is not AGENT/ACTUATOR, as in greenhouse/pump", self.target);
            return Err(Failure::new(code::USAGE, message));
        };
        if [agent, actuator].iter().any(|id| !crate::config::is_id(id)) {
            let message = format!("{:?} is not AGENT/ACTUATOR: ids are a-z, 0-9, _ and -", self.target);
            return Err(Failure::new(code::USAGE, message));
        }
        let (settings, base) = self.broker.settings("call")?;
        let topics = Topics::new(base, agent);
        let result = wait(self.ask(&settings, &topics, actuator, &value))??;
        self.tell(&result)
    }

    async fn ask(
        &self,
        settings: &Settings,
        topics: &Topics,
        actuator: &str,
        value: &str,
    ) -> Result<Map<String, Json>, Failure> {
        let limit = Instant::now() + self.timeout;
        let id = format!("{:016x}", fastrand::u64(..));
        let outbox = Outbox::new(Limits::default());
        let (events_in, mut events) = mpsc::channel(64);
        let result_topic = topics.result(actuator);
        let client = Client::start(settings, None, vec![(result_topic.clone(), 1)], outbox.clone(), events_in)
            .map_err(|error| Failure::new(code::CONFIGURATION, error))?;
        let answer = async {
            let mut why = "the broker does not answer".to_owned();
            let mut sent = false;
            loop {
                match timeout_at(limit, events.recv()).await {
                    Ok(Some(Event::Connected)) if !sent => {
                        sent = true;
                        why =
                            format!("no result from {} within {:?}: is the agent running?", self.target, self.timeout);
                        outbox.send(self.command(&id, value, topics.set(actuator)));
                    }
                    Ok(Some(Event::Disconnected { why: reason })) if !sent => why = reason,
                    Ok(Some(Event::Message(message))) if message.topic == result_topic => {
                        let result = serde_json::from_slice::<Map<String, Json>>(&message.payload).unwrap_or_default();
                        if result.get("id").and_then(Json::as_str) == Some(&id) {
                            return Ok(result);
                        }
                    }
                    Ok(Some(_)) => {}
                    Ok(None) | Err(_) => return Err(Failure::new(code::UNAVAILABLE, why)),
                }
            }
        };
        let answer = answer.await;
        client.stop(Duration::ZERO).await;
        answer
    }

    fn command(&self, id: &str, value: &str, topic: String) -> Outgoing {
        // What arrives after we stopped waiting must not be carried out any more.
        let ttl = format!("{}ms", self.timeout.as_millis());
        let mut command = json!({
            "id": id,
            "value": match value.parse::<f64>() {
                Ok(number) if !self.text => json!(number),
                _ => json!(value),
            },
            "ttl": ttl,
            "time": crate::time::rfc3339(std::time::SystemTime::now()),
        });
        if let Some(pulse) = self.pulse {
            command["for"] = json!(format!("{}ms", pulse.as_millis()));
        }
        let payload = Bytes::from(command.to_string());
        Outgoing { topic, payload, qos: 1, retained: false, expiry: Some(self.timeout), correlation: None }
    }

    fn tell(&self, result: &Map<String, Json>) -> Result<u8, Failure> {
        let text = |key: &str| match result.get(key) {
            Some(Json::String(text)) => text.clone(),
            Some(Json::Null) | None => String::new(),
            Some(other) => other.to_string(),
        };
        let (status, reason, message, state) = (text("status"), text("reason"), text("message"), text("state"));
        if self.output.json {
            print(&Json::Object(result.clone()).to_string())?;
        } else if status == "applied" {
            print(&format!("applied: {} {state}", self.target))?;
        } else {
            print(&format!("{status} ({reason}): {message}"))?;
        }
        Ok(if status == "applied" { 0 } else { code::FAILED })
    }
}
