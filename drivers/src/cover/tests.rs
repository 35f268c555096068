use super::*;
use crate::sim::Line;
use crate::sim::clock::pass;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A cover that takes 20 s up and 10 s down, and its relays.
struct Rig {
    open: Line,
    close: Line,
    driver: Box<dyn Actuator>,
}

impl Rig {
    fn new() -> Self {
        let (open, close) = (Line::new(), Line::new());
        let options = Options { travel: Span(seconds(20)), travel_down: Some(Span(seconds(10))), ..Options::default() };
        let port = |line: &Line| Wire::Output(crate::port::OutputPort(Box::new(line.clone())));
        let wire = Wire::Several(vec![("open", port(&open)), ("close", port(&close))]);
        let driver = options.open(wire).unwrap();
        Self { open, close, driver }
    }

    fn relays(&self) -> (bool, bool) {
        let relays = (self.open.is_high(), self.close.is_high());
        assert_ne!(relays, (true, true), "never both");
        relays
    }

    /// Lets this time pass, with all the steps in it; gives how long each direction was driven.
    fn pass(&mut self, time: Duration) -> (Duration, Duration) {
        let (mut left, mut driven) = (time, (Duration::ZERO, Duration::ZERO));
        loop {
            let step = self.driver.next().filter(|next| *next <= left);
            pass(step.unwrap_or(left));
            left -= step.unwrap_or(left);
            match self.relays() {
                (true, _) => driven.0 += step.unwrap_or_default(),
                (_, true) => driven.1 += step.unwrap_or_default(),
                _ => {}
            }
            if step.is_none() {
                return driven;
            }
            self.driver.advance().unwrap();
        }
    }

    fn state(&mut self) -> Value {
        self.driver.read().unwrap().unwrap()
    }

    /// At this position after a whole way.
    fn at(position: f64) -> Self {
        let mut rig = Self::new();
        rig.driver.apply(&Value::go(position)).unwrap();
        rig.pass(seconds(60));
        assert_eq!(rig.state(), Value::rest(Some(position)));
        rig
    }
}

/// Section 4.2.5 of the manual: told to move the other way, it turns off, rests for the pause, and only then turns on.
#[test]
fn rests_between_the_directions() {
    let mut rig = Rig::at(0.0);
    rig.driver.apply(&Value::go(100.0)).unwrap();
    rig.pass(Duration::from_millis(4500));
    assert_eq!(rig.relays(), (true, false));
    rig.driver.apply(&Value::go(0.0)).unwrap();
    assert_eq!(rig.relays(), (false, false));
    assert!(rig.state().is_active(), "it is on its way");
    rig.pass(Duration::from_millis(499));
    assert_eq!(rig.relays(), (false, false));
    rig.pass(Duration::from_millis(1));
    assert_eq!(rig.relays(), (false, true));
    rig.pass(seconds(20));
    assert_eq!((rig.relays(), rig.state()), ((false, false), Value::rest(Some(0.0))));
}

#[test]
fn drives_to_an_end_when_it_does_not_know_where_it_is() {
    let mut rig = Rig::new();
    assert_eq!(rig.driver.apply(&Value::STOP).unwrap(), Value::rest(None));
    assert_eq!(rig.driver.apply(&Value::go(25.0)).unwrap(), Value::Position { at: None, moves: true });
    // Closed by more than the whole way, then a quarter open.
    assert_eq!(rig.pass(seconds(60)), (seconds(5), seconds(11)));
    assert_eq!(rig.state(), Value::rest(Some(25.0)));
    // To an end it drives on.
    rig.driver.apply(&Value::go(100.0)).unwrap();
    assert_eq!(rig.pass(seconds(60)), (seconds(17), Duration::ZERO));
    rig.driver.apply(&Value::go(100.0)).unwrap();
    assert_eq!(rig.pass(seconds(60)), (seconds(2), Duration::ZERO), "as far as it can be");
}

#[test]
fn stops_where_it_is() {
    let mut rig = Rig::at(100.0);
    rig.driver.apply(&Value::go(50.0)).unwrap();
    rig.pass(seconds(2));
    assert_eq!(rig.state(), Value::Position { at: Some(80.0), moves: true });
    assert_eq!(rig.driver.apply_at_once(&Value::STOP).unwrap(), Value::rest(Some(80.0)));
    assert_eq!((rig.relays(), rig.driver.next()), ((false, false), None));
    // The same way again: without a pause, and from there.
    rig.driver.apply(&Value::go(50.0)).unwrap();
    assert_eq!(rig.relays(), (false, true));
    assert_eq!(rig.pass(seconds(60)), (Duration::ZERO, seconds(3)));
}

#[test]
fn changes_its_goal_on_the_way_without_stopping() {
    let mut rig = Rig::at(0.0);
    rig.driver.apply(&Value::go(50.0)).unwrap();
    rig.pass(seconds(4));
    rig.driver.apply(&Value::go(75.0)).unwrap();
    assert_eq!(rig.relays(), (true, false));
    rig.pass(seconds(60));
    assert_eq!(rig.state(), Value::rest(Some(75.0)));
}

#[test]
fn a_relay_that_does_not_answer_stops_the_other_and_the_position_is_lost() {
    let mut rig = Rig::at(0.0);
    rig.close.set_broken(true);
    assert_eq!(rig.driver.apply(&Value::go(50.0)).unwrap_err().kind, crate::FaultKind::Bus);
    assert_eq!((rig.relays(), rig.driver.next()), ((false, false), None));
    rig.close.set_broken(false);
    assert_eq!(rig.state(), Value::rest(None));
}

#[test]
fn a_relay_that_is_found_on_counts_as_moving() {
    let mut rig = Rig::at(0.0);
    rig.open.pull(true);
    assert_eq!(rig.state(), Value::Position { at: None, moves: true });
    assert_eq!(rig.driver.apply(&Value::STOP).unwrap(), Value::rest(None));
    assert_eq!(rig.relays(), (false, false));
}

#[test]
fn is_not_left_running() {
    let mut rig = Rig::at(0.0);
    rig.driver.apply(&Value::go(100.0)).unwrap();
    assert_eq!(rig.relays(), (true, false));
    let (open, close) = (rig.open.clone(), rig.close.clone());
    drop(rig);
    assert!(!open.is_high() && !close.is_high());
}
