//! What a running agent lives in: a configuration, a broker, and somebody who listens.
#![allow(clippy::unwrap_used, clippy::expect_used)] // helpers of tests

use super::lab::wait_until;
use super::support::broker::Broker;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::Packet;
use rumqttc::v5::{Client, Event, MqttOptions};
use serde_json::Value as Json;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

/// A broker, and the folder with the agent's files.
pub struct World {
    pub broker: Broker,
    folder: TempDir,
    /// Where the agent keeps what it keeps on disk.
    state: PathBuf,
    url: String,
}

impl World {
    /// With this configuration of sensors and actuators.
    pub fn new(parts: &str) -> Self {
        let broker = Broker::start("max_queued_messages 0").expect("looked for before the guest was started");
        let url = broker.url();
        let folder = tempfile::tempdir().unwrap();
        let world = Self { broker, state: folder.path().to_owned(), folder, url };
        world.configure(parts);
        world
    }

    /// Lets the agent keep what it keeps elsewhere.
    pub fn keep_in(&mut self, folder: &Path) {
        self.state = folder.to_owned();
    }

    /// Lets the agent reach the broker by another way.
    pub fn reach_by(&mut self, url: String) {
        self.url = url;
    }

    /// Writes another configuration.
    pub fn configure(&self, parts: &str) {
        self.write("", parts);
    }

    /// The same, with more keys of the agent.
    pub fn configure_agent(&self, keys: &str, parts: &str) {
        self.write(&format!(", {keys}"), parts);
    }

    fn write(&self, keys: &str, parts: &str) {
        let text = format!("agent: {{ id: lab{keys} }}\nmqtt: {{ url: {:?}, discovery: false }}\n{parts}\n", self.url);
        std::fs::write(self.config(), text).unwrap();
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("config.yaml")
    }

    /// The command `halyard`, with the configuration where it takes one.
    fn command(&self, call: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_halyard"));
        command.arg(call).arg("-c").arg(self.config()).args(arguments);
        command.env("STATE_DIRECTORY", &self.state).env("RUNTIME_DIRECTORY", self.folder.path());
        command
    }

    /// What the agent keeps of an outage, as it is in its files.
    pub fn kept(&self) -> String {
        fn all(folder: &Path, to: &mut String) {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                if entry.path().is_dir() {
                    all(&entry.path(), to);
                } else {
                    *to += &String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap_or_default());
                }
            }
        }
        let mut kept = String::new();
        for entry in std::fs::read_dir(self.folder.path()).unwrap().flatten() {
            if entry.file_name().to_string_lossy().starts_with("outbox") {
                all(&entry.path(), &mut kept);
            }
        }
        kept
    }

    /// Runs `halyard CALL` to its end: exit code, stdout, stderr.
    pub fn halyard(&self, call: &str, arguments: &[&str]) -> (i32, String, String) {
        ended(self.command(call, arguments).output().unwrap())
    }

    /// The same as a user who may not do anything.
    pub fn halyard_as_nobody(&self, call: &str, arguments: &[&str]) -> (i32, String, String) {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(self.folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        ended(self.command(call, arguments).uid(65_534).gid(65_534).output().unwrap())
    }

    /// Starts the agent, and waits until it is online and has said what it says to a new broker.
    pub fn start(&self, listener: &Listener) -> Agent {
        let from = listener.mark();
        let agent = self.start_alone();
        listener.connection(from);
        agent
    }

    /// Starts the agent, and waits for nothing.
    pub fn start_alone(&self) -> Agent {
        let log = self.folder.path().join("log");
        let file = std::fs::File::create(&log).unwrap();
        let process = self.command("run", &[]).stdin(Stdio::null()).stderr(file).spawn().unwrap();
        Agent { process, log }
    }

    pub fn listen(&self) -> Listener {
        Listener::connect(self.broker.address())
    }
}

fn ended(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().expect("not killed"), text(output.stdout), text(output.stderr))
}

/// `halyard run`
pub struct Agent {
    process: Child,
    log: PathBuf,
}

impl Agent {
    pub fn signal(&self, signal: i32) {
        let id = i32::try_from(self.process.id()).unwrap();
        // SAFETY: no memory is involved; the process is a child that nobody has waited for.
        assert_eq!(unsafe { libc::kill(id, signal) }, 0);
    }

    pub fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("end of the agent", || {
            status = self.process.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("the agent's log:\n{}", self.log());
        }
    }
}

/// What was heard, without `halyard/lab/` in front of the topic.
#[derive(Clone, Debug)]
pub struct Message {
    pub topic: String,
    pub payload: String,
    pub retained: bool,
}

impl Message {
    pub fn json(&self) -> Json {
        serde_json::from_str(&self.payload).unwrap()
    }
}

/// A client that hears everything that the agent says, in order.
pub struct Listener {
    client: Client,
    heard: Arc<Mutex<Vec<Message>>>,
}

