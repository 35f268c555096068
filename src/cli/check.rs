//! `halyard check`: every problem in a configuration.
//!
//! ```text
//! $ halyard check -c config.yaml
//! config.yaml: 2 sensors, 1 actuator: fine
//! $ halyard check -c wrong.yaml
//! wrong.yaml:7:5: unknown key `adress`; did you mean `address`?
//! ```

use super::log;
use crate::config::{self, Config, Position, Report};
use std::io::Write;
use std::path::Path;

/// Exit code for a configuration that is wrong (`EX_CONFIG` of sysexits.h).
pub const WRONG: u8 = 78;

/// Checks the file at `path` and gives the exit code. Problems go to `err`, one a line; that there are none, to `out`.
/// With `json`, an array of problems goes to `out` in any case, with `file`, `line`, `column` and `message` each.
///
/// # Errors
/// When nothing can be written.
pub fn run(path: &Path, json: bool, out: &mut dyn Write, err: &mut dyn Write) -> std::io::Result<u8> {
    let result = config::load(path);
    let code = if result.is_ok() { 0 } else { WRONG };
    match result {
        _ if json => writeln!(out, "{:#}", problems(result.err().as_ref()))?,
        Ok(config) => writeln!(out, "{}: {}: fine", path.display(), contents(&config))?,
        Err(report) => writeln!(err, "{}", log::error(&report.to_string()).trim_end())?,
    }
    Ok(code)
}

/// The problems of a report; null stands for the line and column of those about the file as a whole.
fn problems(report: Option<&Report>) -> serde_json::Value {
    let Some(report) = report else { return serde_json::json!([]) };
    let problem = |finding: &config::Finding| {
        let Position { line, column } = finding.position.unwrap_or(Position { line: 0, column: 0 });
        let number = |number: usize| (number > 0).then_some(number);
        serde_json::json!({
            "file": report.file, "line": number(line), "column": number(column), "message": finding.message,
        })
    };
    report.findings.iter().map(problem).collect()
}

/// How many of what there are.
pub(super) fn contents(config: &Config) -> String {
    let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    format!("{}, {}", count(config.sensors.len(), "sensor"), count(config.actuators.len(), "actuator"))
}
