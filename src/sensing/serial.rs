//! Sensors on serial ports: those that talk by themselves, and those that are asked at intervals.

use super::sampled::PATIENCE;
use super::{FIRST_PAUSE, LONGEST_PAUSE, ReadRequest, Shape, Surroundings, longer};
use crate::bus::{Bus, Serial};
use crate::config::{At, SensorConfig};
use halyard_drivers::{Fault, FaultKind, Next, Sample, SerialSensor, SerialSpec};
use serde_json::{Map, Value as Json};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// Longest time that writing a request may take.
const WRITE: Duration = Duration::from_secs(2);
/// Most that wait for the same reading.
const MOST_WAITING: usize = 16;
/// How much longer than it should the task may stand still before the watchdog takes it for stuck.
const GRACE: Duration = Duration::from_secs(20);

/// Runs one until `cancel`.
pub(super) async fn run(
    sensor: &SensorConfig,
    spec: Arc<dyn SerialSpec>,
    every: Duration,
    surroundings: &Surroundings,
    mut requests: mpsc::Receiver<ReadRequest>,
    cancel: &CancellationToken,
) {
    let shape = Shape::new(spec.channels(), &sensor.filters);
    let due = Instant::now();
    let (newest, waiting) = (None, Vec::new());
    let pause = FIRST_PAUSE;
    let mut task = Task { sensor, surroundings, spec, every, shape, failures: 0, pause, due, newest, waiting };
    // Told to stop, it drops the port wherever it is.
    cancel.run_until_cancelled(task.run(&mut requests)).await;
}

struct Task<'a> {
    sensor: &'a SensorConfig,
    surroundings: &'a Surroundings,
    spec: Arc<dyn SerialSpec>,
    every: Duration,
    shape: Shape,
    /// Faults in a row that leave the port open.
    failures: u32,
    /// Until the port is opened again after a fault.
    pause: Duration,
    /// When the part is asked next, or may give its next state.
    due: Instant,
    /// Of one that talks by itself: what came last since its last state.
    newest: Option<(SystemTime, Sample)>,
    /// Those who asked for a reading.
    waiting: Vec<ReadRequest>,
}

impl Task<'_> {
    /// Ends when nobody can ask any more.
    async fn run(&mut self, requests: &mut mpsc::Receiver<ReadRequest>) {
        let limit = self.every.max(self.spec.patience()).max(LONGEST_PAUSE) + GRACE;
        let progress = self.surroundings.watchdog.watch(&self.sensor.id, limit);
        loop {
            let Some(fault) = self.listen(requests, || progress.beat()).await else { return };
            self.failures = 0;
            self.surroundings.reporter.fault(&self.sensor.id, &fault, true, Some(self.pause));
            self.answer(&Err(fault.clone()));
            let again = Instant::now() + self.pause;
            self.pause = longer(self.pause);
            // Whoever asks meanwhile is told.
            loop {
                progress.beat();
                tokio::select! {
                    () = sleep_until(again) => break,
                    request = requests.recv() => match request {
                        Some(request) => { let _ = request.send(Err(fault.clone())); }
                        None => return,
                    },
                }
            }
        }
    }

    /// Opens the port and listens until a fault; `None` when nobody can ask any more.
    async fn listen(&mut self, requests: &mut mpsc::Receiver<ReadRequest>, beat: impl Fn()) -> Option<Fault> {
        let mut link = match Link::open(&self.surroundings.bus, &self.sensor.at, &self.spec).await {
            Ok(link) => link,
            Err(fault) => return Some(fault),
        };
        let patience = self.spec.patience();
        self.due = Instant::now();
        self.newest = None;
        let asked = match link.ask().await {
            Ok(asked) => asked,
            Err(fault) => return Some(fault),
        };
        if asked {
            self.due += self.every;
        }
        let mut deadline = Some(Instant::now() + patience);
        loop {
            beat();
            tokio::select! {
                // What came counts before what is late: the task itself may have been late.
                biased;
                heard = link.hear() => match heard {
                    Ok(heard) => {
                        let time = SystemTime::now();
                        for result in heard {
                            deadline = (!asked).then(|| Instant::now() + patience);
                            if let Some(fault) = self.heard(result, time, asked) {
                                return Some(fault);
                            }
                        }
                    }
                    Err(fault) => return Some(fault),
                },
                () = sleep_until(self.due), if asked || self.newest.is_some() => {
                    if let Some((time, sample)) = self.newest.take() {
                        self.publish(&sample, time);
                        self.due = Instant::now() + self.every;
                    }
                }
                () = sleep_until(deadline.unwrap_or(self.due)), if deadline.is_some() => {
                    return Some(link.silent(asked, patience));
                }
                request = requests.recv(), if self.waiting.len() < MOST_WAITING => self.waiting.push(request?),
            }
            let now = Instant::now();
            // Whoever asks while the part was asked already gets that answer.
            if asked && (now >= self.due || (!self.waiting.is_empty() && deadline.is_none())) {
                if let Err(fault) = link.ask().await {
                    return Some(fault);
                }
                deadline.get_or_insert(now + patience);
                if now >= self.due {
                    // Those that were missed are not made up for.
                    self.due = (self.due + self.every).max(now);
                }
            }
        }
    }

    /// A message of the part; gives a fault for which the port has to be opened again.
    fn heard(&mut self, result: Result<Sample, Fault>, time: SystemTime, asked: bool) -> Option<Fault> {
        match result.and_then(|sample| self.shape.check(&sample).map(|()| sample)) {
            Ok(sample) => {
                (self.failures, self.pause) = (0, FIRST_PAUSE);
                if asked {
                    self.publish(&sample, time);
                } else if Instant::now() >= self.due || !self.waiting.is_empty() {
                    self.newest = None;
                    self.publish(&sample, time);
                    self.due = Instant::now() + self.every;
                } else {
                    self.newest = Some((time, sample));
                }
                self.surroundings.reporter.well(&self.sensor.id);
            }
            Err(fault) if fault.kind.next() == Next::Reopen => return Some(fault),
            Err(fault) => {
                if self.failed(&fault) && !asked {
                    // What comes after it is news at once.
                    self.newest = None;
                    self.due = Instant::now();
                }
            }
        }
        None
    }

    fn publish(&mut self, sample: &Sample, time: SystemTime) {
        let reporter = &self.surroundings.reporter;
        match self.shape.state(sample, time, std::time::Instant::now()) {
            Ok(state) => {
                if let Some(state) = state {
                    reporter.state(&self.sensor.id, state);
                }
                let last = reporter.last(&self.sensor.id).unwrap_or_default();
                self.answer(&Ok(last));
            }
            Err(fault) => {
                self.failed(&fault);
            }
        }
    }

    /// A reading that is none. Gives whether the sensor is offline for it.
    fn failed(&mut self, fault: &Fault) -> bool {
        self.failures = self.failures.saturating_add(1);
        let offline = self.failures >= PATIENCE;
        self.surroundings.reporter.fault(&self.sensor.id, fault, offline, None);
        self.answer(&Err(fault.clone()));
        offline
    }

    fn answer(&mut self, answer: &Result<Json, Fault>) {
        for request in self.waiting.drain(..) {
            // Whoever asked may have gone.
            let _ = request.send(answer.clone());
        }
    }
}

