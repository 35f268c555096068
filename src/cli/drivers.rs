//! `halyard drivers`: what parts there are drivers for.
//!
//! ```text
//! $ halyard drivers
//! sht4x          I2C 0x44 0x45 0x46       temperature °C, humidity %
//! switch         GPIO line, output        on, off
//! ```

use halyard_drivers::options::node::quote;
use halyard_drivers::options::read::nearest;
use halyard_drivers::reference::reference;
use halyard_drivers::{Attachment, Channel, Control, DRIVERS, Driver, KernelClass, Role, Spec, find};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Write;
use std::ops::RangeInclusive;

/// Exit code for a name that is no driver's.
pub const UNKNOWN: u8 = 2;

/// Writes the list of drivers, or the reference page of the one of this name, to `out`, and gives the exit code. That there is no
/// such driver goes to `err`.
///
/// # Errors
/// When nothing can be written.
pub fn run(name: Option<&str>, json: bool, out: &mut dyn Write, err: &mut dyn Write) -> std::io::Result<u8> {
    match name {
        None if json => writeln!(out, "{:#}", DRIVERS.iter().map(|driver| as_json(driver)).collect::<Value>())?,
        None => write!(out, "{}", list())?,
        Some(name) => match find(name) {
            Some(driver) if json => writeln!(out, "{:#}", as_json(driver))?,
            Some(driver) => write!(out, "{}", reference(driver))?,
            None => {
                let hint = nearest(name, DRIVERS.iter().map(|driver| driver.name))
                    .map(|near| format!("; did you mean `{near}`?"))
                    .unwrap_or_default();
                writeln!(err, "there is no driver {}{hint}", quote(name))?;
                return Ok(UNKNOWN);
            }
        },
    }
    Ok(0)
}

/// A line for each driver.
fn list() -> String {
    let rows: Vec<[String; 3]> =
        DRIVERS.iter().map(|driver| [driver.name.to_owned(), places(driver), purpose(driver)]).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let (names, places) = (width(0), width(1));
    rows.iter().fold(String::new(), |mut text, [name, place, purpose]| {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{name:names$}  {place:places$}  {purpose}");
        text
    })
}

fn as_json(driver: &Driver) -> Value {
    let addresses: Vec<u8> = driver.attachments.iter().flat_map(|attachment| addresses(*attachment)).copied().collect();
    let mut value = json!({
        "name": driver.name,
        "summary": driver.summary,
        "source": driver.source,
        "role": match driver.role { Role::Sensor => "sensor", Role::Actuator => "actuator", Role::Expander => "expander" },
        "connected": driver.attachments.iter().map(|attachment| connection(*attachment)).collect::<Vec<_>>(),
        "addresses": addresses,
        "options": driver.schema(),
        "example": driver.example,
    });
    match (driver.defaults)() {
        Spec::Sensor(spec) => value["measures"] = spec.channels().iter().map(channel_json).collect(),
        Spec::Edge(spec) => value["measures"] = spec.channels().iter().map(channel_json).collect(),
        Spec::Serial(spec) => value["measures"] = spec.channels().iter().map(channel_json).collect(),
        Spec::Expander(spec) => {
            let offer = spec.offer();
            value["gives"] = json!({ "pins": offer.pins, "inputs": offer.inputs, "pulses": offer.pulses.is_some() });
        }
        Spec::Actuator(spec) => {
            value["takes"] = match spec.control() {
                Control::Switch => json!({ "kind": "switch" }),
                Control::Level(_) => json!({ "kind": "level", "min": 0, "max": 100, "unit": "%" }),
                Control::Cover => json!({ "kind": "cover", "min": 0, "max": 100, "unit": "%" }),
                Control::Text(texts) => json!({ "kind": "text", "max": texts.longest }),
                Control::Position { range, step, unit } => {
                    json!({ "kind": "position", "min": range.start(), "max": range.end(), "step": step, "unit": unit })
                }
                Control::Number { range, step, unit } => {
                    json!({ "kind": "number", "min": range.start(), "max": range.end(), "step": step, "unit": unit })
                }
            };
        }
    }
    value
}

fn channel_json(channel: &Channel) -> Value {
    let range = channel.range.as_ref();
    json!({
        "name": channel.name,
        "unit": channel.quantity.unit,
        "min": range.map(RangeInclusive::start),
        "max": range.map(RangeInclusive::end),
    })
}

fn addresses(attachment: Attachment) -> &'static [u8] {
    match attachment {
        Attachment::I2c { addresses } => addresses,
        _ => &[],
    }
}

fn connection(attachment: Attachment) -> &'static str {
    match attachment {
        Attachment::I2c { .. } => "I2C",
        Attachment::Spi => "SPI",
        Attachment::InputLine => "GPIO line, input",
        Attachment::OutputLine => "GPIO line, output",
        Attachment::Serial => "serial port",
        Attachment::Pwm => "PWM channel",
        Attachment::Kernel(class) => match class {
            KernelClass::OneWire => "1-Wire",
            KernelClass::Iio => "kernel: IIO",
            KernelClass::Hwmon => "kernel: hwmon",
            KernelClass::System => "this machine",
        },
        Attachment::Described => "I2C",
        Attachment::Modbus => "Modbus",
        Attachment::Several(_) => "several lines",
    }
}

/// `I2C 0x44 0x45`.
fn places(driver: &Driver) -> String {
    let one = |attachment: &Attachment| {
        let addresses = addresses(*attachment).iter().map(|address| format!(" {address:#04x}"));
        addresses.fold(connection(*attachment).to_owned(), |text, address| text + &address)
    };
    driver.attachments.iter().map(one).collect::<Vec<_>>().join(" or ")
}

/// What it measures or takes, with its options left at their defaults.
fn purpose(driver: &Driver) -> String {
    let channels = |channels: Vec<Channel>| {
        let one = |channel: &Channel| match (channel.quantity.unit, &channel.range) {
            (Some(unit), _) => format!("{} {unit}", channel.name),
            (None, Some(_)) => channel.name.to_string(),
            (None, None) => format!("{} (on, off)", channel.name),
        };
        channels.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    match (driver.defaults)() {
        Spec::Sensor(spec) => channels(spec.channels()),
        Spec::Edge(spec) => channels(spec.channels()),
        Spec::Serial(spec) => channels(spec.channels()),
        Spec::Expander(spec) => {
            let offer = spec.offer();
            format!("{} {}", offer.pins, if offer.pulses.is_some() { "PWM channels" } else { "lines" })
        }
        Spec::Actuator(spec) => match spec.control() {
            Control::Switch => "on, off".to_owned(),
            Control::Level(_) => "on, off, 0 to 100 %".to_owned(),
            Control::Cover => "open, close, stop, 0 to 100 %".to_owned(),
            Control::Text(texts) => format!("text of up to {} characters", texts.longest),
            Control::Position { .. } => "stop, a position".to_owned(),
            Control::Number { range, unit, .. } => {
                format!(
                    "{} to {}{}",
                    range.start(),
                    range.end(),
                    unit.map(|unit| format!(" {unit}")).unwrap_or_default()
                )
            }
        },
    }
}
