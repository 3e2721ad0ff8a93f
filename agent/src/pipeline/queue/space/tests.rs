use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

fn space(reserve: u64, total: u64) -> (Space, Arc<AtomicU64>, Arc<AtomicU64>) {
    let (available, looks) = (Arc::new(AtomicU64::new(total)), Arc::new(AtomicU64::new(0)));
    let (read, count) = (Arc::clone(&available), Arc::clone(&looks));
    let probe = move || {
        count.fetch_add(1, Ordering::Relaxed);
        Ok(Room { available: read.load(Ordering::Relaxed), total })
    };
    (Space::new(Box::new(probe), reserve), available, looks)
}

/// Free space is read at most every ten seconds, and the answer of then holds until the next time.
#[test]
fn free_space_is_not_read_for_every_batch() {
    let (mut space, available, looks) = space(1000, 1_000_000);
    let begun = Instant::now();
    assert!(!space.is_short(begun));
    available.store(999, Ordering::Relaxed);
    assert!(!space.is_short(begun + Duration::from_secs(9)));
    assert!(space.is_short(begun + Duration::from_secs(10)));
    assert!(space.problem().unwrap().contains("Only 999 B are free"), "{:?}", space.problem());
    available.store(1000, Ordering::Relaxed);
    assert!(!space.is_short(begun + Duration::from_secs(20)));
    assert_eq!((space.problem(), looks.load(Ordering::Relaxed)), (None, 3));
}

#[test]
fn on_a_small_volume_the_reserve_is_a_tenth() {
    let (mut space, available, _) = space(1 << 30, 1 << 20);
    available.store(105_000, Ordering::Relaxed);
    assert!(!space.is_short(Instant::now()));
    available.store(104_000, Ordering::Relaxed);
    assert!(space.is_short(Instant::now() + LOOK));
}

/// Where the system tells nothing, or nothing is to be left, there is room.
#[test]
fn without_a_figure_there_is_room() {
    let mut unknown = Space::new(Box::new(|| Err(io::ErrorKind::Unsupported.into())), 1000);
    assert!(!unknown.is_short(Instant::now()));
    let (mut off, available, looks) = space(0, 1 << 20);
    available.store(0, Ordering::Relaxed);
    assert!(!off.is_short(Instant::now()));
    assert_eq!(looks.load(Ordering::Relaxed), 0);
}

/// The real figures of a real folder.
#[test]
fn the_system_tells_how_much_is_free() {
    let dir = tempfile::tempdir().unwrap();
    let room = of_volume(&dir.path().join("queue.db"))().unwrap();
    assert!(room.total > 0 && room.available <= room.total, "{room:?}");
}
