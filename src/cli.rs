//! The command line: what there is, and what each ends with.

mod broker;
mod call;
pub mod check;
mod doctor;
pub mod drivers;
mod hardware;
mod log;
mod run;
mod scan;
pub mod schema;
mod set;
mod watch;

use crate::config::{Board, Config};
use clap::{Args, Parser, Subcommand};
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;
use tracing_subscriber::filter::LevelFilter;

/// Where a configuration is looked for.
const DEFAULT_FILES: [&str; 2] = ["config.yaml", "/etc/halyard/config.yaml"];

/// Exit codes: those of `sysexits.h` where it has one.
mod code {
    pub const FAILED: u8 = 1;
    pub const USAGE: u8 = 2;
    /// A broker or device is not there.
    pub const UNAVAILABLE: u8 = 69;
    pub const PERMISSION: u8 = 77;
    pub const CONFIGURATION: u8 = 78;
}

/// Why a command ends with something else than 0.
struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    fn new(code: u8, message: impl Display) -> Self {
        Self { code, message: message.to_string() }
    }
}

/// A hardware agent for Linux single-board computers: sensors and actuators on MQTT.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Args, Clone)]
struct File {
    /// The configuration [default: ./config.yaml, then /etc/halyard/config.yaml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Args, Clone)]
struct Hardware {
    #[command(flatten)]
    file: File,
    /// Simulate all buses, with a model of each configured part
    #[arg(long)]
    simulate: bool,
}

#[derive(Args, Clone, Copy)]
struct Output {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Run the agent in the foreground
    Run(Hardware),
    /// Report every problem in the configuration
    Check {
        #[command(flatten)]
        file: File,
        #[command(flatten)]
        output: Output,
    },
    /// Print the JSON Schema of the configuration, for editors
    Schema,
    /// List the drivers, or describe one
    Drivers {
        /// The driver to describe
        name: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Find out what is on the I2C and 1-Wire buses
    Scan(scan::Scan),
    /// Find out what keeps an agent from its work here, and what mends it
    Doctor {
        #[command(flatten)]
        hardware: Hardware,
        #[command(flatten)]
        output: Output,
    },
    /// Sample sensors once, straight from the hardware, without a broker
    Read {
        /// Sensors to sample [default: all]
        sensors: Vec<String>,
        #[command(flatten)]
        hardware: Hardware,
        #[command(flatten)]
        output: Output,
    },
    /// Drive an actuator once, straight to the hardware, without a broker
    ///
    /// For when the agent does not run: lines that it holds are refused here, and other outputs it would not know of. Interlocks,
    /// dead times, `min_off` and `max_on` hold as they do there. Since when the actuator is on or off, and what `initial: restore`
    /// restores, is read where the agent notes it, and noted there: in $STATE_DIRECTORY, else in /var/lib/halyard if that is
    /// there, else in ~/.local/state/halyard. /var/lib/halyard is for root and the user halyard alone; to others, what has a
    /// `min_off` seems to have gone off just now.
    Set {
        /// The actuator
        actuator: String,
        /// ON, OFF, TOGGLE, OPEN, CLOSE, STOP or a number; for an actuator that takes text, the text
        #[arg(allow_negative_numbers = true)]
        value: String,
        /// Go back to the state before after this time, as in 5s
        #[arg(long = "for", value_name = "TIME", value_parser = span)]
        pulse: Option<Duration>,
        #[command(flatten)]
        hardware: Hardware,
        #[command(flatten)]
        output: Output,
    },
    /// Drive all actuators to their safe state, straight to the hardware; for service managers
    Safe {
        #[command(flatten)]
        hardware: Hardware,
    },
    /// Drive an actuator through the broker and wait for the result
    Call(call::Call),
    /// Show all agents of the broker, live
    Watch(watch::Watch),
}

/// Runs the command line.
#[must_use]
pub fn main() -> ExitCode {
    let command = Cli::parse().command;
    // A daemon tells what happens; a command only what is wrong, unless it says so in its own way.
    log::init(match &command {
        Command::Run(_) => LevelFilter::INFO,
        Command::Doctor { .. } => LevelFilter::ERROR,
        Command::Watch(watch) if watch.draws() => LevelFilter::OFF,
        _ => LevelFilter::WARN,
    });
    let result = match command {
        Command::Run(hardware) => run::run(&hardware),
        Command::Check { file, output } => file.find().and_then(|file| {
            let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
            check::run(&file, output.json, &mut out, &mut err).map_err(|error| Failure::new(code::FAILED, error))
        }),
        Command::Schema => print(&schema::text()),
        Command::Drivers { name, output } => {
            let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
            drivers::run(name.as_deref(), output.json, &mut out, &mut err)
                .map_err(|error| Failure::new(code::FAILED, error))
        }
        Command::Scan(scan) => scan.run(),
        Command::Doctor { hardware, output } => doctor::run(&hardware, output),
        Command::Read { sensors, hardware, output } => hardware::read(&hardware, &sensors, output.json),
        Command::Set { actuator, value, pulse, hardware, output } => {
            set::run(&hardware, &actuator, &value, pulse, output.json)
        }
        Command::Safe { hardware } => hardware::safe(&hardware),
        Command::Call(call) => call.run(),
        Command::Watch(watch) => watch.run(),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            // A problem in a file begins with the file's name, as editors know it.
            let own = if failure.code == code::CONFIGURATION { "" } else { "halyard: " };
            eprintln!("{}", log::error(&format!("{own}{}", failure.message)).trim_end());
            ExitCode::from(failure.code)
        }
    }
}

impl File {
    /// The file that was named, or the first default that is there.
    fn find(&self) -> Result<PathBuf, Failure> {
        if let Some(file) = &self.config {
            return Ok(file.clone());
        }
        DEFAULT_FILES.iter().map(PathBuf::from).find(|file| file.exists()).ok_or_else(|| {
            let message =
                format!("there is no configuration: neither {}; name one with -c", DEFAULT_FILES.join(" nor "));
            Failure::new(code::CONFIGURATION, message)
        })
    }
}

impl Hardware {
    /// The configuration, with the hardware that it shall run on.
    fn load(&self) -> Result<(PathBuf, Config), Failure> {
        let file = self.file.find()?;
        let config = self.read(&file).map_err(|problems| Failure::new(code::CONFIGURATION, problems))?;
        Ok((file, config))
    }

