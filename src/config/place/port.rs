//! The key `port`: where a serial port is.

use crate::config::model::At;
use halyard_drivers::options::node::quote;
use halyard_drivers::options::{Content, Node, Placed, Problem};
use std::path::{Component, Path};

/// Longest path that the kernel takes, with the zero at its end (PATH_MAX).
const LONGEST: usize = 4096;

/// The path of a port: absolute, of a file.
pub fn read(node: &Node, problems: &mut Vec<Problem>) -> Option<Placed<At>> {
    if matches!(node.content, Content::Unknown) {
        return None;
    }
    let text = node.text().unwrap_or_default();
    let sound = text.len() < LONGEST && !text.contains(char::is_control);
    if !(sound && text.starts_with('/') && !text.ends_with('/') && Path::new(text).file_name().is_some()) {
        // ttyUSB0 where /dev/ttyUSB0 was meant.
        let name = sound && node.origin.is_none() && text.starts_with("tty") && !text.contains('/');
        let hint = if name { format!("; did you mean {}?", quote(&format!("/dev/{text}"))) } else { String::new() };
        let expected = "the path of a serial port, such as `/dev/ttyAMA0` or one below `/dev/serial/by-id`";
        problems.push(Problem::new(node.place, format!("`port` must be {expected}, not {}{hint}", node.shown())));
        return None;
    }
    Some(Placed { place: node.place, origin: node.origin.clone(), value: At::Serial(text.to_owned()) })
}

/// The path that stands for all of a port: the device that links lead to, on a machine that has it.
pub fn same(path: &str) -> String {
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| {
        // Else what can be said without it: no `.`, and one `/` after another.
        Path::new(path).components().filter(|part| !matches!(part, Component::CurDir)).collect()
    });
    target.to_string_lossy().into_owned()
}
