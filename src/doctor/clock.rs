//! The clock: states and commands carry times.

use super::Finding;
use super::machine::Machine;
use std::time::{Duration, SystemTime};

/// 2024-01-01: earlier than any time at which this program can run.
const EARLIEST: Duration = Duration::from_secs(1_704_067_200);
const MEND: &str = "sudo timedatectl set-ntp true; then: timedatectl";

/// Whether the clock can be believed.
#[must_use]
pub fn clock(now: SystemTime, synchronized: bool) -> Finding {
    let time = crate::time::rfc3339(now);
    if now < SystemTime::UNIX_EPOCH + EARLIEST {
        let what = format!("it says {time}, which cannot be: commands with a `time` are refused or come late");
        return Finding::problem("clock", what, MEND);
    }
    if synchronized {
        Finding::ok("clock", format!("{time}, synchronised"))
    } else {
        Finding::warning("clock", format!("{time}, which nothing synchronises"), MEND)
    }
}

/// Whether somebody keeps the clock right.
#[must_use]
pub fn is_synchronized(machine: &Machine) -> bool {
    crate::time::is_synchronized(machine.root())
}
