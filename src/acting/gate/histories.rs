//! The gate by random histories: commands, times, faults, a broker and a controller that come and go, reloads, restarts, kills
//! and power failures, with clocks that are right, wrong or set meanwhile.
//!
//! `World` owns the outputs, and judges by nothing but when they really went on and off, what was asked, and what was
//! answered. 50,000 steps are the default; `HALYARD_HISTORIES=1000000` makes it as many as it says.

#![allow(clippy::needless_range_loop)] // an output is its number, in more than one list

mod world;

use super::*;
use halyard_drivers::Control;
use proptest::prelude::*;
use proptest::test_runner::{TestError, TestRunner};
use std::collections::BTreeSet;
use std::time::Duration;
use world::World;

/// Steps of a history, on average.
const STEPS: usize = 200;
const ON: Value = Value::Switch(true);
const OFF: Value = Value::Switch(false);
/// A write takes no longer.
const SLOWEST: Duration = Duration::from_millis(40);
/// So much later than promised something may be: a write may be under way, and the one that counts comes after it.
const SLACK: Duration = Duration::from_millis(100);
/// Hardware that was broken is tried again within this.
const MENDED: Duration = Duration::from_millis(5_200);
/// An actuator that cannot be opened is tried again after this.
const AGAIN: Duration = Duration::from_secs(1);
/// The last notes of this time may be lost in a crash: they were not on disk.
const UNWRITTEN: Duration = Duration::from_millis(80);

const TOPIC: &str = "plant/controller";
const PUMP: usize = 0;
const VALVE: usize = 1;
const DRAIN: usize = 2;
const COMPRESSOR: usize = 3;
const FAN: usize = 4;
const HEATER: usize = 5;
const LAMP: usize = 6;
const BLIND: usize = 7;
const IDS: [&str; 8] = ["pump", "valve", "drain", "compressor", "fan", "heater", "lamp", "blind"];
const PAIRS: [(usize, usize); 3] = [(PUMP, VALVE), (VALVE, DRAIN), (FAN, HEATER)];

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn rules(unit: usize) -> Rules {
    let interlock = PAIRS.iter().filter_map(|(a, b)| if *a == unit { Some(*b) } else { (*b == unit).then_some(*a) });
    let interlock = interlock.map(|other| IDS[other].to_owned()).collect();
    let heartbeat = |timeout| Some(Heartbeat { topic: TOPIC.into(), timeout });
    let plain = Rules {
        control: Control::Switch,
        safe: OFF,
        safe_after: None,
        max_on: None,
        min_off: None,
        interlock,
        dead_time: Duration::ZERO,
        heartbeat: None,
        rate: None,
    };
    match unit {
        PUMP => {
            Rules { max_on: Some(secs(5)), safe_after: Some(secs(3)), dead_time: Duration::from_millis(300), ..plain }
        }
        VALVE => Rules { max_on: Some(secs(4)), safe_after: Some(secs(3)), ..plain },
        DRAIN => Rules { rate: Some(Rate { limit: 3, per: secs(2) }), dead_time: secs(1), ..plain },
        COMPRESSOR => Rules { min_off: Some(secs(6)), max_on: Some(secs(8)), heartbeat: heartbeat(secs(4)), ..plain },
        FAN => Rules { safe: ON, safe_after: Some(secs(2)), heartbeat: heartbeat(secs(3)), ..plain },
        HEATER => Rules { safe_after: Some(secs(2)), dead_time: Duration::from_millis(200), ..plain },
        LAMP => Rules { max_on: Some(secs(5)), ..plain },
        _ => Rules { max_on: Some(secs(6)), min_off: Some(secs(2)), ..plain },
    }
}

/// How the hardware of an output takes a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Fine,
    /// Nothing happens, and it says so.
    Fails,
    /// It is done, but the answer is lost.
    Lies,
    /// It cannot be turned on.
    Refuses,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clock {
    /// Right, and known to be.
    Right,
    /// From 1970.
    Nothing,
    /// So many seconds behind: the time of the last stop, as boards without a battery have it.
    Behind(u64),
}

