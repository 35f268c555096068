//! What is set through the back door of a model comes out of its driver.

use super::rig::{Rig, model, sample, sensors};
use crate::port::{OutputPort, PwmOutput, PwmPort, Wire};
use crate::sim::{Line, Pwm, SharedPart};
use crate::{ActuatorSpec, Attachment, Control, DRIVERS, Driver, Edge, FaultKind, Next, Spec, Value};
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

/// What an actuator is connected to.
#[derive(Clone, Default)]
struct Outside {
    line: Line,
    channel: Pwm,
}

impl Outside {
    fn wire(&self, attachment: Attachment) -> Wire {
        match attachment {
            Attachment::OutputLine => Wire::Output(OutputPort(Box::new(self.line.clone()))),
            Attachment::Pwm => Wire::Pwm(PwmPort(Box::new(self.channel.clone()))),
            Attachment::Several(members) => {
                let required = members.iter().filter(|member| member.required);
                Wire::Several(required.map(|member| (member.key, self.wire(member.at))).collect())
            }
            other => panic!("no actuator is on {other:?}"),
        }
    }

    fn state(&self) -> (bool, Option<(u64, u64)>) {
        (self.line.is_high(), self.channel.gives())
    }
}

/// The actuators that are on lines and PWM channels; those on a bus are their own tests' matter.
fn on_lines() -> impl Iterator<Item = (&'static Driver, Arc<dyn ActuatorSpec>)> {
    let on_bus = |driver: &Driver| matches!(driver.attachments[0], Attachment::I2c { .. } | Attachment::Spi);
    DRIVERS.iter().filter(move |driver| !on_bus(driver)).filter_map(|driver| match (driver.defaults)() {
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
        };
        for found in [false, true] {
            let mut outside = Outside::default();
            outside.line.pull(found);
            if found {
                outside.channel.pulses(20_000_000, 1_234_567).unwrap();
            }
            let before = outside.state();
            let mut actuator = spec.open(outside.wire(driver.attachments[0])).unwrap();
            actuator.read().unwrap();
            assert_eq!(outside.state(), before, "{}", driver.name);
            for value in &values {
                assert_eq!(actuator.apply(value).unwrap(), *value, "{}", driver.name);
                assert_eq!(actuator.read().unwrap(), Some(value.clone()), "{}", driver.name);
                assert_eq!(actuator.apply_at_once(value).unwrap(), *value, "{}", driver.name);
            }
        }
    }
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
        assert_eq!(outside.state(), (false, None), "{}", driver.name);
    }
}

#[test]
fn actuators_tell_when_their_hardware_fails() {
    for (driver, spec) in on_lines() {
        let outside = Outside::default();
        let mut actuator = spec.open(outside.wire(driver.attachments[0])).unwrap();
        outside.line.set_broken(true);
        outside.channel.set_broken(true);
        let off = spec.control().off();
        assert_eq!(actuator.apply(&off).unwrap_err().kind.next(), Next::Reopen, "{}", driver.name);
        assert_eq!(actuator.read().unwrap_err().kind.next(), Next::Reopen, "{}", driver.name);
        outside.line.set_broken(false);
        outside.channel.set_broken(false);
        assert_eq!(actuator.apply(&off).unwrap(), off, "{}", driver.name);
    }
}
