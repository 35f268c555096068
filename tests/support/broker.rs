//! A real Mosquitto on a free port of the loopback interface.

use super::wait_until;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// A broker of one's own, which ends with its value.
pub struct Broker {
    port: u16,
    folder: TempDir,
    process: Option<Child>,
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

impl Broker {
    /// Starts a broker that lets everyone in and keeps nothing, with these lines in its configuration besides. It
    /// answers when this returns. `None` when Mosquitto is not installed, which is printed.
    pub fn start(configuration: &str) -> Option<Self> {
        let Some(program) = program() else {
            println!("skipped: mosquitto is not installed");
            return None;
        };
        for _ in 0..5 {
            let mut broker = Self { port: free_port(), folder: TempDir::new().unwrap(), process: None };
            let text = format!("listener {} 127.0.0.1\nallow_anonymous true\n{configuration}\n", broker.port);
            std::fs::write(broker.folder.path().join("mosquitto.conf"), text).unwrap();
            if broker.run(program) {
                return Some(broker);
            } // Somebody else has taken the port.
        }
        panic!("mosquitto does not start");
    }

    /// `127.0.0.1:PORT`
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// `mqtt://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("mqtt://{}", self.address())
    }

    /// Whether it answers.
    pub fn answers(&self) -> bool {
        answers(self.address())
    }

    /// Ends it at once, as a power failure would.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Stops it from answering, as a network that swallows everything would. Connections stay.
    pub fn freeze(&self) {
        let process = self.process.as_ref().expect("a broker that runs");
        // SAFETY: it is a child that nobody has waited for, so its number is its own.
        unsafe { libc::kill(libc::pid_t::try_from(process.id()).unwrap(), libc::SIGSTOP) };
    }

    /// Starts it again on the same port after [`kill`](Self::kill).
    pub fn restart(&mut self) {
        assert!(self.process.is_none(), "it still runs");
        assert!(self.run(program().unwrap()), "mosquitto does not start again");
    }

    /// Whether it came to answer.
    fn run(&mut self, program: &str) -> bool {
        let path = self.folder.path().join("log");
        let log = std::fs::File::create(&path).unwrap();
        // Another broker may answer on the port, which this one then does not get: its own word counts too.
        let runs = || std::fs::read_to_string(&path).unwrap().contains(" running");
        let mut process = Command::new(program)
            .arg("-c")
            .arg(self.folder.path().join("mosquitto.conf"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut ended = false;
        wait_until("mosquitto answers", || {
            ended = process.try_wait().unwrap().is_some();
            ended || (runs() && answers(self.address()))
        });
        if ended {
            return false;
        }
        self.process = Some(process);
        true
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Mosquitto, if it is installed.
pub fn program() -> Option<&'static str> {
    ["/usr/sbin/mosquitto", "/usr/bin/mosquitto", "/usr/local/sbin/mosquitto"]
        .into_iter()
        .find(|program| Path::new(program).exists())
}

/// Whether it answers a CONNECT (MQTT 3.1.1, client "probe", clean session), whatever it says.
fn answers(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<u8> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"\x10\x11\0\x04MQTT\x04\x02\0\x0a\0\x05probe")?;
        let mut first = [0];
        stream.read_exact(&mut first)?;
        // DISCONNECT
        stream.write_all(b"\xe0\0")?;
        Ok(first[0])
    };
    ask().is_ok_and(|first| first == 0x20)
}
