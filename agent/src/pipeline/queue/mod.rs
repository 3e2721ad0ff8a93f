//! The durable hand-off: encoded OTLP export requests, on disk until a collector has acknowledged them.
//!
//! One thread owns the file (format and invariants: `store.rs`); a [`Queue`] is a handle to it, cheap to clone, for
//! tasks and for threads alike. What the queue holds is published after every change ([`Queue::watch`]).
//!
//! When the queue is full: log files wait (the file is the buffer), so their batches are refused from
//! [`LOG_SHARE_PERCENT`] of the limit on. Metrics and traces cannot wait: up to the full limit they are taken, then the
//! oldest metrics give way, counted.

mod owner;
mod store;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};

use super::Signal;
use crate::config::{Compression, QueueSettings};
use crate::consent::LogKind;
use owner::{Command, Owner};
use store::Store;

/// Commands that may wait: a few per task that talks to the queue.
const WAITING_COMMANDS: usize = 16;
/// Part of the byte limit that log batches may fill; the rest is kept for what cannot be read again.
pub const LOG_SHARE_PERCENT: u64 = 90;

/// An export request on its way into the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBatch {
    /// Which kind of request.
    pub signal: Signal,
    /// The kind of logs whose sharing it depends on.
    pub consent: Option<LogKind>,
    /// Log records, data points or spans in it.
    pub items: u32,
    /// Time of its oldest item.
    pub oldest_unix_nano: i64,
    /// Time of its newest item.
    pub newest_unix_nano: i64,
    /// The request as protobuf, not compressed.
    pub payload: Vec<u8>,
}

/// An export request to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Its place in the queue.
    pub id: i64,
    /// Which kind of request.
    pub signal: Signal,
    /// How `payload` is compressed.
    pub compression: Compression,
    /// Log records, data points or spans in it.
    pub items: u32,
    /// Whether it is a half of one that was too large.
    pub split: bool,
    /// The request, compressed.
    pub payload: Bytes,
}

/// How far a log file has been taken over. The position always lies between two records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileState {
    /// The kind of logs whose sharing it depends on.
    pub kind: LogKind,
    /// Our own name for the file, 16 hexadecimal digits, made when it was first seen.
    pub id: String,
    /// Where it was last seen.
    pub path: String,
    /// Volume that it lies on.
    pub volume: u64,
    /// Its number on that volume (inode, file index).
    pub index: u64,
    /// Its first bytes, as many as there were when the position was last written, at most a limit of the reader's.
    pub fingerprint: Vec<u8>,
    /// Bytes taken over.
    pub position: u64,
    /// The bytes before the position, as many as there are, at most a limit of the reader's.
    pub guard: Vec<u8>,
    /// Whether a record with a header has been seen in it.
    pub headed: bool,
}

/// What is counted while log files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogCounter {
    /// Records that were found in files.
    Read,
    /// Records that were longer than the limit, and were cut.
    Cut,
    /// Files that were cut short or replaced in place, and were read from their beginning again.
    BegunAnew,
    /// Records that a filter of the settings left out.
    Filtered,
    /// Records that sampling left out.
    Sampled,
    /// Records above the rate that one file may have.
    RateLimited,
}

impl LogCounter {
    /// As written in [`QueueStats::counters`].
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read.logs",
            Self::Cut => "cut.logs",
            Self::BegunAnew => "begun_anew.logs",
            Self::Filtered => "dropped.logs.filtered",
            Self::Sampled => "dropped.logs.sampled",
            Self::RateLimited => "dropped.logs.rate_limited",
        }
    }
}

/// What was read of log files since the last hand-over: all of it is kept in one transaction, or nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HandOver {
    /// The records, if there were any to be sent.
    pub batch: Option<NewBatch>,
    /// How far the files have been read.
    pub files: Vec<FileState>,
    /// What happened on the way.
    pub counts: BTreeMap<LogCounter, u64>,
}

/// Why data left the queue without being delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DropReason {
    /// It became older than the limit.
    TooOld,
    /// The queue was full.
    Full,
    /// The collector refused the request for good.
    Refused,
    /// The collector called it too large, even halved.
    TooLarge,
    /// What was stored cannot be read any more.
    Damaged,
    /// The user stopped sharing.
    Withdrawn,
}

