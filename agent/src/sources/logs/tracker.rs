//! Tracks log files: finds new ones and follows them through rotation, copying and deletion.
//!
//! What can happen to a log file, and what then happens to its position:
//! - Renamed, inside its folder or into the archive folder: it stays the same file.
//! - Compressed: it was read to its end before. If no agent was running then, the compressed file
//!   is unpacked and reading continues at the position.
//! - Deleted or moved away: it is read to its end through the handle, which is kept open while the
//!   file is being written.
//! - Truncated or overwritten in place: it is read from its beginning under a new id. If a copy
//!   exists that contains everything read so far (copytruncate), the copy continues from the old
//!   position.
//! - Copied: the copy is ignored as long as it is a copy, because its lines are read from the
//!   original.
//!
//! A file that appears while its kind is shared, or that replaces a tailed file, is read from its
//! beginning. A file that existed before starts where the settings say.

mod copies;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant, SystemTime};

use super::LogContext;
use super::files::{FileKey, FileStat, TailedFile, initial_state, set_position};
use super::reader::Command;
use super::rotated_gzip::unpack;
use super::start_position::start_position;
use super::watcher::Watcher;
use crate::config::StartAt;
use crate::consent::{Consent, LogKind};
use crate::ioconnect::folders::{LogFolder, archived_files, compressed_files, log_files, log_folders};
use crate::pipeline::queue::{AppendRequest, FileState, LogCounter};

/// A file that is missing for this long will not come back under another name.
const MISSING_FILE_TIMEOUT: Duration = Duration::from_mins(10);
/// A file's creation time may be this much earlier than the decision to share although the file was
/// created after it: file systems use a coarser clock.
const CREATION_TIME_TOLERANCE: Duration = Duration::from_millis(50);
/// Maximum number of open files: far below a process's limit, and more than are written at once.
const MAX_OPEN_FILES: usize = 64;
/// Maximum number of tailed files, at a few kilobytes each. Thousands of files indicate a fault in
/// the program that creates them.
const MAX_TAILED_FILES: usize = 4_000;

/// All tailed files, and what is known about their folders.
pub(super) struct Tracker {
    context: LogContext,
    watcher: Watcher,
    /// Pairs of a compressed file and a missing file that it was found not to contain.
    unrelated_archives: HashSet<(FileKey, FileKey)>,
    /// Folders that have been listed before: a file that is new in them was created later.
    listed_folders: HashSet<PathBuf>,
    pub(super) files: HashMap<FileKey, TailedFile>,
    /// The most recent problem with a file.
    pub(super) problem: Option<String>,
}

/// A file that is seen for the first time.
struct NewFile<'a> {
    folder: &'a LogFolder,
    path: PathBuf,
    stat: FileStat,
}

impl Tracker {
    /// Continues with the files that are stored in the queue. Files whose kind is not shared are
    /// forgotten: when it is shared again, lines written in the meantime must not be read.
    pub(super) fn new(context: LogContext, consent: &Consent, commands: SyncSender<Command>) -> Self {
        let now = Instant::now();
        let mut files = HashMap::new();
        for state in context.queue.files() {
            let key = (state.volume, state.index);
            if consent.shares(state.kind) {
                files.insert(key, TailedFile::missing(state, &context, now));
            } else {
                context.queue.forget_file(key);
            }
        }
        let watcher = Watcher::new(commands);
        Self {
            context,
            watcher,
            unrelated_archives: HashSet::new(),
            listed_folders: HashSet::new(),
            files,
            problem: None,
        }
    }

    /// Stops tailing all files of a kind.
    pub(super) fn forget(&mut self, kind: LogKind) {
        self.files.retain(|_, file| file.state.kind != kind);
        self.listed_folders.clear();
        if self.files.is_empty() {
            self.watcher.watch(std::iter::empty());
        }
    }

