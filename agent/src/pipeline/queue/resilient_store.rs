//! A queue store that keeps working when the file or the disk does not.
//!
//! Two kinds of trouble are handled here, so that the queue worker does not have to know them:
//!
//! - **Damage** (reported by SQLite, a failed checksum, or a newer file format): the file is
//!   quarantined, a new file is created from everything that can be recovered (`recovery.rs`),
//!   losses are counted, and the worker continues.
//! - **Temporary faults** (full disk, read-only folder, a lock held by another program): writes are
//!   refused and retried every [`RETRY_INTERVAL`]. Acknowledgements, drops and purges that happen
//!   in the meantime are kept as [`DeferredWrite`]s.
//!
//! **Invariant:** deferred writes are applied in order and before any new write, and a batch with a
//! deferred removal is never handed out again.
//!
//! Why: on a full disk the exporter can still read and deliver a batch, but its removal cannot be
//! written. If the batch were handed out again, it would be delivered twice. And if a purge were
//! applied after a newer append, it would delete records that the user has agreed to share since.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::StoreError;
use super::clock::QueueClock;
use super::counters::QueueStats;
use super::deferred_write::DeferredWrite;
use super::quarantine::{self, QuarantineReason, QuarantinedFile};
use super::recovery::{self, KnownState, Replacement};
use super::rows::StoredBatch;
use super::store::{PreparedAppend, Store};
use super::types::FileState;
use crate::config::QueueSettings;
use crate::consent::LogKind;
use crate::otlp::Signal;
use crate::time::now_unix_ms;

/// Wait before an unusable file is tried again. Short compared with the time a person needs to free
/// disk space; long compared with the half second that an attempt can wait for another program.
pub(super) const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// A temporary fault of the disk, the folder or the file.
#[derive(Debug)]
struct Fault {
    message: String,
    /// No write is attempted before this time. None if a write has succeeded since but an append
    /// that was refused has not: a full disk often has room for small writes, so the fault is not
    /// over until an append succeeds.
    retry_at: Option<Instant>,
}

/// The queue file, open or not.
#[derive(Debug)]
pub(super) struct ResilientStore {
    file: PathBuf,
    retry_interval: Duration,
    max_quarantined_bytes: u64,
    max_quarantined_age: Duration,
    store: Option<Store>,
    /// Statistics from when the file was last open, while it is not open.
    stats: QueueStats,
    /// Read positions of log files; none until the file has been opened once.
    files: Option<BTreeMap<(u64, u64), FileState>>,
    /// Highest batch id from when the file was last open.
    last_id: i64,
    deferred: VecDeque<DeferredWrite>,
    /// For each signal, the batch that was handed out last.
    handed_out: BTreeMap<Signal, i64>,
    /// For each signal, the last batch with a deferred removal. Only later batches are handed out.
    removed_up_to: BTreeMap<Signal, i64>,
    fault: Option<Fault>,
    /// Whether the last append was refused.
    append_refused: bool,
    /// Messages about damage found since the agent started.
    incidents: Vec<String>,
    quarantined: Vec<QuarantinedFile>,
    clock: QueueClock,
}

impl ResilientStore {
    /// Opens the store. A failure is kept as the current fault and retried.
    pub(super) fn open(file: &Path, settings: &QueueSettings, retry_interval: Duration) -> Self {
        let now = Instant::now();
        let mut store = Self {
            file: file.to_owned(),
            retry_interval,
            max_quarantined_bytes: settings.max_bytes.get(),
            max_quarantined_age: settings.max_age.get(),
            store: None,
            stats: QueueStats::default(),
            files: None,
            last_id: 0,
            deferred: VecDeque::new(),
            handed_out: BTreeMap::new(),
            removed_up_to: BTreeMap::new(),
            fault: None,
            append_refused: false,
            incidents: Vec::new(),
            quarantined: Vec::new(),
            clock: QueueClock::new(now, now_unix_ms()),
        };
        // A failure is recorded as the fault.
        let _ = store.write(now, |_| Ok(()));
        store.prune_quarantine();
        store
    }

    /// Returns the queue time in Unix milliseconds.
    pub(super) fn time(&mut self, now: Instant) -> i64 {
        self.clock.time(now, now_unix_ms())
    }

    /// Converts a queue time to wall-clock time, using the current clock offset.
    pub(super) fn to_wall_clock(&self, unix_ms: i64) -> i64 {
        self.clock.to_wall_clock(unix_ms)
    }

