//! A disk, a folder or another program that does not let the queue write: it waits, says so, and recovers by itself.

use std::fs;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::*;
use crate::pipeline::queue::disk::Owed;
use crate::pipeline::queue::store::Entry;

const SOON: Duration = Duration::from_millis(20);
/// For what happens within milliseconds, on a machine that is busy with something else.
const LIMIT: Duration = Duration::from_mins(1);

fn queue_with_quick_retries(file: &Path) -> Opened {
    Queue::open_with(file, &settings("64 MiB"), Compression::Gzip, space::of_volume(file), SOON).unwrap()
}

fn wait_until(queue: &Queue, what: &str, mut wanted: impl FnMut(&QueueStats) -> bool) -> QueueStats {
    let begun = Instant::now();
    loop {
        let stats = queue.watch().borrow().clone();
        if wanted(&stats) {
            return stats;
        }
        assert!(begun.elapsed() < LIMIT, "waited for {what}: {stats:?}");
        std::thread::yield_now();
    }
}

fn payload(batch: &Batch) -> Vec<u8> {
    compression::decompress(batch.compression, &batch.payload, 1 << 20).unwrap()
}

/// While another program holds the file: logs are refused, metrics go through memory, nothing that was delivered comes
/// again; once it is released everything is on disk and every item is accounted for.
#[test]
fn a_file_held_by_another_program_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("queue.db");
    let opened = queue_with_quick_retries(&file);
    let queue = &opened.queue;
    let runtime = runtime();
    for text in [b"one", b"two"] {
        queue.append_logs(hand_over(batch(Signal::Logs, text), vec![position("a", 1)])).unwrap();
    }
    let other = Connection::open(&file).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(matches!(
        queue.append_logs(hand_over(batch(Signal::Logs, b"three"), vec![position("a", 2)])),
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
        assert_eq!(payload(&log), b"two", "what was delivered is not handed out again");
        queue.drop_batch(log.id, DropReason::Refused).await;
        assert_eq!(queue.next(Signal::Logs).await, None);
        let problems = queue.watch().borrow().problems.clone();
        assert!(problems[0].contains("locked") && problems[0].contains("tried again"), "{problems:?}");
        queue.count_lost(Signal::Metrics, DropReason::Full, 7).await;
    });
    assert_eq!(queue.files(), [position("a", 1)]);

    other.execute_batch("ROLLBACK").unwrap();
    wait_until(queue, "the recovery", |stats| {
        stats.problems.is_empty() && stats.logs.batches == 0 && stats.counters.contains_key("dropped.metrics.full")
    });
    queue.append_logs(hand_over(batch(Signal::Logs, b"three"), vec![position("a", 2)])).unwrap();
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

/// The program ends before a fault that is over was tried again: what was held in memory is put on disk all the same.
#[test]
fn what_is_held_is_put_on_disk_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("queue.db");
    let never = Duration::from_hours(1);
    let probe = space::of_volume(&file);
    let opened = Queue::open_with(&file, &settings("64 MiB"), Compression::Gzip, probe, never).unwrap();
    let other = Connection::open(&file).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    runtime().block_on(opened.queue.append(batch(Signal::Metrics, b"held"))).unwrap();
    other.execute_batch("ROLLBACK").unwrap();
    opened.thread.stop();
    assert_eq!(inspect(&file).unwrap().metrics.batches, 1);
}

/// A file that is held when the agent starts: the start succeeds, how far log files were read is told once it is known.
#[test]
fn a_file_that_is_held_at_the_start_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("queue.db");
    let opened = open(&file);
    opened.queue.append_logs(hand_over(batch(Signal::Logs, b"log"), vec![position("a", 1)])).unwrap();
    opened.thread.stop();
    let other = Connection::open(&file).unwrap();
    other.execute_batch("PRAGMA locking_mode=EXCLUSIVE; BEGIN IMMEDIATE; DELETE FROM counter; COMMIT").unwrap();

    let opened = queue_with_quick_retries(&file);
    assert!(!opened.queue.is_ready());
    assert_eq!(opened.queue.watch().borrow().problems.len(), 1);
    runtime().block_on(opened.queue.append(batch(Signal::Metrics, b"held"))).unwrap();
    drop(other);
    runtime().block_on(opened.queue.ready());
    assert_eq!(opened.queue.files(), [position("a", 1)]);
    let stats = wait_until(&opened.queue, "the recovery", |stats| stats.problems.is_empty());
    assert_eq!((stats.logs.batches, stats.metrics.batches), (1, 1));
}

