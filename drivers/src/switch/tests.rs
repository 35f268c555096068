use super::*;
use crate::port::{OutputLine, OutputPort, PortError};
use crate::sim::Line;

const ON: Value = Value::Switch(true);
const OFF: Value = Value::Switch(false);

fn open(line: impl OutputLine + 'static, active: Active) -> Box<dyn Actuator> {
    Options { active }.open(Wire::Output(OutputPort(Box::new(line)))).unwrap()
}

#[test]
fn levels() {
    for (active, value, high) in
        [(Active::High, ON, true), (Active::High, OFF, false), (Active::Low, ON, false), (Active::Low, OFF, true)]
    {
        let line = Line::new();
        line.pull(!high);
        let mut switch = open(line.clone(), active);
        assert_eq!(line.is_high(), !high, "opening changes nothing");
        assert_eq!(switch.read().unwrap(), Some(if value == ON { OFF } else { ON }));
        assert_eq!(switch.apply(&value).unwrap(), value);
        assert_eq!(line.is_high(), high, "{active:?} {value}");
        assert_eq!(switch.read().unwrap(), Some(value));
    }
}

#[test]
fn reading_changes_nothing() {
    let line = Line::new();
    line.pull(true);
    let mut switch = open(line.clone(), Active::Low);
    assert_eq!(switch.read().unwrap(), Some(OFF));
    assert!(line.is_high());
}

#[test]
fn a_line_that_does_not_follow_is_a_fault() {
    /// Shorted: the level stays whatever is driven.
    struct Shorted(bool);

    impl OutputLine for Shorted {
        fn drive(&mut self, _: bool) -> Result<(), PortError> {
            Ok(())
        }

        fn level(&mut self) -> Result<bool, PortError> {
            Ok(self.0)
        }
    }

    for (stuck, value, message) in [
        (true, OFF, "the line reads back high after it was driven low"),
        (false, ON, "the line reads back low after it was driven high"),
    ] {
        let fault = open(Shorted(stuck), Active::High).apply(&value).unwrap_err();
        assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::Bus, message));
    }
}

#[test]
fn a_dead_line_is_a_fault_and_recovers() {
    let line = Line::new();
    let mut switch = open(line.clone(), Active::High);
    line.set_broken(true);
    assert_eq!(switch.apply(&ON).unwrap_err().message, "driving the line: the line does not answer");
    assert_eq!(switch.read().unwrap_err().message, "reading the line back: the line does not answer");
    line.set_broken(false);
    assert_eq!(switch.apply(&ON).unwrap(), ON);
}

#[test]
fn numbers_are_rejected() {
    let line = Line::new();
    let fault = open(line.clone(), Active::High).apply(&Value::Number(1.0)).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Rejected);
    assert!(!line.is_high());
}

#[test]
fn options() {
    let read = |text| serde_yaml::from_str::<Options>(text).map(|options| options.active);
    assert_eq!(read("{}").unwrap(), Active::High);
    assert_eq!(read("active: low").unwrap(), Active::Low);
    assert!(read("active: LOW").is_err());
    assert!(read("activ: low").unwrap_err().to_string().contains("unknown field `activ`, expected `active`"));
}
