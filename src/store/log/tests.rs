use super::*;
use crate::store::segment;
use bytes::Bytes;
use proptest::prelude::*;
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

const DAY: Duration = Duration::from_secs(86_400);

/// In memory, if it can be: these tests write a lot.
fn folder() -> TempDir {
    TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap()
}

fn sample(number: Number) -> Sample {
    let payload = Bytes::from(format!("{{\"n\":{number}}}"));
    Sample { number, written: segment::now(), topic: "h/a/door".into(), payload, is_event: number.is_multiple_of(3) }
}

fn samples(numbers: impl IntoIterator<Item = Number>) -> Vec<Sample> {
    numbers.into_iter().map(sample).collect()
}

fn open(folder: &TempDir) -> Log {
    Log::open(&folder.path().join("outbox"), Bounds::default()).unwrap()
}

/// All that waits, read in chunks as the outbox does.
fn waiting(log: &mut Log) -> Vec<Number> {
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        let chunk = log.read(after, Number::MAX).unwrap();
        let Some(last) = chunk.last() else { return all };
        after = last.number;
        for found in chunk {
            assert_eq!(found.payload, sample(found.number).payload);
            all.push(found.number);
        }
    }
}

fn files(folder: &TempDir) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        std::fs::read_dir(folder.path().join("outbox")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn what_is_appended_is_read_after_a_restart_until_it_is_done() {
    let folder = folder();
    let mut log = open(&folder);
    log.append(&samples(1..=700), &[]).unwrap();
    log.append(&samples(701..=1000), &[]).unwrap();
    log.append(&[], &[1, 2, 900]).unwrap();
    assert_eq!((log.waiting(), log.last()), (997, 1000));
    let expected: Vec<_> = (3..=1000).filter(|number| *number != 900).collect();
    assert_eq!(waiting(&mut log), expected);
    drop(log);
    let mut log = open(&folder);
    assert_eq!((waiting(&mut log), log.waiting()), (expected.clone(), 997));
    assert_eq!(log.read(998, 999).unwrap(), log.read(998, 999).unwrap(), "a place to go on from is not needed");
    assert_eq!(log.read(998, 999).unwrap().len(), 1);
    assert_eq!(super::highest(&folder.path().join("outbox")), 1000);
    log.append(&[], &expected).unwrap();
    assert_eq!((log.waiting(), log.bytes(), log.dropped), (0, 0, 0));
    assert_eq!(files(&folder), [] as [PathBuf; 0], "nothing is left");
    log.append(&samples([1001]), &[]).unwrap();
    assert_eq!(waiting(&mut log), [1001]);
}

#[test]
fn it_is_for_its_user_only() {
    let folder = folder();
    open(&folder).append(&samples([1]), &[]).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder.path().join("outbox")), mode(&files(&folder)[0])), (0o700, 0o600));
}

#[test]
fn two_agents_do_not_share_one() {
    let folder = folder();
    let _log = open(&folder);
    assert!(Log::open(&folder.path().join("outbox"), Bounds::default()).is_err());
}

#[test]
fn the_oldest_goes_when_it_is_full_and_is_counted() {
    let folder = folder();
    let bounds = Bounds { size: 100_000, age: 7 * DAY };
    let mut log = Log::open(&folder.path().join("outbox"), bounds).unwrap();
    for number in 1..=5000 {
        log.append(&samples([number]), &[]).unwrap();
        assert!(log.bytes() <= bounds.size);
    }
    let left = waiting(&mut log);
    assert_eq!(left.last(), Some(&5000));
    assert_eq!((log.dropped, left.len() as u64), (left[0] - 1, 5001 - left[0]));
    assert!(left.len() > 1000, "{}: what goes at once is a small part", left.len());
    let bytes: u64 = files(&folder).iter().map(|file| std::fs::metadata(file).unwrap().len()).sum();
    assert!(bytes <= bounds.size);
}

