//! Scenario: an agent is killed, and its queue files are then damaged in every way we can think of.
//! Guarantees: the queue starts and works, delivers only exact copies of what was queued, and
//! accounts for every item.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::sync::LazyLock;
use std::time::Instant;

use proptest::prelude::*;

use super::*;
use crate::pipeline::queue::deferred_write::DeferredWrite;
use crate::pipeline::queue::store::PreparedAppend;

const FILES: [&str; 3] = ["queue.db", "queue.db-wal", "queue.db-shm"];
const RETRY_AFTER: Duration = Duration::from_secs(5);

fn open_store(folder: &Path) -> ResilientStore {
    ResilientStore::open(&folder.join("queue.db"), &QueueSettings::default(), RETRY_AFTER)
}

fn append(disk: &mut ResilientStore, batch: &NewBatch, files: &[FileState]) {
    let stored = rows::StoredBatch::new(batch, Compression::Zstd, 1).unwrap();
    let append = PreparedAppend { batches: &[stored], files, counts: &BTreeMap::new() };
    disk.append(Instant::now(), &[append]).unwrap();
}

fn acknowledge(disk: &mut ResilientStore, row: i64) {
    disk.defer(Instant::now(), DeferredWrite::Acknowledge { row, rejected: 0 });
}

fn acknowledge_next(disk: &mut ResilientStore, signal: Signal) {
    let (row, _) = disk.next(Instant::now(), signal).unwrap().unwrap();
    acknowledge(disk, row);
}

/// What a killed agent leaves: its files, and the payloads that it had queued.
struct KilledAgent {
    files: [Vec<u8>; 3],
    payloads: HashSet<(Signal, Vec<u8>)>,
}

impl KilledAgent {
    fn new(checkpointed: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut disk = open_store(dir.path());
        let mut payloads = HashSet::new();
        for number in 0..40_u64 {
            let signal = Signal::ALL[usize::try_from(number).unwrap() % 3];
            let payload = noise([50, 700, 3_000, 9_000][usize::try_from(number).unwrap() % 4]);
            append(&mut disk, &batch(signal, &payload), &[FileState { index: number % 5, ..position("a", number) }]);
            payloads.insert((signal, payload));
            if number == 25 {
                acknowledge_next(&mut disk, Signal::Metrics);
                acknowledge_next(&mut disk, Signal::Logs);
                if checkpointed {
                    disk.write(Instant::now(), |store| store.checkpoint()).unwrap();
                }
            }
        }
        Self { files: FILES.map(|name| fs::read(dir.path().join(name)).unwrap()), payloads }
    }

    fn write_files(&self, folder: &Path) {
        for (name, bytes) in FILES.iter().zip(&self.files) {
            fs::write(folder.join(name), bytes).unwrap();
        }
    }
}

/// Without and with a checkpoint in the middle.
static KILLED: LazyLock<[KilledAgent; 2]> = LazyLock::new(|| [KilledAgent::new(false), KilledAgent::new(true)]);

#[derive(Debug, Clone)]
enum Damage {
    Flip(u8),
    Zeroes(usize),
    Noise(usize),
    Truncated,
    /// A page is overwritten with another one of the file, as by a write to the wrong place.
    Moved(proptest::sample::Index),
    Gone,
}

fn any_damage() -> impl Strategy<Value = (usize, proptest::sample::Index, Damage)> {
    let kind = prop_oneof![
        4 => (1u8..=255).prop_map(Damage::Flip),
        2 => (1usize..9000).prop_map(Damage::Zeroes),
        2 => (1usize..9000).prop_map(Damage::Noise),
        1 => Just(Damage::Truncated),
        1 => any::<proptest::sample::Index>().prop_map(Damage::Moved),
        1 => Just(Damage::Gone),
    ];
    // Mostly the main file (0). The first page by itself (3), because everything depends on it.
    (prop_oneof![4 => Just(0usize), 2 => Just(1), 1 => Just(2), 2 => Just(3)], any::<proptest::sample::Index>(), kind)
}