impl DropReason {
    /// As written in counters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TooOld => "too_old",
            Self::Full => "full",
            Self::Refused => "refused",
            Self::TooLarge => "too_large",
            Self::Damaged => "damaged",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// What waits of one signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SignalStats {
    /// Requests.
    pub batches: u64,
    /// Log records, data points or spans.
    pub items: u64,
    /// Compressed bytes.
    pub bytes: u64,
    /// When the oldest was put in.
    pub oldest_unix_ms: Option<i64>,
}

impl SignalStats {
    fn added(&mut self, batches: u64, items: u64, bytes: u64) {
        self.batches += batches;
        self.items += items;
        self.bytes += bytes;
    }

    fn removed(&mut self, batches: u64, items: u64, bytes: u64) {
        self.batches = self.batches.saturating_sub(batches);
        self.items = self.items.saturating_sub(items);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// What the queue holds, and what has left it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct QueueStats {
    /// What waits, metrics.
    pub metrics: SignalStats,
    /// What waits, traces.
    pub traces: SignalStats,
    /// What waits, logs.
    pub logs: SignalStats,
    /// Items since the queue was made: `delivered.<signal>`, `rejected.<signal>`, `dropped.<signal>.<reason>`, and those
    /// of [`LogCounter`].
    pub counters: BTreeMap<String, u64>,
}

impl QueueStats {
    /// What waits of a signal.
    #[must_use]
    pub fn of(&self, signal: Signal) -> &SignalStats {
        match signal {
            Signal::Metrics => &self.metrics,
            Signal::Traces => &self.traces,
            Signal::Logs => &self.logs,
        }
    }

    fn of_mut(&mut self, signal: Signal) -> &mut SignalStats {
        match signal {
            Signal::Metrics => &mut self.metrics,
            Signal::Traces => &mut self.traces,
            Signal::Logs => &mut self.logs,
        }
    }

    /// Compressed bytes that wait.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        Signal::ALL.iter().map(|signal| self.of(*signal).bytes).sum()
    }

    /// Requests that wait.
    #[must_use]
    pub fn batches(&self) -> u64 {
        Signal::ALL.iter().map(|signal| self.of(*signal).batches).sum()
    }

    /// When the oldest that waits was put in.
    #[must_use]
    pub fn oldest_unix_ms(&self) -> Option<i64> {
        Signal::ALL.iter().filter_map(|signal| self.of(*signal).oldest_unix_ms).min()
    }

    /// Items dropped for reasons that are a loss: all but what the user or the settings wanted.
    #[must_use]
    pub fn lost_items(&self) -> u64 {
        let withdrawn = format!(".{}", DropReason::Withdrawn.name());
        let wanted = [LogCounter::Filtered.name(), LogCounter::Sampled.name()];
        self.counters
            .iter()
            .filter(|(name, _)| name.starts_with("dropped."))
            .filter(|(name, _)| !name.ends_with(&withdrawn) && !wanted.contains(&name.as_str()))
            .map(|(_, items)| items)
            .sum()
    }
}

/// What can go wrong with the queue's file.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A newer agent has written it.
    #[error("the queue has format {found}, this program knows up to {known}")]
    Newer {
        /// Its format.
        found: i64,
        /// The newest known here.
        known: i64,
    },
    /// SQLite says no.
    #[error("the queue's database: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The file system says no.
    #[error("the queue's file: {0}")]
    Io(#[from] io::Error),
}

/// Why a batch was not taken.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// There is no room; later there may be.
    #[error("the queue is full")]
    Full,
    /// It could not be written; later it may be.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The queue has ended.
    #[error("the queue is closed")]
    Closed,
}

/// A handle to the queue.
#[derive(Debug, Clone)]
pub struct Queue {
    commands: mpsc::Sender<Command>,
    stats: watch::Receiver<QueueStats>,
}

/// The running queue: ends it, and waits for the end.
#[derive(Debug)]
pub struct QueueThread {
    commands: mpsc::Sender<Command>,
    thread: JoinHandle<()>,
}

impl QueueThread {
    /// Carries out what waits, writes all of it to the file, ends the thread.
    pub fn stop(self) {
        let _ = self.commands.blocking_send(Command::Stop);
        if self.thread.join().is_err() {
            tracing::error!("the queue's thread ended by a panic");
        }
    }
}

/// An opened queue.
#[derive(Debug)]
pub struct Opened {
    /// For everybody who puts in or takes out.
    pub queue: Queue,
    /// For the one who ends it.
    pub thread: QueueThread,
    /// Where a file was put that could not be used.
    pub set_aside: Option<PathBuf>,
}

