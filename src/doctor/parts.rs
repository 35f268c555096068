//! Whether the configured parts answer where they should, and whether lines are free.

use super::Finding;
use super::machine::Machine;
use crate::bus::Bus;
use crate::config::{At, Config, LineName};
use crate::scan::{self, Mode, Who, look};
use halyard_drivers::port::PortError;
use halyard_drivers::{Driver, FaultKind};

/// As whom the kernel shows the lines of an agent.
const AGENT: &str = "halyard";

/// Every place where something is connected: id, driver, place.
pub(super) fn places(config: &Config) -> Vec<(&str, &'static Driver, At)> {
    let sensors = config.sensors.iter().map(|sensor| (&sensor.id, sensor.driver, &sensor.at));
    let actuators = config.actuators.iter().map(|actuator| (&actuator.id, actuator.driver, &actuator.at));
    let expanders = config.expanders.iter().map(|expander| (&expander.id, expander.driver, &expander.at));
    let mut all = Vec::new();
    for (id, driver, at) in sensors.chain(actuators).chain(expanders) {
        single(at, &mut |at| all.push((id.as_str(), driver, at.clone())));
    }
    for expander in &config.expanders {
        all.extend(
            expander.interrupt.iter().map(|line| (expander.id.as_str(), expander.driver, At::Line(line.clone()))),
        );
    }
    all
}

/// Each of several places.
fn single(at: &At, each: &mut impl FnMut(&At)) {
    match at {
        At::Several(members) => members.iter().for_each(|(_, at)| single(at, each)),
        at => each(at),
    }
}

/// Whether the parts on I2C answer, as far as that can be told.
pub(super) fn addresses(config: &Config, buses: &dyn Bus) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (id, driver, at) in places(config) {
        let At::I2c { bus, address } = &at else { continue };
        let about = crate::sensing::title(id, driver.name, &at);
        match look(buses, *bus, *address, Mode::Ask) {
            // That the bus is not there, or closed to the user, was said already.
            Err(PortError { kind: FaultKind::Absent | FaultKind::Denied, .. }) => {}
            Err(error) => {
                let mend = "look for a short circuit, a missing pull-up or a part without supply on SDA and SCL";
                findings.push(Finding::problem(about, format!("the bus fails: {error}"), mend));
            }
            Ok(None) => findings.push(missing(config, buses, about, driver, (*bus, *address))),
            Ok(Some(who)) => findings.push(judge(about, driver, (*bus, *address), &who)),
        }
    }
    findings
}

/// Whoever answers is the part, or not.
fn judge(about: String, driver: &Driver, (bus, address): (u8, u8), who: &Who) -> Finding {
    let another = |what: String| {
        Finding::problem(
            about.clone(),
            format!("another part answers at i2c-{bus}/{address:#04x}: {what}"),
            "halyard scan",
        )
    };
    match who {
        Who::Known(found, said) if found.name == driver.name => Finding::ok(about, format!("answers: {said}")),
        Who::Known(found, said) => another(format!("a {}, {said}", found.name)),
        Who::Possibly(..) | Who::Unknown(_) if driver.identity.is_empty() => {
            Finding::ok(about, "answers; it cannot be asked who it is")
        }
        Who::Possibly(_, said) | Who::Unknown(said) => another(said.join("; ")),
        Who::Latch => another("one that keeps what is written to it, as a switch of buses does".to_owned()),
        Who::Taken(kernel) => Finding::problem(
            about,
            format!("the kernel's own driver {kernel} has the device at i2c-{bus}/{address:#04x}"),
            format!("echo {bus}-{address:04x} | sudo tee /sys/bus/i2c/drivers/{kernel}/unbind"),
        ),
    }
}

