//! Configuration: what the file says, what that means, and every problem at its place.
//!
//! ```text
//! text ─ yaml ─ tree with places ─ external ─ texts from files and variables ─ resolve ─ Config
//! ```

mod actuator;
mod connection;
mod expander;
mod external;
pub mod header;
pub mod model;
mod place;
pub mod report;
mod resolve;
pub mod schema;
mod sensor;
mod shown;
mod stanza;
mod values;
mod written;
mod yaml;

pub use model::{
    ActuatorConfig, At, Board, BrokerUser, Config, EmbeddedBroker, ExpanderConfig, Fingerprint, HardwareWatchdog,
    Initial, LineName, Link, PwmName, SensorConfig, Source, Store,
};
pub use report::{Finding, Position, Report};
pub use values::is_id;

use halyard_drivers::options::Problem;
use halyard_drivers::sort::sort_by;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use yaml::Document;

/// More problems than this are counted, not shown: a file with so many is something else.
const MOST_SHOWN: usize = 100;

/// Reads the configuration in the file at `path`.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load(path: &Path) -> Result<Config, Report> {
    let name = path.display().to_string();
    let failed = |error: std::io::Error| Report::whole(&name, format!("cannot read the file: {}", os_error(&error)));
    let mut bytes = Vec::new();
    // One byte more than allowed is enough to see that it is too long.
    let limit = yaml::LONGEST as u64 + 4;
    File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)).map_err(failed)?;
    match std::str::from_utf8(&bytes) {
        Ok(text) => parse(text, &name),
        Err(_) if bytes.len() > yaml::LONGEST => Err(yaml::too_long(&name)),
        Err(error) => {
            let valid = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            let last = valid.rsplit('\n').next().unwrap_or_default();
            let position = Position { line: valid.matches('\n').count() + 1, column: last.chars().count() + 1 };
            let message = format!("the byte {:#04x} is not UTF-8", bytes[error.valid_up_to()]);
            Err(Report::new(&name, vec![Finding { position: Some(position), message }]))
        }
    }
}

/// Reads the configuration in `text`. `name` is the file's name for messages, and where the relative paths in it
/// start.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(text: &str, name: &str) -> Result<Config, Report> {
    let mut problems = Vec::new();
    let mut document = Document::read(text, name, &mut problems)?;
    let folder = Path::new(name).parent().unwrap_or(Path::new(""));
    external::fetch(&mut document.root, folder, &mut problems);
    match resolve::resolve(&document, &mut problems) {
        Some(config) if problems.is_empty() => Ok(config),
        _ => Err(report(name, &document, problems)),
    }
}

fn report(name: &str, document: &Document<'_>, mut problems: Vec<Problem>) -> Report {
    // Places are numbered in the order of the file.
    sort_by(&mut problems, |a, b| a.place <= b.place);
    let more = problems.len().saturating_sub(MOST_SHOWN);
    problems.truncate(MOST_SHOWN);
    let mut last = None;
    let mut findings: Vec<Finding> = problems
        .into_iter()
        .map(|Problem { place, message }| {
            let position = match last {
                Some((known, position)) if known == place => position,
                _ => document.position(place),
            };
            last = Some((place, position));
            Finding { position, message }
        })
        .collect();
    if more > 0 {
        let message = format!("{more} more problems than these {MOST_SHOWN}");
        findings.push(Finding { position: None, message });
    }
    Report::new(name, findings)
}

/// An error of the operating system without its number: `No such file or directory`.
pub(crate) fn os_error(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((text, _)) => text.to_owned(),
        None => text,
    }
}
