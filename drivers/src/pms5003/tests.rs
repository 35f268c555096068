use super::*;
use crate::Value;

/// From a real PMS7003, recorded by the project PyPMS, where it is known as good data.
const RECORDED: [u8; LENGTH] = [
    0x42, 0x4D, 0x00, 0x1C, 0x00, 0x05, 0x00, 0x0D, 0x00, 0x16, 0x00, 0x05, 0x00, 0x0D, 0x00, 0x16, 0x02, 0xFD, 0x00,
    0xFC, 0x00, 0x1D, 0x00, 0x0F, 0x00, 0x06, 0x00, 0x06, 0x97, 0x00, 0x03, 0xC5,
];

/// What comes of these bytes: numbers, or the message of a fault.
fn heard(options: &Options, bytes: &[u8]) -> Vec<Result<Vec<f64>, String>> {
    let mut heard = Vec::new();
    options.open().receive(bytes, &mut |result| {
        heard.push(match result {
            Ok(sample) => {
                Ok(sample.values().iter().map(|value| value.as_ref().and_then(Value::number).unwrap()).collect())
            }
            Err(fault) => Err(fault.message),
        });
    });
    heard
}

#[test]
fn recorded_message() {
    assert_eq!(heard(&Options::default(), &RECORDED), [Ok(vec![5.0, 13.0, 22.0])]);
    let all = vec![5.0, 13.0, 22.0, 765.0, 252.0, 29.0, 15.0, 6.0, 6.0];
    assert_eq!(heard(&Options { particles: true }, &RECORDED), [Ok(all)]);
}

#[test]
fn the_concentrations_are_those_of_the_atmosphere() {
    let mut frame = RECORDED;
    // Data 2, of the factory's calibration, is another than data 5: 0x0D more.
    frame[7] = 0x1A;
    frame[31] += 0x0D;
    assert_eq!(heard(&Options::default(), &frame), [Ok(vec![5.0, 13.0, 22.0])]);
}

#[test]
fn a_wrong_checksum_is_a_fault_and_the_next_message_is_found() {
    let mut wrong = RECORDED;
    wrong[13] ^= 1;
    let bytes = [&wrong[..], &RECORDED].concat();
    let expected = "the checksum is 0x03c5, expected 0x03c4".to_owned();
    assert_eq!(heard(&Options::default(), &bytes), [Err(expected), Ok(vec![5.0, 13.0, 22.0])]);
}

#[test]
fn a_message_that_was_cut_off_costs_no_other() {
    let bytes = [&RECORDED[7..], b"noise \x42\x4d", &RECORDED[..20], &RECORDED, &RECORDED].concat();
    let good = heard(&Options::default(), &bytes).into_iter().filter(Result::is_ok).count();
    assert_eq!(good, 2);
}

#[test]
fn channels_as_home_assistant_knows_them() {
    let channels = Options::default().channels();
    let classes: Vec<_> = channels.iter().map(|channel| channel.quantity.device_class.unwrap()).collect();
    assert_eq!(classes, ["pm1", "pm25", "pm10"]);
    // Home Assistant's is the micro sign, not the Greek letter that looks like it.
    assert!(channels.iter().all(|channel| channel.quantity.unit == Some("\u{b5}g/m\u{b3}")));
}
