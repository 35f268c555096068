//! The table on a real terminal (a pseudo terminal), and lines elsewhere.

use crate::support::broker::Broker;
use crate::support::peer::Peer;
use crate::support::program::command;
use crate::support::wait_until;
use crate::support::witness::retained;
use serde_json::Value as Json;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// `halyard watch` and what it has written so far.
struct Watch {
    process: Child,
    written: Arc<Mutex<Vec<u8>>>,
    /// The keyboard of its terminal.
    keys: Option<File>,
    _folder: TempDir,
}

impl Watch {
    fn command(broker: &Broker, arguments: &[&str]) -> (Command, TempDir) {
        let folder = TempDir::new().unwrap();
        let mut command = command(&folder);
        command.env_remove("HALYARD_LOG").args(["watch", "--url", &broker.url()]).args(arguments);
        (command, folder)
    }

    /// Into a pipe.
    fn piped(broker: &Broker, arguments: &[&str]) -> Self {
        let (mut command, _folder) = Self::command(broker, arguments);
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let written = read(process.stdout.take().unwrap());
        Self { process, written, keys: None, _folder }
    }

    /// On a terminal of 100 columns and 12 lines, as a shell would start it.
    fn on_a_terminal(broker: &Broker) -> Self {
        let (mut command, _folder) = Self::command(broker, &[]);
        let size = libc::winsize { ws_row: 12, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
        let (mut ours, mut its) = (0, 0);
        // SAFETY: both ends are written to integers of ours, and the size is read only.
        let result = unsafe {
            libc::openpty(&raw mut ours, &raw mut its, std::ptr::null_mut(), std::ptr::null(), &raw const size)
        };
        assert_eq!(result, 0);
        // SAFETY: the descriptors are new, and nobody else's.
        let (ours, its) = unsafe { (OwnedFd::from_raw_fd(ours), OwnedFd::from_raw_fd(its)) };
        command.stdin(its.try_clone().unwrap()).stdout(its.try_clone().unwrap()).stderr(its);
        // SAFETY: setsid and ioctl may be called between fork and exec.
        unsafe {
            command.pre_exec(|| {
                libc::setsid();
                libc::ioctl(0, libc::TIOCSCTTY as _, 0);
                Ok(())
            });
        }
        let process = command.spawn().unwrap();
        // Our copies of its end go with the command, so that reading ends with the process.
        drop(command);
        let keys = File::from(ours);
        let written = read(keys.try_clone().unwrap());
        Self { process, written, keys: Some(keys), _folder }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.written.lock().unwrap()).into_owned()
    }

    #[track_caller]
    fn shows(&self, text: &str) {
        wait_until(&format!("{text:?} is shown"), || self.text().contains(text));
    }

    fn signal(&self, signal: i32) {
        let process = libc::pid_t::try_from(self.process.id()).unwrap();
        // SAFETY: the process is a child that nobody has waited for.
        assert_eq!(unsafe { libc::kill(process, signal) }, 0);
    }

