//! The queue worker: owns the file and the store in memory, executes commands one after another,
//! and does maintenance between them.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};

use super::counters::{dropped, queued};
use super::deferred_write::DeferredWrite;
use super::disk_space::DiskSpace;
use super::resilient_store::ResilientStore;
use super::rows::StoredBatch;
use super::store::{PreparedAppend, Store};
use super::{AppendError, AppendRequest, Batch, BatchId, DropReason, FileState, LogCounter, QueueStats, StoreError};
use super::{MAX_MEMORY_BYTES, RETRYABLE_FILL_PERCENT};
use crate::config::QueueSettings;
use crate::consent::LogKind;
use crate::otlp::{Compression, Signal, compression, split};

/// How often the age limit is checked.
const AGE_CHECK_INTERVAL: Duration = Duration::from_mins(1);
/// Wait before space is reclaimed after a batch has left, and between two steps of it.
const RECLAIM_INTERVAL: Duration = Duration::from_millis(100);
/// Maximum duration of one such step, and thus the delay that it adds to a command.
const MAX_RECLAIM_STEP: Duration = Duration::from_millis(20);
/// Maximum time for reclaiming space at shutdown.
const MAX_FINAL_RECLAIM: Duration = Duration::from_millis(100);
/// How often the worker tries to move data from memory to disk.
const MEMORY_RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// Maximum appends per transaction. More would delay other commands noticeably.
const MAX_APPENDS_PER_TRANSACTION: usize = 32;
/// Maximum uncompressed bytes of the appends in a transaction. Compressing as much takes some 50
/// ms, during which other commands wait.
const MAX_BYTES_PER_TRANSACTION: usize = 8 << 20;

/// What happens to data whose append is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnRefusal {
    /// The sender still has it: a log file, or an app that retries.
    SenderRetries,
    /// It exists nowhere else and is lost.
    DataIsLost,
}

/// A command to the queue worker. When a reply arrives, the published statistics already include
/// the change.
#[derive(Debug)]
pub(super) enum Command {
    Append { request: AppendRequest, on_refusal: OnRefusal, reply: AppendReply },
    Next { signal: Signal, reply: oneshot::Sender<Option<Batch>> },
    Acknowledge { id: BatchId, rejected: u64, done: oneshot::Sender<()> },
    Drop { id: BatchId, reason: DropReason, done: oneshot::Sender<()> },
    Split { batch: Batch, done: oneshot::Sender<()> },
    CountLost { signal: Signal, reason: DropReason, items: u32 },
    PurgeUnshared { kind: LogKind },
    Purge { kind: LogKind, reply: oneshot::Sender<Result<u64, AppendError>> },
    Files { reply: oneshot::Sender<Vec<FileState>> },
    ForgetFile { key: (u64, u64) },
    Stop,
}

type AppendReply = oneshot::Sender<Result<(), AppendError>>;

/// Owner of the queue file; runs on the queue thread.
#[derive(Debug)]
pub(super) struct QueueWorker {
    disk: ResilientStore,
    /// Data that could not be written to disk.
    memory: Option<Store>,
    space: DiskSpace,
    settings: QueueSettings,
    compression: Compression,
    stats: watch::Sender<QueueStats>,
    ready: watch::Sender<bool>,
    /// Requests for the file positions that arrived before the positions were known.
    files_requests: Vec<oneshot::Sender<Vec<FileState>>>,
    age_check_due: Instant,
    memory_retry_due: Option<Instant>,
    reclaim_due: Option<Instant>,
}

impl QueueWorker {
    pub(super) fn new(
        disk: ResilientStore,
        space: DiskSpace,
        settings: QueueSettings,
        compression: Compression,
        stats: watch::Sender<QueueStats>,
        ready: watch::Sender<bool>,
    ) -> Self {
        let now = Instant::now();
        let mut worker = Self {
            disk,
            memory: None,
            space,
            settings,
            compression,
            stats,
            ready,
            files_requests: Vec::new(),
            age_check_due: now,
            memory_retry_due: None,
            reclaim_due: None,
        };
        worker.space.is_low(now);
        worker.publish();
        worker
    }

