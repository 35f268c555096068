//! A serial port without hardware: a pseudo terminal.

use super::wait_until;
use std::ffi::CStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::OpenOptionsExt;

/// A cable: the test has the device's end. Dropping it pulls it.
pub struct Cable {
    pub device: File,
    /// Keeps what was said before somebody listens.
    _port: File,
    pub path: String,
}

impl Cable {
    pub fn new() -> Self {
        // No program that a test starts may hold an end.
        let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
        let mut name = [0; 64];
        // SAFETY: the descriptor is a new one; 64 bytes are enough for a name below /dev/pts, which ends with a zero.
        let (device, name) = unsafe {
            let device = libc::posix_openpt(flags);
            assert!(device >= 0 && libc::grantpt(device) == 0 && libc::unlockpt(device) == 0);
            assert_eq!(libc::ptsname_r(device, name.as_mut_ptr(), name.len()), 0);
            (File::from_raw_fd(device), CStr::from_ptr(name.as_ptr()))
        };
        let path = name.to_str().unwrap().to_owned();
        let port = File::options().read(true).write(true).custom_flags(libc::O_NOCTTY).open(&path).unwrap();
        // SAFETY: plain data, of which all zeros are a value; the pointers are to it, the descriptor is open.
        unsafe {
            let mut raw: libc::termios = std::mem::zeroed();
            libc::cfmakeraw(&raw mut raw);
            assert_eq!(libc::tcsetattr(port.as_raw_fd(), libc::TCSANOW, &raw const raw), 0);
        }
        Self { device, _port: port, path }
    }

    pub fn say(&mut self, bytes: &[u8]) {
        self.device.write_all(bytes).unwrap();
    }

    /// What has come so far. The cable is looked at for a moment only: whoever reads a cable holds it.
    pub fn heard(&mut self, bytes: &mut Vec<u8>) {
        let mut polled = libc::pollfd { fd: self.device.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: the pointer is to one structure of ours.
        while unsafe { libc::poll(&raw mut polled, 1, 0) } == 1 && polled.revents & libc::POLLIN != 0 {
            let mut buffer = [0; 256];
            let length = self.device.read(&mut buffer).unwrap();
            bytes.extend_from_slice(&buffer[..length]);
        }
    }

    pub fn hears(&mut self, expected: &[u8]) {
        let mut bytes = Vec::new();
        wait_until(&format!("\"{}\"", expected.escape_ascii()), || {
            self.heard(&mut bytes);
            bytes.len() >= expected.len()
        });
        assert_eq!(bytes, expected, "{}", bytes.escape_ascii());
    }
}
