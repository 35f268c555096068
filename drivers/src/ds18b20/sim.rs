//! Model of the DS18B20 as the kernel's driver w1_therm shows it: memory, resolution, single and bulk conversions.
//!
//! Conversions take no time here: on a machine it is the kernel that waits for them.

use super::{DEVICES, TRIGGER, crc8};
use crate::sim::{KernelPart, Part};

/// Section "Memory": the memory after power-on.
const POWER_ON: [u8; 8] = [0x50, 0x05, 0x4B, 0x46, 0x7F, 0xFF, 0x0C, 0x10];
/// The ids that parts without one in the configuration get, from here on.
const FIRST_ID: u64 = 0x0003_5a10;

/// The part.
pub struct Model {
    id: String,
    temperature: f64,
    memory: [u8; 8],
    /// A bulk conversion was done, and its result not read yet.
    bulk: bool,
}

impl Default for Model {
    fn default() -> Self {
        let mut model = Self { id: String::new(), temperature: 20.0, memory: POWER_ON, bulk: false };
        model.place(0, None);
        model
    }
}

impl Model {
    /// Section "Operation: Measuring Temperature": sixteenths of a °C, two's complement; bits below the resolution are
    /// undefined, here 0. What is in byte 6 after a conversion is not in the datasheet: it counts down the lowest four bits.
    #[allow(clippy::cast_possible_truncation)] // clamped
    fn convert(&mut self) {
        let undefined = 3 - (self.memory[4] >> 5 & 0b11);
        let step = 0.0625 * f64::from(1_u8 << undefined);
        let code = ((self.temperature.clamp(-55.0, 125.0) / step).round() as i16) << undefined;
        [self.memory[0], self.memory[1]] = code.to_le_bytes();
        self.memory[6] = 0x10 - (self.memory[0] & 0x0F);
    }

    /// Loses its power, and gets it again.
    pub fn power_cycle(&mut self) {
        self.memory = POWER_ON;
    }

    /// w1_therm.c: both lines of `w1_slave`.
    fn result(&self) -> String {
        let crc = crc8(&self.memory);
        let hex: String = self.memory.iter().chain([&crc]).map(|byte| format!("{byte:02x} ")).collect();
        let code = i32::from(i16::from_le_bytes([self.memory[0], self.memory[1]]));
        format!("{hex}: crc={crc:02x} YES\n{hex}t={}\n", code * 1000 / 16)
    }

    fn file(&self, path: &str) -> Option<&'static str> {
        let (folder, name) = path.strip_prefix(DEVICES)?.strip_prefix('/')?.split_once('/')?;
        let names: &[&str] = match folder {
            "w1_bus_master1" => &["therm_bulk_read", "w1_master_slaves"],
            id if id == self.id => &["resolution", "w1_slave"],
            _ => &[],
        };
        names.iter().copied().find(|known| *known == name)
    }
}

impl Part for Model {
    fn stimulate(&mut self, channel: &str, value: f64) -> bool {
        if channel == "temperature" {
            self.temperature = value;
        }
        channel == "temperature"
    }

    fn files(&mut self) -> Option<&mut dyn KernelPart> {
        Some(self)
    }
}

impl KernelPart for Model {
    fn place(&mut self, number: usize, device: Option<&str>) {
        let id = |number| format!("28-{:012x}", FIRST_ID + number);
        self.id = device.map_or_else(|| id(u64::try_from(number).unwrap_or_default()), str::to_owned);
    }

    fn paths(&self) -> Vec<String> {
        let own = ["resolution", "w1_slave"].map(|name| format!("{DEVICES}/{}/{name}", self.id));
        let bus = ["therm_bulk_read", "w1_master_slaves"].map(|name| format!("{DEVICES}/w1_bus_master1/{name}"));
        own.into_iter().chain(bus).collect()
    }

    fn read(&mut self, path: &str) -> Option<String> {
        Some(match self.file(path)? {
            "resolution" => format!("{}\n", (self.memory[4] >> 5 & 0b11) + 9),
            "w1_master_slaves" => format!("{}\n", self.id),
            "therm_bulk_read" => format!("{}\n", u8::from(self.bulk)),
            _ => {
                if !std::mem::take(&mut self.bulk) {
                    self.convert();
                }
                self.result()
            }
        })
    }

    fn write(&mut self, path: &str, text: &str) -> Option<()> {
        match self.file(path)? {
            "therm_bulk_read" if text == TRIGGER => {
                self.convert();
                self.bulk = true;
            }
            "resolution" | "w1_slave" => {
                if let Ok(bits @ 9..=12) = text.trim().parse::<u8>() {
                    self.memory[4] = (bits - 9) << 5 | 0x1F;
                }
            }
            _ => {}
        }
        Some(())
    }
}
