//! The command line: what it prints, and what it ends with.

use super::stand::{PARTS, Stand, configuration};
use crate::support::broker::{Broker, free_port};
use crate::support::program::{Program, command, halyard};
use crate::support::witness::Witness;
use serde_json::{Value as Json, json};
use std::process::Output;
use tempfile::TempDir;

/// A folder with a configuration.
fn folder(configuration: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("config.yaml"), configuration).unwrap();
    folder
}

fn run(folder: &TempDir, line: &str) -> Output {
    halyard(folder, line.split_whitespace())
}

#[track_caller]
fn ends_with(output: &Output, code: i32) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{out}\n{err}");
    (out, err)
}

#[track_caller]
fn prints_json(output: &Output, code: i32) -> Json {
    let (out, err) = ends_with(output, code);
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}\n{err}"))
}

#[test]
fn usage() {
    let folder = TempDir::new().unwrap();
    for line in ["", "nonsense", "run --nonsense", "set pump", "call pump ON", "call a/pump MAYBE", "drivers bme2800"] {
        ends_with(&run(&folder, line), 2);
    }
    for line in ["--help", "--version", "run --help"] {
        assert!(!ends_with(&run(&folder, line), 0).0.is_empty());
    }
}

#[test]
fn check_and_schema_and_drivers() {
    let good = folder(&configuration("mqtt://localhost", PARTS));
    // Found by itself where it is looked for first.
    assert_eq!(ends_with(&run(&good, "check"), 0).0, "config.yaml: 2 sensors, 3 actuators: fine\n");
    assert_eq!(prints_json(&run(&good, "check --json"), 0), json!([]));
    let wrong = folder(&configuration(
        "mqtt://localhost",
        "sensors:\n  - { id: x, driver: bme280, bus: i2c-1, adress: 0x76 }\n",
    ));
    let (_, err) = ends_with(&run(&wrong, "check"), 78);
    assert!(err.contains("config.yaml:5:42: "), "{err}");
    let problems = prints_json(&run(&wrong, "check --json"), 78);
    assert_eq!((&problems[0]["line"], &problems[0]["column"]), (&json!(5), &json!(42)), "{problems}");
    ends_with(&run(&TempDir::new().unwrap(), "check -c missing.yaml"), 78);
    let schema = prints_json(&run(&good, "schema"), 0);
    assert!(schema["properties"]["sensors"].is_object(), "{schema}");
    let drivers = prints_json(&run(&good, "drivers --json"), 0);
    assert!(drivers.as_array().unwrap().iter().any(|driver| driver["name"] == "bme280"));
    assert_eq!(prints_json(&run(&good, "drivers bme280 --json"), 0)["name"], "bme280");
    assert!(ends_with(&run(&good, "drivers switch"), 0).0.contains("GPIO27"));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let good = folder(&configuration("mqtt://localhost", PARTS));
    let mut child = command(&good).arg("schema").stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn run_with_a_wrong_configuration_touches_nothing() {
    let Some(broker) = Broker::start("") else { return };
    let witness = Witness::connect(broker.address());
    let text = configuration(&broker.url(), PARTS).replace("line: GPIO22", "lin: GPIO22");
    let folder = folder(&text);
    let (out, err) = ends_with(&run(&folder, "run"), 78);
    assert_eq!(out, "");
    assert!(err.contains("config.yaml:10:34: ") && err.contains("did you mean `line`?"), "{err}");
    witness.peer.publish("end", "", false);
    witness.wait("end", |_| true);
    assert_eq!(witness.everything().len(), 1, "{:?}", witness.everything());
    assert!(!folder.path().join("state").exists());
    ends_with(&run(&TempDir::new().unwrap(), "run -c missing.yaml"), 78);
}

#[test]
fn read_and_set_on_simulated_hardware() {
    let folder = folder(&configuration(
        "mqtt://localhost",
        &format!("{PARTS}  - {{ id: heater, driver: switch, line: GPIO6, max_on: 1s }}\n"),
    ));
    let (out, _) = ends_with(&run(&folder, "read"), 0);
    assert!(out.lines().any(|line| line.starts_with("climate ") && line.contains("temperature ")), "{out}");
    let read = prints_json(&run(&folder, "read climate --json"), 0);
    assert!(read["states"]["climate"]["pressure"].is_number() && read["faults"] == json!({}), "{read}");
    ends_with(&run(&folder, "read nobody"), 2);
    assert_eq!(ends_with(&run(&folder, "set pump ON"), 0).0, "pump ON\n");
    assert_eq!(prints_json(&run(&folder, "set pump on --json"), 0)["state"], "ON");
    assert_eq!(prints_json(&run(&folder, "set pump ON --for 50ms --json"), 0)["state"], "OFF");
    ends_with(&run(&folder, "set nobody ON"), 2);
    ends_with(&run(&folder, "set pump MAYBE"), 2);
    assert!(ends_with(&run(&folder, "set pump 7"), 1).1.contains("unknown-value"));
    assert!(ends_with(&run(&folder, "set heater ON"), 2).1.contains("--for"), "nobody would turn it off");
    // Where the notes cannot be read, that is said; off is obeyed all the same.
    let unreadable = command(&folder).args(["set", "heater", "OFF"]).env("STATE_DIRECTORY", "config.yaml").output();
    let (out, err) = ends_with(&unreadable.unwrap(), 0);
    assert!(out == "heater OFF\n" && err.contains("what the agent noted of heater is not known here"), "{err}");
    assert_eq!(ends_with(&run(&folder, "safe"), 0).0.lines().count(), 4);
}

#[test]
fn hardware_that_is_not_there() {
    let parts = PARTS.replace("i2c-1", "i2c-201").replace("GPIO17", "NOLINE1").replace("GPIO27", "NOLINE2");
    let text = configuration("mqtt://localhost", &parts).replace("board: simulated", "board: linux");
    let folder = folder(&text);
    let (_, err) = ends_with(&run(&folder, "read climate"), 69);
    assert!(err.contains("climate (bme280 at i2c-201/0x76)"), "{err}");
    let read = prints_json(&run(&folder, "read --json"), 69);
    assert!(read["faults"]["climate"]["message"].is_string() && read["faults"]["door"].is_object(), "{read}");
    ends_with(&run(&folder, "set pump ON"), 69);
    // The same on simulated hardware.
    ends_with(&run(&folder, "read climate --simulate"), 0);
}

#[test]
fn call_waits_for_the_result() {
    let Some(stand) = Stand::start(PARTS) else { return };
    let url = stand.broker.url();
    let folder = folder(&stand.configuration(PARTS));
    assert_eq!(ends_with(&run(&folder, "call a/pump ON"), 0).0, "applied: a/pump ON\n");
    // Without a configuration too.
    let other = TempDir::new().unwrap();
    let (out, _) = ends_with(&run(&other, &format!("call a/valve ON --url {url}")), 1);
    assert!(out.starts_with("rejected (interlock): "), "{out}");
    let result = prints_json(&run(&folder, "call a/lamp toggle --for 1h --json"), 0);
    assert_eq!((&result["status"], &result["state"]), (&json!("applied"), &json!("ON")));
    assert_eq!(prints_json(&run(&folder, "call a/lamp 7 --json"), 1)["reason"], "unknown-value");
    // What is no word is a text only if that is said.
    assert_eq!(prints_json(&run(&folder, "call a/lamp --text on --json"), 1)["reason"], "unknown-value");
    let (_, err) = ends_with(&run(&folder, "call b/pump ON --timeout 300ms"), 69);
    assert!(err.contains("is the agent running?"), "{err}");
    let nobody = format!("call a/pump ON --timeout 300ms --url mqtt://127.0.0.1:{}", free_port());
    ends_with(&run(&folder, &nobody), 69);
    ends_with(&run(&TempDir::new().unwrap(), "call a/pump ON -c missing.yaml"), 78);
    ends_with(&run(&other, "call a/pump ON --url http://localhost"), 78);
}

#[test]
fn the_embedded_broker_is_there_or_missed() {
    let listen = format!("127.0.0.1:{}", free_port());
    let text = configuration(&format!("mqtt://{listen}"), PARTS);
    let text = format!("broker: {{ listen: \"{listen}\" }}\n{text}");
    if cfg!(feature = "broker") {
        let mut program = Program::run(&text);
        program.logs("connected to mqtt://");
        let witness = Witness::connect(listen.parse().unwrap());
        witness.wait_for("halyard/a/availability", "online");
        witness.peer.publish("halyard/a/pump/set", "ON", false);
        assert_eq!(witness.wait("halyard/a/pump/result", |_| true).json()["status"], "applied");
        program.signal(libc::SIGTERM);
        assert_eq!(program.exit().code(), Some(0));
    } else {
        let (_, err) = ends_with(&run(&folder(&text), "run"), 69);
        assert!(err.contains("built without the embedded broker"), "{err}");
    }
}
