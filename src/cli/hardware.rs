//! `halyard read` and `safe`: straight to the hardware, without a broker and without a running agent.

use super::run::noted_directory;
use super::{Failure, Hardware, code, print, wait};
use crate::bus::{Bus, Loads};
use crate::config::{ActuatorConfig, Config, SensorConfig, Source};
use crate::device::{Device, Factory};
use crate::sensing::records::SENSORS_FILE;
use crate::sensing::{Records, Shape, edges, serial, wire};
use halyard_drivers::{Actuator, Fault, FaultKind, Sensor, Value};
use serde_json::{Map, Value as Json, json};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Longest time that one access may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Samples the sensors with these ids, all if there are none.
pub(super) fn read(hardware: &Hardware, ids: &[String], json: bool) -> Result<u8, Failure> {
    let (_, config) = hardware.load()?;
    let known = || config.sensors.iter().map(|sensor| sensor.id.as_str()).collect::<Vec<_>>().join(", ");
    if let Some(unknown) = ids.iter().find(|id| config.sensors.iter().all(|sensor| sensor.id != **id)) {
        return Err(Failure::new(code::USAGE, format!("there is no sensor {unknown:?}; there are: {}", known())));
    }
    let bus = open(&config)?;
    let chosen = config.sensors.iter().filter(|sensor| ids.is_empty() || ids.contains(&sensor.id));
    // What an agent counted; who may not know that starts from nothing.
    let records = noted_directory(config.board).ok().flatten().map(|folder| folder.join(SENSORS_FILE));
    let (mut states, mut faults, mut worst) = (Map::new(), Map::new(), 0);
    for sensor in chosen {
        match wait(sample(sensor, &bus, records.as_deref()))? {
            Ok(state) => {
                if !json {
                    print(&format!("{:<20} {}", sensor.id, line(&state)))?;
                }
                states.insert(sensor.id.clone(), state.into());
            }
            Err(fault) => {
                let title = crate::sensing::title(&sensor.id, sensor.driver.name, &sensor.at);
                eprintln!("halyard: {title}: {fault}");
                worst = worst.max(exit_code(fault.kind));
                faults.insert(sensor.id.clone(), json!({ "kind": fault.kind.name(), "message": fault.message }));
            }
        }
    }
    if json {
        print(&json!({ "states": states, "faults": faults }).to_string())?;
    }
    Ok(worst)
}

async fn sample(sensor: &SensorConfig, bus: &Arc<dyn Bus>, records: Option<&Path>) -> Result<Map<String, Json>, Fault> {
    let nothing = || Fault::new(FaultKind::NotReady, "no value");
    match &sensor.source {
        Source::Sampled { spec, .. } => {
            let mut shape = Shape::new(spec.channels(), &sensor.filters);
            let (bus, at, spec) = (Arc::clone(bus), sensor.at.clone(), Arc::clone(spec));
            let factory: Factory<dyn Sensor> = Arc::new(move || spec.open(wire(bus.as_ref(), &at, spec.as_ref())?));
            let mut sample = shape.sample();
            let sample =
                Device::new(factory, LIMIT).call(move |driver| driver.sample(&mut sample).map(|()| sample)).await?;
            shape.state(&sample, SystemTime::now(), Instant::now())?.ok_or_else(nothing)
        }
        Source::Serial { spec, .. } => serial::once(bus, sensor, spec).await,
        Source::Edges { spec, .. } => {
            let memory = Records::load(records.map(Path::to_owned)).recall(&sensor.id);
            edges::once(bus, sensor, spec.as_ref(), memory.filter(|_| spec.reports())).await
        }
    }
}

/// `temperature 21.53   humidity 40.2`
fn line(state: &Map<String, Json>) -> String {
    let values = state.iter().filter(|(name, _)| *name != "time");
    let values = values.map(|(name, value)| match value {
        Json::String(text) => format!("{name} {text}"),
        other => format!("{name} {other}"),
    });
    values.collect::<Vec<_>>().join("   ")
}

/// Drives all actuators to `safe`, whatever state an agent left them in.
pub(super) fn safe(hardware: &Hardware) -> Result<u8, Failure> {
    let (_, config) = hardware.load()?;
    let bus = open(&config)?;
    let mut worst = 0;
    // What goes off first: never is anything on together that must not be.
    let is_active = |actuator: &&ActuatorConfig| actuator.spec.control().left(&actuator.rules.safe).is_active();
    let (last, first): (Vec<_>, Vec<_>) = config.actuators.iter().partition(is_active);
    // Since when those are off, and those of which nobody knows that.
    let (mut off, mut unknown) = (Instant::now(), Vec::new());
    for actuator in first.into_iter().chain(last) {
        let control = actuator.spec.control();
        let mut safe = control.left(&actuator.rules.safe);
        if safe.is_active() && unknown.iter().any(|other| actuator.rules.interlock.contains(other)) {
            safe = control.off();
        }
        let active = safe.is_active();
        if active {
            std::thread::sleep(rest(actuator, &config).saturating_sub(off.elapsed()));
        }
        let result: Result<Value, Fault> =
            wait(async { device(actuator, &bus).call(move |driver| driver.apply_at_once(&safe)).await })?;
        match result {
            Ok(value) => print(&format!("{} {value}", actuator.id))?,
            Err(fault) => {
                let failure = failure(actuator, &fault);
                eprintln!("halyard: {}", failure.message);
                worst = worst.max(failure.code);
                unknown.push(actuator.id.clone());
                0
            }
        };
        if !active {
            off = Instant::now();
        }
    }
    Ok(worst)
}

/// How long all that must not be on together with this one have to be off before it goes on.
pub(super) fn rest(actuator: &ActuatorConfig, config: &Config) -> Duration {
    let rules = &actuator.rules;
    let others = config.actuators.iter().filter(|other| actuator.rules.interlock.contains(&other.id));
    others.map(|other| rules.dead_time_after(&other.rules)).max().unwrap_or_default()
}

pub(super) fn device(actuator: &ActuatorConfig, bus: &Arc<dyn Bus>) -> Device<dyn Actuator> {
    let (bus, at, spec) = (Arc::clone(bus), actuator.at.clone(), Arc::clone(&actuator.spec));
    Device::new(Arc::new(move || spec.open(wire(bus.as_ref(), &at, spec.as_ref())?)), LIMIT)
}

pub(super) fn failure(actuator: &ActuatorConfig, fault: &Fault) -> Failure {
    let title = crate::sensing::title(&actuator.id, actuator.driver.name, &actuator.at);
    Failure::new(exit_code(fault.kind), format!("{title}: {fault}"))
}

/// The buses of the configured board.
pub(super) fn open(config: &Config) -> Result<Arc<dyn Bus>, Failure> {
    open_counted(config, Loads::default())
}

/// The same; what goes over them is counted in `loads`.
pub(super) fn open_counted(config: &Config, loads: Loads) -> Result<Arc<dyn Bus>, Failure> {
    crate::bus::open(config.board, config, loads).map_err(|error| Failure::new(exit_code(error.kind), error))
}

fn exit_code(kind: FaultKind) -> u8 {
    match kind {
        FaultKind::Denied => code::PERMISSION,
        _ => code::UNAVAILABLE,
    }
}
