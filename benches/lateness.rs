//! How late other sensors are while one fails in each of its ways.
//!
//! `cargo bench --bench lateness`; it takes two minutes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a measurement that cannot be made ends with a message

mod measure;
#[path = "../tests/support/mod.rs"]
mod support;

use halyard::bus::{Loads, Simulated};
use halyard::config::At;
use halyard::mqtt::{Limits, Outbox, Topics};
use halyard::reporter::Reporter;
use halyard::sensing::Surroundings;
use halyard_drivers::port::Wire;
use halyard_drivers::sim::{I2cFaults, I2cPart, Nack, Part};
use halyard_drivers::{Channel, Fault, Quantity, Sample, Sensor, SensorSpec};
use measure::sensor::{self, OnI2c, Port};
use measure::{load, machine, quantile};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// The sensors that are watched: so many on each of the buses, the first of which the one that fails is on, too.
const BUSES: u8 = 4;
const EACH: u8 = 5;
const EVERY: Duration = Duration::from_millis(100);
const CONVERSION: Duration = Duration::from_millis(20);
/// Of the one that fails.
const VICTIM: At = At::I2c { bus: 1, address: 0x70 };
/// How long each fault lasts, and the pause after it.
const FAULT: Duration = Duration::from_secs(8);
const REST: Duration = Duration::from_secs(3);
/// What a transfer takes on a bus that is stuck (the time-out of i2c-bcm2835).
const TIMEOUT: Duration = Duration::from_secs(1);

/// What the failing one does.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(u8)]
enum Trouble {
    None,
    Absent,
    AllOnes,
    Corrupt,
    Swapped,
    TimesOut,
    Panics,
    NeverReturns,
}

impl Trouble {
    const ALL: [(Self, &str); 8] = [
        (Self::None, "none"),
        (Self::Absent, "no acknowledge, unplugged"),
        (Self::AllOnes, "all ones"),
        (Self::Corrupt, "a wrong checksum, one in ten"),
        (Self::Swapped, "another chip"),
        (Self::TimesOut, "transfers time out after 1 s"),
        (Self::Panics, "the driver panics"),
        (Self::NeverReturns, "the driver never returns"),
    ];
}

/// What the failing one does now; shared by its driver and its part.
#[derive(Clone, Debug, Default)]
struct Fate(Arc<AtomicU8>);

impl Fate {
    fn set(&self, trouble: Trouble) {
        self.0.store(trouble as u8, Ordering::Relaxed);
    }

    fn is(&self, trouble: Trouble) -> bool {
        self.0.load(Ordering::Relaxed) == trouble as u8
    }
}

/// When a sensor was sampled.
type Times = Arc<Mutex<Vec<Instant>>>;

/// A sensor that notes when it is asked.
#[derive(Debug)]
struct Watched {
    times: Times,
    /// Of the one that fails.
    fate: Option<Fate>,
}

struct Open {
    port: Port,
    times: Times,
    fate: Option<Fate>,
    asked: u32,
}

/// A part that answers what it is asked, or hangs.
struct Model(Option<Fate>);

impl SensorSpec for Watched {
    fn channels(&self) -> Vec<Channel> {
        vec![Channel::number("level", Quantity::VOLTAGE, 0.0..=255.0)]
    }

    fn open(&self, wire: Wire) -> Result<Box<dyn Sensor>, Fault> {
        let (times, fate) = (Arc::clone(&self.times), self.fate.clone());
        Ok(Box::new(Open { port: Port::new(wire), times, fate, asked: 0 }))
    }

    fn simulate(&self) -> Option<Box<dyn Part>> {
        Some(Box::new(OnI2c(Model(self.fate.clone()))))
    }
}

impl Sensor for Open {
    fn sample(&mut self, out: &mut Sample) -> Result<(), Fault> {
        self.times.lock().unwrap().push(Instant::now());
        self.asked += 1;
        let is = |trouble| self.fate.as_ref().is_some_and(|fate| fate.is(trouble));
        if is(Trouble::Panics) {
            panic!("as it shall");
        }
        while is(Trouble::NeverReturns) {
            std::thread::sleep(Duration::from_millis(10));
        }
        let [level] = self.port.convert(CONVERSION)?;
        if is(Trouble::AllOnes) || (is(Trouble::Corrupt) && self.asked.is_multiple_of(10)) {
            return Err(Fault::corrupt("its checksum is wrong"));
        }
        if is(Trouble::Swapped) {
            return Err(Fault::new(halyard_drivers::FaultKind::WrongChip, "another part"));
        }
        out.number(0, f64::from(level));
        Ok(())
    }
}

