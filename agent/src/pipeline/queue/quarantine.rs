//! Quarantine: queue files that could not be used are kept under another name, within limits.
//!
//! A file `queue.db` becomes `queue.db.damaged-<time>` or `queue.db.newer-<time>`, with the time in
//! Unix milliseconds. Its write-ahead log gets the same name followed by `-wal`. Quarantined files
//! may contain log records, so the rules for queued records apply to them too: they are removed
//! when consent is withdrawn and when they reach the age limit. Limits on number and size also
//! apply. Nothing else removes them.

#[cfg(test)]
mod tests;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::paths::remove_if_exists;

/// Maximum number of quarantined files; the oldest are removed first. Without it, a disk that keeps
/// damaging files would fill up.
const MAX_FILES: usize = 3;

/// Suffixes of the files that SQLite keeps beside a database.
const SIDE_FILE_SUFFIXES: [&str; 2] = ["-wal", "-shm"];

/// A queue file that could not be used and was moved to another name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantinedFile {
    /// Current path.
    pub path: PathBuf,
    /// Why the file could not be used.
    pub reason: QuarantineReason,
    /// When the file was quarantined.
    pub at_unix_ms: i64,
    /// Size, including the write-ahead log.
    pub bytes: u64,
}

/// Why a queue file could not be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuarantineReason {
    /// The file is damaged, or is not a queue.
    Damaged,
    /// The file was written by a newer agent.
    Newer,
}

impl QuarantineReason {
    pub(super) const ALL: [Self; 2] = [Self::Damaged, Self::Newer];

    /// Returns a phrase for the status output.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::Damaged => "a damaged queue file was quarantined",
            Self::Newer => "a queue file of a newer version was quarantined",
        }
    }

    /// Returns the word used in the name of a quarantined file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Damaged => "damaged",
            Self::Newer => "newer",
        }
    }
}

/// Returns the path with a suffix appended to the file name.
pub(super) fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Prepares the path of the queue file for SQLite: moves folders out of the way and removes write
/// protection.
///
/// # Errors
/// [`StoreError::Damaged`] if something that is not a queue is at the path.
pub(super) fn prepare_path(file: &Path, now_unix_ms: i64) -> Result<(), StoreError> {
    let wal = with_suffix(file, "-wal");
    let length = |path: &Path| fs::metadata(path).map_or(0, |found| found.len());
    if file.is_dir() {
        return Err(StoreError::Damaged("a folder is in its place"));
    }
    for path in [&wal, &with_suffix(file, "-shm")] {
        if path.is_dir() {
            let moved_to = with_suffix(path, &format!(".damaged-{now_unix_ms}"));
            fs::rename(path, &moved_to)?;
            tracing::warn!(moved_to = %moved_to.display(), "moved a folder that was in place of a queue file");
        }
        make_writable(path);
    }
    make_writable(file);
    if length(file) == 0 && length(&wal) > 0 {
        // SQLite would delete the write-ahead log.
        return Err(StoreError::Damaged("only its write-ahead log exists"));
    }
    Ok(())
}

/// Removes write protection from one of our files, as a backup program may have set it. If that
/// fails, opening the file reports the error.
fn make_writable(file: &Path) {
    let Ok(found) = fs::metadata(file) else { return };
    let mut permissions = found.permissions();
    if permissions.readonly() {
        #[cfg(unix)]
        std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o600);
        // On Windows this grants nothing to other users: access control lists decide there.
        #[cfg(not(unix))]
        #[allow(clippy::permissions_set_readonly_false)]
        permissions.set_readonly(false);
        if let Err(error) = fs::set_permissions(file, permissions) {
            tracing::warn!("failed to remove the write protection of the queue file: {error:#}");
        }
    }
}

