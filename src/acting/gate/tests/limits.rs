//! Rests, dead times, rates and heartbeats, also across a restart.

use super::*;

const ON: Value = Value::Switch(true);
const RESTING: (&str, Option<Reason>) = ("rejected", Some(Reason::Busy));
const LOCKED: (&str, Option<Reason>) = ("rejected", Some(Reason::Interlock));
const APPLIED: (&str, Option<Reason>) = ("applied", None);

fn past(active: bool, lasted: Option<u64>) -> Option<Past> {
    Some(Past { active, lasted: lasted.map(seconds) })
}

/// The actuator is opened again, as after a restart; the time is the bench's.
fn reopen(bench: &mut Bench, id: &str, rules: Rules, initial: Value, before: Before) {
    let now = bench.now;
    bench.gate.add(id, rules, now);
    bench.gate.opened(id, initial, before, now);
    bench.settle();
}

fn compressor() -> Rules {
    Rules { min_off: Some(seconds(300)), ..rules() }
}

/// One that has rested.
fn rested() -> Bench {
    let mut bench = Bench::new(&[]);
    reopen(&mut bench, "c", compressor(), OFF, Before { state: Some(OFF), past: past(false, Some(301)) });
    bench.log.clear();
    bench
}

/// The message of the last refusal.
fn refusal(bench: &mut Bench, payload: &str) -> String {
    let (now, wall) = (bench.now, bench.wall());
    bench.gate.command("c", parse(payload.as_bytes(), Takes::Words, wall), false, 0, now, wall);
    match bench.gate.actions().as_slice() {
        [Action::Answer { outcome, .. }] => outcome.message.clone().unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn rests_for_its_min_off() {
    let mut bench = rested();
    assert_eq!(bench.send("c", "ON"), APPLIED);
    assert_eq!(bench.send("c", "OFF"), APPLIED);
    for payload in ["ON", "TOGGLE", r#"{"value":"ON","for":"1s"}"#] {
        assert_eq!(bench.send("c", payload), RESTING, "{payload}");
    }
    assert_eq!(bench.send("c", "OFF"), APPLIED);
    bench.pass(Duration::from_millis(298_001));
    assert_eq!(refusal(&mut bench, "ON"), "off for less than its `min_off` of 300s: 2s to go");
    bench.pass(Duration::from_millis(1_999));
    assert_eq!(bench.send("c", "ON"), APPLIED);
}

#[test]
fn a_pulse_does_not_end_before_the_rest_does() {
    let mut bench = rested();
    bench.send("c", "ON");
    bench.log.clear();
    assert_eq!(bench.send("c", r#"{"id":"p","value":"OFF","for":"1s"}"#), APPLIED);
    bench.pass(Duration::from_millis(299_999));
    assert_eq!(bench.log(), ["c OFF command"]);
    bench.pass(Duration::from_millis(1));
    assert_eq!(bench.log(), ["c ON command"]);
}

#[test]
fn a_rest_goes_on_after_a_restart() {
    for (before, wait) in [
        // It went off four minutes ago.
        (Before { state: Some(OFF), past: past(false, Some(240)) }, 60),
        // Nobody knows when, or whether it was on a moment ago: never longer than it has to be.
        (Before { state: Some(OFF), past: past(false, None) }, 300),
        (Before { state: Some(OFF), past: past(true, Some(1_000)) }, 300),
        (Before { state: Some(OFF), past: None }, 300),
        (Before { state: None, past: None }, 300),
    ] {
        let mut bench = Bench::new(&[]);
        reopen(&mut bench, "c", compressor(), ON, before.clone());
        assert_eq!(bench.log(), ["c OFF start"], "{before:?}");
        bench.pass(seconds(wait) - Duration::from_millis(1));
        assert_eq!(bench.log(), [""; 0], "{before:?}");
        bench.pass(Duration::from_millis(1));
        assert_eq!(bench.log(), ["c ON start"], "{before:?}");
    }
    // What was on, and is, need not rest.
    let mut bench = Bench::new(&[]);
    reopen(&mut bench, "c", compressor(), ON, Before { state: Some(ON), past: past(true, Some(9)) });
    assert_eq!(bench.log(), ["c ON start"]);
}

#[test]
fn a_command_takes_the_place_of_what_waits() {
    let mut bench = Bench::new(&[]);
    reopen(&mut bench, "c", compressor(), ON, Before::default());
    assert_eq!(bench.send("c", "OFF"), APPLIED);
    bench.pass(seconds(1_000));
    assert!(!bench.outputs.get("c").copied().unwrap_or_default());
}

#[test]
fn the_rest_after_a_failure_is_not_guessed() {
    let mut bench = rested();
    bench.send("c", "ON");
    bench.broken = true;
    bench.send("c", "OFF");
    bench.broken = false;
    // The write may have been done, and only its answer lost.
    assert_eq!(bench.send("c", "ON"), RESTING);
    bench.pass(seconds(1));
    assert_eq!(bench.log().last().unwrap(), "c OFF safety");
    bench.pass(seconds(299));
    assert_eq!(bench.send("c", "ON"), RESTING);
    bench.pass(seconds(1));
    assert_eq!(bench.send("c", "ON"), APPLIED);
}

#[test]
fn max_on_goes_on_after_a_restart() {
    let limited = || Rules { max_on: Some(seconds(600)), ..rules() };
    for (state, past, left) in [
        (Some(ON), past(true, Some(480)), 120),
        // The kernel let it drop when the agent was killed: that is no rest that anybody asked for.
        (Some(OFF), past(true, Some(480)), 120),
        (None, past(true, Some(480)), 120),
        (Some(OFF), past(false, Some(480)), 600),
        (Some(ON), None, 600),
        // Somebody turned it on meanwhile.
        (Some(ON), past(false, Some(480)), 120),
    ] {
        let mut bench = Bench::new(&[]);
        let before = Before { state, past };
        reopen(&mut bench, "pump", limited(), ON, before.clone());
        bench.pass(seconds(left) - Duration::from_millis(1));
        assert_eq!(bench.log(), ["pump ON start"], "{before:?}");
        bench.pass(Duration::from_millis(1));
        assert_eq!(bench.log(), ["pump OFF safety"], "{before:?}");
        // The next time is a whole one.
        assert_eq!(bench.send("pump", "ON"), APPLIED);
        bench.pass(seconds(599));
        assert!(bench.outputs["pump"]);
    }
    for lasted in [Some(600), Some(9_999), None] {
        let mut bench = Bench::new(&[]);
        reopen(&mut bench, "pump", limited(), ON, Before { state: Some(ON), past: past(true, lasted) });
        assert_eq!(bench.log(), ["pump OFF safety"], "on for {lasted:?}");
    }
}

#[test]
fn notes_tell_when_something_went_on_or_off() {
    let mut bench = Bench::new(&[("pump", rules())]);
    let start = bench.now;
    assert_eq!(bench.notes["pump"], (false, start));
    bench.pass(seconds(1));
    bench.send("pump", "ON");
    bench.pass(seconds(1));
    bench.send("pump", "ON");
    assert_eq!(bench.notes["pump"], (true, start + seconds(1)));
    // It may still be on.
    bench.broken = true;
    bench.send("pump", "OFF");
    assert_eq!(bench.notes["pump"], (true, start + seconds(1)));
    bench.broken = false;
    bench.pass(seconds(1));
    assert_eq!(bench.notes["pump"], (false, start + seconds(3)));
}

#[test]
fn a_flood_does_not_hold_up_max_on() {
    let mut bench = Bench::new(&[("pump", Rules { max_on: Some(seconds(10)), ..rules() })]);
    bench.send("pump", "ON");
    bench.now += seconds(10);
    let (now, wall) = (bench.now, bench.wall());
    for route in 1..=3 {
        bench.gate.command("pump", parse(b"ON", Takes::Words, wall), false, route, now, wall);
    }
    let begun = bench.gate.actions();
    assert!(matches!(begun[..], [Action::Write { value: Value::Switch(true), .. }]), "{begun:?}");
    assert!(bench.gate.deadline() <= Some(now));
    bench.gate.tick(now);
    // Those that waited are not what turns it on again.
    bench.gate.written("pump", Ok(ON), now);
    bench.settle();
    bench.answers.sort_unstable_by_key(|(route, ..)| *route);
    let busy = Some(Reason::Busy);
    assert_eq!(bench.answers, [(1, "applied", None), (2, "rejected", busy), (3, "rejected", busy)]);
    assert!(!bench.outputs["pump"]);
}

/// Two that must not be on within half a second of each other; the first one says so.
fn apart() -> [(&'static str, Rules); 2] {
    let lock = |other: &str| Rules { interlock: vec![other.to_owned()], ..rules() };
    [("up", Rules { dead_time: Duration::from_millis(500), ..lock("down") }), ("down", lock("up"))]
}

#[test]
fn a_dead_time_holds_for_both() {
    let mut bench = Bench::new(&apart());
    assert_eq!(bench.send("up", "ON"), LOCKED, "nobody knows since when the other one is off");
    for (first, second) in [("up", "down"), ("down", "up")] {
        bench.pass(Duration::from_millis(500));
        assert_eq!(bench.send(first, "ON"), APPLIED);
        assert_eq!(bench.send(first, "OFF"), APPLIED);
        bench.pass(Duration::from_millis(499));
        assert_eq!(bench.send(second, "ON"), LOCKED);
        assert_eq!(bench.send(first, "ON"), APPLIED, "its own rest is another matter");
        assert_eq!(bench.send(first, "OFF"), APPLIED);
        bench.pass(Duration::from_millis(500));
        assert_eq!(bench.send(second, "ON"), APPLIED);
        assert_eq!(bench.send(second, "OFF"), APPLIED);
    }
}

#[test]
fn what_is_on_for_safety_waits_for_the_dead_time() {
    let [(up, rules_up), (down, rules_down)] = apart();
    let away = Some(seconds(3));
    let units =
        [(up, Rules { safe: ON, safe_after: away, ..rules_up }), (down, Rules { safe_after: away, ..rules_down })];
    let mut bench = Bench::new(&units);
    bench.pass(seconds(1));
    bench.send("down", "ON");
    bench.gate.broker(false, bench.now);
    bench.log.clear();
    bench.pass(Duration::from_millis(3_499));
    assert_eq!(bench.log(), ["down OFF safety"]);
    bench.pass(Duration::from_millis(1));
    assert_eq!(bench.log(), ["up ON safety"]);
}

#[test]
fn a_command_waits_for_a_partner_that_is_about_to_be_known() {
    let lock = |other: &str| Rules { interlock: vec![other.to_owned()], ..rules() };
    let start = || {
        let mut bench = Bench::new(&[]);
        let now = bench.now;
        bench.gate.add("pump", lock("valve"), now);
        bench.gate.add("valve", lock("pump"), now);
        bench.gate.opened("pump", OFF, Before::default(), now);
        bench.settle();
        bench.gate.command("pump", parse(b"ON", Takes::Words, bench.wall()), false, 7, now, bench.wall());
        bench.settle();
        assert_eq!(bench.answers, [], "what the valve is will be known in a moment");
        bench
    };
    let mut bench = start();
    bench.gate.opened("valve", OFF, Before::default(), bench.now);
    bench.settle();
    assert_eq!(bench.answers, [(7, "applied", None)]);
    let mut bench = start();
    bench.gate.absent("valve", &Fault::new(FaultKind::Absent, "gone"), bench.now);
    bench.settle();
    assert_eq!(bench.answers, [(7, "rejected", Some(Reason::Interlock))]);
}

#[test]
fn a_rate_holds_but_never_for_off() {
    let rate = Some(Rate { limit: 2, per: seconds(10) });
    let mut bench = Bench::new(&[("pump", Rules { rate, ..rules() })]);
    assert_eq!(bench.send("pump", "ON"), APPLIED);
    bench.pass(seconds(4));
    assert_eq!(bench.send("pump", "TOGGLE"), APPLIED);
    for payload in ["ON", "TOGGLE", r#"{"id":"a","value":"ON"}"#] {
        assert_eq!(bench.send("pump", payload), RESTING, "{payload}");
    }
    assert_eq!(bench.send("pump", "OFF"), APPLIED);
    bench.pass(seconds(6));
    assert_eq!(bench.send("pump", r#"{"id":"a","value":"ON"}"#), APPLIED, "an id that was refused is as good as new");
    assert_eq!(bench.send("pump", "ON"), RESTING);
    // The end of a pulse is no command, nor is what is for safety.
    bench.pass(seconds(10));
    bench.send("pump", r#"{"value":"ON","for":"1s"}"#);
    bench.send("pump", r#"{"value":"ON","for":"1s"}"#);
    bench.pass(seconds(1));
    assert_eq!(bench.log().last().unwrap(), "pump ON command", "back to what it was");
    bench.gate.make_safe("pump", "a test", bench.now);
    bench.settle();
    assert!(!bench.outputs["pump"]);
}

#[test]
fn goes_to_safe_without_its_controller_and_takes_nothing_else_then() {
    let heartbeat = |topic: &str| Some(Heartbeat { topic: topic.into(), timeout: seconds(30) });
    let mut bench = Bench::new(&[("pump", Rules { heartbeat: heartbeat("plc"), ..rules() })]);
    bench.send("pump", "ON");
    bench.pass(seconds(20));
    assert_eq!(bench.gate.heartbeat("another", bench.now), [""; 0]);
    bench.gate.heartbeat("plc", bench.now);
    bench.pass(seconds(29));
    assert!(bench.outputs["pump"]);
    bench.log.clear();
    bench.pass(seconds(1));
    assert_eq!(bench.log(), ["pump OFF safety"]);
    bench.pass(seconds(100));
    assert_eq!(bench.log(), [""; 0], "once");
    assert_eq!(bench.send("pump", "ON"), RESTING);
    assert_eq!(bench.send("pump", "TOGGLE"), RESTING);
    assert_eq!(bench.send("pump", "OFF"), APPLIED);
    assert_eq!(bench.gate.heartbeat("plc", bench.now), ["pump"]);
    assert_eq!(bench.send("pump", "ON"), APPLIED);
    // From the start too.
    let mut bench = Bench::new(&[]);
    reopen(&mut bench, "pump", Rules { heartbeat: heartbeat("plc"), ..rules() }, ON, Before::default());
    bench.pass(seconds(30));
    assert_eq!(bench.log(), ["pump ON start", "pump OFF safety"]);
}

#[test]
fn what_a_part_refuses_to_do_for_safety_is_done_later() {
    let mut bench = Bench::new(&[("pump", Rules { max_on: Some(seconds(10)), ..rules() })]);
    bench.send("pump", "ON");
    bench.now += seconds(10);
    bench.gate.tick(bench.now);
    assert!(matches!(bench.gate.actions()[..], [Action::Write { .. }]));
    bench.gate.written("pump", Err(Fault::rejected("not now")), bench.now);
    assert!(bench.gate.deadline() > Some(bench.now), "not at once, and again and again");
    bench.pass(LONGEST_RETRY);
    assert!(!bench.outputs["pump"]);
}

#[test]
fn texts_have_a_rate_and_a_controller_too() {
    let control = Control::Text(Texts { longest: 8, characters: Characters::Ascii });
    let heartbeat = Some(Heartbeat { topic: "plc".into(), timeout: seconds(30) });
    let rate = Some(Rate { limit: 2, per: seconds(10) });
    let mut bench = Bench::new(&[]);
    let sign = Rules { safe: control.off(), control, heartbeat, rate, ..rules() };
    reopen(&mut bench, "sign", sign, Value::Text(String::new()), Before::default());
    for expected in [APPLIED, APPLIED, RESTING] {
        assert_eq!(bench.send("sign", "hello"), expected);
    }
    bench.pass(seconds(30));
    assert_eq!(bench.send("sign", "hello"), RESTING, "its controller is silent");
    bench.gate.heartbeat("plc", bench.now);
    assert_eq!(bench.send("sign", "hello"), APPLIED);
}

#[test]
fn a_ttl_goes_on_while_a_command_waits() {
    for (waits, reason) in [(seconds(4), None), (seconds(6), Some(Reason::Expired))] {
        let mut bench = Bench::new(&[("pump", rules())]);
        let wall = bench.wall();
        for (route, payload) in [(1, "ON"), (2, r#"{"value":"OFF","ttl":"5s","time":"1970-01-01T00:00:00Z"}"#)] {
            let command = parse(payload.as_bytes(), Takes::Words, wall);
            bench.gate.command("pump", command, false, route, bench.now, wall);
        }
        // The first one is written for so long.
        bench.now += waits;
        bench.settle();
        let answers: Vec<_> = bench.answers.iter().map(|(route, _, reason)| (*route, *reason)).collect();
        assert_eq!(answers, [(1, None), (2, reason)]);
        assert_eq!(bench.outputs["pump"], reason.is_some());
    }
}
