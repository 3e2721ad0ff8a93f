//! The queue's file with everything that can go wrong with it.
//!
//! - **Damage**, whenever SQLite or a checksum finds it, and a file of a newer format: the file is set aside, a new one
//!   takes its place with all that could be saved (`salvage.rs`), what was lost is counted, and the work goes on.
//! - **A fault** of the disk, the folder or another program's making: what was to be written is refused, and tried again
//!   every [`RETRY`]. What leaves the queue meanwhile, delivered, dropped or withdrawn, is remembered and carried out
//!   then, before anything else is written; it is not handed out again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::StoreError;
use super::clock::Clock;
use super::rows::StoredBatch;
use super::salvage::{self, Known};
use super::stats::{AsideReason, QueueStats, SetAside};
use super::store::{Entry, Store};
use super::types::{DropReason, FileState};
use super::{aside, place};
use crate::config::QueueSettings;
use crate::consent::LogKind;
use crate::otlp::Signal;
use crate::time::now_unix_ms;

/// Pause before a file that could not be used is tried again: short beside what a person needs to make room on a disk,
/// long beside the half second that a try can wait for another program.
pub(super) const RETRY: Duration = Duration::from_secs(5);

/// What has left the queue and is still in the file.
#[derive(Debug)]
pub(super) enum Owed {
    /// Delivered.
    Acknowledge { row: i64, rejected: u64 },
    /// Dropped.
    Drop { row: i64, reason: DropReason },
    /// To be replaced by halves.
    Replace { row: i64, halves: Vec<StoredBatch> },
    /// Withdrawn.
    Withdraw(LogKind),
    /// A log file that is gone.
    Forget((u64, u64)),
    /// Counted.
    Count(BTreeMap<String, u64>),
}

impl Owed {
    /// Carries it out.
    pub(super) fn settle(&self, store: &mut Store) -> Result<(), StoreError> {
        match self {
            Self::Acknowledge { row, rejected } => store.acknowledge(*row, *rejected),
            Self::Drop { row, reason } => store.drop_batch(*row, *reason),
            Self::Replace { row, halves } => store.replace(*row, halves),
            Self::Withdraw(kind) => store.withdraw(*kind).map(|_| ()),
            Self::Forget(key) => store.forget_file(*key),
            Self::Count(numbers) => store.count(numbers),
        }
    }
}

/// What is wrong with the file's surroundings.
#[derive(Debug)]
struct Fault {
    sentence: String,
    /// Nothing is written before this. None after something could be written, while something else was refused and has not
    /// been accepted yet: a full disk often has room for a small thing.
    retry: Option<Instant>,
}

/// The file, open or not.
#[derive(Debug)]
pub(super) struct Disk {
    file: PathBuf,
    retry: Duration,
    most_aside_bytes: u64,
    most_aside_age: Duration,
    store: Option<Store>,
    /// What the file held when it was last open, if it is not.
    stats: QueueStats,
    /// How far log files have been read; none until the file could be opened once.
    files: Option<BTreeMap<(u64, u64), FileState>>,
    last_id: i64,
    owed: VecDeque<Owed>,
    /// The batch of each signal that was handed out last, and the last one that is owed.
    handed_out: BTreeMap<Signal, i64>,
    done_up_to: BTreeMap<Signal, i64>,
    fault: Option<Fault>,
    /// Whether what was to be put in was refused, and nothing was accepted since.
    refused: bool,
    /// What happened since the start, in words.
    events: Vec<String>,
    aside: Vec<SetAside>,
    clock: Clock,
}

impl Disk {
    /// Opens the file, or knows why not.
    pub(super) fn open(file: &Path, settings: &QueueSettings, retry: Duration) -> Self {
        let now = Instant::now();
        let mut disk = Self {
            file: file.to_owned(),
            retry,
            most_aside_bytes: settings.max_bytes.get(),
            most_aside_age: settings.max_age.get(),
            store: None,
            stats: QueueStats::default(),
            files: None,
            last_id: 0,
            owed: VecDeque::new(),
            handed_out: BTreeMap::new(),
            done_up_to: BTreeMap::new(),
            fault: None,
            refused: false,
            events: Vec::new(),
            aside: Vec::new(),
            clock: Clock::new(now, now_unix_ms()),
        };
        // What went wrong is kept as the fault.
        let _ = disk.write(now, |_| Ok(()));
        disk.look_aside();
        disk
    }

