//! Crash dumps that appear. Where the platform puts them is told in two ways (its schema: `<env-region>/crashes`, dumps
//! under `reports` and, once they were sent, `sent`; its guide to logs: `logs/crashes`), so both places are looked at.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Places below a folder of an environment and region.
const PLACES: [&str; 6] =
    ["crashes", "crashes/reports", "crashes/sent", "logs/crashes", "logs/crashes/reports", "logs/crashes/sent"];

/// The dumps that have been seen, by name: a dump that is moved to another place is the same.
#[derive(Debug)]
pub(super) struct Crashes {
    roots: Vec<PathBuf>,
    seen: HashSet<OsString>,
}

impl Crashes {
    /// What is there now has been seen. `roots` hold a folder for each environment and region.
    pub(super) fn new(roots: Vec<PathBuf>) -> Self {
        let mut crashes = Self { roots, seen: HashSet::new() };
        let _old = crashes.look();
        crashes
    }

    /// How many have appeared since the last look.
    pub(super) fn look(&mut self) -> u64 {
        let dumps: HashSet<OsString> = self.roots.iter().flat_map(|root| dumps(root)).collect();
        let new = dumps.iter().filter(|dump| !self.seen.contains(*dump)).count();
        self.seen = dumps;
        new as u64
    }
}

fn dumps(root: &Path) -> Vec<OsString> {
    let entries = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let folders = entries(root).flat_map(|env_region| PLACES.map(|place| env_region.path().join(place)));
    let names = folders.flat_map(|folder| entries(&folder).map(|entry| entry.file_name()).collect::<Vec<_>>());
    names.filter(|name| Path::new(name).extension().is_some_and(|ending| ending.eq_ignore_ascii_case("dmp"))).collect()
}
