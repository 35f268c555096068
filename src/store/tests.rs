use super::*;
use replay::replay;
use std::sync::mpsc;
use tempfile::TempDir;

#[path = "../../fuzz/replay.rs"]
mod replay;

const LIMIT: Duration = Duration::from_secs(30);

struct Stand {
    folder: TempDir,
    shelf: Shelf,
    chunks: mpsc::Receiver<Chunk>,
    next: Number,
}

impl Stand {
    /// With a journal in a folder that counts as memory, or without one.
    fn start(folder: TempDir, with_journal: bool) -> Self {
        Self::start_in(folder, with_journal.then_some("run"), &[])
    }

    /// With a journal here, and perhaps one there of an earlier run.
    fn start_in(folder: TempDir, memory: Option<&str>, earlier: &[&str]) -> Self {
        let place = |name: &&str| folder.path().join(name).join("outbox");
        let disk = folder.path().join("state/outbox/a");
        let places = Places { disk, memory: memory.as_ref().map(place), earlier: earlier.iter().map(place).collect() };
        let shelf = Shelf::open(places, Bounds::default());
        let next = shelf.first_number();
        let (to, chunks) = mpsc::channel();
        let give = move |chunk| drop(to.send(chunk));
        shelf.start(Box::new(give), Arc::default());
        Self { folder, shelf, chunks, next }
    }

    /// Keeps as many samples with 1, 2, 3… as payload, from this one on.
    fn keep(&mut self, from: u64, to: u64) -> Vec<Number> {
        let mut numbers = Vec::new();
        for value in from..=to {
            assert!(self.shelf.keep(self.next, "h/a/x".into(), value.to_string().into(), false));
            numbers.push(self.next);
            self.next += 1;
        }
        numbers
    }

    /// The payloads of all that waits.
    fn waiting(&self) -> Vec<u64> {
        let (mut all, mut after) = (Vec::new(), 0);
        loop {
            self.shelf.fetch(Want { ticket: 7, after, upto: Number::MAX });
            let chunk = self.chunks.recv_timeout(LIMIT).unwrap();
            assert_eq!(chunk.ticket, 7);
            let Some(last) = chunk.samples.last() else { return all };
            after = last.number;
            all.extend(chunk.samples.iter().map(|sample| {
                assert!(self.shelf.needs(sample.number));
                std::str::from_utf8(&sample.payload).unwrap().parse::<u64>().unwrap()
            }));
        }
    }

    /// As the end of a process ends it: the lock goes, and nothing else is done.
    fn kill(self) -> TempDir {
        let Self { folder, shelf, .. } = self;
        shelf.shared.lock().journal = Journal::open(None);
        shelf.shared.lock().is_ending = true;
        let ended = shelf.shared.lock().ended.take().unwrap();
        shelf.shared.changed.notify_one();
        runtime().block_on(async { tokio::time::timeout(LIMIT, ended).await }).unwrap().unwrap_err();
        folder
    }

    fn stop(self) -> TempDir {
        runtime().block_on(self.shelf.close(LIMIT));
        self.folder
    }

