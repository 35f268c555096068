//! What the kernel drives by itself, through its files below `/sys`, `/proc` and `/dev`.

use super::errno;
use halyard_drivers::FaultKind;
use halyard_drivers::port::{KernelFiles, PortError, Space, Stream};
use halyard_drivers::sort::sort;
use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// No file of the kernel that is read here is longer.
const LONGEST: u64 = 1 << 20;
/// How much is read of a device at once.
const CHUNK: usize = 64 * 1024;

/// The files of this machine.
pub(super) struct Files {
    /// The folder that stands for `/`.
    root: PathBuf,
}

impl Files {
    /// Those below `root`, which stands for `/`.
    pub(super) fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }
}

impl KernelFiles for Files {
    fn read(&mut self, path: &str) -> Result<String, PortError> {
        let mut bytes = Vec::new();
        let result = File::open(self.path(path)).and_then(|file| file.take(LONGEST).read_to_end(&mut bytes));
        result.map_err(|error| error_of(&error, "reading", path))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn write(&mut self, path: &str, text: &str) -> Result<(), PortError> {
        let file = OpenOptions::new().write(true).open(self.path(path));
        // In one piece: the kernel takes each for a whole.
        file.and_then(|mut file| file.write(text.as_bytes())).map_err(|error| error_of(&error, "writing", path))?;
        Ok(())
    }

    fn list(&mut self, folder: &str) -> Result<Vec<String>, PortError> {
        let entries = fs::read_dir(self.path(folder)).map_err(|error| error_of(&error, "listing", folder))?;
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        let mut names: Vec<_> =
            names.collect::<io::Result<_>>().map_err(|error| error_of(&error, "listing", folder))?;
        sort(&mut names);
        Ok(names)
    }

    fn create(&mut self, folder: &str) -> Result<(), PortError> {
        match fs::create_dir(self.path(folder)) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error_of(&error, "making", folder)),
            _ => Ok(()),
        }
    }

    fn space(&mut self, folder: &str) -> Result<Space, PortError> {
        let fault = |error: io::Error| error_of(&error, "looking at", folder);
        let path = CString::new(self.path(folder).into_os_string().into_vec())
            .map_err(|_| PortError::new(FaultKind::Rejected, format!("{folder:?} is no path")))?;
        let mut found = std::mem::MaybeUninit::<libc::statvfs>::uninit();
        // SAFETY: `path` ends with a NUL, and `found` has room for what is written to it.
        if unsafe { libc::statvfs(path.as_ptr(), found.as_mut_ptr()) } != 0 {
            return Err(fault(io::Error::last_os_error()));
        }
        // SAFETY: statvfs has succeeded, so it has filled all of it.
        let found = unsafe { found.assume_init() };
        // Wider on some machines than on others.
        #[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
        let bytes = |blocks: libc::fsblkcnt_t| (blocks as u64).saturating_mul(found.f_frsize as u64);
        Ok(Space { used: bytes(found.f_blocks.saturating_sub(found.f_bfree)), available: bytes(found.f_bavail) })
    }

    fn stream(&mut self, path: &str) -> Result<Box<dyn Stream>, PortError> {
        let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(self.path(path));
        let file = file.map_err(|error| error_of(&error, "opening", path))?;
        Ok(Box::new(Device { file, path: path.to_owned() }))
    }
}

/// A device that gives bytes.
struct Device {
    file: File,
    path: String,
}

impl Stream for Device {
    fn take(&mut self, wait: Duration, out: &mut Vec<u8>) -> Result<(), PortError> {
        let (deadline, start) = (Instant::now() + wait, out.len());
        let mut chunk = vec![0; CHUNK];
        loop {
            match self.file.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(length) => out.extend(&chunk[..length]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if out.len() > start || left.is_zero() {
                        return Ok(());
                    }
                    self.poll(left)?;
                }
                Err(error) => return Err(error_of(&error, "reading", &self.path)),
            }
        }
    }
}

