//! Names, examples and reference pages.

use super::tree::node;
use crate::reference::reference;
use crate::{Attachment, DRIVERS, Driver, KernelClass, Member, Role, Spec};
use std::collections::BTreeSet;
use std::path::Path;

/// Keys of a stanza that belong to the agent: no driver has an option of this name.
const COMMON: &[&str] = &[
    "id",
    "name",
    "driver",
    "bus",
    "address",
    "line",
    "pin",
    "port",
    "pwm",
    "device",
    "host",
    "every",
    "filters",
    "store",
    "initial",
    "safe",
    "safe_after",
    "max_on",
    "interlock",
    "interrupt",
    "poll",
];

fn channels(driver: &Driver) -> Vec<crate::Channel> {
    match (driver.defaults)() {
        Spec::Sensor(spec) => spec.channels(),
        Spec::Edge(spec) => spec.channels(),
        Spec::Serial(spec) => spec.channels(),
        Spec::Actuator(_) | Spec::Expander(_) => Vec::new(),
    }
}

#[test]
fn names_are_well_formed_sorted_and_unique() {
    for driver in DRIVERS {
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let name = driver.name;
        assert!(!name.is_empty() && name.chars().all(good), "{name}: lower-case letters, digits and - only");
        let summary = driver.summary;
        assert!(
            summary.contains(": ") && !summary.ends_with('.'),
            "{name}: not as `Maker Part: what it is`: {summary}"
        );
        assert!(!driver.source.is_empty(), "{name}: from which document?");
        assert!(std::ptr::eq(crate::find(driver.name).unwrap(), *driver));
    }
    assert!(DRIVERS.is_sorted_by(|a, b| a.name < b.name), "not sorted by name, or a name twice: {DRIVERS:?}");
}

#[test]
fn roles_attachments_and_channels_fit_together() {
    for driver in DRIVERS {
        let name = driver.name;
        assert!(!driver.attachments.is_empty(), "{name}");
        for attachment in driver.attachments {
            let fits = match ((driver.defaults)(), attachment) {
                (Spec::Sensor(spec), Attachment::Spi) => driver.role == Role::Sensor && spec.spi().is_some(),
                (Spec::Actuator(spec), Attachment::Spi) => driver.role == Role::Actuator && spec.spi().is_some(),
                (Spec::Sensor(_), Attachment::I2c { addresses }) => {
                    // Addresses below 0x08 and above 0x77 are reserved by the specification of the bus.
                    let legal = addresses.iter().all(|address| (0x08..=0x77).contains(address));
                    driver.role == Role::Sensor && legal && addresses.is_sorted() && !addresses.is_empty()
                }
                (Spec::Sensor(_), Attachment::Kernel(_)) => driver.role == Role::Sensor,
                (Spec::Edge(_), Attachment::InputLine) | (Spec::Serial(_), Attachment::Serial) => {
                    driver.role == Role::Sensor
                }
                (Spec::Actuator(_), Attachment::OutputLine | Attachment::Pwm) => driver.role == Role::Actuator,
                (Spec::Actuator(spec), Attachment::Serial) => driver.role == Role::Actuator && spec.serial().is_some(),
                (Spec::Edge(spec), Attachment::Several(members)) => {
                    // Its lines come in this order.
                    let keys: Vec<_> = members.iter().map(|member| member.key).collect();
                    driver.role == Role::Sensor && keys == spec.lines() && members.iter().all(|member| member.required)
                }
                (Spec::Sensor(spec), Attachment::Several(members)) => {
                    driver.role == Role::Sensor && listens_to_inputs(members, |key| spec.listens(key).is_some())
                }
                (Spec::Actuator(spec), Attachment::Several(members)) => {
                    driver.role == Role::Actuator
                        && members.iter().any(|member| member.required)
                        && listens_to_inputs(members, |key| spec.listens(key).is_some())
                }
                (Spec::Sensor(_) | Spec::Actuator(_), Attachment::Described | Attachment::Modbus) => true,
                (Spec::Actuator(_) | Spec::Expander(_), Attachment::I2c { addresses }) => {
                    driver.role != Role::Sensor && addresses.is_sorted() && !addresses.is_empty()
                }
                _ => false,
            };
            assert!(fits, "{name}: its role, what it is made of and {attachment:?} do not fit together");
        }
        let names: BTreeSet<_> = channels(driver).into_iter().map(|channel| channel.name).collect();
        assert_eq!(names.len(), channels(driver).len(), "{name}: a channel twice");
        assert_eq!(names.is_empty(), driver.role != Role::Sensor, "{name}: sensors have channels, others none");
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        assert!(names.iter().all(|name| name.chars().all(good) && name != "time"), "{name}: {names:?}");
    }
}

/// Whether a part listens to those of its connections that are inputs, and to no others.
fn listens_to_inputs(members: &[Member], listens: impl Fn(&str) -> bool) -> bool {
    members.iter().all(|member| listens(member.key) == (member.at == Attachment::InputLine))
}

