//! GPIO lines through `/dev/gpiochipN`: finding them, and driving them.

use super::errno;
use crate::config::{LineName, header};
use gpiocdev::chip::chips;
use gpiocdev::line::{Info, Value};
use gpiocdev::request::{Builder, Config, Request};
use gpiocdev::{Chip, Error};
use gpiocdev_uapi::Error as UapiError;
use halyard_drivers::FaultKind;
use halyard_drivers::port::{OutputLine, OutputPort, PortError};
use halyard_drivers::sort::sort;
use std::io;
use std::path::PathBuf;

/// As whom the kernel shows a line in use.
const CONSUMER: &str = "halyard";

/// Opens a line to drive: requested as it is, so that neither level nor direction change.
pub(super) fn output(line: &LineName) -> Result<OutputPort, PortError> {
    Ok(OutputPort(Box::new(Place::find(line)?.output()?)))
}

/// Who has a line, as the kernel knows it.
pub(super) fn holder(line: &LineName) -> Result<Option<String>, PortError> {
    let place = Place::find(line)?;
    let info = Chip::from_path(&place.chip).and_then(|chip| chip.line_info(place.offset));
    let info = info.map_err(|error| fault(&error))?;
    Ok(info.used.then_some(info.consumer))
}

/// A line to drive, which nobody else has meanwhile.
pub(in crate::bus) struct Output {
    request: Request,
    offset: u32,
    /// The line is an output by us.
    driven: bool,
}

impl OutputLine for Output {
    fn drive(&mut self, high: bool) -> Result<(), PortError> {
        let value = if high { Value::Active } else { Value::Inactive };
        if self.driven {
            return self.request.set_lone_value(value).map_err(|error| fault(&error));
        }
        // Direction and level in one call: the kernel sets the level before it turns the driver of the pin on.
        let mut config = Config::default();
        config.with_line(self.offset).as_output(value);
        self.request.reconfigure(&config).map_err(|error| fault(&error))?;
        self.driven = true;
        Ok(())
    }

    fn level(&mut self) -> Result<bool, PortError> {
        level(&self.request)
    }
}

/// The physical level of the only line of `request`: none is ever requested as active-low.
pub(super) fn level(request: &Request) -> Result<bool, PortError> {
    request.lone_value().map(|value| value == Value::Active).map_err(|error| fault(&error))
}

/// A line that was found.
pub(in crate::bus) struct Place {
    chip: PathBuf,
    pub(super) offset: u32,
    /// As the configuration calls it.
    name: String,
}

impl Place {
    pub(in crate::bus) fn find(line: &LineName) -> Result<Self, PortError> {
        let (chip, offset) = match line {
            LineName::Offset { chip, offset } => by_offset(chip, *offset)?,
            LineName::Name(name) => by_name(name)?,
            LineName::Header(pin) => by_pin(*pin)?,
            LineName::Pin { .. } => return Err(absent(format!("{line} is a line of an expander, not of the board"))),
        };
        Ok(Self { chip, offset, name: line.to_string() })
    }

    /// The GPIO number of a line that is on the header of a Raspberry Pi.
    #[cfg(feature = "rppal")]
    pub(in crate::bus) fn header_gpio(&self) -> Option<u8> {
        let number = u8::try_from(self.offset).ok().filter(|_| self.offset <= header::HIGHEST)?;
        Chip::from_path(&self.chip).is_ok_and(|chip| is_header(&chip)).then_some(number)
    }

    /// Requests the line to drive it.
    pub(in crate::bus) fn output(&self) -> Result<Output, PortError> {
        let request = self.builder().as_is().request().map_err(|error| self.refused(&error))?;
        Ok(Output { request, offset: self.offset, driven: false })
    }

    /// A request for this line and nothing said about it yet.
    pub(super) fn builder(&self) -> Builder {
        Self::builder_of(std::slice::from_ref(self))
    }

