//! Model of a device that prints lines: such that the pattern matches.

use super::Pattern;
use crate::sim::{Part, SerialPart};
use regex_syntax::hir::{Class, ClassUnicodeRange, Hir, HirKind};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

/// The device.
pub struct Model {
    pattern: Pattern,
    shape: Option<Hir>,
    values: BTreeMap<String, f64>,
}

impl Model {
    /// One that prints what `pattern` matches.
    #[must_use]
    pub fn new(pattern: &Pattern) -> Self {
        let values = pattern.names().map(|name| (name.to_owned(), 20.0)).collect();
        Self { pattern: pattern.clone(), shape: regex_syntax::parse(pattern.as_str()).ok(), values }
    }

    /// A line with so many decimal places.
    fn line(&self, places: usize) -> String {
        let mut line = String::new();
        if let Some(shape) = &self.shape {
            self.write(shape, places, &mut line);
        }
        line
    }

    /// The shortest text that matches, but with the values where the channels are.
    fn write(&self, shape: &Hir, places: usize, line: &mut String) {
        match shape.kind() {
            HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Literal(literal) => line.push_str(&String::from_utf8_lossy(&literal.0)),
            HirKind::Class(Class::Unicode(class)) => line.extend(class.ranges().first().map(ClassUnicodeRange::start)),
            HirKind::Class(Class::Bytes(class)) => {
                line.extend(class.ranges().first().map(|range| char::from(range.start())));
            }
            HirKind::Repetition(repetition) => {
                // An optional channel is there.
                let times = repetition.min.max(u32::from(has_name(&repetition.sub)));
                (0..times.min(100)).for_each(|_| self.write(&repetition.sub, places, line));
            }
            HirKind::Capture(capture) => match capture.name.as_deref().and_then(|name| self.values.get(name)) {
                Some(value) => {
                    let _ = write!(line, "{value:.places$}"); // to a String: cannot fail
                }
                None => self.write(&capture.sub, places, line),
            },
            HirKind::Concat(parts) => parts.iter().for_each(|part| self.write(part, places, line)),
            HirKind::Alternation(choices) => {
                let choice = choices.iter().find(|choice| has_name(choice)).or(choices.first());
                choice.into_iter().for_each(|choice| self.write(choice, places, line));
            }
        }
    }
}

fn has_name(shape: &Hir) -> bool {
    shape.properties().explicit_captures_len() > 0
}

impl Part for Model {
    fn stimulate(&mut self, channel: &str, value: f64) -> bool {
        self.values.get_mut(channel).map(|known| *known = value).is_some()
    }

    fn serial(&mut self) -> Option<&mut dyn SerialPart> {
        Some(self)
    }
}

impl SerialPart for Model {
    fn period(&self) -> Option<Duration> {
        Some(Duration::from_secs(1))
    }

    fn talk(&mut self, out: &mut Vec<u8>) {
        // As exactly as the pattern lets it.
        let right = |line: &String| matches!(self.pattern.read(line), Some(Ok(_)));
        let line = (0..=3).rev().map(|places| self.line(places)).find(right).unwrap_or_default();
        out.extend(line.bytes());
        out.extend(b"\r\n");
    }
}