/// Nobody answers there: perhaps the part is elsewhere.
fn missing(config: &Config, buses: &dyn Bus, about: String, driver: &'static Driver, place: (u8, u8)) -> Finding {
    let (bus, address) = place;
    // The bus that it should be on comes first.
    let (this, other): (Vec<u8>, Vec<u8>) = buses.i2c_buses().into_iter().partition(|number| *number == bus);
    let taken =
        |place: (u8, u8)| places(config).iter().any(|(_, _, at)| *at == At::I2c { bus: place.0, address: place.1 });
    let others = this
        .into_iter()
        .chain(other)
        .flat_map(|bus| scan::addresses(driver).iter().map(move |address| (bus, *address)));
    let mut possible = None;
    for other in others.filter(|other| !taken(*other)) {
        let here = || format!("i2c-{}/{:#04x}", other.0, other.1);
        let write = || {
            let number = if other.0 == bus { String::new() } else { format!("bus: i2c-{}, ", other.0) };
            format!("write `{number}address: {:#04x}` into the configuration", other.1)
        };
        match look(buses, other.0, other.1, Mode::Ask) {
            Ok(Some(Who::Known(found, _))) if found.name == driver.name => {
                let what =
                    format!("configured at i2c-{bus}/{address:#04x}, but a {} answers at {}", driver.name, here());
                return Finding::problem(about, what, write());
            }
            Ok(Some(Who::Possibly(drivers, _))) if drivers.iter().any(|found| found.name == driver.name) => {
                possible.get_or_insert_with(|| (here(), write()));
            }
            _ => {}
        }
    }
    let nobody = format!("nobody answers at i2c-{bus}/{address:#04x}");
    match possible {
        Some((here, write)) => Finding::problem(about, format!("{nobody}; what answers at {here} may be it"), write),
        None => Finding::problem(about, nobody, "check the wires and the supply; then: halyard scan"),
    }
}

/// Whether the lines are there and free.
pub(super) fn lines(machine: &Machine, config: &Config, buses: &dyn Bus) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (id, driver, at) in places(config) {
        let At::Line(line) = &at else { continue };
        // Pins of expanders are nobody else's.
        if line.expander().is_some() {
            continue;
        }
        let about = crate::sensing::title(id, driver.name, &at);
        findings.push(match buses.line_holder(line) {
            // That the chips are closed to the user was said already.
            Err(PortError { kind: FaultKind::Denied, .. }) => continue,
            Err(error) => Finding::problem(about, error.message, "gpioinfo    # shows all lines (package gpiod)"),
            Ok(None) => Finding::ok(about, "the line is free"),
            Ok(Some(holder)) if holder == AGENT => Finding::ok(about, "the line is in use by halyard: an agent runs"),
            Ok(Some(holder)) => busy(machine, about, line, &holder),
        });
    }
    findings
}

fn busy(machine: &Machine, about: String, line: &LineName, holder: &str) -> Finding {
    let name = if holder.is_empty() { "somebody without a name".to_owned() } else { format!("\"{holder}\"") };
    let what = format!("the line {line} is in use by {name}");
    if holder == "sysfs" {
        return Finding::problem(about, what, "ls /sys/class/gpio; echo NUMBER | sudo tee /sys/class/gpio/unexport");
    }
    let mut programs = holders(machine);
    if programs.iter().any(|(_, program)| program == holder) {
        programs.retain(|(_, program)| program == holder);
    }
    match programs.as_slice() {
        [] => {
            let mend = "sudo fuser -v /dev/gpiochip*    # if no program has it, a driver of the kernel has: take out its overlay";
            Finding::problem(about, what, mend)
        }
        [(id, program)] => {
            let what = format!("{what}; the program {program} ({id}) holds lines");
            Finding::problem(about, what, format!("sudo kill {id}"))
        }
        several => {
            let named: Vec<_> = several.iter().map(|(id, program)| format!("{program} ({id})")).collect();
            let numbers: Vec<_> = several.iter().map(|(id, _)| id.to_string()).collect();
            let what = format!("{what}; the programs {} hold lines", named.join(", "));
            let mend = format!("ps -fp {}    # which has this one? then: sudo kill NUMBER", numbers.join(","));
            Finding::problem(about, what, mend)
        }
    }
}

/// Programs other than agents that have any line, as far as the user may see: number and name.
fn holders(machine: &Machine) -> Vec<(u32, String)> {
    let numbers = machine.names("proc").into_iter().filter_map(|name| name.parse::<u32>().ok());
    let holds = |id: &u32| {
        let folder = format!("proc/{id}/fd");
        let links = machine.names(&folder).into_iter().map(|name| machine.path(&folder).join(name));
        links
            .filter_map(|link| std::fs::read_link(link).ok())
            .any(|target| target.to_string_lossy().contains("gpio-line"))
    };
    let named = numbers.filter(holds).filter_map(|id| Some((id, machine.text(format!("proc/{id}/comm"))?)));
    named.filter(|(_, program)| program != AGENT).collect()
}
