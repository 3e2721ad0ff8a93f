//! The queue's thread: owns the file, carries out commands one after the other.

use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};

use super::store::{Half, Store, StoredBatch};
use super::{AppendError, Batch, DropReason, FileState, HandOver, LOG_SHARE_PERCENT, QueueStats, StoreError};
use crate::config::{Compression, QueueSettings};
use crate::consent::LogKind;
use crate::pipeline::{Signal, codec, split};

/// How often the age limit is looked at.
const AGE_CHECK: Duration = Duration::from_mins(1);

/// What the queue can be told. Who waits for an answer sees the change in the published figures.
pub(super) enum Command {
    Append { what: HandOver, reply: oneshot::Sender<Result<(), AppendError>> },
    Next { signal: Signal, reply: oneshot::Sender<Option<Batch>> },
    Acknowledge { id: i64, rejected: u64, done: oneshot::Sender<()> },
    Drop { id: i64, reason: DropReason, done: oneshot::Sender<()> },
    Split { batch: Batch, done: oneshot::Sender<()> },
    Withdraw { kind: LogKind, reply: oneshot::Sender<Result<u64, AppendError>> },
    Files { reply: oneshot::Sender<Vec<FileState>> },
    ForgetFile { key: (u64, u64) },
    Stop,
}

/// The owner of the file.
pub(super) struct Owner {
    pub(super) store: Store,
    pub(super) settings: QueueSettings,
    pub(super) compression: Compression,
    pub(super) publish: watch::Sender<QueueStats>,
}

impl Owner {
    /// Works until it is told to stop, or nobody has a handle any more.
    pub(super) fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        let mut age_checked = None;
        while let Some(command) = inbox.blocking_recv() {
            if matches!(command, Command::Stop) {
                break;
            }
            if age_checked.is_none_or(|at: Instant| at.elapsed() >= AGE_CHECK) {
                self.drop_old();
                age_checked = Some(Instant::now());
            }
            self.carry_out(command);
        }
        report("writing the last changes", self.store.checkpoint());
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Append { what, reply } => {
                let result = self.append(&what);
                self.answer(reply, result);
            }
            Command::Next { signal, reply } => {
                let next = report("reading a batch", self.store.next(signal)).flatten();
                self.answer(reply, next);
            }
            Command::Acknowledge { id, rejected, done } => {
                report("taking a delivered batch out", self.store.acknowledge(id, rejected));
                self.answer(done, ());
            }
            Command::Drop { id, reason, done } => {
                report("dropping a batch", self.store.drop_batch(id, reason));
                self.answer(done, ());
            }
            Command::Split { batch, done } => {
                report("splitting a batch", self.split(&batch));
                self.answer(done, ());
            }
            Command::Withdraw { kind, reply } => {
                let result = self.store.withdraw(kind).map_err(AppendError::from);
                self.answer(reply, result);
            }
            Command::Files { reply } => {
                let files = report("reading file positions", self.store.files()).unwrap_or_default();
                self.answer(reply, files);
            }
            Command::ForgetFile { key } => {
                report("forgetting a file", self.store.forget_file(key));
            }
            Command::Stop => {}
        }
    }

    /// Publishes what the queue holds, then answers: who has the answer sees the change.
    fn answer<T>(&self, reply: oneshot::Sender<T>, answer: T) {
        let stats = self.store.stats();
        self.publish.send_if_modified(|published| {
            let changed = published != stats;
            if changed {
                published.clone_from(stats);
            }
            changed
        });
        // Whoever asked may have gone.
        let _ = reply.send(answer);
    }

    fn append(&mut self, what: &HandOver) -> Result<(), AppendError> {
        let stored = match &what.batch {
            Some(batch) => Some(StoredBatch::new(batch, self.compression, now_unix_ms()).map_err(StoreError::from)?),
            None => None,
        };
        if let Some(stored) = &stored {
            self.admit(stored)?;
        }
        Ok(self.store.append(stored.as_ref(), &what.files, &what.counts)?)
    }

    fn admit(&mut self, batch: &StoredBatch) -> Result<(), AppendError> {
        let limit = self.settings.max_bytes.get();
        let wanted = self.store.stats().bytes() + batch.bytes();
        if batch.can_wait() {
            let share = limit / 100 * LOG_SHARE_PERCENT;
            return if wanted > share { Err(AppendError::Full) } else { Ok(()) };
        }
        if wanted > limit {
            self.store.make_room(Signal::Metrics, wanted - limit)?;
            if self.store.stats().bytes() + batch.bytes() > limit {
                return Err(AppendError::Full);
            }
        }
        Ok(())
    }

    fn split(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let halves = split::halve(batch.signal, batch.compression, &batch.payload);
        let Some(halves) = halves.filter(|_| !batch.split) else {
            self.store.drop_batch(batch.id, DropReason::TooLarge)?;
            return Ok(());
        };
        let compression = self.compression.stored();
        let mut stored = Vec::new();
        for (items, payload) in halves {
            let items = u32::try_from(items).unwrap_or(u32::MAX);
            stored.push(Half { items, size: payload.len() as u64, payload: codec::compress(compression, &payload)? });
        }
        self.store.replace(batch.id, compression, &stored)
    }

    fn drop_old(&mut self) {
        let age = i64::try_from(self.settings.max_age.get().as_millis()).unwrap_or(i64::MAX);
        if let Some(items @ 1..) =
            report("dropping what is too old", self.store.drop_older(now_unix_ms().saturating_sub(age)))
        {
            tracing::warn!(items, "dropped data that was older than queue.max_age");
        }
    }
}

fn report<T>(doing: &str, result: Result<T, StoreError>) -> Option<T> {
    result.inspect_err(|error| tracing::error!(%error, "{doing} failed")).ok()
}

fn now_unix_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
