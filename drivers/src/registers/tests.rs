use super::sim::{Model, crc};
use super::*;
use crate::fault::FaultKind;
use crate::port::{Modbus, ModbusPort, PortError, Table};
use crate::sim::{I2cBus, SerialPart, SharedPart};
use crate::tests::rig::wire_at;
use crate::value::Value;

fn options(text: &str) -> Options {
    serde_json::from_value(serde_json::to_value(serde_yaml::from_str::<serde_yaml::Value>(text).unwrap()).unwrap())
        .unwrap()
}

fn register(text: &str) -> Register {
    options(&format!("registers: {{ x: {{ register: 0, {text} }} }}")).registers.remove("x").unwrap()
}

fn value(register: &Register, raw: u64) -> f64 {
    register.value(raw).unwrap().unwrap().number().unwrap()
}

/// Eastron, SDM230-Modbus, protocol implementation: the example of a request for the voltage, `01 04 00 00 00 02 71 cb`, and
/// its answer `01 04 04 43 66 33 34 1b 38`, 230.2 V.
#[test]
fn example_of_a_meter() {
    let volts = register("table: input, type: f32");
    assert!((value(&volts, volts.of_words(&[0x4366, 0x3334])) - 230.2).abs() < 1e-4);
    assert_eq!(crc(&[0x01, 0x04, 0x00, 0x00, 0x00, 0x02]).to_le_bytes(), [0x71, 0xCB]);

    let options = options("registers: { voltage: { register: 0, table: input, type: f32, min: 0, max: 300 } }");
    let mut model = Model::new(&options.registers, None, Pointer::Byte);
    model.stimulate("voltage", f64::from(f32::from_bits(0x4366_3334)));
    let mut answer = Vec::new();
    model.receive(&[0x01, 0x04, 0x00, 0x00, 0x00, 0x02, 0x71, 0xCB], &mut answer);
    assert_eq!(answer, [0x01, 0x04, 0x04, 0x43, 0x66, 0x33, 0x34, 0x1B, 0x38]);
    answer.clear();
    model.receive(&[0x01, 0x04, 0x00, 0x00, 0x00, 0x02, 0x71, 0xCC], &mut answer);
    assert!(answer.is_empty(), "a wrong check is not answered");
}

/// Texas Instruments, INA260, SBOS656C, section 8.6: 1.25 mA and 1.25 mV a step, the current in two's complement; bus voltage
/// 0x2570 is 11.98 V (the example of table 4).
#[test]
fn example_of_a_power_monitor() {
    let volts = register("scale: 0.00125, unit: V");
    assert!((value(&volts, 0x2570) - 11.98).abs() < 1e-9);
    let amperes = register("type: i16, scale: 0.00125, unit: A");
    assert!((value(&amperes, 0xFFFF) + 0.001_25).abs() < 1e-12);
    assert_eq!(amperes.channel("current").quantity.precision, 5);
    assert!((amperes.range().start() + 40.96).abs() < 1e-9 && (amperes.range().end() - 40.958_75).abs() < 1e-9);
}

#[test]
fn orders_of_bytes_and_words() {
    for (text, words) in [
        ("type: u32", [0x0102, 0x0304]),
        ("type: u32, words: little", [0x0304, 0x0102]),
        ("type: u32, bytes: little", [0x0201, 0x0403]),
        ("type: u32, bytes: little, words: little", [0x0403, 0x0201]),
    ] {
        let register = register(text);
        assert_eq!(register.of_words(&words), 0x0102_0304, "{text}");
        assert_eq!(register.to_words(0x0102_0304), words, "{text}");
    }
    let little = register("type: u24, bytes: little");
    assert_eq!((little.of_bytes(&[3, 2, 1]), little.to_bytes(0x01_0203)), (0x01_0203, vec![3, 2, 1]));
}

#[test]
fn fields_of_registers() {
    let high = register("type: u16, mask: 0x0FF0");
    assert!((value(&high, 0xABCD) - f64::from(0xBC)).abs() < 1e-12);
    assert_eq!(high.with(0xABCD, &Value::Number(1.0)), 0xA01D);
    let signed = register("type: i16, mask: 0xFFF0, scale: 0.0625");
    assert!((value(&signed, 0xE700) + 25.0).abs() < 1e-12, "as a TMP102 has it: 0xe70 is -25 °C");
    let bit = register("type: bool, mask: 0x0004");
    assert_eq!(bit.value(0x0004).unwrap(), Some(Value::Switch(true)));
    assert_eq!(bit.with(0x00F0, &Value::Switch(true)), 0x00F4);
    assert_eq!(bit.with(0x00FF, &Value::Switch(false)), 0x00FB);
    let none = register("type: i16, invalid: 0x8000");
    assert_eq!(none.value(0x8000).unwrap(), None);
    assert_eq!(register("type: f32").value(0x7FC0_0000).unwrap_err().kind, FaultKind::Corrupt);
}

