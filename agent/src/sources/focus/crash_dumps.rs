//! Counts new crash dumps of the platform. The documentation names two locations: the schema says
//! `<env-region>/crashes` (dumps under `reports` and, after they were sent, `sent`), the guide to
//! logs says `logs/crashes`. Both are searched.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Dump folders, relative to the folder of an environment and region.
const DUMP_FOLDERS: [&str; 6] =
    ["crashes", "crashes/reports", "crashes/sent", "logs/crashes", "logs/crashes/reports", "logs/crashes/sent"];

/// The dumps already seen, by file name: a dump that is moved to another folder is the same dump.
#[derive(Debug)]
pub(super) struct CrashDumps {
    roots: Vec<PathBuf>,
    known: HashSet<OsString>,
}

impl CrashDumps {
    /// Creates the counter; dumps that exist now are not counted. `roots` contain a folder for each
    /// environment and region.
    pub(super) fn new(roots: Vec<PathBuf>) -> Self {
        let mut crash_dumps = Self { roots, known: HashSet::new() };
        let _old = crash_dumps.count_new();
        crash_dumps
    }

    /// Returns the number of dumps that have appeared since the last call.
    pub(super) fn count_new(&mut self) -> u64 {
        let dumps: HashSet<OsString> = self.roots.iter().flat_map(|root| dumps(root)).collect();
        let new = dumps.iter().filter(|dump| !self.known.contains(*dump)).count();
        self.known = dumps;
        new as u64
    }
}

fn dumps(root: &Path) -> Vec<OsString> {
    let entries = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let folders = entries(root).flat_map(|env_region| DUMP_FOLDERS.map(|place| env_region.path().join(place)));
    let names = folders.flat_map(|folder| entries(&folder).map(|entry| entry.file_name()).collect::<Vec<_>>());
    names.filter(|name| Path::new(name).extension().is_some_and(|ending| ending.eq_ignore_ascii_case("dmp"))).collect()
}

#[cfg(test)]
mod tests;
