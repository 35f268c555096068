//! Configurations: what right ones mean, and what is said of wrong ones.

#![allow(clippy::panic)] // in helpers of tests

use halyard::acting::gate::{Heartbeat, Rate};
use halyard::config::{At, Board, Config, HardwareWatchdog, Initial, LineName, Source, Store, load, parse};
use halyard::mqtt::Protocol;
use halyard::sensing::filter::Filter;
use halyard::store::Bounds;
use halyard_drivers::port::Pull;
use halyard_drivers::{DRIVERS, Value};
use proptest::collection::vec;
use proptest::prelude::*;
use std::path::Path;
use std::time::Duration;

/// Files of `tests/config/NAME`: their names, texts, and what follows `=> ` in the lines after each.
fn table(text: &'static str) -> Vec<(&'static str, String, Vec<&'static str>)> {
    let mut files: Vec<(&str, String, Vec<&str>)> = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("== ") {
            files.push((name, String::new(), Vec::new()));
        } else if let Some((_, text, report)) = files.last_mut() {
            match line.strip_prefix("=> ") {
                Some(line) => report.push(line),
                None if report.is_empty() => text.extend([line, "\n"]),
                None => assert!(line.is_empty(), "{line}: text after the report"),
            }
        }
    }
    files
}

#[test]
fn wrong_files() {
    let files = table(include_str!("config/wrong.txt"));
    assert!(files.len() >= 40);
    let mut wrong = 0;
    for (name, text, expected) in files {
        let report = match parse(&text, "f") {
            Ok(_) => "fine".to_owned(),
            Err(report) => report.to_string(),
        };
        let lines: Vec<&str> = report.lines().map(|line| line.strip_prefix("f:").unwrap_or(line)).collect();
        if lines != expected {
            wrong += 1;
            println!("== {name}\n{text}");
            lines.iter().for_each(|line| println!("=> {line}"));
            println!();
        }
    }
    assert_eq!(wrong, 0, "reports are other than expected; they are printed above");
}

/// What a package installs must run everywhere and move nothing; what it has in comments must be right too.
#[test]
fn the_package_s_configuration_drives_nothing() {
    let text = include_str!("../deb/config.yaml");
    let config = right(text);
    assert!(config.sensors.is_empty() && config.actuators.is_empty());

    // Without the head, prose and a file that is not here.
    let (_, body) = text.split_once("\n\n").unwrap();
    let written = body.lines().filter_map(|line| match line.split_once("# ") {
        Some((indent, comment)) if indent.trim().is_empty() => {
            let is_yaml = comment.contains(": ") || comment.ends_with(':');
            (is_yaml && !comment.contains("{ file: ")).then(|| format!("{indent}{comment}"))
        }
        _ => Some(line.to_owned()),
    });
    let config = right(&written.collect::<Vec<_>>().join("\n"));
    assert_eq!((config.sensors.len(), config.actuators.len()), (1, 1));
}

/// What `text` means; every problem if it has one.
fn right(text: &str) -> Config {
    parse(text, "f").unwrap_or_else(|report| panic!("{report}"))
}

/// The report on `text`.
fn wrong(text: &str, name: &str) -> String {
    parse(text, name).err().map(|report| report.to_string()).unwrap_or_default()
}

#[test]
fn the_example() {
    let config = right(include_str!("../config.yaml"));
    assert_eq!((config.sensors.len(), config.actuators.len()), (5, 3));
}

