//! Files with damage in them, made by real writers that were stopped dead.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::sync::LazyLock;
use std::time::Instant;

use proptest::prelude::*;

use super::*;
use crate::pipeline::queue::disk::Owed;
use crate::pipeline::queue::store::Entry;

const FILES: [&str; 3] = ["queue.db", "queue.db-wal", "queue.db-shm"];
const PAUSE: Duration = Duration::from_secs(5);

fn disk(folder: &Path) -> Disk {
    Disk::open(&folder.join("queue.db"), &QueueSettings::default(), PAUSE)
}

fn put(disk: &mut Disk, batch: &NewBatch, files: &[FileState]) {
    let stored = rows::StoredBatch::new(batch, Compression::Zstd, 1).unwrap();
    let entry = Entry { batches: &[stored], files, counts: &BTreeMap::new() };
    disk.append(Instant::now(), &[entry]).unwrap();
}

fn acknowledge_one(disk: &mut Disk, signal: Signal) {
    let (row, _) = disk.next(Instant::now(), signal).unwrap().unwrap();
    disk.owe(Instant::now(), Owed::Acknowledge { row, rejected: 0 });
}

/// What a writer has left that was stopped dead: its files, and everything that it had put in.
struct Left {
    files: [Vec<u8>; 3],
    payloads: HashSet<(Signal, Vec<u8>)>,
}

impl Left {
    fn new(checkpointed: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut disk = disk(dir.path());
        let mut payloads = HashSet::new();
        for number in 0..40_u64 {
            let signal = Signal::ALL[usize::try_from(number).unwrap() % 3];
            let payload = noise([50, 700, 3_000, 9_000][usize::try_from(number).unwrap() % 4]);
            put(&mut disk, &batch(signal, &payload), &[FileState { index: number % 5, ..position("a", number) }]);
            payloads.insert((signal, payload));
            if number == 25 {
                acknowledge_one(&mut disk, Signal::Metrics);
                acknowledge_one(&mut disk, Signal::Logs);
                if checkpointed {
                    disk.write(Instant::now(), |store| store.checkpoint()).unwrap();
                }
            }
        }
        Self { files: FILES.map(|name| fs::read(dir.path().join(name)).unwrap()), payloads }
    }

    fn lay_out(&self, folder: &Path) {
        for (name, bytes) in FILES.iter().zip(&self.files) {
            fs::write(folder.join(name), bytes).unwrap();
        }
    }
}

static LEFT: LazyLock<[Left; 2]> = LazyLock::new(|| [Left::new(false), Left::new(true)]);

#[derive(Debug, Clone)]
enum Blow {
    Flip(u8),
    Zeroes(usize),
    Noise(usize),
    Truncated,
    /// A page from elsewhere in the file, as of a write to the wrong place.
    Moved(proptest::sample::Index),
    Gone,
}

fn blow() -> impl Strategy<Value = (usize, proptest::sample::Index, Blow)> {
    let kind = prop_oneof![
        4 => (1u8..=255).prop_map(Blow::Flip),
        2 => (1usize..9000).prop_map(Blow::Zeroes),
        2 => (1usize..9000).prop_map(Blow::Noise),
        1 => Just(Blow::Truncated),
        1 => any::<proptest::sample::Index>().prop_map(Blow::Moved),
        1 => Just(Blow::Gone),
    ];
    // Mostly the main file; the first page by itself, for everything hangs on it.
    (prop_oneof![4 => Just(0usize), 2 => Just(1), 1 => Just(2), 2 => Just(3)], any::<proptest::sample::Index>(), kind)
}

fn strike(files: &mut [Vec<u8>; 3], (which, at, blow): &(usize, proptest::sample::Index, Blow)) -> bool {
    let first_page = *which == 3;
    let bytes = &mut files[which % 3];
    if bytes.is_empty() {
        return false;
    }
    let at = at.index(if first_page { bytes.len().min(4096) } else { bytes.len() });
    let end = bytes.len();
    let reach = |length: usize| at..(at + length).min(end);
    match blow {
        Blow::Flip(mask) => bytes[at] ^= mask,
        Blow::Zeroes(length) => bytes[reach(*length)].fill(0),
        Blow::Noise(length) => {
            let range = reach(*length);
            bytes[range].fill_with(|| fastrand::u8(..));
        }
        Blow::Truncated => bytes.truncate(at),
        Blow::Moved(from) => {
            let (from, to) = (from.index(bytes.len()) / 4096 * 4096, at / 4096 * 4096);
            let page = bytes[from..(from + 4096).min(bytes.len())].to_vec();
            let end = (to + page.len()).min(bytes.len());
            bytes[to..end].copy_from_slice(&page[..end - to]);
        }
        Blow::Gone => return true,
    }
    false
}

fn overwrite_page(file: &Path, page: u64, byte: u8) {
    let mut file = fs::File::options().write(true).open(file).unwrap();
    file.seek(SeekFrom::Start(page * 4096)).unwrap();
    file.write_all(&[byte; 4096]).unwrap();
}

