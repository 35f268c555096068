use super::*;
use crate::bus::Simulated;
use crate::config::{At, parse};
use embedded_hal::digital::{OutputPin, StatefulOutputPin};
use halyard_drivers::mcp23017::sim::Model;
use halyard_drivers::port::Pull;
use halyard_drivers::sim::SharedPart;
use halyard_drivers::{Edge, FaultKind};
use std::time::{Duration, SystemTime};

const PORCH: At = At::I2c { bus: 1, address: 0x20 };
const MOST: Duration = Duration::from_secs(10);

fn config(expanders: &str) -> Config {
    parse(&format!("agent: {{ id: a }}\nboard: simulated\nexpanders:\n{expanders}"), "test.yaml")
        .unwrap_or_else(|report| panic!("{report}"))
}

/// A board with an expander that is looked at this often.
fn stage(more: &str) -> (Arc<Simulated>, Expanded) {
    let config = config(&format!(
        "  - {{ id: porch, driver: mcp23017, bus: i2c-1, address: 0x20, {more} }}\n  - {{ id: dimmer, driver: pca9685, bus: i2c-1, address: 0x40 }}\n"
    ));
    let board = Arc::new(Simulated::new(&config));
    let expanded = Expanded::new(board.clone(), &config);
    (board, expanded)
}

fn pin(pin: u8) -> LineName {
    LineName::Pin { expander: "porch".to_owned(), pin }
}

fn part(board: &Simulated) -> SharedPart {
    board.part(&PORCH).unwrap()
}

const UP: InputSettings = InputSettings { pull: Pull::Up, debounce: Duration::ZERO };

/// Opens an input as the agent does: on a worker.
async fn input(expanded: &Arc<Expanded>, number: u8, settings: InputSettings) -> Result<Box<dyn Edges>, PortError> {
    let expanded = Arc::clone(expanded);
    crate::task::blocking(move || expanded.input(&pin(number), settings)).await.unwrap()
}

async fn next(edges: &mut Box<dyn Edges>) -> Result<Edge, PortError> {
    tokio::time::timeout(MOST, edges.next()).await.expect("an edge within the limit")
}

#[test]
fn a_pin_is_an_output_like_any_other() {
    let (board, expanded) = stage("poll: 1m");
    let mut output = expanded.output(&pin(3)).unwrap();
    assert!(!output.is_set_high().unwrap(), "asking does not drive");
    assert_eq!(part(&board).lock().interrupt(), Some(false));
    output.set_high().unwrap();
    assert!(output.is_set_high().unwrap());
    let mut again = expanded.output(&pin(3)).err().unwrap();
    assert_eq!(again.message, "pin 3 of porch is in use by \"halyard\"");
    drop(output);
    assert!(expanded.output(&pin(3)).unwrap().is_set_high().unwrap(), "letting it go changes nothing");
    again = expanded.output(&LineName::Pin { expander: "attic".to_owned(), pin: 0 }).err().unwrap();
    assert_eq!(again.kind, FaultKind::Absent);
    // Lines of the board are as they were.
    expanded.output(&LineName::Name("GPIO5".to_owned())).unwrap().set_high().unwrap();
    assert!(board.line(&LineName::Name("GPIO5".to_owned())).is_high());
}

#[test]
fn a_channel_gives_pulses() {
    let (_, expanded) = stage("poll: 1m");
    let channel = PwmName::Line(LineName::Pin { expander: "dimmer".to_owned(), pin: 15 });
    let mut port = expanded.pwm(&channel).unwrap();
    port.0.pulses(5_000_000, 1_250_000).unwrap();
    let (_, high) = port.0.found().unwrap().unwrap();
    assert!(high.abs_diff(1_250_000) < 2_000, "{high}");
    let fault = port.0.pulses(20_000_000, 1_500_000).unwrap_err();
    assert!(fault.message.starts_with("dimmer (i2c-1/0x40): all channels"), "{fault}");
}

#[tokio::test]
async fn inputs_are_looked_at_again_and_again() {
    let (board, expanded) = stage("poll: 5ms");
    let expanded = Arc::new(expanded);
    let mut door = input(&expanded, 2, UP).await.unwrap();
    let mut other = input(&expanded, 6, UP).await.unwrap();
    assert!(door.level().unwrap().high);
    part(&board).stimulate("2", 0.0);
    assert!(!next(&mut door).await.unwrap().high);
    part(&board).stimulate("2", 1.0);
    assert!(next(&mut door).await.unwrap().high);
    part(&board).stimulate("6", 0.0);
    assert!(!next(&mut other).await.unwrap().high, "each pin has its own changes");
}

