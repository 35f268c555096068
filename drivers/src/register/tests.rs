use super::*;
use crate::port::{Modbus, ModbusPort, PortError};
use crate::sim::{I2cBus, SharedPart};
use crate::tests::rig::wire_at;
use std::sync::{Mutex, PoisonError};

/// Registers that keep what is written, but for the bits that are stuck.
#[derive(Clone, Default)]
struct Memory {
    words: Arc<Mutex<BTreeMap<(Table, u16), u16>>>,
    stuck: bool,
}

impl Modbus for Memory {
    fn read(&mut self, table: Table, address: u16, count: u16) -> Result<Vec<u16>, PortError> {
        let words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        Ok((address..address + count).map(|address| words.get(&(table, address)).copied().unwrap_or(0)).collect())
    }

    fn write(&mut self, table: Table, address: u16, written: &[u16]) -> Result<(), PortError> {
        if !self.stuck {
            let mut words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
            words.extend((address..).zip(written).map(|(address, word)| ((table, address), *word)));
        }
        Ok(())
    }
}

fn open(options: &Options, memory: &Memory) -> Box<dyn Actuator> {
    options.open(Wire::Modbus(ModbusPort(Box::new(memory.clone())))).unwrap()
}

fn word(memory: &Memory, table: Table, address: u16) -> u16 {
    memory.words.lock().unwrap().get(&(table, address)).copied().unwrap_or(0)
}

#[test]
fn a_coil_is_a_switch() {
    let (options, memory) = (Options { table: Table::Coil, register: 3, ..Options::default() }, Memory::default());
    assert_eq!(options.control(), Control::Switch);
    let mut relay = open(&options, &memory);
    assert_eq!(relay.read().unwrap(), Some(Value::Switch(false)));
    assert_eq!(relay.apply(&Value::Switch(true)).unwrap(), Value::Switch(true));
    assert_eq!(word(&memory, Table::Coil, 3), 1);
    assert_eq!(relay.apply(&Value::Number(1.0)).unwrap_err().kind, FaultKind::Rejected);
}

#[test]
fn a_set_point_is_a_number() {
    let options = Options {
        kind: Kind::I16,
        scale: 0.1,
        unit: Some("°C".to_owned()),
        min: Some(-10.0),
        max: Some(30.0),
        ..Options::default()
    };
    let memory = Memory::default();
    assert_eq!(options.control(), Control::Number { range: -10.0..=30.0, step: 0.1, unit: Some("°C") });
    let mut point = open(&options, &memory);
    let found = point.apply(&Value::Number(-5.04)).unwrap().number().unwrap();
    assert!((found + 5.0).abs() < 1e-9, "to the step of the register: {found}");
    assert_eq!(word(&memory, Table::Holding, 0), (-50_i16).cast_unsigned());
}

#[test]
fn other_bits_stay_as_they_are() {
    let options = Options { mask: Some(0x0010), ..Options::default() };
    let memory = Memory::default();
    memory.words.lock().unwrap().insert((Table::Holding, 0), 0xA5A5);
    let mut bit = open(&options, &memory);
    bit.apply(&Value::Switch(true)).unwrap();
    assert_eq!(word(&memory, Table::Holding, 0), 0xA5B5);
    bit.apply(&Value::Switch(false)).unwrap();
    assert_eq!(word(&memory, Table::Holding, 0), 0xA5A5);
}

#[test]
fn what_does_not_take_is_a_fault() {
    let memory = Memory { stuck: true, ..Memory::default() };
    let fault = open(&Options::default(), &memory).apply(&Value::Switch(true)).unwrap_err();
    assert_eq!(
        (fault.kind, fault.message.as_str()),
        (FaultKind::Bus, "the register reads back OFF after ON was written")
    );
    let blind = Options { readable: false, ..Options::default() };
    let mut driven = open(&blind, &memory);
    assert_eq!(driven.apply(&Value::Switch(true)).unwrap(), Value::Switch(true));
    assert_eq!(driven.read().unwrap(), None);
}

#[test]
fn over_i2c() {
    let options = Options { kind: Kind::U8, register: 0x10, min: Some(0.0), max: Some(200.0), ..Options::default() };
    let bus = I2cBus::new();
    bus.attach(0x20, SharedPart::new(options.simulate().unwrap()));
    let mut part = options.open(wire_at(&bus, 0x20)).unwrap();
    bus.record();
    assert_eq!(part.apply(&Value::Number(127.0)).unwrap(), Value::Number(127.0));
    assert_eq!(bus.recorded(), ["20 W 10 7f", "20 W 10 · R 7f"]);
}
