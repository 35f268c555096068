//! Inputs on an expander: one task for each chip looks at all of its pins, when its interrupt comes or when it is time,
//! and each pin takes what is its own.

use super::{Pin, Shared, lock};
use crate::bus::Edges;
use halyard_drivers::port::{InputSettings, PortError, Pull};
use halyard_drivers::{Edge, FaultKind, Levels};
use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::warn;

/// Changes that are kept until they are taken.
const KEPT: usize = 1024;
/// How soon it is looked again while the interrupt does not end: another chip may hold the line.
const HELD: Duration = Duration::from_millis(10);

/// What all pins are told: the levels at a time, or that the chip is gone.
type Told = Result<(Levels, SystemTime), PortError>;

/// The task of a chip, as its pins see it.
pub(super) struct Watch {
    told: broadcast::Sender<Told>,
}

/// A pin to watch. Blocks, and has to be called in the runtime's context.
pub(super) fn open(pin: Pin, settings: InputSettings) -> Result<Box<dyn Edges>, PortError> {
    let bit = pin.pin;
    pin.shared.call(|chip, _| chip.listen(bit, settings.pull))?;
    // Before the first look, so that nothing is between them.
    let told = subscribe(&pin.shared);
    let levels = pin.shared.call(|chip, _| chip.levels())?;
    let high = levels >> bit & 1 == 1;
    let level = Edge::new(high, SystemTime::now());
    Ok(Box::new(Watched { pin, told, level, debounce: settings.debounce, pending: None, edges: VecDeque::new() }))
}

/// What the chip's task tells from now on. It is started if it does not run.
fn subscribe(shared: &Arc<Shared>) -> broadcast::Receiver<Told> {
    let mut watch = lock(&shared.watch);
    if let Some(watch) = watch.as_ref() {
        return watch.told.subscribe();
    }
    let (told, receiver) = broadcast::channel(KEPT);
    *watch = Some(Watch { told: told.clone() });
    crate::task::spawn(run(Arc::downgrade(shared), told));
    receiver
}

/// Looks at the chip until it fails, or until nobody wants to know.
async fn run(shared: Weak<Shared>, told: broadcast::Sender<Told>) {
    let Err(fault) = follow(&shared, &told).await else { return };
    if let Some(shared) = shared.upgrade() {
        // Whoever comes after this starts another task.
        lock(&shared.watch).take();
    }
    let _ = told.send(Err(fault)); // those who wanted to know may have gone
}

async fn follow(shared: &Weak<Shared>, told: &broadcast::Sender<Told>) -> Result<(), PortError> {
    let gone = || PortError::new(FaultKind::Absent, "the expander was removed");
    let (mut interrupt, poll) = {
        let shared = shared.upgrade().ok_or_else(gone)?;
        // Open drain: without a pull it would never be high again.
        let settings = InputSettings { pull: Pull::Up, debounce: Duration::ZERO };
        let (board, line) = (Arc::clone(&shared.board), shared.config.interrupt.clone());
        let open = move || line.map(|line| board.input(&line, settings)).transpose();
        (blocking(open).await??, shared.config.poll)
    };
    let mut next = Instant::now();
    let mut first_opened = None;
    loop {
        let time = tokio::select! {
            time = falling(&mut interrupt) => time?,
            () = sleep_until(next) => SystemTime::now(),
        };
        let Some(shared) = shared.upgrade() else { return Ok(()) };
        {
            // Under the lock, so that nobody subscribes to a task that is about to end.
            let mut watch = lock(&shared.watch);
            if told.receiver_count() == 0 {
                watch.take();
                return Ok(());
            }
        }
        let (opened, (then, now)) =
            blocking(move || shared.call(|chip, opened| Ok((opened, chip.changes()?)))).await??;
        if *first_opened.get_or_insert(opened) != opened {
            // It may have forgotten which of its pins are inputs.
            return Err(PortError::new(FaultKind::Corrupt, "the expander failed and is set up anew"));
        }
        // The second is mostly the first again: each pin takes changes only.
        let _ = told.send(Ok((then, time)));
        if now != then {
            let _ = told.send(Ok((now, SystemTime::now())));
        }
        let held = match &mut interrupt {
            Some(line) => !line.level()?.high,
            None => false,
        };
        next = Instant::now() + if held { HELD.min(poll) } else { poll };
    }
}

/// Waits for the interrupt, if there is one.
async fn falling(interrupt: &mut Option<Box<dyn Edges>>) -> Result<SystemTime, PortError> {
    let Some(line) = interrupt else { return std::future::pending().await };
    loop {
        let edge = line.next().await?;
        if !edge.high {
            return Ok(edge.time);
        }
    }
}

async fn blocking<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> Result<R, PortError> {
    crate::task::blocking(work).await.map_err(|_| PortError::new(FaultKind::Stuck, "looking at the inputs panicked"))
}

struct Watched {
    pin: Pin,
    told: broadcast::Receiver<Told>,
    /// What was given last.
    level: Edge,
    debounce: Duration,
    /// A change that has not held for long enough yet, and until when it has to.
    pending: Option<(Edge, Instant)>,
    /// Changes to give.
    edges: VecDeque<Edge>,
}

impl Watched {
    /// Takes what the pin is now.
    fn take(&mut self, high: bool, time: SystemTime) {
        let before = self.edges.back().unwrap_or(&self.level).high;
        if high == before {
            // It did not hold.
            self.pending = None;
        } else if self.debounce.is_zero() {
            self.edges.push_back(Edge::new(high, time));
        } else if self.pending.is_none() {
            self.pending = Some((Edge::new(high, time), Instant::now() + self.debounce));
        }
    }
}

impl Edges for Watched {
    /// What was seen last: nobody waits for the chip here.
    fn level(&mut self) -> Result<Edge, PortError> {
        Ok(self.level)
    }

    fn next(&mut self) -> std::pin::Pin<Box<dyn Future<Output = Result<Edge, PortError>> + Send + '_>> {
        Box::pin(async {
            // All that is known stays in self: whoever cancels loses nothing.
            loop {
                if let Some(edge) = self.edges.pop_front() {
                    self.level = edge;
                    return Ok(edge);
                }
                let hold = async {
                    match self.pending {
                        Some((_, until)) => sleep_until(until).await,
                        None => std::future::pending().await,
                    }
                };
                let told = tokio::select! {
                    // What was told before the time is over counts.
                    biased;
                    told = self.told.recv() => told,
                    () = hold => {
                        self.edges.extend(self.pending.take().map(|(edge, _)| edge));
                        continue;
                    }
                };
                match told {
                    Ok(Ok((levels, time))) => self.take(levels >> self.pin.pin & 1 == 1, time),
                    Ok(Err(fault)) => return Err(fault),
                    Err(RecvError::Lagged(lost)) => {
                        warn!(
                            pin = self.pin.pin,
                            lost, "changes came faster than they were taken: the oldest are lost"
                        );
                    }
                    Err(RecvError::Closed) => {
                        // Not at once again: whoever opens it next finds the task gone as well.
                        sleep(HELD).await;
                        return Err(PortError::new(FaultKind::Absent, "the expander is gone"));
                    }
                }
            }
        })
    }
}
