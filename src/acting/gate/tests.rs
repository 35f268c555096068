//! The gate by example. By random histories: `histories`.

mod levels;
mod limits;

use super::unit::{LONGEST_RETRY, QUEUE};
use super::*;
use crate::acting::command::{Takes, parse};
use halyard_drivers::{Appearance, Characters, Control, FaultKind, Texts};
use std::time::Duration;

const OFF: Value = Value::Switch(false);

fn rules() -> Rules {
    crate::testing::rules(Control::Switch)
}

/// A gate with its outputs: carries writes out at once, keeps answers and edges.
struct Bench {
    gate: Gate<u32>,
    now: Instant,
    start: Instant,
    outputs: BTreeMap<String, bool>,
    broken: bool,
    answers: Vec<(u32, &'static str, Option<Reason>)>,
    log: Vec<String>,
    /// What was noted last.
    notes: BTreeMap<String, (bool, Instant)>,
}

impl Bench {
    fn new(units: &[(&str, Rules)]) -> Self {
        let now = Instant::now();
        let mut gate = Gate::new(now);
        gate.broker(true, now);
        let mut outputs = BTreeMap::new();
        for (id, rules) in units {
            gate.add(id, rules.clone(), now);
            outputs.insert((*id).to_owned(), false);
        }
        let mut bench = Self {
            gate,
            now,
            start: now,
            outputs,
            broken: false,
            answers: Vec::new(),
            log: Vec::new(),
            notes: BTreeMap::new(),
        };
        for (id, _) in units {
            bench.gate.opened(id, OFF, Before::default(), now);
            bench.settle();
        }
        bench.log.clear();
        bench
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + (self.now - self.start)
    }

    fn settle(&mut self) {
        loop {
            let actions = self.gate.actions();
            if actions.is_empty() {
                return;
            }
            for action in actions {
                match action {
                    Action::Write { actuator, value, .. } => {
                        let result = if self.broken {
                            Err(Fault::new(FaultKind::Bus, "broken"))
                        } else {
                            self.outputs.insert(actuator.clone(), value.is_active());
                            Ok(value)
                        };
                        self.gate.written(&actuator, result, self.now);
                    }
                    Action::Answer { outcome, route, .. } => {
                        self.answers.push((route, outcome.status(), outcome.reason));
                    }
                    Action::State { actuator, value, by, .. } => {
                        self.log.push(format!("{actuator} {value} {}", by.name()));
                    }
                    Action::Note { actuator, active, since } => drop(self.notes.insert(actuator, (active, since))),
                }
            }
        }
    }

    fn send(&mut self, actuator: &str, payload: &str) -> (&'static str, Option<Reason>) {
        self.send_as(actuator, payload, false)
    }

    fn send_as(&mut self, actuator: &str, payload: &str, retained: bool) -> (&'static str, Option<Reason>) {
        let wall = self.wall();
        self.gate.command(
            actuator,
            parse(payload.as_bytes(), self.gate.takes(actuator), wall),
            retained,
            0,
            self.now,
            wall,
        );
        self.settle();
        self.answers.pop().map(|(_, status, reason)| (status, reason)).expect("an answer")
    }

