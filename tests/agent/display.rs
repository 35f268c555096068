//! A display that shows what others measure and do.

use super::faults::Inside;
use crate::support::wait_until;
use halyard::bus::Simulated;
use halyard::config::At;
use halyard_drivers::sim::I2cFaults;
use halyard_drivers::{Spec, find};
use serde_json::{Value as Json, json};

const PARTS: &str = "
sensors:
  - { id: climate, driver: bme280, bus: i2c-1, address: 0x76, every: 50ms }
actuators:
  - { id: pump, driver: switch, line: GPIO27 }
  - id: sign
    driver: display
    bus: i2c-1
    address: 0x3C
    lines: [ '{climate.temperature:.0} °C', 'pump {pump}' ]
    refresh: 100ms
";
const CLIMATE: At = At::I2c { bus: 1, address: 0x76 };
const SIGN: At = At::I2c { bus: 1, address: 0x3C };

fn texts(bus: &Simulated) -> Vec<String> {
    bus.part(&SIGN).unwrap().lock().texts()
}

#[track_caller]
fn shows(bus: &Simulated, lines: &[&str]) {
    wait_until(&format!("{lines:?}"), || texts(bus) == lines);
}

fn set_absent(bus: &Simulated, address: u8, absent: bool) {
    bus.i2c_bus(1).set_faults(address, I2cFaults { absent, ..I2cFaults::default() });
}

#[test]
fn a_display_shows_what_others_have_and_messages_and_is_dark_at_the_end() {
    let Some(inside) = Inside::with(PARTS, None) else { return };
    let bus = inside.bus();
    bus.part(&CLIMATE).unwrap().stimulate("temperature", 21.0);
    shows(&bus, &["21 °C", "pump OFF"]);
    bus.part(&CLIMATE).unwrap().stimulate("temperature", 22.0);
    assert_eq!(inside.command("pump", "1", "ON")["status"], "applied");
    shows(&bus, &["22 °C", "pump ON"]);

    // What is offline is not shown as if it were known.
    set_absent(&bus, 0x76, true);
    shows(&bus, &["-- °C", "pump ON"]);
    set_absent(&bus, 0x76, false);
    shows(&bus, &["22 °C", "pump ON"]);

    let result = inside.command("sign", "2", "ON");
    assert_eq!((&result["status"], &result["state"]), (&json!("applied"), &json!("ON")));
    assert_eq!(texts(&bus), ["ON"], "a text, shown when its result is told");
    inside.witness.mark();
    let payload = json!({ "id": "3", "value": "for a moment", "for": "50ms" }).to_string();
    inside.witness.peer.publish("halyard/a/sign/set", &payload, false);
    let is_back = |state: &Json| state["state"] == "ON" && state["id"] == "3";
    inside.witness.wait("halyard/a/sign", |message| is_back(&message.json()));
    assert_eq!(texts(&bus), ["ON"]);
    assert_eq!(inside.command("sign", "4", "zu lang €")["reason"], "unknown-value");
    assert_eq!(inside.command("sign", "5", &"x".repeat(127))["reason"], "out-of-range");
    assert_eq!(texts(&bus), ["ON"]);
    assert_eq!(inside.command("sign", "6", "")["status"], "applied");
    assert_eq!(texts(&bus), ["22 °C", "pump ON"]);

    // Lost, and back as it is after power on.
    inside.witness.mark();
    set_absent(&bus, 0x3C, true);
    inside.availability("sign", "offline");
    let Spec::Actuator(spec) = (find("display").unwrap().defaults)() else { panic!("an actuator") };
    bus.place(&SIGN, spec.simulate());
    assert!(texts(&bus).is_empty());
    set_absent(&bus, 0x3C, false);
    inside.availability("sign", "online");
    shows(&bus, &["22 °C", "pump ON"]);

    inside.stop();
    assert!(texts(&bus).is_empty(), "nobody keeps it up to date any more");
}
