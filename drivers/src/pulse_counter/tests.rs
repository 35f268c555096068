use super::*;
use crate::fault::Fault;
use crate::value::Value;
use proptest::prelude::*;

fn options(yaml: &str) -> Options {
    serde_yaml::from_str(yaml).unwrap()
}

fn at(seconds: f64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs_f64(1_000_000.0 + seconds)
}

fn nothing(_: SystemTime, _: Result<Sample, Fault>) {}

/// A pulse that pulls the line down for 30 ms.
fn pulse(counter: &mut dyn EdgeSensor, seconds: f64) {
    counter.edge(Edge::new(false, at(seconds)), &mut nothing);
    counter.edge(Edge::new(true, at(seconds + 0.03)), &mut nothing);
}

/// Total and rate.
fn report(counter: &mut dyn EdgeSensor, seconds: f64) -> (f64, f64) {
    let mut said = None;
    counter.report(at(seconds), &mut |_, sample| said = Some(sample.unwrap()));
    let said = said.unwrap();
    let number = |channel: usize| said.values()[channel].as_ref().and_then(Value::number).unwrap();
    (number(TOTAL), number(RATE))
}

fn close(found: (f64, f64), expected: (f64, f64)) {
    let near = |a: f64, b: f64| (a - b).abs() < 1e-9 * b.abs().max(1.0);
    assert!(near(found.0, expected.0) && near(found.1, expected.1), "{found:?} {expected:?}");
}

/// The data of the YF-S201: a frequency in Hz of 7.5 for each L/min, which is 450 pulses for a litre.
#[test]
fn a_flow_sensor() {
    let options = options("{ kind: water, pulses_per_unit: 450 }");
    for litres_per_minute in [1.0, 2.0, 10.0, 30.0] {
        let mut counter = options.open();
        let hertz = 7.5 * litres_per_minute;
        let mut pulses = 0.0;
        while pulses / hertz < 60.0 {
            pulse(&mut *counter, pulses / hertz);
            pulses += 1.0;
        }
        close(report(&mut *counter, 60.0), (litres_per_minute, litres_per_minute));
    }
}

/// EN 62053-31 leaves the number of pulses to the meter: with 1000 imp/kWh, one each 3.6 s is a kW, one each 36 s 100 W.
#[test]
fn an_electricity_meter() {
    let options = options("{ kind: energy, pulses_per_unit: 1000 }");
    assert_eq!(options.channels()[RATE].name, "power");
    for (interval, watts) in [(3.6, 1_000.0), (36.0, 100.0), (0.36, 10_000.0)] {
        let mut counter = options.open();
        let mut next = 0.0;
        let (mut pulses, mut found) = (0.0, (0.0, 0.0));
        for ten_seconds in 1..=36 {
            let now = f64::from(ten_seconds) * 10.0;
            while next < now {
                pulse(&mut *counter, next);
                next += interval;
                pulses += 1.0;
            }
            found = report(&mut *counter, now);
        }
        close(found, (pulses / 1000.0, watts));
    }
}

#[test]
fn units_for_home_assistant() {
    for (yaml, total, rate) in [
        ("{ kind: water }", (Some("L"), Some("water")), (Some("L/min"), Some("volume_flow_rate"))),
        ("{ kind: water, per: hour }", (Some("L"), Some("water")), (Some("L/h"), Some("volume_flow_rate"))),
        ("{ kind: water-m3 }", (Some("m³"), Some("water")), (Some("m³/h"), Some("volume_flow_rate"))),
        ("{ kind: gas }", (Some("m³"), Some("gas")), (Some("m³/h"), Some("volume_flow_rate"))),
        ("{ kind: energy }", (Some("kWh"), Some("energy")), (Some("W"), Some("power"))),
        ("{}", (None, None), (Some("1/min"), None)),
    ] {
        let channels = options(yaml).channels();
        let terms = |channel: &Channel| (channel.quantity.unit, channel.quantity.device_class);
        assert_eq!((terms(&channels[TOTAL]), terms(&channels[RATE])), (total, rate), "{yaml}");
        assert_eq!(channels[TOTAL].quantity.state_class, Some("total_increasing"));
    }
}

#[test]
fn a_rate_falls_to_nothing_when_pulses_stop() {
    let mut counter = options("{ still: 5m }").open();
    (0..=10).for_each(|second| pulse(&mut *counter, f64::from(second)));
    close(report(&mut *counter, 10.5), (11.0, 60.0));
    close(report(&mut *counter, 11.5), (11.0, 60.0)); // the next one may just be on its way
    close(report(&mut *counter, 30.0), (11.0, 3.0));
    close(report(&mut *counter, 70.0), (11.0, 1.0));
    close(report(&mut *counter, 309.0), (11.0, 60.0 / 299.0));
    close(report(&mut *counter, 310.0), (11.0, 0.0));
    // One pulse after that says nothing of how fast they come now.
    pulse(&mut *counter, 400.0);
    close(report(&mut *counter, 401.0), (12.0, 0.0));
    pulse(&mut *counter, 402.0);
    close(report(&mut *counter, 403.0), (13.0, 30.0));
}

