use super::*;
use crate::testing::{actuator, config, sensor};
use halyard_drivers::port::InputSettings;
use halyard_drivers::sim::Part;
use halyard_drivers::{
    ActuatorSpec, Control, Edge, EdgeSensor, EdgeSpec, Emit, Fault, Sample, SensorSpec, Value, sht4x,
};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// What parts were told to measure.
type Told = Arc<Mutex<HashMap<String, f64>>>;

struct Probe(Told);

impl Part for Probe {
    fn stimulate(&mut self, channel: &str, value: f64) -> bool {
        self.0.lock().unwrap().insert(channel.to_owned(), value);
        true
    }
}

/// One part for every place, and lines by name.
#[derive(Default)]
struct Buses {
    told: Told,
    lines: Mutex<HashMap<LineName, Line>>,
}

impl Buses {
    fn named(&self, name: &str) -> Line {
        self.line(&LineName::Name(name.into()))
    }

    fn told(&self, channel: &str) -> f64 {
        self.told.lock().unwrap()[channel]
    }
}

impl Stage for Buses {
    fn part(&self, _: &At) -> Option<SharedPart> {
        Some(SharedPart::new(Box::new(Probe(self.told.clone()))))
    }
    fn line(&self, name: &LineName) -> Line {
        self.lines.lock().unwrap().entry(name.clone()).or_default().clone()
    }
}

/// A relay that is on while its line is low.
#[derive(Debug)]
struct ActiveLow;

struct Relay(OutputPort);

impl ActuatorSpec for ActiveLow {
    fn control(&self) -> Control {
        Control::Switch
    }
    fn open(&self, wire: Wire) -> Result<Box<dyn Actuator>, Fault> {
        match wire {
            Wire::Output(line) => Ok(Box::new(Relay(line))),
            _ => Err(Fault::rejected("a relay is on a line")),
        }
    }
    fn simulate(&self) -> Option<Box<dyn Part>> {
        None
    }
}

impl Actuator for Relay {
    fn apply(&mut self, _: &Value) -> Result<Value, Fault> {
        unreachable!("the scene only reads")
    }
    fn read(&mut self) -> Result<Option<Value>, Fault> {
        Ok(Some(Value::Switch(!self.0.0.level()?)))
    }
}

/// A contact; inverted, it is on while its line is low.
#[derive(Debug)]
struct Contact {
    invert: bool,
}

impl EdgeSpec for Contact {
    fn channels(&self) -> Vec<Channel> {
        vec![Channel::switch("state", halyard_drivers::Quantity::STATE)]
    }
    fn input(&self) -> InputSettings {
        InputSettings::default()
    }
    fn open(&self) -> Box<dyn EdgeSensor> {
        Box::new(Self { invert: self.invert })
    }
}

impl EdgeSensor for Contact {
    fn level(&mut self, level: Edge, emit: &mut Emit<'_>) {
        let mut sample = Sample::new(1);
        sample.set(0, Value::Switch(level.high != self.invert));
        emit(level.time, Ok(sample));
    }
    fn edge(&mut self, edge: Edge, emit: &mut Emit<'_>) {
        self.level(edge, emit);
    }
}

fn climate() -> SensorConfig {
    let spec: Arc<dyn SensorSpec> = Arc::new(sht4x::Options::default());
    sensor("climate", Source::Sampled { spec, every: Duration::from_secs(1) })
}

fn input(id: &str, invert: bool) -> SensorConfig {
    sensor(id, Source::Edges { spec: Arc::new(Contact { invert }), every: None })
}

fn pass(scene: &mut Scene, seconds: u32) {
    (0..seconds).for_each(|_| scene.step(Duration::from_secs(1)));
}

#[test]
fn parts_measure_something_from_the_start() {
    let buses = Buses::default();
    let _scene = Scene::new(&config(vec![climate()], vec![]), &buses);
    assert!((10.0..25.0).contains(&buses.told("temperature")));
    assert!((20.0..90.0).contains(&buses.told("humidity")));
}

#[test]
fn actuators_act_on_the_world_as_their_drivers_read_them() {
    let temperature_with = |heater_level: bool| {
        let buses = Buses::default();
        buses.named("heater").pull(heater_level);
        let mut scene = Scene::new(&config(vec![climate()], vec![actuator("heater", Arc::new(ActiveLow))]), &buses);
        pass(&mut scene, 20);
        assert_eq!(buses.named("heater").is_high(), heater_level, "the scene drives no output");
        buses.told("temperature")
    };
    assert!(temperature_with(false) > temperature_with(true) + 2.0, "low is on");
}

#[test]
fn contacts_go_on_and_off_and_the_door_lets_the_cold_in() {
    let buses = Buses::default();
    let mut scene = Scene::new(&config(vec![climate(), input("door", true), input("motion", false)], vec![]), &buses);
    let (door, motion) = (buses.named("door"), buses.named("motion"));
    assert!(door.is_high() && !motion.is_high(), "both are off at first");
    let (mut changes, mut last) = (0, door.is_high());
    for _ in 0..600 {
        let before = buses.told("temperature");
        pass(&mut scene, 1);
        let opened = last && !door.is_high();
        changes += u32::from(last != door.is_high());
        last = door.is_high();
        if opened && changes == 1 {
            pass(&mut scene, 3);
            assert!(buses.told("temperature") < before, "an open door cools");
        }
    }
    assert!((8..60).contains(&changes), "{changes} changes in ten minutes");
}

#[test]
fn a_configuration_without_anything_is_a_scene_too() {
    pass(&mut Scene::new(&config(vec![], vec![]), &Buses::default()), 10);
}

#[tokio::test]
async fn time_passes_until_it_is_cancelled() {
    let buses = Buses::default();
    let scene = Scene::new(&config(vec![climate()], vec![]), &buses);
    let before = buses.told("temperature");
    let cancel = CancellationToken::new();
    let task = crate::task::spawn(run(scene, cancel.clone()));
    let moved = async {
        while buses.told("temperature") == before {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), moved).await.unwrap();
    cancel.cancel();
    tokio::time::timeout(Duration::from_secs(20), task).await.unwrap().unwrap();
}