/// A folder that cannot be written: metrics are delivered from memory, log files wait; once it can be, all is well.
#[test]
fn a_folder_that_cannot_be_written_is_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("data");
    // A file in the place of the folder: that keeps the administrator from writing too.
    fs::write(&folder, "").unwrap();
    let opened = queue_with_quick_retries(&folder.join("queue.db"));
    let queue = &opened.queue;
    assert!(!queue.watch().borrow().problems.is_empty());
    assert!(matches!(queue.append_logs(hand_over(batch(Signal::Logs, b"log"), vec![])), Err(AppendError::Store(_))));
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
    queue.append_logs(hand_over(batch(Signal::Logs, b"log"), vec![position("a", 1)])).unwrap();
    opened.thread.stop();
    let stats = inspect(&folder.join("queue.db")).unwrap();
    assert_eq!((stats.metrics.items, stats.logs.items, stats.counters["delivered.metrics"]), (2, 2, 2));
}

/// A full disk (here SQLite's own limit, which it reports in the same way): what is there can be read and taken out.
#[test]
fn a_full_disk_can_be_emptied() {
    let dir = tempfile::tempdir().unwrap();
    let now = Instant::now();
    let mut disk = Disk::open(&dir.path().join("queue.db"), &QueueSettings::default(), SOON);
    let stored = |size| rows::StoredBatch::new(&batch(Signal::Traces, &noise(size)), Compression::Gzip, 1).unwrap();
    let none = std::collections::BTreeMap::new();
    let first = stored(100_000);
    let (batches, files) = ([stored(100_000)], [position("a", 5)]);
    let entry = Entry { batches: &batches, files: &files, counts: &none };
    disk.append(now, &[Entry { batches: std::slice::from_ref(&first), files: &[], counts: &none }]).unwrap();
    let pages = |disk: &mut Disk, limit: i64| {
        disk.write(now, |store| Ok(store.connection.pragma_update(None, "max_page_count", limit)?)).unwrap();
    };
    pages(&mut disk, 1);
    assert!(disk.append(now, &[entry]).is_err());
    assert!(disk.problems().next().unwrap().contains("full"));
    assert_eq!(disk.files().unwrap(), [], "the position did not move");
    let (row, read) = disk.next(now, Signal::Traces).unwrap().unwrap();
    assert_eq!(read, first);
    let later = now + SOON;
    disk.owe(later, Owed::Acknowledge { row, rejected: 0 });
    assert_eq!(disk.stats().traces.batches, 0);
    assert_eq!(disk.problems().count(), 1, "what was refused has not been accepted yet");
    pages(&mut disk, 1_000_000);
    disk.append(later, &[entry]).unwrap();
    assert_eq!((disk.problems().count(), disk.files().unwrap().len()), (0, 1));
}

/// Whatever lies in the place of the queue's file, the queue starts, and keeps what it found.
#[test]
fn whatever_lies_in_the_place_of_the_file_the_queue_starts() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("queue.db");
    let begin = || {
        let opened = open(&file);
        runtime().block_on(opened.queue.append(batch(Signal::Metrics, b"works"))).unwrap();
        let stats = opened.queue.watch().borrow().clone();
        opened.thread.stop();
        stats
    };
    fs::write(&file, "").unwrap();
    assert_eq!(begin().set_aside.len(), 0, "an empty file is a new queue");

    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    fs::write(file.join("somebody's"), "text").unwrap();
    let stats = begin();
    assert_eq!(fs::read_to_string(stats.set_aside[0].path.join("somebody's")).unwrap(), "text");

    fs::create_dir(dir.path().join("queue.db-wal")).unwrap();
    assert_eq!(begin().metrics.batches, 2, "what is in the main file is kept");

    fs::remove_file(&file).unwrap();
    fs::write(dir.path().join("queue.db-wal"), "a write-ahead log without its file").unwrap();
    let stats = begin();
    assert_eq!((stats.metrics.batches, stats.set_aside.len()), (1, 2));

    let mut permissions = fs::metadata(&file).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&file, permissions).unwrap();
    assert_eq!(begin().metrics.batches, 2, "a write protection is taken away");
}

