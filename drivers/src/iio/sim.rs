//! Model of an IIO device: its folder, as a kernel driver fills it, with raw values, scales, and a buffer with a timer.

use super::{CLASS, Inputs, Source};
use crate::sim::{KernelPart, Part};
use std::collections::BTreeMap;

/// The kernel's unit in the steps of a raw value; fine enough for all.
const SCALE: f64 = 1.0 / 65_536.0;
/// What is measured at first, in the units of the channels.
const AT_FIRST: [(&str, f64); 3] = [("temp", 21.5), ("humidityrelative", 40.0), ("pressure", 1013.25)];
/// How a value is in the buffer.
const TYPE: &str = "le:s64/64>>0";

/// The device.
pub struct Model {
    folder: String,
    channels: Inputs<Source>,
    /// Raw values by their channels.
    raw: BTreeMap<String, i64>,
    /// All files but those with raw values, by their paths below the device's folder.
    files: BTreeMap<String, String>,
    /// The timer that was made for it.
    trigger: Option<(String, BTreeMap<String, String>)>,
}

impl Model {
    /// A device that has these channels, by these names.
    #[must_use]
    pub fn new(channels: Inputs<Source>) -> Self {
        let mut files = BTreeMap::new();
        let mut add = |file: String, text: &str| files.insert(file, format!("{text}\n"));
        let mut raw = BTreeMap::new();
        for (index, (_, source)) in channels.iter().enumerate() {
            raw.insert(source.to_string(), 0);
            add(format!("in_{source}_scale"), &format!("{SCALE:.16}"));
            add(format!("scan_elements/in_{source}_en"), "0");
            add(format!("scan_elements/in_{source}_index"), &index.to_string());
            add(format!("scan_elements/in_{source}_type"), TYPE);
        }
        for (file, text) in [("buffer/enable", "0"), ("buffer/length", "2"), ("trigger/current_trigger", "")] {
            add(file.to_owned(), text);
        }
        let mut model = Self { folder: String::new(), channels, raw, files, trigger: None };
        model.place(0, None);
        for (channel, value) in AT_FIRST {
            let names = model.channels.clone();
            for (name, _) in names.iter().filter(|(_, source)| source.to_string() == channel) {
                model.stimulate(name, value);
            }
        }
        model
    }

    fn holds(&self, file: &str, text: &str) -> bool {
        self.files.get(file).is_some_and(|found| found.trim() == text)
    }

    /// The raw value that is in this file.
    fn raw_of(&self, file: &str) -> Option<i64> {
        self.raw.get(file.strip_prefix("in_")?.strip_suffix("_raw")?).copied()
    }

    fn trigger_folder(&self) -> String {
        let number: String = self.folder.chars().rev().take_while(char::is_ascii_digit).collect();
        format!("{}/trigger{number}", CLASS.folder)
    }
}

impl Part for Model {
    #[allow(clippy::cast_possible_truncation)] // ranges are far from it
    fn stimulate(&mut self, channel: &str, value: f64) -> bool {
        let Some((_, source)) = self.channels.iter().find(|(name, _)| *name == channel) else { return false };
        self.raw.insert(source.to_string(), (source.kernel_value(value) / SCALE).round() as i64);
        true
    }

    fn files(&mut self) -> Option<&mut dyn KernelPart> {
        Some(self)
    }
}

impl KernelPart for Model {
    fn place(&mut self, number: usize, device: Option<&str>) {
        let (folder, name) = CLASS.made(number, device, "");
        self.folder = folder;
        self.files.insert("name".to_owned(), format!("{name}\n"));
    }

    fn paths(&self) -> Vec<String> {
        let raw = self.raw.keys().map(|channel| format!("{}/in_{channel}_raw", self.folder));
        let files = self.files.keys().map(|file| format!("{}/{file}", self.folder));
        let timer = self.trigger.iter().flat_map(|(_, files)| files.keys());
        let timer = timer.map(|file| format!("{}/{file}", self.trigger_folder()));
        raw.chain(files).chain(timer).collect()
    }

    fn read(&mut self, path: &str) -> Option<String> {
        if let (Some(file), Some((_, files))) = (path.strip_prefix(&self.trigger_folder()), &self.trigger) {
            return files.get(file.strip_prefix('/')?).cloned();
        }
        let file = path.strip_prefix(&self.folder)?.strip_prefix('/')?;
        match self.raw_of(file) {
            Some(raw) => Some(format!("{raw}\n")),
            None => self.files.get(file).cloned(),
        }
    }

    fn write(&mut self, path: &str, text: &str) -> Option<()> {
        let folder = self.trigger_folder();
        if let (Some(file), Some((_, files))) = (path.strip_prefix(&folder), &mut self.trigger) {
            return files.get_mut(file.strip_prefix('/')?).map(|old| text.clone_into(old));
        }
        let file = path.strip_prefix(&self.folder)?.strip_prefix('/')?;
        self.files.get_mut(file).map(|old| text.clone_into(old))
    }

    fn create(&mut self, folder: &str) -> Option<()> {
        let name = folder.strip_prefix("/sys/kernel/config/iio/triggers/hrtimer/")?;
        let files = [("name", name), ("sampling_frequency", "100.000000")];
        let files = files.map(|(file, text)| (file.to_owned(), format!("{text}\n")));
        self.trigger = Some((name.to_owned(), files.into()));
        Some(())
    }

    /// One record, if it is set up and runs.
    fn records(&mut self, path: &str) -> Option<Vec<u8>> {
        if path != format!("/dev/{}", self.folder.rsplit('/').next()?) {
            return None;
        }
        let trigger = self.trigger.as_ref().map_or("", |(name, _)| name);
        if !self.holds("buffer/enable", "1") || trigger.is_empty() || !self.holds("trigger/current_trigger", trigger) {
            return Some(Vec::new());
        }
        let on = self.channels.iter().map(|(_, source)| source.to_string());
        let on = on.filter(|source| self.holds(&format!("scan_elements/in_{source}_en"), "1"));
        Some(on.flat_map(|source| self.raw[&source].to_le_bytes()).collect())
    }
}
