//! Wake-ups from the file system. They only save time: where there are none, as on many network drives, the poll serves.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;

use notify::event::ModifyKind;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::reader::Command;

/// Watches folders and tells the reader.
pub(super) struct Watcher {
    commands: SyncSender<Command>,
    system: Option<RecommendedWatcher>,
    /// What is watched, with what the folder was made known by: one that was deleted and made again is another one.
    folders: HashMap<PathBuf, Option<Identity>>,
}

impl Watcher {
    pub(super) fn new(commands: SyncSender<Command>) -> Self {
        Self { commands, system: None, folders: HashMap::new() }
    }

    /// Watches these folders and no others.
    pub(super) fn watch<'a>(&mut self, folders: impl Iterator<Item = &'a Path>) {
        let wanted: HashSet<PathBuf> = folders.map(Path::to_owned).collect();
        if wanted.is_empty() {
            self.system = None;
            self.folders.clear();
            return;
        }
        if self.system.is_none() {
            let commands = self.commands.clone();
            self.system = notify::recommended_watcher(move |event| tell(&commands, event)).ok();
        }
        let Some(system) = &mut self.system else { return };
        let stays = |folder: &Path, was: &Option<Identity>| wanted.contains(folder) && *was == identity(folder);
        for (gone, _) in self.folders.extract_if(|folder, was| !stays(folder, was)) {
            // A folder that is gone has taken its watch with it.
            let _ = system.unwatch(&gone);
        }
        for folder in wanted {
            if !self.folders.contains_key(&folder) && system.watch(&folder, RecursiveMode::NonRecursive).is_ok() {
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

/// Passes on what concerns the reader; its own reading does not.
fn tell(commands: &SyncSender<Command>, event: notify::Result<notify::Event>) {
    // A full inbox means that the reader will look anyway.
    let wake = |command| drop(commands.try_send(command));
    let Ok(event) = event else { return wake(Command::Look) };
    match event.kind {
        EventKind::Access(_) | EventKind::Modify(ModifyKind::Metadata(_)) => {}
        EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Any) => {
            event.paths.into_iter().map(Command::Changed).for_each(wake);
        }
        EventKind::Any | EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_) | EventKind::Other => {
            wake(Command::Look);
        }
    }
}
