use super::sim::Model;
use super::*;
use crate::port::{KernelFiles, PortError, Space, Stream};
use crate::sim::{Files, KernelPart, Machine, SharedPart};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

const ID: &str = "28-00000a1b2c3d";

fn options(text: &str) -> Options {
    serde_yaml::from_str(text).unwrap()
}

fn open(machine: &Machine, device: Option<&str>, text: &str) -> Result<Box<dyn Sensor>, Fault> {
    options(text).open(Wire::Kernel(machine.port(), device.map(str::to_owned)))
}

fn sample(sensor: &mut dyn Sensor) -> Result<f64, Fault> {
    let mut out = Sample::new(1);
    sensor.sample(&mut out)?;
    Ok(out.values()[0].as_ref().and_then(crate::Value::number).unwrap())
}

/// A machine with one thermometer whose result is this text, without bulk conversions.
fn recorded(id: &str, result: &str) -> Machine {
    let machine = Machine::new();
    let [file, resolution] = ["w1_slave", "resolution"].map(|name| format!("{id}/{name}"));
    let files = [(file.as_str(), result), (resolution.as_str(), "12\n")];
    machine.attach(SharedPart::new(Box::new(Files::new(DEVICES, &files))), None);
    machine
}

/// What the kernel would say of these bytes of a DS18B20.
fn result_of(bytes: [u8; 8]) -> String {
    let crc = crc8(&bytes);
    let hex: String = bytes.iter().chain([&crc]).map(|byte| format!("{byte:02x} ")).collect();
    let milli = i32::from(i16::from_le_bytes([bytes[0], bytes[1]])) * 1000 / 16;
    format!("{hex}: crc={crc:02x} YES\n{hex}t={milli}\n")
}

/// Recorded: by Linux 6.12 from a simulated wire; from a DS18B20 on a Raspberry Pi, as many guides have it.
#[test]
fn recorded_results() {
    for (text, expected) in [
        ("40 01 4b 46 7f ff 0c 10 bc : crc=bc YES\n40 01 4b 46 7f ff 0c 10 bc t=20000\n", 20.0),
        ("5e ff 4b 46 7f ff 0c 10 6a : crc=6a YES\n5e ff 4b 46 7f ff 0c 10 6a t=-10125\n", -10.125),
        ("72 01 4b 46 7f ff 0e 10 57 : crc=57 YES\n72 01 4b 46 7f ff 0e 10 57 t=23125\n", 23.125),
    ] {
        let machine = recorded(ID, text);
        assert_eq!(sample(&mut *open(&machine, None, "{}").unwrap()), Ok(expected), "{text}");
    }
}

/// Section "Operation: Measuring Temperature", table 1.
#[test]
fn codes_of_the_datasheet() {
    for (celsius, code) in [
        (125.0, 0x07D0_u16),
        (85.0, 0x0550),
        (25.0625, 0x0191),
        (10.125, 0x00A2),
        (0.5, 0x0008),
        (0.0, 0x0000),
        (-0.5, 0xFFF8),
        (-10.125, 0xFF5E),
        (-25.0625, 0xFE6F),
        (-55.0, 0xFC90),
    ] {
        let mut model = Model::default();
        model.stimulate("temperature", celsius);
        let text = model.read(&format!("{DEVICES}/28-000000035a10/w1_slave")).unwrap();
        let found = Scratchpad::parse(&text).unwrap();
        assert_eq!(u16::from_le_bytes([found.bytes[0], found.bytes[1]]), code, "{celsius}");
        assert!((found.celsius - celsius).abs() < 0.001, "{celsius}: {}", found.celsius);
    }
}

/// Recorded from DS18B20 and DS18S20 after power-on, before any conversion.
#[test]
fn power_on_is_no_temperature() {
    for (id, bytes) in [(ID, "50 05 4b 46 7f ff 0c 10 1c"), ("10-00080316150b", "aa 00 b4 b9 ff ff 0c 10 18")] {
        let machine = recorded(id, &format!("{bytes} : crc={} YES\n{bytes} t=85000\n", &bytes[24..]));
        let fault = sample(&mut *open(&machine, None, "{}").unwrap()).unwrap_err();
        assert_eq!(fault.kind, FaultKind::NotReady, "{id}: {fault}");
        assert_eq!(fault.message, "85 °C, which the part has after power-on: nothing was measured");
    }
}

