//! Whether the broker can be reached, and lets the agent in.

use super::Finding;
use super::machine::Machine;
use crate::config::Config;
use crate::mqtt::{Client, Event, Limits, Outbox, Settings, Topics};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

/// How long a broker may take to accept a connection.
const REACH: Duration = Duration::from_secs(3);
/// How long all brokers together may take to let us in.
const LOGIN: Duration = Duration::from_secs(15);
/// How long a retained message may take.
const RETAINED: Duration = Duration::from_millis(500);

/// Whether any of the brokers lets the agent in, and whether an agent of this id is there already.
pub async fn broker(machine: &Machine, config: &Config) -> Vec<Finding> {
    let agents = machine.processes("halyard").into_iter();
    let runs =
        agents.filter(|(id, _)| *id != std::process::id()).any(|(_, arguments)| arguments.iter().any(|a| a == "run"));
    if config.broker.is_some() && !runs {
        return vec![Finding::ok("broker", "it is the agent's own, and runs with it only")];
    }
    let mut findings = Vec::new();
    let mut reachable = Vec::new();
    for url in &config.mqtt.urls {
        let address = address(url).to_owned();
        let reached = crate::task::blocking(move || reach(&address)).await;
        match reached.unwrap_or_else(|_| Err(Unreachable::No("looking for it panicked".to_owned()))) {
            Ok(()) => reachable.push(url.clone()),
            Err(why) => findings.push(unreachable(url, &why)),
        }
    }
    if reachable.is_empty() {
        return findings;
    }
    // Another one will do.
    for finding in &mut findings {
        finding.level = super::Level::Warning;
    }
    let id = format!("halyard-doctor-{:016x}", fastrand::u64(..));
    let settings = Settings { urls: reachable, client_id: id, ..config.mqtt.clone() };
    findings.extend(login(&settings, &Topics::new(&config.base, &config.agent), &config.agent, runs).await);
    findings
}

/// Why there is no connection.
enum Unreachable {
    Name(String),
    No(String),
}

fn reach(address: &str) -> Result<(), Unreachable> {
    let addresses = address.to_socket_addrs().map_err(|error| Unreachable::Name(error.to_string()))?;
    let mut why = Unreachable::Name("the name has no address".to_owned());
    for address in addresses {
        match TcpStream::connect_timeout(&address, REACH) {
            Ok(_) => return Ok(()),
            Err(error) => why = Unreachable::No(error.to_string()),
        }
    }
    Err(why)
}

/// `host:port` of a URL.
fn address(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, address)| address).trim_end_matches('/')
}

fn unreachable(url: &str, why: &Unreachable) -> Finding {
    let (host, port) = address(url).rsplit_once(':').unwrap_or((address(url), "1883"));
    match why {
        Unreachable::Name(why) => {
            Finding::problem("broker", format!("{url}: the host is not known: {why}"), format!("getent hosts {host}"))
        }
        Unreachable::No(why) => {
            let here = ["127.0.0.1", "localhost", "[::1]"].contains(&host);
            let mend = if here {
                "sudo apt-get install -y mosquitto && sudo systemctl enable --now mosquitto".to_owned()
            } else {
                format!("ping -c 3 {host}; nc -vz {host} {port}    # is the broker on, and no firewall between?")
            };
            Finding::problem("broker", format!("{url}: nobody accepts a connection: {why}"), mend)
        }
    }
}

async fn login(settings: &Settings, topics: &Topics, agent: &str, runs: bool) -> Vec<Finding> {
    let outbox = Outbox::new(Limits::default());
    let (to, mut events) = mpsc::channel(64);
    let availability = topics.agent_availability();
    let client = match Client::start(settings, None, vec![(availability.clone(), 1)], outbox, to) {
        Ok(client) => client,
        Err(error) => return vec![Finding::problem("broker", error.to_string(), "halyard check")],
    };
    let limit = Instant::now() + LOGIN;
    let mut refusals = Vec::new();
    let mut findings = Vec::new();
    let mut online = None;
    while refusals.len() < settings.urls.len() {
        match timeout_at(limit, events.recv()).await {
            Ok(Some(Event::Connected)) => {
                let how = settings.username.as_ref().map_or_else(String::new, |name| format!(" as {name}"));
                findings.push(Finding::ok("broker", format!("{}: lets us in{how}", settings.urls.join(", "))));
                online = Some(already_online(&mut events, &availability).await);
                break;
            }
            Ok(Some(Event::Disconnected { why })) => refusals.push(why),
            Ok(Some(Event::Message(message))) => online = Some(message.payload.as_ref() == b"online"),
            Ok(None) | Err(_) => {
                refusals.push(format!("{}: no answer within {LOGIN:?}", settings.urls.join(", ")));
                break;
            }
        }
    }
    client.stop(Duration::ZERO).await;
    if online == Some(true) && !runs {
        let what = format!("an agent `{agent}` is online already, and none runs on this machine");
        findings.push(Finding::warning("agent", what, "give one of the two another `agent: { id: … }`"));
    }
    if findings.is_empty() {
        findings.extend(refusals.iter().map(|why| refused(settings, why)));
    }
    findings
}

/// Whether the broker keeps that the agent is online.
async fn already_online(events: &mut mpsc::Receiver<Event>, topic: &str) -> bool {
    let limit = Instant::now() + RETAINED;
    while let Ok(Some(event)) = timeout_at(limit, events.recv()).await {
        if let Event::Message(message) = event
            && message.topic == topic
        {
            return message.payload.as_ref() == b"online";
        }
    }
    false
}

/// What to do about a login that failed; `why` begins with the URL.
fn refused(settings: &Settings, why: &str) -> Finding {
    let lower = why.to_lowercase();
    let host = settings.urls.iter().map(|url| address(url)).find(|address| why.contains(address)).unwrap_or_default();
    let login = ["authoriz", "user name", "username", "password", "authentic", "identifier"];
    if login.iter().any(|word| lower.contains(word)) {
        let name = settings.username.as_deref().unwrap_or("NAME");
        let mend = format!(
            "mqtt: {{ username, password }} have to be those of the broker, as in: sudo mosquitto_passwd /etc/mosquitto/passwd {name}"
        );
        return Finding::problem("broker", format!("the broker refuses the login: {why}"), mend);
    }
    if why.starts_with("mqtts://") {
        let ca = settings.ca.as_ref().map(|file| format!(" -CAfile {}", file.display())).unwrap_or_default();
        let mend = format!(
            "openssl s_client -connect {host}{ca} < /dev/null    # shows whose certificate it is, and what is wrong with it"
        );
        return Finding::problem("broker", format!("no TLS connection: {why}"), mend);
    }
    Finding::problem(
        "broker",
        why.to_owned(),
        format!(
            "mosquitto_sub -V 5 -h {} -t x -W 3    # is it an MQTT broker?",
            host.split(':').next().unwrap_or_default()
        ),
    )
}
