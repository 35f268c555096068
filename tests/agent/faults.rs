//! Hardware that fails while the agent runs: the agent in this process, where the simulated buses can be broken.

use super::stand::{configuration, topic};
use crate::support::broker::Broker;
use crate::support::proxy::Proxy;
use crate::support::wait_until;
use crate::support::witness::{Message, Witness, retained};
use halyard::agent::{self, Ended, Setup};
use halyard::bus::{Bus, Edges, Loads, Serial, Simulated};
use halyard::config::{self, LineName, Link, PwmName};
use halyard_drivers::port::{
    I2cPort, InputPort, InputSettings, KernelPort, ModbusPort, ModbusSettings, OutputLine, OutputPort, PortError,
    PwmPort, SerialSettings, SpiPort, SpiSettings,
};
use halyard_drivers::sim::{I2cFaults, Line};
use serde_json::{Value as Json, json};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

/// Times are written in milliseconds.
const MILLISECOND: Duration = Duration::from_millis(1);
const PARTS: &str = "
sensors:
  - { id: climate, driver: bme280, bus: i2c-1, address: 0x76, every: 50ms }
  - { id: door, driver: digital-input, line: GPIO17 }
actuators:
  - { id: pump, driver: switch, line: GPIO27 }
  - { id: lamp, driver: switch, line: GPIO5 }
";

/// An agent in this process.
pub struct Inside {
    pub broker: Broker,
    pub proxy: Proxy,
    pub witness: Witness,
    bus: Arc<Simulated>,
    gate: Arc<Barrier>,
    file: PathBuf,
    _folder: TempDir,
    thread: Option<JoinHandle<Ended>>,
}

impl Inside {
    fn start() -> Option<Self> {
        let inside = Self::with(PARTS, None)?;
        inside.state("pump", "OFF", "start");
        inside.state("lamp", "OFF", "start");
        Some(inside)
    }

    /// One with these parts, which keeps what it knows in this folder.
    pub fn with(parts: &str, state_directory: Option<PathBuf>) -> Option<Self> {
        Some(Self::at(Broker::start("")?, parts, state_directory))
    }

    /// The same at this broker.
    pub fn at(broker: Broker, parts: &str, state_directory: Option<PathBuf>) -> Self {
        let proxy = Proxy::start(broker.address(), 5);
        let witness = Witness::connect(broker.address());
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("config.yaml");
        std::fs::write(&file, configuration(&proxy.url(), parts)).unwrap();
        let config = config::load(&file).unwrap_or_else(|report| panic!("{report}"));
        let bus = Arc::new(Simulated::new(&config));
        let gate = Arc::new(Barrier::default());
        let again = file.clone();
        let setup = Setup {
            hardware_watchdog: None,
            config,
            reader: Box::new(move || config::load(&again).map_err(|report| report.to_string())),
            bus: Arc::new(Gated { bus: bus.clone(), gate: gate.clone() }),
            board: "test",
            loads: Loads::default(),
            state_directory,
        };
        let sensors = setup.config.sensors.iter().map(|sensor| sensor.id.clone());
        let actuators = setup.config.actuators.iter().map(|actuator| actuator.id.clone());
        let entities: Vec<_> = sensors.chain(actuators).collect();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            let ended = runtime.block_on(agent::run(setup)).unwrap();
            runtime.shutdown_background();
            ended
        });
        let inside = Self { broker, proxy, witness, bus, gate, file, _folder: folder, thread: Some(thread) };
        for entity in entities {
            inside.witness.wait_for(&topic(&format!("{entity}/availability")), "online");
        }
        inside
    }

    pub fn line(&self, name: &str) -> Line {
        self.bus.line(&LineName::Name(name.to_owned()))
    }

    pub fn bus(&self) -> Arc<Simulated> {
        self.bus.clone()
    }

    fn send(&self, actuator: &str, payload: &Json) {
        self.witness.peer.publish(&topic(&format!("{actuator}/set")), &payload.to_string(), false);
    }

    #[track_caller]
    fn result(&self, actuator: &str, id: &str) -> Json {
        self.witness.wait(&topic(&format!("{actuator}/result")), |message| message.json()["id"] == id).json()
    }

    #[track_caller]
    pub fn command(&self, actuator: &str, id: &str, value: &str) -> Json {
        self.send(actuator, &json!({ "id": id, "value": value }));
        self.result(actuator, id)
    }

    #[track_caller]
    fn state(&self, entity: &str, state: &str, by: &str) -> Message {
        self.witness.wait(&topic(entity), |message| message.json()["state"] == state && message.json()["by"] == by)
    }

    #[track_caller]
    pub fn availability(&self, entity: &str, text: &str) {
        self.witness.wait_for(&topic(&format!("{entity}/availability")), text);
    }

    /// Ends it, as only a request can from inside of the process.
    #[track_caller]
    pub fn stop(mut self) {
        self.witness.peer.publish(&topic("agent/request/restart"), "", false);
        let thread = self.thread.take().unwrap();
        wait_until("the agent ends", || thread.is_finished());
        assert_eq!(thread.join().unwrap(), Ended::Restart);
    }
}

