//! All wiring of the running agent: what is started, what is connected to what, and in which order it all ends.
//!
//! ```text
//! bus ─ worker ─ sample ─ filters ─ state ─ reporter ─ outbox ─ client ─ broker
//! broker ─ client ─ command ─ gate ─ worker ─ bus ─ state read back ─ (as above)
//! ```

mod discovery;
mod reload;
mod requests;

use crate::acting::Acting;
use crate::acting::memory::{ACTUATORS_FILE, Memory};
use crate::bus::{Bus, Loads};
use crate::config::{Config, SensorConfig};
use crate::health;
use crate::mqtt::{Client, Event, Inbound, Incoming, Limits, Outbox, Settings, Shortcut, Topics};
use crate::reporter::Reporter;
use crate::sensing::records::SENSORS_FILE;
use crate::sensing::{self, ReadRequest, Records, Surroundings, title};
use crate::store::{Places, Shelf};
use crate::watchdog::{Device, Feeder, Watchdog, tell_systemd};
use anyhow::Context;
use discovery::Discovery;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// Messages from the broker that may wait.
const EVENTS: usize = 1024;
/// How often `B/A/agent` is published when nothing happens.
const HEALTH: Duration = Duration::from_secs(60);
/// How soon after a change it is published: a burst of changes is one message.
const SETTLE: Duration = Duration::from_millis(100);
/// The stop takes at most the sum of these and of the goodbye: 1.7 s. A driver that is inside of the kernel by then may keep the
/// process for as long as its transfer takes, and it is all to be over within 2 s.
const SENSORS_STOP: Duration = Duration::from_millis(350);
const ACTUATORS_STOP: Duration = Duration::from_millis(500);
const FLUSH: Duration = Duration::from_millis(150);
/// What is not written by then is in memory, where the next start finds it.
const STORE: Duration = Duration::from_millis(300);

/// Reads the configuration anew; on a problem, says all of them.
pub type Reader = Box<dyn Fn() -> Result<Config, String> + Send + Sync>;

/// How the agent ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was told to stop.
    Stopped,
    /// It was told to start again.
    Restart,
}

/// What the agent is started with.
pub struct Setup {
    /// The configuration.
    pub config: Config,
    /// For a reload.
    pub reader: Reader,
    /// The hardware.
    pub bus: Arc<dyn Bus>,
    /// How the hardware is called in `B/A/agent`.
    pub board: &'static str,
    /// Where is counted what goes over the buses.
    pub loads: Loads,
    /// Where states of actuators, totals of counters and samples of an outage are kept, if anywhere.
    pub state_directory: Option<PathBuf>,
    /// The machine's watchdog, if it shall watch. It runs already.
    pub hardware_watchdog: Option<Device>,
}

struct Agent {
    config: Config,
    reader: Reader,
    reporter: Reporter,
    acting: Acting,
    client: Client,
    surroundings: Surroundings,
    sensors: BTreeMap<String, Running>,
    running_actuators: BTreeSet<String>,
    discovery: Option<Discovery>,
    restart: bool,
}

/// A sensor's task.
struct Running {
    requests: mpsc::Sender<ReadRequest>,
    cancel: CancellationToken,
    task: JoinHandle<()>,
}

/// Runs until a signal, or a request to restart.
///
/// # Errors
/// When it cannot start. Once it runs, nothing ends it but these.
pub async fn run(mut setup: Setup) -> anyhow::Result<Ended> {
    let news = Arc::new(Notify::new());
    let outbox = match &setup.state_directory {
        Some(folder) => {
            let shelf = Shelf::open(Places::new(folder, &setup.config.agent), setup.config.store);
            Outbox::with_store(Limits::default(), &shelf, Arc::clone(&news))
        }
        None => Outbox::new(Limits::default()),
    };
    let watchdog = Watchdog::default();
    let feeder = Feeder::start(watchdog.clone(), outbox.clone(), setup.hardware_watchdog.take());
    let ended = work(setup, outbox, news, watchdog, &feeder).await;
    // At the very end: whoever stands still before it is found out as well.
    feeder.stop().await;
    ended
}

