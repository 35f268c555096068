//! Outputs, as whatever hangs on the lines sees them.
//!
//! Most of this is on the lines of a PCF8574: it keeps its levels when nobody has them open, as the chip of a Raspberry
//! Pi does and the lab's own GPIO chips do not, and what was ever driven is on record.

use super::lab::{Expander, Outside, connect, wait_until};
use super::tools::Holder;
use super::world::World;
use super::{guest, scenario};
use std::time::{Duration, SystemTime};

/// The lines are high at first. What they shall be after the start is `STARTED`.
const PARTS: &str = "\
actuators:
  - { id: pump, driver: switch, line: { chip: gpiochip0, offset: 0 }, max_on: 2s }
  - { id: valve, driver: switch, line: { chip: gpiochip0, offset: 1 }, active: low }
  - { id: fan, driver: switch, line: { chip: gpiochip0, offset: 2 }, initial: on, safe: on }
  - { id: heater, driver: switch, line: { chip: gpiochip0, offset: 3 }, initial: keep, safe_after: 1s }
  - { id: lamp, driver: switch, line: { chip: gpiochip0, offset: 4 }, initial: restore }
";
const STARTED: u8 = 0b1110_1110;
/// A sensor, where there shall be one.
const HALL: &str = "{ id: hall, driver: bme280, bus: spi0.0, every: 1s }";
/// Offsets.
const PUMP: u8 = 0;
const VALVE: u8 = 1;
const HEATER: u8 = 3;
const LAMP: u8 = 4;

