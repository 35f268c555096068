//! Work that several drivers need at the same time, done once for all of them.

use super::PortError;
use crate::fault::FaultKind;
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long the result of a round counts as new, from when its work began.
const FRESH: Duration = Duration::from_secs(1);
/// Longest wait for those who still read the result of a round before the next one begins.
const READERS: Duration = Duration::from_secs(2);
/// Longest wait for the work of others.
const WORK: Duration = Duration::from_secs(5);

/// Rounds of work by their key, such as the name of a bus. Clones are handles to the same ones.
///
/// Whoever needs a result [joins](Self::join) a round: the one that is running, one that has just ended, or a new one,
/// which begins when all have [left](Seat) the last. So a conversion of all parts on a bus is started once, however many
/// of them are asked at that time.
#[derive(Clone, Default)]
pub struct Rounds(Arc<Shared>);

#[derive(Default)]
struct Shared {
    rounds: Mutex<BTreeMap<String, Round>>,
    changed: Condvar,
}

#[derive(Default)]
struct Round {
    /// How many have begun.
    number: u64,
    /// Whether the last one's work goes on, and since when.
    running: bool,
    began: Option<Instant>,
    /// How the last one's work ended.
    outcome: Option<PortError>,
    /// How many have a seat in the last one.
    seats: usize,
}

/// A place in a round: as long as it is kept, no other round begins.
pub struct Seat {
    shared: Arc<Shared>,
    key: String,
    /// The round's number. It goes up with each round.
    pub number: u64,
}

impl Rounds {
    /// Takes part in a round of `key` after the one with the number `last`, doing its `work` if nobody else does.
    ///
    /// # Errors
    /// That of the work, whoever did it.
    pub fn join(&self, key: &str, last: u64, work: impl FnOnce() -> Result<(), PortError>) -> Result<Seat, PortError> {
        let seat = |number| Seat { shared: self.0.clone(), key: key.to_owned(), number };
        let start = Instant::now();
        let mut rounds = self.0.lock();
        loop {
            let round = rounds.entry(key.to_owned()).or_default();
            let is_new = round.number > last && round.began.is_some_and(|began| began.elapsed() < FRESH);
            let passed = start.elapsed();
            if is_new && (round.running || round.outcome.is_none()) {
                round.seats += 1;
                let seat = seat(round.number);
                return self.finished(rounds, seat);
            }
            let patience = if round.running { WORK } else { READERS };
            if !round.running && (round.seats == 0 || passed >= patience) {
                round.number += 1;
                round.seats = 1;
                round.running = true;
                round.began = Some(Instant::now());
                let seat = seat(round.number);
                drop(rounds);
                let work_ends = Ending(&seat);
                let outcome = work();
                work_ends.with(outcome.clone().err());
                return outcome.map(|()| seat);
            }
            if passed >= patience {
                return Err(late(key));
            }
            rounds = self.0.wait(rounds, patience - passed);
        }
    }

    /// Waits for the work of the round that `seat` is in.
    fn finished(&self, mut rounds: MutexGuard<'_, BTreeMap<String, Round>>, seat: Seat) -> Result<Seat, PortError> {
        let start = Instant::now();
        loop {
            let outcome = match rounds.get(&seat.key) {
                Some(round) if round.number == seat.number && round.running => {
                    let passed = start.elapsed();
                    if passed < WORK {
                        rounds = self.0.wait(rounds, WORK - passed);
                        continue;
                    }
                    Some(late(&seat.key))
                }
                Some(round) if round.number == seat.number => round.outcome.clone(),
                // Others did not wait for this one.
                _ => Some(late(&seat.key)),
            };
            // A seat is left under the lock.
            drop(rounds);
            return outcome.map_or(Ok(seat), Err);
        }
    }
}

fn late(key: &str) -> PortError {
    PortError::new(FaultKind::NotReady, format!("{key}: what others began there does not end"))
}

impl Shared {
    /// A round is numbers: a panic leaves it whole.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Round>> {
        self.rounds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(
        &self,
        rounds: MutexGuard<'a, BTreeMap<String, Round>>,
        time: Duration,
    ) -> MutexGuard<'a, BTreeMap<String, Round>> {
        self.changed.wait_timeout(rounds, time).unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Seat {
    /// Changes the round, if it is still the last one.
    fn change(&self, change: impl FnOnce(&mut Round)) {
        if let Some(round) = self.shared.lock().get_mut(&self.key).filter(|round| round.number == self.number) {
            change(round);
        }
        self.shared.changed.notify_all();
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.change(|round| round.seats = round.seats.saturating_sub(1));
    }
}

/// Work that ends in any case: with a panic as well.
struct Ending<'a>(&'a Seat);

impl Ending<'_> {
    fn with(self, outcome: Option<PortError>) {
        self.0.change(|round| (round.running, round.outcome) = (false, outcome));
        std::mem::forget(self);
    }
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        let outcome = PortError::new(FaultKind::Stuck, "the work of another driver panicked");
        self.0.change(|round| (round.running, round.outcome) = (false, Some(outcome)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn those_who_come_together_share_the_work() {
        let (rounds, works, all) = (Rounds::default(), AtomicU32::new(0), Barrier::new(20));
        std::thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| {
                    let mut last = 0;
                    for _ in 0..5 {
                        all.wait();
                        let work = || {
                            works.fetch_add(1, Ordering::SeqCst);
                            Ok(())
                        };
                        let seat = rounds.join("bus", last, work).unwrap();
                        assert!(seat.number > last);
                        last = seat.number;
                        all.wait();
                    }
                });
            }
        });
        assert_eq!(works.load(Ordering::SeqCst), 5);
    }

    #[test]
    fn the_next_round_begins_when_all_have_left() {
        let rounds = Rounds::default();
        let seat = rounds.join("bus", 0, || Ok(())).unwrap();
        std::thread::scope(|scope| {
            let next = scope.spawn(|| rounds.join("bus", 1, || Ok(())).map(|seat| seat.number).unwrap());
            // It cannot be seen to wait, only that it did not begin.
            std::thread::yield_now();
            assert_eq!(rounds.0.lock()["bus"].number, 1);
            drop(seat);
            assert_eq!(next.join().unwrap(), 2);
        });
        // Another bus has rounds of its own.
        assert_eq!(rounds.join("other", 0, || Ok(())).unwrap().number, 1);
    }

    #[test]
    fn what_fails_fails_for_those_who_took_part_and_not_for_the_next() {
        let rounds = Rounds::default();
        let error = PortError::new(FaultKind::Bus, "no");
        assert!(rounds.join("bus", 0, || Err(error.clone())).is_err_and(|found| found == error));
        assert_eq!(rounds.join("bus", 0, || Ok(())).unwrap().number, 2);
        let panicked =
            std::thread::scope(|scope| scope.spawn(|| rounds.join("bus", 2, || panic!("on purpose")).is_ok()).join());
        assert!(panicked.is_err());
        assert_eq!(rounds.join("bus", 2, || Ok(())).unwrap().number, 4);
    }
}
