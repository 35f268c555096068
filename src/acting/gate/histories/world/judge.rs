//! What must hold: judged by when outputs really go on and off, what was asked, and what is answered.

use super::*;

impl World {
    /// An output is what it shall be: judges the change.
    pub(super) fn drive(&mut self, unit: usize, on: bool) {
        if self.outputs[unit].on == on {
            return;
        }
        let was = self.now - self.outputs[unit].since;
        if on {
            let rule = rules(unit);
            let min_off = rule.min_off.unwrap_or_default();
            let never = self.outputs[unit].since.is_zero();
            self.demand(never || was >= min_off, || format!("{} went on after {was:?} off", IDS[unit]));
            for (a, b) in PAIRS {
                let other = if a == unit {
                    b
                } else if b == unit {
                    a
                } else {
                    continue;
                };
                let rest = self.now - self.outputs[other].since;
                let dead = rule.dead_time.max(rules(other).dead_time);
                let (other_on, new) = (self.outputs[other].on, self.outputs[other].since.is_zero());
                self.demand(!other_on, || format!("{} and {} on together", IDS[unit], IDS[other]));
                self.demand(new || rest >= dead, || {
                    format!("{} went on {rest:?} after {} went off", IDS[unit], IDS[other])
                });
            }
        } else {
            self.too_long(unit);
        }
        self.happened(if on { "on" } else { "off" });
        (self.outputs[unit].on, self.outputs[unit].since) = (on, self.now);
    }

    /// Whether an output is on for longer than it may be, without an excuse.
    pub(super) fn too_long(&mut self, unit: usize) {
        let Some(max_on) = rules(unit).max_on else { return };
        let output = &self.outputs[unit];
        let on = self.now - output.since;
        let able = output.open.is_some_and(|open| self.now > open + SLACK)
            && output.mood == Mood::Fine
            && self.now > output.fine + MENDED;
        let fine = !output.on || on <= max_on + SLACK || !able;
        self.demand(fine, || format!("{} on for {on:?}", IDS[unit]));
    }

    /// What must hold at any time.
    pub(super) fn judge(&mut self) {
        for unit in 0..IDS.len() {
            self.too_long(unit);
            let rule = rules(unit);
            let safe = rule.safe.is_active();
            let output = &self.outputs[unit];
            let able = output.mood == Mood::Fine && self.now > output.fine + MENDED;
            let Some(open) = output.open.filter(|_| able && output.leaves.is_none()) else { continue };
            let (on, obeyed) = (output.on, output.obeyed);
            let waits = self.waits(unit);
            // Of `initial` that comes after it, or while it counts anew, nothing is promised.
            if let (Some(lost), Some(limit)) = (self.no_broker, rule.safe_after) {
                let due = (lost + limit).max(open) + SLACK * 2;
                let obeys = safe && obeyed > lost;
                self.demand(self.now <= due || waits || obeys || on == safe, || {
                    format!("{} is not safe without a broker", IDS[unit])
                });
            }
            if let Some(heartbeat) = &rule.heartbeat {
                let heard = self.beat.max(self.added(unit));
                let due = (heard + heartbeat.timeout).max(open) + SLACK * 2;
                // Off is always obeyed.
                let obeys = safe && obeyed > heard;
                self.demand(self.now <= due || waits || obeys || on == safe, || {
                    format!("{} is not safe without its controller", IDS[unit])
                });
            }
        }
    }

    /// What has to be on for safety has to wait for what must not be on then.
    pub(super) fn waits(&self, unit: usize) -> bool {
        let others = PAIRS.iter().filter_map(|(a, b)| if *a == unit { Some(*b) } else { (*b == unit).then_some(*a) });
        rules(unit).safe.is_active()
            && others.map(|other| &self.outputs[other]).any(|other| {
                let Some(open) = other.open.filter(|_| other.mood == Mood::Fine && !other.on) else { return true };
                self.now <= other.since.max(open).max(other.fine + MENDED) + secs(1) + SLACK
            })
    }

    pub(super) fn added(&self, unit: usize) -> Duration {
        self.outputs[unit].open.unwrap_or(self.now).max(self.started)
    }

    pub(super) fn act(&mut self, action: Action<usize>) {
        let place = |id: &str| IDS.iter().position(|other| *other == id).unwrap();
        match action {
            Action::Write { actuator, value, .. } => {
                let unit = place(&actuator);
                let busy = self.pending.iter().any(|pending| pending.unit == unit && !pending.orphan);
                self.demand(!busy, || format!("two writes of {actuator} at once"));
                let slowest = u64::try_from(SLOWEST.as_millis()).unwrap();
                let done = self.random.u64(0..=slowest);
                let effect = self.now + Duration::from_millis(self.random.u64(0..=done));
                let done = self.now + Duration::from_millis(done);
                self.pending.push(Pending { unit, value: value.is_active(), effect, done, orphan: false });
            }
            Action::Answer { outcome, route, actuator } => {
                let sent = &mut self.sent[route];
                sent.answers += 1;
                let (answers, at, counts, unit) = (sent.answers, sent.at, sent.counts, sent.unit);
                self.demand(answers == 1 && place(&actuator) == unit && route >= self.lost, || {
                    format!("answer {answers} to command {route}")
                });
                let message = outcome.message.as_deref().unwrap_or_default();
                let kind = match outcome.reason {
                    None => "applied",
                    Some(Reason::Interlock) if message.contains("less than") => "refused: dead time",
                    Some(Reason::Interlock) => "refused: interlock",
                    Some(Reason::Busy) if message.contains("min_off") => "refused: min_off",
                    Some(Reason::Busy) if message.contains("commands in") => "refused: rate",
                    Some(Reason::Busy) if message.contains(TOPIC) => "refused: no controller",
                    Some(Reason::Hardware) => "failed",
                    Some(_) => "refused: other",
                };
                self.happened(kind);
                let output = &mut self.outputs[unit];
                if outcome.reason.is_none() {
                    output.obeyed = self.now;
                    if counts {
                        output.taken.push(at);
                    }
                }
                let output = &self.outputs[unit];
                if kind == "refused: min_off" {
                    let min_off = rules(unit).min_off.unwrap_or_default();
                    let known = output.open.is_some_and(|open| self.now > open + min_off + SLACK)
                        && self.now > output.since + min_off + SLACK
                        && output.mood == Mood::Fine
                        && self.now > output.fine + MENDED + min_off;
                    self.demand(!known, || format!("{actuator} was refused to go on after more than its min_off"));
                }
                if let Some(rate) = rules(unit).rate {
                    let recent = self.outputs[unit].taken.iter().filter(|taken| **taken + rate.per > at).count();
                    self.demand(recent <= rate.limit, || format!("{recent} commands for {actuator} at once"));
                }
            }
            Action::State { actuator, value, by, .. } => {
                self.memory.remember(&actuator, &value);
                if by == By::Safety {
                    self.happened("safe");
                }
            }
            Action::Note { actuator, active, since } => {
                let now = self.instant();
                self.demand(since <= now, || format!("{actuator} is noted for later"));
                let stamp = self.stamp().at(since, now);
                self.memory.note(&actuator, active, stamp.clone(), true);
                self.notes.push((self.now, place(&actuator), active, stamp));
            }
        }
    }
}
