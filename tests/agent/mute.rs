//! Brokers that let everybody in, answer pings, and acknowledge nothing, or take their time for it.

use super::stand::{PARTS, configuration, topic};
use super::trouble::{IMPATIENT, list};
use crate::support::broker::Broker;
use crate::support::fake::{FakeBroker, Manners};
use crate::support::meter::Meter;
use crate::support::program::Program;
use crate::support::proxy::Proxy;
use crate::support::wait_until;
use crate::support::wire::kind;
use crate::support::witness::Witness;
use std::collections::BTreeSet;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

/// One that acknowledges nothing, whose keep-alive is as short as patience with it gets.
fn mute() -> FakeBroker {
    let manners = Manners { properties: IMPATIENT.into(), ignores: vec![kind::PUBLISH], ..Manners::default() };
    FakeBroker::with(5, false, manners)
}

#[test]
fn a_broker_that_acknowledges_nothing_is_left_for_the_next_one() {
    let (first, Some(second)) = (mute(), Broker::start("max_queued_messages 0")) else { return };
    let meter = Meter::start(0);
    let parts = format!("sensors:\n  - {}\n", meter.stanza("meter", "every: 20ms, store: all"));
    let witness = Witness::connect(second.address());
    let text = list(&[&first.url(), &second.url()], &parts).replace("board: simulated\n", "");
    let proxy = Proxy::start(second.address(), 5);
    let program = Program::run(&text.replace(&second.url(), &proxy.url()));
    program.logs(&format!("no connection to the broker: {} has not acknowledged a message on ", first.url()));
    witness.wait_for(&topic("availability"), "online");
    let health = witness.wait(&topic("agent"), |message| !message.json()["problems"]["agent"].is_null()).json();
    let problem = &health["problems"]["agent"];
    assert_eq!((&problem["kind"], &problem["count"]), (&"broker".into(), &1.into()));
    let message = problem["message"].as_str().unwrap();
    assert!(message.starts_with(&format!("{} has not acknowledged ", first.url())), "{message}");

    // It lets us in again all the same, which is not enough.
    program.logs(&format!("no way back to {}: it acknowledges nothing", first.url()));
    assert_eq!(program.log().matches("connected to ").count(), 2, "where it is, it stays");
    witness.peer.publish(&topic("agent/request/health"), "", false);
    assert_eq!(witness.wait(&topic("agent/response/health"), |_| true).json()["status"], "ok");

    meter.silence();
    let taken: BTreeSet<u32> = meter.taken().into_iter().collect();
    assert!(taken.len() > 100, "more than fits on the way: {}", taken.len());
    wait_until("every sample", || {
        let all = witness.all(&topic("meter")).into_iter().chain(witness.all(&topic("meter/backlog")));
        let arrived: BTreeSet<_> = all.filter_map(|message| message.json()["n"].as_u64()?.try_into().ok()).collect();
        taken.is_subset(&arrived)
    });

    // A connection that is lost is no reason to try it.
    let connections = |url: String| program.log().matches(&format!("connected to {url}\n")).count();
    proxy.cut();
    proxy.mend();
    wait_until("it is there again", || connections(proxy.url()) == 2);
    assert_eq!(connections(first.url()), 1);
}

#[test]
fn a_broker_that_acknowledges_nothing_counts_as_none_for_safety() {
    let broker = mute();
    // Longer than any pause between connections, and shorter than patience.
    let pump = "{ id: pump, driver: switch, line: GPIO27, initial: on, safe_after: 4s }";
    let program = Program::run(&configuration(&broker.url(), &format!("actuators: [ {pump} ]")));
    program.logs("connected to ");
    program.logs("pump: OFF for safety");
    assert!(!program.log().contains("no connection"), "it has not even been given up");
}

#[test]
fn a_broker_that_acknowledges_slowly_is_not_left() {
    let manners = Manners { properties: IMPATIENT.into(), effort: Duration::from_millis(700), ..Manners::default() };
    let broker = FakeBroker::with(5, false, manners);
    let program = Program::run(&configuration(&broker.url(), PARTS));
    program.logs("connected to ");
    // Soon a hundred are on their way, each for longer than one that acknowledges nothing may take.
    wait_until("twenty acknowledgements", || broker.acknowledged.load(SeqCst) >= 20);
    assert!(!program.log().contains("no connection"), "{}", program.log());
}
