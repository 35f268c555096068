//! The edges of GPIO lines, as the kernel reports them: no polling, no thread.

mod order;

use super::errno;
use super::gpio::{Place, os_error};
use crate::bus::Edges;
use crate::config::LineName;
use gpiocdev::Request;
use gpiocdev::line::{Bias, EdgeDetection, EdgeEvent, EdgeKind, EventClock, Value, Values};
use gpiocdev_uapi::v2::LineEdgeEvent;
use halyard_drivers::port::{InputSettings, PortError, Pull};
use halyard_drivers::{Edge, FaultKind};
use order::Order;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::time::{Duration, SystemTime};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::timeout;

/// Edges that the kernel keeps until they are taken: the most that it allows (GPIO_V2_LINES_MAX × 16).
const KEPT: u32 = 1024;
/// How long an edge may be on its way while a later one of another line is here already.
const GRACE: Duration = Duration::from_millis(2);
/// When so many later edges are here, it will not come.
const MOST_OVERTAKING: usize = 64;

/// Opens lines to watch: all in one request, so that the kernel numbers their edges in one row.
pub(super) fn open(lines: &[LineName], settings: InputSettings) -> Result<Box<dyn Edges>, PortError> {
    if settings.debounce.as_micros() > u128::from(u32::MAX) {
        return Err(PortError::new(FaultKind::Rejected, "the kernel debounces for 71 minutes at most"));
    }
    let places = lines.iter().map(Place::find).collect::<Result<Vec<_>, _>>()?;
    let names = lines.iter().map(LineName::to_string).collect::<Vec<_>>().join(", ");
    let first = places.first().filter(|first| places.iter().all(|place| place.is_beside(first)));
    let Some(first) = first else {
        let message = format!("the lines {names} are on different chips: the order of their edges is not known");
        return Err(PortError::new(FaultKind::Rejected, message));
    };
    let (request, clock) = match request(&places, settings, EventClock::Realtime) {
        // Linux 5.10 has the line interface but not this clock.
        Err(error) if os_error(&error).raw_os_error() == Some(libc::EINVAL) => {
            (request(&places, settings, EventClock::Monotonic), EventClock::Monotonic)
        }
        result => (result, EventClock::Realtime),
    };
    let request = request.map_err(|error| first.refused(&error))?;
    // SAFETY: a request owns one file descriptor, the same for all its life, and closes it when it is dropped.
    let fd = unsafe { AsyncFd::register_with_interest(request, Interest::READABLE) }
        .map_err(|error| PortError::new(FaultKind::Bus, format!("watching the line {names}: {error}")))?;
    let taken = places.iter().map(|place| Line { offset: place.offset, taken: 0 }).collect();
    Ok(Box::new(Watched { fd, names, lines: taken, clock, order: Order::default() }))
}

pub(super) fn request(
    places: &[Place],
    settings: InputSettings,
    clock: EventClock,
) -> Result<Request, gpiocdev::Error> {
    let bias = match settings.pull {
        Pull::Keep => None,
        Pull::Up => Some(Bias::PullUp),
        Pull::Down => Some(Bias::PullDown),
        Pull::None => Some(Bias::Disabled),
    };
    Place::builder_of(places)
        .as_input()
        .with_bias(bias)
        .with_edge_detection(EdgeDetection::BothEdges)
        .with_event_clock(clock)
        .with_debounce_period(settings.debounce)
        .with_kernel_event_buffer_size(KEPT)
        .request()
}

struct Watched {
    fd: AsyncFd<Request>,
    names: String,
    lines: Vec<Line>,
    clock: EventClock,
    /// What was taken from the kernel and from nobody else yet. Only of several lines.
    order: Order<EdgeEvent>,
}

struct Line {
    offset: u32,
    /// Number of the last edge that was taken, as the kernel counts them from 1 for each line.
    taken: u32,
}

impl Watched {
    /// The next event from the kernel.
    async fn event(&self) -> io::Result<EdgeEvent> {
        loop {
            // Only readable() waits, and it takes nothing: whoever cancels loses nothing.
            let mut ready = self.fd.readable().await?;
            if let Ok(result) = ready.try_io(|fd| read(fd.get_ref())) {
                return result;
            }
        }
    }

    /// The next event in the order in which they happened. The kernel numbers them as they happen, but on a machine with
    /// several processors, those of two lines may overtake each other on their way here.
    async fn next_event(&mut self) -> io::Result<EdgeEvent> {
        if self.lines.len() == 1 {
            return self.event().await;
        }
        loop {
            if let Some(event) = self.order.next() {
                return Ok(event);
            }
            let event = match self.order.waiting() {
                0 => self.event().await?,
                MOST_OVERTAKING.. => {
                    self.order.skip();
                    continue;
                }
                _ => match timeout(GRACE, self.event()).await {
                    Ok(event) => event?,
                    // It was dropped because nobody took it for too long.
                    Err(_) => {
                        self.order.skip();
                        continue;
                    }
                },
            };
            self.order.put(event.seqno, event);
        }
    }

    fn edge(&mut self, event: &EdgeEvent) -> Edge {
        let line = self.lines.iter().position(|line| line.offset == event.offset).unwrap_or_default();
        let mut lost = 0;
        if let Some(line) = self.lines.get_mut(line) {
            lost = event.line_seqno.wrapping_sub(line.taken).wrapping_sub(1);
            line.taken = event.line_seqno;
        }
        if lost > 0 {
            tracing::warn!(line = %self.names, lost, "edges came faster than they were taken: the oldest are lost");
        }
        let time = match self.clock {
            EventClock::Monotonic => wall_time(event.timestamp_ns),
            _ => SystemTime::UNIX_EPOCH + Duration::from_nanos(event.timestamp_ns),
        };
        Edge { line, high: event.kind == EdgeKind::Rising, time, lost }
    }
}

impl Edges for Watched {
    fn level(&mut self) -> Result<Edge, PortError> {
        let first = self.levels()?.into_iter().next();
        first.ok_or_else(|| PortError::new(FaultKind::Rejected, "there is no line to watch"))
    }

    fn levels(&mut self) -> Result<Vec<Edge>, PortError> {
        let offsets: Vec<_> = self.lines.iter().map(|line| line.offset).collect();
        let mut values = Values::from_offsets(&offsets);
        self.fd.get_ref().values(&mut values).map_err(|error| errno::of_use(&os_error(&error)))?;
        let time = SystemTime::now();
        // None is ever requested as active-low.
        let high = |offset| values.get(offset) == Some(Value::Active);
        let levels = offsets.into_iter().enumerate();
        Ok(levels.map(|(line, offset)| Edge { line, ..Edge::new(high(offset), time) }).collect())
    }

    fn next(&mut self) -> Pin<Box<dyn Future<Output = Result<Edge, PortError>> + Send + '_>> {
        Box::pin(async {
            let event = self.next_event().await.map_err(|error| errno::of_use(&error))?;
            Ok(self.edge(&event))
        })
    }
}

/// The oldest edge that was not taken yet; [`io::ErrorKind::WouldBlock`] if there is none.
pub(super) fn read(request: &Request) -> io::Result<EdgeEvent> {
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
