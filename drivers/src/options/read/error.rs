//! Why a tree is not what was asked for, in the terms of those who write it.

use super::super::node::{Content, Node, Place};
use super::{alternatives, nearest, unknown_key};
use serde::de::{self, Expected, Unexpected};
use std::fmt;

/// With a suggestion at hand, more choices than this are not listed.
const MOST_LISTED: usize = 8;

/// Why a tree is not what was asked for. Has a place as soon as it passed the innermost node that it concerns.
#[derive(Debug)]
pub(super) struct Error(Box<Wrong>);

#[derive(Debug)]
struct Wrong {
    cause: Cause,
    hint: Option<&'static str>,
    at: Option<At>,
}

#[derive(Debug)]
enum Cause {
    /// The value was reported already.
    Known,
    UnknownKey {
        key: String,
        known: &'static [&'static str],
    },
    UnknownChoice {
        choice: String,
        known: &'static [&'static str],
    },
    Missing(&'static str),
    /// Wrong in kind: `expected` completes "must be …".
    Kind {
        expected: String,
    },
    /// Right in kind but not in value.
    Value {
        expected: String,
    },
    /// A list that is too short or too long.
    Count {
        expected: usize,
        found: usize,
    },
    Other(String),
}

#[derive(Debug)]
struct At {
    place: Place,
    /// What the message begins with: `` `every` ``, ``an entry of `interlock` ``.
    subject: String,
    /// Whether it is the key of a map.
    key: bool,
    kind: &'static str,
    text: bool,
    shown: String,
    hidden: bool,
    origin: bool,
}

impl Error {
    #[cold]
    #[inline(never)]
    fn new(cause: Cause) -> Self {
        Self(Box::new(Wrong { cause, hint: None, at: None }))
    }

    pub(super) fn known() -> Self {
        Self::new(Cause::Known)
    }

    pub(super) fn kind(expected: impl Into<String>) -> Self {
        Self::new(Cause::Kind { expected: expected.into() })
    }

    pub(super) fn count(expected: usize, found: usize) -> Self {
        Self::new(Cause::Count { expected, found })
    }

    pub(super) fn value(expected: impl Into<String>) -> Self {
        Self::new(Cause::Value { expected: expected.into() })
    }

    /// Adds what may help.
    pub(super) fn hint(mut self, hint: &'static str) -> Self {
        self.0.hint = Some(hint);
        self
    }

    /// Says where it is, unless that is said already. `name` is the key whose value the node is.
    pub(super) fn at(mut self, node: &Node, name: Option<&str>, entry: bool, key: bool) -> Self {
        if self.0.at.is_none() {
            let subject = match name {
                Some(name) if entry => format!("an entry of `{name}`"),
                Some(name) => format!("`{name}`"),
                None => "this".to_owned(),
            };
            self.0.at = Some(At {
                place: node.place,
                subject,
                key,
                kind: node.kind(),
                text: matches!(node.content, Content::Text(_)),
                shown: node.shown(),
                hidden: node.has_origin(),
                origin: node.origin.is_some(),
            });
        }
        self
    }

    pub(super) fn place(&self) -> Option<Place> {
        self.0.at.as_ref().map(|at| at.place)
    }

    pub(super) fn is_known(&self) -> bool {
        matches!(self.0.cause, Cause::Known)
    }

    /// The key that is missing, if that is what is wrong.
    pub(super) fn missing(&self) -> Option<&'static str> {
        match self.0.cause {
            Cause::Missing(key) => Some(key),
            _ => None,
        }
    }

    pub(super) fn message(&self) -> String {
        let Some(At { subject, key, kind, text, shown, hidden, origin, .. }) = &self.0.at else {
            return "this cannot be read".to_owned();
        };
        match &self.0.cause {
            Cause::Known => "see above".to_owned(),
            Cause::UnknownKey { key, known } => unknown_key(key, known),
            Cause::UnknownChoice { choice, known } if *key => unknown_key(choice, known),
            Cause::UnknownChoice { choice, known } => {
                match nearest(choice, known.iter().copied()).filter(|_| !hidden) {
                    Some(near) if known.len() > MOST_LISTED => {
                        format!("{subject} cannot be {shown}; did you mean `{near}`?")
                    }
                    Some(near) => {
                        format!("{subject} must be {}, not {shown}; did you mean `{near}`?", alternatives(known))
                    }
                    None => format!("{subject} must be {}, not {shown}", alternatives(known)),
                }
            }
            Cause::Missing(missing) => format!("missing key `{missing}`"),
            Cause::Kind { expected } => {
                let found = if *origin { shown } else { *kind };
                let hint = self.0.hint.map(|hint| format!("; {hint}")).unwrap_or_default();
                // The text helps to see what was taken for text; what is asked to be text may be a secret.
                let found = if *text && !*origin { format!("the text {shown}") } else { found.to_owned() };
                let subject = if *key { "a key" } else { subject };
                format!("{subject} must be {expected}, not {found}{hint}")
            }
            Cause::Value { expected } => format!("{subject} must be {expected}, not {shown}"),
            Cause::Count { expected, found } => format!("{subject} must have {expected} entries, not {found}"),
            // Whoever wrote this message may have put the value into it.
            Cause::Other(_) if *hidden => {
                format!("{subject} is not accepted; the reason may show a value from elsewhere and is kept back")
            }
            Cause::Other(message) if subject == "this" => message.clone(),
            Cause::Other(message) => format!("{subject}: {message}"),
        }
    }
}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(Cause::Other(message.to_string()))
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::kind(expected.to_string())
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::value(expected.to_string())
    }

    fn invalid_length(_: usize, expected: &dyn Expected) -> Self {
        Self::value(expected.to_string())
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(Cause::UnknownChoice { choice: variant.to_owned(), known: expected })
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::new(Cause::UnknownKey { key: field.to_owned(), known: expected })
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(Cause::Missing(field))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::new(Cause::Other(format!("the key `{field}` is there twice")))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message())
    }
}

impl std::error::Error for Error {}
