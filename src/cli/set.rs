//! `halyard set`: one command, straight to the hardware, through the gate that the agent has.

use super::hardware::{device, failure, open, rest};
use super::run::noted_directory;
use super::{Failure, Hardware, code, print, wait};
use crate::acting::Route;
use crate::acting::command::{Command, Reason, Takes, Wanted, wanted};
use crate::acting::gate::{Action, Before, Gate, Outcome, Past, Rules};
use crate::acting::memory::{ACTUATORS_FILE, Memory};
use crate::acting::stamp::Stamp;
use crate::config::{ActuatorConfig, Config, Initial};
use crate::sensing::json_of;
use halyard_drivers::{Actuator, Control};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

/// Drives one actuator, through the same gate as everything else.
pub(super) fn run(
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
    if let (None, Some(limit)) = (pulse, chosen.rules.max_on)
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
    // The agent's type of a route, though no answer goes anywhere: the program has one gate, not two.
    let mut gate = Gate::<Route>::new(Instant::now());
    let mut devices = BTreeMap::new();
    let notes = Notes::of(config, chosen);
    let involved =
        config.actuators.iter().filter(|other| other.id == chosen.id || chosen.rules.interlock.contains(&other.id));
    for actuator in involved {
        let mut device = device(actuator, &bus);
        let found = device.call(<dyn Actuator>::read).await.map_err(|fault| failure(actuator, &fault))?;
        gate.add(&actuator.id, rules(actuator), Instant::now());
        // Known as it was found; nothing is written. The others are not driven: what was noted of them stays as it is.
        let past = if actuator.id == chosen.id { notes.past() } else { None };
        gate.found(&actuator.id, Before { state: found, past }, Instant::now());
        devices.insert(actuator.id.clone(), device);
    }
    // Nobody knows since when the others are off.
    if !matches!(&value, Wanted::Value(value) if !value.is_active()) {
        tokio::time::sleep(rest(chosen, config)).await;
    }
    // As an agent at its start: what has been on for too long goes off first.
    gate.tick(Instant::now());
    let command = Command { id: None, value, pulse, expires: None };
    gate.command(&chosen.id, Ok(command), false, None, Instant::now(), SystemTime::now());
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
            notes.hear(&action).await;
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
                Action::State { .. } | Action::Note { .. } => {}
            }
        }
    }
    let mut outcome = result.ok_or_else(|| Failure::new(code::FAILED, "the command was not answered"))?;
    if outcome.reason.is_none() {
        outcome.state = gate.state(&chosen.id).cloned();
    }
    Ok(outcome)
}

/// What the agent noted of an actuator, and has to know of it when it starts again.
struct Notes<'a> {
    actuator: &'a ActuatorConfig,
    file: Option<PathBuf>,
}

impl<'a> Notes<'a> {
    fn of(config: &Config, actuator: &'a ActuatorConfig) -> Self {
        let folder = noted_directory(config.board).unwrap_or_else(|error| {
            if actuator.outlasts() || actuator.initial == Initial::Restore {
                eprintln!(
                    "halyard: {error}: what the agent noted of {} is not known here, and what happens now is not noted \
                     for it; that takes root, or the user that the agent runs as",
                    actuator.id
                );
            }
            None
        });
        Self { actuator, file: folder.map(|folder| folder.join(ACTUATORS_FILE)) }
    }

    /// The file as it is now: it is the agent's, and an agent that runs after all writes there as well.
    fn memory(&self) -> Memory {
        Memory::load(self.file.clone())
    }

    fn past(&self) -> Option<Past> {
        self.memory().past(&self.actuator.id, &Stamp::now())
    }

    /// Notes what is about to be done, or was: in one place, since an `await` has its own code wherever it is.
    async fn hear(&self, action: &Action<Route>) {
        let own = self.actuator;
        let mut memory = match action {
            Action::Write { actuator, value, .. }
                if *actuator == own.id && own.rules.min_off.is_some() && value.is_active() =>
            {
                let mut memory = self.memory();
                drop(memory.before_on(actuator));
                memory
            }
            Action::State { actuator, value, .. } if *actuator == own.id && own.initial == Initial::Restore => {
                let mut memory = self.memory();
                memory.remember(actuator, value);
                memory
            }
            Action::Note { actuator, active, since } if *actuator == own.id && own.outlasts() => {
                let mut memory = self.memory();
                memory.note(actuator, *active, Stamp::now().at(*since, Instant::now()), true);
                memory
            }
            _ => return,
        };
        memory.saved().await;
    }
}

/// Takes out what is due.
fn due(steps: &mut BTreeMap<String, Instant>, now: Instant) -> Vec<String> {
    let due: Vec<_> = steps.iter().filter(|(_, at)| **at <= now).map(|(actuator, _)| actuator.clone()).collect();
    steps.retain(|_, at| *at > now);
    due
}

fn rules(actuator: &ActuatorConfig) -> Rules {
    Rules {
        // Nobody will be there for it when this command ends.
        safe: actuator.spec.control().left(&actuator.rules.safe),
        safe_after: None,
        heartbeat: None,
        rate: None,
        ..actuator.rules.clone()
    }
}
