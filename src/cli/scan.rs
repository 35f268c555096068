//! `halyard scan`: what is on the I2C and 1-Wire buses.
//!
//! ```text
//! $ halyard scan
//! i2c-1   0x20             in use by the kernel's driver pcf857x
//! i2c-1   0x44             sht4x     Sensirion SHT40, SHT41, SHT45: temperature and humidity
//! i2c-1   0x48             possibly ads1115, tmp102, lm75, ina219 or pca9685
//! i2c-1   0x76             bme280    Bosch BME280: temperature, humidity and air pressure
//! 1-Wire  28-000000035a10  DS18B20 thermometer
//! ```
//!
//! What is sent to find that out stands in [`scan`](crate::scan).

use super::{Failure, File, Hardware, Output, code, print};
use crate::bus::{Bus, Linux};
use crate::config::Board;
use crate::scan::one_wire::{self, Device};
use crate::scan::{self, Found, Mode, Who, adapter};
use clap::Args;
use halyard_drivers::port::PortError;
use halyard_drivers::{Driver, FaultKind, Role, find};
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

#[derive(Args)]
pub(super) struct Scan {
    /// Print stanzas for the configuration
    #[arg(long, conflicts_with = "json")]
    yaml: bool,
    /// Only this I2C bus, N of i2c-N, whatever it is for; may be repeated
    #[arg(long, value_name = "N")]
    bus: Vec<u8>,
    /// Send no data to anybody: parts are guessed by their address alone
    #[arg(long)]
    passive: bool,
    #[command(flatten)]
    hardware: Hardware,
    #[command(flatten)]
    output: Output,
}

const UNKNOWN_FAMILY: &str = "a family that is not known here";

/// All that came of it.
#[derive(Default)]
struct Inventory {
    found: Vec<Found>,
    one_wire: Vec<Device>,
    /// Buses that were left alone, and the names of their adapters.
    skipped: Vec<(u8, String)>,
    failed: Vec<(u8, PortError)>,
}

impl Scan {
    pub(super) fn run(&self) -> Result<u8, Failure> {
        let (buses, root) = self.buses()?;
        let all = self.look(buses.as_ref(), root);
        if all.is_nothing() {
            let message = "there is no I2C and no 1-Wire bus: `halyard doctor` says what to do";
            return Err(Failure::new(code::UNAVAILABLE, message));
        }
        if self.output.json {
            print(&all.json().to_string())?;
        } else if self.yaml {
            print(&all.yaml())?;
        } else {
            print(&all.text())?;
        }
        let mut worst = 0;
        for (bus, error) in &all.failed {
            eprintln!("halyard: i2c-{bus}: {error}");
            worst = worst.max(if error.kind == FaultKind::Denied { code::PERMISSION } else { code::UNAVAILABLE });
        }
        Ok(worst)
    }

    /// The buses, and the root of the file system if they are real. A configuration is only needed for simulated ones.
    fn buses(&self) -> Result<(Arc<dyn Bus>, Option<&'static Path>), Failure> {
        let real = || (Arc::new(Linux::new()) as Arc<dyn Bus>, Some(Path::new("/")));
        let Hardware { file: File { config }, simulate } = &self.hardware;
        if config.is_none() && !simulate {
            return Ok(real());
        }
        let (_, config) = self.hardware.load()?;
        Ok(match config.board {
            Board::Simulated => (super::hardware::open(&config)?, None),
            Board::Auto | Board::RaspberryPi | Board::Linux => real(),
        })
    }

    fn look(&self, buses: &dyn Bus, root: Option<&Path>) -> Inventory {
        let mut all = Inventory::default();
        let mode = if self.passive { Mode::Passive } else { Mode::Ask };
        let named = !self.bus.is_empty();
        let numbers = if named { self.bus.clone() } else { buses.i2c_buses() };
        for bus in numbers {
            if let Some(name) = root.and_then(|root| adapter::of_others(root, bus)).filter(|_| !named) {
                all.skipped.push((bus, name));
                continue;
            }
            match scan::bus(buses, bus, mode) {
                Ok(found) => all.found.extend(found),
                Err(error) => all.failed.push((bus, error)),
            }
        }
        if !named {
            all.one_wire = root.and_then(one_wire::devices).unwrap_or_default();
        }
        all
    }
}

