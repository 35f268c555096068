//! From what the file says to what it means.

use super::expander::Offers;
use super::model::{At, Board, Config, LineName, Link, PwmName};
use super::place::port;
use super::stanza::Stanza;
use super::values::Id;
use super::yaml::Document;
use super::{MOST_SHOWN, actuator, connection, expander, header, sensor, shown, written};
use halyard_drivers::Role;
use halyard_drivers::options::{Content, Node, Place, Placed, Problem, read_rest};
use std::collections::{BTreeMap, HashMap};

/// What a file means. `None` if it has a problem, all of which are reported.
pub fn resolve(document: &Document<'_>, problems: &mut Vec<Problem>) -> Option<Config> {
    let root = &document.root;
    if root.entries().is_none() {
        let message = format!("the file must be a map of keys such as `agent` and `sensors`, not {}", root.kind());
        problems.push(Problem::new(root.place, message));
        return None;
    }
    // Without one of its parts, the rest is checked all the same.
    let file: written::File = read_rest(root, problems).unwrap_or_default();
    let board = file.board.unwrap_or_default();
    let agent = connection::agent_id(file.agent.as_ref(), root, problems);
    let watchdog = connection::watchdog(file.agent.as_ref(), problems);
    let store = connection::bounds(file.agent.and_then(|agent| agent.store), problems);
    let broker = file.broker.map(|broker| connection::embedded(broker, problems));
    let metrics = file.metrics.and_then(|metrics| connection::page(&metrics.listen, problems));
    let mut mqtt = file.mqtt.unwrap_or_default();
    let base = mqtt.base.take().map_or_else(|| "halyard".to_owned(), |base| base.0);
    let discovery = mqtt.discovery.take().map_or_else(|| Some("homeassistant".to_owned()), |prefix| prefix.0);
    let id = agent.as_deref().unwrap_or_default();
    let settings = connection::settings(mqtt, id, broker.as_ref(), root.get("mqtt"), problems);

    let own_topics = agent.as_ref().map(|agent| format!("{base}/{agent}/"));
    let mut seen =
        Seen { document, board, own_topics, ids: BTreeMap::new(), places: HashMap::new(), expanders: BTreeMap::new() };
    // Before those that are connected to them.
    let expanders: Vec<_> =
        stanzas(root, "expanders").iter().map(|node| expander::resolve(node, &mut seen, problems)).collect();
    let sensors: Vec<_> =
        stanzas(root, "sensors").iter().map(|node| sensor::resolve(node, &mut seen, problems)).collect();
    let mut actuators: Vec<_> =
        stanzas(root, "actuators").iter().filter_map(|node| actuator::resolve(node, &mut seen, problems)).collect();
    actuator::interlock(&mut actuators, &seen, problems);
    shown::check(&actuators, &sensors, &seen, problems);

    let mut config = Config {
        agent: agent?,
        watchdog,
        store,
        board,
        broker,
        mqtt: settings,
        base,
        discovery,
        metrics,
        sensors: sensors.into_iter().collect::<Option<_>>()?,
        actuators: actuators.into_iter().map(|draft| draft.config).collect::<Option<_>>()?,
        expanders: expanders.into_iter().collect::<Option<_>>()?,
    };
    config.follow_expanders();
    Some(config)
}

impl Config {
    /// Whatever is on an expander has to be opened anew when that changes.
    fn follow_expanders(&mut self) {
        let fingerprint = |id: &str| {
            self.expanders.iter().find(|expander| expander.id == id).map(|expander| expander.fingerprint.0.as_str())
        };
        let of = |at: &At| at.expanders().into_iter().filter_map(fingerprint).collect::<String>();
        for sensor in &mut self.sensors {
            sensor.fingerprint.0 += &of(&sensor.at);
        }
        for actuator in &mut self.actuators {
            actuator.fingerprint.0 += &of(&actuator.at);
        }
    }
}

/// The entries of a section.
fn stanzas<'d>(root: &'d Node, section: &str) -> &'d [Node] {
    match root.get(section).map(|node| &node.content) {
        Some(Content::List(items)) => items,
        _ => &[],
    }
}