#[tokio::test]
async fn the_interrupt_gives_the_time() {
    let (board, expanded) = stage("interrupt: GPIO4, poll: 1m");
    let expanded = Arc::new(expanded);
    let interrupt = board.line(&LineName::Name("GPIO4".to_owned()));
    interrupt.pull(true);
    let mut door = input(&expanded, 2, UP).await.unwrap();
    // The first look is over when the next interrupt is the only reason to look.
    let time = loop {
        part(&board).stimulate("2", 0.0);
        let before = SystemTime::now();
        interrupt.pull(false);
        let after = SystemTime::now();
        let edge = next(&mut door).await.unwrap();
        assert!(!edge.high);
        part(&board).stimulate("2", 1.0);
        interrupt.pull(true);
        interrupt.pull(false);
        assert!(next(&mut door).await.unwrap().high);
        interrupt.pull(true);
        if (before..=after).contains(&edge.time) {
            break edge.time;
        }
    };
    assert!(time <= SystemTime::now());
}

/// The chip keeps what was there when its interrupt came.
#[tokio::test]
async fn a_short_change_is_told_with_its_end() {
    let (board, expanded) = stage("poll: 20ms");
    let expanded = Arc::new(expanded);
    let mut door = input(&expanded, 2, UP).await.unwrap();
    part(&board).stimulate("2", 0.0);
    part(&board).stimulate("2", 1.0);
    let edges = [next(&mut door).await.unwrap().high, next(&mut door).await.unwrap().high];
    assert_eq!(edges, [false, true]);
}

/// Waits until the levels were looked at.
async fn seen(part: &SharedPart) {
    let looked = async {
        while part.lock().interrupt() != Some(false) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(MOST, looked).await.expect("the chip is looked at");
}

#[tokio::test]
async fn what_does_not_hold_is_not_told() {
    let (board, expanded) = stage("poll: 2ms");
    let expanded = Arc::new(expanded);
    let debounce = Duration::from_millis(250);
    let mut door = input(&expanded, 2, InputSettings { debounce, ..UP }).await.unwrap();
    let part = part(&board);
    for level in [0.0, 1.0, 0.0, 1.0] {
        part.stimulate("2", level);
        seen(&part).await;
    }
    let start = std::time::Instant::now();
    part.stimulate("2", 0.0);
    assert!(!next(&mut door).await.unwrap().high);
    assert!(start.elapsed() >= debounce, "nothing was told before: {:?}", start.elapsed());
}

#[tokio::test]
async fn a_chip_that_was_reset_is_set_up_anew() {
    let (board, expanded) = stage("poll: 5ms");
    let expanded = Arc::new(expanded);
    let mut relay = expanded.output(&pin(0)).unwrap();
    let mut lamp = expanded.output(&pin(1)).unwrap();
    let mut door = input(&expanded, 2, UP).await.unwrap();
    relay.set_high().unwrap();
    lamp.set_high().unwrap();

    board.place(&PORCH, Some(Box::new(Model::default())));
    assert!(next(&mut door).await.is_err(), "an input says so");
    for output in [&mut relay, &mut lamp] {
        // It was opened anew for the first one, or by the input: the second is not known all the same.
        assert!(output.is_set_high().is_err(), "nobody knows what the pin does");
    }
    relay.set_high().unwrap();
    assert!(relay.is_set_high().unwrap(), "what was driven since is known");
    assert!(lamp.is_set_high().is_err(), "the other is not");
    drop(door);
    let mut door = input(&expanded, 2, UP).await.unwrap();
    part(&board).stimulate("2", 0.0);
    assert!(!next(&mut door).await.unwrap().high);
}

#[tokio::test]
async fn a_new_configuration_is_followed() {
    let (board, expanded) = stage("poll: 5ms");
    let expanded = Arc::new(expanded);
    let mut kept = expanded.output(&pin(0)).unwrap();
    kept.set_high().unwrap();
    let new = config(
        "  - { id: porch, driver: mcp23017, bus: i2c-1, address: 0x20, poll: 5ms }\n  - { id: attic, driver: pcf8574, bus: i2c-1, address: 0x21 }\n",
    );
    expanded.follow(&new);
    assert!(expanded.output(&LineName::Pin { expander: "attic".to_owned(), pin: 0 }).is_ok(), "its model is there too");
    assert!(expanded.pwm(&PwmName::Line(LineName::Pin { expander: "dimmer".to_owned(), pin: 0 })).is_err());
    assert!(kept.is_set_high().unwrap(), "what is as it was goes on");
    drop((kept, board));
}
