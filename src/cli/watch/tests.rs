use super::table::{Kind, Table, Topic};
use super::{as_json, clean};
use crate::mqtt::Incoming;
use serde_json::Value as Json;
use std::time::{Duration, Instant, SystemTime};

fn table() -> Table {
    let mut table = Table::new("mqtt://broker:1883");
    table.connected();
    table
}

/// What a message makes of the table: the line of the change.
#[track_caller]
fn hear(table: &mut Table, topic: &str, payload: &str) -> Option<String> {
    let topic = format!("halyard/{topic}");
    let topic = Topic::parse(&topic, "halyard").unwrap();
    let line = table.hear(topic, payload.as_bytes(), now());
    line.map(|line| line.split_once(' ').unwrap().1.to_owned())
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_341_600)
}

#[test]
fn topics() {
    let parse = |topic| Topic::parse(topic, "site/7");
    let topic = |entity, kind| Some(Topic { agent: "a", entity, kind });
    assert_eq!(parse("site/7/a/availability"), topic(None, Kind::Availability));
    assert_eq!(parse("site/7/a/agent"), topic(None, Kind::Agent));
    assert_eq!(parse("site/7/a/pump"), topic(Some("pump"), Kind::State));
    assert_eq!(parse("site/7/a/pump/availability"), topic(Some("pump"), Kind::Availability));
    for other in
        ["site/7/a", "site/7/a/pump/set", "site/7/a/pump/result", "site/8/a/pump", "site/7/a/\u{1b}[2J", "site/7/A/x"]
    {
        assert_eq!(parse(other), None, "{other:?}");
    }
}

#[test]
fn a_table_of_agents() {
    let mut table = table();
    assert_eq!(hear(&mut table, "shed/availability", "online").as_deref(), Some("shed online"));
    assert_eq!(hear(&mut table, "shed/availability", "online"), None, "no change");
    hear(&mut table, "shed/climate/availability", "online");
    let state = r#"{"time":"2026-11-22T09:59:57Z","temperature":21.53,"humidity":40.2}"#;
    let line = hear(&mut table, "shed/climate", state);
    assert_eq!(line.as_deref(), Some("shed/climate temperature 21.53   humidity 40.2"));
    hear(&mut table, "shed/pump", r#"{"time":"2026-11-22T09:00:00Z","state":"ON","by":"command","id":"7"}"#);
    let problem = r#"{"problems":{"pump":{"kind":"absent","message":"there is no line GPIO27"}}}"#;
    assert_eq!(hear(&mut table, "shed/agent", problem).as_deref(), Some("shed pump: there is no line GPIO27"));
    assert_eq!(hear(&mut table, "shed/agent", problem), None, "no change");
    let expected = "\
mqtt://broker:1883: 1 agent, 2 entities

shed       online
  climate  online   temperature 21.53   humidity 40.2    3 s
  pump     ?        ON   by command                   60 min
           ! there is no line GPIO27";
    assert_eq!(table.lines(now(), 60, 24).join("\n"), expected);
    assert_eq!(hear(&mut table, "shed/agent", "{}").as_deref(), Some("shed pump is well"));
    assert_eq!(hear(&mut table, "shed/pump", "").as_deref(), Some("shed/pump is no more"));
    table.disconnected("the connection broke");
    let lines = table.lines(now(), 60, 24);
    assert_eq!(lines[0], "mqtt://broker:1883: no connection: the connection broke");
    assert_eq!(lines.len(), 4);
}

#[test]
fn it_fits_into_any_terminal() {
    let mut table = table();
    for entity in 0..50 {
        hear(&mut table, &format!("a/e{entity}"), &format!(r#"{{"state":"{}"}}"#, "x".repeat(300)));
    }
    for (width, height) in [(80, 24), (20, 5), (1, 1), (0, 0), (500, 100)] {
        let lines = table.lines(now(), width, height);
        assert!(lines.iter().all(|line| line.chars().count() <= width.max(1)), "{width}");
        assert!(lines.len() <= height.max(1) || height == 0, "{height}");
    }
    assert_eq!(table.lines(now(), 80, 5)[4], "… 49 more lines");
}

#[test]
fn it_is_bounded() {
    let mut table = table();
    for number in 0..3_000 {
        hear(&mut table, &format!("a{number}/x"), "1");
        hear(&mut table, &format!("a0/e{number}"), "1");
    }
    assert!(table.lines(now(), 80, usize::MAX).len() < 3_100);
}

const HOSTILE: &str = "\x1b]0;title\x07\x1b[2J\r\n\u{9b}31m\u{202e}x\u{7f}\u{2028}\u{e0041}";

#[test]
fn nothing_that_acts_reaches_the_terminal() {
    let mut table = table();
    let json = serde_json::to_string(HOSTILE).unwrap();
    let mut shown = String::new();
    for payload in [HOSTILE.to_owned(), format!("{{\"state\":{json},{json}:1}}"), format!("{{\"a\":[{json}]}}")] {
        shown += &hear(&mut table, "a/x", &payload).unwrap();
        shown += &table.lines(now(), 200, 24).concat();
    }
    let problem = format!("{{\"problems\":{{\"x\":{{\"message\":{json}}},{json}:{{}}}}}}");
    shown += &hear(&mut table, "a/agent", &problem).unwrap();
    table.disconnected(HOSTILE);
    shown += &table.lines(now(), 200, 24).concat();
    let fine = |c: char| !c.is_control() && !"\u{202e}\u{2028}\u{e0041}".contains(c);
    assert!(shown.chars().all(fine), "{shown:?}");
    assert!(shown.contains("\\u{1b}]0;title\\u{7}"), "{shown}");

    // Not UTF-8 either.
    let topic = Topic::parse("halyard/a/x", "halyard").unwrap();
    let line = table.hear(topic, b"\x9b31m\xff\x1b[2J", now()).unwrap();
    assert!(line.chars().all(fine), "{line:?}");
}

#[test]
fn json_is_the_same_value_and_fit_for_a_terminal() {
    let message = Incoming {
        topic: "halyard/a/x".to_owned(),
        payload: serde_json::to_vec(&serde_json::json!({ "state": HOSTILE })).unwrap().into(),
        retained: true,
        response_topic: None,
        correlation: None,
        received: Instant::now(),
    };
    let topic = Topic::parse(&message.topic, "halyard").unwrap();
    let line = clean::json(&as_json(topic, &message).to_string());
    assert!(line.is_ascii() && !line.contains(|c: char| c.is_control()), "{line:?}");
    let value: Json = serde_json::from_str(&line).unwrap();
    assert_eq!(value["payload"]["state"], HOSTILE);
    assert_eq!((&value["agent"], &value["entity"], &value["kind"]), (&"a".into(), &"x".into(), &"state".into()));
}
