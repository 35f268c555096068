use super::sim::Model;
use super::*;
use crate::sim::{I2cBus, SharedPart};
use crate::tests::rig::wire_at;

fn stage() -> (I2cBus, SharedPart) {
    let (bus, part) = (I2cBus::new(), SharedPart::new(Box::new(Model::default())));
    bus.attach(0x40, part.clone());
    (bus, part)
}

fn at(hertz: f64) -> Options {
    Options { frequency: Rate(Frequency(hertz)) }
}

fn open(bus: &I2cBus, hertz: f64) -> Box<dyn Expander> {
    at(hertz).open(wire_at(bus, 0x40)).unwrap()
}

/// Section 7.3.5: "The PRE_SCALE value for 200 Hz is 30 (1Eh)", and the ends of its range, 1526 Hz and 24 Hz.
#[test]
fn prescales_of_the_datasheet() {
    for (hertz, prescale) in [(200.0, 0x1E), (1526.0, 0x03), (50.0, 121)] {
        assert_eq!(Rate(Frequency(hertz)).prescale(), prescale, "{hertz}");
    }
    assert!((1e9 / period_ns(0x03) - 1_526.0).abs() < 0.5 && (1e9 / period_ns(0xFF) - 24.0).abs() < 0.5);
}

/// Section 7.3.3, example 1: a delay of 10 % and a duty cycle of 20 % are 199h in LED_ON and 4CCh in LED_OFF. Example 2: 90 %
/// and 90 %, E65h and CCBh: the pulse goes over the end of the period.
#[test]
fn counts_of_the_datasheet() {
    assert_eq!(steps([0x99, 0x01, 0xCC, 0x04]), 819);
    assert_eq!(steps([0x65, 0x0E, 0xCB, 0x0C]), 3686);
    // Table 7: full off goes before full on.
    assert_eq!(steps([0, FULL, 0, FULL]), 0);
    assert_eq!(steps([0, FULL, 0, 0]), 4096);
    for count in [0, 1, 819, 4095, 4096] {
        assert_eq!(steps(registers(count)), count);
    }
}

#[test]
fn a_servo_gets_its_pulse() {
    let (bus, _) = stage();
    let mut expander = open(&bus, 50.0);
    expander.pulses(2, 20_000_000, 1_500_000).unwrap();
    let (period, high) = expander.found(2).unwrap().unwrap();
    assert!(period.abs_diff(19_988_480) < 10, "{period}");
    // A step of 4.88 µs.
    assert!(high.abs_diff(1_500_000) < 2_440, "{high}");
    assert_eq!(expander.levels().unwrap(), 1 << 2);
    expander.pulses(2, 20_000_000, 0).unwrap();
    assert_eq!(expander.levels().unwrap(), 0);
}

#[test]
fn one_that_runs_goes_on() {
    let (bus, _) = stage();
    open(&bus, 200.0).pulses(0, 5_000_000, 2_500_000).unwrap();
    bus.record();
    let mut again = open(&bus, 200.0);
    let writes: Vec<_> = bus.recorded().into_iter().filter(|line| !line.contains('R')).collect();
    assert_eq!(writes, ["40 W 00 20"], "it is not put to sleep");
    let (_, high) = again.found(0).unwrap().unwrap();
    assert!(high.abs_diff(2_500_000) < 1_250, "{high}");
}

#[test]
fn all_channels_have_one_frequency() {
    let (bus, _) = stage();
    let mut expander = open(&bus, 200.0);
    let fault = expander.pulses(0, 20_000_000, 1_500_000).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Rejected);
    assert!(fault.message.contains("have 197 Hz, 50 Hz were asked for"), "{fault}");
    // Always on and always off have no frequency.
    expander.pulses(0, 20_000_000, 20_000_000).unwrap();
    expander.pulses(0, 20_000_000, 0).unwrap();
}

#[test]
fn a_reset_is_noticed() {
    let (bus, _) = stage();
    let mut expander = open(&bus, 200.0);
    expander.drive(15, true).unwrap();
    bus.attach(0x40, SharedPart::new(Box::new(Model::default())));
    for fault in [expander.levels().unwrap_err(), expander.drive(15, true).unwrap_err(), expander.found(1).unwrap_err()]
    {
        assert_eq!(fault.kind, FaultKind::Bus, "{fault}");
        assert!(fault.message.contains("it was reset"), "{fault}");
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let (bus, _) = stage();
    let mut expander = open(&bus, 200.0);
    for fault in [expander.listen(0, Pull::Keep).unwrap_err(), expander.drive(16, true).unwrap_err()] {
        assert_eq!(fault.kind, FaultKind::Rejected, "{fault}");
    }
    for (text, fine) in [("24Hz", true), ("1526Hz", true), ("23Hz", false), ("2kHz", false), ("50", false)] {
        let read = serde_yaml::from_str::<Options>(&format!("frequency: {text}"));
        assert_eq!(read.is_ok(), fine, "{text}: {read:?}");
    }
    assert_eq!(at(50.0).open(wire_at(&I2cBus::new(), 0x40)).err().unwrap().kind, FaultKind::Absent);
    let other = I2cBus::new();
    other.attach(0x40, SharedPart::new(Box::new(crate::hdc1080::sim::Model::default())));
    assert_eq!(at(50.0).open(wire_at(&other, 0x40)).err().unwrap().kind, FaultKind::WrongChip);
}