#[test]
fn a_true_85_degrees_is_believed() {
    let power_on = result_of([0x50, 0x05, 0x4B, 0x46, 0x7F, 0xFF, 0x0C, 0x10]);
    // A conversion leaves something else in byte 6.
    let converted = result_of([0x50, 0x05, 0x4B, 0x46, 0x7F, 0xFF, 0x10, 0x10]);
    let machine = recorded(ID, &converted);
    assert_eq!(sample(&mut *open(&machine, None, "{}").unwrap()), Ok(85.0));
    // A clone that does not: after a temperature near by, and not after one far away.
    for (before, believed) in [(82.5, true), (87.9, true), (20.0, false)] {
        let machine = Machine::new();
        let file = format!("{DEVICES}/{ID}/w1_slave");
        #[allow(clippy::cast_possible_truncation)]
        let [low, high] = ((before * 16.0) as i16).to_le_bytes();
        let text = result_of([low, high, 0x4B, 0x46, 0x7F, 0xFF, 0x0C, 0x10]);
        let resolution = (format!("{DEVICES}/{ID}/resolution"), "12\n".to_owned());
        let part = SharedPart::new(Box::new(Files([(file.clone(), text), resolution].into())));
        machine.attach(part.clone(), None);
        let mut sensor = open(&machine, None, "{}").unwrap();
        sample(&mut *sensor).unwrap();
        part.lock().files().unwrap().write(&file, &power_on).unwrap();
        assert_eq!(sample(&mut *sensor).is_ok(), believed, "{before}");
    }
    // With a resolution that power-on would have undone.
    let nine = result_of([0x50, 0x05, 0x4B, 0x46, 0x1F, 0xFF, 0x0C, 0x10]);
    let machine = recorded(ID, &nine);
    let mut sensor = Ds18b20 {
        port: machine.port(),
        id: ID.to_owned(),
        master: None,
        round: 0,
        resolution: Resolution::Bits9,
        last: None,
    };
    assert_eq!(sample(&mut sensor), Ok(85.0));
}

#[test]
fn what_is_no_temperature_is_a_fault() {
    let no_power = result_of([0xFF, 0x07, 0x4B, 0x46, 0x7F, 0xFF, 0x0C, 0x10]);
    for (text, kind, expected) in [
        (
            "72 01 4b 46 7f ff 0e 10 57 : crc=57 NO\n72 01 4b 46 7f ff 0e 10 57 t=23125\n",
            FaultKind::Corrupt,
            "checksum",
        ),
        (
            "73 01 4b 46 7f ff 0e 10 57 : crc=57 YES\n73 01 4b 46 7f ff 0e 10 57 t=23187\n",
            FaultKind::Corrupt,
            "checksum",
        ),
        ("00 00 00 00 00 00 00 00 00 : crc=00 YES\n00 00 00 00 00 00 00 00 00 t=0\n", FaultKind::Corrupt, "held low"),
        ("ff ff ff ff ff ff ff ff ff : crc=c9 NO\nff ff ff ff ff ff ff ff ff t=-62\n", FaultKind::Corrupt, "checksum"),
        (&no_power, FaultKind::Corrupt, "too little power"),
        ("", FaultKind::Absent, "nothing whole"),
        ("72 01 4b", FaultKind::Corrupt, "the kernel gives"),
        ("72 01 4b 46 7f ff 0e 10 57 : crc=57 YES\n", FaultKind::Corrupt, "the kernel gives"),
    ] {
        let machine = recorded(ID, text);
        let fault = sample(&mut *open(&machine, None, "{}").unwrap()).unwrap_err();
        assert!(fault.kind == kind && fault.message.contains(expected), "{text}: {fault}");
    }
}

