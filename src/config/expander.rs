//! Expanders, and whether what is connected to them can be.

use super::model::{At, ExpanderConfig, LineName, PwmName};
use super::resolve::Seen;
use super::stanza::Stanza;
use super::written;
use halyard_drivers::options::node::quote;
use halyard_drivers::options::read::{alternatives, nearest};
use halyard_drivers::options::{Frequency, Node, Placed, Problem, Span, read_rest};
use halyard_drivers::{Offer, Role, Spec};
use std::collections::BTreeMap;
use std::time::Duration;

/// How often inputs are looked at if nobody says, without an interrupt and with one.
const POLL: Duration = Duration::from_millis(50);
const POLL_BESIDE_INTERRUPT: Duration = Duration::from_secs(1);
/// The shortest and longest time that can be said.
const POLL_RANGE: (Span, Span) = (Span(Duration::from_millis(1)), Span(Duration::from_secs(60)));

/// What a stanza below `expanders` means. `None` if it has a problem, all of which are reported.
pub fn resolve(node: &Node, seen: &mut Seen<'_>, problems: &mut Vec<Problem>) -> Option<ExpanderConfig> {
    let stanza = Stanza::new(node, Role::Expander, problems)?;
    let written::Expander { id, poll } = read_rest(&stanza.common, problems).unwrap_or_default();
    let id = seen.id(&stanza, id, Role::Expander, problems);
    let connection = stanza.connection(problems);
    let interrupt = stanza.interrupt(problems);
    let line = interrupt.as_ref().map(|line| Placed {
        place: line.place,
        origin: line.origin.clone(),
        value: At::Line(line.value.clone()),
    });
    for place in connection.iter().flat_map(|connection| &connection.places).chain(&line) {
        seen.place(place, id.as_deref(), false, problems);
    }
    let spec = match stanza.spec(problems) {
        Some(Spec::Expander(spec)) => Some(spec),
        _ => None,
    };
    let usual = if interrupt.is_some() { POLL_BESIDE_INTERRUPT } else { POLL };
    let poll = poll.map_or(usual, |poll| {
        let (shortest, longest) = POLL_RANGE;
        if !(shortest..=longest).contains(&poll.value) {
            let message = format!("`poll` must be from {shortest} to {longest}, not `{}`", poll.value);
            problems.push(Problem::new(poll.place, message));
        }
        poll.value.0
    });
    if let Some(id) = &id {
        seen.expanders.insert(id.clone(), spec.as_ref().map(|spec| spec.offer()));
    }
    Some(ExpanderConfig {
        id: id?,
        driver: stanza.driver?,
        at: connection?.at,
        spec: spec?,
        interrupt: interrupt.map(|line| line.value),
        poll,
        fingerprint: stanza.fingerprint(),
    })
}

/// Expanders by their ids, with what they have to give; `None` where that is not known.
pub type Offers = BTreeMap<String, Option<Offer>>;

/// Whether `at`, of a sensor or an actuator, is a pin that there is, and that can do this.
pub fn check(at: &Placed<At>, role: Role, expanders: &Offers, problems: &mut Vec<Problem>) {
    let (line, is_pwm) = match &at.value {
        At::Line(line) => (line, false),
        At::Pwm(PwmName::Line(line)) => (line, true),
        _ => return,
    };
    let LineName::Pin { expander, pin } = line else { return };
    let Some(offer) = expanders.get(expander) else {
        let names: Vec<&str> = expanders.keys().map(String::as_str).collect();
        let hint = match (nearest(expander, names.iter().copied()), names.as_slice()) {
            (Some(near), _) => format!("; did you mean `{near}`?"),
            (None, []) => "; they stand below `expanders`".to_owned(),
            (None, names) => format!("; there is {}", alternatives(names).replace(" or ", " and ")),
        };
        let message = format!("there is no expander {}{hint}", quote(expander));
        problems.push(Problem::new(at.place, message));
        return;
    };
    // What is wrong with it was said.
    let Some(offer) = offer else { return };
    let wrong = if *pin >= offer.pins {
        Some(format!("has no pin {pin}: they are 0 to {}", offer.pins.saturating_sub(1)))
    } else if is_pwm && offer.pulses.is_none() {
        Some("has lines, and no PWM channels".to_owned())
    } else if role == Role::Sensor && !offer.inputs {
        Some("has outputs only".to_owned())
    } else {
        None
    };
    if let Some(wrong) = wrong {
        problems.push(Problem::new(at.place, format!("the expander `{expander}` {wrong}")));
    }
}

/// What is wrong with so many pulses in a second on this channel, if something is.
pub fn check_frequency(at: &At, asked: Frequency, expanders: &Offers) -> Option<String> {
    let At::Pwm(PwmName::Line(LineName::Pin { expander, .. })) = at else { return None };
    let pulses = expanders.get(expander)?.as_ref()?.pulses?;
    if pulses.allow(1e9 / asked.0) {
        return None;
    }
    let own = Frequency((1e9 / pulses.period_ns).round());
    Some(format!(
        "`frequency` is {asked}, and all channels of the expander `{expander}` have {own}: both have to be the same"
    ))
}
