//! Files that could not be used: put aside under another name, shown, and of a limited number, size and age.
//!
//! A file `queue.db` becomes `queue.db.damaged-<time>` or `queue.db.newer-<time>`, in Unix milliseconds, its write-ahead
//! log the same with `-wal` behind it. Nothing but withdrawal of consent and these limits removes it: the log records in
//! it are bound to consent and age like those in the queue.

#[cfg(test)]
mod tests;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use super::stats::{AsideReason, SetAside};
use crate::paths::remove_if_exists;

/// Files that are kept; with more, the oldest is removed. A disk that damages files again and again is not filled.
const MOST_FILES: usize = 3;

/// What is behind the name of an SQLite database in the names of its other files.
const TAILS: [&str; 2] = ["-wal", "-shm"];

/// A path with something behind its name.
pub(super) fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Moves a database out of the way, with its write-ahead log; what of it is missing is passed over. Directories too.
pub(super) fn set_aside(file: &Path, reason: AsideReason, now_unix_ms: i64) -> io::Result<PathBuf> {
    let mut stamp = now_unix_ms;
    let mut aside = beside(file, &format!(".{}-{stamp}", reason.name()));
    while aside.exists() || beside(&aside, "-wal").exists() {
        stamp += 1;
        aside = beside(file, &format!(".{}-{stamp}", reason.name()));
    }
    rename_if_there(file, &aside)?;
    rename_if_there(&beside(file, "-wal"), &beside(&aside, "-wal"))?;
    // An index of the write-ahead log, which SQLite makes again.
    match fs::remove_file(beside(file, "-shm")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            rename_if_there(&beside(file, "-shm"), &beside(&aside, "-shm"))?;
        }
        _ => {}
    }
    Ok(aside)
}

fn rename_if_there(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Removes a database and its other files; what of it is missing is passed over.
pub(super) fn remove_database(file: &Path) -> io::Result<()> {
    for path in [file.to_owned()].into_iter().chain(TAILS.map(|tail| beside(file, tail))) {
        remove_if_exists(&path)?;
    }
    Ok(())
}

/// What has been set aside of a queue's file, oldest first.
pub(super) fn list(file: &Path) -> Vec<SetAside> {
    let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else { return Vec::new() };
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<SetAside> = entries.flatten().filter_map(|entry| parse(name, &entry)).collect();
    found.sort_by_key(|one| one.at_unix_ms);
    found
}

fn parse(queue: &OsStr, entry: &fs::DirEntry) -> Option<SetAside> {
    let name = entry.file_name().into_string().ok()?;
    let rest = name.strip_prefix(queue.to_str()?)?.strip_prefix('.')?;
    let (reason, stamp) = rest.split_once('-')?;
    let reason = AsideReason::ALL.into_iter().find(|known| known.name() == reason)?;
    // A write-ahead log alone, as it can be without its database, counts as well.
    let (stamp, alone) = match stamp.strip_suffix("-wal") {
        Some(stamp) => (stamp, true),
        None => (stamp, false),
    };
    let at_unix_ms = stamp.parse().ok()?;
    let path = entry.path();
    if alone && path.with_file_name(name.strip_suffix("-wal")?).exists() {
        return None;
    }
    let wal = if alone { 0 } else { fs::metadata(beside(&path, "-wal")).map_or(0, |wal| wal.len()) };
    let bytes = entry.metadata().ok()?.len() + wal;
    Some(SetAside { path, reason, at_unix_ms, bytes })
}

/// Removes what is too much: files above the limit of number, bytes and age, the oldest first; the newest stays until it
/// is too old. Returns how many were removed.
pub(super) fn prune(file: &Path, most_bytes: u64, most_age: Duration, now_unix_ms: i64) -> u64 {
    let oldest = now_unix_ms.saturating_sub(i64::try_from(most_age.as_millis()).unwrap_or(i64::MAX));
    let mut bytes = 0;
    let mut removed = 0;
    for (number, one) in list(file).into_iter().rev().enumerate() {
        bytes += one.bytes;
        let too_much = number >= MOST_FILES || (number > 0 && bytes > most_bytes) || one.at_unix_ms < oldest;
        if too_much && remove(&one).is_ok() {
            bytes -= one.bytes;
            removed += 1;
            tracing::warn!(path = %one.path.display(), "removed a file that had been set aside");
        }
    }
    removed
}

/// Removes everything that was set aside; returns how many files that were.
///
/// # Errors
/// When one cannot be removed; those before it are gone then.
pub(super) fn remove_all(file: &Path) -> io::Result<u64> {
    let all = list(file);
    all.iter().try_for_each(remove)?;
    Ok(all.len() as u64)
}

fn remove(one: &SetAside) -> io::Result<()> {
    if one.path.is_dir() {
        // Somebody else's, and not to be emptied by us.
        return Err(io::ErrorKind::IsADirectory.into());
    }
    remove_database(&one.path)
}
