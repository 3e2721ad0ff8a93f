//! The messages of OTLP's three requests: what a request takes in memory is known before it is decoded, and JSON is read by
//! the same table ([`super::from_json`]). Names and numbers are those of opentelemetry-proto 1.10.

use std::mem::size_of;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1 as metrics;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

use self::Kind::{Base64, Bool, Double, Fixed32, Fixed64, Hex, Int32, Int64, Sfixed64, Sint32, Text, Uint32, Uint64};
use super::wire::{Fields, WireError};
use crate::otlp::Signal;

/// Number of the resource, in `ResourceLogs`, `ResourceMetrics` and `ResourceSpans`, and of those in a request.
pub(crate) const RESOURCE_FIELD: u32 = 1;
/// Messages lie in each other so deep at most: what prost decodes.
pub(crate) const DEEPEST: usize = 100;

/// How a value is written on protobuf's wire and in JSON.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Text,
    /// Bytes that JSON has in base64.
    Base64,
    /// Identifiers, which OTLP's JSON has in hexadecimal.
    Hex,
    Bool,
    /// Enumerations too, which OTLP's JSON has as numbers.
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Fixed32,
    Fixed64,
    Sfixed64,
    Double,
    Message(&'static Message),
}

/// Whether a value that is the default is written, and whether there may be many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    Implicit,
    Explicit,
    Repeated,
}

/// A field of a message.
#[derive(Debug)]
pub(crate) struct Field {
    /// In JSON.
    pub(crate) key: &'static str,
    pub(crate) number: u32,
    pub(crate) kind: Kind,
    pub(crate) presence: Presence,
}

/// A message.
#[derive(Debug)]
pub(crate) struct Message {
    /// Bytes of the decoded one itself, without what it points to.
    size: usize,
    pub(crate) fields: &'static [Field],
}

impl Message {
    const fn of<T>(fields: &'static [Field]) -> Self {
        Self { size: size_of::<T>(), fields }
    }

    /// Takes what a request will need when decoded, and `added` for each of its resources, from what is `left`; false if
    /// that is less.
    ///
    /// # Errors
    /// When it cannot be walked.
    pub(crate) fn fits(&self, wire: &[u8], added: usize, left: &mut usize) -> Result<bool, WireError> {
        for field in Fields(wire) {
            let is_resource = field?.number == RESOURCE_FIELD;
            let Some(rest) = left.checked_sub(if is_resource { added } else { 0 }) else { return Ok(false) };
            *left = rest;
        }
        self.fits_at(wire, left, DEEPEST)
    }

