//! The supply of a Raspberry Pi, as its firmware sees it.

use super::Finding;
use super::machine::Machine;

/// The firmware's answer to "get throttled": bits for now, and the same for since the start, 16 bits higher.
const STATES: [(u32, &str); 4] = [
    (0, "under-voltage"),
    (1, "the clock of the processor is capped"),
    (2, "the processor is throttled"),
    (3, "the soft limit of the temperature is reached"),
];
const FILE: &str = "sys/devices/platform/soc/soc:firmware/get_throttled";
const BETTER: &str = "a supply of 5.1 V and 3 A (Pi 5: 5 A) with a short cable; then: vcgencmd get_throttled";
const COOLER: &str = "a heat sink or a fan; then: vcgencmd measure_temp";

pub(super) fn check(machine: &Machine) -> Vec<Finding> {
    if let Some(flags) = machine.text(FILE).and_then(|text| throttled(&text)) {
        return decode(flags);
    }
    // The kernel's own driver tells one thing of these.
    let monitors = machine.names("sys/class/hwmon").into_iter().map(|name| format!("sys/class/hwmon/{name}"));
    let mut supplies = monitors.filter(|path| machine.text(format!("{path}/name")).as_deref() == Some("rpi_volt"));
    match supplies.next().and_then(|path| machine.text(format!("{path}/in0_lcrit_alarm"))).as_deref() {
        Some("0") => vec![Finding::ok("supply", "no under-voltage")],
        Some(_) => vec![Finding::problem("supply", "under-voltage", BETTER)],
        None => Vec::new(),
    }
}

/// `50005` or `0x50005`.
fn throttled(text: &str) -> Option<u32> {
    u32::from_str_radix(text.trim_start_matches("0x"), 16).ok()
}

fn decode(flags: u32) -> Vec<Finding> {
    let set = |offset: u32| {
        let states = STATES.iter().filter(move |(bit, _)| flags >> (bit + offset) & 1 == 1);
        states.map(|(_, state)| *state).collect::<Vec<_>>()
    };
    let (now, before) = (set(0), set(16));
    let mend = |states: &[&str]| if states.contains(&STATES[0].1) { BETTER } else { COOLER };
    let mut findings = Vec::new();
    if !now.is_empty() {
        findings.push(Finding::problem("supply", format!("now: {}", now.join(", ")), mend(&now)));
    }
    let past: Vec<_> = before.into_iter().filter(|state| !now.contains(state)).collect();
    if !past.is_empty() {
        findings.push(Finding::warning("supply", format!("since the start: {}", past.join(", ")), mend(&past)));
    }
    if findings.is_empty() {
        findings.push(Finding::ok("supply", "no under-voltage, not throttled"));
    }
    findings
}
