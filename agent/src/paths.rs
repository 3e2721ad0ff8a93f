//! The data folder, the paths in it, and the atomic write of small files.
//!
//! One data folder holds all state: `queue.db`, `consent.json`, `pause.json`, `usage.json`,
//! `session.json`, `user-hash.key`, `settings.last-good.json`, `log/`, the lock file `agent.lock`,
//! and while an agent runs `receiver.json` and on Unix `control.sock`. Agents with different data
//! folders are independent of each other.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Folder name in the platform's folders for data and for settings.
const FOLDER_NAME: &str = "insights-agent";
/// File in the data folder that a running agent keeps locked.
const LOCK_FILE: &str = "agent.lock";
/// How long a start waits while a short command holds the lock: purging logs may take seconds.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
/// Interval between two attempts to take the lock.
const LOCK_RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// The data folder and the paths in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataDir(PathBuf);

impl DataDir {
    /// Returns the data folder at `path`.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Returns the user's default data folder: `$XDG_DATA_HOME/insights-agent` on Linux,
    /// `%LocalAppData%\insights-agent` on Windows. `None` if the user has no home folder.
    #[must_use]
    pub fn of_user() -> Option<Self> {
        directories::BaseDirs::new().map(|dirs| Self(dirs.data_local_dir().join(FOLDER_NAME)))
    }

    /// Returns the path of the folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Creates the folder if it does not exist. On Unix only this user can access it (mode 0700).
    ///
    /// # Errors
    /// If the folder cannot be created.
    pub fn create(&self) -> io::Result<()> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.0)
    }

    /// Deletes the folder and everything in it. Does nothing if it does not exist.
    ///
    /// # Errors
    /// If the folder was not created by an agent, an agent is using it, or it cannot be deleted.
    pub fn delete(&self) -> io::Result<()> {
        if !self.0.exists() {
            return Ok(());
        }
        if !self.0.join(LOCK_FILE).exists() {
            return Err(io::Error::other("this is not a data folder of the agent"));
        }
        match self.lock() {
            Err(LockError::Io(error)) => return Err(error),
            Err(LockError::Taken(_)) => {
                return Err(io::Error::other(
                    "an agent is using this data folder; stop it first with `insights-agent stop`",
                ));
            }
            Ok(lock) => drop(lock),
        }
        fs::remove_dir_all(&self.0)
    }

    /// Returns the path of the queue.
    #[must_use]
    pub fn queue(&self) -> PathBuf {
        self.0.join("queue.db")
    }

    /// Returns the path of the consent record.
    #[must_use]
    pub fn consent(&self) -> PathBuf {
        self.0.join("consent.json")
    }

    /// Returns the path of the pause that the user has chosen.
    #[must_use]
    pub fn pause(&self) -> PathBuf {
        self.0.join("pause.json")
    }

    /// Returns the path of the app usage of the last days.
    #[must_use]
    pub fn usage(&self) -> PathBuf {
        self.0.join("usage.json")
    }

    /// Returns the path of the file that lists the receiver's ports while the agent runs.
    #[must_use]
    pub fn receiver(&self) -> PathBuf {
        self.0.join("receiver.json")
    }

    /// Returns the path of the identifier of the user's session.
    #[must_use]
    pub fn session(&self) -> PathBuf {
        self.0.join("session.json")
    }

    /// Returns the path of the generated key for the user hash, used if `resource.user_hash_key` is
    /// not set.
    #[must_use]
    pub fn user_hash_key(&self) -> PathBuf {
        self.0.join("user-hash.key")
    }

    /// Returns the path of the copy of the last settings file that worked.
    #[must_use]
    pub fn last_good_settings(&self) -> PathBuf {
        self.0.join("settings.last-good.json")
    }

    /// Returns the path of the agent's own log.
    #[must_use]
    pub fn program_log(&self) -> PathBuf {
        self.0.join("log").join("insights-agent.log")
    }

    /// Returns the path of the control socket (Unix only).
    #[must_use]
    pub fn control_socket(&self) -> PathBuf {
        self.0.join("control.sock")
    }

    /// Creates the folder and locks it for this process. Waits up to [`LOCK_TIMEOUT`] while a short
    /// command holds the lock. Returns `None` if the folder cannot be written: then no other
    /// process can write to it either, and the agent runs without a lock.
    ///
    /// # Errors
    /// [`LockError::Taken`] if another process still holds the lock after that time.
    pub fn lock_or_wait(&self) -> Result<Option<File>, LockError> {
        let until = Instant::now() + LOCK_TIMEOUT;
        let mut lock = self.create().map_err(LockError::from).and_then(|()| self.lock());
        while matches!(lock, Err(LockError::Taken(_))) && Instant::now() < until {
            std::thread::sleep(LOCK_RETRY_INTERVAL);
            lock = self.lock();
        }
        match lock {
            Ok(lock) => Ok(Some(lock)),
            Err(LockError::Io(error)) => {
                tracing::error!("failed to write to the data folder: {error:#}");
                Ok(None)
            }
            Err(taken @ LockError::Taken(_)) => Err(taken),
        }
    }

    /// Locks the folder for this process. The operating system releases the lock when the process
    /// ends, including after a crash.
    ///
    /// # Errors
    /// [`LockError::Taken`] if another process holds the lock, [`LockError::Io`] if the lock file
    /// cannot be created.
    pub fn lock(&self) -> Result<File, LockError> {
        let file = File::options().create(true).truncate(false).write(true).open(self.0.join(LOCK_FILE))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(LockError::Taken(self.0.clone())),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }
}

/// Why the data folder could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds the lock.
    #[error("another agent is already running with the data folder {}; `insights-agent status` shows it", .0.display())]
    Taken(PathBuf),
    /// The lock file cannot be created or locked.
    #[error("failed to create the lock file in the data folder: {0}")]
    Io(#[from] io::Error),
}

/// Returns the path of the user's settings file: `$XDG_CONFIG_HOME/insights-agent/config.json` on
/// Linux, `%AppData%\insights-agent\config.json` on Windows. `None` if the user has no home folder.
#[must_use]
pub fn user_config_file() -> Option<PathBuf> {
    directories::BaseDirs::new().map(|dirs| dirs.config_dir().join(FOLDER_NAME).join("config.json"))
}

/// Replaces a file completely or not at all. On Unix only its owner can read it.
///
/// The content is written and synced to `FILE.new`, which is then renamed over the file. The name
/// is always the same, so that the next write replaces the leftover of a killed agent.
/// `tempfile::persist` would leave one file per kill, and on Windows it fails while another program
/// reads the old file; `fs::rename` does not.
///
/// # Errors
/// When the file cannot be written or renamed. The old file is then unchanged.
pub fn write_atomically(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = file.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let written = write_private(&new, bytes).and_then(|()| fs::rename(&new, file));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}

fn write_private(file: &Path, bytes: &[u8]) -> io::Result<()> {
    // A leftover of a killed agent could be readable by others, or be a link.
    remove_if_exists(file)?;
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut out = options.open(file)?;
    out.write_all(bytes)?;
    out.sync_all()
}

/// Removes a file, if there is one.
///
/// # Errors
/// When the file exists and cannot be removed.
pub fn remove_if_exists(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Returns the path in a variable that tests set, so that they share nothing with the machine.
///
/// Only debug builds read such variables. In a release build they would let a user evade the
/// organisation's policy.
pub(crate) fn test_override(variable: &str) -> Option<PathBuf> {
    cfg!(debug_assertions).then(|| std::env::var_os(variable)).flatten().map(PathBuf::from)
}
