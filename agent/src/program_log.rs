//! The agent's own log: a file of limited size, for people who look for a fault.
//!
//! Nothing sensitive is written, at no level: no log line, header, user name or payload. At most [`FILES`] + 1 files of
//! [`FILE_BYTES`] each lie in the data folder's `log`.

use std::io;
use std::path::Path;
use std::sync::{Mutex, OnceLock};

use file_rotate::compression::Compression;
use file_rotate::suffix::AppendCount;
use file_rotate::{ContentLimit, FileRotate};
use tracing_subscriber::EnvFilter;

use crate::config::LogLevel;

/// Size from which on a new file is begun: some days of ordinary running.
const FILE_BYTES: usize = 1 << 20;
/// Older files that are kept.
const FILES: usize = 3;

/// Sets the level of the program's log.
type SetLevel = Box<dyn Fn(LogLevel) + Send + Sync>;

/// How the level of the log that was started is changed.
static SET_LEVEL: OnceLock<SetLevel> = OnceLock::new();

/// Sends the program's events of `level` and above to the file, and to standard error too if `also_stderr` says so.
///
/// # Errors
/// When the folder cannot be made; then standard error is all there is.
pub fn start(file: &Path, level: LogLevel, also_stderr: bool) -> io::Result<()> {
    let folder = file.parent().map_or(Ok(()), std::fs::create_dir_all);
    let file = folder.is_ok().then(|| rotating(file));
    let writer = Mutex::new(Tee { also_stderr: also_stderr || file.is_none(), file });
    let builder = tracing_subscriber::fmt().with_ansi(false).with_writer(writer);
    let builder = builder.with_env_filter(filter(level)).with_filter_reloading();
    let handle = builder.reload_handle();
    let subscriber = builder.finish();
    // Fails only if a subscriber has been set already, as when an embedding program logs by itself.
    if tracing::subscriber::set_global_default(subscriber).is_ok() {
        let _ = SET_LEVEL.set(Box::new(move |level| {
            // Fails only without the subscriber, which is there to the end.
            let _ = handle.reload(filter(level));
        }));
    }
    folder
}

/// Changes the level of the log that was started, if one was.
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
    // Other crates speak up only when something is wrong.
    EnvFilter::new(format!("warn,insights_agent={level}"))
}

fn rotating(file: &Path) -> FileRotate<AppendCount> {
    FileRotate::new(file, AppendCount::new(FILES), ContentLimit::BytesSurpassed(FILE_BYTES), Compression::None, None)
}

struct Tee {
    file: Option<FileRotate<AppendCount>>,
    also_stderr: bool,
}

impl io::Write for Tee {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.also_stderr {
            // A closed terminal is no reason to lose the file.
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
