//! Edges: once, in order, with the kernel's time, and through an outage.

use super::lab::{Outside, wait_until};
use super::scenario;
use super::support::proxy::Proxy;
use super::world::{Agent, Listener, Message, World};
use std::time::{Duration, Instant, SystemTime};

const PARTS: &str = "\
sensors:
  - { id: door, driver: digital-input, line: GPIO17 }
  - { id: button, driver: digital-input, line: GPIO22, invert: true, debounce: 2s }";

/// Pulses that follow each other as fast as the outside can make them.
const PULSES: usize = 150;

/// State and time, as in `("ON", "2026-11-22T10:00:00.123Z")`.
type Told = (String, String);

fn told(message: &Message) -> Told {
    let json = message.json();
    (json["state"].as_str().unwrap().to_owned(), json["time"].as_str().unwrap().to_owned())
}

/// The time as messages have it.
fn now() -> String {
    halyard::time::rfc3339(SystemTime::now())
}

/// Pulls, and gives the times before and after.
fn pull(outside: &Outside, up: bool) -> (String, String) {
    let before = now();
    outside.pull(up);
    (before, now())
}

fn assert_within(time: &str, (before, after): &(String, String)) {
    assert!(before.as_str() <= time && time <= after.as_str(), "{before} {time} {after}");
}

#[test]
fn edges_arrive_once_and_in_order() {
    scenario("inputs::edges_arrive_once_and_in_order", || {
        let (door, button) = (Outside::of(17), Outside::of(22));
        let world = World::new(PARTS);
        let listener = world.listen();
        let _agent = world.start(&listener);
        listener.state(0, "door", "OFF");
        listener.state(0, "button", "ON");

        let from = listener.mark();
        for up in [true, false] {
            let bounds = pull(&door, up);
            let state = listener.state(from, "door", if up { "ON" } else { "OFF" });
            assert_within(state["time"].as_str().unwrap(), &bounds);
        }

        let before = now();
        for _ in 0..PULSES {
            door.pull(true);
            door.pull(false);
        }
        let bounds = (before, now());
        // What was done before the debounced edges has arrived when they do: all goes one way.
        for up in [true, false, true, false, true] {
            button.pull(up);
        }
        listener.state(from, "button", "OFF");
        let up_since = now();
        button.pull(false);
        let up_again = listener.state(from, "button", "ON");
        assert!(up_again["time"].as_str().unwrap() >= up_since.as_str(), "{up_since} {up_again}");

        let edges: Vec<Told> = listener.on(from, "door").iter().map(told).collect();
        assert_eq!(edges.len(), 2 + 2 * PULSES);
        for (index, (state, time)) in edges.iter().enumerate().skip(2) {
            assert_eq!(state, if index % 2 == 0 { "ON" } else { "OFF" }, "edge {index}");
            assert_within(time, &bounds);
            assert!(edges[index - 1].1 <= *time, "edge {index} is older than the one before");
        }
        let bounces: Vec<Told> = listener.on(from, "button").iter().map(told).collect();
        assert_eq!(bounces.len(), 2, "{bounces:?}");
        assert!(listener.on(0, "door/backlog").is_empty(), "there was no outage");
    });
}

/// An agent whose way to the broker can be cut off.
fn behind_a_proxy() -> (World, Proxy, Listener, Agent) {
    let mut world = World::new(PARTS);
    let proxy = Proxy::start(world.broker.address(), 5);
    world.reach_by(proxy.url());
    world.configure(PARTS);
    let listener = world.listen();
    let agent = world.start(&listener);
    (world, proxy, listener, agent)
}

/// Begins an outage, which the agent has noticed by the end of this.
fn cut_off(proxy: &Proxy, agent: &Agent) {
    proxy.cut();
    wait_until("loss of the broker", || agent.log().contains("no connection to the broker"));
}

