//! Actuators.

use super::expander;
use super::model::{ActuatorConfig, Initial};
use super::resolve::Seen;
use super::stanza::Stanza;
use super::values::{AtStart, Id};
use super::written;
use crate::acting::gate::{Heartbeat, Rate, Rules};
use halyard_drivers::actuator::FULL;
use halyard_drivers::options::read::nearest;
use halyard_drivers::options::{Node, Place, Placed, Problem, Span, read_rest};
use halyard_drivers::sort::sort;
use halyard_drivers::{Control, Driver, Role, Shown, Spec, Value};
use std::ops::RangeInclusive;
use std::time::Duration;

/// Most commands that a `rate` counts.
const MOST_COMMANDS: usize = 1000;

/// A stanza below `actuators`, as far as it could be read: interlocks are checked among all of them.
pub struct Draft {
    /// Its id.
    pub id: Option<String>,
    takes_text: bool,
    interlock: Vec<Placed<String>>,
    /// Where `initial` and `safe` turn it on, if they do.
    on: [(&'static str, Option<Place>); 2],
    dead_time: Option<Place>,
    /// The values of others that it shows.
    pub shows: Vec<Shown>,
    /// What it means; `None` if it has a problem.
    pub config: Option<ActuatorConfig>,
}

/// Reads a stanza below `actuators`. All problems are reported.
pub fn resolve(node: &Node, seen: &mut Seen<'_>, problems: &mut Vec<Problem>) -> Option<Draft> {
    let stanza = Stanza::new(node, Role::Actuator, problems)?;
    let takes_text = stanza.driver.is_some_and(takes_text);
    let keys = if takes_text { Keys::of_text(&stanza, problems) } else { Keys::of(&stanza, problems) };
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
    if let Some(frequency) = spec.as_ref().and_then(|spec| spec.frequency()) {
        let places = connection.iter().flat_map(|connection| &connection.places);
        for message in places.filter_map(|place| expander::check_frequency(&place.value, frequency, &seen.expanders)) {
            stanza.wrong("frequency", message, problems);
        }
    }
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
        Some((AtStart::Keep, _)) => Some(Initial::Keep),
        Some((AtStart::Restore, _)) => Some(Initial::Restore),
        Some((AtStart::Value(value), place)) => {
            let value = fit("initial", value, *place);
            initial_on = value.as_ref().filter(|value| value.is_active()).map(|_| *place);
            value.map(Initial::Value)
        }
    };
    let safe = match &keys.safe {
        None => Some(off),
        Some((value, place)) => {
            let value = fit("safe", value, *place);
            safe_on = value.as_ref().filter(|value| value.is_active()).map(|_| *place);
            value
        }
    };
    if let (Some(min_off), Some(_)) = (&keys.min_off, safe_on) {
        problems.push(Problem::new(min_off.place, "`min_off` would keep it from its `safe`, which is not off"));
    }
    let dead_time = keys.dead_time.as_ref().map(|span| span.place);
    let shows = spec.as_ref().map(|spec| spec.shows()).unwrap_or_default();
    let span = |span: Option<Placed<Span>>| span.map(|span| span.value.0);
    let config = (|| {
        let spec = spec?;
        let control = spec.control();
        Some(ActuatorConfig {
            id: id.clone()?,
            name: keys.name,
            driver: stanza.driver?,
            at: connection?.at,
            spec,
            initial: initial?,
            rules: Rules {
                control,
                safe: safe?,
                safe_after: span(keys.safe_after),
                max_on: span(keys.max_on),
                min_off: span(keys.min_off),
                interlock: Vec::new(),
                dead_time: span(keys.dead_time).unwrap_or(Duration::ZERO),
                heartbeat,
                rate,
            },
            fingerprint: stanza.fingerprint(),
        })
    })();
    let interlock = keys.interlock;
    let on = [("initial", initial_on), ("safe", safe_on)];
    Some(Draft { id, takes_text, interlock, on, dead_time, shows, config })
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

/// Whether actuators with this driver take text.
pub fn takes_text(driver: &'static Driver) -> bool {
    matches!((driver.defaults)(), Spec::Actuator(spec) if matches!(spec.control(), Control::Text(_)))
}

/// The common keys, as those of all actuators are gone on with.
#[derive(Default)]
struct Keys {
    id: Option<Placed<Id>>,
    name: Option<String>,
    initial: Option<(AtStart, Place)>,
    safe: Option<(Value, Place)>,
    safe_after: Option<Placed<Span>>,
    max_on: Option<Placed<Span>>,
    min_off: Option<Placed<Span>>,
    interlock: Vec<Placed<String>>,
    dead_time: Option<Placed<Span>>,
    control: Option<written::Control>,
    rate: Option<written::Rate>,
}

impl Keys {
    fn of(stanza: &Stanza<'_>, problems: &mut Vec<Problem>) -> Self {
        let keys: written::Actuator = read_rest(&stanza.common, problems).unwrap_or_default();
        let written::Actuator { id, name, initial, safe, safe_after, max_on, min_off, interlock, dead_time, .. } = keys;
        Self {
            id,
            name,
            initial: initial.map(|initial| (initial.value.0, initial.place)),
            safe: safe.map(|safe| (safe.value.0, safe.place)),
            safe_after,
            max_on,
            min_off,
            interlock: interlock.map(|names| names.0).unwrap_or_default(),
            dead_time,
            control: keys.control,
            rate: keys.rate,
        }
    }

    /// Of one that takes text.
    fn of_text(stanza: &Stanza<'_>, problems: &mut Vec<Problem>) -> Self {
        for (key, _) in stanza.common.entries().unwrap_or_default() {
            if let Some(name @ ("max_on" | "min_off" | "interlock" | "dead_time")) = key.text() {
                let message = format!("there is no `{name}` here: what takes text is never on");
                problems.push(Problem::new(key.place, message));
            }
        }
        let keys: written::TextActuator = read_rest(&stanza.common, problems).unwrap_or_default();
        let written::TextActuator { id, name, initial, safe, safe_after, control, rate } = keys;
        let initial = initial.and_then(|initial| match initial.value.as_str() {
            "restore" => Some((AtStart::Restore, initial.place)),
            "keep" => {
                let message = "`initial` cannot be `keep` here: nobody knows what was written before";
                problems.push(Problem::new(initial.place, message));
                None
            }
            _ => Some((AtStart::Value(Value::Text(initial.value)), initial.place)),
        });
        let safe = safe.map(|safe| (Value::Text(safe.value), safe.place));
        Self { id, name, initial, safe, safe_after, control, rate, ..Self::default() }
    }
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
        (Control::Text(texts), Value::Text(text)) => match texts.check(text) {
            Ok(()) => Ok(value.clone()),
            Err(unfit) => Err(format!("a text that can be written; {}", texts.explain(unfit))),
        },
        (Control::Text(_), _) => Err("a text".to_owned()),
        (Control::Position { .. }, Value::Switch(false)) => Ok(Value::STOP),
        (Control::Position { range, .. }, Value::Number(at)) if range.contains(at) => Ok(Value::go(*at)),
        (Control::Position { range, unit, .. }, _) => {
            Err(format!("`off`, which stops it, or a number from {}", reach(range, *unit)))
        }
        (Control::Number { .. }, Value::Switch(false)) => Ok(control.off()),
        (Control::Number { range, .. }, Value::Number(number)) if range.contains(number) => Ok(value.clone()),
        (Control::Number { range, unit, .. }, _) => Err(format!("`off` or a number from {}", reach(range, *unit))),
    }
}

fn reach(range: &RangeInclusive<f64>, unit: Option<&str>) -> String {
    let unit = unit.map(|unit| format!(" {unit}")).unwrap_or_default();
    format!("{} to {}{unit}", range.start(), range.end())
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
                Some(other) if drafts[other].takes_text => {
                    let message = format!("{} takes text: it is never on", name.shown());
                    problems.push(Problem::new(name.place, message));
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
                config.rules.interlock.push(other);
            }
        }
    }
    for draft in drafts {
        let Some(config) = &mut draft.config else { continue };
        // A name that is none is reported as such.
        if let (Some(place), [], []) = (draft.dead_time, draft.interlock.as_slice(), config.rules.interlock.as_slice())
        {
            problems.push(Problem::new(place, "`dead_time` does nothing: it is interlocked with nobody"));
        }
        sort(&mut config.rules.interlock);
        // Another's stanza may have changed this one's interlocks.
        config.fingerprint.0 += &format!(" interlock {}", config.rules.interlock.join(" "));
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
