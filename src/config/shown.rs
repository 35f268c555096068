//! Values of entities that actuators show: whether there are such.

use super::actuator::Draft;
use super::model::SensorConfig;
use super::resolve::Seen;
use halyard_drivers::options::Problem;
use halyard_drivers::options::node::quote;
use halyard_drivers::options::read::{alternatives, nearest};
use halyard_drivers::{Control, Role, Shown};

/// A value of an entity: its name, and whether it is a number.
type Named = (String, bool);

/// Checks all of them.
pub fn check(actuators: &[Draft], sensors: &[Option<SensorConfig>], seen: &Seen<'_>, problems: &mut Vec<Problem>) {
    for shown in actuators.iter().flat_map(|draft| &draft.shows) {
        let message = match seen.role(&shown.entity) {
            None => Some(no_entity(shown, seen)),
            Some(Role::Expander) => Some(format!("`{}` is an expander: it has no values", shown.entity)),
            // Of one with problems nobody knows what it has.
            Some(Role::Sensor) => {
                let sensor = sensors.iter().flatten().find(|sensor| sensor.id == shown.entity);
                sensor.and_then(|sensor| wrong(shown, &channels(sensor)))
            }
            Some(Role::Actuator) => {
                let config = actuators.iter().filter_map(|draft| draft.config.as_ref());
                let actuator = config.into_iter().find(|config| config.id == shown.entity);
                actuator.and_then(|actuator| {
                    let is_number = !matches!(actuator.spec.control(), Control::Switch | Control::Text(_));
                    let readings = actuator.spec.readings();
                    let readings = readings.iter().map(|reading| (reading.channel.name.to_string(), true));
                    let mut values = vec![("state".to_owned(), is_number)];
                    values.extend(readings);
                    // Its state is what is meant if nothing else is said.
                    let state = Shown { value: shown.value.clone().or(Some("state".to_owned())), ..shown.clone() };
                    wrong(&state, &values)
                })
            }
        };
        problems.extend(message.map(|message| Problem::new(shown.place, message)));
    }
}

fn channels(sensor: &SensorConfig) -> Vec<Named> {
    let channels = sensor.source.channels();
    channels.into_iter().map(|channel| (channel.name.to_string(), channel.range.is_some())).collect()
}

/// What is wrong with a value of an entity that has these.
fn wrong(shown: &Shown, values: &[Named]) -> Option<String> {
    let entity = &shown.entity;
    let names: Vec<&str> = values.iter().map(|(name, _)| name.as_str()).collect();
    let all = || alternatives(&names).replace(" or ", " and ");
    let (name, is_number) = match (&shown.value, values) {
        (None, [only]) => only,
        (None, _) => {
            let first = names.first().copied().unwrap_or_default();
            return Some(format!("`{entity}` has {}: say which, as in `{{{entity}.{first}}}`", all()));
        }
        (Some(name), _) => match values.iter().find(|(known, _)| known == name) {
            Some(value) => value,
            None => {
                let hint = match nearest(name, names.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("there is {}", all()),
                };
                return Some(format!("`{entity}` has no {}; {hint}", quote(name)));
            }
        },
    };
    (shown.is_number && !is_number)
        .then(|| format!("`{name}` of `{entity}` is no number: decimal places are for numbers"))
}

fn no_entity(shown: &Shown, seen: &Seen<'_>) -> String {
    let ids = || seen.ids(Role::Sensor).chain(seen.ids(Role::Actuator));
    let hint = nearest(&shown.entity, ids()).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    format!("there is no sensor or actuator {}{hint}", quote(&shown.entity))
}
