//! Finding a device of one of the kernel's classes.

use crate::fault::{Fault, FaultKind};
use crate::port::KernelPort;

/// A class of devices that are numbered as they are found.
pub struct Class {
    /// The folder with all of them.
    pub folder: &'static str,
    /// What their names there begin with; a number follows.
    pub prefix: &'static str,
    /// What one is called.
    pub what: &'static str,
}

/// A device that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Its folder.
    pub folder: String,
    /// What its kernel driver calls it: the name of the part, mostly.
    pub name: String,
}

impl Found {
    /// Looks whether it is still the same: numbers of devices are given anew when one went and another came.
    pub fn check(&self, port: &mut KernelPort) -> Result<(), Fault> {
        let Self { folder, name } = self;
        match port.text(&format!("{folder}/name")) {
            Ok(found) if found == *name => Ok(()),
            Ok(found) => Err(Fault::wrong_chip(format!("{folder} is {found} now, not {name}"))),
            // A few have none.
            Err(fault) if fault.kind == FaultKind::Absent && name.is_empty() => Ok(()),
            Err(fault) => Err(fault),
        }
    }
}

impl Class {
    /// The folder and the name of a made device, for models: the one with this number of its machine, which the
    /// configuration calls `device`, where [`find`](Self::find) looks for it. `below` is between the folder of a part and
    /// that of its device.
    pub fn made(&self, number: usize, device: Option<&str>, below: &str) -> (String, String) {
        let numbered = format!("{}{number}", self.prefix);
        let last = device.and_then(|device| device.rsplit('/').next()).unwrap_or_default();
        match device {
            Some(folder) if folder.starts_with('/') && self.is_number(last) => {
                (folder.to_owned(), "simulated".to_owned())
            }
            Some(part) if part.starts_with('/') => (format!("{part}{below}/{numbered}"), "simulated".to_owned()),
            Some(own) if self.is_number(own) => (format!("{}/{own}", self.folder), "simulated".to_owned()),
            name => (format!("{}/{numbered}", self.folder), name.unwrap_or("simulated").to_owned()),
        }
    }

    /// The device that is meant: by its number (`hwmon0`), its name or label (`cpu_thermal`), its folder or the one of its
    /// part (`/sys/bus/i2c/devices/1-0048`); the only one if nothing is said.
    pub fn find(&self, port: &mut KernelPort, wanted: Option<&str>) -> Result<Found, Fault> {
        if let Some(folder) = wanted.filter(|wanted| wanted.starts_with('/')) {
            return self.below(port, folder);
        }
        let mut all = Vec::new();
        for entry in port.names(self.folder)?.into_iter().filter(|entry| self.is_number(entry)) {
            let folder = format!("{}/{entry}", self.folder);
            let name = port.text_if_any(&format!("{folder}/name"))?.unwrap_or_default();
            let label = port.text_if_any(&format!("{folder}/label"))?;
            let is_meant =
                wanted.is_none_or(|wanted| entry == wanted || name == wanted || label.as_deref() == Some(wanted));
            all.push((entry, is_meant, Found { folder, name }));
        }
        let list = |meant: bool| {
            let those = all.iter().filter(|(_, is_meant, _)| *is_meant || !meant);
            those.map(|(entry, _, found)| format!("{entry} ({})", found.name)).collect::<Vec<_>>().join(", ")
        };
        let mut meant = all.iter().filter(|(_, is_meant, _)| *is_meant);
        match (meant.next(), meant.next(), wanted) {
            (Some((.., found)), None, _) => Ok(found.clone()),
            (None, ..) if all.is_empty() => {
                Err(Fault::new(FaultKind::Absent, format!("there is no {} at all", self.what)))
            }
            (None, _, wanted) => {
                let message = format!("there is no {} {}, but {}", self.what, wanted.unwrap_or_default(), list(false));
                Err(Fault::new(FaultKind::Absent, message))
            }
            (Some(_), Some(_), None) => {
                Err(Fault::wrong_chip(format!("there are several: `device` has to name one of {}", list(false))))
            }
            (Some(_), Some(_), Some(wanted)) => {
                let message = format!("{wanted} is the name of several, {}: name the folder below /sys", list(true));
                Err(Fault::wrong_chip(message))
            }
        }
    }

    /// The device with this folder, or the only one of the part with this folder.
    fn below(&self, port: &mut KernelPort, folder: &str) -> Result<Found, Fault> {
        let named = |port: &mut KernelPort, folder: String| {
            let name = port.text(&format!("{folder}/name"))?;
            Ok(Found { folder, name })
        };
        let last = folder.rsplit('/').next().unwrap_or_default();
        if self.is_number(last) {
            return named(port, folder.to_owned());
        }
        for folder in [folder.to_owned(), format!("{folder}/{}", self.prefix)] {
            let entries = port.names(&folder)?;
            if let Some(entry) = entries.iter().find(|entry| self.is_number(entry)) {
                return named(port, format!("{folder}/{entry}"));
            }
        }
        Err(Fault::new(FaultKind::Absent, format!("there is no {} in {folder}", self.what)))
    }

    fn is_number(&self, name: &str) -> bool {
        name.strip_prefix(self.prefix).is_some_and(|number| number.parse::<u32>().is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::{Files, Machine, SharedPart};

    const CLASS: Class = Class { folder: "/sys/class/hwmon", prefix: "hwmon", what: "hwmon device" };

    /// However a configuration calls a device, its model is where it is looked for.
    #[test]
    fn what_is_made_is_found() {
        let devices =
            [None, Some("hwmon7"), Some("lm75"), Some("/sys/bus/i2c/devices/1-0048"), Some("/sys/class/hwmon/hwmon3")];
        for device in devices {
            let (folder, name) = CLASS.made(2, device, "/hwmon");
            let machine = Machine::new();
            machine.attach(SharedPart::new(Box::new(Files::new(&folder, &[("name", &name)]))), None);
            assert_eq!(CLASS.find(&mut machine.port(), device), Ok(Found { folder, name }), "{device:?}");
        }
    }
}
