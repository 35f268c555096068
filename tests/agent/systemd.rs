//! What systemd hears.

use super::stand::{PARTS, configuration};
use crate::support::LIMIT;
use crate::support::broker::free_port;
use crate::support::program::Program;
use std::os::unix::net::UnixDatagram;
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
    for _ in 0..5 {
        assert_eq!(hear(), "WATCHDOG=1");
    }
    program.signal(libc::SIGTERM);
    let next = std::iter::repeat_with(hear).find(|word| word != "WATCHDOG=1");
    assert_eq!(next.as_deref(), Some("STOPPING=1"));
    assert!(program.exit().success());
}

#[test]
fn the_journal_gets_its_levels() {
    let text = configuration(&format!("mqtt://127.0.0.1:{}", free_port()), PARTS);
    let mut program = Program::run_with(&text, |command| {
        command.env("JOURNAL_STREAM", "8:1234").env("HALYARD_LOG", "info");
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
