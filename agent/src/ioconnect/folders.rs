//! Finds the log files of io.Connect.
//!
//! `<user data>/<ENV>-<REGION>/logs/*.log` are the logs of the platform,
//! `.../logs/applications/<app>.log` those of the applications (docs.interop.io, Desktop >
//! Capabilities > Logging; InteropIO/community-articles, "Understanding logs"). Names of
//! environments and regions may contain dashes, so the folder name is not split.

use std::io;
use std::path::{Path, PathBuf};

use crate::config::ConnectSettings;
use crate::consent::LogKind;

/// Default user data folders of io.Connect Desktop and its predecessor, under `%LocalAppData%` (on
/// Linux, where io.Connect has no such folder, under `$XDG_DATA_HOME`).
const DEFAULT_USER_DATA: [&[&str]; 2] = [&["interop.io", "io.Connect Desktop", "UserData"], &["Tick42", "UserData"]];

/// Maximum number of archive folders that are searched: archives of many years may exist.
const MAX_ARCHIVE_FOLDERS: usize = 200;

/// A folder with log files of one kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct LogFolder {
    /// The folder.
    pub path: PathBuf,
    /// Whose logs it contains.
    pub kind: LogKind,
    /// Folder name of the environment and region, for example `DEMO-INTEROP.IO`.
    pub env_region: String,
}

/// Returns the folders that may contain a folder per environment and region: those of the settings,
/// otherwise the default ones.
#[must_use]
pub fn user_data(settings: &ConnectSettings) -> Vec<PathBuf> {
    if !settings.user_data.is_empty() {
        return settings.user_data.iter().map(|path| PathBuf::from(path.expand_env())).collect();
    }
    let Some(dirs) = directories::BaseDirs::new() else { return Vec::new() };
    DEFAULT_USER_DATA.iter().map(|parts| dirs.data_local_dir().join(parts.iter().collect::<PathBuf>())).collect()
}

/// Returns the log folders that exist now.
#[must_use]
pub fn log_folders(user_data: &[PathBuf]) -> Vec<LogFolder> {
    let mut found = Vec::new();
    for root in user_data {
        for env_region in subfolders(root) {
            let name = env_region.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let logs = env_region.join("logs");
            for (kind, path) in [(LogKind::Applications, logs.join("applications")), (LogKind::Platform, logs)] {
                if path.is_dir() {
                    found.push(LogFolder { path, kind, env_region: name.clone() });
                }
            }
        }
    }
    found.sort();
    found
}

/// Returns the log files of a folder: `*.log` and their rotated names (`x.1.log`, `x.log.1`), but
/// no compressed files. Symbolic links come last, so that a file with several names is first found
/// under its own.
///
/// # Errors
/// When the folder cannot be listed.
pub fn log_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if is_log_name(&entry.file_name().to_string_lossy()) && entry.path().is_file() {
            files.push((entry.file_type().is_ok_and(|kind| kind.is_symlink()), entry.path()));
        }
    }
    files.sort();
    Ok(files.into_iter().map(|(_, path)| path).collect())
}

/// Returns the log files of earlier runs below a log folder. With `logging.files.onStartup:
/// archive`, io.Connect moves the files of the last run to `logs/archive` when it starts
/// (docs.interop.io, schema of system.json). The layout of that folder is not documented, so its
/// subfolders are searched too.
#[must_use]
pub fn archived_files(folder: &Path) -> Vec<PathBuf> {
    archives(folder).iter().filter_map(|folder| log_files(folder).ok()).flatten().collect()
}

/// Returns the log files that were compressed after rotation (`x.1.log.gz`, `x.log.1.gz`), in a log
/// folder and in its archives.
#[must_use]
pub fn compressed_files(folder: &Path) -> Vec<PathBuf> {
    let folders = std::iter::once(folder.to_owned()).chain(archives(folder));
    let entries = folders.filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().filter_map(Result::ok);
    let is_compressed = |name: &str| name.to_ascii_lowercase().strip_suffix(".gz").is_some_and(is_log_name);
    entries.filter(|entry| is_compressed(&entry.file_name().to_string_lossy())).map(|entry| entry.path()).collect()
}

fn archives(folder: &Path) -> Vec<PathBuf> {
    let archive = folder.join("archive");
    let inner = subfolders(&archive);
    let innermost: Vec<PathBuf> = inner.iter().flat_map(|folder| subfolders(folder)).collect();
    std::iter::once(archive).chain(inner).chain(innermost).take(MAX_ARCHIVE_FOLDERS).collect()
}

/// Returns the folder name of the environment and region that a log file belongs to.
#[must_use]
pub fn env_region(log_file: &Path) -> Option<String> {
    let logs = log_file.ancestors().find(|folder| folder.file_name().is_some_and(|name| name == "logs"))?;
    Some(logs.parent()?.file_name()?.to_string_lossy().into_owned())
}

/// Returns the application that an application log file is named after.
#[must_use]
pub fn app_name(file_name: &str) -> Option<&str> {
    let (stem, _) = file_name.split_once(".log")?;
    Some(stem).filter(|stem| !stem.is_empty())
}

/// Returns the name that a log file had before rotation: log4js writes `x.log.1` or, with
/// `keepFileExt`, `x.1.log`.
#[must_use]
pub fn unrotated(file_name: &str) -> String {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let parts: Vec<&str> = file_name.split('.').collect();
    match parts.as_slice() {
        [stem @ .., log, number] if log.eq_ignore_ascii_case("log") && is_number(number) && !stem.is_empty() => {
            format!("{}.{log}", stem.join("."))
        }
        [stem @ .., number, log] if log.eq_ignore_ascii_case("log") && is_number(number) && !stem.is_empty() => {
            format!("{}.{log}", stem.join("."))
        }
        _ => file_name.to_owned(),
    }
}

fn is_log_name(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    match lower.rsplit_once(".log") {
        Some((stem, "")) => !stem.is_empty(),
        Some((stem, tail)) => {
            let number = tail.strip_prefix('.').unwrap_or_default();
            !stem.is_empty() && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
        }
        None => false,
    }
}

fn subfolders(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries.filter_map(Result::ok).map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

#[cfg(test)]
mod tests;
