//! Wake-ups from the file system. They only reduce latency: where there are none, as on many
//! network drives, polling is enough.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;

use notify::event::ModifyKind;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::reader::Command;

/// Watches folders and forwards changes to the reader.
pub(super) struct Watcher {
    commands: SyncSender<Command>,
    notifier: Option<RecommendedWatcher>,
    /// The watched folders with their identity: a folder that was deleted and created again is a
    /// different one.
    folders: HashMap<PathBuf, Option<Identity>>,
}

impl Watcher {
    pub(super) fn new(commands: SyncSender<Command>) -> Self {
        Self { commands, notifier: None, folders: HashMap::new() }
    }

    /// Watches these folders and no others.
    pub(super) fn watch<'a>(&mut self, folders: impl Iterator<Item = &'a Path>) {
        let wanted: HashSet<PathBuf> = folders.map(Path::to_owned).collect();
        if wanted.is_empty() {
            self.notifier = None;
            self.folders.clear();
            return;
        }
        if self.notifier.is_none() {
            let commands = self.commands.clone();
            self.notifier = notify::recommended_watcher(move |event| forward(&commands, event)).ok();
        }
        let Some(notifier) = &mut self.notifier else { return };
        let stays = |folder: &Path, was: &Option<Identity>| wanted.contains(folder) && *was == identity(folder);
        for (gone, _) in self.folders.extract_if(|folder, was| !stays(folder, was)) {
            // Fails if the folder is gone: its watch has gone with it.
            let _ = notifier.unwatch(&gone);
        }
        for folder in wanted {
            if !self.folders.contains_key(&folder) && notifier.watch(&folder, RecursiveMode::NonRecursive).is_ok() {
                let identity = identity(&folder);
                self.folders.insert(folder, identity);
            }
        }
    }
}

type Identity = (u64, u64);

#[cfg(unix)]
fn identity(folder: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(folder).ok().map(|folder| (folder.dev(), folder.ino()))
}

#[cfg(windows)]
fn identity(folder: &Path) -> Option<Identity> {
    use std::os::windows::fs::MetadataExt;
    std::fs::metadata(folder).ok().map(|folder| (folder.creation_time(), 0))
}

/// Forwards events that may concern the reader. Its own reads do not.
fn forward(commands: &SyncSender<Command>, event: notify::Result<notify::Event>) {
    // If the inbox is full, the reader is about to look anyway.
    let wake = |command| drop(commands.try_send(command));
    let Ok(event) = event else { return wake(Command::Rescan) };
    match event.kind {
        EventKind::Access(_) | EventKind::Modify(ModifyKind::Metadata(_)) => {}
        EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Any) => {
            event.paths.into_iter().map(Command::FileChanged).for_each(wake);
        }
        EventKind::Any | EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_) | EventKind::Other => {
            wake(Command::Rescan);
        }
    }
}
