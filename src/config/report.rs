//! All that is wrong with a file.

use halyard_drivers::sort::sort_by;
use serde::Serialize;
use std::fmt;

/// All that is wrong with a file, in the order of the file.
#[derive(Clone, Debug)]
pub struct Report {
    /// The file's name as it was given.
    pub file: String,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// Something wrong in a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Where; `None` if it concerns the file as a whole.
    pub position: Option<Position>,
    /// What is wrong.
    pub message: String,
}

/// A place in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters (Unicode code points), from 1.
    pub column: usize,
}

impl Report {
    /// A report of one finding about the file as a whole.
    pub fn whole(file: &str, message: impl Into<String>) -> Self {
        Self::new(file, vec![Finding { position: None, message: message.into() }])
    }

    /// A report of these.
    #[must_use]
    pub fn new(file: &str, mut findings: Vec<Finding>) -> Self {
        sort_by(&mut findings, |a, b| a <= b);
        findings.dedup();
        Self { file: file.to_owned(), findings }
    }
}

impl fmt::Display for Report {
    /// `FILE:LINE:COLUMN: message`, one a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Finding { position, message }) in self.findings.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&self.file)?;
            if let Some(Position { line, column }) = position {
                write!(f, ":{line}:{column}")?;
            }
            write!(f, ": {message}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Report {}
