//! The agent's id and the way to the broker.

use super::HardwareWatchdog;
use super::model::{BrokerUser, EmbeddedBroker};
use super::values::{Id, Listen, RESERVED, Url, is_id};
use super::written::{self, User};
use crate::mqtt::{Protocol, Settings};
use crate::store::Bounds;
use halyard_drivers::options::{Content, Node, OneOrMany, Placed, Problem};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

/// Where a broker is if nobody says.
const LOCAL_BROKER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1883);

/// After how long the machine's watchdog resets it, if nobody says. The Raspberry Pi's counts to 15 s.
const WATCHDOG: Duration = Duration::from_secs(15);
const SHORTEST_WATCHDOG: Duration = Duration::from_secs(1);
const LONGEST_WATCHDOG: Duration = Duration::from_secs(3600);
/// Bounds of what waits on disk: bytes, and how long.
const SIZE: RangeInclusive<u64> = 1_000_000..=64_000_000_000;
const AGE_MIN: Duration = Duration::from_secs(60);

/// The agent's id: as written, or the host's name. `root` is the file.
pub fn agent_id(agent: Option<&written::Agent>, root: &Node, problems: &mut Vec<Problem>) -> Option<String> {
    if let Some(id) = agent.and_then(|agent| agent.id.as_ref()) {
        check_reserved(id, problems);
        return Some(id.value.0.clone());
    }
    // What is there was reported as wrong.
    let written = root.get("agent").and_then(|agent| agent.get("id"));
    if written.is_some_and(|id| !matches!(id.content, Content::Null)) {
        return None;
    }
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let id = id_of_host(&host);
    if id.is_none() {
        problems.push(Problem::new(root.place, "missing key `agent: { id: … }`: the host name makes no id"));
    }
    id
}

/// The machine's watchdog, if the agent shall feed it.
pub fn watchdog(agent: Option<&written::Agent>, problems: &mut Vec<Problem>) -> Option<HardwareWatchdog> {
    let agent = agent?;
    if let Some(timeout) = &agent.watchdog_timeout {
        if !(SHORTEST_WATCHDOG..=LONGEST_WATCHDOG).contains(&timeout.0) {
            problems.push(Problem::new(
                timeout.place,
                format!("`watchdog_timeout` must be from 1s to 1h, not `{}`", timeout.value),
            ));
        }
        if agent.watchdog.is_none() {
            problems.push(Problem::new(timeout.place, "`watchdog_timeout` does nothing without `watchdog`"));
        }
    }
    let path = agent.watchdog.as_ref()?;
    if !path.starts_with('/') || path.contains(char::is_control) {
        let message = format!("`watchdog` must be the path of a device such as `/dev/watchdog`, not {}", path.shown());
        problems.push(Problem::new(path.place, message));
    }
    let timeout = agent.watchdog_timeout.as_ref().map_or(WATCHDOG, |timeout| timeout.0);
    Some(HardwareWatchdog { path: PathBuf::from(&path.value), timeout })
}

/// Bounds of what waits on disk.
pub fn bounds(written: Option<written::Bounds>, problems: &mut Vec<Problem>) -> Bounds {
    let written::Bounds { size, age } = written.unwrap_or_default();
    let usual = Bounds::default();
    if let Some(size) = &size
        && !SIZE.contains(&size.value.0)
    {
        problems.push(Problem::new(size.place, "`size` must be from 1MB to 64GB"));
    }
    if let Some(age) = &age
        && age.value.0 < AGE_MIN
    {
        problems.push(Problem::new(age.place, format!("`age` must be from 1m to 3650d, not `{}`", age.value)));
    }
    Bounds { size: size.map_or(usual.size, |size| size.value.0), age: age.map_or(usual.age, |age| age.value.0) }
}

/// Reports an id that is a topic of the agent itself.
pub fn check_reserved(id: &Placed<Id>, problems: &mut Vec<Problem>) {
    if let Some(reserved) = RESERVED.iter().find(|reserved| **reserved == id.value.0) {
        problems.push(Problem::new(id.place, format!("the id `{reserved}` is reserved")));
    }
}

/// `Pi-Garage.local` as `pi-garage`.
fn id_of_host(host: &str) -> Option<String> {
    let host = host.trim().split('.').next()?.to_ascii_lowercase();
    let fit: String =
        host.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).take(64).collect();
    let id = fit.trim_matches(['-', '_']);
    (is_id(id) && !RESERVED.contains(&id)).then(|| id.to_owned())
}

/// Where a page is that anyone may read who can reach it.
pub fn page(listen: &Placed<Listen>, problems: &mut Vec<Problem>) -> Option<SocketAddr> {
    let address = listen.0;
    if address.ip().to_canonical().is_loopback() {
        return Some(address);
    }
    let message = format!(
        "`metrics` has no password, so it listens on this machine only, as 127.0.0.1:{}; a proxy with a password, or \
         `ssh -L`, lets others see it",
        address.port()
    );
    problems.push(Problem::new(listen.place, message));
    None
}

