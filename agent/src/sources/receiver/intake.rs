//! Requests on their way into the queue: may they come, and when are they acknowledged.

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceResponse};
use parking_lot::Mutex;
use prost::Message;
use tokio::sync::{RwLock, Semaphore};

use super::body::Room;
use super::enrich::Enrichment;
use super::prepare::{Arrived, LARGEST_DECODED, Prepared, Preparer};
use super::refusal::Refusal;
use super::{ReceiverContext, ReceiverStatus};
use crate::otlp::Signal;
use crate::pause::Pause;
use crate::pipeline::queue::{AppendError, Queue};

/// Requests that are worked on at a time: what they hold, decompressed and decoded, is what the memory of the agent grows by.
/// With the largest one that is some 100 MB for a moment; and each thread that did such work keeps some of it.
const TURNS: usize = 1;
/// Bytes of prepared requests that wait for the queue: one of the largest, or many usual ones, which then share a transaction.
const WAITING: usize = LARGEST_DECODED;

/// A request was taken, or what of it was not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Taken {
    pub(super) rejected: u64,
    pub(super) message: Option<&'static str>,
}

impl Taken {
    /// As the answer of each of the three services: all are a count and a text.
    pub(super) fn to_protobuf(&self) -> Vec<u8> {
        let partial = self.message.map(|message| ExportLogsPartialSuccess {
            rejected_log_records: self.rejected.cast_signed(),
            error_message: message.to_owned(),
        });
        ExportLogsServiceResponse { partial_success: partial }.encode_to_vec()
    }
}

/// Takes requests.
#[derive(Debug)]
pub(super) struct Intake {
    queue: Queue,
    preparer: Arc<Preparer>,
    pause: Pause,
    /// Whether the user shares the logs of applications. Held while records are put into the queue.
    shares_logs: RwLock<bool>,
    room: Room,
    turns: Arc<Semaphore>,
    waiting: Semaphore,
    status: Arc<Mutex<ReceiverStatus>>,
}

impl Intake {
    pub(super) fn new(context: &ReceiverContext, shares_logs: bool, status: Arc<Mutex<ReceiverStatus>>) -> Self {
        let enrichment = Enrichment::new(&context.resource);
        let redactor = Arc::clone(&context.redactor);
        let preparer = Preparer::new(&context.settings, enrichment, redactor, &context.provider);
        Self {
            queue: context.queue.clone(),
            preparer: Arc::new(preparer),
            pause: context.pause.clone(),
            shares_logs: RwLock::new(shares_logs),
            room: Room::new(),
            turns: Arc::new(Semaphore::new(TURNS)),
            waiting: Semaphore::new(WAITING),
            status,
        }
    }

    /// Where bodies are read.
    pub(super) const fn room(&self) -> &Room {
        &self.room
    }

    pub(super) async fn share_logs(&self, shared: bool) {
        *self.shares_logs.write().await = shared;
    }

    /// Counts a refusal.
    pub(super) fn refused(&self, refusal: &Refusal) {
        let mut status = self.status.lock();
        *status.refused.entry(refusal.name().to_owned()).or_default() += 1;
        if let Refusal::Origin(origin) = refusal {
            status.refused_origin = Some(origin.chars().take(200).collect());
        }
    }

    /// Puts a request into the queue. When this returns it is on disk.
    pub(super) async fn take(&self, arrived: Arrived) -> Result<(Signal, Taken), Refusal> {
        if self.pause.is_on() {
            return Err(Refusal::Paused);
        }
        let ending = || Refusal::Unavailable("the agent is ending".to_owned());
        let shares_logs = self.shares_logs.read().await;
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| ending())?;
        let (worker, shared) = (Arc::clone(&self.preparer), *shares_logs);
        // The turn goes along: the work goes on although its sender has gone.
        let work = tokio::task::spawn_blocking(move || (worker.prepare(arrived, shared), turn));
        let (prepared, turn) = work.await.map_err(|_| ending())?;
        let (signal, prepared) = prepared?;
        let size: usize = prepared.batches.iter().map(|batch| batch.payload.len()).sum();
        let size = u32::try_from(size.min(WAITING)).unwrap_or(u32::MAX);
        let waiting = self.waiting.acquire_many(size).await.map_err(|_| ending())?;
        // Others work while this one waits, and so come into the same transaction.
        drop(turn);
        let Prepared { batches, items, sampled_out, not_shared, measurements } = prepared;
        if !batches.is_empty() {
            self.queue.offer(batches).await.map_err(|error| match error {
                AppendError::Full => Refusal::Full,
                AppendError::Store(error) => Refusal::Unavailable(error.to_string()),
                AppendError::Closed => ending(),
            })?;
        }
        drop((waiting, shares_logs));
        self.preparer.record(&measurements);
        let mut status = self.status.lock();
        if items > 0 {
            *status.taken.entry(signal).or_default() += items;
        }
        status.sampled_out += sampled_out;
        status.not_shared += not_shared;
        let message = (not_shared > 0).then_some("the user of this machine does not share the logs of applications");
        Ok((signal, Taken { rejected: not_shared, message }))
    }
}
