//! Scenario: a disk, a folder or another program prevents the queue from writing.
//! Guarantees: the queue waits, reports it, loses and repeats nothing, and recovers by itself.

use std::fs;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::*;
use crate::pipeline::queue::deferred_write::DeferredWrite;
use crate::pipeline::queue::store::PreparedAppend;

const SHORT_RETRY: Duration = Duration::from_millis(20);
/// Long enough for what takes milliseconds, even on a busy machine.
const TIMEOUT: Duration = Duration::from_mins(1);

fn open_with_short_retry(file: &Path) -> Opened {
    Queue::open_with(file, &settings("64 MiB"), Compression::Gzip, disk_space::volume_probe(file), SHORT_RETRY).unwrap()
}

fn wait_until(queue: &Queue, what: &str, mut condition: impl FnMut(&QueueStats) -> bool) -> QueueStats {
    let started = Instant::now();
    loop {
        let stats = queue.watch().borrow().clone();
        if condition(&stats) {
            return stats;
        }
        assert!(started.elapsed() < TIMEOUT, "waited for {what}: {stats:?}");
        std::thread::yield_now();
    }
}

fn payload(batch: &Batch) -> Vec<u8> {
    compression::decompress(batch.compression, &batch.payload, 1 << 20).unwrap()
}

/// Logs are refused, metrics go through memory, and delivered batches are not handed out again.
/// Once the lock is released, everything is on disk and every item is accounted for.
#[test]
fn queue_recovers_when_another_program_releases_lock() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("queue.db");
    let opened = open_with_short_retry(&file);
    let queue = &opened.queue;
    let runtime = runtime();
    for text in [b"one", b"two"] {
        queue.append_logs(append_request(batch(Signal::Logs, text), vec![position("a", 1)])).unwrap();
    }
    let other = Connection::open(&file).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(matches!(
        queue.append_logs(append_request(batch(Signal::Logs, b"three"), vec![position("a", 2)])),
        Err(AppendError::Store(_))
    ));
    runtime.block_on(async {
        queue.append(batch(Signal::Metrics, b"held")).await.unwrap();
        let held = queue.next(Signal::Metrics).await.unwrap();
        assert_eq!(payload(&held), b"held");
        let log = queue.next(Signal::Logs).await.unwrap();
        assert_eq!(payload(&log), b"one");
        queue.acknowledge(log.id, 0).await;
        let log = queue.next(Signal::Logs).await.unwrap();
        assert_eq!(payload(&log), b"two", "a delivered batch is not handed out again");
        queue.drop_batch(log.id, DropReason::Refused).await;
        assert_eq!(queue.next(Signal::Logs).await, None);
        let problems = queue.watch().borrow().problems.clone();
        assert!(problems[0].contains("locked") && problems[0].contains("retries"), "{problems:?}");
        queue.count_lost(Signal::Metrics, DropReason::Full, 7).await;
    });
    assert_eq!(queue.files(), [position("a", 1)]);

    other.execute_batch("ROLLBACK").unwrap();
    wait_until(queue, "the recovery", |stats| {
        stats.problems.is_empty() && stats.logs.batches == 0 && stats.counters.contains_key("dropped.metrics.full")
    });
    queue.append_logs(append_request(batch(Signal::Logs, b"three"), vec![position("a", 2)])).unwrap();
    opened.thread.stop();
    let stats = inspect(&file).unwrap();
    assert_eq!((stats.metrics.batches, stats.logs.batches), (1, 1));
    assert_eq!(
        stats.counters,
        [
            ("delivered.logs", 2),
            ("dropped.logs.refused", 2),
            ("dropped.metrics.full", 7),
            ("queued.logs", 6),
            ("queued.metrics", 9)
        ]
        .map(|(name, number)| (name.to_owned(), number))
        .into()
    );
}

/// The fault is over, but its retry is not due yet.
#[test]
fn data_in_memory_is_written_to_disk_at_shutdown() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("queue.db");
    let never = Duration::from_hours(1);
    let probe = disk_space::volume_probe(&file);
    let opened = Queue::open_with(&file, &settings("64 MiB"), Compression::Gzip, probe, never).unwrap();
    let other = Connection::open(&file).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    runtime().block_on(opened.queue.append(batch(Signal::Metrics, b"held"))).unwrap();
    other.execute_batch("ROLLBACK").unwrap();
    opened.thread.stop();
    assert_eq!(inspect(&file).unwrap().metrics.batches, 1);
}

