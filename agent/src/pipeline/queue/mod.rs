//! The durable queue: encoded OTLP export requests, kept on disk until a collector has acknowledged
//! them.
//!
//! One thread owns the file. A [`Queue`] is a handle to it that is cheap to clone and works in
//! tasks and in threads. The statistics are published after every change ([`Queue::watch`]).
//!
//! ```text
//! Queue ─commands─► worker.rs ─┬─► resilient_store.rs ── store.rs ── rows.rs, counters.rs
//!                              │     └── recovery.rs, quarantine.rs    files that cannot be used
//!                              └─► a store in memory, for data that cannot be written to disk
//! ```
//!
//! **Full queue** (`queue.max_bytes`). Data that its sender can send again is refused from
//! [`RETRYABLE_FILL_PERCENT`] of the limit: log files wait, because the file itself is the buffer,
//! and apps that send to the receiver retry. Data that exists nowhere else is accepted up to the
//! full limit. Then the oldest data of equal or lower value is dropped and counted: metrics first,
//! then traces, then log records that are in no file.
//!
//! **No disk space or unusable disk** (`queue.min_free_disk`, a full disk, a file or folder that is
//! not writable). The queue does not grow. Log files wait. Other data is held in memory, up to
//! [`MAX_MEMORY_BYTES`], sent from there, and moved to disk as soon as possible. The agent still
//! starts and runs, gives the reason in its status, and retries by itself.
//!
//! **Damage.** The file is quarantined, everything readable is recovered, and losses are counted. A
//! batch that is not exactly what was stored is never sent.

mod clock;
mod counters;
mod deferred_write;
mod disk_space;
mod error;
mod migrations;
mod quarantine;
mod recovery;
mod resilient_store;
mod rows;
mod store;
#[cfg(test)]
mod tests;
mod types;
mod worker;

use std::path::Path;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};

use crate::config::QueueSettings;
use crate::consent::LogKind;
use crate::otlp::{Compression, Signal};
use disk_space::{DiskSpace, Probe};
use resilient_store::{RETRY_INTERVAL, ResilientStore};
use store::Store;
use worker::{Command, OnRefusal, QueueWorker};

pub use counters::{QueueStats, SignalStats};
pub use error::{AppendError, StoreError};
pub use quarantine::{QuarantineReason, QuarantinedFile};
pub use types::{AppendRequest, Batch, BatchId, DropReason, FileState, LogCounter, NewBatch};

/// Maximum commands waiting for the queue thread: a few for each task that uses the queue, and as
/// many requests of apps as share a transaction.
const MAX_WAITING_COMMANDS: usize = 64;
/// Percentage of the size limit that data may fill if its sender can send it again. The rest is
/// kept for data that exists nowhere else.
pub const RETRYABLE_FILL_PERCENT: u64 = 90;
/// Maximum compressed bytes held in memory while they cannot be written to disk: hours of metrics,
/// and little compared with the memory budget of the agent.
pub const MAX_MEMORY_BYTES: u64 = 4 << 20;

/// A handle to the queue.
#[derive(Debug, Clone)]
pub struct Queue {
    commands: mpsc::Sender<Command>,
    stats: watch::Receiver<QueueStats>,
    ready: watch::Receiver<bool>,
}

/// The running queue thread.
#[derive(Debug)]
pub struct QueueThread {
    commands: mpsc::Sender<Command>,
    thread: JoinHandle<()>,
}

impl QueueThread {
    /// Executes the waiting commands, writes everything to the file, and ends the thread.
    pub fn stop(self) {
        let _ = self.commands.blocking_send(Command::Stop);
        if self.thread.join().is_err() {
            tracing::error!("queue thread panicked");
        }
    }
}

/// An open queue.
#[derive(Debug)]
pub struct Opened {
    /// Handle for everything that adds or takes data.
    pub queue: Queue,
    /// The thread, for the owner that stops it.
    pub thread: QueueThread,
}

impl Queue {
    /// Opens the queue file and starts the queue thread. An unusable file is not an error; see the
    /// documentation of this module.
    ///
    /// # Errors
    /// When the system cannot create the thread.
    pub fn open(file: &Path, settings: &QueueSettings, compression: Compression) -> Result<Opened, StoreError> {
        Self::open_with(file, settings, compression, disk_space::volume_probe(file), RETRY_INTERVAL)
    }

    fn open_with(
        file: &Path,
        settings: &QueueSettings,
        compression: Compression,
        probe: Probe,
        retry_interval: Duration,
    ) -> Result<Opened, StoreError> {
        let disk = ResilientStore::open(file, settings, retry_interval);
        let space = DiskSpace::new(probe, settings.min_free_disk.get());
        let (commands, inbox) = mpsc::channel(MAX_WAITING_COMMANDS);
        let (stats_sender, stats) = watch::channel(QueueStats::default());
        let (ready_sender, ready) = watch::channel(false);
        let worker = QueueWorker::new(disk, space, settings.clone(), compression, stats_sender, ready_sender);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let thread =
            std::thread::Builder::new().name("queue".to_owned()).spawn(move || runtime.block_on(worker.run(inbox)))?;
        let queue = Self { commands: commands.clone(), stats, ready };
        Ok(Opened { queue, thread: QueueThread { commands, thread } })
    }

    /// Adds a batch that exists nowhere else. When this returns, the batch is on disk or, while the
    /// disk cannot be written, in memory.
    ///
    /// # Errors
    /// See [`AppendError`]; the batch is lost then.
    pub async fn append(&self, batch: NewBatch) -> Result<(), AppendError> {
        self.append_batches(vec![batch], OnRefusal::DataIsLost).await
    }