impl Inventory {
    fn text(&self) -> String {
        let mut rows: Vec<[String; 3]> = Vec::new();
        for Found { bus, address, who } in &self.found {
            rows.push([format!("i2c-{bus}"), format!("{address:#04x}"), describe(who)]);
        }
        for Device { id, part, driver } in &self.one_wire {
            let part = part.unwrap_or(UNKNOWN_FAMILY);
            let driver = driver.and_then(find).map(|driver| format!("{:<9} ", driver.name)).unwrap_or_default();
            rows.push(["1-Wire".to_owned(), id.clone(), format!("{driver}{part}")]);
        }
        let mut text = String::new();
        for [bus, place, what] in rows {
            // Writing to a text cannot fail.
            let _ = writeln!(text, "{bus:<7} {place:<16} {what}");
        }
        if self.found.is_empty() && self.one_wire.is_empty() && self.failed.is_empty() {
            text.push_str("nobody answers\n");
        }
        for (bus, name) in &self.skipped {
            let _ = writeln!(text, "i2c-{bus} ({name}) was left alone: of a display or memory; --bus {bus} scans it");
        }
        text
    }

    fn json(&self) -> Json {
        let i2c = self.found.iter().map(|Found { bus, address, who }| {
            let names = |drivers: &[&Driver]| drivers.iter().map(|driver| driver.name).collect::<Vec<_>>();
            let (status, driver, candidates, kernel_driver) = match who {
                Who::Known(driver, _) => ("identified", Some(driver.name), vec![driver.name], None),
                Who::Possibly(drivers, _) => ("possible", None, names(drivers), None),
                Who::Unknown(_) | Who::Latch => ("unknown", None, Vec::new(), None),
                Who::Taken(by) => ("in-use", None, Vec::new(), Some(by)),
            };
            let description = match who {
                Who::Known(driver, _) => driver.summary.to_owned(),
                _ => describe(who),
            };
            let said = match who {
                Who::Known(_, said) => vec![said.clone()],
                Who::Possibly(_, said) | Who::Unknown(said) => said.clone(),
                Who::Latch | Who::Taken(_) => Vec::new(),
            };
            json!({
                "bus": format!("i2c-{bus}"), "address": address, "status": status, "driver": driver,
                "candidates": candidates, "kernel_driver": kernel_driver, "description": description, "said": said,
            })
        });
        let one_wire = self.one_wire.iter().map(|Device { id, part, driver }| {
            json!({ "device": id, "part": part, "driver": driver.and_then(find).map(|driver| driver.name) })
        });
        let skipped = self.skipped.iter().map(|(bus, name)| json!({ "bus": format!("i2c-{bus}"), "adapter": name }));
        let faults = self.failed.iter().map(
            |(bus, error)| json!({ "bus": format!("i2c-{bus}"), "kind": error.kind.name(), "message": error.message }),
        );
        json!({
            "i2c": i2c.collect::<Vec<_>>(),
            "one_wire": one_wire.collect::<Vec<_>>(),
            "skipped": skipped.collect::<Vec<_>>(),
            "faults": faults.collect::<Vec<_>>(),
        })
    }

    /// A configuration of what is certain; what is not, as comments in it.
    fn yaml(&self) -> String {
        let mut sections = Sections::default();
        let place = |bus: u8, address: u8| [("bus:", format!("i2c-{bus}")), ("address:", format!("{address:#04x}"))];
        // What is certain comes first, and gets the plain ids.
        for Found { bus, address, who } in &self.found {
            if let Who::Known(driver, _) = who {
                sections.stanza(driver, &place(*bus, *address));
            }
        }
        for Device { id, part, driver } in &self.one_wire {
            match driver.and_then(find) {
                Some(driver) => sections.stanza(driver, &[("device:", id.clone())]),
                None => sections.comment(
                    Role::Sensor,
                    &format!("1-Wire {id}: {}; there is no driver for it", part.unwrap_or(UNKNOWN_FAMILY)),
                ),
            }
        }
        for Found { bus, address, who } in &self.found {
            let title = format!("i2c-{bus}/{address:#04x}: {}", describe(who));
            match who {
                Who::Known(..) => {}
                // In each section where it may belong.
                Who::Possibly(drivers, _) => {
                    for role in [Role::Sensor, Role::Actuator, Role::Expander] {
                        let mut drivers = drivers.iter().filter(|driver| driver.role == role).peekable();
                        if drivers.peek().is_some() {
                            sections.comment(role, &format!("{title}. Take away the # of what it is:"));
                        }
                        drivers.for_each(|driver| sections.proposal(driver, &place(*bus, *address)));
                    }
                }
                Who::Unknown(_) | Who::Latch | Who::Taken(_) => sections.comment(Role::Sensor, &title),
            }
        }
        sections.text()
    }

