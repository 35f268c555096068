use super::kept::LOW;
use super::*;
use crate::store::Sample;
use proptest::prelude::*;

fn queue(limits: Limits) -> Queue {
    let mut queue = Queue::new(limits);
    queue.connected();
    queue
}

fn message(text: &str) -> Outgoing {
    Outgoing {
        topic: "a/result".to_owned(),
        payload: Bytes::copy_from_slice(text.as_bytes()),
        qos: 1,
        retained: false,
        expiry: None,
        correlation: None,
    }
}

fn state(queue: &mut Queue, topic: &str, text: &str, store: Store) {
    queue.state(topic, Bytes::copy_from_slice(text.as_bytes()), store);
}

fn event(queue: &mut Queue, topic: &str, text: &str, store: Store) {
    queue.event(topic, Bytes::copy_from_slice(text.as_bytes()), store);
}

fn shown(message: &Outgoing) -> String {
    let retained = if message.retained { "!" } else { "" };
    format!("{}{retained} {}", message.topic, String::from_utf8_lossy(&message.payload))
}

/// Takes the next and leaves it on its way.
fn take(queue: &mut Queue) -> (Number, String) {
    let (number, message) = queue.next().expect("something to send");
    (number, shown(&message))
}

/// Delivers all there is: what went, in order.
fn drain(queue: &mut Queue) -> Vec<String> {
    std::iter::from_fn(|| {
        let (number, message) = queue.next()?;
        queue.delivered(number);
        Some(shown(&message))
    })
    .collect()
}

#[test]
fn messages_and_states_go_in_the_order_in_which_they_came() {
    let mut queue = queue(Limits::default());
    state(&mut queue, "a/pump", "on", Store::Latest);
    queue.send(message("applied"));
    state(&mut queue, "a/door", "open", Store::All);
    state(&mut queue, "a/door", "shut", Store::All);
    assert_eq!(drain(&mut queue), ["a/pump! on", "a/result applied", "a/door! open", "a/door! shut"]);
    assert_eq!((queue.depth(), queue.in_flight(), queue.counters.delivered), (0, 0, 4));
    assert!(queue.entities.is_empty(), "nothing stays behind");
}

#[test]
fn only_the_newest_of_a_slot_is_kept() {
    let mut queue = Queue::new(Limits::default());
    for value in ["1", "2", "3"] {
        state(&mut queue, "a/climate", value, Store::Latest);
    }
    assert!(queue.next().is_none(), "there is no connection");
    queue.connected();
    assert_eq!(drain(&mut queue), ["a/climate! 3"]);
}

#[test]
fn an_outage_goes_to_the_backlog_after_the_newest_went_to_the_topic() {
    let mut queue = Queue::new(Limits::default());
    for value in ["1", "2", "3", "4"] {
        state(&mut queue, "a/door", value, Store::All);
        state(&mut queue, "a/gate", value, Store::All);
    }
    queue.connected();
    assert_eq!(take(&mut queue).1, "a/door! 4");
    assert_eq!(take(&mut queue).1, "a/gate! 4");
    assert_eq!(take(&mut queue).1, "a/door/backlog 1");
    // What is new does not wait for the backlog.
    state(&mut queue, "a/door", "5", Store::All);
    assert_eq!(
        drain(&mut queue),
        [
            "a/door! 5",
            "a/gate/backlog 1",
            "a/door/backlog 2",
            "a/gate/backlog 2",
            "a/door/backlog 3",
            "a/gate/backlog 3"
        ]
    );
}

#[test]
fn states_that_a_lost_connection_held_up_go_to_the_backlog_too() {
    let mut queue = queue(Limits::default());
    for value in ["1", "2", "3", "4"] {
        state(&mut queue, "a/door", value, Store::All);
    }
    let (first, _) = take(&mut queue);
    let (second, _) = take(&mut queue);
    queue.disconnected();
    queue.lost(second);
    queue.lost(first);
    queue.connected();
    assert_eq!(drain(&mut queue), ["a/door! 4", "a/door/backlog 1", "a/door/backlog 2", "a/door/backlog 3"]);
}