    /// Lists all folders and updates which files are present, new, renamed or missing. Files of a
    /// kind in `newly_shared` count as older than the consent, whatever their history.
    pub(super) fn rescan(&mut self, consent: &Consent, newly_shared: &[LogKind]) {
        let now = Instant::now();
        let mut folders = log_folders(&self.context.user_data);
        folders.retain(|folder| consent.shares(folder.kind));
        if self.context.settings.watch {
            self.watcher.watch(folders.iter().map(|folder| folder.path.as_path()));
        }
        let known_paths: HashSet<String> = self.files.values().map(|file| file.state.path.clone()).collect();
        let (mut seen, mut unreadable, mut new) = (HashSet::new(), HashSet::new(), Vec::new());
        for folder in &folders {
            let files = log_files(&folder.path).unwrap_or_else(|error| {
                self.record_problem(&folder.path, &error);
                unreadable.insert(folder.path.as_path());
                Vec::new()
            });
            for path in files {
                let stat = match FileStat::of_path(&path) {
                    Ok(stat) => stat,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => {
                        self.record_problem(&path, &error);
                        unreadable.insert(folder.path.as_path());
                        continue;
                    }
                };
                // A link is the file that it points to.
                if !seen.insert(stat.key) {
                    continue;
                }
                match self.files.get_mut(&stat.key) {
                    Some(file) => file.found_at(&path, &self.context, &stat, now),
                    None => new.push(NewFile { folder, path, stat }),
                }
            }
        }
        for (key, file) in &mut self.files {
            // If a folder cannot be read, nothing is known about its files.
            if !seen.contains(key) && !file.path.parent().is_some_and(|folder| unreadable.contains(folder)) {
                file.missing_since.get_or_insert(now);
            }
            file.refresh_stat(now);
            if file.is_quiet() {
                file.close();
            }
        }
        self.find_in_archives(&folders, now);
        self.find_in_gzip_files();
        self.add_new_files(consent, newly_shared, &known_paths, new);
        self.listed_folders.extend(
            folders.iter().map(|folder| &folder.path).filter(|path| !unreadable.contains(path.as_path())).cloned(),
        );
        self.forget_missing(&folders, now);
    }

    /// Updates one file after a change notification. Returns false if a full rescan is needed.
    pub(super) fn refresh_file(&mut self, path: &Path) -> bool {
        let stat = FileStat::of_path(path).ok();
        match stat.and_then(|stat| Some((stat, self.files.get_mut(&stat.key)?))) {
            Some((stat, file)) if file.path == path => {
                file.update_stat(&stat, Instant::now());
                true
            }
            _ => false,
        }
    }

    /// Returns the files that may have something to read, with the time from which that applies.
    pub(super) fn due(&self) -> impl Iterator<Item = (FileKey, Instant)> {
        let flush = self.context.settings.flush_interval.get();
        self.files.iter().filter_map(move |(key, file)| Some((*key, file.due(flush)?)))
    }

    /// Returns whether a file has more data than one turn could read.
    pub(super) fn has_backlog(&self) -> bool {
        self.files.values().any(|file| file.backlog)
    }

    /// Returns the number of unread bytes in all files, copies excluded.
    pub(super) fn unread_bytes(&self) -> u64 {
        let here = self.files.values().filter(|file| file.copy_of.is_none());
        here.map(|file| file.size.saturating_sub(file.state.position)).sum()
    }

    /// Opens a file. Returns nothing if its path belongs to another file by now, or if the file
    /// turns out to be a copy.
    pub(super) fn open(&mut self, key: FileKey) -> io::Result<Option<&mut TailedFile>> {
        self.limit_open_files();
        let Some(file) = self.files.get_mut(&key) else { return Ok(None) };
        let stat = FileStat::of_file(file.open()?)?;
        if stat.key != key && !file.is_unpacked {
            file.close();
            return Ok(None);
        }
        file.update_stat(&stat, Instant::now());
        if file.state.fingerprint.is_empty() && self.detect_copy(key)? {
            return Ok(None);
        }
        Ok(self.files.get_mut(&key))
    }

