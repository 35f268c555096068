//! What holds for every driver on a serial port.

use crate::sim::Part;
use crate::{DRIVERS, Fault, SerialSensor, SerialSpec, Spec, Value};
use proptest::prelude::*;
use std::sync::Arc;

fn all() -> impl Iterator<Item = (&'static str, Arc<dyn SerialSpec>)> {
    DRIVERS.iter().filter_map(|driver| match (driver.defaults)() {
        Spec::Serial(spec) => Some((driver.name, spec)),
        _ => None,
    })
}

/// What a part says by itself, or to what it is asked.
fn said(part: &mut dyn Part, sensor: &mut dyn SerialSensor) -> Vec<u8> {
    let part = part.serial().expect("a part on a serial port");
    let (mut asked, mut said) = (Vec::new(), Vec::new());
    sensor.request(&mut asked);
    assert_ne!(asked.is_empty(), part.period().is_none(), "it either talks or is asked");
    part.talk(&mut said);
    part.receive(&asked, &mut said);
    said
}

fn heard(sensor: &mut dyn SerialSensor, bytes: &[u8]) -> Vec<Result<Vec<Option<Value>>, Fault>> {
    let mut heard = Vec::new();
    sensor.receive(bytes, &mut |result| heard.push(result.map(|sample| sample.values().to_vec())));
    heard
}

#[test]
fn sensors_measure_what_is_there() {
    for (name, spec) in all() {
        for (index, channel) in spec.channels().iter().enumerate() {
            let (mut part, mut sensor) = (spec.simulate(), spec.open());
            // What comes first may be dropped.
            let first = said(&mut *part, &mut *sensor);
            heard(&mut *sensor, &first);
            let range = channel.range.clone().unwrap();
            let span = (range.end() - range.start()).min(1e6);
            for step in 0..=10 {
                let value = range.start().max(-1e6) + span * (0.01 + 0.098 * f64::from(step));
                assert!(part.stimulate(&channel.name, value), "{name} has no {}", channel.name);
                let bytes = said(&mut *part, &mut *sensor);
                let samples = heard(&mut *sensor, &bytes);
                let Some(Ok(values)) = samples.last() else { panic!("{name}: {samples:?}") };
                let found = values[index].as_ref().and_then(Value::number).unwrap();
                // Whole numbers are coarser than a thousandth of the smallest ranges.
                let fine = (found - value).abs() <= (span * 1e-3).max(0.5);
                assert!(fine, "{name} {}: {found} is not {value}", channel.name);
            }
            assert!(!part.stimulate("no-such-channel", 1.0));
        }
    }
}

#[test]
fn silence_takes_longer_than_a_message() {
    for (name, spec) in all() {
        let period = spec.simulate().serial().unwrap().period().unwrap_or_default();
        assert!(spec.patience() >= period * 2 && !spec.patience().is_zero(), "{name}");
        let settings = spec.settings();
        assert!(settings.baud > 0 && (5..=8).contains(&settings.data_bits) && (1..=2).contains(&settings.stop_bits));
    }
}

/// Garbage, pieces of messages and whole messages.
fn stream() -> impl Strategy<Value = Vec<(bool, Vec<u8>)>> {
    let piece = (any::<bool>(), prop::collection::vec(any::<u8>(), 0..80));
    prop::collection::vec(piece, 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_same_bytes_in_any_pieces_give_the_same(pieces in stream(), cuts in prop::collection::vec(1_usize..40, 1..20)) {
        for (name, spec) in all() {
            let (mut part, mut whole) = (spec.simulate(), spec.open());
            let mut bytes = Vec::new();
            for (message, garbage) in &pieces {
                bytes.extend(garbage);
                if *message {
                    bytes.extend(said(&mut *part, &mut *whole));
                }
            }
            let expected = heard(&mut *whole, &bytes);
            let (mut pieced, mut found, mut rest) = (spec.open(), Vec::new(), &bytes[..]);
            for cut in cuts.iter().cycle() {
                let (piece, next) = rest.split_at((*cut).min(rest.len()));
                found.extend(heard(&mut *pieced, piece));
                rest = next;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(&found, &expected, "{}", name);
            // Whatever came, it finds its place again: a message or two may be lost for it.
            let mut last = Vec::new();
            for _ in 0..3 {
                let bytes = said(&mut *part, &mut *pieced);
                last = heard(&mut *pieced, &bytes);
            }
            prop_assert!(last.iter().any(Result::is_ok), "{}: {:?}", name, last);
        }
    }
}
