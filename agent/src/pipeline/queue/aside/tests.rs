use super::*;

const DAY: Duration = Duration::from_hours(24);
const DAY_MS: i64 = 24 * 3_600_000;

fn put_aside(file: &Path, day: i64, bytes: usize) -> PathBuf {
    fs::write(file, vec![1; bytes]).unwrap();
    fs::write(beside(file, "-wal"), vec![1; bytes]).unwrap();
    fs::write(beside(file, "-shm"), "index").unwrap();
    set_aside(file, AsideReason::Damaged, day * DAY_MS).unwrap()
}

/// The limits of number, bytes and age, each by itself; other files of the folder are left alone.
#[test]
fn what_is_set_aside_is_limited() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("queue.db");
    let days = || list(&file).iter().map(|aside| aside.at_unix_ms / DAY_MS).collect::<Vec<_>>();
    for day in 1..=5 {
        put_aside(&file, day, 1000);
    }
    for other in ["queue.db.damaged-x", "queue.db.old-1", "queue.dbdamaged-1", "settings.json"] {
        fs::write(dir.path().join(other), "").unwrap();
    }
    assert_eq!(prune(&file, 1 << 20, 100 * DAY, 6 * DAY_MS), 2);
    assert_eq!(days(), [3, 4, 5]);
    assert_eq!(list(&file)[0].bytes, 2000, "with its write-ahead log");
    assert_eq!(prune(&file, 4000, 100 * DAY, 6 * DAY_MS), 1);
    assert_eq!(days(), [4, 5]);
    assert_eq!(prune(&file, 1, 100 * DAY, 6 * DAY_MS), 1, "the newest stays, however large");
    assert_eq!(prune(&file, 1, 2 * DAY, 8 * DAY_MS), 1, "until it is too old");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 4);
}

/// Two at the same time, and a write-ahead log without its file, do not overwrite what lies there.
#[test]
fn nothing_that_was_set_aside_is_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("queue.db");
    let first = put_aside(&file, 1, 10);
    fs::write(beside(&file, "-wal"), "alone").unwrap();
    let second = set_aside(&file, AsideReason::Damaged, DAY_MS).unwrap();
    let third = put_aside(&file, 1, 20);
    assert_eq!(list(&file).len(), 3);
    assert_eq!((fs::read(first).unwrap().len(), fs::read(third).unwrap().len()), (10, 20));
    assert_eq!(fs::read_to_string(beside(&second, "-wal")).unwrap(), "alone");
    assert_eq!(remove_all(&file).unwrap(), 3);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}
