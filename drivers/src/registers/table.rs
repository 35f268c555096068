//! A register as the configuration describes it: from what a device holds to a number, and back.

use super::access::Pointer;
use crate::channel::{Channel, Quantity};
use crate::described::Described;
use crate::described::classes::{DeviceClass, StateClass};
use crate::fault::Fault;
use crate::options::Span;
use crate::port::Table;
use crate::value::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// One value of a device.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Register {
    /// Where it is: the address as it is sent, which manuals of Modbus devices often give one higher.
    pub register: u16,
    /// Which table of a Modbus device it is in: `holding`, `input`, `coil` or `discrete`.
    #[serde(default = "holding")]
    pub table: Table,
    /// What it holds: `u8`, `i8`, `u16`, `i16`, `u24`, `i24`, `u32`, `i32`, `u64`, `i64`, `f32`, `f64` or `bool`.
    #[serde(default, rename = "type")]
    pub kind: Kind,
    /// Which of its bytes comes first: that of the `big` end or that of the `little` one. Of Modbus: within a word.
    #[serde(default)]
    pub bytes: Order,
    /// Which of its words comes first, of Modbus values of several.
    #[serde(default)]
    pub words: Order,
    /// The bits that are the value; it is shifted so that the lowest of them is worth 1.
    #[serde(default)]
    pub mask: Option<u64>,
    /// What one step of the raw value is worth.
    #[serde(default = "one")]
    pub scale: f64,
    /// What a raw value of 0 is worth.
    #[serde(default)]
    pub offset: f64,
    /// The raw value that stands for none.
    #[serde(default)]
    pub invalid: Option<u64>,
    /// How often it is read at most, for values that change slowly. Default: each time.
    #[serde(default)]
    pub every: Option<Span>,
    /// Its unit, such as `°C`.
    #[serde(default)]
    pub unit: Option<String>,
    /// What it is to Home Assistant.
    #[serde(default)]
    pub device_class: Option<DeviceClass>,
    /// How Home Assistant keeps statistics of it.
    #[serde(default)]
    pub state_class: Option<StateClass>,
    /// Decimal places worth showing, 0 to 9. Default: those of `scale`; of floating-point numbers 2.
    #[serde(default)]
    pub precision: Option<u8>,
    /// The lowest value that can be right.
    #[serde(default)]
    pub min: Option<f64>,
    /// The highest value that can be right.
    #[serde(default)]
    pub max: Option<f64>,
}

impl Default for Register {
    /// A holding register of 16 bits, at 0.
    fn default() -> Self {
        Self {
            register: 0,
            table: holding(),
            kind: Kind::default(),
            bytes: Order::default(),
            words: Order::default(),
            mask: None,
            scale: one(),
            offset: 0.0,
            invalid: None,
            every: None,
            unit: None,
            device_class: None,
            state_class: None,
            precision: None,
            min: None,
            max: None,
        }
    }
}

fn holding() -> Table {
    Table::Holding
}

fn one() -> f64 {
    1.0
}

/// What a register holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)] // they are Rust's types, and everybody's
pub enum Kind {
    U8,
    I8,
    #[default]
    U16,
    I16,
    U24,
    I24,
    U32,
    I32,
    U64,
    I64,
    F32,
    F64,
    Bool,
}

/// Which end comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// The one that is worth most.
    #[default]
    Big,
    /// The one that is worth least.
    Little,
}

impl Kind {
    /// How many bytes it takes.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 | Self::Bool => 1,
            Self::U16 | Self::I16 => 2,
            Self::U24 | Self::I24 => 3,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F64)
    }

    fn is_signed(self) -> bool {
        matches!(self, Self::I8 | Self::I16 | Self::I24 | Self::I32 | Self::I64)
    }

    fn bits(self) -> u32 {
        match self {
            Self::Bool => 1,
            // At most eight bytes.
            #[allow(clippy::cast_possible_truncation)]
            other => other.bytes() as u32 * 8,
        }
    }
}