    fn until(&self, what: &str, mut condition: impl FnMut(&Status) -> bool) {
        let end = Instant::now() + LIMIT;
        while !condition(&self.shelf.status()) {
            assert!(Instant::now() < end, "not within {LIMIT:?}: {what}, {:?}", self.shelf.status());
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

fn folder() -> TempDir {
    TempDir::new().unwrap()
}

#[test]
fn what_is_acknowledged_soon_never_reaches_the_disk() {
    let mut stand = Stand::start(folder(), true);
    for number in stand.keep(1, 100) {
        assert!(stand.shelf.needs(number));
        stand.shelf.done(number);
        assert!(!stand.shelf.needs(number));
    }
    assert_eq!(stand.shelf.status(), Status::default());
    let folder = stand.stop();
    assert!(!folder.path().join("state").exists() && !folder.path().join("run/outbox").exists());
}

#[test]
fn what_was_kept_is_there_after_a_kill_and_after_a_stop() {
    let mut stand = Stand::start(folder(), true);
    let numbers = stand.keep(1, 1000);
    stand.shelf.done(numbers[4]);
    let expected: Vec<_> = (1..=1000).filter(|value| *value != 5).collect();
    assert_eq!(stand.waiting(), expected, "from the journal");
    let stand = Stand::start(stand.kill(), true);
    assert!(stand.next > numbers[999]);
    assert_eq!(stand.waiting(), expected, "from the journal of an earlier process");
    let mut stand = Stand::start(stand.stop(), true);
    assert!(stand.shelf.status().bytes == 0 || stand.shelf.status().waiting == 999);
    stand.keep(1001, 1002);
    let expected: Vec<_> = expected.into_iter().chain([1001, 1002]).collect();
    assert_eq!(stand.waiting(), expected, "from disk, and then from the journal");
    assert_eq!(stand.shelf.status().waiting, 1001);
    let stand = Stand::start(stand.kill(), true);
    assert_eq!(stand.waiting(), expected);
}

#[test]
fn without_a_journal_all_goes_to_the_disk_at_once() {
    let mut stand = Stand::start(folder(), false);
    stand.keep(1, 300);
    stand.until("all on disk", |status| status.waiting == 300 && stand.shelf.shared.lock().journal.len() == 0);
    let stand = Stand::start(stand.kill(), false);
    assert_eq!(stand.waiting(), (1..=300).collect::<Vec<_>>());
}

#[test]
fn before_the_end_nothing_waits_for_a_batch() {
    let mut stand = Stand::start(folder(), true);
    stand.keep(1, 10);
    stand.shelf.hurry();
    stand.until("all on disk", |_| stand.shelf.shared.lock().journal.len() == 0);
    stand.keep(11, 12);
    stand.until("all on disk", |_| stand.shelf.shared.lock().journal.len() == 0);
    assert_eq!(stand.waiting(), (1..=12).collect::<Vec<_>>());
}

#[test]
fn what_a_broker_has_is_noted_on_disk() {
    let mut stand = Stand::start(folder(), false);
    let numbers = stand.keep(1, 10);
    stand.until("all on disk", |status| status.waiting == 10 && stand.shelf.shared.lock().journal.len() == 0);
    numbers[..9].iter().for_each(|number| stand.shelf.done(*number));
    assert_eq!(stand.shelf.status().waiting, 1);
    stand.until("it is noted", |_| stand.shelf.shared.lock().done.is_empty());
    let stand = Stand::start(stand.stop(), false);
    assert_eq!(stand.waiting(), [10]);
    stand.shelf.done(numbers[9]);
    let folder = stand.stop();
    assert_eq!(std::fs::read_dir(folder.path().join("state/outbox/a")).unwrap().count(), 0);
}

#[test]
fn a_disk_that_cannot_be_written_is_said_and_samples_wait_in_memory() {
    let folder = folder();
    // No folder can be made below a file.
    std::fs::write(folder.path().join("state"), "").unwrap();
    let mut stand = Stand::start(folder, false);
    stand.keep(1, 20);
    stand.until("a problem", |status| status.problem.is_some());
    let problem = stand.shelf.status().problem.unwrap();
    assert!(problem.message.contains("state/outbox/a: Not a directory"), "{problem:?}");
    assert_eq!(stand.waiting(), (1..=20).collect::<Vec<_>>());
    // Bounded: the oldest give way, and are counted.
    let large: Bytes = "x".repeat(60_000).into();
    for _ in 0..100 {
        assert!(stand.shelf.keep(stand.next, "h/a/x".into(), large.clone(), false));
        stand.next += 1;
    }
    let status = stand.shelf.status();
    assert_eq!(status.waiting + status.dropped, 120);
    assert!(status.dropped > 20, "{status:?}");
    assert!(!stand.shelf.keep(stand.next, "h/a/x".into(), "x".repeat(70_000).into(), false), "too long for a record");
}

#[test]
fn what_had_to_give_way_is_not_taken_for_another_one() {
    let mut stand = Stand::start(folder(), true);
    stand.keep(1, 2);
    stand.shelf.shared.lock().give_up(&[100, 101]);
    let front = stand.shelf.shared.lock();
    assert!(front.was_given_up(101) && !front.was_given_up(102) && front.dropped == 2);
}

#[test]
fn files_that_nobody_wrote() {
    replay("store", torture::torture);
}

#[test]
fn what_cannot_be_read_is_said_and_tried_again() {
    let mut stand = Stand::start(folder(), false);
    stand.keep(1, 3);
    stand.until("all on disk", |_| stand.shelf.shared.lock().journal.len() == 0);
    let folder = stand.folder.path().join("state/outbox/a");
    let file = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let aside = file.with_extension("elsewhere");
    std::fs::rename(&file, &aside).unwrap();
    std::os::unix::fs::symlink(&file, &file).unwrap();
    stand.shelf.fetch(Want { ticket: 7, after: 0, upto: Number::MAX });
    stand.until("a problem", |status| status.problem.is_some());
    assert!(stand.chunks.try_recv().is_err(), "it is not said that there is no more");
    std::fs::remove_file(&file).unwrap();
    std::fs::rename(&aside, &file).unwrap();
    // Without being asked.
    let chunk = stand.chunks.recv_timeout(LIMIT).unwrap();
    assert_eq!((chunk.ticket, chunk.samples.len()), (7, 3));
    stand.until("no problem", |status| status.problem.is_none() && status.dropped == 0);
}

#[test]
fn what_a_journal_in_another_place_holds_is_taken_over() {
    let mut stand = Stand::start_in(folder(), Some("run"), &["session"]);
    stand.keep(1, 5);
    let mut stand = Stand::start_in(stand.kill(), Some("session"), &["run"]);
    stand.keep(6, 8);
    assert_eq!(stand.waiting(), (1..=8).collect::<Vec<_>>());
    assert!(!stand.folder.path().join("run/outbox").exists(), "nothing is left to be delivered twice");
    let stand = Stand::start_in(stand.kill(), Some("run"), &["session"]);
    assert_eq!(stand.waiting(), (1..=8).collect::<Vec<_>>());
    let stand = Stand::start_in(stand.kill(), None, &["session", "run"]);
    stand.until("all on disk", |status| status.waiting == 8 && stand.shelf.shared.lock().journal.len() == 0);
    assert_eq!(stand.waiting(), (1..=8).collect::<Vec<_>>());
}

#[test]
fn what_a_journal_holds_is_not_lost_when_later_ones_went_to_the_disk_from_another_place() {
    let mut stand = Stand::start_in(folder(), Some("run"), &[]);
    stand.keep(1, 5);
    // It does not know of the first place.
    let mut stand = Stand::start_in(stand.kill(), Some("session"), &[]);
    stand.keep(6, 8);
    let mut stand = Stand::start_in(stand.stop(), Some("run"), &[]);
    stand.until("the disk is read", |status| status.bytes > 0);
    let kept = stand.keep(9, 9);
    stand.shelf.hurry();
    stand.until("all on disk", |_| stand.shelf.shared.lock().journal.len() == 0);
    assert_eq!(stand.waiting(), [6, 7, 8, 1, 2, 3, 4, 5, 9]);
    stand.shelf.done(kept[0]);
    let stand = Stand::start_in(stand.stop(), Some("run"), &[]);
    assert_eq!(stand.waiting(), [6, 7, 8, 1, 2, 3, 4, 5]);
}

#[test]
fn a_journal_of_another_version_is_set_aside() {
    let mut stand = Stand::start(folder(), true);
    stand.keep(1, 2);
    let folder = stand.kill();
    let file = folder.path().join("run/outbox/journal");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[7] = 2;
    std::fs::write(&file, &bytes).unwrap();
    let stand = Stand::start(folder, true);
    assert_eq!(stand.waiting(), [] as [u64; 0]);
    assert_eq!(std::fs::read(file.with_extension("corrupt")).unwrap(), bytes);
}
