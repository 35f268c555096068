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
            if let Some((due, on)) = output.due.filter(|(due, _)| *due < self.now) {
                let is = output.on;
                self.outputs[unit].due = None;
                if able {
                    self.happened("a pulse ends, or a start");
                    self.demand(is == on, || format!("{} is not what it has to be since {due:?}: {on}", IDS[unit]));
                }
            }
            let output = &self.outputs[unit];
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

    /// What is taken away is safe by then, if that could be.
    pub(super) fn judge_removal(&mut self, unit: usize) {
        let Output { on, mood, fine, open, leaves, .. } = self.outputs[unit];
        let begun = open.max(leaves).unwrap_or(self.now);
        let able = mood == Mood::Fine && open.is_some() && self.now > fine + MENDED && !self.waits(unit);
        let over = self.gate.is_settled(IDS[unit]) || self.now > begun + SLACK;
        self.demand(!able || !over || on == rules(unit).safe.is_active(), || {
            format!("{} is removed unsafe", IDS[unit])
        });
    }

    /// What a command must not lead to, whatever the state: by what was sent.
    fn judge_answer(&mut self, number: usize, outcome: &Outcome, kind: &str) {
        let Sent { unit, payload, retained, at, wall, was, .. } = self.sent[number];
        let text = PAYLOADS[payload];
        if outcome.reason.is_some() {
            let hindrances = ["refused: dead time", "refused: interlock", "refused: min_off", "refused: rate"];
            // Those that wait when it becomes safe are refused, whatever they are.
            let waited = outcome.message.as_ref().is_some_and(|why| why.contains("goes to its safe state"));
            let hindered = hindrances.contains(&kind) || (kind == "refused: no controller" && !waited);
            return self.demand(text != "OFF" || !hindered, || format!("{} may not go off: {kind}", IDS[unit]));
        }
        let on = self.outputs[unit].on;
        self.demand(outcome.state == Some(Value::Switch(on)), || format!("{}: applied, but it is {on}", IDS[unit]));
        self.demand(!retained && !["7", "{"].contains(&text), || format!("{}: {text} was carried out", IDS[unit]));
        if text.contains("ttl") {
            let limit = SystemTime::UNIX_EPOCH + secs(61);
            self.demand(wall <= limit, || format!("{}: {text} was carried out at {wall:?}", IDS[unit]));
        }
        if text.contains("\"id\"") {
            let before = self.outputs[unit].identified.replace(at);
            self.demand(before.is_none_or(|before| at >= before + secs(600)), || {
                format!("{}: an id of {before:?} was carried out again at {at:?}", IDS[unit])
            });
        }
        // Nothing else was sent meanwhile that it may have to go back to, or that ends it.
        let last = self.sent.iter().rposition(|sent| sent.unit == unit) == Some(number);
        self.outputs[unit].due = match was.filter(|_| last && self.outputs[unit].leaves.is_none()) {
            Some(false) if text.contains(r#""ON","for""#) && unit != FAN => Some((self.now + secs(2) + SLACK, false)),
            Some(true) if text.contains(r#""OFF","for""#) && unit == LAMP => Some((self.now + secs(1) + SLACK, true)),
            _ => None,
        };
    }

    /// What has to be on for safety has to wait for what must not be on then.
    pub(super) fn waits(&self, unit: usize) -> bool {
        let others = PAIRS.iter().filter_map(|(a, b)| if *a == unit { Some(*b) } else { (*b == unit).then_some(*a) });
        rules(unit).safe.is_active()
            && others.into_iter().any(|other| {
                let (idle, other) = (self.is_idle(other), &self.outputs[other]);
                let Some(open) = other.open.filter(|_| idle && other.mood == Mood::Fine && !other.on) else {
                    return true;
                };
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
                let (answers, at, unit) = (sent.answers, sent.at, sent.unit);
                let counts = !PAYLOADS[sent.payload].contains("OFF");
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
                self.judge_answer(route, &outcome, kind);
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
                let on = self.outputs[place(&actuator)].on;
                self.demand(value == Value::Switch(on), || format!("{actuator} is told to be {value}, but it is {on}"));
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
