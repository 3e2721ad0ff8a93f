//! The durable hand-off: encoded OTLP export requests, on disk until a collector has acknowledged them.
//!
//! One thread owns the file; a [`Queue`] is a handle to it, cheap to clone, for tasks and for threads alike. What the
//! queue holds is published after every change ([`Queue::watch`]).
//!
//! ```text
//! Queue ─commands─► owner.rs ─┬─► disk.rs ── store.rs ── rows.rs, accounts.rs   the file, its faults, its rows
//!                             │     └── salvage.rs, aside.rs, place.rs           what cannot be used
//!                             └─► a store in memory, for what cannot be put on disk
//! ```
//!
//! **Full** (`queue.max_bytes`): log files wait, for the file is the buffer, and so do those who send to the receiver; their
//! batches are refused from [`LOG_SHARE_PERCENT`] of the limit on. What is nowhere else is taken up to the full limit, then the
//! oldest of what is worth no more than it gives way, counted: metrics first, then traces, then log records that are in no file.
//!
//! **No room or no disk** (`queue.min_free_disk`, a full disk, a file or folder that cannot be written): the queue does
//! not grow. Log files wait; the rest is held in memory up to [`MEMORY_BYTES`], sent from there, and moved to the disk as
//! soon as that goes. The program starts and runs all the same, says why in its status, and tries again by itself.
//!
//! **Damage**: the file is set aside, what can be read of it is kept, what is lost is counted. A batch that is not what
//! was put in is never sent.

mod accounts;
mod aside;
mod clock;
mod disk;
mod error;
mod migrations;
mod owner;
mod place;
mod rows;
mod salvage;
mod space;
mod stats;
mod store;
#[cfg(test)]
mod tests;
mod types;

use std::path::Path;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};

use crate::config::QueueSettings;
use crate::consent::LogKind;
use crate::otlp::{Compression, Signal};
use disk::Disk;
use owner::{Again, Command, Owner};
use space::{Probe, Space};
use store::Store;

pub use error::{AppendError, StoreError};
pub use stats::{AsideReason, QueueStats, SetAside, SignalStats};
pub use types::{Batch, BatchId, DropReason, FileState, HandOver, LogCounter, NewBatch};

/// Commands that may wait: a few per task that talks to the queue, and as many requests of apps as share a transaction.
const WAITING_COMMANDS: usize = 64;
/// Part of the byte limit that log batches may fill; the rest is kept for what cannot be read again.
pub const LOG_SHARE_PERCENT: u64 = 90;
/// Compressed bytes held in memory while they cannot be put on disk: hours of metrics, and little beside the budget of
/// the whole program.
pub const MEMORY_BYTES: u64 = 4 << 20;

/// A handle to the queue.
#[derive(Debug, Clone)]
pub struct Queue {
    commands: mpsc::Sender<Command>,
    stats: watch::Receiver<QueueStats>,
    ready: watch::Receiver<bool>,
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
}