/// Applies damage to a file. Returns whether the file must be deleted.
fn apply_damage(files: &mut [Vec<u8>; 3], (which, at, damage): &(usize, proptest::sample::Index, Damage)) -> bool {
    let first_page = *which == 3;
    let bytes = &mut files[which % 3];
    if bytes.is_empty() {
        return false;
    }
    let at = at.index(if first_page { bytes.len().min(4096) } else { bytes.len() });
    let end = bytes.len();
    let range = |length: usize| at..(at + length).min(end);
    match damage {
        Damage::Flip(mask) => bytes[at] ^= mask,
        Damage::Zeroes(length) => bytes[range(*length)].fill(0),
        Damage::Noise(length) => {
            let range = range(*length);
            bytes[range].fill_with(|| fastrand::u8(..));
        }
        Damage::Truncated => bytes.truncate(at),
        Damage::Moved(from) => {
            let (from, to) = (from.index(bytes.len()) / 4096 * 4096, at / 4096 * 4096);
            let page = bytes[from..(from + 4096).min(bytes.len())].to_vec();
            let end = (to + page.len()).min(bytes.len());
            bytes[to..end].copy_from_slice(&page[..end - to]);
        }
        Damage::Gone => return true,
    }
    false
}

fn overwrite_page(file: &Path, page: u64, byte: u8) {
    let mut file = fs::File::options().write(true).open(file).unwrap();
    file.seek(SeekFrom::Start(page * 4096)).unwrap();
    file.write_all(&[byte; 4096]).unwrap();
}

/// Returns, for each signal, the queued items and the items that are delivered, rejected, dropped
/// with a reason, or still queued.
fn balance(stats: &QueueStats) -> Vec<(u64, u64)> {
    let counter = |name: String| stats.counters.get(&name).copied().unwrap_or(0);
    let of = |signal: Signal| {
        let dropped: u64 = DropReason::ALL.iter().map(|r| counter(format!("dropped.{signal}.{}", r.name()))).sum();
        let left = counter(format!("delivered.{signal}")) + counter(format!("rejected.{signal}"));
        (counter(format!("queued.{signal}")), left + dropped + stats.of(signal).items)
    };
    Signal::ALL.into_iter().map(of).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Every item is accounted for, as far as the counters have survived.
    #[test]
    fn queue_works_and_sends_nothing_damaged_when_files_are_damaged(
        checkpointed: bool,
        damages in proptest::collection::vec(any_damage(), 1..4),
    ) {
        let killed = &KILLED[usize::from(checkpointed)];
        let dir = tempfile::tempdir().unwrap();
        let mut files = killed.files.clone();
        let gone: Vec<usize> =
            damages.iter().filter(|damage| apply_damage(&mut files, damage)).map(|damage| damage.0 % 3).collect();
        for (number, (name, bytes)) in FILES.iter().zip(&files).enumerate() {
            if !gone.contains(&number) {
                fs::write(dir.path().join(name), bytes).unwrap();
            }
        }
        let mut disk = open_store(dir.path());
        prop_assert_eq!(disk.retry_at(), None, "{:?}", disk.problems().collect::<Vec<_>>());
        append(&mut disk, &batch(Signal::Metrics, b"fresh"), &[position("b", 1)]);
        let mut fresh = 0;
        for signal in Signal::ALL {
            let mut rows = BTreeSet::new();
            while let Some((row, found)) = disk.next(Instant::now(), signal).unwrap() {
                prop_assert!(rows.insert(row), "a removed batch is handed out again");
                let payload = compression::decompress(found.compression, &found.payload, 1 << 20).unwrap();
                if payload == b"fresh" {
                    fresh += 1;
                } else {
                    prop_assert!(killed.payloads.contains(&(signal, payload)), "it was never queued");
                }
                acknowledge(&mut disk, row);
                prop_assert!(disk.retry_at().is_none());
            }
        }
        // The batch may be in a page whose damage was found afterwards.
        let damaged = disk.stats().counters.get("dropped.metrics.damaged").copied().unwrap_or(0);
        prop_assert!(fresh == 1 || (fresh == 0 && damaged > 0), "{} fresh, {} damaged", fresh, damaged);
        for (queued, accounted) in balance(disk.stats()) {
            prop_assert_eq!(queued, accounted);
        }
        prop_assert_eq!(disk.files().unwrap().iter().filter(|file| file.id == "b").count(), 1);
        while disk.reclaim_space(Instant::now(), RETRY_AFTER) {}
        prop_assert_eq!(disk.stats().batches(), 0);
        disk.close();
        let mut disk = open_store(dir.path());
        for signal in Signal::ALL {
            prop_assert_eq!(disk.next(Instant::now(), signal).unwrap(), None, "everything was delivered");
        }
        prop_assert_eq!(disk.stats().batches(), 0);
    }
}

