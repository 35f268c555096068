//! YAML text as a tree of [`Node`]s, and where in the text a node stands.
//!
//! The deserializer of serde_yaml gives no positions to those who read with it, but its errors have them. So nodes
//! are numbered in the order in which they are visited, and to find one, the text is read once more and an error is
//! raised when its number comes up.

use super::report::{Finding, Position, Report};
use halyard_drivers::options::node::quote;
use halyard_drivers::options::{Content, Node, Place, Problem};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use std::collections::HashSet;
use std::fmt;

/// Longest text in bytes.
pub const LONGEST: usize = 1 << 20;
/// Most `[` and `{` that are open at once: the scanner of YAML takes time with the square of that. They are counted
/// without regard to quotes and comments, which no sensible file has so many unpaired brackets in.
const DEEPEST: usize = 1_000;
/// Most nodes, aliases counted as often as they are used: some hundred sensors. Each problem takes a reading of all.
const MOST_NODES: u32 = 20_000;

const TOO_MANY: &str = "too much for a configuration";

/// A text that is YAML.
pub struct Document<'t> {
    text: &'t str,
    /// All of it.
    pub root: Node,
}

impl<'t> Document<'t> {
    /// Reads `text`. What is wrong within the tree is added to `problems`.
    ///
    /// # Errors
    /// When there is no tree: the text is empty or not YAML. `file` is its name.
    pub fn read(text: &'t str, file: &str, problems: &mut Vec<Problem>) -> Result<Self, Report> {
        // A byte order mark is no part of the first line.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.len() > LONGEST {
            return Err(too_long(file));
        }
        check_characters(text).map_err(|finding| Report::new(file, vec![finding]))?;
        let mut builder = Builder { next: 0, stop: None, problems };
        let root = (&mut builder).deserialize(serde_yaml::Deserializer::from_str(text)).map_err(|error| {
            let second = error.to_string().contains("more than one document").then(|| second_document(text)).flatten();
            Report::new(file, vec![second.unwrap_or_else(|| syntax_error(text, &error))])
        })?;
        if matches!(root.content, Content::Null) {
            return Err(Report::whole(file, "there is nothing in the file"));
        }
        Ok(Self { text, root })
    }

    /// Where a node stands.
    #[must_use]
    pub fn position(&self, place: Place) -> Option<Position> {
        locate(serde_yaml::Deserializer::from_str(self.text), place)
    }
}

/// What is said of a longer text.
#[must_use]
pub fn too_long(file: &str) -> Report {
    Report::whole(file, format!("the file is longer than {} KiB", LONGEST >> 10))
}

fn locate(deserializer: serde_yaml::Deserializer<'_>, place: Place) -> Option<Position> {
    let mut problems = Vec::new();
    let mut builder = Builder { next: 0, stop: Some(place), problems: &mut problems };
    let error = (&mut builder).deserialize(deserializer).err()?;
    position(&error)
}

fn position(error: &serde_yaml::Error) -> Option<Position> {
    error.location().map(|location| Position { line: location.line(), column: location.column() })
}

/// Characters that YAML does not allow, of which its reader tells the offset only, and too many open brackets.
fn check_characters(text: &str) -> Result<(), Finding> {
    let (mut line, mut column, mut depth) = (1, 1, 0_usize);
    for c in text.chars() {
        let at = |message: String| Err(Finding { position: Some(Position { line, column }), message });
        match c {
            '[' | '{' if depth == DEEPEST => return at("nested too deeply".to_owned()),
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            '\t' | '\n' | '\r' | '\u{85}' => {}
            '\u{fffe}' | '\u{ffff}' => return at("a character that YAML does not allow".to_owned()),
            _ if c.is_control() => return at(format!("the control character {:#04x} in the text", u32::from(c))),
            _ => {}
        }
        if c == '\n' {
            (line, column) = (line + 1, 1);
        } else {
            column += 1;
        }
    }
    Ok(())
}

/// A further document in the text is an error without a position: it is the place of that document.
fn second_document(text: &str) -> Option<Finding> {
    let second = serde_yaml::Deserializer::from_str(text).nth(1)?;
    let position = locate(second, Place(0));
    Some(Finding { position, message: "a second document: there is one configuration in a file".to_owned() })
}

