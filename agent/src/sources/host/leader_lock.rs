//! Elects one agent per machine to report host metrics, for machines that many users share (Citrix,
//! Remote Desktop).
//!
//! The leader is the agent that holds the lock of a file in a folder that all users can access. The
//! operating system releases the lock when that agent ends, in whatever way, and the next export of
//! another agent takes it over. A user could hold the lock without reporting anything;
//! docs/security.md says so.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

/// Name of the lock file.
const LOCK_FILE_NAME: &str = "insights-agent-host.lock";

/// The lock that makes this agent the leader.
#[derive(Debug)]
pub(super) struct LeaderLock {
    /// The lock file; none if every agent reports.
    path: Option<PathBuf>,
    held: Mutex<Option<File>>,
}

impl LeaderLock {
    /// Creates the lock of this machine. Without `one_per_machine`, every agent is a leader.
    pub(super) fn new(one_per_machine: bool) -> Self {
        Self { path: one_per_machine.then(lock_path), held: Mutex::new(None) }
    }

    /// Returns whether this agent reports host metrics, and takes the lock if it is free. If the
    /// lock file cannot be used, the agent reports: duplicate metrics are better than none.
    pub(super) fn is_leader(&self) -> bool {
        let Some(path) = &self.path else { return true };
        let mut held = self.held.lock();
        if held.is_some() {
            return true;
        }
        match open_lock_file(path) {
            Ok(file) => match file.try_lock() {
                Ok(()) => {
                    *held = Some(file);
                    true
                }
                Err(std::fs::TryLockError::WouldBlock) => false,
                Err(std::fs::TryLockError::Error(error)) => {
                    tracing::debug!("failed to take the leader lock of this machine: {error:#}");
                    true
                }
            },
            Err(error) => {
                tracing::debug!("failed to open the leader lock of this machine: {error:#}");
                true
            }
        }
    }
}

/// Returns the path of the lock file: in a folder where all users can create files, and where
/// nobody can remove another user's file.
fn lock_path() -> PathBuf {
    if let Some(folder) = crate::paths::test_override("INSIGHTS_LEADER_LOCK_FOLDER") {
        return folder.join(LOCK_FILE_NAME);
    }
    #[cfg(windows)]
    let folder = std::env::var_os("ProgramData").map_or_else(|| PathBuf::from(r"C:\ProgramData"), PathBuf::from);
    #[cfg(not(windows))]
    let folder = PathBuf::from("/tmp");
    folder.join(LOCK_FILE_NAME)
}

/// Opens the lock file, or creates it. Read access is enough for a lock, and a file of another user
/// could not be opened for writing.
fn open_lock_file(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true);
    // Another user must not be able to redirect this open through a symbolic link.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, NO_FOLLOW);
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            File::options().read(true).write(true).create_new(true).open(path).or_else(|_| options.open(path))
        }
        opened => opened,
    }
}

/// `O_NOFOLLOW`.
#[cfg(unix)]
const NO_FOLLOW: i32 = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();

#[cfg(test)]
mod tests;
