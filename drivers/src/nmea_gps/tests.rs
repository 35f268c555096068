use super::*;
use crate::Value;
use crate::sim::Part as _;
use proptest::prelude::*;

fn heard(bytes: &[u8]) -> Vec<Result<Vec<Option<f64>>, Fault>> {
    let mut heard = Vec::new();
    Options::default().open().receive(bytes, &mut |result| {
        heard.push(
            result.map(|sample| sample.values().iter().map(|value| value.as_ref().and_then(Value::number)).collect()),
        );
    });
    heard
}

/// Of an iBlue 747 near Dublin, as recorded for Wikipedia's article on NMEA 0183.
const GGA: &str = "$GPGGA,092750.000,5321.6802,N,00630.3372,W,1,8,1.03,61.7,M,55.2,M,,*76\r\n";
const RMC: &str = "$GPRMC,092750.000,A,5321.6802,N,00630.3372,W,0.02,31.66,280511,,,A*43\r\n";

fn near(found: Option<f64>, expected: f64) {
    assert!((found.unwrap() - expected).abs() < 1e-5, "{found:?} is not {expected}");
}

#[test]
fn recorded_sentences() {
    let heard = heard(format!("{RMC}{GGA}").as_bytes());
    let values = heard[0].as_ref().unwrap();
    near(values[LATITUDE], 53.0 + 21.6802 / 60.0);
    near(values[LONGITUDE], -(6.0 + 30.3372 / 60.0));
    near(values[ALTITUDE], 61.7);
    near(values[SPEED], 0.02 * 1.852);
    near(values[SATELLITES], 8.0);
    near(values[FIX], 1.0);
    assert_eq!(heard.len(), 1);
}

#[test]
fn a_speed_is_never_older_than_the_position_before() {
    let heard = heard(format!("{RMC}{GGA}{GGA}").as_bytes());
    assert_eq!(heard[1].as_ref().unwrap()[SPEED], None);
}

#[test]
fn no_fix_is_no_reading() {
    // As receivers say it indoors; with and without the place that they last knew.
    for gga in
        ["$GPGGA,092750.000,,,,,0,0,,,M,,M,,*41\r\n", "$GPGGA,092750.000,5321.6802,N,00630.3372,W,0,0,,,M,,M,,*61\r\n"]
    {
        let heard = heard(gga.as_bytes());
        assert_eq!(heard[0].as_ref().unwrap_err().kind, FaultKind::NotReady, "{gga}");
    }
}

#[test]
fn wrong_checksums_and_other_sentences() {
    let wrong = GGA.replace("61.7", "61.8");
    let other = "$GPGSV,1,1,00*79\r\n$PMTK010,001*2E\r\nhello\r\n$\r\n";
    let heard = heard(format!("{other}{wrong}$GPGG{GGA}").as_bytes());
    assert_eq!(heard[0].as_ref().unwrap_err().message, "the checksum is 76, expected 79");
    assert!(heard[1].is_ok() && heard.len() == 2, "a sentence that begins inside of another is found: {heard:?}");
}

#[test]
fn a_receiver_that_loses_its_fix() {
    let (mut model, mut bytes) = (sim::Model::default(), Vec::new());
    let mut talk = |model: &mut sim::Model| {
        bytes.clear();
        model.serial().unwrap().talk(&mut bytes);
        heard(&bytes).remove(0)
    };
    assert!(talk(&mut model).is_ok());
    model.stimulate("fix", 0.0);
    assert_eq!(talk(&mut model).unwrap_err().kind, FaultKind::NotReady);
    model.stimulate("fix", 4.0);
    assert_eq!(talk(&mut model).unwrap()[FIX], Some(4.0));
}

proptest! {
    /// With a right checksum, whatever is inside gets as far as it can.
    #[test]
    fn nothing_inside_of_a_sentence_panics(head in "GP(GGA|RMC),", body in "[0-9NSEWAVM.,+-]{0,70}|[ -~]{0,70}") {
        let body = head + &body;
        let sum = body.bytes().fold(0, |sum, byte| sum ^ byte);
        heard(format!("${body}*{sum:02X}\r\n").as_bytes());
    }

    #[test]
    fn sentences_with_one_field_changed(field in 0_usize..14, text in "[0-9]{0,12}(\\.[0-9]{0,12})?|[ -~]{0,9}", rmc: bool) {
        let sentence = if rmc { RMC } else { GGA };
        let mut fields: Vec<&str> = sentence[1..sentence.find('*').unwrap()].split(',').collect();
        if let Some(field) = fields.get_mut(field) {
            *field = &text;
        }
        let body = fields.join(",");
        let sum = body.bytes().fold(0, |sum, byte| sum ^ byte);
        heard(format!("${body}*{sum:02X}\r\n").as_bytes());
    }
}
