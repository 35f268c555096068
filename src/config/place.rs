//! Where a part is connected: the keys that say so, from `bus` to the lines of a part that has several.

use super::header;
use super::model::{At, LineName, Link, PwmName};
use super::port;
use super::stanza::Stanza;
use super::written::{ExpanderPin, LineOffset, PwmChannel};
use halyard_drivers::options::node::quote;
use halyard_drivers::options::{Content, Node, Placed, Problem, read, read_rest};
use halyard_drivers::{Attachment, Driver, KernelClass, Member, Spec};
use serde::Deserialize;

/// Keys that say where a part is connected, whatever its driver.
pub const PLACE_KEYS: [&str; 9] = ["bus", "address", "line", "pin", "port", "pwm", "host", "device", INTERRUPT];

/// The port of Modbus on TCP (MODBUS Messaging on TCP/IP Implementation Guide V1.0b, section 4.1).
const MODBUS_PORT: u16 = 502;
/// The addresses of I2C that are not reserved by its specification.
const ANY_ADDRESS: [u8; 112] = {
    let mut addresses = [0; 112];
    let mut address = 0x08;
    while address <= 0x77 {
        addresses[address as usize - 0x08] = address;
        address += 1;
    }
    addresses
};
/// Addresses that are listed one by one.
const MOST_LISTED: usize = 16;

/// The key of the line that an expander's interrupt is connected to.
pub const INTERRUPT: &str = "interrupt";

/// Where a part is connected.
pub struct Connection {
    /// All of it.
    pub at: At,
    /// Each place that it takes, and the key that says so.
    pub places: Vec<Placed<At>>,
}

impl From<Placed<At>> for Connection {
    fn from(place: Placed<At>) -> Self {
        Self { at: place.value.clone(), places: vec![place] }
    }
}

