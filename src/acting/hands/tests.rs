use super::super::MOST_NEWS;
use super::*;
use crate::acting::Acting;
use crate::acting::gate::Outcome;
use crate::bus::{Loads, Simulated};
use crate::config::{At, LineName};
use crate::mqtt::{Incoming, Limits, Outbox, Topics};
use crate::reporter::Reporter;
use crate::testing;
use crate::watchdog::Watchdog;
use bytes::Bytes;
use halyard_drivers::port::Wire;
use halyard_drivers::sim::Part;
use halyard_drivers::{ActuatorSpec, Appearance, Control, FaultKind, stepper, switch};
use std::sync::{Mutex, mpsc};

/// Takes until it is told to turn on.
#[derive(Debug)]
struct Slow(Arc<Mutex<mpsc::Receiver<()>>>);

impl Actuator for Slow {
    fn apply(&mut self, value: &Value) -> Result<Value, Fault> {
        if value.is_active() {
            // Ends when the test does, too.
            let _ = self.0.lock().unwrap().recv();
        }
        Ok(value.clone())
    }

    fn read(&mut self) -> Result<Option<Value>, Fault> {
        Ok(None)
    }
}

impl ActuatorSpec for Slow {
    fn control(&self) -> Control {
        Control::Switch
    }

    fn open(&self, _: Wire) -> Result<Box<dyn Actuator>, Fault> {
        Ok(Box::new(Self(Arc::clone(&self.0))))
    }

    fn simulate(&self) -> Option<Box<dyn Part>> {
        None
    }
}

