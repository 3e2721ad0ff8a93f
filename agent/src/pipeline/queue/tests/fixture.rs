//! Scenario: a user updates from the version before the rewrite of the names (commit b1cd424).
//! Guarantees: a queue file written by that version opens with everything in it.
//!
//! `testdata/queue-b1cd424.db.gz` was written once by the queue code of that commit, through its
//! public interface, and must never be written again. Before the first entry below, that agent had
//! quarantined a foreign file (`set_aside`), lost a batch to each drop reason, delivered a batch in
//! part, split a batch, and deleted logs after a withdrawal of consent.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use super::*;
use crate::pipeline::queue::rows::StoredBatch;

const FIXTURE: &[u8] = include_bytes!("../../../../testdata/queue-b1cd424.db.gz");

/// Writes a copy of the fixture.
fn write_fixture(folder: &Path) -> std::path::PathBuf {
    let mut database = Vec::new();
    flate2::read::GzDecoder::new(FIXTURE).read_to_end(&mut database).unwrap();
    let file = folder.join("queue.db");
    std::fs::write(&file, database).unwrap();
    file
}

fn expected_counters() -> BTreeMap<String, u64> {
    [
        ("begun_anew.logs", 2),
        ("cut.logs", 1),
        ("delivered.metrics", 6),
        ("dropped.logs.filtered", 3),
        ("dropped.logs.rate_limited", 5),
        ("dropped.logs.sampled", 4),
        ("dropped.logs.withdrawn", 9),
        ("dropped.metrics.disk_full", 6),
        ("dropped.traces.damaged", 6),
        ("dropped.traces.disk_full", 3),
        ("dropped.traces.full", 2),
        ("dropped.traces.refused", 4),
        ("dropped.traces.too_large", 5),
        ("dropped.traces.too_old", 1),
        ("dropped.traces.withdrawn", 7),
        ("queued.logs", 94),
        ("queued.metrics", 49),
        ("queued.traces", 80),
        ("read.logs", 1061),
        ("rejected.metrics", 4),
        ("set_aside", 1),
        ("set_aside.removed", 1),
    ]
    .map(|(name, number)| (name.to_owned(), number))
    .into()
}

fn expected_file(kind: LogKind, volume: u64, index: u64, position: u64, seen_header: bool) -> FileState {
    FileState {
        kind,
        id: format!("{index:016x}"),
        path: format!("C:\\Users\\Zoë\\logs\\{}-{index}.log", kind.name()),
        volume,
        index,
        fingerprint: b"[2026-11-28T".to_vec(),
        guard: vec![0xff, 0x00, b'\n'],
        position,
        seen_header,
    }
}

/// Consent, items, time of the oldest item, compression, whether it is a half, and the payload;
/// none for the halves, whose payload is checked elsewhere.
type Expected = (Option<LogKind>, u32, i64, Compression, bool, Option<Vec<u8>>);

fn expected_batches(signal: Signal) -> Vec<Expected> {
    use Compression::{Gzip, Zstd};
    let (platform, apps) = (Some(LogKind::Platform), Some(LogKind::Applications));
    let text = |text: &str| Some(text.as_bytes().to_vec());
    match signal {
        Signal::Metrics => (0..3_u8)
            .map(|number| {
                (None, 10 + u32::from(number), 1_000 + i64::from(number), Gzip, false, Some(vec![b'm', number]))
            })
            .collect(),
        Signal::Traces => vec![
            (None, 20, 2_000, Gzip, false, text("spans of an app")),
            (None, 32, i64::MAX - 5, Zstd, false, text("zstd spans")),
        ],
        Signal::Logs => vec![
            (platform, 1, 100, Gzip, true, None),
            (platform, 1, 100, Gzip, true, None),
            (apps, 21, 2_100, Gzip, false, text("records of an app")),
            (None, 1, 2_200, Gzip, false, text("an event")),
            (platform, 30, 3_000, Zstd, false, Some(vec![b'p'; 9_000])),
            (apps, 31, 3_100, Zstd, false, text("Größe €")),
        ],
    }
}

fn describe(batch: &StoredBatch) -> Expected {
    let payload = compression::decompress(batch.compression, &batch.payload, 1 << 20).unwrap();
    assert_eq!(batch.uncompressed_bytes, payload.len() as u64);
    assert_eq!(batch.newest_unix_nano, batch.oldest_unix_nano + 5);
    assert!(batch.enqueued_unix_ms > 1_790_000_000_000);
    let payload = (!batch.split).then_some(payload);
    (batch.consent, batch.items, batch.oldest_unix_nano, batch.compression, batch.split, payload)
}

#[test]
fn queue_file_of_b1cd424_opens_with_all_batches_positions_and_counters() {
    let dir = tempfile::tempdir().unwrap();
    let file = write_fixture(dir.path());
    assert_eq!(inspect(&file).unwrap().counters, expected_counters());

    let mut store = Store::open(&file).unwrap();
    assert_eq!(store.stats().counters, expected_counters());
    let files: Vec<FileState> = store.files().unwrap().into_values().collect();
    assert_eq!(
        files,
        [
            expected_file(LogKind::Platform, 0, 0, 0, false),
            expected_file(LogKind::Applications, 0xfeed, u64::MAX, 4_711, true),
            expected_file(LogKind::Platform, u64::MAX, 7, u64::from(u32::MAX) + 1, true),
        ]
    );
    for signal in Signal::ALL {
        let mut batches = Vec::new();
        let mut last = 0;
        while let Some((id, batch)) = store.next(signal, last, &BTreeSet::new()).unwrap() {
            batches.push(describe(&batch));
            last = id;
        }
        assert_eq!(batches, expected_batches(signal), "{signal}");
        assert_eq!(store.stats().of(signal).batches, batches.len() as u64);
    }
    assert_eq!(store.stats().counters, expected_counters(), "reading changed nothing");
}

/// The file also works in the running queue: everything can be delivered, and new batches follow.
#[test]
fn queue_file_of_b1cd424_can_be_delivered_and_continued() {
    let dir = tempfile::tempdir().unwrap();
    let file = write_fixture(dir.path());
    // The fixture grows older than any limit that a setting has by default.
    let no_age_limit = QueueSettings { max_age: Period::from_secs(3_000_000_000), ..settings("64 MiB") };
    let opened = Queue::open(&file, &no_age_limit, Compression::Gzip).unwrap();
    let queue = &opened.queue;
    assert_eq!(queue.files().len(), 3);
    runtime().block_on(async {
        queue.append(batch(Signal::Traces, b"new")).await.unwrap();
        for (signal, expected) in [(Signal::Metrics, 3), (Signal::Traces, 3), (Signal::Logs, 6)] {
            let mut delivered = 0;
            while let Some(next) = queue.next(signal).await {
                queue.acknowledge(next.id, 0).await;
                delivered += 1;
            }
            assert_eq!(delivered, expected, "{signal}");
        }
    });
    let stats = queue.watch().borrow().clone();
    assert_eq!((stats.batches(), stats.problems, stats.quarantined), (0, Vec::new(), Vec::new()));
    assert_eq!((stats.counters["delivered.logs"], stats.counters["delivered.traces"]), (85, 54));
}