impl Stanza<'_> {
    /// Where the part is connected.
    pub fn connection(&self, problems: &mut Vec<Problem>) -> Option<Connection> {
        let driver = self.driver?;
        let known = place_keys(driver);
        let mut fits = true;
        for (key, _) in self.attachment.entries().unwrap_or_default() {
            let Some(name) = key.text() else { continue };
            // Of an address on SPI more can be said, below.
            let fitting = known.contains(&name) || (name == "address" && known.contains(&"bus"));
            if !fitting {
                let message = format!("{} has no `{name}`: it is {}", driver.name, wants(driver));
                problems.push(Problem::new(key.place, message));
                fits = false;
            }
        }
        let is_there = |key: &str| self.attachment.get(key).is_some_and(|node| !matches!(node.content, Content::Null));
        let has = |wanted: fn(&Attachment) -> bool| driver.attachments.iter().any(wanted);
        let several = driver.attachments.iter().find_map(|attachment| match attachment {
            Attachment::Several(members) => Some(*members),
            _ => None,
        });
        let class = driver.attachments.iter().find_map(|attachment| match attachment {
            Attachment::Kernel(class) => Some(*class),
            _ => None,
        });
        let connection = if let Some(class) = class {
            self.kernel(class, problems)
        } else if let Some(members) = several {
            self.several(members, fits, problems)
        } else if has(|at| matches!(at, Attachment::Modbus)) && !is_there("bus") {
            self.modbus(fits, problems).map(Connection::from)
        } else if has(|at| matches!(at, Attachment::Serial)) {
            self.one("port", Attachment::Serial, fits, problems).map(Connection::from)
        } else if has(|at| matches!(at, Attachment::Pwm)) {
            self.one("pwm", Attachment::Pwm, fits, problems).map(Connection::from)
        } else if has(|at| matches!(at, Attachment::I2c { .. } | Attachment::Spi | Attachment::Described)) {
            self.bus(driver, fits, problems).map(Connection::from)
        } else {
            self.line_or_pin(fits, problems).map(Connection::from)
        };
        connection.filter(|_| fits)
    }

    /// In which of the ways that its driver knows the part is connected.
    pub fn attached(&self) -> Option<Attachment> {
        let bus = self.attachment.get("bus").filter(|node| !matches!(node.content, Content::Null));
        let on_spi = bus.and_then(Node::text).is_some_and(|name| name.starts_with("spi"));
        let fits = |at: &&Attachment| match at {
            Attachment::Modbus => bus.is_none(),
            Attachment::Spi => on_spi,
            Attachment::I2c { .. } | Attachment::Described => bus.is_some() && !on_spi,
            _ => true,
        };
        self.driver?.attachments.iter().find(fits).copied()
    }

    /// What the kernel drives: the device that is named, or the only one.
    fn kernel(&self, class: KernelClass, problems: &mut Vec<Problem>) -> Option<Connection> {
        let node = self.attachment.get("device").filter(|node| !matches!(node.content, Content::Null));
        let device = match node {
            Some(node) => Some(device_of(class, node, problems)?),
            None => None,
        };
        let at = At::Kernel { class, device };
        // Any number of sensors can look at the machine.
        if class == KernelClass::System {
            return Some(Connection { at, places: Vec::new() });
        }
        let place = node.map_or(self.node.place, |node| node.place);
        Some(Placed { place, origin: node.and_then(|node| node.origin.clone()), value: at }.into())
    }

    /// A Modbus device: its line, and its address there.
    fn modbus(&self, fits: bool, problems: &mut Vec<Problem>) -> Option<Placed<At>> {
        #[derive(Deserialize)]
        struct Keys {
            address: Option<Placed<i64>>,
        }
        let Keys { address } = read_rest(&self.attachment, problems)?;
        let unit = match address {
            // MODBUS over Serial Line V1.02, section 2.2: 0 is for all, from 248 on there is none.
            Some(address) if !(1..=247).contains(&address.value) => {
                let message = format!("`address` must be from 1 to 247 on Modbus, not `{}`", address.value);
                problems.push(Problem::new(address.place, message));
                return None;
            }
            // In range.
            Some(address) => u8::try_from(address.value).unwrap_or(1),
            None => 1,
        };
        let named = |key| self.attachment.get(key).filter(|node| !matches!(node.content, Content::Null));
        let (node, link) = match (named("port"), named("host")) {
            (Some(_), Some(host)) => {
                problems.push(Problem::new(host.place, "there is a `port` already: it is one or the other"));
                return None;
            }
            (None, Some(host)) => (host, Link::Tcp(host_of(host, problems)?)),
            (Some(port), None) => {
                let At::Serial(path) = port::read(port, problems)?.value else { return None };
                (port, Link::Serial(path))
            }
            (None, None) => {
                if fits {
                    self.missing("port", problems);
                }
                return None;
            }
        };
        Some(Placed { place: node.place, origin: node.origin.clone(), value: At::Modbus { link, unit } })
    }

    /// The line of a part that has one: by its name, or by its pin on the header of a Raspberry Pi.
    fn line_or_pin(&self, fits: bool, problems: &mut Vec<Problem>) -> Option<Placed<At>> {
        let named = |key| self.attachment.get(key).filter(|node| !matches!(node.content, Content::Null));
        let Some(pin) = named("pin") else { return self.one("line", Attachment::OutputLine, fits, problems) };
        if named("line").is_some() {
            problems.push(Problem::new(pin.place, "`pin` is another name for a line: give `line` or `pin`, not both"));
            return None;
        }
        let value = At::Line(pin_of(pin, problems)?);
        Some(Placed { place: pin.place, origin: pin.origin.clone(), value })
    }

    /// The line that the interrupt of an expander is connected to, if it is.
    pub fn interrupt(&self, problems: &mut Vec<Problem>) -> Option<Placed<LineName>> {
        let node = self.attachment.get(INTERRUPT).filter(|node| !matches!(node.content, Content::Null))?;
        let line = line_of(INTERRUPT, node, problems)?;
        if line.expander().is_some() {
            let message =
                format!("`{INTERRUPT}` must be a line of the board: nobody tells of a pin on another expander");
            problems.push(Problem::new(node.place, message));
            return None;
        }
        Some(Placed { place: node.place, origin: node.origin.clone(), value: line })
    }

    /// The connections of a part that has several.
    fn several(&self, members: &[Member], fits: bool, problems: &mut Vec<Problem>) -> Option<Connection> {
        let mut places = Vec::new();
        let mut all = Vec::new();
        let mut whole = true;
        for member in members {
            let is_there = self.attachment.get(member.key).is_some_and(|node| !matches!(node.content, Content::Null));
            if !is_there && !member.required {
                continue;
            }
            match self.one(member.key, member.at, fits, problems) {
                Some(Placed { place, value: At::Line(LineName::Pin { .. }), .. })
                    if member.at == Attachment::InputLine =>
                {
                    let message = format!("`{}` must be a line of the board: an expander tells too late", member.key);
                    problems.push(Problem::new(place, message));
                    whole = false;
                }
                Some(place) => {
                    all.push((member.key, place.value.clone()));
                    places.push(place);
                }
                None => whole = false,
            }
        }
        whole.then_some(Connection { at: At::Several(all), places })
    }

    /// What `key` names: a line, a PWM channel or a serial port.
    fn one(&self, key: &str, at: Attachment, fits: bool, problems: &mut Vec<Problem>) -> Option<Placed<At>> {
        let node = match self.attachment.get(key) {
            Some(node) if !matches!(node.content, Content::Null) => node,
            _ => {
                if fits {
                    self.missing(key, problems);
                }
                return None;
            }
        };
        let value = match at {
            Attachment::Serial => return port::read(node, problems),
            Attachment::Pwm => At::Pwm(pwm_of(key, node, problems)?),
            _ => At::Line(line_of(key, node, problems)?),
        };
        Some(Placed { place: node.place, origin: node.origin.clone(), value })
    }

    fn bus(&self, driver: &'static Driver, fits: bool, problems: &mut Vec<Problem>) -> Option<Placed<At>> {
        #[derive(Deserialize)]
        struct Keys {
            address: Option<Placed<i64>>,
        }
        let keys: Keys = read_rest(&self.attachment, problems)?;
        let bus = match self.attachment.get("bus") {
            None | Some(Node { content: Content::Null, .. }) => {
                if fits {
                    self.missing("bus", problems);
                }
                return None;
            }
            Some(Node { content: Content::Unknown, .. }) => return None,
            Some(bus) => bus,
        };
        let addresses = driver.attachments.iter().find_map(|at| match at {
            Attachment::I2c { addresses } => Some(*addresses),
            Attachment::Described => Some(ANY_ADDRESS.as_slice()),
            _ => None,
        });
        let on_spi = driver.attachments.contains(&Attachment::Spi);
        match (bus.text().and_then(bus_of), addresses) {
            (Some(Bus::I2c(number)), Some(addresses)) => {
                let (address, place) = match keys.address {
                    Some(address) => (check_address(&address, addresses, problems)?, address.place),
                    // What is there but cannot be read was reported.
                    None if self
                        .attachment
                        .get("address")
                        .is_some_and(|node| !matches!(node.content, Content::Null)) =>
                    {
                        return None;
                    }
                    None => match addresses {
                        [only] => (*only, bus.place),
                        _ => {
                            self.missing("address", problems);
                            return None;
                        }
                    },
                };
                Some(Placed { place, origin: None, value: At::I2c { bus: number, address } })
            }
            (Some(Bus::Spi(number, chip_select)), _) if on_spi => {
                if let Some(address) = keys.address {
                    let message = "`address` is for I2C; on SPI the chip select says which part it is";
                    problems.push(Problem::new(address.place, message));
                }
                Some(Placed { place: bus.place, origin: None, value: At::Spi { bus: number, chip_select } })
            }
            (_, addresses) => {
                let expected = match (addresses.is_some(), on_spi) {
                    (true, true) => "`i2c-N` or `spiB.C`, such as `i2c-1` or `spi0.0`",
                    (true, false) => "`i2c-N`, such as `i2c-1`",
                    _ => "`spiB.C`, such as `spi0.0`",
                };
                let hint = match bus
                    .text()
                    .and_then(|text| text.strip_prefix("/dev/"))
                    .map(|rest| rest.replace("spidev", "spi"))
                {
                    Some(rest) if bus.origin.is_none() => format!("; did you mean {}?", quote(&rest)),
                    _ => String::new(),
                };
                let message = format!("`bus` of {} must be {expected}, not {}{hint}", driver.name, bus.shown());
                problems.push(Problem::new(bus.place, message));
                None
            }
        }
    }
}

