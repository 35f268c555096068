//! Actuators.

use super::expander;
use super::model::{ActuatorConfig, Initial};
use super::resolve::Seen;
use super::stanza::Stanza;
use super::values::{AtStart, Setting, Start};
use super::written;
use crate::acting::gate::{Heartbeat, Rate};
use halyard_drivers::actuator::FULL;
use halyard_drivers::options::read::nearest;
use halyard_drivers::options::{Node, Place, Placed, Problem, Span, read_rest};
use halyard_drivers::{Control, Role, Spec, Value};
use std::time::Duration;

/// Most commands that a `rate` counts.
const MOST_COMMANDS: usize = 1000;

/// A stanza below `actuators`, as far as it could be read: interlocks are checked among all of them.
pub struct Draft {
    /// Its id.
    pub id: Option<String>,
    interlock: Vec<Placed<String>>,
    /// Where `initial` and `safe` turn it on, if they do.
    on: [(&'static str, Option<Place>); 2],
    dead_time: Option<Place>,
    /// What it means; `None` if it has a problem.
    pub config: Option<ActuatorConfig>,
}

/// Reads a stanza below `actuators`. All problems are reported.
pub fn resolve(node: &Node, seen: &mut Seen<'_>, problems: &mut Vec<Problem>) -> Option<Draft> {
    let stanza = Stanza::new(node, Role::Actuator, problems)?;
    let keys: written::Actuator = read_rest(&stanza.common, problems).unwrap_or_default();
    let id = seen.id(&stanza, keys.id, Role::Actuator, problems);
    let connection = stanza.connection(problems);
    for place in connection.iter().flat_map(|connection| &connection.places) {
        seen.place(place, id.as_deref(), stanza.shares(), problems);
        expander::check(place, Role::Actuator, &seen.expanders, problems);
    }
    let spec = match stanza.spec(problems) {
        Some(Spec::Actuator(spec)) => Some(spec),
        _ => None,
    };
    let (control, rate) = (keys.control.as_ref(), keys.rate.as_ref());
    for (key, span) in [
        ("safe_after", keys.safe_after.as_ref()),
        ("max_on", keys.max_on.as_ref()),
        ("min_off", keys.min_off.as_ref()),
        ("dead_time", keys.dead_time.as_ref()),
        ("timeout", control.map(|control| &control.timeout)),
        ("per", rate.map(|rate| &rate.per)),
    ] {
        if let Some(span) = span
            && span.0.is_zero()
        {
            problems.push(Problem::new(span.place, format!("`{key}` must be more than 0")));
        }
    }
    let heartbeat = keys.control.map(|control| heartbeat(control, seen, problems));
    let rate = keys.rate.and_then(|rate| rate_of(&rate, problems));
    let control = spec.as_ref().map(|spec| spec.control());
    let mut fit = |key: &str, value: &Value, place: Place| match &control {
        Some(control) => fit(control, value)
            .map_err(|expected| problems.push(Problem::new(place, format!("`{key}` must be {expected}"))))
            .ok(),
        None => Some(value.clone()),
    };
    let off = control.as_ref().map_or(Value::Switch(false), Control::off);
    let (mut initial_on, mut safe_on) = (None, None);
    let initial = match &keys.initial {
        None => Some(Initial::Value(off.clone())),
        Some(Placed { value: Start(AtStart::Keep), .. }) => Some(Initial::Keep),
        Some(Placed { value: Start(AtStart::Restore), .. }) => Some(Initial::Restore),
        Some(Placed { value: Start(AtStart::Value(value)), place, .. }) => {
            let value = fit("initial", value, *place);
            initial_on = value.as_ref().filter(|value| value.is_active()).map(|_| *place);
            value.map(Initial::Value)
        }
    };
    let safe = match &keys.safe {
        None => Some(off),
        Some(Placed { value: Setting(value), place, .. }) => {
            let value = fit("safe", value, *place);
            safe_on = value.as_ref().filter(|value| value.is_active()).map(|_| *place);
            value
        }
    };
    if let (Some(min_off), Some(_)) = (&keys.min_off, safe_on) {
        problems.push(Problem::new(min_off.place, "`min_off` would keep it from its `safe`, which is not off"));
    }
    let dead_time = keys.dead_time.as_ref().map(|span| span.place);
    let span = |span: Option<Placed<Span>>| span.map(|span| span.value.0);
    let config = (|| {
        Some(ActuatorConfig {
            id: id.clone()?,
            name: keys.name,
            driver: stanza.driver?,
            at: connection?.at,
            spec: spec?,
            initial: initial?,
            safe: safe?,
            safe_after: span(keys.safe_after),
            max_on: span(keys.max_on),
            min_off: span(keys.min_off),
            interlock: Vec::new(),
            dead_time: span(keys.dead_time).unwrap_or(Duration::ZERO),
            heartbeat,
            rate,
            fingerprint: stanza.fingerprint(),
        })
    })();
    let interlock = keys.interlock.map(|names| names.0).unwrap_or_default();
    Some(Draft { id, interlock, on: [("initial", initial_on), ("safe", safe_on)], dead_time, config })
}

fn heartbeat(control: written::Control, seen: &Seen<'_>, problems: &mut Vec<Problem>) -> Heartbeat {
    let topic = control.topic.value.0;
    if seen.own_topics.as_deref().is_some_and(|own| topic.starts_with(own)) {
        let message = format!(
            "`topic` must not be below `{}`, where this agent speaks itself",
            seen.own_topics.as_deref().unwrap_or_default()
        );
        problems.push(Problem::new(control.topic.place, message));
    }
    Heartbeat { topic, timeout: control.timeout.value.0 }
}

fn rate_of(rate: &written::Rate, problems: &mut Vec<Problem>) -> Option<Rate> {
    let limit = usize::try_from(rate.limit.value).ok().filter(|limit| (1..=MOST_COMMANDS).contains(limit));
    if limit.is_none() {
        let message = format!("`limit` must be from 1 to {MOST_COMMANDS}, not `{}`", rate.limit.value);
        problems.push(Problem::new(rate.limit.place, message));
    }
    Some(Rate { limit: limit?, per: rate.per.value.0 })
}

/// `value` as this control takes it, or what it must be.
fn fit(control: &Control, value: &Value) -> Result<Value, String> {
    match (control, value) {
        (Control::Switch, Value::Switch(_)) => Ok(value.clone()),
        (Control::Switch, other) => Err(format!("`on` or `off`, not `{other}`")),
        (Control::Level(_), Value::Switch(on)) => Ok(Value::Number(if *on { FULL } else { 0.0 })),
        (Control::Level(_), Value::Number(number)) if (0.0..=FULL).contains(number) => Ok(value.clone()),
        (Control::Level(_), _) => Err(format!("`on`, `off` or a number from 0 to {FULL} %")),
        (Control::Cover, Value::Switch(false)) => Ok(Value::STOP),
        (Control::Cover, Value::Number(at)) if (0.0..=FULL).contains(at) => Ok(Value::go(*at)),
        (Control::Cover, _) => Err(format!("`off`, which stops it, or a number from 0 to {FULL} %")),
        (Control::Number { .. }, Value::Switch(false)) => Ok(control.off()),
        (Control::Number { range, .. }, Value::Number(number)) if range.contains(number) => Ok(value.clone()),
        (Control::Number { range, unit, .. }, _) => {
            let unit = unit.map(|unit| format!(" {unit}")).unwrap_or_default();
            Err(format!("`off` or a number from {} to {}{unit}", range.start(), range.end()))
        }
    }
}

/// Checks the interlocks and makes them mutual.
pub fn interlock(drafts: &mut [Draft], seen: &Seen<'_>, problems: &mut Vec<Problem>) {
    let mut pairs = Vec::new();
    for (this, draft) in drafts.iter().enumerate() {
        for name in &draft.interlock {
            let other = drafts.iter().position(|other| other.id.as_deref() == Some(name.as_str()));
            match other {
                Some(other) if other == this => {
                    problems.push(Problem::new(name.place, "an actuator cannot interlock with itself"));
                }
                Some(other) => {
                    let pair = (this.min(other), this.max(other));
                    if !pairs.contains(&pair) {
                        pairs.push(pair);
                    }
                }
                None if seen.role(name) == Some(Role::Actuator) => {}
                None => problems.push(Problem::new(name.place, no_actuator(name, seen))),
            }
        }
    }
    for (first, second) in pairs {
        for ((key, a), (_, b)) in drafts[first].on.into_iter().zip(drafts[second].on) {
            if let (Some(_), Some(place), Some(id)) = (a, b, &drafts[first].id) {
                let message = format!("`{key}` turns this on together with `{id}`, with which it interlocks");
                problems.push(Problem::new(place, message));
            }
        }
        for (this, other) in [(first, second), (second, first)] {
            let other = drafts[other].id.clone();
            if let (Some(config), Some(other)) = (&mut drafts[this].config, other) {
                config.interlock.push(other);
            }
        }
    }
    for draft in drafts {
        let Some(config) = &mut draft.config else { continue };
        // A name that is none is reported as such.
        if let (Some(place), [], []) = (draft.dead_time, draft.interlock.as_slice(), config.interlock.as_slice()) {
            problems.push(Problem::new(place, "`dead_time` does nothing: it is interlocked with nobody"));
        }
        config.interlock.sort();
        // Another's stanza may have changed this one's interlocks.
        config.fingerprint.0 += &format!(" interlock {}", config.interlock.join(" "));
    }
}

fn no_actuator(name: &Placed<String>, seen: &Seen<'_>) -> String {
    if seen.role(name) == Some(Role::Sensor) {
        return format!("{} is a sensor: only actuators interlock", name.shown());
    }
    let hint = nearest(name, seen.ids(Role::Actuator))
        .filter(|_| name.origin.is_none())
        .map(|near| format!("; did you mean `{near}`?"))
        .unwrap_or_default();
    format!("there is no actuator {}{hint}", name.shown())
}