    fn is_nothing(&self) -> bool {
        self.found.is_empty() && self.one_wire.is_empty() && self.skipped.is_empty() && self.failed.is_empty()
    }
}

/// The sections of a configuration.
#[derive(Default)]
struct Sections {
    sensors: String,
    actuators: String,
    expanders: String,
    ids: BTreeSet<String>,
}

impl Sections {
    /// A stanza of this driver at this place.
    fn stanza(&mut self, driver: &Driver, place: &[(&str, String)]) {
        let text = self.filled(driver, place);
        self.of(driver.role).push_str(&indented("  ", &text));
    }

    /// The same as a comment.
    fn proposal(&mut self, driver: &Driver, place: &[(&str, String)]) {
        let text = self.filled(driver, place);
        self.of(driver.role).push_str(&indented("  # ", &text));
    }

    fn comment(&mut self, role: Role, text: &str) {
        self.of(role).push_str(&indented("  # ", text));
    }

    fn of(&mut self, role: Role) -> &mut String {
        match role {
            Role::Sensor => &mut self.sensors,
            Role::Actuator => &mut self.actuators,
            Role::Expander => &mut self.expanders,
        }
    }

    /// The driver's example with another id, if that is taken, and at this place.
    fn filled(&mut self, driver: &Driver, place: &[(&str, String)]) -> String {
        let mut lines: Vec<String> = driver.example.lines().map(str::to_owned).collect();
        if let Some(first) = lines.first_mut() {
            let base = first.trim_start_matches("- id:").trim().to_owned();
            let mut ids = std::iter::once(base.clone()).chain((2..).map(|number| format!("{base}-{number}")));
            // There are more numbers than parts.
            let id = ids.find(|id| !self.ids.contains(id)).unwrap_or(base);
            *first = format!("- id: {id}");
            self.ids.insert(id);
        }
        for (key, value) in place {
            match lines.iter_mut().find(|line| line.trim_start().starts_with(key)) {
                Some(line) => *line = format!("  {key} {value}"),
                None => lines.insert(2.min(lines.len()), format!("  {key} {value}")),
            }
        }
        lines.join("\n")
    }

    fn text(&self) -> String {
        let mut text = format!("sensors:\n{}", self.sensors);
        for (section, stanzas) in [("actuators", &self.actuators), ("expanders", &self.expanders)] {
            if !stanzas.is_empty() {
                let _ = write!(text, "{section}:\n{stanzas}");
            }
        }
        text
    }
}

fn indented(prefix: &str, text: &str) -> String {
    text.lines().map(|line| format!("{prefix}{line}\n")).collect()
}

/// `a, b or c`
fn alternatives(names: &[&str]) -> String {
    match names {
        [rest @ .., last] if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => names.concat(),
    }
}

/// Who it is, in words.
fn describe(who: &Who) -> String {
    match who {
        Who::Known(driver, _) => format!("{:<9} {}", driver.name, driver.summary),
        Who::Possibly(drivers, _) => {
            let names: Vec<_> = drivers.iter().map(|driver| driver.name).collect();
            format!("possibly {}", alternatives(&names))
        }
        Who::Unknown(said) if said.is_empty() => "answers; no driver has a part at this address".to_owned(),
        Who::Unknown(said) => format!("none of the parts that there are drivers for: {}", said.join("; ")),
        Who::Latch => "a switch of buses or an expander: it keeps a byte that is written to it".to_owned(),
        Who::Taken(driver) => format!("in use by the kernel's driver {driver}"),
    }
}