    /// Executes commands until [`Command::Stop`] arrives or all handles are dropped.
    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        let mut next = None;
        loop {
            self.run_maintenance(Instant::now());
            let command = match next.take() {
                Some(command) => Ok(Some(command)),
                None => tokio::time::timeout_at(self.next_due().into(), inbox.recv()).await,
            };
            match command {
                Ok(None | Some(Command::Stop)) => break,
                Ok(Some(Command::Append { request, on_refusal: OnRefusal::SenderRetries, reply })) => {
                    let group;
                    (group, next) = collect_group((request, reply), &mut inbox);
                    self.append_group(Instant::now(), group);
                }
                Ok(Some(command)) => self.execute(command),
                Err(_) => {}
            }
        }
        self.shut_down();
    }

    fn next_due(&self) -> Instant {
        let due = [self.disk.retry_at(), self.memory_retry_due, self.reclaim_due];
        due.into_iter().flatten().fold(self.age_check_due, Instant::min)
    }

    fn run_maintenance(&mut self, now: Instant) {
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let mut changed = false;
        if is_due(self.disk.retry_at()) {
            // A failure is recorded as the fault of `disk`.
            let _ = self.disk.retry(now);
            changed = true;
        }
        if is_due(self.memory_retry_due) {
            let _ = self.move_memory_to_disk(now);
            changed = true;
        }
        if self.age_check_due <= now {
            let dropped = self.drop_expired(now);
            self.disk.prune_quarantine();
            self.age_check_due = if dropped > 0 { now } else { now + AGE_CHECK_INTERVAL };
            changed = true;
        }
        if is_due(self.reclaim_due) {
            let more = self.disk.reclaim_space(now, MAX_RECLAIM_STEP);
            self.reclaim_due = more.then(|| Instant::now() + RECLAIM_INTERVAL);
        }
        if changed {
            self.publish();
        }
    }

    fn execute(&mut self, command: Command) {
        let now = Instant::now();
        match command {
            Command::Append { request, on_refusal: OnRefusal::SenderRetries, reply } => {
                self.append_group(now, vec![(request, reply)]);
            }
            Command::Append { request, on_refusal: OnRefusal::DataIsLost, reply } => {
                let result = self.append_irreplaceable(now, &request);
                self.reply(reply, result);
            }
            Command::Next { signal, reply } => {
                let next = self.next(now, signal);
                self.reply(reply, next);
            }
            Command::Acknowledge { id, rejected, done } => {
                self.finish_batch(now, id, |row| DeferredWrite::Acknowledge { row, rejected });
                self.reply(done, ());
            }
            Command::Drop { id, reason, done } => {
                self.finish_batch(now, id, |row| DeferredWrite::Drop { row, reason });
                self.reply(done, ());
            }
            Command::Split { batch, done } => {
                self.split(now, &batch);
                self.reply(done, ());
            }
            Command::CountLost { signal, reason, items } => {
                let items = u64::from(items);
                let numbers = [(queued(signal), items), (dropped(signal, reason), items)];
                self.disk.defer(now, DeferredWrite::Count(numbers.into()));
                self.publish();
            }
            Command::PurgeUnshared { kind } => self.disk.defer(now, DeferredWrite::Purge(kind)),
            Command::Purge { kind, reply } => {
                let result = self.disk.purge(now, kind).map_err(AppendError::from);
                self.reclaim_due.get_or_insert(now + RECLAIM_INTERVAL);
                self.reply(reply, result);
            }
            Command::Files { reply } => {
                self.files_requests.push(reply);
                self.publish();
            }
            Command::ForgetFile { key } => self.disk.defer(now, DeferredWrite::ForgetFile(key)),
            Command::Stop => {}
        }
    }

    /// Publishes the statistics, then replies, so that the receiver of the reply sees the change.
    fn reply<T>(&mut self, reply: oneshot::Sender<T>, value: T) {
        self.publish();
        // The sender of the command may be gone.
        let _ = reply.send(value);
    }

    fn publish(&mut self) {
        let mut stats = self.disk.stats().clone();
        if let Some(memory) = &self.memory {
            stats.add(memory.stats());
        }
        for signal in Signal::ALL {
            let signal_stats = stats.of_mut(signal);
            signal_stats.oldest_unix_ms = signal_stats.oldest_unix_ms.map(|oldest| self.disk.to_wall_clock(oldest));
        }
        stats.quarantined = self.disk.quarantined().to_vec();
        stats.problems = self.disk.problems().chain(self.space.problem()).cloned().collect();
        self.stats.send_if_modified(|published| {
            let changed = *published != stats;
            if changed {
                *published = stats;
            }
            changed
        });
        if let Some(files) = self.disk.files() {
            self.ready.send_if_modified(|ready| !std::mem::replace(ready, true));
            for request in self.files_requests.drain(..) {
                let _ = request.send(files.clone());
            }
        }
    }

    /// Appends data that its senders can send again.
    ///
    /// Apps and the log reader append at the same time, and every transaction has a fixed cost, so
    /// all appends share one. If it fails, for example because the disk has no room for a large
    /// append, each append is retried alone, so that one does not block the others. An append that
    /// exceeds the queue's size limit is refused before the transaction.
    fn append_group(&mut self, now: Instant, group: Vec<(AppendRequest, AppendReply)>) {
        let mut total = self.disk.stats().bytes();
        let mut fitting = Vec::with_capacity(group.len());
        let mut answers = Vec::with_capacity(group.len());
        for (request, reply) in group {
            match self.compress(now, &request) {
                Ok(stored) => {
                    let bytes: u64 = stored.iter().map(StoredBatch::compressed_bytes).sum();
                    if bytes > 0 && !self.has_room_for_retryable(now, total + bytes) {
                        answers.push((reply, Err(AppendError::Full)));
                        continue;
                    }
                    total += bytes;
                    fitting.push((request, stored, reply));
                }
                Err(error) => answers.push((reply, Err(error))),
            }
        }
        let appends: Vec<_> = fitting.iter().map(|(request, stored, _)| prepare(request, stored)).collect();
        let all_written = appends.len() > 1 && self.disk.append(now, &appends).is_ok();
        if !all_written && appends.len() > 1 {
            self.disk.skip_retry_wait();
        }
        for (request, stored, reply) in fitting {
            let result = if all_written { Ok(()) } else { self.disk.append(now, &[prepare(&request, &stored)]) };
            answers.push((reply, result.map_err(AppendError::from)));
        }
        self.publish();
        for (reply, answer) in answers {
            // The sender may be gone.
            let _ = reply.send(answer);
        }
    }

    fn compress(&mut self, now: Instant, request: &AppendRequest) -> Result<Vec<StoredBatch>, AppendError> {
        let time = self.disk.time(now);
        let stored = request.batches.iter().map(|batch| StoredBatch::new(batch, self.compression, time));
        Ok(stored.collect::<std::io::Result<_>>().map_err(StoreError::from)?)
    }

    /// Returns whether the queue may grow to `total` bytes for data that its sender can send again.
    fn has_room_for_retryable(&mut self, now: Instant, total: u64) -> bool {
        !self.space.is_low(now) && total <= self.settings.max_bytes.get() / 100 * RETRYABLE_FILL_PERCENT
    }

    /// Appends data that exists nowhere else: to disk if possible, otherwise to memory.
    fn append_irreplaceable(&mut self, now: Instant, request: &AppendRequest) -> Result<(), AppendError> {
        for batch in &self.compress(now, request)? {
            if batch.compressed_bytes() > self.settings.max_bytes.get() {
                return Err(AppendError::Full);
            }
            match self.append_to_disk(now, batch) {
                Ok(true) => {}
                Ok(false) | Err(_) => self.append_to_memory(now, batch)?,
            }
        }
        Ok(())
    }

    /// Appends an irreplaceable batch to the file. Less valuable data is dropped to make room;
    /// returns false if even that is not enough.
    fn append_to_disk(&mut self, now: Instant, batch: &StoredBatch) -> Result<bool, StoreError> {
        self.move_memory_to_disk(now)?;
        let stored = self.disk.stats().bytes();
        let wanted = stored + batch.compressed_bytes();
        let max = self.settings.max_bytes.get();
        // On a disk with little free space the queue may keep its size, but not grow.
        let (limit, reason) = if self.space.is_low(now) && stored < max {
            (stored, DropReason::DiskFull)
        } else {
            (max, DropReason::Full)
        };
        if wanted > limit && !self.disk.write(now, |store| store.make_room(batch.signal, wanted - limit, reason))? {
            return Ok(false);
        }
        self.disk.append(now, &[prepare_one(batch)])?;
        Ok(true)
    }

    /// Appends an irreplaceable batch to the store in memory. Less valuable data in memory is
    /// dropped to make room.
    fn append_to_memory(&mut self, now: Instant, batch: &StoredBatch) -> Result<(), AppendError> {
        if !self.disk.has_fault() && !self.space.is_low(now) {
            // The disk works: the queue has reached its size limit.
            return Err(AppendError::Full);
        }
        let memory = match &mut self.memory {
            Some(memory) => memory,
            none => none.insert(Store::in_memory()?),
        };
        let wanted = memory.stats().bytes() + batch.compressed_bytes();
        if wanted > MAX_MEMORY_BYTES
            && !memory.make_room(batch.signal, wanted - MAX_MEMORY_BYTES, DropReason::DiskFull)?
        {
            return Err(AppendError::Full);
        }
        memory.append(&[prepare_one(batch)])?;
        self.memory_retry_due.get_or_insert(now + MEMORY_RETRY_INTERVAL);
        Ok(())
    }

    /// Moves the data in memory to the disk if the disk has room for it again.
    fn move_memory_to_disk(&mut self, now: Instant) -> Result<(), StoreError> {
        let Some(memory) = self.memory.as_mut().filter(|memory| memory.has_data()) else {
            self.memory_retry_due = None;
            return Ok(());
        };
        if self.space.is_low(now) {
            self.memory_retry_due = Some(now + MEMORY_RETRY_INTERVAL);
            return Ok(());
        }
        let moved = self.disk.absorb(now, memory);
        self.memory_retry_due = moved.is_err().then(|| now + MEMORY_RETRY_INTERVAL);
        moved
    }

    fn next(&mut self, now: Instant, signal: Signal) -> Option<Batch> {
        // A failure is recorded as the fault of `disk`; data in memory can still be sent.
        let on_disk = self.disk.next(now, signal).ok().flatten();
        let (in_memory, (row, stored)) = match (on_disk, &mut self.memory) {
            (Some(found), _) => (false, found),
            (None, Some(memory)) => (true, memory.next(signal, 0, &[].into()).ok()??),
            (None, None) => return None,
        };
        Some(Batch {
            id: BatchId { in_memory, row },
            signal,
            compression: stored.compression,
            items: stored.items,
            split: stored.split,
            payload: stored.payload.into(),
        })
    }

    /// Removes or replaces a batch, in the file or in memory.
    fn finish_batch(&mut self, now: Instant, id: BatchId, change: impl FnOnce(i64) -> DeferredWrite) {
        let change = change(id.row);
        match self.memory.as_mut().filter(|_| id.in_memory) {
            Some(memory) => {
                if let Err(error) = change.apply(memory) {
                    tracing::error!("failed to remove a batch from memory: {error:#}");
                }
            }
            None => self.disk.defer(now, change),
        }
        self.reclaim_due.get_or_insert(now + RECLAIM_INTERVAL);
    }

    fn split(&mut self, now: Instant, batch: &Batch) {
        let compression = self.compression.stored();
        let halves = split::halve(batch.signal, batch.compression, &batch.payload).filter(|_| !batch.split);
        let stored = halves.map(|halves| {
            halves.into_iter().map(|(items, payload)| {
                // `Store::replace` copies consent and times from the whole batch.
                Ok(StoredBatch {
                    signal: batch.signal,
                    consent: None,
                    compression,
                    items: u32::try_from(items).unwrap_or(u32::MAX),
                    oldest_unix_nano: 0,
                    newest_unix_nano: 0,
                    enqueued_unix_ms: 0,
                    uncompressed_bytes: payload.len() as u64,
                    split: true,
                    payload: compression::compress(compression, &payload)?,
                })
            })
        });
        match stored.map(Iterator::collect::<std::io::Result<Vec<_>>>) {
            Some(Ok(halves)) => self.finish_batch(now, batch.id, |row| DeferredWrite::Replace { row, halves }),
            Some(Err(_)) | None => {
                self.finish_batch(now, batch.id, |row| DeferredWrite::Drop { row, reason: DropReason::TooLarge });
            }
        }
    }

    /// Drops some batches above the age limit and returns how many items they had.
    fn drop_expired(&mut self, now: Instant) -> u64 {
        let max_age = i64::try_from(self.settings.max_age.get().as_millis()).unwrap_or(i64::MAX);
        let oldest = self.disk.time(now).saturating_sub(max_age);
        let on_disk = self.disk.write(now, |store| store.drop_older_than(oldest)).unwrap_or(0);
        let in_memory = self.memory.as_mut().and_then(|memory| memory.drop_older_than(oldest).ok()).unwrap_or(0);
        let items = on_disk + in_memory;
        if items > 0 {
            tracing::warn!(items, "dropped data older than queue.max_age");
            self.reclaim_due.get_or_insert(now + RECLAIM_INTERVAL);
        }
        items
    }

    /// Writes everything to disk, even if a retry is not due yet, and closes the file.
    fn shut_down(mut self) {
        let now = Instant::now();
        self.disk.skip_retry_wait();
        let _ = self.disk.retry(now);
        self.disk.skip_retry_wait();
        if let Err(error) = self.move_memory_to_disk(now)
            && let Some(memory) = &self.memory
        {
            let items = memory.stats().items();
            tracing::error!(items, "failed to write data held in memory to disk; it is lost: {error:#}");
        }
        while now.elapsed() < MAX_FINAL_RECLAIM && self.disk.reclaim_space(now, MAX_RECLAIM_STEP) {}
        self.disk.close();
    }
}

