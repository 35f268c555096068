//! An hour of a hundred sensors whose parts fail and whose broker is killed every minute: does anything grow?
//!
//! `cargo bench --bench soak -- [MINUTES] [--clock] [--plot FILE.svg]`
//!
//! `--clock` sets the machine's clock a day forwards after a third of the time, and back after two thirds: only where
//! nobody else looks at it, which is in the hardware lab.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a measurement that cannot be made ends with a message

mod measure;
#[path = "soak/plot.rs"]
mod plot;
#[path = "../tests/support/mod.rs"]
mod support;

use halyard::agent::{self, Setup};
use halyard::bus::{Loads, Metered, Simulated};
use halyard::config::{self, At, Config};
use halyard_drivers::sim::I2cFaults;
use measure::{Probe, Process, load, machine};
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::broker::Broker;

/// The buses with I2C sensors, and what is on each of them.
const BUSES: u8 = 14;
const PARTS: [(&str, &str); 6] = [
    ("bme280", "address: 0x76"),
    ("sht4x", "address: 0x44"),
    ("ads1115", "address: 0x48, channels: { level: a0 }"),
    ("tmp117", "address: 0x49"),
    ("bh1750", "address: 0x23"),
    ("ina226", "address: 0x40, shunt: 0.1"),
];
/// Sensors on SPI, and doors.
const CONVERTERS: u8 = 8;
const DOORS: u8 = 8;
const SWITCHES: u8 = 4;

/// Time between two measurements.
const INTERVAL: Duration = Duration::from_secs(10);
/// The broker's life, and how long there is none after it.
const BROKER: Duration = Duration::from_secs(57);
const OUTAGE: Duration = Duration::from_secs(3);
/// How long a result may take before it counts as missing.
const PATIENCE: Duration = Duration::from_secs(10);
const DAY: i64 = 24 * 60 * 60;

/// What was measured at one moment.
pub struct Point {
    at: Duration,
    resident_kib: u64,
    threads: u64,
    files: u64,
    /// Of one core, in percent, since the last one.
    processor: f64,
    /// Messages of sensors per second that the broker was up, since the last one.
    states: f64,
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let (mut minutes, mut clock, mut file) = (60, false, None);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "agent" => return run_agent(&arguments.next().expect("a file")),
            "--clock" => clock = true,
            "--plot" => file = arguments.next(),
            number => minutes = number.parse().unwrap_or_else(|_| panic!("{number} is no number of minutes")),
        }
    }
    let Some(mut broker) = Broker::start("") else { return };
    println!("100 sensors at 1 Hz for {minutes} minutes; {}", machine());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    std::fs::write(&path, configuration(&broker)).unwrap();
    let agent = Process::itself(&["agent", path.to_str().unwrap()]);
    let mut soak = Soak::new(&agent, Duration::from_secs(60 * minutes), clock);
    while !soak.is_over() {
        soak.visit(&broker);
        broker.kill();
        std::thread::sleep(OUTAGE);
        broker.restart();
    }
    soak.report();
    if let Some(file) = file {
        std::fs::write(&file, plot::plot(&soak.points)).unwrap_or_else(|error| panic!("{file}: {error}"));
    }
}

fn configuration(broker: &Broker) -> String {
    let mut text = format!("agent: {{ id: soak }}\nmqtt: {{ url: {} }}\nsensors:\n", broker.url());
    for bus in 1..=BUSES {
        for (driver, more) in PARTS {
            writeln!(text, "  - {{ id: {driver}-{bus}, driver: {driver}, bus: i2c-{bus}, {more}, every: 1s }}")
                .unwrap();
        }
    }
    for chip in 0..CONVERTERS {
        let part = format!("driver: mcp3008, bus: spi0.{chip}, channels: {{ level: 0 }}, every: 1s");
        writeln!(text, "  - {{ id: mcp3008-{chip}, {part} }}").unwrap();
    }
    for door in 0..DOORS {
        writeln!(text, "  - {{ id: door-{door}, driver: digital-input, line: DOOR{door} }}").unwrap();
    }
    text.push_str("actuators:\n");
    for switch in 0..SWITCHES {
        writeln!(text, "  - {{ id: switch-{switch}, driver: switch, line: SWITCH{switch}, max_on: 30s }}").unwrap();
    }
    text
}

