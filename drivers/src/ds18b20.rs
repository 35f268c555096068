//! Driver for the DS18B20 thermometer and its kin on 1-Wire buses, through the kernel's driver w1_therm.
//!
//! Sources: Maxim, "DS18B20 Programmable Resolution 1-Wire Digital Thermometer", 19-7487; the kernel's
//! Documentation/w1/slaves/w1_therm.rst and drivers/w1/slaves/w1_therm.c.
//!
//! All thermometers of a bus are converted by one command (`therm_bulk_read`), which takes the time of one conversion
//! however many there are. Whoever is asked first gives it; those who are asked meanwhile wait for the same one. Where
//! an older kernel has no such file, or this user may not write it, each is converted by itself: the kernel lets
//! such conversions overlap, unless the part takes its power from the data line.

#[cfg(test)]
mod tests;

pub mod sim;

use crate::channel::{Channel, Quantity, within};
use crate::driver::{Attachment, Driver, KernelClass, Role, Spec};
use crate::fault::{Fault, FaultKind};
use crate::options::limits::choice;
use crate::options::{read, shape};
use crate::port::{KernelPort, Wire};
use crate::sensor::{Sample, Sensor, SensorSpec};
use crate::sim::Part;
use schemars::JsonSchema;
use serde::Deserialize;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// The driver's entry in the list.
pub static DRIVER: Driver = Driver {
    name: "ds18b20",
    summary: "Maxim DS18B20, DS18S20, DS1822, DS1825, DS28EA00: temperature, many on one wire",
    source: "Maxim, 19-7487; Linux, Documentation/w1/slaves/w1_therm.rst",
    role: Role::Sensor,
    attachments: &[Attachment::Kernel(KernelClass::OneWire)],
    identity: &[],
    example: "\
- id: flow
  driver: ds18b20
  device: 28-00000a1b2c3d
  every: 10s
",
    defaults: || Spec::Sensor(Arc::new(Options::default())),
    options: shape!(Options),
    parse: |node, problems| read::<Options>(node, problems).map(|options| Spec::Sensor(Arc::new(options))),
};

/// Where the kernel shows 1-Wire buses and what is on them.
const DEVICES: &str = "/sys/bus/w1/devices";
/// How the folders of buses begin.
const MASTER: &str = "w1_bus_master";
/// w1_therm.rst: the family codes of thermometers.
const FAMILIES: [&str; 5] = ["10", "22", "28", "3b", "42"];
/// The DS18S20: it has no configuration register.
const DS18S20: &str = "10";
/// w1_therm.c: the DS28EA00 takes no part in bulk conversions.
const DS28EA00: &str = "42";
/// w1_therm.c: what starts a bulk conversion. The line end is part of it.
const TRIGGER: &str = "trigger\n";

/// Section "Memory": what the temperature holds after power-on, in °C, and byte 6 with it. A conversion of a DS18B20
/// leaves something else in that byte; some clones keep it.
const POWER_ON: f64 = 85.0;
const POWER_ON_BYTE: u8 = 0x0C;
/// What was measured last must be this near to 85 °C, in K, for an 85 °C that looks like power-on to be believed: if it
/// was none, it is wrong by no more than that.
const NEAR: f64 = 3.0;
/// w1_therm.rst: what a conversion without enough power leaves, as t=.
const NO_POWER: f64 = 127.937;

const TEMPERATURE_RANGE: RangeInclusive<f64> = -55.0..=125.0;

/// Options of the `ds18b20` driver.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Bits of the result: steps of 0.5 °C with 9, 0.25, 0.125, 0.0625 °C with 12. A conversion takes 94 ms with 9 bits,
    /// and twice as long with each more. It is not stored in the part's EEPROM. The DS18S20 has 12 only.
    pub resolution: Resolution,
}

choice! {
    /// Bits of the result.
    pub enum Resolution {
        /// 0.5 °C, 94 ms.
        Bits9 = 9,
        /// 0.25 °C, 188 ms.
        Bits10 = 10,
        /// 0.125 °C, 375 ms.
        Bits11 = 11,
        /// 0.0625 °C, 750 ms.
        Bits12 = 12,
    }
}

impl Default for Options {
    fn default() -> Self {
        Self { resolution: Resolution::Bits12 }
    }
}

/// A thermometer that the kernel knows.
struct Ds18b20 {
    port: KernelPort,
    /// `28-00000a1b2c3d`
    id: String,
    /// The bus whose thermometers are converted together, if they are.
    master: Option<String>,
    /// The last round of conversions that it took part in.
    round: u64,
    resolution: Resolution,
    /// What was measured last.
    last: Option<f64>,
}