impl I2cPart for Model {
    fn write(&mut self, _: &[u8]) -> Result<(), Nack> {
        if self.0.as_ref().is_some_and(|fate| fate.is(Trouble::TimesOut)) {
            // The bus is held meanwhile, as the kernel holds it.
            std::thread::sleep(TIMEOUT);
            return Err(Nack);
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        buffer.fill(7);
        Ok(())
    }
}

fn main() {
    println!("{} sensors at {EVERY:?} beside one that fails; {}", BUSES * EACH, machine());
    std::panic::set_hook(Box::new(|_| {})); // it is part of the measurement
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let _context = runtime.enter();
    let (bus, fate, cancel) = (Arc::new(Simulated::default()), Fate::default(), CancellationToken::new());
    let reporter =
        Reporter::new(Outbox::new(Limits::default()), Topics::new("h", "late"), "simulated", Loads::default());
    let surroundings = sensor::surroundings(&bus, reporter);
    start(&bus, "victim".to_owned(), VICTIM, Some(fate.clone()), &surroundings, &cancel);
    let mut others = Vec::new();
    for number in 1..=BUSES {
        for part in 0..EACH {
            let at = At::I2c { bus: number, address: 0x20 + part };
            others.push((number, start(&bus, format!("other-{number}-{part}"), at, None, &surroundings, &cancel)));
        }
    }
    std::thread::sleep(REST);
    println!(
        "{:<32}{:>22}{:>26}{:>12}",
        "late by, in ms", "same bus: median, p99", "other buses: median, p99", "samples"
    );
    for (trouble, name) in Trouble::ALL {
        others.iter().for_each(|(_, times)| times.lock().unwrap().drain(..).for_each(drop));
        bus.i2c_bus(1).set_faults(0x70, I2cFaults { absent: trouble == Trouble::Absent, ..I2cFaults::default() });
        fate.set(trouble);
        std::thread::sleep(FAULT);
        let of = |same: bool| late(others.iter().filter(|(number, _)| (*number == 1) == same).map(|(_, times)| times));
        let (same, other) = (of(true), of(false));
        let show = |late: &[Duration]| {
            let ms = |share| quantile(late, share).as_secs_f64() * 1e3;
            format!("{:.2}, {:.2}", ms(0.5), ms(0.99))
        };
        println!("{name:<32}{:>22}{:>26}{:>12}", show(&same), show(&other), same.len() + other.len());
        fate.set(Trouble::None);
        bus.i2c_bus(1).set_faults(0x70, I2cFaults::default());
        std::thread::sleep(REST);
    }
    println!("{}", load());
    cancel.cancel();
}

/// How much later than at whole intervals after the first one samples were, in ascending order.
fn late<'a>(all: impl Iterator<Item = &'a Times>) -> Vec<Duration> {
    let mut late = Vec::new();
    for times in all {
        let times = times.lock().unwrap();
        let after = |time: &Instant| time.duration_since(times[0]).as_secs_f64() / EVERY.as_secs_f64();
        // The first one may itself have been late: none is earlier than its turn.
        let phases: Vec<f64> = times.iter().map(|time| after(time) - after(time).round()).collect();
        let earliest = phases.iter().copied().fold(f64::INFINITY, f64::min);
        late.extend(phases.iter().map(|phase| EVERY.mul_f64(phase - earliest)));
        // Those that were missed altogether were late by an interval at least.
        let turns = after(times.last().unwrap()).round() + 1.0;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a count
        late.extend(std::iter::repeat_n(EVERY, (turns as usize).saturating_sub(times.len())));
    }
    late.sort();
    late
}

fn start(
    bus: &Simulated,
    id: String,
    at: At,
    fate: Option<Fate>,
    surroundings: &Surroundings,
    cancel: &CancellationToken,
) -> Times {
    let times = Times::default();
    let spec = Arc::new(Watched { times: Arc::clone(&times), fate });
    sensor::start(bus, id, at, spec, EVERY, surroundings, cancel);
    times
}
