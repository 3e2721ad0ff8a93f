//! The reader's thread: looks for files, reads what has come, hands it to the queue.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::clock::Clock;
use super::encode::LogBatch;
use super::files::{FileKey, Followed, Looked, first_state, is_continued};
use super::framing::{End, Framer, WINDOW_BYTES};
use super::watcher::Watcher;
use super::{LogContext, LogStatus};
use crate::config::StartAt;
use crate::connect::folders::{LogFolder, log_files, log_folders};
use crate::consent::{Consent, LogKind};
use crate::pipeline::Signal;
use crate::pipeline::queue::{AppendError, FileState, HandOver, NewBatch};

/// How much is read at once: at least what the framer needs to find the end of the longest record.
const READ_BYTES: usize = 512 * 1024;
const _: () = assert!(READ_BYTES >= WINDOW_BYTES);
/// Size from which on a batch is handed over: a quarter of what gRPC servers take by default (4 MiB).
const BATCH_BYTES: usize = 1 << 20;
/// Most that is read of one file before the others have their turn.
const TURN_BYTES: u64 = 8 << 20;
/// Shortest time between two turns: a chatty logger wakes us for every line.
const TURN_GAP: Duration = Duration::from_millis(50);
/// How long to wait before the queue is asked again for room.
const ROOM_WAIT: Duration = Duration::from_secs(1);
/// A file that is gone for so long will not come back under another name.
const GONE: Duration = Duration::from_mins(10);
/// Nothing is shared: there is nothing to do until a command comes.
const NOTHING_TO_DO: Duration = Duration::from_hours(24);
/// A file's time of creation may lie this much before the decision to share although it was made after it: file systems
/// use a coarser clock.
const CREATION_SLACK: Duration = Duration::from_millis(50);

/// What the reader is told.
pub(super) enum Command {
    /// A file has changed.
    Changed(PathBuf),
    /// Files have come, gone, or been renamed.
    Look,
    /// What is shared from now on; answered once it is obeyed.
    Consent(Consent, SyncSender<()>),
    /// End.
    Stop,
}

/// Whether the reader goes on.
#[derive(PartialEq, Eq)]
enum Flow {
    On,
    Stop,
}

pub(super) struct Reader {
    context: LogContext,
    consent: Consent,
    inbox: Receiver<Command>,
    publish: watch::Sender<LogStatus>,
    clock: Clock,
    buffer: Vec<u8>,
    followed: HashMap<FileKey, Followed>,
    /// Files that have been followed and are not there now, with the time since when.
    gone: HashMap<FileKey, (FileState, Instant)>,
    pending: BTreeMap<LogKind, Pending>,
    watcher: Watcher,
    look_due: Instant,
    last_turn: Option<Instant>,
    status: LogStatus,
}

/// Records of one kind on their way to the queue, and the files whose positions go with them.
struct Pending {
    batch: LogBatch,
    files: HashMap<FileKey, FileState>,
    since: Instant,
}

impl Reader {
    pub(super) fn new(
        context: LogContext,
        consent: Consent,
        inbox: Receiver<Command>,
        commands: SyncSender<Command>,
        publish: watch::Sender<LogStatus>,
    ) -> Self {
        let clock = Clock::new(context.zone.clone());
        let now = Instant::now();
        Self {
            context,
            consent,
            inbox,
            publish,
            clock,
            buffer: Vec::new(),
            followed: HashMap::new(),
            gone: HashMap::new(),
            pending: BTreeMap::new(),
            watcher: Watcher::new(commands),
            look_due: now,
            last_turn: None,
            status: LogStatus::default(),
        }
    }

