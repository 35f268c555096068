//! Inputs that tell more than a level: buttons, counters, knobs.

use super::faults::Inside;
use super::stand::topic;
use crate::support::wait_until;
use crate::support::witness::{Message, retained};
use halyard_drivers::sim::Line;
use serde_json::json;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

const BELL: &str = "
sensors:
  - { id: bell, driver: digital-input, line: GPIO17, events: [ press, double, long ] }
";
const WATER: &str = "
sensors:
  - { id: water, driver: pulse-counter, line: GPIO23, kind: water, pulses_per_unit: 10, every: 1h }
";
const KNOB: &str = "
sensors:
  - { id: volume, driver: rotary-encoder, a: GPIO5, b: GPIO6 }
";

fn time(message: &Message) -> SystemTime {
    halyard::time::parse(message.json()["time"].as_str().unwrap()).unwrap()
}

/// State and event, as in `OFF press`.
fn said(message: &Message) -> String {
    let json = message.json();
    let text = |key: &str| json[key].as_str().map_or_else(String::new, |text| format!("{text} "));
    format!("{}{}", text("state"), text("event")).trim().to_owned()
}

/// Presses a button, now.
fn press(button: &Line) -> SystemTime {
    button.pull(true);
    let time = SystemTime::now();
    button.pull_at(false, time);
    time
}

#[test]
fn a_button_tells_each_press_once_beside_its_state() {
    let Some(inside) = Inside::with(BELL, None) else { return };
    let button = inside.line("GPIO17");
    inside.witness.mark();
    let all = || inside.witness.all(&topic("bell"));
    let released = press(&button);
    wait_until("press", || all().len() >= 3);
    assert_eq!(all().iter().map(said).collect::<Vec<_>>(), ["ON", "OFF", "OFF press"]);
    let event = &all()[2];
    assert!(!event.retained && event.qos == 1, "{event:?}");
    assert!(released.duration_since(time(event)).unwrap() < Duration::from_millis(1), "that of the release: {event:?}");

    inside.witness.mark();
    press(&button);
    press(&button);
    wait_until("double press", || all().len() >= 5);
    assert_eq!(all().iter().map(said).collect::<Vec<_>>(), ["ON", "OFF", "ON", "ON double", "OFF"]);

    inside.witness.mark();
    button.pull(true);
    wait_until("long press", || all().len() >= 2);
    button.pull(false);
    wait_until("release", || all().len() >= 3);
    assert_eq!(all().iter().map(said).collect::<Vec<_>>(), ["ON", "ON long", "OFF"]);
    let held = time(&all()[1]).duration_since(time(&all()[0])).unwrap();
    assert!(held.abs_diff(Duration::from_millis(800)) <= Duration::from_millis(1), "{held:?}");
    assert_eq!(said(&retained(&inside.broker)[&topic("bell")]), "OFF", "an event is not kept");
    assert_eq!(inside.witness.all(&topic("bell/backlog")), []);
    inside.stop();
}

#[test]
fn presses_of_an_outage_are_delivered_after_it_with_their_times() {
    let Some(inside) = Inside::with(BELL, None) else { return };
    let button = inside.line("GPIO17");
    inside.witness.mark();
    inside.proxy.cut();
    inside.witness.wait_for(&topic("availability"), "offline");
    inside.witness.mark();
    let released = press(&button);
    button.pull(true);
    button.pull(false);
    inside.proxy.mend();
    let backlog = || inside.witness.all(&topic("bell/backlog"));
    wait_until("double press", || backlog().iter().any(|message| said(message) == "ON double"));
    let backlog = backlog();
    assert!(backlog.iter().all(|message| !message.retained), "{backlog:?}");
    assert!(backlog.is_sorted_by_key(time), "{backlog:?}");
    let at = backlog.iter().position(|message| said(message) == "ON double").unwrap();
    assert_eq!(said(&backlog[at - 1]), "ON", "{backlog:?}");
    assert!(time(&backlog[at]) + Duration::from_millis(1) > released);
    let newest = inside.witness.wait(&topic("bell"), |message| said(message) == "OFF");
    assert!(newest.retained, "{newest:?}");
    assert!(inside.witness.all(&topic("bell")).iter().all(|message| message.json()["event"].is_null()));
    inside.stop();
}

#[test]
fn a_total_survives_a_restart() {
    let folder = TempDir::new().unwrap();
    let start = |parts: &str| Inside::with(parts, Some(folder.path().to_owned()));
    let count = |inside: &Inside, pulses: usize| {
        let line = inside.line("GPIO23");
        (0..pulses).for_each(|_| {
            line.pull(true);
            line.pull(false);
        });
        inside.witness.mark();
        inside.witness.peer.publish(&topic("agent/request/read"), "", false);
        inside.witness.wait(&topic("agent/response/read"), |_| true).json()["states"]["water"]["total"].clone()
    };
    let Some(inside) = start(WATER) else { return };
    assert_eq!(count(&inside, 0), 0);
    assert_eq!(count(&inside, 123), 12.3);
    inside.stop();
    let inside = start(WATER).unwrap();
    assert_eq!(count(&inside, 0), 12.3);
    assert_eq!(count(&inside, 2), 12.5);
    inside.stop();
    let set = WATER.replace("every", "start: 5000, every");
    for total in [json!(5000.1), json!(5000.2)] {
        let inside = start(&set).unwrap();
        assert_eq!(count(&inside, 1), total, "set once");
        inside.stop();
    }
}

#[test]
fn a_knob_turned_fast_is_followed() {
    let Some(inside) = Inside::with(KNOB, None) else { return };
    let [a, b] = ["GPIO5", "GPIO6"].map(|name| inside.line(name));
    let position = || inside.witness.all(&topic("volume")).last().map(|message| message.json()["position"].clone());
    for _ in 0..100 {
        [&a, &b, &a, &b].into_iter().for_each(|line| line.pull(!line.is_high()));
    }
    wait_until("position", || position() == Some(json!(100)));
    for _ in 0..130 {
        [&b, &a, &b, &a].into_iter().for_each(|line| line.pull(!line.is_high()));
    }
    wait_until("position", || position() == Some(json!(-30)));
    inside.stop();
}
