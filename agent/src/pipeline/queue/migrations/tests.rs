//! Scenario: queue files of every older format, with data, created by the frozen steps alone.
//! Guarantees: they open with everything in them, even if damaged, and a failed migration changes
//! nothing.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;
use crate::config::QueueSettings;
use crate::consent::LogKind;
use crate::otlp::Signal;
use crate::pipeline::queue::resilient_store::{RETRY_INTERVAL, ResilientStore};
use crate::pipeline::queue::store::Store;
use crate::pipeline::queue::{FileState, LogCounter, inspect};

/// Writes a file of an older format, as an agent of that time wrote it.
fn write_old_file(file: &Path, version: i64) {
    let mut connection = Connection::open(file).unwrap();
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL").unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    migrate_to(&mut connection, 0, version).unwrap();
    connection
        .execute_batch(
            "INSERT INTO batch (signal, consent, encoding, items, oldest_unix_nano, newest_unix_nano, enqueued_unix_ms, size, split, payload)
             VALUES ('logs', 'platform', 'gzip', 3, 10, 20, 1790000000000, 100, 0, x'0102'),
                    ('metrics', NULL, 'zstd', 5, 30, 40, 1790000000001, 200, 0, x'0304'),
                    ('logs', 'applications', 'gzip', 7, 50, 60, 1790000000002, 300, 1, zeroblob(20000));
             INSERT INTO file (volume, file_index, id, kind, path, fingerprint, position, headed)
             VALUES (-1, 7, '0123456789abcdef', 'platform', 'application.log', x'5b', 4711, 1);
             INSERT INTO counter (name, value)
             VALUES ('delivered.logs', 100), ('rejected.logs', 1), ('dropped.logs.withdrawn', 2), ('dropped.metrics.full', 4);",
        )
        .unwrap();
    if version >= 2 {
        connection
            .execute_batch(
                "UPDATE file SET guard = x'0a'; INSERT INTO counter (name, value) VALUES ('dropped.logs.filtered', 50);",
            )
            .unwrap();
    }
}

/// Batches with a valid checksum, positions, counters, and the total of queued items, so that the
/// counters balance.
#[test]
fn older_queue_files_open_with_all_data() {
    for version in [1, 2] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("queue.db");
        write_old_file(&file, version);
        assert_eq!(inspect(&file).unwrap().logs.items, 10, "an older file can be inspected");

        let mut store = Store::open(&file).unwrap();
        let stats = store.stats().clone();
        assert_eq!((stats.logs.batches, stats.logs.items, stats.metrics.items), (2, 10, 5));
        assert_eq!(stats.logs.oldest_unix_ms, Some(1_790_000_000_000));
        let counter = |name: &str| stats.counters.get(name).copied().unwrap_or(0);
        assert_eq!((counter("delivered.logs"), counter("queued.logs"), counter("queued.metrics")), (100, 113, 9));
        assert_eq!(counter(LogCounter::Filtered.name()), if version == 1 { 0 } else { 50 });
        let none = BTreeSet::new();
        let (first, found) = store.next(Signal::Logs, 0, &none).unwrap().unwrap();
        assert_eq!((found.consent, found.items, found.payload), (Some(LogKind::Platform), 3, vec![1, 2]));
        let (_, found) = store.next(Signal::Logs, first, &none).unwrap().unwrap();
        assert_eq!((found.consent, found.split, found.payload.len()), (Some(LogKind::Applications), true, 20_000));
        let files: Vec<FileState> = store.files().unwrap().into_values().collect();
        let guard = if version == 1 { vec![] } else { b"\n".to_vec() };
        assert_eq!((files[0].position, files[0].volume, &files[0].guard), (4711, u64::MAX, &guard));
    }
}

#[test]
fn older_queue_file_is_recovered_when_damaged() {
    for version in [1, 2] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("queue.db");
        write_old_file(&file, version);
        // The step to format 3 replaces this index, so it fails without it.
        Connection::open(&file).unwrap().execute_batch("DROP INDEX batch_by_signal").unwrap();

        let disk = ResilientStore::open(&file, &QueueSettings::default(), RETRY_INTERVAL);
        assert_eq!((disk.stats().logs.items, disk.stats().metrics.items), (10, 5), "version {version}");
        assert_eq!(disk.stats().counters["delivered.logs"], 100);
        assert_eq!(disk.files().unwrap()[0].position, 4711);
        assert_eq!(disk.quarantined().len(), 1);
    }
}

#[test]
fn queue_file_is_unchanged_when_migration_fails() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("queue.db");
    write_old_file(&file, 1);
    let mut connection = Connection::open(&file).unwrap();
    let pages: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    connection.pragma_update(None, "max_page_count", pages).unwrap();
    assert!(migrate(&mut connection, 1).is_err(), "the file has no room for it");
    drop(connection);
    let connection = Connection::open(&file).unwrap();
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, 1);
    assert_eq!(inspect(&file).unwrap().logs.items, 10);
}
