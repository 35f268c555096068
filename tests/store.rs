//! What `store: all` promises: nothing is lost, whoever is killed, and a disk that fails stops nothing.
//!
//! `HALYARD_STORE=long cargo test --test store -- --nocapture` runs the long storm.

// Helpers of tests fail them this way; clippy knows the tests themselves only.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use support::broker::Broker;
use support::meter::Meter;
use support::program::Program;
use support::proxy::Proxy;
use support::witness::{Witness, retained};
use support::{LIMIT, wait_until};
use tempfile::TempDir;

/// Sensors of the storm.
const SENSORS: u32 = 5;

fn number(payload: &[u8]) -> Option<u32> {
    serde_json::from_slice::<Json>(payload).ok()?["n"].as_u64()?.try_into().ok()
}

#[test]
fn no_sample_is_lost_whoever_is_killed() {
    let is_long = std::env::var("HALYARD_STORE").is_ok_and(|value| value == "long");
    let (samples, kills) = if is_long { (20_000, 20) } else { (2_000, 4) };
    let Some(mut broker) = Broker::start("max_queued_messages 0") else { return };
    let proxy = Proxy::start(broker.address(), 5);
    let meters: Vec<_> = (1..=SENSORS).map(|sensor| Meter::start(sensor * 1_000_000)).collect();
    let stanza = |(index, meter): (usize, &Meter)| {
        format!("  - {}\n", meter.stanza(&format!("m{}", index + 1), "every: 10ms, store: all"))
    };
    let sensors: String = meters.iter().enumerate().map(stanza).collect();
    let text = format!("agent: {{ id: a }}\nmqtt: {{ url: \"{}\" }}\nsensors:\n{sensors}", proxy.url());
    let mut program = Program::run(&text);
    let count = || meters.iter().map(Meter::count).sum::<usize>();
    let random = |limit| Duration::from_millis(fastrand::u64(0..limit));

    let start = Instant::now();
    let (mut killed, mut written) = ((0, 0), 0);
    for kill in 1..=2 * kills {
        // Each kill falls into traffic, at a random moment of it.
        let after = samples * kill / (2 * kills + 1);
        wait_until("samples", || count() >= after);
        std::thread::sleep(random(20));
        written += written_bytes(&program);
        // In turn, but often one into the outage of the other.
        if kill % 2 == 0 {
            program.kill_and_run_again();
            killed.0 += 1;
        } else {
            broker.kill();
            killed.1 += 1;
            // Some outages are long enough for the disk.
            let length = if is_long && kill % 16 == 5 { Duration::from_secs(13) } else { random(1500) };
            std::thread::sleep(length);
            if fastrand::bool() {
                written += written_bytes(&program);
                program.kill_and_run_again();
                killed.0 += 1;
                std::thread::sleep(random(500));
            }
            broker.restart();
        }
    }
    wait_until("all samples", || count() >= samples);
    meters.iter().for_each(Meter::silence);
    let taken: BTreeSet<u32> = meters.iter().flat_map(Meter::taken).collect();
    let sampling = start.elapsed();
    let missing = || -> Vec<u32> {
        let arrived: BTreeSet<u32> =
            proxy.record(|record| record.acknowledged.iter().filter_map(|payload| number(payload)).collect());
        taken.difference(&arrived).copied().collect()
    };
    let mut before = usize::MAX;
    loop {
        // However long it takes, as long as it goes on.
        let left = missing().len();
        if left == 0 || left == before {
            break;
        }
        before = left;
        let end = Instant::now() + Duration::from_secs(15);
        while Instant::now() < end && missing().len() == left {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    written += written_bytes(&program);

    let lost = missing();
    let (published, acknowledged) = proxy.record(|record| {
        assert_eq!(record.malformed, [] as [String; 0]);
        let of = |topic: &str| topic.starts_with("halyard/a/m");
        let published: Vec<_> = record.published.iter().filter(|(_, message)| of(&message.topic)).cloned().collect();
        (published, record.acknowledged.iter().filter(|payload| number(payload).is_some()).count())
    });
    println!(
        "{} samples in {sampling:.1?}, {} SIGKILLs of the agent, {} of the broker: {} lost; {acknowledged} acknowledged, \
         {} published, of which {} on backlog; {written} bytes written to disk",
        taken.len(),
        killed.0,
        killed.1,
        lost.len(),
        published.len(),
        published.iter().filter(|(_, message)| message.topic.ends_with("/backlog")).count(),
    );
    assert_eq!(lost, [] as [u32; 0]);

    // Duplicates are recognisable: what comes twice is the same, with its time.
    let mut payloads: BTreeMap<u32, &[u8]> = BTreeMap::new();
    // The order is kept, for each entity on each connection.
    let mut last: HashMap<(usize, &str), u32> = HashMap::new();
    for (connection, message) in &published {
        let Some(number) = number(&message.payload) else { continue };
        assert_eq!(*payloads.entry(number).or_insert(&message.payload), message.payload, "{number} has two payloads");
        let before = last.insert((*connection, &message.topic), number);
        assert!(before < Some(number), "{number} after {before:?} on {}, connection {connection}", message.topic);
    }
    // What is retained is the newest of all.
    wait_until("the newest is retained", || {
        let kept = retained(&broker);
        meters.iter().enumerate().all(|(index, meter)| {
            let shown = kept.get(&format!("halyard/a/m{}", index + 1)).and_then(|message| number(&message.payload));
            shown >= meter.taken().last().copied()
        })
    });
}

/// Bytes that a process made the system write to disks, and did not take back.
fn written_bytes(program: &Program) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/io", program.id())).unwrap_or_default();
    let of = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
    of("write_bytes:").unwrap_or(0).saturating_sub(of("cancelled_write_bytes:").unwrap_or(0))
}

/// An agent with a counter that is asked often, and no way to a broker yet.
struct Away {
    meter: Meter,
    program: Program,
    proxy: Proxy,
    broker: Broker,
}

impl Away {
    /// `None` without Mosquitto.
    fn start(adjust: impl FnOnce(&mut Command)) -> Option<Self> {
        let broker = Broker::start("max_queued_messages 0")?;
        let proxy = Proxy::start(broker.address(), 5);
        proxy.cut();
        let (meter, url) = (Meter::start(1), proxy.url());
        let sensor = meter.stanza("m", "every: 10ms, store: all");
        let text = format!("agent: {{ id: a }}\nmqtt: {{ url: \"{url}\" }}\nsensors:\n  - {sensor}\n");
        Some(Self { meter, program: Program::run_with(&text, adjust), proxy, broker })
    }

    fn folder(&self) -> PathBuf {
        self.program.state().join("outbox/a")
    }

    /// Waits until so many samples were taken from now on.
    fn samples(&self, count: usize) {
        let after = self.meter.count() + count;
        wait_until("samples", || self.meter.count() >= after);
    }

    /// Lets it reach the broker, where somebody listens before.
    fn returns(&self) -> Witness {
        let witness = Witness::connect(self.broker.address());
        self.proxy.mend();
        witness
    }

    /// Waits until all that was taken until now has arrived, but for so many.
    fn arrives(&self, witness: &Witness, but: usize) {
        let taken: BTreeSet<u32> = self.meter.taken().into_iter().collect();
        let end = Instant::now() + LIMIT;
        loop {
            let all = witness.everything();
            let arrived: BTreeSet<u32> = all.iter().filter_map(|message| number(&message.payload)).collect();
            let missing: Vec<_> = taken.difference(&arrived).collect();
            if missing.len() <= but {
                return;
            }
            assert!(Instant::now() < end, "not within {LIMIT:?}: {missing:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn stop(&mut self) {
        self.program.signal(libc::SIGTERM);
        assert!(self.program.exit().success());
    }
}

/// Waits for the problem of the store in `B/A/agent`.
fn problem(witness: &Witness, what: &str) -> Json {
    let told = witness.wait("halyard/a/agent", |message| {
        message.json()["problems"]["agent"]["message"].as_str().is_some_and(|message| message.contains(what))
    });
    assert_eq!(told.json()["problems"]["agent"]["kind"], "disk");
    told.json()
}

/// Without a place in memory all goes to the disk at once, and so do its faults.
fn at_once(command: &mut Command) {
    command.env("RUNTIME_DIRECTORY", "/nowhere");
}

#[test]
fn a_disk_that_is_full_stops_nothing() {
    let away = Away::start(|command| {
        at_once(command);
        // Stands for a disk that is full: no file gets longer than that.
        let limit = libc::rlimit { rlim_cur: 4096, rlim_max: 4096 };
        // SAFETY: both may be called between fork and exec, and the limit is read only.
        unsafe {
            command.pre_exec(move || {
                libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
                match libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) {
                    0 => Ok(()),
                    _ => Err(std::io::Error::last_os_error()),
                }
            });
        }
    });
    let Some(mut away) = away else { return };
    away.program.logs("samples of an outage are not on disk");
    away.samples(100);
    let witness = away.returns();
    let told = problem(&witness, "outbox/a: File too large");
    assert!(told["queue"]["depth"].as_u64().unwrap() > 0 && told["queue"]["bytes"] == 4096, "{told}");
    away.arrives(&witness, 0);
    away.samples(10);
    assert!(away.program.runs());
}

#[test]
fn a_disk_that_cannot_be_written_stops_nothing_and_is_used_when_it_can() {
    let away = Away::start(|command| {
        at_once(command);
        let folder = command.get_current_dir().unwrap().join("state/halyard");
        std::fs::create_dir_all(&folder).unwrap();
        // Nothing can be made below a file, not even by root.
        std::fs::write(folder.join("outbox"), "").unwrap();
    });
    let Some(mut away) = away else { return };
    away.program.logs("samples of an outage are not on disk");
    away.samples(50);
    std::fs::remove_file(away.program.state().join("outbox")).unwrap();
    away.program.logs("samples of an outage are on disk again");
    away.stop();
    away.program.run_again(at_once);
    let witness = away.returns();
    away.arrives(&witness, 0);
}

#[test]
fn a_read_only_file_system_stops_nothing() {
    let folder = TempDir::new().unwrap();
    let tool = |name: &str, arguments: &[&str]| {
        let done = Command::new(name).args(arguments).arg(folder.path()).output();
        done.is_ok_and(|output| output.status.success())
    };
    if !tool("mount", &["-t", "tmpfs", "-o", "ro", "none"]) {
        println!("skipped: nothing can be mounted here");
        return;
    }
    let away = Away::start(|command| {
        at_once(command);
        command.env("STATE_DIRECTORY", folder.path());
    });
    if let Some(mut away) = away {
        away.program.logs("Read-only file system");
        away.samples(20);
        let witness = away.returns();
        problem(&witness, "Read-only file system");
        away.arrives(&witness, 0);
        away.stop();
    }
    assert!(tool("umount", &[]));
}

#[test]
fn a_corrupt_store_is_said_and_set_aside_and_the_rest_is_delivered() {
    let Some(mut away) = Away::start(at_once) else { return };
    away.samples(200);
    away.stop();
    let files = std::fs::read_dir(away.folder()).unwrap().map(|entry| entry.unwrap().path());
    let file = files.filter(|file| file.extension().is_some_and(|extension| extension == "log")).max().unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    std::fs::write(&file, bytes).unwrap();
    let taken = away.meter.taken();
    away.program.run_again(at_once);
    away.program.logs("damaged at byte");
    let witness = away.returns();
    problem(&witness, ".corrupt");
    // About the first half, in order, and no wrong one.
    let early = || -> Vec<u32> {
        let backlog = witness.all("halyard/a/m/backlog");
        backlog.iter().filter_map(|message| number(&message.payload)).filter(|number| taken.contains(number)).collect()
    };
    wait_until("the first half", || early().len() >= taken.len() / 3);
    away.samples(10);
    let early = early();
    assert!(early.is_sorted() && early.len() < taken.len(), "{early:?}");
    assert_eq!(early[..10], taken[..10]);
}

#[test]
fn what_is_with_the_broker_soon_is_never_written_to_the_disk() {
    let Some(broker) = Broker::start("") else { return };
    let meter = Meter::start(1);
    let sensor = meter.stanza("m", "every: 10ms, store: all");
    let text = format!("agent: {{ id: a }}\nmqtt: {{ url: \"{}\" }}\nsensors:\n  - {sensor}\n", broker.url());
    let program = Program::run(&text);
    program.logs("connected to");
    let before = written_bytes(&program);
    wait_until("samples", || meter.count() >= 200);
    // Without a folder in memory it has to be.
    if std::path::Path::new("/dev/shm").exists() {
        assert!(!program.state().join("outbox").exists());
        assert_eq!(written_bytes(&program), before);
    }
}