#[test]
fn the_one_that_is_meant_is_found() {
    let machine = Machine::new();
    let fault = |device| open(&machine, device, "{}").err().unwrap();
    assert_eq!(fault(None).kind, FaultKind::Absent);
    assert!(fault(None).message.contains("is 1-Wire enabled"));
    let other = Files::new(DEVICES, &[("w1_bus_master1/w1_master_slaves", "not found.\n"), ("29-000000000001/rw", "")]);
    machine.attach(SharedPart::new(Box::new(other)), None);
    assert_eq!(fault(None).message, "no thermometer is found on the 1-Wire bus");
    assert_eq!(fault(Some(ID)).message, format!("there is no {ID}, and no other one"));
    machine.attach(SharedPart::new(Box::new(Model::default())), Some("28-000000000001"));
    open(&machine, None, "{}").unwrap();
    let text = format!("there is no {ID}, but 28-000000000001");
    assert_eq!((fault(Some(ID)).kind, fault(Some(ID)).message), (FaultKind::Absent, text));
    machine.attach(SharedPart::new(Box::new(Model::default())), Some(ID));
    let text = format!("there are several: `device` has to name one of 28-000000000001, {ID}");
    assert_eq!((fault(None).kind, fault(None).message), (FaultKind::WrongChip, text));
    for device in [ID, "28-000000000001"] {
        open(&machine, Some(device), "{}").unwrap();
    }
}

#[test]
fn the_resolution_is_set_and_kept() {
    let machine = Machine::new();
    let part = SharedPart::new(Box::new(Model::default()));
    machine.attach(part.clone(), Some(ID));
    part.stimulate("temperature", 21.3);
    for (resolution, expected) in [(9, 21.5), (10, 21.25), (11, 21.25), (12, 21.312)] {
        let mut sensor = open(&machine, None, &format!("{{ resolution: {resolution} }}")).unwrap();
        // The kernel gives whole thousandths.
        assert_eq!(sample(&mut *sensor), Ok(expected));
    }
    // Without power for a while: it is set again.
    let mut sensor = open(&machine, None, "{ resolution: 10 }").unwrap();
    machine.detach();
    let mut cycled = Model::default();
    cycled.power_cycle();
    machine.attach(SharedPart::new(Box::new(cycled)), Some(ID));
    let fault = sample(&mut *sensor).unwrap_err();
    let expected = "a resolution of 12 bits instead of 10: the part was without power";
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::NotReady, expected));
    assert_eq!(sample(&mut *sensor), Ok(20.0));

    let fixed = format!("{ID}/resolution");
    let machine = Machine::new();
    machine.attach(SharedPart::new(Box::new(Fixed(Files::new(DEVICES, &[(&fixed, "12\n")])))), None);
    let fault = open(&machine, None, "{ resolution: 9 }").err().unwrap();
    assert_eq!(fault.message, "the part takes no resolution of 9 bits and keeps 12: a clone?");
    let machine = recorded("10-000801b5a7a6", "");
    let fault = open(&machine, None, "{ resolution: 9 }").err().unwrap();
    assert_eq!(fault.kind, FaultKind::Rejected);
}

/// Files that take whatever is written, and stay as they are.
struct Fixed(Files);

impl Part for Fixed {
    fn stimulate(&mut self, _: &str, _: f64) -> bool {
        false
    }

    fn files(&mut self) -> Option<&mut dyn KernelPart> {
        Some(self)
    }
}

impl KernelPart for Fixed {
    fn paths(&self) -> Vec<String> {
        self.0.paths()
    }

    fn read(&mut self, path: &str) -> Option<String> {
        self.0.read(path)
    }

    fn write(&mut self, path: &str, _: &str) -> Option<()> {
        self.0.read(path).map(drop)
    }
}

/// A machine whose bulk conversions are counted, and wait for the test.
struct Counting {
    machine: Machine,
    conversions: Arc<AtomicU32>,
    gate: Arc<Mutex<()>>,
}

impl KernelFiles for Counting {
    fn read(&mut self, path: &str) -> Result<String, PortError> {
        self.machine.read(path)
    }

    fn write(&mut self, path: &str, text: &str) -> Result<(), PortError> {
        if path.ends_with("therm_bulk_read") {
            drop(self.gate.lock().unwrap());
            self.conversions.fetch_add(1, Ordering::SeqCst);
        }
        self.machine.write(path, text)
    }

    fn list(&mut self, folder: &str) -> Result<Vec<String>, PortError> {
        self.machine.list(folder)
    }

    fn create(&mut self, folder: &str) -> Result<(), PortError> {
        self.machine.create(folder)
    }

    fn space(&mut self, folder: &str) -> Result<Space, PortError> {
        self.machine.space(folder)
    }

