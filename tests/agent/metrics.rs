//! How the agent is doing, on MQTT and on the page for Prometheus.

use super::stand::{PARTS, Stand, topic};
use crate::support::wait_until;
use serde_json::json;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

fn stand() -> Option<(Stand, SocketAddr)> {
    stand_with(PARTS)
}

fn stand_with(parts: &str) -> Option<(Stand, SocketAddr)> {
    let stand = Stand::start(&format!("metrics: {{ listen: \"127.0.0.1:0\" }}\n{parts}"))?;
    stand.program.logs("metrics: http://");
    let log = stand.program.log();
    let address = log.split("metrics: http://").nth(1).and_then(|rest| rest.split('/').next());
    let address = address.unwrap_or_else(|| panic!("it says where the page is: {log}")).parse().unwrap();
    Some((stand, address))
}

/// What the page answers to these bytes.
fn ask(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}

fn page(address: SocketAddr) -> String {
    let answer = ask(address, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\nContent-Type: application/openmetrics-text; version=1.0.0"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
    assert!(body.ends_with("# EOF\n"), "{body}");
    body.to_owned()
}

/// The value of a metric with these labels.
fn value(page: &str, metric: &str) -> Option<f64> {
    page.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' ')?.parse().ok())
}

#[test]
fn what_happens_is_counted() {
    let Some((stand, address)) = stand() else { return };
    stand.witness.wait(&topic("climate"), |_| true);
    assert_eq!(stand.verdict("pump", "ON").0, "applied");
    for reason in ["interlock", "interlock"] {
        assert_eq!(stand.verdict("valve", "ON").1, reason);
    }
    assert_eq!(stand.verdict("lamp", "BLUE").1, "unknown-value");

    let health = stand.request("health")["health"].clone();
    let commands = json!({ "applied": 1, "failed": 0, "rejected": { "interlock": 2, "unknown-value": 1 } });
    assert_eq!((&health["commands"], &health["connections"], &health["faults"]), (&commands, &json!(1), &json!(0)));
    let bus = &health["buses"]["i2c-1"];
    assert!(bus["transfers"].as_u64().unwrap() > 0 && bus["seconds"].is_number(), "{bus}");
    assert_eq!((&bus["failed"], &health["queue"]["repeated"]), (&json!(0), &json!(0)));

    let page = page(address);
    for (metric, expected) in [
        (r#"halyard_commands_total{entity="pump",result="applied"}"#, 1.0),
        (r#"halyard_commands_total{entity="valve",result="interlock"}"#, 2.0),
        (r#"halyard_commands_total{entity="lamp",result="unknown-value"}"#, 1.0),
        (r#"halyard_online{entity="climate"}"#, 1.0),
        (r#"halyard_state{entity="pump",channel="state"}"#, 1.0),
        (r#"halyard_state{entity="lamp",channel="state"}"#, 0.0),
        (r#"halyard_faults_total{entity="climate"}"#, 0.0),
        (r#"halyard_bus_failures_total{bus="i2c-1"}"#, 0.0),
        ("halyard_broker_connected", 1.0),
        ("halyard_broker_connections_total", 1.0),
        ("halyard_messages_dropped_total", 0.0),
    ] {
        assert_eq!(value(&page, metric), Some(expected), "{metric} in\n{page}");
    }
    let transfers = value(&page, r#"halyard_bus_transfers_total{bus="i2c-1"}"#).unwrap();
    assert!(transfers > 0.0 && value(&page, "halyard_messages_delivered_total").unwrap() > 0.0, "{page}");
    let climate = value(&page, r#"halyard_state{entity="climate",channel="temperature"}"#).unwrap();
    assert!((-40.0..=85.0).contains(&climate), "{page}");
}

#[test]
fn a_text_is_no_number_whatever_it_says() {
    let sign = "{ id: sign, driver: display, bus: i2c-1, address: 0x3C }";
    let Some((stand, address)) = stand_with(&format!("{PARTS}  - {sign}\n")) else { return };
    assert_eq!(stand.verdict("sign", "ON").0, "applied");
    assert_eq!(stand.verdict("lamp", r#"{"value":"OFF","id":"ON"}"#).0, "applied");
    let page = page(address);
    assert_eq!(value(&page, r#"halyard_state{entity="lamp",channel="state"}"#), Some(0.0));
    assert!(!page.contains(r#"entity="sign",channel="#), "{page}");
    assert!(!page.contains(r#"channel="id""#), "{page}");
}

#[test]
fn an_outage_is_seen_on_the_page() {
    let Some((mut stand, address)) = stand() else { return };
    stand.broker.kill();
    wait_until("no connection", || value(&page(address), "halyard_broker_connected") == Some(0.0));
    stand.broker.restart();
    wait_until("a second connection", || value(&page(address), "halyard_broker_connections_total") == Some(2.0));
    assert_eq!(value(&page(address), "halyard_broker_connected"), Some(1.0));
}

#[test]
fn odd_visitors_get_a_word_and_cost_nothing() {
    let Some((stand, address)) = stand() else { return };
    // They say nothing, or not all of it, and stay.
    let _silent = TcpStream::connect(address).unwrap();
    let mut slow = TcpStream::connect(address).unwrap();
    slow.write_all(b"GET /metrics HTT").unwrap();
    let long = format!("GET /metrics HTTP/1.1\r\nCookie: {}\r\n\r\n", "a".repeat(9_000));
    for (request, status) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "404"),
        (b"POST /metrics HTTP/1.1\r\n\r\n", "405"),
        (b"\x16\x03\x01\x02\x00", "400"),
        (&[0; 100], "400"),
        (long.as_bytes(), "431"),
    ] {
        let answer = ask(address, request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
    page(address);
    assert_eq!(stand.verdict("lamp", "ON").0, "applied");
}

#[test]
fn a_port_that_is_taken_holds_up_nothing_else() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap();
    let Some(stand) = Stand::start(&format!("metrics: {{ listen: \"{listen}\" }}\n{PARTS}")) else { return };
    stand.program.logs(&format!("metrics: cannot listen on {listen}"));
    assert_eq!(stand.verdict("lamp", "ON").0, "applied");
    drop(taken);
    stand.program.logs(&format!("metrics: http://{listen}/metrics"));
    page(listen);
}
