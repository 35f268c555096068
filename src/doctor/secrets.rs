//! Who can read what is secret.

use super::Finding;
use halyard_drivers::sort::sort;
use serde_yaml::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Warns of every file with a password or a key that all users of the machine can read. `file` is the configuration.
#[must_use]
pub fn secrets(file: &Path) -> Vec<Finding> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let Ok(root) = serde_yaml::from_str::<Value>(&text) else { return Vec::new() };
    let folder = file.parent().unwrap_or(Path::new(""));
    let mut files: Vec<PathBuf> = Vec::new();
    let mqtt = root.get("mqtt");
    let users = root.get("broker").and_then(|broker| broker.get("users"));
    let users = match users {
        Some(Value::Sequence(users)) => users.as_slice(),
        Some(user) => std::slice::from_ref(user),
        None => &[],
    };
    for password in mqtt.into_iter().chain(users).filter_map(|who| who.get("password")) {
        match password {
            Value::String(_) => files.push(file.to_owned()),
            elsewhere => files.extend(elsewhere.get("file").and_then(Value::as_str).map(|name| folder.join(name))),
        }
    }
    sort(&mut files);
    files.dedup();
    files.extend(mqtt.and_then(|mqtt| mqtt.get("key")).and_then(Value::as_str).map(PathBuf::from));
    let readable = |path: &&PathBuf| std::fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o004 != 0);
    let warning = |path: &PathBuf| {
        let shown = path.display();
        let what = format!("{shown} has a secret in it, and every user of this machine can read it");
        // The service runs as a user of its own.
        Finding::warning("secrets", what, format!("sudo chown root:halyard {shown} && sudo chmod 640 {shown}"))
    };
    files.iter().filter(readable).map(warning).collect()
}
