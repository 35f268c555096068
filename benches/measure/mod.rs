//! What the benchmarks share: a client that costs next to nothing, the agent as a process, figures.
//!
//! Each benchmark uses a part of it, so unused items are no news.
#![allow(dead_code)]

pub mod sensor;

use crate::support::LIMIT;
use crate::support::wire::{self, Publish, kind};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// Packet type (MQTT 3.1.1, 2.2.1), which the tests never read.
const SUBACK: u8 = 9;

/// A client of one thread on a bare socket: what it adds to a measurement is two system calls. MQTT 3.1.1, QoS 0.
pub struct Probe {
    stream: TcpStream,
    pending: Vec<u8>,
    buffer: Vec<u8>,
}

impl Probe {
    /// Connects, and listens to these filters.
    pub fn connect(broker: SocketAddr, id: &str, filters: &[&str]) -> Self {
        let stream = TcpStream::connect(broker).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let mut probe = Self { stream, pending: Vec::new(), buffer: vec![0; 65536] };
        let mut connect = b"\0\x04MQTT\x04\x02\0\0".to_vec(); // clean session, no keep alive
        text(&mut connect, id);
        probe.send(kind::CONNECT << 4, &connect);
        probe.expect(kind::CONNACK);
        for filter in filters {
            let mut subscribe = vec![0, 1];
            text(&mut subscribe, filter);
            subscribe.push(0);
            probe.send(kind::SUBSCRIBE << 4 | 2, &subscribe);
            probe.expect(SUBACK);
        }
        probe
    }

    /// Publishes with QoS 0.
    pub fn publish(&mut self, topic: &str, payload: &str) {
        let mut body = Vec::with_capacity(topic.len() + payload.len() + 2);
        text(&mut body, topic);
        body.extend_from_slice(payload.as_bytes());
        self.send(kind::PUBLISH << 4, &body);
    }

    /// The next message.
    pub fn next(&mut self) -> Publish {
        self.try_next().expect("a message in time")
    }

    /// The next message, if it comes in time.
    pub fn try_next(&mut self) -> Option<Publish> {
        self.packet().map(|packet| packet.publish(4).unwrap())
    }

    /// How long messages are waited for, 30 s at first.
    pub fn set_patience(&mut self, limit: Duration) {
        self.stream.set_read_timeout(Some(limit)).unwrap();
    }

    fn send(&mut self, head: u8, body: &[u8]) {
        let mut packet = vec![head];
        let mut length = body.len();
        while length > 127 {
            packet.push(u8::try_from(length & 127).unwrap() | 128);
            length >>= 7;
        }
        packet.push(u8::try_from(length).unwrap());
        packet.extend_from_slice(body);
        self.stream.write_all(&packet).unwrap();
    }

    fn expect(&mut self, kind: u8) {
        assert_eq!(self.packet().map(|packet| packet.kind()), Some(kind));
    }

    fn packet(&mut self) -> Option<wire::Packet> {
        loop {
            if let Some(packet) = wire::next(&mut self.pending).unwrap() {
                return Some(packet);
            }
            let count = match self.stream.read(&mut self.buffer) {
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return None,
                count => count.unwrap(),
            };
            assert!(count > 0, "the broker has closed the connection");
            self.pending.extend_from_slice(&self.buffer[..count]);
        }
    }
}

fn text(to: &mut Vec<u8>, text: &str) {
    to.extend_from_slice(&u16::try_from(text.len()).unwrap().to_be_bytes());
    to.extend_from_slice(text.as_bytes());
}

/// The path of the agent as it is released.
pub const HALYARD: &str = env!("CARGO_BIN_EXE_halyard");

/// A process that is ended with its value.
pub struct Process {
    child: Child,
    // Its files.
    folder: TempDir,
}

impl Process {
    /// `halyard run --simulate` with this configuration.
    pub fn halyard(configuration: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("config.yaml");
        std::fs::write(&file, configuration).unwrap();
        let mut command = Command::new(HALYARD);
        command.args(["run", "--simulate", "-c"]).arg(file);
        Self::start(command, folder)
    }

    /// This benchmark itself, with other arguments.
    pub fn itself(arguments: &[&str]) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(arguments);
        Self::start(command, TempDir::new().unwrap())
    }

    fn start(mut command: Command, folder: TempDir) -> Self {
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        command.env("STATE_DIRECTORY", folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Self { child: command.spawn().unwrap(), folder }
    }

    /// Its memory in RAM (VmRSS), in KiB.
    pub fn resident_kib(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// Its threads.
    pub fn threads(&self) -> u64 {
        self.status("Threads:")
    }

    /// Its open files.
    pub fn files(&self) -> u64 {
        std::fs::read_dir(self.proc("fd")).unwrap().count() as u64
    }

    /// A number of proc_pid_status(5).
    fn status(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(self.proc("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// What of it is its own and what of it is files, which processes share, in words.
    pub fn memory_by_kind(&self) -> String {
        let status = std::fs::read_to_string(self.proc("status")).unwrap();
        let lines = status.lines().filter(|line| line.starts_with("RssAnon") || line.starts_with("RssFile"));
        lines.map(|line| line.split_ascii_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join(", ")
    }

    /// Its time on a processor, user and system together, of all of its threads that live.
    pub fn processor_time(&self) -> Duration {
        // proc(5): utime and stime are fields 14 and 15, counted after the name in parentheses, which is field 2.
        let stat = std::fs::read_to_string(self.proc("stat")).unwrap();
        let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().collect();
        let ticks = fields[11].parse::<u32>().unwrap() + fields[12].parse::<u32>().unwrap();
        Duration::from_secs(1) * ticks / 100 // USER_HZ is 100 on every Linux of today
    }

    fn proc(&self, file: &str) -> std::path::PathBuf {
        Path::new("/proc").join(self.child.id().to_string()).join(file)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            eprintln!("its log:\n{log}");
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The value below which this share of the measurements is.
pub fn quantile(sorted: &[Duration], share: f64) -> Duration {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)] // an index
    let index = ((sorted.len() - 1) as f64 * share).round() as usize;
    sorted[index]
}

/// The machine and what else it does.
pub fn machine() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown processor");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} cores, {}; {}", model.trim_start_matches([' ', '\t', ':']), load())
}

/// The load averages, which say how much of a measurement is others' work.
pub fn load() -> String {
    let loads = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!("load averages {}", loads.split(' ').take(3).collect::<Vec<_>>().join(" "))
}
