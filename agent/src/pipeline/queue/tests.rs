//! Scenario: the queue through its public interface: order, limits, consent, unusable files.
//! Guarantees: data survives a restart, positions move only with their records, drops are counted.

mod damage;
mod faults;
mod fixture;

use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::config::{ByteSize, Period};
use crate::otlp::compression;

pub(super) fn settings(max_bytes: &str) -> QueueSettings {
    QueueSettings { max_bytes: max_bytes.parse::<ByteSize>().unwrap(), ..QueueSettings::default() }
}

fn open(file: &Path) -> Opened {
    Queue::open(file, &settings("64 MiB"), Compression::Gzip).unwrap()
}

fn open_in(dir: &TempDir) -> Opened {
    open(&dir.path().join("queue.db"))
}

pub(super) fn batch(signal: Signal, payload: &[u8]) -> NewBatch {
    let consent = (signal == Signal::Logs).then_some(LogKind::Platform);
    NewBatch { signal, consent, items: 2, oldest_unix_nano: 1, newest_unix_nano: 2, payload: payload.to_vec() }
}

pub(super) fn append_request(batch: NewBatch, files: Vec<FileState>) -> AppendRequest {
    AppendRequest { batches: vec![batch], files, ..AppendRequest::default() }
}

/// Returns random bytes, which do not compress.
pub(super) fn noise(bytes: usize) -> Vec<u8> {
    std::iter::repeat_with(|| fastrand::u8(..)).take(bytes).collect()
}

