//! The agent's own log: a file of limited size, for people who look for a fault.
//!
//! Nothing sensitive is written, at no level: no log line, header, user name or payload. At most [`FILES`] + 1 files of
//! [`FILE_BYTES`] each lie in the data folder's `log`.

use std::io;
use std::path::Path;
use std::sync::Mutex;

use file_rotate::compression::Compression;
use file_rotate::suffix::AppendCount;
use file_rotate::{ContentLimit, FileRotate};
use tracing_subscriber::EnvFilter;

use crate::config::LogLevel;

/// Size from which on a new file is begun: some days of ordinary running.
const FILE_BYTES: usize = 1 << 20;
/// Older files that are kept.
const FILES: usize = 3;

/// Sends the program's events of `level` and above to the file, and to standard error too if `also_stderr` says so.
///
/// # Errors
/// When the folder cannot be made; then standard error is all there is.
pub fn start(file: &Path, level: LogLevel, also_stderr: bool) -> io::Result<()> {
    let folder = file.parent().map_or(Ok(()), std::fs::create_dir_all);
    let level = match level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
    };
    // Other crates speak up only when something is wrong.
    let filter = EnvFilter::new(format!("warn,insights_agent={level}"));
    let file = folder.is_ok().then(|| rotating(file));
    let writer = Mutex::new(Tee { also_stderr: also_stderr || file.is_none(), file });
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(writer).finish();
    // Fails only if a subscriber has been set already, as when an embedding program logs by itself.
    let _ = tracing::subscriber::set_global_default(subscriber);
    folder
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