#[test]
fn edges_of_an_outage_are_delivered() {
    scenario("inputs::edges_of_an_outage_are_delivered", || {
        let door = Outside::of(17);
        let (mut world, proxy, listener, agent) = behind_a_proxy();
        let from = listener.mark();
        pull(&door, true);
        let delivered = listener.find(from, "door", |message| told(message).0 == "ON").payload;
        // Else it would have to be sent again.
        wait_until("acknowledge", || {
            proxy.record(|record| record.acknowledged.contains(&delivered.clone().into_bytes()))
        });

        // Kept away from the new broker until somebody listens there.
        cut_off(&proxy, &agent);
        world.broker.kill();
        let bounds: Vec<_> = [false, true, false].into_iter().map(|up| pull(&door, up)).collect();
        world.broker.restart();
        let listener = world.listen();
        proxy.mend();

        let newest = listener.state(0, "door", "OFF");
        assert_within(newest["time"].as_str().unwrap(), &bounds[2]);
        wait_until("the backlog", || listener.on(0, "door/backlog").len() >= 2);
        // What comes after it shows that there is no more.
        let after = pull(&door, true);
        let last = listener.state(0, "door", "ON");
        assert_within(last["time"].as_str().unwrap(), &after);
        let backlog: Vec<Told> = listener.on(0, "door/backlog").iter().map(told).collect();
        let states: Vec<_> = backlog.iter().map(|(state, _)| state.as_str()).collect();
        assert_eq!(states, ["OFF", "ON"]);
        for ((_, time), bounds) in backlog.iter().zip(&bounds) {
            assert_within(time, bounds);
        }
        let mut states: Vec<Told> = listener.on(0, "door").iter().map(told).collect();
        // A new connection may repeat the newest state.
        states.dedup();
        assert_eq!(states.len(), 2, "the newest of the outage, and the one after it: {states:?}");
        let newcomer = world.listen();
        let kept = newcomer.find(0, "door", |message| message.retained);
        assert_eq!(told(&kept), states[1]);
    });
}

#[test]
fn edges_of_an_outage_survive_a_kill() {
    scenario("inputs::edges_of_an_outage_survive_a_kill", || {
        let door = Outside::of(17);
        let (world, proxy, listener, mut agent) = behind_a_proxy();
        listener.state(0, "door", "OFF");
        cut_off(&proxy, &agent);
        let bounds: Vec<_> = [true, false, true, false].into_iter().map(|up| pull(&door, up)).collect();
        // Only what the agent was told of can it keep.
        let is_kept = |(before, after): &(String, String)| {
            let within = |time: &str| before.as_str() <= time && time <= after.as_str();
            world.kept().split("\"time\":\"").skip(1).any(|rest| rest.get(..before.len()).is_some_and(within))
        };
        wait_until("all edges", || bounds.iter().all(is_kept));
        agent.signal(libc::SIGKILL);
        agent.wait();
        let from = listener.mark();
        proxy.mend();
        let _agent = world.start(&listener);
        wait_until("the backlog", || listener.on(from, "door/backlog").len() >= 4);
        let backlog: Vec<Told> = listener.on(from, "door/backlog").iter().map(told).collect();
        let states: Vec<_> = backlog.iter().rev().take(4).rev().map(|(state, _)| state.as_str()).collect();
        assert_eq!(states, ["ON", "OFF", "ON", "OFF"], "{backlog:?}");
        for ((_, time), bounds) in backlog.iter().rev().zip(bounds.iter().rev()) {
            assert_within(time, bounds);
        }
        listener.state(from, "door", "OFF");
    });
}

const METERS: &str = "\
sensors:
  - { id: water, driver: pulse-counter, line: GPIO23, edge: rising, kind: water, pulses_per_unit: 10, every: 1s }
  - { id: volume, driver: rotary-encoder, a: GPIO5, b: GPIO6, pull: down }
  - { id: bell, driver: digital-input, line: GPIO22, events: [ press, long ], long_press: 2s }";

fn number(message: &Message, channel: &str) -> Option<f64> {
    message.json()[channel].as_f64()
}

