//! Turns a request into batches for the queue: decompresses, decodes within limits, samples,
//! redacts, enriches and splits it.
//!
//! This is the expensive part of a request. It blocks, so it runs on a blocking thread, for one
//! request at a time.

use std::sync::Arc;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prost::Message;

use super::body::BufferedBody;
use super::enrich::Enrichment;
use super::redact;
use super::rejection::Rejection;
use super::sampling::Sampler;
use super::span_metrics::{Measurement, SpanMetrics};
use crate::config::ReceiverSettings;
use crate::consent::LogKind;
use crate::otlp::split::into_parts;
use crate::otlp::{Compression, Signal, compression, data_points, from_json, schema};
use crate::pipeline::queue::NewBatch;
use crate::redaction::LazyRedactor;

/// Maximum size of a request when decompressed. Collectors often accept no more than 20 MiB.
pub(super) const MAX_REQUEST_BYTES: usize = 16 << 20;
/// Maximum memory of a request when decoded, with its added attributes: four times the maximum size
/// on the wire, the ratio of usual requests. Two bytes on the wire can become a span of 300.
pub(super) const MAX_DECODED_BYTES: usize = 4 * MAX_REQUEST_BYTES;
/// Maximum size of a batch. gRPC servers accept 4 MiB by default, and a batch is not split any more
/// after its request was acknowledged.
pub(super) const MAX_BATCH_BYTES: usize = 3 << 20;

/// The format of a request body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyFormat {
    Protobuf,
    /// OTLP specification, section "JSON Protobuf Encoding".
    Json,
}

/// A request as received.
#[derive(Debug)]
pub(super) struct IncomingRequest {
    /// The signal that the path names.
    pub(super) signal: Option<Signal>,
    pub(super) format: BodyFormat,
    pub(super) compression: Compression,
    pub(super) body: BufferedBody,
    /// Where in the body the request starts.
    pub(super) offset: usize,
}

/// A request that is ready for the queue.
#[derive(Debug, Default)]
pub(super) struct PreparedRequest {
    /// Empty if the request has no items, or all were dropped.
    pub(super) batches: Vec<NewBatch>,
    /// Number of items in the batches.
    pub(super) items: u64,
    /// Number of spans that sampling dropped.
    pub(super) sampled_out: u64,
    /// Number of log records that were dropped because they are not shared.
    pub(super) not_shared: u64,
    pub(super) measurements: Vec<Measurement>,
}

/// Prepares requests.
#[derive(Debug)]
pub(super) struct Preparer {
    enrichment: Enrichment,
    redactor: Arc<LazyRedactor>,
    /// Patterns for the names of span attributes to redact.
    redacted_attributes: Vec<String>,
    /// None if they are turned off.
    span_metrics: Option<SpanMetrics>,
    /// None if every trace is kept.
    sampler: Option<Sampler>,
}

/// The number of items in a request, and the range of their times in nanoseconds since 1970.
struct ItemSummary {
    count: usize,
    oldest: u64,
    newest: u64,
}

impl ItemSummary {
    /// Creates a summary. A time of 0 is unknown; if all are, the time of arrival is used.
    fn new(count: usize, times: impl Iterator<Item = u64>) -> Self {
        let now = u64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or_default();
        let (mut oldest, mut newest) = (u64::MAX, 0);
        for time in times.filter(|time| *time != 0) {
            (oldest, newest) = (oldest.min(time), newest.max(time));
        }
        if newest == 0 { Self { count, oldest: now, newest: now } } else { Self { count, oldest, newest } }
    }
}

impl Preparer {
    pub(super) fn new(
        settings: &ReceiverSettings,
        enrichment: Enrichment,
        redactor: Arc<LazyRedactor>,
        provider: &SdkMeterProvider,
    ) -> Self {
        Self {
            enrichment,
            redactor,
            redacted_attributes: settings.redacted_attributes.clone(),
            span_metrics: SpanMetrics::new(&settings.request_views, provider),
            sampler: Sampler::new(&settings.sampling),
        }
    }

