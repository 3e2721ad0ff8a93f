//! The reader thread: reads new lines and appends them to the queue.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::encode::LogBatch;
use super::files::FileKey;
use super::framing::{End, Framer, WINDOW_BYTES};
use super::prepare::Preparer;
use super::tracker::Tracker;
use super::{LogContext, LogStatus};
use crate::consent::{Consent, LogKind};
use crate::otlp::Signal;
use crate::pipeline::queue::{AppendError, AppendRequest, FileState, LogCounter, NewBatch};
use crate::priority::Background;

/// Bytes per read: what the framer needs to find the end of the longest record, in UTF-16.
pub(super) const READ_BUFFER_BYTES: usize = 2 * WINDOW_BYTES;
/// A batch of this size is appended: a quarter of what gRPC servers accept by default (4 MiB).
const BATCH_TARGET_BYTES: usize = 1 << 20;
/// Maximum bytes read from one file before other files get their turn.
const MAX_BYTES_PER_TURN: u64 = 8 << 20;
/// Minimum time between two cycles: a busy logger wakes the reader for every line.
const MIN_CYCLE_INTERVAL: Duration = Duration::from_millis(50);
/// How long to wait before the queue is asked again for space.
const QUEUE_RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// How often the reader checks whether a pause is over.
const PAUSE_CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// How long to wait for a command while nothing is shared. Nothing else can happen.
const NOTHING_SHARED_TIMEOUT: Duration = Duration::from_hours(24);

/// A message to the reader.
pub(super) enum Command {
    /// A file has changed.
    FileChanged(PathBuf),
    /// Files were created, removed or renamed.
    Rescan,
    /// The new consent. The sender is answered once it is applied.
    SetConsent(Consent, SyncSender<()>),
    /// End the thread.
    Stop,
}

/// Whether the reader continues or ends.
#[derive(PartialEq, Eq)]
enum Flow {
    Continue,
    Stop,
}

pub(super) struct Reader {
    context: LogContext,
    consent: Consent,
    inbox: Receiver<Command>,
    publish: watch::Sender<LogStatus>,
    tracker: Tracker,
    preparer: Preparer,
    priority: Background,
    buffer: Vec<u8>,
    pending: BTreeMap<LogKind, Pending>,
    next_rescan: Instant,
    last_cycle: Option<Instant>,
    status: LogStatus,
}

