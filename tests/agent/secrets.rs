//! What is secret is nowhere but where it is needed.

use super::stand::{PARTS, Stand, topic};
use crate::support::broker::{Broker, free_port};
use crate::support::program::{Program, command, halyard};
use crate::support::wait_until;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

const SECRET: &str = "hunter2hunter2";

fn write(folder: &Path, name: &str, text: &str, mode: u32) {
    std::fs::write(folder.join(name), text).unwrap();
    std::fs::set_permissions(folder.join(name), std::fs::Permissions::from_mode(mode)).unwrap();
}

fn text(url: &str, password: &str) -> String {
    format!(
        "agent: {{ id: a }}\nboard: simulated\nmqtt: {{ url: \"{url}\", username: me, password: {password} }}\n{PARTS}"
    )
}

/// All that a process shows to others of its user, but its surroundings and its memory.
fn shown_of(process: u32) -> String {
    ["cmdline", "comm", "status", "limits"]
        .map(|name| std::fs::read_to_string(format!("/proc/{process}/{name}")).unwrap())
        .concat()
}

#[test]
fn a_password_is_never_shown() {
    for (number, password) in ["{ file: secret }", "{ env: SECRET }", SECRET].into_iter().enumerate() {
        let Some(broker) = Broker::start("") else { return };
        let text = text(&broker.url(), password);
        let stand = Stand::with_program(broker, || {
            Program::run_with(&text, |command| {
                let folder = command.get_current_dir().unwrap().to_owned();
                write(&folder, "secret", SECRET, 0o600);
                command.env("HALYARD_LOG", "trace").env("SECRET", SECRET);
            })
        });
        for name in ["config", "health", "read", "reload"] {
            let answer = stand.request(name).to_string();
            assert!(answer.contains("\"ok\"") && !answer.contains(SECRET), "{answer}");
        }
        stand.command("pump", "ON");
        // Wrong now, with the secret in it, in its place and in a wrong one.
        for wrong in [text.replace("board: simulated", "bord: simulated"), text.replace("username", "discovery")] {
            stand.program.write(&wrong);
            let answer = stand.request("reload").to_string();
            assert!(answer.contains("\"error\"") && !answer.contains(SECRET), "{answer}");
        }
        stand.witness.unmark();
        for message in stand.witness.everything() {
            assert!(!message.text().contains(SECRET), "{message:?}");
        }
        assert!(!stand.program.log().contains(SECRET), "{number}");
        let shown = shown_of(stand.program.id());
        assert!(!shown.contains(SECRET), "{shown}");
        // No core after a crash, unless somebody wants one and may.
        let core = shown.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    }
}

#[test]
fn no_command_shows_a_password() {
    let folder = TempDir::new().unwrap();
    let url = format!("mqtt://127.0.0.1:{}", free_port());
    write(folder.path(), "config.yaml", &text(&url, SECRET), 0o644);
    for line in ["check", "check --json", "schema", "doctor", "doctor --json", "call a/pump ON --timeout 300ms", "read"]
    {
        let output = command(&folder).args(line.split(' ')).env("HALYARD_LOG", "trace").output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(!String::from_utf8_lossy(&said).contains(SECRET), "{line}");
    }
    // Where it does not belong, it is not repeated either.
    let output = halyard(&folder, ["call", "a/pump", "ON", "--url", &format!("mqtt://me:{SECRET}@127.0.0.1")]);
    assert!(!output.status.success());
    assert!(!String::from_utf8_lossy(&output.stderr).contains(SECRET));
}

#[test]
fn whoever_can_read_a_secret_is_told() {
    let warning = |password: &str, mode: u32| {
        let text = text(&format!("mqtt://127.0.0.1:{}", free_port()), password);
        let program = Program::run_with(&text, |command| {
            let folder = command.get_current_dir().unwrap().to_owned();
            write(&folder, "secret", SECRET, mode);
            write(&folder, "config.yaml", &text, mode);
        });
        program.logs("no connection to the broker: ");
        let log = program.log();
        log.lines().find(|line| line.contains("every user of this machine can read it")).map(str::to_owned)
    };
    assert_eq!(warning(SECRET, 0o640), None);
    assert!(warning(SECRET, 0o644).unwrap().contains("config.yaml has a secret in it"));
    assert_eq!(warning("{ file: secret }", 0o600), None);
    assert!(warning("{ file: secret }", 0o644).unwrap().contains("secret has a secret in it"));
}

#[test]
fn what_it_keeps_is_for_nobody_else() {
    let parts = "actuators: [ { id: pump, driver: switch, line: GPIO27, initial: restore } ]";
    let Some(stand) = Stand::start(parts) else { return };
    assert_eq!(stand.command("pump", "ON")["status"], "applied");
    let folder = stand.program.file().with_file_name("state").join("halyard");
    let file = folder.join("actuators.json");
    wait_until("its state is kept", || file.exists());
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&file)), (0o700, 0o600));
}

#[test]
fn a_flood_costs_no_memory() {
    let Some(stand) = Stand::start(PARTS) else { return };
    let resident = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", stand.program.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap()
    };
    let flood = |count: u32| {
        stand.witness.mark();
        for number in 0..count {
            let payload = format!("{{\"id\":\"{number}\",\"value\":\"TOGGLE\"}}");
            stand.witness.peer.publish_as(
                &topic("lamp/set"),
                payload.as_bytes(),
                rumqttc::v5::mqttbytes::QoS::AtMostOnce,
            );
        }
        stand.answers();
    };
    flood(2_000);
    let before = resident();
    flood(20_000);
    let after = resident();
    assert!(after < before + 16 * 1024, "{before} KiB, then {after} KiB");
    assert_eq!(stand.command("pump", "ON")["status"], "applied");
}

#[cfg(feature = "broker")]
#[test]
fn the_embedded_broker_wants_its_passwords_from_the_agent_too() {
    let port = free_port();
    let users = "users: [ { name: me, password: { file: secret } } ]";
    let text =
        format!("agent: {{ id: a }}\nboard: simulated\nbroker: {{ listen: \"127.0.0.1:{port}\", {users} }}\n{PARTS}");
    let program = Program::run_with(&text, |command| {
        write(command.get_current_dir().unwrap(), "secret", SECRET, 0o600);
    });
    program.logs(&format!("connected to mqtt://127.0.0.1:{port}"));
    let url = format!("mqtt://127.0.0.1:{port}");
    let folder = TempDir::new().unwrap();
    let call = halyard(&folder, ["call", "a/pump", "ON", "--url", &url]);
    assert_eq!(call.status.code(), Some(69));
    assert!(String::from_utf8_lossy(&call.stderr).contains("Bad User Name or Password"), "{call:?}");
    // With the configuration's login it works.
    let file = program.file().display().to_string();
    let call = halyard(&folder, ["call", "a/pump", "ON", "-c", &file]);
    assert_eq!(call.status.code(), Some(0), "{call:?}");
    assert!(!program.log().contains(SECRET));
}
