//! A diagnostics bundle: what support needs to find out why an agent does not do what it should, as a ZIP file that the
//! user can look into before giving it away.
//!
//! In it are the status, the settings without secrets, what the queue holds in figures, the names of log folders and
//! files with their sizes, and the agent's own log. No log line of io.Connect, no queued data, no history of use.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use zip::ZipWriter;
use zip::result::ZipError;
use zip::write::SimpleFileOptions;

use crate::config::Loaded;
use crate::connect::folders;
use crate::paths::DataDir;
use crate::pipeline::queue;
use crate::status::{self, Status};

/// Of each file of the agent's log so much is taken, from its end.
const MOST_OF_LOG: u64 = 2 << 20;
/// Most log files of a folder that are named.
const MOST_FILES: usize = 200;

/// Why a bundle cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
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

/// A name for a bundle that is made now.
#[must_use]
pub fn file_name() -> String {
    format!("insights-agent-{}.zip", jiff::ZonedDateTime::now().strftime("%Y%m%d-%H%M%S"))
}

/// Writes a bundle. `status` is what the running agent says, or why it says nothing.
///
/// # Errors
/// See [`BundleError`]; a file that was begun is left behind.
pub fn write(file: &Path, data: &DataDir, loaded: &Loaded, status: Result<&Status, String>) -> Result<(), BundleError> {
    let failed = |error| BundleError::Write { path: file.to_owned(), error };
    let mut zip = ZipWriter::new(File::create_new(file).map_err(failed)?);
    let mut put = |name: &str, bytes: &[u8]| -> Result<(), BundleError> {
        zip.start_file(name, SimpleFileOptions::default())?;
        zip.write_all(bytes).map_err(failed)
    };
    match status {
        Ok(status) => {
            put("status.txt", status::page(status).as_bytes())?;
            put("status.json", &serde_json::to_vec_pretty(status).unwrap_or_default())?;
        }
        Err(why) => put("status.txt", format!("{why}\n").as_bytes())?,
    }
    let problems: Vec<String> = loaded.problems.iter().map(ToString::to_string).collect();
    put("settings.txt", format!("{}{}\n", loaded.show(), problems.join("\n")).as_bytes())?;
    let queue = match queue::inspect(&data.queue()) {
        Ok(held) => serde_json::to_vec_pretty(&held).unwrap_or_default(),
        Err(error) => error.to_string().into_bytes(),
    };
    put("queue.json", &queue)?;
    put("machine.txt", machine().as_bytes())?;
    put("log-folders.txt", log_folders(loaded).as_bytes())?;
    let logs = data.program_log();
    let folder = logs.parent().map(std::fs::read_dir).and_then(Result::ok);
    for entry in folder.into_iter().flatten().filter_map(Result::ok) {
        if let Ok(bytes) = end_of(&entry.path()) {
            put(&format!("log/{}", entry.file_name().to_string_lossy()), &bytes)?;
        }
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
            let size = file.metadata().map_or_else(|error| error.to_string(), |of| status::bytes(of.len()));
            _ = writeln!(text, "  {}  {size}", file.file_name().unwrap_or_default().to_string_lossy());
        }
    }
    text
}

fn end_of(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(MOST_OF_LOG)))?;
    let mut bytes = Vec::new();
    file.take(MOST_OF_LOG).read_to_end(&mut bytes)?;
    Ok(bytes)
}
