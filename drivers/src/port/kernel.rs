//! What the Linux kernel drives by itself: files by their paths, as they are on a Linux machine.

use super::{PortError, Rounds};
use crate::fault::{Fault, FaultKind};
use std::time::Duration;

/// The files of a Linux machine, as far as they show what the kernel measures. Paths are absolute, without a `/` at
/// their end. An error names the path; one of [`FaultKind::Absent`] means that there is no such file.
pub trait KernelFiles: Send {
    /// All of a file. May block for as long as a measurement takes.
    ///
    /// # Errors
    /// When there is no such file, or no permission, or the kernel's driver fails.
    fn read(&mut self, path: &str) -> Result<String, PortError>;

    /// Writes to a file that is there.
    ///
    /// # Errors
    /// As with [`read`](Self::read).
    fn write(&mut self, path: &str, text: &str) -> Result<(), PortError>;

    /// The names in a folder, sorted.
    ///
    /// # Errors
    /// As with [`read`](Self::read).
    fn list(&mut self, folder: &str) -> Result<Vec<String>, PortError>;

    /// Makes a folder, if it is not there.
    ///
    /// # Errors
    /// As with [`read`](Self::read).
    fn create(&mut self, folder: &str) -> Result<(), PortError>;

    /// How full the file system is that has this folder.
    ///
    /// # Errors
    /// As with [`read`](Self::read).
    fn space(&mut self, folder: &str) -> Result<Space, PortError>;

    /// Opens a device that gives records of bytes.
    ///
    /// # Errors
    /// As with [`read`](Self::read).
    fn stream(&mut self, path: &str) -> Result<Box<dyn Stream>, PortError>;
}

/// How full a file system is, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// What files take.
    pub used: u64,
    /// What is left for users other than root.
    pub available: u64,
}

/// A device that gives bytes.
pub trait Stream: Send {
    /// Appends all that is there to `out`, and waits up to `wait` for the first of it. Nothing came if nothing is appended.
    ///
    /// # Errors
    /// When the device is gone.
    fn take(&mut self, wait: Duration, out: &mut Vec<u8>) -> Result<(), PortError>;
}

/// The kernel of the machine.
pub struct KernelPort {
    /// Its files.
    pub files: Box<dyn KernelFiles>,
    /// What is done once for all drivers of this machine.
    pub rounds: Rounds,
}

impl KernelPort {
    /// The text of a file, without white space around it.
    ///
    /// # Errors
    /// As with [`KernelFiles::read`].
    pub fn text(&mut self, path: &str) -> Result<String, Fault> {
        Ok(self.files.read(path)?.trim().to_owned())
    }

    /// The same; `None` if there is no such file.
    ///
    /// # Errors
    /// As with [`KernelFiles::read`], but for a file that is not there.
    pub fn text_if_any(&mut self, path: &str) -> Result<Option<String>, Fault> {
        match self.text(path) {
            Ok(text) => Ok(Some(text)),
            Err(fault) if fault.kind == FaultKind::Absent => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// The number that a file holds.
    ///
    /// # Errors
    /// As with [`KernelFiles::read`], and [`FaultKind::Corrupt`] for what is no number.
    pub fn number(&mut self, path: &str) -> Result<f64, Fault> {
        let text = self.text(path)?;
        number(&text).ok_or_else(|| Fault::corrupt(format!("{path} holds {text:?}: not a number")))
    }

    /// The same; `None` if there is no such file.
    ///
    /// # Errors
    /// As with [`number`](Self::number), but for a file that is not there.
    pub fn number_if_any(&mut self, path: &str) -> Result<Option<f64>, Fault> {
        match self.number(path) {
            Ok(number) => Ok(Some(number)),
            Err(fault) if fault.kind == FaultKind::Absent => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// The names in a folder, sorted; none if there is no such folder.
    ///
    /// # Errors
    /// As with [`KernelFiles::list`], but for a folder that is not there.
    pub fn names(&mut self, folder: &str) -> Result<Vec<String>, Fault> {
        match self.files.list(folder) {
            Ok(names) => Ok(names),
            Err(error) if error.kind == FaultKind::Absent => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }
}

/// A decimal number as the kernel writes it. Neither infinite nor none.
#[must_use]
pub fn number(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    text.parse::<f64>().ok().filter(|number| plain && number.is_finite())
}
