//! Requests on their way into the queue: may they come, what is hidden in them, whose they are.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::StatusCode;
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde::Deserialize;
use tokio::sync::{RwLock, Semaphore, SemaphorePermit};

use super::body::Room;
use super::enrich::Enrichment;
use super::sampling::Sampler;
use super::views::Views;
use super::{ReceiverContext, ReceiverStatus, hide};
use crate::config::Compression;
use crate::consent::LogKind;
use crate::pause::Pause;
use crate::pipeline::queue::{AppendError, NewBatch, Queue};
use crate::pipeline::{Signal, data_points};
use crate::redaction::LazyRedactor;
use crate::sources::host::locked;

/// Largest body of a request as it comes: twice what SDKs send in a batch of long records.
pub(super) const LARGEST_BODY: usize = 8 << 20;
/// Largest request when decompressed. What a collector takes is often no more than 20 MiB.
pub(super) const LARGEST_REQUEST: usize = 16 << 20;
/// Requests that are worked on at a time: what they hold, decompressed and decoded, is what the memory of the agent grows by.
/// With the largest ones that is some 100 MB for a moment.
const TURNS: usize = 2;
/// When whoever was refused because the queue is full, or cannot be written, may come again. What io.Insights' client is
/// told counts for it only if it is shorter than its timeout of 10 s.
const SOON: Duration = Duration::from_secs(5);
/// The same during a pause.
const AFTER_PAUSE: Duration = Duration::from_mins(1);
/// How a request is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Protobuf,
    /// OTLP's own JSON (OTLP specification, section "JSON Protobuf Encoding").
    Json,
}

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

/// Why a request was not taken; in words, for whoever sends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("the queue is full; send it again later")]
    Full,
    #[error("the user has paused the agent; send it again later")]
    Paused,
    #[error("too much is sent to the agent at this moment; send it again later")]
    Busy,
    #[error("{0}; send it again later")]
    Unavailable(String),
    #[error("the request took too long to come")]
    Slow,
    #[error("a request may have {LARGEST_BODY} bytes, and {LARGEST_REQUEST} when decompressed")]
    TooLarge,
    #[error("this is no OTLP request: {0}")]
    Malformed(String),
    #[error("{0}")]
    MediaType(String),
    #[error("OTLP with protobuf goes to a path that ends with /v1/metrics, /v1/traces or /v1/logs")]
    Path,
    #[error("`{0}` is not a name of this machine: use localhost or 127.0.0.1")]
    Host(String),
    #[error("pages of {0} may not send to this agent; its setting receiver.allowed_origins says who may")]
    Origin(String),
    #[error("the agent wants its token (receiver.token): send `authorization: Bearer` and the token")]
    Token,
}

impl Refusal {
    pub(super) fn http_status(&self) -> StatusCode {
        match self {
            Self::Full | Self::Busy => StatusCode::TOO_MANY_REQUESTS,
            Self::Paused | Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::MediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Path => StatusCode::NOT_FOUND,
            Self::Host(_) | Self::Origin(_) => StatusCode::FORBIDDEN,
            Self::Token => StatusCode::UNAUTHORIZED,
        }
    }

    /// When it may be sent again, if it may.
    pub(super) const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Full | Self::Busy | Self::Unavailable(_) => Some(SOON),
            Self::Paused => Some(AFTER_PAUSE),
            _ => None,
        }
    }

    /// As in [`ReceiverStatus::refused`].
    const fn name(&self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Paused => "paused",
            Self::Busy => "busy",
            Self::Unavailable(_) => "unavailable",
            Self::Slow => "slow",
            Self::TooLarge => "too_large",
            Self::Malformed(_) => "malformed",
            Self::MediaType(_) => "media_type",
            Self::Path => "path",
            Self::Host(_) => "host",
            Self::Origin(_) => "origin",
            Self::Token => "token",
        }
    }

    /// What went wrong while a body was decompressed.
    pub(super) fn of_compressed(compression: Compression, error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::FileTooLarge => Self::TooLarge,
            _ => Self::Malformed(format!("its body is not {} ({error})", compression.token())),
        }
    }
}

/// Takes requests.
#[derive(Debug)]
pub(super) struct Intake {
    queue: Queue,
    enrichment: Enrichment,
    redactor: Arc<LazyRedactor>,
    /// Attributes of spans that it is asked of.
    redacted: Vec<String>,
    views: Option<Views>,
    sampler: Option<Sampler>,
    pause: Pause,
    /// Whether the user shares the logs of applications. Held while records are put into the queue.
    shares_logs: RwLock<bool>,
    room: Room,
    turns: Semaphore,
    status: Arc<Mutex<ReceiverStatus>>,
}

/// What is known of a request's items.
struct Items {
    count: usize,
    oldest: u64,
    newest: u64,
}

impl Items {
    fn of(count: usize, times: impl Iterator<Item = u64>) -> Self {
        let now = u64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or_default();
        let (mut oldest, mut newest) = (u64::MAX, 0);
        for time in times.filter(|time| *time != 0) {
            (oldest, newest) = (oldest.min(time), newest.max(time));
        }
        // Without any time it is as old as its arrival.
        if newest == 0 { Self { count, oldest: now, newest: now } } else { Self { count, oldest, newest } }
    }
}

