//! The reader.

mod de;
mod error;
#[cfg(test)]
mod tests;

use super::node::{Content, Node, Place};
use serde::de::DeserializeOwned;
use std::borrow::Cow;
use std::collections::HashMap;
use std::marker::PhantomData;

/// More problems than this in one tree are not looked for.
const MOST_PROBLEMS: usize = 100;
/// Following a problem to its end can take a removal for each level of the tree.
const MOST_REMOVALS: usize = 2 * MOST_PROBLEMS;

/// Something wrong in a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where: the offending key or value.
    pub place: Place,
    /// What is wrong and what was expected; with a suggestion where one is near.
    pub message: String,
}

impl Problem {
    /// A problem at `place`.
    pub fn new(place: Place, message: impl Into<String>) -> Self {
        Self { place, message: message.into() }
    }
}

/// Reads a `T` from `node`. Reports every problem, not only the first; `None` if there was one.
///
/// Of keys that a map lacks, serde tells of the first one only.
pub fn read<T: DeserializeOwned>(node: &Node, problems: &mut Vec<Problem>) -> Option<T> {
    let before = problems.len();
    let value = read_rest(node, problems);
    if problems.len() == before { value } else { None }
}

/// As [`read`]; then `check` reports what is right by itself and wrong beside the rest.
pub fn read_checked<T: DeserializeOwned>(
    node: &Node,
    problems: &mut Vec<Problem>,
    check: impl FnOnce(&T, &mut Report),
) -> Option<T> {
    let value = read(node, problems)?;
    let before = problems.len();
    check(&value, &mut Report::new(node, problems));
    (problems.len() == before).then_some(value)
}

/// What is wrong with options that could be read: takes the problems, and knows their places.
pub struct Report<'a> {
    /// What was read.
    pub node: &'a Node,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Report<'a> {
    /// Of options that were read from `node`.
    pub fn new(node: &'a Node, problems: &'a mut Vec<Problem>) -> Self {
        Self { node, problems }
    }

    /// Reports a problem at the value of the first of these keys that is there; without any, at all of what was read.
    pub fn at(&mut self, keys: &[&str], message: impl Into<String>) {
        let place = keys.iter().find_map(|key| self.node.get(key)).unwrap_or(self.node).place;
        self.push(place, message);
    }

    /// Reports a problem at `place`.
    pub fn push(&mut self, place: Place, message: impl Into<String>) {
        self.problems.push(Problem::new(place, message));
    }
}

/// As [`read`], but gives what is right: entries with problems, which are reported, are left out. `None` if it cannot
/// do without them.
pub fn read_rest<T: DeserializeOwned>(node: &Node, problems: &mut Vec<Problem>) -> Option<T> {
    let mut value = None;
    attempt(node, problems, &mut |tree| {
        value = Some(de::Reader::new(tree).seeded(PhantomData::<T>)?);
        Ok(())
    });
    value
}

/// Reads `node`, and what is left of it without each entry in turn that `read` finds wrong, until it finds nothing.
fn attempt(node: &Node, problems: &mut Vec<Problem>, read: &mut dyn FnMut(&Node) -> Result<(), error::Error>) {
    let before = problems.len();
    let mut tree = Cow::Borrowed(node);
    let mut removed = Removed::default();
    for _ in 0..MOST_REMOVALS {
        let Err(error) = read(&tree) else { return };
        let place = error.place().unwrap_or(node.place);
        if !removed.explains(&error, place) {
            if problems.len() - before == MOST_PROBLEMS {
                return;
            }
            problems.push(Problem::new(place, error.message()));
        }
        if !removed.remove(tree.to_mut(), place) {
            return;
        }
    }
}

/// What was taken out of a tree: by the place of the list or map, the keys.
#[derive(Default)]
struct Removed(HashMap<Place, Vec<String>>);

impl Removed {
    /// Whether an error only follows from what was taken out.
    fn explains(&self, error: &error::Error, place: Place) -> bool {
        if error.is_known() {
            return true;
        }
        self.0.get(&place).is_some_and(|keys| match error.missing() {
            Some(missing) => keys.iter().any(|key| key == missing),
            // A list or map that is wrong as a whole after something was taken out of it.
            None => true,
        })
    }

    /// Takes the entry whose key or value is at `place` out of the list or map that it is in.
    fn remove(&mut self, node: &mut Node, place: Place) -> bool {
        match &mut node.content {
            Content::List(items) => {
                if let Some(index) = items.iter().position(|item| item.place == place) {
                    items.remove(index);
                    self.0.entry(node.place).or_default();
                    return true;
                }
                items.iter_mut().any(|item| self.remove(item, place))
            }
            Content::Map(entries) => {
                if let Some(index) = entries.iter().position(|(key, value)| key.place == place || value.place == place)
                {
                    let (key, _) = entries.remove(index);
                    self.0.entry(node.place).or_default().extend(key.text().map(str::to_owned));
                    return true;
                }
                entries.iter_mut().any(|(_, value)| self.remove(value, place))
            }
            _ => false,
        }
    }
}

/// The candidate that was probably meant by `word`.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Longer texts are no slips of the finger, and comparing takes the product of the lengths.
    if word.len() > 64 {
        return None;
    }
    let word = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4 && *distance < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `a`, `a or b`, `a, b or c`, each in backquotes.
#[must_use]
pub fn alternatives(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| super::node::quote(word)).collect();
    match quoted.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

/// What is said of a key that is not known where `known` are.
#[must_use]
pub fn unknown_key(key: &str, known: &[&str]) -> String {
    /// More keys than this are not listed.
    const MOST_LISTED: usize = 8;
    let quoted = super::node::quote(key);
    match nearest(key, known.iter().copied()) {
        Some(near) => format!("unknown key {quoted}; did you mean `{near}`?"),
        None if known.is_empty() => format!("unknown key {quoted}; there are no keys here"),
        None if known.len() <= MOST_LISTED => format!("unknown key {quoted}; there is {}", alternatives(known)),
        None => format!("unknown key {quoted}"),
    }
}