#[test]
fn every_option_is_described_and_has_a_default() {
    for driver in DRIVERS {
        let schema = driver.schema();
        assert_eq!(schema["additionalProperties"], false, "{}", driver.name);
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            assert!(property["description"].is_string(), "{}: {name} has no doc comment", driver.name);
            assert!(property.get("default").is_some(), "{}: {name} has no default", driver.name);
            assert!(!COMMON.contains(&name.as_str()), "{}: {name} belongs to the agent", driver.name);
        }
    }
}

/// Whether a key is one of those that name the connections of this driver's part.
fn is_place(driver: &Driver, key: &str) -> bool {
    driver.attachments.iter().any(|attachment| match attachment {
        Attachment::Several(members) => members.iter().any(|member| member.key == key),
        _ => false,
    })
}

/// The one item of an example.
fn stanza(driver: &Driver) -> serde_yaml::Mapping {
    let mut items: Vec<serde_yaml::Mapping> = serde_yaml::from_str(driver.example).unwrap();
    assert_eq!(items.len(), 1, "{}", driver.name);
    items.remove(0)
}

#[test]
fn examples_are_stanzas_of_their_driver() {
    for driver in DRIVERS {
        let stanza = stanza(driver);
        assert!(driver.example.starts_with("- id: "), "{}", driver.name);
        assert_eq!(stanza["driver"], driver.name);
        for attachment in driver.attachments.iter().take(1) {
            let places = match attachment {
                Attachment::I2c { .. } => vec!["bus", "address"],
                Attachment::Spi => vec!["bus"],
                Attachment::InputLine | Attachment::OutputLine => vec!["line"],
                Attachment::Serial => vec!["port"],
                Attachment::Pwm => vec!["pwm"],
                Attachment::Kernel(KernelClass::System) => vec![],
                Attachment::Kernel(_) => vec!["device"],
                Attachment::Described => vec!["bus", "address"],
                Attachment::Modbus => vec!["port", "address"],
                Attachment::Several(members) => {
                    members.iter().filter(|member| member.required).map(|member| member.key).collect()
                }
            };
            assert!(places.iter().all(|key| stanza.contains_key(*key)), "{}", driver.name);
        }
        let schema = driver.schema();
        for key in stanza.keys().map(|key| key.as_str().unwrap()) {
            let known = is_place(driver, key) || COMMON.contains(&key) || schema["properties"].get(key).is_some();
            assert!(known, "{}: {key} is neither common nor an option", driver.name);
        }
    }
}

#[test]
fn examples_are_read() {
    for driver in DRIVERS {
        let mut own = stanza(driver);
        own.retain(|key, _| !COMMON.contains(&key.as_str().unwrap()) && !is_place(driver, key.as_str().unwrap()));
        let mut problems = Vec::new();
        let spec = (driver.parse)(&node(&serde_yaml::Value::Mapping(own)), &mut problems);
        assert!(spec.is_some() && problems.is_empty(), "{}: {problems:?}", driver.name);
    }
}

#[test]
fn unknown_options_are_problems() {
    for driver in DRIVERS {
        let wrong: serde_yaml::Value = serde_yaml::from_str("{ no_such_option: 1 }").unwrap();
        let mut problems = Vec::new();
        assert!((driver.parse)(&node(&wrong), &mut problems).is_none(), "{}", driver.name);
        assert_eq!(problems.len(), 1, "{}: {problems:?}", driver.name);
    }
}

/// With `UPDATE_REFERENCE=1` the pages are written instead.
#[test]
fn reference_pages_are_up_to_date() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/drivers");
    let update = std::env::var_os("UPDATE_REFERENCE").is_some_and(|value| value == "1");
    let mut expected = BTreeSet::new();
    for driver in DRIVERS {
        let (file, page) = (folder.join(format!("{}.md", driver.name)), reference(driver));
        if update {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&file, &page).unwrap();
        }
        let found = std::fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(found, page, "{}: run the tests with UPDATE_REFERENCE=1", file.display());
        expected.insert(format!("{}.md", driver.name));
    }
    for entry in std::fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(expected.contains(&name), "docs/drivers/{name} is the page of no driver");
    }
}

/// With `UPDATE_REFERENCE=1` the list is written instead.
#[test]
fn reference_schemas_are_up_to_date() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/options/schemas.txt");
    let schemas: String = DRIVERS.iter().map(|driver| format!("{} {}\n", driver.name, driver.schema())).collect();
    if std::env::var_os("UPDATE_REFERENCE").is_some_and(|value| value == "1") {
        std::fs::write(&file, &schemas).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(found == schemas, "{}: run the tests with UPDATE_REFERENCE=1", file.display());
}

#[test]
fn the_readme_names_every_driver() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
    for Driver { name, .. } in DRIVERS {
        assert!(readme.contains(&format!("[{name}](docs/drivers/{name}.md)")), "README.md does not name {name}");
    }
}
