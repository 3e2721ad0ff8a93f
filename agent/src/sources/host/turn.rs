//! On a machine that many people share (Citrix, Remote Desktop), only one agent tells how the machine is.
//!
//! It is the one that holds the lock of a file in a place that all users have. When it ends, however it ends, the next
//! export of another one takes over. A user could keep the lock without telling anything; docs/security.md says so.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

/// Name of the file.
const NAME: &str = "insights-agent-host.lock";

/// Whose turn it is.
#[derive(Debug)]
pub(super) struct Turn {
    /// None where every agent tells.
    path: Option<PathBuf>,
    held: Mutex<Option<File>>,
}

impl Turn {
    /// The machine's, or one that everybody has.
    pub(super) fn new(one_per_machine: bool) -> Self {
        Self { path: one_per_machine.then(place), held: Mutex::new(None) }
    }

    /// Whether this agent tells. Without a place for the lock it does: twice is better than never.
    pub(super) fn is_mine(&self) -> bool {
        let Some(path) = &self.path else { return true };
        let mut held = self.held.lock();
        if held.is_some() {
            return true;
        }
        match open(path) {
            Ok(file) => match file.try_lock() {
                Ok(()) => {
                    *held = Some(file);
                    true
                }
                Err(std::fs::TryLockError::WouldBlock) => false,
                Err(std::fs::TryLockError::Error(error)) => {
                    tracing::debug!(%error, "the machine's lock cannot be taken");
                    true
                }
            },
            Err(error) => {
                tracing::debug!(%error, "the machine's lock cannot be opened");
                true
            }
        }
    }
}

/// Where all users may make files, and nobody may remove another's.
fn place() -> PathBuf {
    if let Some(folder) = crate::paths::test_override("INSIGHTS_LEADER_LOCK_FOLDER") {
        return folder.join(NAME);
    }
    #[cfg(windows)]
    let folder = std::env::var_os("ProgramData").map_or_else(|| PathBuf::from(r"C:\ProgramData"), PathBuf::from);
    #[cfg(not(windows))]
    let folder = PathBuf::from("/tmp");
    folder.join(NAME)
}

/// Opens the file, or makes it. To read is enough for a lock; another user's could not be written.
fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true);
    // Nobody makes us open what a link points to.
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
