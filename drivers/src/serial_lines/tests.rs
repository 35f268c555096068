use super::*;
use crate::Value;
use crate::channel::Quantity;
use crate::described::classes::DeviceClass;
use crate::sim::Part as _;

fn options(pattern: &str) -> Options {
    Options { pattern: Pattern::new(pattern).unwrap(), ..Options::default() }
}

/// What comes of these bytes, after a first line that does not count.
fn heard(options: &Options, bytes: &[u8]) -> Vec<Result<Vec<Option<f64>>, String>> {
    let mut heard = Vec::new();
    options.open().receive(&[b"1\n", bytes].concat(), &mut |result| {
        heard.push(match result {
            Ok(sample) => Ok(sample.values().iter().map(|value| value.as_ref().and_then(Value::number)).collect()),
            Err(fault) => Err(fault.message),
        });
    });
    heard
}

#[test]
fn numbers_of_groups() {
    let shed = options(r"T=(?<temperature>[-+0-9.]+)( H=(?<humidity>[0-9.]+))?");
    let lines = b"boot 3\r\nT=21.5 H=40\r\nxxT=-3\n\n";
    assert_eq!(heard(&shed, lines), [Ok(vec![Some(21.5), Some(40.0)]), Ok(vec![Some(-3.0), None])]);
}

#[test]
fn the_first_number_without_a_pattern() {
    assert_eq!(heard(&Options::default(), b"ST,+  12.50 kg\n"), [Ok(vec![Some(12.5)])]);
}

#[test]
fn what_is_no_number_is_a_fault() {
    let all = options("v=(?<v>.*)");
    assert_eq!(heard(&all, b"v=1..2\n"), [Err("v is no number: `1..2`".to_owned())]);
    assert_eq!(heard(&all, b"v=inf\nv=nan\nv=1e999\nv= 7 \n")[3], Ok(vec![Some(7.0)]));
    assert!(heard(&all, b"v=inf\nv=nan\nv=1e999\n").iter().all(Result::is_err));
    assert!(heard(&all, b"v=\xff\xfe1\n")[0].is_err(), "no UTF-8");
}

#[test]
fn the_first_line_and_long_lines_are_dropped() {
    let mut told = 0;
    Options::default().open().receive(b"1\n2\n3", &mut |_| told += 1);
    assert_eq!(told, 1);
    let long = [&[b'1'; LONGEST + 1][..], b"\n", &[b'1'; LONGEST - 10], b"\n5\n"].concat();
    // 4086 ones are a number beyond all.
    let heard = heard(&Options::default(), &long);
    assert!(heard.len() == 2 && heard[0].is_err() && heard[1] == Ok(vec![Some(5.0)]), "{heard:?}");
}

#[test]
fn wrong_patterns() {
    for (pattern, expected) in [
        ("(?<a>", "no regular expression: found open group without closing ')'"),
        ("[0-9]+", "the pattern has no named group, such as `(?<temperature>[-0-9.]+)`"),
        ("(?<Temp>.)", "a group's name has `a` to `z`, `0` to `9` and `_`, and is not `time`, unlike `Temp`"),
        ("(?<time>.)", "a group's name has `a` to `z`, `0` to `9` and `_`, and is not `time`, unlike `time`"),
        ("(?<a>(((.{999}){999}){999}){999})", "the pattern is too large: it repeats too much"),
    ] {
        assert_eq!(Pattern::new(pattern).unwrap_err(), expected, "{pattern}");
    }
    assert!(Pattern::new(&"a".repeat(1001)).is_err());
    assert!(Pattern::new(&format!("{}(?<a>b){}", "(".repeat(60), ")".repeat(60))).is_err());
}

#[test]
fn channels_are_what_is_known_of_them() {
    let known = Described {
        unit: Some("kWh".into()),
        device_class: Some(DeviceClass::Energy),
        min: Some(0.0),
        ..Described::default()
    };
    let options = Options { channels: [("e".to_owned(), known)].into(), ..options("(?<e>[0-9]+)(?<x>[0-9]+)") };
    let [energy, plain] = &options.channels()[..] else { panic!("two") };
    let expected = Quantity {
        unit: Some("kWh"),
        device_class: Some("energy"),
        state_class: Some("total_increasing"),
        precision: 2,
    };
    assert_eq!((energy.quantity, energy.range.clone()), (expected, Some(0.0..=1e12)));
    assert_eq!((plain.quantity.unit, plain.quantity.state_class), (None, Some("measurement")));
}

#[test]
fn the_model_prints_what_the_pattern_matches() {
    for pattern in [
        r"^T=(?<a>[-+0-9.]+) H=(?<b>[0-9]+)$",
        r"(?i)\bweight:?\s+(?<a>-?\d+(\.\d\d)?) kg( (?<b>\d+))?",
        r"x{3}(y|(?<a>\d+)),[^,]+,(?<b>\d{1,3})",
        r"(?:[]a^-]|\b{start}\.)\x41\x{42}[[:alpha:]\]]{2,}(?P<a>\S+)\t(?<b>.+)$",
    ] {
        let options = options(pattern);
        let mut model = sim::Model::new(&options.pattern);
        assert!(model.stimulate("a", 12.0) && model.stimulate("b", 34.0));
        let mut line = Vec::new();
        model.serial().unwrap().talk(&mut line);
        let text = String::from_utf8_lossy(&line).into_owned();
        assert_eq!(heard(&options, &line), [Ok(vec![Some(12.0), Some(34.0)])], "{pattern}: {text}");
    }
}
