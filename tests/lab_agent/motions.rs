//! What moves and what shines, as whatever hangs on the lines and on the bus sees it.

use super::lab::{Expander, Outside, connect, wait_until};
use super::world::{Listener, World};
use super::{guest, scenario};
use halyard::config::At;
use halyard_drivers::led_strip::sim::Strip;
use halyard_drivers::sim::{Part, SpiPart};
use serde_json::Value as Json;
use std::sync::{Arc, Mutex};

/// Waits until the actuator tells that it is there; `None` is where nobody knows.
#[track_caller]
fn stands(listener: &Listener, from: usize, actuator: &str, at: impl Into<Option<f64>>) -> Json {
    let at = at.into();
    listener.find(from, actuator, |state| state.json()["state"].as_f64() == at).json()
}

#[test]
fn a_cover_drives_one_relay_at_a_time() {
    guest("motions::a_cover_drives_one_relay_at_a_time", "", || {
        let parts = connect("");
        let lines = Expander::connect(&parts);
        lines.give_to_the_kernel();
        // Active when low.
        let (open, close, none) = (0b10, 0b01, 0b11);
        let relays = || lines.levels() & 3;
        let world = World::new(
            "\
actuators:
  - id: blind
    driver: cover
    open: { chip: gpiochip0, offset: 0 }
    close: { chip: gpiochip0, offset: 1 }
    active: low
    travel: 2s
    pause: 200ms",
        );
        let listener = world.listen();
        let mut agent = world.start(&listener);
        assert_eq!(stands(&listener, 0, "blind", None)["by"], "start");
        assert_eq!(relays(), none);

        let from = listener.mark();
        listener.apply("blind", "OPEN");
        wait_until("opening", || relays() == open);
        stands(&listener, from, "blind", 100.0);
        wait_until("rest", || relays() == none);
        listener.apply("blind", "CLOSE");
        wait_until("closing", || relays() == close);
        listener.apply("blind", "STOP");
        assert_eq!(relays(), none);

        listener.apply("blind", "OPEN");
        wait_until("opening", || relays() == open);
        agent.signal(libc::SIGTERM);
        assert!(agent.wait().success());
        assert_eq!(relays(), none, "it is not left running");
        assert!(lines.driven().iter().all(|(_, levels)| levels & 3 != 0), "both: {:?}", lines.driven());
    });
}

/// Offsets of the lines of a stepper motor.
const STEP: u8 = 1 << 0;
const DIR: u8 = 1 << 1;
const ENABLE: u8 = 1 << 2;

/// The steps in what was driven, forward less backward; none without current.
fn steps(lines: &Expander) -> i32 {
    let driven: Vec<u8> = lines.driven().into_iter().map(|(_, levels)| levels).collect();
    let rises = driven.windows(2).filter(|pair| pair[0] & STEP == 0 && pair[1] & STEP != 0);
    rises
        .map(|pair| {
            assert_eq!((pair[0] ^ pair[1], pair[1] & ENABLE), (STEP, 0), "{pair:?}");
            if pair[1] & DIR == 0 { -1 } else { 1 }
        })
        .sum()
}

