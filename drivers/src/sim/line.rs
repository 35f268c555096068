//! A simulated GPIO line.

use super::lock;
use crate::port::{OutputLine, PortError};
use crate::sensor::Edge;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

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
        let mut inner = lock(&self.inner);
        if inner.high != high {
            inner.high = high;
            let edge = Edge { high, time: SystemTime::now() };
            inner.watchers.retain_mut(|watcher| watcher(edge));
        }
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