impl Device {
    /// Waits until there is something to read, or for `time`.
    fn poll(&self, time: Duration) -> Result<(), PortError> {
        let mut poll = libc::pollfd { fd: self.file.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let time = libc::c_int::try_from(time.as_millis()).unwrap_or(libc::c_int::MAX).saturating_add(1);
        // SAFETY: `poll` is one descriptor, open as long as `self`.
        if unsafe { libc::poll(&raw mut poll, 1, time) } < 0 {
            let error = io::Error::last_os_error();
            if error.kind() != ErrorKind::Interrupted {
                return Err(error_of(&error, "waiting for", &self.path));
            }
        }
        Ok(())
    }
}

/// What an error of a kernel driver means. It has tried more than once, mostly, and does not say whether the part is away,
/// or was only disturbed: those errors are worth another attempt before the sensor counts as offline.
fn error_of(error: &io::Error, doing: &str, path: &str) -> PortError {
    let code = error.raw_os_error();
    let kind = match code {
        Some(libc::ENOENT | libc::ENODEV | libc::ENXIO | libc::EREMOTEIO | libc::ENOTDIR) => FaultKind::Absent,
        Some(libc::EACCES | libc::EPERM | libc::EROFS) => FaultKind::Denied,
        Some(libc::EAGAIN | libc::EBUSY | libc::ENODATA | libc::ETIMEDOUT) => FaultKind::NotReady,
        Some(libc::EIO | libc::EBADMSG | libc::EILSEQ | libc::EPROTO) => FaultKind::Corrupt,
        _ => FaultKind::Bus,
    };
    let message = match code {
        Some(libc::ENOENT) => format!("there is no {path}"),
        Some(libc::EACCES | libc::EPERM) => format!("no permission for {doing} {path}"),
        Some(libc::EROFS) => format!("no permission for {doing} {path}: it is read-only here"),
        _ => format!("{doing} {path}: {}", errno::of_use(error)),
    };
    PortError::new(kind, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn files(entries: &[(&str, &str)]) -> (tempfile::TempDir, Files) {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in entries {
            let path = root.path().join(path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let files = Files::new(root.path());
        (root, files)
    }

    #[test]
    fn files_are_read_written_and_listed() {
        let (_root, mut files) = files(&[("/sys/b/x", "1\n"), ("/sys/a", "")]);
        assert_eq!(files.read("/sys/b/x").unwrap(), "1\n");
        files.write("/sys/b/x", "2\n").unwrap();
        assert_eq!(files.read("/sys/b/x").unwrap(), "2\n");
        assert_eq!(files.list("/sys").unwrap(), ["a", "b"]);
        files.create("/sys/c").unwrap();
        files.create("/sys/c").unwrap();
        assert_eq!(files.list("/sys").unwrap(), ["a", "b", "c"]);
    }

    #[test]
    fn what_is_not_there_is_absent_and_not_made() {
        let (root, mut files) = files(&[("/sys/a", "")]);
        for error in [
            files.read("/sys/x").unwrap_err(),
            files.write("/sys/x", "1").unwrap_err(),
            files.list("/sys/x").unwrap_err(),
            files.space("/sys/x").unwrap_err(),
            files.stream("/sys/x").err().unwrap(),
        ] {
            assert_eq!((error.kind, error.message.as_str()), (FaultKind::Absent, "there is no /sys/x"));
        }
        assert!(!root.path().join("sys/x").exists());
        assert_eq!(files.read("/sys/a/b").unwrap_err().kind, FaultKind::Absent);
    }

    #[test]
    fn errors_say_what_follows() {
        let kind = |code| error_of(&io::Error::from_raw_os_error(code), "reading", "/sys/x").kind;
        assert_eq!(kind(libc::EIO), FaultKind::Corrupt);
        assert_eq!(kind(libc::EREMOTEIO), FaultKind::Absent);
        assert_eq!(kind(libc::EBUSY), FaultKind::NotReady);
        assert_eq!(kind(libc::EROFS), FaultKind::Denied);
        assert_eq!(kind(libc::EMFILE), FaultKind::Bus);
        let error = error_of(&io::Error::from_raw_os_error(libc::EBUSY), "writing", "/sys/x");
        assert_eq!(error.message, "writing /sys/x: Device or resource busy (EBUSY)");
    }

    #[test]
    fn the_space_of_a_file_system_is_plausible() {
        let Space { used, available } = Files::new("/").space("/").unwrap();
        assert!(used > 0 && used + available > 1 << 20, "{used} {available}");
    }

    /// A pipe: nothing, then something, then the end.
    #[test]
    fn a_device_is_waited_for_no_longer_than_asked() {
        let (root, mut files) = files(&[]);
        let path = CString::new(root.path().join("pipe").into_os_string().into_vec()).unwrap();
        // SAFETY: `path` ends with a NUL.
        assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
        let mut stream = files.stream("/pipe").unwrap();
        let mut writer = OpenOptions::new().write(true).open(root.path().join("pipe")).unwrap();
        let mut out = Vec::new();
        stream.take(Duration::from_millis(20), &mut out).unwrap();
        assert!(out.is_empty());
        std::thread::scope(|scope| {
            let taken = scope.spawn(|| {
                stream.take(Duration::from_secs(30), &mut out).unwrap();
                out
            });
            writer.write_all(&[1, 2, 3]).unwrap();
            assert_eq!(taken.join().unwrap(), [1, 2, 3]);
        });
    }

    #[test]
    fn without_permission_it_is_denied() {
        let (root, mut files) = files(&[("/sys/a", "")]);
        fs::set_permissions(root.path().join("sys/a"), PermissionsExt::from_mode(0o444)).unwrap();
        // Root may write whatever it is.
        // SAFETY: it has no arguments, and cannot fail.
        if unsafe { libc::geteuid() } != 0 {
            let error = files.write("/sys/a", "1").unwrap_err();
            assert_eq!((error.kind, error.message.as_str()), (FaultKind::Denied, "no permission for writing /sys/a"));
        }
    }
}
