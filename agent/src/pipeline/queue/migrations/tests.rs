//! Files of every format that there has been, with data in them, made by the frozen steps alone.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;
use crate::config::QueueSettings;
use crate::consent::LogKind;
use crate::otlp::Signal;
use crate::pipeline::queue::disk::{Disk, RETRY};
use crate::pipeline::queue::store::Store;
use crate::pipeline::queue::{FileState, LogCounter, inspect};

/// A file of an older format, as an agent of then wrote it.
fn write_old(file: &Path, version: i64) {
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

/// Everything of an older file is there under the format of today: batches with a checksum that holds, positions, counters,
/// and what was put in, so that the accounts balance.
#[test]
fn older_files_open_with_everything_in_them() {
    for version in [1, 2] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("queue.db");
        write_old(&file, version);
        assert_eq!(inspect(&file).unwrap().logs.items, 10, "an older file can be looked at");

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

/// Damage in an older file does not keep the rest of it from being brought over.
#[test]
fn older_files_are_saved_when_they_are_damaged() {
    for version in [1, 2] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("queue.db");
        write_old(&file, version);
        // The step to format 3 wants to replace this index.
        Connection::open(&file).unwrap().execute_batch("DROP INDEX batch_by_signal").unwrap();

        let disk = Disk::open(&file, &QueueSettings::default(), RETRY);
        assert_eq!((disk.stats().logs.items, disk.stats().metrics.items), (10, 5), "version {version}");
        assert_eq!(disk.stats().counters["delivered.logs"], 100);
        assert_eq!(disk.files().unwrap()[0].position, 4711);
        assert_eq!(disk.set_aside().len(), 1);
    }
}

/// A migration that breaks off leaves the file as it was.
#[test]
fn a_migration_happens_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("queue.db");
    write_old(&file, 1);
    let mut connection = Connection::open(&file).unwrap();
    let pages: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    connection.pragma_update(None, "max_page_count", pages).unwrap();
    assert!(migrate(&mut connection, 1).is_err(), "there is no room for it");
    drop(connection);
    let connection = Connection::open(&file).unwrap();
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, 1);
    assert_eq!(inspect(&file).unwrap().logs.items, 10);
}
