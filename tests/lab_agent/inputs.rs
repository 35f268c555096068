//! Edges: once, in order, with the kernel's time, and through an outage.

use super::lab::{Outside, wait_until};
use super::scenario;
use super::support::proxy::Proxy;
use super::world::{Message, World};
use std::time::SystemTime;

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

#[test]
fn edges_of_an_outage_are_delivered() {
    scenario("inputs::edges_of_an_outage_are_delivered", || {
        let door = Outside::of(17);
        let mut world = World::new(PARTS);
        // Keeps the agent away from the new broker until somebody listens there.
        let proxy = Proxy::start(world.broker.address(), 5);
        world.reach_by(proxy.url());
        world.configure(PARTS);
        let listener = world.listen();
        let agent = world.start(&listener);
        let from = listener.mark();
        pull(&door, true);
        let delivered = listener.find(from, "door", |message| told(message).0 == "ON").payload;
        // Else it would have to be sent again.
        wait_until("acknowledge", || {
            proxy.record(|record| record.acknowledged.contains(&delivered.clone().into_bytes()))
        });

        proxy.cut();
        world.broker.kill();
        wait_until("loss of the broker", || agent.log().contains("no connection to the broker"));
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
