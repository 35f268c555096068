//! Fifty slow sensors on one bus: how long after the start of a round all of their states are on the broker.
//!
//! `cargo bench --bench round`

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a measurement that cannot be made ends with a message

mod measure;
#[path = "../tests/support/mod.rs"]
mod support;

use halyard::bus::{Loads, Simulated};
use halyard::config::At;
use halyard::mqtt::{Client, Limits, Outbox, Settings, Topics};
use halyard::reporter::Reporter;
use halyard_drivers::port::Wire;
use halyard_drivers::sim::{I2cPart, Nack, Part};
use halyard_drivers::{Channel, Fault, Quantity, Sample, Sensor, SensorSpec};
use measure::sensor::{self, OnI2c, Port};
use measure::{Probe, load, machine, quantile};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::broker::Broker;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const SENSORS: u8 = 50;
const CONVERSION: Duration = Duration::from_millis(80);
const EVERY: Duration = Duration::from_secs(1);
const ROUNDS: usize = 30;

/// When the first sensor began each round.
type Starts = Arc<Mutex<Vec<Instant>>>;

/// A sensor that tells how often it was asked.
#[derive(Debug)]
struct Slow {
    starts: Starts,
}

struct Open {
    port: Port,
    starts: Starts,
}

/// Its part: not to be read before the conversion is done.
#[derive(Default)]
struct Converter {
    conversions: u16,
    ready: Option<Instant>,
}

impl SensorSpec for Slow {
    fn channels(&self) -> Vec<Channel> {
        vec![Channel::number("round", Quantity::VOLTAGE, 0.0..=65535.0)]
    }

    fn open(&self, wire: Wire) -> Result<Box<dyn Sensor>, Fault> {
        Ok(Box::new(Open { port: Port::new(wire), starts: Arc::clone(&self.starts) }))
    }

    fn simulate(&self) -> Option<Box<dyn Part>> {
        Some(Box::new(OnI2c(Converter::default())))
    }
}

impl Sensor for Open {
    fn sample(&mut self, out: &mut Sample) -> Result<(), Fault> {
        let start = Instant::now();
        let round = u16::from_be_bytes(self.port.convert(CONVERSION)?);
        let mut starts = self.starts.lock().unwrap();
        let index = usize::from(round) - 1;
        match starts.get_mut(index) {
            Some(first) => *first = start.min(*first),
            None => starts.resize(index + 1, start),
        }
        out.number(0, f64::from(round));
        Ok(())
    }
}

impl I2cPart for Converter {
    fn write(&mut self, _: &[u8]) -> Result<(), Nack> {
        self.conversions += 1;
        self.ready = Some(Instant::now() + CONVERSION);
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        self.ready.take_if(|ready| Instant::now() >= *ready).ok_or(Nack)?;
        buffer.copy_from_slice(&self.conversions.to_be_bytes());
        Ok(())
    }
}

fn main() {
    let Some(broker) = Broker::start("") else { return };
    println!("{SENSORS} sensors of {CONVERSION:?} on one bus, every {EVERY:?}; {}", machine());
    let mut probe = Probe::connect(broker.address(), "probe", &["round/bench/+"]);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let starts = Starts::default();
    let cancel = CancellationToken::new();
    let client = runtime.block_on(start(&broker, &starts, &cancel));

    let mut seen = [0; ROUNDS];
    let mut rounds = Vec::new();
    while rounds.len() < ROUNDS {
        let payload = probe.next().payload;
        let now = Instant::now();
        let state: serde_json::Value = serde_json::from_slice(&payload).unwrap_or_default();
        let Some(round) = state["round"].as_u64().and_then(|round| usize::try_from(round).ok()) else { continue };
        let Some(count) = seen.get_mut(round - 1) else { continue };
        *count += 1;
        if *count == SENSORS {
            rounds.push(now - starts.lock().unwrap()[round - 1]);
        }
    }
    cancel.cancel();
    runtime.block_on(client.stop(Duration::from_secs(1)));

    println!("the first round, which opens the sensors: {} ms", rounds[0].as_millis());
    rounds.sort();
    let [least, median, most] = [0.0, 0.5, 1.0].map(|share| quantile(&rounds, share).as_millis());
    println!("{ROUNDS} rounds: min {least} ms, median {median} ms, max {most} ms; {}", load());
}

/// The sensors' tasks as the agent runs them, and the way from there to the broker.
async fn start(broker: &Broker, starts: &Starts, cancel: &CancellationToken) -> Client {
    let outbox = Outbox::new(Limits::default());
    let topics = Topics::new("round", "bench");
    let (to, mut events) = mpsc::channel(16);
    let settings = Settings::new(vec![broker.url()], "round");
    let client = Client::start(&settings, None, Vec::new(), outbox.clone(), to).unwrap();
    events.recv().await.unwrap();
    let reporter = Reporter::new(outbox, topics, "simulated", Loads::default());
    let bus = Arc::new(Simulated::default());
    let surroundings = sensor::surroundings(&bus, reporter);
    for number in 0..SENSORS {
        let spec = Arc::new(Slow { starts: Arc::clone(starts) });
        let at = At::I2c { bus: 1, address: 8 + number };
        sensor::start(&bus, format!("slow{number}"), at, spec, EVERY, &surroundings, cancel);
    }
    client
}