async fn until(acting: &Acting, condition: impl Fn(&Body) -> bool) {
    let wait = async {
        while !condition(&acting.shared.lock()) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap();
}

fn failures(body: &Body) -> usize {
    let failed =
        |news: &&News| matches!(news, News::Gate(Action::Answer { outcome: Outcome { reason: Some(_), .. }, .. }));
    body.news.iter().filter(failed).count()
}

fn reporter() -> Reporter {
    Reporter::new(Outbox::new(Limits::default()), Topics::new("halyard", "greenhouse"), "test", Loads::default())
}

fn start(actuator: &ActuatorConfig) -> Acting {
    let bus = Arc::new(Simulated::new(&testing::config(vec![], vec![actuator.clone()])));
    let acting = Acting::start(bus, reporter(), &Watchdog::default(), Memory::load(None));
    acting.add(actuator.clone());
    acting
}

fn command(actuator: &str, payload: &'static str) -> Incoming {
    Incoming {
        topic: format!("halyard/greenhouse/{actuator}/set"),
        payload: Bytes::from_static(payload.as_bytes()),
        retained: false,
        response_topic: None,
        correlation: None,
        received: Instant::now(),
    }
}

#[tokio::test]
async fn a_worker_that_takes_too_long_is_given_up_once_and_its_late_result_is_none() {
    let (release, wait) = mpsc::channel();
    let actuator = testing::actuator("pump", Arc::new(Slow(Arc::new(Mutex::new(wait)))));
    let acting = start(&actuator);
    until(&acting, |body| body.gate.state("pump") == Some(&Value::Switch(false))).await;
    acting.command("pump", command("pump", "ON"));
    let late = Instant::now() + LIMIT;
    {
        let mut body = acting.shared.lock();
        assert!(body.hands["pump"].call.is_some());
        for _ in 0..2 {
            body.tick(late);
            body.carry_out(late);
            assert_eq!((failures(&body), body.gate.state("pump")), (1, None));
            assert!(body.hands["pump"].call.is_none() && body.hands["pump"].stuck.is_some());
        }
    }
    release.send(()).unwrap();
    until(&acting, |body| body.hands["pump"].stuck.is_none()).await;
    let body = acting.shared.lock();
    assert!(body.gate.state("pump").is_none(), "a late ON is nobody's state");
    assert!(body.hands["pump"].driver.is_none(), "nor is its driver used again");
}

#[tokio::test]
async fn what_is_more_than_can_be_told_is_counted() {
    let actuator = testing::actuator("pump", Arc::new(switch::Options::default()));
    let acting = start(&actuator);
    let is_told = |body: &Body| body.news.is_empty() && !body.telling;
    until(&acting, |body| is_told(body) && body.gate.state("pump") == Some(&Value::Switch(false))).await;
    acting.shared.lock().telling = true; // and never comes back
    for _ in 0..MOST_NEWS + 3 {
        acting.command("pump", command("pump", "BLUE"));
    }
    assert_eq!(acting.shared.lock().news.len(), MOST_NEWS);
    assert_eq!(acting.shared.reporter.health().json()["commands"]["rejected"]["unread"], 3);
}

/// Goes from step to step as long as it is let.
#[derive(Clone, Debug, Default)]
struct Walker(Arc<Mutex<Walk>>);

#[derive(Debug, Default)]
struct Walk {
    at: f64,
    to: f64,
    steps: u32,
    fault: Option<FaultKind>,
}

impl Actuator for Walker {
    fn apply(&mut self, value: &Value) -> Result<Value, Fault> {
        let mut walk = self.0.lock().unwrap();
        walk.to = value.number().unwrap();
        walk.at = walk.at.max(1.0);
        Ok(Value::Number(walk.at))
    }

    fn apply_at_once(&mut self, value: &Value) -> Result<Value, Fault> {
        let mut walk = self.0.lock().unwrap();
        (walk.at, walk.to) = (value.number().unwrap(), value.number().unwrap());
        Ok(value.clone())
    }

    fn read(&mut self) -> Result<Option<Value>, Fault> {
        Ok(None)
    }

    fn next(&self) -> Option<Duration> {
        let walk = self.0.lock().unwrap();
        (walk.at != walk.to).then_some(Duration::ZERO)
    }

    fn advance(&mut self) -> Result<Option<Value>, Fault> {
        let mut walk = self.0.lock().unwrap();
        walk.steps += 1;
        if let Some(kind) = walk.fault.take() {
            return Err(Fault::new(kind, "stumbled"));
        }
        walk.at += (walk.to - walk.at).signum();
        Ok(Some(Value::Number(walk.at)))
    }
}

impl ActuatorSpec for Walker {
    fn control(&self) -> Control {
        Control::Level(Appearance::Plain)
    }

    fn open(&self, _: Wire) -> Result<Box<dyn Actuator>, Fault> {
        Ok(Box::new(self.clone()))
    }

    fn simulate(&self) -> Option<Box<dyn Part>> {
        None
    }
}

fn level(body: &Body) -> Option<f64> {
    body.gate.state("blind").and_then(Value::number)
}

#[tokio::test]
async fn what_takes_its_time_is_called_for_each_step() {
    let walker = Walker::default();
    let mut actuator = testing::actuator("blind", Arc::new(walker.clone()));
    actuator.rules.safe = Value::Number(0.0);
    let acting = start(&actuator);
    until(&acting, |body| level(body) == Some(0.0)).await;
    acting.command("blind", command("blind", "20"));
    until(&acting, |body| level(body) == Some(20.0)).await;
    assert_eq!(walker.0.lock().unwrap().steps, 20, "from 0 at the start to 1, to 20");
    assert!(acting.shared.lock().hands["blind"].step.is_none(), "it is there");

    // A step that can be taken again is no more than told.
    walker.0.lock().unwrap().fault = Some(FaultKind::NotReady);
    acting.command("blind", command("blind", "10"));
    until(&acting, |body| level(body) == Some(10.0)).await;
    // Any other ends it, and it is made safe.
    walker.0.lock().unwrap().fault = Some(FaultKind::Bus);
    acting.command("blind", command("blind", "90"));
    until(&acting, |body| level(body) == Some(0.0)).await;

    acting.command("blind", command("blind", "100"));
    until(&acting, |body| level(body) > Some(1.0)).await;
    acting.stop().await;
    assert_eq!((walker.0.lock().unwrap().at, level(&acting.shared.lock())), (0.0, Some(0.0)), "at once");
}

/// Pulses of a motor come from a thread of this machine: late where that is busy, but never early, all of them, and beside
/// whatever else there is to do.
#[tokio::test]
async fn a_motor_makes_all_its_steps_and_none_too_early() {
    const STEPS: u32 = 1_500;
    const GOAL: &str = "1500";
    const RATE: f64 = 1_000.0;
    let name = |text: &str| LineName::Name(text.to_owned());
    let (step, dir, pump) = (name("STEP"), name("DIR"), name("PUMP"));
    let motor: stepper::Options =
        serde_yaml::from_str(&format!("{{ max: {STEPS}, speed: {RATE}, acceleration: 1000000 }}")).unwrap();
    let motor = ActuatorConfig {
        at: At::Several(vec![("step", At::Line(step.clone())), ("dir", At::Line(dir))]),
        ..testing::actuator("motor", Arc::new(motor))
    };
    let pump = ActuatorConfig { at: At::Line(pump), ..testing::actuator("pump", Arc::new(switch::Options::default())) };
    let bus = Arc::new(Simulated::new(&testing::config(vec![], vec![])));
    let acting = Acting::start(bus.clone(), reporter(), &Watchdog::default(), Memory::load(None));
    acting.add(motor);
    acting.add(pump);
    until(&acting, |body| ["motor", "pump"].iter().all(|id| body.gate.state(id).is_some())).await;
    let pulses = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&pulses);
    bus.line(&step).watch(move |edge| {
        seen.lock().unwrap().extend(edge.high.then(Instant::now));
        true
    });

    acting.command("motor", command("motor", GOAL));
    let (mut on, start) = (false, Instant::now());
    while acting.shared.lock().gate.state("motor").is_none_or(|state| state.number() != Some(f64::from(STEPS))) {
        assert!(start.elapsed() < Duration::from_secs(60), "it does not get there");
        on = !on;
        acting.command("pump", command("pump", if on { "ON" } else { "OFF" }));
        // No faster than it is told: a flood is not what this is about, and would not be read any more.
        until(&acting, |body| body.news.is_empty() && body.gate.state("pump") == Some(&Value::Switch(on))).await;
    }
    let pulses = pulses.lock().unwrap();
    let mut intervals: Vec<_> = pulses.windows(2).map(|pair| pair[1] - pair[0]).collect();
    intervals.sort_unstable();
    let (shortest, longest) = (intervals[0], intervals[intervals.len() - 1]);
    let mean = (pulses[pulses.len() - 1] - pulses[0]) / u32::try_from(intervals.len()).unwrap();
    // What the page of the driver says of it was seen here.
    println!(
        "{RATE}/s: median {:?}, 99 % {:?}, longest {longest:?}, mean {mean:?}",
        intervals[intervals.len() / 2],
        intervals[intervals.len() * 99 / 100]
    );
    assert_eq!(pulses.len(), STEPS as usize);
    assert!(shortest >= Duration::from_secs_f64(1.0 / RATE), "{shortest:?}");
}