    pub(super) fn run(mut self) {
        for state in self.context.queue.files() {
            if self.consent.shares(state.kind) {
                self.gone.insert((state.volume, state.index), (state, Instant::now()));
            } else {
                // Once it is shared again, what was written in between must not be read.
                self.context.queue.forget_file((state.volume, state.index));
            }
        }
        if self.turn(&mut HashSet::new()) == Flow::Stop {
            return;
        }
        let mut changed = HashSet::new();
        loop {
            let wait = self.next_turn(&changed).saturating_duration_since(Instant::now());
            match self.inbox.recv_timeout(wait) {
                Ok(Command::Changed(path)) => {
                    changed.insert(path);
                    continue;
                }
                Ok(Command::Look) => {
                    self.look_due = Instant::now();
                    continue;
                }
                Ok(Command::Consent(consent, done)) => {
                    self.obey(consent);
                    let _ = done.send(());
                }
                Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.turn(&mut changed) == Flow::Stop {
                return;
            }
        }
        for kind in LogKind::ALL {
            if self.hand_over(kind, false) == Flow::Stop {
                return;
            }
        }
    }

    /// When there is something to do, if no command comes before.
    fn next_turn(&self, changed: &HashSet<PathBuf>) -> Instant {
        let now = Instant::now();
        if !LogKind::ALL.iter().any(|kind| self.consent.shares(*kind)) {
            return now + NOTHING_TO_DO;
        }
        let flush = self.context.settings.flush_interval.get();
        let batches = self.pending.values().map(|pending| pending.since + flush);
        let tails = self.followed.values().filter(|file| file.has_more()).map(|file| file.changed + flush);
        let events = (!changed.is_empty()).then_some(now);
        if self.followed.values().any(|file| file.backlog) {
            return now;
        }
        let next = batches.chain(tails).chain(events).chain([self.look_due]).min().unwrap_or(now);
        next.max(self.last_turn.map_or(now, |last| last + TURN_GAP))
    }

    /// Looks for files when that is due, reads what has come, hands over what has waited long enough.
    fn turn(&mut self, changed: &mut HashSet<PathBuf>) -> Flow {
        if Instant::now() >= self.look_due {
            changed.clear();
            self.look();
            self.look_due = Instant::now() + self.context.settings.poll_interval.get();
        }
        for path in changed.drain() {
            self.look_at(&path);
        }
        let waiting: Vec<FileKey> =
            self.followed.iter().filter(|(_, file)| file.has_more()).map(|(key, _)| *key).collect();
        for key in waiting {
            match self.read(key) {
                Ok(Flow::On) => {}
                Ok(Flow::Stop) => return Flow::Stop,
                // Renamed or deleted since it was looked at.
                Err(error) if error.kind() == io::ErrorKind::NotFound => self.look_due = Instant::now(),
                Err(error) => {
                    let path = self.followed.get(&key).map(|file| file.path.clone()).unwrap_or_default();
                    self.complain(&path, &error);
                }
            }
        }
        let flush = self.context.settings.flush_interval.get();
        let quiet = !self.followed.values().any(Followed::has_more);
        for kind in LogKind::ALL {
            let due = self.pending.get(&kind).is_some_and(|pending| quiet || pending.since.elapsed() >= flush);
            if due && self.hand_over(kind, true) == Flow::Stop {
                return Flow::Stop;
            }
        }
        self.last_turn = Some(Instant::now());
        self.report();
        Flow::On
    }

    /// Follows the new consent: forgets every file of a kind that is not shared any more, and what was read of it.
    fn obey(&mut self, consent: Consent) {
        let newly_shared: Vec<LogKind> =
            LogKind::ALL.into_iter().filter(|kind| consent.shares(*kind) && !self.consent.shares(*kind)).collect();
        self.consent = consent;
        for kind in LogKind::ALL.into_iter().filter(|kind| !self.consent.shares(*kind)) {
            self.pending.remove(&kind);
            self.followed.retain(|_, file| file.state.kind != kind);
            self.gone.retain(|_, (state, _)| state.kind != kind);
        }
        if self.followed.is_empty() {
            self.watcher.watch(std::iter::empty());
            self.buffer = Vec::new();
        }
        for kind in newly_shared {
            for folder in self.folders().into_iter().filter(|folder| folder.kind == kind) {
                // What was written before the decision is not read, however the file came about.
                self.look_into(&folder, true);
            }
        }
        self.look_due = Instant::now();
    }

    fn folders(&self) -> Vec<LogFolder> {
        let folders = log_folders(&self.context.user_data);
        folders.into_iter().filter(|folder| self.consent.shares(folder.kind)).collect()
    }

    /// Looks through all folders: which files are there, which are new, which have another name, which are gone.
    fn look(&mut self) {
        let now = Instant::now();
        let folders = self.folders();
        self.watcher.watch(folders.iter().map(|folder| folder.path.as_path()));
        for folder in &folders {
            self.look_into(folder, false);
        }
        let mut away = Vec::new();
        for (key, (state, _)) in self.gone.extract_if(|_, (_, since)| since.elapsed() >= GONE) {
            // A folder that cannot be seen, as of a network drive, says nothing of its files.
            let folder = Path::new(&state.path).parent();
            if folders.iter().any(|known| Some(known.path.as_path()) == folder) {
                self.context.queue.forget_file(key);
            } else {
                away.push((key, (state, now)));
            }
        }
        self.gone.extend(away);
    }

    fn look_into(&mut self, folder: &LogFolder, from_now: bool) {
        let files = match log_files(&folder.path) {
            Ok(files) => files,
            Err(error) => return self.complain(&folder.path, &error),
        };
        let now = Instant::now();
        let known_paths: HashSet<String> = self
            .followed
            .values()
            .map(|file| &file.state)
            .chain(self.gone.values().map(|(state, _)| state))
            .map(|state| state.path.clone())
            .collect();
        let mut seen = HashSet::new();
        let mut first_seen = Vec::new();
        for path in files {
            let looked = match Looked::at(&path) {
                Ok(looked) => looked,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    self.complain(&path, &error);
                    continue;
                }
            };
            seen.insert(looked.key);
            // A file that is renamed while the folder is listed can be seen under both names; the later one counts.
            if let Some(file) = self.followed.get_mut(&looked.key) {
                file.sized(looked.size, now);
                if file.path != path {
                    file.rename(folder, &path, &self.context.settings.layouts);
                }
                continue;
            }
            let state = if let Some((state, _)) = self.gone.remove(&looked.key) {
                state
            } else {
                let successor = known_paths.contains(path.to_string_lossy().as_ref());
                let came_later = !from_now && (successor || self.is_newer_than_consent(folder.kind, &looked));
                let from_beginning = came_later || self.context.settings.start_at == StartAt::Beginning;
                let state = first_state(folder.kind, &path, &looked, if from_beginning { 0 } else { looked.size });
                first_seen.push(state.clone());
                state
            };
            let file = Followed::new(state, folder, &path, &self.context.settings.layouts, looked.size, now);
            self.followed.insert(looked.key, file);
        }
        let here = |file: &Followed| file.path.parent() == Some(folder.path.as_path());
        for (key, file) in self.followed.extract_if(|key, file| here(file) && !seen.contains(key)) {
            self.gone.insert(key, (file.state, now));
        }
        if !first_seen.is_empty()
            && let Err(error) = self.context.queue.append_logs(HandOver { files: first_seen, ..HandOver::default() })
        {
            tracing::error!(%error, "the positions of new log files could not be kept");
        }
    }

