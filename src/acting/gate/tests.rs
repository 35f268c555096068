//! The gate by example. By random histories: `histories`.

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

const LIGHT: Control = Control::Level(Appearance::Light);

/// A gate with a lamp that is off.
fn with_lamp(lamp: Rules, others: &[(&str, Rules)]) -> Bench {
    let mut bench = Bench::new(others);
    bench.gate.add("lamp", Rules { control: LIGHT, safe: Value::Number(0.0), ..lamp }, bench.now);
    bench.gate.opened("lamp", Value::Number(0.0), Before::default(), bench.now);
    bench.settle();
    bench.log.clear();
    bench
}

#[test]
fn a_level_remembers_what_it_was() {
    let mut bench = with_lamp(rules(), &[]);
    for command in ["ON", "40", "TOGGLE", "TOGGLE", "OFF", "ON", "0", r#"{"value":"ON"}"#] {
        assert_eq!(bench.send("lamp", command), ("applied", None), "{command}");
    }
    let states = ["100", "40", "0", "40", "0", "40", "0", "40"].map(|level| format!("lamp {level} command"));
    assert_eq!(bench.log(), states);
    assert_eq!(bench.send("lamp", "100.5"), ("rejected", Some(Reason::OutOfRange)));
    assert_eq!(bench.send("lamp", "-1"), ("rejected", Some(Reason::OutOfRange)));
}

/// Begins a command whose write ends at another state than was asked for, on its way to it.
fn fade(bench: &mut Bench, command: &str, first: f64) -> bool {
    bench.gate.command(
        "lamp",
        parse(command.as_bytes(), Takes::Words, bench.wall()),
        false,
        0,
        bench.now,
        bench.wall(),
    );
    let actions = bench.gate.actions();
    let [Action::Write { at_once, .. }, ..] = actions[..] else { panic!("{actions:?}") };
    bench.gate.written("lamp", Ok(Value::Number(first)), bench.now);
    bench.settle();
    at_once
}

