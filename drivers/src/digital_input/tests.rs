use super::*;
use crate::fault::Fault;
use proptest::prelude::*;

fn at(seconds: u64, high: bool) -> Edge {
    Edge::new(high, SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

/// What an input says to a first level and edges, as seconds and state.
fn said(options: &Options, first: Edge, edges: &[Edge]) -> Vec<(u64, bool)> {
    let mut input = options.open();
    let mut said = Vec::new();
    let mut emit = |time: SystemTime, sample: Result<Sample, Fault>| {
        let seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let Some(Value::Switch(state)) = sample.as_ref().unwrap().values()[STATE] else { panic!("{sample:?}") };
        said.push((seconds, state));
    };
    input.level(first, &mut emit);
    for edge in edges {
        input.edge(*edge, &mut emit);
    }
    said
}

#[test]
fn every_change_once_with_its_own_time() {
    let edges = [at(2, true), at(3, true), at(4, false), at(5, false), at(6, true)];
    let options = Options::default();
    assert_eq!(said(&options, at(1, false), &edges), [(1, false), (2, true), (4, false), (6, true)]);
    assert_eq!(said(&options, at(1, true), &edges), [(1, true), (4, false), (6, true)]);
}

#[test]
fn inverted() {
    let options = Options { invert: true, ..Options::default() };
    assert_eq!(said(&options, at(1, false), &[at(2, true), at(3, false)]), [(1, true), (2, false), (3, true)]);
}

#[test]
fn a_line_found_again_tells_only_what_changed() {
    let mut input = Options::default().open();
    let mut count = 0;
    for (level, expected) in [(at(1, true), 1), (at(2, true), 1), (at(3, false), 2)] {
        input.level(level, &mut |_, _| count += 1);
        assert_eq!(count, expected, "{level:?}");
    }
}

#[test]
fn settings_and_channel() {
    let options = Options {
        pull: Pull::Up,
        debounce: Span(Duration::from_millis(10)),
        device_class: Some(DeviceClass::GarageDoor),
        ..Options::default()
    };
    assert_eq!(options.input(), InputSettings { pull: Pull::Up, debounce: Duration::from_millis(10) });
    assert_eq!(options.channels()[STATE].quantity.device_class, Some("garage_door"));
    assert_eq!(Options::default().channels()[STATE].quantity.device_class, None);
}

#[test]
fn device_classes_are_read_by_home_assistants_names() {
    let read = |text| serde_yaml::from_str::<Options>(text);
    assert_eq!(read("device_class: garage_door").unwrap().device_class, Some(DeviceClass::GarageDoor));
    let message = read("device_class: gate").unwrap_err().to_string();
    assert!(message.contains("unknown variant `gate`, expected one of `battery`"), "{message}");
    assert!(read("debonce: 10ms").is_err());
}

fn ms(milliseconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds)
}

/// With the default times: 800 ms and 350 ms.
fn button(events: &[Press]) -> Box<dyn EdgeSensor> {
    Options { events: events.iter().copied().collect(), ..Options::default() }.open()
}

/// The events of a button that is released at first and changes at these times in ms, and their times. `until`: the last
/// time that passes. `step` lets time pass between edges too, as the agent does when it is not busy.
fn events(button: &mut dyn EdgeSensor, changes: &[u64], until: u64, step: bool) -> Vec<(u64, &'static str)> {
    let mut told = Vec::new();
    let mut emit = |time: SystemTime, sample: Result<Sample, Fault>| {
        let time = time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
        told.extend(sample.unwrap().event().map(|event| (u64::try_from(time).unwrap(), event)));
    };
    button.level(Edge::new(false, ms(0)), &mut emit);
    let pass = |button: &mut dyn EdgeSensor, until: u64, emit: &mut Emit<'_>| {
        while let Some(deadline) = button.deadline().filter(|deadline| *deadline <= ms(until)) {
            button.pass(deadline, emit);
        }
    };
    for (index, change) in changes.iter().enumerate() {
        if step {
            pass(button, *change, &mut emit);
        }
        button.edge(Edge::new(index % 2 == 0, ms(*change)), &mut emit);
    }
    pass(button, until, &mut emit);
    told
}

const ALL: [Press; 3] = [Press::Press, Press::Double, Press::Long];

#[test]
fn a_press_is_told_when_nothing_else_can_come_of_it() {
    assert_eq!(events(&mut *button(&ALL), &[1000, 1100], 1449, true), []);
    assert_eq!(events(&mut *button(&ALL), &[1000, 1100], 1450, true), [(1100, "press")]);
    let without_double = [Press::Press, Press::Long];
    assert_eq!(events(&mut *button(&without_double), &[1000, 1100], 1100, true), [(1100, "press")]);
    assert_eq!(events(&mut *button(&[Press::Press]), &[1000, 9000], 9000, true), [(9000, "press")]);
}