#[test]
fn all_that_can_be_written() {
    let text = "
agent: { id: greenhouse, store: { size: 128MB, age: 30d }, watchdog: /dev/watchdog, watchdog_timeout: 10s }
board: raspberry-pi
broker: { listen: '[::1]:1884' }
mqtt:
  url: [ mqtts://one, 'mqtts://[::1]', mqtts://two:8884/ ]
  client_id: me
  username: greenhouse
  password: hunter2
  base: home/halyard
  version: 3.1.1
  discovery: false
  ca: /etc/ca.pem
  cert: /etc/cert.pem
  key: /etc/key.pem
sensors:
  - id: climate
    name: Climate
    driver: bme280
    bus: i2c-1
    address: 0x76
    every: 1.5s
    filters:
      humidity: [ { offset: -0.4 }, { median: 5 } ]
    store: all
  - id: door
    driver: digital-input
    line: { chip: /dev/gpiochip0, offset: 4 }
    pull: up
    debounce: 10ms
actuators:
  - id: pump
    driver: switch
    line: GPIO27
    active: low
    initial: restore
    safe: on
    safe_after: 30s
    max_on: 10m
    interlock: valve
    dead_time: 500ms
    control: { topic: plant/plc/alive, timeout: 1m }
    rate: { limit: 10, per: 1s }
  - { id: valve, driver: switch, line: GPIO22, min_off: 5m }
";
    let config = right(text);
    assert_eq!(
        (config.agent.as_str(), config.board, config.base.as_str()),
        ("greenhouse", Board::RaspberryPi, "home/halyard")
    );
    let listen = config.broker.as_ref().map(|broker| broker.listen);
    assert_eq!((listen, config.discovery), ("[::1]:1884".parse().ok(), None));
    assert_eq!(config.store, Bounds { size: 128_000_000, age: Duration::from_secs(30 * 86_400) });
    let mqtt = &config.mqtt;
    assert_eq!(mqtt.urls, ["mqtts://one:8883", "mqtts://[::1]:8883", "mqtts://two:8884"]);
    assert_eq!((mqtt.client_id.as_str(), mqtt.username.as_deref()), ("me", Some("greenhouse")));
    assert_eq!(mqtt.password.as_ref().map(|password| password.0.as_str()), Some("hunter2"));
    assert_eq!(mqtt.protocol, Protocol::V3);
    let files = [&mqtt.ca, &mqtt.certificate, &mqtt.key].map(|path| path.as_deref());
    assert_eq!(files, ["/etc/ca.pem", "/etc/cert.pem", "/etc/key.pem"].map(|path| Some(Path::new(path))));

    let [climate, door] = config.sensors.as_slice() else { panic!("two sensors") };
    assert_eq!((climate.name.as_deref(), climate.driver.name), (Some("Climate"), "bme280"));
    assert_eq!(climate.at, At::I2c { bus: 1, address: 0x76 });
    assert!(matches!(climate.source, Source::Sampled { every, .. } if every == Duration::from_millis(1500)));
    assert_eq!(climate.filters, [(1, vec![Filter::Offset(-0.4), Filter::Median(5)])]);
    assert_eq!((climate.store, door.store), (Store::All, Store::All));
    assert_eq!(door.at, At::Line(LineName::Offset { chip: "gpiochip0".to_owned(), offset: 4 }));
    let Source::Edges { spec, .. } = &door.source else { panic!("an edge sensor") };
    assert_eq!((spec.input().pull, spec.input().debounce), (Pull::Up, Duration::from_millis(10)));

    assert_eq!(
        config.watchdog,
        Some(HardwareWatchdog { path: "/dev/watchdog".into(), timeout: Duration::from_secs(10) })
    );
    let [pump, valve] = config.actuators.as_slice() else { panic!("two actuators") };
    assert_eq!((&pump.initial, &pump.rules.safe), (&Initial::Restore, &Value::Switch(true)));
    assert_eq!(
        (pump.rules.safe_after, pump.rules.max_on),
        (Some(Duration::from_secs(30)), Some(Duration::from_secs(600)))
    );
    assert_eq!((pump.rules.min_off, valve.rules.min_off), (None, Some(Duration::from_secs(300))));
    assert_eq!((pump.rules.dead_time, valve.rules.dead_time), (Duration::from_millis(500), Duration::ZERO));
    let heartbeat = Heartbeat { topic: "plant/plc/alive".into(), timeout: Duration::from_secs(60) };
    assert_eq!((&pump.rules.heartbeat, &valve.rules.heartbeat), (&Some(heartbeat), &None));
    assert_eq!((pump.rules.rate, valve.rules.rate), (Some(Rate { limit: 10, per: Duration::from_secs(1) }), None));
    // One of both says it, both have it.
    assert_eq!((&pump.rules.interlock, &valve.rules.interlock), (&vec!["valve".to_owned()], &vec!["pump".to_owned()]));
}

#[test]
fn what_is_not_written() {
    let config = right(
        "agent: { id: test }\n\
         sensors: [ { id: a, driver: sht4x, bus: i2c-1, address: 0x44 } ]\n\
         actuators: [ { id: b, driver: switch, line: B } ]",
    );
    assert_eq!((config.board, config.broker, config.base.as_str()), (Board::Auto, None, "halyard"));
    assert_eq!(config.store, Bounds { size: 64_000_000, age: Duration::from_secs(7 * 86_400) });
    assert_eq!(config.discovery.as_deref(), Some("homeassistant"));
    assert_eq!(config.mqtt.urls, ["mqtt://127.0.0.1:1883"]);
    assert_eq!((config.mqtt.client_id.as_str(), config.mqtt.protocol), ("halyard-test", Protocol::V5));
    assert!(matches!(config.sensors[0].source, Source::Sampled { every, .. } if every == Duration::from_secs(10)));
    assert_eq!(config.sensors[0].store, Store::Latest);
    let actuator = &config.actuators[0];
    assert_eq!(
        (&actuator.initial, &actuator.rules.safe),
        (&Initial::Value(Value::Switch(false)), &Value::Switch(false))
    );
    assert_eq!((actuator.rules.safe_after, actuator.rules.max_on, actuator.rules.interlock.len()), (None, None, 0));
    assert_eq!((actuator.rules.min_off, actuator.rules.dead_time), (None, Duration::ZERO));
    assert_eq!((&actuator.rules.heartbeat, actuator.rules.rate, &config.watchdog), (&None, None, &None));
}

#[test]
fn sections_may_be_empty() {
    let config = right("agent: { id: test }\nsensors:\nactuators: []\nmqtt:\nbroker: { listen: '127.0.0.2:1885' }");
    assert!(config.sensors.is_empty() && config.actuators.is_empty());
    // The embedded broker is the one to use if no other is named.
    assert_eq!(config.mqtt.urls, ["mqtt://127.0.0.2:1885"]);
    assert_eq!(config.mqtt.username, None);
}

#[test]
fn the_agent_is_a_user_of_its_own_broker() {
    let users = "users: [ { name: me, password: hunter2 }, { name: phone, password: hunter3 } ]";
    let text = format!("agent: {{ id: test }}\nbroker: {{ listen: 0.0.0.0:1885, {users} }}");
    let config = right(&text);
    assert_eq!(config.mqtt.urls, ["mqtt://127.0.0.1:1885"]);
    let login = |config: &Config| (config.mqtt.username.clone(), config.mqtt.password.clone().map(|secret| secret.0));
    assert_eq!(login(&config), (Some("me".into()), Some("hunter2".into())));
    assert_eq!(config.broker.as_ref().map(|broker| broker.users.len()), Some(2));
    assert!(!format!("{config:?}").contains("hunter"));
    // At another broker it is who it is said to be.
    assert_eq!(login(&right(&format!("{text}\nmqtt: {{ url: \"mqtt://other\" }}"))), (None, None));
}

#[test]
fn the_agent_is_called_as_its_host() {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    assert_eq!(parse("agent: { id: }", "f").is_ok(), parse("board: auto", "f").is_ok());
    match parse("board: auto", "f") {
        Ok(config) => assert!(host.to_ascii_lowercase().contains(config.agent.split('-').next().unwrap_or_default())),
        Err(report) => {
            assert_eq!(report.to_string(), "f:1:1: missing key `agent: { id: … }`: the host name makes no id");
        }
    }
}

#[test]
fn on_and_off_of_other_editors() {
    for (text, value) in [("on", true), ("true", true), ("off", false), ("false", false)] {
        let text = format!("agent: {{ id: t }}\nactuators: [ {{ id: a, driver: switch, line: A, initial: {text} }} ]");
        assert_eq!(right(&text).actuators[0].initial, Initial::Value(Value::Switch(value)), "{text}");
    }
}

#[test]
fn versions_of_the_protocol() {
    for (text, protocol) in
        [("5", Protocol::V5), ("\"5\"", Protocol::V5), ("3.1.1", Protocol::V3), ("\"3.1.1\"", Protocol::V3)]
    {
        let config = right(&format!("agent: {{ id: test }}\nmqtt: {{ version: {text} }}"));
        assert_eq!(config.mqtt.protocol, protocol, "{text}");
    }
}

#[test]
fn fingerprints_change_with_what_is_meant() {
    let stanza = |text: &str| {
        let text = format!("agent: {{ id: t }}\nsensors: [ {{ id: a, driver: sht4x, bus: i2c-1, {text} }} ]");
        right(&text).sensors[0].fingerprint.clone()
    };
    let first = stanza("address: 0x44, every: 5s");
    assert_eq!(first, stanza("every:   '5s', address: 68"));
    assert_ne!(first, stanza("address: 0x44, every: 6s"));
    assert_ne!(first, stanza("address: 0x44, every: 5s, name: x"));

    // What another stanza says of it counts too.
    let actuator = |other: &str| {
        let a = "{ id: a, driver: switch, line: A }";
        let text = format!("agent: {{ id: t }}\nactuators: [ {a}, {{ id: b, driver: switch, line: B{other} }} ]");
        right(&text).actuators[0].fingerprint.clone()
    };
    assert_ne!(actuator(""), actuator(", interlock: a"));
}

#[test]
fn texts_from_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("password"), "hunter2\n").unwrap();
    std::fs::write(folder.path().join("windows"), "hunter\n2\r\n").unwrap();
    let name = folder.path().join("config.yaml").display().to_string();
    let config = |file: &str| {
        let text = format!(
            "agent: {{ id: {{ env: CARGO_PKG_NAME }} }}\nmqtt: {{ username: a, password: {{ file: {file} }} }}"
        );
        parse(&text, &name).unwrap_or_else(|report| panic!("{report}"))
    };
    let password = |config: Config| config.mqtt.password.map(|password| password.0);
    assert_eq!(config("password").agent, "halyard");
    assert_eq!(password(config("password")).as_deref(), Some("hunter2"));
    assert_eq!(password(config("windows")).as_deref(), Some("hunter\n2"));
    let absolute = folder.path().join("password").display().to_string();
    assert_eq!(password(config(&absolute)).as_deref(), Some("hunter2"));

    std::fs::write(folder.path().join("nul"), "a\0b").unwrap();
    std::fs::write(folder.path().join("latin"), b"\xe4").unwrap();
    std::fs::write(folder.path().join("long"), vec![b'a'; 70_000]).unwrap();
    for (file, why) in [("nul", "a NUL in it"), ("latin", "not UTF-8"), ("long", "longer than 64 KiB")] {
        let report = wrong(&format!("mqtt: {{ password: {{ file: {file} }} }}"), &name);
        assert!(report.ends_with(why) && report.contains(":1:27: cannot read the file"), "{report}");
    }
}