/// The lowest so many bits.
fn low(bits: u32) -> u64 {
    if bits >= 64 { u64::MAX } else { (1 << bits) - 1 }
}

impl Register {
    /// How many words it takes on Modbus; bits of a coil or a discrete input count as such.
    #[must_use]
    pub fn words(&self) -> u16 {
        match self.table {
            Table::Coil | Table::Discrete => 1,
            // At most four.
            #[allow(clippy::cast_possible_truncation)]
            Table::Holding | Table::Input => self.kind.bytes().div_ceil(2) as u16,
        }
    }

    /// The raw value of words, as they came.
    #[must_use]
    pub fn of_words(&self, words: &[u16]) -> u64 {
        let in_order: Box<dyn Iterator<Item = &u16>> = match self.words {
            Order::Big => Box::new(words.iter()),
            Order::Little => Box::new(words.iter().rev()),
        };
        in_order.fold(0, |raw, word| {
            let word = if self.bytes == Order::Little { word.swap_bytes() } else { *word };
            raw << 16 | u64::from(word)
        })
    }

    /// The words of a raw value.
    #[must_use]
    pub fn to_words(&self, raw: u64) -> Vec<u16> {
        #[allow(clippy::cast_possible_truncation)] // word by word
        let mut words: Vec<u16> = (0..self.words()).rev().map(|index| (raw >> (16 * index)) as u16).collect();
        if self.bytes == Order::Little {
            words.iter_mut().for_each(|word| *word = word.swap_bytes());
        }
        if self.words == Order::Little {
            words.reverse();
        }
        words
    }

    /// The raw value of bytes, as they came.
    #[must_use]
    pub fn of_bytes(&self, bytes: &[u8]) -> u64 {
        let add = |raw: u64, byte: &u8| raw << 8 | u64::from(*byte);
        match self.bytes {
            Order::Big => bytes.iter().fold(0, add),
            Order::Little => bytes.iter().rev().fold(0, add),
        }
    }

    /// The bytes of a raw value.
    #[must_use]
    pub fn to_bytes(&self, raw: u64) -> Vec<u8> {
        let mut bytes = raw.to_be_bytes()[8 - self.kind.bytes()..].to_vec();
        if self.bytes == Order::Little {
            bytes.reverse();
        }
        bytes
    }

    /// The bits that are the value, and how far they are from the lowest one.
    fn field(&self) -> (u64, u32) {
        let all = low(if self.kind == Kind::Bool && self.mask.is_some() { 64 } else { self.kind.bits() });
        let mask = self.mask.unwrap_or(all) & all;
        (mask, mask.trailing_zeros().min(63))
    }