#[test]
fn a_machine_that_is_late_leaves_the_rate_as_it_is() {
    let mut counter = options("{ pulses_per_unit: 60 }").open();
    (0..100).for_each(|pulses| pulse(&mut *counter, f64::from(pulses) * 0.05));
    let last = 99.0 * 0.05;
    close(report(&mut *counter, last + 0.3), (100.0 / 60.0, 20.0));
    close(report(&mut *counter, last + 2.0), (100.0 / 60.0, 0.5));
}

#[test]
fn a_clock_that_is_set_changes_no_total_and_gives_no_wild_rate() {
    let mut counter = options("{}").open();
    (0..=10).for_each(|second| pulse(&mut *counter, f64::from(second)));
    close(report(&mut *counter, 10.5), (11.0, 60.0));
    pulse(&mut *counter, -5_000.0);
    close(report(&mut *counter, -4_999.0), (12.0, 60.0));
    pulse(&mut *counter, -4_998.0);
    close(report(&mut *counter, -4_997.0), (13.0, 30.0));
}

#[test]
fn edges_as_they_are_wanted() {
    for (wanted, pulses) in [("falling", 3.0), ("rising", 2.0), ("both", 5.0)] {
        let mut counter = options(&format!("edge: {wanted}")).open();
        counter.level(Edge::new(true, at(0.0)), &mut nothing);
        for (second, high) in [(1, false), (2, true), (3, false), (4, true), (5, false)] {
            counter.edge(Edge::new(high, at(f64::from(second))), &mut nothing);
        }
        assert_eq!(report(&mut *counter, 6.0).0, pulses, "{wanted}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// However many edges are lost wherever: the total is what it would be without.
    #[test]
    fn lost_edges_are_counted(lost in prop::collection::vec(any::<bool>(), 1..100), first: bool, wanted in 0..3) {
        let wanted = [Counted::Rising, Counted::Falling, Counted::Both][usize::try_from(wanted).unwrap()];
        let options = Options { edge: wanted, ..Options::default() };
        let (mut all, mut some) = (options.open(), options.open());
        let mut gone = 0;
        for (index, is_lost) in lost.iter().enumerate() {
            let edge = Edge::new((index % 2 == 0) == first, at(0.1 * f64::from(u32::try_from(index).unwrap())));
            all.edge(edge, &mut nothing);
            // What was lost is noticed at the next edge only, so the last one is not.
            if *is_lost && index + 1 < lost.len() {
                gone += 1;
            } else {
                some.edge(Edge { lost: std::mem::take(&mut gone), ..edge }, &mut nothing);
            }
        }
        prop_assert_eq!(report(&mut *all, 100.0).0, report(&mut *some, 100.0).0);
    }

    /// Whatever the times: the total never decreases, and no rate is wild.
    #[test]
    fn totals_only_grow(steps in prop::collection::vec((-100.0..100.0_f64, any::<bool>(), 0..5_u32), 0..100)) {
        let mut counter = options("{ pulses_per_unit: 0.3, start: 5 }").open();
        let (mut time, mut last) = (0.0, 5.0);
        for (step, is_report, lost) in steps {
            time += step;
            if is_report {
                let (total, rate) = report(&mut *counter, time);
                prop_assert!(total >= last && rate.is_finite() && rate >= 0.0, "{} {}", total, rate);
                last = total;
            } else {
                counter.edge(Edge { lost, ..Edge::new(false, at(time)) }, &mut nothing);
            }
        }
    }
}

#[test]
fn the_total_survives_and_can_be_set() {
    let mut counter = options("{ kind: water, pulses_per_unit: 450, start: 100 }").open();
    assert_eq!(report(&mut *counter, 0.0).0, 100.0);
    (0..45).for_each(|second| pulse(&mut *counter, f64::from(second)));
    let memory = counter.memory().unwrap();
    // As it comes back from the disk.
    let memory: Json = serde_json::from_str(&memory.to_string()).unwrap();

    let after = |yaml: &str, memory: &Json| {
        let mut counter = options(yaml).open();
        counter.recall(memory);
        report(&mut *counter, 0.0).0
    };
    assert_eq!(after("{ kind: water, pulses_per_unit: 450, start: 100 }", &memory), 100.1);
    // Calibrated anew, it goes on from the same total.
    assert_eq!(after("{ kind: water, pulses_per_unit: 460, start: 100 }", &memory), 100.1);
    assert_eq!(after("{ kind: water, pulses_per_unit: 450, start: 7 }", &memory), 7.0);
    assert_eq!(after("{ kind: gas, start: 100 }", &memory), 100.0, "not litres");
    for odd in ["null", "{}", "7", r#"{ "kind": "count", "start": 0, "total": -1 }"#] {
        assert_eq!(after("{}", &serde_json::from_str(odd).unwrap()), 0.0, "{odd}");
    }
}

#[test]
fn wrong_options_are_refused() {
    for wrong in ["pulses_per_unit: 0", "pulses_per_unit: -1", "start: -1", "kind: oil", "edge: up", "still: 5"] {
        assert!(serde_yaml::from_str::<Options>(wrong).is_err(), "{wrong}");
    }
}
