//! A simulated machine: files, as the kernel shows what it drives.

use super::{SharedPart, lock};
use crate::fault::FaultKind;
use crate::port::{KernelFiles, KernelPort, PortError, Rounds, Space, Stream};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A machine and the parts that its kernel drives. Clones are handles to the same one.
#[derive(Clone, Default)]
pub struct Machine {
    inner: Arc<Mutex<Inner>>,
    rounds: Rounds,
}

#[derive(Default)]
struct Inner {
    parts: Vec<SharedPart>,
    faults: MachineFaults,
    log: Option<Vec<String>>,
}

/// What goes wrong with all files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MachineFaults {
    /// There are none.
    pub absent: bool,
    /// They cannot be read or written.
    pub broken: bool,
    /// They are empty.
    pub empty: bool,
}

impl Machine {
    /// One whose kernel drives nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `part`, which the configuration calls `device`.
    pub fn attach(&self, part: SharedPart, device: Option<&str>) {
        let mut inner = lock(&self.inner);
        let number = inner.parts.len();
        if let Some(files) = part.lock().files() {
            files.place(number, device);
        }
        inner.parts.push(part);
    }

    /// Takes away all parts.
    pub fn detach(&self) {
        lock(&self.inner).parts.clear();
    }

    /// What a driver gets.
    #[must_use]
    pub fn port(&self) -> KernelPort {
        KernelPort { files: Box::new(self.clone()), rounds: self.rounds.clone() }
    }

    /// Sets what goes wrong from now on.
    pub fn set_faults(&self, faults: MachineFaults) {
        lock(&self.inner).faults = faults;
    }

    /// Starts to record.
    pub fn record(&self) {
        lock(&self.inner).log = Some(Vec::new());
    }

    /// What was recorded since the last call: a line for each file that was read or written, as in
    /// `/sys/class/hwmon/hwmon0/name R "lm75\n"`.
    #[must_use]
    pub fn recorded(&self) -> Vec<String> {
        lock(&self.inner).log.as_mut().map(std::mem::take).unwrap_or_default()
    }
}

impl Inner {
    /// All that the parts make of something; an error where it is none of theirs.
    fn ask<T>(&self, path: &str, mut ask: impl FnMut(&mut dyn KernelPart) -> Option<T>) -> Result<Vec<T>, PortError> {
        if self.faults.broken {
            return Err(PortError::new(FaultKind::Bus, format!("{path}: Input/output error")));
        }
        let answers: Vec<T> = self.parts.iter().filter_map(|part| ask(part.lock().files()?)).collect();
        if answers.is_empty() || self.faults.absent {
            return Err(PortError::new(FaultKind::Absent, format!("there is no {path}")));
        }
        Ok(answers)
    }

    fn note(&mut self, path: &str, direction: char, result: Result<&str, &PortError>) {
        if let Some(log) = &mut self.log {
            log.push(match result {
                Ok(text) => format!("{path} {direction} \"{}\"", text.escape_default()),
                Err(error) => error.to_string(),
            });
        }
    }
}

impl KernelFiles for Machine {
    fn read(&mut self, path: &str) -> Result<String, PortError> {
        let mut inner = lock(&self.inner);
        // One file of several parts says something of each.
        let result = inner.ask(path, |part| part.read(path)).map(|texts| texts.concat());
        let result = if inner.faults.empty { result.map(|_| String::new()) } else { result };
        inner.note(path, 'R', result.as_deref());
        result
    }

    fn write(&mut self, path: &str, text: &str) -> Result<(), PortError> {
        let mut inner = lock(&self.inner);
        let result = inner.ask(path, |part| part.write(path, text)).map(drop);
        inner.note(path, 'W', result.as_ref().map(|()| text));
        result
    }

    fn list(&mut self, folder: &str) -> Result<Vec<String>, PortError> {
        let names = lock(&self.inner).ask(folder, |part| {
            let below = |path: &String| {
                let name = path.strip_prefix(folder)?.strip_prefix('/')?.split('/').next()?;
                Some(name.to_owned())
            };
            let names: Vec<_> = part.paths().iter().filter_map(below).collect();
            (!names.is_empty()).then_some(names)
        })?;
        Ok(names.into_iter().flatten().collect::<BTreeSet<_>>().into_iter().collect())
    }

    fn create(&mut self, folder: &str) -> Result<(), PortError> {
        lock(&self.inner).ask(folder, |part| part.create(folder)).map(drop)
    }

    fn space(&mut self, folder: &str) -> Result<Space, PortError> {
        let spaces = lock(&self.inner).ask(folder, |part| part.space(folder))?;
        Ok(spaces.first().copied().unwrap_or_default())
    }

    fn stream(&mut self, path: &str) -> Result<Box<dyn Stream>, PortError> {
        lock(&self.inner).ask(path, |part| part.records(path))?;
        Ok(Box::new(Records { machine: self.clone(), path: path.to_owned() }))
    }
}

/// An open device of a machine.
struct Records {
    machine: Machine,
    path: String,
}

impl Stream for Records {
    fn take(&mut self, _wait: Duration, out: &mut Vec<u8>) -> Result<(), PortError> {
        let records = lock(&self.machine.inner).ask(&self.path, |part| part.records(&self.path))?;
        records.iter().for_each(|bytes| out.extend(bytes));
        Ok(())
    }
}

/// A part as its kernel driver shows it.
pub trait KernelPart {
    /// It is the part with this number of its machine, and the configuration calls it `device`.
    fn place(&mut self, number: usize, device: Option<&str>) {
        let _ = (number, device);
    }

    /// The paths of all its files.
    fn paths(&self) -> Vec<String>;

    /// What a file holds; `None` if it has no such file.
    fn read(&mut self, path: &str) -> Option<String>;

    /// Writes to a file; `None` if it has no such file.
    fn write(&mut self, path: &str, text: &str) -> Option<()> {
        let _ = (path, text);
        None
    }

    /// Makes a folder; `None` if it cannot be made.
    fn create(&mut self, folder: &str) -> Option<()> {
        let _ = folder;
        None
    }

    /// How full the file system with this folder is; `None` if it has no such folder.
    fn space(&mut self, folder: &str) -> Option<Space> {
        let _ = folder;
        None
    }

    /// What a device gives now; `None` if it has no such device.
    fn records(&mut self, path: &str) -> Option<Vec<u8>> {
        let _ = path;
        None
    }
}

/// Files with texts, such as those that were recorded on a machine.
#[derive(Clone, Debug, Default)]
pub struct Files(pub std::collections::BTreeMap<String, String>);

impl Files {
    /// These, below a folder.
    #[must_use]
    pub fn new(folder: &str, files: &[(&str, &str)]) -> Self {
        Self(files.iter().map(|(path, text)| (format!("{folder}/{path}"), (*text).to_owned())).collect())
    }
}

impl super::Part for Files {
    fn stimulate(&mut self, path: &str, _value: f64) -> bool {
        self.0.contains_key(path)
    }

    fn files(&mut self) -> Option<&mut dyn KernelPart> {
        Some(self)
    }
}

impl KernelPart for Files {
    fn paths(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    fn read(&mut self, path: &str) -> Option<String> {
        self.0.get(path).cloned()
    }

    fn write(&mut self, path: &str, text: &str) -> Option<()> {
        self.0.get_mut(path).map(|file| text.clone_into(file))
    }
}
