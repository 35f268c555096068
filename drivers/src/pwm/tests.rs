use super::*;
use crate::fault::FaultKind;
use crate::sim;

fn pwm(options: Options) -> (sim::Pwm, Pwm<sim::Pwm>) {
    let channel = sim::Pwm::new();
    (channel.clone(), Pwm::new(channel, options))
}

fn percent(number: f64) -> Percent {
    Percent::new(number).unwrap()
}

#[test]
fn pulses_of_levels() {
    let (channel, mut driver) = pwm(Options { frequency: Frequency(50.0), ..Options::default() });
    for (level, high) in [(0.0, 0), (7.5, 1_500_000), (50.0, 10_000_000), (100.0, 20_000_000)] {
        driver.apply(&Value::Number(level)).unwrap();
        assert_eq!(channel.gives(), Some((20_000_000, high)), "{level} %");
    }
}

#[test]
fn inverted() {
    let (channel, mut driver) = pwm(Options { invert: true, ..Options::default() });
    for (level, high) in [(0.0, 1_000_000), (25.0, 750_000), (100.0, 0)] {
        driver.apply(&Value::Number(level)).unwrap();
        assert_eq!(channel.gives(), Some((1_000_000, high)), "{level} %");
        assert_eq!(driver.read().unwrap(), Some(Value::Number(level)));
    }
}

#[test]
fn limits_leave_off_alone() {
    let (channel, mut driver) = pwm(Options { min: percent(20.0), max: percent(80.0), ..Options::default() });
    for (level, part) in [(0.0, 0.0), (1.0, 0.206), (50.0, 0.5), (100.0, 0.8)] {
        driver.apply(&Value::Number(level)).unwrap();
        assert!((channel.duty() - part).abs() < 1e-9, "{level} %: {}", channel.duty());
    }
}

#[test]
fn what_others_have_set_is_seen() {
    let (mut channel, mut driver) = pwm(Options::default());
    assert_eq!(driver.read().unwrap(), None, "it gives nothing");
    channel.pulses(40_000, 10_000).unwrap();
    assert_eq!(driver.read().unwrap(), Some(Value::Number(25.0)));
    driver.apply(&Value::Number(33.333)).unwrap();
    assert_eq!(driver.read().unwrap(), Some(Value::Number(33.333)), "as it was asked for");
    channel.pulses(40_000, 1).unwrap();
    assert_eq!(driver.read().unwrap(), Some(Value::Number(0.1)), "hardly on is not off");
}

/// A channel that keeps what it had.
struct Deaf(sim::Pwm);

impl PwmOutput for Deaf {
    fn pulses(&mut self, _: u64, _: u64) -> Result<(), crate::port::PortError> {
        Ok(())
    }

    fn found(&mut self) -> Result<Option<(u64, u64)>, crate::port::PortError> {
        self.0.found()
    }
}

#[test]
fn what_is_not_set_is_a_fault() {
    let mut channel = sim::Pwm::new();
    let mut driver = Pwm::new(Deaf(channel.clone()), Options::default());
    let fault = driver.apply(&Value::Number(50.0)).unwrap_err();
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::Bus, "the channel was turned off while it was set"));
    channel.pulses(1_000_000, 900_000).unwrap();
    let fault = driver.apply(&Value::Number(50.0)).unwrap_err();
    assert_eq!(fault.message, "the channel gives 90.0 % after it was set to 50.0 %");
}
