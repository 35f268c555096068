//! GPIO lines: the keys `line`, `pin` and `interrupt`, and those of the lines of a part that has several.

use super::INTERRUPT;
use crate::config::header;
use crate::config::model::{At, LineName};
use crate::config::stanza::Stanza;
use crate::config::written::{ExpanderPin, LineOffset};
use halyard_drivers::Attachment;
use halyard_drivers::options::{Content, Node, Placed, Problem, read};

impl Stanza<'_> {
    /// The line of a part that has one: by its name, or by its pin on the header of a Raspberry Pi.
    pub(super) fn line_or_pin(&self, fits: bool, problems: &mut Vec<Problem>) -> Option<Placed<At>> {
        let Some(pin) = self.named("pin") else { return self.one("line", Attachment::OutputLine, fits, problems) };
        if self.named("line").is_some() {
            problems.push(Problem::new(pin.place, "`pin` is another name for a line: give `line` or `pin`, not both"));
            return None;
        }
        let value = At::Line(pin_of(pin, problems)?);
        Some(Placed { place: pin.place, origin: pin.origin.clone(), value })
    }

    /// The line that the interrupt of an expander is connected to, if it is.
    pub fn interrupt(&self, problems: &mut Vec<Problem>) -> Option<Placed<LineName>> {
        let node = self.named(INTERRUPT)?;
        let line = line_of(INTERRUPT, node, problems)?;
        if line.expander().is_some() {
            let message =
                format!("`{INTERRUPT}` must be a line of the board: nobody tells of a pin on another expander");
            problems.push(Problem::new(node.place, message));
            return None;
        }
        Some(Placed { place: node.place, origin: node.origin.clone(), value: line })
    }
}

/// The line that `key` names.
pub(super) fn line_of(key: &str, node: &Node, problems: &mut Vec<Problem>) -> Option<LineName> {
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
