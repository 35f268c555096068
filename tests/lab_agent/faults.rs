//! What goes wrong with one part is that part's own affair, and passes.

use super::lab::{Bmp280, Garbled, Outside, Parts, command, connect, knob, set_absent, wait_until};
use super::scenario;
use super::sensors::PARTS;
use super::world::{Listener, World};
use halyard::config::At;
use halyard_drivers::bme280;
use halyard_drivers::sim::Part;
use jiff::Timestamp;
use std::sync::atomic::Ordering;

/// `climate` is the one that suffers.
const OTHERS: [&str; 4] = ["hall", "soil", "air", "volts"];

/// Waits for this many new states of each of these.
fn new_states(listener: &Listener, entities: &[&str], count: usize) {
    let from = listener.mark();
    for entity in entities {
        wait_until(&format!("states of {entity}"), || listener.on(from, entity).len() >= count);
    }
}

fn offline(listener: &Listener, from: usize) -> Vec<String> {
    let all = listener.since(from).into_iter().filter(|message| message.payload == "offline");
    all.map(|message| message.topic).collect()
}

#[test]
fn one_part_fails_and_no_other() {
    scenario("faults::one_part_fails_and_no_other", || {
        let parts = connect(PARTS);
        let world = World::new(PARTS);
        let listener = world.listen();
        let _agent = world.start(&listener);
        new_states(&listener, &OTHERS, 1);
        listener.find(0, "climate", |_| true);
        for errno in [libc::ENXIO, libc::EREMOTEIO] {
            knob("nak_errno", errno.unsigned_abs());
            no_acknowledge(&listener, &parts, &format!("{errno}"));
        }
        wrong_checksums(&listener, &parts);
        another_chip(&listener, &parts);
        time_outs(&listener);
    });
}

/// For three seconds at least.
fn no_acknowledge(listener: &Listener, parts: &Parts, errno: &str) {
    let from = listener.mark();
    set_absent(parts, "climate", true);
    listener.next(from, "climate/availability", "offline");
    listener.problem(from, "climate", "absent");
    // A state a second.
    new_states(listener, &OTHERS, 4);
    let silent = listener.mark();
    listener.apply("pump", "TOGGLE");
    assert!(listener.on(silent, "climate").is_empty());
    set_absent(parts, "climate", false);
    listener.next(silent, "climate/availability", "online");
    listener.find(silent, "climate", |_| true);
    assert_eq!(offline(listener, from), ["climate/availability"], "errno {errno}");
    for entity in OTHERS {
        let times: Vec<Timestamp> = listener
            .on(from, entity)
            .iter()
            .map(|state| state.json()["time"].as_str().unwrap().parse().unwrap())
            .collect();
        let longest = times.windows(2).map(|pair| pair[1].duration_since(pair[0]).as_secs_f64()).fold(0.0, f64::max);
        println!("errno {errno}, {entity}: at most {longest} s from state to state, where `every` is 1 s");
        assert!(longest < 2.5, "{entity} was kept waiting");
    }
}

/// Three in a row are a fault, two are not.
fn wrong_checksums(listener: &Listener, parts: &Parts) {
    let from = listener.mark();
    let wrong = Garbled::part(parts, "air", 0x44);
    wrong.store(2, Ordering::SeqCst);
    wait_until("two wrong answers", || wrong.load(Ordering::SeqCst) == 0);
    new_states(listener, &["air"], 2);
    assert!(offline(listener, from).is_empty());
    wrong.store(3, Ordering::SeqCst);
    listener.next(from, "air/availability", "offline");
    assert_eq!(wrong.load(Ordering::SeqCst), 0, "offline too early");
    listener.problem(from, "air", "corrupt");
    listener.next(from, "air/availability", "online");
    assert_eq!(offline(listener, from), ["air/availability"]);
}

/// A BMP280 is plugged in where the BME280 was, and a BME280 again.
fn another_chip(listener: &Listener, parts: &Parts) {
    let plug_in = |part: Box<dyn Part>| {
        parts.place(&At::I2c { bus: 1, address: 0x76 }, part);
        set_absent(parts, "climate", false);
    };
    let from = listener.mark();
    set_absent(parts, "climate", true);
    listener.problem(from, "climate", "absent");
    plug_in(Box::<Bmp280>::default());
    listener.problem(from, "climate", "wrong-chip");
    plug_in(Box::<bme280::sim::Model>::default());
    listener.next(from, "climate/availability", "online");
    assert_eq!(offline(listener, from), ["climate/availability"]);
}

/// All of a bus fails: what is elsewhere does not care.
fn time_outs(listener: &Listener) {
    let pump = Outside::of(27);
    let from = listener.mark();
    knob("timeout", 1_000_000);
    for entity in ["climate", "air", "volts"] {
        listener.next(from, &format!("{entity}/availability"), "offline");
        listener.problem(from, entity, "bus");
    }
    for on in [true, false, true, false, true, false] {
        listener.apply("pump", if on { "ON" } else { "OFF" });
        assert_eq!(pump.is_high(), on);
    }
    new_states(listener, &["hall", "soil"], 2);
    let healed = listener.mark();
    knob("timeout", 0);
    for entity in ["climate", "air", "volts"] {
        listener.next(healed, &format!("{entity}/availability"), "online");
        listener.find(healed, entity, |_| true);
    }
    assert_eq!(offline(listener, from).len(), 3);
}

#[test]
fn a_gpio_chip_goes_and_comes_back() {
    scenario("faults::a_gpio_chip_goes_and_comes_back", || {
        let parts = "\
sensors:
  - { id: door, driver: digital-input, line: GPIO17 }
  - { id: hall, driver: bme280, bus: spi0.0, every: 1s }
actuators:
  - { id: pump, driver: switch, line: GPIO27 }
  - { id: fan, driver: switch, line: GPIO22, initial: on }";
        let _connected = connect(parts);
        let world = World::new(parts);
        let listener = world.listen();
        let _agent = world.start(&listener);
        listener.state(0, "fan", "ON");
        listener.state(0, "door", "OFF");
        listener.apply("pump", "ON");
        let from = listener.mark();
        command("lab-gpio", &["remove", "lab"]);
        listener.next(from, "door/availability", "offline");
        for _ in 0..2 {
            let result = listener.command("pump", "ON");
            assert_eq!((&result["status"], &result["reason"]), (&"failed".into(), &"hardware".into()), "{result}");
        }
        listener.next(from, "pump/availability", "offline");
        // Nobody commands the fan: it is noticed all the same.
        listener.next(from, "fan/availability", "offline");
        new_states(&listener, &["hall"], 2);

        let back = listener.mark();
        command("lab-gpio", &["create"]);
        for entity in ["door", "pump", "fan"] {
            listener.next(back, &format!("{entity}/availability"), "online");
        }
        for actuator in ["pump", "fan"] {
            assert_eq!(listener.state(back, actuator, "OFF")["by"], "safety");
        }
        let (door, pump) = (Outside::of(17), Outside::of(27));
        door.pull(true);
        listener.state(back, "door", "ON");
        listener.apply("pump", "ON");
        assert!(pump.is_high());
        assert!(!offline(&listener, from).contains(&"hall/availability".to_owned()));
    });
}
