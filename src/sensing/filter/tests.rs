use super::*;
use proptest::prelude::*;

fn chain(json: &str) -> Chain {
    Chain::new(&serde_json::from_str::<Vec<Filter>>(json).unwrap())
}

/// What a chain makes of these numbers, a second apart.
fn run(json: &str, numbers: &[f64]) -> Vec<Option<f64>> {
    let (mut chain, mut now) = (chain(json), Instant::now());
    let mut results = Vec::new();
    for number in numbers {
        results.push(chain.apply(*number, now));
        now += Duration::from_secs(1);
    }
    results
}

#[test]
fn numbers() {
    for (json, given, expected) in [
        (r"[]", &[1.5, -2.0][..], &[1.5, -2.0][..]),
        (r#"[{ "offset": -0.5 }]"#, &[21.5, 0.0], &[21.0, -0.5]),
        (r#"[{ "scale": 2 }]"#, &[21.5, -1.0], &[43.0, -2.0]),
        (r#"[{ "round": 1 }]"#, &[21.56, -0.25, 3.0], &[21.6, -0.3, 3.0]),
        (r#"[{ "round": 0 }]"#, &[2.5, -2.5, 1e300], &[3.0, -3.0, 1e300]),
        (r#"[{ "median": 3 }]"#, &[1.0, 9.0, 2.0, 3.0, 100.0], &[1.0, 5.0, 2.0, 3.0, 3.0]),
        (r#"[{ "median": 1 }]"#, &[1.0, 9.0], &[1.0, 9.0]),
        (r#"[{ "moving_average": 3 }]"#, &[3.0, 6.0, 9.0, 12.0], &[3.0, 4.5, 6.0, 9.0]),
        (r#"[{ "clamp": [0, 100] }]"#, &[-3.0, 50.0, 101.0], &[0.0, 50.0, 100.0]),
        (r#"[{ "scale": 2 }, { "offset": 1 }]"#, &[3.0], &[7.0]),
        (r#"[{ "offset": 1 }, { "scale": 2 }]"#, &[3.0], &[8.0]),
    ] {
        let expected: Vec<_> = expected.iter().copied().map(Some).collect();
        assert_eq!(run(json, given), expected, "{json}");
    }
}

#[test]
fn delta_compares_with_what_passed_last() {
    let given = [20.0, 20.4, 20.5, 20.9, 20.1, 20.0];
    let expected = [Some(20.0), None, Some(20.5), None, None, Some(20.0)];
    assert_eq!(run(r#"[{ "delta": 0.5 }]"#, &given), expected);
}

#[test]
fn throttle_counts_from_what_passed_last() {
    let given = [1.0, 2.0, 3.0, 4.0, 5.0];
    assert_eq!(run(r#"[{ "throttle": "2s" }]"#, &given), [Some(1.0), None, Some(3.0), None, Some(5.0)]);
    let mut chain = chain(r#"[{ "throttle": "2s" }]"#);
    let now = Instant::now() + Duration::from_secs(10);
    assert!(chain.apply(1.0, now).is_some());
    assert!(chain.apply(1.0, now - Duration::from_secs(5)).is_none(), "a time before is no reason to pass");
}

#[test]
fn a_dropped_number_goes_no_further() {
    let given = [1.0, 100.0, 3.0, 100.0, 5.0];
    let found = run(r#"[{ "throttle": "2s" }, { "moving_average": 3 }]"#, &given);
    assert_eq!(found, [Some(1.0), None, Some(2.0), None, Some(3.0)]);
}

#[test]
fn what_is_not_finite_is_dropped_and_forgotten() {
    let given = [2.0, f64::NAN, f64::INFINITY, 4.0];
    assert_eq!(run(r#"[{ "moving_average": 3 }]"#, &given), [Some(2.0), None, None, Some(3.0)]);
}

#[test]
fn on_and_off_pass_untouched() {
    let mut chain = chain(r#"[{ "offset": 1 }, { "throttle": "1h" }]"#);
    let now = Instant::now();
    for state in [true, true, false] {
        assert_eq!(chain.pass(Value::Switch(state), now), Some(Value::Switch(state)));
    }
    assert_eq!(chain.pass(Value::Number(1.0), now), Some(Value::Number(2.0)));
    assert_eq!(chain.pass(Value::Number(1.0), now), None);
}

#[test]
fn impossible_filters_are_refused() {
    for (json, expected) in [
        (r#"{ "median": 0 }"#, "expected a whole number of samples from 1 to 1000"),
        (r#"{ "median": 2.5 }"#, "expected a whole number of samples from 1 to 1000"),
        (r#"{ "moving_average": -1 }"#, "expected a whole number of samples from 1 to 1000"),
        (r#"{ "moving_average": 1001 }"#, "expected a whole number of samples from 1 to 1000"),
        (r#"{ "round": 10 }"#, "expected a whole number of decimal places from 0 to 9"),
        (r#"{ "delta": 0 }"#, "expected a number above 0"),
        (r#"{ "delta": -1 }"#, "expected a number above 0"),
        (r#"{ "throttle": "0s" }"#, "a duration of 0"),
        (r#"{ "clamp": [2, 1] }"#, "the first number, 2, is the lower end and above the other, 1"),
        (r#"{ "clamp": [1] }"#, "invalid length 1"),
        (r#"{ "offset": "much" }"#, "expected a finite number"),
        (r#"{ "ofset": 1 }"#, "unknown variant `ofset`, expected one of `offset`, `scale`, `round`, `median`"),
    ] {
        let message = serde_json::from_str::<Filter>(json).unwrap_err().to_string();
        assert!(message.contains(expected), "{json}: {message}");
    }
    // JSON has no such number, YAML has.
    for wrong in [f64::NAN, f64::INFINITY] {
        let deserializer = serde::de::value::F64Deserializer::<serde::de::value::Error>::new(wrong);
        assert!(finite(deserializer).is_err());
    }
}

#[test]
fn the_schema_says_the_limits() {
    let schema = serde_json::to_string(&schemars::schema_for!(Filter)).unwrap();
    for part in [r#""median":{"type":"integer""#, r#""maximum":1000"#, r#""maximum":9"#, r#""exclusiveMinimum":0"#] {
        assert!(schema.contains(part), "{part}: {schema}");
    }
}

fn any_filter() -> impl Strategy<Value = Filter> {
    let finite = prop::num::f64::NORMAL | prop::num::f64::ZERO;
    prop_oneof![
        finite.prop_map(Filter::Offset),
        finite.prop_map(Filter::Scale),
        (0..=MOST_PLACES).prop_map(Filter::Round),
        (1_u16..20).prop_map(Filter::Median),
        (1_u16..20).prop_map(Filter::MovingAverage),
        prop::num::f64::POSITIVE.prop_filter("finite", |n| n.is_finite()).prop_map(Filter::Delta),
        (finite, finite).prop_map(|(a, b)| Filter::Clamp([a.min(b), a.max(b)])),
    ]
}

proptest! {
    #[test]
    fn finite_in_finite_out(
        filters in prop::collection::vec(any_filter(), 0..5),
        numbers in prop::collection::vec(prop::num::f64::NORMAL | prop::num::f64::ZERO, 1..40),
    ) {
        let mut chain = Chain::new(&filters);
        let now = Instant::now();
        for number in numbers {
            if let Some(result) = chain.apply(number, now) {
                prop_assert!(result.is_finite(), "{filters:?} makes {result} of {number}");
            }
        }
    }

    #[test]
    fn a_constant_stays_what_it_is(number in prop::num::f64::NORMAL, length in 1_u16..50) {
        for filter in [Filter::Median(length), Filter::MovingAverage(length)] {
            let mut chain = Chain::new(&[filter]);
            for _ in 0..60 {
                prop_assert_eq!(chain.apply(number, Instant::now()), Some(number));
            }
        }
    }

    #[test]
    fn median_and_mean_stay_between_the_last_numbers(
        numbers in prop::collection::vec(-1e6..1e6, 1..40),
        length in 1_u16..10,
    ) {
        for filter in [Filter::Median(length), Filter::MovingAverage(length)] {
            let mut chain = Chain::new(&[filter]);
            for end in 1..=numbers.len() {
                let result = chain.apply(numbers[end - 1], Instant::now()).unwrap();
                let last = &numbers[end.saturating_sub(usize::from(length))..end];
                prop_assert!(last.iter().any(|number| *number <= result) && last.iter().any(|number| *number >= result));
            }
        }
    }

    #[test]
    fn clamped_is_inside(number in prop::num::f64::NORMAL, a in -1e9..1e9, b in -1e9..1e9) {
        let (min, max): (f64, f64) = (f64::min(a, b), f64::max(a, b));
        let result = Chain::new(&[Filter::Clamp([min, max])]).apply(number, Instant::now()).unwrap();
        prop_assert!((min..=max).contains(&result));
    }
}