/// The keys that say where parts of this driver are connected.
pub fn place_keys(driver: &Driver) -> Vec<&'static str> {
    let mut keys = Vec::new();
    for attachment in driver.attachments {
        let more: Vec<&'static str> = match attachment {
            Attachment::I2c { .. } => vec!["bus", "address"],
            Attachment::Spi => vec!["bus"],
            Attachment::InputLine | Attachment::OutputLine => vec!["line", "pin"],
            Attachment::Serial => vec!["port"],
            Attachment::Pwm => vec!["pwm"],
            Attachment::Kernel(KernelClass::System) => vec![],
            Attachment::Kernel(_) => vec!["device"],
            Attachment::Described => vec!["bus", "address"],
            Attachment::Modbus => vec!["port", "host", "address"],
            Attachment::Several(members) => members.iter().map(|member| member.key).collect(),
        };
        for key in more {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
    }
    // Where there are inputs there is an interrupt.
    if let Spec::Expander(spec) = (driver.defaults)()
        && spec.offer().inputs
    {
        keys.push(INTERRUPT);
    }
    keys
}

/// Completes "it is …".
pub fn wants(driver: &Driver) -> String {
    let ways: Vec<String> = driver
        .attachments
        .iter()
        .map(|attachment| match attachment {
            Attachment::I2c { addresses } => {
                format!("on I2C, with `bus`, such as `i2c-1`, and `address`, {}", listed(addresses))
            }
            Attachment::Spi => "on SPI, with `bus`, such as `spi0.0`".to_owned(),
            Attachment::InputLine | Attachment::OutputLine => {
                "on a GPIO line, with `line`, such as `GPIO17`".to_owned()
            }
            Attachment::Serial => "on a serial port, with `port`, such as `/dev/ttyAMA0`".to_owned(),
            Attachment::Pwm => "on a PWM channel, with `pwm`, such as `{ chip: pwmchip0, channel: 0 }`".to_owned(),
            Attachment::Kernel(class) => match class {
                KernelClass::OneWire => "on 1-Wire, with `device`, such as `28-00000a1b2c3d`, or without: the only one",
                KernelClass::Iio => "an IIO device of the kernel, with `device`, such as `bme280` or `iio:device0`",
                KernelClass::Hwmon => "an hwmon device of the kernel, with `device`, such as `cpu_thermal` or `hwmon0`",
                KernelClass::System => "the machine itself",
            }
            .to_owned(),
            Attachment::Described => "on I2C, with `bus`, such as `i2c-1`, and `address`".to_owned(),
            Attachment::Modbus => {
                "on Modbus, with `port`, such as `/dev/ttyUSB0`, or `host`, such as `192.0.2.7:502`, and `address`"
                    .to_owned()
            }
            Attachment::Several(members) => {
                let keys: Vec<_> = members
                    .iter()
                    .map(|member| {
                        let optional = if member.required { "" } else { "optional, " };
                        format!("`{}` ({optional}{})", member.key, member.what)
                    })
                    .collect();
                format!("connected by {}", keys.join(", "))
            }
        })
        .collect();
    ways.join(", or ")
}

