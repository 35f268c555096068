//! A simulated GPIO line.

use super::lock;
use crate::edge::Edge;
use crate::port::{InputLine, OutputLine, PortError};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

type Watcher = Box<dyn FnMut(Edge) -> bool + Send>;

/// A line: a level, and those who watch it. Clones are handles to the same line.
#[derive(Clone, Default)]
pub struct Line {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    high: bool,
    broken: bool,
    watchers: Vec<Watcher>,
}

impl Line {
    /// A line that is low.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Its level.
    #[must_use]
    pub fn is_high(&self) -> bool {
        lock(&self.inner).high
    }

    /// Changes its level from outside. Those who watch learn of a change at once, on this thread.
    pub fn pull(&self, high: bool) {
        self.pull_at(high, SystemTime::now());
    }

    /// The same with another time stamp: those who do many things at once can say when each was.
    pub fn pull_at(&self, high: bool, time: SystemTime) {
        let mut inner = lock(&self.inner);
        if inner.high != high {
            inner.high = high;
            inner.watchers.retain_mut(|watcher| watcher(Edge::new(high, time)));
        }
    }

    /// The line to listen to, from now on.
    #[must_use]
    pub fn listen(&self) -> Listener {
        let (sender, edges) = channel();
        self.watch(move |edge| sender.send(edge).is_ok());
        Listener { line: self.clone(), edges }
    }

    /// While set, driving and reading fail.
    pub fn set_broken(&self, broken: bool) {
        lock(&self.inner).broken = broken;
    }

    /// Calls `watcher` at each edge until it gives `false`; gives the level to start from.
    pub fn watch(&self, watcher: impl FnMut(Edge) -> bool + Send + 'static) -> bool {
        let mut inner = lock(&self.inner);
        inner.watchers.push(Box::new(watcher));
        inner.high
    }

    fn check(&self) -> Result<(), PortError> {
        if lock(&self.inner).broken {
            return Err(PortError::new(crate::fault::FaultKind::Bus, "the line does not answer"));
        }
        Ok(())
    }
}

impl OutputLine for Line {
    fn drive(&mut self, high: bool) -> Result<(), PortError> {
        self.check()?;
        self.pull(high);
        Ok(())
    }

    fn level(&mut self) -> Result<bool, PortError> {
        self.check()?;
        Ok(self.is_high())
    }
}

/// Somebody who listens to a line.
pub struct Listener {
    line: Line,
    edges: Receiver<Edge>,
}

impl InputLine for Listener {
    fn level(&mut self) -> Result<bool, PortError> {
        self.line.level()
    }

    /// What a model does is on its lines at once: there is nothing to wait for.
    fn edge(&mut self, _: Duration) -> Result<Option<(bool, Duration)>, PortError> {
        self.line.check()?;
        let since = |edge: Edge| edge.time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Ok(self.edges.try_recv().ok().map(|edge| (edge.high, since(edge))))
    }
}