/// Puts a secret wherever a text can be, and into places where none belongs.
#[test]
fn secrets_are_never_shown() {
    const SECRET: &str = "hunter2hunter2";
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), format!("{SECRET}\n")).unwrap();
    let name = folder.path().join("config.yaml").display().to_string();
    let whole = "
agent: { id: SECRET! }
board: SECRET
broker: { listen: SECRET, users: [ { name: SECRET, password: SECRET }, { name: SECRET, password: [ SECRET ] } ] }
mqtt: { url: SECRET, client_id: SECRET, username: SECRET, password: SECRET, base: SECRET, version: SECRET, discovery: SECRET, ca: SECRET }
sensors:
  - { id: SECRET, name: SECRET, driver: SECRET, bus: SECRET, address: SECRET, every: SECRET, store: SECRET, filters: SECRET }
  - { id: a, driver: sht4x, bus: SECRET, address: SECRET, every: SECRET, store: SECRET, repeatability: SECRET, filters: { temperature: SECRET, humidity: [ SECRET, { offset: SECRET }, { clamp: [ SECRET, 1 ] } ] } }
  - { id: b, driver: digital-input, line: SECRET, pull: SECRET, debounce: SECRET, invert: SECRET, device_class: SECRET }
  - { id: c, driver: ads1115, bus: i2c-1, address: 0x48, channels: { x: SECRET }, range: SECRET }
  - { id: d, driver: ads1115, bus: i2c-1, address: 0x48, channels: [ SECRET, SECRET ] }
  - { id: SECRET, driver: mcp3008, bus: spi0.0, channels: SECRET }
