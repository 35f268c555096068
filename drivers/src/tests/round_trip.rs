//! What is set through the back door of a model comes out of its driver.

use super::rig::{Rig, model, sample, sensors};
use crate::port::{OutputPort, PwmOutput, PwmPort, Wire};
use crate::sim::clock::pass;
use crate::sim::{Line, Pwm, SharedPart};
use crate::{Actuator, ActuatorSpec, Attachment, Control, DRIVERS, Driver, Edge, FaultKind, Member, Next, Spec, Value};
use std::sync::Arc;
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

/// What they say is up to each; that they say something, in the right channels and without panicking, is not.
#[test]
fn inputs_tell_their_first_level_or_report() {
    for driver in DRIVERS {
        let Spec::Edge(spec) = (driver.defaults)() else { continue };
        let mut sensor = spec.open();
        let mut told = Vec::new();
        let mut emit = |_, sample: Result<crate::Sample, crate::Fault>| told.push(sample.unwrap().values().to_vec());
        for line in 0..spec.lines().len() {
            sensor.level(Edge { line, ..Edge::new(false, SystemTime::now()) }, &mut emit);
        }
        if spec.reports() {
            sensor.report(SystemTime::now(), &mut emit);
        }
        assert_eq!(told.len(), 1, "{}", driver.name);
        let is_in_range = told[0].iter().zip(spec.channels()).all(|(value, channel)| match (value, &channel.range) {
            (Some(Value::Number(number)), Some(range)) => range.contains(number),
            (Some(Value::Switch(_)), None) => true,
            _ => false,
        });
        assert!(is_in_range && told[0].len() == spec.channels().len(), "{}: {told:?}", driver.name);
        let memory = sensor.memory();
        assert_eq!(
            memory,
            {
                memory.iter().for_each(|memory| sensor.recall(memory));
                sensor.memory()
            },
            "{}",
            driver.name
        );
    }
}

/// What an actuator is connected to.
#[derive(Clone, Default)]
struct Outside {
    lines: [Line; 2],
    channel: Pwm,
}

impl Outside {
    fn wire(&self, attachment: Attachment) -> Wire {
        match attachment {
            Attachment::OutputLine => self.line(0),
            Attachment::Pwm => Wire::Pwm(PwmPort(Box::new(self.channel.clone()))),
            Attachment::Several(members) => {
                let required = members.iter().filter(|member| member.required).enumerate();
                let wire = |(index, member): (usize, &Member)| match member.at {
                    Attachment::OutputLine => (member.key, self.line(index)),
                    at => (member.key, self.wire(at)),
                };
                Wire::Several(required.map(wire).collect())
            }
            other => panic!("no actuator is on {other:?}"),
        }
    }

    fn line(&self, index: usize) -> Wire {
        Wire::Output(OutputPort(Box::new(self.lines[index].clone())))
    }

    fn pull(&self, high: bool) {
        self.lines.iter().for_each(|line| line.pull(high));
    }

    fn set_broken(&self, broken: bool) {
        self.lines.iter().for_each(|line| line.set_broken(broken));
        self.channel.set_broken(broken);
    }

    fn state(&self) -> ([bool; 2], Option<(u64, u64)>) {
        (self.lines.each_ref().map(Line::is_high), self.channel.gives())
    }
}

/// The actuators that are on lines and PWM channels; those on a bus are their own tests' matter.
fn on_lines() -> impl Iterator<Item = (&'static Driver, Arc<dyn ActuatorSpec>)> {
    let on_line = |driver: &Driver| {
        matches!(driver.attachments[0], Attachment::OutputLine | Attachment::Pwm | Attachment::Several(_))
    };
    DRIVERS.iter().filter(move |driver| on_line(driver)).filter_map(|driver| match (driver.defaults)() {
        Spec::Actuator(spec) => Some((*driver, spec)),
        _ => None,
    })
}