async fn work(
    setup: Setup,
    outbox: Outbox,
    news: Arc<Notify>,
    watchdog: Watchdog,
    feeder: &Feeder,
) -> anyhow::Result<Ended> {
    let Setup { config, reader, bus, board, loads, state_directory, .. } = setup;
    let topics = Topics::new(&config.base, &config.agent);
    let reporter = Reporter::new(outbox.clone(), topics.clone(), board, loads);
    let _page = config.metrics.map(|listen| health::serve(listen, reporter.clone()));
    let records = Records::load(state_directory.as_ref().map(|folder| folder.join(SENSORS_FILE)));
    let memory = Memory::load(state_directory.map(|folder| folder.join(ACTUATORS_FILE)));
    let mut interrupts = [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?];
    let mut hangup = signal(SignalKind::hangup())?;

    let acting = Acting::start(Arc::clone(&bus), reporter.clone(), &watchdog, memory);
    for actuator in &config.actuators {
        acting.add(actuator.clone());
    }
    let surroundings = Surroundings { bus, reporter: reporter.clone(), watchdog, records };
    let discovery = config.discovery.as_deref().map(|prefix| Discovery::new(prefix, &config, &topics, board));
    let (events_in, mut events) = mpsc::channel(EVENTS);
    let subscriptions = subscriptions(&config).into_iter().collect();
    let will = topics.agent_availability();
    let settings = Settings { probe_topic: Some(topics.response("probe")), ..config.mqtt.clone() };
    let shortcut = commands(topics, config.discovery.clone(), acting.clone());
    let client = Client::start_with(&settings, Some(&will), subscriptions, outbox, events_in, shortcut)
        .context("the MQTT client cannot be set up")?;
    let mut agent = Agent {
        client,
        running_actuators: config.actuators.iter().map(|actuator| actuator.id.clone()).collect(),
        sensors: BTreeMap::new(),
        restart: false,
        config,
        reader,
        reporter,
        acting,
        surroundings,
        discovery,
    };
    for sensor in agent.config.sensors.clone() {
        agent.start_sensor(sensor);
    }
    feeder.ready();
    info!("{}: {} sensors, {} actuators", agent.config.agent, agent.config.sensors.len(), agent.config.actuators.len());
    crate::task::spawn(publish_health(agent.reporter.clone(), news));
    let [terminate, interrupt] = &mut interrupts;
    while !agent.restart {
        tokio::select! {
            Some(event) = events.recv() => agent.event(event).await,
            _ = hangup.recv() => { let _ = agent.reload().await; }
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    let restart = agent.restart;
    agent.stop().await;
    Ok(if restart { Ended::Restart } else { Ended::Stopped })
}

impl Agent {
    fn start_sensor(&mut self, sensor: SensorConfig) {
        let id = sensor.id.clone();
        self.reporter.add(&id, title(&id, sensor.driver.name, &sensor.at), sensor.store);
        let (requests, inbox) = mpsc::channel(8);
        let cancel = CancellationToken::new();
        let task = crate::task::spawn(sensing::run(sensor, self.surroundings.clone(), inbox, cancel.clone()));
        self.sensors.insert(id, Running { requests, cancel, task });
    }

    async fn event(&mut self, event: Event) {
        match event {
            Event::Connected => {
                self.acting.broker(true);
                self.reporter.connected();
                if let Some(discovery) = &self.discovery {
                    discovery.publish(&self.reporter);
                }
            }
            Event::Disconnected { .. } => {
                self.acting.broker(false);
                self.reporter.disconnected();
            }
            Event::Message(message) => self.message(message).await,
        }
    }

    async fn message(&mut self, message: Incoming) {
        let topic = message.topic.clone();
        match self.reporter.topics().clone().parse(&topic, self.config.discovery.as_deref()) {
            Inbound::Request(name) => self.request(name, message).await,
            Inbound::HomeAssistantStatus => {
                if let Some(discovery) = self.discovery.as_ref().filter(|_| message.payload.as_ref() == b"online") {
                    discovery.publish(&self.reporter);
                }
            }
            Inbound::Discovery => {
                if let Some(discovery) = &mut self.discovery {
                    discovery.found(&message, &self.reporter);
                }
            }
            // Commands have gone to their actuators at once.
            Inbound::Set(_) | Inbound::Other => {}
        }
    }

    /// The contract's order: no new commands, workers stop, actuators to `safe`, the outbox is flushed, `offline`.
    async fn stop(mut self) {
        info!("stopping");
        // It has as long as all the rest takes.
        self.reporter.outbox().hurry();
        tell_systemd(sd_notify::NotifyState::Stopping);
        let sensors = std::mem::take(&mut self.sensors);
        sensors.values().for_each(|sensor| sensor.cancel.cancel());
        let workers = async {
            for (id, sensor) in sensors {
                if sensor.task.await.is_err() {
                    error!("{id}: its task panicked");
                }
            }
        };
        let acting = self.acting.clone();
        // Whoever sends a command now is told.
        acting.close();
        let safe = async {
            if timeout(SENSORS_STOP, workers).await.is_err() {
                warn!("a sensor is stuck; it is left behind");
            }
            if timeout(ACTUATORS_STOP, acting.stop()).await.is_err() {
                error!("not all actuators could be made safe in time");
            }
        };
        safe.await;
        self.client.stop(FLUSH).await;
        self.reporter.outbox().close(STORE).await;
    }
}

/// The filters that an agent with this configuration listens to, each with its quality of service.
fn subscriptions(config: &Config) -> BTreeMap<String, u8> {
    let heartbeats = config.actuators.iter().filter_map(|actuator| actuator.rules.heartbeat.as_ref());
    // A broker keeps none of those for an agent that is away: an old one says nothing of now.
    let mut all: BTreeMap<_, _> = heartbeats.map(|heartbeat| (heartbeat.topic.clone(), 0)).collect();
    let own = Topics::new(&config.base, &config.agent).subscriptions(config.discovery.as_deref());
    all.extend(own.into_iter().map(|filter| (filter, 1)));
    all
}

/// Commands go from the thread that receives them to their actuators: every thread on the way takes its time to wake up. So do
/// heartbeats, which are nobody else's but where their topic has another meaning as well.
fn commands(topics: Topics, discovery: Option<String>, acting: Acting) -> Shortcut {
    Box::new(move |message| {
        let topic = message.topic.clone();
        match topics.parse(&topic, discovery.as_deref()) {
            Inbound::Set(actuator) => {
                acting.command(actuator, message);
                None
            }
            inbound => {
                acting.heartbeat(&topic, message.retained);
                (inbound != Inbound::Other).then_some(message)
            }
        }
    })
}

/// Publishes `B/A/agent` at the start, after each change, and now and then.
async fn publish_health(reporter: Reporter, news: Arc<Notify>) {
    let mut rounds = tokio::time::interval(HEALTH);
    let mut told = String::new();
    loop {
        tokio::select! {
            _ = rounds.tick() => {}
            () = reporter.changed() => tokio::time::sleep(SETTLE).await,
            () = news.notified() => {}
        }
        reporter.publish_health();
        let summary = reporter.health().summary();
        if summary != told {
            tell_systemd(sd_notify::NotifyState::Status(&summary));
            told = summary;
        }
    }
}