actuators:
  - { id: e, driver: switch, line: SECRET, active: SECRET, initial: SECRET, safe: SECRET, interlock: [ SECRET ] }
  - { id: f, driver: switch, line: { chip: SECRET, offset: SECRET }, safe_after: SECRET, max_on: SECRET, interlock: SECRET }
";
    let elsewhere = whole.replace("SECRET!", "SECRET").replace("SECRET", "{ file: secret }");
    let report = wrong(&elsewhere, &name);
    assert!(report.lines().count() > 30, "{report}");
    assert!(!report.contains("hunter2"), "{report}");
    assert!(report.contains("not what the file `secret` holds"), "{report}");

    // A password in the file itself, in a url, and as what is no text.
    for text in [
        "mqtt: { url: 'mqtt://me:hunter2@host' }",
        "mqtt: { url: 'http://me:hunter2@host' }",
        "mqtt: { url: 'hunter2' }",
        "mqtt: { password: [ hunter2 ] }",
        "mqtt: { password: { hunter2: } }",
        "mqtt: { password: 'hunter2', version: 3.1.1 }",
        "mqtt: { password: 'hunter2 }",
    ] {
        let report = wrong(text, "f");
        assert!(!report.is_empty() && !report.contains("hunter2"), "{report}");
    }
    // Nothing that could be printed by mistake has it: as a password, and where a text is meant to be seen.
    let text = "
