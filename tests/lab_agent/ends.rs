//! How the agent ends when everything is against it, and what the machine does without it.

use super::lab::{Lab, Outside, connect, knob, wait_until};
use super::scenario;
use super::world::World;
use std::fs;
use std::time::{Duration, Instant};

/// What a stop may take.
const STOP: Duration = Duration::from_secs(2);
/// How long a transfer of a bus that is stuck takes, and then it fails.
const STUCK: Duration = Duration::from_millis(400);

const PARTS: &str = "\
expanders:
  - { id: porch, driver: pcf8574, bus: i2c-1, address: 0x20 }
sensors:
  - { id: climate, driver: bme280, bus: i2c-1, address: 0x76, every: 50ms }
  - { id: air, driver: sht4x, bus: i2c-1, address: 0x44, every: 50ms }
actuators:
  - { id: lamp, driver: switch, line: { expander: porch, pin: 0 } }
  - { id: pump, driver: switch, line: GPIO27 }
";

/// One end with a broker that does not answer any more and a bus that is stuck. How long it took.
fn end() -> Duration {
    let _parts = connect(PARTS);
    let world = World::new(PARTS);
    let listener = world.listen();
    let mut agent = world.start(&listener);
    for actuator in ["pump", "lamp"] {
        listener.apply(actuator, "ON");
    }
    world.broker.freeze();
    knob("timeout", 1_000_000);
    knob("delay_us", u32::try_from(STUCK.as_micros()).unwrap());
    wait_until("stuck bus", || agent.log().contains("ETIMEDOUT"));
    let pump = Outside::of(27);
    assert!(pump.is_high());
    let start = Instant::now();
    agent.signal(libc::SIGTERM);
    assert!(agent.wait().success());
    let time = start.elapsed();
    knob("timeout", 0);
    knob("delay_us", 0);
    assert!(agent.log().contains("pump: OFF for safety: the agent stops"), "{}", agent.log());
    time
}

#[test]
fn stops_in_time_without_a_broker_and_with_a_stuck_bus() {
    scenario("ends::stops_in_time_without_a_broker_and_with_a_stuck_bus", || {
        // What a machine that is busy adds is not the agent's: one of them has to be in time.
        let mut times = Vec::new();
        while times.len() < 3 && times.last().is_none_or(|time| *time >= STOP) {
            times.push(end());
        }
        println!("{times:?}");
        assert!(times.last().is_some_and(|time| *time < STOP), "{times:?}");
    });
}

fn watchdog(attribute: &str) -> String {
    fs::read_to_string(format!("/sys/class/watchdog/watchdog0/{attribute}")).unwrap().trim().to_owned()
}

#[test]
fn the_machine_s_watchdog_runs_while_the_agent_does_and_after_a_crash() {
    scenario("ends::the_machine_s_watchdog_runs_while_the_agent_does_and_after_a_crash", || {
        let world = World::new("");
        world.configure_agent("watchdog: /dev/watchdog, watchdog_timeout: 2m", "");
        let listener = world.listen();
        assert_eq!(watchdog("state"), "inactive");
        let mut agent = world.start(&listener);
        assert_eq!((watchdog("state"), watchdog("timeout")), ("active".to_owned(), "120".to_owned()));
        let (code, _, err) = world.halyard("run", &[]);
        assert!(code == 69 && err.contains("/dev/watchdog: in use, by systemd if"), "{code} {err}");
        world.configure_agent("watchdog: /dev/watchdog, watchdog_timeout: 3m", "");
        agent.signal(libc::SIGHUP);
        wait_until("refusal", || agent.log().contains("`agent: { watchdog }` changed: that needs a restart"));
        agent.signal(libc::SIGTERM);
        assert!(agent.wait().success());
        assert_eq!(watchdog("state"), "inactive", "an orderly end stops it");

        let mut agent = world.start(&listener);
        assert_eq!((watchdog("state"), watchdog("timeout")), ("active".to_owned(), "180".to_owned()));
        agent.signal(libc::SIGKILL);
        assert!(!agent.wait().success());
        assert_eq!(watchdog("state"), "active", "a crash does not");
        // Whoever comes next takes it over.
        let mut agent = world.start(&listener);
        agent.signal(libc::SIGTERM);
        assert!(agent.wait().success());
        assert_eq!(watchdog("state"), "inactive");

        // What cannot start does not leave it running.
        world.configure_agent("watchdog: /dev/watchdog0, watchdog_timeout: 1h", "");
        let mut agent = world.start(&listener);
        agent.signal(libc::SIGTERM);
        assert!(agent.wait().success());
        assert_eq!(watchdog("state"), "inactive");
        world.configure_agent("watchdog: /dev/watchdog9", "");
        let (code, _, err) = world.halyard("run", &[]);
        assert!(code == 69 && err.contains("/dev/watchdog9: there is none"), "{code} {err}");
        world.configure_agent("watchdog: /dev/watchdog", "");
        let (code, _, err) = world.halyard_as_nobody("run", &[]);
        assert!(code == 77 && err.contains("/dev/watchdog: no permission"), "{code} {err}");
    });
}

/// The guest is started anew by its watchdog, and begins again with the same command.
#[test]
fn the_machine_is_reset_when_the_agent_is_no_more() {
    let Some(lab) = Lab::find() else { return };
    let script = format!(
        "
        if [ -e /host/first ]; then echo reset; exit 0; fi
        touch /host/first
        echo 'agent: {{ id: lab, watchdog: /dev/watchdog, watchdog_timeout: 9s }}' > /host/config.yaml
        {} run -c /host/config.yaml 2> /host/log &
        until grep -q hardware.watchdog.resets /host/log; do sleep 0.1; done
        kill -KILL $!
        while :; do sleep 1; done",
        env!("CARGO_BIN_EXE_halyard")
    );
    let output = lab.run(&["--timeout", "120"], &script);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.contains("reset"), "{}: {out}{err}", output.status);
}
