//! The limits of the queue and of its disk, and how space is given back. The owner is driven by hand, with times of the
//! test's choice.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tempfile::TempDir;

use super::*;
use crate::pipeline::queue::space::Room;
use crate::pipeline::queue::tests::{batch, hand_over, noise, settings};
use crate::pipeline::queue::{NewBatch, inspect};

const VOLUME: u64 = 100 << 30;
const LATER: Duration = Duration::from_secs(11);

struct Hand {
    owner: Owner,
    stats: watch::Receiver<QueueStats>,
    free: Arc<AtomicU64>,
    now: Instant,
    dir: TempDir,
}

impl Hand {
    fn new(max_bytes: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let free = Arc::new(AtomicU64::new(VOLUME));
        let read = Arc::clone(&free);
        let probe = move || Ok(Room { available: read.load(Ordering::Relaxed), total: VOLUME });
        let settings = settings(max_bytes);
        let disk = Disk::open(&dir.path().join("queue.db"), &settings, Duration::from_secs(5));
        let space = Space::new(Box::new(probe), settings.min_free_disk.get());
        let (publish, stats) = watch::channel(QueueStats::default());
        let owner = Owner::new(disk, space, settings, Compression::Zstd, publish, watch::channel(false).0);
        Self { owner, stats, free, now: Instant::now(), dir }
    }

    fn append(&mut self, batch: NewBatch) -> Result<(), AppendError> {
        if batch.consent.is_none() {
            return self.owner.append(self.now, &hand_over(batch, vec![]));
        }
        self.offer(vec![vec![batch]]).remove(0)
    }

    /// Offers what several senders hold, at the same time.
    fn offer(&mut self, senders: Vec<Vec<NewBatch>>) -> Vec<Result<(), AppendError>> {
        let offers =
            senders.into_iter().map(|batches| (HandOver { batches, ..HandOver::default() }, oneshot::channel()));
        let (group, mut answers): (Vec<_>, Vec<_>) =
            offers.map(|(what, (reply, answer))| ((what, reply), answer)).unzip();
        self.owner.take_in(self.now, group);
        answers.iter_mut().map(|answer| answer.try_recv().unwrap()).collect()
    }

    /// So many bytes are free from now on, and enough time passes for it to be seen.
    fn free(&mut self, bytes: u64) {
        self.free.store(bytes, Ordering::Relaxed);
        self.now += LATER;
        self.owner.do_what_is_due(self.now);
    }

    fn stats(&mut self) -> QueueStats {
        self.owner.publish();
        self.stats.borrow().clone()
    }

    fn file_bytes(&self) -> u64 {
        let length = |name| std::fs::metadata(self.dir.path().join(name)).map_or(0, |found| found.len());
        length("queue.db") + length("queue.db-wal")
    }
}

fn event(payload: &[u8]) -> NewBatch {
    NewBatch { consent: None, ..batch(Signal::Logs, payload) }
}

/// A full queue: of what cannot be read again the oldest of the least worth gives way first, and only for what is worth
/// as much or more; log records that were read from files stay.
#[test]
fn the_least_valuable_gives_way_first() {
    let mut queue = Hand::new("1 MiB");
    queue.append(batch(Signal::Logs, &noise(300_000))).unwrap();
    for _ in 0..2 {
        queue.append(batch(Signal::Metrics, &noise(100_000))).unwrap();
        queue.append(batch(Signal::Traces, &noise(100_000))).unwrap();
        queue.append(event(&noise(100_000))).unwrap();
    }
    let mut arrive = |what: NewBatch| {
        let result = queue.append(what);
        let stats = queue.stats();
        let dropped = |signal: &str| stats.counters.get(&format!("dropped.{signal}.full")).copied().unwrap_or(0);
        (result.is_ok(), dropped("metrics"), dropped("traces"), dropped("logs"))
    };
    assert_eq!(arrive(event(&noise(200_000))), (true, 2, 0, 0));
    assert_eq!(arrive(batch(Signal::Metrics, &noise(100_000))), (true, 4, 0, 0), "metrics only for metrics");
    assert_eq!(arrive(batch(Signal::Metrics, &noise(200_000))), (false, 4, 0, 0), "nothing is dropped in vain");
    assert_eq!(arrive(batch(Signal::Traces, &noise(200_000))), (true, 6, 2, 0));
    assert_eq!(arrive(event(&noise(400_000))), (true, 6, 6, 2));
    let stats = queue.stats();
    assert_eq!((stats.metrics.batches, stats.traces.batches, stats.logs.batches), (0, 0, 4));
    assert!(stats.bytes() <= 1 << 20);
}