    /// Restarts a file that is no longer the same file. A copy of its old content continues from
    /// the old position.
    pub(super) fn restart(&mut self, consent: &Consent, key: FileKey) -> io::Result<()> {
        self.rescan(consent, &[]);
        let Some(file) = self.files.get_mut(&key) else { return Ok(()) };
        tracing::info!("log file truncated or overwritten, reading it from its beginning");
        let stat = FileStat::of_file(file.open()?)?;
        let before = file.state.clone();
        file.restart(&stat);
        let mut files = vec![file.state.clone()];
        let copies = self.reassign_copies(key, &before);
        if copies.is_empty()
            && let Some((packed, file)) = self.unpack_rotated(key, &before)
        {
            files.push(file.state.clone());
            self.files.insert(packed, file);
        }
        files.extend(copies);
        self.save_positions(AppendRequest {
            files,
            counts: BTreeMap::from([(LogCounter::Restarted, 1)]),
            batches: Vec::new(),
        });
        Ok(())
    }

    /// Forgets files that are gone and read to their end. Call it only when no record of theirs is
    /// pending: the queue drops the position with the file.
    pub(super) fn forget_drained(&mut self) {
        let now = Instant::now();
        let drained: Vec<FileKey> =
            self.files.iter().filter(|(_, file)| file.is_drained(now)).map(|(key, _)| *key).collect();
        for key in drained {
            self.forget_file(key);
        }
    }

    /// Reports a file that cannot be read.
    pub(super) fn record_problem(&mut self, path: &Path, error: &io::Error) {
        let problem = format!("{} cannot be read: {error}", path.display());
        self.set_problem(problem);
    }

    fn set_problem(&mut self, problem: String) {
        if self.problem.as_ref() != Some(&problem) {
            tracing::warn!("{problem}");
            self.problem = Some(problem);
        }
    }

    fn save_positions(&self, what: AppendRequest) {
        if let Err(error) = self.context.queue.append_logs(what) {
            tracing::error!("failed to save the positions of log files: {error:#}");
        }
    }

    fn add_new_files(
        &mut self,
        consent: &Consent,
        newly_shared: &[LogKind],
        known_paths: &HashSet<String>,
        new: Vec<NewFile<'_>>,
    ) {
        let mut files = Vec::new();
        for NewFile { folder, path, stat } in new {
            if self.files.len() >= MAX_TAILED_FILES {
                self.set_problem(format!(
                    "there are more than {MAX_TAILED_FILES} log files; the newest ones are not read"
                ));
                break;
            }
            let mut state = initial_state(folder.kind, &path, &stat);
            let is_new = known_paths.contains(&state.path)
                || self.listed_folders.contains(&folder.path)
                || is_created_after_consent(consent, folder.kind, &stat);
            if newly_shared.contains(&folder.kind) || !is_new {
                let started = self.start_position(&path, &stat).and_then(|position| match position {
                    0 => Ok(()),
                    position => set_position(&File::open(&path)?, &mut state, position),
                });
                if let Err(error) = started {
                    self.record_problem(&path, &error);
                    continue;
                }
            }
            files.push(state.clone());
            let file = TailedFile::new(state, &path, &self.context, &stat, Instant::now());
            self.files.insert(stat.key, file);
        }
        if !files.is_empty() {
            self.save_positions(AppendRequest { files, ..AppendRequest::default() });
        }
    }

    /// Returns where to start in a file that existed before its kind was shared.
    fn start_position(&self, path: &Path, stat: &FileStat) -> io::Result<u64> {
        let since = match self.context.settings.start_at {
            StartAt::Beginning => return Ok(0),
            StartAt::End => return Ok(stat.size),
            StartAt::Last(period) => jiff::Timestamp::now().checked_sub(period.get()).unwrap_or(jiff::Timestamp::MIN),
            StartAt::Since(time) => time,
        };
        let until = stat.modified.and_then(|modified| jiff::Timestamp::try_from(modified).ok());
        if until.is_some_and(|modified| modified < since) {
            return Ok(stat.size);
        }
        start_position(path, &self.context.settings.layouts, &self.context.zone, since)
    }

    fn forget_file(&mut self, key: FileKey) {
        let Some(file) = self.files.remove(&key) else { return };
        let files = self.reassign_copies(key, &file.state);
        if !files.is_empty() {
            self.save_positions(AppendRequest { files, ..AppendRequest::default() });
        }
        self.context.queue.forget_file(key);
    }

