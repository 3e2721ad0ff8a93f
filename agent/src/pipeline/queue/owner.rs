//! The queue's thread: owns the file and what is held in memory, carries out commands one after the other, and does what
//! can wait while there are none.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};

use super::accounts::{dropped, queued};
use super::disk::{Disk, Owed};
use super::rows::StoredBatch;
use super::space::Space;
use super::store::{Entry, Store};
use super::{AppendError, Batch, BatchId, DropReason, FileState, HandOver, LOG_SHARE_PERCENT, MEMORY_BYTES};
use super::{LogCounter, QueueStats, StoreError};
use crate::config::QueueSettings;
use crate::consent::LogKind;
use crate::otlp::{Compression, Signal, compression, split};

/// How often the age limit is looked at.
const AGE_CHECK: Duration = Duration::from_mins(1);
/// Pause before space is given back after a batch has left, and between two steps of it.
const TIDY_PAUSE: Duration = Duration::from_millis(100);
/// Length of such a step: nobody waits longer for an answer because of it.
const TIDY_STEP: Duration = Duration::from_millis(20);
/// Longest giving back of space at the end of the program.
const LAST_TIDY: Duration = Duration::from_millis(100);
/// How often what is held in memory is tried to be put on disk.
const HELD_CHECK: Duration = Duration::from_secs(5);

/// Most appends that share a transaction.
const MOST_TOGETHER: usize = 32;
/// Most bytes of them, before compression: what is compressed in some 50 ms, for which other commands wait.
const MOST_BYTES_TOGETHER: usize = 8 << 20;

/// Whether what is put in can be put in again later, if it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// It is in a file, or whoever sent it keeps it until it is acknowledged.
    Later,
    /// It is here and nowhere else.
    Never,
}

/// What the queue can be told. Who waits for an answer sees the change in the published figures.
#[derive(Debug)]
pub(super) enum Command {
    Append { what: HandOver, again: Again, reply: oneshot::Sender<Result<(), AppendError>> },
    Next { signal: Signal, reply: oneshot::Sender<Option<Batch>> },
    Acknowledge { id: BatchId, rejected: u64, done: oneshot::Sender<()> },
    Drop { id: BatchId, reason: DropReason, done: oneshot::Sender<()> },
    Split { batch: Batch, done: oneshot::Sender<()> },
    CountLost { signal: Signal, reason: DropReason, items: u32 },
    Withhold { kind: LogKind },
    Withdraw { kind: LogKind, reply: oneshot::Sender<Result<u64, AppendError>> },
    Files { reply: oneshot::Sender<Vec<FileState>> },
    ForgetFile { key: (u64, u64) },
    Stop,
}

type Reply = oneshot::Sender<Result<(), AppendError>>;

/// The owner of the file.
#[derive(Debug)]
pub(super) struct Owner {
    disk: Disk,
    /// What could not be put on disk.
    memory: Option<Store>,
    space: Space,
    settings: QueueSettings,
    compression: Compression,
    publish: watch::Sender<QueueStats>,
    ready: watch::Sender<bool>,
    /// Who waits to know how far log files have been read.
    waiting: Vec<oneshot::Sender<Vec<FileState>>>,
    age_due: Instant,
    held_due: Option<Instant>,
    tidy_due: Option<Instant>,
}

impl Owner {
    pub(super) fn new(
        disk: Disk,
        space: Space,
        settings: QueueSettings,
        compression: Compression,
        publish: watch::Sender<QueueStats>,
        ready: watch::Sender<bool>,
    ) -> Self {
        let age_due = Instant::now();
        let mut owner = Self {
            disk,
            memory: None,
            space,
            settings,
            compression,
            publish,
            ready,
            waiting: Vec::new(),
            age_due,
            held_due: None,
            tidy_due: None,
        };
        owner.space.is_short(age_due);
        owner.publish();
        owner
    }

