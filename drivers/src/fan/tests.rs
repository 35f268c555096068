use super::*;
use crate::port::{InputLine, InputPort, PortError};
use crate::sim;
use crate::sim::clock::pass;
use std::collections::VecDeque;
use std::sync::Mutex;

/// A tachometer: its pulses until they are taken.
#[derive(Clone, Default)]
struct Wheel(Arc<Mutex<VecDeque<(bool, Duration)>>>);

impl Wheel {
    /// Turns for a second at this speed, with two pulses in a revolution.
    fn turn(&self, rpm: f64) {
        let period = Duration::from_secs_f64(60.0 / rpm / 2.0);
        let mut time = Duration::ZERO;
        while time < Duration::from_secs(1) {
            self.0.lock().unwrap().extend([(false, time), (true, time + period / 2)]);
            time += period;
        }
    }
}

impl InputLine for Wheel {
    fn level(&mut self) -> Result<bool, PortError> {
        Ok(true)
    }

    fn edge(&mut self, _: Duration) -> Result<Option<(bool, Duration)>, PortError> {
        Ok(self.0.lock().unwrap().pop_front())
    }
}

fn fan(options: Options) -> (sim::Pwm, Wheel, Fan<sim::Pwm>) {
    let (channel, wheel) = (sim::Pwm::new(), Wheel::default());
    let fan = Fan::new(channel.clone(), Some(InputPort(Box::new(wheel.clone()))), options);
    (channel, wheel, fan)
}

/// 2.1.4: 25 kHz, from 21 to 28; the part of the time for which the signal is high is the speed.
#[test]
fn the_signal_of_the_specification() {
    let (channel, _, mut driver) = fan(Options::default());
    driver.apply(&Value::Number(100.0)).unwrap();
    assert_eq!(channel.gives(), Some((40_000, 40_000)));
    driver.apply(&Value::Number(50.0)).unwrap();
    assert_eq!(channel.gives(), Some((40_000, 24_000)), "half-way from 20 % to 100 %");
    driver.apply(&Value::Number(0.0)).unwrap();
    assert_eq!(channel.gives(), Some((40_000, 0)));
}

/// 2.1.3: two pulses in a revolution. So 80 periods in a second are 40 revolutions, 2400 in a minute.
#[test]
fn revolutions_of_pulses() {
    assert_eq!(revolutions(80, Duration::from_secs(1), Pulses::Two.number()), 2400.0);
    assert_eq!(revolutions(80, Duration::from_secs(1), Pulses::One.number()), 4800.0);
}

#[test]
fn its_speed_is_told_when_it_changes() {
    let (_, wheel, mut driver) = fan(Options::default());
    assert_eq!(driver.next(), None, "it is off");
    driver.apply(&Value::Number(80.0)).unwrap();
    let mut told = Vec::new();
    for rpm in [400.0, 1200.0, 1210.0].into_iter().chain([1500.0; 12]) {
        pass(driver.next().unwrap());
        wheel.turn(rpm);
        if driver.advance().unwrap() == Some(Value::Number(80.0)) {
            told.push(driver.readings()[0]);
        }
    }
    assert_eq!(told, [("rpm", 400.0), ("rpm", 1500.0)], "at once, and after ten seconds");
    driver.apply(&Value::Number(0.0)).unwrap();
    assert_eq!((driver.next(), driver.readings()), (None, vec![]));
}

#[test]
fn a_fan_that_stands_still_is_a_fault_until_it_turns() {
    let (channel, wheel, mut driver) = fan(Options::default());
    driver.apply(&Value::Number(50.0)).unwrap();
    let mut look = |turns: bool| {
        pass(driver.next().unwrap());
        if turns {
            wheel.turn(900.0);
        }
        (driver.advance().map_err(|fault| fault.kind), driver.readings())
    };
    for _ in 0..4 {
        assert_eq!(look(false).0, Ok(None), "it may take a moment to start");
    }
    for _ in 0..3 {
        assert_eq!(look(false), (Err(FaultKind::NotReady), vec![("rpm", 0.0)]));
    }
    assert!(channel.duty() > 0.5, "it is driven on");
    assert_eq!(look(true), (Ok(Some(Value::Number(50.0))), vec![("rpm", 900.0)]));
    for _ in 0..4 {
        assert_eq!(look(false).0, Ok(None));
    }
    assert_eq!(look(false).0, Err(FaultKind::NotReady));
}

#[test]
fn the_model_turns_as_it_is_told() {
    let channel = sim::Pwm::new();
    let tacho = super::sim::Tachometer::new(channel.clone(), false);
    let mut driver = Fan::new(channel, Some(InputPort(Box::new(tacho))), Options::default());
    driver.apply(&Value::Number(50.0)).unwrap();
    pass(driver.next().unwrap());
    assert_eq!(driver.advance().unwrap(), Some(Value::Number(50.0)));
    let (name, speed) = driver.readings()[0];
    assert!(name == "rpm" && (speed - 0.6 * super::sim::FULL_SPEED).abs() < 2.0, "{speed}");
}

/// A line that nothing is connected to hums faster than anybody can listen.
#[test]
fn noise_does_not_keep_it() {
    struct Noise(u64);
    impl InputLine for Noise {
        fn level(&mut self) -> Result<bool, PortError> {
            Ok(true)
        }

        fn edge(&mut self, _: Duration) -> Result<Option<(bool, Duration)>, PortError> {
            self.0 += 1;
            Ok(Some((self.0.is_multiple_of(2), Duration::from_micros(self.0))))
        }
    }
    let mut driver = Fan::new(sim::Pwm::new(), Some(InputPort(Box::new(Noise(0)))), Options::default());
    driver.apply(&Value::Number(50.0)).unwrap();
    pass(driver.next().unwrap());
    driver.advance().unwrap();
    assert_eq!(driver.readings(), [("rpm", FASTEST)]);
}

/// Else a driver that takes all that there is would never have all.
#[test]
fn the_model_gives_no_edge_before_its_time() {
    let mut channel = sim::Pwm::new();
    let mut tacho = super::sim::Tachometer::new(channel.clone(), false);
    channel.pulses(40_000, 40_000).unwrap();
    // Half a period at 2000 revolutions a minute is 7.5 ms.
    let mut edges = Vec::new();
    for _ in 0..6 {
        pass(Duration::from_millis(5));
        edges.extend(tacho.edge(Duration::ZERO).unwrap().map(|(high, time)| (high, time.as_micros())));
    }
    assert_eq!(edges, [(false, 7_500), (true, 15_000), (false, 22_500), (true, 30_000)]);
}

#[test]
fn without_a_tachometer_nobody_looks() {
    let mut driver = Fan::new(sim::Pwm::new(), None, Options::default());
    driver.apply(&Value::Number(50.0)).unwrap();
    assert_eq!((driver.next(), driver.readings()), (None, vec![]));
}
