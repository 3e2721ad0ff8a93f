//! The support bundle: a ZIP file with what support needs to find a fault. The user can read it
//! before it is saved.
//!
//! **Contents:** the status, the results of `doctor`, the settings without secrets, the queue's
//! statistics, names and sizes of log folders and files, and the agent's own log.
//!
//! **Invariants:** no log line of io.Connect, no queued data and no usage history is included.
//! Every file is redacted like log records, so it contains neither the user's name nor known forms
//! of secrets, and has a maximum size.

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

/// Maximum size of a file in the bundle, bytes: the last days of the agent's own log. Other files
/// are far smaller.
const MAX_FILE_BYTES: usize = 1 << 20;
/// Maximum files of the agent's own log: as many as it keeps.
const MAX_PROGRAM_LOGS: usize = 4;
/// Maximum log files of a folder that are listed.
const MAX_LISTED_FILES: usize = 200;

/// Why a bundle cannot be created.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// This user has no home folder.
    #[error(transparent)]
    Startup(#[from] StartupError),
    /// The file cannot be written.
    #[error("failed to write the bundle to {}: {error}", path.display())]
    Write {
        /// Path of the bundle.
        path: PathBuf,
        /// The cause.
        error: io::Error,
    },
    /// The archive cannot be created.
    #[error("failed to create the bundle: {0}")]
    Archive(#[from] ZipError),
}

/// A file of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BundleFile {
    /// Its name, for example `status.txt`.
    pub name: String,
    /// Its content.
    pub text: String,
}

/// Returns the default name of a bundle that is created now.
#[must_use]
pub fn file_name() -> String {
    format!("insights-agent-{}.zip", jiff::ZonedDateTime::now().strftime("%Y%m%d-%H%M%S"))
}

/// Collects the files of a bundle, from the running agent if there is one.
///
/// # Errors
/// When this user has no home folder.
pub async fn collect(options: &CommonArgs) -> Result<Vec<BundleFile>, BundleError> {
    let data = options.data()?;
    let loaded = options.settings(true);
    let reply = ask(&data, &Request::Status).await;
    let checks = doctor::examine(options).await?;
    let mut files = Vec::new();
    let mut put = |name: &str, text: String| files.push(BundleFile { name: name.to_owned(), text });
    match &reply {
        Ok(Reply::Status(status)) => {
            put("status.txt", status::page(status));
            put("status.json", serde_json::to_string_pretty(status).unwrap_or_default());
        }
        Ok(other) => put("status.txt", format!("Unexpected answer of the agent: {other:?}\n")),
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
    for entry in folder.into_iter().flatten().filter_map(Result::ok).take(MAX_PROGRAM_LOGS) {
        if let Ok(text) = end_of(&entry.path()) {
            put(&format!("log/{}", entry.file_name().to_string_lossy()), text);
        }
    }
    let redactor = Redactor::new(&redaction, &UserIdentity::current());
    for file in &mut files {
        file.text.truncate(file.text.floor_char_boundary(MAX_FILE_BYTES));
        file.text = redactor.redact(&file.text).into_owned();
    }
    Ok(files)
}

/// Writes a bundle.
///
/// # Errors
/// See [`BundleError`]. An incomplete file is left behind.
pub fn write(file: &Path, files: &[BundleFile]) -> Result<(), BundleError> {
    let failed = |error| BundleError::Write { path: file.to_owned(), error };
    let mut zip = ZipWriter::new(File::create_new(file).map_err(failed)?);
    for file in files {
        zip.start_file(file.name.as_str(), SimpleFileOptions::default())?;
        zip.write_all(file.text.as_bytes()).map_err(failed)?;
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
        _ = writeln!(text, "searched {}", root.display());
    }
    for folder in folders::log_folders(&roots) {
        _ = writeln!(text, "\n{} ({})", folder.path.display(), folder.kind);
        for file in folders::log_files(&folder.path).unwrap_or_default().into_iter().take(MAX_LISTED_FILES) {
            let size = file.metadata().map_or_else(|error| error.to_string(), |of| units::bytes(of.len()));
            _ = writeln!(text, "  {}  {size}", file.file_name().unwrap_or_default().to_string_lossy());
        }
    }
    text
}

fn end_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let (length, most) = (file.metadata()?.len(), MAX_FILE_BYTES as u64);
    file.seek(SeekFrom::Start(length.saturating_sub(most)))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