#[test]
fn a_stepper_makes_the_steps_that_it_tells() {
    guest("motions::a_stepper_makes_the_steps_that_it_tells", "", || {
        let parts = connect("");
        let lines = Expander::connect(&parts);
        lines.give_to_the_kernel();
        let world = World::new(
            "\
actuators:
  - id: vent
    driver: stepper
    step: { chip: gpiochip0, offset: 0 }
    dir: { chip: gpiochip0, offset: 1 }
    enable: { chip: gpiochip0, offset: 2 }
    steps_per_unit: 10
    max: 100
    speed: 5
    acceleration: 50
    rest: release
    initial: restore
    interlock: [ pump ]
  - { id: pump, driver: switch, line: { chip: gpiochip0, offset: 3 } }",
        );
        let listener = world.listen();
        let mut agent = world.start(&listener);
        assert_eq!(stands(&listener, 0, "vent", 0.0)["by"], "start");
        assert_eq!((steps(&lines), lines.is_high(2)), (0, true));

        for (to, count) in [("2.5", 25), ("1", 10), ("1", 10), ("3", 30)] {
            let from = listener.mark();
            listener.apply("vent", to);
            stands(&listener, from, "vent", f64::from(count) / 10.0);
            wait_until("rest", || lines.is_high(2));
            assert_eq!(steps(&lines), count, "{to}");
        }

        let from = listener.mark();
        listener.apply("vent", "100");
        assert_eq!(listener.command("pump", "ON")["reason"], "interlock");
        wait_until("steps", || steps(&lines) > 35);
        let stopping = listener.command("vent", "STOP");
        assert_eq!(stopping["status"], "applied", "{stopping}");
        wait_until("rest", || lines.is_high(2));
        let at = f64::from(steps(&lines)) / 10.0;
        stands(&listener, from, "vent", at);
        listener.apply("pump", "ON");
        listener.apply("pump", "OFF");

        // At the end it stops where it is, and that is remembered.
        listener.apply("vent", "100");
        let before = steps(&lines);
        wait_until("steps", || steps(&lines) > before + 5);
        agent.signal(libc::SIGTERM);
        assert!(agent.wait().success());
        assert!(lines.is_high(2), "it has no current");
        let left = steps(&lines);
        let from = listener.mark();
        let _agent = world.start(&listener);
        let state = listener.find(from, "vent", |state| !state.retained && state.json()["by"] == "start").json();
        assert_eq!(state["state"].as_f64(), Some(f64::from(left) / 10.0));
        assert_eq!(steps(&lines), left, "it does not move for that");
    });
}

#[test]
fn a_stepper_finds_its_switch() {
    scenario("motions::a_stepper_finds_its_switch", || {
        let (dir, home) = (Outside::of(21), Outside::of(26));
        home.pull(true);
        let world = World::new(
            "\
actuators:
  - { id: vent, driver: stepper, step: GPIO20, dir: GPIO21, home: GPIO26, speed: 50, acceleration: 100 }",
        );
        let listener = world.listen();
        let _agent = world.start(&listener);
        assert_eq!(stands(&listener, 0, "vent", None)["by"], "start");
        let from = listener.mark();
        assert_eq!(listener.command("vent", "12")["state"], Json::Null);
        assert!(!dir.is_high(), "towards the switch");
        home.pull(false);
        wait_until("other direction", || dir.is_high());
        home.pull(true);
        stands(&listener, from, "vent", 12.0);
    });
}

/// A strip that the test sees as well.
struct Seen(Arc<Mutex<Strip>>);

impl Part for Seen {
    fn stimulate(&mut self, _channel: &str, _value: f64) -> bool {
        false
    }

    fn spi(&mut self) -> Option<&mut dyn SpiPart> {
        Some(self)
    }
}

impl SpiPart for Seen {
    fn select(&mut self) {
        self.0.lock().unwrap().select();
    }

    fn exchange(&mut self, byte: u8) -> u8 {
        self.0.lock().unwrap().exchange(byte)
    }
}

#[test]
fn a_strip_shows_its_colour() {
    guest("motions::a_strip_shows_its_colour", "", || {
        let parts = connect("");
        let strip = Arc::new(Mutex::new(Strip::new(8)));
        parts.place(&At::Spi { bus: 0, chip_select: 0 }, Box::new(Seen(Arc::clone(&strip))));
        let world =
            World::new("actuators: [ { id: strip, driver: led-strip, bus: spi0.0, leds: 8, colour: [255, 128, 0] } ]");
        let listener = world.listen();
        let mut agent = world.start(&listener);
        stands(&listener, 0, "strip", 0.0);
        let shown = || {
            let strip = strip.lock().unwrap();
            assert_eq!(strip.wrong(), 0, "bits that are none");
            strip.shown().to_vec()
        };
        assert_eq!(shown(), [[0; 3]; 8]);
        listener.apply("strip", "ON");
        assert_eq!(shown(), [[0x80, 0xFF, 0]; 8], "green, red, blue");
        agent.signal(libc::SIGTERM);
        assert!(agent.wait().success());
        assert_eq!(shown(), [[0; 3]; 8]);
    });
}
