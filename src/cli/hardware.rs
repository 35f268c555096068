//! `halyard read`, `set` and `safe`: straight to the hardware, without a broker and without a running agent.

use super::run::state_directory;
use super::{Failure, Hardware, code, print, wait};
use crate::acting::command::{Command, Reason, Takes, Wanted, wanted};
use crate::acting::gate::{Action, Before, Gate, Outcome, Rules};
use crate::acting::memory::{ACTUATORS_FILE, Memory};
use crate::acting::stamp::Stamp;
use crate::bus::{Bus, Loads};
use crate::config::{ActuatorConfig, Config, SensorConfig, Source};
use crate::device::{Device, Factory};
use crate::sensing::records::SENSORS_FILE;
use crate::sensing::{Records, Shape, edges, json_of, serial, wire};
use halyard_drivers::{Actuator, Control, Fault, FaultKind, Sensor, Value};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
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
    let (mut states, mut faults, mut worst) = (Map::new(), Map::new(), 0);
    for sensor in chosen {
        match wait(sample(sensor, &bus))? {
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

async fn sample(sensor: &SensorConfig, bus: &Arc<dyn Bus>) -> Result<Map<String, Json>, Fault> {
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
            let memory = Records::load(state_directory().map(|folder| folder.join(SENSORS_FILE))).recall(&sensor.id);
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

/// Drives one actuator, through the same gate as everything else.
pub(super) fn set(
    hardware: &Hardware,
    actuator: &str,
    value: &str,
    pulse: Option<Duration>,
    json: bool,
) -> Result<u8, Failure> {
    let (_, config) = hardware.load()?;
    let Some(chosen) = config.actuators.iter().find(|config| config.id == actuator) else {
        let known = config.actuators.iter().map(|config| config.id.as_str()).collect::<Vec<_>>().join(", ");
        return Err(Failure::new(code::USAGE, format!("there is no actuator {actuator:?}; there are: {known}")));
    };
    let value = match Takes::of(&chosen.spec.control()) {
        Takes::Words => wanted(&value.to_ascii_uppercase(), Takes::Words),
        Takes::Text => wanted(value, Takes::Text),
    };
    let value = value.map_err(|message| Failure::new(code::USAGE, message))?;
    if let (None, Some(limit)) = (pulse, chosen.max_on)
        && !matches!(&value, Wanted::Value(value) if !value.is_active() || *value == chosen.spec.control().off())
        && !matches!(chosen.spec.control(), Control::Cover | Control::Position { .. })
    {
        let message =
            format!("{actuator} may be on for {limit:?} at most, which nobody sees to after this command: give --for");
        return Err(Failure::new(code::USAGE, message));
    }
    let outcome = wait(drive(&config, chosen, value, pulse))??;
    let state = outcome.state.as_ref().map(json_of);
    if json {
        let reason = outcome.reason.map(Reason::name);
        print(
            &json!({ "status": outcome.status(), "state": state, "reason": reason, "message": outcome.message })
                .to_string(),
        )?;
    }
    match (outcome.reason, outcome.state) {
        (None, state) => {
            if !json {
                print(&format!("{actuator} {}", state.map_or_else(|| "?".to_owned(), |state| state.to_string())))?;
            }
            Ok(0)
        }
        (Some(reason), _) => {
            let message = outcome.message.unwrap_or_default();
            let code = if reason == Reason::Hardware { code::UNAVAILABLE } else { code::FAILED };
            Err(Failure::new(code, format!("{actuator}: {} ({}): {message}", "not driven", reason.name())))
        }
    }
}

/// Lets a gate with this actuator, and all that are interlocked with it as they are found, carry out one command.
async fn drive(
    config: &Config,
    chosen: &ActuatorConfig,
    value: Wanted,
    pulse: Option<Duration>,
) -> Result<Outcome, Failure> {
    let bus = open(config)?;
    let mut gate = Gate::new(Instant::now());
    let mut devices = BTreeMap::new();
    // Of an agent that may have run here, or of the last one of these commands.
    let mut memory = Memory::load(state_directory().map(|folder| folder.join(ACTUATORS_FILE)));
    let involved =
        config.actuators.iter().filter(|other| other.id == chosen.id || chosen.interlock.contains(&other.id));
    for actuator in involved {
        let mut device = device(actuator, &bus);
        let found = device.call(<dyn Actuator>::read).await.map_err(|fault| failure(actuator, &fault))?;
        gate.add(&actuator.id, rules(actuator), Instant::now());
        // Known as it was found; nothing is written.
        let past = memory.past(&actuator.id, &Stamp::now());
        gate.found(&actuator.id, Before { state: found, past }, Instant::now());
        devices.insert(actuator.id.clone(), device);
    }
    // Nobody knows since when the others are off.
    tokio::time::sleep(longest_dead_time(config.actuators.iter().filter(|other| devices.contains_key(&other.id))))
        .await;
    let command = Command { id: None, value, pulse, expires: None };
    gate.command(&chosen.id, Ok(command), false, (), Instant::now(), SystemTime::now());
    let mut result = None;
    // When an actuator that is on its way takes its next step.
    let mut steps: BTreeMap<String, Instant> = BTreeMap::new();
    loop {
        let actions = gate.actions();
        if actions.is_empty() {
            steps.retain(|actuator, _| gate.is_on_its_way(actuator));
            let ends = gate.deadline().filter(|_| pulse.is_some() || !steps.is_empty());
            let Some(at) = ends.into_iter().chain(steps.values().copied()).min() else { break };
            tokio::select! {
                () = tokio::time::sleep_until(at.into()) => {
                    let now = Instant::now();
                    gate.tick(now);
                    for actuator in due(&mut steps, now) {
                        let Some(device) = devices.get_mut(&actuator) else { continue };
                        let stepped = device.call(|driver| driver.advance().map(|state| (state, driver.next()))).await;
                        let (state, next) = stepped.map_err(|fault| failure(chosen, &fault))?;
                        steps.extend(next.map(|next| (actuator.clone(), Instant::now() + next)));
                        state.into_iter().for_each(|state| gate.moved(&actuator, Ok(state), Instant::now()));
                    }
                }
                // Not left as it is, whoever loses patience.
                _ = tokio::signal::ctrl_c() => gate.make_safe(&chosen.id, "interrupted", Instant::now()),
            }
            continue;
        }
        for action in actions {
            match action {
                Action::Write { actuator, value, at_once } => {
                    let Some(device) = devices.get_mut(&actuator) else { continue };
                    let written = device
                        .call(move |driver| {
                            let state = if at_once { driver.apply_at_once(&value) } else { driver.apply(&value) };
                            state.map(|state| (state, driver.next()))
                        })
                        .await;
                    steps.remove(&actuator);
                    let next = written.as_ref().ok().and_then(|(_, next)| *next);
                    steps.extend(next.map(|next| (actuator.clone(), Instant::now() + next)));
                    gate.written(&actuator, written.map(|(state, _)| state), Instant::now());
                }
                Action::Answer { outcome, .. } => result = Some(outcome),
                Action::State { .. } => {}
                Action::Note { actuator, active, since } => {
                    let keeps = |config: &&ActuatorConfig| config.id == actuator && config.outlasts();
                    let keep = config.actuators.iter().any(|config| keeps(&config));
                    memory.note(&actuator, active, Stamp::now().at(since, Instant::now()), keep);
                }
            }
        }
    }
    memory.saved().await;
    let mut outcome = result.ok_or_else(|| Failure::new(code::FAILED, "the command was not answered"))?;
    if outcome.reason.is_none() {
        outcome.state = gate.state(&chosen.id).cloned();
    }
    Ok(outcome)
}

/// Takes out what is due.
fn due(steps: &mut BTreeMap<String, Instant>, now: Instant) -> Vec<String> {
    let due: Vec<_> = steps.iter().filter(|(_, at)| **at <= now).map(|(actuator, _)| actuator.clone()).collect();
    steps.retain(|_, at| *at > now);
    due
}

/// Drives all actuators to `safe`, whatever state an agent left them in.
pub(super) fn safe(hardware: &Hardware) -> Result<u8, Failure> {
    let (_, config) = hardware.load()?;
    let bus = open(&config)?;
    let mut worst = 0;
    // What goes off first: never is anything on together that must not be.
    let is_active = |actuator: &&ActuatorConfig| actuator.spec.control().left(&actuator.safe).is_active();
    let (last, first): (Vec<_>, Vec<_>) = config.actuators.iter().partition(is_active);
    let mut rest = longest_dead_time(config.actuators.iter());
    for actuator in first.into_iter().chain(last) {
        let safe = actuator.spec.control().left(&actuator.safe);
        if safe.is_active() && !actuator.interlock.is_empty() {
            std::thread::sleep(std::mem::take(&mut rest));
        }
        let result: Result<Value, Fault> =
            wait(async { device(actuator, &bus).call(move |driver| driver.apply_at_once(&safe)).await })?;
        match result {
            Ok(value) => print(&format!("{} {value}", actuator.id))?,
            Err(fault) => {
                let failure = failure(actuator, &fault);
                eprintln!("halyard: {}", failure.message);
                worst = worst.max(failure.code);
                0
            }
        };
    }
    Ok(worst)
}

fn longest_dead_time<'a>(actuators: impl Iterator<Item = &'a ActuatorConfig>) -> Duration {
    actuators.map(|actuator| actuator.dead_time).max().unwrap_or_default()
}

fn device(actuator: &ActuatorConfig, bus: &Arc<dyn Bus>) -> Device<dyn Actuator> {
    let (bus, at, spec) = (Arc::clone(bus), actuator.at.clone(), Arc::clone(&actuator.spec));
    Device::new(Arc::new(move || spec.open(wire(bus.as_ref(), &at, spec.as_ref())?)), LIMIT)
}

fn rules(actuator: &ActuatorConfig) -> Rules {
    Rules {
        // Nobody will be there for it when this command ends.
        safe: actuator.spec.control().left(&actuator.safe),
        safe_after: None,
        heartbeat: None,
        rate: None,
        ..Rules::of(actuator)
    }
}

fn failure(actuator: &ActuatorConfig, fault: &Fault) -> Failure {
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