    /// The value of a raw one; `None` if it stands for none.
    ///
    /// # Errors
    /// A floating-point number that is none.
    pub fn value(&self, raw: u64) -> Result<Option<Value>, Fault> {
        if self.invalid == Some(raw) {
            return Ok(None);
        }
        let (mask, shift) = self.field();
        let field = (raw & mask) >> shift;
        if self.kind == Kind::Bool {
            return Ok(Some(Value::Switch(field != 0)));
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)] // as the device has it
        let number = match self.kind {
            Kind::F32 => f64::from(f32::from_bits(raw as u32)),
            Kind::F64 => f64::from_bits(raw),
            kind if kind.is_signed() => {
                let unused = (mask >> shift).leading_zeros();
                (field << unused).cast_signed().wrapping_shr(unused) as f64
            }
            _ => field as f64,
        };
        let number = number * self.scale + self.offset;
        if !number.is_finite() {
            return Err(Fault::corrupt(format!("register {:#06x} holds no number ({raw:#x})", self.register)));
        }
        Ok(Some(Value::Number(number)))
    }

    /// `raw` with its value replaced.
    #[must_use]
    pub fn with(&self, raw: u64, value: &Value) -> u64 {
        let (mask, shift) = self.field();
        #[allow(clippy::cast_possible_truncation)] // clamped, or as the device has it
        let field = match value {
            Value::Switch(on) => u64::from(*on),
            Value::Position { .. } | Value::Text(_) => return raw, // no register has such a thing
            Value::Number(number) => {
                let number = (number - self.offset) / self.scale;
                match self.kind {
                    Kind::F32 => return u64::from((number as f32).to_bits()),
                    Kind::F64 => return number.to_bits(),
                    // Saturating, as casts from floating point are.
                    _ => (number.round() as i64).cast_unsigned(),
                }
            }
        };
        // A bit of several is all of them.
        let field = if self.kind == Kind::Bool && field != 0 { mask } else { field << shift & mask };
        raw & !mask | field
    }

    /// What a raw value can be worth at all.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // a limit
    pub fn range(&self) -> RangeInclusive<f64> {
        let described = self.described().range();
        if self.kind.is_float() {
            return described;
        }
        let (mask, shift) = self.field();
        let most = mask >> shift;
        let (lowest, highest) =
            if self.kind.is_signed() { (-((most >> 1) as f64) - 1.0, (most >> 1) as f64) } else { (0.0, most as f64) };
        let ends = [lowest, highest].map(|raw| raw * self.scale + self.offset);
        let (lowest, highest) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
        self.min.unwrap_or(lowest)..=self.max.unwrap_or(highest)
    }

    /// As channels have it.
    #[must_use]
    pub fn channel(&self, name: &str) -> Channel {
        if self.kind == Kind::Bool {
            return Channel::switch(name.to_owned(), Quantity::STATE);
        }
        Channel::number(name.to_owned(), self.described().quantity(), self.range())
    }

    fn described(&self) -> Described {
        Described {
            unit: self.unit.clone(),
            device_class: self.device_class,
            state_class: self.state_class,
            precision: Some(self.precision.unwrap_or_else(|| self.places())),
            min: self.min,
            max: self.max,
        }
    }

    /// The decimal places of a step.
    fn places(&self) -> u8 {
        if self.kind.is_float() {
            return 2;
        }
        let is_whole = |places: &u8| {
            let shifted = self.scale * 10_f64.powi(i32::from(*places));
            (shifted - shifted.round()).abs() < 1e-6
        };
        (0..=6).find(is_whole).unwrap_or(6)
    }

    /// What is wrong with it on such a device, if anything is: on I2C with addresses of registers such as `on_i2c`, else on
    /// Modbus.
    #[must_use]
    pub fn problem(&self, on_i2c: Option<Pointer>) -> Option<String> {
        let is_modbus = on_i2c.is_none();
        let bit = matches!(self.table, Table::Coil | Table::Discrete);
        let text = if !self.scale.is_finite() || self.scale == 0.0 || !self.offset.is_finite() {
            "`scale` must be a number other than 0, and `offset` a number".to_owned()
        } else if !is_modbus && self.table != Table::Holding {
            "`table` is of Modbus".to_owned()
        } else if on_i2c == Some(Pointer::Byte) && self.register > 0xFF {
            "with a `pointer` of 1 byte, the last register is 0xff".to_owned()
        } else if is_modbus && bit && self.kind != Kind::Bool {
            "a coil or a discrete input is one bit: its `type` must be `bool`".to_owned()
        } else if is_modbus && matches!(self.kind, Kind::U24 | Kind::I24) {
            "a Modbus register has 16 bits: three bytes are the `mask` of a 32-bit `type`".to_owned()
        } else if is_modbus && !bit && self.register.checked_add(self.words() - 1).is_none() {
            "it ends beyond the last register, 0xffff".to_owned()
        } else if self.mask.is_some_and(|_| self.kind.is_float() || self.field().0 == 0) {
            "`mask` must have bits that the `type` has, and the `type` must not be `f32` or `f64`".to_owned()
        } else {
            return self.described().problem();
        };
        Some(text)
    }
}