    /// Whether a file was made after its kind was shared. Where the file system does not tell, it counts as older: what
    /// was written before the decision must not be read.
    fn is_newer_than_consent(&self, kind: LogKind, looked: &Looked) -> bool {
        let shared = self.consent.decision(kind).and_then(|decision| std::time::SystemTime::try_from(decision.at).ok());
        matches!((looked.created, shared), (Some(created), Some(shared)) if created + CREATION_SLACK >= shared)
    }

    /// Looks at one file that is said to have changed.
    fn look_at(&mut self, path: &Path) {
        let now = Instant::now();
        match Looked::at(path).ok().and_then(|looked| Some((looked, self.followed.get_mut(&looked.key)?))) {
            Some((looked, file)) if file.path == path => file.sized(looked.size, now),
            _ => self.look_due = now,
        }
    }

    /// Reads a file from its position on, as far as its turn goes.
    fn read(&mut self, key: FileKey) -> io::Result<Flow> {
        let flush = self.context.settings.flush_interval.get();
        let Some(file) = self.followed.get_mut(&key) else { return Ok(Flow::On) };
        let mut input = File::open(&file.path)?;
        let looked = Looked::of(&input)?;
        if looked.key != key {
            // Renamed since it was looked at: its name now is another file's.
            self.look_due = Instant::now();
            return Ok(Flow::On);
        }
        let size = looked.size;
        file.sized(size, Instant::now());
        if !is_continued(&mut input, size, &mut file.state)? {
            tracing::info!("a log file was cut short or begun anew; it is read from its beginning");
            file.restart(&looked);
        }
        self.buffer.resize(READ_BYTES, 0);
        let mut taken = 0;
        while taken < TURN_BYTES {
            let Some(file) = self.followed.get_mut(&key) else { break };
            let start = file.state.position;
            input.seek(SeekFrom::Start(start))?;
            let read = fill(&mut input, &mut self.buffer)?;
            let at_end = read < self.buffer.len();
            let end = if at_end && file.changed.elapsed() >= flush { End::Idle } else { End::MoreMayCome };
            let kind = file.state.kind;
            let pending = self.pending.entry(kind).or_insert_with(|| Pending {
                batch: LogBatch::new(&self.context.resource),
                files: HashMap::new(),
                since: Instant::now(),
            });
            let observed = now_unix_nano();
            let mut framer = Framer::new(&self.buffer[..read], &file.layout, file.state.headed, end);
            for record in framer.by_ref() {
                let time = record.header.and_then(|header| header.time).and_then(|time| self.clock.unix_nanos(time));
                pending.batch.push(&file.origin, &record, start + record.start as u64, time, observed);
                self.status.records += 1;
                if pending.batch.len() >= BATCH_BYTES {
                    break;
                }
            }
            let consumed = framer.position() as u64;
            file.state.position += consumed;
            file.state.headed = framer.headed();
            taken += consumed;
            if consumed > 0 {
                pending.files.insert(key, file.state.clone());
            }
            if pending.batch.len() >= BATCH_BYTES {
                file.backlog = true;
                if self.hand_over(kind, true) == Flow::Stop || self.wait_for_commands(Duration::ZERO) == Flow::Stop {
                    return Ok(Flow::Stop);
                }
            } else if at_end {
                file.backlog = false;
                file.exhausted = (end == End::Idle).then_some(size);
                break;
            }
        }
        Ok(Flow::On)
    }

