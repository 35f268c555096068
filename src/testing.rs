//! Configurations for tests, without a file.

use crate::acting::gate::Rules;
use crate::config::{ActuatorConfig, At, Board, Config, Initial, LineName, SensorConfig, Source, Store};
use crate::mqtt::Settings;
use halyard_drivers::{ActuatorSpec, Control, Value, sht4x};
use std::sync::Arc;
use std::time::Duration;

/// The agent `greenhouse` below `halyard`, with discovery.
pub fn config(sensors: Vec<SensorConfig>, actuators: Vec<ActuatorConfig>) -> Config {
    Config {
        agent: "greenhouse".into(),
        watchdog: None,
        store: Default::default(),
        board: Board::Simulated,
        broker: None,
        mqtt: Settings::new(Vec::new(), ""),
        base: "halyard".into(),
        discovery: Some("homeassistant".into()),
        metrics: None,
        sensors,
        actuators,
        expanders: Vec::new(),
    }
}

/// A sensor on the line that is called as it is.
pub fn sensor(id: &str, source: Source) -> SensorConfig {
    SensorConfig {
        id: id.into(),
        name: None,
        driver: &sht4x::DRIVER,
        at: At::Line(LineName::Name(id.into())),
        source,
        filters: Vec::new(),
        store: Store::Latest,
        fingerprint: Default::default(),
    }
}

/// An actuator on the line that is called as it is.
pub fn actuator(id: &str, spec: Arc<dyn ActuatorSpec>) -> ActuatorConfig {
    ActuatorConfig {
        id: id.into(),
        name: None,
        driver: &sht4x::DRIVER,
        at: At::Line(LineName::Name(id.into())),
        initial: Initial::Keep,
        rules: rules(spec.control()),
        spec,
        fingerprint: Default::default(),
    }
}

/// Of an actuator that may be on at any time, for as long as it likes.
pub fn rules(control: Control) -> Rules {
    Rules {
        control,
        safe: Value::Switch(false),
        safe_after: None,
        max_on: None,
        min_off: None,
        interlock: Vec::new(),
        dead_time: Duration::ZERO,
        heartbeat: None,
        rate: None,
    }
}
