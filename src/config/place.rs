//! Where a part is connected: the keys that say so, from `bus` to the lines of a part that has several.

mod bus;
mod kernel;
mod keys;
mod line;
mod modbus;
pub mod port;
mod pwm;

pub use keys::{place_keys, wants};

use super::model::{At, LineName};
use super::stanza::Stanza;
use halyard_drivers::options::{Content, Node, Placed, Problem};
use halyard_drivers::{Attachment, Member};
use line::line_of;
use pwm::pwm_of;

/// The key of the line that an expander's interrupt is connected to.
pub const INTERRUPT: &str = "interrupt";

/// Keys that say where a part is connected, whatever its driver.
pub const PLACE_KEYS: [&str; 9] = ["bus", "address", "line", "pin", "port", "pwm", "host", "device", INTERRUPT];

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
    /// The value of one of these keys, if it has one.
    fn named(&self, key: &str) -> Option<&Node> {
        self.attachment.get(key).filter(|node| !matches!(node.content, Content::Null))
    }

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
        } else if has(|at| matches!(at, Attachment::Modbus)) && self.named("bus").is_none() {
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
        let bus = self.named("bus");
        let on_spi = bus.and_then(Node::text).is_some_and(|name| name.starts_with("spi"));
        let fits = |at: &&Attachment| match at {
            Attachment::Modbus => bus.is_none(),
            Attachment::Spi => on_spi,
            Attachment::I2c { .. } | Attachment::Described => bus.is_some() && !on_spi,
            _ => true,
        };
        self.driver?.attachments.iter().find(fits).copied()
    }

    /// The connections of a part that has several.
    fn several(&self, members: &[Member], fits: bool, problems: &mut Vec<Problem>) -> Option<Connection> {
        let mut places = Vec::new();
        let mut all = Vec::new();
        let mut whole = true;
        for member in members {
            if self.named(member.key).is_none() && !member.required {
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
        let Some(node) = self.named(key) else {
            if fits {
                self.missing(key, problems);
            }
            return None;
        };
        let value = match at {
            Attachment::Serial => return port::read(node, problems),
            Attachment::Pwm => At::Pwm(pwm_of(key, node, problems)?),
            _ => At::Line(line_of(key, node, problems)?),
        };
        Some(Placed { place: node.place, origin: node.origin.clone(), value })
    }
}
