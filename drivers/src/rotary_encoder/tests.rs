use super::*;
use crate::value::Value;
use proptest::prelude::*;

/// The codes of one detent clockwise, from both contacts open: Bourns PEC11R, quadrature output table: A leads B.
const CLOCKWISE: [(usize, bool); 4] = [(A, false), (B, false), (A, true), (B, true)];

fn edge(line: usize, high: bool) -> Edge {
    Edge { line, ..Edge::new(high, SystemTime::UNIX_EPOCH) }
}

/// A knob at rest with both contacts open, and what it said.
struct Knob {
    knob: Box<dyn EdgeSensor>,
    said: Vec<Option<i32>>,
}

impl Knob {
    fn new(yaml: &str) -> Self {
        let options: Options = serde_yaml::from_str(yaml).unwrap();
        let mut knob = Self { knob: options.open(), said: Vec::new() };
        knob.found([true, true]);
        knob
    }

    fn found(&mut self, levels: [bool; 2]) {
        for (line, high) in levels.into_iter().enumerate() {
            self.feed(edge(line, high), true);
        }
    }

    fn feed(&mut self, edge: Edge, is_level: bool) {
        let said = &mut self.said;
        let mut emit = |_, sample: Result<Sample, Fault>| {
            #[allow(clippy::cast_possible_truncation)]
            let position = |sample: Sample| sample.values()[POSITION].as_ref().and_then(Value::number).unwrap() as i32;
            said.push(sample.ok().map(position));
        };
        if is_level { self.knob.level(edge, &mut emit) } else { self.knob.edge(edge, &mut emit) }
    }

    fn edge(&mut self, line: usize, high: bool) {
        self.feed(edge(line, high), false);
    }

    /// One whole cycle.
    fn turn(&mut self, clockwise: bool) {
        for (line, high) in CLOCKWISE {
            // Counter-clockwise, B leads.
            self.edge(if clockwise { line } else { 1 - line }, high);
        }
    }

    /// What it said since the last time; `None` is a fault.
    fn said(&mut self) -> Vec<Option<i32>> {
        std::mem::take(&mut self.said)
    }
}

#[test]
fn a_leads_clockwise_and_b_leads_back() {
    let mut knob = Knob::new("{}");
    assert_eq!(knob.said(), [Some(0)]);
    [true, true, false, false, false].into_iter().for_each(|clockwise| knob.turn(clockwise));
    assert_eq!(knob.said(), [1, 2, 1, 0, -1].map(Some));
    let mut inverted = Knob::new("invert: true");
    inverted.turn(true);
    assert_eq!(inverted.said(), [0, -1].map(Some));
}

#[test]
fn each_quarter_of_a_cycle_as_far_as_it_counts() {
    for (steps, expected) in [
        (4, vec![None, None, None, Some(1)]),
        (2, vec![None, Some(1), None, Some(2)]),
        (1, [1, 2, 3, 4].map(Some).into()),
    ] {
        let mut knob = Knob::new(&format!("steps_per_detent: {steps}"));
        knob.said();
        for ((line, high), position) in CLOCKWISE.into_iter().zip(expected) {
            knob.edge(line, high);
            assert_eq!(knob.said(), position.map(Some).into_iter().collect::<Vec<_>>(), "{steps}");
        }
    }
}

#[test]
fn half_a_turn_and_back_is_nothing_and_so_are_bounces() {
    let mut knob = Knob::new("{}");
    knob.said();
    for (line, high) in [(A, false), (A, true), (A, false), (B, false), (B, true), (A, true)] {
        knob.edge(line, high);
    }
    assert_eq!(knob.said(), []);
    for (line, high) in CLOCKWISE {
        [high, !high, high, !high, high].into_iter().for_each(|high| knob.edge(line, high));
    }
    assert_eq!(knob.said(), [Some(1)]);
}

