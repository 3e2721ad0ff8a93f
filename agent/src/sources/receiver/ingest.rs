//! Requests on their way into the queue: pause, consent, memory limits and the acknowledgement.

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceResponse};
use parking_lot::Mutex;
use prost::Message;
use tokio::sync::{RwLock, Semaphore};

use super::body::BodyBudget;
use super::enrich::Enrichment;
use super::prepare::{IncomingRequest, MAX_DECODED_BYTES, PreparedRequest, Preparer};
use super::rejection::Rejection;
use super::{ReceiverContext, ReceiverStatus};
use crate::otlp::Signal;
use crate::pause::Pause;
use crate::pipeline::queue::{AppendError, Queue};

/// Maximum number of requests that are prepared at a time. Decompressed and decoded requests are
/// what the agent's memory grows by: the largest one takes some 100 MB for a moment, and every
/// thread that has done such work keeps a part of it.
const MAX_CONCURRENT_PREPARATIONS: usize = 1;
/// Maximum size of prepared requests that wait for the queue: one of the largest, or many of the
/// usual size, which then share a transaction.
const MAX_PENDING_BYTES: usize = MAX_DECODED_BYTES;
/// Maximum length in characters of an origin in the status.
const MAX_ORIGIN_CHARS: usize = 200;

/// The result of an accepted request: OTLP's partial success.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Accepted {
    /// Number of items that were not accepted.
    pub(super) rejected: u64,
    /// Why items were not accepted; none if all were.
    pub(super) message: Option<&'static str>,
}

impl Accepted {
    /// Encodes the response message. Those of the three services are the same on the wire: a count
    /// and a text.
    pub(super) fn to_protobuf(&self) -> Vec<u8> {
        let partial = self.message.map(|message| ExportLogsPartialSuccess {
            rejected_log_records: self.rejected.cast_signed(),
            error_message: message.to_owned(),
        });
        ExportLogsServiceResponse { partial_success: partial }.encode_to_vec()
    }
}

/// Prepares requests and puts them into the queue.
#[derive(Debug)]
pub(super) struct Ingest {
    queue: Queue,
    preparer: Arc<Preparer>,
    pause: Pause,
    /// Whether the user shares application logs. Every request holds the read lock until its data
    /// is in the queue, so that a change of consent (the write lock) waits for it.
    shares_logs: RwLock<bool>,
    body_budget: BodyBudget,
    preparations: Arc<Semaphore>,
    pending_bytes: Semaphore,
    status: Arc<Mutex<ReceiverStatus>>,
}

impl Ingest {
    pub(super) fn new(context: &ReceiverContext, shares_logs: bool, status: Arc<Mutex<ReceiverStatus>>) -> Self {
        let enrichment = Enrichment::new(&context.resource);
        let redactor = Arc::clone(&context.redactor);
        let preparer = Preparer::new(&context.settings, enrichment, redactor, &context.provider);
        Self {
            queue: context.queue.clone(),
            preparer: Arc::new(preparer),
            pause: context.pause.clone(),
            shares_logs: RwLock::new(shares_logs),
            body_budget: BodyBudget::new(),
            preparations: Arc::new(Semaphore::new(MAX_CONCURRENT_PREPARATIONS)),
            pending_bytes: Semaphore::new(MAX_PENDING_BYTES),
            status,
        }
    }

    pub(super) const fn body_budget(&self) -> &BodyBudget {
        &self.body_budget
    }

    /// Sets whether the user shares application logs. When this returns, every request that began
    /// before it is in the queue or rejected.
    pub(super) async fn share_logs(&self, shared: bool) {
        *self.shares_logs.write().await = shared;
    }

    /// Counts a rejection in the status.
    pub(super) fn count_rejection(&self, rejection: &Rejection) {
        let mut status = self.status.lock();
        *status.refused.entry(rejection.name().to_owned()).or_default() += 1;
        if let Rejection::Origin(origin) = rejection {
            status.refused_origin = Some(origin.chars().take(MAX_ORIGIN_CHARS).collect());
        }
    }

    /// Puts a request into the queue. When this returns it is on disk.
    ///
    /// Two limits apply one after the other. The preparation limit bounds the memory for decoding.
    /// It is released only after the pending limit was acquired: a prepared request then waits for
    /// the disk while the next one is prepared, and requests that wait together share a transaction
    /// of the queue. The preparation permit moves into the blocking task, because the task goes on
    /// if the sender disconnects and this future is dropped.
    pub(super) async fn accept(&self, request: IncomingRequest) -> Result<(Signal, Accepted), Rejection> {
        if self.pause.is_on() {
            return Err(Rejection::Paused);
        }
        let stopping = || Rejection::Unavailable("the agent is shutting down".to_owned());
        let shares_logs = self.shares_logs.read().await;
        let permit = Arc::clone(&self.preparations).acquire_owned().await.map_err(|_| stopping())?;
        let (preparer, may_send) = (Arc::clone(&self.preparer), *shares_logs);
        let task = tokio::task::spawn_blocking(move || (preparer.prepare(request, may_send), permit));
        let (result, permit) = task.await.map_err(|_| stopping())?;
        let (signal, accepted) = result?;
        let size: usize = accepted.batches.iter().map(|batch| batch.payload.len()).sum();
        let size = u32::try_from(size.min(MAX_PENDING_BYTES)).unwrap_or(u32::MAX);
        let pending = self.pending_bytes.acquire_many(size).await.map_err(|_| stopping())?;
        drop(permit);
        let PreparedRequest { batches, items, sampled_out, not_shared, measurements } = accepted;
        if !batches.is_empty() {
            self.queue.offer(batches).await.map_err(|error| match error {
                AppendError::Full => Rejection::Full,
                AppendError::Store(error) => Rejection::Unavailable(error.to_string()),
                AppendError::Closed => stopping(),
            })?;
        }
        drop((pending, shares_logs));
        self.preparer.record(&measurements);
        let mut status = self.status.lock();
        if items > 0 {
            *status.taken.entry(signal).or_default() += items;
        }
        status.sampled_out += sampled_out;
        status.not_shared += not_shared;
        let message = (not_shared > 0).then_some("the user of this machine does not share the logs of applications");
        Ok((signal, Accepted { rejected: not_shared, message }))
    }
}
