//! Model of a device that the configuration describes: its registers over I2C, and over a serial line with Modbus RTU
//! (MODBUS over Serial Line V1.02, section 2.5.1; MODBUS Application Protocol Specification V1.1b3, section 6).

use super::{Identity, Pointer, Register};
use crate::port::Table;
use crate::sim::{I2cPart, Nack, Part, SerialPart};
use crate::value::Value;
use std::collections::BTreeMap;

/// The device. What was never written is 0.
pub struct Model {
    channels: BTreeMap<String, Register>,
    /// On Modbus: words and bits.
    words: BTreeMap<(Table, u16), u16>,
    /// On I2C: registers, each with as many bytes as were written to it.
    bytes: BTreeMap<u16, Vec<u8>>,
    selected: u16,
    pointer: Pointer,
}

impl Model {
    /// A device with these registers, each in the middle of what it can be.
    #[must_use]
    pub fn new(registers: &BTreeMap<String, Register>, identity: Option<Identity>, pointer: Pointer) -> Self {
        let mut model =
            Self { channels: BTreeMap::new(), words: BTreeMap::new(), bytes: BTreeMap::new(), selected: 0, pointer };
        model.describe(registers);
        if let Some(Identity { register, value }) = identity {
            model.put(&Register { register, ..Register::default() }, value.into());
        }
        model
    }

    /// Adds registers that another stanza describes.
    pub fn describe(&mut self, registers: &BTreeMap<String, Register>) {
        for (name, register) in registers {
            let range = register.range();
            // Of what can be anything, something small.
            let middle = if range.end() - range.start() > 1e9 { 1.0 } else { (range.start() + range.end()) / 2.0 };
            self.put(register, register.with(0, &Value::Number(middle)));
            self.channels.insert(name.clone(), register.clone());
        }
    }

    /// The registers that it has by now.
    #[must_use]
    pub fn registers(&self) -> &BTreeMap<String, Register> {
        &self.channels
    }

    fn put(&mut self, register: &Register, raw: u64) {
        self.put_words(register.table, register.register, register.to_words(raw));
        self.bytes.insert(register.register, register.to_bytes(raw));
    }

    /// On I2C, what has words may be anywhere: after the last comes the first.
    fn put_words(&mut self, table: Table, first: u16, words: impl IntoIterator<Item = u16>) {
        for (index, word) in (0..).zip(words) {
            self.words.insert((table, first.wrapping_add(index)), word);
        }
    }

    fn raw(&self, register: &Register) -> u64 {
        let address = |index| register.register.wrapping_add(index);
        let words: Vec<u16> = (0..register.words()).map(|index| self.word(register.table, address(index))).collect();
        register.of_words(&words)
    }

    fn word(&self, table: Table, address: u16) -> u16 {
        self.words.get(&(table, address)).copied().unwrap_or_default()
    }

    /// The answer to a request: all but the unit and the check. By function code, section 6.
    fn answer(&mut self, request: &[u8]) -> Vec<u8> {
        let [function, rest @ ..] = request else { return Vec::new() };
        let pairs = |bytes: &[u8]| -> Vec<u16> {
            bytes.as_chunks::<2>().0.iter().map(|pair| u16::from_be_bytes(*pair)).collect()
        };
        let exception = |code: u8| vec![function | 0x80, code];
        let fields = pairs(rest);
        let [address, count] = [fields.first(), fields.get(1)].map(|field| field.copied().unwrap_or_default());
        match function {
            1 | 2 => {
                let table = if *function == 1 { Table::Coil } else { Table::Discrete };
                if !(1..=2_000).contains(&count) {
                    return exception(3);
                }
                let mut bits = vec![0_u8; usize::from(count.div_ceil(8))];
                for index in 0..count {
                    let bit = self.word(table, address.wrapping_add(index)) & 1;
                    bits[usize::from(index / 8)] |= u8::try_from(bit).unwrap_or(0) << (index % 8);
                }
                let mut answer = vec![*function, u8::try_from(bits.len()).unwrap_or(u8::MAX)];
                answer.extend(bits);
                answer
            }
            3 | 4 => {
                let table = if *function == 3 { Table::Holding } else { Table::Input };
                if !(1..=125).contains(&count) {
                    return exception(3);
                }
                let words = (0..count).flat_map(|index| self.word(table, address.wrapping_add(index)).to_be_bytes());
                let mut answer = vec![*function, u8::try_from(2 * count).unwrap_or(u8::MAX)];
                answer.extend(words);
                answer
            }
            5 => {
                self.words.insert((Table::Coil, address), u16::from(count == 0xFF00));
                request.to_vec()
            }
            6 => {
                self.words.insert((Table::Holding, address), count);
                request.to_vec()
            }
            16 => {
                self.put_words(Table::Holding, address, pairs(rest.get(5..).unwrap_or_default()));
                request[..5.min(request.len())].to_vec()
            }
            _ => exception(1),
        }
    }
}

impl Part for Model {
    fn stimulate(&mut self, channel: &str, value: f64) -> bool {
        let Some(register) = self.channels.get(channel).cloned() else { return false };
        let value = if register.kind == super::Kind::Bool { Value::Switch(value != 0.0) } else { Value::Number(value) };
        let raw = register.with(self.raw(&register), &value);
        self.put(&register, raw);
        true
    }

    fn described(&mut self) -> Option<&mut Model> {
        Some(self)
    }

    fn i2c(&mut self) -> Option<&mut dyn I2cPart> {
        Some(self)
    }

    fn serial(&mut self) -> Option<&mut dyn SerialPart> {
        Some(self)
    }
}

impl I2cPart for Model {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        let value = match (self.pointer, bytes) {
            (Pointer::Byte, [register, value @ ..]) => {
                self.selected = (*register).into();
                value
            }
            (Pointer::Word, [high, low, value @ ..]) => {
                self.selected = u16::from_be_bytes([*high, *low]);
                value
            }
            _ => return Ok(()),
        };
        if !value.is_empty() {
            self.bytes.insert(self.selected, value.to_vec());
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        let value = self.bytes.get(&self.selected).map(Vec::as_slice).unwrap_or_default();
        let bytes = value.iter().copied().chain(std::iter::repeat(0));
        buffer.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        Ok(())
    }
}

impl SerialPart for Model {
    /// A request comes as a whole: whoever writes it writes all of it at once. One with a wrong check is not answered.
    fn receive(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let Some((frame, check)) = bytes.split_last_chunk::<2>() else { return };
        let Some((unit, request)) = frame.split_first() else { return };
        if u16::from_le_bytes(*check) != crc(frame) {
            return;
        }
        let start = out.len();
        out.push(*unit);
        out.extend(self.answer(request));
        let check = crc(&out[start..]);
        out.extend(check.to_le_bytes());
    }
}

/// MODBUS over Serial Line V1.02, section 6.2.2 (appendix B).
#[must_use]
pub fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xA001 } else { crc >> 1 })
    })
}