/// A program that was killed while it replaced a damaged file leaves either the old one or the new one, never a mixture.
#[test]
fn a_replacement_that_was_broken_off_is_ended() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("queue.db");
    let put_into = |file: &Path, text: &[u8]| {
        let opened = open(file);
        runtime().block_on(opened.queue.append(batch(Signal::Metrics, text))).unwrap();
        opened.thread.stop();
    };
    put_into(&file, b"old");
    put_into(&dir.path().join("queue.db.new"), b"half made");
    let opened = open(&file);
    assert_eq!(payload(&runtime().block_on(opened.queue.next(Signal::Metrics)).unwrap()), b"old");
    opened.thread.stop();
    assert!(!dir.path().join("queue.db.new").exists());

    fs::rename(&file, dir.path().join("queue.db.damaged-1")).unwrap();
    fs::write(dir.path().join("queue.db-wal"), "of the old file").unwrap();
    put_into(&dir.path().join("queue.db.new"), b"new");
    let opened = open(&file);
    assert_eq!(payload(&runtime().block_on(opened.queue.next(Signal::Metrics)).unwrap()), b"new");
}

/// Set-aside files are kept, but only so many, counted for good; withdrawal of consent removes them.
#[test]
fn set_aside_files_are_limited_and_withdrawn() {
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
        stats.set_aside.iter().map(|aside| fs::read_to_string(&aside.path).unwrap()[..15].to_owned()).collect();
    assert_eq!(texts, ["damage number 2", "damage number 3", "damage number 4"]);
    assert_eq!(runtime().block_on(opened.queue.withdraw(LogKind::Applications)).unwrap(), 0);
    assert_eq!(opened.queue.watch().borrow().set_aside, []);
    assert_eq!(fs::read_dir(dir.path()).unwrap().filter(|e| is_aside(e.as_ref().unwrap())).count(), 0);
}

fn is_aside(entry: &fs::DirEntry) -> bool {
    entry.file_name().to_string_lossy().contains("damaged")
}

/// What was withdrawn while the file could not be written is not sent, and is deleted as soon as that goes.
#[test]
fn a_withdrawal_that_cannot_be_written_is_obeyed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("queue.db");
    let opened = queue_with_quick_retries(&file);
    let queue = &opened.queue;
    let apps = NewBatch { consent: Some(LogKind::Applications), ..batch(Signal::Logs, b"app") };
    queue.append_logs(hand_over(batch(Signal::Logs, b"platform"), vec![position("a", 1)])).unwrap();
    queue.append_logs(hand_over(apps, vec![])).unwrap();
    let other = Connection::open(&file).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    runtime().block_on(async {
        assert!(queue.withdraw(LogKind::Platform).await.is_err());
        assert_eq!(payload(&queue.next(Signal::Logs).await.unwrap()), b"app");
    });
    assert_eq!(queue.files(), []);
    other.execute_batch("ROLLBACK").unwrap();
    let stats = wait_until(queue, "the deletion", |stats| stats.logs.batches == 1);
    assert_eq!(stats.counters["dropped.logs.withdrawn"], 2);
}

/// What still waits of logs that are not shared when the agent starts is never handed out.
#[test]
fn logs_that_are_not_shared_are_withheld_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let opened = queue_in(&dir);
    opened.queue.append_logs(hand_over(batch(Signal::Logs, b"platform"), vec![])).unwrap();
    opened.thread.stop();
    let opened = queue_in(&dir);
    opened.queue.withhold(LogKind::Platform);
    assert_eq!(runtime().block_on(opened.queue.next(Signal::Logs)), None);
    assert_eq!(opened.queue.watch().borrow().counters["dropped.logs.withdrawn"], 2);
}