/// The agent, in a process of its own, where the simulated parts can be broken.
fn run_agent(file: &str) {
    let config = config::load(file.as_ref()).unwrap_or_else(|report| panic!("{report}"));
    let bus = Arc::new(Simulated::new(&config));
    let (loads, again) = (Loads::default(), file.to_owned());
    let (parts, broken) = (config.clone(), Arc::clone(&bus));
    std::thread::spawn(move || break_things(&parts, &broken));
    let setup = Setup {
        hardware_watchdog: None,
        config,
        reader: Box::new(move || config::load(again.as_ref()).map_err(|report| report.to_string())),
        bus: Arc::new(Metered::new(bus, loads.clone())),
        board: "simulated",
        loads,
        state_directory: std::env::var_os("STATE_DIRECTORY").map(Into::into),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(agent::run(setup)).unwrap();
}

/// Every few seconds a part fails in one of its ways, for some seconds; doors go.
fn break_things(config: &Config, bus: &Simulated) -> ! {
    let mut random = fastrand::Rng::with_seed(7);
    loop {
        std::thread::sleep(Duration::from_millis(random.u64(500..3_000)));
        let sensor = &config.sensors[random.usize(..config.sensors.len())];
        let pause = Duration::from_millis(random.u64(200..5_000));
        match &sensor.at {
            At::I2c { bus: number, address } => {
                let faults = match random.u8(..3) {
                    0 => I2cFaults { absent: true, ..I2cFaults::default() },
                    1 => I2cFaults { timeout: true, ..I2cFaults::default() },
                    _ => I2cFaults { all_ones: true, ..I2cFaults::default() },
                };
                bus.i2c_bus(*number).set_faults(*address, faults);
                std::thread::sleep(pause);
                bus.i2c_bus(*number).set_faults(*address, I2cFaults::default());
            }
            At::Spi { bus: number, chip_select } => {
                bus.spi_slot(*number, *chip_select).set_broken(true);
                std::thread::sleep(pause);
                bus.spi_slot(*number, *chip_select).set_broken(false);
            }
            At::Line(line) => (0..20).for_each(|edge| bus.line(line).pull(edge % 2 == 0)),
            _ => {}
        }
    }
}

struct Soak<'a> {
    agent: &'a Process,
    start: Instant,
    length: Duration,
    /// What the clock is set to in turn, and when.
    jumps: Vec<(Duration, i64)>,
    points: Vec<Point>,
    processor: Duration,
    measured: Instant,
    /// Of sensors, since the last measurement, and the time in which they could come.
    states: u32,
    heard: Duration,
    commands: u32,
    applied: u32,
    missing: u32,
    brokers: u32,
}

impl<'a> Soak<'a> {
    fn new(agent: &'a Process, length: Duration, clock: bool) -> Self {
        let jumps = if clock { vec![(length * 2 / 3, -DAY), (length / 3, DAY)] } else { Vec::new() };
        let (start, processor) = (Instant::now(), agent.processor_time());
        Self {
            agent,
            start,
            length,
            jumps,
            points: Vec::new(),
            processor,
            measured: start,
            states: 0,
            heard: Duration::ZERO,
            commands: 0,
            applied: 0,
            missing: 0,
            brokers: 0,
        }
    }

    fn is_over(&self) -> bool {
        self.start.elapsed() >= self.length
    }

