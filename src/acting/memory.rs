//! What actuators were when the agent last ran, for `initial: restore`, and since when, for `max_on` and `min_off`.

use super::gate::Past;
use super::stamp::Stamp;
use crate::files::replace;
use crate::time::{parse, rfc3339};
use halyard_drivers::Value;
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinHandle;
use tracing::warn;

/// The file's name.
pub const ACTUATORS_FILE: &str = "actuators.json";
/// What is not known without it.
const LOSS: &str = "`initial: restore` gives the safe state, and `min_off` begins anew";

/// What is known of each actuator, in a file that is replaced as a whole.
pub struct Memory {
    entries: BTreeMap<String, Entry>,
    disk: Option<Disk>,
    /// The last who was told to write.
    writer: Option<JoinHandle<()>>,
}

/// The file, and what is to be written to it.
#[derive(Clone)]
pub struct Disk {
    file: Arc<Path>,
    /// The newest content; whoever writes takes it from here, so that an older one never comes last.
    pending: Arc<Mutex<Option<String>>>,
    writing: Arc<Mutex<()>>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Entry {
    /// What it was.
    value: Option<Value>,
    /// Whether it was on, or may have been, and since when.
    note: Option<(bool, Stamp)>,
    /// Whether the note is to survive this process.
    kept: bool,
}

impl Memory {
    /// What the file holds. One that is missing is empty; so is one that cannot be read, with a warning.
    #[must_use]
    pub fn load(file: Option<PathBuf>) -> Self {
        let entries = file.as_ref().map_or_else(BTreeMap::new, |file| match std::fs::read_to_string(file) {
            Ok(text) => entries(&text).unwrap_or_else(|| {
                warn!("{}: not what the agent wrote; {LOSS}", file.display());
                BTreeMap::new()
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => {
                warn!("{}: {error}; {LOSS}", file.display());
                BTreeMap::new()
            }
        });
        let disk = file.map(|file| Disk { file: file.into(), pending: Arc::default(), writing: Arc::default() });
        Self { entries, disk, writer: None }
    }

    /// What this actuator was.
    #[must_use]
    pub fn recall(&self, actuator: &str) -> Option<Value> {
        self.entries.get(actuator)?.value.clone()
    }

    /// Whether it was on, and for how long it has been so by `now`.
    #[must_use]
    pub fn past(&self, actuator: &str, now: &Stamp) -> Option<Past> {
        let (active, since) = self.entries.get(actuator)?.note.as_ref()?;
        Some(Past { active: *active, lasted: now.since(since) })
    }

    /// Notes what it is now; on disk soon after.
    pub fn remember(&mut self, actuator: &str, value: &Value) {
        // A motor on its way is nowhere yet.
        if matches!(value, Value::Position { at: None, .. } | Value::Position { moves: true, .. }) {
            return;
        }
        let entry = self.entries.entry(actuator.to_owned()).or_default();
        if entry.value.replace(value.clone()).as_ref() != Some(value) {
            self.save();
        }
    }

    /// Notes that it went on, or may have, or off. `keep`: for a later process as well.
    pub fn note(&mut self, actuator: &str, active: bool, since: Stamp, keep: bool) {
        let entry = self.entries.entry(actuator.to_owned()).or_default();
        entry.note = Some((active, since));
        entry.kept = keep;
        if keep {
            self.save();
        }
    }

    /// Notes that it is about to be turned on. What is given back has to be on disk before that.
    pub fn before_on(&mut self, actuator: &str) -> Option<Disk> {
        if !self.entries.get(actuator).is_some_and(|entry| entry.note.as_ref().is_some_and(|(active, _)| *active)) {
            self.note(actuator, true, Stamp::now(), true);
        }
        self.disk.clone()
    }

    /// Waits until all of it is on disk.
    pub fn saved(&mut self) -> impl Future<Output = ()> + use<> {
        let writer = self.writer.take();
        async move {
            if let Some(writer) = writer {
                // It warned of what went wrong.
                let _ = writer.await;
            }
        }
    }

    fn save(&mut self) {
        let Some(disk) = self.disk.clone() else { return };
        let text: Map<String, Json> = self
            .entries
            .iter()
            .map(|(id, entry)| (id.clone(), entry.json()))
            .filter(|(_, json)| !json.is_null())
            .collect();
        *disk.pending.lock().unwrap_or_else(PoisonError::into_inner) = Some(Json::Object(text).to_string());
        // When the last one is through, all are.
        self.writer = Some(crate::task::block(move || disk.write()));
    }
}

impl Disk {
    /// Writes what is newest, and returns when it is there. Blocks: on a worker only.
    pub fn write(&self) {
        // One after the other.
        let _turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let text = self.pending.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(text) = text
            && let Err(error) = replace(&self.file, &text)
        {
            warn!("{}: {error}; at the next start {LOSS}", self.file.display());
        }
    }
}

impl Entry {
    /// `{"state":"ON","on":true,"boot":"…","uptime":1234,"time":"…","sure":true}`; null if there is nothing to keep.
    fn json(&self) -> Json {
        let mut map = Map::new();
        if let Some(value) = &self.value {
            map.insert("state".into(), kept(value));
        }
        if let Some((active, since)) = self.note.as_ref().filter(|_| self.kept) {
            map.insert("on".into(), json!(active));
            map.insert("boot".into(), json!(since.boot));
            map.insert("uptime".into(), json!(since.uptime));
            map.insert("time".into(), json!(rfc3339(since.wall)));
            map.insert("sure".into(), json!(since.sure));
        }
        if map.is_empty() { Json::Null } else { map.into() }
    }

    fn read(json: &Json) -> Option<Self> {
        let map = json.as_object()?;
        let value = match map.get("state") {
            Some(value) => Some(value_of(value)?),
            None => None,
        };
        let note = match map.get("on") {
            Some(on) => {
                let since = Stamp {
                    boot: map.get("boot")?.as_str()?.to_owned(),
                    uptime: map.get("uptime")?.as_i64()?,
                    wall: parse(map.get("time")?.as_str()?)?,
                    sure: map.get("sure")?.as_bool()?,
                };
                Some((on.as_bool()?, since))
            }
            None => None,
        };
        let kept = note.is_some();
        Some(Self { value, note, kept })
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

fn value_of(json: &Json) -> Option<Value> {
    match json {
        Json::String(text) if text == "ON" => Some(Value::Switch(true)),
        Json::String(text) if text == "OFF" => Some(Value::Switch(false)),
        Json::Number(number) => Some(Value::Number(number.as_f64()?)),
        Json::Object(map) => Some(Value::Text(map.get(TEXT)?.as_str()?.to_owned())),
        _ => None,
    }
}

fn entries(text: &str) -> Option<BTreeMap<String, Entry>> {
    let map: Map<String, Json> = serde_json::from_str(text).ok()?;
    map.into_iter().map(|(id, json)| Some((id, Entry::read(&json)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn stamp(uptime: i64) -> Stamp {
        Stamp { uptime, ..Stamp::now() }
    }

    #[tokio::test]
    async fn survives_a_restart_and_a_broken_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("actuators.json");
        let mut memory = Memory::load(Some(file.clone()));
        assert_eq!((memory.recall("pump"), memory.past("pump", &Stamp::now())), (None, None));
        memory.remember("pump", &Value::Switch(true));
        memory.remember("fan", &Value::Number(40.5));
        memory.remember("sign", &Value::Text("ON".into()));
        memory.note("pump", true, stamp(1_000), true);
        memory.note("fan", false, stamp(1_000), false);
        let past = |memory: &Memory, id: &str| memory.past(id, &stamp(9_000));
        let lasted = Some(Duration::from_secs(8));
        assert_eq!(past(&memory, "fan"), Some(Past { active: false, lasted }));
        memory.saved().await;
        let memory = Memory::load(Some(file.clone()));
        assert_eq!(memory.recall("pump"), Some(Value::Switch(true)));
        assert_eq!(memory.recall("fan"), Some(Value::Number(40.5)));
        assert_eq!(memory.recall("sign"), Some(Value::Text("ON".into())));
        assert_eq!(past(&memory, "pump"), Some(Past { active: true, lasted }));
        assert_eq!(past(&memory, "fan"), None, "of this process only");
        for broken in ["{\"pump\":", "{\"pump\":{\"on\":true}}", "[]"] {
            std::fs::write(&file, broken).unwrap();
            assert_eq!(Memory::load(Some(file.clone())).recall("pump"), None);
        }
    }

    #[tokio::test]
    async fn a_moment_is_kept_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("actuators.json");
        let mut memory = Memory::load(Some(file.clone()));
        let now = Instant::now();
        memory.note("pump", true, Stamp::now().at(now.checked_sub(Duration::from_secs(5)).unwrap(), now), true);
        memory.saved().await;
        let past = Memory::load(Some(file)).past("pump", &Stamp::now()).unwrap();
        assert!(past.active && past.lasted.is_some_and(|lasted| lasted >= Duration::from_millis(4_900)), "{past:?}");
    }
}