/// Ids and places that were seen already.
pub struct Seen<'d> {
    document: &'d Document<'d>,
    board: Board,
    /// What the agent's own topics begin with, if that is known.
    pub own_topics: Option<String>,
    ids: BTreeMap<String, (Role, Place)>,
    /// By the place where a part is connected: how it is named, where in the file, and whether others can be there.
    places: HashMap<At, (String, Place, bool)>,
    /// The expanders.
    pub expanders: Offers,
}

impl Seen<'_> {
    /// Checks the id of a stanza: there, not reserved, not seen.
    pub fn id(
        &mut self,
        stanza: &Stanza<'_>,
        id: Option<Placed<Id>>,
        role: Role,
        problems: &mut Vec<Problem>,
    ) -> Option<String> {
        let Some(id) = id else {
            if stanza.node.get("id").is_none_or(|node| matches!(node.content, Content::Null)) {
                stanza.missing("id", problems);
            }
            return None;
        };
        connection::check_reserved(&id, problems);
        let text = id.value.0;
        if let Some((_, first)) = self.ids.get(&text) {
            let shown = Placed { place: id.place, origin: id.origin, value: text }.shown();
            let message = format!("the id {shown} is taken{}", self.line(*first, problems));
            problems.push(Problem::new(id.place, message));
            return None;
        }
        self.ids.insert(text.clone(), (role, id.place));
        Some(text)
    }

    /// Checks that nothing else is connected there. `id` is the part's; `shared` says that others of its sort can be.
    pub fn place(&mut self, at: &Placed<At>, id: Option<&str>, shared: bool, problems: &mut Vec<Problem>) {
        // A line has all of its units, and nothing else.
        let same = match &at.value {
            At::Modbus { link: Link::Serial(path), .. } => self.same(&At::Serial(path.clone())),
            other => self.same(other),
        };
        if let Some((first, place, others)) = self.places.get(&same) {
            if shared && *others {
                return;
            }
            let at_text = match &at.value {
                At::Line(_) if at.origin.is_some() => "the line".to_owned(),
                At::Serial(_) | At::Modbus { .. } if at.origin.is_some() => "the port".to_owned(),
                At::Pwm(_) if at.origin.is_some() => "the PWM channel".to_owned(),
                At::Kernel { .. } if at.origin.is_some() => "the device".to_owned(),
                At::Modbus { link, .. } => link.to_string(),
                other => other.to_string(),
            };
            let message = format!("{at_text} is taken by {first}{}", self.line(*place, problems));
            problems.push(Problem::new(at.place, message));
        } else {
            let name = id.map_or_else(|| "the device".to_owned(), |id| format!("`{id}`"));
            self.places.insert(same, (name, at.place, shared));
        }
    }

    /// One name for what has several: on a Raspberry Pi the lines of the header are those of gpiochip0; ports have links.
    fn same(&self, at: &At) -> At {
        match at {
            At::Line(LineName::Offset { chip, offset: offset @ 0..=27 })
                if self.board == Board::RaspberryPi && chip == "gpiochip0" =>
            {
                At::Line(LineName::Name(format!("GPIO{offset}")))
            }
            At::Line(LineName::Header(pin)) => match header::gpio(*pin) {
                Ok(gpio) => At::Line(LineName::Name(format!("GPIO{gpio}"))),
                Err(_) => at.clone(),
            },
            At::Serial(path) => At::Serial(port::same(path)),
            // What gives pulses on a line has it.
            At::Pwm(PwmName::Line(line)) => self.same(&At::Line(line.clone())),
            _ => at.clone(),
        }
    }

    /// ` in line 7`, as long as there are not more problems than are shown.
    fn line(&self, place: Place, problems: &[Problem]) -> String {
        if problems.len() > MOST_SHOWN {
            return String::new();
        }
        self.document.position(place).map(|position| format!(" in line {}", position.line)).unwrap_or_default()
    }

    /// What has this id.
    pub fn role(&self, id: &str) -> Option<Role> {
        self.ids.get(id).map(|(role, _)| *role)
    }

    /// The ids of this role.
    pub fn ids(&self, role: Role) -> impl Iterator<Item = &str> {
        self.ids.iter().filter(move |(_, (of, _))| *of == role).map(|(id, _)| id.as_str())
    }
}