    /// Returns the statistics of the file, or those from when it was last open.
    pub(super) fn stats(&self) -> &QueueStats {
        self.store.as_ref().map_or(&self.stats, Store::stats)
    }

    /// Returns the quarantined files that still exist, oldest first.
    pub(super) fn quarantined(&self) -> &[QuarantinedFile] {
        &self.quarantined
    }

    /// Returns messages about the current fault and about damage found since the agent started.
    pub(super) fn problems(&self) -> impl Iterator<Item = &String> {
        self.fault.iter().map(|fault| &fault.message).chain(&self.incidents)
    }

    /// Returns the read positions of all log files; none until they are known.
    pub(super) fn files(&self) -> Option<Vec<FileState>> {
        self.files.as_ref().map(|files| files.values().cloned().collect())
    }

    /// Returns whether there is a temporary fault.
    pub(super) fn has_fault(&self) -> bool {
        self.fault.is_some()
    }

    /// Returns when the next retry is due, if a fault needs one.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.fault.as_ref().and_then(|fault| fault.retry_at)
    }

    /// Lets the next write run at once, without waiting for the retry interval.
    pub(super) fn skip_retry_wait(&mut self) {
        if let Some(fault) = &mut self.fault {
            fault.retry_at = None;
        }
    }

    /// Runs an operation that writes. While a fault waits for its retry, the operation is not run.
    ///
    /// # Errors
    /// When the operation fails or a fault persists; nothing has changed then.
    pub(super) fn write<T>(
        &mut self,
        now: Instant,
        operation: impl FnMut(&mut Store) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if let Some(fault) = self.fault.as_ref().filter(|fault| fault.retry_at.is_some_and(|at| now < at)) {
            return Err(StoreError::Fault(fault.message.clone()));
        }
        let result = self.with_store(now, operation);
        match &result {
            Ok(_) => self.record_success(),
            Err(error) => self.record_failure(error, now),
        }
        result
    }

    /// Runs an operation that reads. It also runs while the disk is full, if the file is open.
    ///
    /// # Errors
    /// When the operation fails.
    fn read<T>(
        &mut self,
        now: Instant,
        operation: impl FnMut(&mut Store) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.store.is_none() {
            return self.write(now, operation);
        }
        let result = self.with_store(now, operation);
        if let Err(error) = &result {
            self.record_failure(error, now);
        }
        result
    }

    /// Runs an operation; if it finds damage, replaces the file and runs it again.
    fn with_store<T>(
        &mut self,
        now: Instant,
        mut operation: impl FnMut(&mut Store) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut result = self.attempt(now, &mut operation);
        if let Err(error) = &result
            && error.is_damage()
        {
            self.replace_file(error)?;
            result = self.attempt(now, &mut operation);
        }
        result
    }

    /// Runs an operation once, opening the file first if necessary.
    fn attempt<T>(
        &mut self,
        now: Instant,
        operation: &mut impl FnMut(&mut Store) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if let Some(store) = &mut self.store {
            return operation(store);
        }
        recovery::finish_interrupted(&self.file, now_unix_ms())?;
        quarantine::prepare_path(&self.file, now_unix_ms())?;
        let store = Store::open(&self.file)?;
        if self.files.is_none() {
            self.files = Some(store.files()?);
        }
        self.clock.time(now, now_unix_ms());
        self.clock.advance_to(store.newest_unix_ms());
        operation(self.store.insert(store))
    }

    /// Closes the file after a failure, and keeps what is known of it.
    fn close_failed(&mut self) {
        if let Some(store) = self.store.take() {
            self.last_id = store.last_id();
            self.stats = store.stats().clone();
        }
    }

    /// Quarantines the file and puts a new one in its place.
    fn replace_file(&mut self, error: &StoreError) -> Result<(), StoreError> {
        let reason = match error {
            StoreError::Newer { .. } => QuarantineReason::Newer,
            _ => QuarantineReason::Damaged,
        };
        self.close_failed();
        // What was read before the damage is better than what damage has left of it.
        let known = KnownState {
            files: self.files.clone(),
            counters: self.files.is_some().then(|| self.stats.counters.clone()),
            last_id: self.last_id,
        };
        let replacement = recovery::replace(&self.file, reason, known, now_unix_ms())?;
        let message = incident_message(reason, error, &replacement);
        tracing::error!("{message}");
        // Damage that recurs is reported once.
        self.incidents = vec![message];
        self.prune_quarantine();
        Ok(())
    }

    fn record_success(&mut self) {
        match &mut self.fault {
            Some(fault) if self.append_refused => fault.retry_at = None,
            fault => {
                if fault.take().is_some() {
                    tracing::info!("the queue file can be written again");
                }
            }
        }
    }

    fn record_failure(&mut self, error: &StoreError, now: Instant) {
        // While the disk is full or the file is locked, the open file can still be read.
        if !error.leaves_file_readable() {
            self.close_failed();
        }
        let message = format!(
            "The queue file {} cannot be written: {error}. Log files wait; other data is held in memory while there is room. The agent retries every {} s.",
            self.file.display(),
            self.retry_interval.as_secs().max(1)
        );
        if self.fault.is_none() {
            tracing::error!("{message}");
        }
        self.fault = Some(Fault { message, retry_at: Some(now + self.retry_interval) });
    }

    /// Records whether an append succeeded. Only a successful append ends a fault that refused one.
    fn record_append<T>(&mut self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        self.append_refused = result.is_err();
        if result.is_ok() {
            self.record_success();
        }
        result
    }

    /// Adds batches, file positions and counts in one transaction, after all deferred writes.
    pub(super) fn append(&mut self, now: Instant, appends: &[PreparedAppend<'_>]) -> Result<(), StoreError> {
        let result = self.apply_deferred(now).and_then(|()| self.write(now, |store| store.append(appends)));
        self.record_append(result)?;
        if let Some(known) = &mut self.files {
            let files = appends.iter().flat_map(|append| append.files);
            known.extend(files.map(|file| ((file.volume, file.index), file.clone())));
        }
        Ok(())
    }

    /// Moves everything from the store in memory to the file, after all deferred writes.
    pub(super) fn absorb(&mut self, now: Instant, memory: &mut Store) -> Result<(), StoreError> {
        let result = self.apply_deferred(now).and_then(|()| self.write(now, |store| store.absorb(memory)));
        self.record_append(result)
    }

    /// Returns the oldest batch of a signal that has no deferred removal, and its id.
    pub(super) fn next(&mut self, now: Instant, signal: Signal) -> Result<Option<(i64, StoredBatch)>, StoreError> {
        let after = self.removed_up_to.get(&signal).copied().unwrap_or(0);
        let withheld: BTreeSet<LogKind> = self
            .deferred
            .iter()
            .filter_map(|deferred| match deferred {
                DeferredWrite::Purge(kind) => Some(*kind),
                _ => None,
            })
            .collect();
        let next = self.read(now, |store| store.next(signal, after, &withheld))?;
        if let Some((row, _)) = &next {
            self.handed_out.insert(signal, *row);
        }
        Ok(next)
    }

    /// Makes a change take effect now, and writes it now or as soon as the file can be written.
    ///
    /// The scenario is a full disk during an outage of the collector. The collector comes back, the
    /// exporter reads a batch, delivers it and acknowledges it, but the file still contains the
    /// batch. Two steps keep it from being delivered again. First, the id is remembered in
    /// `removed_up_to`, and [`next`](Self::next) continues after it; one id for each signal is
    /// enough, because the exporter finishes the batches of a signal in order. Second, the removal
    /// is queued behind earlier ones and applied before anything else is written. Only when all of
    /// them are in the file, `removed_up_to` is cleared.
    pub(super) fn defer(&mut self, now: Instant, change: DeferredWrite) {
        match &change {
            DeferredWrite::Acknowledge { row, .. }
            | DeferredWrite::Drop { row, .. }
            | DeferredWrite::Replace { row, .. } => {
                if let Some((signal, _)) = self.handed_out.iter().find(|(_, handed_out)| *handed_out == row) {
                    self.removed_up_to.insert(*signal, *row);
                }
            }
            DeferredWrite::Purge(kind) => self.forget_positions(|file| file.kind == *kind),
            DeferredWrite::ForgetFile(key) => self.forget_positions(|file| (file.volume, file.index) == *key),
            DeferredWrite::Count(_) => {}
        }
        match (self.deferred.back_mut(), change) {
            (Some(DeferredWrite::Count(sum)), DeferredWrite::Count(more)) => {
                for (name, number) in more {
                    *sum.entry(name).or_default() += number;
                }
            }
            (_, change) => self.deferred.push_back(change),
        }
        // A failure is recorded as the fault.
        let _ = self.apply_deferred(now);
    }

    /// Applies all deferred writes in order. Stops at the first one that fails and keeps the rest.
    pub(super) fn apply_deferred(&mut self, now: Instant) -> Result<(), StoreError> {
        while let Some(deferred) = self.deferred.pop_front() {
            if let Err(error) = self.write(now, |store| deferred.apply(store)) {
                self.deferred.push_front(deferred);
                return Err(error);
            }
        }
        self.removed_up_to.clear();
        Ok(())
    }

    /// Deletes the queued batches and file positions of a kind of logs, and all quarantined files.
    /// Returns how many queued records were deleted.
    ///
    /// # Errors
    /// When the file cannot be written. Its batches of this kind are no longer handed out, and they
    /// are deleted as soon as the file can be written.
    pub(super) fn purge(&mut self, now: Instant, kind: LogKind) -> Result<u64, StoreError> {
        let quarantine_cleared = self.clear_quarantine();
        let purged = self.apply_deferred(now).and_then(|()| self.write(now, |store| store.purge(kind)));
        match purged {
            Ok(items) => {
                self.forget_positions(|file| file.kind == kind);
                quarantine_cleared?;
                Ok(items)
            }
            Err(error) => {
                self.defer(now, DeferredWrite::Purge(kind));
                Err(error)
            }
        }
    }

    fn forget_positions(&mut self, mut matches: impl FnMut(&FileState) -> bool) {
        if let Some(files) = &mut self.files {
            files.retain(|_, file| !matches(file));
        }
    }

    /// Retries after a fault: opens the file and applies all deferred writes.
    pub(super) fn retry(&mut self, now: Instant) -> Result<(), StoreError> {
        self.apply_deferred(now)?;
        self.write(now, |_| Ok(()))
    }

    /// Removes quarantined files above the limits, and counts them.
    pub(super) fn prune_quarantine(&mut self) {
        let removed =
            quarantine::prune(&self.file, self.max_quarantined_bytes, self.max_quarantined_age, now_unix_ms());
        self.quarantined = quarantine::list(&self.file);
        self.count_removed(removed);
    }

    /// Removes all quarantined files, because they may contain log records.
    fn clear_quarantine(&mut self) -> Result<(), StoreError> {
        let removed = quarantine::remove_all(&self.file);
        self.quarantined = quarantine::list(&self.file);
        self.count_removed(removed?);
        Ok(())
    }

    fn count_removed(&mut self, removed: u64) {
        if removed > 0 {
            let count = BTreeMap::from([("set_aside.removed".to_owned(), removed)]);
            self.defer(Instant::now(), DeferredWrite::Count(count));
        }
    }

    /// Returns unused space to the file system for about `limit`, and returns whether there is more
    /// to do.
    pub(super) fn reclaim_space(&mut self, now: Instant, limit: Duration) -> bool {
        self.fault.is_none()
            && self.store.is_some()
            && self.write(now, |store| store.reclaim_space(limit)).unwrap_or(false)
    }

    /// Writes everything into the main file and closes it.
    pub(super) fn close(mut self) {
        self.skip_retry_wait();
        if let Err(error) = self.apply_deferred(Instant::now()) {
            let deferred = self.deferred.len();
            tracing::error!(deferred, "failed to write changes to the queue; batches may be sent again: {error:#}");
        }
        if let Some(Err(error)) = self.store.take().map(Store::close) {
            tracing::error!("failed to close the queue file: {error:#}");
        }
    }
}

fn incident_message(reason: QuarantineReason, error: &StoreError, replacement: &Replacement) -> String {
    let path = replacement.quarantined.display();
    match (reason, replacement.lost) {
        (QuarantineReason::Newer, _) => format!(
            "The queue file was written by a newer version of the agent. It was moved to {path}; the data in it is not sent."
        ),
        (QuarantineReason::Damaged, None) => format!(
            "The queue file could not be read ({error}). It was moved to {path}; the data in it is not sent, and its amount is unknown."
        ),
        (QuarantineReason::Damaged, Some(0)) => {
            format!("The queue file was damaged ({error}). It was moved to {path}; everything readable was recovered.")
        }
        (QuarantineReason::Damaged, Some(lost)) => format!(
            "The queue file was damaged ({error}). It was moved to {path}; {lost} items were lost, everything else was recovered."
        ),
    }
}