#[test]
fn actuators_do_what_they_are_told_and_nothing_before() {
    for (driver, spec) in on_lines() {
        let values = match spec.control() {
            Control::Switch => vec![Value::Switch(true), Value::Switch(false), Value::Switch(true)],
            Control::Number { range, .. } => [*range.start(), *range.end()].map(Value::Number).to_vec(),
            Control::Level(_) => [100.0, 0.0, 33.3, 0.1].map(Value::Number).to_vec(),
            Control::Cover => [100.0, 0.0, 33.3, 0.1].map(Value::go).to_vec(),
            Control::Text(_) => panic!("no line takes text"),
            Control::Position { range, step, .. } => {
                let (min, max) = range.into_inner();
                vec![Value::rest(Some(min)), Value::go(max), Value::go(min), Value::go(min + step)]
            }
        };
        for found in [false, true] {
            let mut outside = Outside::default();
            outside.pull(found);
            if found {
                outside.channel.pulses(20_000_000, 1_234_567).unwrap();
            }
            let before = outside.state();
            let mut actuator = spec.open(outside.wire(driver.attachments[0])).unwrap();
            actuator.read().unwrap();
            assert_eq!(outside.state(), before, "{}", driver.name);
            for value in &values {
                let there = match value {
                    Value::Position { at, .. } => Value::rest(*at),
                    other => other.clone(),
                };
                let state = actuator.apply(value).unwrap();
                assert_eq!(arrive(&mut *actuator, state), there, "{}", driver.name);
                assert_eq!(actuator.read().unwrap(), Some(there.clone()), "{}", driver.name);
                let state = actuator.apply_at_once(value).unwrap();
                assert_eq!(arrive(&mut *actuator, state), there, "{}", driver.name);
            }
        }
    }
}

/// Lets an actuator get where it goes; gives its last state.
fn arrive(actuator: &mut dyn Actuator, mut state: Value) -> Value {
    for _ in 0..1000 {
        let Some(next) = actuator.next() else { return state };
        pass(next);
        state = actuator.advance().unwrap().unwrap_or(state);
    }
    panic!("on its way without end, in state {state}");
}

#[test]
fn actuators_refuse_what_they_cannot_be() {
    for (driver, spec) in on_lines() {
        let outside = Outside::default();
        let mut actuator = spec.open(outside.wire(driver.attachments[0])).unwrap();
        let wrong = match spec.control() {
            Control::Switch => vec![Value::Number(1.0)],
            Control::Number { range, .. } => vec![Value::Switch(true), Value::Number(range.end() + 1.0)],
            Control::Level(_) => vec![Value::Switch(true), Value::Number(-1.0), Value::Number(100.1)],
            Control::Cover => vec![Value::Switch(true), Value::go(-1.0), Value::go(f64::NAN), Value::rest(Some(50.0))],
            Control::Text(_) => panic!("no line takes text"),
            Control::Position { range, .. } => {
                let beyond = range.end() + 1.0;
                vec![Value::Switch(true), Value::go(beyond), Value::go(f64::NAN), Value::rest(Some(beyond))]
            }
        };
        for value in wrong.into_iter().chain([Value::Number(f64::NAN)]) {
            assert_eq!(actuator.apply(&value).unwrap_err().kind, FaultKind::Rejected, "{} {value}", driver.name);
            assert_eq!(
                actuator.apply_at_once(&value).unwrap_err().kind,
                FaultKind::Rejected,
                "{} {value}",
                driver.name
            );
        }
        assert_eq!(outside.state(), ([false; 2], None), "{}", driver.name);
    }
}

#[test]
fn actuators_tell_when_their_hardware_fails() {
    for (driver, spec) in on_lines() {
        let outside = Outside::default();
        let mut actuator = spec.open(outside.wire(driver.attachments[0])).unwrap();
        outside.set_broken(true);
        let off = spec.control().off();
        assert_eq!(actuator.apply(&off).unwrap_err().kind.next(), Next::Reopen, "{}", driver.name);
        assert_eq!(actuator.read().unwrap_err().kind.next(), Next::Reopen, "{}", driver.name);
        outside.set_broken(false);
        let state = actuator.apply(&off).unwrap();
        // Where a motor stands is up to it.
        assert!(state == off || (off == Value::STOP && !state.is_active()), "{}: {state}", driver.name);
    }
}