    /// The same for several lines on the chip of the first.
    pub(super) fn builder_of(places: &[Self]) -> Builder {
        let mut builder = Request::builder();
        let offsets: Vec<_> = places.iter().map(|place| place.offset).collect();
        if let Some(first) = places.first() {
            builder.on_chip(&first.chip).with_consumer(CONSUMER).with_lines(&offsets);
        }
        builder
    }

    /// Whether both are on one chip.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        self.chip == other.chip
    }

    /// Why the kernel refused the request.
    pub(super) fn refused(&self, error: &Error) -> PortError {
        let error = os_error(error);
        if error.raw_os_error() == Some(libc::EBUSY) {
            let info = Chip::from_path(&self.chip).and_then(|chip| chip.line_info(self.offset));
            let holder = match info {
                Ok(Info { consumer, .. }) if !consumer.is_empty() => format!("\"{consumer}\""),
                _ => "somebody without a name".to_owned(),
            };
            return PortError::new(FaultKind::Bus, format!("the line {} is in use by {holder} (EBUSY)", self.name));
        }
        let error = errno::of_use(&error);
        PortError::new(error.kind, format!("the kernel refuses the line {}: {error}", self.name))
    }
}

fn by_offset(name: &str, offset: u32) -> Result<(PathBuf, u32), PortError> {
    let chip = match Chip::from_name(name) {
        Ok(chip) => chip,
        Err(Error::GpioChip(..)) => return Err(absent(format!("/dev/{name} is not a GPIO chip"))),
        Err(error) => return Err(errno::of_open(&os_error(&error), &format!("/dev/{name}"), "gpio")),
    };
    let lines = chip.info().map_err(|error| fault(&error))?.num_lines;
    if offset >= lines {
        return Err(absent(format!("{name} has {lines} lines, from 0: there is no {offset}")));
    }
    Ok((chip.path().to_owned(), offset))
}

/// Searches all chips: the names of lines are not unique by nature, so that the first one found may be the wrong one.
fn by_name(name: &str) -> Result<(PathBuf, u32), PortError> {
    let mut found = Vec::new();
    let mut others = Vec::new();
    let mut hidden = None;
    for path in chips().map_err(|error| fault(&error))? {
        let shown = path.display().to_string();
        let chip = match Chip::from_path(&path) {
            Ok(chip) => chip,
            Err(error) => {
                hidden = Some(errno::of_open(&os_error(&error), &shown, "gpio"));
                continue;
            }
        };
        for info in chip.line_info_iter().map_err(|error| fault(&error))? {
            let Info { name: other, offset, .. } = info.map_err(|error| fault(&error))?;
            if other == name {
                found.push((path.clone(), offset));
            } else if !other.is_empty() {
                others.push(other);
            }
        }
    }
    match found.as_slice() {
        [only] => Ok(only.clone()),
        [] => match on_header(name)? {
            Some(place) => Ok(place),
            None => Err(hidden.unwrap_or_else(|| absent(unknown(name, others)))),
        },
        several => {
            let places: Vec<_> = several
                .iter()
                .map(|(chip, offset)| format!("{}/{offset}", chip.file_name().unwrap_or_default().display()))
                .collect();
            Err(absent(format!(
                "{} lines are called {name}: {}: name one by chip and offset",
                several.len(),
                places.join(", ")
            )))
        }
    }
}

/// Whether the lines of a Raspberry Pi's header are on this chip: by its label, from the kernel's drivers.
fn is_header(chip: &Chip) -> bool {
    let label = chip.info().map(|info| info.label).unwrap_or_default();
    ["pinctrl-bcm2835", "pinctrl-bcm2711", "pinctrl-rp1"].contains(&label.as_str())
}

/// The chip with the lines of a Raspberry Pi's header.
fn header_chip() -> Result<Option<PathBuf>, PortError> {
    let chips = chips().map_err(|error| fault(&error))?;
    Ok(chips.into_iter().find(|path| Chip::from_path(path).is_ok_and(|chip| is_header(&chip))))
}