/// Takes further retryable appends from the inbox, up to the limits of a transaction. If another
/// command comes in between, returns it too; it must be executed next.
fn collect_group(
    first: (AppendRequest, AppendReply),
    inbox: &mut mpsc::Receiver<Command>,
) -> (Vec<(AppendRequest, AppendReply)>, Option<Command>) {
    let size = |request: &AppendRequest| request.batches.iter().map(|batch| batch.payload.len()).sum::<usize>();
    let mut bytes = size(&first.0);
    let mut group = vec![first];
    while group.len() < MAX_APPENDS_PER_TRANSACTION && bytes < MAX_BYTES_PER_TRANSACTION {
        match inbox.try_recv() {
            Ok(Command::Append { request, on_refusal: OnRefusal::SenderRetries, reply }) => {
                bytes += size(&request);
                group.push((request, reply));
            }
            Ok(other) => return (group, Some(other)),
            Err(_) => break,
        }
    }
    (group, None)
}

fn prepare<'a>(request: &'a AppendRequest, batches: &'a [StoredBatch]) -> PreparedAppend<'a> {
    PreparedAppend { batches, files: &request.files, counts: &request.counts }
}

fn prepare_one(batch: &StoredBatch) -> PreparedAppend<'_> {
    const NO_COUNTS: &BTreeMap<LogCounter, u64> = &BTreeMap::new();
    PreparedAppend { batches: std::slice::from_ref(batch), files: &[], counts: NO_COUNTS }
}
