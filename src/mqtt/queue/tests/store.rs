//! What the store has to do with it.

use super::*;
use crate::store::Sample;

/// A store, as far as a queue sees it.
#[derive(Default)]
pub(super) struct Kept(pub(super) std::collections::BTreeMap<Number, Sample>);

impl Kept {
    pub(super) fn state(&mut self, queue: &mut Queue, topic: &str, text: &str) {
        let given = queue.state(topic, text.to_owned().into(), Store::All);
        self.keep(queue, given, text, false);
    }

    pub(super) fn event(&mut self, queue: &mut Queue, topic: &str, text: &str) {
        let given = queue.event(topic, text.to_owned().into(), Store::All);
        self.keep(queue, given, text, true);
    }

    pub(super) fn keep(&mut self, queue: &mut Queue, given: Option<(Number, Arc<str>)>, text: &str, is_event: bool) {
        let (number, topic) = given.unwrap();
        self.0.insert(number, Sample { number, written: 0, topic, payload: text.to_owned().into(), is_event });
        queue.keep(number);
    }

    /// Gives what is wanted, in chunks of three; forgets what is not needed.
    pub(super) fn tend(&mut self, queue: &mut Queue) {
        queue.released().iter().for_each(|number| assert!(self.0.remove(number).is_some(), "twice: {number}"));
        while let Some(want) = queue.want() {
            let wanted = self.0.values().filter(|sample| want.after < sample.number && sample.number <= want.upto);
            let samples = wanted.take(3).cloned().collect();
            queue.refill(want.ticket, samples, |number| self.0.contains_key(&number));
        }
    }

    pub(super) fn drain(&mut self, queue: &mut Queue) -> Vec<String> {
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
