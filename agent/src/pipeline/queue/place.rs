//! The place of the queue's file, made ready before SQLite comes there.

use std::fs;
use std::path::Path;

use super::StoreError;
use super::aside::beside;
use super::salvage;

/// Makes a file ready to be opened: ends a replacement that was broken off, takes a write protection away.
///
/// # Errors
/// [`StoreError::Damaged`] if something that is no queue lies in its place.
pub(super) fn prepare(file: &Path, now_unix_ms: i64) -> Result<(), StoreError> {
    salvage::finish(file, now_unix_ms)?;
    let wal = beside(file, "-wal");
    let length = |path: &Path| fs::metadata(path).map_or(0, |found| found.len());
    if file.is_dir() {
        return Err(StoreError::Damaged("a folder lies in its place"));
    }
    for path in [&wal, &beside(file, "-shm")] {
        if path.is_dir() {
            let aside = beside(path, &format!(".damaged-{now_unix_ms}"));
            fs::rename(path, &aside)?;
            tracing::warn!(aside = %aside.display(), "a folder lay in the place of a file of the queue");
        }
        make_writable(path);
    }
    make_writable(file);
    if length(file) == 0 && length(&wal) > 0 {
        // SQLite would delete the write-ahead log.
        return Err(StoreError::Damaged("only its write-ahead log is there"));
    }
    Ok(())
}

/// A file of ours that came to be write-protected, as by a backup. Where it cannot be changed, opening says so.
fn make_writable(file: &Path) {
    let Ok(found) = fs::metadata(file) else { return };
    let mut permissions = found.permissions();
    if permissions.readonly() {
        #[cfg(unix)]
        std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o600);
        // Elsewhere this lets nobody write but the owner: access lists decide on Windows.
        #[cfg(not(unix))]
        #[allow(clippy::permissions_set_readonly_false)]
        permissions.set_readonly(false);
        if let Err(error) = fs::set_permissions(file, permissions) {
            tracing::warn!(%error, "the write protection of the queue's file could not be taken away");
        }
    }
}
