//! The reader's thread: reads what has come, hands it to the queue.

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

/// How much is read at once: what the framer needs to find the end of the longest record, in UTF-16.
pub(super) const READ_BYTES: usize = 2 * WINDOW_BYTES;
/// Size from which on a batch is handed over: a quarter of what gRPC servers take by default (4 MiB).
const BATCH_BYTES: usize = 1 << 20;
/// Most that is read of one file before the others have their turn.
const TURN_BYTES: u64 = 8 << 20;
/// Shortest time between two turns: a chatty logger wakes us for every line.
const TURN_GAP: Duration = Duration::from_millis(50);
/// How long to wait before the queue is asked again for room.
const ROOM_WAIT: Duration = Duration::from_secs(1);
/// How often it is looked whether a pause is over.
const PAUSE_LOOK: Duration = Duration::from_secs(1);
/// Nothing is shared: there is nothing to do until a command comes.
const NOTHING_TO_DO: Duration = Duration::from_hours(24);

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
    tracker: Tracker,
    preparer: Preparer,
    priority: Background,
    buffer: Vec<u8>,
    pending: BTreeMap<LogKind, Pending>,
    look_due: Instant,
    last_turn: Option<Instant>,
    status: LogStatus,
}

/// Records of one kind on their way to the queue, and the files whose positions go with them.
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
            look_due: Instant::now(),
            last_turn: None,
            status: LogStatus::default(),
        }
    }

    pub(super) fn run(mut self) {
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
        if self.tracker.has_backlog() {
            return now;
        }
        if self.context.pause.is_on() {
            return now + PAUSE_LOOK;
        }
        let flush = self.context.settings.flush_interval.get();
        let batches = self.pending.values().map(|pending| pending.since + flush);
        let files = self.tracker.due().map(|(_, due)| due);
        let events = (!changed.is_empty()).then_some(now);
        let next = batches.chain(files).chain(events).chain([self.look_due]).min().unwrap_or(now);
        next.max(self.last_turn.map_or(now, |last| last + TURN_GAP))
    }

    /// Looks for files when that is due, reads what has come, hands over what has waited long enough.
    fn turn(&mut self, changed: &mut HashSet<PathBuf>) -> Flow {
        if self.context.pause.is_on() {
            // What was read before the pause is kept; then everything is looked at anew.
            changed.clear();
            self.look_due = Instant::now();
            let stops = LogKind::ALL.into_iter().any(|kind| self.hand_over(kind, false) == Flow::Stop);
            return if stops { Flow::Stop } else { Flow::On };
        }
        if LogKind::ALL.iter().any(|kind| self.consent.shares(*kind)) && Instant::now() >= self.look_due {
            changed.clear();
            self.tracker.look(&self.consent, &[]);
            self.tracker.release_copies();
            self.look_due = Instant::now() + self.context.settings.poll_interval.get();
        }
        for path in changed.drain() {
            if !self.tracker.look_at(&path) {
                self.look_due = Instant::now();
            }
        }
        let now = Instant::now();
        let due: Vec<FileKey> = self.tracker.due().filter(|(_, due)| *due <= now).map(|(key, _)| key).collect();
        for key in due {
            match self.read(key) {
                Ok(Flow::On) => {}
                Ok(Flow::Stop) => return Flow::Stop,
                // Renamed or deleted since it was looked at.
                Err(error) if error.kind() == io::ErrorKind::NotFound => self.look_due = Instant::now(),
                Err(error) => {
                    let path = self.tracker.followed.get(&key).map(|file| file.path.clone()).unwrap_or_default();
                    self.tracker.complain(&path, &error);
                }
            }
        }
        let flush = self.context.settings.flush_interval.get();
        let quiet = self.tracker.due().next().is_none();
        for kind in LogKind::ALL {
            let due = self.pending.get(&kind).is_some_and(|pending| quiet || pending.since.elapsed() >= flush);
            if due && self.hand_over(kind, true) == Flow::Stop {
                return Flow::Stop;
            }
        }
        if self.pending.is_empty() {
            self.tracker.let_go();
        }
        self.priority.set(self.tracker.has_backlog());
        self.last_turn = Some(Instant::now());
        self.report();
        Flow::On
    }

    /// Follows the new consent: forgets every file of a kind that is not shared any more, and what was read of it.
    fn obey(&mut self, consent: Consent) {
        let newly: Vec<LogKind> =
            LogKind::ALL.into_iter().filter(|kind| consent.shares(*kind) && !self.consent.shares(*kind)).collect();
        self.consent = consent;
        for kind in LogKind::ALL.into_iter().filter(|kind| !self.consent.shares(*kind)) {
            self.pending.remove(&kind);
            self.tracker.forget(kind);
        }
        if self.tracker.followed.is_empty() {
            self.buffer = Vec::new();
        }
        if !newly.is_empty() {
            // What was written before the decision is not read, however the file came about.
            self.tracker.look(&self.consent, &newly);
        }
        self.look_due = Instant::now();
    }

    /// Reads a file from its position on, as far as its turn goes.
    fn read(&mut self, key: FileKey) -> io::Result<Flow> {
        let flush = self.context.settings.flush_interval.get();
        self.buffer.resize(READ_BYTES, 0);
        let mut taken = 0;
        while taken < TURN_BYTES {
            let Some(file) = self.tracker.open(key)? else {
                self.look_due = self.look_due.min(Instant::now() + TURN_GAP);
                return Ok(Flow::On);
            };
            let Some(read) = file.read(&mut self.buffer)? else { return self.begin_anew(key) };
            let end = if read < self.buffer.len() { file.end(flush, Instant::now()) } else { End::MoreMayCome };
            let encoding = file.encoding();
            let mark = if file.state.position == 0 { encoding.mark(&self.buffer[..read]).min(read) } else { 0 };
            file.advance(&self.buffer[..mark]);
            let bytes = &self.buffer[mark..read];
            let text = encoding.text(bytes);
            let in_line = encoding.is_in_line(&file.state.guard);
            let kind = file.state.kind;
            let pending = self.pending.entry(kind).or_insert_with(|| Pending {
                batch: LogBatch::new(&self.context.resource),
                files: HashMap::new(),
                counts: BTreeMap::new(),
                since: Instant::now(),
            });
            let observed = now_unix_nano();
            let (mut at, mut offset) = (0, file.state.position);
            let mut framer = Framer::new(&text, &file.layout, file.state.seen_header, in_line, end);
            for record in framer.by_ref() {
                offset += encoding.length(&text[at..record.start]) as u64;
                at = record.start;
                let place = (offset, observed);
                self.preparer.take(&mut file.stream, &record, place, &mut pending.batch, &mut pending.counts);
                if pending.batch.len() >= BATCH_BYTES {
                    break;
                }
            }
            let consumed = encoding.length(&text[..framer.position()]);
            let headed = framer.headed();
            file.state.seen_header = headed;
            file.advance(&bytes[..consumed]);
            taken += consumed as u64;
            if mark + consumed > 0 {
                pending.files.insert(key, file.state.clone());
            }
            if pending.batch.len() >= BATCH_BYTES {
                file.backlog = true;
                if self.hand_over(kind, true) == Flow::Stop || self.wait_for_commands(Duration::ZERO) == Flow::Stop {
                    return Ok(Flow::Stop);
                }
            } else if read < self.buffer.len() {
                file.read_to_end(end);
                break;
            }
        }
        Ok(Flow::On)
    }

    /// Begins anew with a file, once all that was taken of it is kept: or its position would come after the new one.
    fn begin_anew(&mut self, key: FileKey) -> io::Result<Flow> {
        for kind in LogKind::ALL {
            if self.hand_over(kind, true) == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        self.tracker.begin_anew(&self.consent, key)?;
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

    fn report(&mut self) {
        self.status.files = self.tracker.followed.values().filter(|file| file.missing_since.is_none()).count();
        self.status.behind_bytes = self.tracker.behind_bytes();
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

fn now_unix_nano() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or_default()
}