#[test]
fn the_newest_state_goes_to_its_topic_again_when_it_was_lost_on_the_way() {
    for store in [Store::All, Store::Latest] {
        let mut queue = queue(Limits::default());
        state(&mut queue, "a/door", "1", store);
        let (number, _) = take(&mut queue);
        queue.disconnected();
        queue.lost(number);
        queue.connected();
        assert_eq!(drain(&mut queue), ["a/door! 1"], "{store:?}");
    }
}

#[test]
fn a_lost_state_never_comes_after_a_newer_one_on_its_topic() {
    for (store, then) in [(Store::Latest, &[][..]), (Store::All, &["a/door/backlog 1"][..])] {
        let mut queue = queue(Limits::default());
        state(&mut queue, "a/door", "1", store);
        let (first, _) = take(&mut queue);
        state(&mut queue, "a/door", "2", store);
        let (second, text) = take(&mut queue);
        assert_eq!(text, "a/door! 2");
        queue.lost(first);
        queue.delivered(second);
        assert_eq!(drain(&mut queue), then, "{store:?}");
        assert!(queue.entities.is_empty());
    }
}

#[test]
fn nothing_is_kept_for_those_that_do_not_want_it() {
    let mut queue = queue(Limits::default());
    state(&mut queue, "a/noise", "1", Store::None);
    state(&mut queue, "a/noise", "2", Store::None);
    assert_eq!(drain(&mut queue), ["a/noise! 1", "a/noise! 2"]);
    state(&mut queue, "a/noise", "3", Store::None);
    state(&mut queue, "a/noise", "4", Store::None);
    let (on_its_way, _) = take(&mut queue);
    queue.disconnected();
    queue.lost(on_its_way);
    state(&mut queue, "a/noise", "5", Store::None);
    queue.connected();
    assert_eq!(drain(&mut queue), [""; 0]);
    assert_eq!(queue.counters.dropped, 3);
    assert!(queue.entities.is_empty());
}

#[test]
fn full_queues_drop_the_oldest_and_count() {
    let mut queue = Queue::new(Limits { messages: 2, states: 3, in_flight: 10 });
    for value in ["1", "2", "3", "4", "5"] {
        queue.send(message(value));
        state(&mut queue, "a/door", value, Store::All);
    }
    assert_eq!((queue.depth(), queue.counters.dropped), (5, 5));
    queue.connected();
    assert_eq!(drain(&mut queue), ["a/result 4", "a/result 5", "a/door! 5", "a/door/backlog 3", "a/door/backlog 4"]);
}

#[test]
fn a_lost_message_takes_its_old_place() {
    let mut queue = queue(Limits::default());
    ["1", "2", "3"].into_iter().for_each(|text| queue.send(message(text)));
    let (first, _) = take(&mut queue);
    let (second, _) = take(&mut queue);
    queue.lost(second);
    queue.lost(first);
    assert_eq!(queue.counters.repeated, 2);
    assert_eq!(drain(&mut queue), ["a/result 1", "a/result 2", "a/result 3"]);
}

#[test]
fn what_the_broker_refuses_is_not_sent_again() {
    let mut queue = queue(Limits::default());
    queue.send(message("1"));
    let (number, _) = take(&mut queue);
    queue.refused(number);
    assert_eq!((queue.next().is_none(), queue.counters.failed), (true, 1));
}

#[test]
fn topics_that_no_broker_takes_do_not_get_in() {
    let mut queue = queue(Limits::default());
    for topic in ["", "a/#", "+/b", "a\0b", &"x".repeat(65536)] {
        queue.send(Outgoing { topic: topic.to_owned(), ..message("1") });
        state(&mut queue, topic, "1", Store::All);
    }
    assert_eq!((queue.depth(), queue.counters.failed), (0, 10));
}