impl Queue {
    /// Opens the queue's file, and starts its thread. A file that cannot be used is no error: see the module's text.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn open(file: &Path, settings: &QueueSettings, compression: Compression) -> Result<Opened, StoreError> {
        Self::open_with(file, settings, compression, space::of_volume(file), disk::RETRY)
    }

    fn open_with(
        file: &Path,
        settings: &QueueSettings,
        compression: Compression,
        probe: Probe,
        retry: Duration,
    ) -> Result<Opened, StoreError> {
        let disk = Disk::open(file, settings, retry);
        let space = Space::new(probe, settings.min_free_disk.get());
        let (commands, inbox) = mpsc::channel(WAITING_COMMANDS);
        let (publish, stats) = watch::channel(QueueStats::default());
        let (tell_ready, ready) = watch::channel(false);
        let owner = Owner::new(disk, space, settings.clone(), compression, publish, tell_ready);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let thread =
            std::thread::Builder::new().name("queue".to_owned()).spawn(move || runtime.block_on(owner.run(inbox)))?;
        let queue = Self { commands: commands.clone(), stats, ready };
        Ok(Opened { queue, thread: QueueThread { commands, thread } })
    }

    /// Puts in a batch that is nowhere else; it is on disk when this returns, or, while the disk takes nothing, in memory.
    ///
    /// # Errors
    /// See [`AppendError`].
    pub async fn append(&self, batch: NewBatch) -> Result<(), AppendError> {
        self.put_in(vec![batch], Again::Never).await
    }

    /// Puts in, all or none, what its sender keeps until it is acknowledged; it is on disk when this returns. It is refused
    /// where log files have to wait: then its sender is the buffer. What waits at the same time shares one transaction.
    ///
    /// # Errors
    /// See [`AppendError`].
    pub async fn offer(&self, batches: Vec<NewBatch>) -> Result<(), AppendError> {
        self.put_in(batches, Again::Later).await
    }

    async fn put_in(&self, batches: Vec<NewBatch>, again: Again) -> Result<(), AppendError> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Append { what: HandOver { batches, ..HandOver::default() }, again, reply };
        self.commands.send(command).await.map_err(|_| AppendError::Closed)?;
        answer.await.map_err(|_| AppendError::Closed)?
    }

    /// Puts log records in, moves the positions of their files and counts, in one transaction. For threads.
    ///
    /// # Errors
    /// See [`AppendError`]; nothing has then been kept.
    pub fn append_logs(&self, what: HandOver) -> Result<(), AppendError> {
        let (reply, answer) = oneshot::channel();
        self.commands
            .blocking_send(Command::Append { what, again: Again::Later, reply })
            .map_err(|_| AppendError::Closed)?;
        answer.blocking_recv().map_err(|_| AppendError::Closed)?
    }

    /// The oldest batch of a signal.
    pub async fn next(&self, signal: Signal) -> Option<Batch> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Next { signal, reply }).await.ok()?;
        answer.await.ok()?
    }

    /// Takes a delivered batch out; `rejected` of its items were refused by the collector.
    pub async fn acknowledge(&self, id: BatchId, rejected: u64) {
        self.finish(|done| Command::Acknowledge { id, rejected, done }).await;
    }

    /// Takes a batch out unsent, and counts it.
    pub async fn drop_batch(&self, id: BatchId, reason: DropReason) {
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

    /// Counts items that were refused and cannot be put in again.
    pub async fn count_lost(&self, signal: Signal, reason: DropReason, items: u32) {
        // Without a queue nobody counts any more.
        let _ = self.commands.send(Command::CountLost { signal, reason, items }).await;
    }

    /// Deletes what still waits of a kind of logs that is not shared, before anything that is asked for after this.
    pub fn withhold(&self, kind: LogKind) {
        if self.commands.try_send(Command::Withhold { kind }).is_err() {
            tracing::error!(?kind, "logs that are not shared could not be deleted from the queue");
        }
    }

    /// Deletes what waits of a kind of logs, and every file that was set aside, for such records may be in it; returns
    /// how many records of the queue that were.
    ///
    /// # Errors
    /// See [`AppendError`]; what could not be deleted is not sent any more, and deleted as soon as that goes.
    pub async fn withdraw(&self, kind: LogKind) -> Result<u64, AppendError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Withdraw { kind, reply }).await.map_err(|_| AppendError::Closed)?;
        answer.await.map_err(|_| AppendError::Closed)?
    }

    /// Waits until it is known how far log files have been read: at once, unless the queue's file cannot be opened.
    pub async fn ready(&self) {
        let mut ready = self.ready.clone();
        // Without a queue nothing will be known.
        if ready.wait_for(|ready| *ready).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether it is known how far log files have been read.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        *self.ready.borrow()
    }

    /// Every log file that has been read; blocks until that is known. For threads.
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
/// When the file cannot be opened, is damaged, or of a newer version.
pub fn inspect(file: &Path) -> Result<QueueStats, StoreError> {
    let mut stats = if file.exists() { Store::inspect(file)? } else { QueueStats::default() };
    stats.set_aside = aside::list(file);
    Ok(stats)
}

/// Deletes what waits of some kinds of logs, and every file that was set aside, while no agent runs; returns how many
/// records of the queue that were.
///
/// # Errors
/// When the file cannot be opened or written.
pub fn withdraw(file: &Path, kinds: &[LogKind]) -> Result<u64, StoreError> {
    if !file.exists() && aside::list(file).is_empty() {
        return Ok(0);
    }
    let mut disk = Disk::open(file, &QueueSettings::default(), disk::RETRY);
    let deleted = kinds.iter().map(|kind| disk.withdraw(Instant::now(), *kind)).sum();
    disk.close();
    deleted
}