agent: { id: t }
mqtt: { username: me, password: { file: secret } }
broker: { listen: '127.0.0.1:1883', users: [ { name: me, password: { file: secret } } ] }
sensors: [ { id: a, name: { file: secret }, driver: sht4x, bus: i2c-1, address: 0x44 } ]
actuators: [ { id: b, driver: switch, line: GPIO1 } ]
";
    let mut config = parse(text, &name).unwrap();
    // A name is there to be shown.
    config.sensors[0].name = None;
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn files_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let report = |name: &str, content: Option<&[u8]>| {
        let path = folder.path().join(name);
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        let report = load(&path).unwrap_err().to_string();
        report.strip_prefix(&path.display().to_string()).map(str::to_owned).unwrap_or(report)
    };
    assert_eq!(report("nowhere", None), ": cannot read the file: No such file or directory");
    assert_eq!(report("", None), ": cannot read the file: Is a directory");
    assert_eq!(report("empty", Some(b"")), ": there is nothing in the file");
    assert_eq!(report("comment", Some(b"# nothing\n")), ": there is nothing in the file");
    assert_eq!(report("latin", Some(b"agent:\n  id: \xe4\n")), ":2:7: the byte 0xe4 is not UTF-8");
    assert_eq!(
        report("control", Some("agent:\n  id: ä\u{7}\n".as_bytes())),
        ":2:8: the control character 0x07 in the text"
    );
    assert_eq!(report("long", Some(&vec![b'a'; (1 << 20) + 1])), ": the file is longer than 1024 KiB");
    assert_eq!(report("longer", Some(&vec![b'\xff'; 1 << 21])), ": the file is longer than 1024 KiB");
    // A byte order mark is no part of the first line.
    assert_eq!(
        report("mark", Some(b"\xef\xbb\xbfagnet: {}\nagent: { id: t }")),
        ":1:1: unknown key `agnet`; did you mean `agent`?"
    );
}

#[test]
fn texts_that_are_too_much() {
    assert_eq!(wrong(&"[".repeat(500_000), "f"), "f:1:1001: nested too deeply");
    assert_eq!(wrong(&format!("a: {}{}", "[".repeat(300), "]".repeat(300)), "f"), "f:1:131: nested too deeply");
    assert_eq!(wrong("a: &a [ *a ]", "f"), "f:1:4: nested too deeply");
    let list = format!("a: [{}]", "1,".repeat(30_000));
    let message = "more than 20000 values: too much for a configuration";
    assert!(wrong(&list, "f").ends_with(message), "{}", wrong(&list, "f"));
    let bomb = (1..12).fold("a0: &a0 [ 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 ]\n".to_owned(), |text, level| {
        let before = format!("*a{}, ", level - 1).repeat(10);
        format!("{text}a{level}: &a{level} [ {before} ]\n")
    });
    assert!(wrong(&bomb, "f").ends_with(message), "{}", wrong(&bomb, "f"));

    // A hundred problems are enough; the others are counted.
    let sensors = "  - { id: a, driver: sht4x, bus: i2c-1, address: 0x44 }\n".repeat(300);
    let report = wrong(&format!("agent: {{ id: t }}\nsensors:\n{sensors}"), "f");
    assert_eq!(report.lines().count(), 101, "{report}");
    assert!(
        report.starts_with("f: 498 more problems than these 100\nf:4:11: the id `a` is taken in line 3\n"),
        "{report}"
    );
}

