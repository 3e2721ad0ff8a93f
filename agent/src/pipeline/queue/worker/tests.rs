//! Scenario: the queue reaches its size limit, the disk runs low, or many senders append at once.
//! The worker is driven by hand, with times chosen by the test.
//! Guarantees: the limits hold, the least valuable data is dropped first, every drop is counted,
//! and space is returned to the file system.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tempfile::TempDir;

use super::*;
use crate::pipeline::queue::disk_space::FreeSpace;
use crate::pipeline::queue::tests::{append_request, batch, noise, settings};
use crate::pipeline::queue::{NewBatch, inspect};

const VOLUME: u64 = 100 << 30;
/// Longer than the interval at which free space is read.
const LATER: Duration = Duration::from_secs(11);

struct ManualWorker {
    worker: QueueWorker,
    stats: watch::Receiver<QueueStats>,
    free: Arc<AtomicU64>,
    now: Instant,
    dir: TempDir,
}

impl ManualWorker {
    fn new(max_bytes: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let free = Arc::new(AtomicU64::new(VOLUME));
        let read = Arc::clone(&free);
        let probe = move || Ok(FreeSpace { available: read.load(Ordering::Relaxed), total: VOLUME });
        let settings = settings(max_bytes);
        let disk = ResilientStore::open(&dir.path().join("queue.db"), &settings, Duration::from_secs(5));
        let space = DiskSpace::new(Box::new(probe), settings.min_free_disk.get());
        let (sender, stats) = watch::channel(QueueStats::default());
        let worker = QueueWorker::new(disk, space, settings, Compression::Zstd, sender, watch::channel(false).0);
        Self { worker, stats, free, now: Instant::now(), dir }
    }

    fn append(&mut self, batch: NewBatch) -> Result<(), AppendError> {
        if batch.consent.is_none() {
            return self.worker.append_irreplaceable(self.now, &append_request(batch, vec![]));
        }
        self.offer(vec![vec![batch]]).remove(0)
    }

    /// Offers the batches of several senders at the same time.
    fn offer(&mut self, senders: Vec<Vec<NewBatch>>) -> Vec<Result<(), AppendError>> {
        let offers = senders
            .into_iter()
            .map(|batches| (AppendRequest { batches, ..AppendRequest::default() }, oneshot::channel()));
        let (group, mut answers): (Vec<_>, Vec<_>) =
            offers.map(|(request, (reply, answer))| ((request, reply), answer)).unzip();
        self.worker.append_group(self.now, group);
        answers.iter_mut().map(|answer| answer.try_recv().unwrap()).collect()
    }

    fn acknowledge(&mut self, id: BatchId) {
        self.worker.finish_batch(self.now, id, |row| DeferredWrite::Acknowledge { row, rejected: 0 });
    }

    /// Sets the free space, and lets enough time pass for the worker to notice.
    fn set_free_space(&mut self, bytes: u64) {
        self.free.store(bytes, Ordering::Relaxed);
        self.now += LATER;
        self.worker.run_maintenance(self.now);
    }