impl Ds18b20 {
    fn new(mut port: KernelPort, device: Option<&str>, resolution: Resolution) -> Result<Self, Fault> {
        let names = port.names(DEVICES)?;
        if names.is_empty() {
            let message = format!("there is nothing in {DEVICES}: is 1-Wire enabled, as by dtoverlay=w1-gpio?");
            return Err(Fault::new(FaultKind::Absent, message));
        }
        let id = choose(&names, device)?;
        let master = master(&mut port, &names, &id)?;
        let mut part = Self { port, id, master, round: 0, resolution, last: None };
        part.set_resolution()?;
        Ok(part)
    }

    fn family(&self) -> &str {
        self.id.split('-').next().unwrap_or_default()
    }

    fn file(&self, name: &str) -> String {
        format!("{DEVICES}/{}/{name}", self.id)
    }

    /// Lets the part have the resolution that is configured, if it has another one.
    fn set_resolution(&mut self) -> Result<(), Fault> {
        let wanted = self.resolution.number();
        if self.family() == DS18S20 {
            if self.resolution == Resolution::Bits12 {
                return Ok(());
            }
            return Err(Fault::rejected("the DS18S20 has no other resolution: leave out `resolution`"));
        }
        let file = self.file("resolution");
        let Some(found) = self.port.number_if_any(&file)? else {
            // In older kernels, the file with the result takes it. What became of it is seen in the next result.
            self.port.files.write(&self.file("w1_slave"), &format!("{wanted}\n"))?;
            return Ok(());
        };
        if found == wanted {
            return Ok(());
        }
        // w1_therm.c: an error number where the part did not answer.
        if found < 0.0 {
            return Err(Fault::new(FaultKind::Absent, format!("{} does not answer", self.id)));
        }
        self.port.files.write(&file, &format!("{wanted}\n"))?;
        let taken = self.port.number(&file)?;
        if taken != wanted {
            let message = format!("the part takes no resolution of {wanted} bits and keeps {taken}: a clone?");
            return Err(Fault::wrong_chip(message));
        }
        Ok(())
    }

    /// One conversion, as the text of the file with its result.
    fn convert(&mut self) -> Result<String, Fault> {
        let mut seat = None;
        if let Some(master) = self.master.clone() {
            let trigger = format!("{DEVICES}/{master}/therm_bulk_read");
            let files = &mut self.port.files;
            match self.port.rounds.join(&master, self.round, || files.write(&trigger, TRIGGER)) {
                Ok(taken) => {
                    self.round = taken.number;
                    seat = Some(taken);
                }
                Err(error) if error.kind == FaultKind::NotReady => return Err(error.into()),
                // This user may not: that stays so.
                Err(error) if error.kind == FaultKind::Denied => self.master = None,
                // Then it is converted by reading it.
                Err(_) => {}
            }
        }
        let text = self.port.files.read(&self.file("w1_slave"));
        drop(seat);
        Ok(text?)
    }

    fn measure(&mut self) -> Result<f64, Fault> {
        let text = self.convert()?;
        // w1_therm.c: nothing while a bulk conversion is going on, and after five failed attempts.
        if text.trim().is_empty() {
            return Err(self.nothing());
        }
        let result = Scratchpad::parse(&text)?;
        let (wanted, family) = (self.resolution.number(), self.family());
        if family != DS18S20 && result.bits() != wanted {
            let found = result.bits();
            self.set_resolution()?;
            let message = format!("a resolution of {found} bits instead of {wanted}: the part was without power");
            return Err(Fault::new(FaultKind::NotReady, message));
        }
        // With a resolution that is not stored in the part, it had power since that was set.
        let told = family != DS18S20 && self.resolution != Resolution::Bits12;
        let near = self.last.is_some_and(|last| (last - POWER_ON).abs() <= NEAR);
        if result.celsius == POWER_ON && result.bytes[6] == POWER_ON_BYTE && !told && !near {
            let message = format!("{POWER_ON} °C, which the part has after power-on: nothing was measured");
            return Err(Fault::new(FaultKind::NotReady, message));
        }
        if (result.celsius - NO_POWER).abs() < 0.001 {
            return Err(Fault::corrupt(format!("{NO_POWER} °C: the part has too little power to measure")));
        }
        let celsius = within(result.celsius, &TEMPERATURE_RANGE, "a temperature in °C")?;
        self.last = Some(celsius);
        Ok(celsius)
    }

    /// What it means that there is no result.
    fn nothing(&mut self) -> Fault {
        let state = self.master.as_ref().map(|master| format!("{DEVICES}/{master}/therm_bulk_read"));
        let state = state.and_then(|file| self.port.text(&file).ok());
        if state.is_some_and(|state| state.starts_with('-')) {
            return Fault::new(FaultKind::NotReady, "another program has just started a conversion");
        }
        let message =
            format!("the kernel gets nothing whole from {}: unplugged, or too much noise on the wire", self.id);
        Fault::new(FaultKind::Absent, message)
    }
}

