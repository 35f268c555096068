use super::*;

/// Vishay, NTCLE100E3, table of the 10 kΩ type with B25/85 = 3977 K: 1.070 kΩ at 85 °C, which B is made of, and 3.605 kΩ at
/// 50 °C and 32.65 kΩ at 0 °C, where the equation is off by less than 1 °C.
#[test]
fn thermistor_of_a_table() {
    for (ohms, celsius, off) in
        [(10_000.0, 25.0, 1e-9), (1_070.0, 85.0, 0.05), (3_605.0, 50.0, 0.5), (32_650.0, 0.0, 0.8)]
    {
        for to in ["ground", "supply"] {
            let text = format!("thermistor: {{ nominal: 10000, beta: 3977, series: 4700, supply: 3.3, to: {to} }}");
            let own = 3.3 * ohms / (ohms + 4_700.0);
            let volts = if to == "ground" { own } else { 3.3 - own };
            let found = tagged(&text).value(volts).unwrap();
            assert!((found - celsius).abs() <= off, "{ohms} Ω: {found} is not {celsius}");
        }
    }
}

/// A scale as the configuration has it: a map with one key.
fn tagged(text: &str) -> Scale {
    let value: serde_yaml::Value = serde_yaml::from_str(text).unwrap();
    serde_json::from_value(serde_json::to_value(value).unwrap()).unwrap()
}

#[test]
fn a_broken_wire_is_no_temperature() {
    let text = "thermistor: { nominal: 10000, beta: 3977, series: 10000, supply: 3.3 }";
    let thermistor = tagged(text);
    assert!(thermistor.value(3.3).unwrap_err().message.contains("not connected"));
    assert!(thermistor.value(0.0).unwrap_err().message.contains("shorted"));
    let upside = tagged(&text.replace("3.3 }", "3.3, to: supply }"));
    assert!(upside.value(3.3).unwrap_err().message.contains("shorted"));
}

#[test]
fn divider() {
    let divider = tagged("divider: { upper: 100000, lower: 22000 }");
    assert!((divider.value(2.2).unwrap() - 12.2).abs() < 1e-9);
    let range = divider.channel("battery", 0.0..=3.3).range.unwrap();
    assert!((range.end() - 18.3).abs() < 1e-9);
}

/// NAMUR NE 43: what is measured, and what says that something has failed.
#[test]
fn current_loop_by_its_recommendation() {
    let text = "current_loop: { shunt: 150, from: 0, to: 2.5, unit: m, device_class: distance }";
    let level = tagged(text);
    for (ma, metres) in [(4.0, 0.0), (12.0, 1.25), (20.0, 2.5), (3.7, -0.031_25), (20.8, 2.578_125)] {
        let found = level.value(ma * 0.15).unwrap();
        assert!((found - metres).abs() < 1e-9, "{ma} mA: {found} is not {metres}");
    }
    for (ma, what) in [(0.0, "broken"), (3.5, "broken"), (21.1, "shorted")] {
        assert!(level.value(ma * 0.15).unwrap_err().message.contains(what), "{ma} mA");
    }
    let channel = level.channel("level", 0.0..=3.3);
    assert_eq!((channel.quantity.unit, channel.quantity.device_class), (Some("m"), Some("distance")));
    for value in [-0.03, 0.0, 2.0] {
        assert!((level.value(level.volts(value)).unwrap() - value).abs() < 1e-9);
    }
    assert!(tagged(&text.replace("2.5", "0")).problem().is_some());
    assert!(tagged(&text.replace("unit: m, ", "")).problem().unwrap().contains("unit"));
}
