//! The files that tell of the machine, and what they mean.

use super::{Fault, KernelPort};
use crate::devices::Class;
use crate::fault::FaultKind;
use crate::port::number;

/// Temperatures of the machine.
const THERMAL: &str = "/sys/class/thermal";
const ZONE: &str = "thermal_zone";
/// Types of zones that are a processor's, in this order: of most boards, of a PC, of a Rockchip and an Allwinner.
const CPU_ZONES: [&str; 4] = ["cpu", "x86_pkg", "soc", "package"];
/// What `vcgencmd get_throttled` tells, in the kernel of a Raspberry Pi: a hexadecimal number.
const THROTTLED: &str = "/sys/devices/platform/soc/soc:firmware/get_throttled";
/// raspberrypi-hwmon.rst: the device whose only file tells of the supply.
const PI_SUPPLY: Class = Class { folder: "/sys/class/hwmon", prefix: "hwmon", what: "hwmon device" };
const PI_SUPPLY_NAME: &str = "rpi_volt";
const PI_SUPPLY_FILE: &str = "in0_lcrit_alarm";
/// `vcgencmd get_throttled`: bits that say what is so now; those from 16 on say what was so since the start.
const UNDER_VOLTAGE: u32 = 1;
const FREQUENCY_CAPPED: u32 = 1 << 1;
const THROTTLED_NOW: u32 = 1 << 2;
const SOFT_LIMIT: u32 = 1 << 3;

fn absent(message: &str) -> Fault {
    Fault::new(FaultKind::Absent, format!("{message}: take this channel out"))
}

fn strange(file: &str, text: &str) -> Fault {
    Fault::corrupt(format!("{file} holds {text:?}"))
}

/// The file with the temperature of the processor: of the zone whose type says so, or of the only one.
pub(super) fn cpu_temperature(port: &mut KernelPort) -> Result<String, Fault> {
    let zones: Vec<_> = port.names(THERMAL)?.into_iter().filter(|name| name.starts_with(ZONE)).collect();
    let mut typed = Vec::new();
    for zone in zones {
        let kind = port.text_if_any(&format!("{THERMAL}/{zone}/type"))?.unwrap_or_default();
        typed.push((zone, kind));
    }
    let of_cpu = CPU_ZONES.iter().find_map(|word| typed.iter().find(|(_, kind)| kind.starts_with(word)));
    let zone = of_cpu.or_else(|| typed.first().filter(|_| typed.len() == 1));
    match zone {
        Some((zone, _)) => Ok(format!("{THERMAL}/{zone}/temp")),
        None if typed.is_empty() => Err(absent("this machine does not know its temperature")),
        None => {
            let kinds: Vec<_> = typed.into_iter().map(|(_, kind)| kind).collect();
            Err(absent(&format!("of this machine's temperatures, {}, none is the processor's", kinds.join(", "))))
        }
    }
}

/// proc_loadavg(5): the means over 1, 5 and 15 minutes come first.
pub(super) fn load(port: &mut KernelPort, index: usize) -> Result<f64, Fault> {
    const FILE: &str = "/proc/loadavg";
    let text = port.text(FILE)?;
    text.split_whitespace().nth(index).and_then(number).ok_or_else(|| strange(FILE, &text))
}

/// proc.rst: what is not available to programs without swapping, in % of all.
pub(super) fn memory_used(port: &mut KernelPort) -> Result<f64, Fault> {
    const FILE: &str = "/proc/meminfo";
    let text = port.text(FILE)?;
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        line.and_then(|line| number(line.split_whitespace().next()?)).ok_or_else(|| strange(FILE, &text))
    };
    Ok(share(value("MemTotal")? - value("MemAvailable")?, value("MemTotal")?))
}

/// What files take, in % of that and of what is left for users, as df(1) says it.
pub(super) fn disk_used(port: &mut KernelPort, folder: &str) -> Result<f64, Fault> {
    let space = port.files.space(folder)?;
    #[allow(clippy::cast_precision_loss)] // of a per cent
    let (used, available) = (space.used as f64, space.available as f64);
    if used + available <= 0.0 {
        return Err(absent(&format!("{folder} is of a file system without a size")));
    }
    Ok(share(used, used + available))
}

fn share(part: f64, all: f64) -> f64 {
    100.0 * part / all
}

/// proc_uptime(5): s since the start, and s of idling.
pub(super) fn uptime(port: &mut KernelPort) -> Result<f64, Fault> {
    const FILE: &str = "/proc/uptime";
    let text = port.text(FILE)?;
    text.split_whitespace().next().and_then(number).ok_or_else(|| strange(FILE, &text))
}

/// The signal level in dBm of a wireless interface: two lines of titles, then a line for each, `wlan0: 0000 57. -53. …`, with
/// status, quality and level.
pub(super) fn signal(port: &mut KernelPort, interface: Option<&str>) -> Result<f64, Fault> {
    const FILE: &str = "/proc/net/wireless";
    let none = || match interface {
        Some(interface) => {
            Fault::new(FaultKind::Absent, format!("{interface} is no wireless interface, or not connected"))
        }
        None => absent("no wireless interface is connected"),
    };
    let text = port.text_if_any(FILE)?.ok_or_else(none)?;
    let mut lines = text.lines().skip(2).filter_map(|line| line.split_once(':'));
    let line = lines.find(|(name, _)| interface.is_none_or(|interface| name.trim() == interface));
    let (_, values) = line.ok_or_else(none)?;
    let level = values.split_whitespace().nth(2).and_then(|level| number(level.trim_end_matches('.')));
    level.ok_or_else(|| strange(FILE, &text))
}

/// Where a Raspberry Pi tells of its supply.
pub(super) enum Supply {
    /// All that the firmware tells.
    Firmware,
    /// Under-voltage only: the path of its file.
    Alarm(String),
}

impl Supply {
    /// Finds it; `all` if under-voltage alone will not do.
    pub(super) fn find(port: &mut KernelPort, all: bool) -> Result<Self, Fault> {
        if port.text_if_any(THROTTLED)?.is_some() {
            return Ok(Self::Firmware);
        }
        if all {
            return Err(absent("this machine does not tell whether it is throttled"));
        }
        match PI_SUPPLY.find(port, Some(PI_SUPPLY_NAME)) {
            Ok(found) => Ok(Self::Alarm(format!("{}/{PI_SUPPLY_FILE}", found.folder))),
            Err(fault) if fault.kind == FaultKind::Absent => Err(absent("this machine does not tell of under-voltage")),
            Err(fault) => Err(fault),
        }
    }

    /// Whether the supply is too low, or else whether the processor is slowed down.
    pub(super) fn read(&self, port: &mut KernelPort, under_voltage: bool) -> Result<bool, Fault> {
        match self {
            Self::Firmware => {
                let text = port.text(THROTTLED)?;
                let bits =
                    u32::from_str_radix(text.trim_start_matches("0x"), 16).map_err(|_| strange(THROTTLED, &text))?;
                let asked = if under_voltage { UNDER_VOLTAGE } else { FREQUENCY_CAPPED | THROTTLED_NOW | SOFT_LIMIT };
                Ok(bits & asked != 0)
            }
            Self::Alarm(file) => match port.number(file)? {
                0.0 => Ok(false),
                1.0 => Ok(true),
                other => Err(strange(file, &other.to_string())),
            },
        }
    }
}