/// The embedded broker.
pub fn embedded(broker: written::Broker, problems: &mut Vec<Problem>) -> EmbeddedBroker {
    let mut users: Vec<BrokerUser> = Vec::new();
    for User { name, password } in broker.users.into_iter().flat_map(|users| users.0) {
        if name.is_empty() || name.len() > 128 || name.contains(char::is_control) {
            let message = format!("`name` must be 1 to 128 bytes without control characters, not {}", name.shown());
            problems.push(Problem::new(name.place, message));
        } else if users.iter().any(|user| user.name == name.value) {
            problems.push(Problem::new(name.place, format!("there is a user {} already", name.shown())));
        }
        if password.0.is_empty() {
            problems.push(Problem::new(password.place, "`password` must not be empty"));
        }
        users.push(BrokerUser { name: name.value, password: password.value });
    }
    let settings = EmbeddedBroker { listen: broker.listen.value.0, users };
    if !settings.is_guarded() {
        let message = "`listen` opens the broker to the network: that takes `users`, as in `users: [ { name: phone, \
                       password: { file: PATH } } ]`, or else a loopback address such as `127.0.0.1:1883`";
        problems.push(Problem::new(broker.listen.place, message));
    }
    settings
}

/// The way to the broker. `agent` is the agent's id, `embedded` the embedded broker: without a `url`, the agent is its first
/// user.
pub fn settings(
    mqtt: written::Mqtt,
    agent: &str,
    embedded: Option<&EmbeddedBroker>,
    node: Option<&Node>,
    problems: &mut Vec<Problem>,
) -> Settings {
    let protocol = mqtt.version.map_or(Protocol::V5, |version| version.0);
    let (urls, tls) = match &mqtt.url {
        Some(urls) => urls_of(urls, node, problems),
        None => (vec![format!("mqtt://{}", reachable(embedded.map_or(LOCAL_BROKER, |broker| broker.listen)))], false),
    };
    // Without an address it is the embedded broker, which knows who we are.
    let user = embedded.and_then(|broker| broker.users.first());
    let user = user.filter(|_| mqtt.url.is_none() && mqtt.username.is_none());
    for (key, file) in [("ca", &mqtt.ca), ("cert", &mqtt.cert), ("key", &mqtt.key)] {
        if let Some(file) = file
            && !tls
        {
            problems.push(Problem::new(file.place, format!("`{key}` does nothing: the connection is not `mqtts://`")));
        }
        if let Some(file) = file
            && (file.is_empty() || file.contains('\0'))
        {
            problems
                .push(Problem::new(file.place, format!("`{key}` must be the path of a file, not {}", file.shown())));
        }
    }
    if let (Some(key), None, true) = (&mqtt.key, &mqtt.cert, tls) {
        problems.push(Problem::new(key.place, "`key` does nothing without `cert`"));
    }
    if let (Some(password), None) = (&mqtt.password, &mqtt.username)
        && protocol == Protocol::V3
    {
        problems.push(Problem::new(password.place, "MQTT 3.1.1 has no `password` without a `username`"));
    }
    if let Some(id) = &mqtt.client_id
        && (id.is_empty() || id.len() > 128 || id.contains(char::is_control))
    {
        let message = format!("`client_id` must be 1 to 128 bytes without control characters, not {}", id.shown());
        problems.push(Problem::new(id.place, message));
    }
    if let Some(name) = &mqtt.username
        && (name.len() > usize::from(u16::MAX) || name.contains(char::is_control))
    {
        let message = "`username` must be at most 65535 bytes without control characters";
        problems.push(Problem::new(name.place, message));
    }
    let path = |file: Option<Placed<String>>| file.map(|file| PathBuf::from(file.value));
    Settings {
        username: mqtt.username.map(|name| name.value).or(user.map(|user| user.name.clone())),
        password: mqtt.password.map(|password| password.value).or(user.map(|user| user.password.clone())),
        protocol,
        ca: path(mqtt.ca),
        certificate: path(mqtt.cert),
        key: path(mqtt.key),
        ..Settings::new(urls, mqtt.client_id.map_or_else(|| format!("halyard-{agent}"), |id| id.value))
    }
}

/// The URLs in full, and whether they are `mqtts`.
fn urls_of(urls: &OneOrMany<Placed<Url>>, node: Option<&Node>, problems: &mut Vec<Problem>) -> (Vec<String>, bool) {
    let mut all = Vec::new();
    let mut kind = None;
    for url in &urls.0 {
        match url.value.parse() {
            Ok((text, tls)) => {
                if *kind.get_or_insert(tls) != tls {
                    problems.push(Problem::new(url.place, "`url` must be all `mqtt://` or all `mqtts://`"));
                }
                all.push(text);
            }
            Err(message) => problems.push(Problem::new(url.place, message)),
        }
    }
    if let Some(url) = node.and_then(|node| node.get("url"))
        && urls.0.is_empty()
    {
        problems.push(Problem::new(url.place, "`url` must have at least one entry"));
    }
    // Of urls that are all wrong it is not known.
    (all, kind.unwrap_or(true))
}

/// An address to connect to for one to listen on.
fn reachable(mut listen: SocketAddr) -> SocketAddr {
    if listen.ip().is_unspecified() {
        listen.set_ip(match listen.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    listen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names() {
        for (host, id) in [
            ("raspberrypi\n", Some("raspberrypi")),
            ("Pi-Garage.local", Some("pi-garage")),
            ("-a b-", Some("a-b")),
            ("agent", None),
            ("---", None),
            ("", None),
        ] {
            assert_eq!(id_of_host(host).as_deref(), id, "{host}");
        }
    }

    #[test]
    fn addresses_to_connect_to() {
        for (listen, address) in
            [("0.0.0.0:1884", "127.0.0.1:1884"), ("[::]:1883", "[::1]:1883"), ("192.168.0.4:1883", "192.168.0.4:1883")]
        {
            assert_eq!(reachable(listen.parse().unwrap()), address.parse().unwrap());
        }
    }
}
