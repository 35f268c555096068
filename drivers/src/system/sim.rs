//! Model of a machine: a Raspberry Pi with a wireless network.

use super::{Inputs, Reading};
use crate::port::Space;
use crate::sim::{KernelPart, Part};

/// The size of its memory in kB, and of each of its file systems in bytes.
const MEMORY: f64 = 3_884_520.0;
const DISK: f64 = 32e9;
const PATHS: [&str; 7] = [
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/net/wireless",
    "/proc/uptime",
    "/sys/class/thermal/thermal_zone0/temp",
    "/sys/class/thermal/thermal_zone0/type",
    "/sys/devices/platform/soc/soc:firmware/get_throttled",
];

/// The machine.
pub struct Model {
    channels: Inputs<Reading>,
    temperature: f64,
    load: [f64; 3],
    /// In %.
    memory: f64,
    disk: f64,
    uptime: f64,
    signal: f64,
    under_voltage: bool,
    throttled: bool,
}

impl Model {
    /// A machine whose readings are known by these names.
    #[must_use]
    pub fn new(channels: Inputs<Reading>) -> Self {
        Self {
            channels,
            temperature: 48.3,
            load: [0.15, 0.1, 0.05],
            memory: 22.5,
            disk: 31.2,
            uptime: 86_400.0,
            signal: -53.0,
            under_voltage: false,
            throttled: false,
        }
    }
}

impl Part for Model {
    fn stimulate(&mut self, channel: &str, value: f64) -> bool {
        let Some((_, reading)) = self.channels.iter().find(|(name, _)| *name == channel) else { return false };
        match reading {
            Reading::CpuTemperature => self.temperature = value,
            Reading::Load1 => self.load[0] = value,
            Reading::Load5 => self.load[1] = value,
            Reading::Load15 => self.load[2] = value,
            Reading::MemoryUsed => self.memory = value,
            Reading::DiskUsed => self.disk = value,
            Reading::Uptime => self.uptime = value,
            Reading::Signal => self.signal = value,
            Reading::UnderVoltage => self.under_voltage = value != 0.0,
            Reading::Throttled => self.throttled = value != 0.0,
        }
        true
    }

    fn files(&mut self) -> Option<&mut dyn KernelPart> {
        Some(self)
    }
}

impl KernelPart for Model {
    fn paths(&self) -> Vec<String> {
        PATHS.map(str::to_owned).to_vec()
    }

    fn read(&mut self, path: &str) -> Option<String> {
        let [one, five, fifteen] = self.load;
        Some(match path.rsplit('/').next()? {
            _ if !PATHS.contains(&path) => return None,
            "loadavg" => format!("{one:.2} {five:.2} {fifteen:.2} 1/139 1822\n"),
            "meminfo" => {
                let available = MEMORY * (1.0 - self.memory / 100.0);
                format!(
                    "MemTotal:       {MEMORY:8.0} kB\nMemFree:        {:8.0} kB\nMemAvailable:   {available:8.0} kB\n",
                    available / 2.0
                )
            }
            "wireless" => format!(
                "Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE\n \
                 face | tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22\n \
                 wlan0: 0000   57.  {:.0}.  -256        0      0      0      0      0        0\n",
                self.signal
            ),
            "uptime" => format!("{:.2} {:.2}\n", self.uptime, 3.7 * self.uptime),
            "temp" => format!("{:.0}\n", 1000.0 * self.temperature),
            "type" => "cpu-thermal\n".to_owned(),
            _ => format!("{:x}\n", u8::from(self.under_voltage) | u8::from(self.throttled) << 2),
        })
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // from 0 to 100 %
    fn space(&mut self, _folder: &str) -> Option<Space> {
        let used = (DISK * self.disk.clamp(0.0, 100.0) / 100.0) as u64;
        Some(Space { used, available: DISK as u64 - used })
    }
}