#[test]
fn what_is_too_old_goes_unless_the_clock_was_not_set() {
    let folder = folder();
    let mut log = open(&folder);
    let at = |number, written| Sample { written, ..sample(number) };
    let old = segment::now() - 8 * 86_400_000;
    // A board without a clock: 1970, until there is a network.
    log.append(&[at(1, old), at(2, old), at(3, 1000), at(4, 2000)], &[]).unwrap();
    assert_eq!((waiting(&mut log), log.dropped), (vec![1, 2, 3, 4], 0), "the newest counts");
    drop(log);
    assert_eq!(waiting(&mut open(&folder)), [1, 2, 3, 4]);
    let mut log = open(&folder);
    log.append(&[], &[1, 2, 3, 4]).unwrap();
    log.append(&[at(5, old)], &[]).unwrap();
    log.append(&samples([6]), &[]).unwrap();
    assert_eq!((waiting(&mut log), log.dropped), (vec![6], 1));
}

/// A log of one segment with these records, and its bytes.
fn written(folder: &TempDir) -> (PathBuf, Vec<u8>) {
    let mut log = open(folder);
    log.append(&samples(1..=4), &[]).unwrap();
    log.append(&samples([5]), &[2]).unwrap();
    let file = files(folder).remove(0);
    let bytes = std::fs::read(&file).unwrap();
    (file, bytes)
}

#[test]
fn a_torn_end_is_cut_wherever_it_is_and_the_log_goes_on() {
    let folder = folder();
    let (file, bytes) = written(&folder);
    for length in 0..bytes.len() {
        std::fs::write(&file, &bytes[..length]).unwrap();
        let mut log = open(&folder);
        let left = waiting(&mut log);
        assert!(left.iter().zip(left.iter().skip(1)).all(|(one, next)| one < next) && left.len() < 5, "{left:?}");
        assert_eq!(log.damage, None);
        log.append(&samples([9]), &[]).unwrap();
        drop(log);
        let expected: Vec<_> = left.into_iter().chain([9]).collect();
        assert_eq!(waiting(&mut open(&folder)), expected, "{length} bytes");
        files(&folder).iter().for_each(|file| std::fs::remove_file(file).unwrap());
    }
}

#[test]
fn no_flipped_bit_is_delivered() {
    let folder = folder();
    let (file, bytes) = written(&folder);
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&file, &flipped).unwrap();
        let mut log = open(&folder);
        let left = waiting(&mut log);
        // What was noted as done may be lost: twice is better than never.
        assert!(left.len() < 5 && left.iter().all(|number| (1..=5).contains(number)), "bit {bit}: {left:?}");
        log.append(&samples([9]), &[]).unwrap();
        drop(log);
        let expected: Vec<_> = left.into_iter().chain([9]).collect();
        assert_eq!(waiting(&mut open(&folder)), expected, "bit {bit}");
        files(&folder).iter().for_each(|file| std::fs::remove_file(file).unwrap());
    }
}

#[test]
fn a_damaged_segment_is_set_aside_and_what_is_readable_is_delivered() {
    let folder = folder();
    let (file, mut bytes) = written(&folder);
    // Within the third record.
    bytes[100] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let mut log = open(&folder);
    assert_eq!(waiting(&mut log), [1, 2]);
    let damage = log.damage.clone().unwrap();
    assert!(damage.contains("damaged at byte") && damage.contains(".corrupt"), "{damage}");
    log.append(&samples([6, 7]), &[1]).unwrap();
    drop(log);
    let aside: Vec<_> = files(&folder).into_iter().filter(|file| file.extension().unwrap() == "corrupt").collect();
    assert_eq!((aside.len(), std::fs::read(&aside[0]).unwrap()), (1, bytes));
    let mut log = open(&folder);
    assert_eq!((waiting(&mut log), log.damage.clone()), (vec![2, 6, 7], None), "it is said once");
}

#[test]
fn another_version_is_set_aside() {
    let folder = folder();
    let (file, mut bytes) = written(&folder);
    bytes[7] = 2;
    std::fs::write(&file, &bytes).unwrap();
    let mut log = open(&folder);
    assert_eq!(waiting(&mut log), [] as [Number; 0]);
    assert!(log.damage.is_some() && files(&folder).iter().any(|file| std::fs::read(file).unwrap() == bytes));
}