    /// Adds batches, all or none, that their sender keeps until they are acknowledged. When this
    /// returns, they are on disk. They are refused when log files have to wait too: the sender is
    /// the buffer. Concurrent calls share one transaction.
    ///
    /// # Errors
    /// See [`AppendError`]; nothing was added then.
    pub async fn offer(&self, batches: Vec<NewBatch>) -> Result<(), AppendError> {
        self.append_batches(batches, OnRefusal::SenderRetries).await
    }

    async fn append_batches(&self, batches: Vec<NewBatch>, on_refusal: OnRefusal) -> Result<(), AppendError> {
        let (reply, answer) = oneshot::channel();
        let request = AppendRequest { batches, ..AppendRequest::default() };
        let command = Command::Append { request, on_refusal, reply };
        self.commands.send(command).await.map_err(|_| AppendError::Closed)?;
        answer.await.map_err(|_| AppendError::Closed)?
    }

    /// Adds log records, moves the positions of their files, and counts, in one transaction. Blocks
    /// the thread.
    ///
    /// # Errors
    /// See [`AppendError`]; nothing was written then.
    pub fn append_logs(&self, request: AppendRequest) -> Result<(), AppendError> {
        let (reply, answer) = oneshot::channel();
        self.commands
            .blocking_send(Command::Append { request, on_refusal: OnRefusal::SenderRetries, reply })
            .map_err(|_| AppendError::Closed)?;
        answer.blocking_recv().map_err(|_| AppendError::Closed)?
    }

    /// Returns the oldest batch of a signal. It stays in the queue until it is finished.
    pub async fn next(&self, signal: Signal) -> Option<Batch> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Next { signal, reply }).await.ok()?;
        answer.await.ok()?
    }

    /// Removes a delivered batch. The collector rejected `rejected` of its items.
    pub async fn acknowledge(&self, id: BatchId, rejected: u64) {
        self.finish(|done| Command::Acknowledge { id, rejected, done }).await;
    }

    /// Removes a batch that is not delivered, and counts it.
    pub async fn drop_batch(&self, id: BatchId, reason: DropReason) {
        self.finish(|done| Command::Drop { id, reason, done }).await;
    }

    /// Replaces a batch that was too large by two halves. A batch that cannot be halved is dropped
    /// and counted.
    pub async fn split(&self, batch: Batch) {
        self.finish(|done| Command::Split { batch, done }).await;
    }

    async fn finish(&self, command: impl FnOnce(oneshot::Sender<()>) -> Command) {
        let (done, answer) = oneshot::channel();
        if self.commands.send(command(done)).await.is_ok() {
            let _ = answer.await;
        }
    }

    /// Counts items that were refused and that their sender cannot send again.
    pub async fn count_lost(&self, signal: Signal, reason: DropReason, items: u32) {
        // After the queue has ended, there are no counters.
        let _ = self.commands.send(Command::CountLost { signal, reason, items }).await;
    }

    /// Deletes the queued records of a kind of logs that is not shared. The deletion takes effect
    /// before any command that is sent after this one.
    pub fn purge_unshared(&self, kind: LogKind) {
        if self.commands.try_send(Command::PurgeUnshared { kind }).is_err() {
            tracing::error!(?kind, "failed to delete unshared logs from the queue: the queue thread is busy or gone");
        }
    }

    /// Deletes the queued records of a kind of logs, and all quarantined files, because they may
    /// contain such records. Returns how many queued records were deleted.
    ///
    /// # Errors
    /// See [`AppendError`]. Records that could not be deleted are not sent, and are deleted as soon
    /// as possible.
    pub async fn purge(&self, kind: LogKind) -> Result<u64, AppendError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Purge { kind, reply }).await.map_err(|_| AppendError::Closed)?;
        answer.await.map_err(|_| AppendError::Closed)?
    }

    /// Waits until the read positions of log files are known. They are known at once unless the
    /// queue file cannot be opened.
    pub async fn ready(&self) {
        let mut ready = self.ready.clone();
        // If the queue has ended, the positions never become known.
        if ready.wait_for(|ready| *ready).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Returns whether the read positions of log files are known.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        *self.ready.borrow()
    }

    /// Returns the read positions of all log files. Blocks the thread until they are known.
    #[must_use]
    pub fn files(&self) -> Vec<FileState> {
        let (reply, answer) = oneshot::channel();
        if self.commands.blocking_send(Command::Files { reply }).is_err() {
            return Vec::new();
        }
        answer.blocking_recv().unwrap_or_default()
    }

    /// Deletes the position of a log file that no longer exists; `key` is its volume and its index
    /// there. Blocks the thread until the command is accepted.
    pub fn forget_file(&self, key: (u64, u64)) {
        let _ = self.commands.blocking_send(Command::ForgetFile { key });
    }

    /// Returns a receiver of the statistics, which change after every command.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<QueueStats> {
        self.stats.clone()
    }
}

/// Reads the statistics of a queue file, even while an agent uses it.
///
/// # Errors
/// When the file cannot be opened, is damaged, or has a newer format.
pub fn inspect(file: &Path) -> Result<QueueStats, StoreError> {
    let mut stats = if file.exists() { Store::inspect(file)? } else { QueueStats::default() };
    stats.quarantined = quarantine::list(file);
    Ok(stats)
}

/// Deletes the queued records of some kinds of logs, and all quarantined files, while no agent
/// runs. Returns how many queued records were deleted.
///
/// # Errors
/// When the file cannot be opened or written.
pub fn purge(file: &Path, kinds: &[LogKind]) -> Result<u64, StoreError> {
    if !file.exists() && quarantine::list(file).is_empty() {
        return Ok(0);
    }
    let mut disk = ResilientStore::open(file, &QueueSettings::default(), RETRY_INTERVAL);
    let deleted = kinds.iter().map(|kind| disk.purge(Instant::now(), *kind)).sum();
    disk.close();
    deleted
}
