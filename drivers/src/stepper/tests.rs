use super::motor::{BURST, LEAD};
use super::sim::{DRV8825, Model, Timing};
use super::*;
use crate::fault::FaultKind;
use crate::port::{InputPort, OutputPort};
use crate::sim::clock::{self, pass};
use crate::sim::{Line, LinesPart};
use crate::value::Value;
use std::sync::{Mutex, MutexGuard};

/// Allegro A4988, figure 1: t_A, t_B, t_C, t_D.
const A4988: Timing = Timing { pulse: (1_000, 1_000), dir: (200, 200), enable: 200 };
/// Trinamic TMC2209 V1.09, section 13.1: t_SH, t_SL, t_DSU, t_DSH; of ENN it says nothing.
const TMC2209: Timing = Timing { pulse: (100, 100), dir: (20, 20), enable: 0 };

/// 10 steps to the millimetre, 50 mm long, 100 steps/s after 25 steps.
fn options() -> Options {
    Options {
        steps_per_unit: StepsPerUnit(10.0),
        unit: Some("mm".to_owned()),
        max: Position(50.0),
        speed: Rate(10.0),
        acceleration: Rate(20.0),
        ..Options::default()
    }
}

/// A motor with its lines.
struct Rig {
    model: Arc<Mutex<Model>>,
    lines: Vec<(&'static str, Line)>,
    driver: Box<dyn Actuator>,
    options: Options,
}

impl Rig {
    fn new(options: Options, timing: Timing, keys: &[&'static str]) -> Self {
        let model = Arc::new(Mutex::new(Model::new(timing, &options)));
        let lines: Vec<_> = keys.iter().map(|key| (*key, Line::new())).collect();
        let home = lines.iter().find(|(key, _)| *key == "home").map(|(_, line)| line.clone());
        home.iter().for_each(|home| home.pull(model.lock().unwrap().home()));
        for (key, line) in lines.iter().filter(|(key, _)| *key != "home") {
            let (key, model, home) = (*key, model.clone(), home.clone());
            line.watch(move |edge| {
                for (_, high, _) in model.lock().unwrap().driven(key, edge.high) {
                    home.iter().for_each(|home| home.pull(high));
                }
                true
            });
        }
        let driver = options.open(Self::wire(&lines)).unwrap();
        Self { model, lines, driver, options }
    }

    fn wire(lines: &[(&'static str, Line)]) -> Wire {
        let wire = |(key, line): &(&'static str, Line)| match *key {
            "home" => (*key, Wire::Input(InputPort(Box::new(line.listen())))),
            _ => (*key, Wire::Output(OutputPort(Box::new(line.clone())))),
        };
        Wire::Several(lines.iter().map(wire).collect())
    }

    /// With all lines.
    fn whole(options: Options) -> Self {
        Self::new(options, DRV8825, &["step", "dir", "enable", "home"])
    }

    /// With those that it cannot do without.
    fn bare() -> Self {
        Self::new(options(), DRV8825, &["step", "dir"])
    }

    fn line(&self, key: &str) -> &Line {
        &self.lines.iter().find(|(name, _)| *name == key).unwrap().1
    }

    fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap()
    }

    /// Where the motor is.
    fn at(&self) -> i64 {
        self.model().at
    }

    fn intervals(&self) -> Vec<Duration> {
        self.model().intervals.clone()
    }

    fn state(&mut self) -> Value {
        self.driver.read().unwrap().unwrap()
    }

    /// Lets this time pass, with all that it does meanwhile.
    fn pass(&mut self, time: Duration) -> Result<(), Fault> {
        let end = clock::now() + time;
        while let Some(next) = self.driver.next().filter(|next| clock::now() + *next < end) {
            pass(next);
            let before = clock::now();
            self.driver.advance()?;
            assert!(clock::now() - before <= BURST + LEAD, "it works for {:?}", clock::now() - before);
        }
        pass(end.saturating_duration_since(clock::now()));
        Ok(())
    }

    fn go(&mut self, position: f64) {
        self.driver.apply(&Value::go(position)).unwrap();
        self.pass(Duration::from_secs(60)).unwrap();
        assert_eq!(self.state(), Value::rest(Some(position)));
    }

    fn assert_clean(&self) {
        assert_eq!(self.model().wrong, Vec::<String>::new());
    }
}

#[test]
fn keeps_to_the_timing_tables() {
    for timing in [A4988, DRV8825, TMC2209] {
        let mut rig = Rig::new(options(), timing, &["step", "dir", "enable", "home"]);
        for position in [0.0, 50.0, 49.9, 0.0, 0.1, 20.0] {
            rig.go(position);
        }
        rig.assert_clean();
        assert!(rig.model().intervals.len() > 1_000);
    }
}

#[test]
fn finds_its_switch_before_it_knows_where_it_is() {
    let mut rig = Rig::whole(options());
    assert_eq!(rig.driver.apply(&Value::STOP).unwrap(), Value::rest(None));
    assert_eq!(rig.driver.apply(&Value::go(2.0)).unwrap(), Value::Position { at: None, moves: true });
    rig.pass(Duration::from_secs(60)).unwrap();
    assert_eq!((rig.state(), rig.at()), (Value::rest(Some(2.0)), 20));
    // At the place of its switch it finds it again, wherever it is by then.
    rig.model().at += 7;
    rig.go(0.0);
    assert_eq!(rig.at(), 0);
    // Slowly: a quarter of the speed.
    let slowest = rig.intervals().into_iter().rev().take(7).min().unwrap();
    assert!(slowest >= Duration::from_millis(40), "{slowest:?}");
    rig.assert_clean();
}

#[test]
fn leaves_a_switch_that_is_on_first() {
    let mut rig = Rig::whole(Options { home_active: Active::High, reverse: true, ..options() });
    rig.model().at = -5;
    rig.line("home").pull(true);
    rig.go(1.0);
    assert_eq!(rig.at(), 10);
    rig.assert_clean();
}

#[test]
fn a_switch_that_comes_too_early_is_believed() {
    let mut rig = Rig::whole(options());
    rig.go(50.0);
    // 20 mm were not made: at the switch it should be at 20 mm, and is fast.
    rig.model().at -= 200;
    rig.go(10.0);
    assert_eq!(rig.at(), 100);
    rig.assert_clean();
}

#[test]
fn without_a_switch_that_works_it_gives_up() {
    let mut rig = Rig::whole(options());
    rig.model().at = 10_000;
    rig.line("home").pull(true);
    rig.driver.apply(&Value::go(1.0)).unwrap();
    let fault = rig.pass(Duration::from_secs(600)).unwrap_err();
    assert!(fault.kind == FaultKind::Bus && fault.message.contains("did not come on"), "{fault}");
    assert_eq!((rig.at(), rig.state()), (10_000 - 551, Value::rest(None)));

    let mut rig = Rig::whole(options());
    rig.model().at = -10_000;
    rig.line("home").pull(false);
    rig.driver.apply(&Value::go(1.0)).unwrap();
    let fault = rig.pass(Duration::from_secs(600)).unwrap_err();
    assert!(fault.message.contains("did not go off"), "{fault}");
}

#[test]
fn runs_up_and_down_as_told() {
    let mut rig = Rig::bare();
    rig.go(50.0);
    // 500 steps at 100/s, and 100/200 s for both ramps.
    let intervals = rig.intervals();
    let (time, fastest) = (intervals.iter().sum::<Duration>(), *intervals.iter().min().unwrap());
    assert!((time.as_secs_f64() - 5.5).abs() < 0.2, "{time:?}");
    assert!(fastest >= Duration::from_millis(10), "{fastest:?}");
}

#[test]
fn stops_by_its_ramp_or_at_once() {
    let mut rig = Rig::bare();
    rig.driver.apply(&Value::go(50.0)).unwrap();
    rig.pass(Duration::from_secs(2)).unwrap();
    let (before, intervals) = (rig.at(), rig.intervals().len());
    assert!(rig.driver.apply(&Value::STOP).unwrap().is_active());
    rig.pass(Duration::from_secs(2)).unwrap();
    assert_eq!(rig.at(), before + 25, "v²/2a");
    assert!(rig.intervals()[intervals..].is_sorted(), "{:?}", &rig.intervals()[intervals..]);
    let at = f64::from(i32::try_from(before + 25 - 3).unwrap()) / 10.0;
    assert_eq!((rig.state(), rig.driver.next()), (Value::rest(Some(at)), None));

    rig.driver.apply(&Value::go(0.0)).unwrap();
    rig.pass(Duration::from_millis(500)).unwrap();
    let before = rig.at();
    assert!(!rig.driver.apply_at_once(&Value::STOP).unwrap().is_active());
    rig.pass(Duration::from_secs(2)).unwrap();
    assert_eq!(rig.at(), before);
}

#[test]
fn after_a_sudden_stop_it_looks_for_its_switch() {
    let mut rig = Rig::whole(options());
    rig.go(10.0);
    rig.driver.apply(&Value::go(50.0)).unwrap();
    rig.pass(Duration::from_secs(1)).unwrap();
    assert_eq!(rig.driver.apply_at_once(&Value::STOP).unwrap(), Value::rest(None));
    // The motor ran on.
    rig.model().at += 4;
    rig.go(10.0);
    assert_eq!(rig.at(), 100);
}

#[test]
fn takes_another_goal_on_its_way() {
    let mut rig = Rig::bare();
    rig.driver.apply(&Value::go(50.0)).unwrap();
    rig.pass(Duration::from_secs(2)).unwrap();
    rig.go(5.0);
    assert_eq!(rig.at(), 50 + 3);
    rig.assert_clean();
}

#[test]
fn tells_where_it_is_once_a_second() {
    let mut rig = Rig::bare();
    rig.driver.apply(&Value::go(50.0)).unwrap();
    let mut told = Vec::new();
    while let Some(next) = rig.driver.next() {
        pass(next);
        told.extend(rig.driver.advance().unwrap());
    }
    assert_eq!(told.len(), 6, "{told:?}");
    assert!(told[..5].iter().all(Value::is_active) && told[5] == Value::rest(Some(50.0)), "{told:?}");
}

#[test]
fn rests_as_told() {
    for (rest, active) in [(Rest::Hold, Active::Low), (Rest::Release, Active::Low), (Rest::Release, Active::High)] {
        let mut rig = Rig::whole(Options { rest, enable_active: active, ..options() });
        rig.go(1.0);
        assert_eq!(rig.model().has_current(), rest == Rest::Hold);
        rig.driver.apply(&Value::go(2.0)).unwrap();
        assert!(rig.model().has_current());
        rig.pass(Duration::from_millis(100)).unwrap();
        // The end of the agent.
        let model = rig.model.clone();
        drop(rig);
        assert_eq!(model.lock().unwrap().has_current(), rest == Rest::Hold);
    }
}

#[test]
fn what_is_restored_is_where_it_stands() {
    let mut rig = Rig::bare();
    assert_eq!(rig.state(), Value::rest(Some(0.0)), "its origin");
    assert_eq!(rig.driver.apply(&Value::rest(Some(7.5))).unwrap(), Value::rest(Some(7.5)));
    rig.go(10.0);
    assert_eq!((rig.at(), rig.intervals().len()), (3 + 25, 24));
    // A switch knows better.
    let mut rig = Rig::whole(options());
    assert_eq!(rig.driver.apply(&Value::rest(Some(7.5))).unwrap(), Value::rest(None));
}

/// The step nearest to an end of the range can be beyond it. What is told of it can be asked for, and restored.
#[test]
fn ends_of_the_range_are_in_it() {
    let coarse = || Options {
        steps_per_unit: StepsPerUnit(1.0),
        min: Position(0.4),
        max: Position(10.6),
        origin: Position(2.0),
        ..options()
    };
    let mut rig = Rig::new(coarse(), DRV8825, &["step", "dir"]);
    rig.go(10.6);
    rig.go(0.4);
    assert_eq!(rig.driver.apply(&Value::rest(Some(10.6))).unwrap(), Value::rest(Some(10.6)));
    rig.go(10.6);
    assert_eq!(rig.intervals().len(), 8 + 11);
    // With its switch at `min`.
    let mut rig = Rig::whole(coarse());
    rig.go(0.4);
    assert_eq!(rig.at(), 0);
}

#[test]
fn after_a_fault_it_does_not_guess() {
    let mut rig = Rig::bare();
    rig.go(10.0);
    rig.driver.apply(&Value::go(20.0)).unwrap();
    rig.line("step").set_broken(true);
    assert_eq!(rig.pass(Duration::from_secs(1)).unwrap_err().kind, FaultKind::Bus);
    rig.line("step").set_broken(false);
    rig.driver = rig.options.open(Rig::wire(&rig.lines)).unwrap();
    assert_eq!(rig.driver.apply(&Value::STOP).unwrap(), Value::rest(None));
    let fault = rig.driver.apply(&Value::go(20.0)).unwrap_err();
    assert!(fault.kind == FaultKind::Rejected && fault.message.contains("`origin`"), "{fault}");
}