#[test]
fn over_i2c() {
    let options = options(
        "
registers:
  current: { register: 0x01, type: i16, scale: 0.00125, unit: A, device_class: current }
  voltage: { register: 0x02, scale: 0.00125, unit: V, device_class: voltage, every: 1h }
identity: { register: 0xFF, value: 0x2270 }
",
    );
    let part = SharedPart::new(options.simulate().unwrap());
    let bus = I2cBus::new();
    bus.attach(0x40, part.clone());
    part.stimulate("current", -1.25);
    part.stimulate("voltage", 12.0);
    bus.record();
    let mut sensor = options.open(wire_at(&bus, 0x40)).unwrap();
    let mut sample = |expected: &[Option<f64>]| {
        let mut out = Sample::new(2);
        sensor.sample(&mut out).unwrap();
        let values: Vec<_> = out.values().iter().map(|value| value.as_ref().and_then(Value::number)).collect();
        assert_eq!(values, expected);
    };
    sample(&[Some(-1.25), Some(12.0)]);
    sample(&[Some(-1.25), None]);
    assert_eq!(bus.recorded(), ["40 W ff · R 22 70", "40 W 01 · R fc 18", "40 W 02 · R 25 80", "40 W 01 · R fc 18"]);

    let other = Options { identity: None, ..options.clone() };
    bus.attach(0x40, SharedPart::new(other.simulate().unwrap()));
    assert_eq!(options.open(wire_at(&bus, 0x40)).err().unwrap().kind, FaultKind::WrongChip);
    assert_eq!(options.open(wire_at(&bus, 0x41)).err().unwrap().kind, FaultKind::Absent);
}

#[test]
fn neighbours_are_read_together() {
    struct Asked(std::sync::mpsc::Sender<(Table, u16, u16)>);

    impl crate::port::Modbus for Asked {
        fn read(&mut self, table: Table, address: u16, count: u16) -> Result<Vec<u16>, crate::port::PortError> {
            self.0.send((table, address, count)).unwrap();
            Ok((address..address + count).collect())
        }

        fn write(&mut self, _: Table, _: u16, _: &[u16]) -> Result<(), crate::port::PortError> {
            Ok(())
        }
    }

    let options = options(
        "
registers:
  d: { register: 200 }
  a: { register: 10, type: u32 }
  b: { register: 12 }
  c: { register: 12, mask: 0x00FF }
  e: { register: 13, table: input }
  f: { register: 14 }
",
    );
    let (asked, questions) = std::sync::mpsc::channel();
    let port = crate::port::ModbusPort(Box::new(Asked(asked)));
    let mut sensor = options.open(Wire::Modbus(port)).unwrap();
    questions.try_iter().for_each(drop);
    let mut out = Sample::new(6);
    sensor.sample(&mut out).unwrap();
    let values: Vec<_> = out.values().iter().map(|value| value.as_ref().unwrap().number().unwrap()).collect();
    assert_eq!(values, [f64::from(10 << 16 | 11), 12.0, 12.0, 200.0, 13.0, 14.0]);
    let expected = [(Table::Holding, 10, 3), (Table::Holding, 14, 1), (Table::Holding, 200, 1), (Table::Input, 13, 1)];
    assert_eq!(questions.try_iter().collect::<Vec<_>>(), expected, "no gap is read: it may not be there");
}

#[test]
fn what_cannot_be_is_refused() {
    let (modbus, byte, word) = (None, Some(Pointer::Byte), Some(Pointer::Word));
    for (text, on, expected) in [
        ("scale: 0", byte, "`scale` must be"),
        ("table: input", byte, "`table` is of Modbus"),
        ("table: coil", modbus, "must be `bool`"),
        ("type: u24", modbus, "16 bits"),
        ("mask: 0", modbus, "`mask` must have bits"),
        ("type: f32, mask: 1", modbus, "`mask` must have bits"),
        ("min: 3, max: 2", modbus, "`min` must be below `max`"),
        ("device_class: voltage", modbus, "needs a `unit`"),
    ] {
        let problem = register(text).problem(on);
        assert!(problem.as_ref().is_some_and(|problem| problem.contains(expected)), "{text}: {problem:?}");
    }
    assert_eq!(register("type: u24").problem(byte), None);
    let last = Register { register: 0xFFFF, kind: Kind::U32, ..Register::default() };
    assert!(last.problem(modbus).is_some() && last.problem(byte).is_some() && last.problem(word).is_none());
}

/// The last register is one as any other.
#[test]
fn the_last_register_is_read_and_written() {
    let options = options("{ pointer: 2, registers: { a: { register: 0xFFFE }, b: { register: 0xFFFF } } }");
    let mut model = Model::new(&options.registers, None, Pointer::Word);
    model.stimulate("a", 3.0);
    model.stimulate("b", 7.0);
    let mut request = vec![1, 3, 0xFF, 0xFE, 0, 2];
    request.extend(crc(&request).to_le_bytes());
    let mut answer = Vec::new();
    model.receive(&request, &mut answer);
    assert_eq!(answer[3..7], [0, 3, 0, 7]);
    let port = ModbusPort(Box::new(Counting));
    let mut sensor = options.open(Wire::Modbus(port)).unwrap();
    let mut out = Sample::new(2);
    sensor.sample(&mut out).unwrap();
    let values: Vec<_> = out.values().iter().map(|value| value.as_ref().unwrap().number().unwrap()).collect();
    assert_eq!(values, [f64::from(0xFFFE), f64::from(0xFFFF)]);

    // On I2C there are no words, and what has several may be in the last one.
    let mut wide = Model::new(&Options::default().registers, None, Pointer::Word);
    let last = Register { register: 0xFFFF, kind: Kind::U32, ..Register::default() };
    wide.describe(&BTreeMap::from([("wide".to_owned(), last)]));
    assert!(wide.stimulate("wide", 70_000.0));
}

/// A device whose registers hold their own addresses.
struct Counting;

impl Modbus for Counting {
    fn read(&mut self, _: Table, address: u16, count: u16) -> Result<Vec<u16>, PortError> {
        Ok((0..count).map(|index| address + index).collect())
    }

    fn write(&mut self, _: Table, _: u16, _: &[u16]) -> Result<(), PortError> {
        Ok(())
    }
}
