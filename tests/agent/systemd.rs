//! What systemd hears.

use super::stand::{PARTS, configuration};
use crate::support::LIMIT;
use crate::support::broker::free_port;
use crate::support::program::{Program, command, journal};
use std::os::unix::net::UnixDatagram;
use std::process::Stdio;
use tempfile::TempDir;

#[test]
fn systemd_is_told_that_it_runs_goes_on_and_stops() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    let hear = || {
        let mut buffer = [0; 1024];
        let count = socket.recv(&mut buffer).expect("a word");
        String::from_utf8_lossy(&buffer[..count]).trim().to_owned()
    };
    // A broker that is away is no reason to wait.
    let text = configuration(&format!("mqtt://127.0.0.1:{}", free_port()), PARTS);
    let mut program = Program::run_with(&text, |command| {
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "150000");
    });
    assert_eq!(hear(), "READY=1");
    let mut heard: Vec<_> = std::iter::repeat_with(hear).take(6).collect();
    assert!(heard.contains(&"STATUS=no connection to a broker, no entity in trouble".to_owned()), "{heard:?}");
    heard.retain(|word| !word.starts_with("STATUS="));
    assert!(heard.len() > 3 && heard.iter().all(|word| word == "WATCHDOG=1"), "{heard:?}");
    program.signal(libc::SIGTERM);
    let next = std::iter::repeat_with(hear).find(|word| !word.starts_with("STATUS=") && word != "WATCHDOG=1");
    assert_eq!(next.as_deref(), Some("STOPPING=1"));
    assert!(program.exit().success());
}

#[test]
fn the_journal_gets_its_levels() {
    let text = configuration(&format!("mqtt://127.0.0.1:{}", free_port()), PARTS);
    let mut program = Program::run_with(&text, |command| {
        command.env("JOURNAL_STREAM", "this").env("HALYARD_LOG", "info");
    });
    program.logs("no connection to the broker: ");
    // What is wrong with a file is more than a line.
    program.write(&text.replacen("driver:", "drivr:", 1));
    program.signal(libc::SIGHUP);
    program.logs("missing key `driver`");
    program.signal(libc::SIGTERM);
    assert!(program.exit().success());
    let log = program.log();
    assert!(log.lines().any(|line| line.starts_with("<3>") && line.contains("missing key `driver`")), "{log}");
    assert!(log.lines().any(|line| line == "<6>a: 2 sensors, 3 actuators"), "{log}");
    assert!(log.lines().any(|line| line.starts_with("<4>no connection to the broker: ")), "{log}");
    assert!(log.lines().all(|line| line.starts_with('<')), "{log}");
}

/// Whatever ends a command is an error there, a line for each line; and what does not go to the journal has no levels.
#[test]
fn the_journal_gets_what_ends_a_command() {
    let folder = TempDir::new().unwrap();
    let wrong = configuration("mqtt://127.0.0.1", PARTS).replace("driver:", "drivr:");
    std::fs::write(folder.path().join("config.yaml"), wrong).unwrap();
    let log = folder.path().join("log");
    let run = |arguments: &[&str], elsewhere: &str| {
        let file = std::fs::File::create(&log).unwrap();
        let mut command = command(&folder);
        command.args(arguments).env("JOURNAL_STREAM", journal(&file) + elsewhere).stdin(Stdio::null()).stderr(file);
        assert!(!command.output().unwrap().status.success());
        std::fs::read_to_string(&log).unwrap()
    };
    let commands: [&[&str]; 3] = [&["run"], &["check"], &["read", "-c", "nowhere.yaml"]];
    for arguments in commands {
        let plain = run(arguments, "0");
        assert!(!plain.starts_with('<'), "{plain}");
        let expected: Vec<_> = plain.lines().map(|line| format!("<3>{line}")).collect();
        assert_eq!(run(arguments, "").lines().collect::<Vec<_>>(), expected);
    }
}