impl Sensor for Ds18b20 {
    fn sample(&mut self, out: &mut Sample) -> Result<(), Fault> {
        out.number(0, self.measure()?);
        Ok(())
    }
}

impl SensorSpec for Options {
    fn channels(&self) -> Vec<Channel> {
        vec![Channel::number("temperature", Quantity::TEMPERATURE, TEMPERATURE_RANGE)]
    }

    fn open(&self, wire: Wire) -> Result<Box<dyn Sensor>, Fault> {
        let (port, device) = wire.kernel()?;
        Ok(Box::new(Ds18b20::new(port, device.as_deref(), self.resolution)?))
    }

    fn simulate(&self) -> Option<Box<dyn Part>> {
        Some(Box::new(sim::Model::default()))
    }
}

/// The thermometer that is meant: the one with this id, or the only one.
fn choose(names: &[String], device: Option<&str>) -> Result<String, Fault> {
    let is_thermometer = |name: &&String| FAMILIES.iter().any(|family| name.split('-').next() == Some(family));
    let found: Vec<&str> = names.iter().filter(is_thermometer).map(String::as_str).collect();
    let list = found.join(", ");
    match (device, &found[..]) {
        (Some(device), found) if found.contains(&device) => Ok(device.to_owned()),
        (Some(device), []) => Err(Fault::new(FaultKind::Absent, format!("there is no {device}, and no other one"))),
        (Some(device), _) => Err(Fault::new(FaultKind::Absent, format!("there is no {device}, but {list}"))),
        (None, [only]) => Ok((*only).to_owned()),
        (None, []) => Err(Fault::new(FaultKind::Absent, "no thermometer is found on the 1-Wire bus")),
        (None, _) => Err(Fault::wrong_chip(format!("there are several: `device` has to name one of {list}"))),
    }
}

/// The bus of a thermometer, if the kernel converts all of that together.
fn master(port: &mut KernelPort, names: &[String], id: &str) -> Result<Option<String>, Fault> {
    if id.starts_with(DS28EA00) {
        return Ok(None);
    }
    for master in names.iter().filter(|name| name.starts_with(MASTER)) {
        let slaves = port.text_if_any(&format!("{DEVICES}/{master}/w1_master_slaves"))?.unwrap_or_default();
        if slaves.lines().any(|slave| slave.trim() == id) {
            let bulk = port.names(&format!("{DEVICES}/{master}"))?.iter().any(|name| name == "therm_bulk_read");
            return Ok(bulk.then(|| master.clone()));
        }
    }
    Ok(None)
}

/// A result as `w1_slave` has it: the nine bytes of the part's memory, the kernel's opinion of them, and its °C.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Scratchpad {
    bytes: [u8; 9],
    celsius: f64,
}

impl Scratchpad {
    fn parse(text: &str) -> Result<Self, Fault> {
        let strange = || Fault::corrupt(format!("the kernel gives {:?}", text.trim()));
        let (first, rest) = text.split_once('\n').ok_or_else(strange)?;
        let (hex, verdict) = first.split_once(':').ok_or_else(strange)?;
        let mut bytes = [0; 9];
        let mut words = hex.split_whitespace();
        for byte in &mut bytes {
            let word = words.next().ok_or_else(strange)?;
            *byte = u8::from_str_radix(word, 16).map_err(|_| strange())?;
        }
        let milli =
            rest.split_once("t=").and_then(|(_, number)| crate::port::number(number.trim())).ok_or_else(strange)?;
        if !verdict.trim_end().ends_with("YES") || crc8(&bytes[..8]) != bytes[8] {
            return Err(Fault::corrupt(format!("wrong checksum: {}", hex.trim())));
        }
        // Their checksum is right, and nothing like this is in any of these parts.
        if bytes == [0; 9] {
            return Err(Fault::corrupt("all bytes are 0, with the right checksum: the wire is held low"));
        }
        Ok(Self { bytes, celsius: milli / 1000.0 })
    }

    /// Section "Configuration Register": bits of the result.
    fn bits(&self) -> f64 {
        f64::from((self.bytes[4] >> 5 & 0b11) + 9)
    }
}

/// Section "CRC Generation": x⁸ + x⁵ + x⁴ + 1, lowest bit first, from 0.
fn crc8(bytes: &[u8]) -> u8 {
    bytes
        .iter()
        .fold(0, |crc, byte| (0..8).fold(crc ^ byte, |crc, _| if crc & 1 == 0 { crc >> 1 } else { (crc >> 1) ^ 0x8C }))
}