#[tokio::test]
async fn where_a_motor_is_left_is_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("actuators.json");
    let motor: stepper::Options = serde_yaml::from_str("{ speed: 100, acceleration: 1000000 }").unwrap();
    let lines = ["step", "dir"].map(|key| (key, At::Line(LineName::Name(key.to_owned()))));
    let mut motor = ActuatorConfig {
        at: At::Several(lines.to_vec()),
        initial: Initial::Restore,
        ..testing::actuator("motor", Arc::new(motor))
    };
    motor.rules.safe = Value::STOP;
    let start = |spec| {
        let bus = Arc::new(Simulated::new(&testing::config(vec![], vec![])));
        let acting = Acting::start(bus, reporter(), &Watchdog::default(), Memory::load(Some(file.clone())));
        acting.add(ActuatorConfig { spec, ..motor.clone() });
        acting
    };
    let acting = start(Arc::clone(&motor.spec));
    until(&acting, |body| body.gate.state("motor") == Some(&Value::rest(Some(0.0)))).await;
    acting.command("motor", command("motor", "1000"));
    let moves = |body: &Body| body.gate.state("motor").is_some_and(Value::is_active);
    until(&acting, moves).await;
    acting.stop().await;
    let left = acting.shared.lock().gate.state("motor").cloned().unwrap();
    assert!(!left.is_active() && left.number() < Some(1000.0), "{left}");
    let told = async {
        while Memory::load(Some(file.clone())).recall("motor").and_then(|value| value.number()) != left.number() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), told).await.unwrap();
    // Its next start. It does not go anywhere for that.
    let acting = start(Arc::new(stepper::Options::default()));
    until(&acting, |body| body.gate.state("motor") == Some(&left)).await;
}