/// Simulated buses whose outputs take their time: as long as the barrier is down.
struct Gated {
    bus: Arc<Simulated>,
    gate: Arc<Barrier>,
}

#[derive(Default)]
struct Barrier {
    down: Mutex<Option<LineName>>,
    changed: Condvar,
}

impl Barrier {
    /// Writes to this line wait from now on; `None` lets them go on.
    fn set(&self, line: Option<&str>) {
        *self.down.lock().unwrap() = line.map(|name| LineName::Name(name.to_owned()));
        self.changed.notify_all();
    }

    fn pass(&self, line: &LineName) {
        let down = self.down.lock().unwrap();
        drop(self.changed.wait_while(down, |down| down.as_ref() == Some(line)).unwrap());
    }
}

struct GatedLine {
    line: OutputPort,
    name: LineName,
    gate: Arc<Barrier>,
}

impl Bus for Gated {
    fn i2c(&self, bus: u8, address: u8) -> Result<I2cPort, PortError> {
        self.bus.i2c(bus, address)
    }

    fn i2c_buses(&self) -> Vec<u8> {
        self.bus.i2c_buses()
    }

    fn i2c_taken(&self, bus: u8, address: u8) -> Option<String> {
        self.bus.i2c_taken(bus, address)
    }

    fn line_holder(&self, line: &LineName) -> Result<Option<String>, PortError> {
        self.bus.line_holder(line)
    }

    fn spi(&self, bus: u8, chip_select: u8, settings: SpiSettings) -> Result<SpiPort, PortError> {
        self.bus.spi(bus, chip_select, settings)
    }

    fn output(&self, line: &LineName) -> Result<OutputPort, PortError> {
        let gated = GatedLine { line: self.bus.output(line)?, name: line.clone(), gate: self.gate.clone() };
        Ok(OutputPort(Box::new(gated)))
    }

    fn kernel(&self) -> Result<KernelPort, PortError> {
        self.bus.kernel()
    }

    fn input(&self, line: &LineName, settings: InputSettings) -> Result<Box<dyn Edges>, PortError> {
        self.bus.input(line, settings)
    }

    fn inputs(&self, lines: &[LineName], settings: InputSettings) -> Result<Box<dyn Edges>, PortError> {
        self.bus.inputs(lines, settings)
    }

    fn pwm(&self, channel: &PwmName) -> Result<PwmPort, PortError> {
        self.bus.pwm(channel)
    }

    fn modbus(&self, link: &Link, unit: u8, settings: ModbusSettings) -> Result<ModbusPort, PortError> {
        self.bus.modbus(link, unit, settings)
    }

    fn listen(&self, line: &LineName, settings: InputSettings) -> Result<InputPort, PortError> {
        self.bus.listen(line, settings)
    }

    fn serial(&self, port: &str, settings: SerialSettings) -> Result<Box<dyn Serial>, PortError> {
        self.bus.serial(port, settings)
    }
}

impl OutputLine for GatedLine {
    fn drive(&mut self, high: bool) -> Result<(), PortError> {
        self.gate.pass(&self.name);
        self.line.0.drive(high)
    }

    fn level(&mut self) -> Result<bool, PortError> {
        self.line.0.level()
    }
}

#[test]
fn a_failed_write_degrades_one_entity_and_ends_nothing() {
    let Some(inside) = Inside::start() else { return };
    assert_eq!(inside.command("pump", "1", "ON")["status"], "applied");
    inside.witness.mark();
    inside.line("GPIO27").set_broken(true);
    for id in ["2", "3"] {
        let result = inside.command("pump", id, "OFF");
        assert_eq!((&result["status"], &result["reason"]), (&json!("failed"), &json!("hardware")), "{result}");
        assert_eq!(result["state"], Json::Null, "nobody knows: {result}");
    }
    inside.availability("pump", "offline");
    inside.witness.wait(&topic("agent"), |message| message.json()["problems"]["pump"]["kind"] == "bus");
    assert_eq!(inside.command("lamp", "4", "ON")["status"], "applied", "the others go on");

    inside.line("GPIO27").set_broken(false);
    assert_eq!(inside.command("pump", "5", "ON")["status"], "applied", "the next command is tried afresh");
    inside.availability("pump", "online");
    inside.witness.wait(&topic("agent"), |message| message.json()["problems"] == json!({}));
    assert!(inside.line("GPIO27").is_high());
    inside.stop();
}

#[test]
fn an_output_that_failed_becomes_safe_by_itself() {
    let Some(inside) = Inside::start() else { return };
    assert_eq!(inside.command("pump", "1", "ON")["status"], "applied");
    inside.line("GPIO27").set_broken(true);
    assert_eq!(inside.command("pump", "2", "OFF")["status"], "failed");
    inside.witness.mark();
    inside.line("GPIO27").set_broken(false);
    inside.state("pump", "OFF", "safety");
    inside.availability("pump", "online");
    assert!(!inside.line("GPIO27").is_high());
    inside.stop();
}