fn position(id: &str, position: u64) -> FileState {
    FileState {
        kind: LogKind::Platform,
        id: id.to_owned(),
        path: "application.log".to_owned(),
        volume: u64::MAX,
        index: 7,
        fingerprint: b"[2026".to_vec(),
        guard: b"end\n".to_vec(),
        position,
        seen_header: true,
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Each signal has its own order, and payloads are unchanged.
#[test]
fn batches_come_out_in_order_after_restart() {
    let dir = tempfile::tempdir().unwrap();
    let opened = open_in(&dir);
    runtime().block_on(async {
        for payload in [b"first".as_slice(), b"second"] {
            opened.queue.append(batch(Signal::Metrics, payload)).await.unwrap();
        }
    });
    opened
        .queue
        .append_logs(append_request(batch(Signal::Logs, b"log"), vec![position("a", 10)]))
        .unwrap_or_else(|e| panic!("{e}"));
    opened.thread.stop();

    let opened = open_in(&dir);
    assert_eq!(opened.queue.files(), [position("a", 10)]);
    runtime().block_on(async {
        let queue = &opened.queue;
        for payload in [b"first".as_slice(), b"second"] {
            let next = queue.next(Signal::Metrics).await.unwrap();
            assert_eq!(compression::decompress(next.compression, &next.payload, 1000).unwrap(), payload);
            assert_eq!(next.items, 2);
            queue.acknowledge(next.id, 0).await;
        }
        assert_eq!(queue.next(Signal::Metrics).await, None);
        assert_eq!(queue.next(Signal::Traces).await, None);
        assert!(queue.next(Signal::Logs).await.is_some());
        assert_eq!(queue.watch().borrow().counters["delivered.metrics"], 4);
    });
}

#[test]
fn file_position_is_unchanged_when_log_batch_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let opened = Queue::open(&dir.path().join("queue.db"), &settings("1 MiB"), Compression::Gzip).unwrap();
    let queue = &opened.queue;
    queue.append_logs(append_request(batch(Signal::Logs, &noise(800_000)), vec![position("a", 100)])).unwrap();
    let refused = queue.append_logs(append_request(batch(Signal::Logs, &noise(200_000)), vec![position("a", 200)]));
    assert!(matches!(refused, Err(AppendError::Full)), "{refused:?}");
    assert_eq!(queue.files(), [position("a", 100)]);
}

/// Logs wait. New metrics are accepted, and the oldest ones are dropped and counted.
///
/// Settings: `queue.max_bytes`.
#[test]
fn full_queue_drops_only_oldest_metrics() {
    let dir = tempfile::tempdir().unwrap();
    let opened = Queue::open(&dir.path().join("queue.db"), &settings("1 MiB"), Compression::Gzip).unwrap();
    let queue = &opened.queue;
    queue.append_logs(append_request(batch(Signal::Logs, &noise(600_000)), vec![])).unwrap();
    runtime().block_on(async {
        for _ in 0..6 {
            queue.append(batch(Signal::Metrics, &noise(150_000))).await.unwrap();
        }
        let stats = queue.watch().borrow().clone();
        assert_eq!(stats.logs.batches, 1);
        assert!(stats.bytes() <= 1 << 20, "{}", stats.bytes());
        assert_eq!(stats.metrics.items + stats.counters["dropped.metrics.full"], 12);
        assert!(stats.metrics.batches >= 2);
        let too_large = queue.append(batch(Signal::Metrics, &noise(2_000_000))).await;
        assert!(matches!(too_large, Err(AppendError::Full)), "a batch larger than the queue is refused");
    });
}

/// The queued records of the kind, the positions of its files, and nothing else.
#[test]
fn purge_deletes_only_logs_of_that_kind() {
    let dir = tempfile::tempdir().unwrap();
    let opened = open_in(&dir);
    let queue = &opened.queue;
    let apps = NewBatch { consent: Some(LogKind::Applications), ..batch(Signal::Logs, b"app") };
    queue.append_logs(append_request(batch(Signal::Logs, b"platform"), vec![position("a", 1)])).unwrap();
    queue
        .append_logs(append_request(
            apps,
            vec![FileState { kind: LogKind::Applications, index: 8, ..position("b", 1) }],
        ))
        .unwrap();
    let deleted = runtime().block_on(queue.purge(LogKind::Platform)).unwrap();
    assert_eq!(deleted, 2);
    assert_eq!(queue.files().iter().map(|file| file.id.as_str()).collect::<Vec<_>>(), ["b"]);
    let stats = queue.watch().borrow().clone();
    assert_eq!((stats.logs.batches, stats.counters["dropped.logs.withdrawn"], stats.lost_items()), (1, 2, 0));
}

/// The bytes are overwritten in the files, even if other data shares their pages.
#[test]
fn purged_logs_are_erased_from_disk() {
    let dir = tempfile::tempdir().unwrap();
    let opened = open_in(&dir);
    let queue = &opened.queue;
    let secret = noise(3_000);
    queue.append_logs(append_request(batch(Signal::Logs, &secret), vec![])).unwrap();
    runtime().block_on(queue.append(batch(Signal::Metrics, &noise(3_000)))).unwrap();
    // Noise does not compress, so it is stored unchanged, in pieces of a page.
    let holds_secret = || {
        let files = ["queue.db", "queue.db-wal"].map(|name| std::fs::read(dir.path().join(name)).unwrap_or_default());
        files.iter().any(|bytes| bytes.windows(64).any(|window| *window == secret[1000..1064]))
    };
    assert!(holds_secret());
    runtime().block_on(queue.purge(LogKind::Platform)).unwrap();
    assert!(!holds_secret());
}

/// Settings: `queue.max_age`.
#[test]
fn data_older_than_limit_is_dropped_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("queue.db");
    let opened = open(&file);
    runtime().block_on(opened.queue.append(batch(Signal::Traces, b"old"))).unwrap();
    opened.thread.stop();
    let two_hours_ago = jiff::Timestamp::now().as_millisecond() - 2 * 3_600_000;
    rusqlite::Connection::open(&file)
        .unwrap()
        .execute("UPDATE batch SET enqueued_unix_ms = ?1", [two_hours_ago])
        .unwrap();

    let opened = open(&file);
    assert!(runtime().block_on(opened.queue.next(Signal::Traces)).is_some(), "it is within the default limit");
    opened.thread.stop();
    let short = QueueSettings { max_age: Period::from_secs(3600), ..settings("64 MiB") };
    let opened = Queue::open(&file, &short, Compression::Gzip).unwrap();
    assert_eq!(runtime().block_on(opened.queue.next(Signal::Traces)), None);
    assert_eq!(opened.queue.watch().borrow().counters["dropped.traces.too_old"], 2);
}

