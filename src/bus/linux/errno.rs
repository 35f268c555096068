//! What the operating system's error numbers mean to a part.

use halyard_drivers::FaultKind;
use halyard_drivers::port::PortError;
use std::io;

/// An error of an open device: text and name, as in `Input/output error (EIO)`.
pub(super) fn of_use(error: &io::Error) -> PortError {
    match error.raw_os_error() {
        None => PortError::new(FaultKind::Bus, error.to_string()),
        Some(libc::ETIMEDOUT) => named(FaultKind::Bus, "timed out", libc::ETIMEDOUT),
        // ESHUTDOWN: spidev's word for a device that was taken away while it was open
        Some(code @ (libc::ENODEV | libc::ESHUTDOWN)) => named(FaultKind::Absent, "the device is gone", code),
        Some(code) => {
            let text = error.to_string();
            let text = text.split(" (os error").next().unwrap_or_default();
            named(FaultKind::Bus, text, code)
        }
    }
}

/// An error of opening `path`, whose users are the members of `group`.
pub(super) fn of_open(error: &io::Error, path: &str, group: &str) -> PortError {
    match error.raw_os_error() {
        Some(libc::ENOENT | libc::ENXIO | libc::ENODEV) => {
            PortError::new(FaultKind::Absent, format!("there is no {path}: is the interface enabled?"))
        }
        Some(libc::EACCES | libc::EPERM) => PortError::new(
            FaultKind::Denied,
            format!("no permission for {path}: whoever runs this has to be a member of the group {group}"),
        ),
        _ => {
            let error = of_use(error);
            PortError::new(error.kind, format!("opening {path}: {error}"))
        }
    }
}

/// `text` with the name of `code`.
pub(super) fn named(kind: FaultKind, text: &str, code: i32) -> PortError {
    match NAMES.iter().find(|(number, _)| *number == code) {
        Some((_, name)) => PortError::new(kind, format!("{text} ({name})")),
        None => PortError::new(kind, format!("{text} (error {code})")),
    }
}

/// Those that the kernel's fault codes for I2C (Documentation/i2c/fault-codes.rst) and the drivers of SPI and GPIO use.
const NAMES: &[(i32, &str)] = &[
    (libc::EACCES, "EACCES"),
    (libc::EAGAIN, "EAGAIN"),
    (libc::EBADMSG, "EBADMSG"),
    (libc::EBUSY, "EBUSY"),
    (libc::ECOMM, "ECOMM"),
    (libc::EFAULT, "EFAULT"),
    (libc::EINTR, "EINTR"),
    (libc::EINVAL, "EINVAL"),
    (libc::EIO, "EIO"),
    (libc::EMFILE, "EMFILE"),
    (libc::EMSGSIZE, "EMSGSIZE"),
    (libc::ENFILE, "ENFILE"),
    (libc::ENODEV, "ENODEV"),
    (libc::ENOENT, "ENOENT"),
    (libc::ENOMEM, "ENOMEM"),
    (libc::ENOTTY, "ENOTTY"),
    (libc::ENXIO, "ENXIO"),
    (libc::EOPNOTSUPP, "EOPNOTSUPP"),
    (libc::EPERM, "EPERM"),
    (libc::EPROTO, "EPROTO"),
    (libc::EREMOTEIO, "EREMOTEIO"),
    (libc::ESHUTDOWN, "ESHUTDOWN"),
    (libc::ETIMEDOUT, "ETIMEDOUT"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_has_text_and_name() {
        let error = of_use(&io::Error::from_raw_os_error(libc::EIO));
        assert_eq!((error.kind, error.message.as_str()), (FaultKind::Bus, "Input/output error (EIO)"));
        let error = of_use(&io::Error::from_raw_os_error(4000));
        assert_eq!(error.message, "Unknown error 4000 (error 4000)");
        let error = of_use(&io::Error::other("short read"));
        assert_eq!(error.message, "short read");
    }

    #[test]
    fn opening_says_what_to_do() {
        let error = |code| of_open(&io::Error::from_raw_os_error(code), "/dev/i2c-1", "i2c");
        assert_eq!(error(libc::ENOENT).kind, FaultKind::Absent);
        assert_eq!(error(libc::ENOENT).message, "there is no /dev/i2c-1: is the interface enabled?");
        assert!(error(libc::EACCES).message.contains("group i2c"));
        assert_eq!(error(libc::EMFILE).message, "opening /dev/i2c-1: Too many open files (EMFILE)");
    }
}
