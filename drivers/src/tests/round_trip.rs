//! What is set through the back door of a model comes out of its driver.

use super::rig::{Rig, model, sample, sensors};
use crate::port::OutputPort;
use crate::sim::{Line, SharedPart};
use crate::{Attachment, Control, DRIVERS, Edge, Spec, Value};
use std::time::SystemTime;

/// A thousandth of the range is coarse for all parts but the one with ten bits.
const RESOLUTION: f64 = 1e-3;

#[test]
fn sensors_measure_what_is_there() {
    for (driver, spec, attachment) in sensors() {
        for (index, channel) in spec.channels().iter().enumerate() {
            let part = SharedPart::new(model(&*spec));
            let rig = Rig::new(attachment, Some(part.clone()));
            let mut sensor = spec.open(rig.wire()).unwrap();
            let range = channel.range.clone().unwrap();
            let span = range.end() - range.start();
            for step in 0..=10 {
                // Not quite to the ends: there, what is measured and what is beyond look the same to some parts.
                let value = range.start() + span * (0.01 + 0.098 * f64::from(step));
                assert!(part.stimulate(&channel.name, value), "{} has no {}", driver.name, channel.name);
                let found = sample(&*spec, &mut *sensor).unwrap()[index];
                let off = (found - value).abs();
                assert!(off <= span * RESOLUTION, "{} {}: {found} is not {value}", driver.name, channel.name);
            }
            assert!(!part.stimulate("no-such-channel", 1.0));
            sensor.halt().unwrap();
        }
    }
}

#[test]
fn inputs_tell_their_first_level_and_each_change() {
    for driver in DRIVERS {
        let Spec::Edge(spec) = (driver.defaults)() else { continue };
        let mut sensor = spec.open();
        let mut told = Vec::new();
        let mut emit = |_, sample: crate::Sample| told.push(sample.values().to_vec());
        sensor.level(Edge { high: false, time: SystemTime::now() }, &mut emit);
        for high in [true, true, false] {
            sensor.edge(Edge { high, time: SystemTime::now() }, &mut emit);
        }
        assert_eq!(told.len(), 3, "{}", driver.name);
        assert!(told.iter().all(|values| values.len() == spec.channels().len()), "{}", driver.name);
        assert_ne!(told[0], told[1], "{}", driver.name);
        assert_eq!(told[0], told[2], "{}", driver.name);
    }
}

#[test]
fn actuators_do_what_they_are_told_and_nothing_before() {
    for driver in DRIVERS {
        let Spec::Actuator(spec) = (driver.defaults)() else { continue };
        let values = match spec.control() {
            Control::Switch => vec![Value::Switch(true), Value::Switch(false), Value::Switch(true)],
            Control::Number { range, .. } => [*range.start(), *range.end()].map(Value::Number).to_vec(),
        };
        for found in [false, true] {
            let line = Line::new();
            line.pull(found);
            if !driver.attachments.contains(&Attachment::OutputLine) {
                continue;
            }
            let mut actuator = spec.open(crate::port::Wire::Output(OutputPort(Box::new(line.clone())))).unwrap();
            actuator.read().unwrap();
            assert_eq!(line.is_high(), found, "{}", driver.name);
            for value in &values {
                assert_eq!(actuator.apply(value).unwrap(), *value, "{}", driver.name);
                assert_eq!(actuator.read().unwrap(), Some(value.clone()), "{}", driver.name);
            }
        }
    }
}
