use super::*;
use crate::sim;
use crate::sim::clock::pass;
use crate::tests::tree::problems;

fn servo(options: Options) -> (sim::Pwm, Servo<sim::Pwm>) {
    let channel = sim::Pwm::new();
    (channel.clone(), Servo::new(channel, options))
}

fn pulse(channel: &sim::Pwm) -> u64 {
    channel.gives().unwrap().1
}

/// TowerPro, SG90: 1 ms, 1.5 ms and 2 ms in a period of 20 ms are -90°, 0° and 90°.
#[test]
fn pulses_of_the_datasheet() {
    let (channel, mut driver) = servo(Options::default());
    for (angle, width) in [(-90.0, 1_000_000), (0.0, 1_500_000), (90.0, 2_000_000)] {
        driver.apply(&Value::Number(angle)).unwrap();
        assert_eq!(channel.gives(), Some((20_000_000, width)), "{angle}°");
    }
}

/// Smarthon, documentation of its SG90: widths in µs, and angles in °.
#[test]
fn pulses_of_another_maker() {
    let options = Options {
        min_angle: Angle(0.0),
        max_angle: Angle(180.0),
        min_pulse: Pulse(500.0),
        max_pulse: Pulse(2500.0),
        ..Options::default()
    };
    for (width, angle) in [(500, 0), (833, 30), (1166, 60), (1500, 90), (1832, 120), (2165, 150), (2500, 180)] {
        let found = options.pulse_ns(f64::from(angle));
        // The table drops what is less than a µs, and once more.
        assert!(found.abs_diff(width * 1_000) < 2_000, "{angle}°: {found} ns");
        assert!((options.angle(width * 1_000) - f64::from(angle)).abs() <= 0.2, "{width} µs");
    }
}

#[test]
fn the_other_direction_has_its_pulses_exchanged() {
    let (channel, mut driver) =
        servo(Options { min_pulse: Pulse(2000.0), max_pulse: Pulse(1000.0), ..Options::default() });
    driver.apply(&Value::Number(90.0)).unwrap();
    assert_eq!(pulse(&channel), 1_000_000);
    assert_eq!(driver.read().unwrap(), Some(Value::Number(90.0)));
}

#[test]
fn it_goes_no_faster_than_it_may() {
    let (channel, mut driver) = servo(Options { speed: Some(Speed(90.0)), ..Options::default() });
    // Where it is, nobody knows at first.
    assert_eq!(driver.apply(&Value::Number(0.0)).unwrap(), Value::Number(0.0));
    assert_eq!(driver.next(), None);
    assert_eq!(driver.apply(&Value::Number(90.0)).unwrap(), Value::Number(0.0));
    let (mut told, mut widest) = (Vec::new(), 0);
    let mut steps = 0;
    while let Some(time) = driver.next() {
        let before = pulse(&channel);
        pass(time);
        told.extend(driver.advance().unwrap());
        widest = widest.max(pulse(&channel) - before);
        steps += 1;
    }
    // 90° at 90°/s in steps of 20 ms; 1.8° are 10 µs.
    assert_eq!((steps, widest, pulse(&channel)), (50, 10_000, 2_000_000));
    assert_eq!(told, [Value::Number(90.0)]);
}

#[test]
fn whatever_it_is_told_on_its_way_counts() {
    let (channel, mut driver) = servo(Options { speed: Some(Speed(45.0)), ..Options::default() });
    driver.apply(&Value::Number(0.0)).unwrap();
    driver.apply(&Value::Number(90.0)).unwrap();
    for _ in 0..50 {
        pass(driver.next().unwrap());
        driver.advance().unwrap();
    }
    assert_eq!(pulse(&channel), 1_750_000, "half-way");
    assert_eq!(driver.apply_at_once(&Value::Number(-90.0)).unwrap(), Value::Number(-90.0));
    assert_eq!((pulse(&channel), driver.next()), (1_000_000, None), "at once, and there it stays");
}

#[test]
fn pulses_end_when_it_is_there() {
    let options = Options { detach: Some(Span(Duration::from_secs(1))), ..Options::default() };
    let (mut channel, mut driver) = servo(options);
    driver.apply(&Value::Number(45.0)).unwrap();
    let time = driver.next().unwrap();
    assert_eq!((time, pulse(&channel)), (Duration::from_secs(1), 1_750_000));
    pass(time);
    assert_eq!(driver.advance().unwrap(), None);
    assert_eq!((pulse(&channel), driver.next()), (0, None));
    assert_eq!(driver.read().unwrap(), Some(Value::Number(45.0)), "where it is");
    // Somebody else moves it.
    channel.pulses(20_000_000, 1_100_000).unwrap();
    assert_eq!(driver.read().unwrap(), Some(Value::Number(-72.0)));
}

#[test]
fn contradictions_are_problems() {
    let angles = "`min_angle` must be less than `max_angle`: for the other direction, exchange the pulses";
    let pulses = "`min_pulse` and `max_pulse` must not be the same";
    let frequency = "`frequency` of a servo must be from 40Hz to 333Hz";
    assert_eq!(problems(&DRIVER, "{ min_angle: 90 }"), [angles]);
    assert_eq!(problems(&DRIVER, "{ min_pulse: 2000 }"), [pulses]);
    assert_eq!(problems(&DRIVER, "{ frequency: 25kHz }"), [frequency]);
    assert_eq!(problems(&DRIVER, "{ min_angle: 90, min_pulse: 2000, frequency: 25kHz }"), [angles, pulses, frequency]);
    assert!(problems(&DRIVER, "{}").is_empty());
}
