use super::*;
use crate::sim;
use crate::sim::clock::pass;

fn light(options: Options) -> (sim::Pwm, Light<sim::Pwm>) {
    let channel = sim::Pwm::new();
    (channel.clone(), Light::new(channel, options))
}

/// Luminances of lightnesses, in %: L* of the grey card, of 18.42 %, is 50, and others as tables of CIELAB have them.
#[test]
fn lightness_of_the_eye() {
    for (lightness_seen, power) in [(0.0, 0.0), (8.0, 0.8856), (50.0, 18.4187), (75.0, 48.2781), (100.0, 100.0)] {
        assert!(
            (luminance(lightness_seen) * 100.0 - power).abs() < 5e-4,
            "{lightness_seen}: {}",
            luminance(lightness_seen)
        );
        assert!((lightness(power / 100.0) - lightness_seen).abs() < 1e-2, "{power}");
    }
}

/// Adafruit, "LED Tricks: Gamma Correction": of its table for 8 bits, which has an exponent of 2.8.
#[test]
fn gamma_of_a_table() {
    let (channel, mut driver) = light(Options { gamma: Gamma::new(2.8), ..Options::default() });
    for (level, expected) in
        [(0, 0), (28, 1), (64, 5), (96, 17), (128, 37), (160, 69), (192, 115), (224, 177), (255, 255)]
    {
        driver.apply(&Value::Number(f64::from(level) / 255.0 * 100.0)).unwrap();
        assert_eq!((channel.duty() * 255.0).round(), f64::from(expected), "{level}");
    }
}

#[test]
fn a_transition_looks_even() {
    let (channel, mut driver) = light(Options { transition: Span(Duration::from_secs(2)), ..Options::default() });
    assert_eq!(driver.apply(&Value::Number(0.0)).unwrap(), Value::Number(0.0));
    let first = driver.apply(&Value::Number(100.0)).unwrap();
    assert_eq!(first, Value::Number(1.0), "a step of 20 ms of 2 s");
    let mut told = Vec::new();
    let mut levels = Vec::new();
    while let Some(time) = driver.next() {
        pass(time);
        told.extend(driver.advance().unwrap());
        levels.push(lightness(channel.duty()));
    }
    assert_eq!(levels.len(), 99);
    assert!(levels.windows(2).all(|pair| (pair[1] - pair[0] - 1.0).abs() < 0.2), "{levels:?}");
    assert_eq!(told, [Value::Number(51.0), Value::Number(100.0)]);
    assert_eq!((channel.duty(), driver.read().unwrap()), (1.0, Some(Value::Number(100.0))));
}

#[test]
fn it_is_on_until_it_is_off() {
    let (channel, mut driver) = light(Options { transition: Span(Duration::from_secs(60)), ..Options::default() });
    let mut seen = vec![driver.apply(&Value::Number(0.2)).unwrap()];
    let mut off = Vec::new();
    for (target, states) in [(0.2, &mut seen), (0.0, &mut off)] {
        states.push(driver.apply(&Value::Number(target)).unwrap());
        while let Some(time) = driver.next() {
            pass(time);
            states.extend(driver.advance().unwrap());
            if driver.next().is_some() {
                states.extend(driver.read().unwrap());
            }
        }
    }
    assert!(seen.iter().all(Value::is_active), "{seen:?}");
    assert_eq!((off.pop(), channel.duty()), (Some(Value::Number(0.0)), 0.0));
    assert!(off.len() > 1000 && off.iter().all(Value::is_active), "{off:?}");
}

#[test]
fn safety_cuts_a_transition() {
    let (channel, mut driver) = light(Options { transition: Span(Duration::from_secs(2)), ..Options::default() });
    driver.apply(&Value::Number(100.0)).unwrap();
    pass(Duration::from_secs(1));
    driver.advance().unwrap();
    assert!(channel.duty() > 0.1);
    assert_eq!(driver.apply_at_once(&Value::Number(0.0)).unwrap(), Value::Number(0.0));
    assert_eq!((channel.duty(), driver.next()), (0.0, None));
}

#[test]
fn another_command_goes_on_from_where_it_is() {
    let (channel, mut driver) = light(Options { transition: Span(Duration::from_secs(2)), ..Options::default() });
    driver.apply(&Value::Number(100.0)).unwrap();
    pass(Duration::from_secs(1));
    driver.advance().unwrap();
    let before = lightness(channel.duty());
    driver.apply(&Value::Number(0.0)).unwrap();
    let after = lightness(channel.duty());
    assert!((before - 51.0).abs() < 0.1 && (after - before * 0.99).abs() < 0.1, "{before} {after}");
}

#[test]
fn what_others_have_set_is_seen() {
    let (mut channel, mut driver) = light(Options::default());
    assert_eq!(driver.read().unwrap(), None);
    channel.pulses(1_000_000, 184_187).unwrap();
    assert_eq!(driver.read().unwrap(), Some(Value::Number(50.0)));
}