/// Below the reserve of free disk the queue does not grow: log files wait, new metrics push out old ones, and what finds
/// no room is held in memory, delivered from there, and put on disk when there is room again.
///
/// Settings: `queue.min_free_disk`.
#[test]
fn the_reserve_of_the_disk_is_left_alone() {
    let mut queue = Hand::new("64 MiB");
    queue.append(batch(Signal::Metrics, &noise(100_000))).unwrap();
    queue.append(batch(Signal::Logs, &noise(50_000))).unwrap();
    queue.free((1 << 30) - 1);
    assert!(matches!(queue.append(batch(Signal::Logs, b"log")), Err(AppendError::Full)));
    let before = queue.stats();
    assert!(before.problems[0].contains("queue.min_free_disk"), "{:?}", before.problems);

    queue.append(batch(Signal::Metrics, &noise(60_000))).unwrap();
    let stats = queue.stats();
    assert_eq!((stats.metrics.batches, stats.counters["dropped.metrics.disk_full"]), (1, 2));
    assert!(stats.bytes() <= before.bytes());

    queue.append(batch(Signal::Traces, &noise(200_000))).unwrap();
    assert!(queue.owner.disk.stats().traces.batches == 0, "it is held in memory");
    assert_eq!(queue.stats().traces.batches, 1, "and can be seen");
    let held = queue.owner.next(queue.now, Signal::Traces).unwrap();
    assert!(held.id.in_memory);
    for _ in 0..5 {
        queue.append(batch(Signal::Traces, &noise(1_000_000))).unwrap();
    }
    let stats = queue.stats();
    assert!(stats.bytes() - queue.owner.disk.stats().bytes() <= MEMORY_BYTES);
    assert_eq!(stats.traces.items + stats.counters["dropped.traces.disk_full"], 12);

    queue.free(VOLUME);
    assert_eq!(queue.owner.disk.stats().traces.batches, stats.traces.batches, "there is room again");
    assert_eq!(queue.stats().problems, [""; 0]);
    queue.append(batch(Signal::Logs, b"log")).unwrap();
    // Taken from memory before it was moved: it is delivered again, and nothing else is taken for it.
    queue.owner.finish(queue.now, held.id, |row| Owed::Acknowledge { row, rejected: 0 });
    assert_eq!(queue.stats().traces.batches, stats.traces.batches);
}

/// Without the disk, metrics of hours are held and the oldest give way, counted; the counts are on disk later.
#[test]
fn what_memory_cannot_hold_is_counted() {
    let mut queue = Hand::new("64 MiB");
    queue.free(0);
    for _ in 0..10 {
        queue.append(batch(Signal::Metrics, &noise(1_000_000))).unwrap();
    }
    assert!(matches!(queue.append(batch(Signal::Metrics, &noise(5_000_000))), Err(AppendError::Full)));
    queue.free(VOLUME);
    queue.owner.end();
    let stats = inspect(&queue.dir.path().join("queue.db")).unwrap();
    assert_eq!((stats.metrics.batches, stats.counters["dropped.metrics.disk_full"]), (4, 12));
    assert_eq!(stats.counters["queued.metrics"], 20);
}

/// After a large backlog is delivered the files are small again, while the agent runs.
#[test]
fn space_is_given_back_after_a_large_backlog() {
    let mut queue = Hand::new("128 MiB");
    let payload = noise(256 << 10);
    for number in 0..256 {
        queue.append(batch(Signal::Traces, &payload)).unwrap();
        if number % 8 == 0 {
            queue.append(batch(Signal::Metrics, b"small")).unwrap();
        }
    }
    assert!(queue.file_bytes() > 64 << 20);
    for signal in [Signal::Metrics, Signal::Traces] {
        while let Some(next) = queue.owner.next(queue.now, signal) {
            queue.owner.finish(queue.now, next.id, |row| Owed::Acknowledge { row, rejected: 0 });
        }
    }
    let mut steps = 0;
    while let Some(due) = queue.owner.tidy_due {
        queue.now = due;
        queue.owner.do_what_is_due(due);
        steps += 1;
    }
    assert!(steps > 1, "in steps");
    assert!(queue.file_bytes() < 1 << 20, "{} bytes are left of 64 MiB", queue.file_bytes());
}

