//! Model of a device that prints lines: such that the pattern matches.

use super::Pattern;
use super::example::{Piece, example};
use crate::sim::{Part, SerialPart};
use std::collections::BTreeMap;
use std::time::Duration;

/// The device.
pub struct Model {
    pattern: Pattern,
    shape: Vec<Piece>,
    values: BTreeMap<String, f64>,
}

impl Model {
    /// One that prints what `pattern` matches.
    #[must_use]
    pub fn new(pattern: &Pattern) -> Self {
        let values = pattern.names().map(|name| (name.to_owned(), 20.0)).collect();
        Self { pattern: pattern.clone(), shape: example(pattern.as_str()), values }
    }

    /// A line with so many decimal places.
    fn line(&self, places: usize) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Value(name) => format!("{:.places$}", self.values.get(name).unwrap_or(&0.0)),
        };
        self.shape.iter().map(piece).collect()
    }
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
