//! What the outside world does to a part arrives on MQTT.

use super::lab::{Garbled, Parts, connect, set_absent};
use super::scenario;
use super::world::World;
use serde_json::Value as Json;
use std::sync::atomic::Ordering;

/// One part of each kind, in all the ways in which they can be connected.
pub const PARTS: &str = "\
sensors:
  - { id: climate, driver: bme280, bus: i2c-1, address: 0x76, every: 1s }
  - { id: hall, driver: bme280, bus: spi0.0, every: 1s }
  - { id: soil, driver: mcp3008, bus: spi0.1, every: 1s, reference: 3.3, channels: { bed: 3, pot: 7 } }
  - { id: air, driver: sht4x, bus: i2c-1, address: 0x44, every: 1s }
  - { id: volts, driver: ads1115, bus: i2c-1, address: 0x48, every: 1s, channels: { battery: a0, shunt: a2-a3 } }
  - { id: door, driver: digital-input, line: GPIO17 }
actuators:
  - { id: pump, driver: switch, line: GPIO27 }";

#[test]
fn what_is_measured_arrives() {
    scenario("sensors::what_is_measured_arrives", || {
        let parts = connect(PARTS);
        let world = World::new(PARTS);
        let listener = world.listen();
        let mut agent = world.start(&listener);
        for (celsius, percent, hectopascal, counts, volts) in
            [(-12.5, 71.0, 987.0, 100, 3.3), (38.25, 12.5, 1031.0, 900, 0.125)]
        {
            let bed = 3.3 * f64::from(counts) / 1024.0;
            let from = listener.mark();
            for entity in ["climate", "hall"] {
                parts.stimulate(entity, "temperature", celsius).unwrap();
                parts.stimulate(entity, "humidity", percent).unwrap();
                parts.stimulate(entity, "pressure", hectopascal).unwrap();
            }
            parts.stimulate("soil", "bed", bed + 0.001).unwrap();
            parts.stimulate("air", "temperature", celsius + 1.0).unwrap();
            parts.stimulate("air", "humidity", percent + 1.0).unwrap();
            parts.stimulate("volts", "battery", volts).unwrap();
            parts.stimulate("volts", "shunt", -volts / 2.0).unwrap();
            // Everything in a state that came after this is what was set.
            for entity in ["climate", "hall"] {
                listener.about(from, entity, "temperature", celsius, 0.02);
                listener.about(from, entity, "humidity", percent, 0.1);
                listener.about(from, entity, "pressure", hectopascal, 0.1);
            }
            listener.about(from, "soil", "bed", bed, 0.002);
            listener.about(from, "air", "temperature", celsius + 1.0, 0.01);
            listener.about(from, "air", "humidity", percent + 1.0, 0.1);
            listener.about(from, "volts", "battery", volts, 0.001);
            listener.about(from, "volts", "shunt", -volts / 2.0, 0.001);
        }
        for entity in ["climate", "hall", "soil", "air", "volts", "door", "pump"] {
            let availability = listener.on(0, &format!("{entity}/availability"));
            assert!(availability.iter().all(|message| message.payload == "online"), "{entity}: {availability:?}");
        }
        agent.signal(libc::SIGTERM);
        assert!(agent.wait().success());

        straight_from_the_hardware(&world, &parts);
    });
}

/// `halyard read`, and what it ends with.
fn straight_from_the_hardware(world: &World, parts: &Parts) {
    let (code, out, err) = world.halyard("read", &["--json"]);
    let states = &serde_json::from_str::<Json>(&out).unwrap()["states"];
    assert_eq!(code, 0, "{out}{err}");
    let about = |value: &Json, expected: f64| (value.as_f64().unwrap() - expected).abs() < 0.02;
    assert!(about(&states["climate"]["temperature"], 38.25) && about(&states["hall"]["temperature"], 38.25), "{out}");
    assert!(about(&states["air"]["temperature"], 39.25) && about(&states["volts"]["battery"], 0.125), "{out}");
    assert!(about(&states["soil"]["bed"], 2.9) && states["door"]["state"] == "OFF", "{out}");

    let (code, out, err) = world.halyard("read", &["soil", "door"]);
    assert_eq!((code, out.lines().count()), (0, 2), "{out}{err}");
    assert!(out.starts_with("soil ") && out.contains("bed 2.9"), "{out}");

    // What fails does not keep the rest from being read.
    set_absent(parts, "climate", true);
    Garbled::part(parts, "air", 0x44).store(1, Ordering::SeqCst);
    let (code, out, err) = world.halyard("read", &["climate", "air", "hall"]);
    assert_eq!(code, 69, "{out}{err}");
    assert!(out.starts_with("hall ") && out.lines().count() == 1, "{out}");
    assert!(err.contains("climate (bme280 at i2c-1/0x76)") && err.contains("ENXIO"), "{err}");
    assert!(err.contains("air (sht4x at i2c-1/0x44)") && err.contains("checksum"), "{err}");
    set_absent(parts, "climate", false);

    let (code, _, err) = world.halyard("read", &["celler"]);
    assert!(code == 2 && err.contains("celler"), "{code} {err}");
    let (code, _, err) = world.halyard_as_nobody("read", &["climate"]);
    assert!(code == 77 && err.contains("no permission for /dev/i2c-1"), "{code} {err}");
    let (code, _, err) = world.halyard_as_nobody("set", &["pump", "ON"]);
    assert!(code == 77 && err.contains("no permission for /dev/gpiochip0"), "{code} {err}");
    world.configure("sensors: [ { id: climate, driver: bme208, bus: i2c-1 } ]");
    let (code, _, err) = world.halyard("read", &[]);
    assert!(code == 78 && err.contains("bme208"), "{code} {err}");
}
