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
}
