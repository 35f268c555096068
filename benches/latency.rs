//! From a command to its result, one at a time, through a real broker: the agent against the least that can answer.
//!
//! `cargo bench --bench latency`

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a measurement that cannot be made ends with a message

mod measure;
#[path = "../tests/support/mod.rs"]
mod support;

use measure::{Probe, Process, load, machine, quantile};
use paho_mqtt::{AsyncClient, ConnectOptionsBuilder, CreateOptionsBuilder, MQTT_VERSION_5, Message};
use std::time::{Duration, Instant};
use support::broker::Broker;

const ROUNDS: usize = 5;
/// Commands to each contestant in a round.
const COMMANDS: usize = 2000;
/// Commands to one contestant before it is the next one's turn: what else the machine does hits all of them alike.
const TURN: usize = 100;

fn main() {
    let arguments: Vec<_> = std::env::args().collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[1..] {
        ["paho", name, qos, url] => paho(name, qos.parse().unwrap(), url),
        ["rumqttc", name, url] => rumqttc(name, url),
        _ => compare(),
    }
}

struct Contestant {
    name: &'static str,
    set: String,
    probe: Probe,
    _process: Process,
    latencies: Vec<Duration>,
}

fn compare() {
    for (title, configuration) in
        [("Mosquitto as it comes", ""), ("Mosquitto with set_tcp_nodelay", "set_tcp_nodelay true")]
    {
        let Some(broker) = Broker::start(configuration) else { return };
        println!("{title}; {}", machine());
        contest(&broker);
    }
}

fn contest(broker: &Broker) {
    let url = broker.url();
    let halyard = format!(
        "agent: {{ id: bench }}\nmqtt: {{ url: {url}, base: latency }}\n\
         actuators: [ {{ id: pump, driver: switch, line: GPIO27 }} ]\n"
    );
    let contestant = |name, at: &str, process: Process| {
        let probe = Probe::connect(broker.address(), name, &[&format!("latency/{at}/result")]);
        let mut contestant =
            Contestant { name, set: format!("latency/{at}/set"), probe, _process: process, latencies: Vec::new() };
        contestant.warm_up();
        contestant
    };
    let bare = url.replace("mqtt://", "tcp://");
    let mut contestants = [
        contestant("paho, QoS 0", "paho0/pump", Process::itself(&["paho", "paho0", "0", &bare])),
        contestant("halyard", "bench/pump", Process::halyard(&halyard)),
        contestant("paho, QoS 1", "paho1/pump", Process::itself(&["paho", "paho1", "1", &bare])),
        contestant("rumqttc, QoS 0", "rumqttc/pump", Process::itself(&["rumqttc", "rumqttc", &url])),
    ];
    println!("{:>5}  {:<16}{:>9}{:>9}{:>9} µs", "round", "", "min", "median", "p99");
    let mut medians = Vec::new();
    for round in 1..=ROUNDS {
        for _ in 0..COMMANDS / TURN {
            contestants.iter_mut().for_each(Contestant::turn);
        }
        let from = (round - 1) * COMMANDS;
        let rows: Vec<_> = contestants.iter().map(|contestant| contestant.row(&contestant.latencies[from..])).collect();
        for (contestant, row) in contestants.iter().zip(&rows) {
            println!("{round:>5}  {:<16}{}", contestant.name, figures(*row));
        }
        medians.push(ratio(rows[1][1], rows[0][1]));
    }
    let rows: Vec<_> = contestants.iter().map(|contestant| contestant.row(&contestant.latencies)).collect();
    for (contestant, row) in contestants.iter().zip(&rows) {
        println!("{:>5}  {:<16}{}", "all", contestant.name, figures(*row));
    }
    println!(
        "halyard / paho QoS 0: median {:.2} (rounds {}), p99 {:.2}; {}\n",
        ratio(rows[1][1], rows[0][1]),
        medians.iter().map(|ratio| format!("{ratio:.2}")).collect::<Vec<_>>().join(" "),
        ratio(rows[1][2], rows[0][2]),
        load(),
    );
}

impl Contestant {
    /// Asks until it answers, and then a bit more.
    fn warm_up(&mut self) {
        self.probe.set_patience(Duration::from_millis(100));
        let end = Instant::now() + support::LIMIT;
        loop {
            assert!(Instant::now() < end, "{} does not answer", self.name);
            self.probe.publish(&self.set, "OFF");
            if self.probe.try_next().is_some() {
                break;
            }
        }
        while self.probe.try_next().is_some() {}
        self.probe.set_patience(support::LIMIT);
        self.turn();
        self.turn();
        self.latencies.clear();
    }

    fn turn(&mut self) {
        for command in 0..TURN {
            let value = if command % 2 == 0 { "ON" } else { "OFF" };
            let start = Instant::now();
            self.probe.publish(&self.set, value);
            let result = self.probe.next();
            self.latencies.push(start.elapsed());
            let payload = String::from_utf8(result.payload).unwrap();
            assert!(payload == value || payload.contains("\"applied\""), "{}: {payload}", self.name);
        }
        // What follows an answer, a state for one, is not the next one's burden.
        std::thread::sleep(Duration::from_millis(2));
    }

    /// Least, median, 99th percentile.
    fn row(&self, latencies: &[Duration]) -> [Duration; 3] {
        let mut sorted = latencies.to_vec();
        sorted.sort();
        [0.0, 0.5, 0.99].map(|share| quantile(&sorted, share))
    }
}

fn figures(row: [Duration; 3]) -> String {
    row.map(|time| format!("{:>9}", time.as_micros())).concat()
}

fn ratio(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64()
}

/// The least that can answer: the message callback sends back what it got.
fn paho(name: &str, qos: i32, url: &str) {
    assert!(halyard::mqtt::paho_fix::in_force());
    let client = AsyncClient::new(
        CreateOptionsBuilder::new().server_uri(url).client_id(name).mqtt_version(MQTT_VERSION_5).finalize(),
    )
    .unwrap();
    let answer = format!("latency/{name}/pump/result");
    client.set_message_callback(move |client, message| {
        if let Some(message) = message {
            drop(client.publish(Message::new(&answer, message.payload(), qos)));
        }
    });
    client.connect(ConnectOptionsBuilder::new_v5().clean_start(true).finalize()).wait().unwrap();
    client.subscribe(format!("latency/{name}/pump/set"), 1).wait().unwrap();
    loop {
        std::thread::park();
    }
}

/// The same with a client in Rust only.
fn rumqttc(name: &str, url: &str) {
    use rumqttc::v5::mqttbytes::{QoS, v5::Packet};
    let (host, port) = url.trim_start_matches("mqtt://").rsplit_once(':').unwrap();
    let options = rumqttc::v5::MqttOptions::new(name, host, port.parse().unwrap());
    let (client, mut connection) = rumqttc::v5::Client::new(options, 100);
    client.subscribe(format!("latency/{name}/pump/set"), QoS::AtLeastOnce).unwrap();
    for event in connection.iter() {
        if let rumqttc::v5::Event::Incoming(Packet::Publish(message)) = event.unwrap() {
            let answer = format!("latency/{name}/pump/result");
            client.try_publish(answer, QoS::AtMostOnce, false, message.payload).unwrap();
        }
    }
}