/// Records of one kind that are not in the queue yet, and the files whose positions advance with
/// them.
struct Pending {
    batch: LogBatch,
    files: HashMap<FileKey, FileState>,
    counts: BTreeMap<LogCounter, u64>,
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
        Self {
            tracker: Tracker::new(context.clone(), &consent, commands),
            preparer: Preparer::new(&context),
            context,
            consent,
            inbox,
            publish,
            priority: Background::default(),
            buffer: Vec::new(),
            pending: BTreeMap::new(),
            next_rescan: Instant::now(),
            last_cycle: None,
            status: LogStatus::default(),
        }
    }

    pub(super) fn run(mut self) {
        if self.run_cycle(&mut HashSet::new()) == Flow::Stop {
            return;
        }
        let mut changed = HashSet::new();
        loop {
            let wait = self.next_cycle(&changed).saturating_duration_since(Instant::now());
            match self.inbox.recv_timeout(wait) {
                Ok(Command::FileChanged(path)) => {
                    changed.insert(path);
                    continue;
                }
                Ok(Command::Rescan) => {
                    self.next_rescan = Instant::now();
                    continue;
                }
                Ok(Command::SetConsent(consent, done)) => {
                    self.apply_consent(consent);
                    let _ = done.send(());
                }
                Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.run_cycle(&mut changed) == Flow::Stop {
                return;
            }
        }
        for kind in LogKind::ALL {
            if self.append_pending(kind, false) == Flow::Stop {
                return;
            }
        }
    }

    /// Returns when the next cycle is due, if no command comes before.
    fn next_cycle(&self, changed: &HashSet<PathBuf>) -> Instant {
        let now = Instant::now();
        if !LogKind::ALL.iter().any(|kind| self.consent.shares(*kind)) {
            return now + NOTHING_SHARED_TIMEOUT;
        }
        if self.tracker.has_backlog() {
            return now;
        }
        if self.context.pause.is_on() {
            return now + PAUSE_CHECK_INTERVAL;
        }
        let flush = self.context.settings.flush_interval.get();
        let batches = self.pending.values().map(|pending| pending.since + flush);
        let files = self.tracker.due().map(|(_, due)| due);
        let events = (!changed.is_empty()).then_some(now);
        let next = batches.chain(files).chain(events).chain([self.next_rescan]).min().unwrap_or(now);
        next.max(self.last_cycle.map_or(now, |last| last + MIN_CYCLE_INTERVAL))
    }

    /// Runs one cycle: rescans the folders if due, reads the files that have changed, and appends
    /// batches that have waited long enough.
    fn run_cycle(&mut self, changed: &mut HashSet<PathBuf>) -> Flow {
        if self.context.pause.is_on() {
            // Records that were read before the pause are kept. After the pause all folders are
            // rescanned.
            changed.clear();
            self.next_rescan = Instant::now();
            let stops = LogKind::ALL.into_iter().any(|kind| self.append_pending(kind, false) == Flow::Stop);
            return if stops { Flow::Stop } else { Flow::Continue };
        }
        if LogKind::ALL.iter().any(|kind| self.consent.shares(*kind)) && Instant::now() >= self.next_rescan {
            changed.clear();
            self.tracker.rescan(&self.consent, &[]);
            self.tracker.recheck_copies();
            self.next_rescan = Instant::now() + self.context.settings.poll_interval.get();
        }
        for path in changed.drain() {
            if !self.tracker.refresh_file(&path) {
                self.next_rescan = Instant::now();
            }
        }
        let now = Instant::now();
        let due: Vec<FileKey> = self.tracker.due().filter(|(_, due)| *due <= now).map(|(key, _)| key).collect();
        for key in due {
            match self.read_file(key) {
                Ok(Flow::Continue) => {}
                Ok(Flow::Stop) => return Flow::Stop,
                // Renamed or deleted since the last rescan.
                Err(error) if error.kind() == io::ErrorKind::NotFound => self.next_rescan = Instant::now(),
                Err(error) => {
                    let path = self.tracker.files.get(&key).map(|file| file.path.clone()).unwrap_or_default();
                    self.tracker.record_problem(&path, &error);
                }
            }
        }
        let flush = self.context.settings.flush_interval.get();
        let quiet = self.tracker.due().next().is_none();
        for kind in LogKind::ALL {
            let due = self.pending.get(&kind).is_some_and(|pending| quiet || pending.since.elapsed() >= flush);
            if due && self.append_pending(kind, true) == Flow::Stop {
                return Flow::Stop;
            }
        }
        if self.pending.is_empty() {
            self.tracker.forget_drained();
        }
        self.priority.set(self.tracker.has_backlog());
        self.last_cycle = Some(Instant::now());
        self.publish_status();
        Flow::Continue
    }

    /// Applies a new consent: forgets all files of kinds that are no longer shared, and the records
    /// read from them.
    fn apply_consent(&mut self, consent: Consent) {
        let newly_shared: Vec<LogKind> =
            LogKind::ALL.into_iter().filter(|kind| consent.shares(*kind) && !self.consent.shares(*kind)).collect();
        self.consent = consent;
        for kind in LogKind::ALL.into_iter().filter(|kind| !self.consent.shares(*kind)) {
            self.pending.remove(&kind);
            self.tracker.forget(kind);
        }
        if self.tracker.files.is_empty() {
            self.buffer = Vec::new();
        }
        if !newly_shared.is_empty() {
            // Lines written before the decision are not read, whatever the history of the file.
            self.tracker.rescan(&self.consent, &newly_shared);
        }
        self.next_rescan = Instant::now();
    }

    /// Reads a file from its position until its turn ends.
    ///
    /// The position advances in memory only, and only over bytes that the framer consumed. It
    /// reaches the disk in [`Reader::append_pending`], in one transaction with the records before
    /// it. If the agent is killed in between, the same bytes are read again after the next start,
    /// so no line is lost and none is in the queue twice.
    fn read_file(&mut self, key: FileKey) -> io::Result<Flow> {
        let flush = self.context.settings.flush_interval.get();
        self.buffer.resize(READ_BUFFER_BYTES, 0);
        let mut taken = 0;
        while taken < MAX_BYTES_PER_TURN {
            let Some(file) = self.tracker.open(key)? else {
                self.next_rescan = self.next_rescan.min(Instant::now() + MIN_CYCLE_INTERVAL);
                return Ok(Flow::Continue);
            };
            let Some(read) = file.read(&mut self.buffer)? else { return self.restart_file(key) };
            let end = if read < self.buffer.len() { file.end(flush, Instant::now()) } else { End::MoreMayCome };
            let encoding = file.encoding();
            let bom = if file.state.position == 0 { encoding.bom_length(&self.buffer[..read]).min(read) } else { 0 };
            file.advance(&self.buffer[..bom]);
            let bytes = &self.buffer[bom..read];
            let text = encoding.text(bytes);
            let in_line = encoding.is_in_line(&file.state.guard);
            let kind = file.state.kind;
            let pending = self.pending.entry(kind).or_insert_with(|| Pending {
                batch: LogBatch::new(&self.context.resource),
                files: HashMap::new(),
                counts: BTreeMap::new(),
                since: Instant::now(),
            });
            let observed = now_unix_nanos();
            let (mut at, mut offset) = (0, file.state.position);
            let mut framer = Framer::new(&text, &file.layout, file.state.seen_header, in_line, end);
            for record in framer.by_ref() {
                offset += encoding.length(&text[at..record.start]) as u64;
                at = record.start;
                let place = (offset, observed);
                self.preparer.process(&mut file.pipeline, &record, place, &mut pending.batch, &mut pending.counts);
                if pending.batch.len() >= BATCH_TARGET_BYTES {
                    break;
                }
            }
            let consumed = encoding.length(&text[..framer.position()]);
            let seen_header = framer.seen_header();
            file.state.seen_header = seen_header;
            file.advance(&bytes[..consumed]);
            taken += consumed as u64;
            if bom + consumed > 0 {
                pending.files.insert(key, file.state.clone());
            }
            if pending.batch.len() >= BATCH_TARGET_BYTES {
                file.backlog = true;
                if self.append_pending(kind, true) == Flow::Stop || self.wait_for_commands(Duration::ZERO) == Flow::Stop
                {
                    return Ok(Flow::Stop);
                }
            } else if read < self.buffer.len() {
                file.reached_end(end);
                break;
            }
        }
        Ok(Flow::Continue)
    }

    /// Restarts a file. Everything that was read of it is appended first: otherwise its old
    /// position would be stored after the new one.
    fn restart_file(&mut self, key: FileKey) -> io::Result<Flow> {
        for kind in LogKind::ALL {
            if self.append_pending(kind, true) == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        self.tracker.restart(&self.consent, key)?;
        Ok(Flow::Continue)
    }

    /// Appends the pending records of a kind to the queue, with the positions of their files. If
    /// the queue has no space and `wait_for_space` is set, waits for it; no file is read meanwhile.
    fn append_pending(&mut self, kind: LogKind, wait_for_space: bool) -> Flow {
        while let Some(pending) = self.pending.get_mut(&kind) {
            let batch = pending.batch.finish().map(|encoded| NewBatch {
                signal: Signal::Logs,
                consent: Some(kind),
                items: encoded.items,
                oldest_unix_nano: encoded.oldest_unix_nano as i64,
                newest_unix_nano: encoded.newest_unix_nano as i64,
                payload: encoded.payload.to_vec(),
            });
            let files: Vec<FileState> = pending.files.values().cloned().collect();
            if batch.is_none() && files.is_empty() {
                self.pending.remove(&kind);
                break;
            }
            let read = pending.counts.get(&LogCounter::Read).copied().unwrap_or_default();
            let counts = pending.counts.clone();
            match self.context.queue.append_logs(AppendRequest { batches: batch.into_iter().collect(), files, counts })
            {
                Ok(()) => {
                    self.status.waiting_for_room = false;
                    self.status.records += read;
                    self.pending.remove(&kind);
                }
                Err(AppendError::Closed) => return Flow::Stop,
                Err(error @ (AppendError::Full | AppendError::Store(_))) => {
                    if !self.status.waiting_for_room {
                        tracing::warn!("failed to append log records to the queue, reading waits: {error:#}");
                    }
                    self.status.waiting_for_room = true;
                    self.publish_status();
                    if !wait_for_space {
                        return Flow::Continue;
                    }
                    if self.wait_for_commands(QUEUE_RETRY_INTERVAL) == Flow::Stop {
                        return Flow::Stop;
                    }
                }
            }
        }
        Flow::Continue
    }

    /// Waits for a time, or until a command arrives that must be applied at once.
    fn wait_for_commands(&mut self, time: Duration) -> Flow {
        let until = Instant::now() + time;
        loop {
            match self.inbox.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Command::FileChanged(_) | Command::Rescan) => self.next_rescan = Instant::now(),
                Ok(Command::SetConsent(consent, done)) => {
                    self.apply_consent(consent);
                    let _ = done.send(());
                    return Flow::Continue;
                }
                Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => return Flow::Stop,
                Err(RecvTimeoutError::Timeout) => return Flow::Continue,
            }
        }
    }

    fn publish_status(&mut self) {
        self.status.files = self.tracker.files.values().filter(|file| file.missing_since.is_none()).count();
        self.status.behind_bytes = self.tracker.unread_bytes();
        self.status.problem.clone_from(&self.tracker.problem);
        self.publish.send_if_modified(|published| {
            let changed = *published != self.status;
            if changed {
                published.clone_from(&self.status);
            }
            changed
        });
    }
}

fn now_unix_nanos() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or_default()
}
