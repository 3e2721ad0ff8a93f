//! Scenario: crash dumps appear in the folders that io.Connect documents.

use super::*;

/// Guarantees: a new dump is counted once in every documented folder, also after it was moved, and
/// dumps that existed before are not counted.
#[test]
fn new_dump_in_documented_folder_is_counted_once() {
    let root = tempfile::tempdir().unwrap();
    let folder = |name: &str| root.path().join("DEMO-INTEROP.IO").join(name);
    let folders =
        ["crashes", "crashes/reports", "crashes/sent", "logs/crashes", "logs/crashes/reports", "logs/crashes/sent"];
    for name in folders {
        std::fs::create_dir_all(folder(name)).unwrap();
    }
    std::fs::write(folder("crashes/old.dmp"), "").unwrap();
    let mut crash_dumps = CrashDumps::new(vec![root.path().to_owned()]);
    assert_eq!(crash_dumps.count_new(), 0);
    for (index, name) in folders.iter().enumerate() {
        std::fs::write(folder(name).join(format!("{index}.DMP")), "").unwrap();
        std::fs::write(folder(name).join(format!("{index}.txt")), "").unwrap();
        assert_eq!(crash_dumps.count_new(), 1, "{name}");
    }
    std::fs::rename(folder("crashes/reports/1.DMP"), folder("crashes/sent/1.DMP")).unwrap();
    assert_eq!(crash_dumps.count_new(), 0, "a moved dump is the same dump");
}