#[test]
fn a_removed_entity_is_forgotten() {
    let mut queue = Queue::new(Limits::default());
    for value in ["1", "2", "3"] {
        state(&mut queue, "a/door", value, Store::All);
        state(&mut queue, "a/gate", value, Store::Latest);
    }
    queue.connected();
    let (number, _) = take(&mut queue);
    queue.forget("a/door");
    queue.lost(number);
    assert_eq!(drain(&mut queue), ["a/gate! 3"]);
    assert_eq!((queue.depth(), queue.in_flight()), (0, 0));
}

#[test]
fn only_so_many_are_on_their_way() {
    let mut queue = queue(Limits { in_flight: 2, ..Limits::default() });
    ["1", "2", "3"].into_iter().for_each(|text| queue.send(message(text)));
    let (first, _) = take(&mut queue);
    take(&mut queue);
    assert!(queue.next().is_none());
    queue.delivered(first);
    assert_eq!(take(&mut queue).1, "a/result 3");
}

#[derive(Clone, Debug)]
enum Step {
    State,
    Connect,
    Disconnect,
    Send,
    Deliver(usize),
    Lose(usize),
}

#[test]
fn events_are_not_retained_and_keep_their_place_between_states() {
    let mut queue = queue(Limits::default());
    for store in [Store::All, Store::Latest, Store::None] {
        state(&mut queue, "a/button", "on", store);
        event(&mut queue, "a/button", "long", store);
        event(&mut queue, "a/button", "again", store);
        // No newer state makes an event void.
        let expected: &[&str] = if store == Store::Latest {
            &["a/button long", "a/button again", "a/button! off"]
        } else {
            &["a/button! on", "a/button long", "a/button again", "a/button! off"]
        };
        state(&mut queue, "a/button", "off", store);
        assert_eq!(drain(&mut queue), expected, "{store:?}");
    }
    assert!(queue.entities.is_empty());
}

#[test]
fn events_of_an_outage_are_history() {
    let mut queue = queue(Limits::default());
    state(&mut queue, "a/button", "off", Store::All);
    drain(&mut queue);
    queue.disconnected();
    event(&mut queue, "a/button", "1", Store::All);
    state(&mut queue, "a/button", "on", Store::All);
    event(&mut queue, "a/button", "2", Store::All);
    event(&mut queue, "a/lost", "3", Store::Latest);
    event(&mut queue, "a/lost", "4", Store::None);
    queue.connected();
    assert_eq!(drain(&mut queue), ["a/button! on", "a/button/backlog 1", "a/button/backlog 2"]);
    assert_eq!(queue.counters.dropped, 2);

    // One that was on its way when the connection was lost, and one that waited.
    event(&mut queue, "a/button", "5", Store::All);
    let (number, _) = take(&mut queue);
    event(&mut queue, "a/button", "6", Store::All);
    event(&mut queue, "a/lost", "7", Store::Latest);
    queue.disconnected();
    queue.lost(number);
    queue.connected();
    assert!(!queue.is_known("a/button"), "a broker that lost its memory has to be told the state");
    assert_eq!(drain(&mut queue), ["a/button/backlog 5", "a/button/backlog 6"]);
    assert!(!queue.is_known("a/button"));
    assert_eq!(queue.counters.dropped, 3);
    assert!(queue.entities.is_empty());
}

#[test]
fn many_events_do_not_push_out_the_newest_state() {
    let mut queue = Queue::new(Limits { states: 3, ..Limits::default() });
    state(&mut queue, "a/button", "on", Store::All);
    for number in 1..=5 {
        event(&mut queue, "a/button", &number.to_string(), Store::All);
    }
    queue.connected();
    assert_eq!(drain(&mut queue), ["a/button! on", "a/button/backlog 4", "a/button/backlog 5"]);
}

/// A store, as far as a queue sees it.
#[derive(Default)]
struct Kept(std::collections::BTreeMap<Number, Sample>);

