//! Model of a device that takes text: it goes by the ends of lines, as such devices do.

use super::Ending;
use crate::sim::{Part, SerialPart};

/// Bytes that it keeps: what came before is forgotten.
const KEPT: usize = 4096;

/// The device.
pub struct Terminal {
    ending: &'static [u8],
    bytes: Vec<u8>,
}

impl Terminal {
    /// One that takes lines with this end.
    #[must_use]
    pub fn new(ending: Ending) -> Self {
        Self { ending: ending.bytes(), bytes: Vec::new() }
    }
}

impl Part for Terminal {
    fn stimulate(&mut self, _channel: &str, _value: f64) -> bool {
        false
    }

    fn serial(&mut self) -> Option<&mut dyn SerialPart> {
        Some(self)
    }

    fn texts(&self) -> Vec<String> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if self.ending.is_empty() {
            return vec![text(&self.bytes)];
        }
        let mut lines = Vec::new();
        let mut rest = &self.bytes[..];
        while let Some(end) = rest.windows(self.ending.len()).position(|bytes| bytes == self.ending) {
            lines.push(text(&rest[..end]));
            rest = &rest[end + self.ending.len()..];
        }
        lines
    }
}

impl SerialPart for Terminal {
    fn receive(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.bytes.extend_from_slice(bytes);
        let old = self.bytes.len().saturating_sub(KEPT);
        self.bytes.drain(..old);
        // Some repeat what they get, and wait for nobody to read it.
        out.extend_from_slice(bytes);
    }
}