#[test]
fn ends_hold() {
    let mut knob = Knob::new("range: [-1, 1]");
    [true, true, true, false].into_iter().for_each(|clockwise| knob.turn(clockwise));
    assert_eq!(knob.said(), [0, 1, 0].map(Some), "at its end it says nothing, and it turns back at once");
    assert_eq!(Knob::new("range: [10, 20]").said(), [Some(10)]);
    assert_eq!(Knob::new("range: [-20, -10]").said(), [Some(-10)]);
}

#[test]
fn a_lost_edge_is_a_fault_and_the_next_detent_is_right_again() {
    let mut knob = Knob::new("{}");
    knob.said();
    // Of a whole turn, one edge is missing.
    for missing in 0..4 {
        for (_, (line, high)) in CLOCKWISE.into_iter().enumerate().filter(|(index, _)| *index != missing) {
            knob.edge(line, high);
        }
        // It rests where it was before, one edge short if that was the last.
        knob.edge(B, true);
        let said = knob.said();
        let last = said.iter().rev().find_map(|position| *position).unwrap_or(0);
        assert!((0..=1).contains(&last), "{missing}: {said:?}");
        // That a level is another one than was thought may be seen now only.
        let positions = CLOCKWISE.map(|(line, high)| {
            knob.edge(line, high);
            knob.said().iter().flatten().count()
        });
        assert_eq!(positions, [0, 0, 0, 1], "{missing}: in step again");
        knob = Knob::new("{}");
        knob.said();
    }
    // The kernel says that some were lost before the first of a turn: three quarters of it are seen.
    knob.feed(Edge { lost: 3, ..edge(A, false) }, false);
    CLOCKWISE[1..].iter().for_each(|(line, high)| knob.edge(*line, *high));
    knob.turn(true);
    assert_eq!(knob.said(), [None, Some(1), Some(2)]);
}

#[test]
fn lines_that_were_away_begin_anew_without_another_position() {
    let mut knob = Knob::new("{}");
    knob.turn(true);
    knob.edge(A, false);
    knob.said();
    knob.found([true, true]);
    assert_eq!(knob.said(), []);
    knob.turn(true);
    assert_eq!(knob.said(), [Some(2)]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Turned to and fro in quarters of a cycle, from whatever levels it rests at, the position is where it is.
    #[test]
    fn the_position_is_that_of_the_knob(rest in 0..4_i32, quarters in prop::collection::vec(any::<bool>(), 0..400)) {
        // As the knob is made: A and B as squares that are a quarter apart.
        let levels = |angle: i32| [matches!(angle.rem_euclid(4), 0 | 3), matches!(angle.rem_euclid(4), 0 | 1)];
        let mut knob = Knob::new("{}");
        knob.found(levels(rest));
        knob.said();
        let (mut angle, mut detent) = (rest, 0);
        for clockwise in quarters {
            let before = levels(angle);
            angle += if clockwise { 1 } else { -1 };
            let after = levels(angle);
            let line = usize::from(before[A] == after[A]);
            knob.edge(line, after[line]);
            if (angle - rest) % 4 == 0 {
                let now = (angle - rest) / 4;
                let expected = if now == detent { vec![] } else { vec![Some(now)] };
                detent = now;
                prop_assert_eq!(knob.said(), expected);
            } else {
                prop_assert_eq!(knob.said(), vec![]);
            }
        }
    }

    #[test]
    fn no_sequence_of_edges_is_too_much(edges in prop::collection::vec((0..2_usize, any::<bool>(), 0..3_u32), 0..200)) {
        let mut knob = Knob::new("range: [-3, 3]");
        for (line, high, lost) in edges {
            knob.feed(Edge { lost, ..edge(line, high) }, false);
        }
        prop_assert!(knob.said().into_iter().flatten().all(|position| (-3..=3).contains(&position)));
    }
}

#[test]
fn wrong_options_are_refused() {
    for wrong in ["range: [1, 1]", "range: [2, 1]", "range: [1]", "steps_per_detent: 3", "range: [0.5, 2]"] {
        assert!(serde_yaml::from_str::<Options>(wrong).is_err(), "{wrong}");
    }
    assert!(serde_yaml::from_str::<Options>("range: null").unwrap().range.is_none());
}
