//! I2C through `/dev/i2c-N`.

use super::{BusLock, errno, lock};
use embedded_hal::i2c::{ErrorType, I2c, Operation};
use halyard_drivers::FaultKind;
use halyard_drivers::port::{I2cPort, PortError};
use halyard_drivers::sort::sort;
use linux_embedded_hal::I2cdev;
use linux_embedded_hal::i2cdev::linux::LinuxI2CError;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// Opens `/dev/i2c-<bus>` for one device.
pub(super) fn open(bus: u8, lock: BusLock) -> Result<I2cPort, PortError> {
    let path = format!("/dev/i2c-{bus}");
    let device = I2cdev::new(&path).map_err(|error| errno::of_open(&error.into(), &path, "i2c"))?;
    Ok(I2cPort(Box::new(Device { device, bus, lock })))
}

/// A device with a handle of its own: `I2cdev` opens the file anew whenever the address changes, which makes a transfer
/// several times as long where devices take turns on one handle.
struct Device {
    device: I2cdev,
    bus: u8,
    lock: BusLock,
}

impl ErrorType for Device {
    type Error = PortError;
}

impl I2c for Device {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), PortError> {
        if operations.is_empty() {
            return Ok(()); // the kernel would call no messages at all an invalid argument
        }
        if let [Operation::Write([])] = operations
            && !self.sends_addresses_alone()
        {
            return Err(PortError::new(FaultKind::Rejected, "this adapter cannot send an address alone"));
        }
        if operations.windows(2).any(|pair| is_read(&pair[0]) == is_read(&pair[1])) {
            return self.merged(address, operations);
        }
        self.transfer(address, operations)
    }
}

impl Device {
    fn transfer(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), PortError> {
        let _bus = lock(&self.lock);
        self.device.transaction(address, operations).map_err(|error| self.error(address, error.inner()))
    }

    /// Operations in the same direction that follow each other are one message on the wire (embedded-hal's `I2c`). The
    /// kernel has a flag for that which many adapters, the Raspberry Pi's for one, ignore: they would start anew.
    fn merged(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), PortError> {
        let mut messages: Vec<(bool, Vec<u8>)> = Vec::new();
        for run in operations.chunk_by(|a, b| is_read(a) == is_read(b)) {
            let mut bytes = Vec::new();
            for operation in run {
                match operation {
                    Operation::Write(part) => bytes.extend_from_slice(part),
                    Operation::Read(part) => bytes.resize(bytes.len() + part.len(), 0),
                }
            }
            messages.push((run.first().is_some_and(is_read), bytes));
        }
        let mut whole: Vec<_> = messages
            .iter_mut()
            .map(|(read, bytes)| if *read { Operation::Read(bytes) } else { Operation::Write(bytes) })
            .collect();
        self.transfer(address, &mut whole)?;
        let mut received = messages.into_iter().filter(|(read, _)| *read).flat_map(|(_, bytes)| bytes);
        for operation in operations {
            if let Operation::Read(part) = operation {
                part.iter_mut().zip(received.by_ref()).for_each(|(to, from)| *to = from);
            }
        }
        Ok(())
    }

    fn error(&self, address: u8, error: &LinuxI2CError) -> PortError {
        let error = match error {
            LinuxI2CError::Errno(code) => &io::Error::from_raw_os_error(*code),
            LinuxI2CError::Io(error) => error,
        };
        match error.raw_os_error() {
            // Most adapters answer ENXIO; the Raspberry Pi's (i2c-bcm2835) answers EREMOTEIO.
            Some(code @ (libc::ENXIO | libc::EREMOTEIO)) => errno::named(FaultKind::Absent, "no acknowledge", code),
            Some(libc::EBUSY) => match kernel_driver(self.bus, address) {
                Some(driver) => PortError::new(
                    FaultKind::Bus,
                    format!("the kernel's own driver {driver} has the device at this address (EBUSY)"),
                ),
                None => errno::of_use(error),
            },
            // The first transfer opens the file once more.
            Some(libc::ENOENT) => errno::of_open(error, &format!("/dev/i2c-{}", self.bus), "i2c"),
            _ => errno::of_use(error),
        }
    }

    /// Whether the adapter can do what SMBus calls a quick write (linux/i2c.h). Without it, some hang when they try.
    fn sends_addresses_alone(&self) -> bool {
        const I2C_FUNCS: libc::c_ulong = 0x0705;
        const I2C_FUNC_SMBUS_QUICK: libc::c_ulong = 0x0001_0000;
        let Ok(file) = File::open(format!("/dev/i2c-{}", self.bus)) else { return false };
        let mut functions: libc::c_ulong = 0;
        // SAFETY: the request writes one unsigned long, which `functions` is.
        let result = unsafe { libc::ioctl(file.as_raw_fd(), I2C_FUNCS as _, &raw mut functions) };
        result >= 0 && functions & I2C_FUNC_SMBUS_QUICK != 0
    }
}

/// The driver of the kernel that has this device, if one has.
pub(super) fn kernel_driver(bus: u8, address: u8) -> Option<String> {
    let link = format!("/sys/bus/i2c/devices/{bus}-{address:04x}/driver");
    Some(std::fs::read_link(link).ok()?.file_name()?.to_string_lossy().into_owned())
}

/// The numbers of all `/dev/i2c-N`.
pub(super) fn buses() -> Vec<u8> {
    let names = std::fs::read_dir("/dev").into_iter().flatten().flatten().map(|entry| entry.file_name());
    let mut numbers: Vec<u8> = names.filter_map(|name| name.to_str()?.strip_prefix("i2c-")?.parse().ok()).collect();
    sort(&mut numbers);
    numbers
}

fn is_read(operation: &Operation<'_>) -> bool {
    matches!(operation, Operation::Read(_))
}
