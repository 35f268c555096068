//! A Raspberry Pi's lines through the crate rppal: its registers instead of system calls, and pulses from software.
//!
//! The kernel has each line reserved for us all the same, and it is the kernel that makes one an output: what the
//! character device promises holds here too. Only levels are then written and read in the registers. The reasons are in
//! `docs/decisions/`.

use super::linux::gpio::{Output, Place};
use super::{Bus, Edges, Linux, Serial};
use crate::config::{LineName, PwmName};
use halyard_drivers::FaultKind;
use halyard_drivers::port::{
    I2cPort, InputSettings, OutputLine, OutputPort, PortError, PwmPort, SerialSettings, SpiPort, SpiSettings,
};
use rppal::gpio::{Error, Gpio, Level, OutputPin};
use rppal::system::DeviceInfo;
use std::fs::OpenOptions;

/// What gives access to the registers of GPIO and to nothing else: up to the Pi 4, and on the Pi 5.
const REGISTERS: [&str; 2] = ["/dev/gpiomem", "/dev/gpiomem0"];

/// A Raspberry Pi: its header by rppal, all else as on any Linux machine.
pub struct Raspberry {
    linux: Linux,
    gpio: Gpio,
}

impl Raspberry {
    /// For `board: raspberry-pi`. Changes nothing on the board.
    ///
    /// # Errors
    /// Why this is none, or cannot be used as one.
    pub fn open() -> Result<Self, PortError> {
        let model = model().ok_or_else(|| refused(&Error::UnknownModel))?;
        let gpio = Gpio::new().map_err(|error| refused(&error))?;
        tracing::info!("{model}: GPIO by its registers");
        Ok(Self { linux: Linux::new(), gpio })
    }

    /// For `board: auto`: only with what was made for it, never with all of the machine's memory.
    ///
    /// # Errors
    /// Why not.
    pub fn if_suitable() -> Result<Self, PortError> {
        let suits = |path: &&str| OpenOptions::new().read(true).write(true).open(path).is_ok();
        match model() {
            None => Err(refused(&Error::UnknownModel)),
            Some(_) if REGISTERS.iter().any(|path| suits(&path)) => Self::open(),
            Some(model) => Err(PortError::new(
                FaultKind::Absent,
                format!("{model}: neither {} can be opened", REGISTERS.join(" nor ")),
            )),
        }
    }
}

/// The board, if it is one that rppal knows. It goes by `/proc/cpuinfo` first, where other makers' boards may have what
/// looks like a Raspberry Pi's revision: registers that are not there must not be written to.
fn model() -> Option<String> {
    let compatible = std::fs::read_to_string("/proc/device-tree/compatible").ok()?;
    let is_one = compatible.split('\0').any(|name| name.starts_with("raspberrypi,"));
    DeviceInfo::new().ok().filter(|_| is_one).map(|info| info.model().to_string())
}

fn refused(error: &Error) -> PortError {
    match error {
        Error::UnknownModel => PortError::new(FaultKind::Absent, "no Raspberry Pi that rppal knows"),
        Error::PermissionDenied(path) => PortError::new(
            FaultKind::Denied,
            format!("no permission for {path}: whoever runs this has to be a member of the group gpio"),
        ),
        error => PortError::new(
            FaultKind::Absent,
            format!("the registers of GPIO ({}) are not accessible: {error}", REGISTERS.join(" or ")),
        ),
    }
}

impl Bus for Raspberry {
    fn i2c(&self, bus: u8, address: u8) -> Result<I2cPort, PortError> {
        self.linux.i2c(bus, address)
    }

    fn spi(&self, bus: u8, chip_select: u8, settings: SpiSettings) -> Result<SpiPort, PortError> {
        self.linux.spi(bus, chip_select, settings)
    }

    fn output(&self, line: &LineName) -> Result<OutputPort, PortError> {
        let place = Place::find(line)?;
        let output = place.output()?;
        Ok(OutputPort(match place.header_gpio() {
            Some(number) => Box::new(Registers { pin: None, number, gpio: self.gpio.clone(), output }),
            // A chip on I2C, or a line of the board's own.
            None => Box::new(output),
        }))
    }

    fn pwm(&self, channel: &PwmName) -> Result<PwmPort, PortError> {
        self.linux.pwm(channel)
    }

    fn input(&self, line: &LineName, settings: InputSettings) -> Result<Box<dyn Edges>, PortError> {
        // Only the kernel knows when an edge was.
        self.linux.input(line, settings)
    }

    fn serial(&self, path: &str, settings: SerialSettings) -> Result<Box<dyn Serial>, PortError> {
        self.linux.serial(path, settings)
    }
}

/// A line that is driven by its registers, once it is an output.
struct Registers {
    /// Before the reservation, so that it is let go before that is.
    pin: Option<OutputPin>,
    number: u8,
    gpio: Gpio,
    output: Output,
}

impl OutputLine for Registers {
    fn drive(&mut self, high: bool) -> Result<(), PortError> {
        if let Some(pin) = &mut self.pin {
            pin.write(Level::from(high));
            return Ok(());
        }
        // The kernel does it: level and direction in one step, and under its lock. The register for directions has those
        // of nine other lines, which the kernel may be changing.
        self.output.drive(high)?;
        self.pin = Some(taken(&self.gpio, self.number, high)?);
        Ok(())
    }

    fn level(&mut self) -> Result<bool, PortError> {
        match &self.pin {
            Some(pin) => Ok(pin.is_set_high()),
            None => self.output.level(),
        }
    }
}

/// Takes over a line that is an output of this level.
fn taken(gpio: &Gpio, number: u8, high: bool) -> Result<OutputPin, PortError> {
    let pin = gpio.get(number).map_err(|error| PortError::new(FaultKind::Bus, format!("GPIO{number}: {error}")))?;
    let mut pin = if high { pin.into_output_high() } else { pin.into_output_low() };
    // It is for the kernel to say what becomes of a line that nobody has.
    pin.set_reset_on_drop(false);
    Ok(pin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_to_do() {
        let denied = refused(&Error::PermissionDenied("/dev/gpiomem".to_owned()));
        assert_eq!(denied.kind, FaultKind::Denied);
        assert!(denied.message.contains("group gpio"), "{denied}");
        let other = refused(&Error::Io(std::io::ErrorKind::NotFound.into()));
        assert!(other.message.contains("/dev/gpiomem or /dev/gpiomem0"), "{other}");
        assert!(refused(&Error::UnknownModel).message.contains("no Raspberry Pi"));
    }

    #[test]
    fn what_is_no_raspberry_pi_is_left_alone() {
        if model().is_none() {
            assert_eq!(Raspberry::open().err().unwrap().kind, FaultKind::Absent);
            assert_eq!(Raspberry::if_suitable().err().unwrap().kind, FaultKind::Absent);
        }
    }
}
