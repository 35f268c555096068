use super::*;
use proptest::prelude::*;

/// Messages of four bytes that begin with `AB` and end with a sum.
fn frames(bytes: &[u8]) -> Vec<(u8, bool)> {
    let mut found = Vec::new();
    Frames::<4>::new(b"AB").receive(bytes, |[_, _, value, sum]| {
        let right = value.wrapping_add(1) == *sum;
        found.push((*value, right));
        right
    });
    found
}

fn lines(limit: usize, checked: bool, bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    Lines::new(limit, checked).receive(bytes, |line| found.push(String::from_utf8_lossy(line).into_owned()));
    found
}

#[test]
fn messages_between_garbage() {
    assert_eq!(frames(b"AB12AB23"), [(b'1', true), (b'2', true)]);
    assert_eq!(frames(b"..AAB12.B.A.AB23"), [(b'1', true), (b'2', true)]);
    // The wrong one ends with the beginning of the next.
    assert_eq!(frames(b"AB1AB23"), [(b'1', false), (b'2', true)]);
    assert_eq!(frames(b"AAAB12"), [(b'1', true)]);
}

#[test]
fn lines_with_all_ends() {
    assert_eq!(lines(9, true, b"one\ntwo\r\nthree\rrest"), ["one", "two", "three"]);
    assert_eq!(lines(9, false, b"ne\ntwo\n"), ["two"]);
    assert_eq!(lines(3, true, b"abcd\nabc\nabcdefgh\n\nab\n"), ["abc", "ab"]);
}

#[test]
fn baud_rates_are_whole() {
    let all: Vec<u32> = Baud::ALL.iter().map(|baud| baud.bits_per_second()).collect();
    assert_eq!(all.first(), Some(&300));
    assert_eq!(all.last(), Some(&921_600));
    assert!(all.is_sorted());
}

proptest! {
    #[test]
    fn a_message_is_found_behind_anything(garbage in prop::collection::vec(any::<u8>(), 0..64)) {
        // Three bytes at most can belong to what began in the garbage.
        let bytes = [&garbage[..], b"...AB12"].concat();
        prop_assert_eq!(frames(&bytes).last().copied(), Some((b'1', true)));
    }
}