#[test]
fn what_fades_out_is_on() {
    let lock = |other: &str| Rules { interlock: vec![other.into()], ..rules() };
    let mut bench = with_lamp(Rules { max_on: Some(seconds(10)), ..lock("pump") }, &[("pump", lock("lamp"))]);
    assert!(!fade(&mut bench, "50", 1.0));
    assert!(bench.gate.is_on_its_way("lamp"));
    assert_eq!(bench.send("pump", "ON"), ("rejected", Some(Reason::Interlock)), "it is on its way to on");
    bench.pass(seconds(4));
    bench.gate.moved("lamp", Ok(Value::Number(50.0)), bench.now);
    bench.settle();
    assert!(!bench.gate.is_on_its_way("lamp"));
    fade(&mut bench, r#"{"id":"a","value":"OFF"}"#, 49.0);
    assert_eq!(bench.send("pump", "ON"), ("rejected", Some(Reason::Interlock)), "it is on its way to off");
    bench.gate.moved("lamp", Ok(Value::Number(20.0)), bench.now);
    bench.settle();
    // TOGGLE goes by where it goes.
    fade(&mut bench, "TOGGLE", 21.0);
    assert_eq!(
        bench.log(),
        ["lamp 1 command", "lamp 50 command", "lamp 49 command", "lamp 20 command", "lamp 21 command"]
    );
    // On since the beginning, whatever it did meanwhile: and for safety it is off at once.
    bench.pass(seconds(5));
    assert!(bench.log().is_empty());
    bench.now += seconds(1);
    bench.gate.tick(bench.now);
    let off = Action::Write { actuator: "lamp".into(), value: Value::Number(0.0), at_once: true };
    assert_eq!(bench.gate.actions(), [off]);
    bench.gate.written("lamp", Ok(Value::Number(0.0)), bench.now);
    bench.settle();
    assert_eq!(bench.send("pump", "ON"), ("applied", None));
}

#[test]
fn a_pulse_goes_back_to_where_it_went() {
    let mut bench = with_lamp(rules(), &[]);
    fade(&mut bench, "50", 1.0);
    bench.gate.moved("lamp", Ok(Value::Number(20.0)), bench.now);
    bench.settle();
    fade(&mut bench, r#"{"value":100,"for":"2s"}"#, 100.0);
    bench.pass(seconds(2));
    assert_eq!(bench.log().last().unwrap(), "lamp 50 command");
}

#[test]
fn what_fails_on_its_way_is_made_safe() {
    let mut bench = with_lamp(rules(), &[]);
    fade(&mut bench, "50", 1.0);
    bench.gate.moved("lamp", Err(Fault::new(FaultKind::Bus, "broken")), bench.now);
    assert_eq!(bench.gate.state("lamp"), None);
    bench.pass(seconds(1));
    assert_eq!(bench.log().last().unwrap(), "lamp 0 safety");
}

fn with_cover(safe: Value, max_on: Option<Duration>) -> Bench {
    let cover = Rules { control: Control::Cover, safe, max_on, ..rules() };
    Bench::new(&[("blind", cover), ("awning", Rules { interlock: vec!["blind".into()], ..rules() })])
}

/// What the gate wants of the blind, which does it and then is in this state.
fn drive(bench: &mut Bench, state: &Value) -> Vec<Value> {
    let written = bench.gate.actions().into_iter().filter_map(|action| match action {
        Action::Write { actuator, value, .. } if actuator == "blind" => Some(value),
        _ => None,
    });
    let written: Vec<_> = written.collect();
    let now = bench.now;
    written.iter().for_each(|_| bench.gate.written("blind", Ok(state.clone()), now));
    written
}

fn command(bench: &mut Bench, payload: &str) {
    let (now, wall) = (bench.now, bench.wall());
    bench.gate.command("blind", parse(payload.as_bytes(), Takes::Words, wall), false, 0, now, wall);
}

#[test]
fn a_cover_is_on_while_it_moves() {
    let mut bench = with_cover(Value::STOP, Some(seconds(10)));
    drive(&mut bench, &Value::rest(None));
    command(&mut bench, "CLOSE");
    assert_eq!(drive(&mut bench, &Value::Position { at: Some(60.0), moves: true }), [Value::go(0.0)]);
    assert_eq!(bench.send("awning", "ON"), ("rejected", Some(Reason::Interlock)), "its motor runs");
    bench.now += seconds(10);
    let now = bench.now;
    bench.gate.tick(now);
    assert_eq!(drive(&mut bench, &Value::rest(Some(30.0))), [Value::STOP], "`max_on` is that of the motor");
    assert!(!bench.gate.is_on_its_way("blind"));
    assert_eq!(bench.send("awning", "ON"), ("applied", None));
}

#[test]
fn a_cover_takes_its_own_words_only() {
    let mut bench = with_cover(Value::STOP, None);
    drive(&mut bench, &Value::rest(None));
    for (payload, wanted) in [("OPEN", Value::go(100.0)), ("25", Value::go(25.0)), ("STOP", Value::STOP)] {
        command(&mut bench, payload);
        assert_eq!(drive(&mut bench, &Value::rest(Some(25.0))), [wanted], "{payload}");
    }
    for (payload, reason) in [
        ("ON", Reason::UnknownValue),
        ("TOGGLE", Reason::UnknownValue),
        ("101", Reason::OutOfRange),
        ("-1", Reason::OutOfRange),
    ] {
        assert_eq!(bench.send("blind", payload).1, Some(reason), "{payload}");
    }
    for payload in ["OPEN", "CLOSE", "STOP"] {
        assert_eq!(bench.send("awning", payload).1, Some(Reason::UnknownValue), "{payload}");
    }
}

#[test]
fn a_cover_that_is_left_stands_whatever_is_safe() {
    let mut bench = with_cover(Value::go(0.0), None);
    drive(&mut bench, &Value::rest(None));
    let now = bench.now;
    bench.gate.make_safe("blind", "a test", now);
    assert_eq!(drive(&mut bench, &Value::Position { at: None, moves: true }), [Value::go(0.0)]);
    bench.gate.stop(now);
    assert_eq!(drive(&mut bench, &Value::rest(None)), [Value::STOP]);
    assert!(bench.gate.is_settled("blind"));
}

#[test]
fn a_position_is_told_where_to_go_or_where_it_stands() {
    let control = Control::Position { range: -10.0..=50.0, step: 0.1, unit: Some("mm") };
    let vent = Rules { control, max_on: Some(seconds(10)), safe: Value::STOP, ..rules() };
    let mut bench = Bench::new(&[("blind", vent), ("awning", Rules { interlock: vec!["blind".into()], ..rules() })]);
    drive(&mut bench, &Value::rest(None));
    for (payload, wanted) in [("-10", Value::go(-10.0)), ("STOP", Value::STOP)] {
        command(&mut bench, payload);
        assert_eq!(drive(&mut bench, &Value::rest(Some(-10.0))), [wanted], "{payload}");
    }
    for (payload, reason) in [
        ("ON", Reason::UnknownValue),
        ("OPEN", Reason::UnknownValue),
        ("TOGGLE", Reason::UnknownValue),
        ("50.1", Reason::OutOfRange),
    ] {
        assert_eq!(bench.send("blind", payload).1, Some(reason), "{payload}");
    }
    // What is restored moves nothing, and is in nobody's way.
    let now = bench.now;
    bench.gate.opened("blind", Value::rest(Some(20.0)), Before::default(), now);
    assert_eq!(drive(&mut bench, &Value::rest(Some(20.0))), [Value::rest(Some(20.0))]);
    assert_eq!(bench.send("awning", "ON"), ("applied", None));
    assert_eq!(bench.send("awning", "OFF"), ("applied", None));
    command(&mut bench, "30");
    assert_eq!(drive(&mut bench, &Value::Position { at: Some(20.0), moves: true }), [Value::go(30.0)]);
    assert_eq!(bench.send("awning", "ON"), ("rejected", Some(Reason::Interlock)));
    bench.now += seconds(10);
    let now = bench.now;
    bench.gate.tick(now);
    assert_eq!(drive(&mut bench, &Value::rest(Some(25.0))), [Value::STOP], "`max_on`");
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