/// Everything else is delivered, losses are counted exactly, no position of a log file is lost, and
/// the batch ids continue.
#[test]
fn damage_found_while_running_loses_only_damaged_batches() {
    let dir = tempfile::tempdir().unwrap();
    let mut disk = open_store(dir.path());
    let mut payloads = HashSet::new();
    for number in 0..400_u64 {
        let payload = noise(20_000);
        append(&mut disk, &batch(Signal::Logs, &payload), &[FileState { index: number, ..position("a", number) }]);
        payloads.insert(payload);
    }
    disk.write(Instant::now(), |store| store.checkpoint()).unwrap();
    let positions = disk.files().unwrap();
    let file = dir.path().join("queue.db");
    let pages = fs::metadata(&file).unwrap().len() / 4096;
    for part in 1..=8 {
        overwrite_page(&file, pages / 10 * part, 0xA5);
    }

    let mut delivered = 0;
    while let Some((row, found)) = disk.next(Instant::now(), Signal::Logs).unwrap() {
        let payload = compression::decompress(found.compression, &found.payload, 1 << 20).unwrap();
        assert!(payloads.remove(&payload), "each once, and unchanged");
        acknowledge(&mut disk, row);
        delivered += 1;
    }
    assert!((370..400).contains(&delivered), "{delivered}");
    let stats = disk.stats();
    assert_eq!(stats.counters["queued.logs"], 800);
    assert_eq!(stats.counters["delivered.logs"], delivered * 2);
    assert_eq!(stats.counters["dropped.logs.damaged"], 800 - delivered * 2);
    assert_eq!(disk.files().unwrap(), positions);
    disk.close();
    let disk = open_store(dir.path());
    assert_eq!(disk.files().unwrap(), positions, "on disk too");
}

/// Including the first page, on which everything depends: the queue starts, delivers what is
/// readable, and accounts for the rest.
#[test]
fn queue_recovers_when_any_single_page_is_damaged() {
    /// 26 were queued before the checkpoint, 2 of them were removed, and one is added now.
    const ALL: usize = 25;
    let killed = &KILLED[1];
    let pages = killed.files[0].len() / 4096;
    let mut heavy_losses = 0;
    for page in 0..pages {
        let dir = tempfile::tempdir().unwrap();
        killed.write_files(dir.path());
        // Without the write-ahead log, which contains newer copies of most pages.
        fs::remove_file(dir.path().join("queue.db-wal")).unwrap();
        overwrite_page(&dir.path().join("queue.db"), page as u64, 0);
        let mut disk = open_store(dir.path());
        append(&mut disk, &batch(Signal::Metrics, b"fresh"), &[]);
        let mut delivered = 0;
        for signal in Signal::ALL {
            while let Some((row, _)) = disk.next(Instant::now(), signal).unwrap() {
                acknowledge(&mut disk, row);
                delivered += 1;
            }
        }
        let balance = balance(disk.stats());
        assert!(balance.iter().all(|(queued, accounted)| queued == accounted), "page {page}: {balance:?}");
        heavy_losses += usize::from(delivered < ALL - 6);
        if page == 0 {
            assert_eq!(delivered, ALL, "the first page is the same in all files");
        }
    }
    assert_eq!(heavy_losses, 1, "only the root page of the batches loses many; any other page loses a few");
}
