//! A diagnostics bundle: what support needs to find out why an agent does not do what it should, as a ZIP file that the
//! user can look into before giving it away, and before it is written.
//!
//! In it are the status, what `doctor` finds, the settings without secrets, what the queue holds in figures, the names of log
//! folders and files with their sizes, and the agent's own log. No log line of io.Connect, no queued data, no history of use.
//! All of it is redacted as log records are, so that neither the user's name nor what looks like a secret is in it; each piece
//! has a limit.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use zip::ZipWriter;
use zip::result::ZipError;
use zip::write::SimpleFileOptions;

use crate::config::{Loaded, RedactionSettings};
use crate::control::{Reply, Request, ask};
use crate::doctor;
use crate::ioconnect::folders;
use crate::pipeline::queue;
use crate::redaction::{Redactor, UserIdentity};
use crate::startup::{CommonArgs, StartupError};
use crate::{status, units};

/// Longest piece: some days of the agent's own log, of which the end is taken; others are far smaller.
const LONGEST: usize = 1 << 20;
/// Most files of the agent's log: those that it keeps.
const MOST_LOGS: usize = 4;
/// Most log files of a folder that are named.
const MOST_FILES: usize = 200;

/// Why a bundle cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// There is no place for settings or data.
    #[error(transparent)]
    Startup(#[from] StartupError),
    /// The file.
    #[error("the bundle cannot be written to {}: {error}", path.display())]
    Write {
        /// Where it should be.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// The archive.
    #[error("the bundle cannot be put together: {0}")]
    Archive(#[from] ZipError),
}

/// A file of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Piece {
    /// Its name, as in `status.txt`.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// A name for a bundle that is made now.
#[must_use]
pub fn file_name() -> String {
    format!("insights-agent-{}.zip", jiff::ZonedDateTime::now().strftime("%Y%m%d-%H%M%S"))
}

/// Puts a bundle together, from a running agent if there is one.
///
/// # Errors
/// When this user has no place for data.
pub async fn collect(options: &CommonArgs) -> Result<Vec<Piece>, BundleError> {
    let data = options.data()?;
    let loaded = options.settings(true);
    let reply = ask(&data, &Request::Status).await;
    let checks = doctor::examine(options).await?;
    let mut pieces = Vec::new();
    let mut put = |name: &str, text: String| pieces.push(Piece { name: name.to_owned(), text });
    match &reply {
        Ok(Reply::Status(status)) => {
            put("status.txt", status::page(status));
            put("status.json", serde_json::to_string_pretty(status).unwrap_or_default());
        }
        Ok(other) => put("status.txt", format!("The agent gave another answer: {other:?}\n")),
        Err(error) => put("status.txt", format!("{error}\n")),
    }
    put("doctor.txt", doctor::page(&checks));
    let mut redaction = RedactionSettings::default();
    match &loaded {
        Ok(loaded) => {
            let problems: Vec<String> = loaded.problems.iter().map(ToString::to_string).collect();
            put("settings.txt", format!("{}{}\n", loaded.show(), problems.join("\n")));
            put("log-folders.txt", log_folders(loaded));
            redaction.patterns.clone_from(&loaded.settings.logs.redaction.patterns);
        }
        Err(StartupError::Settings(error)) => put("settings.txt", format!("{error}\n")),
        Err(error) => put("settings.txt", format!("{error}\n")),
    }
    let held = queue::inspect(&data.queue());
    put(
        "queue.json",
        held.map_or_else(|error| error.to_string(), |held| serde_json::to_string_pretty(&held).unwrap_or_default()),
    );
    put("machine.txt", machine());
    let logs = data.program_log();
    let folder = logs.parent().map(std::fs::read_dir).and_then(Result::ok);
    for entry in folder.into_iter().flatten().filter_map(Result::ok).take(MOST_LOGS) {
        if let Ok(text) = end_of(&entry.path()) {
            put(&format!("log/{}", entry.file_name().to_string_lossy()), text);
        }
    }
    let redactor = Redactor::new(&redaction, &UserIdentity::current());
    for piece in &mut pieces {
        piece.text.truncate(piece.text.floor_char_boundary(LONGEST));
        piece.text = redactor.redact(&piece.text).into_owned();
    }
    Ok(pieces)
}

/// Writes a bundle.
///
/// # Errors
/// See [`BundleError`]; a file that was begun is left behind.
pub fn write(file: &Path, pieces: &[Piece]) -> Result<(), BundleError> {
    let failed = |error| BundleError::Write { path: file.to_owned(), error };
    let mut zip = ZipWriter::new(File::create_new(file).map_err(failed)?);
    for piece in pieces {
        zip.start_file(piece.name.as_str(), SimpleFileOptions::default())?;
        zip.write_all(piece.text.as_bytes()).map_err(failed)?;
    }
    zip.finish()?.sync_all().map_err(failed)
}

fn machine() -> String {
    let known = |of: Option<String>| of.unwrap_or_else(|| "unknown".to_owned());
    format!(
        "agent {}\nsystem {}\nkernel {}\narchitecture {}\nnow {}\n",
        env!("CARGO_PKG_VERSION"),
        known(sysinfo::System::long_os_version().ok()),
        known(sysinfo::System::kernel_version().ok()),
        std::env::consts::ARCH,
        jiff::ZonedDateTime::now(),
    )
}

fn log_folders(loaded: &Loaded) -> String {
    let mut text = String::new();
    let roots = folders::user_data(&loaded.settings.connect);
    for root in &roots {
        _ = writeln!(text, "looked in {}", root.display());
    }
    for folder in folders::log_folders(&roots) {
        _ = writeln!(text, "\n{} ({})", folder.path.display(), folder.kind);
        for file in folders::log_files(&folder.path).unwrap_or_default().into_iter().take(MOST_FILES) {
            let size = file.metadata().map_or_else(|error| error.to_string(), |of| units::bytes(of.len()));
            _ = writeln!(text, "  {}  {size}", file.file_name().unwrap_or_default().to_string_lossy());
        }
    }
    text
}

fn end_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let (length, most) = (file.metadata()?.len(), LONGEST as u64);
    file.seek(SeekFrom::Start(length.saturating_sub(most)))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
