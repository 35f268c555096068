use super::super::{OneOrMany, Placed, Span};
use super::*;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// A tree with its nodes numbered from 0 as a reader of the text meets them.
fn tree(json: &str) -> Node {
    fn node(value: Value, next: &mut u32) -> Node {
        let place = Place(*next);
        *next += 1;
        let content = match value {
            Value::Null => Content::Null,
            Value::Bool(value) => Content::Bool(value),
            Value::Number(number) => {
                number.as_i64().map_or_else(|| Content::Float(number.as_f64().unwrap()), Content::Integer)
            }
            Value::String(text) => Content::Text(text),
            Value::Array(items) => Content::List(items.into_iter().map(|item| node(item, next)).collect()),
            Value::Object(entries) => {
                let entry = |(key, value)| (node(Value::String(key), next), node(value, next));
                Content::Map(entries.into_iter().map(entry).collect())
            }
        };
        Node::new(place, content)
    }
    node(serde_json::from_str(json).unwrap(), &mut 0)
}

/// The problems with a text, each with its place.
fn problems<T: DeserializeOwned>(json: &str) -> Vec<(u32, String)> {
    let mut problems = Vec::new();
    let value = read::<T>(&tree(json), &mut problems);
    assert_eq!(value.is_some(), problems.is_empty(), "{json}");
    problems.into_iter().map(|problem| (problem.place.0, problem.message)).collect()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    count: u8,
    #[serde(default)]
    ratio: Option<f64>,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    inner: Option<Inner>,
    #[serde(default)]
    names: OneOrMany<Placed<String>>,
    #[serde(default)]
    pair: Option<(i64, i64)>,
    #[serde(default)]
    by_name: BTreeMap<String, Span>,
    #[serde(default)]
    flag: bool,
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Slow,
    Fast,
    #[serde(rename = "4")]
    Four,
    After(Span),
    Between {
        low: f64,
        high: f64,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Inner {
    first: String,
    second: String,
}

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

#[test]
fn what_is_right_is_read() {
    let text = r#"{ "count": 255, "ratio": 2, "mode": { "between": { "low": 1, "high": 2.5 } }, "names": ["a", "b"],
        "pair": [-1, 1], "by_name": { "x": "1s" }, "inner": { "first": "1", "second": "2" }, "flag": true }"#;
    let mut problems = Vec::new();
    let options: Options = read(&tree(text), &mut problems).unwrap_or_else(|| panic!("{problems:?}"));
    assert_eq!((options.count, options.ratio, options.pair, options.flag), (255, Some(2.0), Some((-1, 1)), true));
    assert_eq!(options.mode, Mode::Between { low: 1.0, high: 2.5 });
    assert_eq!(options.by_name["x"].to_string(), "1s");
    assert_eq!(options.inner.map(|inner| inner.first + &inner.second).as_deref(), Some("12"));
    // Place 0 is the map, 1 the key `count`, and so on in the order of the text.
    let names: Vec<_> = options.names.0.iter().map(|name| (name.place.0, name.value.as_str())).collect();
    assert_eq!(names, [(15, "a"), (16, "b")]);
}

#[test]
fn choices() {
    for (text, mode) in [
        (r#""fast""#, Mode::Fast),
        (r#"{ "fast": null }"#, Mode::Fast),
        ("4", Mode::Four),
        (r#"{ "after": "1s" }"#, Mode::After(Span::parse("1s").unwrap())),
    ] {
        assert_eq!(read::<Mode>(&tree(text), &mut Vec::new()), Some(mode), "{text}");
    }
    for (text, place, message) in [
        (r#""fsat""#, 0, "this must be `slow`, `fast`, `4`, `after` or `between`, not `fsat`; did you mean `fast`?"),
        (r#"{ "fsat": 1 }"#, 1, "unknown key `fsat`; did you mean `fast`?"),
        (r#"{ "fast": 1 }"#, 2, "`fast` must be nothing, not a number"),
        (r#""after""#, 0, "`after` needs a value"),
        (r#"{ "between": { "low": 1 } }"#, 2, "missing key `high`"),
        ("5", 0, "this must be `slow`, `fast`, `4`, `after` or `between`, not `5`"),
    ] {
        assert_eq!(problems::<Mode>(text), [(place, message.to_owned())], "{text}");
    }
}

#[test]
fn every_problem_is_reported_at_its_place() {
    let text = r#"{ "cuont": 1, "count": 256, "ratio": "x", "mode": "fsat", "names": [1, "a", [2]], "pair": [1, 2, 3],
        "by_name": { "a": 1, "b": "1s", "c": "x" }, "inner": { "first": 1, "third": 2 }, "flag": "yes" }"#;
    let span = "a duration with its unit, such as `250ms`, `10s`, `5m` or `1h`";
    let expected = [
        (1, "unknown key `cuont`; did you mean `count`?".to_owned()),
        (4, "`count` must be a whole number from 0 to 255, not `256`".to_owned()),
        (6, "`ratio` must be a number, not the text `x`".to_owned()),
        (8, "`mode` must be `slow`, `fast`, `4`, `after` or `between`, not `fsat`; did you mean `fast`?".to_owned()),
        (11, "an entry of `names` must be text, not a number; put it in quotes".to_owned()),
        (13, "an entry of `names` must be text, not a list".to_owned()),
        (16, "`pair` must have 2 entries, not 3".to_owned()),
        (23, format!("`a` must be {span}, not `1`")),
        (27, format!("`c` must be {span}, not `x`")),
        (31, "`first` must be text, not a number; put it in quotes".to_owned()),
        (32, "unknown key `third`; there is `first` or `second`".to_owned()),
        (35, "`flag` must be `true` or `false`, not the text `yes`".to_owned()),
    ];
    assert_eq!(problems::<Options>(text), expected);
}

#[test]
fn what_follows_from_a_removal_is_not_reported() {
    assert_eq!(problems::<Options>(r#"{ "count": "many" }"#).len(), 1);
    assert_eq!(problems::<Options>(r#"{ "count": 1, "pair": [1, "x"] }"#).len(), 1);
    assert_eq!(problems::<Options>(r#"{ "count": 1, "mode": { "after": 5 } }"#).len(), 1);
    // A key that is not there at all is.
    assert_eq!(problems::<Options>(r#"{ "rattio": 1 }"#).len(), 2);
}

#[test]
fn what_is_right_is_left() {
    let mut problems = Vec::new();
    let tree = tree(r#"{ "count": 7, "ratio": "x", "names": ["a", 5, "b"] }"#);
    let options: Options = read_rest(&tree, &mut problems).unwrap_or_else(|| panic!("{problems:?}"));
    assert_eq!((options.count, options.ratio, options.names.0.len(), problems.len()), (7, None, 2, 2));
}

#[test]
fn an_unknown_value_is_no_further_problem() {
    let mut tree = tree(r#"{ "count": 7, "flag": true }"#);
    let Content::Map(entries) = &mut tree.content else { panic!("a map") };
    entries[0].1.content = Content::Unknown;
    let mut problems = Vec::new();
    assert!(read::<Options>(&tree, &mut problems).is_none());
    assert_eq!(problems, []);
}

#[test]
fn a_text_from_elsewhere_is_not_shown() {
    #[derive(Debug, Deserialize)]
    #[serde(try_from = "String")]
    struct Picky;

    impl TryFrom<String> for Picky {
        type Error = String;

        fn try_from(text: String) -> Result<Self, String> {
            Err(format!("{text} is not wanted"))
        }
    }

    for key in ["count", "ratio", "mode", "inner", "pair", "by_name", "flag"] {
        let mut tree = tree(&format!(r#"{{ "{key}": "hunter2" }}"#));
        let Content::Map(entries) = &mut tree.content else { panic!("a map") };
        entries[0].1.origin = Some("the file `x`".to_owned());
        let mut problems = Vec::new();
        assert!(read::<Options>(&tree, &mut problems).is_none());
        let text = format!("{problems:?}");
        assert!(text.contains("not what the file `x` holds") && !text.contains("hunter2"), "{text}");
    }
    let mut tree = tree(r#"{ "a": "hunter2" }"#);
    let Content::Map(entries) = &mut tree.content else { panic!("a map") };
    entries[0].1.origin = Some("the file `x`".to_owned());
    let mut problems = Vec::new();
    assert!(read::<BTreeMap<String, Picky>>(&tree, &mut problems).is_none());
    let text = format!("{problems:?}");
    assert!(text.contains("`a` is not accepted") && !text.contains("hunter2"), "{text}");
}

#[test]
fn there_is_an_end_to_problems() {
    let text = format!("[{}]", vec!["1"; 1000].join(","));
    assert_eq!(problems::<Vec<String>>(&text).len(), MOST_PROBLEMS);
}

#[test]
fn near_misses() {
    let words = ["address", "bus", "debounce", "id", "line"];
    for (word, near) in [
        ("adress", Some("address")),
        ("debouce", Some("debounce")),
        ("Bus", Some("bus")),
        ("ilne", Some("line")),
        ("colour", None),
        ("x", None),
        ("", None),
    ] {
        assert_eq!(nearest(word, words), near, "{word}");
    }
}
