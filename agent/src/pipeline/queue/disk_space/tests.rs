//! Scenario: the disk of the queue runs low, is small, or does not report its free space.
//! Guarantees: the reserve is respected, and free space is read rarely.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

fn disk_space(reserve: u64, total: u64) -> (DiskSpace, Arc<AtomicU64>, Arc<AtomicU64>) {
    let (available, probes) = (Arc::new(AtomicU64::new(total)), Arc::new(AtomicU64::new(0)));
    let (read, count) = (Arc::clone(&available), Arc::clone(&probes));
    let probe = move || {
        count.fetch_add(1, Ordering::Relaxed);
        Ok(FreeSpace { available: read.load(Ordering::Relaxed), total })
    };
    (DiskSpace::new(Box::new(probe), reserve), available, probes)
}

#[test]
fn free_space_is_read_every_ten_seconds_at_most() {
    let (mut space, available, probes) = disk_space(1000, 1_000_000);
    let started = Instant::now();
    assert!(!space.is_low(started));
    available.store(999, Ordering::Relaxed);
    assert!(!space.is_low(started + Duration::from_secs(9)));
    assert!(space.is_low(started + Duration::from_secs(10)));
    assert!(space.problem().unwrap().contains("Only 999 B are free"), "{:?}", space.problem());
    available.store(1000, Ordering::Relaxed);
    assert!(!space.is_low(started + Duration::from_secs(20)));
    assert_eq!((space.problem(), probes.load(Ordering::Relaxed)), (None, 3));
}

#[test]
fn reserve_is_a_tenth_when_volume_is_small() {
    let (mut space, available, _) = disk_space(1 << 30, 1 << 20);
    available.store(105_000, Ordering::Relaxed);
    assert!(!space.is_low(Instant::now()));
    available.store(104_000, Ordering::Relaxed);
    assert!(space.is_low(Instant::now() + PROBE_INTERVAL));
}

#[test]
fn space_is_sufficient_when_unknown_or_reserve_is_zero() {
    let mut unknown = DiskSpace::new(Box::new(|| Err(io::ErrorKind::Unsupported.into())), 1000);
    assert!(!unknown.is_low(Instant::now()));
    let (mut off, available, probes) = disk_space(0, 1 << 20);
    available.store(0, Ordering::Relaxed);
    assert!(!off.is_low(Instant::now()));
    assert_eq!(probes.load(Ordering::Relaxed), 0);
}

/// Reads the real figures of a real folder.
#[test]
fn volume_probe_reports_free_space_of_real_folder() {
    let dir = tempfile::tempdir().unwrap();
    let space = volume_probe(&dir.path().join("queue.db"))().unwrap();
    assert!(space.total > 0 && space.available <= space.total, "{space:?}");
}
