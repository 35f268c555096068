//! Sensors that are told by the edges of lines.
//!
//! ```text
//! kernel ─ edges, with their times ─┐
//! clock ─ a deadline has passed ────┼─▶ EdgeSensor ─▶ sample ─ shape ─▶ state or event ─▶ reporter
//! interval, or somebody asks ───────┘       └───────▶ memory ─▶ records
//! ```

use super::{FIRST_PAUSE, ReadRequest, Shape, Surroundings, longer};
use crate::bus::{Bus, Edges};
use crate::config::{At, LineName, SensorConfig};
use halyard_drivers::{EdgeSensor, EdgeSpec, Fault, FaultKind, Sample};
use serde_json::{Map, Value as Json};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval_at, sleep_until};
use tokio_util::sync::CancellationToken;

/// How long somebody who reads once listens to one that reports: long enough for a rate.
const LISTENING: Duration = Duration::from_secs(2);

/// Runs one until `cancel`. `every`: the interval of one that reports.
pub(super) async fn run(
    sensor: &SensorConfig,
    spec: Arc<dyn EdgeSpec>,
    every: Option<Duration>,
    surroundings: &Surroundings,
    mut requests: mpsc::Receiver<ReadRequest>,
    cancel: &CancellationToken,
) {
    let mut state = spec.open();
    if let Some(memory) = surroundings.records.recall(&sensor.id) {
        state.recall(&memory);
    }
    let shape = Shape::new(spec.channels(), &sensor.filters);
    let mut task = Task { sensor, surroundings, shape, state, every, alarm: None, pause: FIRST_PAUSE };
    // Told to stop, it drops the lines wherever it is.
    cancel.run_until_cancelled(task.run(spec.as_ref(), &mut requests)).await;
    if let Some(memory) = task.state.memory() {
        surroundings.records.note(&sensor.id, memory);
        surroundings.records.flush().await;
    }
}

struct Task<'a> {
    sensor: &'a SensorConfig,
    surroundings: &'a Surroundings,
    shape: Shape,
    /// What the driver knows of the lines. It outlives them: a level that did not change is no news.
    state: Box<dyn EdgeSensor>,
    every: Option<Duration>,
    /// The driver's deadline, and when that is.
    alarm: Option<(SystemTime, Instant)>,
    /// Until the lines are opened again after a fault.
    pause: Duration,
}

impl Task<'_> {
    /// Ends when nobody can ask any more.
    async fn run(&mut self, spec: &dyn EdgeSpec, requests: &mut mpsc::Receiver<ReadRequest>) {
        while let Some(fault) = self.watch(spec, requests).await {
            self.surroundings.reporter.fault(&self.sensor.id, &fault, true, Some(self.pause));
            let again = Instant::now() + self.pause;
            self.pause = longer(self.pause);
            // Whoever asks meanwhile is told.
            loop {
                tokio::select! {
                    () = sleep_until(again.into()) => break,
                    request = requests.recv() => match request {
                        Some(request) => { let _ = request.send(Err(fault.clone())); }
                        None => return,
                    },
                }
            }
        }
    }

    /// Opens the lines and follows them until a fault; `None` when nobody can ask any more.
    async fn watch(&mut self, spec: &dyn EdgeSpec, requests: &mut mpsc::Receiver<ReadRequest>) -> Option<Fault> {
        let (mut edges, levels) = match open(&self.surroundings.bus, &self.sensor.at, spec).await {
            Ok(opened) => opened,
            Err(fault) => return Some(fault),
        };
        for level in levels {
            self.feed(|state, emit| state.level(level, emit));
        }
        self.report();
        self.surroundings.reporter.well(&self.sensor.id);
        self.pause = FIRST_PAUSE;
        let mut reports = self.every.map(schedule);
        loop {
            tokio::select! {
                // An edge that is here was before whatever is due now.
                biased;
                edge = edges.next() => match edge {
                    Ok(edge) => self.feed(|state, emit| state.edge(edge, emit)),
                    Err(error) => return Some(error.into()),
                },
                time = passed(self.alarm) => self.feed(|state, emit| state.pass(time, emit)),
                () = due(&mut reports) => self.report(),
                request = requests.recv() => {
                    let request = request?;
                    self.report();
                    let last = self.surroundings.reporter.last(&self.sensor.id).unwrap_or_default();
                    // Whoever asked may have gone.
                    let _ = request.send(Ok(last));
                }
            }
        }
    }

    /// Lets one that reports say how things are.
    fn report(&mut self) {
        if self.every.is_none() {
            return;
        }
        self.feed(|state, emit| state.report(SystemTime::now(), emit));
        if let Some(memory) = self.state.memory() {
            self.surroundings.records.note(&self.sensor.id, memory);
        }
    }

    /// Tells the driver something, and others what it says to that.
    fn feed(&mut self, tell: impl FnOnce(&mut dyn EdgeSensor, &mut halyard_drivers::Emit<'_>)) {
        let (reporter, id, shape) = (&self.surroundings.reporter, &self.sensor.id, &mut self.shape);
        let mut emit = |time, sample| match said(shape, time, sample) {
            Ok(Some(Said::State(state))) => {
                reporter.state(id, state);
                reporter.well(id);
            }
            Ok(Some(Said::Event(event))) => reporter.event(id, event),
            Ok(None) => {}
            Err(fault) => reporter.fault(id, &fault, false, None),
        };
        tell(self.state.as_mut(), &mut emit);
        let deadline = self.state.deadline();
        if deadline != self.alarm.map(|(deadline, _)| deadline) {
            // From here on the clock may be set: the time that is left stays the same.
            let left = |deadline: SystemTime| deadline.duration_since(SystemTime::now()).unwrap_or_default();
            self.alarm = deadline.map(|deadline| (deadline, Instant::now() + left(deadline)));
        }
    }
}

