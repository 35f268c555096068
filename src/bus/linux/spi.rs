//! SPI through `/dev/spidevB.C`.

use super::{BusLock, errno, lock};
use embedded_hal::spi::{ErrorType, Mode, Operation, Phase, Polarity, SpiDevice};
use halyard_drivers::FaultKind;
use halyard_drivers::port::{PortError, SpiPort, SpiSettings};
use linux_embedded_hal::SpidevDevice;
use linux_embedded_hal::spidev::{SpiModeFlags, SpidevOptions};

/// Opens `/dev/spidev<bus>.<chip_select>`.
pub(super) fn open(bus: u8, chip_select: u8, settings: SpiSettings, lock: BusLock) -> Result<SpiPort, PortError> {
    let path = format!("/dev/spidev{bus}.{chip_select}");
    let mut device = SpidevDevice::open(&path).map_err(|error| errno::of_open(error.inner(), &path, "spi"))?;
    let options =
        SpidevOptions::new().bits_per_word(8).max_speed_hz(settings.max_hz).mode(flags(settings.mode)).build();
    device.configure(&options).map_err(|error| {
        let error = errno::of_use(&error);
        PortError::new(error.kind, format!("{path} does not take mode and speed of the part: {error}"))
    })?;
    Ok(SpiPort(Box::new(Device { device, lock })))
}

fn flags(mode: Mode) -> SpiModeFlags {
    let mut flags = SpiModeFlags::empty();
    flags.set(SpiModeFlags::SPI_CPOL, mode.polarity == Polarity::IdleHigh);
    flags.set(SpiModeFlags::SPI_CPHA, mode.phase == Phase::CaptureOnSecondTransition);
    flags
}

struct Device {
    device: SpidevDevice,
    lock: BusLock,
}

/// What the kernel can wait for inside a transaction: 16 bits of µs.
const LONGEST_DELAY_NS: u32 = 65_535_000;

impl ErrorType for Device {
    type Error = PortError;
}

impl SpiDevice for Device {
    /// One message: the chip stays selected from the first operation to the last one.
    fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), PortError> {
        for operation in operations.iter_mut() {
            if let Operation::DelayNs(ns) = operation {
                // SpidevDevice would shorten a longer one, and rounds down to µs.
                if *ns > LONGEST_DELAY_NS {
                    return Err(PortError::new(FaultKind::Rejected, "a delay within a transfer is at most 65 ms"));
                }
                *ns = ns.next_multiple_of(1_000);
            }
        }
        let _bus = lock(&self.lock);
        self.device.transaction(operations).map_err(|error| errno::of_use(error.inner()))
    }
}
