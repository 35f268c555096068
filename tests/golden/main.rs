//! Golden transcripts: for each driver, what the running agent does on the wire beside what it says on MQTT, from the
//! start over a measurement or command, a fault and the recovery from it to the end.
//!
//! `UPDATE_GOLDEN=1` writes them anew. `<` is the part's side, `W` what is written to it and `R` what is read from it,
//! bytes as [`halyard_drivers::sim`] shows them; `>` is MQTT's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // all of this file is a test

#[path = "../support/mod.rs"]
mod support;
mod wired;

use halyard::agent::{self, Ended, Setup};
use halyard::bus::{Expanded, Loads};
use halyard::config::{At, Config, Source, parse};
use halyard_drivers::port::SerialSettings;
use halyard_drivers::sim::Part;
use halyard_drivers::{Channel, Control, DRIVERS, Driver, EdgeSpec, Role, SerialSensor, SerialSpec};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use support::LIMIT;
use support::fake::FakeBroker;
use support::wire::{Publish, kind};
use wired::Wired;

/// Version of MQTT.
const V5: u8 = 5;
/// What all topics begin with.
const TOPICS: &str = "halyard/golden/";
/// Longer than any test.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden"))
}

/// Each driver's own example, and the other ways in which it can be connected.
fn stanzas() -> Vec<(String, &'static Driver, String)> {
    let mut all: Vec<_> = DRIVERS.iter().map(|driver| (driver.name.into(), *driver, timed(driver))).collect();
    let bme280 = halyard_drivers::find("bme280").unwrap();
    let button = "- id: bell\n  driver: digital-input\n  line: GPIO17\n  events: [press]\n";
    all.push(("digital-input-events".into(), halyard_drivers::find("digital-input").unwrap(), button.into()));
    all.push(("bme280-spi".into(), bme280, "- id: climate\n  driver: bme280\n  bus: spi0.0\n".into()));
    all
}

/// Options that give a part a time of its own.
const TIMES: [(&str, &str); 4] =
    [("fan", "tacho:"), ("light", "transition:"), ("servo", "speed:"), ("servo", "detach:")];

/// An example without what has its own time: how far it gets until something else happens is up to the machine.
fn timed(driver: &Driver) -> String {
    let has_time = |line: &&str| TIMES.iter().any(|(name, key)| driver.name == *name && line.trim().starts_with(key));
    // What looks at intervals does so seldom.
    let seldom = |line: &str| line.replace("refresh: 1s", "refresh: 1h");
    driver.example.lines().filter(|line| !has_time(line)).map(|line| format!("{}\n", seldom(line))).collect()
}

#[test]
fn transcripts() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut wrong = Vec::new();
    // Else the number of polls would be up to the machine.
    halyard_drivers::sim::clock::hurry();
    // Side by side: most of it is waiting for parts.
    let runs = stanzas().into_iter().map(|(name, driver, stanza)| {
        let run = std::thread::spawn(move || format!("{stanza}\n{}", Run::start(driver, &stanza).transcript()));
        (name, run)
    });
    for (name, run) in runs.collect::<Vec<_>>() {
        let file = folder().join(format!("{name}.txt"));
        let transcript = run.join().unwrap_or_else(|_| panic!("{name}"));
        if update {
            std::fs::write(file, transcript).unwrap();
        } else if std::fs::read_to_string(&file).unwrap_or_default() != transcript {
            println!("--- {name}\n{transcript}");
            wrong.push(name);
        }
    }
    assert!(wrong.is_empty(), "other than in tests/golden: {wrong:?}; UPDATE_GOLDEN=1 accepts what is printed above");
}

#[test]
fn there_is_no_transcript_of_nothing() {
    let expected: BTreeSet<_> = stanzas().into_iter().map(|(name, ..)| format!("{name}.txt")).collect();
    let files = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(files.filter(|name| name.ends_with(".txt")).collect::<BTreeSet<_>>(), expected);
}