enum Said {
    State(Map<String, Json>),
    Event(Map<String, Json>),
}

/// What becomes of a sample; `None` if filters suppress it.
fn said(shape: &mut Shape, time: SystemTime, sample: Result<Sample, Fault>) -> Result<Option<Said>, Fault> {
    let sample = sample?;
    Ok(match sample.event() {
        Some(event) => Some(Said::Event(shape.event(event, time))),
        None => shape.state(&sample, time, Instant::now())?.map(Said::State),
    })
}

/// The lines of a sensor, and their levels.
async fn open(
    bus: &Arc<dyn Bus>,
    at: &At,
    spec: &dyn EdgeSpec,
) -> Result<(Box<dyn Edges>, Vec<halyard_drivers::Edge>), Fault> {
    let lines: Option<Vec<LineName>> = spec.lines().iter().map(|key| at.line(key).cloned()).collect();
    let lines = lines.ok_or_else(|| Fault::rejected("this driver needs a line"))?;
    let (bus, settings) = (Arc::clone(bus), spec.input());
    let opening = crate::task::blocking(move || {
        let mut edges = bus.inputs(&lines, settings)?;
        let levels = edges.levels()?;
        Ok((edges, levels))
    });
    opening.await.unwrap_or_else(|_| Err(Fault::new(FaultKind::Stuck, "opening the line panicked")))
}

/// A report each `every` from now on.
fn schedule(every: Duration) -> Interval {
    let mut reports = interval_at(tokio::time::Instant::now() + every, every);
    // Those that were missed are not made up for.
    reports.set_missed_tick_behavior(MissedTickBehavior::Skip);
    reports
}

/// Waits for the next report; for ever if there is none.
async fn due(reports: &mut Option<Interval>) {
    match reports {
        Some(reports) => {
            reports.tick().await;
        }
        None => std::future::pending().await,
    }
}

/// Waits for the deadline, and gives it; for ever if there is none.
async fn passed(alarm: Option<(SystemTime, Instant)>) -> SystemTime {
    match alarm {
        Some((deadline, at)) => {
            sleep_until(at.into()).await;
            deadline
        }
        None => std::future::pending().await,
    }
}

/// One state, for whoever has no agent: the level now, or a report after some time. `memory`: what is known of it.
///
/// # Errors
/// A [`Fault`] of the lines, or what came instead of a state.
pub async fn once(
    bus: &Arc<dyn Bus>,
    sensor: &SensorConfig,
    spec: &dyn EdgeSpec,
    memory: Option<Json>,
) -> Result<Map<String, Json>, Fault> {
    let mut shape = Shape::new(spec.channels(), &sensor.filters);
    let mut state = spec.open();
    memory.iter().for_each(|memory| state.recall(memory));
    let mut found = Err(Fault::new(FaultKind::NotReady, "no value"));
    let mut emit = |time, sample| match said(&mut shape, time, sample) {
        Ok(Some(Said::State(state))) => found = Ok(state),
        Ok(_) => {}
        Err(fault) => found = Err(fault),
    };
    let (mut edges, levels) = open(bus, &sensor.at, spec).await?;
    levels.into_iter().for_each(|level| state.level(level, &mut emit));
    if spec.reports() {
        let end = tokio::time::Instant::now() + LISTENING;
        while let Ok(edge) = tokio::time::timeout_at(end, edges.next()).await {
            state.edge(edge?, &mut emit);
        }
        state.report(SystemTime::now(), &mut emit);
    }
    found
}
