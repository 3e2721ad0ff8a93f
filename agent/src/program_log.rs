//! The agent's own log file, for troubleshooting.
//!
//! **Invariant:** nothing sensitive is written at any level: no log line of io.Connect, no header,
//! user name or payload.
//!
//! The folder `log` in the data folder holds at most [`MAX_OLD_FILES`] + 1 files of
//! [`MAX_FILE_BYTES`] each.

use std::io;
use std::path::Path;
use std::sync::{Mutex, OnceLock};

use file_rotate::compression::Compression;
use file_rotate::suffix::AppendCount;
use file_rotate::{ContentLimit, FileRotate};
use tracing_subscriber::EnvFilter;

use crate::config::LogLevel;

/// Size at which a new file is started: some days of ordinary running.
const MAX_FILE_BYTES: usize = 1 << 20;
/// Number of older files that are kept.
const MAX_OLD_FILES: usize = 3;

/// Sets the level of the running log.
type SetLevel = Box<dyn Fn(LogLevel) + Send + Sync>;

/// Changes the level of the running log; empty before [`start`].
static SET_LEVEL: OnceLock<SetLevel> = OnceLock::new();

/// Starts the log: events of `level` and above go to the file, and to standard error if
/// `also_stderr`.
///
/// # Errors
/// When the folder cannot be created; the log then goes to standard error only.
pub fn start(file: &Path, level: LogLevel, also_stderr: bool) -> io::Result<()> {
    let folder = file.parent().map_or(Ok(()), std::fs::create_dir_all);
    let file = folder.is_ok().then(|| rotating(file));
    let writer = Mutex::new(Tee { also_stderr: also_stderr || file.is_none(), file });
    let builder = tracing_subscriber::fmt().with_ansi(false).with_writer(writer);
    let builder = builder.with_env_filter(filter(level)).with_filter_reloading();
    let handle = builder.reload_handle();
    let subscriber = builder.finish();
    // Fails only if the embedding program has set a subscriber of its own.
    if tracing::subscriber::set_global_default(subscriber).is_ok() {
        let _ = SET_LEVEL.set(Box::new(move |level| {
            // Fails only without the subscriber, which lives as long as the program.
            let _ = handle.reload(filter(level));
        }));
    }
    folder
}

/// Changes the level of the running log, if there is one.
pub fn set_level(level: LogLevel) {
    if let Some(set) = SET_LEVEL.get() {
        set(level);
    }
}

fn filter(level: LogLevel) -> EnvFilter {
    let level = match level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
    };
    // Other crates log only warnings and errors.
    EnvFilter::new(format!("warn,insights_agent={level}"))
}

fn rotating(file: &Path) -> FileRotate<AppendCount> {
    FileRotate::new(
        file,
        AppendCount::new(MAX_OLD_FILES),
        ContentLimit::BytesSurpassed(MAX_FILE_BYTES),
        Compression::None,
        None,
    )
}

struct Tee {
    file: Option<FileRotate<AppendCount>>,
    also_stderr: bool,
}

impl io::Write for Tee {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.also_stderr {
            // A closed terminal must not stop the file.
            let _ = io::stderr().write_all(bytes);
        }
        if let Some(file) = &mut self.file {
            file.write_all(bytes)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), io::Write::flush)
    }
}

#[cfg(test)]
mod tests;
