use std::io::Write;

use super::*;

/// However much is logged, the folder holds no more than the files that are kept.
#[test]
fn the_log_never_grows_over_its_limit() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = Tee { file: Some(rotating(&dir.path().join("agent.log"))), also_stderr: false };
    let line = "a line of the program's log, which is of no interest\n".repeat(2000);
    for _ in 0..100 {
        log.write_all(line.as_bytes()).unwrap();
    }
    let files: Vec<u64> =
        std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).collect();
    assert!(files.len() <= FILES + 1, "{files:?}");
    let total: u64 = files.iter().sum();
    let written = 100 * line.len() as u64;
    let limit = ((FILES + 1) * (FILE_BYTES + line.len())) as u64;
    assert!(total <= limit && limit < written, "{total} bytes are left of {written}");
}
