//! PWM channels of the kernel, through `/sys/class/pwm`.

use super::errno;
use halyard_drivers::FaultKind;
use halyard_drivers::port::{PortError, PwmOutput, PwmPort};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const CHIPS: &str = "/sys/class/pwm";
/// How long udev may take to give a new channel to its group.
const UDEV: Duration = Duration::from_secs(1);
const UDEV_POLL: Duration = Duration::from_millis(20);

/// Opens a channel. What it gives stays: exporting a channel, and opening its files, changes nothing.
pub(in crate::bus) fn open(chip: &str, channel: u32) -> Result<PwmPort, PortError> {
    open_below(Path::new(CHIPS), chip, channel).map(|channel| PwmPort(Box::new(channel)))
}

fn open_below(root: &Path, chip: &str, channel: u32) -> Result<Channel, PortError> {
    let folder = root.join(chip);
    let count = std::fs::read_to_string(folder.join("npwm")).map_err(|_| {
        let message = format!("there is no {chip}: is PWM enabled (on a Raspberry Pi by `dtoverlay=pwm-2chan`)?");
        PortError::new(FaultKind::Absent, message)
    })?;
    let count: u32 = count.trim().parse().unwrap_or(u32::MAX);
    if channel >= count {
        let message = format!("{chip} has {count} channels, from 0: there is no {channel}");
        return Err(PortError::new(FaultKind::Absent, message));
    }
    let place = folder.join(format!("pwm{channel}"));
    let name = format!("{chip}/{channel}");
    if !place.exists() {
        export(&folder, channel, &name)?;
    }
    let start = Instant::now();
    let lock = loop {
        match place_is_ours(&place) {
            Err(error) if error.kind() == ErrorKind::PermissionDenied && start.elapsed() < UDEV => {
                std::thread::sleep(UDEV_POLL);
            }
            result => break result.map_err(|error| denied(&error, &name))?,
        }
    };
    // SAFETY: a file descriptor that is open.
    if unsafe { libc::flock(lock.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } != 0 {
        return Err(PortError::new(FaultKind::Bus, format!("the PWM channel {name} is in use by \"halyard\"")));
    }
    Ok(Channel { place, name, _lock: lock })
}

/// Can all be written to? The file that is given says so to other halyards: the kernel has no owner for a channel.
fn place_is_ours(place: &Path) -> io::Result<File> {
    let writable = |file: &str| OpenOptions::new().write(true).open(place.join(file));
    writable("enable")?;
    writable("duty_cycle")?;
    writable("period")
}

fn export(folder: &Path, channel: u32, name: &str) -> Result<(), PortError> {
    let result = OpenOptions::new()
        .write(true)
        .open(folder.join("export"))
        .and_then(|mut file| file.write_all(channel.to_string().as_bytes()));
    match result {
        Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
            // Perhaps by another program, a moment ago.
            if folder.join(format!("pwm{channel}")).exists() {
                return Ok(());
            }
            let message = format!("the PWM channel {name} is in use by a driver of the kernel (EBUSY)");
            Err(PortError::new(FaultKind::Bus, message))
        }
        result => result.map_err(|error| denied(&error, name)),
    }
}

fn denied(error: &io::Error, name: &str) -> PortError {
    if error.kind() == ErrorKind::PermissionDenied {
        let message = format!(
            "no permission for the PWM channel {name}: whoever runs this has to be a member of the group gpio, to which \
             udev gives the channel"
        );
        return PortError::new(FaultKind::Denied, message);
    }
    let error = errno::of_use(error);
    PortError::new(error.kind, format!("opening the PWM channel {name}: {error}"))
}

struct Channel {
    place: PathBuf,
    name: String,
    _lock: File,
}

/// What a channel is set to.
#[derive(Clone, Copy)]
struct Setting {
    period: u64,
    duty: u64,
    enabled: bool,
    /// What counts as duty is low.
    inversed: bool,
}

impl Channel {
    fn read(&self, file: &str) -> Result<String, PortError> {
        let text = std::fs::read_to_string(self.place.join(file)).map_err(|error| self.fault(&error))?;
        Ok(text.trim().to_owned())
    }

    fn number(&self, file: &str) -> Result<u64, PortError> {
        let text = self.read(file)?;
        let wrong = |_| PortError::new(FaultKind::Bus, format!("{}: {file} is {text:?}", self.name));
        text.parse().map_err(wrong)
    }