    fn stats(&mut self) -> QueueStats {
        self.worker.publish();
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

/// Irreplaceable data is dropped from the least valuable signal first, oldest first, and only for
/// data of equal or higher value. Log records that were read from files stay.
#[test]
fn full_queue_drops_least_valuable_data_first() {
    let mut queue = ManualWorker::new("1 MiB");
    queue.append(batch(Signal::Logs, &noise(300_000))).unwrap();
    for _ in 0..2 {
        queue.append(batch(Signal::Metrics, &noise(100_000))).unwrap();
        queue.append(batch(Signal::Traces, &noise(100_000))).unwrap();
        queue.append(event(&noise(100_000))).unwrap();
    }
    let mut append = |batch: NewBatch| {
        let result = queue.append(batch);
        let stats = queue.stats();
        let dropped = |signal: &str| stats.counters.get(&format!("dropped.{signal}.full")).copied().unwrap_or(0);
        (result.is_ok(), dropped("metrics"), dropped("traces"), dropped("logs"))
    };
    assert_eq!(append(event(&noise(200_000))), (true, 2, 0, 0));
    assert_eq!(append(batch(Signal::Metrics, &noise(100_000))), (true, 4, 0, 0), "metrics replace only metrics");
    assert_eq!(append(batch(Signal::Metrics, &noise(200_000))), (false, 4, 0, 0), "nothing is dropped needlessly");
    assert_eq!(append(batch(Signal::Traces, &noise(200_000))), (true, 6, 2, 0));
    assert_eq!(append(event(&noise(400_000))), (true, 6, 6, 2));
    let stats = queue.stats();
    assert_eq!((stats.metrics.batches, stats.traces.batches, stats.logs.batches), (0, 0, 4));
    assert!(stats.bytes() <= 1 << 20);
}

/// Log files wait and new metrics replace old ones. Data that does not fit is held in memory,
/// delivered from there, and moved to disk when there is space again.
///
/// Settings: `queue.min_free_disk`.
#[test]
fn queue_does_not_grow_when_disk_space_is_below_reserve() {
    let mut queue = ManualWorker::new("64 MiB");
    queue.append(batch(Signal::Metrics, &noise(100_000))).unwrap();
    queue.append(batch(Signal::Logs, &noise(50_000))).unwrap();
    queue.set_free_space((1 << 30) - 1);
    assert!(matches!(queue.append(batch(Signal::Logs, b"log")), Err(AppendError::Full)));
    let before = queue.stats();
    assert!(before.problems[0].contains("queue.min_free_disk"), "{:?}", before.problems);

    queue.append(batch(Signal::Metrics, &noise(60_000))).unwrap();
    let stats = queue.stats();
    assert_eq!((stats.metrics.batches, stats.counters["dropped.metrics.disk_full"]), (1, 2));
    assert!(stats.bytes() <= before.bytes());

    queue.append(batch(Signal::Traces, &noise(200_000))).unwrap();
    assert!(queue.worker.disk.stats().traces.batches == 0, "the batch is in memory");
    assert_eq!(queue.stats().traces.batches, 1, "the statistics include it");
    let held = queue.worker.next(queue.now, Signal::Traces).unwrap();
    assert!(held.id.in_memory);
    for _ in 0..5 {
        queue.append(batch(Signal::Traces, &noise(1_000_000))).unwrap();
    }
    let stats = queue.stats();
    assert!(stats.bytes() - queue.worker.disk.stats().bytes() <= MAX_MEMORY_BYTES);
    assert_eq!(stats.traces.items + stats.counters["dropped.traces.disk_full"], 12);

    queue.set_free_space(VOLUME);
    assert_eq!(queue.worker.disk.stats().traces.batches, stats.traces.batches, "memory was moved to disk");
    assert_eq!(queue.stats().problems, [""; 0]);
    queue.append(batch(Signal::Logs, b"log")).unwrap();
    // The batch was handed out before it was moved to disk. Its late acknowledgement must not
    // remove another batch; it is delivered again.
    queue.acknowledge(held.id);
    assert_eq!(queue.stats().traces.batches, stats.traces.batches);
}

/// The oldest metrics in memory are dropped, and the counts are written to disk later.
#[test]
fn data_is_counted_as_disk_full_when_memory_is_full() {
    let mut queue = ManualWorker::new("64 MiB");
    queue.set_free_space(0);
    for _ in 0..10 {
        queue.append(batch(Signal::Metrics, &noise(1_000_000))).unwrap();
    }
    assert!(matches!(queue.append(batch(Signal::Metrics, &noise(5_000_000))), Err(AppendError::Full)));
    queue.set_free_space(VOLUME);
    queue.worker.shut_down();
    let stats = inspect(&queue.dir.path().join("queue.db")).unwrap();
    assert_eq!((stats.metrics.batches, stats.counters["dropped.metrics.disk_full"]), (4, 12));
    assert_eq!(stats.counters["queued.metrics"], 20);
}

#[test]
fn queue_file_shrinks_while_running_when_large_backlog_is_delivered() {
    let mut queue = ManualWorker::new("128 MiB");
    let payload = noise(256 << 10);
    for number in 0..256 {
        queue.append(batch(Signal::Traces, &payload)).unwrap();
        if number % 8 == 0 {
            queue.append(batch(Signal::Metrics, b"small")).unwrap();
        }
    }
    assert!(queue.file_bytes() > 64 << 20);
    for signal in [Signal::Metrics, Signal::Traces] {
        while let Some(next) = queue.worker.next(queue.now, signal) {
            queue.acknowledge(next.id);
        }
    }
    let mut steps = 0;
    while let Some(due) = queue.worker.reclaim_due {
        queue.now = due;
        queue.worker.run_maintenance(due);
        steps += 1;
    }
    assert!(steps > 1, "space is reclaimed in steps");
    assert!(queue.file_bytes() < 1 << 20, "{} bytes are left of 64 MiB", queue.file_bytes());
}

/// An append for which the queue or the disk has no room does not block the others.
#[test]
fn concurrent_appends_share_one_transaction() {
    let mut queue = ManualWorker::new("1 MiB");
    let small = || vec![batch(Signal::Traces, &noise(1000))];
    let large = || vec![batch(Signal::Traces, &noise(600_000)), batch(Signal::Traces, &noise(600_000))];
    let data_version = |queue: &ManualWorker| {
        let other = rusqlite::Connection::open(queue.dir.path().join("queue.db")).unwrap();
        let version = move || other.query_row("PRAGMA data_version", [], |row| row.get::<_, i64>(0)).unwrap();
        let _ = version();
        version
    };
    let version = data_version(&queue);
    let before = version();
    let answers = queue.offer(vec![small(), large(), small(), small()]);
    let full = |answer: &Result<(), AppendError>| matches!(answer, Err(AppendError::Full));
    assert_eq!(answers.iter().map(full).collect::<Vec<_>>(), [false, true, false, false]);
    assert_eq!(version(), before + 1, "one transaction");
    assert_eq!(queue.stats().traces.batches, 3, "all batches of a sender or none");

    let limit_pages = |queue: &mut ManualWorker, limit: i64| {
        let set = |store: &mut Store| Ok(store.connection.pragma_update(None, "max_page_count", limit)?);
        queue.worker.disk.write(queue.now, set).unwrap();
    };
    let count = |store: &mut Store| Ok(store.connection.pragma_query_value(None, "page_count", |row| row.get(0))?);
    let used: i64 = queue.worker.disk.write(queue.now, count).unwrap();
    limit_pages(&mut queue, used + 8);
    let answers = queue.offer(vec![small(), vec![batch(Signal::Traces, &noise(100_000))]]);
    assert!(answers[0].is_ok() && matches!(answers[1], Err(AppendError::Store(_))), "{answers:?}");
    assert_eq!(queue.stats().traces.batches, 4);
}

/// Appends are grouped up to the first other command, which is executed next.
#[test]
fn grouping_stops_at_other_command() {
    let (sender, mut inbox) = mpsc::channel(16);
    let append = || (append_request(batch(Signal::Traces, b"one"), vec![]), oneshot::channel().0);
    let send_append = || {
        let (request, reply) = append();
        let on_refusal = OnRefusal::SenderRetries;
        sender.try_send(Command::Append { request, on_refusal, reply }).unwrap();
    };
    send_append();
    send_append();
    sender.try_send(Command::PurgeUnshared { kind: LogKind::Platform }).unwrap();
    send_append();
    let (group, next) = collect_group(append(), &mut inbox);
    assert_eq!(group.len(), 3);
    assert!(matches!(next, Some(Command::PurgeUnshared { .. })), "{next:?}");
    let (group, next) = collect_group(append(), &mut inbox);
    assert!(group.len() == 2 && next.is_none());
}

/// A start does not read the batches, however many there are.
#[test]
fn statistics_are_read_from_index_alone() {
    let store = Store::in_memory().unwrap();
    let sums =
        "SELECT signal, count(*), sum(items), sum(length(payload)), min(enqueued_unix_ms) FROM batch GROUP BY signal";
    for query in [sums, "SELECT max(enqueued_unix_ms) FROM batch"] {
        let mut statement = store.connection.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
        let plan: Vec<String> = statement.query_map([], |row| row.get(3)).unwrap().map(Result::unwrap).collect();
        assert!(plan[0].contains("COVERING INDEX batch_by_signal"), "{plan:?}");
    }
}
