//! What fades, moves, or stands somewhere: more than on and off.

use super::*;

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
