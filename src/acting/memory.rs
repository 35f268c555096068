//! What actuators were when the agent last ran: for `initial: restore`.

use crate::files::replace;
use halyard_drivers::Value;
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tracing::warn;

/// Values by actuator, in a file that is replaced as a whole.
#[derive(Clone)]
pub struct Memory {
    file: Option<PathBuf>,
    values: BTreeMap<String, Value>,
    /// The newest content; whoever writes takes it from here, so that an older one never comes last.
    pending: Arc<Mutex<Option<String>>>,
    writing: Arc<Mutex<()>>,
}

impl Memory {
    /// What the file holds. One that is missing is empty; so is one that cannot be read, with a warning.
    #[must_use]
    pub fn load(file: Option<PathBuf>) -> Self {
        let values = file.as_ref().map_or_else(BTreeMap::new, |file| match std::fs::read_to_string(file) {
            Ok(text) => parse(&text).unwrap_or_else(|| {
                warn!("{}: not what the agent wrote; `initial: restore` gives the safe state", file.display());
                BTreeMap::new()
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => {
                warn!("{}: {error}; `initial: restore` gives the safe state", file.display());
                BTreeMap::new()
            }
        });
        Self { file, values, pending: Arc::default(), writing: Arc::default() }
    }

    /// What this actuator was.
    #[must_use]
    pub fn recall(&self, actuator: &str) -> Option<Value> {
        self.values.get(actuator).cloned()
    }

    /// Notes what it is now; on disk soon after.
    pub fn remember(&mut self, actuator: &str, value: &Value) {
        let Some(file) = self.file.clone() else { return };
        // A motor on its way is nowhere yet.
        if matches!(value, Value::Position { at: None, .. } | Value::Position { moves: true, .. }) {
            return;
        }
        if self.values.get(actuator) == Some(value) {
            return;
        }
        self.values.insert(actuator.to_owned(), value.clone());
        let text: Map<String, Json> = self.values.iter().map(|(id, value)| (id.clone(), kept(value))).collect();
        *self.pending.lock().unwrap_or_else(PoisonError::into_inner) = Some(Json::Object(text).to_string());
        let (pending, writing) = (Arc::clone(&self.pending), Arc::clone(&self.writing));
        tokio::task::spawn_blocking(move || {
            let _turn = writing.lock().unwrap_or_else(PoisonError::into_inner);
            let text = pending.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(text) = text
                && let Err(error) = replace(&file, &text)
            {
                warn!("{}: {error}; `initial: restore` will not know the newest state", file.display());
            }
        });
    }
}

/// A value as the file has it: a text tells itself from the words of a switch.
fn kept(value: &Value) -> Json {
    match value {
        Value::Text(text) => json!({ TEXT: text }),
        other => crate::sensing::json_of(other),
    }
}

const TEXT: &str = "text";

fn parse(text: &str) -> Option<BTreeMap<String, Value>> {
    let map: Map<String, Json> = serde_json::from_str(text).ok()?;
    map.into_iter()
        .map(|(id, value)| {
            let value = match value {
                Json::String(text) if text == "ON" => Value::Switch(true),
                Json::String(text) if text == "OFF" => Value::Switch(false),
                Json::Number(number) => Value::Number(number.as_f64()?),
                Json::Object(mut map) => match map.remove(TEXT)? {
                    Json::String(text) => Value::Text(text),
                    _ => return None,
                },
                _ => return None,
            };
            Some((id, value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn survives_a_restart_and_a_broken_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("actuators.json");
        let mut memory = Memory::load(Some(file.clone()));
        assert_eq!(memory.recall("pump"), None);
        memory.remember("pump", &Value::Switch(true));
        memory.remember("fan", &Value::Number(40.5));
        memory.remember("sign", &Value::Text("ON".into()));
        let written = || parse(&std::fs::read_to_string(&file).unwrap_or_default()).is_some_and(|map| map.len() == 3);
        let waiting = async {
            while !written() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(10), waiting).await.unwrap();
        let memory = Memory::load(Some(file.clone()));
        assert_eq!(memory.recall("pump"), Some(Value::Switch(true)));
        assert_eq!(memory.recall("fan"), Some(Value::Number(40.5)));
        assert_eq!(memory.recall("sign"), Some(Value::Text("ON".into())));
        std::fs::write(&file, "{\"pump\":").unwrap();
        assert_eq!(Memory::load(Some(file)).recall("pump"), None);
    }
}
