//! Which files are followed: found, lost, rotated, copied.
//!
//! What happens to a log file, and what becomes of its position:
//! - renamed, in its folder or to the folder of archives: it stays the same file;
//! - compressed: read to its end before, or, if no agent ran then, unpacked and read on from its position;
//! - deleted, or moved away: read to its end through the handle that is held while something is written to it;
//! - cut short or overwritten in place: read from its beginning under a new id. If there is a copy that holds all that
//!   was taken of it (copytruncate), the copy goes on in its stead;
//! - copied: the copy is left alone as long as it is one, because its lines are read where they were written first.
//!
//! A file that comes while its kind is shared, or takes the place of one that was followed, is read from its beginning.
//! One that was there before begins where the settings say.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant, SystemTime};

use super::LogContext;
use super::compressed::unpack;
use super::files::{FileKey, Followed, Looked, first_state, holds_what_was_taken, is_copy, read_at, skip_to};
use super::history::first_position;
use super::reader::Command;
use super::watcher::Watcher;
use crate::config::StartAt;
use crate::consent::{Consent, LogKind};
use crate::ioconnect::folders::{LogFolder, archived_files, compressed_files, log_files, log_folders, unrotated};
use crate::pipeline::queue::{AppendRequest, FileState, LogCounter};

/// A file that is gone for so long will not come back under another name.
const GONE: Duration = Duration::from_mins(10);
/// A file's time of creation may lie this much before the decision to share although it was made after it: file systems
/// use a coarser clock.
const CREATION_SLACK: Duration = Duration::from_millis(50);
/// Files that are held open at the same time: far from what a process may have, and more than are written at once.
const MOST_HANDLES: usize = 64;
/// Files that are followed: some kilobytes each. Thousands of files are a fault of whoever makes them.
const MOST_FILES: usize = 4_000;

/// The files that are followed.
pub(super) struct Tracker {
    context: LogContext,
    watcher: Watcher,
    /// Compressed files that are not what was missing: the file, and what it was asked for.
    other: HashSet<(FileKey, FileKey)>,
    /// Folders that have been listed: what is new in them came later.
    known: HashSet<PathBuf>,
    pub(super) followed: HashMap<FileKey, Followed>,
    /// The last thing that went wrong with a file.
    pub(super) problem: Option<String>,
}

/// A file that is seen for the first time.
struct New<'a> {
    folder: &'a LogFolder,
    path: PathBuf,
    looked: Looked,
}

impl Tracker {
    /// Goes on with the files that the queue knows. What is not shared is forgotten: once it is shared again, what was
    /// written in between must not be read.
    pub(super) fn new(context: LogContext, consent: &Consent, commands: SyncSender<Command>) -> Self {
        let now = Instant::now();
        let mut followed = HashMap::new();
        for state in context.queue.files() {
            let key = (state.volume, state.index);
            if consent.shares(state.kind) {
                followed.insert(key, Followed::missing(state, &context, now));
            } else {
                context.queue.forget_file(key);
            }
        }
        let watcher = Watcher::new(commands);
        Self { context, watcher, other: HashSet::new(), known: HashSet::new(), followed, problem: None }
    }

    /// Leaves every file of a kind alone.
    pub(super) fn forget(&mut self, kind: LogKind) {
        self.followed.retain(|_, file| file.state.kind != kind);
        self.known.clear();
        if self.followed.is_empty() {
            self.watcher.watch(std::iter::empty());
        }
    }

    /// Looks through all folders: which files are there, which are new, which have another name, which are gone. Files of
    /// a kind in `newly` were there before its sharing began, however they came about.
    pub(super) fn look(&mut self, consent: &Consent, newly: &[LogKind]) {
        let now = Instant::now();
        let mut folders = log_folders(&self.context.user_data);
        folders.retain(|folder| consent.shares(folder.kind));
        if self.context.settings.watch {
            self.watcher.watch(folders.iter().map(|folder| folder.path.as_path()));
        }
        let places: HashSet<String> = self.followed.values().map(|file| file.state.path.clone()).collect();
        let (mut seen, mut blind, mut new) = (HashSet::new(), HashSet::new(), Vec::new());
        for folder in &folders {
            let files = log_files(&folder.path).unwrap_or_else(|error| {
                self.complain(&folder.path, &error);
                blind.insert(folder.path.as_path());
                Vec::new()
            });
            for path in files {
                let looked = match Looked::at(&path) {
                    Ok(looked) => looked,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => {
                        self.complain(&path, &error);
                        blind.insert(folder.path.as_path());
                        continue;
                    }
                };
                // A link is the file that it leads to.
                if !seen.insert(looked.key) {
                    continue;
                }
                match self.followed.get_mut(&looked.key) {
                    Some(file) => file.found(&path, &self.context, &looked, now),
                    None => new.push(New { folder, path, looked }),
                }
            }
        }
        for (key, file) in &mut self.followed {
            // A folder that cannot be read says nothing of its files.
            if !seen.contains(key) && !file.path.parent().is_some_and(|folder| blind.contains(folder)) {
                file.missing_since.get_or_insert(now);
            }
            file.size_again(now);
            if file.is_quiet() {
                file.close();
            }
        }
        self.look_into_archives(&folders, now);
        self.look_into_compressed();
        self.begin_with(consent, newly, &places, new);
        self.known
            .extend(folders.iter().map(|folder| &folder.path).filter(|path| !blind.contains(path.as_path())).cloned());
        self.forget_lost(&folders, now);
    }

