//! A trapezoidal ramp, step by step.
//!
//! With a constant acceleration `a` the speed after `m` steps from rest is √(2·a·m). So how fast a motor runs is a whole
//! number, the steps that it would need to stop, which goes up by one, down by one or stays at each step: nothing adds up,
//! and wherever it shall go meanwhile, it gets there exactly.

use std::time::Duration;

/// How fast a motor may be, in steps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Steps/s.
    pub(super) speed: f64,
    /// Steps/s².
    pub(super) acceleration: f64,
}

impl Limits {
    /// How many steps it takes to get from rest to full speed, or back.
    #[allow(clippy::cast_possible_truncation)] // saturates
    fn steps(self) -> i64 {
        (self.speed.powi(2) / (2.0 * self.acceleration)).ceil() as i64
    }

    /// Time from one step to the next, where it takes so many to stop before and after.
    #[allow(clippy::cast_precision_loss)] // far from 2^53
    fn interval(self, before: i64, after: i64) -> Duration {
        let speed = |steps: i64| (2.0 * self.acceleration * steps as f64).sqrt();
        let mean = match (before, after) {
            // Half of the step it gets faster, and half of it slower.
            (0, 0) => self.acceleration.sqrt() / 2.0,
            _ => f64::midpoint(speed(before), speed(after)),
        };
        Duration::from_secs_f64(1.0 / mean.min(self.speed))
    }
}

/// How a motor runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ramp {
    /// How many steps it needs to stop.
    pub(super) run: i64,
    /// Which way.
    pub(super) forward: bool,
}

impl Ramp {
    /// How it runs after the next step on the way to a place that is `left` steps ahead, and the time until that step;
    /// `None` if it is there, and at rest.
    pub(super) fn next(self, left: i64, limits: Limits) -> Option<(Self, Duration)> {
        if self.run == 0 && left == 0 {
            return None;
        }
        let forward = if self.run == 0 { left > 0 } else { self.forward };
        // Less than 1 if it cannot stop there, and has to come back.
        let ahead = if forward { left } else { -left };
        let run = (ahead - 1).min(limits.steps()).clamp(self.run - 1, self.run + 1).max(0);
        Some((Self { run, forward }, limits.interval(self.run, run)))
    }

    /// How far it gets until it stops.
    pub(super) fn braking(self) -> i64 {
        if self.forward { self.run } else { -self.run }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits { speed: 1_000.0, acceleration: 2_000.0 };

    /// All steps to a place: the time of each, and how it runs after it.
    fn way(mut ramp: Ramp, mut left: i64) -> Vec<(f64, Ramp)> {
        let (mut steps, mut time) = (Vec::new(), 0.0);
        while let Some((next, interval)) = ramp.next(left, LIMITS) {
            ramp = next;
            left -= if ramp.forward { 1 } else { -1 };
            time += interval.as_secs_f64();
            steps.push((time, ramp));
        }
        assert_eq!((left, ramp.run), (0, 0));
        steps
    }

    /// From rest over `s` with the acceleration `a` takes √(2·s/a); a trapezoid takes s/v + v/a.
    #[test]
    fn keeps_the_laws_of_motion() {
        let steps = way(Ramp::default(), 2_000);
        for (s, step) in [1.0, 10.0, 100.0, 250.0].into_iter().zip([0, 9, 99, 249]) {
            let law = (2.0 * s / 2_000.0_f64).sqrt();
            assert!((steps[step].0 - law).abs() < 1e-6, "after {s} steps");
        }
        let whole = 2_000.0 / 1_000.0 + 1_000.0 / 2_000.0;
        assert!((steps[1_999].0 - whole).abs() < 1e-3, "{}", steps[1_999].0);
        // Too short for full speed: faster over half of it, slower over the other half.
        let short = way(Ramp::default(), 100);
        assert!((short[99].0 - 2.0 * (100.0_f64 / 2_000.0).sqrt()).abs() < 1e-6, "{}", short[99].0);
        assert!((way(Ramp::default(), 1)[0].0 - 2.0 / 2_000.0_f64.sqrt()).abs() < 1e-6);
    }

    #[test]
    fn turns_round_where_it_cannot_stop_in_time() {
        let fast = Ramp { run: 200, forward: true };
        let steps = way(fast, 50);
        assert_eq!(steps.len(), 200 + 150);
        assert!(
            steps[..200].iter().all(|(_, ramp)| ramp.forward) && steps[200..].iter().all(|(_, ramp)| !ramp.forward)
        );
        // What it needs to stop is enough.
        assert_eq!(way(fast, fast.braking()).len(), 200);
    }

    proptest! {
        #[test]
        fn gets_everywhere_and_never_jumps(run in 0_i64..=250, forward: bool, left in -3_000_i64..3_000) {
            let mut before = Ramp { run, forward };
            for (_, ramp) in way(before, left) {
                prop_assert!((ramp.run - before.run).abs() <= 1 && ramp.run <= 250);
                prop_assert!(ramp.forward == before.forward || before.run == 0);
                before = ramp;
            }
        }

        #[test]
        fn is_never_faster_than_told(before in 0_i64..1_000, after in 0_i64..1_000) {
            prop_assert!(LIMITS.interval(before, after) >= Duration::from_micros(999));
        }
    }
}
