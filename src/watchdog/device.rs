//! The machine's watchdog, `/dev/watchdog`: it resets the machine when nobody feeds it.
//!
//! The interface is that of the kernel's Documentation/watchdog/watchdog-api.rst: opening it starts it, a write feeds it, and
//! closing it stops it only after a `V` was written last, the "magic close". Without that, as after a crash, it goes on.

use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::Duration;

/// include/uapi/linux/watchdog.h: sets the time in seconds, and gives the one in force.
const SETTIMEOUT: libc::Ioctl = libc::_IOWR::<libc::c_int>(b'W' as u32, 6);
/// The same: gives the time in force.
const GETTIMEOUT: libc::Ioctl = libc::_IOR::<libc::c_int>(b'W' as u32, 7);

/// A watchdog that runs. Dropped without [`disarm`](Self::disarm), it goes on, and resets the machine.
pub struct Device {
    file: File,
    timeout: Duration,
    failed: bool,
}

impl Device {
    /// Starts the one at `path`, to reset the machine `timeout` after it was fed last, in whole seconds.
    ///
    /// # Errors
    /// It is not there, may not be used, is used by somebody else, or cannot count so far. The message says what to do.
    pub fn open(path: &Path, timeout: Duration) -> Result<Self, Error> {
        let told = |error: Error| {
            let hint = match error.kind() {
                ErrorKind::NotFound => "there is none; on a Raspberry Pi `dtparam=watchdog=on` in config.txt makes it",
                ErrorKind::PermissionDenied => "no permission: see \"Hardware watchdog\" in docs/reliability.md",
                ErrorKind::ResourceBusy => {
                    "in use, by systemd if `RuntimeWatchdogSec=` is set in /etc/systemd/system.conf: take one of both"
                }
                _ => return Error::new(error.kind(), format!("{}: {error}", path.display())),
            };
            Error::new(error.kind(), format!("{}: {hint}", path.display()))
        };
        let file = OpenOptions::new().write(true).open(path).map_err(told)?;
        let mut device = Self { file, timeout, failed: false };
        device.set(path).inspect_err(|_| {
            // Nothing is lost when this fails too: the first error is told.
            let _ = device.file.write_all(b"V");
        })?;
        Ok(device)
    }

    fn set(&mut self, path: &Path) -> Result<(), Error> {
        let wanted = i32::try_from(self.timeout.as_millis().div_ceil(1000)).unwrap_or(i32::MAX);
        let mut seconds = wanted;
        // SAFETY: both take a pointer to an int, which is ours.
        let mut ask = |request| unsafe { libc::ioctl(self.file.as_raw_fd(), request as _, &raw mut seconds) };
        if ask(SETTIMEOUT) != 0 {
            let error = Error::last_os_error();
            if error.kind() == ErrorKind::InvalidInput {
                let message =
                    format!("{}: cannot count to {wanted} s: take a shorter `watchdog_timeout`", path.display());
                return Err(Error::new(ErrorKind::InvalidInput, message));
            }
            // Some have a time of their own.
            if ask(GETTIMEOUT) != 0 {
                return Err(Error::new(error.kind(), format!("{}: not a watchdog: {error}", path.display())));
            }
        }
        self.timeout = Duration::from_secs(u64::try_from(seconds).unwrap_or_default().max(1));
        Ok(())
    }

    /// The time after which it resets the machine, as it took it.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Puts the reset off. A failure is logged, once.
    pub(super) fn feed(&mut self) {
        if let Err(error) = self.file.write_all(b"\0") {
            if !self.failed {
                tracing::error!("the hardware watchdog cannot be fed: {error}; it will reset the machine");
            }
            self.failed = true;
        }
    }

    /// Stops it.
    pub fn disarm(mut self) {
        if let Err(error) = self.file.write_all(b"V") {
            tracing::error!("the hardware watchdog cannot be stopped: {error}; it will reset the machine");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feeds_and_stops_as_the_kernel_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("watchdog");
        let file = File::create(&path).unwrap();
        let mut device = Device { file, timeout: Duration::from_secs(9), failed: false };
        device.feed();
        device.feed();
        assert_eq!(std::fs::read(&path).unwrap(), b"\0\0", "not a `V` among them");
        drop(device);
        assert_eq!(std::fs::read(&path).unwrap(), b"\0\0", "a crash leaves it running");
        let file = File::create(&path).unwrap();
        Device { file, timeout: Duration::from_secs(9), failed: false }.disarm();
        assert_eq!(std::fs::read(&path).unwrap(), b"V");
    }

    #[test]
    fn says_what_is_wrong_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let open = |name: &str| Device::open(&folder.path().join(name), Duration::from_secs(9)).err().unwrap();
        assert!(open("none").to_string().contains("none: there is none; on a Raspberry Pi"));
        std::fs::write(folder.path().join("file"), "").unwrap();
        assert!(open("file").to_string().contains("file: not a watchdog: "));
    }
}