impl Kept {
    fn state(&mut self, queue: &mut Queue, topic: &str, text: &str) {
        let given = queue.state(topic, text.to_owned().into(), Store::All);
        self.keep(queue, given, text, false);
    }

    fn event(&mut self, queue: &mut Queue, topic: &str, text: &str) {
        let given = queue.event(topic, text.to_owned().into(), Store::All);
        self.keep(queue, given, text, true);
    }

    fn keep(&mut self, queue: &mut Queue, given: Option<(Number, Arc<str>)>, text: &str, is_event: bool) {
        let (number, topic) = given.unwrap();
        self.0.insert(number, Sample { number, written: 0, topic, payload: text.to_owned().into(), is_event });
        queue.keep(number);
    }

    /// Gives what is wanted, in chunks of three; forgets what is not needed.
    fn tend(&mut self, queue: &mut Queue) {
        queue.released().iter().for_each(|number| assert!(self.0.remove(number).is_some(), "twice: {number}"));
        while let Some(want) = queue.want() {
            let wanted = self.0.values().filter(|sample| want.after < sample.number && sample.number <= want.upto);
            let samples = wanted.take(3).cloned().collect();
            queue.refill(want.ticket, samples, |number| self.0.contains_key(&number));
        }
    }

    fn drain(&mut self, queue: &mut Queue) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            self.tend(queue);
            let Some((number, message)) = queue.next() else { return all };
            queue.delivered(number);
            all.push(shown(&message));
        }
    }
}

