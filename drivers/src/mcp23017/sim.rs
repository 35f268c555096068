//! Model of the MCP23017: its registers, levels of its pins, its interrupt.

use crate::sim::{I2cPart, Nack, Part};

/// Table 3-5: how many registers there are, and where those with an effect are.
const REGISTERS: usize = 0x16;
const IODIR: usize = 0x00;
const IPOL: usize = 0x02;
const GPINTEN: usize = 0x04;
const IOCON: usize = 0x0A;
const GPPU: usize = 0x0C;
const INTF: usize = 0x0E;
const INTCAP: usize = 0x10;
const GPIO: usize = 0x12;
const OLAT: usize = 0x14;

/// The part, with IOCON.BANK = 0 and sequential addresses.
pub struct Model {
    registers: [u8; REGISTERS],
    pointer: usize,
    /// What drives a pin from outside, if something does.
    outside: [Option<bool>; 16],
    /// The levels that changes are seen against.
    seen: u16,
}

impl Default for Model {
    /// As after power-on (section 3.5): all pins are inputs, which nothing drives.
    fn default() -> Self {
        let mut registers = [0; REGISTERS];
        registers[IODIR] = 0xFF;
        registers[IODIR + 1] = 0xFF;
        Self { registers, pointer: 0, outside: [None; 16], seen: 0 }
    }
}

impl Model {
    fn pair(&self, index: usize) -> u16 {
        u16::from_le_bytes([self.registers[index], self.registers[index + 1]])
    }

    /// What the pins show: outputs what they drive; inputs what is outside, or their pull-up.
    #[must_use]
    pub fn levels(&self) -> u16 {
        let (inputs, outputs, pulled) = (self.pair(IODIR), self.pair(OLAT), self.pair(GPPU));
        (0..16_u16).fold(0, |levels, pin| {
            let bit = 1 << pin;
            let high = if inputs & bit == 0 {
                outputs & bit != 0
            } else {
                self.outside[usize::from(pin)].unwrap_or(pulled & bit != 0)
            };
            levels | if high { bit } else { 0 }
        })
    }

    /// Which pins drive.
    #[must_use]
    pub fn outputs(&self) -> u16 {
        !self.pair(IODIR)
    }

    /// Notes changes (registers 3-8 and 3-9): the first one is kept until it was read.
    fn notice(&mut self) {
        let levels = self.levels();
        let changed = (levels ^ self.seen) & self.pair(GPINTEN);
        if changed != 0 && self.pair(INTF) == 0 {
            self.put(INTF, changed);
            self.put(INTCAP, levels);
        }
        self.seen = levels;
    }

    fn put(&mut self, index: usize, value: u16) {
        self.registers[index..index + 2].copy_from_slice(&value.to_le_bytes());
    }
}

impl Part for Model {
    fn stimulate(&mut self, channel: &str, value: f64) -> bool {
        let Some(pin) = channel.parse::<usize>().ok().filter(|pin| *pin < 16) else { return false };
        self.outside[pin] = Some(value != 0.0);
        self.notice();
        true
    }

    /// Register 3-8.
    fn interrupt(&self) -> Option<bool> {
        Some(self.pair(INTF) != 0)
    }

    fn i2c(&mut self) -> Option<&mut dyn I2cPart> {
        Some(self)
    }
}

impl I2cPart for Model {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        let [pointer, values @ ..] = bytes else { return Ok(()) };
        self.pointer = usize::from(*pointer) % REGISTERS;
        for value in values {
            match self.pointer {
                // Two addresses of one register, whose bit 0 is not there.
                index if index & !1 == IOCON => {
                    self.registers[IOCON] = value & !1;
                    self.registers[IOCON + 1] = value & !1;
                }
                // Read only.
                index if (INTF..GPIO).contains(&index) => {}
                // Writing the port writes the latch (section 3.5.10).
                index if index & !1 == GPIO => self.registers[OLAT + (index & 1)] = *value,
                index => self.registers[index] = *value,
            }
            self.pointer = (self.pointer + 1) % REGISTERS;
        }
        self.notice();
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        for byte in buffer {
            let index = self.pointer;
            let port = index & 1;
            *byte = if index & !1 == GPIO {
                // Reading the port ends the interrupt (section 3.6).
                self.registers[INTF + port] = 0;
                self.levels().to_le_bytes()[port] ^ self.registers[IPOL + port]
            } else {
                self.registers[index]
            };
            if index & !1 == INTCAP {
                self.registers[INTF + port] = 0;
            }
            self.pointer = (self.pointer + 1) % REGISTERS;
        }
        Ok(())
    }
}