/// One reading, for whoever has no agent: the first one that is right, within the part's patience.
///
/// # Errors
/// A [`Fault`] of the port, or what came instead of a reading.
pub async fn once(
    bus: &Arc<dyn Bus>,
    sensor: &SensorConfig,
    spec: &Arc<dyn SerialSpec>,
) -> Result<Map<String, Json>, Fault> {
    let mut shape = Shape::new(spec.channels(), &sensor.filters);
    let mut link = Link::open(bus, &sensor.at, spec).await?;
    let asked = link.ask().await?;
    let end = Instant::now() + spec.patience();
    let mut last = None;
    loop {
        let Ok(heard) = tokio::time::timeout_at(end, link.hear()).await else {
            return Err(last.unwrap_or_else(|| link.silent(asked, spec.patience())));
        };
        for result in heard? {
            match result.and_then(|sample| shape.state(&sample, SystemTime::now(), std::time::Instant::now())) {
                Ok(Some(state)) => return Ok(state),
                Ok(None) => {}
                Err(fault) if asked => return Err(fault),
                Err(fault) => last = Some(fault),
            }
        }
    }
}

/// An open port, and the driver of the part on it.
struct Link {
    port: Box<dyn Serial>,
    driver: Box<dyn SerialSensor>,
    bytes: Box<[u8]>,
    /// Something came since the last message.
    noise: bool,
}

impl Link {
    async fn open(bus: &Arc<dyn Bus>, at: &At, spec: &Arc<dyn SerialSpec>) -> Result<Self, Fault> {
        let At::Serial(path) = at.clone() else { return Err(Fault::rejected("this driver needs a serial port")) };
        let (bus, settings) = (Arc::clone(bus), spec.settings());
        match crate::task::blocking(move || bus.serial(&path, settings)).await {
            Ok(port) => Ok(Self { port: port?, driver: spec.open(), bytes: vec![0; 1024].into(), noise: false }),
            Err(_) => Err(Fault::new(FaultKind::Stuck, "opening the port panicked")),
        }
    }

    /// Asks the part; `false` if it talks by itself.
    async fn ask(&mut self) -> Result<bool, Fault> {
        let mut request = Vec::new();
        self.driver.request(&mut request);
        match timeout(WRITE, self.port.write_all(&request)).await {
            Ok(Ok(())) => Ok(!request.is_empty()),
            Ok(Err(error)) => Err(gone(&error)),
            Err(_) => Err(Fault::new(FaultKind::Bus, format!("the port takes nothing for {WRITE:?}"))),
        }
    }

    /// Waits for bytes; gives what they complete. Safe to cancel.
    async fn hear(&mut self) -> Result<Vec<Result<Sample, Fault>>, Fault> {
        let length = match self.port.read(&mut self.bytes).await {
            Ok(0) => return Err(Fault::new(FaultKind::Absent, "the port is gone: is the cable still plugged in?")),
            Ok(length) => length,
            Err(error) => return Err(gone(&error)),
        };
        let mut heard = Vec::new();
        self.driver.receive(&self.bytes[..length], &mut |result| heard.push(result));
        self.noise = heard.is_empty();
        Ok(heard)
    }

    /// What it is when no message came for too long.
    fn silent(&self, asked: bool, patience: Duration) -> Fault {
        if self.noise {
            let message = "what comes is none of its messages: is it another part, or another baud rate?";
            return Fault::new(FaultKind::WrongChip, message);
        }
        let message = if asked { "no answer within" } else { "nothing came for" };
        Fault::new(FaultKind::Absent, format!("{message} {patience:?}"))
    }
}

/// A port whose cable was pulled says so in several ways, none of which is about the part.
fn gone(error: &std::io::Error) -> Fault {
    Fault::new(FaultKind::Absent, format!("the port is gone: {error}"))
}