impl Intake {
    pub(super) fn new(context: &ReceiverContext, shares_logs: bool, status: Arc<Mutex<ReceiverStatus>>) -> Self {
        let settings = &context.settings;
        Self {
            queue: context.queue.clone(),
            enrichment: Enrichment::new(&context.resource),
            redactor: Arc::clone(&context.redactor),
            redacted: settings.redacted_attributes.clone(),
            views: Views::new(&settings.request_views, &context.provider),
            sampler: Sampler::new(&settings.sampling),
            pause: context.pause.clone(),
            shares_logs: RwLock::new(shares_logs),
            room: Room::new(),
            turns: Semaphore::new(TURNS),
            status,
        }
    }

    /// Where bodies are read.
    pub(super) const fn room(&self) -> &Room {
        &self.room
    }

    /// Waits for a turn to work on a request that has come.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        self.turns.acquire().await.ok()
    }

    pub(super) async fn share_logs(&self, shared: bool) {
        *self.shares_logs.write().await = shared;
    }

    /// Counts a refusal.
    pub(super) fn refused(&self, refusal: &Refusal) {
        let mut status = locked(&self.status);
        *status.refused.entry(refusal.name().to_owned()).or_default() += 1;
        if let Refusal::Origin(origin) = refusal {
            status.refused_origin = Some(origin.chars().take(200).collect());
        }
    }

    /// Puts a request into the queue. When this returns it is on disk.
    pub(super) async fn take(&self, signal: Signal, form: Form, bytes: Vec<u8>) -> Result<Taken, Refusal> {
        if self.pause.is_on() {
            return Err(Refusal::Paused);
        }
        let shares_logs = self.shares_logs.read().await;
        let (items, payload) = match signal {
            Signal::Metrics => {
                let (request, bytes) = decode::<ExportMetricsServiceRequest>(form, bytes)?;
                (Items::of(data_points(&request), std::iter::empty()), bytes)
            }
            Signal::Traces => {
                let (mut request, bytes) = decode::<ExportTraceServiceRequest>(form, bytes)?;
                let changed = self.prepare(&mut request);
                let scopes = request.resource_spans.iter().flat_map(|of| &of.scope_spans);
                let spans = || scopes.clone().flat_map(|scope| &scope.spans);
                let items = Items::of(spans().count(), spans().map(|span| span.end_time_unix_nano));
                (items, if changed { request.encode_to_vec() } else { bytes })
            }
            Signal::Logs => {
                let (mut request, bytes) = decode::<ExportLogsServiceRequest>(form, bytes)?;
                let scopes = request.resource_logs.iter().flat_map(|of| &of.scope_logs);
                let records = || scopes.clone().flat_map(|scope| &scope.log_records);
                let times = records().map(|record| match record.time_unix_nano {
                    0 => record.observed_time_unix_nano,
                    time => time,
                });
                let items = Items::of(records().count(), times);
                if !*shares_logs {
                    let rejected = items.count as u64;
                    locked(&self.status).not_shared += rejected;
                    let message = Some("the user of this machine does not share the logs of applications");
                    return Ok(if rejected == 0 { Taken::default() } else { Taken { rejected, message } });
                }
                let hidden = hide::in_logs(&mut request, &self.redactor);
                (items, if hidden { request.encode_to_vec() } else { bytes })
            }
        };
        if items.count == 0 {
            return Ok(Taken::default());
        }
        let payload = self.enrichment.apply(&payload).map_err(|error| Refusal::Malformed(error.to_string()))?;
        let batch = NewBatch {
            signal,
            consent: (signal == Signal::Logs).then_some(LogKind::Applications),
            items: u32::try_from(items.count).unwrap_or(u32::MAX),
            oldest_unix_nano: i64::try_from(items.oldest).unwrap_or(i64::MAX),
            newest_unix_nano: i64::try_from(items.newest).unwrap_or(i64::MAX),
            payload,
        };
        self.queue.offer(batch).await.map_err(|error| match error {
            AppendError::Full => Refusal::Full,
            AppendError::Store(error) => Refusal::Unavailable(error.to_string()),
            AppendError::Closed => Refusal::Unavailable("the agent is ending".to_owned()),
        })?;
        drop(shares_logs);
        *locked(&self.status).taken.entry(signal).or_default() += items.count as u64;
        Ok(Taken::default())
    }

    /// Makes metrics of spans, takes out and hides what the settings want; says whether the request is another one now.
    fn prepare(&self, request: &mut ExportTraceServiceRequest) -> bool {
        if let Some(views) = &self.views {
            views.record(request);
        }
        let left_out = self.sampler.as_ref().map_or(0, |sampler| sampler.sample(request));
        if left_out > 0 {
            locked(&self.status).sampled_out += left_out;
        }
        let hidden = !self.redacted.is_empty() && hide::in_spans(request, &self.redacted, &self.redactor);
        left_out > 0 || hidden
    }
}

/// A request, and its bytes as protobuf.
fn decode<T: Message + Default + for<'de> Deserialize<'de>>(
    form: Form,
    bytes: Vec<u8>,
) -> Result<(T, Vec<u8>), Refusal> {
    match form {
        Form::Protobuf => {
            let request = T::decode(bytes.as_slice()).map_err(|error| Refusal::Malformed(error.to_string()))?;
            Ok((request, bytes))
        }
        Form::Json => {
            let request: T = serde_json::from_slice(&bytes).map_err(|error| Refusal::Malformed(error.to_string()))?;
            let bytes = request.encode_to_vec();
            Ok((request, bytes))
        }
    }
}