/// A request that is too large becomes two. A half that is too large, or that cannot be halved, is
/// dropped and counted.
#[test]
fn batch_is_split_at_most_once() {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
    use prost::Message;

    let records = vec![LogRecord::default(), LogRecord { time_unix_nano: 7, ..LogRecord::default() }];
    let scope_logs = vec![ScopeLogs { log_records: records, ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    let request = ExportLogsServiceRequest { resource_logs };

    let dir = tempfile::tempdir().unwrap();
    let opened = open_in(&dir);
    let queue = &opened.queue;
    queue.append_logs(append_request(batch(Signal::Logs, &request.encode_to_vec()), vec![])).unwrap();
    runtime().block_on(async {
        queue.split(queue.next(Signal::Logs).await.unwrap()).await;
        let half = queue.next(Signal::Logs).await.unwrap();
        assert_eq!((half.items, half.split, queue.watch().borrow().logs.batches), (1, true, 2));
        queue.split(half).await;
        let stats = queue.watch().borrow().clone();
        assert_eq!((stats.logs.items, stats.counters["dropped.logs.too_large"]), (1, 1));
        assert_eq!(queue.purge(LogKind::Platform).await.unwrap(), 1, "a half needs the same consent");
    });
}

/// A file that is not a database, and one of a newer format. Both are kept unchanged.
#[test]
fn unusable_file_is_quarantined() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("queue.db");
    std::fs::write(&file, b"this text is not a database; it is longer than the header of a database").unwrap();
    let opened = open(&file);
    let stats = opened.queue.watch().borrow().clone();
    assert_eq!((stats.quarantined.len(), stats.quarantined[0].reason), (1, QuarantineReason::Damaged));
    assert!(std::fs::read(&stats.quarantined[0].path).unwrap().starts_with(b"this text is not a database"));
    assert!(stats.problems[0].contains("moved to"), "{:?}", stats.problems);
    runtime().block_on(opened.queue.append(batch(Signal::Metrics, b"works"))).unwrap();
    opened.thread.stop();

    rusqlite::Connection::open(&file).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(inspect(&file), Err(StoreError::Newer { found: 99, .. })));
    let newer = std::fs::read(&file).unwrap();
    let opened = open(&file);
    let stats = opened.queue.watch().borrow().clone();
    assert_eq!((stats.quarantined.len(), stats.quarantined[1].reason), (2, QuarantineReason::Newer));
    let kept = std::fs::read(&stats.quarantined[1].path).unwrap();
    assert!(kept == newer, "the file is unchanged");
    assert!(stats.problems[0].contains("newer version"), "{:?}", stats.problems);
    assert_eq!(runtime().block_on(opened.queue.next(Signal::Metrics)), None);
    runtime().block_on(opened.queue.append(batch(Signal::Metrics, b"works"))).unwrap();
    assert_eq!(inspect(&file).unwrap().quarantined, stats.quarantined);
}

#[test]
fn queue_file_shrinks_at_shutdown_when_backlog_is_delivered() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("queue.db");
    let opened = open(&file);
    runtime().block_on(async {
        for _ in 0..20 {
            opened.queue.append(batch(Signal::Metrics, &noise(500_000))).await.unwrap();
        }
        while let Some(next) = opened.queue.next(Signal::Metrics).await {
            opened.queue.acknowledge(next.id, 0).await;
        }
    });
    opened.thread.stop();
    let size = std::fs::metadata(&file).unwrap().len();
    assert!(size < 200_000, "{size} bytes are left of 10 MB");
}

/// The command `queue` reads the same figures as the agent publishes.
#[test]
fn queue_file_can_be_inspected_while_agent_uses_it() {
    let dir = tempfile::tempdir().unwrap();
    let opened = open_in(&dir);
    runtime().block_on(opened.queue.append(batch(Signal::Metrics, b"one"))).unwrap();
    let stats = inspect(&dir.path().join("queue.db")).unwrap();
    assert_eq!(stats, *opened.queue.watch().borrow());
    assert_eq!(inspect(&dir.path().join("missing.db")).unwrap(), QueueStats::default());
}

#[test]
fn row_of_unknown_encoding_is_dropped_and_does_not_block_others() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("queue.db");
    let opened = open(&file);
    runtime().block_on(async {
        opened.queue.append(batch(Signal::Metrics, b"strange")).await.unwrap();
        opened.queue.append(batch(Signal::Metrics, b"good")).await.unwrap();
    });
    opened.thread.stop();
    let connection = rusqlite::Connection::open(&file).unwrap();
    connection.execute("UPDATE batch SET encoding = 'brotli' WHERE id = 1", []).unwrap();

    let opened = open(&file);
    let next = runtime().block_on(opened.queue.next(Signal::Metrics)).unwrap();
    assert_eq!(compression::decompress(next.compression, &next.payload, 100).unwrap(), b"good");
    assert_eq!(opened.queue.watch().borrow().counters["dropped.metrics.damaged"], 2);
}
