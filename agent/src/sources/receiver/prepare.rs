//! A request as it came made one for the queue: decompressed, decoded within bounds, thinned, redacted, enriched, parted.
//!
//! This is the work of a request. It blocks, so it is done on another thread, and one at a time.

use std::sync::Arc;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prost::Message;

use super::body::Held;
use super::enrich::Enrichment;
use super::hide;
use super::refusal::Refusal;
use super::sampling::Sampler;
use super::views::{Measurement, Views};
use crate::config::ReceiverSettings;
use crate::consent::LogKind;
use crate::otlp::split::into_parts;
use crate::otlp::{Compression, Signal, compression, data_points, from_json, schema};
use crate::pipeline::queue::NewBatch;
use crate::redaction::LazyRedactor;

/// Largest request when decompressed. What a collector takes is often no more than 20 MiB.
pub(super) const LARGEST_REQUEST: usize = 16 << 20;
/// Most memory that a request may take when decoded, with what is added to it: four times its bytes, as usual ones do.
/// Two bytes can become a span of 300.
pub(super) const LARGEST_DECODED: usize = 4 * LARGEST_REQUEST;
/// Largest batch: gRPC servers take 4 MiB by default, and a batch is not parted any more once it was acknowledged.
pub(super) const LARGEST_BATCH: usize = 3 << 20;

/// How a request is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Protobuf,
    /// OTLP's own JSON (OTLP specification, section "JSON Protobuf Encoding").
    Json,
}

/// A request as it came.
#[derive(Debug)]
pub(super) struct Arrived {
    /// As its path says it.
    pub(super) signal: Option<Signal>,
    pub(super) form: Form,
    pub(super) compression: Compression,
    pub(super) body: Held,
    /// Where in the body it begins.
    pub(super) offset: usize,
}

/// A request for the queue.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    /// Nothing, if it holds nothing or everything was left out.
    pub(super) batches: Vec<NewBatch>,
    pub(super) items: u64,
    pub(super) sampled_out: u64,
    /// Log records that are not shared.
    pub(super) not_shared: u64,
    pub(super) measurements: Vec<Measurement>,
}

/// Prepares requests.
#[derive(Debug)]
pub(super) struct Preparer {
    enrichment: Enrichment,
    redactor: Arc<LazyRedactor>,
    /// Attributes of spans that it is asked of.
    redacted: Vec<String>,
    views: Option<Views>,
    sampler: Option<Sampler>,
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
            redacted: settings.redacted_attributes.clone(),
            views: Views::new(&settings.request_views, provider),
            sampler: Sampler::new(&settings.sampling),
        }
    }

    /// Makes a request one for the queue.
    pub(super) fn prepare(&self, arrived: Arrived, shares_logs: bool) -> Result<(Signal, Prepared), Refusal> {
        let (signal, wire) = plain(arrived)?;
        let mut left = LARGEST_DECODED.saturating_sub(wire.len());
        let added = self.enrichment.size();
        let fits = schema::request(signal).fits(&wire, added, &mut left);
        if !fits.map_err(|error| Refusal::Malformed(error.to_string()))? {
            return Err(Refusal::TooManyParts);
        }
        let mut prepared = Prepared::default();
        let (items, changed) = match signal {
            Signal::Metrics => (Items::of(data_points(&decode(&wire)?), std::iter::empty()), None),
            Signal::Traces => self.spans(decode(&wire)?, &mut prepared),
            Signal::Logs => self.records(decode(&wire)?, shares_logs, &mut prepared),
        };
        if items.count == 0 {
            return Ok((signal, prepared));
        }
        let payload = self.enrichment.apply(changed.as_deref().unwrap_or(&wire));
        let payload = payload.map_err(|error| Refusal::Malformed(error.to_string()))?;
        drop((changed, wire));
        prepared.items = items.count as u64;
        let parts = into_parts(signal, items.count, payload, LARGEST_BATCH).into_iter();
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

    /// Measures spans, takes out and hides what the settings want; returns the request if it is another one now.
    fn spans(&self, mut request: ExportTraceServiceRequest, prepared: &mut Prepared) -> (Items, Option<Vec<u8>>) {
        if let Some(views) = &self.views {
            prepared.measurements = views.measure(&request);
        }
        prepared.sampled_out = self.sampler.as_ref().map_or(0, |sampler| sampler.sample(&mut request));
        let hidden = !self.redacted.is_empty() && hide::in_spans(&mut request, &self.redacted, &self.redactor);
        let scopes = request.resource_spans.iter().flat_map(|of| &of.scope_spans);
        let spans = || scopes.clone().flat_map(|scope| &scope.spans);
        let items = Items::of(spans().count(), spans().map(|span| span.end_time_unix_nano));
        (items, (prepared.sampled_out > 0 || hidden).then(|| request.encode_to_vec()))
    }

    /// The same of log records, if they are shared.
    fn records(
        &self,
        mut request: ExportLogsServiceRequest,
        shares_logs: bool,
        prepared: &mut Prepared,
    ) -> (Items, Option<Vec<u8>>) {
        let scopes = request.resource_logs.iter().flat_map(|of| &of.scope_logs);
        let records = || scopes.clone().flat_map(|scope| &scope.log_records);
        let times = records().map(|record| match record.time_unix_nano {
            0 => record.observed_time_unix_nano,
            time => time,
        });
        let mut items = Items::of(records().count(), times);
        if !shares_logs {
            prepared.not_shared = items.count as u64;
            items.count = 0;
            return (items, None);
        }
        let hidden = hide::in_logs(&mut request, &self.redactor);
        (items, hidden.then(|| request.encode_to_vec()))
    }

    /// Counts what was measured of a request that was taken.
    pub(super) fn record(&self, measurements: &[Measurement]) {
        if let Some(views) = &self.views {
            views.record(measurements);
        }
    }
}

/// A request as protobuf, and its signal.
fn plain(arrived: Arrived) -> Result<(Signal, Bytes), Refusal> {
    let Arrived { signal, form, compression, body, offset } = arrived;
    let bytes = body.bytes.slice(offset.min(body.bytes.len())..);
    let bytes = match compression {
        Compression::None => bytes,
        of => {
            let plain = compression::decompress(of, &bytes, LARGEST_REQUEST);
            plain.map_err(|error| Refusal::of_compressed(of, &error))?.into()
        }
    };
    let malformed = |what: String| Refusal::Malformed(what);
    let (said, bytes) = match form {
        Form::Protobuf => (None, bytes),
        Form::Json => {
            let (said, wire) = from_json::to_protobuf(&bytes).map_err(|error| malformed(error.to_string()))?;
            (said, wire.into())
        }
    };
    match said.or(signal) {
        Some(signal) => Ok((signal, bytes)),
        None => Err(malformed("it has none of the keys resourceMetrics, resourceSpans, resourceLogs".to_owned())),
    }
}

fn decode<T: Message + Default>(bytes: &[u8]) -> Result<T, Refusal> {
    T::decode(bytes).map_err(|error| Refusal::Malformed(error.to_string()))
}
