use super::*;

fn at(seconds: u64, high: bool) -> Edge {
    Edge { high, time: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds) }
}

/// What an input says to a first level and edges, as seconds and state.
fn said(options: &Options, first: Edge, edges: &[Edge]) -> Vec<(u64, bool)> {
    let mut input = options.open();
    let mut said = Vec::new();
    let mut emit = |time: SystemTime, sample: Sample| {
        let seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let Some(Value::Switch(state)) = sample.values()[STATE] else { panic!("{sample:?}") };
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
