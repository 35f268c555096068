mod properties;
mod store;

use super::*;

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

fn text(message: &Outgoing) -> String {
    String::from_utf8_lossy(&message.payload).into_owned()
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
