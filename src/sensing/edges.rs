//! Sensors that are told by the edges of a line.

use super::{FIRST_PAUSE, ReadRequest, Shape, Surroundings, longer};
use crate::bus::Edges;
use crate::config::{At, SensorConfig};
use halyard_drivers::{EdgeSensor, EdgeSpec, Fault, Sample};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Runs one until `cancel`.
pub(super) async fn run(
    sensor: &SensorConfig,
    spec: Arc<dyn EdgeSpec>,
    surroundings: &Surroundings,
    mut requests: mpsc::Receiver<ReadRequest>,
    cancel: &CancellationToken,
) {
    let mut pause = FIRST_PAUSE;
    let mut task =
        Task { sensor, surroundings, shape: Shape::new(spec.channels(), &sensor.filters), state: spec.open() };
    loop {
        let fault = tokio::select! {
            () = cancel.cancelled() => return,
            fault = task.watch(spec.as_ref(), &mut requests, &mut pause) => match fault {
                Some(fault) => fault,
                None => return,
            },
        };
        surroundings.reporter.fault(&sensor.id, &fault, true, Some(pause));
        let again = Instant::now() + pause;
        pause = longer(pause);
        // Whoever asks meanwhile is told.
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep_until(again.into()) => break,
                request = requests.recv() => match request {
                    Some(request) => { let _ = request.send(Err(fault.clone())); }
                    None => return,
                },
            }
        }
    }
}

struct Task<'a> {
    sensor: &'a SensorConfig,
    surroundings: &'a Surroundings,
    shape: Shape,
    /// What the driver knows of the line. It outlives the line: a level that did not change is no news.
    state: Box<dyn EdgeSensor>,
}

impl Task<'_> {
    /// Opens the line and follows it until a fault; `None` when nobody can ask any more.
    async fn watch(
        &mut self,
        spec: &dyn EdgeSpec,
        requests: &mut mpsc::Receiver<ReadRequest>,
        pause: &mut Duration,
    ) -> Option<Fault> {
        let mut edges = match self.open(spec).await {
            Ok(edges) => edges,
            Err(fault) => return Some(fault),
        };
        match edges.level() {
            Ok(level) => self.state.level(level, &mut emit(&mut self.shape, self.sensor, self.surroundings)),
            Err(error) => return Some(error.into()),
        }
        self.surroundings.reporter.well(&self.sensor.id);
        *pause = FIRST_PAUSE;
        loop {
            tokio::select! {
                edge = edges.next() => match edge {
                    Ok(edge) => self.state.edge(edge, &mut emit(&mut self.shape, self.sensor, self.surroundings)),
                    Err(error) => return Some(error.into()),
                },
                request = requests.recv() => {
                    let last = self.surroundings.reporter.last(&self.sensor.id).unwrap_or_default();
                    // Whoever asked may have gone.
                    let _ = request?.send(Ok(last));
                }
            }
        }
    }

    async fn open(&self, spec: &dyn EdgeSpec) -> Result<Box<dyn Edges>, Fault> {
        let At::Line(line) = self.sensor.at.clone() else {
            return Err(Fault::rejected("this driver needs a line"));
        };
        let (bus, settings) = (Arc::clone(&self.surroundings.bus), spec.input());
        match tokio::task::spawn_blocking(move || bus.input(&line, settings)).await {
            Ok(edges) => Ok(edges?),
            Err(error) => Err(Fault::new(halyard_drivers::FaultKind::Stuck, format!("opening the line: {error}"))),
        }
    }
}

fn emit<'a>(
    shape: &'a mut Shape,
    sensor: &'a SensorConfig,
    surroundings: &'a Surroundings,
) -> impl FnMut(SystemTime, Sample) + 'a {
    move |time, sample| match shape.state(&sample, time, Instant::now()) {
        Ok(Some(state)) => surroundings.reporter.state(&sensor.id, state),
        Ok(None) => {}
        Err(fault) => surroundings.reporter.fault(&sensor.id, &fault, false, None),
    }
}