    /// Finds missing files in the archive folder and continues reading them there. The platform
    /// moves the files of its last run to that folder when it starts.
    fn find_in_archives(&mut self, folders: &[LogFolder], now: Instant) {
        if !self.files.values().any(|file| file.missing_since.is_some() && !file.is_open()) {
            return;
        }
        for path in folders.iter().flat_map(|folder| archived_files(&folder.path)) {
            let Ok(stat) = FileStat::of_path(&path) else { continue };
            let Some(file) = self.files.get_mut(&stat.key) else { continue };
            if file.missing_since.is_some() && !file.is_open() && stat.size != file.state.position {
                file.path = path;
                file.update_stat(&stat, now);
                if let Err(error) = file.open() {
                    tracing::debug!("failed to open an archived log file: {error:#}");
                }
            }
        }
    }

    /// Finds missing files in compressed form. They were rotated and compressed while no agent was
    /// running, before they were read to their end.
    fn find_in_gzip_files(&mut self) {
        let away = |file: &TailedFile| file.missing_since.is_some() && !file.is_open();
        let missing: Vec<FileKey> = self.files.iter().filter(|(_, file)| away(file)).map(|(key, _)| *key).collect();
        for key in missing {
            let Some(before) = self.files.get(&key).map(|file| file.state.clone()) else { continue };
            if let Some((packed, file)) = self.unpack_rotated(key, &before) {
                let files = vec![file.state.clone()];
                self.files.insert(packed, file);
                self.save_positions(AppendRequest { files, ..AppendRequest::default() });
                if packed != key {
                    self.files.remove(&key);
                    self.context.queue.forget_file(key);
                }
            }
        }
    }

    /// Returns the unpacked content of the compressed file that `before` has become, ready for
    /// reading. Its key is the key of the compressed file: the system may have reused the old one
    /// for another file.
    fn unpack_rotated(&mut self, key: FileKey, before: &FileState) -> Option<(FileKey, TailedFile)> {
        for path in compressed_files(Path::new(&before.path).parent()?) {
            let Ok(stat) = FileStat::of_path(&path) else { continue };
            if self.unrelated_archives.contains(&(stat.key, key)) {
                continue;
            }
            // A file that cannot be unpacked may still be incomplete: it is tried again.
            match unpack(&path, before) {
                Ok(Some(content)) => {
                    let (volume, index) = stat.key;
                    let state = FileState { volume, index, ..before.clone() };
                    return Some((stat.key, TailedFile::unpacked(state, content, &self.context, Instant::now())));
                }
                Ok(None) => drop(self.unrelated_archives.insert((stat.key, key))),
                Err(error) => tracing::debug!("failed to unpack a compressed log file: {error:#}"),
            }
        }
        None
    }

    fn forget_missing(&mut self, folders: &[LogFolder], now: Instant) {
        let mut lost = Vec::new();
        for (key, file) in &mut self.files {
            let gone =
                file.missing_since.is_some_and(|since| now.saturating_duration_since(since) >= MISSING_FILE_TIMEOUT);
            if file.is_open() || !gone {
                continue;
            }
            // If a folder is not visible, for example on a network drive, nothing is known about
            // its files.
            let folder = Path::new(&file.state.path).parent();
            if folders.iter().any(|known| Some(known.path.as_path()) == folder) {
                lost.push(*key);
            } else {
                file.missing_since = Some(now);
            }
        }
        for key in lost {
            self.forget_file(key);
        }
    }

    /// Makes room for one more open file: closes the file that has been quiet for longest.
    fn limit_open_files(&mut self) {
        let open = self.files.values().filter(|file| file.is_open());
        if open.count() < MAX_OPEN_FILES {
            return;
        }
        let here = self.files.values_mut().filter(|file| file.is_open() && file.missing_since.is_none());
        if let Some(file) = here.min_by_key(|file| file.last_change) {
            file.close();
        }
    }
}

/// Returns whether a file was created after its kind was shared. If the file system does not report
/// the creation time, the file counts as older: lines written before the decision must not be read.
fn is_created_after_consent(consent: &Consent, kind: LogKind, stat: &FileStat) -> bool {
    let shared = consent.decision(kind).and_then(|decision| SystemTime::try_from(decision.at).ok());
    matches!((stat.created, shared), (Some(created), Some(shared)) if created + CREATION_TIME_TOLERANCE >= shared)
}