#[derive(Clone, Debug)]
enum Step {
    Send {
        unit: usize,
        payload: usize,
        retained: bool,
    },
    /// The same, so often that some of it is too much.
    Flood {
        unit: usize,
        payload: usize,
    },
    Pass(u64),
    Broker(bool),
    Beat,
    Mood(usize, Mood),
    /// Somebody turns the lamp by hand.
    Hand,
    Set(Clock),
    Reload(usize),
    /// The agent ends and starts again after a while.
    Restart {
        how: Ending,
        down: u64,
        initial: [u8; IDS.len()],
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// Orderly.
    Stop,
    /// Killed; the kernel may let outputs drop.
    Kill { drop: bool },
    /// The machine loses its power; what is on a chip of its own may keep what it had.
    Power { drop: bool, clock: Clock },
}

const PAYLOADS: &[&str] = &[
    "ON",
    "ON",
    "OFF",
    "TOGGLE",
    "7",
    r#"{"value":"ON","for":"2s"}"#,
    r#"{"value":"OFF","for":"1s"}"#,
    r#"{"id":"a","value":"ON"}"#,
    r#"{"value":"ON","ttl":"1s","time":"1970-01-01T00:01:00Z"}"#,
    "{",
];

fn clock() -> impl Strategy<Value = Clock> {
    prop_oneof![Just(Clock::Right), Just(Clock::Nothing), (1..100_u64).prop_map(Clock::Behind)]
}

fn step() -> impl Strategy<Value = Step> {
    let unit = || 0..IDS.len();
    let ending = prop_oneof![
        2 => Just(Ending::Stop),
        3 => any::<bool>().prop_map(|drop| Ending::Kill { drop }),
        3 => (any::<bool>(), clock()).prop_map(|(drop, clock)| Ending::Power { drop, clock }),
    ];
    prop_oneof![
        40 => (unit(), 0..PAYLOADS.len(), prop::bool::weighted(0.05))
            .prop_map(|(unit, payload, retained)| Step::Send { unit, payload, retained }),
        3 => (unit(), 0..PAYLOADS.len()).prop_map(|(unit, payload)| Step::Flood { unit, payload }),
        40 => (1..3_000_u64).prop_map(Step::Pass),
        15 => (1..60_u64).prop_map(Step::Pass),
        5 => prop::bool::weighted(0.7).prop_map(Step::Broker),
        15 => Just(Step::Beat),
        5 => (unit(), prop_oneof![4 => Just(Mood::Fine), 1 => Just(Mood::Fails), 1 => Just(Mood::Lies), 1 => Just(Mood::Refuses)])
            .prop_map(|(unit, mood)| Step::Mood(unit, mood)),
        2 => Just(Step::Hand),
        1 => clock().prop_map(Step::Set),
        3 => unit().prop_map(Step::Reload),
        4 => (ending, prop_oneof![1..500_u64, 500..9_000_u64], prop::array::uniform8(0..4_u8))
            .prop_map(|(how, down, initial)| Step::Restart { how, down, initial }),
    ]
}

fn live(seed: u64, steps: &[Step]) -> Result<BTreeMap<&'static str, u64>, TestCaseError> {
    let mut world = World::new(seed);
    for step in steps {
        world.step(step);
        world.broken.clone().map_err(TestCaseError::fail)?;
    }
    // Everybody is answered in the end.
    for unit in 0..IDS.len() {
        world.step(&Step::Mood(unit, Mood::Fine));
    }
    world.pass(secs(20));
    let silent: BTreeSet<_> =
        world.sent[world.lost..].iter().filter(|sent| sent.answers != 1).map(|sent| sent.at).collect();
    world.demand(silent.is_empty(), || format!("commands without an answer, of {silent:?}"));
    world.broken.map_err(TestCaseError::fail)?;
    Ok(world.count)
}

/// Whatever happens: outputs that exclude each other are never on together, nor too soon after each other; none is on for
/// longer or off for shorter than allowed, nor kept off for longer than promised; safe is reached in time, and before one is
/// removed; a start and the end of a pulse give what they have to; off is not refused for what keeps from being on; each
/// command is answered exactly once and truly; and none is carried out that is old, came before, or is none.
#[test]
fn histories() {
    let steps: usize = std::env::var("HALYARD_HISTORIES").ok().and_then(|steps| steps.parse().ok()).unwrap_or(50_000);
    let cases = u32::try_from(steps.div_ceil(STEPS)).unwrap();
    let mut runner = TestRunner::new(ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    });
    let counts = std::cell::RefCell::new(BTreeMap::<&str, u64>::new());
    let strategy = (any::<u64>(), prop::collection::vec(step(), 0..=2 * STEPS));
    let result = runner.run(&strategy, |(seed, steps)| {
        let mut counts = counts.borrow_mut();
        live(seed, &steps)?.into_iter().for_each(|(what, count)| *counts.entry(what).or_default() += count);
        Ok(())
    });
    let counts = counts.into_inner();
    println!("{cases} histories of {STEPS} steps: {counts:#?}");
    match result {
        Ok(()) => {}
        Err(TestError::Fail(why, (seed, steps))) => panic!("{why}\nseed {seed}, after {steps:?}"),
        Err(other) => panic!("{other}"),
    }
    // A test in which nothing happens would find nothing.
    for what in [
        "applied",
        "failed",
        "refused: dead time",
        "refused: interlock",
        "refused: min_off",
        "refused: no controller",
        "refused: rate",
        "a controller is back",
        "a pulse ends, or a start",
        "safe",
        "on from the start, as before",
        "kill",
        "power failure",
        "reload",
        "stop",
    ] {
        assert!(counts.get(what).is_some_and(|count| *count >= u64::from(cases) / 10), "{what}: too seldom");
    }
}
