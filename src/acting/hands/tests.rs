use super::*;
use crate::acting::Acting;
use crate::acting::gate::Outcome;
use crate::bus::Simulated;
use crate::mqtt::{Incoming, Limits, Outbox, Topics};
use crate::reporter::Reporter;
use crate::testing;
use crate::watchdog::Watchdog;
use bytes::Bytes;
use halyard_drivers::port::Wire;
use halyard_drivers::sim::Part;
use halyard_drivers::{ActuatorSpec, Control};
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

#[tokio::test]
async fn a_worker_that_takes_too_long_is_given_up_once_and_its_late_result_is_none() {
    let (release, wait) = mpsc::channel();
    let actuator = testing::actuator("pump", Arc::new(Slow(Arc::new(Mutex::new(wait)))));
    let bus = Arc::new(Simulated::new(&testing::config(vec![], vec![actuator.clone()])));
    let reporter = Reporter::new(Outbox::new(Limits::default()), Topics::new("halyard", "greenhouse"), "test");
    let acting = Acting::start(bus, reporter, &Watchdog::default(), Memory::load(None));
    acting.add(actuator);
    until(&acting, |body| body.gate.state("pump") == Some(&Value::Switch(false))).await;
    let command = Incoming {
        topic: "halyard/greenhouse/pump/set".into(),
        payload: Bytes::from_static(b"ON"),
        retained: false,
        response_topic: None,
        correlation: None,
        received: Instant::now(),
    };
    acting.command("pump", command);
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