/// The start succeeds, and the read positions of log files are reported once they are known.
#[test]
fn queue_starts_when_file_is_locked() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("queue.db");
    let opened = open(&file);
    opened.queue.append_logs(append_request(batch(Signal::Logs, b"log"), vec![position("a", 1)])).unwrap();
    opened.thread.stop();
    let other = Connection::open(&file).unwrap();
    other.execute_batch("PRAGMA locking_mode=EXCLUSIVE; BEGIN IMMEDIATE; DELETE FROM counter; COMMIT").unwrap();

    let opened = open_with_short_retry(&file);
    assert!(!opened.queue.is_ready());
    assert_eq!(opened.queue.watch().borrow().problems.len(), 1);
    runtime().block_on(opened.queue.append(batch(Signal::Metrics, b"held"))).unwrap();
    drop(other);
    runtime().block_on(opened.queue.ready());
    assert_eq!(opened.queue.files(), [position("a", 1)]);
    let stats = wait_until(&opened.queue, "the recovery", |stats| stats.problems.is_empty());
    assert_eq!((stats.logs.batches, stats.metrics.batches), (1, 1));
}

/// Metrics are delivered from memory and log files wait, until the folder is writable.
#[test]
fn queue_recovers_when_folder_becomes_writable() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("data");
    // A file in place of the folder prevents writing, even for root.
    fs::write(&folder, "").unwrap();
    let opened = open_with_short_retry(&folder.join("queue.db"));
    let queue = &opened.queue;
    assert!(!queue.watch().borrow().problems.is_empty());
    assert!(matches!(
        queue.append_logs(append_request(batch(Signal::Logs, b"log"), vec![])),
        Err(AppendError::Store(_))
    ));
    let runtime = runtime();
    runtime.block_on(async {
        for text in [b"first".as_slice(), b"second"] {
            queue.append(batch(Signal::Metrics, text)).await.unwrap();
        }
        let first = queue.next(Signal::Metrics).await.unwrap();
        assert_eq!(payload(&first), b"first");
        queue.acknowledge(first.id, 0).await;
        assert_eq!(queue.watch().borrow().counters["delivered.metrics"], 2);
    });

    fs::remove_file(&folder).unwrap();
    fs::create_dir(&folder).unwrap();
    runtime.block_on(queue.ready());
    wait_until(queue, "the recovery", |stats| stats.problems.is_empty());
    queue.append_logs(append_request(batch(Signal::Logs, b"log"), vec![position("a", 1)])).unwrap();
    opened.thread.stop();
    let stats = inspect(&folder.join("queue.db")).unwrap();
    assert_eq!((stats.metrics.items, stats.logs.items, stats.counters["delivered.metrics"]), (2, 2, 2));
}

/// The disk is full by SQLite's own page limit, which it reports in the same way.
#[test]
fn queued_batches_can_be_read_and_removed_when_disk_is_full() {
    let dir = tempfile::tempdir().unwrap();
    let now = Instant::now();
    let mut disk = ResilientStore::open(&dir.path().join("queue.db"), &QueueSettings::default(), SHORT_RETRY);
    let stored = |size| rows::StoredBatch::new(&batch(Signal::Traces, &noise(size)), Compression::Gzip, 1).unwrap();
    let none = std::collections::BTreeMap::new();
    let first = stored(100_000);
    let (batches, files) = ([stored(100_000)], [position("a", 5)]);
    let append = PreparedAppend { batches: &batches, files: &files, counts: &none };
    disk.append(now, &[PreparedAppend { batches: std::slice::from_ref(&first), files: &[], counts: &none }]).unwrap();
    let limit_pages = |disk: &mut ResilientStore, limit: i64| {
        disk.write(now, |store| Ok(store.connection.pragma_update(None, "max_page_count", limit)?)).unwrap();
    };
    limit_pages(&mut disk, 1);
    assert!(disk.append(now, &[append]).is_err());
    assert!(disk.problems().next().unwrap().contains("full"));
    assert_eq!(disk.files().unwrap(), [], "the position did not move");
    let (row, read) = disk.next(now, Signal::Traces).unwrap().unwrap();
    assert_eq!(read, first);
    let later = now + SHORT_RETRY;
    disk.defer(later, DeferredWrite::Acknowledge { row, rejected: 0 });
    assert_eq!(disk.stats().traces.batches, 0);
    assert_eq!(disk.problems().count(), 1, "the refused append has not succeeded yet");
    limit_pages(&mut disk, 1_000_000);
    disk.append(later, &[append]).unwrap();
    assert_eq!((disk.problems().count(), disk.files().unwrap().len()), (0, 1));
}