#[test]
fn history_is_left_to_the_store_and_fetched_in_order() {
    let (mut queue, mut kept) = (Queue::new(Limits { states: 4, ..Limits::default() }), Kept::default());
    for number in 1..=9 {
        kept.state(&mut queue, "a/door", &number.to_string());
        kept.event(&mut queue, "a/button", &number.to_string());
    }
    assert_eq!((queue.depth(), queue.kept()), (1, 1), "only the newest state is in memory");
    queue.connected();
    let all = kept.drain(&mut queue);
    assert_eq!(all[0], "a/door! 9");
    let of = |topic: &str| all.iter().filter_map(|line| line.strip_prefix(topic)).collect::<Vec<_>>();
    assert_eq!(of("a/door/backlog "), ["1", "2", "3", "4", "5", "6", "7", "8"]);
    assert_eq!(of("a/button/backlog "), ["1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    assert!(kept.0.is_empty() && queue.entities.is_empty() && queue.late == 0);
    assert_eq!(queue.counters.dropped, 0);
}

#[test]
fn what_an_earlier_run_left_is_delivered_and_the_topic_has_the_newest() {
    let (mut queue, mut kept) = (Queue::new(Limits::default()), Kept::default());
    (1..=3).for_each(|number| kept.state(&mut queue, "a/door", &number.to_string()));
    kept.state(&mut queue, "a/gone", "9");
    let mut queue = Queue::new(Limits::default());
    queue.begin_with(10);
    queue.expect("a/door");
    queue.expect("a/other");
    queue.connected();
    // Until there is a newer one.
    let expected = ["a/door! 3", "a/door/backlog 1", "a/door/backlog 2", "a/door/backlog 3", "a/gone/backlog 9"];
    let before = kept.0.clone();
    assert_eq!(kept.drain(&mut queue), expected);

    kept.0 = before;
    let mut queue = Queue::new(Limits::default());
    queue.begin_with(10);
    queue.expect("a/door");
    kept.state(&mut queue, "a/door", "4");
    queue.connected();
    assert_eq!(kept.drain(&mut queue)[0], "a/door! 4");

    let (mut queue, mut kept) = (Queue::new(Limits::default()), Kept::default());
    (1..=3).for_each(|number| kept.state(&mut queue, "a/door", &number.to_string()));
    let mut queue = Queue::new(Limits::default());
    queue.begin_with(10);
    queue.connected();
    assert_eq!(kept.drain(&mut queue), ["a/door/backlog 1", "a/door/backlog 2", "a/door/backlog 3"]);
    kept.state(&mut queue, "a/door", "4");
    assert_eq!(kept.drain(&mut queue), ["a/door! 4"]);
}

#[test]
fn a_broker_that_is_slow_does_not_fill_the_memory() {
    let limits = Limits { states: 4, in_flight: 8, ..Limits::default() };
    let (mut queue, mut kept) = (queue(limits), Kept::default());
    kept.tend(&mut queue);
    let mut first = Vec::new();
    for number in 1..=100 {
        kept.state(&mut queue, "a/door", &number.to_string());
        first.extend(queue.next());
        assert!(queue.depth() <= 5);
    }
    let mut delivered: Vec<u32> = first.iter().map(|(_, message)| text(message).parse().unwrap()).collect();
    first.iter().for_each(|(number, _)| queue.delivered(*number));
    let rest = kept.drain(&mut queue);
    assert!(rest.iter().any(|line| line == "a/door! 100"), "{rest:?}");
    delivered.extend(rest.iter().map(|line| line.rsplit(' ').next().unwrap().parse::<u32>().unwrap()));
    delivered.sort_unstable();
    assert_eq!(delivered, (1..=100).collect::<Vec<_>>());
    assert_eq!(queue.counters.dropped, 0);
}

#[test]
fn a_backlog_leaves_room_for_what_is_new() {
    let (mut queue, mut kept) = (Queue::new(Limits { in_flight: 8, ..Limits::default() }), Kept::default());
    (1..=20).for_each(|number| kept.state(&mut queue, "a/door", &number.to_string()));
    queue.connected();
    kept.tend(&mut queue);
    let going: Vec<_> = std::iter::from_fn(|| queue.next()).map(|(_, message)| shown(&message)).collect();
    assert_eq!(going, ["a/door! 20", "a/door/backlog 1", "a/door/backlog 2"]);
    assert!(!queue.is_ready());
    kept.state(&mut queue, "a/door", "21");
    assert!(queue.is_ready());
    assert_eq!(take(&mut queue).1, "a/door! 21");
}

#[test]
fn what_was_kept_of_a_removed_entity_is_delivered_as_history() {
    let (mut queue, mut kept) = (queue(Limits::default()), Kept::default());
    (1..=3).for_each(|number| kept.state(&mut queue, "a/door", &number.to_string()));
    let (number, _) = take(&mut queue);
    queue.forget("a/door");
    state(&mut queue, "a/door", "", Store::Latest);
    queue.delivered(number);
    assert_eq!(kept.drain(&mut queue), ["a/door! ", "a/door/backlog 2", "a/door/backlog 3"]);
    assert!(kept.0.is_empty() && queue.entities.is_empty());
}

fn text(message: &Outgoing) -> String {
    String::from_utf8_lossy(&message.payload).into_owned()
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => Just(Step::State),
        1 => Just(Step::Connect),
        1 => Just(Step::Disconnect),
        3 => Just(Step::Send),
        2 => (0..4usize).prop_map(Step::Deliver),
        1 => (0..4usize).prop_map(Step::Lose),
    ];
    prop::collection::vec(step, 0..120)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens in whatever order: every state is delivered, and the last on the topic is the newest.
    #[test]
    fn every_state_arrives_and_the_topic_holds_the_newest(steps in steps()) {
        let mut queue = Queue::new(Limits { in_flight: 1000, ..Limits::default() });
        let (mut given, mut delivered, mut retained) = (0, BTreeSet::new(), None);
        let mut on_their_way: Vec<(Number, Outgoing)> = Vec::new();
        let arrive = |message: &Outgoing| -> u32 { std::str::from_utf8(&message.payload).unwrap().parse().unwrap() };
        let finish = [Step::Disconnect, Step::Connect].into_iter().chain(std::iter::repeat_n(Step::Send, 130));
        for step in steps.into_iter().chain(finish) {
            match step {
                Step::State => {
                    given += 1;
                    state(&mut queue, "a/door", &given.to_string(), Store::All);
                }
                Step::Connect => queue.connected(),
                Step::Disconnect => {
                    queue.disconnected();
                    for (number, _) in on_their_way.drain(..) {
                        queue.lost(number);
                    }
                }
                Step::Send => {
                    let Some((number, message)) = queue.next() else { continue };
                    // The broker sees what is sent, acknowledged or not.
                    let value = arrive(&message);
                    delivered.insert(value);
                    if message.retained {
                        prop_assert!(retained <= Some(value), "{:?} then {}", retained, value);
                        retained = Some(value);
                    }
                    on_their_way.push((number, message));
                }
                Step::Deliver(index) if index < on_their_way.len() => {
                    let (number, _) = on_their_way.remove(index);
                    queue.delivered(number);
                }
                Step::Lose(index) if index < on_their_way.len() => queue.lost(on_their_way.remove(index).0),
                Step::Deliver(_) | Step::Lose(_) => (),
            }
        }
        prop_assert_eq!(delivered, (1..=given).collect::<BTreeSet<_>>());
        prop_assert_eq!(retained, (given > 0).then_some(given));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// The same with a store, and with processes that are killed: every state is delivered, the topic holds the newest of each
    /// process, and the backlog is in order on each connection.
    #[test]
    fn with_a_store_every_state_arrives_whatever_dies(steps in prop::collection::vec((0..9u8, 0..4usize), 0..150)) {
        let limits = Limits { in_flight: 6, states: 3, ..Limits::default() };
        let (mut queue, mut kept) = (Queue::new(limits), Kept::default());
        let (mut given, mut delivered, mut retained, mut late) = (0, BTreeSet::new(), None, None);
        let mut on_their_way: Vec<(Number, Outgoing)> = Vec::new();
        let finish = std::iter::repeat_n([(5, 0), (6, 0)], 400).flatten();
        for (step, index) in steps.into_iter().chain([(8, 0), (3, 0)]).chain(finish) {
            match step {
                0..=2 => {
                    given += 1;
                    kept.state(&mut queue, "a/door", &given.to_string());
                }
                3 => {
                    queue.connected();
                    late = None;
                }
                4 => {
                    queue.disconnected();
                    on_their_way.drain(..).for_each(|(number, _)| queue.lost(number));
                }
                5 => {
                    kept.tend(&mut queue);
                    let Some((number, message)) = queue.next() else { continue };
                    let value: u32 = text(&message).parse().unwrap();
                    delivered.insert(value);
                    if message.retained {
                        prop_assert!(retained <= Some(value), "{:?} then {}", retained, value);
                        retained = Some(value);
                    } else {
                        prop_assert!(late < Some(value) || index > 0, "{:?} then {}", late, value);
                        late = Some(value);
                    }
                    on_their_way.push((number, message));
                }
                6 if index < on_their_way.len() => queue.delivered(on_their_way.remove(index).0),
                7 => {
                    kept.tend(&mut queue);
                }
                8 => {
                    // A new process; the store knows what the old one had noted.
                    queue.released().iter().for_each(|number| drop(kept.0.remove(number)));
                    let last = queue.last;
                    queue = Queue::new(limits);
                    queue.begin_with(last);
                    on_their_way.clear();
                }
                _ => {}
            }
            // In flight, and what is kept in memory besides.
            prop_assert!(queue.depth() <= 4 + LOW + 3);
        }
        prop_assert_eq!(delivered, (1..=given).collect::<BTreeSet<_>>());
        prop_assert!(kept.0.len() <= on_their_way.len() + queue.released.len());
    }
}

#[test]
fn what_this_broker_has_is_known_until_the_connection_is_lost() {
    let mut queue = queue(Limits::default());
    assert!(!queue.is_known("a/door"));
    state(&mut queue, "a/door", "1", Store::All);
    assert!(queue.is_known("a/door"));
    drain(&mut queue);
    assert!(queue.is_known("a/door"));
    queue.disconnected();
    assert!(!queue.is_known("a/door"));
}