    fn write(&self, file: &str, number: u64) -> Result<(), PortError> {
        let file = OpenOptions::new().write(true).open(self.place.join(file));
        let result = file.and_then(|mut file| file.write_all(number.to_string().as_bytes()));
        result.map_err(|error| self.fault(&error))
    }

    fn fault(&self, error: &io::Error) -> PortError {
        match error.raw_os_error() {
            Some(libc::ENOENT) => PortError::new(FaultKind::Absent, format!("the PWM channel {} is gone", self.name)),
            Some(libc::EINVAL | libc::ERANGE) => {
                let message = format!("the PWM channel {} cannot give such pulses", self.name);
                PortError::new(FaultKind::Rejected, message)
            }
            _ => errno::of_use(error),
        }
    }

    fn setting(&self) -> Result<Setting, PortError> {
        Ok(Setting {
            period: self.number("period")?,
            duty: self.number("duty_cycle")?,
            enabled: self.number("enable")? != 0,
            // A chip that cannot do it has no such file.
            inversed: self.read("polarity").is_ok_and(|polarity| polarity == "inversed"),
        })
    }
}

impl PwmOutput for Channel {
    /// The kernel takes period and width one after the other, and refuses a width that is longer than the period. While it
    /// gives pulses, each is the old one or the new one in width.
    fn pulses(&mut self, period_ns: u64, high_ns: u64) -> Result<(), PortError> {
        let now = self.setting()?;
        if high_ns > period_ns {
            return Err(PortError::new(FaultKind::Rejected, "a pulse cannot be longer than its period"));
        }
        let duty = if now.inversed { period_ns - high_ns } else { high_ns };
        if period_ns < now.period && (now.enabled || now.duty > period_ns) {
            self.write("duty_cycle", duty)?;
            self.write("period", period_ns)?;
        } else {
            if period_ns != now.period {
                self.write("period", period_ns)?;
            }
            if duty != now.duty {
                self.write("duty_cycle", duty)?;
            }
        }
        if !now.enabled {
            self.write("enable", 1)?;
        }
        Ok(())
    }

    fn found(&mut self) -> Result<Option<(u64, u64)>, PortError> {
        let Setting { period, duty, enabled, inversed } = self.setting()?;
        let high = if inversed { period.saturating_sub(duty) } else { duty };
        Ok(enabled.then_some((period, high)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files as the kernel has them; what the kernel checks is checked in the lab.
    fn channel(period: u64, duty: u64, enabled: u64, polarity: &str) -> (tempfile::TempDir, Channel) {
        let root = tempfile::tempdir().unwrap();
        let place = root.path().join("pwmchip0/pwm1");
        std::fs::create_dir_all(&place).unwrap();
        for (file, text) in [
            ("period", period.to_string()),
            ("duty_cycle", duty.to_string()),
            ("enable", enabled.to_string()),
            ("polarity", polarity.to_owned()),
            ("../npwm", "2".to_owned()),
        ] {
            std::fs::write(place.join(file), text + "\n").unwrap();
        }
        let channel = open_below(root.path(), "pwmchip0", 1).unwrap();
        (root, channel)
    }

    #[test]
    fn opening_changes_nothing() {
        let (_root, mut channel) = channel(20_000_000, 1_500_000, 1, "normal");
        assert_eq!(channel.found().unwrap(), Some((20_000_000, 1_500_000)));
        let (_root, mut channel) = super::tests::channel(20_000_000, 1_500_000, 0, "normal");
        assert_eq!(channel.found().unwrap(), None);
    }

    #[test]
    fn inversed_channels_give_the_same() {
        let (_root, mut channel) = channel(1000, 100, 1, "inversed");
        assert_eq!(channel.found().unwrap(), Some((1000, 900)));
        // Files here keep the rest of what was longer, so that all are of one length.
        channel.pulses(1000, 700).unwrap();
        assert_eq!(channel.number("duty_cycle").unwrap(), 300);
        assert_eq!(channel.found().unwrap(), Some((1000, 700)));
    }

    #[test]
    fn what_is_not_there() {
        let (root, channel) = channel(0, 0, 0, "normal");
        let message = |chip: &str, number| open_below(root.path(), chip, number).err().unwrap().message;
        assert!(message("pwmchip1", 0).starts_with("there is no pwmchip1"));
        assert_eq!(message("pwmchip0", 2), "pwmchip0 has 2 channels, from 0: there is no 2");
        assert_eq!(message("pwmchip0", 1), "the PWM channel pwmchip0/1 is in use by \"halyard\"");
        drop(channel);
        assert!(open_below(root.path(), "pwmchip0", 1).is_ok());
    }
}
