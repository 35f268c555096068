//! Files that the agent keeps.

use std::io::{Result, Write};
use std::path::Path;

/// Replaces a file: whole or not at all, also when the power fails.
///
/// # Errors
/// As the operating system has them; the file is as it was then.
pub fn replace(file: &Path, text: &str) -> Result<()> {
    let new = file.with_extension("new");
    let mut out = std::fs::File::create(&new)?;
    out.write_all(text.as_bytes())?;
    out.sync_all()?;
    std::fs::rename(new, file)
}