    /// Looks at one file that is said to have changed; false if that does not say enough.
    pub(super) fn look_at(&mut self, path: &Path) -> bool {
        let looked = Looked::at(path).ok();
        match looked.and_then(|looked| Some((looked, self.followed.get_mut(&looked.key)?))) {
            Some((looked, file)) if file.path == path => {
                file.looked(&looked, Instant::now());
                true
            }
            _ => false,
        }
    }

    /// Files that there may be something to take of, with the time from when on.
    pub(super) fn due(&self) -> impl Iterator<Item = (FileKey, Instant)> {
        let flush = self.context.settings.flush_interval.get();
        self.followed.iter().filter_map(move |(key, file)| Some((*key, file.due(flush)?)))
    }

    /// Whether one turn could not take all of some file.
    pub(super) fn has_backlog(&self) -> bool {
        self.followed.values().any(|file| file.backlog)
    }

    /// Bytes of all files that have not been taken.
    pub(super) fn behind_bytes(&self) -> u64 {
        let here = self.followed.values().filter(|file| file.copy_of.is_none());
        here.map(|file| file.size.saturating_sub(file.state.position)).sum()
    }

    /// The file, open. Nothing if its name is another file's by now.
    pub(super) fn open(&mut self, key: FileKey) -> io::Result<Option<&mut Followed>> {
        self.spare_handles();
        let Some(file) = self.followed.get_mut(&key) else { return Ok(None) };
        let looked = Looked::of(file.open()?)?;
        if looked.key != key && !file.is_unpacked {
            file.close();
            return Ok(None);
        }
        file.looked(&looked, Instant::now());
        if file.state.fingerprint.is_empty() && self.is_copy(key)? {
            return Ok(None);
        }
        Ok(self.followed.get_mut(&key))
    }

    /// Begins anew with a file that is not any more what it was. A copy of what it was goes on in its stead.
    pub(super) fn begin_anew(&mut self, consent: &Consent, key: FileKey) -> io::Result<()> {
        self.look(consent, &[]);
        let Some(file) = self.followed.get_mut(&key) else { return Ok(()) };
        tracing::info!("a log file was cut short or overwritten; it is read from its beginning");
        let looked = Looked::of(file.open()?)?;
        let before = file.state.clone();
        file.restart(&looked);
        let mut files = vec![file.state.clone()];
        let copies = self.settle_copies(key, &before);
        if copies.is_empty()
            && let Some((packed, file)) = self.unpacked(key, &before)
        {
            files.push(file.state.clone());
            self.followed.insert(packed, file);
        }
        files.extend(copies);
        self.keep(AppendRequest { files, counts: BTreeMap::from([(LogCounter::Restarted, 1)]), batches: Vec::new() });
        Ok(())
    }

    /// Forgets files that are gone and have been read to their end. None of their records may be on the way any more.
    pub(super) fn let_go(&mut self) {
        let now = Instant::now();
        let drained: Vec<FileKey> =
            self.followed.iter().filter(|(_, file)| file.is_drained(now)).map(|(key, _)| *key).collect();
        for key in drained {
            self.drop_file(key);
        }
    }

    /// Takes note of what is wrong with a file.
    pub(super) fn complain(&mut self, path: &Path, error: &io::Error) {
        let problem = format!("{} cannot be read: {error}", path.display());
        self.say(problem);
    }

    fn say(&mut self, problem: String) {
        if self.problem.as_ref() != Some(&problem) {
            tracing::warn!("{problem}");
            self.problem = Some(problem);
        }
    }

    fn keep(&self, what: AppendRequest) {
        if let Err(error) = self.context.queue.append_logs(what) {
            tracing::error!(%error, "the positions of log files could not be kept");
        }
    }

