//! `{ file: PATH }` and `{ env: NAME }` in the place of a text.

use halyard_drivers::options::node::quote;
use halyard_drivers::options::{Content, Node, Problem};
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Longest file in bytes.
const LONGEST: u64 = 64 << 10;

/// Replaces every such map in `node` by its text. Relative paths start at `folder`.
pub fn fetch(node: &mut Node, folder: &Path, problems: &mut Vec<Problem>) {
    match &mut node.content {
        Content::Map(entries) => {
            if let [(key, value)] = entries.as_slice()
                && let Some(key @ ("file" | "env")) = key.text()
            {
                let Some((origin, text)) = text_of(key, value, folder, problems) else {
                    node.content = Content::Unknown;
                    return;
                };
                node.origin = Some(origin);
                node.content = Content::Text(text);
                return;
            }
            for (_, value) in entries {
                fetch(value, folder, problems);
            }
        }
        Content::List(items) => {
            for item in items {
                fetch(item, folder, problems);
            }
        }
        _ => {}
    }
}

/// The origin and the text that `key: value` stands for.
fn text_of(key: &str, value: &Node, folder: &Path, problems: &mut Vec<Problem>) -> Option<(String, String)> {
    let Some(name) = value.text() else {
        if !matches!(value.content, Content::Unknown) {
            let what = if key == "file" { "the path of a file" } else { "the name of an environment variable" };
            problems.push(Problem::new(value.place, format!("`{key}` must be {what}, not {}", value.kind())));
        }
        return None;
    };
    let (origin, text) = if key == "file" {
        (format!("the file {}", quote(name)), read_file(&folder.join(name)))
    } else {
        (format!("the environment variable {}", quote(name)), read_variable(name))
    };
    let text = text.and_then(|text| if text.contains('\0') { Err("it has a NUL in it".to_owned()) } else { Ok(text) });
    match text {
        Ok(text) => Some((origin, text)),
        Err(why) => {
            problems.push(Problem::new(value.place, format!("cannot read {origin}: {why}")));
            None
        }
    }
}

/// The text of a file without the line end at its end. Says why not without saying what is in it.
fn read_file(path: &Path) -> Result<String, String> {
    let describe = |error: std::io::Error| super::os_error(&error);
    // Opening a pipe would wait for someone to write to it.
    if !std::fs::metadata(path).map_err(describe)?.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(LONGEST + 1).read_to_end(&mut bytes)).map_err(describe)?;
    if bytes.len() as u64 > LONGEST {
        return Err(format!("it is longer than {} KiB", LONGEST >> 10));
    }
    let mut text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

fn read_variable(name: &str) -> Result<String, String> {
    // std panics at, or cannot find, what is no name.
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err("that is not the name of a variable".to_owned());
    }
    std::env::var_os(OsStr::new(name))
        .ok_or_else(|| "it is not set".to_owned())?
        .into_string()
        .map_err(|_| "it is not UTF-8".to_owned())
}