    /// Works until it is told to stop, or nobody has a handle any more.
    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        let mut next = None;
        loop {
            self.do_what_is_due(Instant::now());
            let command = match next.take() {
                Some(command) => Ok(Some(command)),
                None => tokio::time::timeout_at(self.next_due().into(), inbox.recv()).await,
            };
            match command {
                Ok(None | Some(Command::Stop)) => break,
                Ok(Some(Command::Append { what, again: Again::Later, reply })) => {
                    let group;
                    (group, next) = together((what, reply), &mut inbox);
                    self.take_in(Instant::now(), group);
                }
                Ok(Some(command)) => self.carry_out(command),
                Err(_) => {}
            }
        }
        self.end();
    }

    fn next_due(&self) -> Instant {
        let due = [self.disk.retry_at(), self.held_due, self.tidy_due];
        due.into_iter().flatten().fold(self.age_due, Instant::min)
    }

    fn do_what_is_due(&mut self, now: Instant) {
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let mut changed = false;
        if is_due(self.disk.retry_at()) {
            // What went wrong is kept by the disk.
            let _ = self.disk.retry(now);
            changed = true;
        }
        if is_due(self.held_due) {
            let _ = self.put_held_on_disk(now);
            changed = true;
        }
        if self.age_due <= now {
            let dropped = self.drop_old(now);
            self.disk.look_aside();
            self.age_due = if dropped > 0 { now } else { now + AGE_CHECK };
            changed = true;
        }
        if is_due(self.tidy_due) {
            let more = self.disk.tidy(now, TIDY_STEP);
            self.tidy_due = more.then(|| Instant::now() + TIDY_PAUSE);
        }
        if changed {
            self.publish();
        }
    }

    fn carry_out(&mut self, command: Command) {
        let now = Instant::now();
        match command {
            Command::Append { what, again: Again::Later, reply } => self.take_in(now, vec![(what, reply)]),
            Command::Append { what, again: Again::Never, reply } => {
                let result = self.append(now, &what);
                self.answer(reply, result);
            }
            Command::Next { signal, reply } => {
                let next = self.next(now, signal);
                self.answer(reply, next);
            }
            Command::Acknowledge { id, rejected, done } => {
                self.finish(now, id, |row| Owed::Acknowledge { row, rejected });
                self.answer(done, ());
            }
            Command::Drop { id, reason, done } => {
                self.finish(now, id, |row| Owed::Drop { row, reason });
                self.answer(done, ());
            }
            Command::Split { batch, done } => {
                self.split(now, &batch);
                self.answer(done, ());
            }
            Command::CountLost { signal, reason, items } => {
                let items = u64::from(items);
                let numbers = [(queued(signal), items), (dropped(signal, reason), items)];
                self.disk.owe(now, Owed::Count(numbers.into()));
                self.publish();
            }
            Command::Withhold { kind } => self.disk.owe(now, Owed::Withdraw(kind)),
            Command::Withdraw { kind, reply } => {
                let result = self.disk.withdraw(now, kind).map_err(AppendError::from);
                self.tidy_due.get_or_insert(now + TIDY_PAUSE);
                self.answer(reply, result);
            }
            Command::Files { reply } => {
                self.waiting.push(reply);
                self.publish();
            }
            Command::ForgetFile { key } => self.disk.owe(now, Owed::Forget(key)),
            Command::Stop => {}
        }
    }

    /// Publishes what the queue holds, then answers: who has the answer sees the change.
    fn answer<T>(&mut self, reply: oneshot::Sender<T>, answer: T) {
        self.publish();
        // Whoever asked may have gone.
        let _ = reply.send(answer);
    }

    fn publish(&mut self) {
        let mut stats = self.disk.stats().clone();
        if let Some(memory) = &self.memory {
            stats.add(memory.stats());
        }
        for signal in Signal::ALL {
            let of = stats.of_mut(signal);
            of.oldest_unix_ms = of.oldest_unix_ms.map(|oldest| self.disk.to_system_time(oldest));
        }
        stats.set_aside = self.disk.set_aside().to_vec();
        stats.problems = self.disk.problems().chain(self.space.problem()).cloned().collect();
        self.publish.send_if_modified(|published| {
            let changed = *published != stats;
            if changed {
                *published = stats;
            }
            changed
        });
        if let Some(files) = self.disk.files() {
            self.ready.send_if_modified(|ready| !std::mem::replace(ready, true));
            for waiting in self.waiting.drain(..) {
                let _ = waiting.send(files.clone());
            }
        }
    }

    /// Puts in what its senders can put in again later: all in one transaction, or, if that fails, each in its own, so that
    /// one does not keep out the others.
    fn take_in(&mut self, now: Instant, group: Vec<(HandOver, Reply)>) {
        let mut taken = self.disk.stats().bytes();
        let mut fitting = Vec::with_capacity(group.len());
        let mut answers = Vec::with_capacity(group.len());
        for (what, reply) in group {
            match self.stored(now, &what) {
                Ok(stored) => {
                    let bytes: u64 = stored.iter().map(StoredBatch::bytes).sum();
                    if bytes > 0 && !self.has_room(now, taken + bytes) {
                        answers.push((reply, Err(AppendError::Full)));
                        continue;
                    }
                    taken += bytes;
                    fitting.push((what, stored, reply));
                }
                Err(error) => answers.push((reply, Err(error))),
            }
        }
        let entries: Vec<_> = fitting.iter().map(|(what, stored, _)| entry(what, stored)).collect();
        let are_in = entries.len() > 1 && self.disk.append(now, &entries).is_ok();
        if !are_in && entries.len() > 1 {
            self.disk.do_not_wait();
        }
        for (what, stored, reply) in fitting {
            let own = if are_in { Ok(()) } else { self.disk.append(now, &[entry(&what, &stored)]) };
            answers.push((reply, own.map_err(AppendError::from)));
        }
        self.publish();
        for (reply, answer) in answers {
            // Whoever asked may have gone.
            let _ = reply.send(answer);
        }
    }

    fn stored(&mut self, now: Instant, what: &HandOver) -> Result<Vec<StoredBatch>, AppendError> {
        let time = self.disk.time(now);
        let stored = what.batches.iter().map(|batch| StoredBatch::new(batch, self.compression, time));
        Ok(stored.collect::<std::io::Result<_>>().map_err(StoreError::from)?)
    }

    /// Whether there is room for so many bytes in all of what can be put in again later.
    fn has_room(&mut self, now: Instant, wanted: u64) -> bool {
        !self.space.is_short(now) && wanted <= self.settings.max_bytes.get() / 100 * LOG_SHARE_PERCENT
    }

    /// Puts in what is nowhere else.
    fn append(&mut self, now: Instant, what: &HandOver) -> Result<(), AppendError> {
        for batch in &self.stored(now, what)? {
            if batch.bytes() > self.settings.max_bytes.get() {
                return Err(AppendError::Full);
            }
            match self.put_on_disk(now, batch) {
                Ok(true) => {}
                Ok(false) | Err(_) => self.hold(now, batch)?,
            }
        }
        Ok(())
    }

    /// Puts a batch that cannot be read again on disk. False if there is no room for it, even when what is worth less has
    /// given way.
    fn put_on_disk(&mut self, now: Instant, batch: &StoredBatch) -> Result<bool, StoreError> {
        self.put_held_on_disk(now)?;
        let held = self.disk.stats().bytes();
        let wanted = held + batch.bytes();
        let most = self.settings.max_bytes.get();
        let (limit, reason) = if self.space.is_short(now) && held < most {
            (held, DropReason::DiskFull)
        } else {
            (most, DropReason::Full)
        };
        if wanted > limit && !self.disk.write(now, |store| store.make_room(batch.signal, wanted - limit, reason))? {
            return Ok(false);
        }
        self.disk.append(now, &[alone(batch)])?;
        Ok(true)
    }

    /// Keeps a batch in memory, where the oldest of what is worth no more gives way.
    fn hold(&mut self, now: Instant, batch: &StoredBatch) -> Result<(), AppendError> {
        if !self.disk.has_fault() && !self.space.is_short(now) {
            // Nothing is wrong with the disk: the queue is as large as it may become.
            return Err(AppendError::Full);
        }
        let memory = match &mut self.memory {
            Some(memory) => memory,
            none => none.insert(Store::in_memory()?),
        };
        let wanted = memory.stats().bytes() + batch.bytes();
        if wanted > MEMORY_BYTES && !memory.make_room(batch.signal, wanted - MEMORY_BYTES, DropReason::DiskFull)? {
            return Err(AppendError::Full);
        }
        memory.append(&[alone(batch)])?;
        self.held_due.get_or_insert(now + HELD_CHECK);
        Ok(())
    }

    /// Moves what is held in memory to the disk, if the disk has room for it again.
    fn put_held_on_disk(&mut self, now: Instant) -> Result<(), StoreError> {
        let Some(memory) = self.memory.as_mut().filter(|memory| memory.holds_anything()) else {
            self.held_due = None;
            return Ok(());
        };
        if self.space.is_short(now) {
            self.held_due = Some(now + HELD_CHECK);
            return Ok(());
        }
        let moved = self.disk.absorb(now, memory);
        self.held_due = moved.is_err().then(|| now + HELD_CHECK);
        moved
    }

    fn next(&mut self, now: Instant, signal: Signal) -> Option<Batch> {
        // What went wrong is kept by the disk; what is in memory can be sent all the same.
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

    /// Takes a batch out of the file or of memory.
    fn finish(&mut self, now: Instant, id: BatchId, how: impl FnOnce(i64) -> Owed) {
        let owed = how(id.row);
        match self.memory.as_mut().filter(|_| id.in_memory) {
            Some(memory) => {
                if let Err(error) = owed.settle(memory) {
                    tracing::error!(%error, "a batch could not be taken out of memory");
                }
            }
            None => self.disk.owe(now, owed),
        }
        self.tidy_due.get_or_insert(now + TIDY_PAUSE);
    }

    fn split(&mut self, now: Instant, batch: &Batch) {
        let compression = self.compression.stored();
        let halves = split::halve(batch.signal, batch.compression, &batch.payload).filter(|_| !batch.split);
        let stored = halves.map(|halves| {
            halves.into_iter().map(|(items, payload)| {
                // The rest is that of the whole.
                Ok(StoredBatch {
                    signal: batch.signal,
                    consent: None,
                    compression,
                    items: u32::try_from(items).unwrap_or(u32::MAX),
                    oldest_unix_nano: 0,
                    newest_unix_nano: 0,
                    enqueued_unix_ms: 0,
                    size: payload.len() as u64,
                    split: true,
                    payload: compression::compress(compression, &payload)?,
                })
            })
        });
        match stored.map(Iterator::collect::<std::io::Result<Vec<_>>>) {
            Some(Ok(halves)) => self.finish(now, batch.id, |row| Owed::Replace { row, halves }),
            Some(Err(_)) | None => {
                self.finish(now, batch.id, |row| Owed::Drop { row, reason: DropReason::TooLarge });
            }
        }
    }

    /// Drops some of what is too old; returns how many items that were.
    fn drop_old(&mut self, now: Instant) -> u64 {
        let age = i64::try_from(self.settings.max_age.get().as_millis()).unwrap_or(i64::MAX);
        let oldest = self.disk.time(now).saturating_sub(age);
        let on_disk = self.disk.write(now, |store| store.drop_older(oldest)).unwrap_or(0);
        let in_memory = self.memory.as_mut().and_then(|memory| memory.drop_older(oldest).ok()).unwrap_or(0);
        let items = on_disk + in_memory;
        if items > 0 {
            tracing::warn!(items, "dropped data that was older than queue.max_age");
            self.tidy_due.get_or_insert(now + TIDY_PAUSE);
        }
        items
    }

    fn end(mut self) {
        let now = Instant::now();
        self.disk.do_not_wait();
        let _ = self.disk.retry(now);
        self.disk.do_not_wait();
        if let Err(error) = self.put_held_on_disk(now)
            && let Some(memory) = &self.memory
        {
            let items: u64 = Signal::ALL.iter().map(|signal| memory.stats().of(*signal).items).sum();
            tracing::error!(%error, items, "what was held in memory could not be put on disk, and is lost");
        }
        while now.elapsed() < LAST_TIDY && self.disk.tidy(now, TIDY_STEP) {}
        self.disk.close();
    }
}

/// What waits in the inbox and can be put in together with the first one; and the command that comes next, if it is another.
fn together(
    first: (HandOver, Reply),
    inbox: &mut mpsc::Receiver<Command>,
) -> (Vec<(HandOver, Reply)>, Option<Command>) {
    let size = |what: &HandOver| what.batches.iter().map(|batch| batch.payload.len()).sum::<usize>();
    let mut bytes = size(&first.0);
    let mut group = vec![first];
    while group.len() < MOST_TOGETHER && bytes < MOST_BYTES_TOGETHER {
        match inbox.try_recv() {
            Ok(Command::Append { what, again: Again::Later, reply }) => {
                bytes += size(&what);
                group.push((what, reply));
            }
            Ok(other) => return (group, Some(other)),
            Err(_) => break,
        }
    }
    (group, None)
}

fn entry<'a>(what: &'a HandOver, batches: &'a [StoredBatch]) -> Entry<'a> {
    Entry { batches, files: &what.files, counts: &what.counts }
}

fn alone(batch: &StoredBatch) -> Entry<'_> {
    const NOTHING: &BTreeMap<LogCounter, u64> = &BTreeMap::new();
    Entry { batches: std::slice::from_ref(batch), files: &[], counts: NOTHING }
}
