//! A Raspberry Pi's lines through the crate rppal: its registers instead of system calls, and pulses from software.
//!
//! The kernel has each line reserved for us all the same, and it is the kernel that makes one an output: what the
//! character device promises holds here too. Only levels are then written and read in the registers. The reasons are in
//! `docs/decisions/`.

use super::linux::gpio::{Output, Place};
use super::linux::pwm;
use super::{Bus, Edges, Linux, Serial};
use crate::config::{LineName, Link, PwmName};
use halyard_drivers::FaultKind;
use halyard_drivers::port::{
    I2cPort, InputPort, InputSettings, KernelPort, ModbusPort, ModbusSettings, OutputLine, OutputPort, PortError,
    PwmOutput, PwmPort, SerialSettings, SpiPort, SpiSettings,
};
use rppal::gpio::{Error, Gpio, Level, Mode, OutputPin};
use rppal::system::DeviceInfo;
use std::fs::OpenOptions;
use std::time::Duration;

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
            Some(_) if REGISTERS.iter().any(suits) => Self::open(),
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
        let PwmName::Line(line) = channel else { return self.linux.pwm(channel) };
        let place = Place::find(line)?;
        let Some(number) = place.header_gpio() else { return self.linux.pwm(channel) };
        if let Some((chip, channel)) = hardware_pwm(&self.gpio, number) {
            tracing::debug!("{line}: PWM by hardware, {chip}/{channel}");
            return pwm::open(&chip, channel);
        }
        tracing::debug!("{line}: PWM by software");
        let registers = Registers { pin: None, number, gpio: self.gpio.clone(), output: place.output()? };
        Ok(PwmPort(Box::new(Software { gives: None, registers })))
    }

    fn kernel(&self) -> Result<KernelPort, PortError> {
        self.linux.kernel()
    }

    fn input(&self, line: &LineName, settings: InputSettings) -> Result<Box<dyn Edges>, PortError> {
        // Only the kernel knows when an edge was.
        self.linux.input(line, settings)
    }

    fn inputs(&self, lines: &[LineName], settings: InputSettings) -> Result<Box<dyn Edges>, PortError> {
        self.linux.inputs(lines, settings)
    }

    fn listen(&self, line: &LineName, settings: InputSettings) -> Result<InputPort, PortError> {
        self.linux.listen(line, settings)
    }

    fn serial(&self, path: &str, settings: SerialSettings) -> Result<Box<dyn Serial>, PortError> {
        self.linux.serial(path, settings)
    }

    fn modbus(&self, link: &Link, unit: u8, settings: ModbusSettings) -> Result<ModbusPort, PortError> {
        self.linux.modbus(link, unit, settings)
    }

    fn i2c_buses(&self) -> Vec<u8> {
        self.linux.i2c_buses()
    }

    fn i2c_taken(&self, bus: u8, address: u8) -> Option<String> {
        self.linux.i2c_taken(bus, address)
    }

    fn line_holder(&self, line: &LineName) -> Result<Option<String>, PortError> {
        self.linux.line_holder(line)
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

/// The PWM channel of the hardware that is connected to a line, by an overlay such as `pwm-2chan`.
fn hardware_pwm(gpio: &Gpio, number: u8) -> Option<(String, u32)> {
    let mode = gpio.get(number).ok()?.mode();
    let chips = std::fs::read_dir("/sys/class/pwm").ok()?.filter_map(|entry| {
        let chip = entry.ok()?;
        let device = std::fs::canonicalize(chip.path().join("device")).ok()?;
        Some((chip.file_name().into_string().ok()?, device.file_name()?.to_str()?.to_owned()))
    });
    chips.into_iter().find_map(|(chip, device)| Some((chip, channel_of(&device, number, mode)?)))
}

/// The channel that is on a line, if it has this function. `device` is the controller's name, after its address: up to the
/// Pi 4 that of the BCM2835's PWM0 (BCM2835 ARM Peripherals, 6.2 and 9), on the Pi 5 the RP1's (RP1 Peripherals, 3.1.3).
fn channel_of(device: &str, number: u8, mode: Mode) -> Option<u32> {
    if device.ends_with("20c000.pwm") {
        match (number, mode) {
            (12, Mode::Alt0) | (18, Mode::Alt5) => Some(0),
            (13, Mode::Alt0) | (19, Mode::Alt5) => Some(1),
            _ => None,
        }
    } else if device.ends_with("98000.pwm") {
        match (number, mode) {
            (12, Mode::Alt0) => Some(0),
            (13, Mode::Alt0) => Some(1),
            (18, Mode::Alt3) => Some(2),
            (19, Mode::Alt3) => Some(3),
            _ => None,
        }
    } else {
        None
    }
}

/// Pulses from a thread of rppal's. It wakes up and waits for the moment: each edge is some µs off, more when the machine
/// is busy, and costs the processor up to 0.2 ms.
struct Software {
    gives: Option<(u64, u64)>,
    registers: Registers,
}

/// Shortest period: at 1 kHz a line costs two fifths of a processor.
const SHORTEST_NS: u64 = 1_000_000;
/// Longest period: a line is off when the thread has noticed, at the end of a pulse.
const LONGEST_NS: u64 = 500_000_000;

impl PwmOutput for Software {
    fn pulses(&mut self, period_ns: u64, high_ns: u64) -> Result<(), PortError> {
        let steady = high_ns == 0 || high_ns >= period_ns;
        if !steady && !(SHORTEST_NS..=LONGEST_NS).contains(&period_ns) {
            let message =
                "pulses by software are from 2 Hz to 1 kHz: others take a line with hardware PWM, and its overlay";
            return Err(PortError::new(FaultKind::Rejected, message));
        }
        if self.registers.pin.is_none() {
            let high = if steady { high_ns > 0 } else { self.registers.level()? };
            self.registers.drive(high)?;
        }
        let Some(pin) = &mut self.registers.pin else { return Ok(()) };
        if steady {
            // The thread ends with the end of a pulse, low.
            pin.clear_pwm().map_err(|error| pulses_failed(&error))?;
            pin.write(Level::from(high_ns > 0));
        } else {
            // Taken over between two pulses.
            let (period, high) = (Duration::from_nanos(period_ns), Duration::from_nanos(high_ns));
            pin.set_pwm(period, high).map_err(|error| pulses_failed(&error))?;
        }
        self.gives = Some((period_ns, high_ns));
        Ok(())
    }

    fn found(&mut self) -> Result<Option<(u64, u64)>, PortError> {
        Ok(self.gives)
    }
}

fn pulses_failed(error: &Error) -> PortError {
    PortError::new(FaultKind::Bus, format!("the thread that gives the pulses: {error}"))
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
    fn channels_of_lines() {
        for (device, number, mode, channel) in [
            ("fe20c000.pwm", 18, Mode::Alt5, Some(0)),
            ("3f20c000.pwm", 13, Mode::Alt0, Some(1)),
            ("2020c000.pwm", 18, Mode::Output, None),
            ("1f00098000.pwm", 19, Mode::Alt3, Some(3)),
            ("1f00098000.pwm", 18, Mode::Alt5, None),
            ("1f0009c000.pwm", 12, Mode::Alt0, None),
        ] {
            assert_eq!(channel_of(device, number, mode), channel, "{device} GPIO{number}");
        }
    }

    #[test]
    fn what_is_no_raspberry_pi_is_left_alone() {
        if model().is_none() {
            assert_eq!(Raspberry::open().err().unwrap().kind, FaultKind::Absent);
            assert_eq!(Raspberry::if_suitable().err().unwrap().kind, FaultKind::Absent);
        }
    }
}