#[test]
fn a_part_that_goes_away_is_offline_until_it_is_back() {
    let Some(inside) = Inside::start() else { return };
    let bus = inside.bus.i2c_bus(1);
    for faults in [
        I2cFaults { absent: true, ..I2cFaults::default() },
        I2cFaults { timeout: true, ..I2cFaults::default() },
        I2cFaults { all_ones: true, ..I2cFaults::default() },
    ] {
        inside.witness.mark();
        bus.set_faults(0x76, faults);
        inside.availability("climate", "offline");
        inside.witness.wait(&topic("agent"), |message| message.json()["problems"]["climate"].is_object());
        assert_eq!(inside.command("lamp", &format!("{faults:?}"), "TOGGLE")["status"], "applied");
        inside.witness.mark();
        bus.set_faults(0x76, I2cFaults::default());
        inside.availability("climate", "online");
        inside.witness.wait(&topic("climate"), |message| message.json()["temperature"].is_number());
    }
    inside.stop();
}

#[test]
fn edges_in_an_outage_are_delivered_with_their_times() {
    let Some(inside) = Inside::start() else { return };
    let door = inside.line("GPIO17");
    inside.witness.mark();
    inside.proxy.cut();
    inside.witness.wait_for(&topic("availability"), "offline");
    let pull = |high: bool| {
        let before = SystemTime::now();
        door.pull(high);
        (if high { "ON" } else { "OFF" }, before, SystemTime::now())
    };
    let pulls = [true, false, true, false, true].map(pull);
    inside.witness.mark();
    inside.proxy.mend();
    let backlog = || inside.witness.all(&topic("door/backlog"));
    let time = |message: &Message| halyard::time::parse(message.json()["time"].as_str().unwrap()).unwrap();
    let told = || {
        let mut all = backlog();
        // The newest goes to its own topic.
        all.extend(
            inside
                .witness
                .all(&topic("door"))
                .pop()
                .filter(|newest| all.last().is_none_or(|last| last.payload != newest.payload)),
        );
        // What was not acknowledged before comes a second time.
        all.retain(|message| time(message) + MILLISECOND > pulls[0].1);
        all
    };
    wait_until("all edges", || told().len() >= pulls.len());
    let told = told();
    assert_eq!(told.len(), pulls.len(), "{told:#?}");
    for (message, (state, before, after)) in told.iter().zip(pulls) {
        let time = time(message);
        assert_eq!(message.json()["state"], state, "{told:#?}");
        assert!(time + MILLISECOND > before && time <= after, "{}", message.text());
    }
    assert!(backlog().iter().all(|message| message.qos == 1 && !message.retained));
    assert_eq!(retained(&inside.broker)[&topic("door")].json()["state"], "ON");
    // And it goes on.
    inside.witness.mark();
    door.pull(false);
    inside.witness.wait(&topic("door"), |message| message.json()["state"] == "OFF");
    assert_eq!(backlog(), []);
    inside.stop();
}

#[test]
fn commands_that_cannot_wait_are_told_that_it_is_busy() {
    let Some(inside) = Inside::start() else { return };
    inside.witness.mark();
    inside.gate.set(Some("GPIO27"));
    let ids: Vec<String> = (0..40).map(|number| format!("b{number}")).collect();
    for id in &ids {
        inside.send("pump", &json!({ "id": id, "value": "ON" }));
    }
    let refused = inside.result("pump", "b39");
    assert_eq!((&refused["status"], &refused["reason"]), (&json!("rejected"), &json!("busy")), "{refused}");
    // Nobody else waits for the one that is slow.
    assert_eq!(inside.command("lamp", "l", "ON")["status"], "applied");
    inside.witness.wait(&topic("climate"), |_| true);
    inside.gate.set(None);
    let verdicts: Vec<Json> = ids.iter().map(|id| inside.result("pump", id)["status"].clone()).collect();
    let applied = verdicts.iter().take_while(|status| **status == "applied").count();
    assert!(applied > 0 && verdicts[applied..].iter().all(|status| *status == "rejected"), "{verdicts:?}");
    assert_eq!(inside.command("pump", "after", "OFF")["status"], "applied");
    inside.stop();
}

#[test]
fn a_broken_output_does_not_hold_up_a_reload() {
    let Some(inside) = Inside::start() else { return };
    assert_eq!(inside.command("pump", "1", "ON")["status"], "applied");
    inside.line("GPIO27").set_broken(true);
    assert_eq!(inside.command("pump", "2", "OFF")["status"], "failed");
    let text = configuration(&inside.proxy.url(), PARTS);
    let without: Vec<&str> = text.lines().filter(|line| !line.contains("pump")).collect();
    std::fs::write(&inside.file, without.join("\n")).unwrap();
    inside.witness.mark();
    inside.witness.peer.publish(&topic("agent/request/reload"), "", false);
    let answer = inside.witness.wait(&topic("agent/response/reload"), |_| true).json();
    assert_eq!(answer["status"], "ok", "{answer}");
    assert_eq!(inside.command("lamp", "3", "ON")["status"], "applied");
    inside.stop();
}
