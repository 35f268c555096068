//! Letting go: of actuators that were removed, once they are safe, and of whoever waits for that.

use super::{Body, Hands};
use std::time::Instant;
use tokio::sync::oneshot;

/// An actuator that is let go once it is safe.
pub(in crate::acting) struct Removal {
    pub(in crate::acting) actuator: String,
    /// When nobody waits for that any more.
    pub(in crate::acting) until: Instant,
    pub(in crate::acting) done: Option<oneshot::Sender<()>>,
}

/// An actuator that somebody waited for. It is let go if it is safe, and its driver is dropped without the lock.
pub(in crate::acting) struct Gone {
    pub(in crate::acting) actuator: String,
    pub(in crate::acting) safe: bool,
    hands: Option<Hands>,
    done: Option<oneshot::Sender<()>>,
}

impl Gone {
    pub(in crate::acting) fn tell(self) {
        drop(self.hands);
        if let Some(done) = self.done {
            // Whoever waited may have gone.
            let _ = done.send(());
        }
    }
}

impl Body {
    /// Lets go of what is removed and safe, and tells who waits for all to be safe. Only when all is told.
    #[must_use]
    pub(in crate::acting) fn settle(&mut self, now: Instant) -> Vec<Gone> {
        let (gate, hands, mut gone) = (&mut self.gate, &mut self.hands, Vec::new());
        self.removing.retain_mut(|Removal { actuator, until, done }| {
            let safe = gate.is_settled(actuator);
            if safe || (*until <= now && done.is_some()) {
                let hands = if safe { hands.remove(actuator) } else { None };
                gone.push(Gone { actuator: actuator.clone(), safe, hands, done: done.take() });
            }
            if safe {
                gate.remove(actuator);
            }
            !safe
        });
        if self.gate.actuators().all(|id| self.gate.is_settled(id))
            && self.hands.values().all(|hands| hands.call.is_none())
            && let Some(done) = self.stopping.take()
        {
            let _ = done.send(());
        }
        gone
    }
}
