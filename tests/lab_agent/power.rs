//! The power fails: the machine begins anew, and what was not synced is lost.

use super::guest_with;
use super::lab::wait_until;
use super::support::meter::Meter;
use super::world::World;
use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// What is on `/host` outlives the power.
const BOOTS: &str = "/host/boots";

/// Runs `body` at each start of a guest with a disk of its own: with how many there were before, and the folder of the disk.
fn with_disk(name: &str, body: impl FnOnce(usize, &Path)) {
    let share = tempfile::tempdir().unwrap();
    let disk = share.path().join("disk");
    fs::File::create(&disk).unwrap().set_len(64 << 20).unwrap();
    let options = ["--timeout", "900", "--disk", disk.to_str().unwrap(), "--share", share.path().to_str().unwrap()];
    let setup = "lab-gpio create > /dev/null
        [ -e /host/boots ] || mkfs.ext4 -q /dev/ubda
        mkdir /run/disk
        mount /dev/ubda /run/disk
        mkdir -p /run/systemd/timesync
        touch /run/systemd/timesync/synchronized";
    guest_with(&options, name, setup, || {
        let boots = fs::read_to_string(BOOTS).unwrap_or_default().lines().count();
        on_host(BOOTS, "one more");
        body(boots, Path::new("/run/disk"));
    });
}

/// Adds a line to a file that outlives the power.
fn on_host(file: &str, line: &str) {
    let mut file = OpenOptions::new().append(true).create(true).open(file).unwrap();
    writeln!(file, "{line}").unwrap();
    file.sync_all().unwrap();
}

fn power_fails() -> ! {
    fs::write("/proc/sysrq-trigger", "b").unwrap();
    panic!("the machine goes on");
}

#[test]
fn samples_survive_it() {
    // `HALYARD_POWER=20` has it fail more often.
    let failures = std::env::var("HALYARD_POWER").map_or(2, |number| number.parse().unwrap());
    /// What the store promises, and what a busy machine may add.
    const LATE: Duration = Duration::from_secs(10 + 5);
    const REQUIRED: &str = "/host/required";
    with_disk("power::samples_survive_it", |cuts, disk| {
        let meter = Meter::start(u32::try_from(cuts).unwrap() * 1_000_000 + 1);
        let mut world = World::new("");
        let listener = world.listen();
        world.keep_in(disk);
        if cuts == failures {
            // Everything that has to be there arrives.
            world.configure(&format!("sensors: [ {} ]", meter.stanza("meter", "every: 1h, store: all")));
            let _agent = world.start(&listener);
            let required: BTreeSet<u64> =
                fs::read_to_string(REQUIRED).unwrap().lines().map(|line| line.parse().unwrap()).collect();
            println!("{} samples have to be there", required.len());
            assert!(required.len() > failures * 10);
            wait_until("samples of before", || {
                let arrived = listener.on(0, "meter/backlog").into_iter().chain(listener.on(0, "meter"));
                let arrived: BTreeSet<u64> = arrived.filter_map(|message| message.json()["n"].as_u64()).collect();
                required.is_subset(&arrived)
            });
            return;
        }
        world.reach_by("mqtt://127.0.0.1:1".to_owned());
        world.configure(&format!("sensors: [ {} ]", meter.stanza("meter", "every: 20ms, store: all")));
        let _agent = world.start_alone();
        wait_until("samples", || meter.count() > 0);
        let start = Instant::now();
        let mut early = Vec::new();
        wait_until("moment", || {
            let part = Duration::from_millis(fastrand::u64(2000..4000));
            if early.is_empty() && start.elapsed() > part {
                early = meter.taken();
            }
            start.elapsed() > part + LATE
        });
        early.iter().for_each(|number| on_host(REQUIRED, &number.to_string()));
        power_fails();
    });
}

#[test]
fn what_was_turned_on_is_known_after_it() {
    with_disk("power::what_was_turned_on_is_known_after_it", |cuts, disk| {
        let mut world = World::new("");
        let listener = world.listen();
        world.keep_in(disk);
        world.configure("actuators: [ { id: compressor, driver: switch, line: GPIO27, min_off: 20s } ]");
        let kept = || fs::read_to_string(disk.join("actuators.json")).unwrap_or_default();
        if cuts == 0 {
            let _agent = world.start(&listener);
            // Its rest is over when it has been off for so long.
            wait_until("rest", || listener.command("compressor", "ON")["status"] == "applied");
            power_fails();
        }
        assert!(kept().contains("\"on\":true"), "{}", kept());
        let _agent = world.start(&listener);
        let result = listener.command("compressor", "ON");
        assert_eq!((&result["status"], &result["reason"]), (&"rejected".into(), &"busy".into()), "{result}");
    });
}
