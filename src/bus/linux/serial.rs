//! Serial ports, through the crate tokio-serial: no thread for a port.

use crate::bus::Serial;
use halyard_drivers::FaultKind;
use halyard_drivers::port::{Parity, PortError, SerialSettings};
use std::io;
use std::os::unix::fs::FileTypeExt;
use tokio_serial::{DataBits, ErrorKind, FlowControl, SerialPortBuilder, SerialStream, StopBits};

/// Opens a port, for nobody else at the same time: with TIOCEXCL, and a lock for those who are root.
pub(super) fn open(path: &str, settings: SerialSettings) -> Result<Box<dyn Serial>, PortError> {
    let builder = builder(path, settings)
        .ok_or_else(|| PortError::new(FaultKind::Rejected, "no serial port has such data or stop bits"))?;
    // What is no port is opened as little as possible: some devices do something then.
    if std::fs::metadata(path).is_ok_and(|file| !file.file_type().is_char_device()) {
        return Err(PortError::new(FaultKind::Rejected, format!("{path} is no serial port")));
    }
    match SerialStream::open(&builder) {
        Ok(port) => Ok(Box::new(port)),
        Err(error) => Err(refused(path, error.kind(), &error.description)),
    }
}

fn builder(path: &str, settings: SerialSettings) -> Option<SerialPortBuilder> {
    let data_bits = match settings.data_bits {
        5 => DataBits::Five,
        6 => DataBits::Six,
        7 => DataBits::Seven,
        8 => DataBits::Eight,
        _ => return None,
    };
    let stop_bits = match settings.stop_bits {
        1 => StopBits::One,
        2 => StopBits::Two,
        _ => return None,
    };
    let parity = match settings.parity {
        Parity::None => tokio_serial::Parity::None,
        Parity::Even => tokio_serial::Parity::Even,
        Parity::Odd => tokio_serial::Parity::Odd,
    };
    let builder = tokio_serial::new(path, settings.baud).flow_control(FlowControl::None).exclusive(true);
    Some(builder.data_bits(data_bits).stop_bits(stop_bits).parity(parity))
}

fn refused(path: &str, kind: ErrorKind, description: &str) -> PortError {
    match kind {
        ErrorKind::Io(io::ErrorKind::NotFound) => PortError::new(FaultKind::Absent, format!("there is no {path}")),
        ErrorKind::Io(io::ErrorKind::PermissionDenied) => PortError::new(
            FaultKind::Denied,
            format!("no permission for {path}: whoever runs this has to be a member of the group dialout"),
        ),
        // What the crate makes of EBUSY, and of a lock that somebody else holds.
        ErrorKind::NoDevice => PortError::new(FaultKind::Bus, format!("{path} is in use by another program (EBUSY)")),
        _ => PortError::new(FaultKind::Bus, format!("opening {path}: {description}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: SerialSettings = SerialSettings::plain(9600);

    fn fault(path: &str) -> (FaultKind, String) {
        let error = open(path, PLAIN).err().unwrap();
        (error.kind, error.message)
    }

    #[tokio::test]
    async fn what_cannot_be_opened() {
        let expected = (FaultKind::Absent, "there is no /dev/serial/by-id/none".to_owned());
        assert_eq!(fault("/dev/serial/by-id/none"), expected);
        assert_eq!(fault("/proc/version"), (FaultKind::Rejected, "/proc/version is no serial port".to_owned()));
        assert_eq!(fault("/dev/null").0, FaultKind::Bus);
    }

    #[test]
    fn errors_say_what_to_do() {
        let denied = refused("/dev/ttyUSB0", ErrorKind::Io(io::ErrorKind::PermissionDenied), "Permission denied");
        assert_eq!(denied.kind, FaultKind::Denied);
        assert!(denied.message.ends_with("group dialout"), "{denied}");
        let busy = refused("/dev/ttyUSB0", ErrorKind::NoDevice, "Device or resource busy");
        assert_eq!(busy.message, "/dev/ttyUSB0 is in use by another program (EBUSY)");
    }

    #[test]
    fn settings_that_no_port_has() {
        assert!(builder("/dev/ttyS0", SerialSettings { data_bits: 9, ..PLAIN }).is_none());
        assert!(builder("/dev/ttyS0", SerialSettings { stop_bits: 0, ..PLAIN }).is_none());
        assert!(
            builder("/dev/ttyS0", SerialSettings { data_bits: 7, stop_bits: 2, parity: Parity::Even, ..PLAIN })
                .is_some()
        );
    }
}
