use super::*;
use crate::port::PortError;
use crate::sim::{Line, SharedPart, clock, connect};

fn options(yaml: &str) -> Options {
    serde_yaml::from_str(yaml).unwrap()
}

fn wire(trigger: &Line, echo: impl InputLine + 'static) -> Wire {
    Wire::Several(vec![
        ("trigger", Wire::Output(OutputPort(Box::new(trigger.clone())))),
        ("echo", Wire::Input(InputPort(Box::new(echo)))),
    ])
}

fn distance(sensor: &mut dyn Sensor) -> Result<f64, Fault> {
    let mut sample = Sample::new(1);
    sensor.sample(&mut sample)?;
    Ok(sample.values()[DISTANCE].as_ref().and_then(crate::Value::number).unwrap())
}

fn microseconds(us: f64) -> Duration {
    Duration::from_secs_f64(us / 1e6)
}

/// "uS / 58 = centimeters": a rule of thumb, of air at 22.8 °C.
#[test]
fn the_formula_of_the_datasheet() {
    for centimetres in [3.0, 10.0, 100.0, 399.0] {
        let found = metres(microseconds(58.0 * centimetres), 22.8).unwrap();
        assert!((found * 100.0 / centimetres - 1.0).abs() < 1e-3, "{centimetres} {found}");
    }
    // "high level time * velocity (340M/S) / 2": of air at 14.5 °C.
    assert!((metres(Duration::from_millis(10), 14.5).unwrap() - 0.01 * 340.0 / 2.0).abs() < 1e-3);
}

/// Speed of sound in dry air at 1013 hPa, in m/s, as tables of acoustics have it.
#[test]
fn the_speed_of_sound_of_tables() {
    for (celsius, speed) in [
        (-20.0, 318.94),
        (-10.0, 325.18),
        (0.0, 331.30),
        (10.0, 337.31),
        (20.0, 343.21),
        (30.0, 349.02),
        (35.0, 351.88),
    ] {
        assert!((speed_of_sound(celsius) - speed).abs() < 0.02, "{celsius} {}", speed_of_sound(celsius));
    }
}

#[test]
fn what_is_no_distance_is_a_fault() {
    let kind = |us| metres(microseconds(us), 20.0).map_err(|fault| fault.kind);
    assert_eq!(kind(38_000.0), Err(FaultKind::NotReady));
    assert_eq!(kind(23_400.0), Err(FaultKind::NotReady), "4.02 m");
    assert!(kind(23_300.0).is_ok());
    assert_eq!(kind(110.0), Err(FaultKind::Corrupt), "1.9 cm");
    assert_eq!(kind(0.0), Err(FaultKind::Corrupt));
}

/// A part on lines that a test sees.
struct Rig {
    part: SharedPart,
    trigger: Line,
    echo: Line,
}

impl Rig {
    fn new() -> Self {
        let part = SharedPart::new(options("{}").simulate().unwrap());
        let (trigger, echo) = (Line::new(), Line::new());
        connect(&part, &[("trigger", trigger.clone()), ("echo", echo.clone())]);
        Self { part, trigger, echo }
    }

    fn open(&self, options: Options) -> Box<dyn Sensor> {
        options.open(wire(&self.trigger, self.echo.listen())).unwrap()
    }
}

#[test]
fn units_and_temperatures() {
    let rig = Rig::new();
    rig.part.stimulate("distance", 1.5);
    let measured = |yaml| distance(&mut *rig.open(options(yaml))).unwrap();
    assert!((measured("{}") - 1.5).abs() < 1e-3);
    assert!((measured("unit: mm") - 1500.0).abs() < 1.0);
    // The model's air has 20 °C: whoever takes it for colder sees things nearer.
    assert!((measured("air_temperature: 0") - 1.5 * 331.30 / 343.21).abs() < 1e-3);
}

#[test]
fn nothing_in_range_is_no_result_and_the_next_one_is() {
    let rig = Rig::new();
    let mut sensor = rig.open(options("{}"));
    rig.part.stimulate("distance", 9.0);
    let fault = distance(&mut *sensor).unwrap_err();
    assert_eq!(
        (fault.kind, fault.message.as_str()),
        (FaultKind::NotReady, "nothing within its range: no echo for 38 ms")
    );
    rig.part.stimulate("distance", 0.5);
    assert!((distance(&mut *sensor).unwrap() - 0.5).abs() < 1e-3);
}

#[test]
fn triggers_are_long_enough_and_not_too_often() {
    let rig = Rig::new();
    let mut sensor = rig.open(options("{}"));
    assert!(!rig.trigger.is_high());
    distance(&mut *sensor).unwrap();
    let first = clock::now();
    distance(&mut *sensor).unwrap();
    // The machine's own time counts as well, the test's clock stands still.
    let waited = clock::now() - first;
    assert!(waited > Duration::from_millis(1) && waited <= CYCLE + Duration::from_micros(10), "{waited:?}");
    assert!(!rig.trigger.is_high());
    rig.trigger.pull(true);
    sensor.halt().unwrap();
    assert!(!rig.trigger.is_high());
}

#[test]
fn a_part_that_does_not_answer_is_absent() {
    let mut sensor = options("{}").open(wire(&Line::new(), Line::new().listen())).unwrap();
    let fault = distance(&mut *sensor).unwrap_err();
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::Absent, "it does not answer to its trigger"));
}

#[test]
fn an_echo_line_that_is_high_is_not_ready() {
    let echo = Line::new();
    echo.pull(true);
    let mut sensor = options("{}").open(wire(&Line::new(), echo.listen())).unwrap();
    assert_eq!(distance(&mut *sensor).unwrap_err().kind, FaultKind::NotReady);
}

/// Gives these edges, and then none.
struct Script(std::vec::IntoIter<Option<(bool, u64)>>);

impl InputLine for Script {
    fn level(&mut self) -> Result<bool, PortError> {
        Ok(false)
    }

    fn edge(&mut self, _: Duration) -> Result<Option<(bool, Duration)>, PortError> {
        Ok(self.0.next().flatten().map(|(high, us)| (high, Duration::from_micros(us))))
    }
}

#[test]
fn old_edges_are_none_of_this_measurement() {
    // Those before the first `None` are from before the trigger; of two alike ones the last before a fall counts not.
    let edges =
        vec![Some((true, 1)), Some((false, 2)), None, Some((false, 90)), Some((true, 100)), Some((false, 5_924))];
    let mut sensor = options("{}").open(wire(&Line::new(), Script(edges.into_iter()))).unwrap();
    assert!((distance(&mut *sensor).unwrap() - 1.0).abs() < 1e-3);
    let noise: Vec<_> = (0..3_000).map(|us| Some((us % 2 == 0, us))).collect();
    let mut sensor = options("{}").open(wire(&Line::new(), Script(noise.into_iter()))).unwrap();
    assert_eq!(distance(&mut *sensor).unwrap_err().kind, FaultKind::Corrupt);
    let mut sensor = options("{}").open(wire(&Line::new(), Script(vec![None, Some((true, 1))].into_iter()))).unwrap();
    assert_eq!(distance(&mut *sensor).unwrap_err().kind, FaultKind::NotReady, "it never ends");
}

#[test]
fn wrong_options_are_refused() {
    for wrong in ["unit: cm", "air_temperature: -41", "air_temperature: 20°C", "every: 10s"] {
        assert!(serde_yaml::from_str::<Options>(wrong).is_err(), "{wrong}");
    }
}
