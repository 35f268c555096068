//! Sensors and actuators on serial ports, over pseudo terminals: what the kernel calls a port, with a test at the other end.

// Helpers of tests fail them this way; clippy knows the tests themselves only.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use halyard::bus::{Bus, Linux};
use halyard::config::parse;
use halyard::mqtt::{Limits, Outbox, Topics};
use halyard::reporter::Reporter;
use halyard::sensing::{self, ReadRequest, Records, Surroundings};
use halyard::watchdog::Watchdog;
use halyard_drivers::port::SerialSettings;
use halyard_drivers::{FaultKind, SerialSpec, mhz19, pms5003};
use serde_json::Value as Json;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use support::broker::Broker;
use support::cable::Cable;
use support::peer::Peer;
use support::wait_until;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// What names a port whichever socket it is in.
struct ById {
    folder: TempDir,
}

impl ById {
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("usb-dust")
    }

    fn point_at(&self, cable: &Cable) {
        let _ = std::fs::remove_file(self.path());
        std::os::unix::fs::symlink(&cable.path, self.path()).unwrap();
    }
}

/// The task of one sensor on the machine's own ports.
struct Running {
    _runtime: Runtime,
    reporter: Reporter,
    requests: mpsc::Sender<ReadRequest>,
    cancel: CancellationToken,
}

impl Running {
    /// `rest` is the sensor's stanza but for its id and port.
    fn start(port: &Path, rest: &str) -> Self {
        let port = port.display();
        let text = format!("agent: {{ id: test }}\nsensors:\n  - {{ id: x, port: {port}, {rest} }}\n");
        let sensor = parse(&text, "f").map_err(|report| report.to_string()).unwrap().sensors.remove(0);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let reporter = Reporter::new(
            Outbox::new(Limits::default()),
            Topics::new("h", "test"),
            "test",
            halyard::bus::Loads::default(),
        );
        reporter.add("x", "x".to_owned(), sensor.store);
        let bus: Arc<dyn Bus> = Arc::new(Linux::new());
        let (reporter_too, watchdog, records) = (reporter.clone(), Watchdog::default(), Records::default());
        let surroundings = Surroundings { bus, reporter: reporter_too, watchdog, records };
        let (requests, inbox) = mpsc::channel(8);
        let cancel = CancellationToken::new();
        #[allow(clippy::disallowed_methods)] // the library's own is private
        runtime.spawn(sensing::run(sensor, surroundings, inbox, cancel.clone()));
        Self { _runtime: runtime, reporter, requests, cancel }
    }

    fn reads(&self, channel: &str, value: f64) {
        wait_until(&format!("{channel} {value}"), || {
            self.reporter.last("x").is_some_and(|state| state[channel].as_f64() == Some(value))
        });
    }

    fn problem(&self) -> Json {
        self.reporter.health().json()["problems"]["x"].clone()
    }

    fn fails(&self, kind: &str, count: u64) {
        wait_until(&format!("{kind} {count} times"), || {
            let problem = self.problem();
            problem["kind"] == kind && problem["count"].as_u64() >= Some(count)
        });
    }

    fn works(&self) {
        wait_until("no problem", || self.problem().is_null());
    }

