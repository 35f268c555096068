//! What twenty sensors cost: memory, processor time, time to the first state, size of the program.
//!
//! `cargo bench --bench footprint`; it takes a minute and a half.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a measurement that cannot be made ends with a message

mod measure;
#[path = "../tests/support/mod.rs"]
mod support;

use measure::{HALYARD, Probe, Process, load, machine, quantile};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::{Duration, Instant};
use support::broker::Broker;

const STARTS: usize = 10;
const MINUTE: Duration = Duration::from_secs(60);
/// What the start cost is over by then.
const SETTLE: Duration = Duration::from_secs(5);

fn main() {
    let Some(broker) = Broker::start("") else { return };
    println!("20 sensors at 1 Hz; {}", machine());
    let size = std::fs::metadata(HALYARD).unwrap().len();
    println!("size of the program: {} kB{}", size / 1000, if cfg!(feature = "broker") { ", with broker" } else { "" });
    start(&broker);
    run(&broker);
}

/// Twenty sensors of all sorts, five of each on buses of their own.
fn configuration(broker: &Broker, agent: &str) -> String {
    let mut text = format!("agent: {{ id: {agent} }}\nmqtt: {{ url: {}, base: footprint }}\nsensors:\n", broker.url());
    for bus in 1..=5 {
        for (driver, address) in [("bme280", "0x76"), ("sht4x", "0x44"), ("ads1115", "0x48")] {
            let more = if driver == "ads1115" { ", channels: { level: a0 }" } else { "" };
            let part = format!("driver: {driver}, bus: i2c-{bus}, address: {address}{more}");
            writeln!(text, "  - {{ id: {driver}-{bus}, {part}, every: 1s }}").unwrap();
        }
        let part = format!("driver: mcp3008, bus: spi0.{bus}, channels: {{ level: 0 }}");
        writeln!(text, "  - {{ id: mcp3008-{bus}, {part}, every: 1s }}").unwrap();
    }
    text
}

/// From the start of the process to the first state, and to a state of each sensor, as another client sees them.
fn start(broker: &Broker) {
    let (mut first, mut all) = (Vec::new(), Vec::new());
    for number in 0..STARTS {
        let agent = format!("start{number}");
        let configuration = configuration(broker, &agent);
        let mut probe = Probe::connect(broker.address(), "probe", &[&format!("footprint/{agent}/+")]);
        let start = Instant::now();
        let process = Process::halyard(&configuration);
        let mut seen = BTreeSet::new();
        while seen.len() < 20 {
            let message = probe.next();
            let sensor = message.topic.rsplit('/').next().unwrap();
            if !["agent", "availability"].contains(&sensor) {
                if seen.is_empty() {
                    first.push(start.elapsed());
                }
                seen.insert(sensor.to_owned());
            }
        }
        all.push(start.elapsed());
        drop(process);
    }
    for (what, times) in [("first state", &mut first), ("state of all", &mut all)] {
        times.sort();
        let [least, median, most] = [0.0, 0.5, 1.0].map(|share| quantile(times, share).as_millis());
        println!("start to {what}: min {least} ms, median {median} ms, max {most} ms of {STARTS}; {}", load());
    }
}

/// Memory after a minute of work, and the processor time of that minute.
fn run(broker: &Broker) {
    let process = Process::halyard(&configuration(broker, "run"));
    std::thread::sleep(SETTLE);
    let before = process.processor_time();
    std::thread::sleep(MINUTE);
    let (after, resident) = (process.processor_time(), process.resident_kib());
    let used = after - before;
    let share = 100.0 * used.as_secs_f64() / MINUTE.as_secs_f64();
    println!("resident memory after a minute: {resident} KiB; {}", process.memory_by_kind());
    println!("processor: {} ms in {MINUTE:?}, {share:.2} % of a core; {}", used.as_millis(), load());
}