    fn read(&self, file: &Path) -> Result<Config, String> {
        let mut config = crate::config::load(file).map_err(|report| report.to_string())?;
        if self.simulate {
            config.board = Board::Simulated;
        }
        Ok(config)
    }
}

/// Prints to stdout. A reader that went away, as `head` does, is no error.
fn print(text: &str) -> Result<u8, Failure> {
    use std::io::Write;
    match writeln!(std::io::stdout(), "{}", text.trim_end()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::new(code::FAILED, error)),
        _ => Ok(0),
    }
}

/// Runs `work` to its end on a runtime of its own.
fn wait<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let mut result = None;
    run_to_end(&mut pin!(async { result = Some(work.await) }))?;
    result.ok_or_else(|| Failure::new(code::FAILED, "the work has no end"))
}

/// Not for each type of work: a runtime's way through it is 5 kB of program.
fn run_to_end(work: &mut (dyn Future<Output = ()> + Unpin)) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(code::FAILED, format!("the runtime cannot start: {error}")))?;
    runtime.block_on(work);
    // A driver that never returns must not keep the process.
    runtime.shutdown_background();
    Ok(())
}

fn span(text: &str) -> Result<Duration, String> {
    let span = halyard_drivers::options::Span::parse(text).map(|span| span.0);
    span.filter(|span| !span.is_zero()).ok_or_else(|| "a time such as 500ms, 5s or 2m was expected".to_owned())
}