enum Bus {
    I2c(u8),
    Spi(u8, u8),
}

fn bus_of(text: &str) -> Option<Bus> {
    let number = |text: &str| {
        let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'));
        if plain { text.parse::<u8>().ok() } else { None }
    };
    if let Some(rest) = text.strip_prefix("i2c-") {
        return number(rest).map(Bus::I2c);
    }
    let (bus, chip_select) = text.strip_prefix("spi")?.split_once('.')?;
    Some(Bus::Spi(number(bus)?, number(chip_select)?))
}

fn check_address(address: &Placed<i64>, addresses: &[u8], problems: &mut Vec<Problem>) -> Option<u8> {
    let has = |number: i64| addresses.iter().copied().find(|address| i64::from(*address) == number);
    if let Some(address) = has(address.value) {
        return Some(address);
    }
    // 76 where 0x76 was meant.
    let hint = i64::from_str_radix(&address.value.to_string(), 16)
        .ok()
        .and_then(has)
        .map(|near| format!("; did you mean `{near:#04x}`?"))
        .unwrap_or_default();
    let found = if hint.is_empty() && address.value >= 0 {
        format!("{:#04x}", address.value)
    } else {
        address.value.to_string()
    };
    let message = format!("`address` must be {}, not `{found}`{hint}", listed(addresses));
    problems.push(Problem::new(address.place, message));
    None
}

