//! What sensors know that has to survive a restart: the totals of counters.

use crate::files::replace;
use serde_json::{Map, Value as Json};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tracing::warn;

/// Its name in the state directory.
pub const SENSORS_FILE: &str = "sensors.json";

/// Time between two writes: memory cards wear out. What is lost when the power fails is what came since the last one.
const PAUSE: Duration = Duration::from_secs(60);

/// The memories of sensors by their ids, in a file that is replaced as a whole. Clones are handles to the same.
#[derive(Clone, Default)]
pub struct Records {
    file: Option<PathBuf>,
    kept: Arc<Mutex<Kept>>,
    /// Held by whoever writes.
    writing: Arc<Mutex<()>>,
}

#[derive(Default)]
struct Kept {
    records: Map<String, Json>,
    /// There is something that is not on disk.
    is_new: bool,
    written: Option<Instant>,
}

impl Kept {
    /// Gives whether it is time to write.
    fn note(&mut self, sensor: &str, memory: Json, now: Instant) -> bool {
        if self.records.get(sensor) != Some(&memory) {
            self.records.insert(sensor.to_owned(), memory);
            self.is_new = true;
        }
        let is_due = self.is_new && self.written.is_none_or(|written| now.saturating_duration_since(written) >= PAUSE);
        if is_due {
            self.written = Some(now);
        }
        is_due
    }
}

impl Records {
    /// What the file holds. One that is missing is empty; so is one that cannot be read, with a warning. Without a file
    /// nothing survives.
    #[must_use]
    pub fn load(file: Option<PathBuf>) -> Self {
        let records = file.as_ref().map_or_else(Map::new, |file| {
            let begin = "totals begin anew";
            match std::fs::read_to_string(file) {
                Ok(text) => serde_json::from_str(&text).unwrap_or_else(|error| {
                    warn!("{}: not what the agent wrote ({error}); {begin}", file.display());
                    Map::new()
                }),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Map::new(),
                Err(error) => {
                    warn!("{}: {error}; {begin}", file.display());
                    Map::new()
                }
            }
        });
        let kept = Kept { records, is_new: false, written: None };
        Self { file, kept: Arc::new(Mutex::new(kept)), writing: Arc::default() }
    }

    /// What is known of this sensor.
    #[must_use]
    pub fn recall(&self, sensor: &str) -> Option<Json> {
        self.lock().records.get(sensor).cloned()
    }

    /// Notes what is to be known of it now: on disk within a minute, if it goes on noting.
    pub fn note(&self, sensor: &str, memory: Json) {
        if self.lock().note(sensor, memory, Instant::now()) {
            let records = self.clone();
            crate::task::block(move || records.write());
        }
    }

    /// Writes what is not on disk yet.
    pub async fn flush(&self) {
        let records = self.clone();
        // Only a runtime that ends does not do it.
        let _ = crate::task::block(move || records.write()).await;
    }

    fn write(&self) {
        let Some(file) = &self.file else { return };
        let _turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let text = {
            let mut kept = self.lock();
            if !std::mem::replace(&mut kept.is_new, false) {
                return;
            }
            Json::Object(kept.records.clone()).to_string()
        };
        if let Err(error) = replace(file, &text) {
            warn!("{}: {error}; totals since the last write are lost when the agent ends", file.display());
            self.lock().is_new = true;
        }
    }

    /// Entries are whole or not there: a panic elsewhere leaves nothing half done.
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn is_written_at_most_once_a_minute_and_only_if_there_is_something() {
        let (mut kept, start) = (Kept::default(), Instant::now());
        let mut note = |total: u32, seconds| {
            let is_due = kept.note("water", json!(total), start + Duration::from_secs(seconds));
            kept.is_new &= !is_due; // as whoever writes does
            is_due
        };
        let due: Vec<_> = [(1, 0), (1, 1), (2, 2), (3, 59), (3, 60), (3, 120), (4, 121), (5, 122), (5, 181)]
            .into_iter()
            .filter(|(total, seconds)| note(*total, *seconds))
            .collect();
        assert_eq!(due, [(1, 0), (3, 60), (4, 121), (5, 181)]);
    }

    #[tokio::test]
    async fn survives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sensors.json");
        let records = Records::load(Some(file.clone()));
        assert_eq!(records.recall("water"), None);
        records.note("water", json!({ "total": 0.1 }));
        let first = async {
            while !file.exists() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), first).await.unwrap();
        records.note("water", json!({ "total": 0.2 }));
        records.note("gas", json!({ "total": 7 }));
        records.flush().await;
        let again = Records::load(Some(file.clone()));
        assert_eq!(again.recall("water"), Some(json!({ "total": 0.2 })));
        assert_eq!(again.recall("gas"), Some(json!({ "total": 7 })));
        std::fs::write(&file, "{\"water\":").unwrap();
        assert_eq!(Records::load(Some(file)).recall("water"), None);
    }

    #[tokio::test]
    async fn what_could_not_be_written_is_written_later() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("later").join("sensors.json");
        let records = Records::load(Some(file.clone()));
        records.note("water", json!(1));
        records.flush().await;
        std::fs::create_dir(folder.path().join("later")).unwrap();
        records.flush().await;
        assert_eq!(Records::load(Some(file)).recall("water"), Some(json!(1)));
    }
}
