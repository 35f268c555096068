//! The edges of a GPIO line, as the kernel reports them: no polling, no thread.

use super::errno;
use super::gpio::{Place, level, os_error};
use crate::bus::Edges;
use crate::config::LineName;
use gpiocdev::Request;
use gpiocdev::line::{Bias, EdgeDetection, EdgeEvent, EdgeKind, EventClock};
use gpiocdev_uapi::v2::LineEdgeEvent;
use halyard_drivers::port::{EdgeInput, EdgePort, InputSettings, PortError, Pull};
use halyard_drivers::{Edge, FaultKind};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::time::{Duration, SystemTime};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Edges that the kernel keeps until they are taken: the most that it allows for one line (GPIO_V2_LINES_MAX × 16).
const KEPT: u32 = 1024;

/// Opens a line to watch.
pub(super) fn open(line: &LineName, settings: InputSettings) -> Result<Box<dyn Edges>, PortError> {
    if settings.debounce.as_micros() > u128::from(u32::MAX) {
        return Err(PortError::new(FaultKind::Rejected, "the kernel debounces for 71 minutes at most"));
    }
    let place = Place::find(line)?;
    let (request, clock) = match request(&place, settings, EventClock::Realtime) {
        // Linux 5.10 has the line interface but not this clock.
        Err(error) if os_error(&error).raw_os_error() == Some(libc::EINVAL) => {
            (request(&place, settings, EventClock::Monotonic), EventClock::Monotonic)
        }
        result => (result, EventClock::Realtime),
    };
    let request = request.map_err(|error| place.refused(&error))?;
    // SAFETY: a request owns one file descriptor, the same for all its life, and closes it when it is dropped.
    let fd = unsafe { AsyncFd::register_with_interest(request, Interest::READABLE) }
        .map_err(|error| PortError::new(FaultKind::Bus, format!("watching the line {line}: {error}")))?;
    Ok(Box::new(Watched { fd, line: line.clone(), clock, taken: 0 }))
}

fn request(place: &Place, settings: InputSettings, clock: EventClock) -> Result<Request, gpiocdev::Error> {
    let bias = match settings.pull {
        Pull::Keep => None,
        Pull::Up => Some(Bias::PullUp),
        Pull::Down => Some(Bias::PullDown),
        Pull::None => Some(Bias::Disabled),
    };
    place
        .builder()
        .as_input()
        .with_bias(bias)
        .with_edge_detection(EdgeDetection::BothEdges)
        .with_event_clock(clock)
        .with_debounce_period(settings.debounce)
        .with_kernel_event_buffer_size(KEPT)
        .request()
}

/// Opens a line whose edges are taken now and then, pulled up: who pulls it down has an open collector.
pub(super) fn watch(line: &LineName) -> Result<EdgePort, PortError> {
    let place = Place::find(line)?;
    let settings = InputSettings { pull: Pull::Up, debounce: Duration::ZERO };
    let request = request(&place, settings, EventClock::Monotonic).map_err(|error| place.refused(&error))?;
    Ok(EdgePort(Box::new(Taken(request))))
}

struct Taken(Request);

impl EdgeInput for Taken {
    fn take(&mut self) -> Result<Vec<Edge>, PortError> {
        let mut all = Vec::new();
        loop {
            match read(&self.0) {
                Ok(event) => {
                    let high = event.kind == EdgeKind::Rising;
                    all.push(Edge { high, time: wall_time(event.timestamp_ns) });
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(all),
                Err(error) => return Err(errno::of_use(&error)),
            }
        }
    }
}

struct Watched {
    fd: AsyncFd<Request>,
    line: LineName,
    clock: EventClock,
    /// Number of the last edge that was taken, as the kernel counts them from 1.
    taken: u32,
}

impl Edges for Watched {
    fn level(&mut self) -> Result<Edge, PortError> {
        level(self.fd.get_ref()).map(|high| Edge { high, time: SystemTime::now() })
    }

    fn next(&mut self) -> Pin<Box<dyn Future<Output = Result<Edge, PortError>> + Send + '_>> {
        Box::pin(async {
            // Only readable() waits, and it takes nothing: whoever cancels loses nothing.
            let event = loop {
                let mut ready = self.fd.readable().await.map_err(|error| errno::of_use(&error))?;
                if let Ok(result) = ready.try_io(|fd| read(fd.get_ref())) {
                    break result.map_err(|error| errno::of_use(&error))?;
                }
            };
            let lost = event.line_seqno.wrapping_sub(self.taken).wrapping_sub(1);
            if lost > 0 {
                tracing::warn!(line = %self.line, lost, "edges came faster than they were taken: the oldest are lost");
            }
            self.taken = event.line_seqno;
            let time = match self.clock {
                EventClock::Monotonic => wall_time(event.timestamp_ns),
                _ => SystemTime::UNIX_EPOCH + Duration::from_nanos(event.timestamp_ns),
            };
            Ok(Edge { high: event.kind == EdgeKind::Rising, time })
        })
    }
}

/// The oldest edge that was not taken yet; [`io::ErrorKind::WouldBlock`] if there is none.
fn read(request: &Request) -> io::Result<EdgeEvent> {
    // Also true when the chip is gone: the read tells.
    if !request.has_edge_event().map_err(|error| os_error(&error))? {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    // Room for one: Request::read_edge_event (gpiocdev 0.8.0) takes up to eight from the kernel and gives the first.
    let mut event = [0; size_of::<LineEdgeEvent>() / size_of::<u64>()];
    let length = request.read_edge_events_into_slice(&mut event).map_err(|error| os_error(&error))?;
    request.edge_event_from_slice(&event[..length]).map_err(|error| os_error(&error))
}

/// The wall-clock time of a monotonic time stamp.
fn wall_time(timestamp_ns: u64) -> SystemTime {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec of ours, and this clock always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    // Neither is ever negative; their types differ from machine to machine.
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    let now = Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or_default());
    SystemTime::now() - now.saturating_sub(Duration::from_nanos(timestamp_ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_monotonic_time_stamp_becomes_wall_time() {
        let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
        let seconds: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
        let age = SystemTime::now().duration_since(wall_time(0)).unwrap();
        // The uptime goes on while the machine sleeps; the monotonic clock does not.
        assert!(age > Duration::ZERO && age < Duration::from_secs_f64(seconds + 60.0), "{age:?}");
    }
}