    fn fits_at(&self, wire: &[u8], left: &mut usize, deeper: usize) -> Result<bool, WireError> {
        let Some(deeper) = deeper.checked_sub(1) else { return Err(WireError::Deep) };
        for field in Fields(wire) {
            let field = field?;
            let Some(known) = self.fields.iter().find(|known| known.number == field.number) else { continue };
            let content = field.content.unwrap_or_default();
            let (size, message) = match known.kind {
                Kind::Message(message) => (message.size, Some(message)),
                // Packed: a byte may be a number.
                Uint64 => ((content.len() + 1) * size_of::<u64>(), None),
                Text if known.presence == Presence::Repeated => (size_of::<String>() + content.len(), None),
                _ => (content.len(), None),
            };
            let Some(rest) = left.checked_sub(size) else { return Ok(false) };
            *left = rest;
            if let Some(message) = message
                && !message.fits_at(content, left, deeper)?
            {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The request of a signal.
pub(crate) const fn request(signal: Signal) -> &'static Message {
    match signal {
        Signal::Metrics => &METRICS,
        Signal::Traces => &TRACES,
        Signal::Logs => &LOGS,
    }
}

const fn one(key: &'static str, number: u32, kind: Kind) -> Field {
    let presence = if matches!(kind, Kind::Message(_)) { Presence::Explicit } else { Presence::Implicit };
    Field { key, number, kind, presence }
}

/// A field of which it is known whether it is there.
const fn maybe(key: &'static str, number: u32, kind: Kind) -> Field {
    Field { key, number, kind, presence: Presence::Explicit }
}

const fn many(key: &'static str, number: u32, kind: Kind) -> Field {
    Field { key, number, kind, presence: Presence::Repeated }
}

const fn message(key: &'static str, number: u32, of: &'static Message) -> Field {
    one(key, number, Kind::Message(of))
}

const fn messages(key: &'static str, number: u32, of: &'static Message) -> Field {
    many(key, number, Kind::Message(of))
}

static METRICS: Message =
    Message::of::<ExportMetricsServiceRequest>(&[messages("resourceMetrics", 1, &RESOURCE_METRICS)]);
static TRACES: Message = Message::of::<ExportTraceServiceRequest>(&[messages("resourceSpans", 1, &RESOURCE_SPANS)]);
static LOGS: Message = Message::of::<ExportLogsServiceRequest>(&[messages("resourceLogs", 1, &RESOURCE_LOGS)]);

static RESOURCE_METRICS: Message = Message::of::<metrics::ResourceMetrics>(&[
    message("resource", 1, &RESOURCE),
    messages("scopeMetrics", 2, &SCOPE_METRICS),
    one("schemaUrl", 3, Text),
]);
static RESOURCE_SPANS: Message = Message::of::<ResourceSpans>(&[
    message("resource", 1, &RESOURCE),
    messages("scopeSpans", 2, &SCOPE_SPANS),
    one("schemaUrl", 3, Text),
]);
static RESOURCE_LOGS: Message = Message::of::<ResourceLogs>(&[
    message("resource", 1, &RESOURCE),
    messages("scopeLogs", 2, &SCOPE_LOGS),
    one("schemaUrl", 3, Text),
]);
static RESOURCE: Message = Message::of::<Resource>(&[
    messages("attributes", 1, &KEY_VALUE),
    one("droppedAttributesCount", 2, Uint32),
    messages("entityRefs", 3, &ENTITY_REF),
]);
static ENTITY_REF: Message = Message::of::<EntityRef>(&[
    one("schemaUrl", 1, Text),
    one("type", 2, Text),
    many("idKeys", 3, Text),
    many("descriptionKeys", 4, Text),
]);
static KEY_VALUE: Message =
    Message::of::<KeyValue>(&[one("key", 1, Text), message("value", 2, &ANY_VALUE), one("keyStrindex", 3, Int32)]);
static ANY_VALUE: Message = Message::of::<AnyValue>(&[
    maybe("stringValue", 1, Text),
    maybe("boolValue", 2, Bool),
    maybe("intValue", 3, Int64),
    maybe("doubleValue", 4, Double),
    message("arrayValue", 5, &ARRAY_VALUE),
    message("kvlistValue", 6, &KEY_VALUE_LIST),
    maybe("bytesValue", 7, Base64),
    maybe("stringValueStrindex", 8, Int32),
]);
static ARRAY_VALUE: Message = Message::of::<ArrayValue>(&[messages("values", 1, &ANY_VALUE)]);
static KEY_VALUE_LIST: Message = Message::of::<KeyValueList>(&[messages("values", 1, &KEY_VALUE)]);
static SCOPE: Message = Message::of::<InstrumentationScope>(&[
    one("name", 1, Text),
    one("version", 2, Text),
    messages("attributes", 3, &KEY_VALUE),
    one("droppedAttributesCount", 4, Uint32),
]);

static SCOPE_SPANS: Message =
    Message::of::<ScopeSpans>(&[message("scope", 1, &SCOPE), messages("spans", 2, &SPAN), one("schemaUrl", 3, Text)]);
static SPAN: Message = Message::of::<Span>(&[
    one("traceId", 1, Hex),
    one("spanId", 2, Hex),
    one("traceState", 3, Text),
    one("parentSpanId", 4, Hex),
    one("name", 5, Text),
    one("kind", 6, Int32),
    one("startTimeUnixNano", 7, Fixed64),
    one("endTimeUnixNano", 8, Fixed64),
    messages("attributes", 9, &KEY_VALUE),
    one("droppedAttributesCount", 10, Uint32),
    messages("events", 11, &EVENT),
    one("droppedEventsCount", 12, Uint32),
    messages("links", 13, &LINK),
    one("droppedLinksCount", 14, Uint32),
    message("status", 15, &STATUS),
    one("flags", 16, Fixed32),
]);
static EVENT: Message = Message::of::<Event>(&[
    one("timeUnixNano", 1, Fixed64),
    one("name", 2, Text),
    messages("attributes", 3, &KEY_VALUE),
    one("droppedAttributesCount", 4, Uint32),
]);
static LINK: Message = Message::of::<Link>(&[
    one("traceId", 1, Hex),
    one("spanId", 2, Hex),
    one("traceState", 3, Text),
    messages("attributes", 4, &KEY_VALUE),
    one("droppedAttributesCount", 5, Uint32),
    one("flags", 6, Fixed32),
]);
static STATUS: Message = Message::of::<Status>(&[one("message", 2, Text), one("code", 3, Int32)]);

static SCOPE_LOGS: Message = Message::of::<ScopeLogs>(&[
    message("scope", 1, &SCOPE),
    messages("logRecords", 2, &LOG_RECORD),
    one("schemaUrl", 3, Text),
]);
static LOG_RECORD: Message = Message::of::<LogRecord>(&[
    one("timeUnixNano", 1, Fixed64),
    one("severityNumber", 2, Int32),
    one("severityText", 3, Text),
    message("body", 5, &ANY_VALUE),
    messages("attributes", 6, &KEY_VALUE),
    one("droppedAttributesCount", 7, Uint32),
    one("flags", 8, Fixed32),
    one("traceId", 9, Hex),
    one("spanId", 10, Hex),
    one("observedTimeUnixNano", 11, Fixed64),
    one("eventName", 12, Text),
]);

static SCOPE_METRICS: Message = Message::of::<metrics::ScopeMetrics>(&[
    message("scope", 1, &SCOPE),
    messages("metrics", 2, &METRIC),
    one("schemaUrl", 3, Text),
]);
static METRIC: Message = Message::of::<metrics::Metric>(&[
    one("name", 1, Text),
    one("description", 2, Text),
    one("unit", 3, Text),
    message("gauge", 5, &GAUGE),
    message("sum", 7, &SUM),
    message("histogram", 9, &HISTOGRAM),
    message("exponentialHistogram", 10, &EXPONENTIAL_HISTOGRAM),
    message("summary", 11, &SUMMARY),
    messages("metadata", 12, &KEY_VALUE),
]);
static GAUGE: Message = Message::of::<metrics::Gauge>(&[messages("dataPoints", 1, &NUMBER)]);
static SUM: Message = Message::of::<metrics::Sum>(&[
    messages("dataPoints", 1, &NUMBER),
    one("aggregationTemporality", 2, Int32),
    one("isMonotonic", 3, Bool),
]);
static HISTOGRAM: Message = Message::of::<metrics::Histogram>(&[
    messages("dataPoints", 1, &HISTOGRAM_POINT),
    one("aggregationTemporality", 2, Int32),
]);
static EXPONENTIAL_HISTOGRAM: Message = Message::of::<metrics::ExponentialHistogram>(&[
    messages("dataPoints", 1, &EXPONENTIAL_POINT),
    one("aggregationTemporality", 2, Int32),
]);
static SUMMARY: Message = Message::of::<metrics::Summary>(&[messages("dataPoints", 1, &SUMMARY_POINT)]);
static NUMBER: Message = Message::of::<metrics::NumberDataPoint>(&[
    one("startTimeUnixNano", 2, Fixed64),
    one("timeUnixNano", 3, Fixed64),
    maybe("asDouble", 4, Double),
    messages("exemplars", 5, &EXEMPLAR),
    maybe("asInt", 6, Sfixed64),
    messages("attributes", 7, &KEY_VALUE),
    one("flags", 8, Uint32),
]);
static HISTOGRAM_POINT: Message = Message::of::<metrics::HistogramDataPoint>(&[
    one("startTimeUnixNano", 2, Fixed64),
    one("timeUnixNano", 3, Fixed64),
    one("count", 4, Fixed64),
    maybe("sum", 5, Double),
    many("bucketCounts", 6, Fixed64),
    many("explicitBounds", 7, Double),
    messages("exemplars", 8, &EXEMPLAR),
    messages("attributes", 9, &KEY_VALUE),
    one("flags", 10, Uint32),
    maybe("min", 11, Double),
    maybe("max", 12, Double),
]);
static EXPONENTIAL_POINT: Message = Message::of::<metrics::ExponentialHistogramDataPoint>(&[
    messages("attributes", 1, &KEY_VALUE),
    one("startTimeUnixNano", 2, Fixed64),
    one("timeUnixNano", 3, Fixed64),
    one("count", 4, Fixed64),
    maybe("sum", 5, Double),
    one("scale", 6, Sint32),
    one("zeroCount", 7, Fixed64),
    message("positive", 8, &BUCKETS),
    message("negative", 9, &BUCKETS),
    one("flags", 10, Uint32),
    messages("exemplars", 11, &EXEMPLAR),
    maybe("min", 12, Double),
    maybe("max", 13, Double),
    one("zeroThreshold", 14, Double),
]);
static BUCKETS: Message = Message::of::<metrics::exponential_histogram_data_point::Buckets>(&[
    one("offset", 1, Sint32),
    many("bucketCounts", 2, Uint64),
]);
static SUMMARY_POINT: Message = Message::of::<metrics::SummaryDataPoint>(&[
    one("startTimeUnixNano", 2, Fixed64),
    one("timeUnixNano", 3, Fixed64),
    one("count", 4, Fixed64),
    one("sum", 5, Double),
    messages("quantileValues", 6, &QUANTILE),
    messages("attributes", 7, &KEY_VALUE),
    one("flags", 8, Uint32),
]);
static QUANTILE: Message =
    Message::of::<metrics::summary_data_point::ValueAtQuantile>(&[one("quantile", 1, Double), one("value", 2, Double)]);
static EXEMPLAR: Message = Message::of::<metrics::Exemplar>(&[
    one("timeUnixNano", 2, Fixed64),
    maybe("asDouble", 3, Double),
    one("spanId", 4, Hex),
    one("traceId", 5, Hex),
    maybe("asInt", 6, Sfixed64),
    messages("filteredAttributes", 7, &KEY_VALUE),
]);
