//! What is found about brokers, and what the exit code says. (What is found about machines is tested with its code.)

use crate::support::broker::{Broker, free_port};
use crate::support::peer::Peer;
use crate::support::program::halyard;
use crate::support::wait_until;
use serde_json::Value as Json;
use tempfile::TempDir;

const CLIMATE: &str = "sensors: [ { id: climate, driver: bme280, bus: i2c-1, address: 0x76 } ]";

/// Exit code and findings.
fn doctor(configuration: &str) -> (i32, Vec<Json>) {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("config.yaml"), configuration).unwrap();
    let output = halyard(&folder, ["doctor", "--json", "-c", "config.yaml"]);
    let found: Json = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (output.status.code().unwrap(), found["findings"].as_array().unwrap().clone())
}

#[track_caller]
fn only<'a>(findings: &'a [Json], about: &str) -> &'a Json {
    let about: Vec<_> = findings.iter().filter(|finding| finding["about"] == about).collect();
    assert_eq!(about.len(), 1, "{findings:#?}");
    about[0]
}

fn configuration(mqtt: &str) -> String {
    format!("board: simulated\nagent: {{ id: a }}\nmqtt: {{ {mqtt} }}\n{CLIMATE}\n")
}

#[track_caller]
fn refused(mqtt: &str, what: &str, mend: &str) {
    let (code, findings) = doctor(&configuration(mqtt));
    let broker = only(&findings, "broker");
    assert_eq!((code, &broker["level"]), (1, &"problem".into()), "{mqtt}: {broker}");
    let has = |key: &str, text: &str| broker[key].as_str().unwrap_or_default().contains(text);
    assert!(has("what", what) && has("mend", mend), "{mqtt}: {broker}");
}

#[test]
fn all_is_well() {
    let Some(broker) = Broker::start("") else { return };
    let (code, findings) = doctor(&configuration(&format!("url: \"{}\"", broker.url())));
    assert_eq!(code, 0, "{findings:#?}");
    assert_eq!(only(&findings, "broker")["level"], "ok");
    assert_eq!(only(&findings, "configuration")["level"], "ok");
    assert_eq!(only(&findings, "climate (bme280 at i2c-1/0x76)")["level"], "ok");
}

#[test]
fn a_broker_that_is_not_there() {
    let url = format!("url: \"mqtt://127.0.0.1:{}\"", free_port());
    refused(&url, "nobody accepts a connection", "systemctl enable --now mosquitto");
    refused("url: \"mqtt://host.invalid\"", "the host is not known", "getent hosts host.invalid");
}

#[test]
fn a_broker_that_refuses_the_login() {
    let folder = TempDir::new().unwrap();
    let nobody = folder.path().join("nobody");
    std::fs::write(&nobody, "").unwrap();
    // Mosquitto gives up its rights before it reads it.
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    // Who gives no name is let in, so that it can be seen to answer; who gives one has to be in the file.
    let Some(broker) = Broker::start(&format!("password_file {}", nobody.display())) else { return };
    for version in ["5", "3.1.1"] {
        let mqtt = format!("url: \"{}\", version: {version}, username: anna, password: wrong", broker.url());
        refused(&mqtt, "the broker refuses the login", "mosquitto_passwd /etc/mosquitto/passwd anna");
        let (_, findings) = doctor(&configuration(&mqtt));
        assert!(!format!("{findings:?}").contains("wrong"), "the password is shown: {findings:#?}");
    }
}

#[cfg(feature = "tls")]
#[test]
fn a_broker_without_tls_where_it_is_wanted() {
    let Some(broker) = Broker::start("") else { return };
    refused(
        &format!("url: \"mqtts://{}\"", broker.address()),
        "no TLS connection",
        "openssl s_client -connect 127.0.0.1:",
    );
}

#[test]
fn an_agent_of_the_same_id_elsewhere() {
    let Some(broker) = Broker::start("") else { return };
    let peer = Peer::connect(broker.address(), "other");
    peer.listen("halyard/#");
    peer.publish("halyard/a/availability", "online", true);
    wait_until("it is told", || peer.arrived().next().is_some());
    let (code, findings) = doctor(&configuration(&format!("url: \"{}\"", broker.url())));
    // Unless an agent runs on this machine, which may be it.
    let told = findings.iter().find(|finding| finding["about"] == "agent");
    if let Some(told) = told {
        assert_eq!((code, &told["level"]), (0, &"warning".into()), "{told}");
        assert!(told["what"].as_str().unwrap().contains("an agent `a` is online already"), "{told}");
    } else {
        assert!(runs_here(), "{findings:#?}");
    }
}

/// Other tests start agents.
fn runs_here() -> bool {
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .any(|entry| std::fs::read_to_string(entry.path().join("comm")).is_ok_and(|name| name.trim() == "halyard"))
}

#[test]
fn a_wrong_configuration() {
    let (code, findings) = doctor("agent: { id: a }\nsensors: [ { id: climate, driver: bme281 } ]\n");
    assert_eq!(code, 1);
    let problem = findings.iter().find(|finding| finding["about"] == "configuration").unwrap();
    assert_eq!(problem["level"], "problem");
    assert!(problem["what"].as_str().unwrap().starts_with("config.yaml:2:"), "{problem}");
    assert_eq!(problem["mend"], "halyard check -c config.yaml");
}

#[test]
fn for_people_each_finding_is_followed_by_what_mends_it() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("config.yaml"), configuration("url: \"mqtt://host.invalid\"")).unwrap();
    let output = halyard(&folder, ["doctor", "-c", "config.yaml"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let broker = lines.iter().position(|line| line.starts_with("problem  broker ")).unwrap_or_else(|| panic!("{text}"));
    assert_eq!(lines[broker + 1], "         mend: getent hosts host.invalid", "{text}");
}
