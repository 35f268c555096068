//! Model of an hwmon device: its folder, as a kernel driver fills it.

use super::{CLASS, Inputs, Reading};
use crate::sim::{KernelPart, Part};
use std::collections::BTreeMap;

/// What is measured at first, in the units of the channels.
const AT_FIRST: f64 = 24.0;

/// The device.
pub struct Model {
    folder: String,
    channels: Inputs<Reading>,
    /// By the name of the file.
    files: BTreeMap<String, String>,
}

impl Model {
    /// A device that has these readings, by these names.
    #[must_use]
    pub fn new(channels: Inputs<Reading>) -> Self {
        let mut files = BTreeMap::new();
        for (_, reading) in channels.iter() {
            files.insert(reading.files().remove(0), reading.text(if reading.is_alarm() { 0.0 } else { AT_FIRST }));
        }
        let mut model = Self { folder: String::new(), channels, files };
        model.place(0, None);
        model
    }
}

impl Part for Model {
    fn stimulate(&mut self, channel: &str, value: f64) -> bool {
        let Some((_, reading)) = self.channels.iter().find(|(name, _)| *name == channel) else { return false };
        self.files.insert(reading.files().remove(0), reading.text(value));
        true
    }

    fn files(&mut self) -> Option<&mut dyn KernelPart> {
        Some(self)
    }
}

impl KernelPart for Model {
    fn place(&mut self, number: usize, device: Option<&str>) {
        let (folder, name) = CLASS.made(number, device, "/hwmon");
        self.folder = folder;
        self.files.insert("name".to_owned(), format!("{name}\n"));
    }

    fn paths(&self) -> Vec<String> {
        self.files.keys().map(|file| format!("{}/{file}", self.folder)).collect()
    }

    fn read(&mut self, path: &str) -> Option<String> {
        let file = path.strip_prefix(&self.folder)?.strip_prefix('/')?;
        self.files.get(file).cloned()
    }
}