/// An agent with one part.
struct Run {
    broker: FakeBroker,
    wired: Arc<Wired>,
    config: Config,
    /// The part's id and place.
    id: String,
    at: At,
    agent: JoinHandle<Ended>,
    text: String,
}

impl Run {
    /// Nothing is opened until the agent is connected.
    fn start(driver: &Driver, stanza: &str) -> Self {
        let broker = FakeBroker::start(V5, false);
        let parts = match driver.role {
            Role::Sensor => format!("sensors:\n{stanza}"),
            Role::Actuator => format!("actuators:\n{stanza}"),
            Role::Expander => {
                // Somebody has to be connected to it.
                let id = stanza.lines().next().unwrap().trim_start_matches("- id: ");
                let line = format!("{{ expander: {id}, pin: 3 }}");
                format!("expanders:\n{stanza}actuators:\n- {{ id: relay, driver: switch, line: {line} }}\n")
            }
        };
        let url = broker.url();
        let text = format!("agent: {{ id: golden }}\nmqtt: {{ url: {url:?}, discovery: false }}\n{parts}");
        let mut config = parse(&text, "golden.yaml").unwrap_or_else(|report| panic!("{report}"));
        config.sensors.iter_mut().for_each(|sensor| timeless(&mut sensor.source));
        let sensor = config.sensors.first().map(|sensor| (sensor.id.clone(), sensor.at.clone()));
        let actuator = config.actuators.first().map(|actuator| (actuator.id.clone(), actuator.at.clone()));
        let (id, at) = sensor.or(actuator).unwrap();
        // What happens to the expander is of interest, not what happens to its pin.
        let at = config.expanders.first().map_or(at, |expander| expander.at.clone());
        let wired = Arc::new(Wired::new(&config));
        wired.record(&at);
        let setup = Setup {
            hardware_watchdog: None,
            config: config.clone(),
            reader: Box::new(|| Err("there is no file".into())),
            bus: Arc::new(Expanded::new(wired.clone(), &config)),
            board: "simulated",
            loads: Loads::default(),
            state_directory: None,
        };
        let agent = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(agent::run(setup)).unwrap()
        });
        let mut run = Self { broker, wired, config, id, at, agent, text: String::new() };
        run.until(|publish| publish.topic == "availability");
        // Until what a new connection gives rise to is over. The first answer comes after the agent has subscribed, the
        // second after it has noticed, and the third after it has told all that it tells then.
        for _ in 0..3 {
            run.say("agent/request/health", "");
            run.until(|publish| publish.topic == "agent/response/health");
        }
        run
    }

    fn transcript(mut self) -> String {
        match self.config.sensors.first().map(|sensor| sensor.source.clone()) {
            Some(Source::Sampled { spec, .. }) => {
                self.step("start", "availability", |run| run.wired.open());
                self.step("a measurement", "", |run| {
                    run.stimulate(spec.channels());
                    run.say("agent/request/read", "");
                });
                self.step("a fault", "availability", |run| {
                    run.wired.strike();
                    run.say("agent/request/read", "");
                });
                self.step("recovery", "availability", |run| run.wired.open());
            }
            Some(Source::Edges { spec, .. }) => self.edges(&*spec),
            Some(Source::Serial { spec, .. }) => {
                self.step("start", "availability", |run| run.wired.open());
                self.step("a measurement", "", |run| {
                    run.stimulate(spec.channels());
                    if talks(&*spec) { run.wired.talk() } else { run.say("agent/request/read", "") }
                });
                self.step("a fault", "availability", |run| run.wired.strike());
                self.step("recovery", "availability", |run| run.wired.open());
            }
            None => {
                self.step("start", "", |run| run.wired.open());
                let [first, second] = match self.config.actuators[0].spec.control() {
                    Control::Switch => [r#""ON""#.to_owned(), r#""OFF""#.to_owned()],
                    Control::Level(_) => ["30".to_owned(), r#""OFF""#.to_owned()],
                    Control::Cover => [r#""OPEN""#.to_owned(), r#""CLOSE""#.to_owned()],
                    Control::Text(_) => [r#""HELLO""#.to_owned(), r#""BYE""#.to_owned()],
                    Control::Position { range, step, .. } => {
                        [0.0, 2.0].map(|steps| (range.start() + steps * step).to_string())
                    }
                    Control::Number { range, .. } => {
                        [0.375, 0.75].map(|part| (range.start() + part * (range.end() - range.start())).to_string())
                    }
                };
                let first = format!(r#"{{"id":"1","value":{first}}}"#);
                // What takes its time takes none here: until it is there.
                match self.config.actuators[0].spec.control() {
                    Control::Cover => self.step_until("a command", r#""state":100,"#, |run| run.command(&first)),
                    Control::Position { .. } => {
                        self.step_until("a command", r#""state":0,"#, |run| run.command(&first));
                    }
                    _ => self.step("a command", "result", |run| {
                        run.command(&first);
                        if matches!(run.at, At::Serial(_)) {
                            support::wait_until("an answer on the port", || run.wired.has_answered());
                        }
                    }),
                }
                self.step("a fault", "result", |run| {
                    run.wired.strike();
                    if matches!(run.at, At::Serial(_)) {
                        support::wait_until("the port is gone", || run.wired.is_gone());
                    }
                    run.command(&format!(r#"{{"id":"2","value":{second}}}"#));
                });
                self.step("recovery", "", |run| run.wired.open());
            }
        }
        self.end()
    }

    fn edges(&mut self, spec: &dyn EdgeSpec) {
        let lines = spec.lines().iter().map(|key| self.wired.simulated().line(self.at.line(key).unwrap()));
        let lines: Vec<_> = lines.collect();
        let turn = |line: usize| lines[line].pull(!lines[line].is_high());
        self.step("start", "availability", |run| run.wired.open());
        if lines.len() > 1 {
            self.step("a detent", "", |_| [0, 1, 0, 1].into_iter().for_each(turn));
        } else if spec.reports() {
            self.step("a pulse", "", |run| {
                [0, 0].into_iter().for_each(turn);
                run.say("agent/request/read", "");
            });
        } else if !spec.events().is_empty() {
            let told = self.until_after(|publish| !publish.retained, || [0, 0].into_iter().for_each(turn));
            self.write("a press", &told);
        } else {
            self.step("an edge", "", |_| turn(0));
        }
        self.step("a fault", "availability", |run| run.wired.strike());
        self.step("recovery, after an edge that nobody saw", "availability", |run| {
            turn(0);
            run.wired.open();
        });
    }

    /// All messages that follow something, until such a one of the part's.
    fn until_after(&mut self, last: impl Fn(&Publish) -> bool, action: impl FnOnce()) -> Vec<Publish> {
        action();
        let id = self.id.clone();
        self.until(|publish| publish.topic == id && last(publish))
    }

    /// Sets all channels to something in the lower half of their ranges: not what the model begins with.
    fn stimulate(&self, channels: Vec<Channel>) {
        let part = self.wired.simulated().part(&self.at).unwrap();
        for channel in channels {
            let range = channel.range.unwrap();
            let value = range.start() + 0.375 * (range.end() - range.start());
            assert!(part.stimulate(&channel.name, value));
        }
    }

    fn command(&self, payload: &str) {
        self.say(&format!("{}/set", self.id), payload);
    }

    /// Does something, and writes down what follows until a message on this topic below the part's.
    fn step(&mut self, title: &str, last: &str, action: impl FnOnce(&mut Self)) {
        action(self);
        let topic = if last.is_empty() { self.id.clone() } else { format!("{}/{last}", self.id) };
        let published = self.until(|publish| publish.topic == topic);
        self.write(title, &published);
    }

    /// The same, until a state with this in it. One before it may be sent or not: the newest is all that a broker has to get.
    fn step_until(&mut self, title: &str, last: &str, action: impl FnOnce(&mut Self)) {
        action(self);
        let id = self.id.clone();
        let has = |payload: &[u8]| std::str::from_utf8(payload).is_ok_and(|payload| payload.contains(last));
        let mut published = self.until(|publish| publish.topic == id && has(&publish.payload));
        published.retain(|publish| publish.topic != id || has(&publish.payload));
        self.write(title, &published);
    }

    fn write(&mut self, title: &str, published: &[Publish]) {
        writeln!(self.text, "== {title}").unwrap();
        let start = self.text.len();
        for line in self.wired.recorded(&self.at) {
            writeln!(self.text, "< {line}").unwrap();
        }
        for publish in published.iter().filter(|publish| publish.topic.starts_with(&self.id)) {
            let payload = without_time(std::str::from_utf8(&publish.payload).unwrap());
            let retained = if publish.retained { " (retained)" } else { "" };
            writeln!(self.text, "> {} {payload}{retained}", publish.topic).unwrap();
        }
        if self.text.len() == start {
            self.text.push_str("nothing\n");
        }
        self.text.push('\n');
    }

    /// Ends the agent, and writes down how.
    fn end(mut self) -> String {
        self.say("agent/request/restart", "");
        let published = self.until(|publish| publish.topic == "availability" && publish.payload == b"offline");
        self.write("end", &published);
        assert_eq!(self.agent.join().unwrap(), Ended::Restart);
        self.text.trim_end().to_owned() + "\n"
    }

    /// All messages until this one, their topics without what all begin with.
    fn until(&mut self, last: impl Fn(&Publish) -> bool) -> Vec<Publish> {
        let mut all = Vec::new();
        loop {
            let packet = self.broker.packets.recv_timeout(LIMIT).unwrap_or_else(|_| panic!("{}\n{all:?}", self.text));
            if packet.kind() != kind::PUBLISH {
                continue;
            }
            let mut publish = packet.publish(V5).unwrap();
            publish.topic = publish.topic.strip_prefix(TOPICS).unwrap().to_owned();
            all.push(publish);
            if all.last().is_some_and(&last) {
                return all;
            }
        }
    }

    /// Publishes to the agent with QoS 0 (MQTT 5, 3.3).
    fn say(&self, topic: &str, payload: &str) {
        let topic = format!("{TOPICS}{topic}");
        let length = u8::try_from(2 + topic.len() + 1 + payload.len()).unwrap();
        assert!(length < 128, "one byte");
        let mut packet = vec![kind::PUBLISH << 4, length];
        packet.extend_from_slice(&u16::try_from(topic.len()).unwrap().to_be_bytes());
        packet.extend_from_slice(topic.as_bytes());
        packet.push(0); // no properties
        packet.extend_from_slice(payload.as_bytes());
        self.broker.say(&packet);
    }
}

/// Nothing happens because of the clock: a part is asked or talks when the test says so, and each of its messages counts.
fn timeless(source: &mut Source) {
    match source {
        Source::Sampled { every, .. } => *every = DAY,
        Source::Edges { every, .. } => *every = every.map(|_| DAY),
        Source::Serial { spec, every } => {
            *every = if talks(&**spec) { Duration::ZERO } else { DAY };
            *spec = Arc::new(Patient(spec.clone()));
        }
    }
}

/// Whether the part talks by itself.
fn talks(spec: &dyn SerialSpec) -> bool {
    spec.simulate().serial().unwrap().period().is_some()
}

/// A part on a serial port whose silence is no fault.
#[derive(Debug)]
struct Patient(Arc<dyn SerialSpec>);

impl SerialSpec for Patient {
    fn channels(&self) -> Vec<Channel> {
        self.0.channels()
    }

    fn settings(&self) -> SerialSettings {
        self.0.settings()
    }

    fn patience(&self) -> Duration {
        DAY
    }

    fn open(&self) -> Box<dyn SerialSensor> {
        self.0.open()
    }

    fn simulate(&self) -> Box<dyn Part> {
        self.0.simulate()
    }
}

/// The payload with `…` as its time.
fn without_time(payload: &str) -> String {
    const TIME: &str = r#""time":""#;
    match payload.split_once(TIME) {
        Some((before, rest)) => format!("{before}{TIME}…{}", &rest[rest.find('"').unwrap()..]),
        None => payload.to_owned(),
    }
}