impl Queue {
    /// Opens the queue's file and starts its thread.
    ///
    /// # Errors
    /// When the file cannot be opened or made.
    pub fn open(file: &Path, settings: &QueueSettings, compression: Compression) -> Result<Opened, StoreError> {
        let (store, set_aside) = Store::open(file)?;
        let (commands, inbox) = mpsc::channel(WAITING_COMMANDS);
        let (publish, stats) = watch::channel(store.stats().clone());
        let owner = Owner { store, settings: settings.clone(), compression, publish };
        let thread = std::thread::Builder::new().name("queue".to_owned()).spawn(move || owner.run(inbox))?;
        let queue = Self { commands: commands.clone(), stats };
        Ok(Opened { queue, thread: QueueThread { commands, thread }, set_aside })
    }

    /// Puts a batch in; it is on disk when this returns.
    ///
    /// # Errors
    /// See [`AppendError`].
    pub async fn append(&self, batch: NewBatch) -> Result<(), AppendError> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Append { what: HandOver { batch: Some(batch), ..HandOver::default() }, reply };
        self.commands.send(command).await.map_err(|_| AppendError::Closed)?;
        answer.await.map_err(|_| AppendError::Closed)?
    }

    /// Puts log records in, moves the positions of their files and counts, in one transaction. For threads.
    ///
    /// # Errors
    /// See [`AppendError`]; nothing has then been kept.
    pub fn append_logs(&self, what: HandOver) -> Result<(), AppendError> {
        let (reply, answer) = oneshot::channel();
        self.commands.blocking_send(Command::Append { what, reply }).map_err(|_| AppendError::Closed)?;
        answer.blocking_recv().map_err(|_| AppendError::Closed)?
    }

    /// The oldest batch of a signal.
    pub async fn next(&self, signal: Signal) -> Option<Batch> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Next { signal, reply }).await.ok()?;
        answer.await.ok()?
    }

    /// Takes a delivered batch out; `rejected` of its items were refused by the collector.
    pub async fn acknowledge(&self, id: i64, rejected: u64) {
        self.finish(|done| Command::Acknowledge { id, rejected, done }).await;
    }

    /// Takes a batch out unsent, and counts it.
    pub async fn drop_batch(&self, id: i64, reason: DropReason) {
        self.finish(|done| Command::Drop { id, reason, done }).await;
    }

    /// Puts two halves in the place of a batch that was too large; one that cannot be halved is dropped and counted.
    pub async fn split(&self, batch: Batch) {
        self.finish(|done| Command::Split { batch, done }).await;
    }

    async fn finish(&self, command: impl FnOnce(oneshot::Sender<()>) -> Command) {
        let (done, answer) = oneshot::channel();
        if self.commands.send(command(done)).await.is_ok() {
            let _ = answer.await;
        }
    }

    /// Deletes what waits of a kind of logs; returns how many records that were.
    ///
    /// # Errors
    /// See [`AppendError`].
    pub async fn withdraw(&self, kind: LogKind) -> Result<u64, AppendError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Withdraw { kind, reply }).await.map_err(|_| AppendError::Closed)?;
        answer.await.map_err(|_| AppendError::Closed)?
    }

    /// Every log file that has been read. For threads.
    #[must_use]
    pub fn files(&self) -> Vec<FileState> {
        let (reply, answer) = oneshot::channel();
        if self.commands.blocking_send(Command::Files { reply }).is_err() {
            return Vec::new();
        }
        answer.blocking_recv().unwrap_or_default()
    }

    /// Forgets a log file that is gone, by its volume and its number there. For threads.
    pub fn forget_file(&self, key: (u64, u64)) {
        let _ = self.commands.blocking_send(Command::ForgetFile { key });
    }

    /// What the queue holds, now and after every change.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<QueueStats> {
        self.stats.clone()
    }
}

/// Reads what a queue's file holds, also while an agent runs on it.
///
/// # Errors
/// When the file cannot be opened, or is not a queue of this version.
pub fn inspect(file: &Path) -> Result<QueueStats, StoreError> {
    if !file.exists() {
        return Ok(QueueStats::default());
    }
    Store::inspect(file)
}

/// Deletes what waits of some kinds of logs while no agent runs; returns how many records that were.
///
/// # Errors
/// When the file cannot be opened or written.
pub fn withdraw(file: &Path, kinds: &[LogKind]) -> Result<u64, StoreError> {
    if !file.exists() {
        return Ok(0);
    }
    let (mut store, _) = Store::open(file)?;
    let mut deleted = 0;
    for kind in kinds {
        deleted += store.withdraw(*kind)?;
    }
    Ok(deleted)
}