fn syntax_error(text: &str, error: &serde_yaml::Error) -> Finding {
    let position = position(error);
    let mut message = error.to_string();
    if let Some(Position { line, column }) = position {
        message = message.replacen(&format!(" at line {line} column {column}"), "", 1);
        let character = text.split('\n').nth(line - 1).and_then(|line| line.chars().nth(column - 1));
        if character == Some('\t') {
            message = "a tab: YAML is indented by spaces".to_owned();
        }
    }
    // The error names the path too, which is known by its position.
    if message.ends_with(TOO_MANY) {
        message = format!("more than {MOST_NODES} values: {TOO_MANY}");
    }
    let message = match message.as_str() {
        "repetition limit exceeded" => "aliases are repeated too often".to_owned(),
        "recursion limit exceeded" => "nested too deeply".to_owned(),
        "unknown anchor" => "an alias (`*name`) without an anchor (`&name`) before it".to_owned(),
        _ => message,
    };
    Finding { position, message }
}

/// Builds the tree, or stops at the node that it looks for.
struct Builder<'p> {
    next: u32,
    stop: Option<Place>,
    problems: &'p mut Vec<Problem>,
}

impl<'de> DeserializeSeed<'de> for &mut Builder<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        let place = Place(self.next);
        self.next += 1;
        if self.stop == Some(place) {
            deserializer.deserialize_newtype_struct("", Here)?;
            return Err(D::Error::custom("the node that was looked for"));
        }
        if self.next > MOST_NODES {
            return Err(D::Error::custom(TOO_MANY));
        }
        let content = deserializer.deserialize_any(Contents { builder: self, place })?;
        Ok(Node::new(place, content))
    }
}

/// Asks for a struct within a struct, and so on, without moving on in the text, until that is too deep: of all errors
/// that one alone has the position of the node in hand. Others have that of the anchor if the node is an alias.
struct Here;

impl<'de> Visitor<'de> for Here {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_newtype_struct("", Here)
    }
}

struct Contents<'b, 'p> {
    builder: &'b mut Builder<'p>,
    place: Place,
}

impl<'de> Visitor<'de> for Contents<'_, '_> {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Content, E> {
        Ok(Content::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Content, E> {
        Ok(Content::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Content, E> {
        Ok(Content::Bool(value))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Content, E> {
        Ok(Content::Integer(number))
    }

    // Numbers that no i64 holds are beyond any range of ours, whatever they are taken for.
    #[allow(clippy::cast_precision_loss)]
    fn visit_u64<E: Error>(self, number: u64) -> Result<Content, E> {
        Ok(i64::try_from(number).map_or(Content::Float(number as f64), Content::Integer))
    }

    #[allow(clippy::cast_precision_loss)]
    fn visit_i128<E: Error>(self, number: i128) -> Result<Content, E> {
        Ok(Content::Float(number as f64))
    }

    #[allow(clippy::cast_precision_loss)]
    fn visit_u128<E: Error>(self, number: u128) -> Result<Content, E> {
        Ok(Content::Float(number as f64))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Content, E> {
        Ok(Content::Float(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Content, E> {
        Ok(Content::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Content, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(&mut *self.builder)? {
            list.push(item);
        }
        Ok(Content::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Content, A::Error> {
        let mut entries: Vec<(Node, Node)> = Vec::new();
        let mut keys = HashSet::new();
        while let Some(key) = map.next_key_seed(&mut *self.builder)? {
            let value = map.next_value_seed(&mut *self.builder)?;
            if key.text().is_some_and(|text| !keys.insert(text.to_owned())) {
                let message = format!("the key {} is there twice", key.shown());
                self.builder.problems.push(Problem::new(key.place, message));
            } else {
                entries.push((key, value));
            }
        }
        Ok(Content::Map(entries))
    }

    /// A tag of the file's own, such as `!secret`.
    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<Content, A::Error> {
        let (tag, value) = data.variant::<String>()?;
        value.newtype_variant::<IgnoredAny>()?;
        let hint = match tag.as_str() {
            "secret" | "include" => ": write `{ file: PATH }`",
            "env_var" | "env" | "ENV" => ": write `{ env: NAME }`",
            _ => "",
        };
        let message = format!("the tag {} means nothing here{hint}", quote(&format!("!{tag}")));
        self.builder.problems.push(Problem::new(self.place, message));
        Ok(Content::Unknown)
    }
}
