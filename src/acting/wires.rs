//! The connections of an actuator.

use crate::bus::Bus;
use crate::config::At;
use crate::sensing::{self, Wants};
use halyard_drivers::port::Wire;
use halyard_drivers::{ActuatorSpec, Attachment, Driver, Fault};

/// Opens all that an actuator is connected by: some of it may be lines that are only watched.
///
/// # Errors
/// A [`Fault`] of the bus.
pub fn wire(bus: &dyn Bus, driver: &Driver, spec: &dyn ActuatorSpec, at: &At) -> Result<Wire, Fault> {
    let wants = Wants::of_actuator(spec);
    let At::Several(places) = at else { return sensing::wire(bus, at, wants) };
    let is_input = |key: &str| {
        driver.attachments.iter().any(|attachment| match attachment {
            Attachment::Several(members) => {
                members.iter().any(|member| member.key == key && member.at == Attachment::InputLine)
            }
            _ => false,
        })
    };
    let wires = places.iter().map(|(key, at)| match at {
        At::Line(line) if is_input(key) => Ok((*key, Wire::Edges(bus.watch(line)?))),
        at => Ok((*key, sensing::wire(bus, at, wants)?)),
    });
    Ok(Wire::Several(wires.collect::<Result<_, Fault>>()?))
}