    fn begin_with(&mut self, consent: &Consent, newly: &[LogKind], places: &HashSet<String>, new: Vec<New<'_>>) {
        let mut files = Vec::new();
        for New { folder, path, looked } in new {
            if self.followed.len() >= MOST_FILES {
                self.say(format!("there are more than {MOST_FILES} log files; those that came last are not read"));
                break;
            }
            let mut state = first_state(folder.kind, &path, &looked);
            let came_later = places.contains(&state.path)
                || self.known.contains(&folder.path)
                || is_newer_than_consent(consent, folder.kind, &looked);
            if newly.contains(&folder.kind) || !came_later {
                let begun = self.first_position(&path, &looked).and_then(|position| match position {
                    0 => Ok(()),
                    position => skip_to(&File::open(&path)?, &mut state, position),
                });
                if let Err(error) = begun {
                    self.complain(&path, &error);
                    continue;
                }
            }
            files.push(state.clone());
            let file = Followed::new(state, &path, &self.context, &looked, Instant::now());
            self.followed.insert(looked.key, file);
        }
        if !files.is_empty() {
            self.keep(AppendRequest { files, ..AppendRequest::default() });
        }
    }

    /// Where reading begins in a file that was there before its kind was shared.
    fn first_position(&self, path: &Path, looked: &Looked) -> io::Result<u64> {
        let since = match self.context.settings.start_at {
            StartAt::Beginning => return Ok(0),
            StartAt::End => return Ok(looked.size),
            StartAt::Last(period) => jiff::Timestamp::now().checked_sub(period.get()).unwrap_or(jiff::Timestamp::MIN),
            StartAt::Since(time) => time,
        };
        let until = looked.modified.and_then(|modified| jiff::Timestamp::try_from(modified).ok());
        if until.is_some_and(|modified| modified < since) {
            return Ok(looked.size);
        }
        first_position(path, &self.context.settings.layouts, &self.context.zone, since)
    }

    /// Whether a file of which nothing has been taken is the copy of another one.
    fn is_copy(&mut self, key: FileKey) -> io::Result<bool> {
        let Some(file) = self.followed.get_mut(&key) else { return Ok(false) };
        let path = file.path.clone();
        let input = file.open()?.try_clone()?;
        let first = read_at(&input, 0, super::files::FINGERPRINT_BYTES)?;
        let mut original = None;
        for (other_key, other) in &mut self.followed {
            let its_path = Path::new(&other.state.path);
            if *other_key == key || other.copy_of.is_some() || first.is_empty() || !may_be_copy(&path, its_path) {
                continue;
            }
            let known = &other.state.fingerprint;
            // Of two files that have not been read, the one with the longer name is the copy.
            let alike = if known.is_empty() {
                path.as_os_str().len() > its_path.as_os_str().len()
            } else {
                first.starts_with(known) || known.starts_with(&first)
            };
            if !alike {
                continue;
            }
            let same_now = other.open().is_ok_and(|other| is_copy(&input, other).unwrap_or(false));
            // The copy is finished before the original is cut short, so it is looked at after that.
            if same_now || holds_what_was_taken(&input, Looked::of(&input)?.size, &other.state)? {
                original = Some(*other_key);
                break;
            }
        }
        let Some(file) = self.followed.get_mut(&key) else { return Ok(false) };
        file.copy_of = original;
        if original.is_some() {
            file.close();
        }
        Ok(original.is_some())
    }

    /// Asks of every copy anew whether it is one, when there is something to take of it.
    pub(super) fn release_copies(&mut self) {
        for file in self.followed.values_mut() {
            file.copy_of = None;
        }
    }

    /// The original is not any more what it was `before`: one copy that holds all that was taken of it goes on in its
    /// stead. Returns the states that changed.
    fn settle_copies(&mut self, key: FileKey, before: &FileState) -> Vec<FileState> {
        let original = Path::new(&before.path);
        let mut changed = Vec::new();
        let mut continued = false;
        for (other, file) in &mut self.followed {
            let unread = file.state.position == 0 && file.state.fingerprint.is_empty();
            if *other == key || !unread || !may_be_copy(&file.path, original) || file.missing_since.is_some() {
                continue;
            }
            let Ok(input) = file.open().and_then(File::try_clone) else { continue };
            let size = Looked::of(&input).map_or(file.size, |looked| looked.size);
            if !continued && holds_what_was_taken(&input, size, before).unwrap_or(false) {
                file.take_over(before);
                continued = true;
                changed.push(file.state.clone());
            } else if file.copy_of == Some(key) && size <= before.position && file.skip_all().is_ok() {
                changed.push(file.state.clone());
            }
        }
        changed
    }

    fn drop_file(&mut self, key: FileKey) {
        let Some(file) = self.followed.remove(&key) else { return };
        let files = self.settle_copies(key, &file.state);
        if !files.is_empty() {
            self.keep(AppendRequest { files, ..AppendRequest::default() });
        }
        self.context.queue.forget_file(key);
    }

