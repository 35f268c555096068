//! Files that nobody wrote, for the fuzzer and for the test that feeds its corpus again.

#![allow(clippy::expect_used)] // where there is no room for files, nothing can be tortured

use super::log::Log;
use super::record::{HEADER, HIGHEST, Number, Sample, seal};
use super::{Bounds, Places, Shelf, journal, segment};
use bytes::Bytes;
use std::fs::create_dir_all;
use std::path::{Path, PathBuf};

/// A folder that goes away again.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let thread = std::thread::current().id();
        let folder = parent.join(format!("halyard-torture-{}-{thread:?}", std::process::id()));
        create_dir_all(&folder).expect("a folder for files");
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What `data` makes of the store's files must be opened without a panic; of what is in them, no sample may come twice or out of
/// order; and whatever it was, samples can be kept and are found again.
///
/// The first byte says how many files there are, and which. Each has a name of 8 bytes and a length of 2; in the file the same
/// kind of chunks, each of them as it is, or sealed with the checksum that no fuzzer finds.
///
/// # Panics
/// When the store does not keep a promise.
pub fn torture(data: &[u8]) {
    let folder = Folder::new();
    let (disk, memory) = (folder.0.join("disk"), folder.0.join("memory"));
    for folder in [&disk, &memory] {
        create_dir_all(folder).expect("a folder in memory");
    }
    let mut rest = data;
    for _ in 0..take::<1>(&mut rest)[0] % 4 {
        let name = segment::Segment::file(u64::from_le_bytes(take(&mut rest)));
        std::fs::write(disk.join(name), file(&mut rest)).expect("room in memory");
    }
    std::fs::write(memory.join(journal::FILE), file(&mut rest)).expect("room in memory");

    let shelf =
        Shelf::open(Places { disk: disk.clone(), memory: Some(memory), earlier: Vec::new() }, Bounds::default());
    let first = shelf.first_number();
    if first >= HIGHEST {
        return; // Numbers have come to their end, which takes two hundred years.
    }
    assert!(shelf.keep(first, "h/a/after".into(), Bytes::new(), false), "nothing is in the way of a sample");

    let mut log = Log::open(&disk, Bounds::default()).expect("a folder that is there");
    let before = waiting(&mut log);
    assert!(before.iter().all(|number| *number < first), "{first} is in use");
    let more = [first, first + 1].map(|number| Sample {
        number,
        written: segment::now(),
        topic: "h/a/after".into(),
        payload: Bytes::from_static(b"1"),
        is_event: false,
    });
    log.append(&more, &before).expect("room in memory");
    assert_eq!(waiting(&mut log), [first, first + 1]);
    drop(log);
    let mut log = Log::open(&disk, Bounds::default()).expect("a folder that is there");
    assert_eq!(waiting(&mut log), [first, first + 1], "after a restart");
}

/// All that waits, as the outbox reads it.
fn waiting(log: &mut Log) -> Vec<Number> {
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        let chunk = log.read(after, Number::MAX).expect("files that can be read");
        let Some(last) = chunk.last() else { return all };
        assert!(last.number > after, "{} comes again", last.number);
        after = last.number;
        all.extend(chunk.iter().map(|sample| sample.number));
        assert!(all.is_sorted_by(|one, next| one < next), "out of order");
    }
}

fn file(rest: &mut &[u8]) -> Vec<u8> {
    let length = usize::from(u16::from_le_bytes(take(rest)));
    let (mut chunks, after) = rest.split_at(length.min(rest.len()));
    *rest = after;
    let mut file = Vec::new();
    if !take::<1>(&mut chunks)[0].is_multiple_of(8) {
        file.extend(HEADER);
    }
    while !chunks.is_empty() {
        let [kind, length] = take(&mut chunks);
        let (chunk, after) = chunks.split_at(usize::from(length).min(chunks.len()));
        chunks = after;
        if kind.is_multiple_of(4) { file.extend(chunk) } else { seal(&mut file, |body| body.extend(chunk)) }
    }
    file
}

/// The next bytes, zeros beyond the end.
fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    let (taken, after) = rest.split_at(N.min(rest.len()));
    *rest = after;
    let mut bytes = [0; N];
    bytes[..taken.len()].copy_from_slice(taken);
    bytes
}