    /// Puts what waits of a kind into the queue, with the positions of its files. While there is no room it waits, if
    /// it may, and so does reading.
    fn hand_over(&mut self, kind: LogKind, may_wait: bool) -> Flow {
        while let Some(pending) = self.pending.get_mut(&kind) {
            let batch = pending.batch.finish().map(|encoded| NewBatch {
                signal: Signal::Logs,
                consent: Some(kind),
                items: encoded.items,
                oldest_unix_nano: encoded.oldest_unix_nano as i64,
                newest_unix_nano: encoded.newest_unix_nano as i64,
                payload: encoded.payload.to_vec(),
            });
            let states: Vec<FileState> = pending.files.values().cloned().collect();
            if batch.is_none() && states.is_empty() {
                self.pending.remove(&kind);
                break;
            }
            match self.context.queue.append_logs(HandOver { batch, files: states, ..HandOver::default() }) {
                Ok(()) => {
                    self.status.waiting_for_room = false;
                    self.pending.remove(&kind);
                }
                Err(AppendError::Closed) => return Flow::Stop,
                Err(error @ (AppendError::Full | AppendError::Store(_))) => {
                    if !self.status.waiting_for_room {
                        tracing::warn!(%error, "log files wait for the queue");
                    }
                    self.status.waiting_for_room = true;
                    self.report();
                    if !may_wait {
                        return Flow::On;
                    }
                    if self.wait_for_commands(ROOM_WAIT) == Flow::Stop {
                        return Flow::Stop;
                    }
                }
            }
        }
        Flow::On
    }

    /// Waits for a time, or until a command comes that must be obeyed at once.
    fn wait_for_commands(&mut self, time: Duration) -> Flow {
        let until = Instant::now() + time;
        loop {
            match self.inbox.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Command::Changed(_) | Command::Look) => self.look_due = Instant::now(),
                Ok(Command::Consent(consent, done)) => {
                    self.obey(consent);
                    let _ = done.send(());
                    return Flow::On;
                }
                Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => return Flow::Stop,
                Err(RecvTimeoutError::Timeout) => return Flow::On,
            }
        }
    }

    fn complain(&mut self, path: &Path, error: &io::Error) {
        let problem = format!("{} cannot be read: {error}", path.display());
        if self.status.problem.as_ref() != Some(&problem) {
            tracing::warn!("{problem}");
            self.status.problem = Some(problem);
        }
    }

    fn report(&mut self) {
        self.status.files = self.followed.len();
        self.status.behind_bytes =
            self.followed.values().map(|file| file.size.saturating_sub(file.state.position)).sum();
        self.publish.send_if_modified(|published| {
            let changed = *published != self.status;
            if changed {
                published.clone_from(&self.status);
            }
            changed
        });
    }
}

/// Reads until the buffer is full or the file ends.
fn fill(input: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn now_unix_nano() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or_default()
}