/// Each item that was put in is delivered, dropped with a reason, or waits.
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

    /// Whatever happens to the files of a killed agent: the queue starts and works, what it delivers is byte for byte what
    /// was put in, and every item is accounted for as far as the counters have survived.
    #[test]
    fn damage_never_stops_the_queue_nor_gets_out_of_it(
        checkpointed: bool,
        blows in proptest::collection::vec(blow(), 1..4),
    ) {
        let left = &LEFT[usize::from(checkpointed)];
        let dir = tempfile::tempdir().unwrap();
        let mut files = left.files.clone();
        let gone: Vec<usize> = blows.iter().filter(|blow| strike(&mut files, blow)).map(|blow| blow.0 % 3).collect();
        for (number, (name, bytes)) in FILES.iter().zip(&files).enumerate() {
            if !gone.contains(&number) {
                fs::write(dir.path().join(name), bytes).unwrap();
            }
        }
        let mut disk = disk(dir.path());
        prop_assert_eq!(disk.retry_at(), None, "{:?}", disk.problems().collect::<Vec<_>>());
        put(&mut disk, &batch(Signal::Metrics, b"fresh"), &[position("b", 1)]);
        let mut fresh = 0;
        for signal in Signal::ALL {
            let mut rows = BTreeSet::new();
            while let Some((row, found)) = disk.next(Instant::now(), signal).unwrap() {
                prop_assert!(rows.insert(row), "a batch that was taken out comes again");
                let payload = compression::decompress(found.compression, &found.payload, 1 << 20).unwrap();
                if payload == b"fresh" {
                    fresh += 1;
                } else {
                    prop_assert!(left.payloads.contains(&(signal, payload)), "it was never put in");
                }
                disk.owe(Instant::now(), Owed::Acknowledge { row, rejected: 0 });
                prop_assert!(disk.retry_at().is_none());
            }
        }
        // It may have been put into a page whose damage came to light afterwards.
        let damaged = disk.stats().counters.get("dropped.metrics.damaged").copied().unwrap_or(0);
        prop_assert!(fresh == 1 || (fresh == 0 && damaged > 0), "{} fresh, {} damaged", fresh, damaged);
        for (put_in, accounted) in balance(disk.stats()) {
            prop_assert_eq!(put_in, accounted);
        }
        prop_assert_eq!(disk.files().unwrap().iter().filter(|file| file.id == "b").count(), 1);
        while disk.tidy(Instant::now(), PAUSE) {}
        prop_assert_eq!(disk.stats().batches(), 0);
        disk.close();
        let mut disk = self::disk(dir.path());
        for signal in Signal::ALL {
            prop_assert_eq!(disk.next(Instant::now(), signal).unwrap(), None, "all has been delivered");
        }
        prop_assert_eq!(disk.stats().batches(), 0);
    }
}

/// Damage that comes to light while the agent runs: all that is not damaged is delivered, the rest is counted exactly, no
/// position of a log file is lost, and numbering goes on.
#[test]
fn damage_found_while_running_loses_only_what_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let mut disk = disk(dir.path());
    let mut payloads = HashSet::new();
    for number in 0..400_u64 {
        let payload = noise(20_000);
        put(&mut disk, &batch(Signal::Logs, &payload), &[FileState { index: number, ..position("a", number) }]);
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
        assert!(payloads.remove(&payload), "each once, and as it was");
        disk.owe(Instant::now(), Owed::Acknowledge { row, rejected: 0 });
        delivered += 1;
    }
    assert!((370..400).contains(&delivered), "{delivered}");
    let stats = disk.stats();
    assert_eq!(stats.counters["queued.logs"], 800);
    assert_eq!(stats.counters["delivered.logs"], delivered * 2);
    assert_eq!(stats.counters["dropped.logs.damaged"], 800 - delivered * 2);
    assert_eq!(disk.files().unwrap(), positions);
    disk.close();
    let disk = self::disk(dir.path());
    assert_eq!(disk.files().unwrap(), positions, "on disk too");
}

/// Any page of a file can be gone, the first one too, on which everything hangs: the queue starts, delivers what can be
/// read, and accounts for the rest.
#[test]
fn every_single_page_can_be_damaged() {
    /// 26 had been put in before the checkpoint, 2 of them taken out, and one is put in now.
    const ALL: usize = 25;
    let left = &LEFT[1];
    let pages = left.files[0].len() / 4096;
    let mut spoilt = 0;
    for page in 0..pages {
        let dir = tempfile::tempdir().unwrap();
        left.lay_out(dir.path());
        // Without the write-ahead log, which holds newer copies of most pages.
        fs::remove_file(dir.path().join("queue.db-wal")).unwrap();
        overwrite_page(&dir.path().join("queue.db"), page as u64, 0);
        let mut disk = disk(dir.path());
        put(&mut disk, &batch(Signal::Metrics, b"fresh"), &[]);
        let mut delivered = 0;
        for signal in Signal::ALL {
            while let Some((row, _)) = disk.next(Instant::now(), signal).unwrap() {
                disk.owe(Instant::now(), Owed::Acknowledge { row, rejected: 0 });
                delivered += 1;
            }
        }
        let balance = balance(disk.stats());
        assert!(balance.iter().all(|(put_in, accounted)| put_in == accounted), "page {page}: {balance:?}");
        spoilt += usize::from(delivered < ALL - 6);
        if page == 0 {
            assert_eq!(delivered, ALL, "the first page is the same in all files");
        }
    }
    assert_eq!(spoilt, 1, "only without the page above all batches are they lost; another holds a few at most");
}