    /// Turns a request into batches.
    ///
    /// # Errors
    /// When the request is not OTLP, or too large when decompressed or decoded.
    pub(super) fn prepare(
        &self,
        request: IncomingRequest,
        shares_logs: bool,
    ) -> Result<(Signal, PreparedRequest), Rejection> {
        let (signal, wire) = to_protobuf(request)?;
        let mut budget = MAX_DECODED_BYTES.saturating_sub(wire.len());
        let added = self.enrichment.max_added_bytes();
        let fits = schema::request(signal).charge(&wire, added, &mut budget);
        if !fits.map_err(|error| Rejection::Malformed(error.to_string()))? {
            return Err(Rejection::TooManyParts);
        }
        let mut prepared = PreparedRequest::default();
        let (items, changed) = match signal {
            Signal::Metrics => (ItemSummary::new(data_points(&decode(&wire)?), std::iter::empty()), None),
            Signal::Traces => self.prepare_spans(decode(&wire)?, &mut prepared),
            Signal::Logs => self.prepare_logs(decode(&wire)?, shares_logs, &mut prepared),
        };
        if items.count == 0 {
            return Ok((signal, prepared));
        }
        let payload = self.enrichment.apply(changed.as_deref().unwrap_or(&wire));
        let payload = payload.map_err(|error| Rejection::Malformed(error.to_string()))?;
        drop((changed, wire));
        prepared.items = items.count as u64;
        let parts = into_parts(signal, items.count, payload, MAX_BATCH_BYTES).into_iter();
        let batches = parts.map(|(count, payload)| NewBatch {
            signal,
            consent: (signal == Signal::Logs).then_some(LogKind::Applications),
            items: u32::try_from(count).unwrap_or(u32::MAX),
            oldest_unix_nano: i64::try_from(items.oldest).unwrap_or(i64::MAX),
            newest_unix_nano: i64::try_from(items.newest).unwrap_or(i64::MAX),
            payload,
        });
        prepared.batches = batches.collect();
        Ok((signal, prepared))
    }

    /// Measures, samples and redacts spans. Returns the encoded request if it changed.
    ///
    /// Measuring comes first, so that the metrics count every span.
    fn prepare_spans(
        &self,
        mut request: ExportTraceServiceRequest,
        prepared: &mut PreparedRequest,
    ) -> (ItemSummary, Option<Vec<u8>>) {
        if let Some(span_metrics) = &self.span_metrics {
            prepared.measurements = span_metrics.measure(&request);
        }
        prepared.sampled_out = self.sampler.as_ref().map_or(0, |sampler| sampler.sample(&mut request));
        let redacted = !self.redacted_attributes.is_empty()
            && redact::redact_spans(&mut request, &self.redacted_attributes, &self.redactor);
        let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
        let spans = || scopes.clone().flat_map(|scope| &scope.spans);
        let items = ItemSummary::new(spans().count(), spans().map(|span| span.end_time_unix_nano));
        (items, (prepared.sampled_out > 0 || redacted).then(|| request.encode_to_vec()))
    }

    /// Redacts log records if they are shared, and drops them otherwise. Returns the encoded
    /// request if it changed.
    fn prepare_logs(
        &self,
        mut request: ExportLogsServiceRequest,
        shares_logs: bool,
        prepared: &mut PreparedRequest,
    ) -> (ItemSummary, Option<Vec<u8>>) {
        let scopes = request.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
        let records = || scopes.clone().flat_map(|scope| &scope.log_records);
        let times = records().map(|record| match record.time_unix_nano {
            0 => record.observed_time_unix_nano,
            time => time,
        });
        let mut items = ItemSummary::new(records().count(), times);
        if !shares_logs {
            prepared.not_shared = items.count as u64;
            items.count = 0;
            return (items, None);
        }
        let redacted = redact::redact_logs(&mut request, &self.redactor);
        (items, redacted.then(|| request.encode_to_vec()))
    }

    /// Records the measurements of a request that is in the queue.
    pub(super) fn record(&self, measurements: &[Measurement]) {
        if let Some(span_metrics) = &self.span_metrics {
            span_metrics.record(measurements);
        }
    }
}

/// Returns a request as uncompressed protobuf, and its signal.
fn to_protobuf(request: IncomingRequest) -> Result<(Signal, Bytes), Rejection> {
    let IncomingRequest { signal, format, compression, body, offset } = request;
    let bytes = body.bytes.slice(offset.min(body.bytes.len())..);
    let bytes = match compression {
        Compression::None => bytes,
        compression => {
            let plain = compression::decompress(compression, &bytes, MAX_REQUEST_BYTES);
            plain.map_err(|error| Rejection::from_decompression(compression, &error))?.into()
        }
    };
    let (signal_of_body, bytes) = match format {
        BodyFormat::Protobuf => (None, bytes),
        BodyFormat::Json => {
            let converted = from_json::to_protobuf(&bytes);
            let (signal, wire) = converted.map_err(|error| Rejection::Malformed(error.to_string()))?;
            (signal, wire.into())
        }
    };
    match signal_of_body.or(signal) {
        Some(signal) => Ok((signal, bytes)),
        None => Err(Rejection::Malformed(from_json::NO_SIGNAL.to_owned())),
    }
}

fn decode<T: Message + Default>(bytes: &[u8]) -> Result<T, Rejection> {
    T::decode(bytes).map_err(|error| Rejection::Malformed(error.to_string()))
}