    /// A broker's life: a command each second, and a look at the agent now and then.
    fn visit(&mut self, broker: &Broker) {
        let mut probe = Probe::connect(broker.address(), "probe", &["halyard/soak/#"]);
        probe.set_patience(Duration::from_millis(100));
        let end = Instant::now() + BROKER;
        let mut online = None;
        let mut asked: Option<Instant> = None;
        let mut next = Instant::now();
        self.brokers += 1;
        while Instant::now() < end && !self.is_over() {
            if let Some(message) = probe.try_next() {
                let topic = message.topic.trim_start_matches("halyard/soak/");
                match topic.split_once('/') {
                    None if topic == "availability" && message.payload == b"online" => {
                        online.get_or_insert_with(Instant::now);
                    }
                    None if topic != "agent" && !topic.starts_with("switch") => self.states += 1,
                    Some((_, "result")) => {
                        self.applied += u32::from(message.payload.windows(9).any(|word| word == b"\"applied\""));
                        asked = None;
                    }
                    _ => {}
                }
            }
            if asked.is_some_and(|asked| asked.elapsed() > PATIENCE) {
                (self.missing, asked) = (self.missing + 1, None);
            }
            if online.is_some() && asked.is_none() && Instant::now() >= next {
                self.commands += 1;
                probe.publish(&format!("halyard/soak/switch-{}/set", self.commands % u32::from(SWITCHES)), "TOGGLE");
                asked = Some(Instant::now());
                next = Instant::now() + Duration::from_secs(1);
            }
            if self.measured.elapsed() >= INTERVAL {
                self.heard += online.map_or(Duration::ZERO, |online| online.elapsed().min(self.measured.elapsed()));
                self.measure();
            }
            self.jump();
        }
        self.heard += online.map_or(Duration::ZERO, |online| online.elapsed().min(self.measured.elapsed()));
    }

    fn measure(&mut self) {
        let processor = self.agent.processor_time();
        let passed = self.measured.elapsed();
        self.points.push(Point {
            at: self.start.elapsed(),
            resident_kib: self.agent.resident_kib(),
            threads: self.agent.threads(),
            files: self.agent.files(),
            processor: 100.0 * (processor - self.processor).as_secs_f64() / passed.as_secs_f64(),
            states: f64::from(self.states) / self.heard.as_secs_f64().max(0.1),
        });
        (self.processor, self.measured, self.states, self.heard) = (processor, Instant::now(), 0, Duration::ZERO);
    }

    /// Sets the clock when it is time.
    fn jump(&mut self) {
        let Some((_, seconds)) = self.jumps.pop_if(|(at, _)| self.start.elapsed() >= *at) else { return };
        let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: both calls read or write one timespec, which `now` is.
        let result = unsafe {
            libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut now);
            now.tv_sec += seconds;
            libc::clock_settime(libc::CLOCK_REALTIME, &raw const now)
        };
        assert_eq!(result, 0, "the clock cannot be set: {}", std::io::Error::last_os_error());
        println!("after {:.1} min: the clock by {seconds} s", self.start.elapsed().as_secs_f64() / 60.0);
    }

    fn report(&self) {
        println!(
            "{} brokers killed, {} commands: {} applied, {} without a result",
            self.brokers, self.commands, self.applied, self.missing
        );
        let third = self.points.len() / 3;
        let (early, late) = (&self.points[..third.max(1)], &self.points[self.points.len() - third.max(1)..]);
        println!("{:<24}{:>12}{:>12}{:>12}", "", "first third", "last third", "most");
        let line = |name: &str, of: fn(&Point) -> f64| {
            let median = |points: &[Point]| {
                let mut values: Vec<f64> = points.iter().map(of).collect();
                values.sort_by(f64::total_cmp);
                values[values.len() / 2]
            };
            let most = self.points.iter().map(of).fold(0.0, f64::max);
            println!("{name:<24}{:>12.2}{:>12.2}{most:>12.2}", median(early), median(late));
        };
        for (name, of) in plot::SERIES {
            line(name, of);
        }
        println!("{}", load());
    }
}