    fn exit(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("it ends", || {
            status = self.process.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn read(mut from: impl Read + Send + 'static) -> Arc<Mutex<Vec<u8>>> {
    let written = Arc::new(Mutex::new(Vec::new()));
    let of_thread = written.clone();
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        // A terminal whose other end has gone gives an error.
        while let Ok(length @ 1..) = from.read(&mut bytes) {
            of_thread.lock().unwrap().extend_from_slice(&bytes[..length]);
        }
    });
    written
}

const CLOSE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";

/// Everything that a terminal acts on is what `watch` itself has to say.
fn without_own_sequences(text: &str) -> String {
    let own = ["\x1b[?1049h", "\x1b[?25l", "\x1b[?7l", "\x1b[2J", "\x1b[?7h", "\x1b[?25h", "\x1b[?1049l"];
    own.iter()
        .chain(&["\x1b[H", "\x1b[K", "\x1b[J", "\r", "\n"])
        .fold(text.to_owned(), |text, own| text.replace(own, ""))
}

#[test]
fn a_live_table_that_leaves_the_terminal_as_it_was() {
    let Some(mut broker) = Broker::start("") else { return };
    let peer = Peer::connect(broker.address(), "agent");
    peer.publish("halyard/shed/availability", "online", true);
    peer.publish("halyard/shed/climate", r#"{"time":"2026-11-22T10:00:00.000Z","temperature":21.53}"#, true);
    let mut watch = Watch::on_a_terminal(&broker);
    watch.shows("temperature 21.53");
    watch.shows("shed       online");
    let hostile = serde_json::json!({ "state": "\x1b]0;title\x07\x1b[31m\u{9b}2J" }).to_string();
    peer.publish("halyard/shed/door", &hostile, false);
    peer.publish("halyard/shed/plain", "\x1b[5mblink\x1b[0m\x07", false);
    watch.shows("\\u{1b}]0;title\\u{7}\\u{1b}[31m\\u{9b}2J");
    watch.shows("\\u{1b}[5mblink");
    peer.publish("halyard/shed/climate", r#"{"temperature":22.75}"#, true);
    watch.shows("temperature 22.75");

    // A broker that goes and comes back.
    broker.kill();
    watch.shows("no connection: ");
    broker.restart();
    let peer = Peer::connect(broker.address(), "agent");
    wait_until("it listens again", || {
        peer.publish("halyard/shed/climate", r#"{"temperature":23.25}"#, false);
        watch.text().contains("temperature 23.25")
    });

    watch.keys.as_mut().unwrap().write_all(b"\x03").unwrap();
    assert_eq!(watch.exit().code(), Some(0));
    watch.shows(CLOSE);
    let text = watch.text();
    assert!(text.starts_with("\x1b[?1049h"), "{text:?}");
    // The key itself may be echoed.
    let rest = without_own_sequences(&text.replace("^C", ""));
    assert!(!rest.contains(char::is_control), "{rest:?}");
}

#[test]
fn a_signal_restores_the_terminal_as_well() {
    let Some(broker) = Broker::start("") else { return };
    for signal in [libc::SIGTERM, libc::SIGHUP] {
        let mut watch = Watch::on_a_terminal(&broker);
        watch.shows("0 agents");
        watch.signal(signal);
        assert_eq!(watch.exit().code(), Some(0));
        watch.shows(CLOSE);
    }
}

#[test]
fn a_line_for_each_change_where_there_is_no_terminal() {
    let Some(broker) = Broker::start("") else { return };
    let peer = Peer::connect(broker.address(), "agent");
    peer.publish("halyard/shed/availability", "online", true);
    peer.publish("halyard/barn/availability", "online", true);
    let mut watch = Watch::piped(&broker, &["shed"]);
    watch.shows("shed online\n");
    peer.publish("halyard/barn/pump", r#"{"state":"ON"}"#, false);
    peer.publish("halyard/shed/pump", "{\"state\":\"ON\u{9b}\"}", false);
    watch.shows("shed/pump ON\\u{9b}\n");
    peer.publish("halyard/shed/availability", "online", true);
    peer.publish("halyard/shed/availability", "offline", true);
    watch.shows("shed offline\n");
    let text = watch.text();
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(!text.contains("barn"), "{text}");
    watch.signal(libc::SIGINT);
    assert_eq!(watch.exit().code(), Some(0));
}

#[test]
fn a_line_of_json_for_each_message() {
    let Some(broker) = Broker::start("") else { return };
    let peer = Peer::connect(broker.address(), "agent");
    peer.publish("halyard/shed/pump", r#"{"state":"OFF"}"#, true);
    wait_until("it is retained", || retained(&broker).contains_key("halyard/shed/pump"));
    let watch = Watch::piped(&broker, &["--json"]);
    watch.shows("\"OFF\"");
    peer.publish("halyard/shed/pump/availability", "online", false);
    peer.publish("halyard/shed/pump", "\u{9b}\u{202e}not JSON", false);
    watch.shows("not JSON");
    let text = watch.text();
    assert!(text.is_ascii(), "{text:?}");
    let lines: Vec<Json> =
        BufReader::new(text.as_bytes()).lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    let kinds: Vec<_> = lines.iter().map(|line| line["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["state", "availability", "state"]);
    assert_eq!((&lines[0]["payload"]["state"], &lines[0]["retained"]), (&"OFF".into(), &true.into()));
    assert_eq!(lines[1]["payload"], "online");
    assert_eq!(lines[2]["payload"], "\u{9b}\u{202e}not JSON");
    assert_eq!((&lines[2]["agent"], &lines[2]["entity"]), (&"shed".into(), &"pump".into()));
}

#[test]
fn no_broker_from_the_beginning_is_said_and_not_waited_for() {
    let folder = TempDir::new().unwrap();
    let url = format!("mqtt://127.0.0.1:{}", crate::support::broker::free_port());
    let output = command(&folder).args(["watch", "--url", &url]).stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(69), "{output:?}");
    let output = command(&folder).args(["watch", "--url", &url, "No Agent"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}
