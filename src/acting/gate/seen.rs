//! Ids of commands that were seen lately.

use crate::acting::command::Reason;
use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

/// How long an id is remembered.
const MEMORY: Duration = Duration::from_secs(600);
/// How many are remembered: a hundred a second for the whole time. Beyond, commands with an id are refused: forgetting one
/// early could carry a command out twice.
const MOST: usize = 60_000;

/// Remembers ids by their hash, with a key of this process: 16 bytes an id however long they are.
#[derive(Default)]
pub struct Seen {
    hasher: RandomState,
    order: VecDeque<(Instant, u64)>,
    hashes: HashSet<u64>,
}

impl Seen {
    /// Notes `id`, or says why its command must not be carried out.
    ///
    /// # Errors
    /// `duplicate`, or `busy` when too many are to be remembered.
    pub fn check(&mut self, id: &str, now: Instant) -> Result<(), (Reason, String)> {
        while let Some((at, hash)) = self.order.front()
            && now.saturating_duration_since(*at) >= MEMORY
        {
            self.hashes.remove(hash);
            self.order.pop_front();
        }
        let hash = self.hasher.hash_one(id);
        if self.hashes.contains(&hash) {
            return Err((Reason::Duplicate, "this id was seen in the last ten minutes".into()));
        }
        if self.order.len() >= MOST {
            return Err((Reason::Busy, format!("{MOST} ids came in the last ten minutes")));
        }
        self.order.push_back((now, hash));
        self.hashes.insert(hash);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_for_ten_minutes() {
        let (mut seen, start) = (Seen::default(), Instant::now());
        assert!(seen.check("a", start).is_ok());
        assert!(seen.check("b", start).is_ok());
        let late = start + MEMORY - Duration::from_millis(1);
        assert_eq!(seen.check("a", late).map_err(|(reason, _)| reason), Err(Reason::Duplicate));
        assert!(seen.check("a", start + MEMORY).is_ok());
    }
}
