//! `halyard run`: the daemon.

use super::{Failure, Hardware, code, hardware};
use crate::agent::{self, Ended, Setup};
use crate::bus::{Bus, Loads, Simulated, with_expanders};
use crate::config::{Board, Config, EmbeddedBroker, HardwareWatchdog};
use crate::doctor;
use crate::files::private_folder;
use crate::process;
use crate::simulation::{self, Scene};
use crate::watchdog::Device;
use std::os::unix::process::CommandExt;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How long workers that are stuck may hold up the end.
const LEAVE: Duration = Duration::from_millis(50);
/// What systemd gives the service as its state directory: `StateDirectory=` in systemd/halyard.service.
const SERVICE_STATE: &str = "/var/lib/halyard";

pub(super) fn run(hardware: &Hardware) -> Result<u8, Failure> {
    process::no_core();
    let (file, config) = hardware.load()?;
    for finding in doctor::secrets(&file) {
        warn!("{}; {}", finding.what, finding.mend.unwrap_or_default());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(code::FAILED, format!("the runtime cannot start: {error}")))?;
    let again = hardware.clone();
    // On a worker, not on this thread: what one task hands to another stays on its thread then.
    #[allow(clippy::disallowed_methods)] // it has a result; there is one
    let agent = runtime.spawn(agent(config, move || again.read(&file)));
    let result = runtime.block_on(agent).unwrap_or_else(|panic| resume_unwind(panic.into_panic()));
    // A driver that never returns must not keep the process.
    runtime.shutdown_timeout(LEAVE);
    match result? {
        Ended::Stopped => Ok(0),
        Ended::Restart => Err(restart()),
    }
}

async fn agent(
    config: Config,
    read: impl Fn() -> Result<Config, String> + Send + Sync + 'static,
) -> Result<Ended, Failure> {
    let broker = match &config.broker {
        Some(settings) => {
            let broker = crate::broker::start(settings).await;
            Some(broker.map_err(|error| Failure::new(code::UNAVAILABLE, format!("{error:#}")))?)
        }
        None => None,
    };
    let world = CancellationToken::new();
    let loads = Loads::default();
    let bus: Arc<dyn Bus> = if config.board == Board::Simulated {
        let simulated = Arc::new(Simulated::new(&config));
        crate::task::spawn(simulation::run(Scene::new(&config, simulated.as_ref()), world.clone()));
        greet(&config);
        with_expanders(simulated, &config, loads.clone())
    } else {
        hardware::open_counted(&config, loads.clone())?
    };
    let board = board(&config);
    let hardware_watchdog = arm(&config)?;
    let state_directory = state_directory();
    let setup = Setup { config, reader: Box::new(read), bus, board, loads, state_directory, hardware_watchdog };
    let ended = agent::run(setup).await.map_err(|error| Failure::new(code::FAILED, format!("{error:#}")));
    world.cancel();
    if let Some(broker) = broker {
        broker.stop().await;
    }
    ended
}

/// Starts the machine's watchdog, if the configuration wants it.
fn arm(config: &Config) -> Result<Option<Device>, Failure> {
    let Some(HardwareWatchdog { path, timeout }) = &config.watchdog else { return Ok(None) };
    if config.board == Board::Simulated {
        info!("{}: left alone, since all hardware is simulated", path.display());
        return Ok(None);
    }
    Device::open(path, *timeout).map(Some).map_err(|error| {
        let denied = error.kind() == std::io::ErrorKind::PermissionDenied;
        Failure::new(if denied { code::PERMISSION } else { code::UNAVAILABLE }, error)
    })
}

fn board(config: &Config) -> &'static str {
    match config.board {
        Board::Simulated => "simulated",
        Board::Auto | Board::RaspberryPi | Board::Linux => {
            static MODEL: std::sync::OnceLock<String> = std::sync::OnceLock::new();
            MODEL.get_or_init(|| {
                let model = std::fs::read_to_string("/proc/device-tree/model").unwrap_or_default();
                let model = model.trim_matches(['\0', '\n', ' ']);
                if model.is_empty() { "linux".to_owned() } else { model.to_owned() }
            })
        }
    }
}

/// Where to look, for someone who runs this for the first time.
fn greet(config: &Config) {
    let (base, agent) = (&config.base, &config.agent);
    info!("all hardware is simulated");
    if let Some(EmbeddedBroker { listen, users }) = &config.broker {
        let (host, port) = (listen.ip(), listen.port());
        let login = users.first().map_or_else(String::new, |user| format!(" -u {} -P PASSWORD", user.name));
        info!("look:    mosquitto_sub -h {host} -p {port}{login} -v -t '{base}/{agent}/#'");
        if let Some(actuator) = config.actuators.first() {
            info!("command: mosquitto_pub -h {host} -p {port}{login} -t {base}/{agent}/{}/set -m ON", actuator.id);
        }
    }
}

/// Given by systemd; else where a user's programs keep their state.
pub(super) fn state_directory() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("STATE_DIRECTORY") {
        return Some(folder.into());
    }
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state"));
    let folder = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).or_else(home)?.join("halyard");
    match private_folder(&folder) {
        Ok(()) => Some(folder),
        Err(error) => {
            warn!("{}: {error}; `initial: restore` gives the safe state", folder.display());
            None
        }
    }
}

/// Where commands that work beside the agent find what it noted: where systemd says; else in the service's folder, if there
/// is one; else where an agent of this user keeps its state.
///
/// # Errors
/// When that folder may not be read.
pub(super) fn noted_directory(board: Board) -> Result<Option<PathBuf>, String> {
    let given = std::env::var_os("STATE_DIRECTORY").map(PathBuf::from);
    // Nothing that happens to simulated parts is of any interest to the service.
    let service = || (board != Board::Simulated).then(|| PathBuf::from(SERVICE_STATE));
    let Some(folder) = given.or_else(service) else { return Ok(state_directory()) };
    match std::fs::read_dir(&folder) {
        Ok(_) => Ok(Some(folder)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(state_directory()),
        Err(error) => Err(format!("{}: {error}", folder.display())),
    }
}

/// The same program in the same process: a service manager sees no end.
fn restart() -> Failure {
    info!("starting again");
    let mut arguments = std::env::args_os();
    let program = std::env::current_exe().ok().or_else(|| arguments.next().map(PathBuf::from)).unwrap_or_default();
    let error = Command::new(program).args(std::env::args_os().skip(1)).exec();
    Failure::new(code::FAILED, format!("cannot start again: {error}"))
}