#[test]
fn check_tells_and_counts() {
    use halyard::cli::check::run;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.yaml");
    let check = |text: &str, json: bool| {
        std::fs::write(&path, text).unwrap();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = run(&path, json, &mut out, &mut err).unwrap();
        let plain = |bytes| String::from_utf8(bytes).unwrap().replace(&path.display().to_string(), "c.yaml");
        (code, plain(out), plain(err))
    };
    let sensor = "agent: { id: t }\nsensors: [ { id: a, driver: sht4x, bus: i2c-1, address: 0x44 } ]";
    assert_eq!(check(sensor, false), (0, "c.yaml: 1 sensor, 0 actuators: fine\n".to_owned(), String::new()));
    assert_eq!(check(sensor, true), (0, "[]\n".to_owned(), String::new()));
    let wrong = "agent: { id: t }\nbord: 1\nmqtt: 5";
    let lines = "c.yaml:2:1: unknown key `bord`; did you mean `board`?\n\
                 c.yaml:3:7: `mqtt` must be a map of keys and values, not a number\n";
    assert_eq!(check(wrong, false), (78, String::new(), lines.to_owned()));
    let (code, out, err) = check(wrong, true);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, err.as_str(), json.as_array().map(Vec::len)), (78, "", Some(2)));
    assert_eq!((&json[0]["file"], &json[0]["line"], &json[0]["column"]), (&"c.yaml".into(), &2.into(), &1.into()));
    assert_eq!(json[0]["message"], "unknown key `bord`; did you mean `board`?");
}

#[test]
fn drivers_are_listed_and_described() {
    use halyard::cli::drivers::run;
    let call = |name: Option<&str>, json: bool| {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = run(name, json, &mut out, &mut err).unwrap();
        (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    };
    let (_, list, _) = call(None, false);
    assert_eq!(list.lines().count(), DRIVERS.len());
    // The width of the columns depends on what else there is.
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(list.lines().any(|line| words(line) == "sht4x I2C 0x44 0x45 0x46 temperature °C, humidity %"), "{list}");
    for driver in DRIVERS {
        let (code, text, _) = call(Some(driver.name), false);
        assert!(code == 0 && text.contains(driver.summary) && text.contains(driver.example), "{text}");
        let json: serde_json::Value = serde_json::from_str(&call(Some(driver.name), true).1).unwrap();
        assert_eq!(json["name"], driver.name);
    }
    assert_eq!(
        call(Some("ads1116"), false),
        (2, String::new(), "there is no driver `ads1116`; did you mean `ads1115`?\n".to_owned())
    );
}

/// A file with everything in it, to be mutilated.
fn seeds() -> Vec<String> {
    let mut seeds = vec![include_str!("../config.yaml").to_owned()];
    seeds.extend(table(include_str!("config/wrong.txt")).into_iter().map(|(_, text, _)| text));
    seeds
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is done to a file, it is read or reported, in lines with a position.
    #[test]
    fn nothing_panics(seed in any::<usize>(), edits in vec((any::<usize>(), 0..4_u8, any::<u8>()), 1..6), end in any::<usize>()) {
        let seeds = seeds();
        let mut bytes = seeds[seed % seeds.len()].clone().into_bytes();
        for (at, kind, byte) in edits {
            let at = at % bytes.len().max(1);
            let byte = if byte < 128 { b"{}[]:,&*!|>'\"-\n\t #?0"[usize::from(byte) % 20] } else { byte };
            match kind {
                0 if at < bytes.len() => bytes[at] = byte,
                1 if at < bytes.len() => { bytes.remove(at); }
                2 => bytes.insert(at, byte),
                _ => bytes.truncate(bytes.len().saturating_sub(end % 40)),
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        if let Err(report) = parse(&text, "f") {
            prop_assert!(!report.findings.is_empty(), "{text}");
            for line in report.to_string().lines() {
                prop_assert!(line.starts_with("f:"), "{line}");
            }
        }
    }

    /// The same for texts that have nothing of a configuration.
    #[test]
    fn noise_does_not_panic(text in ".{0,200}") {
        let _ = parse(&text, "f");
    }
}