/// Moves a database and its write-ahead log to a quarantine name and returns that name. Missing
/// files are skipped; a folder is moved too.
pub(super) fn quarantine(file: &Path, reason: QuarantineReason, now_unix_ms: i64) -> io::Result<PathBuf> {
    let mut stamp = now_unix_ms;
    let mut target = with_suffix(file, &format!(".{}-{stamp}", reason.name()));
    while target.exists() || with_suffix(&target, "-wal").exists() {
        stamp += 1;
        target = with_suffix(file, &format!(".{}-{stamp}", reason.name()));
    }
    rename_if_exists(file, &target)?;
    rename_if_exists(&with_suffix(file, "-wal"), &with_suffix(&target, "-wal"))?;
    // The `-shm` file is an index of the write-ahead log, which SQLite can rebuild.
    match fs::remove_file(with_suffix(file, "-shm")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            rename_if_exists(&with_suffix(file, "-shm"), &with_suffix(&target, "-shm"))?;
        }
        _ => {}
    }
    Ok(target)
}

fn rename_if_exists(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Removes a database and the files that SQLite keeps beside it. Missing files are skipped.
pub(super) fn remove_database(file: &Path) -> io::Result<()> {
    for path in [file.to_owned()].into_iter().chain(SIDE_FILE_SUFFIXES.map(|suffix| with_suffix(file, suffix))) {
        remove_if_exists(&path)?;
    }
    Ok(())
}

/// Returns the quarantined files of a queue, oldest first.
pub(super) fn list(file: &Path) -> Vec<QuarantinedFile> {
    let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else { return Vec::new() };
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<QuarantinedFile> = entries.flatten().filter_map(|entry| parse(name, &entry)).collect();
    found.sort_by_key(|file| file.at_unix_ms);
    found
}

fn parse(queue: &OsStr, entry: &fs::DirEntry) -> Option<QuarantinedFile> {
    let name = entry.file_name().into_string().ok()?;
    let rest = name.strip_prefix(queue.to_str()?)?.strip_prefix('.')?;
    let (reason, stamp) = rest.split_once('-')?;
    let reason = QuarantineReason::ALL.into_iter().find(|known| known.name() == reason)?;
    // A write-ahead log without its database counts as a file too.
    let (stamp, is_wal) = match stamp.strip_suffix("-wal") {
        Some(stamp) => (stamp, true),
        None => (stamp, false),
    };
    let at_unix_ms = stamp.parse().ok()?;
    let path = entry.path();
    if is_wal && path.with_file_name(name.strip_suffix("-wal")?).exists() {
        return None;
    }
    let wal_bytes = if is_wal { 0 } else { fs::metadata(with_suffix(&path, "-wal")).map_or(0, |wal| wal.len()) };
    let bytes = entry.metadata().ok()?.len() + wal_bytes;
    Some(QuarantinedFile { path, reason, at_unix_ms, bytes })
}

/// Removes quarantined files above the limits on number, bytes and age, oldest first, and returns
/// how many were removed. The newest file is kept, whatever its size, until it reaches the age
/// limit.
pub(super) fn prune(file: &Path, max_bytes: u64, max_age: Duration, now_unix_ms: i64) -> u64 {
    let oldest = now_unix_ms.saturating_sub(i64::try_from(max_age.as_millis()).unwrap_or(i64::MAX));
    let mut bytes = 0;
    let mut removed = 0;
    for (index, candidate) in list(file).into_iter().rev().enumerate() {
        bytes += candidate.bytes;
        let exceeds = index >= MAX_FILES || (index > 0 && bytes > max_bytes) || candidate.at_unix_ms < oldest;
        if exceeds && remove(&candidate).is_ok() {
            bytes -= candidate.bytes;
            removed += 1;
            tracing::warn!(path = %candidate.path.display(), "removed a quarantined queue file");
        }
    }
    removed
}

/// Removes all quarantined files and returns how many there were.
///
/// # Errors
/// When a file cannot be removed; the files before it have been removed then.
pub(super) fn remove_all(file: &Path) -> io::Result<u64> {
    let all = list(file);
    all.iter().try_for_each(remove)?;
    Ok(all.len() as u64)
}

fn remove(file: &QuarantinedFile) -> io::Result<()> {
    if file.path.is_dir() {
        // The folder is not ours, so we must not empty it.
        return Err(io::ErrorKind::IsADirectory.into());
    }
    remove_database(&file.path)
}
