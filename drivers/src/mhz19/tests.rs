use super::sim::Model;
use super::*;
use crate::Value;
use crate::sim::SerialPart;

fn heard(bytes: &[u8]) -> Vec<Result<Vec<Option<Value>>, Fault>> {
    let mut heard = Vec::new();
    Options::default().open().receive(bytes, &mut |result| heard.push(result.map(|sample| sample.values().to_vec())));
    heard
}

/// What a driver with these options writes at an interval.
fn request(options: &Options) -> Vec<u8> {
    let mut out = Vec::new();
    options.open().request(&mut out);
    out
}

/// The commands of the manual.
const READ_COMMAND: [u8; 9] = [0xFF, 0x01, 0x86, 0x00, 0x00, 0x00, 0x00, 0x00, 0x79];
const ON_COMMAND: [u8; 9] = [0xFF, 0x01, 0x79, 0xA0, 0x00, 0x00, 0x00, 0x00, 0xE6];
const OFF_COMMAND: [u8; 9] = [0xFF, 0x01, 0x79, 0x00, 0x00, 0x00, 0x00, 0x00, 0x86];

#[test]
fn commands_of_the_manual() {
    assert_eq!(request(&Options::default()), READ_COMMAND);
    assert_eq!(request(&Options { self_calibration: Some(true) }), [ON_COMMAND, READ_COMMAND].concat());
    assert_eq!(request(&Options { self_calibration: Some(false) }), [OFF_COMMAND, READ_COMMAND].concat());
}

#[test]
fn answer_of_the_manual() {
    // 544 ppm, and nothing in the reserved bytes.
    let answer = [0xFF, 0x86, 0x02, 0x20, 0x00, 0x00, 0x00, 0x00, 0x58];
    assert_eq!(heard(&answer), [Ok(vec![Some(Value::Number(544.0)), None])]);
}

#[test]
fn answer_with_a_temperature() {
    // 608 ppm, 31 °C: widely quoted from the manual of the MH-Z19.
    let answer = [0xFF, 0x86, 0x02, 0x60, 0x47, 0x00, 0x00, 0x00, 0xD1];
    assert_eq!(heard(&answer), [Ok(vec![Some(Value::Number(608.0)), Some(Value::Number(31.0))])]);
}

#[test]
fn a_wrong_checksum_is_a_fault() {
    let answer = [0xFF, 0x86, 0x02, 0x21, 0x00, 0x00, 0x00, 0x00, 0x58];
    assert_eq!(heard(&answer), [Err(Fault::corrupt("the checksum is 0x58, expected 0x57"))]);
}

#[test]
fn warming_up_is_no_reading() {
    let (mut model, mut answer) = (Model::cold(), Vec::new());
    model.receive(&READ_COMMAND, &mut answer);
    assert_eq!(heard(&answer)[0].as_ref().unwrap_err().kind, FaultKind::NotReady);
}

#[test]
fn self_calibration_is_set_and_not_answered() {
    let (mut model, mut answer) = (Model::default(), Vec::new());
    assert!(model.calibrates_itself());
    model.receive(&request(&Options { self_calibration: Some(false) }), &mut answer);
    assert!(!model.calibrates_itself());
    assert_eq!(answer.len(), LENGTH);
    model.receive(&request(&Options { self_calibration: Some(true) }), &mut answer);
    assert!(model.calibrates_itself());
}