/// `0x44, 0x45 or 0x46`; of many, runs of them: `0x40 to 0x6f`.
fn listed(addresses: &[u8]) -> String {
    let code = |address: &u8| format!("`{address:#04x}`");
    let texts: Vec<String> = if addresses.len() > MOST_LISTED {
        let runs = addresses.chunk_by(|one, next| one + 1 == *next);
        runs.map(|run| match run {
            [first, .., last] => format!("{} to {}", code(first), code(last)),
            other => other.iter().map(code).collect(),
        })
        .collect()
    } else {
        addresses.iter().map(code).collect()
    };
    match texts.as_slice() {
        [rest @ .., last] if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        other => other.concat(),
    }
}

fn line_of(key: &str, node: &Node, problems: &mut Vec<Problem>) -> Option<LineName> {
    let expected = "a name such as `GPIO17`, `{ chip: gpiochip0, offset: 17 }` or `{ expander: ID, pin: 3 }`";
    match &node.content {
        // The kernel has 31 bytes for a name.
        Content::Text(name) if (1..32).contains(&name.len()) && !name.contains(char::is_control) => {
            Some(LineName::Name(name.clone()))
        }
        Content::Map(_) if node.get("expander").is_some() || node.get("pin").is_some() => {
            let ExpanderPin { expander, pin } = read(node, problems)?;
            let Ok(number) = u8::try_from(pin.value) else {
                problems.push(Problem::new(pin.place, format!("no expander has a pin `{}`", pin.value)));
                return None;
            };
            Some(LineName::Pin { expander: expander.value, pin: number })
        }
        Content::Map(_) => {
            let LineOffset { chip, offset } = read(node, problems)?;
            let name = chip.strip_prefix("/dev/").unwrap_or(&chip);
            if name.is_empty() || name.contains(|c: char| c == '/' || c.is_control()) {
                let message = format!("`chip` must be a GPIO chip such as `gpiochip0`, not {}", chip.shown());
                problems.push(Problem::new(chip.place, message));
                return None;
            }
            Some(LineName::Offset { chip: name.to_owned(), offset })
        }
        Content::Unknown => None,
        content => {
            let hint = match content {
                Content::Integer(number @ 0..) => format!("; did you mean `GPIO{number}`?"),
                _ => String::new(),
            };
            let message = format!("`{key}` must be {expected}, not {}{hint}", node.shown());
            problems.push(Problem::new(node.place, message));
            None
        }
    }
}

/// `192.0.2.7:502`, or a name; with the port of Modbus if there is none.
fn host_of(node: &Node, problems: &mut Vec<Problem>) -> Option<String> {
    if matches!(node.content, Content::Unknown) {
        return None;
    }
    let text = node.text().unwrap_or_default();
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse::<u16>().ok().filter(|port| *port > 0)),
        _ => (text, Some(MODBUS_PORT)),
    };
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            (1..=253).contains(&host.len())
                && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        }
    };
    match port {
        Some(port) if is_host => Some(format!("{host}:{port}")),
        _ => {
            let expected = "an address or a name, and a port if it is not 502, such as `192.0.2.7:502`";
            problems.push(Problem::new(node.place, format!("`host` must be {expected}, not {}", node.shown())));
            None
        }
    }
}