    /// The queue's time, in Unix milliseconds.
    pub(super) fn time(&mut self, now: Instant) -> i64 {
        self.clock.time(now, now_unix_ms())
    }

    /// What the file holds, or held when it was last open.
    pub(super) fn stats(&self) -> &QueueStats {
        self.store.as_ref().map_or(&self.stats, Store::stats)
    }

    /// What has been set aside and is still there, oldest first.
    pub(super) fn set_aside(&self) -> &[SetAside] {
        &self.aside
    }

    /// The system's time of one of the queue's.
    pub(super) fn to_system_time(&self, unix_ms: i64) -> i64 {
        self.clock.to_system(unix_ms)
    }

    /// What is wrong, in words: now, and since the start.
    pub(super) fn problems(&self) -> impl Iterator<Item = &String> {
        self.fault.iter().map(|fault| &fault.sentence).chain(&self.events)
    }

    /// Every log file that has been read; none until that is known.
    pub(super) fn files(&self) -> Option<Vec<FileState>> {
        self.files.as_ref().map(|files| files.values().cloned().collect())
    }

    /// Whether something is wrong with the file's surroundings.
    pub(super) fn has_fault(&self) -> bool {
        self.fault.is_some()
    }

    /// When there is something to be tried again.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.fault.as_ref().and_then(|fault| fault.retry)
    }

    /// Lets the next write try at once.
    pub(super) fn do_not_wait(&mut self) {
        if let Some(fault) = &mut self.fault {
            fault.retry = None;
        }
    }

    /// Carries out something that writes. Not at all while a fault waits to be tried again.
    ///
    /// # Errors
    /// What went wrong; nothing has then been changed.
    pub(super) fn write<T>(
        &mut self,
        now: Instant,
        operation: impl FnMut(&mut Store) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if let Some(fault) = self.fault.as_ref().filter(|fault| fault.retry.is_some_and(|at| now < at)) {
            return Err(StoreError::Fault(fault.sentence.clone()));
        }
        let result = self.with_store(now, operation);
        match &result {
            Ok(_) => self.succeeded(),
            Err(error) => self.fail(error, now),
        }
        result
    }

    fn succeeded(&mut self) {
        match &mut self.fault {
            Some(fault) if self.refused => fault.retry = None,
            fault => {
                if fault.take().is_some() {
                    tracing::info!("the queue's file can be written again");
                }
            }
        }
    }

    /// Notes whether something that was to be put in could be.
    fn accepted<T>(&mut self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        self.refused = result.is_err();
        if result.is_ok() {
            self.succeeded();
        }
        result
    }

    /// Carries out something that reads: also while the disk is full, as long as the file is open.
    ///
    /// # Errors
    /// What went wrong.
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
            self.fail(error, now);
        }
        result
    }

    fn with_store<T>(
        &mut self,
        now: Instant,
        mut operation: impl FnMut(&mut Store) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut result = self.attempt(now, &mut operation);
        if let Err(error) = &result
            && error.is_damage()
        {
            self.replace(error)?;
            result = self.attempt(now, &mut operation);
        }
        result
    }

    fn attempt<T>(
        &mut self,
        now: Instant,
        operation: &mut impl FnMut(&mut Store) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if let Some(store) = &mut self.store {
            return operation(store);
        }
        place::prepare(&self.file, now_unix_ms())?;
        let store = Store::open(&self.file)?;
        if self.files.is_none() {
            self.files = Some(store.files()?);
        }
        self.clock.time(now, now_unix_ms());
        self.clock.not_before(store.newest_unix_ms());
        operation(self.store.insert(store))
    }

    /// Closes the file, and keeps what is known of it.
    fn shut(&mut self) {
        if let Some(store) = self.store.take() {
            self.last_id = store.last_id();
            self.stats = store.stats().clone();
        }
    }

    /// Sets the file aside and puts a new one in its place.
    fn replace(&mut self, error: &StoreError) -> Result<(), StoreError> {
        let reason = match error {
            StoreError::Newer { .. } => AsideReason::Newer,
            _ => AsideReason::Damaged,
        };
        self.shut();
        // What was read once is better than what damage has left of it.
        let known = Known {
            files: self.files.clone(),
            counters: self.files.is_some().then(|| self.stats.counters.clone()),
            last_id: self.last_id,
        };
        let replaced = salvage::replace(&self.file, reason, known, now_unix_ms())?;
        let aside = replaced.aside.display();
        let event = match (reason, replaced.lost) {
            (AsideReason::Newer, _) => format!(
                "The queue's file was written by a newer version of the agent. It was set aside as {aside}; what waits in it is not sent."
            ),
            (AsideReason::Damaged, None) => format!(
                "The queue's file could not be read at all ({error}). It was set aside as {aside}; what waited in it is not sent, and is not counted."
            ),
            (AsideReason::Damaged, Some(0)) => {
                format!(
                    "The queue's file was damaged ({error}). It was set aside as {aside}; what could be read was kept."
                )
            }
            (AsideReason::Damaged, Some(lost)) => format!(
                "The queue's file was damaged ({error}). It was set aside as {aside}; {lost} items were lost, the rest was kept."
            ),
        };
        tracing::error!("{event}");
        // One that happens again and again is told once.
        self.events = vec![event];
        self.look_aside();
        Ok(())
    }

    fn fail(&mut self, error: &StoreError, now: Instant) {
        // A file that could be opened is left open while it is only full or busy: it can still be read.
        if !error.is_momentary() {
            self.shut();
        }
        let sentence = format!(
            "The queue's file {} cannot be written: {error}. Log files wait; other data is held in memory, as far as there is room. It is tried again every {} s.",
            self.file.display(),
            self.retry.as_secs().max(1)
        );
        if self.fault.is_none() {
            tracing::error!("{sentence}");
        }
        self.fault = Some(Fault { sentence, retry: Some(now + self.retry) });
    }

    /// Puts batches in, moves file positions and counts, in one transaction, after all that is owed.
    pub(super) fn append(&mut self, now: Instant, entries: &[Entry<'_>]) -> Result<(), StoreError> {
        let result = self.settle(now).and_then(|()| self.write(now, |store| store.append(entries)));
        self.accepted(result)?;
        if let Some(known) = &mut self.files {
            let files = entries.iter().flat_map(|entry| entry.files);
            known.extend(files.map(|file| ((file.volume, file.index), file.clone())));
        }
        Ok(())
    }

    /// Takes over what was held in memory, after all that is owed.
    pub(super) fn absorb(&mut self, now: Instant, memory: &mut Store) -> Result<(), StoreError> {
        let result = self.settle(now).and_then(|()| self.write(now, |store| store.absorb(memory)));
        self.accepted(result)
    }

    /// The oldest batch of a signal that has not left the queue.
    pub(super) fn next(&mut self, now: Instant, signal: Signal) -> Result<Option<(i64, StoredBatch)>, StoreError> {
        let after = self.done_up_to.get(&signal).copied().unwrap_or(0);
        let withheld: BTreeSet<LogKind> = self
            .owed
            .iter()
            .filter_map(|owed| match owed {
                Owed::Withdraw(kind) => Some(*kind),
                _ => None,
            })
            .collect();
        let next = self.read(now, |store| store.next(signal, after, &withheld))?;
        if let Some((row, _)) = &next {
            self.handed_out.insert(signal, *row);
        }
        Ok(next)
    }

    /// Carries out what leaves the queue, now or as soon as the file can be written.
    pub(super) fn owe(&mut self, now: Instant, owed: Owed) {
        match &owed {
            Owed::Acknowledge { row, .. } | Owed::Drop { row, .. } | Owed::Replace { row, .. } => {
                // Batches of a signal are finished in their order.
                if let Some((signal, _)) = self.handed_out.iter().find(|(_, handed_out)| *handed_out == row) {
                    self.done_up_to.insert(*signal, *row);
                }
            }
            Owed::Withdraw(kind) => self.forget(|file| file.kind == *kind),
            Owed::Forget(key) => self.forget(|file| (file.volume, file.index) == *key),
            Owed::Count(_) => {}
        }
        match (self.owed.back_mut(), owed) {
            (Some(Owed::Count(sum)), Owed::Count(more)) => {
                for (name, number) in more {
                    *sum.entry(name).or_default() += number;
                }
            }
            (_, owed) => self.owed.push_back(owed),
        }
        // What went wrong is kept as the fault.
        let _ = self.settle(now);
    }

    /// Carries out all that is owed, in order.
    pub(super) fn settle(&mut self, now: Instant) -> Result<(), StoreError> {
        while let Some(owed) = self.owed.pop_front() {
            if let Err(error) = self.write(now, |store| owed.settle(store)) {
                self.owed.push_front(owed);
                return Err(error);
            }
        }
        self.done_up_to.clear();
        Ok(())
    }

    /// Deletes what waits of a kind of logs, what has been set aside, and how far its files have been read; returns how
    /// many records were deleted.
    ///
    /// # Errors
    /// When the file cannot be written: what waits is not handed out any more, and deleted as soon as that goes.
    pub(super) fn withdraw(&mut self, now: Instant, kind: LogKind) -> Result<u64, StoreError> {
        let aside = self.remove_aside();
        let withdrawn = self.settle(now).and_then(|()| self.write(now, |store| store.withdraw(kind)));
        match withdrawn {
            Ok(items) => {
                self.forget(|file| file.kind == kind);
                aside?;
                Ok(items)
            }
            Err(error) => {
                self.owe(now, Owed::Withdraw(kind));
                Err(error)
            }
        }
    }

    fn forget(&mut self, mut which: impl FnMut(&FileState) -> bool) {
        if let Some(files) = &mut self.files {
            files.retain(|_, file| !which(file));
        }
    }

    /// Tries again what a fault has kept from being done, at least to open the file.
    pub(super) fn retry(&mut self, now: Instant) -> Result<(), StoreError> {
        self.settle(now)?;
        self.write(now, |_| Ok(()))
    }

    /// Removes what is too much or too old of what has been set aside, and counts it.
    pub(super) fn look_aside(&mut self) {
        let removed = aside::prune(&self.file, self.most_aside_bytes, self.most_aside_age, now_unix_ms());
        self.aside = aside::list(&self.file);
        self.count_removed(removed);
    }

    /// What has been set aside holds log records too.
    fn remove_aside(&mut self) -> Result<(), StoreError> {
        let removed = aside::remove_all(&self.file);
        self.aside = aside::list(&self.file);
        self.count_removed(removed?);
        Ok(())
    }

    fn count_removed(&mut self, removed: u64) {
        if removed > 0 {
            self.owe(Instant::now(), Owed::Count(BTreeMap::from([("set_aside.removed".to_owned(), removed)])));
        }
    }

    /// Does what can wait; returns whether there is more of it.
    pub(super) fn tidy(&mut self, now: Instant, limit: Duration) -> bool {
        self.fault.is_none() && self.store.is_some() && self.write(now, |store| store.tidy(limit)).unwrap_or(false)
    }

    /// Writes everything into the main file and closes it.
    pub(super) fn close(mut self) {
        let now = Instant::now();
        if let Some(fault) = &mut self.fault {
            fault.retry = None;
        }
        if let Err(error) = self.settle(now) {
            let owed = self.owed.len();
            tracing::error!(%error, owed, "what has left the queue could not be written down; it is sent again");
        }
        if let Some(Err(error)) = self.store.take().map(Store::close) {
            tracing::error!(%error, "the queue's file could not be closed well");
        }
    }
}