impl Listener {
    /// Hears everything from now on when this returns.
    fn connect(broker: SocketAddr) -> Self {
        let name = format!("listener{}", fastrand::u64(..));
        let mut options = MqttOptions::new(name, broker.ip().to_string(), broker.port());
        options.set_keep_alive(Duration::from_secs(600));
        let (client, mut connection) = Client::new(options, 1000);
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (ears, subscribed) = (heard.clone(), Arc::new(Mutex::new(false)));
        let agreed = subscribed.clone();
        std::thread::spawn(move || {
            // It ends with the broker.
            while let Some(Ok(event)) = connection.iter().next() {
                match event {
                    Event::Incoming(Packet::Publish(publish)) => {
                        let topic = String::from_utf8(publish.topic.to_vec()).unwrap();
                        let topic = topic.strip_prefix("halyard/lab/").unwrap().to_owned();
                        let payload = String::from_utf8(publish.payload.to_vec()).unwrap();
                        ears.lock().unwrap().push(Message { topic, payload, retained: publish.retain });
                    }
                    Event::Incoming(Packet::SubAck(_)) => *agreed.lock().unwrap() = true,
                    _ => (),
                }
            }
        });
        client.subscribe("halyard/lab/#", QoS::AtLeastOnce).unwrap();
        wait_until("subscription", || *subscribed.lock().unwrap());
        Self { client, heard }
    }

    /// Where [`next`](Self::next) can begin to look: after all that was heard so far.
    pub fn mark(&self) -> usize {
        self.heard.lock().unwrap().len()
    }

    /// All messages since `from` on this topic.
    pub fn on(&self, from: usize, topic: &str) -> Vec<Message> {
        self.since(from).into_iter().filter(|message| message.topic == topic).collect()
    }

    /// All messages since `from`.
    pub fn since(&self, from: usize) -> Vec<Message> {
        self.heard.lock().unwrap()[from..].to_vec()
    }

    /// Waits until the agent has connected, and has repeated what the broker may have forgotten.
    #[track_caller]
    pub fn connection(&self, from: usize) {
        self.next(from, "availability", "online");
        // It says so before it listens, so the first requests may be lost. What is answered after the first answer comes
        // after all that is told to a new broker.
        let mut tries = 0;
        wait_until("answer", || {
            if tries % 20 == 0 {
                self.publish("agent/request/health", "");
            }
            tries += 1;
            !self.on(from, "agent/response/health").is_empty()
        });
        let from = self.mark();
        self.publish("agent/request/config", "");
        self.find(from, "agent/response/config", |_| true);
    }

    /// Waits for a message on this topic with this payload.
    #[track_caller]
    pub fn next(&self, from: usize, topic: &str, payload: &str) -> Message {
        self.find(from, topic, |message| message.payload == payload)
    }

    /// Waits for a message on this topic.
    #[track_caller]
    pub fn find(&self, from: usize, topic: &str, condition: impl Fn(&Message) -> bool) -> Message {
        let mut found = None;
        // Each is looked at once.
        let mut at = from;
        wait_until(&format!("such message on {topic}"), || {
            let heard = self.heard.lock().unwrap();
            found = heard[at..].iter().find(|message| message.topic == topic && condition(message)).cloned();
            at = heard.len();
            found.is_some()
        });
        found.unwrap()
    }

    /// Waits for a state with this value.
    #[track_caller]
    pub fn state(&self, from: usize, entity: &str, state: &str) -> Json {
        self.find(from, entity, |message| message.json()["state"] == state).json()
    }

    /// Waits for a measurement of about this value.
    #[track_caller]
    pub fn about(&self, from: usize, entity: &str, channel: &str, value: f64, tolerance: f64) -> Json {
        let near = |json: &Json| json[channel].as_f64().is_some_and(|found| (found - value).abs() <= tolerance);
        self.find(from, entity, |message| near(&message.json())).json()
    }

    /// Waits until the agent names a problem of this kind with this entity.
    #[track_caller]
    pub fn problem(&self, from: usize, entity: &str, kind: &str) {
        self.find(from, "agent", |message| message.json()["problems"][entity]["kind"] == kind);
    }

    pub fn publish(&self, topic: &str, payload: &str) {
        self.client.publish(format!("halyard/lab/{topic}"), QoS::AtLeastOnce, false, payload.to_owned()).unwrap();
    }

    /// Sends a command and waits for its result.
    #[track_caller]
    pub fn command(&self, actuator: &str, payload: &str) -> Json {
        let from = self.mark();
        self.publish(&format!("{actuator}/set"), payload);
        self.find(from, &format!("{actuator}/result"), |_| true).json()
    }

    /// Sends a command that has to be applied.
    #[track_caller]
    pub fn apply(&self, actuator: &str, payload: &str) {
        let result = self.command(actuator, payload);
        assert_eq!(result["status"], "applied", "{actuator} {payload}: {result}");
    }
}