/// A pin of a Raspberry Pi's header.
fn pin_of(node: &Node, problems: &mut Vec<Problem>) -> Option<LineName> {
    let found = match node.content {
        Content::Integer(number) => u8::try_from(number).map_err(|_| header::NO_SUCH.to_owned()).and_then(header::gpio),
        Content::Unknown => return None,
        _ => Err("a pin is a number, from 1 to 40".to_owned()),
    };
    match (found, &node.content) {
        (Ok(_), Content::Integer(number)) => u8::try_from(*number).ok().map(LineName::Header),
        (found, _) => {
            let why = found.err().unwrap_or_default();
            problems.push(Problem::new(node.place, format!("`pin` cannot be {}: {why}", node.shown())));
            None
        }
    }
}

fn pwm_of(key: &str, node: &Node, problems: &mut Vec<Problem>) -> Option<PwmName> {
    let expected = "a line such as `GPIO18`, `{ chip: pwmchip0, channel: 0 }` or `{ expander: ID, pin: 3 }`";
    match &node.content {
        Content::Map(_) if ["offset", "expander", "pin"].iter().all(|key| node.get(key).is_none()) => {
            let PwmChannel { chip, channel } = read(node, problems)?;
            let is_chip = chip.strip_prefix("pwmchip").is_some_and(|number| number.parse::<u32>().is_ok());
            if !is_chip {
                let message = format!("`chip` must be a PWM chip such as `pwmchip0`, not {}", chip.shown());
                problems.push(Problem::new(chip.place, message));
                return None;
            }
            Some(PwmName::Channel { chip: chip.value, channel })
        }
        Content::Map(_) | Content::Text(_) | Content::Integer(_) => line_of(key, node, problems).map(PwmName::Line),
        Content::Unknown => None,
        _ => {
            problems.push(Problem::new(node.place, format!("`{key}` must be {expected}, not {}", node.shown())));
            None
        }
    }
}

/// The name of a device of the kernel.
fn device_of(class: KernelClass, node: &Node, problems: &mut Vec<Problem>) -> Option<String> {
    let name = node.text().unwrap_or_default();
    let plain = !name.is_empty() && name.len() < 256 && !name.contains(char::is_control);
    let (sound, expected) = match class {
        KernelClass::OneWire => (is_one_wire(name), "the id of a thermometer such as `28-00000a1b2c3d`, in lower case"),
        KernelClass::Iio => (plain, "an IIO device such as `bme280`, `iio:device0` or `/sys/bus/i2c/devices/1-0076`"),
        _ => (plain, "an hwmon device such as `cpu_thermal`, `hwmon0` or `/sys/bus/i2c/devices/1-0048`"),
    };
    let is_path = name.starts_with("/sys/") && !name.ends_with('/') && !name.split('/').any(|part| part == "..");
    if sound && (is_path || !name.contains('/')) {
        return Some(name.to_owned());
    }
    if !matches!(node.content, Content::Unknown) {
        let lower = name.to_ascii_lowercase();
        let hint = match class {
            KernelClass::OneWire if is_one_wire(&lower) && node.origin.is_none() => {
                format!("; did you mean {}?", quote(&lower))
            }
            _ => String::new(),
        };
        let message = format!("`device` must be {expected}, not {}{hint}", node.shown());
        problems.push(Problem::new(node.place, message));
    }
    None
}

/// Family code and number of a 1-Wire part, as the kernel writes them.
fn is_one_wire(name: &str) -> bool {
    let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    name.split_once('-').is_some_and(|(family, id)| family.len() == 2 && id.len() == 12 && hex(family) && hex(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_buses() {
        assert!(matches!(bus_of("i2c-1"), Some(Bus::I2c(1))));
        assert!(matches!(bus_of("spi10.2"), Some(Bus::Spi(10, 2))));
        for text in ["", "i2c-", "i2c-01", "i2c-256", "i2c-+1", "i2c1", "spi0", "spi0.", "spi.0", "spi0.0.0", "I2C-1"] {
            assert!(bus_of(text).is_none(), "{text}");
        }
    }
}