/// An empty file, a folder, a lone write-ahead log, a read-only file. Foreign content is kept.
#[test]
fn queue_starts_when_something_else_is_at_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("queue.db");
    let start = || {
        let opened = open(&file);
        runtime().block_on(opened.queue.append(batch(Signal::Metrics, b"works"))).unwrap();
        let stats = opened.queue.watch().borrow().clone();
        opened.thread.stop();
        stats
    };
    fs::write(&file, "").unwrap();
    assert_eq!(start().quarantined.len(), 0, "an empty file is a new queue");

    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    fs::write(file.join("user.txt"), "text").unwrap();
    let stats = start();
    assert_eq!(fs::read_to_string(stats.quarantined[0].path.join("user.txt")).unwrap(), "text");

    fs::create_dir(dir.path().join("queue.db-wal")).unwrap();
    assert_eq!(start().metrics.batches, 2, "the batches in the main file are kept");

    fs::remove_file(&file).unwrap();
    fs::write(dir.path().join("queue.db-wal"), "a write-ahead log without its file").unwrap();
    let stats = start();
    assert_eq!((stats.metrics.batches, stats.quarantined.len()), (1, 2));

    let mut permissions = fs::metadata(&file).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&file, permissions).unwrap();
    assert_eq!(start().metrics.batches, 2, "write protection is removed");
}

/// The agent was killed while it replaced a damaged file. The result is the old file or the new
/// one, never a mixture.
#[test]
fn interrupted_replacement_is_finished_at_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("queue.db");
    let write_queue = |file: &Path, text: &[u8]| {
        let opened = open(file);
        runtime().block_on(opened.queue.append(batch(Signal::Metrics, text))).unwrap();
        opened.thread.stop();
    };
    write_queue(&file, b"old");
    write_queue(&dir.path().join("queue.db.new"), b"half made");
    let opened = open(&file);
    assert_eq!(payload(&runtime().block_on(opened.queue.next(Signal::Metrics)).unwrap()), b"old");
    opened.thread.stop();
    assert!(!dir.path().join("queue.db.new").exists());

    fs::rename(&file, dir.path().join("queue.db.damaged-1")).unwrap();
    fs::write(dir.path().join("queue.db-wal"), "of the old file").unwrap();
    write_queue(&dir.path().join("queue.db.new"), b"new");
    let opened = open(&file);
    assert_eq!(payload(&runtime().block_on(opened.queue.next(Signal::Metrics)).unwrap()), b"new");
}

/// The number of quarantined files is limited, and a purge removes all of them.
#[test]
fn quarantined_files_are_limited_and_purged() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("queue.db");
    for number in 0..5 {
        fs::write(&file, format!("damage number {number}, of a file that is longer than the header of a database"))
            .unwrap();
        open(&file).thread.stop();
    }
    let opened = open(&file);
    let stats = opened.queue.watch().borrow().clone();
    let texts: Vec<String> =
        stats.quarantined.iter().map(|file| fs::read_to_string(&file.path).unwrap()[..15].to_owned()).collect();
    assert_eq!(texts, ["damage number 2", "damage number 3", "damage number 4"]);
    assert_eq!(runtime().block_on(opened.queue.purge(LogKind::Applications)).unwrap(), 0);
    assert_eq!(opened.queue.watch().borrow().quarantined, []);
    assert_eq!(fs::read_dir(dir.path()).unwrap().filter(|e| is_quarantined(e.as_ref().unwrap())).count(), 0);
}

fn is_quarantined(entry: &fs::DirEntry) -> bool {
    entry.file_name().to_string_lossy().contains("damaged")
}

/// The logs are not sent, and they are deleted as soon as the file can be written.
#[test]
fn purge_takes_effect_when_file_cannot_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("queue.db");
    let opened = open_with_short_retry(&file);
    let queue = &opened.queue;
    let apps = NewBatch { consent: Some(LogKind::Applications), ..batch(Signal::Logs, b"app") };
    queue.append_logs(append_request(batch(Signal::Logs, b"platform"), vec![position("a", 1)])).unwrap();
    queue.append_logs(append_request(apps, vec![])).unwrap();
    let other = Connection::open(&file).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    runtime().block_on(async {
        assert!(queue.purge(LogKind::Platform).await.is_err());
        assert_eq!(payload(&queue.next(Signal::Logs).await.unwrap()), b"app");
    });
    assert_eq!(queue.files(), []);
    other.execute_batch("ROLLBACK").unwrap();
    let stats = wait_until(queue, "the deletion", |stats| stats.logs.batches == 1);
    assert_eq!(stats.counters["dropped.logs.withdrawn"], 2);
}

#[test]
fn unshared_logs_are_purged_at_start() {
    let dir = tempfile::tempdir().unwrap();
    let opened = open_in(&dir);
    opened.queue.append_logs(append_request(batch(Signal::Logs, b"platform"), vec![])).unwrap();
    opened.thread.stop();
    let opened = open_in(&dir);
    opened.queue.purge_unshared(LogKind::Platform);
    assert_eq!(runtime().block_on(opened.queue.next(Signal::Logs)), None);
    assert_eq!(opened.queue.watch().borrow().counters["dropped.logs.withdrawn"], 2);
}
