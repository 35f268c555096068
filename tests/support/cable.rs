//! A serial port without hardware: a pseudo terminal.

use std::ffi::CStr;
use std::fs::File;
use std::io::Write;
use std::os::fd::FromRawFd;

/// A cable: the test has the device's end. Dropping it pulls it.
pub struct Cable {
    pub device: File,
    /// Keeps what was said before somebody listens.
    _port: File,
    pub path: String,
}

impl Cable {
    pub fn new() -> Self {
        let (mut device, mut port) = (-1, -1);
        let mut name = [0; 64];
        // SAFETY: plain data; all zeros are a value of it.
        let mut raw: libc::termios = unsafe { std::mem::zeroed() };
        // SAFETY: all pointers are to variables of ours; 64 bytes are enough for a name below /dev/pts.
        unsafe {
            libc::cfmakeraw(&raw mut raw);
            let null = std::ptr::null_mut();
            assert_eq!(libc::openpty(&raw mut device, &raw mut port, name.as_mut_ptr(), &raw mut raw, null), 0);
        }
        // SAFETY: openpty ended the name with a zero, and gave two descriptors that nobody else has.
        let (name, device, port) =
            unsafe { (CStr::from_ptr(name.as_ptr()), File::from_raw_fd(device), File::from_raw_fd(port)) };
        Self { device, _port: port, path: name.to_str().unwrap().to_owned() }
    }

    pub fn say(&mut self, bytes: &[u8]) {
        self.device.write_all(bytes).unwrap();
    }
}