/// `GPIO2` of a Raspberry Pi whose device tree has another name for that line, such as `SDA1`.
fn on_header(name: &str) -> Result<Option<(PathBuf, u32)>, PortError> {
    let number = name.strip_prefix("GPIO").filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()));
    let number = number.and_then(|digits| digits.parse::<u32>().ok()).filter(|number| *number <= header::HIGHEST);
    match number {
        Some(number) => Ok(header_chip()?.map(|chip| (chip, number))),
        None => Ok(None),
    }
}

fn by_pin(pin: u8) -> Result<(PathBuf, u32), PortError> {
    let Some(chip) = header_chip()? else {
        let message = format!("pin {pin}: this is no Raspberry Pi, or its GPIO chip is not accessible: name the line");
        return Err(absent(message));
    };
    let revision = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let gpio = if is_the_first(&revision) { header::gpio_of_the_first(pin) } else { header::gpio(pin) };
    Ok((chip, u32::from(gpio.map_err(absent)?)))
}

/// Whether `/proc/cpuinfo` tells of the first Model B: its revision code is 0002 or 0003, after 1000 if it was overvolted.
fn is_the_first(cpuinfo: &str) -> bool {
    let code = cpuinfo.lines().find_map(|line| line.strip_prefix("Revision")?.split(':').nth(1)).unwrap_or_default();
    ["0002", "0003", "10000002", "10000003", "1000002", "1000003"].contains(&code.trim())
}

fn unknown(name: &str, mut others: Vec<String>) -> String {
    if others.is_empty() {
        return format!("there is no line {name}: no GPIO chip with named lines");
    }
    // A slip of the finger, or another spelling: gpio17, GPIO-17.
    let plain = |text: &str| text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    let wanted = plain(name);
    let distance = |other: &String| strsim::damerau_levenshtein(&wanted, &plain(other));
    sort(&mut others);
    others.dedup();
    let nearest = others.iter().map(distance).min().filter(|distance| *distance <= 2);
    let near: Vec<_> = others.iter().filter(|other| Some(distance(other)) == nearest).map(String::as_str).collect();
    if near.is_empty() {
        format!("there is no line {name}")
    } else {
        format!("there is no line {name}: is it {}?", near.join(" or "))
    }
}

fn absent(message: String) -> PortError {
    PortError::new(FaultKind::Absent, message)
}

/// An error of a line that is open.
fn fault(error: &Error) -> PortError {
    errno::of_use(&os_error(error))
}

/// The operating system's part of an error.
pub(super) fn os_error(error: &Error) -> io::Error {
    match error {
        Error::Os(code) | Error::Uapi(_, UapiError::Os(code)) => io::Error::from_raw_os_error(code.0),
        other => io::Error::other(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_line_suggests_what_is_near() {
        let names = || ["GPIO1", "GPIO7", "GPIO17", "GPIO27", "ID_SDA"].map(String::from).to_vec();
        assert_eq!(unknown("gpio-17", names()), "there is no line gpio-17: is it GPIO17?");
        assert_eq!(unknown("GPIO71", names()), "there is no line GPIO71: is it GPIO1 or GPIO17 or GPIO7?");
        assert_eq!(unknown("LED", names()), "there is no line LED");
        assert!(unknown("LED", Vec::new()).contains("no GPIO chip"));
    }

    #[test]
    fn the_first_model_is_known_by_its_revision() {
        assert!(is_the_first("Hardware\t: BCM2835\nRevision\t: 0003\nSerial\t\t: 00"));
        assert!(!is_the_first("Hardware\t: BCM2835\nRevision\t: 000e\nSerial\t\t: 00"));
        assert!(!is_the_first("Revision\t: a02082\n") && !is_the_first("model name\t: 0003\n"));
    }
}