#[test]
fn a_segment_that_breaks_while_it_waits_is_given_up_alone() {
    let folder = folder();
    let bounds = Bounds { size: 200_000, age: DAY };
    let mut log = Log::open(&folder.path().join("outbox"), bounds).unwrap();
    for number in 1..=1000 {
        log.append(&samples([number]), &[]).unwrap();
    }
    let second = files(&folder).remove(1);
    let mut bytes = std::fs::read(&second).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0xA5);
    std::fs::write(&second, bytes).unwrap();
    let left = waiting(&mut log);
    assert_eq!(left.len() as u64 + log.dropped, 1000);
    assert!(log.dropped > 50 && log.damage.is_some() && left.last() == Some(&1000), "{}", log.dropped);
    assert_eq!(log.waiting(), left.len() as u64);
    log.append(&[], &left).unwrap();
    assert_eq!(log.waiting(), 0);
}

#[test]
fn what_cannot_be_written_is_not_there() {
    let folder = folder();
    let mut log = open(&folder);
    log.append(&samples([1, 2]), &[]).unwrap();
    // A descriptor that cannot be written to stands for a disk that is full.
    log.end = Some(File::open(&files(&folder)[0]).unwrap());
    assert!(log.append(&samples([3]), &[1]).is_err());
    assert_eq!((waiting(&mut log), log.waiting()), (vec![2], 1));
    log.append(&samples([3, 4]), &[]).unwrap();
    drop(log);
    assert_eq!(waiting(&mut open(&folder)), [2, 3, 4]);
}

#[test]
fn what_cannot_be_read_for_a_moment_is_not_given_up() {
    let folder = folder();
    let mut log = open(&folder);
    log.append(&samples(1..=3), &[]).unwrap();
    let file = files(&folder).remove(0);
    let aside = file.with_extension("elsewhere");
    std::fs::rename(&file, &aside).unwrap();
    // A link to itself stands for a disk that makes mistakes: it cannot be opened (ELOOP), by root neither.
    std::os::unix::fs::symlink(&file, &file).unwrap();
    assert!(log.read(0, Number::MAX).is_err());
    assert_eq!((log.waiting(), log.dropped, log.damage.clone()), (3, 0, None));
    std::fs::remove_file(&file).unwrap();
    std::fs::rename(&aside, &file).unwrap();
    assert_eq!(waiting(&mut log), [1, 2, 3]);
}

#[test]
fn a_segment_that_was_begun_and_could_not_be_removed_is_begun_again() {
    let folder = folder();
    let mut log = open(&folder);
    let name = folder.path().join("outbox").join(Segment::file(1));
    let mut left = HEADER.to_vec();
    left.extend([7; 20]);
    std::fs::write(&name, left).unwrap();
    log.append(&samples(1..=2), &[]).unwrap();
    drop(log);
    assert_eq!(waiting(&mut open(&folder)), [1, 2]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Appended, done, restarted in any order: what waits is what is not done.
    #[test]
    fn what_waits_is_what_is_not_done(steps in prop::collection::vec((0..4u8, 0..40u64), 1..60)) {
        let folder = folder();
        let bounds = Bounds { size: 1_000_000_000, age: DAY };
        let open = || Log::open(&folder.path().join("outbox"), bounds).unwrap();
        let (mut log, mut last, mut expected) = (open(), 0, Vec::<Number>::new());
        for (step, count) in steps {
            match step {
                0 | 1 => {
                    let numbers = last + 1..=last + count;
                    log.append(&samples(numbers.clone()), &[]).unwrap();
                    // Numbers have gaps: not all that is given is for the store.
                    last += count + u64::from(step);
                    expected.extend(numbers);
                }
                2 => {
                    let done: Vec<_> = expected.iter().copied().filter(|number| number % 40 < count).collect();
                    expected.retain(|number| !done.contains(number));
                    log.append(&[], &done).unwrap();
                }
                _ => {
                    drop(log);
                    log = open();
                }
            }
            prop_assert_eq!(waiting(&mut log), expected.clone());
            prop_assert_eq!(log.waiting(), expected.len() as u64);
        }
        drop(log);
        // What was done without a segment to note it in may come again, but nothing is missing.
        let left = waiting(&mut open());
        prop_assert!(expected.iter().all(|number| left.contains(number)));
    }
}