    /// The platform moves the files of its last run to a folder of archives when it starts: what was not read of them
    /// before is read there.
    fn look_into_archives(&mut self, folders: &[LogFolder], now: Instant) {
        if !self.followed.values().any(|file| file.missing_since.is_some() && !file.is_open()) {
            return;
        }
        for path in folders.iter().flat_map(|folder| archived_files(&folder.path)) {
            let Ok(looked) = Looked::at(&path) else { continue };
            let Some(file) = self.followed.get_mut(&looked.key) else { continue };
            if file.missing_since.is_some() && !file.is_open() && looked.size != file.state.position {
                file.path = path;
                file.looked(&looked, now);
                if let Err(error) = file.open() {
                    tracing::debug!(%error, "an archived log file cannot be opened");
                }
            }
        }
    }

    /// What was rotated and compressed before it had been read to its end, while no agent ran, is unpacked and read on.
    fn look_into_compressed(&mut self) {
        let away = |file: &Followed| file.missing_since.is_some() && !file.is_open();
        let missing: Vec<FileKey> = self.followed.iter().filter(|(_, file)| away(file)).map(|(key, _)| *key).collect();
        for key in missing {
            let Some(before) = self.followed.get(&key).map(|file| file.state.clone()) else { continue };
            if let Some((packed, file)) = self.unpacked(key, &before) {
                let files = vec![file.state.clone()];
                self.followed.insert(packed, file);
                self.keep(AppendRequest { files, ..AppendRequest::default() });
                if packed != key {
                    self.followed.remove(&key);
                    self.context.queue.forget_file(key);
                }
            }
        }
    }

    /// The content of the compressed file that a file has become, ready to be read on. Its key is that of the compressed
    /// file: the system may have given its own to another file.
    fn unpacked(&mut self, key: FileKey, before: &FileState) -> Option<(FileKey, Followed)> {
        for path in compressed_files(Path::new(&before.path).parent()?) {
            let Ok(looked) = Looked::at(&path) else { continue };
            if self.other.contains(&(looked.key, key)) {
                continue;
            }
            // One that cannot be unpacked may still be on the way: it is asked again.
            match unpack(&path, before) {
                Ok(Some(content)) => {
                    let (volume, index) = looked.key;
                    let state = FileState { volume, index, ..before.clone() };
                    return Some((looked.key, Followed::unpacked(state, content, &self.context, Instant::now())));
                }
                Ok(None) => drop(self.other.insert((looked.key, key))),
                Err(error) => tracing::debug!(%error, "a compressed log file cannot be unpacked"),
            }
        }
        None
    }

    fn forget_lost(&mut self, folders: &[LogFolder], now: Instant) {
        let mut lost = Vec::new();
        for (key, file) in &mut self.followed {
            let gone = file.missing_since.is_some_and(|since| now.saturating_duration_since(since) >= GONE);
            if file.is_open() || !gone {
                continue;
            }
            // A folder that cannot be seen, as of a network drive, says nothing of its files.
            let folder = Path::new(&file.state.path).parent();
            if folders.iter().any(|known| Some(known.path.as_path()) == folder) {
                lost.push(*key);
            } else {
                file.missing_since = Some(now);
            }
        }
        for key in lost {
            self.drop_file(key);
        }
    }

    /// Makes room for one more handle: lets go of the file that has been quiet for longest.
    fn spare_handles(&mut self) {
        let open = self.followed.values().filter(|file| file.is_open());
        if open.count() < MOST_HANDLES {
            return;
        }
        let here = self.followed.values_mut().filter(|file| file.is_open() && file.missing_since.is_none());
        if let Some(file) = here.min_by_key(|file| file.changed) {
            file.close();
        }
    }
}

/// Whether a file is named after another one in its folder, as in `x.log.1`, `x-20261123.log`, `x - Copy.log`: what begins
/// alike under another name, as a banner does, is no copy.
fn may_be_copy(path: &Path, original: &Path) -> bool {
    let name = |path: &Path| path.file_name().map(|name| unrotated(&name.to_string_lossy().to_lowercase()));
    let name = |path: &Path| name(path).unwrap_or_default();
    let (name, original_name) = (name(path), name(original));
    let stem = original_name.split(".log").next().unwrap_or_default();
    let behind = name.find(stem).map(|at| &name[at + stem.len()..]);
    path.parent() == original.parent()
        && !stem.is_empty()
        && behind.is_some_and(|behind| !behind.starts_with(char::is_alphanumeric))
}

/// Whether a file was made after its kind was shared. Where the file system does not tell, it counts as older: what was
/// written before the decision must not be read.
fn is_newer_than_consent(consent: &Consent, kind: LogKind, looked: &Looked) -> bool {
    let shared = consent.decision(kind).and_then(|decision| SystemTime::try_from(decision.at).ok());
    matches!((looked.created, shared), (Some(created), Some(shared)) if created + CREATION_SLACK >= shared)
}