    /// Time passes, with every deadline met.
    fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(at) = self.gate.deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.gate.tick(self.now);
            self.settle();
        }
        self.now = end;
    }

    fn log(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn applies_and_answers() {
    let mut bench = Bench::new(&[("pump", rules())]);
    assert_eq!(bench.send("pump", "ON"), ("applied", None));
    assert_eq!(bench.send("pump", "TOGGLE"), ("applied", None));
    assert_eq!(bench.send("pump", "7"), ("rejected", Some(Reason::UnknownValue)));
    assert_eq!(bench.log(), ["pump ON command", "pump OFF command"]);
}

#[test]
fn answers_before_it_shows_the_state() {
    let mut bench = Bench::new(&[("pump", rules())]);
    bench.gate.command("pump", parse(b"ON", Takes::Words, bench.wall()), false, 1, bench.now, bench.wall());
    assert!(matches!(bench.gate.actions()[..], [Action::Write { .. }, Action::Note { .. }]));
    bench.gate.written("pump", Ok(Value::Switch(true)), bench.now);
    assert!(matches!(bench.gate.actions()[..], [Action::Answer { .. }, Action::State { .. }]));
}

/// A text is no word, whatever it is, and goes back to the one before after its time. It is never on.
#[test]
fn texts_are_what_they_are() {
    let control = Control::Text(Texts { longest: 8, characters: Characters::Ascii });
    let text = |text: &str| Value::Text(text.to_owned());
    let mut bench = Bench::new(&[]);
    let sign = Rules { safe: control.off(), control, max_on: Some(seconds(1)), ..rules() };
    bench.gate.add("sign", sign, bench.now);
    bench.gate.opened("sign", text(""), Before::default(), bench.now);
    bench.settle();
    for payload in ["ON", "TOGGLE", "7", "ON"] {
        assert_eq!(bench.send("sign", payload), ("applied", None));
    }
    assert_eq!(
        bench.log(),
        [
            "sign \"\" start",
            "sign \"ON\" command",
            "sign \"TOGGLE\" command",
            "sign \"7\" command",
            "sign \"ON\" command"
        ]
    );
    assert_eq!(bench.send("sign", "too long!"), ("rejected", Some(Reason::OutOfRange)));
    assert_eq!(bench.send("sign", "é"), ("rejected", Some(Reason::UnknownValue)));
    assert_eq!(bench.send("sign", r#"{"value":"a\u001b"}"#), ("rejected", Some(Reason::UnknownValue)));
    assert_eq!(bench.send("sign", r#"{"value":"HELLO","for":"2s"}"#), ("applied", None));
    bench.pass(seconds(3));
    assert_eq!(bench.log(), ["sign \"HELLO\" command", "sign \"ON\" command"]);
    bench.gate.stop(bench.now);
    bench.settle();
    assert_eq!(bench.log(), ["sign OFF safety"], "nobody keeps it up to date any more");
}

#[test]
fn numbers_have_a_range() {
    let control = Control::Number { range: 0.0..=100.0, step: 1.0, unit: Some("%") };
    let mut bench = Bench::new(&[]);
    bench.gate.add("fan", Rules { control, safe: Value::Number(0.0), ..rules() }, bench.now);
    bench.gate.opened("fan", Value::Number(0.0), Before::default(), bench.now);
    bench.settle();
    assert_eq!(bench.send("fan", "100"), ("applied", None));
    assert_eq!(bench.send("fan", "100.5"), ("rejected", Some(Reason::OutOfRange)));
    assert_eq!(bench.send("fan", "ON"), ("rejected", Some(Reason::UnknownValue)));
}

#[test]
fn refuses_retained_expired_and_duplicate_commands() {
    let mut bench = Bench::new(&[("pump", rules())]);
    assert_eq!(bench.send_as("pump", "ON", true), ("rejected", Some(Reason::Retained)));
    bench.pass(seconds(60));
    let late = r#"{"value":"ON","ttl":"5s","time":"1970-01-01T00:00:54Z"}"#;
    assert_eq!(bench.send("pump", late), ("rejected", Some(Reason::Expired)));
    let named = r#"{"id":"a","value":"ON"}"#;
    assert_eq!(bench.send("pump", named), ("applied", None));
    assert_eq!(bench.send("pump", named), ("rejected", Some(Reason::Duplicate)));
    assert_eq!(bench.log(), ["pump ON command"]);
}

#[test]
fn a_pulse_goes_back_also_when_it_is_repeated() {
    let mut bench = Bench::new(&[("pump", rules())]);
    bench.send("pump", r#"{"value":"ON","for":"2s"}"#);
    bench.pass(seconds(1));
    // The second one begins while the first is on: the state before is still OFF.
    bench.send("pump", r#"{"value":"ON","for":"2s"}"#);
    bench.pass(Duration::from_millis(1_900));
    assert!(bench.outputs["pump"]);
    bench.pass(Duration::from_millis(100));
    assert!(!bench.outputs["pump"]);
    // A plain command in the middle ends the pulse.
    bench.send("pump", r#"{"value":"ON","for":"2s"}"#);
    bench.send("pump", "ON");
    bench.pass(seconds(10));
    assert!(bench.outputs["pump"]);
}

#[test]
fn max_on_holds_whatever_is_commanded() {
    let mut bench = Bench::new(&[("pump", Rules { max_on: Some(seconds(10)), ..rules() })]);
    bench.send("pump", "ON");
    bench.pass(seconds(6));
    bench.send("pump", "ON"); // does not begin anew
    bench.pass(seconds(4));
    assert!(!bench.outputs["pump"]);
    bench.send("pump", r#"{"value":"ON","for":"1h"}"#);
    bench.pass(seconds(10));
    assert!(!bench.outputs["pump"]);
    assert_eq!(bench.log().last().map(String::as_str), Some("pump OFF safety"));
}

#[test]
fn interlocked_actuators_are_never_on_together() {
    let lock = |other: &str| Rules { interlock: vec![other.to_owned()], ..rules() };
    let mut bench = Bench::new(&[("pump", lock("valve")), ("valve", lock("pump"))]);
    bench.send("pump", "ON");
    assert_eq!(bench.send("valve", "ON"), ("rejected", Some(Reason::Interlock)));
    assert_eq!(bench.send("valve", "TOGGLE"), ("rejected", Some(Reason::Interlock)));
    bench.send("pump", "OFF");
    assert_eq!(bench.send("valve", "ON"), ("applied", None));
    // A valve whose state is not known may be open.
    bench.broken = true;
    assert_eq!(bench.send("valve", "OFF"), ("failed", Some(Reason::Hardware)));
    assert_eq!(bench.send("pump", "ON"), ("rejected", Some(Reason::Interlock)));
    bench.broken = false;
    bench.pass(seconds(2));
    assert_eq!(bench.send("pump", "ON"), ("applied", None));
}

#[test]
fn goes_to_safe_without_a_broker_and_stays_there() {
    let mut bench = Bench::new(&[("pump", Rules { safe_after: Some(seconds(30)), ..rules() })]);
    bench.send("pump", "ON");
    bench.gate.broker(false, bench.now);
    bench.pass(seconds(29));
    bench.gate.broker(false, bench.now); // a second failed attempt does not begin anew
    bench.pass(Duration::from_millis(999));
    assert!(bench.outputs["pump"]);
    bench.pass(Duration::from_millis(1));
    assert!(!bench.outputs["pump"]);
    bench.gate.broker(true, bench.now);
    bench.pass(seconds(100));
    assert_eq!(bench.log(), ["pump ON command", "pump OFF safety"]);
    // A short outage is none.
    bench.send("pump", "ON");
    bench.gate.broker(false, bench.now);
    bench.pass(seconds(20));
    bench.gate.broker(true, bench.now);
    bench.pass(seconds(100));
    assert!(bench.outputs["pump"]);
}

#[test]
fn a_failed_write_is_answered_made_safe_and_does_not_end_anything() {
    let mut bench = Bench::new(&[("pump", rules())]);
    bench.send("pump", "ON");
    bench.broken = true;
    assert_eq!(bench.send("pump", "OFF"), ("failed", Some(Reason::Hardware)));
    bench.pass(seconds(10));
    assert!(bench.outputs["pump"]);
    bench.broken = false;
    bench.pass(seconds(30));
    assert!(!bench.outputs["pump"]);
    assert_eq!(bench.send("pump", "ON"), ("applied", None));
}

#[test]
fn an_output_that_changed_by_itself_is_told_and_limited() {
    let mut bench = Bench::new(&[("pump", Rules { max_on: Some(seconds(10)), ..rules() })]);
    bench.gate.checked("pump", Ok(Value::Switch(false)), bench.now);
    bench.settle();
    assert_eq!(bench.log(), [""; 0]);
    bench.gate.checked("pump", Ok(Value::Switch(true)), bench.now);
    bench.pass(seconds(10));
    assert_eq!(bench.log(), ["pump ON local", "pump OFF safety"]);
}

#[test]
fn an_output_that_is_gone_is_made_safe_when_it_is_back() {
    let mut bench = Bench::new(&[("pump", rules())]);
    bench.send("pump", "ON");
    bench.broken = true;
    bench.gate.checked("pump", Err(Fault::new(FaultKind::Bus, "gone")), bench.now);
    assert_eq!(bench.gate.state("pump"), None);
    bench.pass(seconds(10));
    bench.broken = false;
    bench.pass(LONGEST_RETRY);
    assert_eq!(bench.log(), ["pump ON command", "pump OFF safety"]);
}

#[test]
fn stopping_makes_safe_and_refuses() {
    let mut bench = Bench::new(&[("pump", rules())]);
    bench.send("pump", "ON");
    bench.gate.stop(bench.now);
    assert!(!bench.gate.is_settled("pump"));
    bench.settle();
    assert!(bench.gate.is_settled("pump"));
    assert!(!bench.outputs["pump"]);
    assert_eq!(bench.send("pump", "ON"), ("rejected", Some(Reason::Busy)));
}

#[test]
fn commands_queue_up_to_a_limit_while_a_write_is_under_way() {
    let mut bench = Bench::new(&[("pump", rules())]);
    let wall = bench.wall();
    for route in 0..=(u32::try_from(QUEUE).expect("small") + 1) {
        bench.gate.command("pump", parse(b"TOGGLE", Takes::Words, wall), false, route, bench.now, wall);
    }
    bench.settle();
    let busy: Vec<_> = bench.answers.iter().filter(|(_, _, reason)| *reason == Some(Reason::Busy)).collect();
    assert_eq!(busy.len(), 1);
    assert_eq!(bench.answers.len(), QUEUE + 2);
}
