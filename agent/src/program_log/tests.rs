//! Scenario: a program that logs far more than the limit.

use std::io::Write;

use super::*;

/// Guarantees: the folder never holds more than its maximum number and size of files.
#[test]
fn log_folder_stays_below_its_limit() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = Tee { file: Some(rotating(&dir.path().join("agent.log"))), also_stderr: false };
    let line = "a line of the program's log, which is of no interest\n".repeat(2000);
    for _ in 0..100 {
        log.write_all(line.as_bytes()).unwrap();
    }
    let files: Vec<u64> =
        std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).collect();
    assert!(files.len() <= MAX_OLD_FILES + 1, "{files:?}");
    let total: u64 = files.iter().sum();
    let written = 100 * line.len() as u64;
    let limit = ((MAX_OLD_FILES + 1) * (MAX_FILE_BYTES + line.len())) as u64;
    assert!(total <= limit && limit < written, "{total} bytes are left of {written}");
}
