//! `halyard doctor`: what keeps an agent from its work here, and what mends it.
//!
//! ```text
//! $ halyard doctor
//! ok       configuration  config.yaml: 1 sensor, 1 actuator
//! problem  i2c-1          there is no /dev/i2c-1: /boot/firmware/config.txt has no line `dtparam=i2c_arm=on`
//!          mend: sudo raspi-config nonint do_i2c 0 && sudo reboot    # writes `dtparam=i2c_arm=on` into /boot/firmware/config.txt
//! ok       clock          2026-11-22T10:00:00.123Z, synchronised
//! ```

use super::{Failure, Hardware, Output, code, print};
use crate::bus::{Bus, Linux};
use crate::config::{Board, Config, Position, Report};
use crate::doctor::{self, Finding, Level, Machine};
use serde_json::json;
use std::fmt::Write;
use std::time::SystemTime;

/// Runs all checks; ends with 1 if any found a problem.
pub(super) fn run(hardware: &Hardware, output: Output) -> Result<u8, Failure> {
    let machine = Machine::this();
    let mut findings = Vec::new();
    let config = configuration(hardware, &mut findings)?;
    let simulated = config.as_ref().is_some_and(|config| config.board == Board::Simulated);
    if simulated {
        findings.push(finding(Level::Ok, "board", "all hardware is simulated", None));
    } else {
        findings.extend(doctor::machine(&machine, config.as_ref()));
    }
    if let Some(config) = &config {
        let bus = if simulated { super::hardware::open(config)? } else { std::sync::Arc::new(Linux::new()) };
        let bus: &dyn Bus = bus.as_ref();
        findings.extend(doctor::parts(&machine, config, bus));
    }
    findings.push(doctor::clock(SystemTime::now(), doctor::is_synchronized(&machine)));
    if let Some(config) = &config {
        findings.extend(super::wait(doctor::broker(&machine, config))?);
    }
    tell(&findings, output.json)?;
    let worst = findings.iter().map(|finding| finding.level).max();
    Ok(if worst == Some(Level::Problem) { code::FAILED } else { 0 })
}

/// The configuration, if there is one and it is right.
fn configuration(hardware: &Hardware, findings: &mut Vec<Finding>) -> Result<Option<Config>, Failure> {
    let file = match hardware.file.find() {
        Ok(file) => file,
        Err(_) if hardware.file.config.is_none() && !hardware.simulate => {
            let what = "there is none: only the machine is looked at";
            findings.push(finding(Level::Warning, "configuration", what, Some("halyard scan --yaml > config.yaml")));
            return Ok(None);
        }
        Err(failure) => return Err(failure),
    };
    let shown = file.display();
    findings.extend(doctor::secrets(&file));
    match crate::config::load(&file) {
        Ok(mut config) => {
            if hardware.simulate {
                config.board = Board::Simulated;
            }
            let what = format!("{shown}: {}", super::check::contents(&config));
            findings.push(finding(Level::Ok, "configuration", what, None));
            Ok(Some(config))
        }
        Err(report) => {
            findings.extend(problems(&report).map(|what| {
                finding(Level::Problem, "configuration", what, Some(&format!("halyard check -c {shown}")))
            }));
            Ok(None)
        }
    }
}

/// Each problem of a file as one text.
fn problems(report: &Report) -> impl Iterator<Item = String> {
    report.findings.iter().map(|finding| match finding.position {
        Some(Position { line, column }) => format!("{}:{line}:{column}: {}", report.file, finding.message),
        None => format!("{}: {}", report.file, finding.message),
    })
}

fn finding(level: Level, about: &str, what: impl Into<String>, mend: Option<&str>) -> Finding {
    Finding { level, about: about.to_owned(), what: what.into(), mend: mend.map(str::to_owned) }
}

fn tell(findings: &[Finding], as_json: bool) -> Result<u8, Failure> {
    if as_json {
        let all = findings.iter().map(|Finding { level, about, what, mend }| {
            json!({ "level": level.name(), "about": about, "what": what, "mend": mend })
        });
        return print(&json!({ "findings": all.collect::<Vec<_>>() }).to_string());
    }
    let width = findings.iter().map(|finding| finding.about.chars().count()).max().unwrap_or_default();
    let mut text = String::new();
    for Finding { level, about, what, mend } in findings {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{:<8} {about:<width$}  {what}", level.name());
        if let Some(mend) = mend {
            let _ = writeln!(text, "         mend: {mend}");
        }
    }
    print(&text)
}
