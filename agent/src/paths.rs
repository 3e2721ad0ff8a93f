//! Where the agent keeps things, and how it writes small files.
//!
//! One data folder holds all state: `queue.db`, `consent.json`, `pause.json`, `usage.json`, `session.json`, `settings.last-good.json`, `log/`, and
//! while an agent runs `agent.lock` and on Unix `control.sock`. Another data folder is another, independent agent.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Folder name under the platform's places for data and settings.
const NAME: &str = "insights-agent";
/// File that a running agent locks, in every data folder.
const LOCK: &str = "agent.lock";
/// How long a start waits for a command that has the data folder for a moment: deleting withdrawn logs may take seconds.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
/// How often it looks meanwhile.
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// The data folder and what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataDir(PathBuf);

impl DataDir {
    /// A folder of the caller's choice.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// `$XDG_DATA_HOME/insights-agent`, `%LocalAppData%\insights-agent`.
    #[must_use]
    pub fn of_user() -> Option<Self> {
        directories::BaseDirs::new().map(|dirs| Self(dirs.data_local_dir().join(NAME)))
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Makes the folder, readable by this user only where the system knows that.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(&self) -> io::Result<()> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.0)
    }

    /// Deletes the folder with all that is in it, if it is there.
    ///
    /// # Errors
    /// When no agent has made it, one runs on it, or it cannot be deleted.
    pub fn delete(&self) -> io::Result<()> {
        if !self.0.exists() {
            return Ok(());
        }
        if !self.0.join(LOCK).exists() {
            return Err(io::Error::other("this is no data folder of the agent"));
        }
        match self.lock() {
            Err(LockError::Io(error)) => return Err(error),
            Err(LockError::Taken(_)) => {
                return Err(io::Error::other("an agent is running on it; end it with `insights-agent stop` first"));
            }
            Ok(lock) => drop(lock),
        }
        fs::remove_dir_all(&self.0)
    }

    /// The queue.
    #[must_use]
    pub fn queue(&self) -> PathBuf {
        self.0.join("queue.db")
    }

    /// The consent record.
    #[must_use]
    pub fn consent(&self) -> PathBuf {
        self.0.join("consent.json")
    }

    /// The pause that the user has chosen.
    #[must_use]
    pub fn pause(&self) -> PathBuf {
        self.0.join("pause.json")
    }

    /// What the user did in the last days.
    #[must_use]
    pub fn usage(&self) -> PathBuf {
        self.0.join("usage.json")
    }

    /// Where the receiver listens, while the agent runs.
    #[must_use]
    pub fn receiver(&self) -> PathBuf {
        self.0.join("receiver.json")
    }

    /// The identifier of the user's session.
    #[must_use]
    pub fn session(&self) -> PathBuf {
        self.0.join("session.json")
    }

    /// The key of the user's hash, if the settings give none.
    #[must_use]
    pub fn user_hash_key(&self) -> PathBuf {
        self.0.join("user-hash.key")
    }

    /// The last settings file that was without fault.
    #[must_use]
    pub fn last_good_settings(&self) -> PathBuf {
        self.0.join("settings.last-good.json")
    }

    /// The agent's own log.
    #[must_use]
    pub fn program_log(&self) -> PathBuf {
        self.0.join("log").join("insights-agent.log")
    }

    /// The control socket on Unix.
    #[must_use]
    pub fn control_socket(&self) -> PathBuf {
        self.0.join("control.sock")
    }

    /// Makes the folder and takes it for this process, as soon as a command that has it for a moment lets it go. None if it cannot be
    /// written: no other process can either.
    ///
    /// # Errors
    /// [`LockError::Taken`] while another process has it.
    pub fn take(&self) -> Result<Option<File>, LockError> {
        let until = Instant::now() + LOCK_PATIENCE;
        let mut lock = self.create().map_err(LockError::from).and_then(|()| self.lock());
        while matches!(lock, Err(LockError::Taken(_))) && Instant::now() < until {
            std::thread::sleep(LOCK_PAUSE);
            lock = self.lock();
        }
        match lock {
            Ok(lock) => Ok(Some(lock)),
            Err(LockError::Io(error)) => {
                tracing::error!(%error, "the data folder cannot be written");
                Ok(None)
            }
            Err(taken @ LockError::Taken(_)) => Err(taken),
        }
    }

    /// Takes the folder for this process; the operating system gives it back when the process ends, however it ends.
    ///
    /// # Errors
    /// [`LockError::Taken`] while another process has it.
    pub fn lock(&self) -> Result<File, LockError> {
        let file = File::options().create(true).truncate(false).write(true).open(self.0.join(LOCK))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(LockError::Taken(self.0.clone())),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }
}

/// Why the data folder could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another agent runs on it.
    #[error("another agent is already running on {}; `insights-agent status` shows it", .0.display())]
    Taken(PathBuf),
    /// The lock file cannot be made.
    #[error("the lock file cannot be made: {0}")]
    Io(#[from] io::Error),
}

/// `$XDG_CONFIG_HOME/insights-agent/config.json`, `%AppData%\insights-agent\config.json`.
#[must_use]
pub fn user_config_file() -> Option<PathBuf> {
    directories::BaseDirs::new().map(|dirs| dirs.config_dir().join(NAME).join("config.json"))
}

/// Replaces a file completely or not at all. On Unix only its owner can read it.
///
/// The content is written and synced to `FILE.new`, which is then renamed over the file. The name is always the same,
/// so that the next write replaces the leftover of a killed agent. `tempfile::persist` would leave one file per kill, and
/// on Windows it fails while another program reads the old file; `fs::rename` does not.
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