    fn stream(&mut self, path: &str) -> Result<Box<dyn Stream>, PortError> {
        self.machine.stream(path)
    }
}

/// Eight thermometers on a bus, asked all at once: one conversion for all of them, and each its own temperature.
#[test]
fn all_are_converted_at_once() {
    let (machine, conversions, gate) = (Machine::new(), Arc::new(AtomicU32::new(0)), Arc::new(Mutex::new(())));
    let mut sensors = Vec::new();
    for number in 0..8_u8 {
        let (id, part) = (format!("28-00000000000{number}"), SharedPart::new(Box::new(Model::default())));
        part.stimulate("temperature", f64::from(number));
        machine.attach(part, Some(&id));
        let counting = Counting { machine: machine.clone(), conversions: conversions.clone(), gate: gate.clone() };
        let port = KernelPort { files: Box::new(counting), rounds: machine.port().rounds };
        sensors.push((number, port, id));
    }
    let mut sensors: Vec<_> = sensors
        .into_iter()
        .map(|(number, port, id)| (number, Options::default().open(Wire::Kernel(port, Some(id))).unwrap()))
        .collect();
    for round in 1..=3 {
        // Until all have been asked, the conversion does not end: nobody can be asked after it.
        let closed = gate.lock().unwrap();
        let asked = Arc::new(AtomicU32::new(0));
        std::thread::scope(|scope| {
            for (number, sensor) in &mut sensors {
                let asked = asked.clone();
                scope.spawn(move || {
                    asked.fetch_add(1, Ordering::SeqCst);
                    assert_eq!(sample(&mut **sensor), Ok(f64::from(*number)));
                });
            }
            while asked.load(Ordering::SeqCst) < 8 {
                std::thread::yield_now();
            }
            drop(closed);
        });
        assert_eq!(conversions.load(Ordering::SeqCst), round);
    }
}

/// This user may not start a bulk conversion: each is converted by itself.
#[test]
fn without_permission_each_is_converted_by_itself() {
    struct Denying(Counting);
    impl KernelFiles for Denying {
        fn read(&mut self, path: &str) -> Result<String, PortError> {
            self.0.read(path)
        }
        fn write(&mut self, path: &str, _: &str) -> Result<(), PortError> {
            self.0.conversions.fetch_add(1, Ordering::SeqCst);
            Err(PortError::new(FaultKind::Denied, format!("no permission for writing {path}")))
        }
        fn list(&mut self, folder: &str) -> Result<Vec<String>, PortError> {
            self.0.list(folder)
        }
        fn create(&mut self, folder: &str) -> Result<(), PortError> {
            self.0.create(folder)
        }
        fn space(&mut self, folder: &str) -> Result<Space, PortError> {
            self.0.space(folder)
        }
        fn stream(&mut self, path: &str) -> Result<Box<dyn Stream>, PortError> {
            self.0.stream(path)
        }
    }
    let (machine, conversions) = (Machine::new(), Arc::new(AtomicU32::new(0)));
    machine.attach(SharedPart::new(Box::new(Model::default())), Some(ID));
    let counting = Counting { machine: machine.clone(), conversions: conversions.clone(), gate: Arc::default() };
    let port = KernelPort { files: Box::new(Denying(counting)), rounds: machine.port().rounds };
    let mut sensor = Options::default().open(Wire::Kernel(port, None)).unwrap();
    assert_eq!(sample(&mut *sensor), Ok(20.0));
    assert_eq!(sample(&mut *sensor), Ok(20.0));
    assert_eq!(conversions.load(Ordering::SeqCst), 1, "it is tried once");
}

#[test]
fn a_part_that_takes_no_part_in_bulk_conversions_is_read_by_itself() {
    let machine = Machine::new();
    machine.attach(SharedPart::new(Box::new(Model::default())), Some("42-000000000001"));
    let mut sensor = open(&machine, None, "{}").unwrap();
    machine.record();
    assert_eq!(sample(&mut *sensor), Ok(20.0));
    assert!(machine.recorded().iter().all(|line| !line.contains("therm_bulk_read")));
}

#[test]
fn wrong_options_are_refused() {
    for text in ["{ resolution: 8 }", "{ resolution: 13 }", "{ bits: 9 }"] {
        assert!(serde_yaml::from_str::<Options>(text).is_err(), "{text}");
    }
}
