//! Scenario: queue files are quarantined again and again.
//! Guarantees: the limits on number, size and age hold, and no quarantined file is overwritten.

use super::*;

const DAY: Duration = Duration::from_hours(24);
const DAY_MS: i64 = 24 * 3_600_000;

fn quarantine_on_day(file: &Path, day: i64, bytes: usize) -> PathBuf {
    fs::write(file, vec![1; bytes]).unwrap();
    fs::write(with_suffix(file, "-wal"), vec![1; bytes]).unwrap();
    fs::write(with_suffix(file, "-shm"), "index").unwrap();
    quarantine(file, QuarantineReason::Damaged, day * DAY_MS).unwrap()
}

/// Each limit is checked by itself. Other files in the folder stay.
#[test]
fn quarantine_is_pruned_when_number_size_or_age_exceeds_limit() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("queue.db");
    let days = || list(&file).iter().map(|kept| kept.at_unix_ms / DAY_MS).collect::<Vec<_>>();
    for day in 1..=5 {
        quarantine_on_day(&file, day, 1000);
    }
    for other in ["queue.db.damaged-x", "queue.db.old-1", "queue.dbdamaged-1", "settings.json"] {
        fs::write(dir.path().join(other), "").unwrap();
    }
    assert_eq!(prune(&file, 1 << 20, 100 * DAY, 6 * DAY_MS), 2);
    assert_eq!(days(), [3, 4, 5]);
    assert_eq!(list(&file)[0].bytes, 2000, "with its write-ahead log");
    assert_eq!(prune(&file, 4000, 100 * DAY, 6 * DAY_MS), 1);
    assert_eq!(days(), [4, 5]);
    assert_eq!(prune(&file, 1, 100 * DAY, 6 * DAY_MS), 1, "the newest stays, whatever its size");
    assert_eq!(prune(&file, 1, 2 * DAY, 8 * DAY_MS), 1, "until it reaches the age limit");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 4);
}

/// Two files of the same time, and a write-ahead log without its database.
#[test]
fn quarantined_file_is_not_overwritten_when_names_collide() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("queue.db");
    let first = quarantine_on_day(&file, 1, 10);
    fs::write(with_suffix(&file, "-wal"), "alone").unwrap();
    let second = quarantine(&file, QuarantineReason::Damaged, DAY_MS).unwrap();
    let third = quarantine_on_day(&file, 1, 20);
    assert_eq!(list(&file).len(), 3);
    assert_eq!((fs::read(first).unwrap().len(), fs::read(third).unwrap().len()), (10, 20));
    assert_eq!(fs::read_to_string(with_suffix(&second, "-wal")).unwrap(), "alone");
    assert_eq!(remove_all(&file).unwrap(), 3);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}
