//! Whether the work makes progress: what systemd's watchdog and the machine's are fed by.

mod device;
mod feed;

pub use device::Device;
pub use feed::{Feeder, tell_systemd};

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Knows all loops that must go round, and when each did last.
#[derive(Clone)]
pub struct Watchdog {
    epoch: Instant,
    loops: Arc<Mutex<BTreeMap<String, Loop>>>,
}

struct Loop {
    limit: Duration,
    /// Milliseconds from the epoch.
    last: Arc<AtomicU64>,
}

/// A loop's side: [`beat`](Self::beat) once a round. Dropping it ends the watch.
pub struct Progress {
    watchdog: Watchdog,
    name: String,
    last: Arc<AtomicU64>,
}

impl Default for Watchdog {
    fn default() -> Self {
        Self { epoch: Instant::now(), loops: Arc::default() }
    }
}

impl Watchdog {
    /// Expects a beat at least every `limit` from the loop of this name.
    #[must_use]
    pub fn watch(&self, name: &str, limit: Duration) -> Progress {
        let last = Arc::new(AtomicU64::new(self.now()));
        self.lock().insert(name.to_owned(), Loop { limit, last: Arc::clone(&last) });
        Progress { watchdog: self.clone(), name: name.to_owned(), last }
    }

    /// A loop that has made no progress for longer than it may take, and for how long.
    #[must_use]
    pub fn overdue(&self) -> Option<(String, Duration)> {
        let now = self.now();
        self.lock().iter().find_map(|(name, watched)| {
            let silent = Duration::from_millis(now.saturating_sub(watched.last.load(Ordering::Relaxed)));
            (silent > watched.limit).then(|| (name.clone(), silent))
        })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Loop>> {
        self.loops.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress {
    /// The loop went round.
    pub fn beat(&self) {
        self.last.store(self.watchdog.now(), Ordering::Relaxed);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        let mut loops = self.watchdog.lock();
        // A loop of the same name may have followed this one.
        if loops.get(&self.name).is_some_and(|watched| Arc::ptr_eq(&watched.last, &self.last)) {
            loops.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_loop_that_stands_still() {
        let watchdog = Watchdog::default();
        let (quick, slow) = (watchdog.watch("quick", Duration::ZERO), watchdog.watch("slow", Duration::from_secs(60)));
        while watchdog.overdue().is_none() {
            std::thread::yield_now();
        }
        assert_eq!(watchdog.overdue().map(|(name, _)| name).as_deref(), Some("quick"));
        drop(quick);
        assert_eq!(watchdog.overdue(), None);
        slow.beat();
    }
}