#[test]
fn a_knob_is_followed_and_a_button_is_understood() {
    scenario("inputs::a_knob_is_followed_and_a_button_is_understood", || {
        let [a, b, button] = [5, 6, 22].map(Outside::of);
        let world = World::new(METERS);
        let listener = world.listen();
        let _agent = world.start(&listener);
        listener.find(0, "volume", |message| number(message, "position") == Some(0.0));
        listener.state(0, "bell", "OFF");
        let from = listener.mark();
        // At rest both are low: clockwise A rises first.
        let turn = |first: &Outside, second: &Outside| {
            for (line, up) in [(first, true), (second, true), (first, false), (second, false)] {
                line.pull(up);
            }
        };
        (0..40).for_each(|_| turn(&a, &b));
        (0..50).for_each(|_| turn(&b, &a));
        listener.find(from, "volume", |message| number(message, "position") == Some(-10.0));
        let positions: Vec<_> =
            listener.on(from, "volume").iter().filter_map(|said| number(said, "position")).collect();
        let expected: Vec<f64> = (1..=40).chain((-10..40).rev()).map(f64::from).collect();
        assert_eq!(positions, expected, "each detent, in order");

        let from = listener.mark();
        button.pull(true);
        let down = listener.state(from, "bell", "ON");
        button.pull(false);
        let press = listener.find(from, "bell", |message| message.json()["event"] == "press");
        assert!(!press.retained && press.json()["state"] == "OFF", "{press:?}");
        let from = listener.mark();
        button.pull(true);
        let long = listener.find(from, "bell", |message| message.json()["event"] == "long");
        assert!(long.json()["state"] == "ON" && long.json()["time"].as_str() > down["time"].as_str(), "{long:?}");
        button.pull(false);
        listener.state(from, "bell", "OFF");
        assert_eq!(listener.on(from, "bell").len(), 3, "nothing follows its release");
    });
}

#[test]
fn no_pulse_is_lost_while_the_agent_sleeps_and_none_by_a_restart() {
    scenario("inputs::no_pulse_is_lost_while_the_agent_sleeps_and_none_by_a_restart", || {
        /// More than the kernel keeps.
        const MANY: usize = 700;
        let meter = Outside::of(23);
        let world = World::new(METERS);
        let listener = world.listen();
        let mut agent = world.start(&listener);
        let pulses = |count: usize| {
            for _ in 0..count {
                meter.pull(true);
                meter.pull(false);
            }
        };
        let total = |from: usize, total: f64| {
            listener.find(from, "water", |message| number(message, "total").is_some_and(|it| (it - total).abs() < 1e-6))
        };
        total(0, 0.0);
        pulses(5);
        total(0, 0.5);
        agent.signal(libc::SIGSTOP);
        pulses(MANY);
        agent.signal(libc::SIGCONT);
        total(0, 70.5);
        assert!(agent.log().contains("edges came faster than they were taken"), "{}", agent.log());
        agent.signal(libc::SIGTERM);
        assert!(agent.wait().success());

        let from = listener.mark();
        let mut agent = world.start(&listener);
        total(from, 70.5);
        pulses(1);
        total(from, 70.6);
        // It was written when the agent stopped, and not since: that is all that is lost.
        agent.signal(libc::SIGKILL);
        agent.wait();
        let (code, out, err) = world.halyard("read", &["water", "--json"]);
        let read: serde_json::Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{code} {err}"));
        let total = read["states"]["water"]["total"].as_f64().unwrap();
        assert!((70.5..=70.6).contains(&total), "{read}");
    });
}

/// An echo for everybody who listens, again and again.
#[test]
fn an_echo_is_measured_by_the_kernels_time_stamps() {
    const TANK: &str = "\
sensors:
  - { id: tank, driver: ultrasonic, trigger: GPIO20, echo: GPIO21, every: 100ms }";
    /// How long the sound is on its way, and a pause between two echoes: much as a part has them.
    const ECHO: Duration = Duration::from_millis(6);
    const SILENCE: Duration = Duration::from_millis(40);
    scenario("inputs::an_echo_is_measured_by_the_kernels_time_stamps", || {
        let echo = Outside::of(21);
        let world = World::new(TANK);
        let listener = world.listen();
        let mut agent = world.start(&listener);
        let find =
            || listener.on(0, "tank").iter().filter_map(|message| number(message, "distance")).collect::<Vec<_>>();
        // Nobody answers.
        listener.next(0, "tank/availability", "offline");
        let (mut shortest, mut longest) = (Duration::MAX, Duration::ZERO);
        wait_until("distances", || {
            let before = Instant::now();
            echo.pull(true);
            let after = Instant::now();
            std::thread::sleep(ECHO);
            shortest = shortest.min(after.elapsed());
            echo.pull(false);
            longest = longest.max(before.elapsed());
            std::thread::sleep(SILENCE);
            find().len() >= 5
        });
        let metres = |echo: Duration| echo.as_secs_f64() * 343.21 / 2.0;
        for distance in find() {
            assert!((metres(shortest) - 0.001..=metres(longest) + 0.001).contains(&distance), "{distance}");
        }
        listener.next(0, "tank/availability", "online");
        agent.signal(libc::SIGTERM);
        assert!(agent.wait().success());
        assert!(!Outside::of(20).is_high());
    });
}
