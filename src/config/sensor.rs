//! Sensors.

use super::expander;
use super::model::{SensorConfig, Source, Store};
use super::resolve::Seen;
use super::stanza::Stanza;
use super::written;
use crate::sensing::filter::Filter;
use halyard_drivers::options::node::quote;
use halyard_drivers::options::read::{alternatives, nearest};
use halyard_drivers::options::{Content, Node, Placed, Problem, Span, read_rest};
use halyard_drivers::{Channel, Role, Spec};
use std::collections::HashMap;
use std::time::Duration;

/// Interval of a sensor that names none.
const EVERY: Duration = Duration::from_secs(10);
/// Shortest and longest interval.
const EVERY_RANGE: (Span, Span) = (Span(Duration::from_millis(10)), Span(Duration::from_secs(24 * 3_600)));

/// What a stanza below `sensors` means. `None` if it has a problem, all of which are reported.
pub fn resolve(node: &Node, seen: &mut Seen<'_>, problems: &mut Vec<Problem>) -> Option<SensorConfig> {
    let stanza = Stanza::new(node, Role::Sensor, problems)?;
    let written::Sensor { id, name, every, store } = read_rest(&stanza.common, problems).unwrap_or_default();
    let id = seen.id(&stanza, id, Role::Sensor, problems);
    let connection = stanza.connection(problems);
    for place in connection.iter().flat_map(|connection| &connection.places) {
        seen.place(place, id.as_deref(), stanza.shares(), problems);
        expander::check(place, Role::Sensor, &seen.expanders, problems);
    }
    let spec = stanza.spec(problems);
    let (source, channels, usual_store) = match spec {
        Some(Spec::Sensor(spec)) => {
            let every = every.map_or(EVERY, |every| interval(&every, problems));
            let channels = spec.channels();
            (Some(Source::Sampled { spec, every }), Some(channels), Store::Latest)
        }
        Some(Spec::Edge(spec)) => {
            if let Some(every) = every {
                let message = "there is no `every` here: each change is reported when it happens";
                problems.push(Problem::new(every.place, message));
            }
            let channels = spec.channels();
            (Some(Source::Edges { spec }), Some(channels), Store::All)
        }
        Some(Spec::Serial(spec)) => {
            let every = every.map_or(EVERY, |every| interval(&every, problems));
            let channels = spec.channels();
            (Some(Source::Serial { spec, every }), Some(channels), Store::Latest)
        }
        Some(Spec::Actuator(_) | Spec::Expander(_)) | None => {
            every.map(|every| interval(&every, problems));
            (None, None, Store::Latest)
        }
    };
    let filters = match stanza.filters {
        Some(node) => filters(node, channels.as_deref(), problems),
        None => Vec::new(),
    };
    Some(SensorConfig {
        id: id?,
        name,
        driver: stanza.driver?,
        at: connection?.at,
        source: source?,
        filters,
        store: store.unwrap_or(usual_store),
        fingerprint: stanza.fingerprint(),
    })
}

fn interval(every: &Placed<Span>, problems: &mut Vec<Problem>) -> Duration {
    let (shortest, longest) = EVERY_RANGE;
    if !(shortest..=longest).contains(&every.value) {
        let message = format!("`every` must be from {shortest} to 24h, not `{}`", every.value);
        problems.push(Problem::new(every.place, message));
    }
    every.value.0
}

/// The filters by the index of their channel. `channels` is not known where the driver's options are wrong.
fn filters(node: &Node, channels: Option<&[Channel]>, problems: &mut Vec<Problem>) -> Vec<(usize, Vec<Filter>)> {
    let entries = match &node.content {
        Content::Map(entries) => entries.as_slice(),
        Content::Null | Content::Unknown => return Vec::new(),
        _ => {
            let message = format!("`filters` must be a map from channels to lists of filters, not {}", node.kind());
            problems.push(Problem::new(node.place, message));
            return Vec::new();
        }
    };
    let mut steps: HashMap<String, Vec<Filter>> = read_rest(node, problems).unwrap_or_default();
    let mut all = Vec::new();
    for (key, _) in entries {
        let (Some(name), Some(channels)) = (key.text(), channels) else { continue };
        match channels.iter().position(|channel| channel.name == name) {
            Some(index) if channels[index].range.is_none() => {
                let message = format!("`{name}` is on or off: filters are for numbers");
                problems.push(Problem::new(key.place, message));
            }
            Some(index) => all.extend(steps.remove(name).map(|steps| (index, steps))),
            None => {
                let names: Vec<&str> = channels.iter().map(|channel| channel.name.as_ref()).collect();
                let hint = match nearest(name, names.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("there is {}", alternatives(&names).replace(" or ", " and ")),
                };
                problems.push(Problem::new(key.place, format!("there is no channel {}; {hint}", quote(name))));
            }
        }
    }
    all
}