/// What several senders offer at the same time is in one transaction; one for which there is no room, or at which the disk is
/// full, keeps out none of the others.
#[test]
fn what_waits_is_put_in_together() {
    let mut queue = Hand::new("1 MiB");
    let small = || vec![batch(Signal::Traces, &noise(1000))];
    let large = || vec![batch(Signal::Traces, &noise(600_000)), batch(Signal::Traces, &noise(600_000))];
    let changes = |queue: &mut Hand| {
        let count = "PRAGMA data_version";
        let other = rusqlite::Connection::open(queue.dir.path().join("queue.db")).unwrap();
        let version = move || other.query_row(count, [], |row| row.get::<_, i64>(0)).unwrap();
        let _ = version();
        version
    };
    let version = changes(&mut queue);
    let before = version();
    let answers = queue.offer(vec![small(), large(), small(), small()]);
    let full = |answer: &Result<(), AppendError>| matches!(answer, Err(AppendError::Full));
    assert_eq!(answers.iter().map(full).collect::<Vec<_>>(), [false, true, false, false]);
    assert_eq!(version(), before + 1, "one transaction");
    assert_eq!(queue.stats().traces.batches, 3, "all of a sender's or nothing");

    let pages = |queue: &mut Hand, limit: i64| {
        let now = queue.now;
        queue
            .owner
            .disk
            .write(now, |store| Ok(store.connection.pragma_update(None, "max_page_count", limit)?))
            .unwrap();
    };
    let used: i64 = queue
        .owner
        .disk
        .write(queue.now, |store| Ok(store.connection.pragma_query_value(None, "page_count", |row| row.get(0))?))
        .unwrap();
    pages(&mut queue, used + 8);
    let answers = queue.offer(vec![small(), vec![batch(Signal::Traces, &noise(100_000))]]);
    assert!(answers[0].is_ok() && matches!(answers[1], Err(AppendError::Store(_))), "{answers:?}");
    assert_eq!(queue.stats().traces.batches, 4);
}

/// Appends that wait are taken out of the inbox up to the first other command, which comes next.
#[test]
fn another_command_keeps_its_place() {
    let (sender, mut inbox) = mpsc::channel(16);
    let offer = || (hand_over(batch(Signal::Traces, b"one"), vec![]), oneshot::channel().0);
    for _ in 0..2 {
        let (what, reply) = offer();
        sender.try_send(Command::Append { what, again: Again::Later, reply }).unwrap();
    }
    sender.try_send(Command::Withhold { kind: LogKind::Platform }).unwrap();
    let (what, reply) = offer();
    sender.try_send(Command::Append { what, again: Again::Later, reply }).unwrap();
    let (group, next) = together(offer(), &mut inbox);
    assert_eq!(group.len(), 3);
    assert!(matches!(next, Some(Command::Withhold { .. })), "{next:?}");
    let (group, next) = together(offer(), &mut inbox);
    assert!(group.len() == 2 && next.is_none());
}

/// What the queue holds is known from its index alone: so a start does not read the queue, however large it is.
#[test]
fn sums_come_from_the_index() {
    let store = Store::in_memory().unwrap();
    let sums =
        "SELECT signal, count(*), sum(items), sum(length(payload)), min(enqueued_unix_ms) FROM batch GROUP BY signal";
    for query in [sums, "SELECT max(enqueued_unix_ms) FROM batch"] {
        let mut statement = store.connection.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
        let plan: Vec<String> = statement.query_map([], |row| row.get(3)).unwrap().map(Result::unwrap).collect();
        assert!(plan[0].contains("COVERING INDEX batch_by_signal"), "{plan:?}");
    }
}
