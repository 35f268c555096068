//! Ends of a process: a stop in order, a kill, a power failure; and what the next one finds.

use super::*;

impl World {
    pub(super) fn end(&mut self, how: Ending, down: u64, initial: [u8; IDS.len()]) {
        let dropped = match how {
            Ending::Stop => {
                self.happened("stop");
                self.stop();
                self.random.bool()
            }
            Ending::Kill { drop } | Ending::Power { drop, .. } => {
                self.happened(if matches!(how, Ending::Kill { .. }) { "kill" } else { "power failure" });
                self.lose_notes();
                drop
            }
        };
        (0..IDS.len()).for_each(|unit| self.rest(unit));
        // What was under way is done, or is not.
        for pending in std::mem::take(&mut self.pending) {
            if self.random.bool() && pending.effect > self.now {
                self.drive(pending.unit, pending.value);
            }
        }
        if dropped {
            (0..IDS.len()).for_each(|unit| self.drive(unit, false));
        }
        self.lost = self.sent.len();
        self.now += Duration::from_millis(down);
        if let Ending::Power { clock, .. } = how {
            self.boots = (self.boots.0 + 1, self.now);
            self.now += Duration::from_millis(500);
            self.clock = (clock, self.boots.1);
        }
        self.initial = initial;
        self.restore_memory();
        self.start();
    }

    /// In order: all is safe, and everybody has an answer.
    fn stop(&mut self) {
        // After what it is at: a reload.
        while self.broken.is_ok() && self.outputs.iter().any(|output| output.leaves.is_some()) {
            self.pass(Duration::from_millis(100));
        }
        self.outputs.iter_mut().for_each(|output| output.due = None);
        self.stops = true;
        self.gate.stop(self.instant());
        self.settle();
        self.pass(Duration::from_millis(900));
        for unit in 0..IDS.len() {
            let Output { on, fine, open, mood, .. } = self.outputs[unit];
            let able = mood == Mood::Fine && open.is_some() && self.now > fine + MENDED && !self.waits(unit);
            self.demand(!able || on == rules(unit).safe.is_active(), || {
                format!("{} is not safe at the end", IDS[unit])
            });
        }
        let silent = self.sent[self.lost..].iter().filter(|sent| sent.answers == 0).count();
        self.demand(silent == 0, || format!("{silent} commands without an answer at the end"));
    }

    fn lose_notes(&mut self) {
        let from = self.now.saturating_sub(Duration::from_millis(self.random.u64(0..=80)).min(UNWRITTEN));
        // What has a `min_off` is noted before it is driven. Of what cannot be seen, only what was noted is known; and what
        // was never noted counts from the start.
        let first = |unit: usize, on: bool| unit == BLIND || (on && rules(unit).min_off.is_some());
        let mut noted = BTreeSet::new();
        self.notes.retain(|(at, unit, on, _)| noted.insert(*unit) || *at <= from || first(*unit, *on));
    }

    fn restore_memory(&mut self) {
        let values: Vec<_> = IDS.iter().map(|id| self.memory.recall(id)).collect();
        self.memory = Memory::load(None);
        for (id, value) in IDS.iter().zip(values) {
            value.into_iter().for_each(|value| self.memory.remember(id, &value));
        }
        for (_, unit, active, since) in &self.notes {
            // Dead times count from the start where nothing is kept.
            if rules(*unit).max_on.is_some() || rules(*unit).min_off.is_some() {
                self.memory.note(IDS[*unit], *active, since.clone(), true);
            }
        }
    }

    /// Notes whether it has been off, and known to be so, when those who looked after it go.
    pub(super) fn rest(&mut self, unit: usize) {
        let (idle, before) = (self.is_idle(unit), self.now.saturating_sub(SLACK * 2));
        let output = &mut self.outputs[unit];
        output.rested = !output.on
            && idle
            && output.mood == Mood::Fine
            && output.since < before
            && output.open.is_some_and(|open| open < before)
            && output.fine + MENDED < before;
    }
}
