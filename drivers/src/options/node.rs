//! The tree.

/// Where a node stands in its file. Only the one who made the tree can say which line and column that is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place(pub u32);

/// A value and its place.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its place.
    pub place: Place,
    /// What it is.
    pub content: Content,
    /// For a text that came from elsewhere, its origin (`the file /etc/x`, `the environment variable X`). Such a text
    /// may be a secret: no message ever shows it.
    pub origin: Option<String>,
}

/// The content of a node.
#[derive(Clone, Debug)]
pub enum Content {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number; also hexadecimal in the file.
    Integer(i64),
    /// A number with a fraction.
    Float(f64),
    /// Text.
    Text(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping in the order of the file. Keys are nodes too: they have places.
    Map(Vec<(Node, Node)>),
    /// A value that could not be had, which was reported already: whoever reads it reports nothing more.
    Unknown,
}

impl Node {
    /// A node of the file itself.
    #[must_use]
    pub fn new(place: Place, content: Content) -> Self {
        Self { place, content, origin: None }
    }

    /// The text, if it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The entries, if it is a map.
    #[must_use]
    pub fn entries(&self) -> Option<&[(Node, Node)]> {
        match &self.content {
            Content::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The value of `key`, if this is a map that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries()?.iter().find_map(|(name, value)| (name.text() == Some(key)).then_some(value))
    }

    /// What it is, for people. Never its value.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.content {
            Content::Null => "nothing",
            Content::Bool(_) => "true or false",
            Content::Integer(_) | Content::Float(_) => "a number",
            Content::Text(_) => "text",
            Content::List(_) => "a list",
            Content::Map(_) => "a map",
            Content::Unknown => "an unknown value",
        }
    }

    /// What a message says of a value that is not accepted: the value itself, or where it came from if it came from
    /// elsewhere.
    #[must_use]
    pub fn shown(&self) -> String {
        match (&self.origin, &self.content) {
            (Some(origin), _) => format!("what {origin} holds"),
            (None, Content::Bool(value)) => format!("`{value}`"),
            (None, Content::Integer(value)) => format!("`{value}`"),
            (None, Content::Float(value)) => format!("`{value}`"),
            (None, Content::Text(text)) => quote(text),
            (None, _) => self.kind().to_owned(),
        }
    }

    /// Whether it, or something in it, came from elsewhere and may be a secret.
    #[must_use]
    pub fn has_origin(&self) -> bool {
        self.origin.is_some()
            || match &self.content {
                Content::List(items) => items.iter().any(Self::has_origin),
                Content::Map(entries) => entries.iter().any(|(_, value)| value.has_origin()),
                _ => false,
            }
    }
}

/// A text as messages show it: on one line, not too long, in backquotes.
#[must_use]
pub fn quote(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut quoted = String::from("`");
    for c in text.chars().take(LONGEST) {
        if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
            quoted.extend(c.escape_default());
        } else {
            quoted.push(c);
        }
    }
    if text.chars().nth(LONGEST).is_some() {
        quoted.push('…');
    }
    quoted.push('`');
    quoted
}