#[test]
fn a_long_press_is_told_while_it_is_held_and_its_release_is_nothing() {
    assert_eq!(events(&mut *button(&ALL), &[1000], 1799, true), []);
    assert_eq!(events(&mut *button(&ALL), &[1000], 1800, true), [(1800, "long")]);
    assert_eq!(events(&mut *button(&ALL), &[1000, 3000], 9000, true), [(1800, "long")]);
    assert_eq!(events(&mut *button(&[Press::Long]), &[1000, 1100, 1200, 1300], 9000, true), []);
}

#[test]
fn a_double_press_is_told_at_the_second_and_nothing_follows() {
    assert_eq!(events(&mut *button(&ALL), &[1000, 1100, 1449], 1449, true), [(1449, "double")]);
    assert_eq!(events(&mut *button(&ALL), &[1000, 1100, 1300, 9000], 9900, true), [(1300, "double")]);
    assert_eq!(events(&mut *button(&ALL), &[1000, 1100, 1450, 1500], 9000, true), [(1100, "press"), (1500, "press")]);
    // The third press is one of its own.
    let three = [1000, 1100, 1200, 1300, 1400, 1500];
    assert_eq!(events(&mut *button(&ALL), &three, 9000, true), [(1200, "double"), (1500, "press")]);
    assert_eq!(events(&mut *button(&[Press::Double]), &[1000, 1100], 9000, true), []);
}

#[test]
fn the_state_comes_before_the_event() {
    let mut button = button(&[Press::Press]);
    let mut said = Vec::new();
    let mut emit = |_, sample: Result<Sample, Fault>| said.push(sample.unwrap().event().unwrap_or("state"));
    button.level(Edge::new(false, ms(0)), &mut emit);
    button.edge(Edge::new(true, ms(10)), &mut emit);
    button.edge(Edge::new(false, ms(20)), &mut emit);
    assert_eq!(said, ["state", "state", "state", "press"]);
}

#[test]
fn what_is_found_pressed_is_no_press() {
    let mut button = button(&ALL);
    let mut told = 0;
    let mut emit = |_, sample: Result<Sample, Fault>| told += u32::from(sample.unwrap().event().is_some());
    button.level(Edge::new(true, ms(0)), &mut emit);
    assert_eq!(button.deadline(), None);
    button.edge(Edge::new(false, ms(100)), &mut emit);
    assert_eq!(button.deadline(), None);
    // The line is lost in the middle of a press.
    button.edge(Edge::new(true, ms(200)), &mut emit);
    button.level(Edge::new(true, ms(5000)), &mut emit);
    assert_eq!(button.deadline(), None);
    button.edge(Edge::new(false, ms(6000)), &mut emit);
    assert_eq!(told, 0);
}

#[test]
fn without_events_there_is_nothing_to_wait_for() {
    let mut contact = Options::default().open();
    assert_eq!(events(&mut *contact, &[1000, 1100, 1200, 9000], 99_000, true), []);
    assert_eq!(Options::default().events(), [""; 0]);
    let options: Options = serde_yaml::from_str("events: [long, press, press]").unwrap();
    assert_eq!(options.events(), ["press", "long"]);
    assert!(serde_yaml::from_str::<Options>("events: [tripel]").is_err());
}

/// What presses mean, said once more without any state: presses are intervals of begin and end.
fn meaning(presses: &[(u64, u64)]) -> Vec<(u64, &'static str)> {
    let mut told = Vec::new();
    let mut rest = presses;
    while let [(begin, end), others @ ..] = rest {
        rest = others;
        if end - begin >= 800 {
            told.push((begin + 800, "long"));
        } else if let [(second, _), others @ ..] = rest
            && second - end < 350
        {
            told.push((*second, "double"));
            rest = others;
        } else {
            told.push((*end, "press"));
        }
    }
    told
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the times, each press is told once, and as what it is; also when edges are late and come together.
    #[test]
    fn every_press_is_told_once(
        gaps in prop::collection::vec(prop_oneof![1_u64..2000, 340_u64..360, 790_u64..810], 0..40),
        step: bool,
    ) {
        let mut changes: Vec<u64> =
            gaps.iter().scan(0, |time, gap| { *time += gap; Some(*time) }).collect();
        changes.truncate(changes.len() / 2 * 2);
        let presses: Vec<_> = changes.chunks(2).map(|press| (press[0], press[1])).collect();
        prop_assert_eq!(events(&mut *button(&ALL), &changes, u64::MAX / 2_000_000, step), meaning(&presses));
    }
}