#[test]
fn commands_change_lines() {
    scenario("outputs::commands_change_lines", || {
        let (pump, valve, keep) = (Outside::of(27), Outside::of(22), Outside::of(23));
        keep.pull(true);
        let world = World::new(
            "\
actuators:
  - { id: pump, driver: switch, line: GPIO27 }
  - { id: valve, driver: switch, line: GPIO22, active: low }
  - { id: keep, driver: switch, line: GPIO23, initial: keep }",
        );
        let listener = world.listen();
        let _agent = world.start(&listener);
        for (actuator, state) in [("pump", "OFF"), ("valve", "OFF"), ("keep", "ON")] {
            assert_eq!(listener.state(0, actuator, state)["by"], "start");
        }
        assert!(!pump.is_high() && valve.is_high() && keep.is_high());
        // What is driven wins against what the outside does.
        keep.pull(false);
        assert!(keep.is_high());
        for (command, on) in [("ON", true), ("OFF", false), ("TOGGLE", true), (r#"{"value":"OFF","id":"7"}"#, false)] {
            for (actuator, outside, high) in [("pump", &pump, on), ("valve", &valve, !on), ("keep", &keep, on)] {
                let from = listener.mark();
                // `keep` was on to begin with.
                let command = if command == "TOGGLE" { "ON" } else { command };
                listener.apply(actuator, command);
                assert_eq!(outside.is_high(), high, "{actuator} {command}");
                assert_eq!(listener.state(from, actuator, if on { "ON" } else { "OFF" })["by"], "command");
            }
        }
        listener.apply("pump", "TOGGLE");
        assert!(pump.is_high() && valve.is_high() && !keep.is_high());
        let result = listener.command("pump", "OFFF");
        assert_eq!(result["reason"], "unknown-value", "{result}");
        assert!(pump.is_high());
    });
}

#[test]
fn lines_are_driven_when_they_should_be() {
    guest("outputs::lines_are_driven_when_they_should_be", "", || {
        let parts = connect(&format!("sensors: [ {HALL} ]"));
        let lines = Expander::connect(&parts);
        lines.give_to_the_kernel();
        let mut world = World::new(PARTS);
        start(&world, &lines);
        let before = commands_by_hand(&world, &lines);
        the_end(&world, &lines, before);
        nobody_in_control(&mut world, &lines);
        reload(&world, &lines);
    });
}

/// Nothing is driven but each `initial`, once.
fn start(world: &World, lines: &Expander) {
    assert_eq!(world.halyard("check", &[]).0, 0);
    let listener = world.listen();
    let mut agent = world.start(&listener);
    for (actuator, state) in [("pump", "OFF"), ("valve", "OFF"), ("fan", "ON"), ("heater", "ON"), ("lamp", "OFF")] {
        assert_eq!(listener.state(0, actuator, state)["by"], "start");
    }
    let driven = lines.driven();
    assert_eq!((driven.len(), lines.levels()), (5, STARTED), "{driven:?}");
    for (_, levels) in driven {
        assert_eq!(levels | !STARTED, 0xFF, "a line that is high now was low for a moment: {levels:#010b}");
    }
    let (code, _, err) = world.halyard("set", &["lamp", "ON"]);
    assert!(code == 69 && err.contains("in use by \"halyard\""), "{code} {err}");
    assert_eq!(lines.driven().len(), 5);

    // From before the command: the chip may note what it saw later than it happened, never earlier.
    let before = SystemTime::now();
    let from = listener.mark();
    listener.apply("pump", "ON");
    assert_eq!(listener.state(from, "pump", "OFF")["by"], "safety");
    let driven = lines.driven();
    let (on, off) = (driven[5], driven[6]);
    assert_eq!((on.1, off.1, driven.len()), (STARTED | 1 << PUMP, STARTED, 7), "{driven:?}");
    let time = off.0.duration_since(before).unwrap();
    assert!(time > Duration::from_millis(1_900), "`max_on` is 2 s: {before:?} {on:?} {off:?}");

    for actuator in ["valve", "lamp"] {
        listener.apply(actuator, "ON");
    }
    listener.apply("fan", "OFF");
    assert_eq!(lines.levels(), 0b1111_1000);
    agent.signal(libc::SIGTERM);
    assert!(agent.wait().success());
    assert_eq!(lines.levels(), 0b1110_0110, "all are safe after the end");
    assert_eq!(listener.on(0, "availability").last().unwrap().payload, "offline");
}

/// `halyard set` and `halyard safe`.
fn commands_by_hand(world: &World, lines: &Expander) -> usize {
    let set = |arguments: &[&str]| {
        let (code, out, err) = world.halyard("set", arguments);
        assert!(out.is_empty() || code == 0, "{out}{err}");
        code
    };
    assert_eq!((set(&["valve", "ON"]), lines.is_high(VALVE)), (0, false));
    assert_eq!((set(&["heater", "TOGGLE"]), lines.is_high(HEATER)), (0, true));
    let count = lines.driven().len();
    assert_eq!(set(&["pump", "ON", "--for", "100ms"]), 0);
    let pulse: Vec<_> = lines.driven()[count..].iter().map(|(_, levels)| levels & 1).collect();
    assert_eq!(pulse, [1, 0]);
    let count = lines.driven().len();
    assert_eq!(set(&["pump", "ON"]), 2, "nobody would see to `max_on`");
    assert_eq!(set(&["pumps", "OFF"]), 2);
    assert_eq!(set(&["lamp", "BLUE"]), 2);
    assert_eq!(lines.driven().len(), count);
    let (code, out, err) = world.halyard("safe", &[]);
    assert_eq!((code, lines.levels()), (0, 0b1110_0110), "{out}{err}");
    lines.driven().len()
}

/// Killed, everything stays as it is, and the next start is a start.
fn the_end(world: &World, lines: &Expander, before: usize) {
    let listener = world.listen();
    let mut agent = world.start(&listener);
    // It was on before the agent was stopped.
    assert_eq!(listener.find(0, "lamp", |state| !state.retained).json()["state"], "ON");
    assert!(lines.is_high(LAMP));
    assert_eq!(listener.find(0, "heater", |state| !state.retained).json()["state"], "OFF", "as `halyard safe` left it");
    assert_eq!(lines.driven().len(), before + 5);
    for actuator in ["valve", "heater", "pump"] {
        listener.apply(actuator, "ON");
    }
    agent.signal(libc::SIGKILL);
    assert!(!agent.wait().success());
    listener.find(0, "availability", |will| will.payload == "offline" && !will.retained);
    assert_eq!((lines.levels(), lines.driven().len()), (0b1111_1101, before + 8));
}

/// `initial` after that, and `safe_after` without a broker.
fn nobody_in_control(world: &mut World, lines: &Expander) {
    let count = lines.driven().len();
    let listener = world.listen();
    let mut agent = world.start(&listener);
    listener.find(0, "heater", |state| !state.retained);
    wait_until("start", || lines.driven().len() == count + 5);
    assert_eq!(lines.levels(), 0b1111_1110, "`heater` was on and stays so; `lamp` was remembered");

    let before = SystemTime::now();
    world.broker.kill();
    wait_until("safe state", || !lines.is_high(HEATER));
    let driven = lines.driven();
    assert_eq!((driven.len(), lines.levels()), (count + 6, 0b1111_0110), "only this one: {driven:?}");
    let time = driven[count + 5].0.duration_since(before).unwrap();
    assert!(time > Duration::from_millis(900), "`safe_after` is 1 s: {before:?} {driven:?}");
    world.broker.restart();
    let listener = world.listen();
    listener.connection(0);
    assert_eq!(listener.state(0, "heater", "OFF")["by"], "safety");
    assert_eq!(listener.state(0, "lamp", "ON")["by"], "start");
    listener.apply("heater", "ON");
    agent.signal(libc::SIGTERM);
    assert!(agent.wait().success());
}

/// A reload drives nothing that is the same, and makes safe what goes.
fn reload(world: &World, lines: &Expander) {
    let listener = world.listen();
    let agent = world.start(&listener);
    for actuator in ["pump", "valve", "fan", "heater", "lamp"] {
        listener.find(0, actuator, |state| !state.retained);
    }
    for actuator in ["valve", "heater"] {
        let from = listener.mark();
        listener.apply(actuator, "ON");
        listener.state(from, actuator, "ON");
    }
    let count = lines.driven().len();
    let levels = lines.levels();
    let from = listener.mark();
    world.configure(&format!("{PARTS}sensors: [ {HALL} ]"));
    agent.signal(libc::SIGHUP);
    listener.find(from, "hall", |_| true);
    world.configure("actuators: [ { id: pump, driver: swich } ]");
    agent.signal(libc::SIGHUP);
    wait_until("refusal", || agent.log().contains("not reloaded"));
    world.configure(PARTS);
    agent.signal(libc::SIGHUP);
    listener.next(from, "hall/availability", "");
    listener.apply("lamp", "ON");
    assert_eq!((lines.levels(), lines.driven().len()), (levels, count + 1), "only what was commanded was driven");
    for actuator in ["pump", "valve", "fan", "heater"] {
        assert!(listener.on(from, actuator).is_empty(), "{actuator} has a new state");
    }

    // The valve goes, and the fan becomes another one.
    let without = PARTS.lines().filter(|line| !line.contains("valve")).collect::<Vec<_>>().join("\n");
    world.configure(&without.replace("initial: on, safe: on", "active: low"));
    agent.signal(libc::SIGHUP);
    listener.next(from, "valve/availability", "");
    listener.state(from, "fan", "OFF");
    assert!(lines.is_high(VALVE), "off, and it is active when low");
    // The fan goes on for safety, as it was told to, and then off, as it is told now. Nothing else moves.
    let (fan, others) = (1 << 2, levels & !(1 << VALVE));
    for (_, driven) in &lines.driven()[count + 1..] {
        assert_eq!((driven | fan | 1 << VALVE), (others | fan | 1 << VALVE), "{driven:#010b}");
    }
    assert_eq!(lines.levels(), levels | 1 << VALVE | fan);
}

#[test]
fn safe_turns_nothing_on_beside_what_it_cannot_turn_off() {
    scenario("outputs::safe_turns_nothing_on_beside_what_it_cannot_turn_off", || {
        let world = World::new(
            "\
actuators:
  - { id: fan, driver: switch, line: GPIO27, safe: on, interlock: [ heater ] }
  - { id: heater, driver: switch, line: GPIO22 }",
        );
        assert_eq!(world.halyard("safe", &[]), (0, "heater OFF\nfan ON\n".to_owned(), String::new()));
        let holder = Holder::of("22");
        let (code, out, err) = world.halyard("safe", &[]);
        assert_eq!((code, out.as_str()), (69, "fan OFF\n"), "{err}");
        assert!(err.contains("heater (switch at GPIO22): "), "{err}");
        drop(holder);
    });
}

#[test]
fn a_kill_does_not_begin_max_on_anew() {
    guest("outputs::a_kill_does_not_begin_max_on_anew", "", || {
        let parts = connect("");
        let lines = Expander::connect(&parts);
        lines.give_to_the_kernel();
        let limit = Duration::from_secs(8);
        let world = World::new(
            "actuators: [ { id: pump, driver: switch, line: { chip: gpiochip0, offset: 0 }, max_on: 8s, initial: keep } ]",
        );
        let listener = world.listen();
        let mut agent = world.start(&listener);
        listener.apply("pump", "OFF");
        let before = SystemTime::now();
        listener.apply("pump", "ON");
        wait_until("most of its time", || before.elapsed().unwrap() > limit / 8 * 5);
        agent.signal(libc::SIGKILL);
        assert!(!agent.wait().success());
        assert!(lines.is_high(PUMP), "nobody turned it off");
        let again = SystemTime::now();
        let from = listener.mark();
        let _agent = world.start(&listener);
        assert_eq!(listener.find(from, "pump", |state| state.json()["by"] == "safety").json()["state"], "OFF");
        let (off, _) = *lines.driven().last().unwrap();
        assert!(off.duration_since(before).unwrap() > limit - Duration::from_millis(100), "not before it is over");
        assert!(off < again + limit, "it does not begin anew: {before:?} {again:?} {off:?}");
    });
}

#[test]
fn interlocked_lines_are_never_on_together() {
    guest("outputs::interlocked_lines_are_never_on_together", "", || {
        let parts = connect("");
        let lines = Expander::connect(&parts);
        lines.give_to_the_kernel();
        let world = World::new(
            "\
actuators:
  - { id: up, driver: switch, line: { chip: gpiochip0, offset: 0 }, active: low, interlock: [ down ] }
  - { id: down, driver: switch, line: { chip: gpiochip0, offset: 1 }, active: low }",
        );
        let listener = world.listen();
        let _agent = world.start(&listener);
        for actuator in ["up", "down"] {
            listener.state(0, actuator, "OFF");
        }
        let seed = fastrand::u64(..);
        let mut random = fastrand::Rng::with_seed(seed);
        println!("seed {seed}");
        let results = || listener.since(0).iter().filter(|message| message.topic.ends_with("/result")).count();
        let mut sent = 0;
        for _ in 0..25 {
            for _ in 0..12 {
                let actuator = ["up", "down"][random.usize(..2)];
                let value = ["ON", "ON", "OFF", "TOGGLE"][random.usize(..4)];
                let length = ["", r#","for":"5ms""#, r#","for":"50ms""#][random.usize(..3)];
                listener.publish(&format!("{actuator}/set"), &format!(r#"{{"value":"{value}"{length}}}"#));
                sent += 1;
            }
            wait_until("results", || results() == sent);
        }
        let reason = |reason: &str| {
            listener.since(0).iter().filter(|message| message.payload.contains(&format!("\"{reason}\""))).count()
        };
        let seen = |levels: u8| lines.driven().iter().filter(|(_, driven)| driven & 3 == levels).count();
        println!("{sent} commands, {} times refused; driven {} times", reason("interlock"), lines.driven().len());
        assert!(reason("interlock") > 10 && reason("applied") > 10);
        assert!(seen(0b10) > 5 && seen(0b01) > 5);
        assert_eq!(seen(0b00), 0, "both on: {:?}", lines.driven());
    });
}

/// Period and high time in ns that the first channel of the simulated PWM chip gives.
fn pulses() -> (u64, u64) {
    let text = std::fs::read_to_string("/sys/kernel/debug/labpwm/pwm0").unwrap();
    let mut words = text.split_whitespace().map(|word| word.parse().unwrap_or_default());
    (words.next().unwrap(), words.next().unwrap())
}

#[test]
fn a_lamp_fades_and_is_off_at_once_at_the_end() {
    guest("outputs::a_lamp_fades_and_is_off_at_once_at_the_end", "", || {
        let world = World::new(
            "actuators: [ { id: lamp, driver: light, pwm: { chip: pwmchip0, channel: 0 }, transition: 3s } ]",
        );
        let listener = world.listen();
        let mut agent = world.start(&listener);
        assert_eq!(listener.find(0, "lamp", |_| true).json()["state"], 0);
        let from = listener.mark();
        let result = listener.command("lamp", "ON");
        assert_eq!(result["status"], "applied");
        let first = result["state"].as_f64().unwrap();
        assert!(first > 0.0 && first < 50.0, "{result}");
        listener.find(from, "lamp", |state| state.json()["state"] == 100);
        assert_eq!(pulses(), (1_000_000, 1_000_000));
        let told: Vec<_> =
            listener.on(from, "lamp").iter().map(|state| state.json()["state"].as_f64().unwrap()).collect();
        assert!(told.len() >= 3 && told.is_sorted(), "{told:?}");

        listener.command("lamp", "50");
        wait_until("step", || pulses().1 < 1_000_000);
        listener.command("lamp", "OFF");
        agent.signal(libc::SIGTERM);
        assert!(agent.wait().success());
        assert_eq!(pulses(), (1_000_000, 0));
        let last = listener.on(from, "lamp").last().unwrap().json();
        assert_eq!((&last["state"], &last["by"]), (&0.into(), &"safety".into()));
    });
}

#[test]
fn a_board_that_this_is_not_is_refused() {
    scenario("outputs::a_board_that_this_is_not_is_refused", || {
        let world = World::new("board: raspberry-pi\nactuators: [ { id: pump, driver: switch, pin: 11 } ]");
        let (code, _, err) = world.halyard("set", &["pump", "ON"]);
        assert!(code == 69 && err.contains("`board: raspberry-pi`: no Raspberry Pi that rppal knows"), "{code} {err}");
        // Its chip is called as a Raspberry Pi's is: that is enough for the header, and for the character device.
        world.configure("actuators: [ { id: pump, driver: switch, pin: 11 } ]");
        assert_eq!(world.halyard("set", &["pump", "ON"]).0, 0);
        let listener = world.listen();
        let agent = world.start(&listener);
        listener.apply("pump", "ON");
        assert!(Outside::of(17).is_high());
        assert!(
            agent.log().contains("GPIO by the character device: no Raspberry Pi that rppal knows"),
            "{}",
            agent.log()
        );
    });
}
