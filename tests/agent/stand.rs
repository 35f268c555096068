//! A broker, an agent at it, and somebody who watches both.

use crate::support::broker::Broker;
use crate::support::program::Program;
use crate::support::wait_until;
use crate::support::witness::{Message, Witness};
use halyard::config;
use halyard::mqtt::Topics;
use rumqttc::v5::mqttbytes::QoS;
use serde_json::Value as Json;

/// Two of each: a sensor that is asked and one that tells, and two outputs that must not be on together.
pub const PARTS: &str = "
sensors:
  - { id: climate, driver: bme280, bus: i2c-1, address: 0x76, every: 100ms }
  - { id: door, driver: digital-input, line: GPIO17, pull: up }
actuators:
  - { id: pump, driver: switch, line: GPIO27, interlock: [ valve ] }
  - { id: valve, driver: switch, line: GPIO22 }
  - { id: lamp, driver: switch, line: GPIO5 }
";

/// A configuration of the agent `a` with these parts.
pub fn configuration(url: &str, parts: &str) -> String {
    format!("agent: {{ id: a }}\nboard: simulated\nmqtt: {{ url: \"{url}\" }}\n{parts}")
}

/// The same with MQTT 3.1.1.
pub fn configuration_of_v3(url: &str, parts: &str) -> String {
    configuration(url, parts).replace("mqtt: { ", "mqtt: { version: 3.1.1, ")
}

/// `halyard/a/…`
pub fn topic(rest: &str) -> String {
    format!("halyard/a/{rest}")
}

pub struct Stand {
    // In this order they end.
    pub program: Program,
    pub witness: Witness,
    pub broker: Broker,
}

impl Stand {
    /// All of it, with the agent ready. `None` without Mosquitto.
    pub fn start(parts: &str) -> Option<Self> {
        let broker = Broker::start("")?;
        let text = configuration(&broker.url(), parts);
        Some(Self::with(broker, &text))
    }

    /// The same with this broker and this configuration.
    pub fn with(broker: Broker, configuration: &str) -> Self {
        Self::with_program(broker, || Program::run(configuration))
    }

    /// The same with a program that is started by hand.
    pub fn with_program(broker: Broker, start: impl FnOnce() -> Program) -> Self {
        let witness = Witness::connect(broker.address());
        witness.forget_retained();
        let program = start();
        // Whoever says so can be heard.
        witness.wait_where("online", |message| message.text() == "online");
        // Until all outputs are known, those that are interlocked refuse to go on. (With secrets it cannot be read here.)
        if let Ok(config) = config::load(&program.file()) {
            let topics = Topics::new(&config.base, &config.agent);
            for actuator in &config.actuators {
                witness.wait(&topics.state(&actuator.id), |message| message.json()["by"] == "start");
            }
        }
        Self { program, witness, broker }
    }

    pub fn configuration(&self, parts: &str) -> String {
        configuration(&self.broker.url(), parts)
    }

    /// Publishes to `actuator`'s topic and gives the result: the first, after the mark that this sets.
    #[track_caller]
    pub fn command(&self, actuator: &str, payload: &str) -> Json {
        self.command_as(actuator, payload, QoS::AtLeastOnce)
    }

    #[track_caller]
    pub fn command_as(&self, actuator: &str, payload: &str, qos: QoS) -> Json {
        self.witness.mark();
        self.witness.peer.publish_as(&topic(&format!("{actuator}/set")), payload.as_bytes(), qos);
        self.witness.wait(&topic(&format!("{actuator}/result")), |_| true).json()
    }

    /// The status and the reason of a command's result.
    #[track_caller]
    pub fn verdict(&self, actuator: &str, payload: &str) -> (String, String) {
        let result = self.command(actuator, payload);
        let text = |key: &str| result[key].as_str().unwrap_or_default().to_owned();
        (text("status"), text("reason"))
    }

    /// Asks the agent, and gives its answer.
    #[track_caller]
    pub fn request(&self, name: &str) -> Json {
        self.witness.mark();
        self.witness.peer.publish(&topic(&format!("agent/request/{name}")), "", false);
        self.witness.wait(&topic(&format!("agent/response/{name}")), |_| true).json()
    }

    /// Waits for an actuator's state, since the mark.
    #[track_caller]
    pub fn state(&self, actuator: &str, state: &str, by: &str) -> Message {
        self.witness.wait(&topic(actuator), |message| message.json()["state"] == state && message.json()["by"] == by)
    }

    /// Waits for an agent that answers, whatever happened before.
    #[track_caller]
    pub fn answers(&self) {
        self.witness.mark();
        let mut asked = std::time::Instant::now();
        self.witness.peer.publish(&topic("agent/request/health"), "", false);
        wait_until("the agent answers", || {
            // Nobody keeps a request for an agent that is not there.
            if asked.elapsed() > std::time::Duration::from_millis(200) {
                asked = std::time::Instant::now();
                self.witness.peer.publish(&topic("agent/request/health"), "", false);
            }
            !self.witness.all(&topic("agent/response/health")).is_empty()
        });
    }
}
