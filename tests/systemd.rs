//! The files below `systemd/`, judged by systemd's own tools where they are installed.

#![allow(clippy::unwrap_used, clippy::panic)] // all of this file is a test

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Highest exposure level that the unit may have, as `systemd-analyze security` counts it: 0 is none, 10 is all.
const MAX_EXPOSURE: f64 = 1.5;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd").join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(file(name)).unwrap()
}

/// What the tool says, or `None`, with a line that tells so, where it is not installed.
fn run(tool: &str, arguments: &[&str]) -> Option<Output> {
    match Command::new(tool).args(arguments).output() {
        Ok(output) => Some(output),
        Err(error) => {
            println!("skipped: {tool}: {error}");
            None
        }
    }
}

fn all_of(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn the_unit_is_well_formed() {
    // `verify` wants the programs to be there: the agent is taken from where it was built.
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("halyard.service");
    std::fs::write(&unit, text("halyard.service").replace("/usr/bin/halyard", env!("CARGO_BIN_EXE_halyard"))).unwrap();
    let Some(output) = run("systemd-analyze", &["verify", "--man=no", unit.to_str().unwrap()]) else { return };
    // Keys of systemd 254, which older ones say they ignore.
    let is_newer = |line: &str| line.contains("'RestartSteps'") || line.contains("'RestartMaxDelaySec'");
    let said = all_of(&output);
    let complaints: Vec<_> = said.lines().filter(|line| line.contains("halyard.service") && !is_newer(line)).collect();
    assert!(output.status.success() && complaints.is_empty(), "{said}");
}

#[test]
fn the_unit_is_hardened() {
    let unit = file("halyard.service");
    let Some(output) = run("systemd-analyze", &["security", "--offline=true", "--no-pager", unit.to_str().unwrap()])
    else {
        return;
    };
    let said = all_of(&output);
    if said.contains("unrecognized option") {
        println!("skipped: this systemd-analyze is older than 250 and needs the unit to be loaded");
        return;
    }
    let level = said.lines().find_map(|line| line.split_once("exposure level for halyard.service: "));
    let level: f64 = level.unwrap_or_else(|| panic!("{said}")).1.split(' ').next().unwrap().parse().unwrap();
    assert!(level <= MAX_EXPOSURE, "{said}");
}

/// Groups that the unit asks for must exist, or systemd does not start it.
#[test]
fn sysusers_makes_the_user_and_every_group_of_the_unit() {
    let unit = text("halyard.service");
    let groups = unit.lines().find_map(|line| line.strip_prefix("SupplementaryGroups=")).unwrap();
    let sysusers = text("halyard.sysusers");
    for group in groups.split_whitespace() {
        assert!(sysusers.lines().any(|line| line.starts_with(&format!("g {group} "))), "{group}");
    }
    assert!(sysusers.lines().any(|line| line.starts_with("u halyard ")));

    let path = file("halyard.sysusers");
    let Some(output) = run("systemd-sysusers", &["--dry-run", path.to_str().unwrap()]) else { return };
    let said = all_of(&output);
    if said.contains("unrecognized option") {
        println!("skipped: this systemd-sysusers is older than 250 and has no --dry-run");
        return;
    }
    assert!(output.status.success(), "{said}");
}

#[test]
fn udev_rules_are_well_formed() {
    let path = file("60-halyard.rules");
    let Some(output) = run("udevadm", &["verify", path.to_str().unwrap()]) else { return };
    let said = all_of(&output);
    if said.contains("Unknown command verb") {
        println!("skipped: this udevadm is older than 254 and has no verify");
        return;
    }
    assert!(output.status.success(), "{said}");
}
