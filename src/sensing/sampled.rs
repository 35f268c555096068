//! Sensors that are asked at intervals.

use super::{FIRST_PAUSE, LONGEST_PAUSE, ReadRequest, Shape, Surroundings, longer, wire};
use crate::config::SensorConfig;
use crate::device::{Device, Factory};
use halyard_drivers::{Fault, Next, Sensor, SensorSpec};
use serde_json::Value as Json;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::debug;

/// Longest time that one sample may take; the slowest parts need five seconds.
const LIMIT: Duration = Duration::from_secs(10);
/// Longest time that putting a part to rest may take when the agent stops.
const HALT_LIMIT: Duration = Duration::from_millis(500);
/// This many answers in a row that cannot be true, or none yet, and the sensor is offline.
pub(super) const PATIENCE: u32 = 3;

struct Task<'a> {
    sensor: &'a SensorConfig,
    surroundings: &'a Surroundings,
    device: Device<dyn Sensor>,
    shape: Shape,
    /// Faults in a row that leave the driver as it is.
    failures: u32,
    /// While the part is away: when to look for it, and the pause after that.
    away: Option<(Instant, Duration)>,
}

/// Runs one until `cancel`.
pub(super) async fn run(
    sensor: &SensorConfig,
    spec: Arc<dyn SensorSpec>,
    every: Duration,
    surroundings: &Surroundings,
    mut requests: mpsc::Receiver<ReadRequest>,
    cancel: &CancellationToken,
) {
    let shape = Shape::new(spec.channels(), &sensor.filters);
    let (bus, at) = (Arc::clone(&surroundings.bus), sensor.at.clone());
    let factory: Factory<dyn Sensor> = Arc::new(move || spec.open(wire(bus.as_ref(), &at, spec.as_ref())?));
    let device = Device::new(factory, LIMIT);
    let mut task = Task { sensor, surroundings, device, shape, failures: 0, away: None };
    let progress = surroundings.watchdog.watch(&sensor.id, every.max(LONGEST_PAUSE) + LIMIT * 2);
    let mut schedule = interval(every);
    // A late sample is taken at once, and the ones that were missed are not made up for.
    schedule.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        let asked = tokio::select! {
            () = cancel.cancelled() => break,
            // While the part is away, the backoff is the schedule.
            _ = schedule.tick(), if task.away.is_none() => None,
            () = sleep_until(task.away.map_or_else(Instant::now, |(at, _)| at)), if task.away.is_some() => None,
            request = requests.recv() => match request {
                Some(request) => Some(request),
                None => break,
            },
        };
        progress.beat();
        let answer = tokio::select! {
            // The worker ends by itself; nobody waits for it.
            () = cancel.cancelled() => break,
            answer = task.sample() => answer,
        };
        if let Some(request) = asked {
            // Whoever asked may have gone.
            let _ = request.send(answer);
        }
    }
    if task.device.is_open() {
        let halt = task.device.call(<dyn Sensor>::halt);
        if let Ok(Err(fault)) = tokio::time::timeout(HALT_LIMIT, halt).await {
            debug!("{}: not put to rest: {fault}", sensor.id);
        }
    }
}

impl Task<'_> {
    /// One sample, with all its consequences. Gives the newest state.
    async fn sample(&mut self) -> Result<Json, Fault> {
        let reporter = &self.surroundings.reporter;
        let id = &self.sensor.id;
        let mut sample = self.shape.sample();
        let result = self
            .device
            .call(move |driver| {
                let time = SystemTime::now();
                driver.sample(&mut sample).map(|()| (time, sample))
            })
            .await
            .and_then(|(time, sample)| self.shape.state(&sample, time, std::time::Instant::now()));
        match result {
            Ok(state) => {
                (self.failures, self.away) = (0, None);
                if let Some(state) = state {
                    reporter.state(id, state);
                }
                reporter.well(id);
                Ok(reporter.last(id).unwrap_or_default())
            }
            Err(fault) => {
                match fault.kind.next() {
                    Next::TryAgain | Next::Answer => {
                        self.failures = self.failures.saturating_add(1);
                        reporter.fault(id, &fault, self.failures >= PATIENCE, None);
                    }
                    Next::Reopen => {
                        let pause = self.away.map_or(FIRST_PAUSE, |(_, pause)| longer(pause));
                        self.away = Some((Instant::now() + pause, pause));
                        reporter.fault(id, &fault, true, Some(pause));
                    }
                }
                Err(fault)
            }
        }
    }
}