    fn ask(&self) -> oneshot::Receiver<Result<Json, halyard_drivers::Fault>> {
        let (answer, state) = oneshot::channel();
        self.requests.blocking_send(answer).unwrap();
        state
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// A message of the dust sensor with this much PM2.5.
fn dust(pm2_5: f64) -> Vec<u8> {
    let (mut model, mut message) = (pms5003::Options::default().simulate(), Vec::new());
    model.stimulate("pm2_5", pm2_5);
    model.serial().unwrap().talk(&mut message);
    message
}

fn wrong(mut message: Vec<u8>) -> Vec<u8> {
    message[13] ^= 1;
    message
}

#[test]
fn messages_between_garbage_become_states() {
    let mut cable = Cable::new();
    let running = Running::start(cable.path.as_ref(), "driver: pms5003, every: 10ms");
    cable.say(&[&dust(5.0)[9..], b"garbage \x42\x4d", &dust(13.0)].concat());
    running.reads("pm2_5", 13.0);
    // In pieces, with the next one right behind it.
    let message = dust(14.0);
    for byte in &message {
        cable.say(&[*byte]);
    }
    running.reads("pm2_5", 14.0);
    running.works();
}

#[test]
fn a_part_that_talks_too_much_is_throttled_and_whoever_asks_gets_the_next_reading() {
    let mut cable = Cable::new();
    let running = Running::start(cable.path.as_ref(), "driver: pms5003, every: 1h");
    cable.say(&dust(1.0));
    running.reads("pm2_5", 1.0);
    let answer = running.ask();
    let mut said = 0;
    let mut answer = Some(answer);
    wait_until("an answer", || {
        said += 1;
        cable.say(&dust(2.0));
        match answer.as_mut().unwrap().try_recv() {
            Ok(state) => {
                assert_eq!(state.unwrap()["pm2_5"], 2);
                true
            }
            Err(oneshot::error::TryRecvError::Empty) => false,
            Err(error) => panic!("{error}"),
        }
    });
    // All of these come before another interval is over.
    cable.say(&[dust(3.0), wrong(dust(3.0))].concat());
    running.fails("corrupt", 1);
    running.reads("pm2_5", 2.0);
}

#[test]
fn wrong_checksums_are_faults_until_a_right_one() {
    let mut cable = Cable::new();
    let running = Running::start(cable.path.as_ref(), "driver: pms5003, every: 1h");
    cable.say(&dust(1.0));
    running.reads("pm2_5", 1.0);
    (0..3).for_each(|_| cable.say(&wrong(dust(2.0))));
    running.fails("corrupt", 3);
    assert_eq!(running.reporter.last("x").unwrap()["pm2_5"], 1, "a wrong message is no reading");
    // After three it was offline: the next one is published, whatever the interval.
    cable.say(&dust(3.0));
    running.works();
    running.reads("pm2_5", 3.0);
}

#[test]
fn a_cable_that_was_pulled_and_put_back_in_another_socket() {
    let by_id = ById::new();
    let mut cable = Cable::new();
    by_id.point_at(&cable);
    let running = Running::start(&by_id.path(), "driver: pms5003, every: 10ms");
    cable.say(&dust(1.0));
    running.reads("pm2_5", 1.0);

    std::fs::remove_file(by_id.path()).unwrap();
    drop(cable);
    running.fails("absent", 1);
    let problem = running.problem();
    assert!(problem["message"].as_str().unwrap().starts_with("the port is gone"), "{problem}");
    // It looks for it again, and says what it finds.
    running.fails("absent", 2);
    let expected = format!("there is no {}", by_id.path().display());
    assert_eq!(running.problem()["message"], expected);

    let mut cable = Cable::new();
    cable.say(&dust(2.0));
    by_id.point_at(&cable);
    running.reads("pm2_5", 2.0);
    running.works();
}

#[test]
fn silence_is_a_fault_and_so_is_noise() {
    let mut cable = Cable::new();
    let rest = "driver: serial-lines, pattern: 'T=(?<t>.*)', silence: 500ms, every: 10ms";
    let running = Running::start(cable.path.as_ref(), rest);
    running.fails("absent", 1);
    assert_eq!(running.problem()["message"], "nothing came for 500ms");
    wait_until("a fault for noise", || {
        cable.say(b"hello\n");
        running.problem()["kind"] == "wrong-chip"
    });
    wait_until("a line", || {
        cable.say(b"T=21.5\r\n");
        running.reporter.last("x").is_some_and(|state| state["t"] == 21.5)
    });
    running.works();
}

#[test]
fn a_part_that_answers_is_asked() {
    let cable = Cable::new();
    let mut device = cable.device.try_clone().unwrap();
    let model = std::thread::spawn(move || {
        let mut model = mhz19::Options::default().simulate();
        model.stimulate("co2", 801.0);
        let (mut bytes, mut asked) = ([0; 64], 0);
        // Until the cable is pulled.
        while let Ok(length @ 1..) = device.read(&mut bytes) {
            let mut answer = Vec::new();
            model.serial().unwrap().receive(&bytes[..length], &mut answer);
            asked += 1;
            model.stimulate("co2", 801.0 + f64::from(asked));
            if device.write_all(&answer).is_err() || asked == 3 {
                break;
            }
        }
        asked
    });
    let running = Running::start(cable.path.as_ref(), "driver: mhz19, every: 20ms");
    running.reads("co2", 803.0);
    assert_eq!(model.join().unwrap(), 3);
    let mut answer = running.ask();
    running.fails("absent", 1);
    assert_eq!(running.problem()["message"], "no answer within 5s");
    wait_until("an answer", || answer.try_recv().is_ok_and(|answer| answer.is_err()));
}

#[test]
fn a_port_has_one_user() {
    let cable = Cable::new();
    let bus = Linux::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _inside = runtime.enter();
    let open = || bus.serial(&cable.path, SerialSettings::plain(9600));
    let first = open().unwrap();
    let error = open().err().unwrap();
    assert_eq!(error.kind, FaultKind::Bus);
    assert_eq!(error.message, format!("{} is in use by another program (EBUSY)", cable.path));
    drop(first);
    open().unwrap();
}

/// The built program, ended with its value.
struct Halyard(Child);

impl Halyard {
    fn run(file: &Path, folder: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_halyard"));
        command
            .args(["run", "-c"])
            .arg(file)
            .env("STATE_DIRECTORY", folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Halyard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn from_the_cable_to_the_broker() {
    let Some(broker) = Broker::start("") else { return };
    let peer = Peer::connect(broker.address(), "watcher");
    peer.listen("halyard/test/x/#");
    let mut cable = Cable::new();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("config.yaml");
    let text = format!(
        "agent: {{ id: test }}\nmqtt: {{ url: '{}', discovery: false }}\nsensors:\n  - {{ id: x, driver: pms5003, port: {}, every: 10ms }}\n",
        broker.url(),
        cable.path
    );
    std::fs::write(&file, text).unwrap();
    let _program = Halyard::run(&file, folder.path());
    let next = |what: &str| loop {
        let (topic, payload, _) = peer.next();
        let found = match topic.rsplit('/').next() {
            Some("availability") => payload,
            _ => serde_json::from_str::<Json>(&payload).unwrap()["pm2_5"].to_string(),
        };
        println!("{topic} {found}");
        if found == what {
            break;
        }
    };
    cable.say(&dust(7.0));
    next("7");
    next("online");
    (0..3).for_each(|_| cable.say(&wrong(dust(8.0))));
    next("offline");
    cable.say(&dust(9.0));
    next("9");
    next("online");
    drop(cable);
    next("offline");
}

/// What the broker hears of one entity.
struct Told(Peer);

impl Told {
    /// The next message on this topic of the entity.
    fn next(&self, topic: &str) -> String {
        loop {
            let (found, payload, _) = self.0.next();
            println!("{found} {payload}");
            if found == topic {
                return payload;
            }
        }
    }

    fn send(&self, payload: &str) {
        self.0.publish("halyard/test/sign/set", payload, false);
    }

    fn result(&self, payload: &str) -> (String, String) {
        self.send(payload);
        self.answer()
    }

    fn answer(&self) -> (String, String) {
        let result = serde_json::from_str::<Json>(&self.next("halyard/test/sign/result")).unwrap();
        let text = |key: &str| result[key].as_str().unwrap_or_default().to_owned();
        (text("status"), text("reason"))
    }

    /// The next state: its text, and by whom it is.
    fn state(&self) -> (String, String) {
        let state = serde_json::from_str::<Json>(&self.next("halyard/test/sign")).unwrap();
        let text = |key: &str| state[key].as_str().unwrap().to_owned();
        (text("state"), text("by"))
    }
}

#[test]
fn text_goes_from_the_broker_to_the_cable() {
    let Some(broker) = Broker::start("") else { return };
    let peer = Peer::connect(broker.address(), "watcher");
    peer.listen("halyard/test/sign/#");
    let told = Told(peer);
    let by_id = ById::new();
    let mut cable = Cable::new();
    by_id.point_at(&cable);
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("config.yaml");
    let text = format!(
        "agent: {{ id: test }}\nmqtt: {{ url: '{}', discovery: false }}\nactuators:\n  - {{ id: sign, driver: serial-write, port: {}, ending: crlf, max_length: 8, safe: BYE }}\n",
        broker.url(),
        by_id.path().display()
    );
    std::fs::write(&file, text).unwrap();
    let pair = |first: &str, second: &str| (first.to_owned(), second.to_owned());
    let mut program = Halyard::run(&file, folder.path());
    assert_eq!(told.state(), pair("", "start"));

    // Whatever the device says is nobody's business.
    cable.say(&[b'x'; 3000]);
    assert_eq!(told.result("OFF"), pair("applied", ""));
    assert_eq!(told.result(r#"{"value":"007","id":"a"}"#), pair("applied", ""));
    assert_eq!(told.result(r#"{"value":"007","id":"a"}"#), pair("rejected", "duplicate"));
    assert_eq!(told.result("123456789"), pair("rejected", "out-of-range"));
    assert_eq!(told.result("a\rb"), pair("rejected", "unknown-value"));
    assert_eq!(told.result("{\"value\":\"\u{e9}\"}"), pair("rejected", "unknown-value"));
    assert_eq!(told.result(r#"{"value":"#), pair("rejected", "malformed"));
    assert_eq!(told.result("last"), pair("applied", ""));
    cable.hears(b"OFF\r\n007\r\nlast\r\n");

    std::fs::remove_file(by_id.path()).unwrap();
    drop(cable);
    told.send("lost");
    while told.next("halyard/test/sign/availability") != "offline" {}
    assert_eq!(told.answer(), pair("failed", "hardware"));
    let mut cable = Cable::new();
    by_id.point_at(&cable);
    // What it was told while it was away is not written any more.
    assert_eq!(told.state(), pair("BYE", "safety"));
    assert_eq!(told.result("back"), pair("applied", ""));
    cable.hears(b"BYE\r\nback\r\n");

    // SAFETY: the process is a child that nobody has waited for, so its number is its own.
    assert_eq!(unsafe { libc::kill(program.0.id().cast_signed(), libc::SIGTERM) }, 0);
    cable.hears(b"BYE\r\n");
    assert!(program.0.wait().unwrap().success());
}
