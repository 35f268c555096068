//! `mqtts://`: the broker must prove who it is, and so must we if it wants that. What does not suit is told with its reason.
#![cfg(feature = "tls")]
// Helpers of tests fail them this way; clippy knows the tests themselves only.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use halyard::mqtt::{Client, Event, Limits, Outbox, Settings};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use support::broker::{Broker, free_port};
use support::wait_until;
use tempfile::TempDir;
use tokio::sync::mpsc;

/// A folder with the authority "Authority" and what it signed.
struct Authority {
    folder: TempDir,
}

impl Authority {
    /// `None` without the `openssl` command, which is printed.
    fn found() -> Option<Self> {
        let authority = Self { folder: TempDir::new().unwrap() };
        authority.openssl(&["req", "-x509", "-subj", "/CN=Authority", "-keyout", "ca.key", "-out", "ca.pem"])?;
        Some(authority)
    }

    fn openssl(&self, arguments: &[&str]) -> Option<()> {
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        let days = if arguments.contains(&"-x509") { " -days 2" } else { "" };
        let more = format!("{key}{days}");
        self.run(&[arguments, &more.split(' ').collect::<Vec<_>>()].concat())
    }

    fn run(&self, arguments: &[&str]) -> Option<()> {
        let status = Command::new("openssl")
            .args(arguments)
            .current_dir(&self.folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if !status.is_ok_and(|status| status.success()) {
            println!("skipped: the openssl command is missing or too old");
            return None;
        }
        // Mosquitto gives up its rights before it reads them.
        for entry in std::fs::read_dir(&self.folder).unwrap() {
            std::fs::set_permissions(entry.unwrap().path(), std::fs::Permissions::from_mode(0o644)).unwrap();
        }
        std::fs::set_permissions(&self.folder, std::fs::Permissions::from_mode(0o755)).unwrap();
        Some(())
    }

    /// Signs NAME.pem, with the key NAME.key, for this host (subjectAltName).
    fn sign(&self, name: &str, host: &str, more: &[&str]) -> Option<()> {
        let (subject, key, certificate) = (format!("/CN={name}"), format!("{name}.key"), format!("{name}.pem"));
        let host = format!("subjectAltName={host}");
        let fixed =
            ["req", "-x509", "-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "basicConstraints=critical,CA:FALSE"];
        let own = ["-subj", &subject, "-keyout", &key, "-out", &certificate, "-addext", &host];
        self.openssl(&[&fixed[..], &own, more].concat())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A broker with this certificate, and its port for TLS.
    fn broker(&self, name: &str, more: &str) -> Option<(Broker, u16)> {
        let (port, folder) = (free_port(), self.folder.path().display());
        let text =
            format!("listener {port} 127.0.0.1\ncertfile {folder}/{name}.pem\nkeyfile {folder}/{name}.key\n{more}");
        Some((Broker::start(&text)?, port))
    }
}

fn settings(port: u16, ca: Option<&Path>) -> Settings {
    Settings { ca: ca.map(Path::to_owned), ..Settings::new(vec![format!("mqtts://127.0.0.1:{port}")], "agent") }
}

/// Tries to connect until what happens is the end of it: what `ends` says of why there is no connection, or of none.
fn try_until(settings: &Settings, ends: impl Fn(Option<&str>) -> bool) {
    let outbox = Outbox::new(Limits::default());
    let (to, mut events) = mpsc::channel(8);
    let client = Client::start(settings, Some("h/availability"), Vec::new(), outbox.clone(), to).unwrap();
    let mut seen = Vec::new();
    wait_until("what is expected", || {
        let end = match events.try_recv() {
            Ok(Event::Connected) => ends(None),
            Ok(Event::Disconnected { why }) => {
                let end = ends(Some(&why));
                seen.push(why);
                end
            }
            _ => false,
        };
        assert!(seen.len() < 5, "{seen:#?}");
        end
    });
    if outbox.status().connected {
        outbox.retained("h/agent", "{}".into());
        wait_until("a delivery", || outbox.status().delivered == 1);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(client.stop(Duration::from_secs(5)));
}

fn connects(settings: &Settings) {
    try_until(settings, |why| why.is_none());
}

fn refused(settings: &Settings, parts: &[&str]) {
    try_until(settings, |why| {
        let why = why.expect("it must not connect");
        parts.iter().all(|part| why.contains(part))
    });
}

#[test]
fn only_a_broker_with_a_certificate_for_its_name_from_a_known_authority_will_do() {
    let Some(authority) = Authority::found() else { return };
    let ca = authority.file("ca.pem");
    let Some(()) = authority.sign("good", "IP:127.0.0.1", &[]) else { return };
    let Some((broker, port)) = authority.broker("good", "") else { return };
    connects(&settings(port, Some(&ca)));
    let unknown = "is not to be trusted: CN=good is signed by CN=Authority, which is not one of those that are trusted";
    refused(&settings(port, None), &[unknown]);
    assert!(broker.answers(), "it still runs");

    authority.sign("other", "DNS:elsewhere.example", &[]).unwrap();
    let Some((_broker, port)) = authority.broker("other", "") else { return };
    let why = "the broker's certificate is for another host: CN=other (DNS:elsewhere.example), not 127.0.0.1";
    refused(&settings(port, Some(&ca)), &[why]);
}

#[test]
fn a_certificate_of_another_time_is_refused() {
    let Some(authority) = Authority::found() else { return };
    let ca = authority.file("ca.pem");
    // `req` signs for the future only.
    let configuration = "[ca]\ndefault_ca = d\n[d]\ndatabase = index\nserial = serial\nnew_certs_dir = .\ncertificate = ca.pem\n\
                         private_key = ca.key\ndefault_md = sha256\npolicy = p\nx509_extensions = x\n[p]\ncommonName = supplied\n\
                         [x]\nsubjectAltName = IP:127.0.0.1\n";
    for (name, text) in [("ca.conf", configuration), ("index", ""), ("serial", "01\n")] {
        std::fs::write(authority.file(name), text).unwrap();
    }
    let Some(()) = authority.openssl(&["req", "-subj", "/CN=old", "-keyout", "old.key", "-out", "old.csr"]) else {
        return;
    };
    let time = ["-startdate", "200101000000Z", "-enddate", "200102000000Z"];
    let sign = ["ca", "-batch", "-notext", "-config", "ca.conf", "-in", "old.csr", "-out", "old.pem"];
    let Some(()) = authority.run(&[&sign[..], &time].concat()) else { return };
    let Some((_broker, port)) = authority.broker("old", "") else { return };
    refused(&settings(port, Some(&ca)), &["is not to be trusted: CN=old expired on Jan  2 00:00:00 2020 GMT"]);
}

#[test]
fn a_certificate_signed_by_itself_is_trusted_only_if_it_is_named() {
    let Some(authority) = Authority::found() else { return };
    let own = ["req", "-x509", "-subj", "/CN=own", "-keyout", "own.key", "-out", "own.pem"];
    let Some(()) = authority.openssl(&[&own[..], &["-addext", "subjectAltName=IP:127.0.0.1"]].concat()) else { return };
    let Some((_broker, port)) = authority.broker("own", "") else { return };
    refused(&settings(port, None), &["is not to be trusted: CN=own is signed by itself"]);
    connects(&settings(port, Some(&authority.file("own.pem"))));
}

#[test]
fn a_broker_that_wants_our_certificate_gets_it() {
    let Some(authority) = Authority::found() else { return };
    let ca = authority.file("ca.pem");
    let Some(()) = authority.sign("good", "IP:127.0.0.1", &[]) else { return };
    for name in ["agent", "thief"] {
        authority.sign(name, "DNS:agent", &[]).unwrap();
    }
    let more = format!("cafile {}\nrequire_certificate true", ca.display());
    let Some((broker, port)) = authority.broker("good", &more) else { return };
    let with = |certificate: &str, key: &str| Settings {
        certificate: Some(authority.file(certificate)),
        key: Some(authority.file(key)),
        ..settings(port, Some(&ca))
    };
    connects(&with("agent.pem", "agent.key"));
    refused(&settings(port, Some(&ca)), &["it hung up ", ": does it want a certificate of ours?"]);
    refused(&with("agent.pem", "thief.key"), &["the files of `ca`, `cert` and `key` are not usable: "]);
    refused(&with("agent.pem", "no.key"), &["cannot read ", "/no.key (`key`): No such file or directory"]);
    assert!(broker.answers(), "it still runs");
}

#[test]
fn a_broker_without_tls_is_suspected_to_be_one() {
    let Some(broker) = Broker::start("") else { return };
    refused(&settings(broker.address().port(), None), &["does it speak TLS on this port?"]);
}
