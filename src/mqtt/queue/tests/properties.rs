//! Whatever happens in whatever order.

use super::super::kept::LOW;
use super::store::Kept;
use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    State,
    Connect,
    Disconnect,
    Send,
    Deliver(usize),
    Lose(usize),
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
