//! A GPIO line that a worker listens to.

use super::edges::{read, request};
use super::errno;
use super::gpio::{Place, level, os_error};
use crate::config::LineName;
use gpiocdev::Request;
use gpiocdev::line::{EdgeKind, EventClock};
use halyard_drivers::port::{InputLine, InputPort, InputSettings, PortError};
use std::time::Duration;

/// Opens a line to listen to.
pub(super) fn open(line: &LineName, settings: InputSettings) -> Result<InputPort, PortError> {
    let place = Place::find(line)?;
    let request = request(std::slice::from_ref(&place), settings, EventClock::Monotonic);
    Ok(InputPort(Box::new(Listener(request.map_err(|error| place.refused(&error))?))))
}

struct Listener(Request);

impl InputLine for Listener {
    fn level(&mut self) -> Result<bool, PortError> {
        level(&self.0)
    }

    fn edge(&mut self, patience: Duration) -> Result<Option<(bool, Duration)>, PortError> {
        if !self.0.wait_edge_event(patience).map_err(|error| errno::of_use(&os_error(&error)))? {
            return Ok(None);
        }
        let event = read(&self.0).map_err(|error| errno::of_use(&error))?;
        Ok(Some((event.kind == EdgeKind::Rising, Duration::from_nanos(event.timestamp_ns))))
    }
}
