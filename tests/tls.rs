//! `mqtts://`: the broker must prove who it is.
#![cfg(feature = "tls")]
// Helpers of tests fail them this way; clippy knows the tests themselves only.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use halyard::mqtt::{Client, Event, Limits, Outbox, Settings};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use support::broker::Broker;
use support::wait_until;
use tempfile::TempDir;
use tokio::sync::mpsc;

/// An authority and a broker's certificate for this host (subjectAltName); `None` without the `openssl` command.
fn certificates(folder: &Path, host: &str) -> Option<PathBuf> {
    let run = |arguments: &str| {
        let status = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    let done = run(&format!("req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=Authority"))
        && run(&format!(
            "req -x509 {key} -keyout key.pem -out cert.pem -subj /CN=Broker -CA ca.pem -CAkey ca.key -addext subjectAltName={host} -addext basicConstraints=critical,CA:FALSE"
        ));
    if !done {
        println!("skipped: the openssl command is missing or too old");
        return None;
    }
    // Mosquitto gives up its rights before it reads them.
    use std::os::unix::fs::PermissionsExt;
    for (file, mode) in [("", 0o755), ("key.pem", 0o644)] {
        std::fs::set_permissions(folder.join(file), std::fs::Permissions::from_mode(mode)).unwrap();
    }
    Some(folder.join("ca.pem"))
}

/// What happens first: connected, or why not.
fn first_event(broker: &Broker, port: u16, ca: Option<PathBuf>) -> Result<(), String> {
    let outbox = Outbox::new(Limits::default());
    let settings = Settings { ca, ..Settings::new(vec![format!("mqtts://127.0.0.1:{port}")], "agent") };
    let (to, mut events) = mpsc::channel(8);
    let client = Client::start(&settings, Some("h/availability"), Vec::new(), outbox.clone(), to).unwrap();
    let mut first = None;
    wait_until("anything", || {
        first = events.try_recv().ok();
        first.is_some()
    });
    let result = match first.unwrap() {
        Event::Connected => {
            outbox.retained("h/agent", "{}".into());
            wait_until("a delivery", || outbox.status().delivered == 1);
            Ok(())
        }
        Event::Disconnected { why } => Err(why),
        Event::Message(message) => panic!("{message:?}"),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(client.stop(Duration::from_secs(5)));
    assert!(broker.answers(), "the broker still runs");
    result
}

#[test]
fn only_a_broker_with_a_certificate_for_its_name_from_a_known_authority_will_do() {
    let folder = TempDir::new().unwrap();
    for (host, refused) in [("IP:127.0.0.1", None), ("DNS:elsewhere.example", Some("is for another host name"))] {
        let Some(ca) = certificates(folder.path(), host) else { return };
        let (port, folder) = (support::broker::free_port(), folder.path().display());
        let configuration = format!("listener {port} 127.0.0.1\ncertfile {folder}/cert.pem\nkeyfile {folder}/key.pem");
        let Some(broker) = Broker::start(&configuration) else { return };
        let why = first_event(&broker, port, Some(ca)).err();
        assert_eq!(why.is_some(), refused.is_some(), "{host}: {why:?}");
        assert!(why.unwrap_or_default().contains(refused.unwrap_or_default()));
        let why = first_event(&broker, port, None).expect_err("the system does not know this authority");
        assert!(why.contains("not to be trusted: "), "{why}");
    }
}

#[test]
fn a_broker_without_tls_is_suspected_to_be_one() {
    let Some(broker) = Broker::start("") else { return };
    let why = first_event(&broker, broker.address().port(), None).expect_err("there is no TLS");
    assert!(why.contains("does it speak TLS on this port?"), "{why}");
}
